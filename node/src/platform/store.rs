//! [`RedbStore`]: records in redb, blobs in files, transactions on one thread and reading on two others.
//!
//! ```text
//! <home>/lock            held while a station uses the home
//! <home>/records.redb    the records, and which of them own which blobs
//! <home>/blobs/xx/<cid>  blobs; xx are the last two characters of the CID
//! <home>/cache/<cid>     whole DAGs that only save a fetch, as CARs
//! <home>/temp/           files being written; emptied at the start
//! ```
//!
//! Guarantees: a batch is durable when its future resolves, and batches that waited together became so together, in order. A blob's
//! file is there before the transaction that says who owns it, and goes after the one in which its last owner let it go; what a crash
//! left between is swept at the start. After one failure of the disk every later call fails with that failure: what the kernel keeps
//! after a failed fsync is unknown, so the process must stop and read again what is on disk. Where there is no room, that is found
//! before anything is begun. Deliberately lacks repair: a record that cannot be read is the caller's to report.

mod cache;
mod files;
mod kept;
mod lane;
mod tables;

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};

use cid::Cid;
use files::{Files, Free};
use futures::FutureExt;
use futures::future::BoxFuture;
use lane::Lane;
use redb::Database;
use station_car::Dag;
use station_protocol::durable::Key;
use tables::{is_owned, load, owned, transact};
use tokio::sync::oneshot;

pub use files::Bounds;
pub use kept::Kept;

use crate::store::{Batch, Blocks, Gone, Records, Store, StoreError, Table};

/// Pages redb keeps in memory: the working set of an outbox; redb's own default is 1 GiB.
const PAGES_BYTES_MAX: usize = 8 << 20;
/// What a transaction may write for each byte of its records: the pages above a record are copied, and so are those of its owners.
const WRITTEN_PER_BYTE: u64 = 4;
/// What it may write beside that.
const WRITTEN_BYTES: u64 = 1 << 20;

#[derive(Debug)]
pub struct RedbStore {
    path: String,
    /// What this station reads for itself, and what strangers ask for.
    own: Lane,
    strangers: Lane,
    /// `None` only while being dropped.
    requests: Option<Arc<mpsc::Sender<Request>>>,
    thread: Option<JoinHandle<()>>,
}

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

enum Request {
    Commit(Batch, Reply<Gone>),
    Load(Table, Reply<Records>),
    Owned(Table, fn(&Key) -> bool, Reply<Vec<Cid>>),
    /// Answered after every batch given before.
    Settle(Reply<()>),
}

impl RedbStore {
    /// Opens or creates the store in the folder `home`.
    pub async fn open(home: &Path, bounds: Bounds) -> Result<Self, StoreError> {
        Self::open_with(home, bounds, Box::new(|path| fs4::available_space(path)), |file| database().create(file)).await
    }

    async fn open_with<E: Into<redb::Error>>(
        home: &Path,
        bounds: Bounds,
        free: Free,
        create: impl FnOnce(PathBuf) -> Result<Database, E> + Send + 'static,
    ) -> Result<Self, StoreError> {
        let (sender, requests) = mpsc::channel();
        let (opened, result) = oneshot::channel();
        let path = home.display().to_string();
        let home = home.to_owned();
        let failed: Arc<OnceLock<StoreError>> = Arc::default();
        let latch = failed.clone();
        let spawned = thread::Builder::new().name("store".to_owned()).spawn(move || {
            let disk = Disk::open(&home, bounds, free, latch, create);
            let (disk, told) = match disk {
                Ok(disk) => {
                    let files = disk.files.clone();
                    (Some(disk), Ok(files))
                }
                Err(error) => (None, Err(error)),
            };
            // Whoever asked may have stopped waiting: then the requests end too.
            let _ = opened.send(told);
            if let Some(disk) = disk {
                disk.run(&requests);
            }
        });
        let thread = spawned.map_err(|error| broken(&path, &error))?;
        let files = result.await.unwrap_or_else(|_| Err(gone(&path)))?;
        let lane = |name| Lane::begin(name, path.clone(), files.clone(), failed.clone()).map_err(|error| broken(&path, &error));
        let (own, strangers) = (lane("store-own")?, lane("store-strangers")?);
        Ok(Self { path, own, strangers, requests: Some(Arc::new(sender)), thread: Some(thread) })
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
    fn commit(&self, batch: Batch) -> BoxFuture<'static, Result<Gone, StoreError>> {
        self.ask(|reply| Request::Commit(batch, reply))
    }

    fn load(&self, table: Table) -> BoxFuture<'static, Result<Records, StoreError>> {
        self.ask(|reply| Request::Load(table, reply))
    }

    fn owned(&self, table: Table, by: fn(&Key) -> bool) -> BoxFuture<'static, Result<Vec<Cid>, StoreError>> {
        self.ask(|reply| Request::Owned(table, by, reply))
    }

    fn blob(&self, cid: Cid) -> BoxFuture<'static, Result<Option<Vec<u8>>, StoreError>> {
        let read = || self.own.ask(move |files| files.read(&cid));
        let (at_once, later, path) = (read(), read(), self.path.clone());
        // A read that waits must not keep the thread from its end.
        let requests = self.requests.as_ref().map(Arc::downgrade);
        async move {
            if let Some(bytes) = at_once.await? {
                return Ok(Some(bytes));
            }
            // It may be in a batch that is under way: a machine names what it has given to be committed.
            let (reply, answer) = oneshot::channel();
            if let Some(requests) = requests.and_then(|requests| requests.upgrade()) {
                let _ = requests.send(Request::Settle(reply));
            }
            answer.await.unwrap_or_else(|_| Err(gone(&path)))?;
            later.await
        }
        .boxed()
    }

    fn is_damaged(&self, cid: Cid) -> BoxFuture<'static, Result<bool, StoreError>> {
        self.own.ask(move |files| files.is_damaged(&cid))
    }

    fn serve(&self, cid: Cid) -> BoxFuture<'static, Result<Option<Vec<u8>>, StoreError>> {
        self.strangers.ask(move |files| files.read(&cid))
    }

    fn cache(&self, dag: Dag) -> BoxFuture<'static, Result<(), StoreError>> {
        self.own.ask(move |files| files.cache_dag(&dag))
    }

    fn cached(&self, root: Cid) -> BoxFuture<'static, Result<Option<Blocks>, StoreError>> {
        self.own.ask(move |files| files.cached(root))
    }

    fn room(&self) -> BoxFuture<'static, Result<u64, StoreError>> {
        let (path, room) = (self.path.clone(), self.own.ask(Files::room));
        async move { room.await?.map_err(|error| broken(&path, &error)) }.boxed()
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

/// The side of transactions.
struct Disk {
    path: String,
    records: Database,
    files: Arc<Files>,
    failed: Arc<OnceLock<StoreError>>,
    /// Locked; last, so that it is freed after the database is closed.
    _lock: File,
}

impl Disk {
    fn open<E: Into<redb::Error>>(
        home: &Path,
        bounds: Bounds,
        free: Free,
        latch: Arc<OnceLock<StoreError>>,
        create: impl FnOnce(PathBuf) -> Result<Database, E>,
    ) -> Result<Self, StoreError> {
        let path = home.display().to_string();
        let io = |error: io::Error| failed(&path, &redb::Error::Io(error));
        fs::create_dir_all(home).map_err(io)?;
        let lock = File::options().create(true).truncate(false).write(true).open(home.join("lock")).map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked { path }),
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        let files = Arc::new(Files::open(home, bounds, free).map_err(io)?);
        // An empty file would be taken for a new one, and what it held be forgotten in silence.
        if fs::metadata(home.join("records.redb")).is_ok_and(|found| found.len() == 0) {
            return Err(StoreError::Damaged { path, reason: "the file is empty".to_owned() });
        }
        let records = create(home.join("records.redb")).map_err(|error| unopened(&path, &error.into()))?;
        transact(&records, &[]).map_err(|error| give_up_cache(&files, unopened(&path, &error)))?;
        sweep(&records, &files).map_err(|error| unopened(&path, &error))?;
        files.note_records();
        // The names of the database and the folders must survive a crash as their contents do.
        super::system::sync_folder(home).map_err(io)?;
        Ok(Self { path: path.clone(), records, files, failed: latch, _lock: lock })
    }

    fn run(self, requests: &mpsc::Receiver<Request>) {
        while let Ok(first) = requests.recv() {
            let mut batches = Vec::new();
            let mut waiting = Vec::new();
            let mut loads = Vec::new();
            let mut lists = Vec::new();
            let mut settled = Vec::new();
            for request in std::iter::once(first).chain(requests.try_iter()) {
                match request {
                    Request::Commit(batch, reply) => {
                        batches.push(batch);
                        waiting.push(reply);
                    }
                    Request::Load(table, reply) => loads.push((table, reply)),
                    Request::Owned(table, by, reply) => lists.push((table, by, reply)),
                    Request::Settle(reply) => settled.push(reply),
                }
            }
            if !batches.is_empty() {
                let mut result = self.guarded(|disk| disk.commit(batches));
                // Whoever waited first is told what went; nobody is told twice.
                for reply in waiting {
                    let _ = reply.send(result.as_mut().map(std::mem::take).map_err(|error| error.clone()));
                }
            }
            for reply in settled {
                let _ = reply.send(self.guarded(|_| Ok(())));
            }
            // Loads follow the batches of their round: what was given before them is in it.
            for (table, reply) in loads {
                // An error here means that nobody waits any more.
                let _ = reply.send(self.guarded(|disk| load(&disk.records, table).map_err(|error| failed(&disk.path, &error))));
            }
            for (table, by, reply) in lists {
                let _ = reply.send(self.guarded(|disk| owned(&disk.records, table, by).map_err(|error| failed(&disk.path, &error))));
            }
        }
    }

    /// After the first failure there is no second try.
    fn guarded<T>(&self, act: impl FnOnce(&Self) -> Result<T, StoreError>) -> Result<T, StoreError> {
        if let Some(error) = self.failed.get() {
            return Err(error.clone());
        }
        act(self).inspect_err(|error| {
            tracing::error!(%error, "the disk failed");
            let _ = self.failed.set(error.clone());
        })
    }

    fn commit(&self, mut batches: Vec<Batch>) -> Result<Gone, StoreError> {
        let mut blobs: BTreeMap<Cid, Vec<u8>> = BTreeMap::new();
        for batch in &mut batches {
            blobs.extend(batch.blobs.drain(..));
        }
        let io = |error: io::Error| failed(&self.path, &redb::Error::Io(error));
        let bytes = blobs.values().map(|bytes| cache::cost(bytes.len() as u64)).sum::<u64>() + written(&batches);
        if !self.files.make_room(bytes).map_err(io)? {
            return Err(StoreError::Full { path: self.path.clone(), reason: format!("{bytes} bytes must be written") });
        }
        self.files.write(blobs.iter().map(|(cid, bytes)| (cid, bytes.as_slice()))).map_err(io)?;
        let nothing = batches.iter().all(|batch| batch.owns.is_empty() && batch.puts.is_empty() && batch.deletes.is_empty());
        if nothing {
            return Ok(Gone::new());
        }
        let gone = transact(&self.records, &batches).map_err(|error| give_up_cache(&self.files, failed(&self.path, &error)))?;
        gone.iter().for_each(|cid| self.files.delete(cid));
        self.files.note_records();
        Ok(gone)
    }
}

/// Where the disk was full in the midst of a transaction the next start has at least what the cache took.
fn give_up_cache(files: &Files, error: StoreError) -> StoreError {
    if matches!(error, StoreError::Full { .. }) {
        files.give_up_cache();
    }
    error
}

/// What the transaction of `batches` may write; one that only deletes gives room and needs none but its pages.
fn written(batches: &[Batch]) -> u64 {
    let puts: usize = batches.iter().flat_map(|batch| &batch.puts).map(|(_, key, value)| key.0.len() + value.len()).sum();
    let owns: usize = batches.iter().flat_map(|batch| &batch.owns).map(|(_, key, cid)| key.0.len() + cid.encoded_len()).sum();
    if puts + owns == 0 { 0 } else { (puts + owns) as u64 * WRITTEN_PER_BYTE + WRITTEN_BYTES }
}

/// Deletes the files that no record owns: what a crash left between a file and its transaction, or between a transaction and the end
/// of a file.
fn sweep(records: &Database, files: &Files) -> Result<(), redb::Error> {
    let mut unread = None;
    let swept = files.sweep(|cid| {
        is_owned(records, cid).unwrap_or_else(|error| {
            // What cannot be looked up stays.
            unread.get_or_insert(error);
            true
        })
    });
    unread.map_or(Ok(()), Err)?;
    Ok(swept?)
}

fn database() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(PAGES_BYTES_MAX);
    builder
}

/// The same of records that are opened, before anything was written: they may be no records at all.
fn unopened(path: &str, error: &redb::Error) -> StoreError {
    match error {
        // What the system itself refuses has a number; the rest was read, and is not what was written.
        redb::Error::Io(error) if error.raw_os_error().is_none() => damaged(path, error),
        redb::Error::UpgradeRequired(_) | redb::Error::RepairAborted | redb::Error::TableTypeMismatch { .. } => damaged(path, error),
        error => failed(path, error),
    }
}

fn failed(path: &str, error: &redb::Error) -> StoreError {
    match error {
        redb::Error::Io(error) if error.kind() == io::ErrorKind::StorageFull => StoreError::Full { path: path.to_owned(), reason: error.to_string() },
        redb::Error::Corrupted(_) => damaged(path, error),
        error => broken(path, error),
    }
}

fn damaged(path: &str, error: &dyn std::error::Error) -> StoreError {
    StoreError::Damaged { path: path.to_owned(), reason: error.to_string() }
}

fn broken(path: &str, error: &dyn std::error::Error) -> StoreError {
    StoreError::Failed { path: path.to_owned(), reason: error.to_string() }
}

fn gone(path: &str) -> StoreError {
    StoreError::Failed { path: path.to_owned(), reason: "its thread has ended".to_owned() }
}

#[cfg(test)]
mod tests;
