//! How full the shelf is, what is not on it, and how long the station has been up.

use station_protocol::durable::Key;

use super::*;
use crate::clock::NOON;
use crate::content::SHELF_MAX;
use crate::store::{Batch, Store, Table};

/// A store in which a record named `owner` of the requester owns so many blobs.
async fn with_blobs(owner: &str, count: usize) -> MemoryStore {
    let blobs: Vec<(Cid, Vec<u8>)> = (0..count).map(|n| (Content::raw(&n.to_be_bytes()).cid, n.to_be_bytes().to_vec())).collect();
    let owns = blobs.iter().map(|(cid, _)| (Table::Requester, Key(owner.into()), *cid)).collect();
    let store = MemoryStore::default();
    store.commit(Batch { blobs, owns, ..Batch::default() }).await.expect("the disk works");
    store
}

#[tokio::test]
async fn a_station_whose_shelf_is_full_publishes_nothing_and_says_so() {
    let api = served_from(with_blobs("P", SHELF_MAX - 100).await).await;
    let (status, error) = api.refused(posted("/v1/experiments", &json!({ "file": FILE }))).await;
    assert_eq!((status, error.contains("nobody could fetch the module")), (507, true), "{error}");
    let (_, own) = api.get("/v1/experiments").await;
    assert_eq!(own, json!([]));
    let (_, status) = api.get("/v1/status").await;
    assert_eq!(status["bounds"]["roots that others may fetch"], json!({ "now": SHELF_MAX - 100, "max": SHELF_MAX }));
}

#[tokio::test]
async fn guests_logs_are_served_to_nobody_after_a_restart_either() {
    for (owner, served) in [("G", 0), ("P", 3)] {
        let api = served_from(with_blobs(owner, 3).await).await;
        let (_, status) = api.get("/v1/status").await;
        assert_eq!(status["bounds"]["roots that others may fetch"]["now"], json!(served), "{owner}");
    }
}

thread_local! {
    /// What the machine of the test below says.
    static MACHINE: std::cell::Cell<Time> = const { std::cell::Cell::new(Time(0)) };
}

#[tokio::test(start_paused = true)]
async fn a_station_that_boots_in_1970_and_is_told_the_time_is_up_for_a_minute() {
    let clock = Clock::following(Time(0), || MACHINE.get());
    let started = clock.now();
    tokio::time::advance(std::time::Duration::from_secs(60)).await;
    MACHINE.set(NOON);
    assert!(clock.look().is_some());
    assert_eq!(times(&clock, started), (NOON.minus(60_000), NOON));
}
