//! Replays the corpora of the fuzz targets: inputs that a fuzzer found to reach code of their own, and every input that broke a
//! promise once. What the protocols' targets keep is read here too, as it comes: in frames, from topics, as addresses.
//!
//! `STATION_CASES=n` reads n mutants of each input as well: less than a fuzzer does, and without one.

use std::path::Path;

use station_node::{content, network};

/// Gives each input of a corpus to its target; how many there were.
fn replay(folder: &str, run: impl Fn(&[u8])) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let cases: u64 = std::env::var("STATION_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(64);
    let inputs: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    for (number, input) in inputs.iter().enumerate() {
        run(input);
        let mut luck = Luck(number as u64 + 1);
        (0..cases).for_each(|_| run(&mutant(input, &inputs, &mut luck)));
    }
    inputs.len()
}

/// SplitMix64.
struct Luck(u64);

impl Luck {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) as usize % bound.max(1)
    }
}

/// One to four changes: a byte, a bit, a cut, a doubling, a piece of another input.
fn mutant(input: &[u8], all: &[Vec<u8>], luck: &mut Luck) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=luck.below(4) {
        let (at, length) = (luck.below(bytes.len()), luck.below(16) + 1);
        let end = (at + length).min(bytes.len());
        match luck.below(6) {
            0 if !bytes.is_empty() => bytes[at] = luck.below(256) as u8,
            1 if !bytes.is_empty() => bytes[at] ^= 1 << luck.below(8),
            2 => drop(bytes.drain(at..end)),
            3 => drop(bytes.splice(at..at, bytes[at..end].to_vec()).collect::<Vec<_>>()),
            4 => bytes.truncate(at + 1),
            _ => {
                let other = &all[luck.below(all.len())];
                let from = luck.below(other.len());
                let piece = other[from..(from + length).min(other.len())].to_vec();
                drop(bytes.splice(at..end, piece).collect::<Vec<_>>());
            }
        }
    }
    bytes
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
