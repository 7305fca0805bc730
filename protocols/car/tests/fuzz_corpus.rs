//! Replays the corpora of the fuzz targets: inputs that a fuzzer found to reach code of their own, and every input that broke a
//! promise once.

use std::path::Path;

use station_car::fuzz;

/// Gives each input of a corpus to its target; how many there were.
fn replay(target: &str, run: impl Fn(&[u8])) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().for_each(|file| run(&std::fs::read(file).unwrap()));
    files.len()
}

#[test]
fn streams() {
    assert!(replay("stream", fuzz::stream) > 100);
}

#[test]
fn dags() {
    assert!(replay("dag", fuzz::dag) > 100);
}
