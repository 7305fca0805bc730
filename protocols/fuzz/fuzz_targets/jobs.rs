//! The blocks of an experiment's inputs.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| station_protocol::fuzz::jobs(bytes));
