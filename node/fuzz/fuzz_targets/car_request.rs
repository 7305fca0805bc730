//! A request for content.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| station_node::content::fuzz::car_request(bytes));
