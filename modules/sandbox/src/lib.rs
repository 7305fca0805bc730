//! Runs Wasm in sandboxed worker processes, one step at a time.
//!
//! A [`Sandbox`] compiles a module into an [`Artefact`] and opens a [`Session`] for it; a session runs one job after the other, each
//! in a fresh instance, stopping at every host call with a [`Step`]. Compiling and running happen in child processes of the same
//! program, so a program that uses this crate calls [`worker_entry`] first in `main`.
//!
//! Guarantees: the calling process never compiles or runs a guest, keeps the clock, and believes no byte a worker sends; a pure job
//! with the same module, input, seed and limits ends with the same outcome, output and fuel unless the outcome is one that depends on
//! the machine. Deliberately lacks an async interface, host calls (the caller answers them between steps), and, so far, isolation
//! beyond a process of its own on systems other than Linux.

mod artefact;
mod cache;
mod check;
mod compiler;
#[cfg_attr(windows, path = "engine/absent.rs")]
mod engine;
mod frame;
#[doc(hidden)]
pub mod fuzz;
mod imports;
mod isolation;
mod job;
#[cfg(not(windows))]
#[doc(hidden)]
pub mod measure;
mod normalise;
mod process;
mod profile;
mod queue;
mod sandbox;
mod session;
mod spawner;
mod system;
mod worker;

pub use artefact::{Artefact, Needs, Tier};
pub use cache::CACHED_BYTES_MAX;
pub use check::{Origin, Refusal, Sight, look};
pub use compiler::{CompileError, CompileLimit};
/// For tests of the process layer only.
#[doc(hidden)]
pub use isolation::Layers;
pub use job::{CHECKPOINT_BYTES_MAX, HANDLES_MAX, LOG_BYTES_MAX, MESSAGE_BYTES_MAX, OPERATION_BYTES_MAX, READ_BYTES_MAX, REQUEST_BYTES_MAX};
pub use job::{Done, HostCall, Load, Reply, Step};
pub use process::Killer;
pub use profile::PROFILE;
pub use queue::Wish;
pub use queue::lanes::{self, Asker, Own, Purse, deposit_ms};
pub use sandbox::{Config, Sandbox, SandboxError};
pub use session::Session;
pub use worker::worker_entry;
#[doc(hidden)]
pub use worker::{BEFORE_THE_FIRST_FRAME, Native, NativeGuest, native_guest_entry, worker_entry_with};

/// How well workers are shut in: see [`station_protocol::receipt::Isolation`].
pub use station_protocol::receipt::Isolation;

/// What workers of the running program reach on this machine: see [`Sandbox::isolation`]. Measured once; blocks then. Only for programs
/// that call [`worker_entry`] first in `main`.
#[must_use]
pub fn isolation() -> Isolation {
    static REACHED: std::sync::OnceLock<Isolation> = std::sync::OnceLock::new();
    *REACHED.get_or_init(|| Sandbox::new(Config::default()).isolation())
}
