//! The store on disk: what it promises, what survives, and what it does when the disk fails.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures::future::join_all;
use redb::StorageBackend;
use redb::backends::InMemoryBackend;
use tempfile::TempDir;

use super::cache::{CACHE_FILES_MAX, cost};
use super::*;
use crate::store::tests::{block, dag, delete, keeps_its_promises, put, records, still_has_what_was_left, with_blob};

fn home() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_in(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// Damages the only file in `folder`.
fn flip_a_bit(folder: &Path) {
    let [file] = &files_in(folder)[..] else { panic!("not one file") };
    let mut bytes = fs::read(file).unwrap();
    bytes[0] ^= 1;
    fs::write(file, bytes).unwrap();
}

/// A disk whose fsync counts, waits while the gate is held, and fails once told to.
#[derive(Clone, Debug, Default)]
struct Fsyncs {
    count: Arc<AtomicUsize>,
    fail: Arc<AtomicBool>,
    gate: Arc<Mutex<()>>,
}

#[derive(Debug)]
struct Backend(InMemoryBackend, Fsyncs);

impl StorageBackend for Backend {
    fn len(&self) -> Result<u64, io::Error> {
        self.0.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.0.read(offset, out)
    }
    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        self.0.set_len(len)
    }
    fn sync_data(&self) -> Result<(), io::Error> {
        self.1.count.fetch_add(1, Ordering::SeqCst);
        drop(self.1.gate.lock().unwrap());
        if self.1.fail.load(Ordering::SeqCst) { Err(io::Error::other("no fsync today")) } else { self.0.sync_data() }
    }
    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.0.write(offset, data)
    }
}

async fn open_on(fsyncs: &Fsyncs, home: &Path) -> RedbStore {
    let backend = Backend(InMemoryBackend::new(), fsyncs.clone());
    RedbStore::open_with(home, bounds(), roomy(), move |_| database().create_with_backend(backend)).await.unwrap()
}

fn bounds() -> Bounds {
    Bounds::of(1 << 30)
}

/// A disk that never fills.
fn roomy() -> Free {
    Box::new(|_| Ok(1 << 40))
}

async fn open(home: &Path) -> Result<RedbStore, StoreError> {
    RedbStore::open(home, bounds()).await
}

/// A store on a disk that has so much left, whatever is written.
async fn open_in(home: &Path, bounds: Bounds, left: &Arc<AtomicU64>) -> Result<RedbStore, StoreError> {
    let left = left.clone();
    RedbStore::open_with(home, bounds, Box::new(move |_| Ok(left.load(Ordering::SeqCst))), |file| database().create(file)).await
}

#[tokio::test]
async fn the_disk_keeps_its_promises_across_restarts() {
    let home = home();
    let store = open(home.path()).await.unwrap();
    keeps_its_promises(&store).await;
    drop(store);
    let store = open(home.path()).await.unwrap();
    still_has_what_was_left(&store).await;
    assert!(store.cached(block(b"cached").0).await.unwrap().is_some(), "a cache outlives its process");
}

#[tokio::test]
async fn what_was_given_before_the_drop_is_there_after_it() {
    let home = home();
    let store = open(home.path()).await.unwrap();
    let unawaited: Vec<_> = (0..50).map(|n| store.commit(put(Table::Worker, &format!("{n:02}"), ""))).collect();
    drop(store);
    join_all(unawaited).await.into_iter().for_each(|done| _ = done.unwrap());
    assert_eq!(records(&open(home.path()).await.unwrap(), Table::Worker).await.len(), 50);
}

#[tokio::test]
async fn a_flipped_bit_makes_a_blob_absent() {
    let home = home();
    let store = open(home.path()).await.unwrap();
    store.commit(with_blob("o", b"durable")).await.unwrap();
    store.cache(dag(b"cached")).await.unwrap();
    flip_a_bit(&home.path().join("blobs"));
    flip_a_bit(&home.path().join("cache"));
    assert_eq!(store.blob(block(b"durable").0).await, Ok(None));
    assert_eq!(store.is_damaged(block(b"durable").0).await, Ok(true));
    assert_eq!(store.is_damaged(block(b"never here").0).await, Ok(false));
    assert_eq!(store.cached(block(b"cached").0).await, Ok(None));
    assert!(files_in(&home.path().join("cache")).is_empty(), "a damaged copy makes room for a good one");
    store.commit(with_blob("o", b"durable")).await.unwrap();
    assert!(store.blob(block(b"durable").0).await.unwrap().is_some());
    assert_eq!(store.is_damaged(block(b"durable").0).await, Ok(false));
}

#[tokio::test]
async fn a_home_belongs_to_one_station_at_a_time() {
    let home = home();
    let store = open(home.path()).await.unwrap();
    let second = open(home.path()).await;
    assert_eq!(second.err(), Some(StoreError::Locked { path: home.path().display().to_string() }));
    store.commit(put(Table::Node, "still", "works")).await.unwrap();
    drop(store);
    assert!(open(home.path()).await.is_ok());
}

#[tokio::test]
async fn after_one_failed_fsync_every_call_fails_though_the_disk_works_again() {
    let (home, fsyncs) = (home(), Fsyncs::default());
    let store = open_on(&fsyncs, home.path()).await;
    store.commit(put(Table::Node, "a", "1")).await.unwrap();
    fsyncs.fail.store(true, Ordering::SeqCst);
    let error = store.commit(put(Table::Node, "b", "1")).await.unwrap_err();
    assert!(error.to_string().contains("must stop"), "{error}");
    fsyncs.fail.store(false, Ordering::SeqCst);
    assert_eq!(store.commit(put(Table::Node, "c", "1")).await, Err(error.clone()));
    assert_eq!(store.load(Table::Node).await, Err(error.clone()));
    assert_eq!(store.blob(block(b"x").0).await, Err(error.clone()));
    assert_eq!(store.serve(block(b"x").0).await, Err(error.clone()));
    assert_eq!(store.cache(dag(b"x")).await, Err(error));
}

#[tokio::test]
async fn a_blob_that_cannot_be_written_keeps_its_records_from_being_durable() {
    let (home, fsyncs) = (home(), Fsyncs::default());
    let store = open_on(&fsyncs, home.path()).await;
    // A file where a folder must be.
    fs::remove_dir_all(home.path().join("blobs")).unwrap();
    fs::write(home.path().join("blobs"), b"").unwrap();
    let before = fsyncs.count.load(Ordering::SeqCst);
    let batch = Batch { puts: put(Table::Worker, "names", "a blob").puts, ..with_blob("names", b"lost") };
    assert!(matches!(store.commit(batch).await, Err(StoreError::Failed { .. })));
    assert_eq!(fsyncs.count.load(Ordering::SeqCst), before, "no transaction was begun");
}

#[tokio::test]
async fn batches_that_wait_for_a_transaction_share_the_next_one() {
    let (home, fsyncs) = (home(), Fsyncs::default());
    let store = open_on(&fsyncs, home.path()).await;
    let before = fsyncs.count.load(Ordering::SeqCst);
    store.commit(put(Table::Worker, "alone", "")).await.unwrap();
    let per_transaction = fsyncs.count.load(Ordering::SeqCst) - before;
    assert!(per_transaction > 0);

    let disk_is_slow = fsyncs.gate.lock().unwrap();
    let mut given = vec![store.commit(put(Table::Worker, "first", ""))];
    while fsyncs.count.load(Ordering::SeqCst) == before + per_transaction {
        thread::yield_now();
    }
    given.extend((0..500).map(|n| store.commit(put(Table::Worker, &n.to_string(), ""))));
    drop(disk_is_slow);
    join_all(given).await.into_iter().for_each(|done| _ = done.unwrap());
    assert_eq!(fsyncs.count.load(Ordering::SeqCst) - before, 3 * per_transaction, "alone, first, and five hundred together");
    assert_eq!(records(&store, Table::Worker).await.len(), 502);
}

#[tokio::test]
async fn a_batch_without_records_costs_no_transaction() {
    let (home, fsyncs) = (home(), Fsyncs::default());
    let store = open_on(&fsyncs, home.path()).await;
    let before = fsyncs.count.load(Ordering::SeqCst);
    store.commit(Batch::default()).await.unwrap();
    store.commit(Batch { blobs: vec![block(b"blob")], ..Batch::default() }).await.unwrap();
    assert_eq!(fsyncs.count.load(Ordering::SeqCst), before);
    store.commit(delete(Table::Node, "absent")).await.unwrap();
    assert!(fsyncs.count.load(Ordering::SeqCst) > before);
}

#[tokio::test]
async fn what_a_crash_left_half_written_is_swept() {
    let home = home();
    drop(open(home.path()).await.unwrap());
    fs::write(home.path().join("temp/half"), b"hal").unwrap();
    let store = open(home.path()).await.unwrap();
    assert!(files_in(&home.path().join("temp")).is_empty());
    store.commit(with_blob("o", b"whole")).await.unwrap();
    assert!(files_in(&home.path().join("temp")).is_empty());
}

#[tokio::test]
async fn what_is_cached_and_what_is_to_stay_are_written_under_different_names() {
    let home = home();
    let store = open(home.path()).await.unwrap();
    // Whoever writes what is to stay has this name for itself.
    fs::create_dir(home.path().join("temp").join(block(b"both").0.to_string())).unwrap();
    store.cache(dag(b"both")).await.unwrap();
    assert!(store.cached(block(b"both").0).await.unwrap().is_some());
}

#[tokio::test]
async fn blobs_lie_in_folders_by_the_end_of_their_name() {
    let home = home();
    let store = open(home.path()).await.unwrap();
    store.commit(with_blob("o", b"blob")).await.unwrap();
    let name = block(b"blob").0.to_string();
    let expected = home.path().join("blobs").join(&name[name.len() - 2..]).join(&name);
    assert_eq!(files_in(&home.path().join("blobs")), [expected]);
}

/// What a crash may leave: a file whose transaction never came, and one whose record went before it.
#[tokio::test]
async fn a_start_sweeps_files_that_no_record_owns_and_no_others() {
    let home = home();
    let store = open(home.path()).await.unwrap();
    store.commit(with_blob("o", b"owned")).await.unwrap();
    store.commit(Batch { blobs: vec![block(b"nobody's")], ..Batch::default() }).await.unwrap();
    assert_eq!(files_in(&home.path().join("blobs")).len(), 2);
    drop(store);
    let store = open(home.path()).await.unwrap();
    assert_eq!(files_in(&home.path().join("blobs")).len(), 1);
    assert!(store.blob(block(b"owned").0).await.unwrap().is_some());
    // The file comes back without its record, as if the process had died before it was deleted.
    let [file] = &files_in(&home.path().join("blobs"))[..] else { panic!("not one file") };
    assert_eq!(store.commit(delete(Table::Worker, "o")).await, Ok(vec![block(b"owned").0]));
    fs::write(file, b"owned").unwrap();
    drop(store);
    drop(open(home.path()).await.unwrap());
    assert!(files_in(&home.path().join("blobs")).is_empty());
}

#[tokio::test]
#[expect(clippy::await_holding_lock, reason = "the disk's own thread waits for it, and this one lets it go")]
async fn strangers_who_read_do_not_stand_in_the_way_of_a_transaction() {
    let (home, fsyncs) = (home(), Fsyncs::default());
    let store = open_on(&fsyncs, home.path()).await;
    store.commit(with_blob("o", b"asked for")).await.unwrap();
    let disk_is_slow = fsyncs.gate.lock().unwrap();
    let committing = store.commit(put(Table::Worker, "a", "1"));
    // Whoever reads is answered while the disk works, and the other way round: neither waits in the other's line.
    assert!(store.serve(block(b"asked for").0).await.unwrap().is_some());
    assert!(store.blob(block(b"asked for").0).await.unwrap().is_some());
    drop(disk_is_slow);
    committing.await.unwrap();
    // Questions that nobody waits for any more give their places back.
    let asked: Vec<_> = (0..1_000).map(|_| store.serve(block(b"asked for").0)).collect();
    drop(asked);
    assert!(store.serve(block(b"asked for").0).await.unwrap().is_some());
    let asked = (0..1_000).map(|_| store.serve(block(b"asked for").0));
    assert!(join_all(asked).await.into_iter().all(|found| found.unwrap().is_some()));
}

#[tokio::test]
#[expect(clippy::await_holding_lock, reason = "the disk's own thread waits for it, and this one lets it go")]
async fn a_blob_of_a_batch_that_is_under_way_is_there_for_the_station_that_gave_it() {
    let (home, fsyncs) = (home(), Fsyncs::default());
    let store = open_on(&fsyncs, home.path()).await;
    let disk_is_slow = fsyncs.gate.lock().unwrap();
    let before = store.commit(put(Table::Worker, "a", "1"));
    let committing = store.commit(with_blob("o", b"a page of a Log"));
    let mut reading = store.blob(block(b"a page of a Log").0);
    // The read looks once and finds nothing, since the first transaction holds the second one up. The same thread answers in order.
    assert!(futures::poll!(&mut reading).is_pending());
    store.room().await.unwrap();
    drop(disk_is_slow);
    assert_eq!(reading.await.unwrap(), Some(b"a page of a Log".to_vec()));
    before.await.unwrap();
    committing.await.unwrap();
}

#[tokio::test]
async fn what_is_not_its_name_is_not_written() {
    let home = home();
    let store = open(home.path()).await.unwrap();
    let batch = Batch { blobs: vec![(block(b"one").0, b"another".to_vec())], ..put(Table::Worker, "names", "it") };
    assert!(matches!(store.commit(batch).await, Err(StoreError::Failed { .. })));
    drop(store);
    assert_eq!(records(&open(home.path()).await.unwrap(), Table::Worker).await, []);
}

mod kept;
mod owners;
mod room;
