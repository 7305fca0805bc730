//! What makes a run repeatable: one clock, one source of luck, one thread, and a hash over all that happened.
//!
//! ```text
//!  main.rs (clock_gettime, getrandom, syscall, pthread_create) ─► clock, entropy, threads
//!  canary: refuses to start when one of them is not in effect      trace: what happened, hashed; a checkpoint per virtual second
//! ```
//!
//! Guarantees: a run starts only where the replaced functions are in effect; within it no clock, entropy or thread of the machine is
//! seen. Deliberately lacks a second run in one process: libp2p counts connections per process, and those numbers order its maps.

pub mod canary;
pub mod clock;
pub mod entropy;
pub mod threads;
pub mod trace;
pub mod watchdog;

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

/// The real machine, past the replaced functions: only the binary knows how to reach it.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    pub monotonic_ns: fn() -> u64,
    /// Time that processors spent on this process.
    pub processor_ns: fn() -> u64,
    pub resident_bytes: fn() -> u64,
}

thread_local! {
    static ACTIVE: Cell<bool> = const { Cell::new(false) };
}

/// A run was started in this process already.
static USED: AtomicBool = AtomicBool::new(false);

/// Why no run starts here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("a run was started in this process already; libp2p's counters are per process, so each run needs one of its own")]
    SecondRun,
    #[error("{0}; the run would not be repeatable, so it does not start")]
    Canary(#[from] canary::Dead),
}

/// Whether this thread is inside a run.
#[must_use]
pub fn is_active() -> bool {
    ACTIVE.try_with(Cell::get).unwrap_or(false)
}

/// A run. Everything on this thread is virtual and seeded until it is dropped.
#[derive(Debug)]
pub struct Run {
    _one_thread: std::marker::PhantomData<*const ()>,
}

/// Seeds the luck, stops the clock and asks the canary.
pub fn start(seed: u64, machine: Machine) -> Result<Run, Refusal> {
    if USED.swap(true, Ordering::Relaxed) {
        return Err(Refusal::SecondRun);
    }
    entropy::seed(seed);
    clock::freeze();
    ACTIVE.set(true);
    let run = Run { _one_thread: std::marker::PhantomData };
    canary::sing(machine)?;
    Ok(run)
}

impl Drop for Run {
    fn drop(&mut self) {
        ACTIVE.set(false);
        clock::release();
        entropy::release();
    }
}

/// Ends the process with a sentence: for what cannot be returned as an error because it happens inside a foreign function.
pub(crate) fn stop(code: i32, sentence: &str) -> ! {
    // What runs at the end of a process reads the clock: it would come here again, or ask a runtime that is gone.
    ACTIVE.set(false);
    clock::release();
    eprintln!("station-sim: {sentence}");
    std::process::exit(code)
}
