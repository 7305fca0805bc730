//! One direction of an access line: bytes leave it at its rate and at no other.
//!
//! Guarantees: over any span of time no more bytes pass than the rate allows; a line that has work is never idle; whoever arrives
//! first is served first, also when the reservations are made out of order (a chunk from far away is reserved long before it arrives,
//! and what arrives in the meantime passes before it). Deliberately lacks packets and priorities.

use std::collections::BTreeMap;

use super::Nanos;

#[cfg(test)]
mod tests;

/// Reservations a line remembers in pieces: with more, the gaps between the earliest are given up. At 16 KiB a piece it is 64 MiB.
const PIECES_MAX: usize = 4_096;

/// An access line, up or down.
#[derive(Clone, Debug)]
pub struct Line {
    bits_per_s: u64,
    /// When the line is taken: start → end, disjoint, never touching.
    taken: BTreeMap<u64, u64>,
}

impl Line {
    /// A line of `bits_per_s` bits per second (0 counts as 1).
    #[must_use]
    pub fn new(bits_per_s: u64) -> Self {
        Self { bits_per_s: bits_per_s.max(1), taken: BTreeMap::new() }
    }

    /// How long `bytes` take on an idle line, rounded up.
    #[must_use]
    pub fn span(&self, bytes: u64) -> Nanos {
        let nanos = (u128::from(bytes) * 8 * 1_000_000_000).div_ceil(u128::from(self.bits_per_s));
        Nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Passes `bytes` that are there at `at`; when the last of them has passed. `now` ≤ `at` is the present: what lies before it is
    /// forgotten, and later calls must not reach back behind it.
    pub fn pass(&mut self, now: Nanos, at: Nanos, bytes: u64) -> Nanos {
        self.forget(now.0);
        let mut left = self.span(bytes).0;
        let mut from = at.0.max(now.0);
        // The piece that covers `from`, if one does.
        if let Some((_, end)) = self.taken.range(..=from).next_back() {
            from = from.max(*end);
        }
        let mut pieces = Vec::new();
        for (start, end) in self.taken.range(from..) {
            let gap = start - from;
            if gap >= left {
                break;
            }
            if gap > 0 {
                pieces.push((from, *start));
                left -= gap;
            }
            from = *end;
        }
        let done = from.saturating_add(left);
        if left > 0 {
            pieces.push((from, done));
        }
        for (start, end) in pieces {
            self.take(start, end);
        }
        Nanos(done)
    }

    /// Until when everything reserved has passed.
    #[must_use]
    pub fn busy_until(&self) -> Nanos {
        Nanos(self.taken.last_key_value().map_or(0, |(_, end)| *end))
    }

    fn forget(&mut self, now: u64) {
        while self.taken.first_key_value().is_some_and(|(_, end)| *end <= now) {
            self.taken.pop_first();
        }
        // For room, not for age: the gap between the first two counts as taken, so the rate still holds.
        while self.taken.len() > PIECES_MAX
            && let (Some((start, _)), Some((_, end))) = (self.taken.pop_first(), self.taken.pop_first())
        {
            self.taken.insert(start, end);
        }
    }

    /// Marks a free piece as taken, joined to its neighbours.
    fn take(&mut self, start: u64, end: u64) {
        let before = self.taken.range(..=start).next_back().filter(|(_, end)| **end == start).map(|(start, _)| *start);
        let end = self.taken.remove(&end).unwrap_or(end);
        self.taken.insert(before.unwrap_or(start), end);
    }
}
