//! [`Clock`]: a station's own time, which only runs, and the world's, which follows the machine's clock.
//!
//! Guarantees: own time never runs backwards within one process, and no set clock moves it, so that leases and whatever is waited for keep
//! their length; the world's time is that of the machine to a second, also after it slept, or was set late. Deliberately lacks time zones;
//! everything is milliseconds since the epoch.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use station_protocol::Time;
use station_protocol::clock::{Apart, Follow, Shift};
use station_protocol::time::{DAY, HOUR, MINUTE, SECOND};
use tokio::time::Instant;

/// Longer than this no two readings of clocks take, unless the thread had to wait.
const READING_MS_MAX: u64 = 100;

/// A clone is the same clock.
#[derive(Clone, Debug)]
pub struct Clock {
    wall: Time,
    start: Instant,
    /// What the machine says; none follows nobody.
    machine: Option<fn() -> Time>,
    follow: Arc<Mutex<Follow>>,
}

impl Clock {
    /// A clock that begins now, at the machine's own time, and follows it.
    ///
    /// Programs say this once; whoever is tested is handed a clock and says [`Clock::at`].
    #[must_use]
    pub fn start() -> Self {
        Self { machine: Some(machine), ..Self::at(machine()) }
    }

    /// A clock that begins now, calls it `wall`, and follows nobody.
    #[must_use]
    pub fn at(wall: Time) -> Self {
        Self { wall, start: Instant::now(), machine: None, follow: Arc::default() }
    }

    /// A clock that begins now, calls it `wall`, and follows `machine`.
    #[cfg(test)]
    pub(crate) fn following(wall: Time, machine: fn() -> Time) -> Self {
        Self { machine: Some(machine), ..Self::at(wall) }
    }

    /// Own time: the world's at the start, and what passed since while the machine was awake.
    #[must_use]
    pub fn now(&self) -> Time {
        self.wall.plus(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// The world's time, as messages say it.
    #[must_use]
    pub fn world(&self) -> Time {
        self.shift().theirs(self.now())
    }

    /// How far the world's time is ahead of own time.
    #[must_use]
    pub fn shift(&self) -> Shift {
        self.state().shift()
    }

    /// Compares with the machine's clock. By how many milliseconds the world's time stepped, if it did. Cheap enough for every second.
    #[must_use]
    pub fn look(&self) -> Option<i64> {
        let machine = self.machine?;
        let before = self.now();
        let says = machine();
        let own = self.now();
        // Where this thread was put aside in between, the two are of no one moment: the next look tells.
        if own.since(before) > READING_MS_MAX { None } else { self.state().look(own, says) }
    }

    /// The instant of own `time`, at once when it lies in the past.
    #[must_use]
    pub fn instant(&self, time: Time) -> Instant {
        self.start + std::time::Duration::from_millis(time.since(self.wall))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, Follow> {
        self.follow.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The machine's time. One that stands before 1970 is at the epoch.
#[must_use]
pub fn machine() -> Time {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX))
}

/// How this clock differs from others', and what to do, in words.
#[must_use]
pub fn said(apart: &Apart) -> String {
    let ms = apart.ahead_ms.unsigned_abs();
    let (unit, word) = [(DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s")].into_iter().find(|(unit, _)| ms >= 2 * unit).unwrap_or((1, "ms"));
    let side = if apart.ahead_ms > 0 { "behind" } else { "ahead of" };
    let who = if apart.peers == apart.of { format!("{} peers", apart.of) } else { format!("{} of {} peers", apart.peers, apart.of) };
    let size = (ms + unit / 2) / unit;
    format!("this clock is {size} {word} {side} that of {who}: set it (`timedatectl set-ntp true`), or stations ignore each other's calls")
}

/// The day of the tests, at noon: 23 November 2026 UTC. Whose luck depends on the day has it from this one, whenever a test runs.
#[cfg(test)]
pub(crate) const NOON: Time = Time(1_795_435_200_000);

#[cfg(test)]
mod tests;
