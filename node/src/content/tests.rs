//! Serving and fetching over a pipe in memory and virtual time: honest peers, liars, stallers, and those who want too much.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join;
use futures::io::{AsyncReadExt, AsyncWriteExt};
use proptest::prelude::*;
use station_car::block::{RAW, cid_of};
use station_car::{DagError, car};
use station_protocol::accounts::Charge;
use station_protocol::address::Reach;
use station_protocol::cluster::Cluster;
use station_protocol::{NodeId, codec, worker};
use tokio::io::DuplexStream;
use tokio::time::{Instant, interval};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

use super::*;
use crate::ledger::Ledger;
use crate::store::{Batch, MemoryStore};

const ASKER: NodeId = NodeId([1; 32]);
/// What yamux would buffer, so that writers wait for readers.
const PIPE_BYTES: usize = 256 << 10;

fn pipe() -> (Compat<DuplexStream>, Compat<DuplexStream>) {
    let (a, b) = tokio::io::duplex(PIPE_BYTES);
    (a.compat(), b.compat())
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 31 + (i >> 8) * 7 + (i >> 16) * 13) as u8).collect()
}

/// A file of some MiB: several blocks under a node.
fn module() -> (Content, station_car::Dag) {
    let bytes = bytes(3_500_000);
    let dag = station_car::unixfs::build(&bytes);
    (Content { cid: dag.root, bytes: bytes.len() as u64 }, dag)
}

fn provider() -> Provider {
    Provider::new(Arc::new(MemoryStore::default()), Ledger::new(Reach::Any, []))
}

async fn exchange(provider: &Provider, root: &Cid, content_bytes: u64) -> (Result<Vec<(Cid, Vec<u8>)>, FetchFailure>, Result<Served, ServeFailure>) {
    let (here, there) = pipe();
    join(fetch(here, root, content_bytes), provider.answer(there, ASKER, false, false)).await
}

/// A peer that reads the request, sends `answer` whatever it was, and closes.
async fn fetch_from_liar(content: &Content, answer: Vec<u8>) -> Result<Vec<(Cid, Vec<u8>)>, FetchFailure> {
    let (here, mut there) = pipe();
    let liar = async move {
        wire::read_request(&mut there).await.unwrap().unwrap();
        // The asker hangs up when it has seen enough.
        if there.write_all(&answer).await.is_ok() {
            let _ = there.close().await;
        }
    };
    join(fetch(here, &content.cid, content.bytes), liar).await.0
}

fn refused(result: Result<Vec<(Cid, Vec<u8>)>, FetchFailure>) -> Refusal {
    match result {
        Err(FetchFailure::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_on_the_shelf_arrives_whole_from_memory_and_from_the_store() {
    let (content, dag) = module();
    let store = MemoryStore::default();
    store.commit(Batch { blobs: dag.blocks.clone(), ..Batch::default() }).await.unwrap();
    let stored = Provider::new(Arc::new(store.clone()), Ledger::new(Reach::Any, []));
    stored.shelf().put_stored(content.cid, content.bytes).unwrap();
    let held = provider();
    held.shelf().put_held(dag.clone()).unwrap();
    for provider in [stored, held] {
        let (fetched, served) = exchange(&provider, &content.cid, content.bytes).await;
        let mut fetched = fetched.unwrap();
        assert_eq!(assemble(&content, fetched.clone()).unwrap(), bytes(3_500_000));
        fetched.sort();
        assert_eq!(fetched, dag.blocks);
        assert_eq!(served.unwrap(), Served::Sent { bytes: car(&dag).unwrap().unwrap().len() as u64 });
    }
    assert_eq!(file(&store, &content).await.unwrap(), Some(bytes(3_500_000)));
}

#[tokio::test(start_paused = true)]
async fn a_file_is_here_only_with_all_its_blocks_and_its_size() {
    let (content, dag) = module();
    let store = MemoryStore::default();
    store.commit(Batch { blobs: dag.blocks[1..].to_vec(), ..Batch::default() }).await.unwrap();
    assert_eq!(file(&store, &content).await.unwrap(), None);
    assert!(!is_here(&store, &content).await.unwrap());
    store.commit(Batch { blobs: dag.blocks.clone(), ..Batch::default() }).await.unwrap();
    assert!(file(&store, &content).await.unwrap().is_some());
    assert!(is_here(&store, &content).await.unwrap());
    for bytes in [content.bytes - 1, content.bytes + 1] {
        let lie = Content { bytes, ..content.clone() };
        assert_eq!(file(&store, &lie).await.unwrap(), None);
        assert!(assemble(&lie, dag.blocks.clone()).is_err());
        assert!(check(&lie, &dag.blocks).is_err());
        assert!(!is_here(&store, &lie).await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_in_the_store_and_not_on_the_shelf_is_not_served() {
    let (content, dag) = module();
    let store = MemoryStore::default();
    store.commit(Batch { blobs: dag.blocks.clone(), ..Batch::default() }).await.unwrap();
    let provider = Provider::new(Arc::new(store), Ledger::new(Reach::Any, []));
    assert_eq!(refused(exchange(&provider, &content.cid, content.bytes).await.0), Refusal::NotFound);
    provider.shelf().put_stored(content.cid, content.bytes).unwrap();
    let leaf = dag.blocks.iter().find(|(cid, _)| *cid != dag.root).unwrap();
    assert_eq!(refused(exchange(&provider, &leaf.0, 1 << 20).await.0), Refusal::NotFound, "only roots are asked for");
}

#[tokio::test(start_paused = true)]
async fn a_root_is_served_until_it_is_taken_away_however_often_it_was_put_there() {
    let (content, dag) = module();
    let provider = provider();
    provider.shelf().put_held(dag.clone()).unwrap();
    provider.shelf().put_held(dag).unwrap();
    assert!(exchange(&provider, &content.cid, content.bytes).await.0.is_ok());
    provider.shelf().take(&content.cid);
    provider.shelf().take(&content.cid);
    assert_eq!(refused(exchange(&provider, &content.cid, content.bytes).await.0), Refusal::NotFound);
}

#[test]
fn the_shelf_is_bounded() {
    let shelf = Shelf::new();
    assert_eq!(shelf.gauge().len, 0);
    for n in 0..SHELF_MAX {
        shelf.put_stored(cid_of(RAW, &n.to_be_bytes()), 1).unwrap();
    }
    assert_eq!(shelf.put_stored(cid_of(RAW, b"one more"), 1), Err(ShelfFull));
    assert!(shelf.gauge().len == shelf.gauge().max && !shelf.gauge().is_exceeded());
    assert_eq!(shelf.put_stored(cid_of(RAW, &0usize.to_be_bytes()), 1), Ok(()), "what is there can be put there again");
}

#[tokio::test(start_paused = true)]
async fn a_lying_provider_is_found_out() {
    let (content, dag) = module();
    let whole = [vec![0], car(&dag).unwrap().unwrap()].concat();
    assert!(fetch_from_liar(&content, whole.clone()).await.is_ok());
    for at in [1, 20, 70, 200, 1_000_000, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        let failure = fetch_from_liar(&content, damaged).await.unwrap_err();
        assert!(matches!(failure, FetchFailure::Unverified(_) | FetchFailure::Truncated), "byte {at}: {failure}");
    }
    let other = station_car::unixfs::build(b"something else");
    let other = [vec![0], car(&other).unwrap().unwrap()].concat();
    assert!(matches!(fetch_from_liar(&content, other).await, Err(FetchFailure::Unverified(DagError::BadRoots { .. }))));
    let page = [&b"\0<!DOCTYPE html><title>404</title>"[..], &[b' '; 100]].concat();
    assert!(matches!(fetch_from_liar(&content, page).await, Err(FetchFailure::Unverified(DagError::Car(_)))));
    for length in [1, 50, 2_000_000, whole.len() - 1] {
        assert!(matches!(fetch_from_liar(&content, whole[..length].to_vec()).await, Err(FetchFailure::Truncated)), "{length} bytes");
    }
    assert!(matches!(fetch_from_liar(&content, Vec::new()).await, Err(FetchFailure::Connection(_))));
    assert_eq!(refused(fetch_from_liar(&content, vec![99]).await), Refusal::Unknown(99));
}

#[tokio::test(start_paused = true)]
async fn more_than_the_content_is_refused_by_both_sides() {
    let (content, dag) = module();
    let provider = provider();
    provider.shelf().put_held(dag.clone()).unwrap();
    let little = Content { bytes: 1_000_000, ..content.clone() };
    assert_eq!(refused(exchange(&provider, &little.cid, little.bytes).await.0), Refusal::TooLarge);
    let whole = [vec![0], car(&dag).unwrap().unwrap()].concat();
    assert!(matches!(fetch_from_liar(&little, whole).await, Err(FetchFailure::Unverified(DagError::TooLarge { .. }))));
    let (here, _there) = pipe();
    assert!(matches!(fetch(here, &content.cid, FETCH_BYTES_MAX + 1).await, Err(FetchFailure::TooMuch { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_relayed_connection_carries_little() {
    let provider = provider();
    for (length, relayed, expected) in [(200 << 10, true, None), (300 << 10, true, Some(Refusal::TooLarge)), (300 << 10, false, None)] {
        let dag = station_car::unixfs::build(&bytes(length));
        let root = dag.root;
        provider.shelf().put_held(dag).unwrap();
        let (here, there) = pipe();
        let (fetched, _) = join(fetch(here, &root, length as u64), provider.answer(there, ASKER, relayed, false)).await;
        assert_eq!(fetched.is_err().then(|| refused(fetched)), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stalling_provider_is_left_after_thirty_seconds() {
    let (content, dag) = module();
    let whole = [vec![0], car(&dag).unwrap().unwrap()].concat();
    for sent in [0, 1, 100] {
        let (here, mut there) = pipe();
        there.write_all(&whole[..sent]).await.unwrap();
        let start = Instant::now();
        let failure = fetch(here, &content.cid, content.bytes).await.unwrap_err();
        assert!(matches!(failure, FetchFailure::Slow(_)), "{failure}");
        assert!(start.elapsed() <= IDLE + Duration::from_secs(1));
        assert_eq!(worker::FetchFailure::from(failure), worker::FetchFailure::TimedOut);
        drop(there);
    }
}

#[tokio::test(start_paused = true)]
async fn a_crawling_provider_is_left_though_it_never_stalls() {
    let (content, dag) = module();
    let whole = [vec![0], car(&dag).unwrap().unwrap()].concat();
    let (here, mut there) = pipe();
    let crawl = async move {
        let mut every_second = interval(Duration::from_secs(1));
        for piece in whole.chunks(MIN_BYTES_PER_SECOND as usize / 4) {
            every_second.tick().await;
            if there.write_all(piece).await.is_err() {
                return;
            }
        }
    };
    let start = Instant::now();
    let failure = join(fetch(here, &content.cid, content.bytes), crawl).await.0.unwrap_err();
    assert!(matches!(failure, FetchFailure::Slow(Slow::Crawled)), "{failure}");
    assert!(start.elapsed() < GRACE * 2);
}

#[tokio::test(start_paused = true)]
async fn an_asker_who_does_not_read_is_left_and_frees_its_place() {
    let (content, dag) = module();
    let bounds = Bounds { transfers: 1, kept_for_work: 0, ..Bounds::default() };
    let ledger = Ledger::new(Reach::Any, []);
    let provider = Provider::with_bounds(Arc::new(MemoryStore::default()), ledger.clone(), bounds);
    provider.shelf().put_held(dag).unwrap();
    let (mut here, there) = pipe();
    let max_bytes = u64::MAX;
    wire::write_request(&mut here, &Request { root: content.cid, scope: Scope::All, max_bytes }).await.unwrap();
    assert!(matches!(provider.answer(there, ASKER, false, false).await, Err(ServeFailure::Slow(_))));
    let paid = served(&ledger);
    assert!(paid > 0 && paid <= PIPE_BYTES as u64, "the piece that did not leave as a whole was given back: {paid}");
    assert!(exchange(&provider, &content.cid, content.bytes).await.0.is_ok());
}

/// Bytes that were paid for.
fn served(ledger: &Ledger) -> u64 {
    ledger.figures().into_iter().find(|(charge, _)| *charge == Charge::BytesServed).expect("all kinds are there").1.charged
}

#[tokio::test(start_paused = true)]
async fn whoever_is_served_pays_for_every_byte() {
    let (content, dag) = module();
    let ledger = Ledger::new(Reach::Any, []);
    let provider = Provider::new(Arc::new(MemoryStore::default()), ledger.clone());
    provider.shelf().put_held(dag).unwrap();
    let Ok(Served::Sent { bytes }) = exchange(&provider, &content.cid, content.bytes).await.1 else { panic!("it is sent") };
    assert!(bytes > content.bytes);
    assert_eq!(served(&ledger), bytes);
}

#[tokio::test(start_paused = true)]
async fn strangers_read_two_blocks_of_the_store_at_once_and_wait_for_more() {
    let (content, dag) = module();
    let store = MemoryStore::default();
    store.commit(Batch { blobs: dag.blocks, ..Batch::default() }).await.unwrap();
    let provider = Provider::new(Arc::new(store), Ledger::new(Reach::Any, []));
    provider.shelf().put_stored(content.cid, content.bytes).unwrap();
    let reads = provider.reads.clone();
    let held = reads.acquire_many(u32::try_from(serve::READS_MAX).unwrap()).await.unwrap();
    let waiting = tokio::time::timeout(Duration::from_secs(20), exchange(&provider, &content.cid, content.bytes)).await;
    assert!(waiting.is_err(), "others read");
    drop(held);
    assert!(exchange(&provider, &content.cid, content.bytes).await.0.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_sent_much_at_once_and_stalls_has_no_longer_than_others() {
    let (content, dag) = module();
    let whole = [vec![0], car(&dag).unwrap().unwrap()].concat();
    let (here, mut there) = pipe();
    let start = Instant::now();
    let stall = async {
        there.write_all(&whole[..whole.len() - 100]).await.unwrap();
        std::future::pending::<()>().await;
    };
    let failure = tokio::select! {
        fetched = fetch(here, &content.cid, content.bytes) => fetched.unwrap_err(),
        () = stall => unreachable!(),
    };
    assert!(matches!(failure, FetchFailure::Slow(Slow::Stalled)), "{failure}");
    assert!(start.elapsed() <= IDLE + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn an_asker_over_its_share_is_told_so_and_served_later() {
    let (content, dag) = module();
    let ledger = Ledger::new(Reach::Any, []);
    let provider = Provider::new(Arc::new(MemoryStore::default()), ledger.clone());
    provider.shelf().put_held(dag).unwrap();
    ledger.charge(ASKER, Charge::BytesServed, Charge::BytesServed.payer().burst).unwrap();
    assert_eq!(refused(exchange(&provider, &content.cid, content.bytes).await.0), Refusal::OverRate);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(exchange(&provider, &content.cid, content.bytes).await.0.is_ok(), "what is missing comes back while it is written");
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_and_hangs_up_pays_for_nothing_that_was_not_written() {
    let (content, dag) = module();
    let ledger = Ledger::new(Reach::Any, []);
    let provider = Provider::new(Arc::new(MemoryStore::default()), ledger.clone());
    provider.shelf().put_held(dag).unwrap();
    for _ in 0..200 {
        let (mut here, there) = pipe();
        let max_bytes = u64::MAX;
        wire::write_request(&mut here, &Request { root: content.cid, scope: Scope::All, max_bytes }).await.unwrap();
        drop(here);
        assert!(provider.answer(there, ASKER, false, false).await.is_err());
    }
    let charged = ledger.figures().into_iter().find(|(charge, _)| *charge == Charge::BytesServed).unwrap().1.charged;
    assert!(charged < content.bytes * 200 / 8, "{charged} bytes for what {} bytes each were asked for", content.bytes);
    let other = NodeId([77; 32]);
    assert!(ledger.could_pay(other, Charge::BytesServed, Charge::BytesServed.payer().burst), "others have their share");
    assert!(exchange(&provider, &content.cid, content.bytes).await.0.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_missing_or_oversized_dag_breaks_the_answer_off() {
    let (content, mut dag) = module();
    let lost = dag.blocks.iter().position(|(cid, _)| *cid != dag.root).unwrap();
    let provider = provider();
    let full = dag.clone();
    dag.blocks.remove(lost);
    provider.shelf().put_held(dag).unwrap();
    let (fetched, served) = exchange(&provider, &content.cid, content.bytes).await;
    assert!(matches!(fetched, Err(FetchFailure::Truncated)));
    assert!(matches!(served, Err(ServeFailure::Missing { .. })));

    let store = MemoryStore::default();
    store.commit(Batch { blobs: full.blocks, ..Batch::default() }).await.unwrap();
    let provider = Provider::new(Arc::new(store), Ledger::new(Reach::Any, []));
    provider.shelf().put_stored(content.cid, 1_500_000).unwrap();
    let (fetched, served) = exchange(&provider, &content.cid, content.bytes).await;
    assert!(matches!(fetched, Err(FetchFailure::Truncated)));
    assert!(matches!(served, Err(ServeFailure::Dag(DagError::TooLarge { .. }))));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_a_request_is_answered_as_malformed() {
    let request = codec::encode(&Request { root: cid_of(RAW, b"x"), scope: Scope::All, max_bytes: 1 });
    let framed = |body: &[u8]| [&[body.len() as u8][..], body].concat();
    let mut long = framed(&request);
    long.push(0);
    let no_map = framed(&[0x80]);
    for (sent, status) in
        [(framed(&request), 1), (no_map, 4), (framed(&request[..request.len() - 1]), 4), (vec![0], 4), (vec![0x81, 0x02], 4), (vec![0xff; 9], 4)]
    {
        let provider = provider();
        let (mut here, there) = pipe();
        here.write_all(&sent).await.unwrap();
        provider.answer(there, ASKER, false, false).await.unwrap();
        let mut answer = Vec::new();
        here.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, [status], "{sent:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_asker_who_says_nothing_is_left() {
    let (_here, there) = pipe();
    let start = Instant::now();
    assert!(matches!(provider().answer(there, ASKER, false, false).await, Err(ServeFailure::Slow(Slow::Silent))));
    assert!(start.elapsed() <= pace::ASKED_WITHIN + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn content_within_its_cid_needs_nobody() {
    let inline: Cid = "bafkqablimvwgy3y".parse().unwrap();
    let (here, _there) = pipe();
    let blocks = fetch(here, &inline, 5).await.unwrap();
    assert_eq!(assemble(&Content { cid: inline, bytes: 5 }, blocks).unwrap(), b"hello");
}

#[test]
fn each_bound_of_the_quota_refuses_by_name() {
    let (peer, cluster) = (|n: u8| NodeId([n; 32]), |n: u8| Some(Cluster::V4([n, 1, 1])));
    let bounds = Bounds { transfers: 6, transfers_per_peer: 2, transfers_per_cluster: 3, kept_for_work: 2 };
    let mut quota = Quota::new(bounds);
    quota.begin(peer(1), cluster(1), false).unwrap();
    quota.begin(peer(1), cluster(1), false).unwrap();
    assert_eq!(quota.begin(peer(1), cluster(1), false), Err(OverRate::PeerTransfers));
    quota.begin(peer(2), cluster(1), false).unwrap();
    assert_eq!(quota.begin(peer(3), cluster(1), false), Err(OverRate::ClusterTransfers));
    quota.begin(peer(4), cluster(2), false).unwrap();
    assert_eq!(quota.begin(peer(5), cluster(3), false), Err(OverRate::Transfers));
    quota.begin(peer(5), cluster(3), true).unwrap();
    quota.begin(peer(6), cluster(4), true).unwrap();
    assert_eq!(quota.begin(peer(7), cluster(5), true), Err(OverRate::Transfers));
    quota.end(&peer(1), cluster(1));
    assert_eq!(quota.begin(peer(3), cluster(1), true), Ok(()));
}

proptest! {
    #[test]
    fn no_order_of_requests_takes_more_places_than_there_are(steps in prop::collection::vec((0u8..6, 0u8..3, any::<bool>(), any::<bool>()), 0..200)) {
        let bounds = Bounds { transfers: 5, transfers_per_peer: 2, transfers_per_cluster: 3, kept_for_work: 1 };
        let (mut quota, mut running) = (Quota::new(bounds), Vec::new());
        for (peer, network, works, end) in steps {
            let (peer, cluster) = (NodeId([peer; 32]), Some(Cluster::V4([network, 1, 1])));
            if end && let Some((peer, cluster)) = running.pop() {
                quota.end(&peer, cluster);
            }
            if quota.begin(peer, cluster, works).is_ok() {
                running.push((peer, cluster));
            }
            prop_assert!(running.len() <= bounds.transfers);
            prop_assert!(running.iter().filter(|(other, _)| *other == peer).count() <= bounds.transfers_per_peer);
            prop_assert!(running.iter().filter(|(_, other)| *other == cluster).count() <= bounds.transfers_per_cluster);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_block_that_is_no_file_comes_alone_whatever_it_links_to() {
    let store = MemoryStore::default();
    let nowhere = cid_of(RAW, b"an output that stands in the page itself");
    let page = codec::encode(&ipld_core::ipld::Ipld::List(vec![ipld_core::ipld::Ipld::Link(nowhere)]));
    let root = cid_of(station_car::block::DAG_CBOR, &page);
    store.commit(Batch { blobs: vec![(root, page.clone())], ..Batch::default() }).await.unwrap();
    let provider = Provider::new(Arc::new(store), Ledger::new(Reach::Any, []));
    provider.shelf().put_stored(root, 2 << 20).unwrap();
    let (fetched, served) = exchange(&provider, &root, page.len() as u64).await;
    assert_eq!(fetched.unwrap(), [(root, page.clone())]);
    assert!(matches!(served, Ok(Served::Sent { .. })));
    // The size that counts is the block's own, whatever was said of it when it was put on the shelf.
    assert_eq!(ask(&provider, root, page.len() as u64).await, Ok(()));
    assert_eq!(ask(&provider, root, page.len() as u64 - 1).await, Err(Refusal::TooLarge));
    provider.shelf().put_stored(nowhere, 40).unwrap();
    assert_eq!(ask(&provider, nowhere, 1 << 20).await, Err(Refusal::NotFound), "what is not here is refused before anything is promised");
}

/// What the provider says before anything else to a request for `root` of at most `max_bytes`.
async fn ask(provider: &Provider, root: Cid, max_bytes: u64) -> Result<(), Refusal> {
    let (mut here, there) = pipe();
    let asking = async move {
        wire::write_request(&mut here, &Request { root, scope: Scope::All, max_bytes }).await.unwrap();
        let status = wire::read_status(&mut here).await.unwrap();
        here.read_to_end(&mut Vec::new()).await.unwrap();
        status
    };
    join(asking, provider.answer(there, ASKER, false, false)).await.0
}

#[test]
fn the_page_says_how_content_is_served() {
    const DOCUMENT: &str = include_str!("../../../protocols/job/PROTOCOL.md");
    let page = DOCUMENT.split_whitespace().collect::<Vec<_>>().join(" ");
    let bounds = Bounds::default();
    let sentences = [
        format!("of at most {REQUEST_BYTES_MAX} bytes, within {} s", super::pace::ASKED_WITHIN.as_secs()),
        format!("nothing for {} s, or less than {} KiB a second after the first {} s", IDLE.as_secs(), MIN_BYTES_PER_SECOND >> 10, GRACE.as_secs()),
        format!("{} in all, {} of these only for those it works with", bounds.transfers, bounds.kept_for_work),
        format!("content of more than {},{} bytes is `2`", RELAYED_CAR_BYTES_MAX / 1_000, RELAYED_CAR_BYTES_MAX % 1_000),
        format!("up to {},{} roots to serve", SHELF_MAX / 1_000, SHELF_MAX % 1_000),
        format!("raw leaves of {} MiB, at most 1,024 links", station_car::unixfs::CHUNK_BYTES >> 20),
    ];
    for sentence in sentences {
        assert!(page.contains(&sentence), "PROTOCOL.md lacks: {sentence}");
    }
    assert_eq!(station_car::unixfs::LINKS_PER_NODE, 1_024);
    assert_eq!(station_car::dag_bytes_max(6_400), 6_400 + 6_400 / 64 + 65_536, "its bytes, a 64th of them and 65,536");
    assert_eq!((bounds.transfers_per_peer, bounds.transfers_per_cluster), (4, 6));
}
