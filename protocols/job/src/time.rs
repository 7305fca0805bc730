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
