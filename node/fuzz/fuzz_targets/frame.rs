//! A frame of the `work` protocol.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| station_node::network::fuzz::frame(bytes));
