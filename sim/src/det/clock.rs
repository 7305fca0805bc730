//! The simulation's clock: tokio's paused one, as the wall clock and the monotonic clock of the whole process.
//!
//! Guarantees: both are derived from one time, which starts well above zero and stands still while anything runs; a `std` instant and
//! a tokio instant of the same moment are equal; a loop that waits for the clock to move ends with a sentence. Deliberately lacks a
//! finer resolution than tokio's timers, 1 ms.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

/// Monotonic time at the start of a run: subtracting hours from an instant must not underflow.
pub const MONOTONIC_START: Duration = Duration::from_secs(1_000_000);
/// Wall time at the start of a run that does not say otherwise, since 1970: 2026-01-01T00:00:00Z.
pub const WALL_START: Duration = Duration::from_secs(1_767_225_600);
/// Readings without a step of the clock before the run is said to hang: a thousand stations read it some 10⁵ times within the busiest
/// millisecond.
const READINGS_MAX: u64 = 200_000_000;
/// Exit code of a run that hung.
pub const HUNG: i32 = 4;

/// Which clock is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Wall,
    Monotonic,
}

#[derive(Clone, Copy)]
enum Mode {
    Real,
    Frozen,
    /// Follows tokio's clock, which stood here at the start.
    Follows(Instant),
}

thread_local! {
    static MODE: Cell<Mode> = const { Cell::new(Mode::Real) };
    static PASSED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    static READINGS: Cell<u64> = const { Cell::new(0) };
    static SKEW_MS: Cell<i64> = const { Cell::new(0) };
    static WALL: Cell<Duration> = const { Cell::new(WALL_START) };
}

/// Stops the clock at its start.
pub(super) fn freeze() {
    PASSED.set(Duration::ZERO);
    WALL.set(WALL_START);
    MODE.set(Mode::Frozen);
}

/// The run begins at this wall time, since 1970.
pub fn begin_at(wall: Duration) {
    WALL.set(wall);
}

/// From here on the clock is that of the tokio runtime around this call, which is paused and was built while the clock was frozen.
pub fn follow() {
    MODE.set(Mode::Follows(Instant::now()));
}

/// The machine's clock again.
pub(super) fn release() {
    MODE.set(Mode::Real);
}

/// The simulation's time; `None` outside of a run. The binary's `clock_gettime` asks this.
#[must_use]
pub fn read(which: Which) -> Option<Duration> {
    let passed = passed()?;
    Some(match which {
        Which::Monotonic => MONOTONIC_START + passed,
        Which::Wall => {
            let skew = SKEW_MS.get();
            let apart = Duration::from_millis(skew.unsigned_abs());
            let wall = WALL.get() + passed;
            if skew < 0 { wall.saturating_sub(apart) } else { wall + apart }
        }
    })
}

/// Virtual time since the start of the run; `None` outside of one.
#[must_use]
pub fn passed() -> Option<Duration> {
    match MODE.try_with(Cell::get).unwrap_or(Mode::Real) {
        Mode::Real => None,
        Mode::Frozen => Some(counted(PASSED.get())),
        Mode::Follows(start) => {
            // Outside of its runtime tokio asks the system for the time, that is to say this function: then the last answer stands.
            MODE.set(Mode::Frozen);
            let now = Instant::now().saturating_duration_since(start);
            MODE.set(Mode::Follows(start));
            Some(counted(now))
        }
    }
}

/// Virtual milliseconds since the start of the run; 0 outside of one.
#[must_use]
pub fn now_ms() -> u64 {
    passed().map_or(0, |passed| u64::try_from(passed.as_millis()).unwrap_or(u64::MAX))
}

/// Runs `body` with a wall clock that is `ms` ahead of the true one (behind, when negative): a station takes the wall time at its
/// start and counts from there.
pub fn with_skew<T>(ms: i64, body: impl FnOnce() -> T) -> T {
    let before = SKEW_MS.replace(ms);
    let result = body();
    SKEW_MS.set(before);
    result
}

fn counted(now: Duration) -> Duration {
    let readings = if PASSED.replace(now) == now { READINGS.get() + 1 } else { 0 };
    READINGS.set(readings);
    if readings > READINGS_MAX {
        super::stop(
            HUNG,
            &format!("the clock was read {READINGS_MAX} times without a step at {} ms: something waits for it in a loop", now.as_millis()),
        );
    }
    now
}
