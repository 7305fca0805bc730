//! [`Row`]: what was done for one party in one span of time.
//!
//! Guarantees: sums saturate; as many hosts have names as may, those with the most requests. Deliberately lacks whose it is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{REFUSED_HOSTS_PER_ROW, pairs};
use crate::bounded::Text;
use crate::hostcall::FetchError;
use crate::time::Time;

/// How an execution ended: an outcome's word, or what the station did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    Completed,
    Exited,
    Trapped,
    OutOfFuel,
    OutputTooLarge,
    BadModule,
    Refused,
    StackOverflow,
    OutOfMemory,
    TimedOut,
    Killed,
    /// The station ended it: its lease was over, its experiment was closed, or the operator allows it no longer.
    Stopped,
    /// The station itself failed.
    StationFailed,
}

/// What went to one host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// Requests that were not refused.
    pub requests: u64,
    /// Of bodies that came.
    pub bytes: u64,
    /// Requests of which nothing was sent, by reason.
    #[serde(with = "pairs")]
    pub refused: BTreeMap<FetchError, u64>,
}

impl Contact {
    pub(super) fn add(&mut self, other: Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.bytes = self.bytes.saturating_add(other.bytes);
        add(&mut self.refused, other.refused);
    }

    fn all(&self) -> u64 {
        self.refused.values().fold(self.requests, |sum, count| sum.saturating_add(*count))
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// When it began and when it was written last.
    pub first: Time,
    pub last: Time,
    /// How executions ended.
    #[serde(with = "pairs")]
    pub ended: BTreeMap<Ended, u64>,
    /// Processor time of those executions, to the system's hundredth of a second; where it is not known, how long they had slots.
    pub cpu_ms: u64,
    /// Executions of which it is not known: the worker process was gone, or the system does not tell.
    pub cpu_unknown: u64,
    /// How long they had slots.
    pub slot_ms: u64,
    /// At the sockets, handshakes and heads too.
    pub in_bytes: u64,
    pub out_bytes: u64,
    #[serde(with = "pairs")]
    pub hosts: BTreeMap<Text<253>, Contact>,
    /// Hosts that have no name here.
    pub elsewhere: Contact,
}

impl Row {
    /// Executions.
    #[must_use]
    pub fn jobs(&self) -> u64 {
        self.ended.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.last == Time(0)
    }

    /// Who has less is folded first.
    pub(super) fn weight(&self) -> u64 {
        self.slot_ms.saturating_add(self.in_bytes >> 10).saturating_add(self.jobs())
    }

    pub(super) fn seen(&mut self, now: Time) {
        self.first = if self.is_empty() { now } else { self.first.min(now) };
        self.last = self.last.max(now);
    }

    /// Nothing of it is later than `now`.
    pub(super) fn was_seen_by(&mut self, now: Time) {
        (self.first, self.last) = (self.first.min(now), self.last.min(now));
    }

    pub(super) fn ran(&mut self, ended: Ended, cpu_ms: Option<u64>, slot_ms: u64) {
        let count = self.ended.entry(ended).or_default();
        *count = count.saturating_add(1);
        self.cpu_ms = self.cpu_ms.saturating_add(cpu_ms.unwrap_or(slot_ms));
        self.cpu_unknown = self.cpu_unknown.saturating_add(u64::from(cpu_ms.is_none()));
        self.slot_ms = self.slot_ms.saturating_add(slot_ms);
    }

    pub(super) fn contacted(&mut self, host: &Text<253>, bytes: u64, refused: Option<FetchError>, hosts_max: usize) {
        let mut contact = Contact::default();
        match refused {
            Some(reason) => _ = contact.refused.insert(reason, 1),
            None => (contact.requests, contact.bytes) = (1, bytes),
        }
        self.host(host.clone(), contact, hosts_max);
    }

    pub(super) fn moved(&mut self, in_bytes: u64, out_bytes: u64) {
        self.in_bytes = self.in_bytes.saturating_add(in_bytes);
        self.out_bytes = self.out_bytes.saturating_add(out_bytes);
    }

    /// Adds `other`, keeping names for so many hosts.
    pub fn add(&mut self, other: Self, hosts_max: usize) {
        if other.is_empty() {
            return;
        }
        self.seen(other.first);
        self.seen(other.last);
        add(&mut self.ended, other.ended);
        self.cpu_ms = self.cpu_ms.saturating_add(other.cpu_ms);
        self.cpu_unknown = self.cpu_unknown.saturating_add(other.cpu_unknown);
        self.slot_ms = self.slot_ms.saturating_add(other.slot_ms);
        self.moved(other.in_bytes, other.out_bytes);
        self.elsewhere.add(other.elsewhere);
        other.hosts.into_iter().for_each(|(host, contact)| self.host(host, contact, hosts_max));
    }

    /// Beyond the bounds the host with the fewest requests loses its name.
    fn host(&mut self, host: Text<253>, contact: Contact, hosts_max: usize) {
        self.hosts.entry(host).or_default().add(contact);
        loop {
            let refused = self.hosts.values().filter(|contact| contact.requests == 0).count();
            if self.hosts.len() <= hosts_max && refused <= REFUSED_HOSTS_PER_ROW {
                return;
            }
            // One to which nothing was sent has the fewest.
            let least = self.hosts.iter().min_by_key(|(_, contact)| (contact.requests, contact.all())).map(|(host, _)| host.clone());
            let Some(contact) = least.and_then(|host| self.hosts.remove(&host)) else { return };
            self.elsewhere.add(contact);
        }
    }
}

fn add<K: Ord>(own: &mut BTreeMap<K, u64>, other: BTreeMap<K, u64>) {
    for (key, count) in other {
        let sum = own.entry(key).or_default();
        *sum = sum.saturating_add(count);
    }
}
