//! Text that claims to be an address.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| station_protocol::fuzz::address(bytes));
