//! The size of a topic, counted from signed peer records rather than looked up.
//!
//! `Peers` answers carry those of the records with the smallest hash that the asker lacks; merged, they spread like gossip, and the
//! largest hash of a full sample tells how many there must be. Deliberately not proof: inflating the count with ground keys makes the network more cautious.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::bounded::{List, Name};
use crate::call::CLOCK_TOLERANCE_MS;
use crate::identity::{Body, NodeId, Signed};
use crate::sampling::fraction;
use crate::time::Time;

/// Records that count a topic: those with the smallest hash. The count is then right within about 6 %.
pub const SAMPLE_MAX: usize = 256;
/// Most addresses in a record.
pub const RECORD_ADDRESSES_MAX: usize = 4;
/// Most different direct IPs in a record: one per family.
pub const RECORD_IPS_MAX: usize = 2;
/// Records older than this are dropped: a station renews its own every hour.
pub const RECORD_AGE_MS_MAX: u64 = 2 * crate::time::HOUR;

/// A station's statement that it takes part in a topic, and where it listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerRecord {
    pub node: NodeId,
    pub topic: Name,
    pub at: List<Address, RECORD_ADDRESSES_MAX>,
    /// When it was made; of one node the latest counts.
    pub made: Time,
}

impl Body for PeerRecord {
    const KIND: &'static str = "peer/1";
}

/// What a question names a record by that the asker has: the first eight bytes of its signature, big-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecordTag(pub u64);

impl RecordTag {
    #[must_use]
    pub fn of(record: &Signed<PeerRecord>) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = record.signature.0;
        Self(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }
}

/// Why a record is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordRefused {
    #[error("it is of another topic")]
    Topic,
    #[error("its author is not its node")]
    Author,
    #[error("an address leads elsewhere, or it names more than {RECORD_IPS_MAX} machines")]
    Address,
    #[error("it is dated in the future")]
    Future,
    #[error("it is too old, or no newer than what is known")]
    Old,
    #[error("the sample is full of smaller hashes")]
    NotSmallest,
    #[error("the signature does not match")]
    Signature,
}

impl RecordRefused {
    /// Whether no honest station would send such a record.
    #[must_use]
    pub fn is_invalid(self) -> bool {
        matches!(self, Self::Topic | Self::Author | Self::Address | Self::Signature)
    }
}

/// The records of one topic with the smallest hash of the day, at most [`SAMPLE_MAX`].
#[derive(Clone, Debug)]
pub struct Census {
    network: Name,
    topic: Name,
    day: u64,
    records: BTreeMap<(u64, NodeId), Signed<PeerRecord>>,
}

impl Census {
    #[must_use]
    pub fn new(network: &Name, topic: &Name) -> Self {
        Self { network: network.clone(), topic: topic.clone(), day: 0, records: BTreeMap::new() }
    }

    fn hash(&self, node: &NodeId) -> u64 {
        let parts: [&[u8]; 6] = [self.network.as_bytes(), &[0], self.topic.as_bytes(), &[0], &self.day.to_be_bytes(), &node.0];
        fraction("size", &parts)
    }

    /// Drops what is too old, and orders by the hash of today.
    pub fn sweep(&mut self, now: Time) {
        self.records.retain(|_, record| record.body.made.plus(RECORD_AGE_MS_MAX) > now);
        if self.day != now.day() {
            self.day = now.day();
            for record in std::mem::take(&mut self.records).into_values() {
                self.records.insert((self.hash(&record.body.node), record.body.node), record);
            }
        }
    }

    /// Takes a record if it is right, newer than what is known of its node, and among the smallest. The signature is checked last
    /// and only when it matters, so that an answer full of known records is cheap.
    pub fn offer(&mut self, record: &Signed<PeerRecord>, now: Time) -> Result<(), RecordRefused> {
        self.sweep(now);
        self.check(&record.body, &record.author, now)?;
        let key = (self.hash(&record.body.node), record.body.node);
        let known = self.records.get(&key);
        if known.is_some_and(|known| known.body.made >= record.body.made) {
            return Err(RecordRefused::Old);
        }
        let full = known.is_none() && self.records.len() >= SAMPLE_MAX;
        if full && self.records.last_key_value().is_some_and(|(last, _)| *last < key) {
            return Err(RecordRefused::NotSmallest);
        }
        record.verify(&self.network).map_err(|_| RecordRefused::Signature)?;
        if full {
            self.records.pop_last();
        }
        self.records.insert(key, record.clone());
        Ok(())
    }

    /// Whether a record of this topic that is in no sample is right, its signature too.
    pub fn vouch(&self, record: &Signed<PeerRecord>, now: Time) -> Result<(), RecordRefused> {
        self.check(&record.body, &record.author, now)?;
        record.verify(&self.network).map_err(|_| RecordRefused::Signature)
    }

    /// Whether a record that was found right when it came may still be told.
    #[must_use]
    pub fn is_current(&self, record: &Signed<PeerRecord>, now: Time) -> bool {
        self.check(&record.body, &record.author, now).is_ok()
    }

    /// What the sample knows of `node`.
    #[must_use]
    pub fn record(&self, node: &NodeId) -> Option<&Signed<PeerRecord>> {
        self.records.get(&(self.hash(node), *node))
    }

    /// Whether the sample is a part of the topic and not all of it.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.records.len() >= SAMPLE_MAX
    }

    fn check(&self, body: &PeerRecord, author: &NodeId, now: Time) -> Result<(), RecordRefused> {
        if body.topic != self.topic {
            return Err(RecordRefused::Topic);
        }
        if *author != body.node {
            return Err(RecordRefused::Author);
        }
        let direct: BTreeSet<_> = body.at.iter().filter(|address| address.relay().is_none()).map(Address::ip).collect();
        if direct.len() > RECORD_IPS_MAX || body.at.iter().any(|address| address.node() != body.node) {
            return Err(RecordRefused::Address);
        }
        if body.made > now.plus(CLOCK_TOLERANCE_MS) {
            return Err(RecordRefused::Future);
        }
        if body.made.plus(RECORD_AGE_MS_MAX) <= now {
            return Err(RecordRefused::Old);
        }
        Ok(())
    }

    /// How many stations the topic has: the number of records when the sample is not full, else 255·2⁶⁴ ÷ the 256th hash.
    #[must_use]
    pub fn count(&self) -> u64 {
        let known = self.records.len() as u64;
        match self.records.last_key_value() {
            Some(((hash, _), _)) if self.records.len() >= SAMPLE_MAX => {
                let all = ((SAMPLE_MAX as u128 - 1) << 64) / u128::from((*hash).max(1));
                u64::try_from(all).unwrap_or(u64::MAX).max(known)
            }
            _ => known.max(1),
        }
    }

    /// Names what the sample has, for those who are asked for more.
    #[must_use]
    pub fn tags(&self) -> List<RecordTag, SAMPLE_MAX> {
        List::first(self.records.values().map(RecordTag::of))
    }

    /// The sample, smallest hash first.
    pub fn records(&self) -> impl Iterator<Item = &Signed<PeerRecord>> {
        self.records.values()
    }
}

#[cfg(test)]
mod tests;
