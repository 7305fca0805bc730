//! A message on a topic of Calls.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| station_node::network::fuzz::gossip(bytes));
