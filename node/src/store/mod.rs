//! The seam to the disk: [`Store`] makes [`Batch`]es durable and keeps blobs by CID.
//!
//! `platform::store` puts redb and files behind it; tests and the simulator put [`MemoryStore`] behind it. Deliberately lacks any
//! knowledge of what a record means.

mod memory;

use cid::Cid;
use futures::future::BoxFuture;
use station_protocol::durable::Key;

pub use memory::MemoryStore;

#[cfg(test)]
pub(crate) mod tests;

/// Whose records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    Worker,
    Requester,
    /// The node's own: reputation, known peers.
    Node,
}

/// Records of one table in key order.
pub type Records = Vec<(Key, Vec<u8>)>;

/// What one transaction makes durable: blobs (written, fsynced, renamed, directory fsynced) before records, blob deletions after.
/// A record that is put and deleted in one batch is deleted. Blobs are sha2-256 blocks of at most 2 MiB.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub blobs: Vec<(Cid, Vec<u8>)>,
    pub blob_deletes: Vec<Cid>,
    pub puts: Vec<(Table, Key, Vec<u8>)>,
    pub deletes: Vec<(Table, Key)>,
}

/// The disk failed. After a failed fsync the process must stop and recover from disk; it never retries.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("the store at {path} failed: {reason}; the station must stop and recover from disk")]
    Failed { path: String, reason: String },
    #[error("another station is using {path}; stop it first or give this one its own --home")]
    Locked { path: String },
}

pub trait Store: Send + Sync + 'static {
    /// Durable when the future resolves. Batches given while a transaction is in flight form the next one, in order.
    fn commit(&self, batch: Batch) -> BoxFuture<'static, Result<(), StoreError>>;
    /// All records of `table` in key order, after every batch given before.
    fn load(&self, table: Table) -> BoxFuture<'static, Result<Records, StoreError>>;
    /// A blob, re-hashed when read; one that does not match its CID is absent.
    fn blob(&self, cid: Cid) -> BoxFuture<'static, Result<Option<Vec<u8>>, StoreError>>;
    /// A blob that only saves fetching it again: bounded, oldest go first, not fsynced.
    fn cache(&self, cid: Cid, bytes: Vec<u8>) -> BoxFuture<'static, Result<(), StoreError>>;
}
