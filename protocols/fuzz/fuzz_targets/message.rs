//! One message of any kind: requests, answers, Calls, peer records, receipts.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| station_protocol::fuzz::message(bytes));
