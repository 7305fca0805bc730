//! Hostile guests: `case_01` to `case_60` keep the numbers of the list that the sandbox was planned with, so that none is lost.
//!
//! Each ends with the right name, and leaves the station alive, the next job running, and no process, descriptor or memory behind:
//! `arena` looks at that around every case, so the cases run one at a time.
#![cfg(target_os = "linux")]

mod arena;
mod bombs;
#[path = "../sandbox/common.rs"]
mod common;
mod determinism;
mod host;
mod isolation;
mod malformed;
mod memory;
mod stack;
mod time;
