//! The test vectors of PROTOCOL.md are what this version writes. A drift is a change of the wire: it needs a new kind, not a new file.
//!
//! `STATION_BLESS=1 cargo test -p station-protocol --test vectors` writes them anew.

use std::path::PathBuf;

use ipld_core::ipld::Ipld;
use serde_json::{Value, json};
use station_protocol::codec;
use station_protocol::content::{DAG_CBOR, cid_of, sha256};

mod samples;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// As DAG-JSON, but with bytes in hexadecimal.
fn rendered(value: &Ipld) -> Value {
    match value {
        Ipld::Null => Value::Null,
        Ipld::Bool(truth) => json!(truth),
        Ipld::Integer(number) => json!(u64::try_from(*number).expect("no sample has a negative number")),
        Ipld::Float(number) => json!(number),
        Ipld::String(text) => json!(text),
        Ipld::Bytes(bytes) => json!({ "/": { "bytes": hex(bytes) } }),
        Ipld::Link(cid) => json!({ "/": cid.to_string() }),
        Ipld::List(items) => items.iter().map(rendered).collect(),
        Ipld::Map(map) => Value::Object(map.iter().map(|(key, value)| (key.clone(), rendered(value))).collect()),
    }
}

fn vector(sample: &samples::Sample) -> Value {
    let value: Ipld = codec::decode(&sample.bytes, sample.bytes.len()).expect("a sample is canonical");
    let mut vector = json!({
        "name": sample.name,
        "kind": sample.kind,
        "hex": hex(&sample.bytes),
        "json": rendered(&value),
    });
    let named = sample.signed.as_ref().map_or(&sample.bytes, |(_, body)| body);
    vector["cid"] = json!(cid_of(DAG_CBOR, named).to_string());
    if let Some((seed, body)) = &sample.signed {
        let label = format!("station\0{}\0{}\0", sample.kind, samples::NETWORK);
        vector["network"] = json!(samples::NETWORK);
        vector["seed"] = json!(hex(&[*seed; 32]));
        vector["node"] = json!(samples::key(*seed).node().to_string());
        vector["signed"] = json!(hex(&[label.as_bytes(), &sha256(&[body])].concat()));
    }
    vector
}

#[test]
fn the_vectors_are_what_this_version_writes() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors");
    let bless = std::env::var_os("STATION_BLESS").is_some();
    let mut names = Vec::new();
    for sample in samples::all() {
        let path = folder.join(format!("{}.json", sample.name));
        let vector = vector(&sample);
        if bless {
            std::fs::write(&path, format!("{vector:#}\n")).unwrap();
        }
        let found: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap_or_default()).unwrap_or_default();
        assert_eq!(found, vector, "{} has drifted: a message that changes needs a new kind or protocol id", sample.name);
        names.push(format!("{}.json", sample.name));
    }
    let mut found: Vec<String> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    found.sort();
    names.sort();
    assert_eq!(found, names, "every vector has its sample");
}
