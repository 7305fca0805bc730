//! Replays the corpora of the fuzz targets: inputs that a fuzzer found to reach code of their own, and every input that broke a
//! promise once.

use std::path::Path;

use station_protocol::fuzz;

/// Gives each input of a corpus to its target; how many there were.
fn replay(target: &str, mut run: impl FnMut(&[u8])) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().for_each(|file| run(&std::fs::read(file).unwrap()));
    files.len()
}

#[test]
fn messages() {
    let mut kinds = std::collections::BTreeSet::new();
    let inputs = replay("message", |bytes| {
        kinds.extend(bytes.first().map(|kind| kind % fuzz::KINDS));
        fuzz::message(bytes);
    });
    assert!(inputs > 200 && kinds.len() == usize::from(fuzz::KINDS), "{inputs} inputs of the kinds {kinds:?}");
}

#[test]
fn logs() {
    assert!(replay("log", fuzz::log) > 100);
}

#[test]
fn jobs() {
    assert!(replay("jobs", fuzz::jobs) > 100);
}

#[test]
fn addresses() {
    assert!(replay("address", fuzz::address) > 100);
}
