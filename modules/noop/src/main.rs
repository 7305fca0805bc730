//! Reads nothing, writes an empty map: what a job costs besides its work. Uses no SDK, to be as small as a Rust module can be.

use std::io::Write as _;

/// The empty map in DAG-CBOR.
const EMPTY_MAP: [u8; 1] = [0xa0];

fn main() {
    std::io::stdout().write_all(&EMPTY_MAP).expect("a host takes the output");
}
