//! `futures-timer` on tokio's clock.
//!
//! Every timer of every rust-libp2p protocol goes through this one small crate. Upstream keeps a thread of its own that reads the
//! machine's clock; here a [`Delay`] is a `tokio::time::Sleep`, so that the real node and the simulator run the same code and the
//! simulator's paused clock moves all of it. The workspace puts it in upstream's place with `[patch.crates-io]`.
//!
//! Guarantees: upstream's interface as far as libp2p uses it; a delay is ready only after the timer fired it, never in the instant
//! it was made, so that a loop over `Delay::new(Duration::ZERO)` cannot stand still in virtual time. Deliberately lacks upstream's
//! use without a runtime: outside of tokio's `new` and `reset` panic, as tokio's own timers do.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// The shortest delay: one tick of tokio's clock.
const TICK: Duration = Duration::from_millis(1);
/// The longest delay, about 34 years: what is longer would overflow an instant on some systems.
const LONGEST: Duration = Duration::from_secs(1 << 30);

/// A future that is ready once a duration has passed. It resolves again after [`Delay::reset`].
pub struct Delay {
    sleep: Pin<Box<Sleep>>,
}

impl Delay {
    /// Ready `dur` from now.
    #[must_use]
    pub fn new(dur: Duration) -> Self {
        Self { sleep: Box::pin(sleep_until(deadline(dur))) }
    }

    /// Ready `dur` from now instead, whether it was ready before or not.
    pub fn reset(&mut self, dur: Duration) {
        self.sleep.as_mut().reset(deadline(dur));
    }
}

impl Future for Delay {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.sleep.as_mut().poll(cx)
    }
}

impl fmt::Debug for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delay").finish_non_exhaustive()
    }
}

fn deadline(dur: Duration) -> Instant {
    Instant::now() + dur.clamp(TICK, LONGEST)
}

#[cfg(test)]
mod tests;
