//! What every store promises, as one check, and what a crash does to the one in memory.

use std::sync::Arc;
use std::time::Duration;

use cid::Cid;
use futures::future::join_all;
use station_car::block::{RAW, cid_of};
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

pub(crate) fn with_blob(bytes: &[u8]) -> Batch {
    Batch { blobs: vec![block(bytes)], ..Batch::default() }
}

pub(crate) fn without_blob(bytes: &[u8]) -> Batch {
    Batch { blob_deletes: vec![block(bytes).0], ..Batch::default() }
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
    join_all(given).await.into_iter().for_each(|done| done.unwrap());
    store.commit(Batch { deletes: vec![(Table::Node, Key(b"n".to_vec()))], ..put(Table::Node, "n", "1") }).await.unwrap();
    assert_eq!(records(store, Table::Node).await, pairs(&[]), "deletes follow puts");

    // Blobs by CID; of a write and a deletion the later one counts.
    let given = [with_blob(b"kept"), without_blob(b"kept"), with_blob(b"kept"), with_blob(b"gone"), without_blob(b"gone")];
    join_all(given.map(|batch| store.commit(batch))).await.into_iter().for_each(|done| done.unwrap());
    assert_eq!(store.blob(block(b"kept").0).await.unwrap().as_deref(), Some(&b"kept"[..]));
    assert_eq!(store.blob(block(b"gone").0).await, Ok(None));
    store.commit(without_blob(b"never there")).await.unwrap();

    // What is cached is found; what does not hash to its name is not.
    let (cid, bytes) = block(b"cached");
    store.cache(cid, bytes.clone()).await.unwrap();
    store.cache(block(b"other").0, bytes.clone()).await.unwrap();
    assert_eq!(store.blob(cid).await, Ok(Some(bytes)));
    assert_eq!(store.blob(block(b"other").0).await, Ok(None));
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
    let waiting = store.commit(with_blob(b"waiting"));
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
    join_all(given).await.into_iter().for_each(|done| done.unwrap());
    assert_eq!(start.elapsed(), Duration::from_millis(10), "one alone, ninety-nine together");
}

#[tokio::test(start_paused = true)]
async fn a_flipped_bit_in_memory_makes_a_blob_absent() {
    let store = MemoryStore::default();
    store.commit(with_blob(b"blob")).await.unwrap();
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
    assert!(store.cache(block(b"x").0, b"x".to_vec()).await.is_err());
}
