//! The operator's say through a real broker's eyes, over a disk that crashes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt;
use station_protocol::SigningKey;
use station_protocol::bounded::{List, Name, Text};
use station_protocol::content::{Content, DAG_CBOR, cid_of};
use station_protocol::hostcall::{FetchError, FetchHead, HTTP_FETCH};
use station_protocol::limits::Limits;
use station_protocol::time::CountedDay;
use station_sandbox::{HostCall as Call, Reply};

use super::*;
use crate::clock::NOON;
use crate::library::bundled_names;
use crate::outside::fake::{Fake, get, response};
use crate::store::MemoryStore;

const GATEWAY: &str = "127.0.0.1:4567";
const URL: &str = "http://127.0.0.1:4567/";
/// What the gateway answers.
const BODY: &[u8] = &[7; 100_000];
/// Day in the fake past of [`Restored`] tests.
const TODAY: u64 = 20_000;

fn policy(text: &str) -> Policy {
    Policy::parse(text, &bundled_names()).expect("a good policy")
}

fn allowing(budget: &str) -> Policy {
    policy(&format!(
        "[budget]\nbytes_per_day = \"{budget}\"\n[[allow]]\nmodule = \"gateway-check\"\ncapability = \"http\"\ntargets = [\"{GATEWAY}\"]\n"
    ))
}

fn execution() -> Execution {
    let target = GATEWAY.parse().expect("a target");
    Execution {
        experiment: cid_of(DAG_CBOR, b"experiment"),
        requester: SigningKey::from_bytes(&[1; 32]).node(),
        contact: Text::cut("mailto:lab@example.org"),
        index: 0,
        module: Content { cid: bundled_names()[&Name::new("gateway-check").expect("a name")][0], bytes: 1 },
        profile: Name::new("station-wasm-2").expect("a name"),
        limits: Limits::default(),
        granted: std::iter::once((Capability::Http, List::new(vec![target]).expect("one target"))).collect(),
        pure: false,
        input: Vec::new(),
    }
}

fn world() -> Arc<Fake> {
    counting_world().0
}

/// The same, counting the guests' requests: a target's own file may be asked for before them.
fn counting_world() -> (Arc<Fake>, Arc<AtomicU64>) {
    let requests = Arc::new(AtomicU64::new(0));
    let counted = requests.clone();
    let answer = move |head: &str| {
        counted.fetch_add(u64::from(head.starts_with("GET / ")), Ordering::Relaxed);
        if head.starts_with("GET / ") { response("200 OK", "", BODY) } else { response("404 Not Found", "", b"") }
    };
    (Arc::new(Fake::default().with_exempt(GATEWAY).with_server(GATEWAY, answer)), requests)
}

async fn host(policy: Policy, store: &MemoryStore, outside: Arc<Fake>) -> Host {
    let node = SigningKey::from_bytes(&[2; 32]).node();
    Host::new(outside, node, policy, Clock::at(NOON), Arc::new(store.clone()), Tasks::new()).await.expect("the disk works")
}

/// One fetch by a guest: what became of it, and how many bytes it saw.
async fn fetch(broker: &mut Broker) -> (Option<FetchError>, u64) {
    let Reply::Number(handle) = broker.answer(Call::Submit { op: HTTP_FETCH.into(), request: codec::encode(&get(URL)) }).await else {
        panic!("a submit is answered with a number")
    };
    let handle = u32::try_from(handle).expect("a handle");
    assert_eq!(broker.answer(Call::Wait { handles: vec![handle], timeout_ms: 60_000 }).await, Reply::Number(0));
    let Reply::Bytes(bytes) = broker.answer(Call::Read { handle, max: 1 << 20 }).await else { panic!("it is ready") };
    let end = 4 + u32::from_le_bytes(bytes[..4].try_into().expect("four bytes")) as usize;
    let head: FetchHead = codec::decode(&bytes[4..end], 1 << 20).expect("our own head");
    assert_eq!(broker.answer(Call::Close { handle }).await, Reply::Number(0));
    (head.error, head.bytes)
}

/// Fetches until one is refused or cut off: the bytes that came in all.
async fn fetch_all(host: &Host) -> u64 {
    let mut all = 0;
    loop {
        let mut broker = host.broker(&execution());
        let (error, bytes) = fetch(&mut broker).await;
        all += bytes;
        if error.is_some() {
            return all;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_changed_policy_holds_from_the_next_host_call_of_a_running_job() {
    let (outside, requests) = counting_world();
    let host = host(allowing("1GiB"), &MemoryStore::default(), outside).await;
    let mut broker = host.broker(&execution());
    assert_eq!(fetch(&mut broker).await, (None, BODY.len() as u64));
    host.set_policy(policy(""));
    assert_eq!(fetch(&mut broker).await, (Some(FetchError::NotGranted), 0));
    host.set_policy(allowing("1GiB"));
    assert_eq!(fetch(&mut broker).await.0, None);
    assert_eq!(requests.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_days_bytes_end_exactly_at_the_budget_heads_and_requests_included() {
    let outside = world();
    let host = host(allowing("1MiB"), &MemoryStore::default(), outside.clone()).await;
    let bodies = fetch_all(&host).await;
    assert!(host.operator.is_spent());
    // Eleven connections with some 200 bytes of heads each way, and the file that was not there.
    assert!(bodies < (1 << 20) - 11 * 100 && bodies > (1 << 20) - 11 * 400, "{bodies}");
    let before = outside.connections();
    assert_eq!(fetch(&mut host.broker(&execution())).await, (Some(FetchError::Quota), 0));
    assert_eq!(outside.connections(), before, "nobody is asked for what may not come in");
}

#[tokio::test(start_paused = true)]
async fn a_restart_gives_no_bytes_anew_and_loses_at_most_a_block() {
    for fetches in 1..=12 {
        let store = MemoryStore::default();
        let first = host(allowing("2MiB"), &store, world()).await;
        let mut came = 0;
        for _ in 0..fetches {
            came += fetch(&mut first.broker(&execution())).await.1;
        }
        let again = host(allowing("2MiB"), &store.crash(), world()).await;
        came += fetch_all(&again).await;
        assert!(came <= 2 << 20, "{came} after {fetches}");
        assert!(came > (2 << 20) - (64 << 10) - (16 << 10) - 25 * 400, "a block is 64 KiB here: {came} after {fetches}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_spent_day_stays_spent_after_a_restart() {
    let store = MemoryStore::default();
    let first = host(allowing("1MiB"), &store, world()).await;
    fetch_all(&first).await;
    let again = host(allowing("1MiB"), &store.crash(), world()).await;
    assert_eq!(fetch(&mut again.broker(&execution())).await, (Some(FetchError::Quota), 0));
}

#[tokio::test(start_paused = true)]
async fn bytes_are_not_let_in_before_their_reservation_is_durable() {
    let store = MemoryStore::new(Duration::from_secs(5));
    let host = host(allowing("1GiB"), &store, world()).await;
    let mut taking = host.operator.take_bytes(1_000);
    assert_eq!((&mut taking).now_or_never(), None, "the disk is not done");
    let crashed = store.crash();
    assert_eq!(crashed.load(Table::Node).await, Ok(Vec::new()), "nothing was promised, nothing was let in");
    assert_eq!(taking.await, 0, "a disk that failed lets nothing in");
}

#[tokio::test(start_paused = true)]
async fn who_comes_while_a_reservation_is_written_waits_for_that_one() {
    let store = MemoryStore::new(Duration::from_secs(5));
    let host = host(allowing("1GiB"), &store, world()).await;
    let begun = tokio::time::Instant::now();
    let taken = futures::future::join_all((0..10).map(|_| host.operator.take_bytes(1_000))).await;
    assert_eq!(taken, [1_000; 10]);
    assert_eq!(begun.elapsed(), Duration::from_secs(5), "one transaction for all");
}

#[tokio::test(start_paused = true)]
async fn room_that_was_made_before_a_request_lets_its_bytes_in_at_once() {
    let store = MemoryStore::new(Duration::from_secs(5));
    let host = host(allowing("1GiB"), &store, world()).await;
    host.operator.expect_bytes().await;
    assert_eq!(host.operator.take_bytes(8 << 20).now_or_never(), Some(8 << 20));
}

#[tokio::test(start_paused = true)]
async fn a_record_of_bytes_that_cannot_be_read_leaves_none_for_today() {
    let store = MemoryStore::default();
    let spoilt = (Table::Node, Key(BYTES_KEY.to_vec()), b"not DAG-CBOR".to_vec());
    store.commit(Batch { puts: vec![spoilt], ..Batch::default() }).await.expect("the disk works");
    let host = host(allowing("1GiB"), &store, world()).await;
    assert_eq!(fetch(&mut host.broker(&execution())).await, (Some(FetchError::Quota), 0));
}

#[tokio::test(start_paused = true)]
async fn a_quota_is_durable_before_the_request_it_covers_and_holds_after_a_restart() {
    let store = MemoryStore::default();
    let first = host(allowing("1GiB"), &store, world()).await;
    assert_eq!(fetch(&mut first.broker(&execution())).await.0, None);
    let records = store.crash();
    let kept = records.load(Table::Node).await.expect("the disk works");
    let kept: Vec<QuotaRecord> =
        kept.iter().filter(|(key, _)| key.0.starts_with(QUOTA_KEY)).map(|(_, value)| codec::decode(value, RECORD_BYTES_MAX).expect("ours")).collect();
    assert!(matches!(&kept[..], [record] if record.read.len() == 1 && record.target.as_str() == GATEWAY && record.reserved >= 1), "{kept:?}");
    let again = host(allowing("1GiB"), &records, world()).await;
    let mut sent = 0;
    while fetch(&mut again.broker(&execution())).await.0.is_none() {
        sent += 1;
    }
    assert!(sent < TARGET_QUOTA_PER_DAY, "the first request is not forgotten: {sent}");
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_quota_cannot_be_made_durable_is_not_sent() {
    let (store, (outside, requests)) = (MemoryStore::default(), counting_world());
    let host = host(allowing("1GiB"), &store, outside).await;
    store.fail("the disk is full");
    assert_eq!(fetch(&mut host.broker(&execution())).await, (Some(FetchError::Quota), 0));
    assert_eq!(requests.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_quota_that_cannot_be_read_means_the_target_is_not_asked_today() {
    for value in [b"not DAG-CBOR".to_vec(), codec::encode(&QuotaRecord::spent(Target::filed("elsewhere".into()), 0))] {
        let (store, (outside, requests)) = (MemoryStore::default(), counting_world());
        let key = Key([QUOTA_KEY, GATEWAY.as_bytes()].concat());
        store.commit(Batch { puts: vec![(Table::Node, key, value)], ..Batch::default() }).await.expect("the disk works");
        let host = host(allowing("1GiB"), &store, outside).await;
        assert_eq!(fetch(&mut host.broker(&execution())).await, (Some(FetchError::Quota), 0));
        assert_eq!(requests.load(Ordering::Relaxed), 0);
    }
}

#[test]
fn a_spoilt_quota_is_over_tomorrow() {
    let target = Target::filed("example.org".into());
    let mut quotas = Quotas::restore(100, [quota(b"example.org", b"spoilt", TODAY)]);
    assert!(quotas.take(&target, TODAY).is_err());
    assert!(quotas.take(&target, TODAY + 1).is_ok());
}

#[tokio::test(start_paused = true)]
async fn records_of_days_gone_by_are_deleted_and_take_nobodys_place() {
    let store = MemoryStore::default();
    let today = NOON.day();
    let puts = (0..10_u64).map(|number| {
        let record = QuotaRecord {
            target: Target::filed(format!("t{number}.example")),
            day: CountedDay::of(today - number.min(1)),
            reserved: 10,
            cap: None,
            read: List::default(),
        };
        (Table::Node, Key([QUOTA_KEY, record.target.as_str().as_bytes()].concat()), codec::encode(&record))
    });
    let other = (Table::Node, Key(b"reputation".to_vec()), b"not a quota".to_vec());
    store.commit(Batch { puts: puts.chain([other]).collect(), ..Batch::default() }).await.expect("the disk works");
    host(allowing("1GiB"), &store, world()).await;
    let kept: Vec<_> = store.load(Table::Node).await.expect("the disk works").into_iter().map(|(key, _)| key.0).collect();
    assert_eq!(kept, [[QUOTA_KEY, b"t0.example"].concat(), b"reputation".to_vec()]);
}

#[tokio::test(start_paused = true)]
async fn a_station_that_runs_for_days_keeps_the_records_of_today_alone() {
    let store = MemoryStore::default();
    let host = host(allowing("1GiB"), &store, world()).await;
    let log = StoredQuotas(Arc::new(store.clone()));
    let name = Target::filed("yesterday.example".into());
    log.reserve(QuotaRecord::spent(name.clone(), NOON.day())).await.expect("the disk works");
    assert_eq!(fetch(&mut host.broker(&execution())).await.0, None);
    log.forget(vec![name]).await.expect("the disk works");
    let kept = store.load(Table::Node).await.expect("the disk works");
    let kept: Vec<_> = kept.iter().filter(|(key, _)| key.0.starts_with(QUOTA_KEY)).map(|(key, _)| &key.0[QUOTA_KEY.len()..]).collect();
    assert_eq!(kept, [GATEWAY.as_bytes()]);
}

#[tokio::test(start_paused = true)]
async fn where_peers_see_the_station_and_what_it_announces_is_out_of_bounds() {
    let host = host(allowing("1GiB"), &MemoryStore::default(), world()).await;
    let ip = |text: &str| text.parse().expect("an address");
    host.seen(Cluster::V4([9, 9, 9]), ip("8.8.8.8"));
    host.announced(ip("8.8.4.4"));
    let near = |text: &str| host.broker.vicinity.judge([ip(text)]).is_err();
    assert_eq!([near("8.8.8.8"), near("8.8.4.4"), near("1.1.1.1")], [true, true, false]);
}

#[tokio::test(start_paused = true)]
async fn the_cap_of_a_target_is_shared_among_the_stations_counted() {
    let host = host(allowing("1GiB"), &MemoryStore::default(), world()).await;
    host.counted(0);
    assert_eq!(host.operator.stations(&execution()), 1, "at least this one");
    assert_eq!(fetch(&mut host.broker(&execution())).await.0, None);
    host.counted(u64::MAX);
    assert_eq!(fetch(&mut host.broker(&execution())).await.0, Some(FetchError::Quota));
}

fn contacts(host: &Host) -> Vec<(String, u64, u64)> {
    let pages = host.activity(Time(0));
    let rows = pages.iter().flat_map(|(_, page)| page.rows.values());
    rows.flat_map(|row| &row.hosts).map(|(name, contact)| (name.to_string(), contact.requests, contact.refused.values().sum())).collect()
}

#[tokio::test(start_paused = true)]
async fn the_ledger_has_what_a_guest_contacted_and_what_it_was_refused() {
    let host = host(allowing("1GiB"), &MemoryStore::default(), world()).await;
    let mut broker = host.broker(&execution());
    assert_eq!(fetch(&mut broker).await.0, None);
    host.set_policy(policy(""));
    assert_eq!(fetch(&mut broker).await.0, Some(FetchError::NotGranted));
    assert_eq!(contacts(&host), [("127.0.0.1".to_owned(), 1, 1)]);
    // What the station could not do itself reached nobody.
    host.broker.gate.contacted(&execution(), "https://never.example/", 0, Some(FetchError::StationFailed));
    assert_eq!(contacts(&host).len(), 1);
    // The guest is ended: what went over its sockets is known then.
    drop(broker);
    host.ran(&execution(), &Err(StationFailure::Stopped), Some(20), 30);
    host.ran(&execution(), &Err(StationFailure::NotNow), None, 5);
    let pages = host.activity(Time(0));
    let row = pages[0].1.rows.values().next().expect("a row");
    assert!(row.in_bytes > BODY.len() as u64 && row.out_bytes > 0, "heads too: {row:?}");
    assert_eq!((row.jobs(), row.ended[&Ended::Stopped], row.cpu_ms), (1, 1, 20), "what did not begin is no job");
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_is_stopped_in_the_middle_of_a_request_contacted_its_host_all_the_same() {
    let silent = Arc::new(Fake::default().with_exempt(GATEWAY).with_server(GATEWAY, |_| Vec::new()));
    let host = host(allowing("1GiB"), &MemoryStore::default(), silent).await;
    let mut broker = host.broker(&execution());
    let Reply::Number(handle) = broker.answer(Call::Submit { op: HTTP_FETCH.into(), request: codec::encode(&get(URL)) }).await else {
        panic!("a submit is answered with a number")
    };
    assert!(handle > 0);
    drop(broker);
    assert_eq!(contacts(&host), [("127.0.0.1".to_owned(), 1, 0)]);
}

#[tokio::test(start_paused = true)]
async fn the_ledger_is_written_seldom_and_read_again() {
    let store = MemoryStore::default();
    let first = host(allowing("1GiB"), &store, world()).await;
    let mut written = 0;
    for _ in 0..1_000 {
        first.ran(&execution(), &Err(StationFailure::Stopped), Some(1), 1);
        if let Some(batch) = first.unwritten(false) {
            store.commit(batch).await.expect("the disk works");
            written += 1;
        }
    }
    assert_eq!(written, 1, "the rest waits for five minutes");
    store.commit(first.unwritten(true).expect("something changed")).await.expect("the disk works");
    let again = host(allowing("1GiB"), &store.crash(), world()).await;
    assert_eq!(again.activity(Time(0)), first.activity(Time(0)));
}

#[test]
fn records_of_a_clock_a_year_ahead_are_put_right_on_the_disk_and_over_tomorrow() {
    let (key, ahead) = (Key([QUOTA_KEY, b"a.example"].concat()), TODAY + 365);
    let record = QuotaRecord::spent(Target::filed("a.example".into()), ahead);
    let records =
        vec![(Key(BYTES_KEY.to_vec()), codec::encode(&BytesRecord { day: CountedDay::of(ahead), reserved: 7 })), (key, codec::encode(&record))];
    let mut first = Restored::of(records, TODAY);
    assert_eq!((first.put_right.len(), first.stale.len(), first.quotas[0].day.day(), first.bytes.used(TODAY)), (2, 0, TODAY, 7));
    let records: Records = first.put_right.into_iter().map(|(_, key, value)| (key, value)).collect();
    let again = |today| {
        let mut again = Restored::of(records.clone(), today);
        (again.put_right.len(), again.stale.len(), again.quotas.len(), again.bytes.used(today))
    };
    assert_eq!(again(TODAY), (0, 0, 1, 7), "a second start today changes nothing");
    assert_eq!(again(TODAY + 1), (0, 1, 0, 0));
}
