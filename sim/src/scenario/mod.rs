//! Scenarios: one TOML file that says everything a run depends on beside the program.

pub mod units;
