//! The network between stations: pure models (regions, lines, streams, NAT boxes) and, on them, the transport that libp2p sees.
//!
//! Guarantees of the pure part: time is an argument in whole nanoseconds since the run began, luck a seeded stream, no state is
//! shared between two links but the lines they name. Deliberately lacks packets on streams: a stream's unit is a chunk of at most
//! [`link::CHUNK_BYTES_MAX`].

use std::ops::{Add, AddAssign, Sub};

use serde::{Deserialize, Serialize};

pub mod datagrams;
pub mod fabric;
pub mod line;
pub mod link;
pub mod nat;
pub mod region;
pub mod transport;

/// A moment (since the run began) or a span, in nanoseconds: 584 years fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nanos(pub u64);

impl Nanos {
    pub const ZERO: Self = Self(0);

    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms.saturating_mul(1_000_000))
    }

    #[must_use]
    pub const fn from_micros(us: u64) -> Self {
        Self(us.saturating_mul(1_000))
    }

    #[must_use]
    pub const fn times(self, factor: u64) -> Self {
        Self(self.0.saturating_mul(factor))
    }
}

impl Add for Nanos {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Nanos {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// Saturating: before the beginning is the beginning.
impl Sub for Nanos {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl From<Nanos> for std::time::Duration {
    fn from(nanos: Nanos) -> Self {
        Self::from_nanos(nanos.0)
    }
}

impl From<std::time::Duration> for Nanos {
    fn from(span: std::time::Duration) -> Self {
        Self(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX))
    }
}
