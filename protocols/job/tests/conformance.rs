//! A second opinion on the wire: the vectors decoded by `serde_cbor`, which shares no code with our codec, and their signatures
//! checked from nothing but what PROTOCOL.md says.
//!
//! Guarantees: reads only the files in `vectors/`. Deliberately lacks our types.

use ed25519_dalek::{Signature, VerifyingKey};
use serde_cbor::Value as Cbor;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

fn vectors() -> Vec<Json> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    let files = std::fs::read_dir(folder).expect("the vectors are there");
    files.map(|file| serde_json::from_str(&std::fs::read_to_string(file.unwrap().path()).unwrap()).unwrap()).collect()
}

fn bytes(hex: &Json) -> Vec<u8> {
    let hex = hex.as_str().expect("hexadecimal text");
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// A CID's bytes as DAG-CBOR holds them under tag 42: a zero byte first.
fn link(cid: &str) -> Vec<u8> {
    let cid: cid::Cid = cid.parse().unwrap();
    [&[0][..], &cid.to_bytes()].concat()
}

/// Whether both trees say the same. `serde_cbor` gives what is under a tag without the tag, so a link looks like bytes to it.
fn same(cbor: &Cbor, json: &Json) -> bool {
    match (cbor, json) {
        (Cbor::Null, Json::Null) => true,
        (Cbor::Bool(one), Json::Bool(other)) => one == other,
        (Cbor::Integer(one), Json::Number(other)) => other.as_u64().map(i128::from) == Some(*one),
        (Cbor::Float(one), Json::Number(other)) => other.is_f64() && other.as_f64().map(f64::to_bits) == Some(one.to_bits()),
        (Cbor::Text(one), Json::String(other)) => one == other,
        (Cbor::Array(one), Json::Array(other)) => one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other)),
        (Cbor::Bytes(one), Json::Object(other)) => match &other["/"] {
            Json::String(cid) => *one == link(cid),
            marked => *one == bytes(&marked["bytes"]),
        },
        (Cbor::Map(one), Json::Object(other)) => {
            let entry = |(key, value): (&Cbor, &Cbor)| match key {
                Cbor::Text(key) => other.get(key).is_some_and(|json| same(value, json)),
                _ => false,
            };
            one.len() == other.len() && one.iter().all(entry)
        }
        _ => false,
    }
}

/// Every link in `json`.
fn links(json: &Json) -> Vec<&str> {
    match json {
        Json::Array(items) => items.iter().flat_map(links).collect(),
        Json::Object(map) => match map.get("/") {
            Some(Json::String(cid)) => vec![cid],
            _ => map.values().flat_map(links).collect(),
        },
        _ => Vec::new(),
    }
}

#[test]
fn another_decoder_sees_the_same_trees() {
    let vectors = vectors();
    assert!(vectors.len() >= 25, "{} vectors", vectors.len());
    for vector in vectors {
        let tree: Cbor = serde_cbor::from_slice(&bytes(&vector["hex"])).unwrap();
        assert!(same(&tree, &vector["json"]), "{}: {tree:?}", vector["name"]);
    }
}

#[test]
fn the_comparison_notices_differences() {
    for vector in vectors() {
        let tree: Cbor = serde_cbor::from_slice(&bytes(&vector["hex"])).unwrap();
        let mut other = vector["json"].clone();
        match &mut other {
            Json::Object(map) => drop(map.insert("more".into(), Json::Null)),
            Json::Array(items) => items.push(Json::Null),
            plain => *plain = Json::Null,
        }
        assert!(!same(&tree, &other), "{}", vector["name"]);
    }
}

#[test]
fn links_stand_under_tag_42() {
    for vector in vectors() {
        let raw = bytes(&vector["hex"]);
        for cid in links(&vector["json"]) {
            let link = link(cid);
            let tagged = [&[0xd8, 0x2a, 0x58, u8::try_from(link.len()).unwrap()][..], &link].concat();
            assert!(raw.windows(tagged.len()).any(|window| window == tagged), "{} and {cid}", vector["name"]);
        }
    }
}

#[test]
fn signatures_follow_from_the_rule_alone() {
    let mut checked = 0;
    for vector in vectors() {
        let Some(network) = vector["network"].as_str() else { continue };
        let raw = bytes(&vector["hex"]);
        let json = &vector["json"];
        let author: [u8; 32] = bytes(&json["author"]["/"]["bytes"]).try_into().unwrap();
        let signature: [u8; 64] = bytes(&json["signature"]["/"]["bytes"]).try_into().unwrap();
        // {"body": …, "author": …, "signature": …} in the order of key lengths: the body is first, after the map's head and its key.
        let body = &raw[1 + 5..raw.len() - (1 + 6 + 2 + 32) - (1 + 9 + 2 + 64)];
        let kind = vector["kind"].as_str().unwrap();
        let message = [format!("station\0{kind}\0{network}\0").as_bytes(), &Sha256::digest(body)[..]].concat();
        assert_eq!(message, bytes(&vector["signed"]), "{kind}");
        let key = VerifyingKey::from_bytes(&author).unwrap();
        assert!(key.verify_strict(&message, &Signature::from_bytes(&signature)).is_ok(), "{kind}");
        let seed: [u8; 32] = bytes(&vector["seed"]).try_into().unwrap();
        assert_eq!(ed25519_dalek::SigningKey::from_bytes(&seed).verifying_key(), key);
        let cid: cid::Cid = vector["cid"].as_str().unwrap().parse().unwrap();
        assert_eq!(cid.hash().digest(), &Sha256::digest(body)[..], "{kind}");
        checked += 1;
    }
    assert!(checked >= 9, "{checked} signed vectors");
}
