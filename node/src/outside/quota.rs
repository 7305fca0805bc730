//! How much one station asks of one target: the daily quota, the network-wide cap, and the rate. And how much it lets in per day
//! from all of them ([`DailyBytes`]).
//!
//! Guarantees: pure, time an argument; a quota survives a crash because it is reserved in blocks before it is used; every table is
//! bounded, and a full one refuses. Deliberately lacks IO: [`super::politeness`] and `operator` wait, read and make durable.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use station_protocol::Time;
use station_protocol::sampling::target_of_host;
use station_protocol::time::SECOND;

use super::address::Origin;

/// Who is asked: a registrable domain, or the /24 or /48 of an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Target(String);

impl Target {
    /// The target behind `origin`. A socket that the builder of the `Outside` named is a target of its own: on loopback many
    /// servers share one /24.
    #[must_use]
    pub fn of(origin: &Origin, exempt: bool) -> Self {
        Self(if exempt { format!("{}:{}", origin.host, origin.port) } else { target_of_host(&origin.host) })
    }

    /// The target that a stored record was filed under.
    #[must_use]
    pub(crate) fn filed(name: String) -> Self {
        Self(name)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a target is not asked now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuotaRefused {
    #[error("this station is not among those that may contact the target today")]
    NotEligible,
    #[error("today's requests to the target are used up")]
    UsedUp,
    #[error("more targets in one day than this station remembers")]
    TooManyTargets,
    #[error("the queue for the target is too long")]
    QueueTooLong,
    #[error("the disk did not take the reservation, so a restart would forget the request")]
    NotDurable,
}

/// Requests that one write makes room for: after a crash at most this many are lost.
const BLOCK: u64 = 10;
/// Targets remembered per day: a station that runs all day at its quota for each would send 400,000 requests.
pub const TARGETS_MAX: usize = 4_096;

/// What must be durable before the requests it covers are sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuotaRecord {
    pub target: Target,
    /// UTC day from the epoch.
    pub day: u64,
    /// Requests that may have been sent on that day.
    pub reserved: u64,
    /// What the target's file said on that day, once it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<u64>,
}

impl QuotaRecord {
    /// What stands for a record that cannot be read: all of `day` is taken to be used up.
    #[must_use]
    pub fn spent(target: Target, day: u64) -> Self {
        Self { target, day, reserved: u64::MAX, cap: None }
    }
}

#[derive(Clone, Debug)]
struct Used {
    day: u64,
    used: u64,
    reserved: u64,
    cap: Option<u64>,
}

/// The daily quotas of one station.
#[derive(Clone, Debug)]
pub struct Quotas {
    per_day: u64,
    targets: BTreeMap<Target, Used>,
}

impl Quotas {
    /// `per_day` requests to each target; what `records` reserved counts as used.
    pub fn restore(per_day: u64, records: impl IntoIterator<Item = QuotaRecord>) -> Self {
        let used = |record: QuotaRecord| (record.target, Used { day: record.day, used: record.reserved, reserved: record.reserved, cap: record.cap });
        Self { per_day, targets: records.into_iter().take(TARGETS_MAX).map(used).collect() }
    }

    #[must_use]
    pub fn per_day(&self) -> u64 {
        self.per_day
    }

    /// Counts one request to `target` on `day`. The record, when there is one, must be durable before it is sent.
    pub fn take(&mut self, target: &Target, day: u64) -> Result<Option<QuotaRecord>, QuotaRefused> {
        self.take_of(self.per_day, target, day)
    }

    /// The same where the operator's rule gives `per_day` requests to this target.
    pub fn take_of(&mut self, per_day: u64, target: &Target, day: u64) -> Result<Option<QuotaRecord>, QuotaRefused> {
        let entry = self.entry(target, day)?;
        if entry.used >= per_day {
            return Err(QuotaRefused::UsedUp);
        }
        entry.used += 1;
        if entry.used <= entry.reserved {
            return Ok(None);
        }
        entry.reserved = (entry.reserved + BLOCK).min(per_day);
        Ok(Some(QuotaRecord { target: target.clone(), day: entry.day, reserved: entry.reserved, cap: entry.cap }))
    }

    /// The target's file says `cap` today. The record, when there is one, spares a restarted station to read it again.
    pub fn learn(&mut self, target: &Target, day: u64, cap: u64) -> Result<Option<QuotaRecord>, QuotaRefused> {
        let entry = self.entry(target, day)?;
        let is_new = entry.cap.replace(cap) != Some(cap);
        Ok(is_new.then(|| QuotaRecord { target: target.clone(), day: entry.day, reserved: entry.reserved, cap: entry.cap }))
    }

    /// What the target's file said on `day`.
    #[must_use]
    pub fn learned(&self, target: &Target, day: u64) -> Option<u64> {
        self.targets.get(target).filter(|used| used.day == day)?.cap
    }

    fn entry(&mut self, target: &Target, day: u64) -> Result<&mut Used, QuotaRefused> {
        if !self.targets.contains_key(target) && self.targets.len() >= TARGETS_MAX {
            self.targets.retain(|_, used| used.day >= day);
            if self.targets.len() >= TARGETS_MAX {
                return Err(QuotaRefused::TooManyTargets);
            }
        }
        let fresh = Used { day, used: 0, reserved: 0, cap: None };
        let entry = self.targets.entry(target.clone()).or_insert_with(|| fresh.clone());
        // A clock that was set back must not give the quota anew, so an earlier day counts as the recorded one.
        if entry.day < day {
            *entry = fresh;
        }
        Ok(entry)
    }
}

/// Reservations that a day's bytes are made in: a crash forgets at most one of them, and a whole day costs as many writes.
const BYTES_BLOCKS: u64 = 64;
/// The smallest reservation: a budget so small must not cost a write for every few packets.
const BYTES_BLOCK_MIN: u64 = 64 << 10;

/// What must be durable before the bytes it covers are let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BytesRecord {
    /// UTC day from the epoch.
    pub day: u64,
    /// Bytes that may have come in on that day.
    pub reserved: u64,
}

impl BytesRecord {
    /// What stands for a record that cannot be read: all of `day` is taken to be used up.
    #[must_use]
    pub fn spent(day: u64) -> Self {
        Self { day, reserved: u64::MAX }
    }
}

/// Bytes let in on one day. What is reserved counts as used after a crash, so that a restart gives nothing anew; it costs at most
/// one block, a 64th of the budget.
#[derive(Clone, Copy, Debug, Default)]
pub struct DailyBytes {
    day: u64,
    used: u64,
    reserved: u64,
}

impl DailyBytes {
    /// What `record` reserved counts as used.
    #[must_use]
    pub fn restore(record: Option<BytesRecord>) -> Self {
        record.map(|BytesRecord { day, reserved }| Self { day, used: reserved, reserved }).unwrap_or_default()
    }

    /// Takes up to `wanted` of what `budget` leaves of `day`, less only where the budget ends. None: something must be durable first,
    /// which [`DailyBytes::lacking`] names.
    pub fn take(&mut self, wanted: u64, budget: u64, day: u64) -> Option<u64> {
        self.turn(day);
        let bytes = wanted.min(budget.saturating_sub(self.used));
        if self.used.saturating_add(bytes) > self.reserved {
            return None;
        }
        self.used += bytes;
        Some(bytes)
    }

    /// The record that must be durable before `wanted` bytes are taken; say so with [`DailyBytes::reserved`]. None: there is room.
    pub fn lacking(&mut self, wanted: u64, budget: u64, day: u64) -> Option<BytesRecord> {
        self.turn(day);
        let needed = self.used.saturating_add(wanted.min(budget.saturating_sub(self.used)));
        let reserved = needed.saturating_add(block(budget) - 1).min(budget.max(needed));
        (needed > self.reserved).then_some(BytesRecord { day: self.day, reserved })
    }

    /// The record that should be durable before a request is sent, so that its answer need not wait for the disk: none while half a
    /// block is free.
    pub fn ahead(&mut self, budget: u64, day: u64) -> Option<BytesRecord> {
        self.lacking(block(budget) / 2, budget, day)
    }

    /// `record` is durable.
    pub fn reserved(&mut self, record: BytesRecord) {
        if record.day == self.day {
            self.reserved = self.reserved.max(record.reserved);
        }
    }

    /// Whether nothing is left of `day`.
    #[must_use]
    pub fn is_spent(&mut self, budget: u64, day: u64) -> bool {
        self.turn(day);
        self.used >= budget
    }

    /// A clock that was set back must not give the bytes anew, so an earlier day counts as the recorded one.
    fn turn(&mut self, day: u64) {
        if self.day < day {
            *self = Self { day, ..Self::default() };
        }
    }
}

fn block(budget: u64) -> u64 {
    (budget / BYTES_BLOCKS).max(BYTES_BLOCK_MIN)
}

/// Between two requests to one target, across all jobs: a person clicking.
const INTERVAL_MS: u64 = SECOND;
/// Requests that may come at once after a pause: a page with its parts.
const BURST: u64 = 5;
/// Longest wait in the queue of one target; beyond it waiting only holds a job open.
pub const WAIT_MS_MAX: u64 = 60 * SECOND;

/// One token bucket per target, kept as the time at which it will be full again.
#[derive(Clone, Debug, Default)]
pub struct Buckets {
    full_at: BTreeMap<Target, Time>,
}

impl Buckets {
    /// Takes a token of `target`: milliseconds to wait before using it.
    pub fn take(&mut self, target: &Target, now: Time) -> Result<u64, QuotaRefused> {
        if !self.full_at.contains_key(target) && self.full_at.len() >= TARGETS_MAX {
            self.full_at.retain(|_, full_at| *full_at > now);
            if self.full_at.len() >= TARGETS_MAX {
                return Err(QuotaRefused::TooManyTargets);
            }
        }
        let full_at = self.full_at.get(target).copied().unwrap_or(now).max(now);
        let wait = full_at.since(now.plus(INTERVAL_MS * (BURST - 1)));
        if wait > WAIT_MS_MAX {
            return Err(QuotaRefused::QueueTooLong);
        }
        self.full_at.insert(target.clone(), full_at.plus(INTERVAL_MS));
        Ok(wait)
    }
}

/// The cap that a target's `/.well-known/station` states: a TOML file with `cap = N`, requests a day from the whole network; other
/// keys are for later versions. `None`: it states none.
#[must_use]
pub fn stated_cap(file: &str) -> Option<u64> {
    file.parse::<toml::Table>().ok()?.get("cap")?.as_integer().and_then(|cap| u64::try_from(cap).ok())
}

#[cfg(test)]
mod tests;
