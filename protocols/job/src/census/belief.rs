//! [`Belief`]: how far a count is believed, by what came of reaching records of the sample.
//!
//! Guarantees: what is believed is at most twice what was proved, and what was proved grows only with a record of the sample that led to its
//! node, at most to twice as much, and only while half of those tried lately did. Whoever fills the sample with invented addresses stops
//! the growth and moves the count by a factor of two. Deliberately lacks distrust that lasts: what was proved once stays so.

use crate::time::{MINUTE, SECOND, Time};

/// What a station takes to be proved that has met nobody yet. Up to twice as many are all asked at once, so that invented stations delay nothing.
pub const PROVED_MIN: u64 = 16;
/// Outcomes remembered: with an eighth of the sample true, half of them succeed once in ten thousand times.
pub(super) const OUTCOMES: u32 = 16;
/// How soon the next record is reached: five successes tell a thousand stations, within a minute.
pub(super) const PROBE_MS: (u64, u64) = (5 * SECOND, 10 * MINUTE);

/// What was proved of a count, and how the last attempts ended.
#[derive(Clone, Copy, Debug)]
pub struct Belief {
    proved: u64,
    /// The newest in the lowest bit.
    reached: u32,
    tried: u32,
    probe_at: Time,
    pause_ms: u64,
}

impl Default for Belief {
    fn default() -> Self {
        Self { proved: PROVED_MIN, reached: 0, tried: 0, probe_at: Time(0), pause_ms: PROBE_MS.0 }
    }
}

impl Belief {
    /// The most that is believed by a station that has met `met` others.
    #[must_use]
    pub fn most(&self, met: usize) -> u64 {
        self.proved.max(met as u64 + 1).saturating_mul(2)
    }

    /// When to try the next.
    #[must_use]
    pub fn probe_at(&self) -> Time {
        self.probe_at
    }

    #[cfg(test)]
    pub(super) fn prove(&mut self, stations: u64) {
        self.proved = stations;
    }

    /// One is tried now.
    pub(super) fn probing(&mut self, now: Time) {
        self.probe_at = now.plus(self.pause_ms);
    }

    /// It led to its node, or did not, while `told` stations were told.
    pub(super) fn probed(&mut self, reached: bool, told: u64, met: usize) {
        self.reached = (self.reached << 1 | u32::from(reached)) & ((1 << OUTCOMES) - 1);
        self.tried = (self.tried + 1).min(OUTCOMES);
        if !reached {
            self.pause_ms = (self.pause_ms * 2).min(PROBE_MS.1);
            return;
        }
        self.pause_ms = PROBE_MS.0;
        if self.reached.count_ones() * 2 >= self.tried {
            self.proved = self.proved.max(told.min(self.most(met)));
        }
    }
}
