//! A page and the root of a Log.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| station_protocol::fuzz::log(bytes));
