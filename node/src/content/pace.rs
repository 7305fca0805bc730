//! [`Pace`]: how long a peer may take over the next step of a transfer.
//!
//! Guarantees: a peer that sends or takes nothing is left after [`IDLE`], one that crawls after [`GRACE`] and what its bytes so far
//! allow. Deliberately lacks a bound on the whole: the callers bound bytes, and so time.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

/// Without a byte for so long a peer is gone: what the trustless gateway specification tells clients to wait.
pub const IDLE: Duration = Duration::from_secs(30);
/// Time that any transfer may take, whatever its rate: dialling, slow starts, a busy provider.
pub const GRACE: Duration = Duration::from_secs(30);
/// How long an asker may take to say what it wants: it knew before it opened the stream, and holds a place.
pub(super) const ASKED_WITHIN: Duration = Duration::from_secs(5);
/// The rate below which a fetch is of no use: leases allow as much time as it takes at this rate.
pub const MIN_BYTES_PER_SECOND: u64 = 64 << 10;

/// How a peer was too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Slow {
    #[error("nothing moved for {} s", IDLE.as_secs())]
    Stalled,
    #[error("it did not say what it wants within {} s", ASKED_WITHIN.as_secs())]
    Silent,
    #[error("slower than {MIN_BYTES_PER_SECOND} bytes per second")]
    Crawled,
}

#[derive(Debug)]
pub(super) struct Pace {
    start: Instant,
    moved_bytes: u64,
}

impl Pace {
    pub(super) fn begin() -> Self {
        Self { start: Instant::now(), moved_bytes: 0 }
    }

    pub(super) fn moved(&mut self, bytes: usize) {
        self.moved_bytes = self.moved_bytes.saturating_add(bytes as u64);
    }

    /// `step`, if it ends in time.
    pub(super) async fn limit<T>(&self, step: impl Future<Output = T>) -> Result<T, Slow> {
        let idle = Instant::now() + IDLE;
        let earned = Duration::from_millis(self.moved_bytes.saturating_mul(1_000) / MIN_BYTES_PER_SECOND);
        let due = self.start + GRACE + earned;
        timeout_at(idle.min(due), step).await.map_err(|_| if idle <= due { Slow::Stalled } else { Slow::Crawled })
    }
}
