//! What end-to-end tests and benchmarks share with the foreign peer beside (`tests/stranger`): [`process`] starts real stations as processes
//! and waits for what they say; [`tours`] runs what the README tells its readers to type.
//!
//! Guarantees: processes end with the value that started them; waiting is for events, with a limit. Deliberately lacks short cuts
//! into a station: everything goes over its command line and API.

pub mod tours;

pub use station_stranger::process;
