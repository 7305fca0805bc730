//! Shapes of frames, on both tiers.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| station_sandbox::fuzz::stack(bytes));
