//! A second opinion on the wire: the vectors decoded by `serde_cbor`, which shares no code with our codec, and their signatures
//! checked from nothing but what PROTOCOL.md says.
//!
//! Guarantees: reads only the files in `vectors/`. Deliberately lacks our types.

use ed25519_dalek::{Signature, VerifyingKey};
use serde_cbor::Value as Cbor;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

fn vectors() -> Vec<Json> {
    folder("")
}

/// Every vector in a folder of `vectors/`.
fn folder(name: &str) -> Vec<Json> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors").join(name);
    let files = std::fs::read_dir(folder).expect("the vectors are there").map(|file| file.unwrap().path()).filter(|path| path.is_file());
    files.map(|file| serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()).collect()
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

fn derived(kind: &str) -> Vec<Json> {
    let found: Vec<Json> = folder("derived").into_iter().filter(|vector| vector["kind"] == kind).collect();
    assert!(!found.is_empty(), "{kind}");
    found
}

/// What any decoder of CBOR must refuse; the rest of the steps are DAG-CBOR's and ours.
#[test]
fn another_decoder_refuses_what_is_no_cbor_or_not_one_value() {
    let mut seen = 0;
    for vector in folder("refused") {
        let bytes = bytes(&vector["hex"]);
        let is_none = vector["step"] == "not_well_formed" && !vector["why"].as_str().unwrap().contains("no stated length");
        if is_none || vector["name"] == "text-not-utf-8" || vector["name"] == "trailing-byte" {
            assert!(serde_cbor::from_slice::<Cbor>(&bytes).is_err(), "{}", vector["name"]);
            seen += 1;
        }
    }
    assert!(seen >= 6, "{seen}");
}

#[test]
fn signatures_that_must_be_refused_are_and_those_of_odd_keys_hold() {
    let verify = |key: &[u8], signed: &[u8], signature: &[u8]| {
        let key = VerifyingKey::from_bytes(&key.try_into().unwrap());
        key.is_ok_and(|key| key.verify_strict(signed, &Signature::from_bytes(&signature.try_into().unwrap())).is_ok())
    };
    let mut refused = 0;
    for vector in folder("refused").iter().filter(|vector| vector["step"] == "signature") {
        let raw = bytes(&vector["hex"]);
        let body = &raw[1 + 5..raw.len() - (1 + 6 + 2 + 32) - (1 + 9 + 2 + 64)];
        let author = &raw[raw.len() - (1 + 9 + 2 + 64) - 32..raw.len() - (1 + 9 + 2 + 64)];
        let (kind, network) = (vector["kind"].as_str().unwrap(), vector["network"].as_str().unwrap());
        let signed = [format!("station\0{kind}\0{network}\0").as_bytes(), &Sha256::digest(body)[..]].concat();
        assert!(!verify(author, &signed, &raw[raw.len() - 64..]), "{}", vector["name"]);
        refused += 1;
    }
    assert!(refused >= 7, "{refused}");
    for vector in derived("signature") {
        assert!(verify(&bytes(&vector["key"]), &bytes(&vector["signed"]), &bytes(&vector["signature"])));
    }
}

#[test]
fn frames_and_names_of_messages_follow_from_the_page() {
    for vector in derived("frame") {
        let message = bytes(&vector["message"]);
        assert_eq!(bytes(&vector["hex"]), [&u32::try_from(message.len()).unwrap().to_be_bytes()[..], &message].concat());
    }
    for vector in derived("message id") {
        let id = Sha256::digest([vector["topic"].as_str().unwrap().as_bytes(), &[0], &bytes(&vector["message"])].concat());
        assert_eq!(bytes(&vector["id"]), id[..]);
    }
    for vector in derived("record tag") {
        let message = bytes(&vector["message"]);
        let signature = &message[message.len() - 64..];
        assert_eq!(vector["tag"].as_u64().unwrap(), u64::from_be_bytes(signature[..8].try_into().unwrap()));
    }
}

#[test]
fn samples_of_clusters_follow_from_the_page() {
    for vector in derived("cluster") {
        let experiment: cid::Cid = vector["experiment"].as_str().unwrap().parse().unwrap();
        let hash = Sha256::digest([b"station/claim/1", &[0][..], &experiment.to_bytes(), &bytes(&vector["hex"])].concat());
        assert_eq!(vector["fraction"].as_str().unwrap(), format!("{:016x}", u64::from_be_bytes(hash[..8].try_into().unwrap())));
        let tree: Cbor = serde_cbor::from_slice(&bytes(&vector["hex"])).unwrap();
        assert!(same(&tree, &vector["cluster"]), "{}", vector["name"]);
    }
}

/// A varint, and what follows it.
fn varint(bytes: &[u8]) -> (usize, &[u8]) {
    let length = bytes.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
    let value = bytes[..length].iter().rev().fold(0, |sum, byte| sum << 7 | usize::from(byte & 0x7f));
    (value, &bytes[length..])
}

#[test]
fn content_as_it_travels_is_read_from_the_page_alone() {
    for vector in derived("car") {
        let root: cid::Cid = vector["root"].as_str().unwrap().parse().unwrap();
        let request = bytes(&vector["request"]);
        let (length, request) = varint(&request);
        assert_eq!(length, request.len());
        let tree: Cbor = serde_cbor::from_slice(request).unwrap();
        assert!(same(&tree, &serde_json::json!({ "root": { "/": root.to_string() }, "scope": "all", "max_bytes": 2 << 20 })));
        let answer = bytes(&vector["answer"]);
        assert_eq!(answer[0], 0);
        let (length, rest) = varint(&answer[1..]);
        let (header, rest) = rest.split_at(length);
        let tree: Cbor = serde_cbor::from_slice(header).unwrap();
        assert!(same(&tree, &serde_json::json!({ "roots": [{ "/": root.to_string() }], "version": 1 })));
        let (length, section) = varint(rest);
        assert_eq!(length, section.len(), "one block and nothing after it");
        let block = section.strip_prefix(&root.to_bytes()[..]).unwrap();
        assert_eq!(root.hash().digest(), &Sha256::digest(block)[..]);
    }
    for vector in derived("file") {
        let file: Vec<u8> = (0..vector["length"].as_u64().unwrap()).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let leaves: Vec<String> = file.chunks(1 << 20).map(|chunk| named(0x55, chunk)).collect();
        let said: Vec<&str> = vector["leaves"].as_array().unwrap().iter().map(|leaf| leaf.as_str().unwrap()).collect();
        assert_eq!(leaves, said);
        match vector["node"].as_str() {
            Some(_) => assert_eq!(vector["root"], named(0x70, &bytes(&vector["node"]))),
            None => assert_eq!(vector["root"], leaves[0]),
        }
    }
}

/// The CIDv1 of `bytes` under sha2-256: base32 in lower case behind a `b`.
fn named(codec: u8, bytes: &[u8]) -> String {
    let cid = [&[1, codec, 0x12, 32][..], &Sha256::digest(bytes)].concat();
    cid::Cid::try_from(cid).unwrap().to_string()
}
