//! A run has one thread: what two threads do is ordered by the machine.
//!
//! Guarantees: the binary's `pthread_create` ends the process inside a run; the canary counts the threads there are before it, and one
//! that was joined is waited for until the system has it no more. Deliberately lacks an exception for anybody.

use std::time::{Duration, Instant};

/// Exit code of a run in which something tried to start a thread.
pub const REFUSED: i32 = 3;

/// Says why and ends the process.
pub fn refuse() -> ! {
    super::stop(REFUSED, "something tried to start a thread during a run; what threads do is ordered by the machine, not by the seed")
}

/// How long a joined thread may take to leave the system's list: a busy machine may not run it for some time.
const LEAVING_MAX: Duration = Duration::from_secs(10);

/// Waits until this is the only thread, before a run: one that was joined has said that it is done, and the system may list it for some
/// microseconds more. One that stays is left to the canary.
pub fn leave() {
    let begun = Instant::now();
    while count() != Some(1) && begun.elapsed() < LEAVING_MAX {
        std::thread::yield_now();
    }
}

/// Threads of this process now; `None` where the system does not say.
#[must_use]
pub fn count() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/task").ok()?.count())
}
