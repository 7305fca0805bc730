//! What a worker process does: shut itself in, then compile one module or run jobs one after the other.
//!
//! Guarantees: nothing of the parent's environment or descriptors is left when the first byte is read; the process ends when its
//! socket closes and dies with the thread that started it. Deliberately lacks seccomp, landlock and namespaces so far.

mod compile;
mod confine;
mod limits;
mod memory;
mod run;
mod station;
mod wasi;

use std::os::unix::net::UnixStream;

/// First argument of a worker: nothing a user would type.
pub(crate) const WORKER_ARGUMENT: &str = "__station_worker";
/// Second argument.
pub(crate) const COMPILE: &str = "compile";
/// Second argument.
pub(crate) const RUN: &str = "run";

/// The worker could not do its part; the parent reports that the sandbox failed.
pub(crate) const EXIT_FAILED: i32 = 70;
/// The machine refused memory within the job's limit.
pub(crate) const EXIT_OUT_OF_MEMORY: i32 = 71;

/// Becomes a worker when this process was started as one, and then never returns. Every program that may start workers calls it first
/// in `main`, before threads and before it reads its arguments.
pub fn worker_entry() {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_none_or(|first| first != WORKER_ARGUMENT) {
        return;
    }
    let Some(socket) = confine::shut_in() else { std::process::exit(EXIT_FAILED) };
    let kind = arguments.next().unwrap_or_default();
    let ended = if kind == COMPILE {
        compile::serve(&socket)
    } else if kind == RUN {
        run::serve(socket)
    } else {
        Err(std::io::ErrorKind::InvalidInput.into())
    };
    std::process::exit(if ended.is_ok() { 0 } else { EXIT_FAILED });
}

/// The socket to the parent. Both ends of it are plain blocking streams.
type Socket = UnixStream;
