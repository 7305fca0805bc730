//! The seam to the disk: [`Store`] makes [`Batch`]es durable and keeps blobs by CID for as long as a record owns them.
//!
//! `platform::store` puts redb and files behind it; tests and the simulator put [`MemoryStore`] behind it. Deliberately lacks any
//! knowledge of what a record means.

mod memory;
pub(crate) mod pack;

use cid::Cid;
use futures::future::BoxFuture;
use station_car::Dag;
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
    /// What was handed in by hand and belongs to no experiment yet; see `library`.
    Library,
}

/// Every table.
pub const TABLES: [Table; 4] = [Table::Worker, Table::Requester, Table::Node, Table::Library];

/// Records of one table in key order.
pub type Records = Vec<(Key, Vec<u8>)>;

/// Room below which nothing new is begun, no work and no experiment: what is under way, and what waits for the disk, must still fit.
pub const ROOM_BYTES_MIN: u64 = 128 << 20;

/// The blocks of a DAG.
pub type Blocks = Vec<(Cid, Vec<u8>)>;

/// Blobs that nobody owns any more.
pub type Gone = Vec<Cid>;

/// What one transaction makes durable: blobs (written, fsynced, renamed, directory fsynced) before records. A record that is put and
/// deleted in one batch is deleted, and lets go what it owned; after the transaction the files of blobs that nobody owns go. A blob
/// that never had an owner goes at the next start. Blobs are sha2-256 blocks of at most 2 MiB.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub blobs: Vec<(Cid, Vec<u8>)>,
    /// Records that own a blob, in this batch or before.
    pub owns: Vec<(Table, Key, Cid)>,
    pub puts: Vec<(Table, Key, Vec<u8>)>,
    pub deletes: Vec<(Table, Key)>,
}

/// The disk failed. After a failed fsync the process must stop and recover from disk; it never retries.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("the store at {path} failed: {reason}; the station must stop and recover from disk")]
    Failed { path: String, reason: String },
    /// Found when it was opened or read: what stands there is no records of this program.
    #[error("the records at {path} cannot be read: {reason}")]
    Damaged { path: String, reason: String },
    #[error("another station is using {path}; stop it first or give this one its own --home")]
    Locked { path: String },
    /// Found before anything was begun that could break: nothing is lost but what was not yet durable.
    #[error(
        "the store at {path} has no room: {reason}. Fetched modules were dropped already. Free space on the disk, or raise `disk` in \
         station.toml; then start the station again, it goes on where it stopped"
    )]
    Full { path: String, reason: String },
}

pub trait Store: Send + Sync + 'static {
    /// Durable when the future resolves, with the blobs that went with their last owner. Batches given while a transaction is in
    /// flight form the next one, in order.
    fn commit(&self, batch: Batch) -> BoxFuture<'static, Result<Gone, StoreError>>;
    /// All records of `table` in key order, after every batch given before.
    fn load(&self, table: Table) -> BoxFuture<'static, Result<Records, StoreError>>;
    /// The blobs that those records of `table` own whose keys `by` wants, each once, after every batch given before.
    fn owned(&self, table: Table, by: fn(&Key) -> bool) -> BoxFuture<'static, Result<Vec<Cid>, StoreError>>;
    /// A durable blob, of every batch given before too, re-hashed when read; one that does not match its CID is absent.
    fn blob(&self, cid: Cid) -> BoxFuture<'static, Result<Option<Vec<u8>>, StoreError>>;
    /// Whether something stands under that name that has other bytes: the disk or somebody changed it.
    fn is_damaged(&self, cid: Cid) -> BoxFuture<'static, Result<bool, StoreError>>;
    /// As [`Self::blob`], for a stranger: waits behind other strangers, and never before what this station does for itself.
    fn serve(&self, cid: Cid) -> BoxFuture<'static, Result<Option<Vec<u8>>, StoreError>>;
    /// A whole DAG that only saves fetching it again: bounded, oldest go first, not fsynced.
    fn cache(&self, dag: Dag) -> BoxFuture<'static, Result<(), StoreError>>;
    /// The blocks of a cached DAG, re-hashed when read; one that is damaged is absent.
    fn cached(&self, root: Cid) -> BoxFuture<'static, Result<Option<Blocks>, StoreError>>;
    /// Bytes that may still be written before the operator's bound or the end of the disk.
    fn room(&self) -> BoxFuture<'static, Result<u64, StoreError>>;
}
