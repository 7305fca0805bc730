//! Valid modules, generated from the bytes.
#![no_main]

#[path = "../src/generated.rs"]
mod generated;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(module) = generated::module(bytes) {
        let _ = station_sandbox::fuzz::normaliser(&module);
    }
});
