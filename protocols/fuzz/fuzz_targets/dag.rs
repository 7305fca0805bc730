//! CARs of made-up DAGs whose hashes are right.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| station_car::fuzz::dag(bytes));
