//! What a worker process does: shut itself in, then compile one module or run jobs one after the other.
//!
//! Guarantees: nothing of the parent's environment or descriptors is left when the first byte is read; the process ends when its
//! socket closes and dies with the thread that started it. Deliberately lacks a word about how well it is shut in: `isolation`.

mod compile;
#[cfg(not(windows))]
pub(crate) mod drive;
#[cfg(not(windows))]
pub(crate) mod memory;
#[cfg_attr(windows, path = "worker/absent.rs")]
pub(crate) mod run;
#[cfg(not(windows))]
mod station;
#[cfg(not(windows))]
pub(crate) mod wasi;

pub(crate) use compile::REASON_BYTES_MAX;

use crate::frame::{self, CompileReport, CompileRequest, FromWorker};
use crate::isolation::{Layers, Purpose};
use crate::system::{self, Socket};

/// Why a module of the profile has no machine code: the compiler's own affair.
#[derive(Debug)]
pub(crate) struct NotCompiled(pub(crate) String);

/// First argument of a worker: nothing a user would type.
pub(crate) const WORKER_ARGUMENT: &str = "__station_worker";
/// Second argument.
pub(crate) const COMPILE: &str = "compile";
/// Second argument.
pub(crate) const RUN: &str = "run";
/// Second argument: a run worker without an artefact that only says which layers hold.
pub(crate) const PROBE: &str = "probe";

/// The worker could not do its part; the parent reports that the sandbox failed.
pub(crate) const EXIT_FAILED: i32 = 70;
/// The machine refused memory within the job's limit.
pub(crate) const EXIT_OUT_OF_MEMORY: i32 = 71;
/// A panic of ours. The process ends at once: behind the engine's calls a panic would abort, which is how memory that is refused ends it.
pub(crate) const EXIT_PANICKED: i32 = 101;
/// The guest's native stack ended before its counted one; the parent reports that the sandbox failed.
pub(crate) const EXIT_NATIVE_STACK: i32 = 72;

/// Becomes a worker when this process was started as one, and then never returns. Every program that may start workers calls it first
/// in `main`, before threads and before it reads its arguments.
pub fn worker_entry() {
    enter(Layers::ALL, None);
}

/// The same worker with chosen layers: how benchmarks tell what each costs.
#[doc(hidden)]
pub fn worker_entry_with(wanted: Layers) {
    enter(wanted, None);
}

/// What a native guest is called with before the worker reads its first byte.
#[doc(hidden)]
pub const BEFORE_THE_FIRST_FRAME: &[u8] = b"before the first frame";

/// What runs in a guest's place. What it returns is the output; in a compile worker, the reason for refusing the module.
pub type NativeGuest = fn(Native<'_>) -> Vec<u8>;

/// All that a native guest gets.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Native<'a> {
    /// The job's input, or the module.
    pub input: &'a [u8],
    /// The number that an honest answer bears.
    pub turn: u64,
    /// The way to the parent.
    pub socket: &'a Socket,
}

/// The same worker with chosen layers and a native function in the guest's place: how tests prove the layers without WebAssembly. No
/// way leads here from [`worker_entry`].
pub fn native_guest_entry(wanted: Layers, guest: NativeGuest) {
    enter(wanted, Some(guest));
}

fn enter(wanted: Layers, native: Option<NativeGuest>) {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_none_or(|first| first != WORKER_ARGUMENT) {
        return;
    }
    end_where_one_panics();
    let kind = arguments.next().unwrap_or_default();
    let purpose = if kind == COMPILE { Purpose::Compile } else { Purpose::Run };
    let Some((socket, held)) = system::shut_in(wanted, purpose) else { std::process::exit(EXIT_FAILED) };
    if let Some(guest) = native {
        guest(Native { input: BEFORE_THE_FIRST_FRAME, turn: 0, socket: &socket });
    }
    let ended = if let (true, Some(guest)) = (kind == COMPILE, native) {
        compile_natively(&socket, held, guest)
    } else if kind == COMPILE {
        frame::write(&mut &socket, &held).and_then(|()| compile::serve(&socket))
    } else if kind == RUN {
        run::serve(socket, held, native)
    } else if kind == PROBE {
        frame::write(&mut &socket, &FromWorker::Ready(system::forbid_new_code(held)))
    } else {
        Err(std::io::ErrorKind::InvalidInput.into())
    };
    std::process::exit(if ended.is_ok() { 0 } else { EXIT_FAILED });
}

/// A panic is named by what it is.
fn end_where_one_panics() {
    std::panic::set_hook(Box::new(|_| std::process::exit(EXIT_PANICKED)));
}

fn compile_natively(mut socket: &Socket, held: Layers, guest: NativeGuest) -> std::io::Result<()> {
    frame::write(&mut socket, &held)?;
    let request: CompileRequest = frame::read(&mut socket, crate::check::MODULE_BYTES_MAX + frame::ENVELOPE_BYTES)?;
    let output = guest(Native { input: &request.module, turn: 0, socket });
    frame::write(&mut socket, &CompileReport::BadModule(String::from_utf8_lossy(&output).into_owned()))
}
