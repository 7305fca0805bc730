//! What the order of effects and the contents of transactions must be.

use super::*;
use futures::FutureExt;

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
    assert!(!commits.are_durable(1) && commits.given() == 3);
    done.send(Ok(vec![])).expect("somebody waits");
    assert_eq!(commits.durable().now_or_never(), Some(Ok((vec![1, 2], vec![]))));
    assert!(commits.are_durable(2) && !commits.are_durable(3));
    assert!(commits.next_batch().is_some());
    commits.started(async { Ok(vec![]) }.boxed());
    assert_eq!(commits.durable().now_or_never(), Some(Ok((vec![3], vec![]))));
    assert!(commits.is_idle() && commits.are_durable(3));
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
    let again = batch_of(vec![put(), put()]);
    assert_eq!(again.puts, vec![(Table::Worker, key(), vec![1])]);
}

#[test]
fn a_record_that_begins_anew_waits_for_the_end_of_its_predecessor() {
    let cid = station_car::unixfs::build(b"blob").root;
    let mut commits = Commits::default();
    commits.push(Table::Worker, delete());
    let mut anew = Commit { then: vec![7], ..Commit::default() };
    anew.bring(key(), cid, b"blob".to_vec());
    commits.push(Table::Worker, anew);
    let ended = commits.next_batch().expect("something waits");
    assert!(ended.owns.is_empty() && ended.blobs.is_empty() && ended.deletes.len() == 1);
    commits.started(async { Ok(vec![]) }.boxed());
    assert_eq!(commits.durable().now_or_never(), Some(Ok((vec![], vec![]))));
    let begun = commits.next_batch().expect("the second waits");
    assert_eq!(begun.owns, vec![(Table::Worker, key(), cid)]);
    assert!(commits.waiting.is_empty() && commits.waiting_bytes == 0);
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
