//! [`Clock`]: wall clock at start plus monotonic time since, so that a stepped system clock moves no lease.
//!
//! Guarantees: never runs backwards within one process. Deliberately lacks time zones; everything is milliseconds since the epoch.

use std::time::{SystemTime, UNIX_EPOCH};

use station_protocol::Time;
use tokio::time::Instant;

/// A copy is the same clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall: Time,
    start: Instant,
}

impl Clock {
    /// A clock that begins now, at the machine's own time. A machine whose wall clock stands before 1970 begins at the epoch.
    ///
    /// Programs say this once; whoever is tested is handed a clock and says [`Clock::at`].
    #[must_use]
    pub fn start() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::at(Time(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX)))
    }

    /// A clock that begins now, and calls it `wall`.
    #[must_use]
    pub fn at(wall: Time) -> Self {
        Self { wall, start: Instant::now() }
    }

    #[must_use]
    pub fn now(&self) -> Time {
        self.wall.plus(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// The instant of `time`, at once when it lies in the past.
    #[must_use]
    pub fn instant(&self, time: Time) -> Instant {
        self.start + std::time::Duration::from_millis(time.since(self.wall))
    }
}

/// The day of the tests, at noon: 23 November 2026 UTC. Whose luck depends on the day has it from this one, whenever a test runs.
#[cfg(test)]
pub(crate) const NOON: Time = Time(1_795_435_200_000);

#[cfg(test)]
mod tests;
