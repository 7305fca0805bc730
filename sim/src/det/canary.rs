//! Whether the replaced functions are in effect: asked at the start of every run, because a linker may leave them out in silence.
//!
//! Guarantees: each way by which a crate of this workspace reaches the clock or entropy is tried, and each must answer as the
//! simulation would. Deliberately lacks a way around it.

use std::collections::hash_map::RandomState;
use std::time::{Instant, SystemTime};

use super::{Machine, clock, entropy, threads};

/// Real time for which the clock must stand still.
const SPIN_NS: u64 = 2_000_000;
/// `RandomState` draws two keys of eight bytes, once per thread.
const RANDOM_STATE_BYTES: u64 = 16;

/// What is not in effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Dead {
    #[error("the clock moves by itself: `clock_gettime` is not replaced")]
    Clock,
    #[error("the wall clock is the machine's: `clock_gettime` is not replaced for it")]
    Wall,
    #[error("the standard library's hash maps were seeded by the machine, or before the run")]
    RandomState,
    #[error("`getrandom` is not replaced: the linker left it out of the dynamic symbols")]
    GetRandom,
    #[error("entropy by system call is not replaced: ring draws it from the machine")]
    Syscall,
    #[error("this process has {0} threads")]
    Threads(usize),
    #[error("the system does not say how many threads this process has")]
    Unknown,
}

/// All checks, with real time from `machine`.
pub(super) fn sing(machine: Machine) -> Result<(), Dead> {
    one_thread(threads::count())?;
    hash_maps()?;
    clock_stands(machine.monotonic_ns)?;
    entropy_is_seeded()
}

/// Exactly one thread.
pub(super) fn one_thread(count: Option<usize>) -> Result<(), Dead> {
    match count {
        Some(1) => Ok(()),
        Some(count) => Err(Dead::Threads(count)),
        None => Err(Dead::Unknown),
    }
}

/// The keys of this thread's hash maps come from the stream, now and not earlier.
pub(super) fn hash_maps() -> Result<(), Dead> {
    let before = entropy::drawn();
    let _keys = RandomState::new();
    if entropy::drawn() - before == RANDOM_STATE_BYTES { Ok(()) } else { Err(Dead::RandomState) }
}

/// The clock stands still while real time passes, where it was told to stand.
pub(super) fn clock_stands(real_ns: fn() -> u64) -> Result<(), Dead> {
    let (monotonic, wall, begun) = (Instant::now(), SystemTime::now(), real_ns());
    while real_ns() - begun < SPIN_NS {
        std::hint::spin_loop();
    }
    if Instant::now() != monotonic {
        return Err(Dead::Clock);
    }
    let told = SystemTime::UNIX_EPOCH + clock::WALL_START;
    if wall == told && SystemTime::now() == told { Ok(()) } else { Err(Dead::Wall) }
}

/// The next bytes of `getrandom`'s crate and of ring are the stream's.
pub(super) fn entropy_is_seeded() -> Result<(), Dead> {
    let (expected, mut drawn) = (entropy::peek::<32>(), [0; 32]);
    if getrandom::fill(&mut drawn).is_err() || expected != Some(drawn) {
        return Err(Dead::GetRandom);
    }
    let (expected, mut drawn) = (entropy::peek::<32>(), [0; 32]);
    let ring = rustls::crypto::ring::default_provider().secure_random;
    if ring.fill(&mut drawn).is_err() || expected != Some(drawn) { Err(Dead::Syscall) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
