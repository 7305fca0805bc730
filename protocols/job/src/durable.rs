//! What a machine asks of its driver: [`Action`], and the [`Commit`] that says what must be on disk before what is sent.
//!
//! A blob belongs to the records that own it, and lives as long as one of them. No machine deletes a blob: it deletes its own record.
//! Guarantees asked of the driver: a Commit's blobs, then its records with what they own, are durable in one transaction before its
//! `then` effects run; Commits and their effects keep their order; a Commit without puts waits for those before it. `Do` effects are
//! right after a crash at any moment. Deliberately lacks any disk.

use std::collections::{BTreeMap, BTreeSet};

use cid::Cid;

/// Commits waiting for the disk at which the driver stops reading from the network (not from timers).
pub const COMMITS_WAITING_MAX: usize = 1_024;
/// Bytes waiting for the disk at which it does so.
pub const BYTES_WAITING_MAX: usize = 8 << 20;
/// Largest blob: one block, the largest that IPFS nodes exchange. A larger one could not be read back.
pub const BLOB_BYTES_MAX: usize = 2 << 20;
/// Largest record: it holds the jobs of an experiment, at most 256 MiB. A larger one could not be read back.
pub const RECORD_BYTES_MAX: usize = 1 << 30;

/// The name of a record within its machine's table. Ordered bytewise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub Vec<u8>);

#[derive(Clone, Debug)]
pub enum Action<E> {
    Commit(Commit<E>),
    Do(E),
}

#[derive(Clone, Debug)]
pub struct Commit<E> {
    /// Files named by CID: written, fsynced and renamed before the transaction.
    pub blobs: Vec<(Cid, Vec<u8>)>,
    /// The records that own a blob from here on, beside what they own already. The blob is among `blobs`, or has an owner.
    pub owns: Vec<(Key, Cid)>,
    pub puts: Vec<(Key, Vec<u8>)>,
    /// Come after puts and owns. A record lets go what it owned; the file of a blob that nobody owns goes after the transaction.
    pub deletes: Vec<Key>,
    /// Performed, in order, once all of the above is durable.
    pub then: Vec<E>,
}

impl<E> Default for Commit<E> {
    fn default() -> Self {
        Self { blobs: Vec::new(), owns: Vec::new(), puts: Vec::new(), deletes: Vec::new(), then: Vec::new() }
    }
}

impl<E> Commit<E> {
    /// Brings a blob that the record under `owner` owns.
    ///
    /// # Panics
    /// When the blob could not be read back: every machine bounds its outputs and pages before.
    pub fn bring(&mut self, owner: Key, cid: Cid, bytes: Vec<u8>) {
        assert!(bytes.len() <= BLOB_BYTES_MAX, "a blob of {} bytes could not be read back", bytes.len());
        self.blobs.push((cid, bytes));
        self.owns.push((owner, cid));
    }

    /// The blobs it brings that a record owns which `by` wants, with their sizes.
    pub fn brought(&self, by: fn(&Key) -> bool) -> impl Iterator<Item = (Cid, u64)> + '_ {
        let owned: BTreeSet<Cid> = self.owns.iter().filter(|(key, _)| by(key)).map(|(_, cid)| *cid).collect();
        self.blobs.iter().filter(move |(cid, _)| owned.contains(cid)).map(|(cid, bytes)| (*cid, bytes.len() as u64))
    }

    /// Whether it brings nothing to the disk.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.blobs.is_empty() && self.owns.is_empty() && self.puts.is_empty() && self.deletes.is_empty()
    }

    /// Bytes this Commit brings to the disk.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let blobs: usize = self.blobs.iter().map(|(_, bytes)| bytes.len()).sum();
        let puts: usize = self.puts.iter().map(|(key, value)| key.0.len() + value.len()).sum();
        blobs + puts
    }
}

/// Who owns which blob.
///
/// A set of pairs, no count per blob: to own twice is to own once, so that what a restart says again changes nothing, and to let go
/// twice is nothing. A count would drift with the first repetition, and nobody could tell from it whom it is wrong about.
#[derive(Clone, Debug)]
pub struct Owners<O> {
    owned: BTreeMap<O, BTreeSet<Cid>>,
    /// How many own each blob: what `owned` says, the other way round.
    owners: BTreeMap<Cid, u64>,
}

impl<O> Default for Owners<O> {
    fn default() -> Self {
        Self { owned: BTreeMap::new(), owners: BTreeMap::new() }
    }
}

impl<O: Ord> Owners<O> {
    pub fn own(&mut self, owner: O, cid: Cid) {
        if self.owned.entry(owner).or_default().insert(cid) {
            *self.owners.entry(cid).or_default() += 1;
        }
    }

    /// Lets go what `owner` owned; what nobody owns any more.
    pub fn release(&mut self, owner: &O) -> Vec<Cid> {
        let mut gone = self.owned.remove(owner).unwrap_or_default();
        gone.retain(|cid| {
            let count = self.owners.get_mut(cid).expect("an owned blob is counted");
            *count -= 1;
            *count == 0
        });
        gone.iter().for_each(|cid| _ = self.owners.remove(cid));
        gone.into_iter().collect()
    }

    /// What owners of a kind own, each once.
    pub fn of(&self, kind: impl Fn(&O) -> bool) -> Vec<Cid> {
        let owned = self.owned.iter().filter(|(owner, _)| kind(owner)).flat_map(|(_, cids)| cids.iter().copied());
        owned.collect::<BTreeSet<_>>().into_iter().collect()
    }

    #[must_use]
    pub fn is_owned(&self, cid: &Cid) -> bool {
        self.owners.contains_key(cid)
    }
}

/// A record from our own disk that this version cannot read: the disk is damaged or from a later version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {key} in the store cannot be read: {reason}")]
pub struct RestoreError {
    pub key: String,
    pub reason: String,
}

/// Numbers by which the driver matches answers to what a machine asked for. Unique within one run of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

#[cfg(test)]
mod tests;
