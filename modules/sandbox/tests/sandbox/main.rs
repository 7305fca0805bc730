//! The sandbox as its users see it, with real worker processes.

mod common;
mod isolation;
mod modules;
mod processes;
mod run;
mod vectors;
