//! [`RedbStore`]: records in redb, blobs in files, on one thread of their own.
//!
//! ```text
//! <home>/lock            held while a station uses the home
//! <home>/records.redb    the records
//! <home>/blobs/xx/<cid>  blobs; xx are the last two characters of the CID
//! <home>/cache/<cid>     blobs that only save a fetch, at most [`CACHE_BYTES_MAX`] together
//! <home>/temp/           files being written; emptied at the start
//! ```
//!
//! Guarantees: a batch is durable when its future resolves, and batches that waited together became so together, in order. After
//! one failure of the disk every later call fails with that failure: what the kernel keeps after a failed fsync is unknown, so the
//! process must stop and read again what is on disk. Deliberately lacks repair: a record that cannot be read is the caller's to report.

mod blobs;

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use blobs::Blobs;
use cid::Cid;
use futures::FutureExt;
use futures::future::BoxFuture;
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use station_protocol::durable::Key;
use tokio::sync::oneshot;

use crate::store::{Batch, Records, Store, StoreError, Table};

/// Bytes kept in `cache/`: a few hundred modules with their inputs.
pub const CACHE_BYTES_MAX: u64 = 1 << 30;
/// Pages redb keeps in memory: the working set of an outbox; redb's own default is 1 GiB.
const PAGES_BYTES_MAX: usize = 8 << 20;

#[derive(Debug)]
pub struct RedbStore {
    path: String,
    /// `None` only while being dropped.
    requests: Option<mpsc::Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

enum Request {
    Commit(Batch, Reply<()>),
    Load(Table, Reply<Records>),
    Blob(Cid, Reply<Option<Vec<u8>>>),
    Cache(Cid, Vec<u8>, Reply<()>),
}

impl RedbStore {
    /// Opens or creates the store in the folder `home`.
    pub async fn open(home: &Path) -> Result<Self, StoreError> {
        Self::open_with(home, CACHE_BYTES_MAX, |file| database().create(file)).await
    }

    async fn open_with<E: Into<redb::Error>>(
        home: &Path,
        cache_bytes_max: u64,
        create: impl FnOnce(PathBuf) -> Result<Database, E> + Send + 'static,
    ) -> Result<Self, StoreError> {
        let (sender, requests) = mpsc::channel();
        let (opened, result) = oneshot::channel();
        let path = home.display().to_string();
        let home = home.to_owned();
        let spawned = thread::Builder::new().name("store".to_owned()).spawn(move || {
            let disk = Disk::open(&home, cache_bytes_max, create);
            let (disk, told) = match disk {
                Ok(disk) => (Some(disk), Ok(())),
                Err(error) => (None, Err(error)),
            };
            // Whoever asked may have stopped waiting: then the requests end too.
            let _ = opened.send(told);
            if let Some(disk) = disk {
                disk.run(&requests);
            }
        });
        let thread = spawned.map_err(|error| failed(&path, &error))?;
        result.await.unwrap_or_else(|_| Err(gone(&path)))?;
        Ok(Self { path, requests: Some(sender), thread: Some(thread) })
    }

    fn ask<T: Send + 'static>(&self, request: impl FnOnce(Reply<T>) -> Request) -> BoxFuture<'static, Result<T, StoreError>> {
        let (reply, answer) = oneshot::channel();
        let path = self.path.clone();
        if let Some(requests) = &self.requests {
            // A thread that is gone drops the reply, which the answer tells.
            let _ = requests.send(request(reply));
        }
        async move { answer.await.unwrap_or_else(|_| Err(gone(&path))) }.boxed()
    }
}

impl Store for RedbStore {
    fn commit(&self, batch: Batch) -> BoxFuture<'static, Result<(), StoreError>> {
        self.ask(|reply| Request::Commit(batch, reply))
    }

    fn load(&self, table: Table) -> BoxFuture<'static, Result<Records, StoreError>> {
        self.ask(|reply| Request::Load(table, reply))
    }

    fn blob(&self, cid: Cid) -> BoxFuture<'static, Result<Option<Vec<u8>>, StoreError>> {
        self.ask(|reply| Request::Blob(cid, reply))
    }

    fn cache(&self, cid: Cid, bytes: Vec<u8>) -> BoxFuture<'static, Result<(), StoreError>> {
        self.ask(|reply| Request::Cache(cid, bytes, reply))
    }
}

impl Drop for RedbStore {
    /// Waits for what was asked before, so that the home is free when the store is gone.
    fn drop(&mut self) {
        drop(self.requests.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was told to everyone who waited.
            let _ = thread.join();
        }
    }
}

/// The thread's side.
struct Disk {
    path: String,
    records: Database,
    blobs: Blobs,
    failed: Option<StoreError>,
    /// Locked; last, so that it is freed after the database is closed.
    _lock: File,
}

impl Disk {
    fn open<E: Into<redb::Error>>(
        home: &Path,
        cache_bytes_max: u64,
        create: impl FnOnce(PathBuf) -> Result<Database, E>,
    ) -> Result<Self, StoreError> {
        let path = home.display().to_string();
        let io = |error: io::Error| failed(&path, &error);
        fs::create_dir_all(home).map_err(io)?;
        let lock = File::options().create(true).truncate(false).write(true).open(home.join("lock")).map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked { path }),
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        let blobs = Blobs::open(home, cache_bytes_max).map_err(io)?;
        let records = create(home.join("records.redb")).map_err(|error| failed(&path, &error.into()))?;
        let disk = Self { path: path.clone(), records, blobs, failed: None, _lock: lock };
        disk.transact(&[], true).map_err(|error| failed(&path, &error))?;
        // The names of the database and the folders must survive a crash as their contents do.
        super::system::sync_folder(home).map_err(io)?;
        Ok(disk)
    }

    fn run(mut self, requests: &mpsc::Receiver<Request>) {
        while let Ok(first) = requests.recv() {
            let mut batches = Vec::new();
            let mut waiting = Vec::new();
            let mut reads = Vec::new();
            for request in std::iter::once(first).chain(requests.try_iter()) {
                match request {
                    Request::Commit(batch, reply) => {
                        batches.push(batch);
                        waiting.push(reply);
                    }
                    read => reads.push(read),
                }
            }
            if !batches.is_empty() {
                let result = self.guarded(|disk| disk.commit(batches));
                for reply in waiting {
                    let _ = reply.send(result.clone());
                }
            }
            // Reads follow the batches of their round: what was given before them is in it.
            reads.into_iter().for_each(|read| self.answer(read));
        }
    }

    fn answer(&mut self, request: Request) {
        // An error here means that nobody waits any more.
        let _ = match request {
            Request::Load(table, reply) => reply.send(self.guarded(|disk| disk.load(table))).is_ok(),
            Request::Blob(cid, reply) => reply.send(self.guarded(|disk| Ok(disk.blobs.read(&cid)))).is_ok(),
            Request::Cache(cid, bytes, reply) => {
                let kept = self.guarded(|disk| {
                    disk.blobs.cache(&cid, &bytes);
                    Ok(())
                });
                reply.send(kept).is_ok()
            }
            Request::Commit(batch, reply) => reply.send(self.guarded(|disk| disk.commit(vec![batch]))).is_ok(),
        };
    }

    /// After the first failure there is no second try.
    fn guarded<T>(&mut self, act: impl FnOnce(&mut Self) -> Result<T, redb::Error>) -> Result<T, StoreError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        act(self).map_err(|error| {
            let error = failed(&self.path, &error);
            tracing::error!(%error, "the disk failed");
            self.failed = Some(error.clone());
            error
        })
    }

    fn commit(&mut self, mut batches: Vec<Batch>) -> Result<(), redb::Error> {
        // What becomes of each blob once all batches are done: the last word counts.
        let mut blobs: BTreeMap<Cid, Option<Vec<u8>>> = BTreeMap::new();
        for batch in &mut batches {
            blobs.extend(batch.blobs.drain(..).map(|(cid, bytes)| (cid, Some(bytes))));
            blobs.extend(batch.blob_deletes.drain(..).map(|cid| (cid, None)));
        }
        self.blobs.write(blobs.iter().filter_map(|(cid, bytes)| bytes.as_deref().map(|bytes| (cid, bytes))))?;
        self.transact(&batches, false)?;
        blobs.iter().filter(|(_, bytes)| bytes.is_none()).for_each(|(cid, _)| self.blobs.delete(cid));
        Ok(())
    }

    /// Makes the records of `batches` durable in one transaction; `anyway` also when there are none.
    fn transact(&self, batches: &[Batch], anyway: bool) -> Result<(), redb::Error> {
        if !anyway && batches.iter().all(|batch| batch.puts.is_empty() && batch.deletes.is_empty()) {
            return Ok(());
        }
        let mut transaction = self.records.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        // One phase relies on a checksum to notice a torn commit, and strangers choose some of the bytes that we store.
        transaction.set_two_phase_commit(true);
        {
            // All three are opened even when untouched, so that loading finds them.
            for table in [Table::Worker, Table::Requester, Table::Node] {
                let mut open = transaction.open_table(definition(table))?;
                for batch in batches {
                    for (_, key, value) in batch.puts.iter().filter(|(of, ..)| *of == table) {
                        open.insert(key.0.as_slice(), value.as_slice())?;
                    }
                    for (_, key) in batch.deletes.iter().filter(|(of, _)| *of == table) {
                        open.remove(key.0.as_slice())?;
                    }
                }
            }
        }
        transaction.commit()?;
        Ok(())
    }

    fn load(&self, table: Table) -> Result<Records, redb::Error> {
        let table = self.records.begin_read()?.open_table(definition(table))?;
        let mut records = Vec::new();
        for entry in table.iter()? {
            let (key, value) = entry?;
            records.push((Key(key.value().to_vec()), value.value().to_vec()));
        }
        Ok(records)
    }
}

fn database() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(PAGES_BYTES_MAX);
    builder
}

fn definition(table: Table) -> TableDefinition<'static, &'static [u8], &'static [u8]> {
    TableDefinition::new(match table {
        Table::Worker => "worker",
        Table::Requester => "requester",
        Table::Node => "node",
    })
}

fn failed(path: &str, error: &dyn std::error::Error) -> StoreError {
    StoreError::Failed { path: path.to_owned(), reason: error.to_string() }
}

fn gone(path: &str) -> StoreError {
    StoreError::Failed { path: path.to_owned(), reason: "its thread has ended".to_owned() }
}

#[cfg(test)]
mod tests;
