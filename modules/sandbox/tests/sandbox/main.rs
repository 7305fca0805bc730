//! The sandbox as its users see it, with real worker processes.
#![cfg(target_os = "linux")]

mod common;
mod compilers;
mod isolation;
mod modules;
mod pool;
mod processes;
mod profile;
mod run;
mod tiers;
mod vectors;
mod wasi;
