//! Addresses that a peer tells.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| station_node::network::fuzz::addresses(bytes));
