//! How much one station asks of one target: the daily quota, the network-wide cap, and the rate, for a name and for the network of the
//! addresses behind it. And how much it lets in per day from all of them ([`DailyBytes`]).
//!
//! Guarantees: pure, time an argument; a quota survives a crash because it is reserved in blocks before it is used; every table is
//! bounded, and a full one refuses; a file is asked for once a day and origin, over a crash too. Deliberately lacks IO:
//! [`super::politeness`] and `operator` wait, read and make durable.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use station_protocol::Time;
use station_protocol::bounded::List;
use station_protocol::sampling::{fraction, target_of_host};
use station_protocol::time::{CountedDay, SECOND};

use super::address::Origin;

/// What the accounts of networks begin with: no host does.
const NETWORK: &str = "at ";

/// Who is asked: a registrable domain, or the /24 or /48 of an address that is named itself; or, in an account of its own beside that,
/// the /24 or /48 of the address that is contacted.
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

    /// The account of the network that `ip` is in, whatever it is called.
    #[must_use]
    pub fn at(ip: IpAddr) -> Self {
        Self(format!("{NETWORK}{}", target_of_host(&ip.to_canonical().to_string())))
    }

    /// Whether it is such an account.
    #[must_use]
    pub fn is_network(&self) -> bool {
        self.0.starts_with(NETWORK)
    }

    /// What it is drawn by: the same text for a network that is named and for one that is contacted.
    #[must_use]
    pub fn drawn_by(&self) -> &str {
        self.0.strip_prefix(NETWORK).unwrap_or(&self.0)
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
    #[error("more hosts of the target in one day than this station remembers")]
    TooManyOrigins,
    #[error("more targets than one execution may ask")]
    TooManyForOne,
    #[error("more targets are being asked for their files than this station asks at once")]
    TooManyReadings,
    #[error("what the target said today was lost in a crash")]
    WordLost,
    #[error("the station is stopping")]
    Stopping,
    #[error("the queue for the target is too long")]
    QueueTooLong,
    #[error("the disk did not take the reservation, so a restart would forget the request")]
    NotDurable,
}

/// Requests that one write makes room for: after a crash at most this many are lost.
const BLOCK: u64 = 10;
/// Targets remembered per day, 4,096 names and their networks: a station that runs all day at its quota for each would send 400,000
/// requests.
pub const TARGETS_MAX: usize = 8_192;
/// Origins of one target remembered per day. Each takes a reading and a request out of its quota, so that 50 are as many as the default allows.
pub const ORIGINS_MAX: usize = 64;

/// What must be durable before the requests it covers are sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuotaRecord {
    pub target: Target,
    pub day: CountedDay,
    /// Requests that may have been sent on that day.
    pub reserved: u64,
    /// The least that files of the target said on that day, once one was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<u64>,
    /// Origins whose file was asked for.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub read: List<Reading, ORIGINS_MAX>,
}

/// That an origin's file was asked for, and whether the answer, or that there is none, is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    /// A hash of the origin: two that share it share a reading.
    pub origin: u64,
    pub known: bool,
}

/// What an origin is remembered by.
#[must_use]
pub fn origin_hash(origin: &Origin) -> u64 {
    fraction("origin", &[origin.url().as_bytes()])
}

fn is_empty(read: &List<Reading, ORIGINS_MAX>) -> bool {
    read.is_empty()
}

impl QuotaRecord {
    /// What stands for a record that cannot be read: all of `day` is taken to be used up.
    #[must_use]
    pub fn spent(target: Target, day: u64) -> Self {
        Self { target, day: CountedDay::of(day), reserved: u64::MAX, cap: None, read: List::default() }
    }
}

#[derive(Clone, Debug, Default)]
struct Used {
    day: CountedDay,
    used: u64,
    reserved: u64,
    cap: Option<u64>,
    read: Vec<Reading>,
}

impl Used {
    fn record(&self, target: &Target) -> QuotaRecord {
        QuotaRecord { target: target.clone(), day: self.day, reserved: self.reserved, cap: self.cap, read: List::first(self.read.clone()) }
    }
}

/// The daily quotas of one station.
#[derive(Clone, Debug)]
pub struct Quotas {
    per_day: u64,
    targets: BTreeMap<Target, Used>,
    /// The day that was asked about last.
    day: CountedDay,
}

/// What is known of an origin's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// It was not asked for today.
    Unasked,
    /// It was asked for, and the answer is not there.
    Asked,
    /// What it said counts in the target's cap.
    Known,
}

impl Quotas {
    /// `per_day` requests to each target; what `records` reserved counts as used.
    pub fn restore(per_day: u64, records: impl IntoIterator<Item = QuotaRecord>) -> Self {
        let used = |QuotaRecord { target, day, reserved, cap, read }| (target, Used { day, used: reserved, reserved, cap, read: read.into_vec() });
        Self { per_day, targets: records.into_iter().take(TARGETS_MAX).map(used).collect(), day: CountedDay::default() }
    }

    #[must_use]
    pub fn per_day(&self) -> u64 {
        self.per_day
    }

    /// Requests that were counted on `day`, target by target: also those that a restart must take for used.
    pub fn used(&self, day: u64) -> impl Iterator<Item = (&Target, u64)> {
        self.targets.iter().filter(move |(_, used)| used.day.covers(day) && used.used > 0).map(|(target, used)| (target, used.used))
    }

    /// Takes leave of the days before `day`: the targets whose records say nothing any more. To be called before all else of a day.
    pub fn turn(&mut self, day: u64) -> Vec<Target> {
        let last = self.day;
        if !self.day.turn(day) && self.day == last {
            return Vec::new();
        }
        let stale: Vec<Target> = self.targets.iter_mut().filter_map(|(target, used)| used.day.turn(day).then(|| target.clone())).collect();
        for target in &stale {
            self.targets.remove(target);
        }
        stale
    }

    /// Counts one request to `target` on `day`. The record, when there is one, must be durable before it is sent.
    pub fn take(&mut self, target: &Target, day: u64) -> Result<Option<QuotaRecord>, QuotaRefused> {
        self.take_of(self.per_day, target, day)
    }

    /// The same where `per_day` requests may go to this target.
    pub fn take_of(&mut self, per_day: u64, target: &Target, day: u64) -> Result<Option<QuotaRecord>, QuotaRefused> {
        let entry = self.entry(target, day)?;
        Ok(take(entry, per_day)?.then(|| entry.record(target)))
    }

    /// What is known of the file of `origin`, a host of `target`.
    #[must_use]
    pub fn word(&self, target: &Target, day: u64, origin: u64) -> Word {
        let used = self.targets.get(target).filter(|used| used.day.covers(day));
        used.and_then(|used| used.read.iter().find(|reading| reading.origin == origin)).map_or(Word::Unasked, |reading| match reading.known {
            true => Word::Known,
            false => Word::Asked,
        })
    }

    /// Counts the reading of the file of `origin`, which is about to begin and which there is one of per day: as one of `per_day` requests
    /// to `target`, but for the first. The record must be durable before.
    pub fn begin_reading(&mut self, per_day: u64, target: &Target, day: u64, origin: u64) -> Result<QuotaRecord, QuotaRefused> {
        let entry = self.entry(target, day)?;
        if entry.read.len() >= ORIGINS_MAX {
            return Err(QuotaRefused::TooManyOrigins);
        }
        take(entry, if entry.read.is_empty() { per_day.max(1) } else { per_day })?;
        entry.read.push(Reading { origin, known: false });
        Ok(entry.record(target))
    }

    /// The file of `origin` says `cap`; it can only lower what others of the target said. The record spares a restarted station to read
    /// it again.
    pub fn learn(&mut self, target: &Target, day: u64, origin: u64, cap: u64) -> Result<QuotaRecord, QuotaRefused> {
        let entry = self.entry(target, day)?;
        entry.cap = Some(entry.cap.map_or(cap, |known| known.min(cap)));
        let is_full = entry.read.len() >= ORIGINS_MAX;
        match entry.read.iter_mut().find(|reading| reading.origin == origin) {
            Some(reading) => reading.known = true,
            // It was asked for before midnight.
            None if is_full => {}
            None => entry.read.push(Reading { origin, known: true }),
        }
        Ok(entry.record(target))
    }

    /// The least that the target's files said on `day`.
    #[must_use]
    pub fn learned(&self, target: &Target, day: u64) -> Option<u64> {
        self.targets.get(target).filter(|used| used.day.covers(day))?.cap
    }

    fn entry(&mut self, target: &Target, day: u64) -> Result<&mut Used, QuotaRefused> {
        if !self.targets.contains_key(target) && self.targets.len() >= TARGETS_MAX {
            self.targets.retain(|_, used| used.day.covers(day));
            if self.targets.len() >= TARGETS_MAX {
                return Err(QuotaRefused::TooManyTargets);
            }
        }
        let entry = self.targets.entry(target.clone()).or_insert_with(|| Used { day: CountedDay::of(day), ..Used::default() });
        if entry.day.turn(day) {
            *entry = Used { day: entry.day, ..Used::default() };
        }
        Ok(entry)
    }
}

/// Counts one request; whether a record of it must be durable first.
fn take(entry: &mut Used, per_day: u64) -> Result<bool, QuotaRefused> {
    if entry.used >= per_day {
        return Err(QuotaRefused::UsedUp);
    }
    entry.used += 1;
    if entry.used <= entry.reserved {
        return Ok(false);
    }
    entry.reserved = (entry.reserved + BLOCK).min(per_day);
    Ok(true)
}

/// Reservations that a day's bytes are made in: a crash forgets at most one of them, and a whole day costs as many writes.
const BYTES_BLOCKS: u64 = 64;
/// The smallest reservation: a budget so small must not cost a write for every few packets.
const BYTES_BLOCK_MIN: u64 = 64 << 10;

/// What must be durable before the bytes it covers are let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BytesRecord {
    pub day: CountedDay,
    /// Bytes that may have come in on that day.
    pub reserved: u64,
}

impl BytesRecord {
    /// What stands for a record that cannot be read: all of `day` is taken to be used up.
    #[must_use]
    pub fn spent(day: u64) -> Self {
        Self { day: CountedDay::of(day), reserved: u64::MAX }
    }
}

/// Bytes let in on one day. What is reserved counts as used after a crash, so that a restart gives nothing anew; it costs at most
/// one block, a 64th of the budget.
#[derive(Clone, Copy, Debug, Default)]
pub struct DailyBytes {
    day: CountedDay,
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

    /// Bytes of `day` that were taken.
    #[must_use]
    pub fn used(&mut self, day: u64) -> u64 {
        self.turn(day);
        self.used
    }

    /// Bytes that were taken of `day` and did not pass.
    pub fn give_back(&mut self, bytes: u64, day: u64) {
        self.turn(day);
        self.used = self.used.saturating_sub(bytes);
    }

    /// Whether nothing is left of `day`.
    #[must_use]
    pub fn is_spent(&mut self, budget: u64, day: u64) -> bool {
        self.turn(day);
        self.used >= budget
    }

    fn turn(&mut self, day: u64) {
        if self.day.turn(day) {
            *self = Self { day: self.day, ..Self::default() };
        }
    }
}

fn block(budget: u64) -> u64 {
    (budget / BYTES_BLOCKS).max(BYTES_BLOCK_MIN)
}

/// Between two requests to one name, across all jobs: a person clicking.
const INTERVAL_MS: u64 = SECOND;
/// The same for one network of addresses: four names behind it are measured at the pace of one each.
const NETWORK_INTERVAL_MS: u64 = INTERVAL_MS / 4;
/// Requests that may come at once after a pause: a page with its parts. At a network from four names.
const BURST: u64 = 5;
const NETWORK_BURST: u64 = 4 * BURST;
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
        let (interval, burst) = if target.is_network() { (NETWORK_INTERVAL_MS, NETWORK_BURST) } else { (INTERVAL_MS, BURST) };
        let full_at = self.full_at.get(target).copied().unwrap_or(now).max(now);
        let wait = full_at.since(now.plus(interval * (burst - 1)));
        if wait > WAIT_MS_MAX {
            return Err(QuotaRefused::QueueTooLong);
        }
        self.full_at.insert(target.clone(), full_at.plus(interval));
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
