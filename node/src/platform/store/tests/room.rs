//! What happens when there is no room: the cache goes first, then nothing is begun, and nothing is broken.

use super::*;

/// Bytes that no two numbers share.
fn bytes(number: u32, length: usize) -> Vec<u8> {
    number.to_le_bytes().into_iter().cycle().take(length).collect()
}

async fn is_cached(store: &RedbStore, number: u32, length: usize) -> bool {
    store.cached(block(&bytes(number, length)).0).await.unwrap().is_some()
}

#[tokio::test]
async fn the_cache_is_bounded_in_blocks_of_the_disk_and_the_oldest_go_first() {
    let home = home();
    let left = Arc::new(AtomicU64::new(1 << 40));
    // Three small files take a block each, though they are a few bytes together.
    let small = |files| Bounds { cache_bytes: files * cost(100), ..bounds() };
    let store = open_in(home.path(), small(3), &left).await.unwrap();
    for number in 0..4 {
        store.cache(dag(&bytes(number, 10))).await.unwrap();
    }
    store.cache(dag(&bytes(9, 100_000))).await.unwrap();
    assert!(!is_cached(&store, 0, 10).await && is_cached(&store, 1, 10).await && is_cached(&store, 3, 10).await);
    assert!(!is_cached(&store, 9, 100_000).await, "it is larger than the whole cache, and takes nothing from it");
    // A smaller bound at the next start holds at once.
    drop(store);
    drop(open_in(home.path(), small(1), &left).await.unwrap());
    assert_eq!(files_in(&home.path().join("cache")).len(), 1);
}

#[tokio::test]
async fn some_of_the_disk_is_left_for_others() {
    use super::super::files::RESERVE_BYTES;
    let home = home();
    let left = Arc::new(AtomicU64::new(RESERVE_BYTES + (2 << 20)));
    let store = open_in(home.path(), Bounds::of(1 << 40), &left).await.unwrap();
    assert_eq!(store.room().await.unwrap(), 2 << 20);
    left.store(RESERVE_BYTES, Ordering::Relaxed);
    assert_eq!(store.room().await.unwrap(), 0);
    assert!(matches!(store.commit(with_blob("key", &bytes(1, 10))).await, Err(StoreError::Full { .. })));
}

#[tokio::test]
async fn the_cache_is_bounded_in_files() {
    let home = home();
    let few = Bounds { cache_files: 2, ..bounds() };
    let store = open_in(home.path(), few, &Arc::new(AtomicU64::new(1 << 40))).await.unwrap();
    for number in 0..5 {
        store.cache(dag(&bytes(number, 10))).await.unwrap();
    }
    assert_eq!(files_in(&home.path().join("cache")).len(), 2);
    const { assert!(CACHE_FILES_MAX <= 1 << 12) };
}

/// 64 KiB in 1,300 leaves: a file each would be 1,300 inodes and 5 MB of blocks for 66 KB.
#[tokio::test]
async fn a_module_of_many_tiny_leaves_costs_one_file_of_its_size() {
    let home = home();
    let store = open(home.path()).await.unwrap();
    let leaves: Vec<(Cid, Vec<u8>)> = (0..1_300).map(|number| block(&bytes(number, 50))).collect();
    let links: Vec<Cid> = leaves.iter().map(|(cid, _)| *cid).collect();
    let node = station_protocol::codec::encode(&links);
    let root = station_car::block::cid_of(station_car::block::DAG_CBOR, &node);
    let blocks = leaves.into_iter().chain([(root, node)]).collect();
    store.cache(Dag { root, blocks }).await.unwrap();
    assert_eq!(store.cached(root).await.unwrap().unwrap().len(), 1_301);
    let [file] = &files_in(&home.path().join("cache"))[..] else { panic!("not one file") };
    assert!(cost(fs::metadata(file).unwrap().len()) < 200_000, "{}", cost(fs::metadata(file).unwrap().len()));
}

#[tokio::test]
async fn the_cache_goes_before_what_must_be_durable() {
    let home = home();
    let store = open_in(home.path(), Bounds::of(24 << 20), &Arc::new(AtomicU64::new(1 << 40))).await.unwrap();
    let before = store.room().await.unwrap();
    store.cache(dag(&bytes(1, 1 << 20))).await.unwrap();
    assert_eq!(store.room().await.unwrap(), before, "a cache takes no room from what must be durable");
    let mut number = 2;
    while store.room().await.unwrap() > 3 << 20 {
        store.commit(with_blob(&number.to_string(), &bytes(number, 1 << 20))).await.unwrap();
        number += 1;
    }
    store.commit(with_blob("last", &bytes(number, 1 << 20))).await.unwrap();
    assert!(number > 3 && !is_cached(&store, 1, 1 << 20).await);
}

#[tokio::test]
async fn above_the_operators_bound_nothing_is_begun_and_the_station_goes_on_once_there_is_room() {
    let home = home();
    let left = Arc::new(AtomicU64::new(1 << 40));
    let store = open_in(home.path(), Bounds::of(16 << 20), &left).await.unwrap();
    let mut kept = 0;
    let refused = loop {
        match store.commit(with_blob(&kept.to_string(), &bytes(kept, 1 << 20))).await {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(&refused, StoreError::Full { .. }) && refused.to_string().contains("raise `disk`"), "{refused}");
    assert!((4..16).contains(&kept), "{kept}");
    drop(store);
    // What was durable is there; the bound holds again, and what gives room needs none.
    let store = open_in(home.path(), Bounds::of(16 << 20), &left).await.unwrap();
    for number in 0..kept {
        assert!(store.blob(block(&bytes(number, 1 << 20)).0).await.unwrap().is_some());
    }
    for number in 0..kept {
        assert_eq!(store.commit(delete(Table::Worker, &number.to_string())).await.unwrap().len(), 1);
    }
    store.commit(with_blob("again", &bytes(99, 1 << 20))).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_is_found_before_a_transaction_could_break_and_a_start_after_it_goes_on() {
    let home = home();
    let left = Arc::new(AtomicU64::new(1 << 40));
    let store = open_in(home.path(), bounds(), &left).await.unwrap();
    store.commit(put(Table::Worker, "a", "1")).await.unwrap();
    store.cache(dag(&bytes(1, 1 << 20))).await.unwrap();
    left.store(0, Ordering::SeqCst);
    let refused = store.commit(put(Table::Worker, "b", "1")).await.unwrap_err();
    assert!(matches!(refused, StoreError::Full { .. }), "{refused}");
    assert!(files_in(&home.path().join("cache")).is_empty(), "the cache was given up for it");
    assert_eq!(store.load(Table::Worker).await, Err(refused), "the station must stop");
    drop(store);
    left.store(1 << 40, Ordering::SeqCst);
    let store = open_in(home.path(), bounds(), &left).await.unwrap();
    assert_eq!(records(&store, Table::Worker).await, [("a".to_owned(), "1".to_owned())]);
    store.commit(put(Table::Worker, "b", "1")).await.unwrap();
}

/// The name of the test below, which runs itself again where a small disk is mounted.
const ITSELF: &str = "platform::store::tests::room::a_disk_that_is_really_full_loses_nothing_that_was_said_to_be_durable";
const SMALL_DISK: &str = "STATION_SMALL_DISK";
/// Asks for the test below: it mounts a disk of 40 MiB in a namespace of its own, which root may.
const FULL_DISK: &str = "STATION_FULL_DISK";

#[tokio::test]
async fn a_disk_that_is_really_full_loses_nothing_that_was_said_to_be_durable() {
    let Some(disk) = std::env::var_os(SMALL_DISK) else {
        if std::env::var_os(FULL_DISK).is_none() {
            return;
        }
        let (folder, program) = (home(), std::env::current_exe().unwrap());
        let script = format!("mount -t tmpfs -o size=40m none \"$0\" && {SMALL_DISK}=\"$0\" exec \"$1\" --exact {ITSELF}");
        let mut again = std::process::Command::new("unshare");
        again.args(["-m", "sh", "-c", &script]).arg(folder.path()).arg(program);
        assert!(again.status().unwrap().success());
        return;
    };
    let home = PathBuf::from(disk);
    // Nobody asks how much is left: the disk itself must say that it is full.
    let open = || RedbStore::open_with(&home, bounds(), roomy(), |file| database().create(file));
    let store = open().await.unwrap();
    store.cache(dag(&bytes(0, 1 << 20))).await.unwrap();
    let mut kept = Vec::new();
    let refused = loop {
        let number = u32::try_from(kept.len()).unwrap() + 1;
        // Now a file meets the end of the disk first, now a page of the records.
        let mut batch = with_blob(&number.to_string(), &bytes(number, 1 << 20));
        batch.puts = put(Table::Worker, &number.to_string(), &"v".repeat(300_000)).puts;
        match store.commit(batch).await {
            Ok(_) => kept.push(number),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, StoreError::Full { .. }), "{refused}");
    assert!(files_in(&home.join("cache")).is_empty(), "the cache was given up first");
    drop(store);
    assert!(matches!(open().await.map(drop), Ok(()) | Err(StoreError::Full { .. })), "full, and said so, or free by what was swept");
    // Somebody makes room.
    let status = std::process::Command::new("mount").args(["-o", "remount,size=80m"]).arg(&home).status().unwrap();
    assert!(status.success());
    let store = open().await.unwrap();
    assert_eq!(store.load(Table::Worker).await.unwrap().len(), kept.len());
    for number in kept {
        assert!(store.blob(block(&bytes(number, 1 << 20)).0).await.unwrap().is_some());
    }
    store.commit(with_blob("again", &bytes(99, 1 << 20))).await.unwrap();
}
