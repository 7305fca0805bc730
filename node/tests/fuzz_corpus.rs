//! Replays the corpora of the fuzz targets: inputs that a fuzzer found to reach code of their own, and every input that broke a
//! promise once. What the protocols' targets keep is read here too, as it comes: in frames, from topics, as addresses.

use std::path::Path;

use station_node::{content, network};

/// Gives each input of a corpus to its target; how many there were.
fn replay(folder: &str, run: impl Fn(&[u8])) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().for_each(|file| run(&std::fs::read(file).unwrap()));
    files.len()
}

#[test]
fn frames() {
    assert!(replay("fuzz/corpus/frame", network::fuzz::frame) > 10);
    let framed = |bytes: &[u8]| {
        let [kind, body @ ..] = bytes else { return };
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        network::fuzz::frame(&[&[*kind][..], &length, body].concat());
    };
    assert!(replay("../protocols/fuzz/corpus/message", framed) > 200);
}

#[test]
fn gossip() {
    assert!(replay("../protocols/fuzz/corpus/message", |bytes| network::fuzz::gossip(bytes.get(1..).unwrap_or_default())) > 200);
}

#[test]
fn addresses() {
    assert!(replay("fuzz/corpus/addresses", network::fuzz::addresses) > 10);
    assert!(replay("../protocols/fuzz/corpus/address", |bytes| network::fuzz::addresses(&[&[1], bytes].concat())) > 100);
}

#[test]
fn requests_for_content() {
    assert!(replay("fuzz/corpus/car_request", content::fuzz::car_request) > 3);
}
