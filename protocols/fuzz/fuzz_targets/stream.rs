//! Bytes that claim to be a CAR.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| station_car::fuzz::stream(bytes));
