//! Replays the corpora of the fuzz targets: inputs that a fuzzer found to reach code of their own, and every input that broke a
//! promise once.

use std::path::Path;

#[path = "../fuzz/src/generated.rs"]
mod generated;

/// Gives each input of a corpus to its target; how many there were.
fn replay(target: &str, mut run: impl FnMut(&[u8])) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().for_each(|file| run(&std::fs::read(file).unwrap()));
    files.len()
}

#[test]
fn frames() {
    assert!(replay("frames", station_sandbox::fuzz::frames) > 50);
}

#[test]
fn validation() {
    assert!(replay("validation", station_sandbox::fuzz::validation) > 50);
}

#[test]
fn the_normaliser() {
    let mut normal = 0;
    let inputs = replay("normaliser", |bytes| {
        normal += usize::from(generated::module(bytes).is_some_and(|module| station_sandbox::fuzz::normaliser(&module)));
    });
    assert!(inputs > 50 && normal > inputs / 2, "{normal} of {inputs} have a normal form");
}

#[cfg(not(windows))]
#[test]
fn the_shim() {
    assert!(replay("shim", station_sandbox::fuzz::shim) > 50);
}

#[cfg(not(windows))]
#[test]
fn the_stack() {
    assert!(replay("stack", station_sandbox::fuzz::stack) >= 10);
}
