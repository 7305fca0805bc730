//! A run has one thread: what two threads do is ordered by the machine.
//!
//! Guarantees: the binary's `pthread_create` ends the process inside a run; the canary counts the threads there are before it.
//! Deliberately lacks an exception for anybody.

/// Exit code of a run in which something tried to start a thread.
pub const REFUSED: i32 = 3;

/// Says why and ends the process.
pub fn refuse() -> ! {
    super::stop(REFUSED, "something tried to start a thread during a run; what threads do is ordered by the machine, not by the seed")
}

/// Threads of this process now; `None` where the system does not say.
#[must_use]
pub fn count() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/task").ok()?.count())
}
