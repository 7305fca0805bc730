//! The test vectors of PROTOCOL.md are what this version writes. A drift is a change of the wire: it needs a new kind, not a new file.
//!
//! `STATION_BLESS=1 cargo test -p station-protocol --test vectors` writes them anew.

use std::path::{Path, PathBuf};

use ipld_core::ipld::Ipld;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use station_protocol::content::{DAG_CBOR, cid_of, sha256};
use station_protocol::experiment::Experiment;
use station_protocol::log::HeldReceipt;
use station_protocol::verdict::JobVerdict;
use station_protocol::{codec, quorum};

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
    assert_eq!(files_in(&folder), sorted(names), "every vector has its sample");
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

fn files_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap).filter(|entry| entry.file_type().unwrap().is_file());
    sorted(entries.map(|entry| entry.file_name().into_string().unwrap()).collect())
}

/// Compares `vectors` with the files of `folder`, or writes them there.
fn are_those_of(folder: &str, vectors: &[Value]) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors").join(folder);
    let bless = std::env::var_os("STATION_BLESS").is_some();
    let mut names = Vec::new();
    for vector in vectors {
        let name = format!("{}.json", vector["name"].as_str().unwrap());
        if bless {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(&name), format!("{vector:#}\n")).unwrap();
        }
        let found: Value = serde_json::from_str(&std::fs::read_to_string(folder.join(&name)).unwrap_or_default()).unwrap_or_default();
        assert_eq!(found, *vector, "{name} has drifted");
        names.push(name);
    }
    assert_eq!(files_in(&folder), sorted(names), "every vector has its sample");
}

#[test]
fn what_must_be_refused_is_refused_at_the_step_that_the_page_names() {
    let refused = samples::refused::all();
    for one in &refused {
        assert!(samples::refused::step(one).is_some(), "{} is taken: {}", one.name, one.why);
    }
    are_those_of("refused", &refused.iter().map(samples::refused::json).collect::<Vec<_>>());
}

#[test]
fn what_follows_from_messages_is_what_this_version_makes_of_them() {
    are_those_of("derived", &samples::derived::all());
}

fn verdict_vector(case: &samples::verdicts::Case) -> Value {
    let verdict = codec::encode(&case.verdict);
    let value: Ipld = codec::decode(&verdict, verdict.len()).expect("a verdict is canonical");
    json!({
        "name": case.name,
        "kind": "verdict",
        "why": case.why,
        "experiment": hex(&codec::encode(&case.experiment)),
        "receipts": case.receipts.iter().map(|held| hex(&codec::encode(held))).collect::<Vec<_>>(),
        "verdict": hex(&verdict),
        "json": rendered(&value),
        "follows": case.follows,
    })
}

fn read<T: DeserializeOwned + Serialize>(hex: &Value) -> T {
    let text = hex.as_str().unwrap();
    let bytes: Vec<u8> = (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect();
    codec::decode(&bytes, bytes.len()).expect("canonical")
}

/// As somebody reads them who has only the files.
#[test]
fn of_held_receipts_the_verdict_follows_that_the_vector_says_and_no_other() {
    let vectors: Vec<Value> = samples::verdicts::all().iter().map(verdict_vector).collect();
    are_those_of("verdicts", &vectors);
    for vector in &vectors {
        let experiment: Experiment = read(&vector["experiment"]);
        let receipts: Vec<HeldReceipt> = vector["receipts"].as_array().unwrap().iter().map(read).collect();
        let verdict: JobVerdict = read(&vector["verdict"]);
        for held in &receipts {
            assert!(held.receipt.verify(&experiment.network).is_ok() && held.receipt.body.experiment == experiment.id());
        }
        let follows = quorum::is_due(&experiment, &receipts, &verdict.decision);
        assert_eq!(vector["follows"], follows, "{}: {}", vector["name"], vector["why"]);
    }
    let follow = vectors.iter().filter(|vector| vector["follows"] == true).count();
    assert!(follow >= 7 && vectors.len() - follow >= 12);
}
