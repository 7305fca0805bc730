//! [`MemoryStore`]: a disk that is memory, for tests and the simulator.
//!
//! It keeps what is durable apart from what waits for a transaction. Guarantees: batches given while a transaction is in flight form
//! the next one, in order; a [`MemoryStore::crash`] loses exactly what no future has promised. Deliberately lacks torn transactions:
//! redb has none either.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cid::Cid;
use futures::FutureExt;
use futures::future::BoxFuture;
use station_car::Dag;
use station_car::block::verify;
use station_protocol::durable::{Key, Owners};
use tokio::time::{Instant, sleep_until};

use super::{Batch, Blocks, Gone, Records, Store, StoreError, Table, pack};

/// Cheap to clone; clones are the same disk.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    transaction: Duration,
    durable: Disk,
    /// With the instant at which each becomes durable. Those of the first instant are in flight.
    waiting: VecDeque<Waiting>,
    /// Packs by root.
    cache: BTreeMap<Cid, Vec<u8>>,
    /// What may still be written, where a test says so.
    room: u64,
    failed: Option<StoreError>,
}

#[derive(Debug)]
struct Waiting {
    at: Instant,
    batch: Batch,
    gone: Arc<Mutex<Gone>>,
}

#[derive(Clone, Debug, Default)]
struct Disk {
    records: BTreeMap<(Table, Key), Vec<u8>>,
    blobs: BTreeMap<Cid, Vec<u8>>,
    owners: Owners<(Table, Key)>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new(Duration::ZERO)
    }
}

impl MemoryStore {
    /// An empty disk on which a transaction takes so long. With zero a batch is durable when it is given.
    #[must_use]
    pub fn new(transaction: Duration) -> Self {
        Self::with(transaction, Disk::default())
    }

    /// Pulls the plug: every call on this handle fails from now on, and the returned store holds what was durable.
    #[must_use]
    pub fn crash(&self) -> Self {
        let mut inner = self.lock();
        inner.settle(Instant::now());
        inner.fail("it crashed");
        let mut disk = inner.durable.clone();
        // What a start sweeps.
        disk.blobs.retain(|cid, _| disk.owners.is_owned(cid));
        Self::with(inner.transaction, disk)
    }

    /// So much room is left, whatever is written.
    pub fn set_room(&self, bytes: u64) {
        self.lock().room = bytes;
    }

    /// Blobs that are durable.
    #[must_use]
    pub fn blobs(&self) -> Vec<Cid> {
        self.lock().durable.blobs.keys().copied().collect()
    }

    /// A failed fsync: every call from now on fails.
    pub fn fail(&self, reason: &str) {
        self.lock().fail(reason);
    }

    /// Damages a durable blob in place. False when it is not there or empty.
    #[must_use]
    pub fn flip_bit(&self, cid: &Cid) -> bool {
        let mut inner = self.lock();
        let Some(byte) = inner.durable.blobs.get_mut(cid).and_then(|bytes| bytes.first_mut()) else { return false };
        *byte ^= 1;
        true
    }

    fn with(transaction: Duration, durable: Disk) -> Self {
        let inner = Inner { transaction, durable, waiting: VecDeque::new(), cache: BTreeMap::new(), room: u64::MAX, failed: None };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what is durable once everything given before is.
    fn read<T: Send + 'static>(&self, read: impl FnOnce(&Inner) -> T + Send + 'static) -> BoxFuture<'static, Result<T, StoreError>> {
        let until = self.lock().waiting.back().map(|waiting| waiting.at);
        let store = self.clone();
        async move {
            store.reach(until).await?;
            Ok(read(&store.lock()))
        }
        .boxed()
    }

    async fn reach(&self, until: Option<Instant>) -> Result<(), StoreError> {
        if let Some(until) = until.filter(|until| *until > Instant::now()) {
            sleep_until(until).await;
        }
        let mut inner = self.lock();
        inner.settle(Instant::now());
        inner.failed.clone().map_or(Ok(()), Err)
    }
}

impl Inner {
    fn fail(&mut self, reason: &str) {
        self.waiting.clear();
        self.failed.get_or_insert(StoreError::Failed { path: "memory".to_owned(), reason: reason.to_owned() });
    }

    /// The instant at which a batch given now becomes durable.
    fn admit(&mut self, batch: Batch, gone: Arc<Mutex<Gone>>, now: Instant) -> Instant {
        self.settle(now);
        let at = self.waiting.front().map_or(now, |in_flight| in_flight.at) + self.transaction;
        if self.failed.is_none() {
            self.waiting.push_back(Waiting { at, batch, gone });
            self.settle(now);
        }
        at
    }

    fn settle(&mut self, now: Instant) {
        while self.waiting.front().is_some_and(|waiting| waiting.at <= now) {
            if let Some(Waiting { batch, gone, .. }) = self.waiting.pop_front() {
                *gone.lock().unwrap_or_else(PoisonError::into_inner) = self.durable.apply(batch);
            }
        }
    }
}

impl Disk {
    fn apply(&mut self, batch: Batch) -> Gone {
        self.blobs.extend(batch.blobs);
        self.records.extend(batch.puts.into_iter().map(|(table, key, value)| ((table, key), value)));
        for (table, key, cid) in batch.owns {
            assert!(self.blobs.contains_key(&cid), "a record owns {cid}, which is not here");
            self.owners.own((table, key), cid);
        }
        let mut gone = Gone::new();
        for owner in batch.deletes {
            self.records.remove(&owner);
            gone.extend(self.owners.release(&owner));
        }
        gone.iter().for_each(|cid| _ = self.blobs.remove(cid));
        gone
    }
}

impl Store for MemoryStore {
    fn commit(&self, batch: Batch) -> BoxFuture<'static, Result<Gone, StoreError>> {
        let gone = Arc::new(Mutex::new(Gone::new()));
        let at = self.lock().admit(batch, gone.clone(), Instant::now());
        let store = self.clone();
        async move {
            store.reach(Some(at)).await?;
            Ok(std::mem::take(&mut *gone.lock().unwrap_or_else(PoisonError::into_inner)))
        }
        .boxed()
    }

    fn load(&self, table: Table) -> BoxFuture<'static, Result<Records, StoreError>> {
        self.read(move |inner| {
            let of_table = inner.durable.records.iter().filter(|((found, _), _)| *found == table);
            of_table.map(|((_, key), value)| (key.clone(), value.clone())).collect()
        })
    }

    fn owned(&self, table: Table, by: fn(&Key) -> bool) -> BoxFuture<'static, Result<Vec<Cid>, StoreError>> {
        self.read(move |inner| inner.durable.owners.of(|(found, key)| *found == table && by(key)))
    }

    fn blob(&self, cid: Cid) -> BoxFuture<'static, Result<Option<Vec<u8>>, StoreError>> {
        self.read(move |inner| inner.durable.blobs.get(&cid).filter(|bytes| verify(&cid, bytes).is_ok()).cloned())
    }

    fn is_damaged(&self, cid: Cid) -> BoxFuture<'static, Result<bool, StoreError>> {
        self.read(move |inner| inner.durable.blobs.get(&cid).is_some_and(|bytes| verify(&cid, bytes).is_err()))
    }

    fn serve(&self, cid: Cid) -> BoxFuture<'static, Result<Option<Vec<u8>>, StoreError>> {
        self.blob(cid)
    }

    fn cache(&self, dag: Dag) -> BoxFuture<'static, Result<(), StoreError>> {
        let mut inner = self.lock();
        inner.cache.extend(pack::pack(&dag).map(|bytes| (dag.root, bytes)));
        let result = inner.failed.clone().map_or(Ok(()), Err);
        async move { result }.boxed()
    }

    fn cached(&self, root: Cid) -> BoxFuture<'static, Result<Option<Blocks>, StoreError>> {
        self.read(move |inner| inner.cache.get(&root).and_then(|bytes| pack::unpack(root, bytes).ok()))
    }

    fn room(&self) -> BoxFuture<'static, Result<u64, StoreError>> {
        self.read(|inner| inner.room)
    }
}
