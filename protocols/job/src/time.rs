//! [`Time`]: milliseconds since the Unix epoch, of the world or of the station alone ([`crate::clock`]).
//!
//! Guarantees: arithmetic saturates and never panics. Deliberately lacks `now()`: time is always an argument.

use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// Milliseconds since the Unix epoch. In messages and records it is the world's. What the driver hands in is the station's own: the
/// world's at its start plus what passed since. The driver never lets it run backwards within one process; no rule assumes that it is
/// later than a time read from a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(pub u64);

/// One second in milliseconds.
pub const SECOND: u64 = 1_000;
/// One minute in milliseconds.
pub const MINUTE: u64 = 60 * SECOND;
/// One hour in milliseconds.
pub const HOUR: u64 = 60 * MINUTE;
/// One day in milliseconds.
pub const DAY: u64 = 24 * HOUR;

impl Time {
    /// This time plus `ms` milliseconds.
    #[must_use]
    pub const fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// This time minus `ms` milliseconds, not before the epoch.
    #[must_use]
    pub const fn minus(self, ms: u64) -> Self {
        Self(self.0.saturating_sub(ms))
    }

    /// Milliseconds from `earlier` to `self`, zero when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The UTC day this time lies in, counted from the epoch.
    #[must_use]
    pub const fn day(self) -> u64 {
        self.0 / DAY
    }
}

/// Whether a recorded day is more than one ahead of `today`. The clock was wrong when it was recorded, or it is wrong now.
#[must_use]
pub const fn is_astray(recorded: u64, today: u64) -> bool {
    recorded > today.saturating_add(1)
}

/// The UTC day on which something is counted, under a clock that may be wrong for a while.
///
/// A clock that is set back gives nothing anew: a count of tomorrow goes on. A count of a day that is far ahead becomes one of today, so that
/// it ends tomorrow and not in years. If that day comes next, it was today's clock that was wrong, and the count goes on then too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountedDay {
    day: u64,
    /// The day before, where that was far ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ahead: Option<u64>,
}

impl CountedDay {
    #[must_use]
    pub const fn of(day: u64) -> Self {
        Self { day, ahead: None }
    }

    #[must_use]
    pub const fn day(self) -> u64 {
        self.day
    }

    /// Whether what was counted counts on `today`.
    #[must_use]
    pub fn covers(self, today: u64) -> bool {
        self.day >= today || self.ahead == Some(today)
    }

    /// It is `today`. Whether what was counted is over.
    #[must_use]
    pub fn turn(&mut self, today: u64) -> bool {
        let over = !self.covers(today);
        if self.day < today {
            *self = Self::of(today);
        } else if is_astray(self.day, today) {
            *self = Self { day: today, ahead: self.ahead.max(Some(self.day)) };
        }
        over
    }
}
