//! What every store promises, as one check, and what a crash does to the one in memory.

use std::sync::Arc;
use std::time::Duration;

use cid::Cid;
use futures::future::join_all;
use station_car::Dag;
use station_car::block::{RAW, cid_of, verify};
use station_protocol::durable::Key;

use super::*;

pub(crate) fn put(table: Table, key: &str, value: &str) -> Batch {
    Batch { puts: vec![(table, Key(key.into()), value.into())], ..Batch::default() }
}

pub(crate) fn delete(table: Table, key: &str) -> Batch {
    Batch { deletes: vec![(table, Key(key.into()))], ..Batch::default() }
}

pub(crate) fn block(bytes: &[u8]) -> (Cid, Vec<u8>) {
    (cid_of(RAW, bytes), bytes.to_vec())
}

/// A blob that the record `owner` owns.
pub(crate) fn with_blob(owner: &str, bytes: &[u8]) -> Batch {
    let owns = vec![(Table::Worker, Key(owner.into()), block(bytes).0)];
    Batch { blobs: vec![block(bytes)], owns, ..Batch::default() }
}

/// A DAG of one block.
pub(crate) fn dag(bytes: &[u8]) -> Dag {
    Dag { root: block(bytes).0, blocks: vec![block(bytes)] }
}

pub(crate) async fn records(store: &dyn Store, table: Table) -> Vec<(String, String)> {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    store.load(table).await.unwrap().into_iter().map(|(key, value)| (text(key.0), text(value))).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// Leaves behind: `b` = `2` in Worker, `x` = `9` in Requester, and the blob `kept`.
pub(crate) async fn keeps_its_promises(store: &dyn Store) {
    // Records come back in key order, table by table.
    for batch in [put(Table::Worker, "b", "1"), put(Table::Worker, "a", "1"), put(Table::Requester, "x", "9"), Batch::default()] {
        store.commit(batch).await.unwrap();
    }
    assert_eq!(records(store, Table::Worker).await, pairs(&[("a", "1"), ("b", "1")]));
    assert_eq!(records(store, Table::Requester).await, pairs(&[("x", "9")]));
    assert_eq!(records(store, Table::Node).await, pairs(&[]));

    // Batches given together keep their order.
    let batches = [put(Table::Worker, "b", "0"), delete(Table::Worker, "a"), delete(Table::Worker, "b"), put(Table::Worker, "b", "2")];
    let given: Vec<_> = batches.into_iter().map(|batch| store.commit(batch)).collect();
    // A load given after them sees them, though nobody has waited.
    assert_eq!(records(store, Table::Worker).await, pairs(&[("b", "2")]));
    join_all(given).await.into_iter().for_each(|done| _ = done.unwrap());
    store.commit(Batch { deletes: vec![(Table::Node, Key(b"n".to_vec()))], ..put(Table::Node, "n", "1") }).await.unwrap();
    assert_eq!(records(store, Table::Node).await, pairs(&[]), "deletes follow puts");

    // Blobs by CID, for as long as a record owns them: of a deletion and a new owner the later one counts.
    let released = || delete(Table::Worker, "o");
    let given = [with_blob("o", b"kept"), released(), with_blob("p", b"kept"), with_blob("o", b"gone"), released()];
    join_all(given.map(|batch| store.commit(batch))).await.into_iter().for_each(|done| _ = done.unwrap());
    assert_eq!(store.blob(block(b"kept").0).await.unwrap().as_deref(), Some(&b"kept"[..]));
    assert_eq!(store.serve(block(b"kept").0).await.unwrap().as_deref(), Some(&b"kept"[..]));
    assert_eq!(store.blob(block(b"gone").0).await, Ok(None));
    owners_are_a_set(store).await;

    // What is cached is found whole; what is no DAG of its name is not. A cache is no durable blob.
    store.cache(dag(b"cached")).await.unwrap();
    store.cache(Dag { root: block(b"other").0, ..dag(b"cached") }).await.unwrap();
    assert_eq!(store.cached(block(b"cached").0).await, Ok(Some(dag(b"cached").blocks)));
    assert_eq!(store.cached(block(b"other").0).await, Ok(None));
    assert_eq!(store.blob(block(b"cached").0).await, Ok(None));
    assert!(store.room().await.unwrap() > 0);
}

/// A blob goes with its last owner; to own twice is to own once; who goes is said once.
async fn owners_are_a_set(store: &dyn Store) {
    let cid = block(b"shared").0;
    let of = |table, owner: &str| Batch { owns: vec![(table, Key(owner.into()), cid)], ..Batch::default() };
    store.commit(with_blob("first", b"shared")).await.unwrap();
    for table in [Table::Worker, Table::Requester] {
        store.commit(of(table, "second")).await.unwrap();
        store.commit(of(table, "second")).await.unwrap();
    }
    for (table, named) in [(Table::Worker, true), (Table::Requester, true), (Table::Node, false)] {
        let owned = store.owned(table, |_| true).await.unwrap();
        assert_eq!(owned.iter().filter(|owned| **owned == cid).count(), usize::from(named), "{table:?} {owned:?}");
    }
    for (table, named) in [(Table::Worker, true), (Table::Requester, false)] {
        let owned = store.owned(table, |key| key.0 == b"first").await.unwrap();
        assert_eq!(owned.contains(&cid), named, "{table:?} {owned:?}");
    }
    for (table, owner) in [(Table::Worker, "second"), (Table::Worker, "first"), (Table::Worker, "first"), (Table::Node, "second")] {
        assert_eq!(store.commit(delete(table, owner)).await, Ok(vec![]), "somebody owns it still");
        assert!(store.blob(cid).await.unwrap().is_some());
    }
    // A record of which another's name is the beginning is another record.
    store.commit(of(Table::Requester, "secon")).await.unwrap();
    store.commit(delete(Table::Requester, "secon")).await.unwrap();
    assert!(store.blob(cid).await.unwrap().is_some());
    assert_eq!(store.commit(delete(Table::Requester, "second")).await, Ok(vec![cid]));
    assert_eq!(store.blob(cid).await, Ok(None));
}

pub(crate) async fn still_has_what_was_left(store: &dyn Store) {
    assert_eq!(records(store, Table::Worker).await, pairs(&[("b", "2")]));
    assert_eq!(records(store, Table::Requester).await, pairs(&[("x", "9")]));
    assert_eq!(store.blob(block(b"kept").0).await.unwrap().as_deref(), Some(&b"kept"[..]));
    assert_eq!(store.blob(block(b"gone").0).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn memory_keeps_its_promises() {
    for transaction in [Duration::ZERO, Duration::from_millis(5)] {
        let store = MemoryStore::new(transaction);
        keeps_its_promises(&store).await;
        still_has_what_was_left(&store.crash()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_loses_what_no_future_has_promised() {
    let store = Arc::new(MemoryStore::new(Duration::from_millis(5)));
    store.commit(put(Table::Worker, "promised", "1")).await.unwrap();
    let in_flight = store.commit(put(Table::Worker, "in flight", "1"));
    let waiting = store.commit(with_blob("o", b"waiting"));
    let after = store.crash();
    assert_eq!(records(&after, Table::Worker).await, pairs(&[("promised", "1")]));
    assert_eq!(after.blob(block(b"waiting").0).await, Ok(None));
    for lost in [in_flight, waiting, store.commit(Batch::default())] {
        assert!(matches!(lost.await, Err(StoreError::Failed { .. })));
    }
}

#[tokio::test(start_paused = true)]
async fn batches_given_during_a_transaction_form_the_next_one() {
    let store = MemoryStore::new(Duration::from_millis(5));
    let start = tokio::time::Instant::now();
    let given: Vec<_> = (0..100).map(|n| store.commit(put(Table::Worker, &n.to_string(), ""))).collect();
    join_all(given).await.into_iter().for_each(|done| _ = done.unwrap());
    assert_eq!(start.elapsed(), Duration::from_millis(10), "one alone, ninety-nine together");
}

#[tokio::test(start_paused = true)]
async fn a_flipped_bit_in_memory_makes_a_blob_absent() {
    let store = MemoryStore::default();
    store.commit(with_blob("o", b"blob")).await.unwrap();
    let cid = block(b"blob").0;
    assert!(store.flip_bit(&cid) && !store.flip_bit(&block(b"absent").0));
    assert_eq!(store.blob(cid).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_every_call_fails() {
    let store = MemoryStore::default();
    store.fail("fsync");
    assert!(store.commit(Batch::default()).await.is_err());
    assert!(store.load(Table::Node).await.is_err());
    assert!(store.blob(block(b"x").0).await.is_err());
    assert!(store.cache(dag(b"x")).await.is_err());
    assert!(store.cached(block(b"x").0).await.is_err());
    assert!(store.room().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_start_sweeps_what_never_had_an_owner_and_keeps_what_has_one() {
    let store = MemoryStore::default();
    store.commit(Batch { blobs: vec![block(b"nobody's")], ..Batch::default() }).await.unwrap();
    store.commit(with_blob("o", b"somebody's")).await.unwrap();
    assert_eq!(store.blobs().len(), 2);
    assert_eq!(store.crash().blobs(), [block(b"somebody's").0]);
}

#[test]
fn a_pack_is_the_whole_dag_and_a_flipped_bit_is_found_wherever_it_is() {
    let bytes: Vec<u8> = (0..3_000u32).flat_map(u32::to_le_bytes).collect();
    let dag = station_car::unixfs::build(&bytes);
    let packed = pack::pack(&dag).unwrap();
    let mut blocks = pack::unpack(dag.root, &packed).unwrap();
    blocks.sort();
    assert_eq!(blocks, dag.blocks);
    for byte in (0..packed.len()).step_by(61) {
        let mut damaged = packed.clone();
        damaged[byte] ^= 1;
        assert!(pack::unpack(dag.root, &damaged).map_or(true, |blocks| blocks.iter().all(|(cid, bytes)| verify(cid, bytes).is_ok())));
    }
    assert!(pack::pack(&Dag { root: dag.root, blocks: Vec::new() }).is_none(), "a block is missing");
}
