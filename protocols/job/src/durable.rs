//! What a machine asks of its driver: [`Action`], and the [`Commit`] that says what must be on disk before what is sent.
//!
//! Guarantees asked of the driver: a Commit's blobs, then its records, are durable in one transaction before its `then` effects
//! run; Commits and their effects keep their order; a Commit without puts waits for those before it. `Do` effects are right after
//! a crash at any moment. Deliberately lacks any disk.

use cid::Cid;

/// Commits waiting for the disk at which the driver stops reading from the network (not from timers).
pub const COMMITS_WAITING_MAX: usize = 1_024;
/// Bytes waiting for the disk at which it does so.
pub const BYTES_WAITING_MAX: usize = 8 << 20;
/// Blobs up to this size live inside a record rather than in a file of their own.
pub const RECORD_BLOB_BYTES_MAX: usize = 64 << 10;

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
    /// Deleted after the transaction.
    pub blob_deletes: Vec<Cid>,
    pub puts: Vec<(Key, Vec<u8>)>,
    pub deletes: Vec<Key>,
    /// Performed, in order, once all of the above is durable.
    pub then: Vec<E>,
}

impl<E> Default for Commit<E> {
    fn default() -> Self {
        Self { blobs: Vec::new(), blob_deletes: Vec::new(), puts: Vec::new(), deletes: Vec::new(), then: Vec::new() }
    }
}

impl<E> Commit<E> {
    /// Bytes this Commit brings to the disk.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let blobs: usize = self.blobs.iter().map(|(_, bytes)| bytes.len()).sum();
        let puts: usize = self.puts.iter().map(|(key, value)| key.0.len() + value.len()).sum();
        blobs + puts
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
