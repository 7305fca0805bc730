//! Bytes that come from the other end of a worker's socket.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| station_sandbox::fuzz::frames(bytes));
