//! `station-sim`: the binary that replaces the clock and the entropy of its own process.

fn main() {}
