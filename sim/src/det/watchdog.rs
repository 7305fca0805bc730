//! [`Watchdog`]: ends a run in which tasks wake each other for ever while the clock stands still.
//!
//! Guarantees: counts polls cheaply, and looks at the clock only once per count. Deliberately lacks an opinion on who is to blame: it
//! names the node that was polled last.

use std::sync::atomic::{AtomicU64, Ordering};

use super::clock;

/// Polls at one instant before a run is said to hang: the busiest millisecond of 10,000 stations has some 10⁶.
pub const POLLS_MAX: u64 = 50_000_000;

#[derive(Debug)]
pub struct Watchdog {
    max: u64,
    polls: AtomicU64,
    all: AtomicU64,
    /// The clock when it was looked at last.
    seen_ms: AtomicU64,
}

impl Watchdog {
    #[must_use]
    pub fn new(max: u64) -> Self {
        Self { max, polls: AtomicU64::new(0), all: AtomicU64::new(0), seen_ms: AtomicU64::new(u64::MAX) }
    }

    /// A task of `node` is polled. Ends the process when the clock has not moved for [`Watchdog::new`]'s number of polls.
    pub fn polled(&self, node: u32) {
        if self.count(clock::now_ms) {
            let now = self.seen_ms.load(Ordering::Relaxed);
            super::stop(clock::HUNG, &format!("{} polls at {now} ms and the clock does not move; the last one was of node {node}", self.max));
        }
    }

    /// Polls in all.
    #[must_use]
    pub fn polls(&self) -> u64 {
        self.all.load(Ordering::Relaxed) + self.polls.load(Ordering::Relaxed)
    }

    /// Counts a poll; whether it hangs.
    fn count(&self, now_ms: impl FnOnce() -> u64) -> bool {
        if self.polls.fetch_add(1, Ordering::Relaxed) + 1 < self.max {
            return false;
        }
        self.all.fetch_add(self.polls.swap(0, Ordering::Relaxed), Ordering::Relaxed);
        let now = now_ms();
        self.seen_ms.swap(now, Ordering::Relaxed) == now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polls_at_one_instant_are_a_hang_and_polls_over_time_are_not() {
        let dog = Watchdog::new(10);
        let moving = (0..1_000u64).filter(|step| dog.count(|| step / 9)).count();
        assert_eq!(moving, 0);
        let standing = (0..20).filter(|_| dog.count(|| 7_777)).count();
        assert_eq!(standing, 1, "the second look finds the clock where it was");
        assert_eq!(dog.polls(), 1_020);
    }
}
