//! An empty stand-in that is never compiled into a station.
//!
//! libp2p-swarm 0.48 asks for wasm-bindgen-futures `=0.4.58` (hence wasm-bindgen `=0.2.108`) and wasmer 7.4.2 for
//! wasm-bindgen `>=0.2.120`. Both do so for browser targets alone, which Station does not have, but Cargo resolves every
//! target at once and finds no version. This stand-in lifts the first pin; delete it when libp2p-swarm relaxes it.
#[cfg(target_family = "wasm")]
compile_error!("Station does not build for browsers: see .cargo/patches/wasm-bindgen-futures");
