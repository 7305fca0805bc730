//! The size of a topic, counted from signed peer records rather than looked up, and how much of that is believed.
//!
//! `Peers` answers carry those of the records with the smallest hash that the asker lacks; merged, they spread like gossip, and the
//! largest hash of a full sample tells how many there must be. A record costs nothing: keys can be ground, addresses invented. Guarantees:
//! all records of one /24 or /48 together have [`CLUSTER_SEATS_MAX`] places, and in a small topic one for eight of the others; whatever is
//! told, the count is at most twice what this station proved by reaching records of the sample, see [`Belief`]. Deliberately lacks proof
//! for each record: who really has machines in many networks can still make a topic look larger.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::address::{Address, Reach};
use crate::bounded::{List, Name};
use crate::call::CLOCK_TOLERANCE_MS;
use crate::cluster::Cluster;
use crate::identity::{Body, NodeId, Signed};
use crate::sampling::fraction;
use crate::time::Time;

mod belief;

pub use belief::{Belief, PROVED_MIN};

/// Records that count a topic: those with the smallest hash. The count is then right within about 6 %.
pub const SAMPLE_MAX: usize = 256;
/// Places of one /24 or /48 in the sample, and of all records that name no address: more than a relay's share of a thousand stations,
/// and so few that ground keys of one network move the count of a large topic by a sixteenth.
pub const CLUSTER_SEATS_MAX: usize = 16;
/// While the sample is not full, one network counts as one station for so many elsewhere, and as one at least.
const OTHERS_PER_SEAT: usize = 8;
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

/// Who shares places: a network, or all that name no address that can be dialled.
type Seat = Option<Cluster>;
/// The hash of the day, and whose.
type Place = (u64, NodeId);

/// The records of one topic with the smallest hash of the day, at most [`SAMPLE_MAX`] and few of one network.
#[derive(Clone, Debug)]
pub struct Census {
    network: Name,
    topic: Name,
    own: NodeId,
    reach: Reach,
    day: u64,
    records: BTreeMap<Place, Signed<PeerRecord>>,
    seats: BTreeMap<Seat, BTreeSet<Place>>,
    belief: Belief,
}

impl Census {
    /// Of the station `own`, which dials within `reach`.
    #[must_use]
    pub fn new(network: &Name, topic: &Name, own: NodeId, reach: Reach) -> Self {
        let (network, topic) = (network.clone(), topic.clone());
        Self { network, topic, own, reach, day: 0, records: BTreeMap::new(), seats: BTreeMap::new(), belief: Belief::default() }
    }

    fn hash(&self, node: &NodeId) -> u64 {
        let parts: [&[u8]; 6] = [self.network.as_bytes(), &[0], self.topic.as_bytes(), &[0], &self.day.to_be_bytes(), &node.0];
        fraction("size", &parts)
    }

    fn place(&self, node: &NodeId) -> Place {
        (self.hash(node), *node)
    }

    /// Of a relayed address it is the relay's network: whoever is behind it proves no other.
    fn seat(&self, body: &PeerRecord) -> Seat {
        if body.node == self.own {
            return Some(Cluster::Own(self.own));
        }
        let address = body.at.iter().find(|address| address.endpoint().is_dialable(self.reach))?;
        Some(Cluster::of_address(address, self.reach))
    }

    fn insert(&mut self, place: Place, record: Signed<PeerRecord>) {
        self.seats.entry(self.seat(&record.body)).or_default().insert(place);
        self.records.insert(place, record);
    }

    fn remove(&mut self, place: &Place) {
        let Some(record) = self.records.remove(place) else { return };
        let seat = self.seat(&record.body);
        if let Some(places) = self.seats.get_mut(&seat) {
            places.remove(place);
            if places.is_empty() {
                self.seats.remove(&seat);
            }
        }
    }

    /// Drops what is too old, or of the future since the clock was set back, and orders by the hash of today.
    pub fn sweep(&mut self, now: Time) {
        let is_of_now = |made: Time| made.plus(RECORD_AGE_MS_MAX) > now && made <= now.plus(CLOCK_TOLERANCE_MS);
        let gone: Vec<Place> = self.records.iter().filter(|(_, record)| !is_of_now(record.body.made)).map(|(place, _)| *place).collect();
        gone.iter().for_each(|place| self.remove(place));
        if self.day != now.day() {
            self.day = now.day();
            self.seats.clear();
            for record in std::mem::take(&mut self.records).into_values() {
                self.insert(self.place(&record.body.node), record);
            }
        }
    }

    /// Takes a record if it is right, newer than what is known of its node, and among the smallest. The signature is checked last
    /// and only when it matters, so that an answer full of known records is cheap.
    pub fn offer(&mut self, record: &Signed<PeerRecord>, now: Time) -> Result<(), RecordRefused> {
        self.sweep(now);
        self.check(&record.body, &record.author, now)?;
        let place = self.place(&record.body.node);
        let known = self.records.get(&place);
        if known.is_some_and(|known| known.body.made >= record.body.made) {
            return Err(RecordRefused::Old);
        }
        let displaced = self.displaced(&place, self.seat(&record.body))?;
        record.verify(&self.network).map_err(|_| RecordRefused::Signature)?;
        self.remove(&place);
        displaced.iter().for_each(|place| self.remove(place));
        self.insert(place, record.clone());
        assert!(self.records.len() <= SAMPLE_MAX, "the sample is bounded");
        Ok(())
    }

    /// What makes room for a record at `place`: the last of its network, or the last of all.
    fn displaced(&self, place: &Place, seat: Seat) -> Result<Option<Place>, RecordRefused> {
        let of_seat = self.seats.get(&seat).filter(|places| places.len() >= CLUSTER_SEATS_MAX && !places.contains(place));
        let last = match of_seat {
            Some(places) => places.last(),
            None if self.records.len() >= SAMPLE_MAX && !self.records.contains_key(place) => self.records.keys().next_back(),
            None => return Ok(None),
        };
        if last.is_some_and(|last| last < place) { Err(RecordRefused::NotSmallest) } else { Ok(last.copied()) }
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
        self.records.get(&self.place(node))
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

    /// How many stations the topic has, of which this one has met `met`: what is told, but at most twice what was proved. Those that are
    /// here count as told only, for keys of one network cost nothing.
    #[must_use]
    pub fn count(&self, met: usize) -> u64 {
        self.told().min(self.belief.most(met)).max(1)
    }

    /// How many there are if all is true: the records where the sample is not full, else 255·2⁶⁴ ÷ the 256th hash.
    #[must_use]
    pub fn told(&self) -> u64 {
        match self.records.last_key_value() {
            Some(((hash, _), _)) if self.is_full() => {
                let all = ((SAMPLE_MAX as u128 - 1) << 64) / u128::from((*hash).max(1));
                u64::try_from(all).unwrap_or(u64::MAX).max(SAMPLE_MAX as u64)
            }
            _ => {
                let all = self.records.len();
                let counted = |places: &BTreeSet<Place>| places.len().min(((all - places.len()) / OTHERS_PER_SEAT).max(1));
                self.seats.values().map(counted).sum::<usize>() as u64
            }
        }
    }

    /// Records kept, whatever they are worth.
    #[must_use]
    pub fn known(&self) -> usize {
        self.records.len()
    }

    /// When a record of the sample is to be reached so that more is believed; never where all is.
    #[must_use]
    pub fn probe_at(&self, met: usize) -> Option<Time> {
        (self.told() > self.belief.most(met)).then(|| self.belief.probe_at())
    }

    /// As if so many had been proved.
    #[cfg(test)]
    pub(crate) fn prove(&mut self, stations: u64) {
        self.belief.prove(stations);
    }

    /// A record of the sample is being reached.
    pub fn probing(&mut self, now: Time) {
        self.belief.probing(now);
    }

    /// A record of the sample led to its node, or did not.
    pub fn probed(&mut self, reached: bool, met: usize) {
        self.belief.probed(reached, self.told(), met);
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
