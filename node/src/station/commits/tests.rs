//! What the order of effects and the contents of transactions must be.

use futures::FutureExt;
use station_protocol::durable::Key;

use super::*;

fn says(effect: u32) -> Commit<u32> {
    Commit { then: vec![effect], ..Commit::default() }
}

fn key() -> Key {
    Key(b"k".to_vec())
}

fn put() -> Commit<u32> {
    Commit { puts: vec![(key(), vec![1])], ..Commit::default() }
}

fn delete() -> Commit<u32> {
    Commit { deletes: vec![key()], ..Commit::default() }
}

fn batch_of(list: Vec<Commit<u32>>) -> Batch {
    let mut commits = Commits::default();
    for commit in list {
        commits.push(Table::Worker, commit);
    }
    commits.next_batch().expect("something waits")
}

#[test]
fn effects_wait_for_the_disk_and_keep_their_order() {
    let mut commits = Commits::default();
    commits.push(Table::Worker, says(1));
    commits.push(Table::Requester, says(2));
    assert!(commits.next_batch().is_some());
    let (done, disk) = futures::channel::oneshot::channel();
    commits.started(async move { disk.await.expect("the disk answers") }.boxed());
    assert!(commits.durable().now_or_never().is_none());
    commits.push(Table::Worker, says(3));
    assert!(commits.next_batch().is_none(), "what comes meanwhile forms the next transaction");
    done.send(Ok(())).expect("somebody waits");
    assert_eq!(commits.durable().now_or_never(), Some(Ok(vec![1, 2])));
    assert!(commits.next_batch().is_some());
    commits.started(async { Ok(()) }.boxed());
    assert_eq!(commits.durable().now_or_never(), Some(Ok(vec![3])));
    assert!(commits.is_idle());
}

#[test]
fn a_failed_transaction_releases_nothing() {
    let mut commits = Commits::default();
    commits.push(Table::Worker, says(1));
    assert!(commits.next_batch().is_some());
    let failure = StoreError::Failed { path: "disk".into(), reason: "full".into() };
    let failed = failure.clone();
    commits.started(async move { Err(failed) }.boxed());
    assert_eq!(commits.durable().now_or_never(), Some(Err(failure)));
}

#[test]
fn the_last_word_on_a_record_wins() {
    let deleted = batch_of(vec![put(), delete()]);
    assert!(deleted.puts.is_empty());
    assert_eq!(deleted.deletes, vec![(Table::Worker, key())]);
    let kept = batch_of(vec![delete(), put()]);
    assert_eq!(kept.puts, vec![(Table::Worker, key(), vec![1])]);
    assert!(kept.deletes.is_empty());
}

#[test]
fn the_last_word_on_a_blob_wins() {
    let cid = station_car::unixfs::build(b"blob").root;
    let written = || Commit { blobs: vec![(cid, b"blob".to_vec())], ..Commit::<u32>::default() };
    let gone = || Commit { blob_deletes: vec![cid], ..Commit::<u32>::default() };
    let deleted = batch_of(vec![written(), gone()]);
    assert!(deleted.blobs.is_empty() && deleted.blob_deletes == [cid]);
    let kept = batch_of(vec![gone(), written()]);
    assert!(kept.blob_deletes.is_empty() && kept.blobs.len() == 1);
}

#[test]
fn too_many_commits_or_bytes_are_congestion_until_they_are_taken() {
    let mut many = Commits::default();
    for effect in 1..COMMITS_WAITING_MAX {
        many.push(Table::Worker, says(u32::try_from(effect).expect("a small bound")));
    }
    assert!(!many.is_congested());
    many.push(Table::Worker, says(0));
    assert!(many.is_congested());
    assert!(many.next_batch().is_some() && !many.is_congested());
    let mut large = Commits::<u32>::default();
    large.push(Table::Worker, Commit { puts: vec![(key(), vec![0; BYTES_WAITING_MAX])], ..Commit::default() });
    assert!(large.is_congested());
}
