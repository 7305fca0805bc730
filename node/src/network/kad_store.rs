//! [`Pointers`]: what a DHT server keeps for others, and what this station says of itself.
//!
//! Guarantees: provider records only, never values; at most 20 per key, 64 per peer and 65,536 in all, each with at most 8
//! addresses; a record makes room only when it is past half its life, so that a flood cannot wash out fresh ones. Deliberately
//! lacks a clock (records bring their expiry) and the accept rule, which is the caller's: only a record of its sender gets here.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use libp2p::PeerId;
use libp2p::kad::store::{Error, RecordStore, Result};
use libp2p::kad::{ProviderRecord, Record, RecordKey};

/// Providers of one key: a search wants a handful.
pub const PER_KEY_MAX: usize = 20;
/// Records of one peer: its topics and what it publishes at a time.
pub const PER_PEER_MAX: usize = 64;
/// All records, about 20 MB.
pub const TOTAL_MAX: usize = 65_536;
/// Keys this station itself provides.
pub const OWN_MAX: usize = 4_096;
/// Addresses of one record.
pub const ADDRESSES_MAX: usize = 8;
/// Life of a record; stations renew theirs every half hour.
pub const LIFE: Duration = Duration::from_secs(2 * 3_600);

#[derive(Debug)]
pub struct Pointers {
    own_id: PeerId,
    own: BTreeMap<Vec<u8>, ProviderRecord>,
    keys: HashMap<RecordKey, Vec<Stored>>,
    per_peer: HashMap<PeerId, usize>,
    by_expiry: BTreeMap<(Instant, u64), (RecordKey, PeerId)>,
    next: u64,
}

#[derive(Debug)]
struct Stored {
    record: ProviderRecord,
    at: (Instant, u64),
}

impl Pointers {
    #[must_use]
    pub fn new(own_id: PeerId) -> Self {
        Self { own_id, own: BTreeMap::new(), keys: HashMap::new(), per_peer: HashMap::new(), by_expiry: BTreeMap::new(), next: 0 }
    }

    /// Records of others.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_expiry.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_expiry.is_empty()
    }

    fn evict(&mut self, at: (Instant, u64)) {
        let Some((key, peer)) = self.by_expiry.remove(&at) else { return };
        if let Some(list) = self.keys.get_mut(&key) {
            list.retain(|stored| stored.at != at);
            if list.is_empty() {
                self.keys.remove(&key);
            }
        }
        if let Some(count) = self.per_peer.get_mut(&peer) {
            *count -= 1;
            if *count == 0 {
                self.per_peer.remove(&peer);
            }
        }
    }

    /// Makes room by dropping `oldest` if, when a record expiring at `expires` arrives, it is past half its life.
    fn make_room(&mut self, oldest: Option<(Instant, u64)>, expires: Instant) -> Result<()> {
        match oldest {
            Some(at) if expires.saturating_duration_since(at.0) >= LIFE / 2 => {
                self.evict(at);
                Ok(())
            }
            _ => Err(Error::MaxProvidedKeys),
        }
    }
}

impl RecordStore for Pointers {
    type RecordsIter<'a> = std::iter::Empty<Cow<'a, Record>>;
    type ProvidedIter<'a> = std::vec::IntoIter<Cow<'a, ProviderRecord>>;

    fn get(&self, _: &RecordKey) -> Option<Cow<'_, Record>> {
        None
    }

    fn put(&mut self, _: Record) -> Result<()> {
        Err(Error::MaxRecords)
    }

    fn remove(&mut self, _: &RecordKey) {}

    fn records(&self) -> Self::RecordsIter<'_> {
        std::iter::empty()
    }

    fn add_provider(&mut self, mut record: ProviderRecord) -> Result<()> {
        if record.provider == self.own_id {
            let key = record.key.to_vec();
            if self.own.len() >= OWN_MAX && !self.own.contains_key(&key) {
                return Err(Error::MaxProvidedKeys);
            }
            self.own.insert(key, record);
            return Ok(());
        }
        // A record without an expiry would stay for ever: the DHT sets one on every record of others.
        let Some(expires) = record.expires else { return Err(Error::MaxProvidedKeys) };
        record.addresses.truncate(ADDRESSES_MAX);
        let held = self.keys.get(&record.key).and_then(|list| list.iter().find(|stored| stored.record.provider == record.provider));
        if let Some(at) = held.map(|stored| stored.at) {
            self.evict(at);
        }
        if self.per_peer.get(&record.provider).is_some_and(|count| *count >= PER_PEER_MAX) {
            return Err(Error::MaxProvidedKeys);
        }
        let siblings = self.keys.get(&record.key);
        if siblings.is_some_and(|list| list.len() >= PER_KEY_MAX) {
            let oldest = siblings.and_then(|list| list.iter().map(|stored| stored.at).min());
            self.make_room(oldest, expires)?;
        }
        if self.by_expiry.len() >= TOTAL_MAX {
            self.make_room(self.by_expiry.keys().next().copied(), expires)?;
        }
        let at = (expires, self.next);
        self.next += 1;
        self.by_expiry.insert(at, (record.key.clone(), record.provider));
        *self.per_peer.entry(record.provider).or_default() += 1;
        self.keys.entry(record.key.clone()).or_default().push(Stored { record, at });
        Ok(())
    }

    fn providers(&self, key: &RecordKey) -> Vec<ProviderRecord> {
        let others = self.keys.get(key).into_iter().flatten().map(|stored| stored.record.clone());
        self.own.get(key.as_ref()).cloned().into_iter().chain(others).collect()
    }

    fn provided(&self) -> Self::ProvidedIter<'_> {
        self.own.values().map(Cow::Borrowed).collect::<Vec<_>>().into_iter()
    }

    fn remove_provider(&mut self, key: &RecordKey, provider: &PeerId) {
        if *provider == self.own_id {
            self.own.remove(key.as_ref());
            return;
        }
        let held = self.keys.get(key).and_then(|list| list.iter().find(|stored| stored.record.provider == *provider));
        if let Some(at) = held.map(|stored| stored.at) {
            self.evict(at);
        }
    }
}
