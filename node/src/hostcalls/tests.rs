//! The broker as a guest sees it, over a world in memory.

use std::sync::Mutex;

use station_protocol::SigningKey;
use station_protocol::codec;
use station_protocol::content::{Content, DAG_CBOR, cid_of};
use station_protocol::hostcall::{BODY_BYTES_MAX, OPS_MAX};
use station_protocol::limits::Limits;
use tokio::io::AsyncWriteExt;

use super::*;
use crate::clock::{Clock, NOON};
use crate::outside::fake::{Fake, get, read_head, response};
use crate::outside::politeness::Forgetful;
use crate::outside::quota::Quotas;
use crate::tasks::Tasks;

const GATEWAY: &str = "127.0.0.1:4567";
const URL: &str = "http://127.0.0.1:4567/";

/// Permits what its list names, and has a day's budget.
struct Rules {
    hosts: Vec<&'static str>,
    budget: Mutex<u64>,
}

impl Gate for Rules {
    fn permits(&self, _: &Execution, capability: Capability, host: &str, _: u16) -> bool {
        capability == Capability::Http && self.hosts.contains(&host)
    }
    fn per_day(&self, _: &Execution, _: Capability, _: &str, _: u16) -> Option<u64> {
        None
    }
    fn stations(&self, _: &Execution) -> u64 {
        8
    }
    fn take_bytes(&self, wanted: u64) -> BoxFuture<'_, u64> {
        let mut budget = self.budget.lock().unwrap();
        let taken = wanted.min(*budget);
        *budget -= taken;
        Box::pin(std::future::ready(taken))
    }
    fn give_back(&self, bytes: u64) {
        *self.budget.lock().unwrap() += bytes;
    }
    fn expect_bytes(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
    fn is_spent(&self) -> bool {
        *self.budget.lock().unwrap() == 0
    }
    fn contacted(&self, _: &Execution, _: &str, _: u64, _: Option<FetchError>) {}
    fn moved(&self, _: &Execution, _: u64, _: u64) {}
}

fn execution(targets: &[&str]) -> Execution {
    let targets = targets.iter().map(|target| target.parse().unwrap()).collect();
    Execution {
        experiment: cid_of(DAG_CBOR, b"experiment"),
        requester: SigningKey::from_bytes(&[1; 32]).node(),
        contact: Text::cut("mailto:lab@example.org"),
        index: 0,
        module: Content::raw(b"module"),
        profile: station_protocol::bounded::Name::new("station-wasm-2").unwrap(),
        limits: Limits::default(),
        granted: std::iter::once((Capability::Http, List::new(targets).unwrap())).collect(),
        pure: false,
        input: Vec::new(),
    }
}

fn world(body: &'static [u8]) -> Fake {
    Fake::default().with_exempt(GATEWAY).with_server(GATEWAY, move |_| response("200 OK", "", body))
}

fn broker_with(outside: Fake, execution: &Execution, rules: Rules, quota: u64) -> Broker {
    broker_of(outside, execution, Arc::new(rules), quota)
}

fn broker_of(outside: Fake, execution: &Execution, gate: Arc<Rules>, quota: u64) -> Broker {
    let node = SigningKey::from_bytes(&[2; 32]).node();
    let politeness = Politeness::new(node, Clock::at(NOON), Quotas::restore(quota, []), Arc::new(Forgetful), Tasks::new());
    Broker::new(BrokerConfig { gate, vicinity: Vicinity::new(Arc::new(outside)), tls: Tls::default(), politeness }, execution)
}

fn broker(outside: Fake) -> Broker {
    broker_with(outside, &execution(&["127.0.0.1"]), Rules { hosts: vec!["127.0.0.1"], budget: Mutex::new(1 << 40) }, 10_000)
}

async fn submit(broker: &mut Broker, request: &FetchRequest) -> i32 {
    let Reply::Number(handle) = broker.answer(HostCall::Submit { op: HTTP_FETCH.into(), request: codec::encode(request) }).await else {
        panic!("a submit is answered with a number")
    };
    handle
}

async fn wait(broker: &mut Broker, handles: &[i32], timeout_ms: u32) -> i32 {
    let handles = handles.iter().map(|handle| u32::try_from(*handle).unwrap()).collect();
    let Reply::Number(ready) = broker.answer(HostCall::Wait { handles, timeout_ms }).await else { panic!("a wait is answered with a number") };
    ready
}

async fn result(broker: &mut Broker, handle: i32) -> (FetchHead, Vec<u8>) {
    assert_eq!(wait(broker, &[handle], 60_000).await, 0);
    let mut all = Vec::new();
    loop {
        match broker.answer(HostCall::Read { handle: u32::try_from(handle).unwrap(), max: 1_000 }).await {
            Reply::Bytes(bytes) if bytes.is_empty() => break,
            Reply::Bytes(bytes) => {
                assert!(bytes.len() <= 1_000);
                all.extend(bytes);
            }
            Reply::Number(number) => panic!("read answered {number}"),
        }
    }
    let head_end = 4 + u32::from_le_bytes(all[..4].try_into().unwrap()) as usize;
    (codec::decode(&all[4..head_end], 1 << 20).unwrap(), all.split_off(head_end))
}

async fn fetch(broker: &mut Broker, url: &str) -> (FetchHead, Vec<u8>) {
    let handle = submit(broker, &get(url)).await;
    result(broker, handle).await
}

#[tokio::test(start_paused = true)]
async fn a_fetch_is_read_in_pieces_and_stands_in_the_transcript() {
    let mut broker = broker(world(&[7; 3_000]));
    let (head, body) = fetch(&mut broker, URL).await;
    assert_eq!((head.error, head.status, body.len()), (None, Some(200), 3_000));
    let transcript = Transcript::decode(&broker.finish()).unwrap();
    let record = &transcript.records[0];
    assert_eq!((record.url.as_str(), record.status, record.bytes, record.body_sha256), (URL, Some(200), 3_000, head.body_sha256));
    assert_eq!((record.ttfb_us, record.ip.as_deref()), (head.ttfb_us, Some("127.0.0.1")));
}

#[tokio::test(start_paused = true)]
async fn nothing_asked_for_is_no_transcript() {
    assert!(broker(world(b"")).finish().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_target_needs_both_the_experiments_needs_and_the_operators_permission() {
    for (needs, permitted) in [(vec![], vec!["127.0.0.1"]), (vec!["127.0.0.1"], vec![]), (vec!["127.0.0.1:80"], vec!["127.0.0.1"])] {
        let outside = world(b"secret");
        let mut broker = broker_with(outside, &execution(&needs), Rules { hosts: permitted, budget: Mutex::new(1 << 40) }, 10_000);
        let (head, body) = fetch(&mut broker, URL).await;
        assert_eq!((head.error, body.len(), head.status), (Some(FetchError::NotGranted), 0, None), "{needs:?}");
        assert_eq!(Transcript::decode(&broker.finish()).unwrap().records[0].error, Some(FetchError::NotGranted));
    }
}

#[tokio::test(start_paused = true)]
async fn a_redirect_out_of_the_grant_is_not_followed() {
    let outside = Fake::default().with_exempt(GATEWAY).with_exempt("127.0.0.2:4567");
    let outside = outside.with_server(GATEWAY, |_| response("302 Found", "location: http://127.0.0.2:4567/\r\n", b""));
    let mut broker = broker(outside.with_server("127.0.0.2:4567", |_| response("200 OK", "", b"elsewhere")));
    let handle = submit(&mut broker, &FetchRequest { redirects: 5, ..get(URL) }).await;
    let (head, _) = result(&mut broker, handle).await;
    assert_eq!((head.error, head.redirected_to.as_deref()), (Some(FetchError::NotGranted), Some("http://127.0.0.2:4567/")));
}

#[tokio::test(start_paused = true)]
async fn forged_handles_and_senseless_arguments_are_errnos() {
    let mut broker = broker(world(b"x"));
    let number = async |broker: &mut Broker, call| match broker.answer(call).await {
        Reply::Number(number) => -number,
        Reply::Bytes(_) => panic!("bytes"),
    };
    assert_eq!(number(&mut broker, HostCall::Submit { op: "rm".into(), request: vec![] }).await, errno::NOSYS);
    assert_eq!(number(&mut broker, HostCall::Read { handle: 1, max: 1 }).await, errno::BADF);
    assert_eq!(number(&mut broker, HostCall::Close { handle: u32::MAX }).await, errno::BADF);
    assert_eq!(number(&mut broker, HostCall::Wait { handles: vec![], timeout_ms: 0 }).await, errno::INVAL);
    assert_eq!(number(&mut broker, HostCall::Wait { handles: vec![9], timeout_ms: 0 }).await, errno::BADF);
    assert_eq!(number(&mut broker, HostCall::Wait { handles: vec![1; HANDLES_MAX + 1], timeout_ms: 0 }).await, errno::INVAL);
    let handle = submit(&mut broker, &get(URL)).await.unsigned_abs();
    assert_eq!(number(&mut broker, HostCall::Read { handle, max: 1 }).await, errno::AGAIN);
    assert_eq!(number(&mut broker, HostCall::Close { handle }).await, 0);
    assert_eq!(number(&mut broker, HostCall::Close { handle }).await, errno::BADF);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_a_request_is_a_bad_request_as_data() {
    let mut broker = broker(world(b"x"));
    for request in [vec![], vec![0xff; 100], vec![0x81; 100_000], vec![0xa0]] {
        let Reply::Number(handle) = broker.answer(HostCall::Submit { op: HTTP_FETCH.into(), request }).await else { panic!("bytes") };
        assert_eq!(result(&mut broker, handle).await.0.error, Some(FetchError::BadRequest));
    }
}

#[tokio::test(start_paused = true)]
async fn handles_and_operations_are_bounded() {
    let mut broker = broker(world(b"x"));
    for _ in 0..HANDLES_MAX {
        assert!(submit(&mut broker, &get(URL)).await > 0);
    }
    assert_eq!(submit(&mut broker, &get(URL)).await, -errno::MFILE);
    for handle in 1..=64 {
        broker.answer(HostCall::Close { handle }).await;
    }
    for _ in HANDLES_MAX..OPS_MAX {
        let handle = submit(&mut broker, &get(URL)).await;
        assert!(handle > 0, "{handle}");
        broker.answer(HostCall::Close { handle: handle.unsigned_abs() }).await;
    }
    assert_eq!(submit(&mut broker, &get(URL)).await, -errno::DQUOT);
    let transcript = Transcript::decode(&broker.finish()).unwrap();
    assert_eq!(transcript.records.len(), OPS_MAX);
    assert!(transcript.records.iter().all(|record| record.error == Some(FetchError::Cancelled)));
}

#[tokio::test(start_paused = true)]
async fn redirects_count_as_operations() {
    let outside = Fake::default().with_exempt(GATEWAY).with_server(GATEWAY, |_| response("302 Found", "location: /again\r\n", b""));
    let mut broker = broker(outside);
    let mut last = None;
    for _ in 0..=OPS_MAX / 6 {
        let handle = submit(&mut broker, &FetchRequest { redirects: 5, ..get(URL) }).await;
        last = result(&mut broker, handle).await.0.error;
        broker.answer(HostCall::Close { handle: handle.unsigned_abs() }).await;
    }
    assert_eq!(last, Some(FetchError::Quota));
    assert_eq!(Transcript::decode(&broker.finish()).unwrap().records.len(), OPS_MAX);
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_with_the_first_that_is_ready_or_with_its_time() {
    let outside = Fake::default().with_exempt(GATEWAY).with_exempt("127.0.0.1:4568").with_server(GATEWAY, |_| response("200 OK", "", b"x"));
    let outside = outside.with_pipe("127.0.0.1:4568", |mut pipe| async move {
        while read_head(&mut pipe).await.is_some_and(|head| head.contains("station ")) {
            let _ = pipe.write_all(&response("404 Not Found", "", b"")).await;
        }
        std::future::pending::<()>().await;
    });
    let mut broker = broker(outside);
    let slow = submit(&mut broker, &get("http://127.0.0.1:4568/")).await;
    let quick = submit(&mut broker, &get(URL)).await;
    assert_eq!(wait(&mut broker, &[slow, quick], 5_000).await, 1);
    let begun = Instant::now();
    assert_eq!(wait(&mut broker, &[slow], 500).await, -errno::TIMEDOUT);
    assert_eq!(begun.elapsed().as_millis(), 500);
    assert_eq!(wait(&mut broker, &[slow], u32::MAX).await, 0, "the operation's own deadline ends it");
    let transcript = Transcript::decode(&broker.finish()).unwrap();
    assert_eq!(transcript.records.iter().map(|record| record.error).collect::<Vec<_>>(), [None, Some(FetchError::Timeout)]);
}

#[tokio::test(start_paused = true)]
async fn operations_advance_while_the_guest_computes() {
    let mut broker = broker(world(b"x"));
    let handle = submit(&mut broker, &get(URL)).await;
    let _ = tokio::time::timeout(Duration::from_secs(1), broker.drive()).await;
    let begun = Instant::now();
    assert_eq!(wait(&mut broker, &[handle], 0).await, 0);
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert!(result(&mut broker, handle).await.0.total_us.unwrap() < 100_000);
}

#[tokio::test(start_paused = true)]
async fn what_the_guest_did_not_wait_for_is_in_the_transcript() {
    let mut broker = broker(world(b"x"));
    submit(&mut broker, &get(URL)).await;
    let transcript = Transcript::decode(&broker.finish()).unwrap();
    assert_eq!((transcript.records[0].url.as_str(), transcript.records[0].error), (URL, Some(FetchError::Cancelled)));
}

#[tokio::test(start_paused = true)]
async fn bytes_are_bounded_by_the_job_and_by_the_operators_day() {
    let body: &'static [u8] = &[7; 10_000];
    let head = response("200 OK", "", body).len() as u64 - 10_000;
    let mut small = execution(&["127.0.0.1"]);
    small.limits.in_bytes = 15_000 + 2 * head;
    let mut broker = broker_of(world(body), &small, Arc::new(rules(1 << 40)), 10_000);
    let mut seen = Vec::new();
    for _ in 0..3 {
        let (head, body) = fetch(&mut broker, URL).await;
        seen.push((head.error, body.len()));
    }
    assert_eq!(seen, [(None, 10_000), (Some(FetchError::TooLarge), 5_000), (Some(FetchError::Quota), 0)]);
    let day = Arc::new(rules(30_000));
    let mut broker = broker_of(world(body), &execution(&["127.0.0.1"]), day.clone(), 10_000);
    let mut bodies = 0;
    while let (None | Some(FetchError::TooLarge), body) = {
        let (head, body) = fetch(&mut broker, URL).await;
        (head.error, body.len())
    } {
        bodies += body;
    }
    drop(broker);
    let passed = 30_000 - *day.budget.lock().unwrap();
    assert!(bodies >= 10_000 && (bodies as u64) < passed && passed <= 30_000, "{bodies} of {passed}");
}

fn rules(budget: u64) -> Rules {
    Rules { hosts: vec!["127.0.0.1"], budget: Mutex::new(budget) }
}

/// What a server may send beside bodies, and the most that comes in of it before the fetch is given up.
#[tokio::test(start_paused = true)]
async fn what_is_not_body_is_paid_for_and_bounded() {
    let floods: [(&'static str, &'static [u8], FetchError); 4] = [
        ("heads that announce", b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n", FetchError::TooLarge),
        ("chunk frames", b"1;a=b\r\nx\r\n", FetchError::TooLarge),
        ("trailers", b"x: y\r\n", FetchError::Protocol),
        ("a body of which little is wanted", b"xxxxxxxxxxxxxxxx", FetchError::TooLarge),
    ];
    for (what, piece, error) in floods {
        let begin: &[u8] = match what {
            "heads that announce" => b"",
            "chunk frames" => b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "trailers" => b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n",
            _ => b"HTTP/1.1 200 OK\r\n\r\n",
        };
        let outside = Fake::default().with_exempt(GATEWAY).with_pipe(GATEWAY, move |mut pipe| async move {
            let Some(head) = read_head(&mut pipe).await else { return };
            if head.contains("station ") {
                return;
            }
            let _ = pipe.write_all(begin).await;
            let many = piece.repeat(100);
            while pipe.write_all(&many).await.is_ok() {}
        });
        let mut execution = execution(&["127.0.0.1"]);
        execution.limits.in_bytes = 1 << 30;
        let gate = Arc::new(rules(1 << 40));
        let mut broker = broker_of(outside, &execution, gate.clone(), 10_000);
        let handle = submit(&mut broker, &FetchRequest { max_bytes: 1_000, ..get(URL) }).await;
        assert_eq!(result(&mut broker, handle).await.0.error, Some(error), "{what}");
        drop(broker);
        let passed = (1 << 40) - *gate.budget.lock().unwrap();
        assert!(passed > 1_000 && passed < 140_000, "{what}: {passed}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_execution_asks_sixty_four_targets_and_no_more() {
    let mut fake = Fake::default();
    for number in 0..70 {
        let socket = format!("127.0.0.1:{}", 5_000 + number);
        fake = fake.with_exempt(&socket).with_server(&socket, |_| response("200 OK", "", b"x"));
    }
    let mut broker = broker(fake);
    let mut answered = 0;
    for number in 0..70 {
        let handle = submit(&mut broker, &get(&format!("http://127.0.0.1:{}/", 5_000 + number))).await;
        answered += usize::from(result(&mut broker, handle).await.0.error.is_none());
        broker.answer(HostCall::Close { handle: handle.unsigned_abs() }).await;
    }
    assert_eq!(answered, 64);
}

#[tokio::test(start_paused = true)]
async fn a_guest_sends_no_more_than_it_may() {
    let outside = Fake::default().with_exempt(GATEWAY).with_server(GATEWAY, |_| response("200 OK", "", b""));
    let gate = Arc::new(rules(1 << 40));
    let mut broker = broker_of(outside, &execution(&["127.0.0.1"]), gate.clone(), 10_000);
    let long: Vec<_> = ["accept", "prefer", "if-none-match"].iter().map(|name| (Text::cut(name), Text::cut(&"x".repeat(1_024)))).collect();
    let url = format!("{URL}{}", "y".repeat(2_000));
    let request = FetchRequest { headers: List::new(long).unwrap(), ..get(&url) };
    let mut last = None;
    for _ in 0..OPS_MAX {
        let handle = submit(&mut broker, &request).await;
        last = result(&mut broker, handle).await.0.error;
        broker.answer(HostCall::Close { handle: handle.unsigned_abs() }).await;
    }
    assert_eq!(last, Some(FetchError::Quota));
    drop(broker);
    let passed = (1 << 40) - *gate.budget.lock().unwrap();
    assert!(passed < 5 << 20, "{passed}");
}

#[tokio::test(start_paused = true)]
async fn bodies_in_memory_are_bounded_until_their_handles_are_closed() {
    let outside = Fake::default().with_exempt(GATEWAY).with_pipe(GATEWAY, |mut pipe| async move {
        let Some(head) = read_head(&mut pipe).await else { return };
        if head.contains("station ") {
            return;
        }
        let _ = pipe.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        let piece = vec![7; 1 << 20];
        while pipe.write_all(&piece).await.is_ok() {}
    });
    let mut execution = execution(&["127.0.0.1"]);
    execution.limits.in_bytes = 1 << 30;
    let mut broker = broker_with(outside, &execution, Rules { hosts: vec!["127.0.0.1"], budget: Mutex::new(1 << 40) }, 10_000);
    let mut sizes = Vec::new();
    let request = FetchRequest { max_bytes: u64::MAX, ..get(URL) };
    for round in 0..4 {
        if round == 3 {
            broker.answer(HostCall::Close { handle: 1 }).await;
        }
        let handle = submit(&mut broker, &request).await;
        assert_eq!(wait(&mut broker, &[handle], 60_000).await, 0);
        let Some(Handle::Ready { bytes, .. }) = broker.handles.get(&handle.unsigned_abs()) else { panic!("not ready") };
        sizes.push(bytes.len() as u64 >> 20);
    }
    let whole = BODY_BYTES_MAX >> 20;
    assert_eq!(sizes, [whole, whole, 0, whole]);
}

#[tokio::test(start_paused = true)]
async fn the_stations_daily_quota_for_a_target_holds_across_executions() {
    let node = SigningKey::from_bytes(&[2; 32]).node();
    let politeness = Politeness::new(node, Clock::at(NOON), Quotas::restore(3, []), Arc::new(Forgetful), Tasks::new());
    let mut errors = Vec::new();
    for _ in 0..4 {
        let gate = Arc::new(Rules { hosts: vec!["127.0.0.1"], budget: Mutex::new(1 << 40) });
        let config = BrokerConfig { gate, vicinity: Vicinity::new(Arc::new(world(b"x"))), tls: Tls::default(), politeness: politeness.clone() };
        let mut broker = Broker::new(config, &execution(&["127.0.0.1"]));
        errors.push(fetch(&mut broker, URL).await.0.error);
    }
    assert_eq!(errors, [None, None, None, Some(FetchError::Quota)]);
}

#[tokio::test(start_paused = true)]
async fn progress_is_kept_ten_times_a_second_and_checkpoints_up_to_a_block() {
    let mut broker = broker(world(b"x"));
    for permille in 0..1_000 {
        let call = HostCall::Progress { permille, message: "m".repeat(1_000) };
        assert_eq!(broker.answer(call).await, Reply::Number(0));
    }
    assert_eq!(broker.progress().map(|progress| (progress.permille, progress.message.len())), Some((0, 256)));
    tokio::time::advance(PROGRESS_INTERVAL).await;
    broker.answer(HostCall::Progress { permille: 5_000, message: String::new() }).await;
    assert_eq!(broker.progress().map(|progress| progress.permille), Some(1_000));
    assert_eq!(broker.answer(HostCall::Checkpoint { bytes: vec![1; CHECKPOINT_BYTES_MAX] }).await, Reply::Number(0));
    assert_eq!(broker.answer(HostCall::Checkpoint { bytes: vec![2; CHECKPOINT_BYTES_MAX + 1] }).await, Reply::Number(-errno::DQUOT));
    assert_eq!(broker.checkpoint().map(|bytes| (bytes[0], bytes.len())), Some((1, CHECKPOINT_BYTES_MAX)));
}

#[tokio::test(start_paused = true)]
async fn no_wait_goes_beyond_the_executions_wall_clock() {
    let outside = Fake::default().with_exempt(GATEWAY).with_pipe(GATEWAY, |pipe| async move {
        let _pipe = pipe;
        std::future::pending::<()>().await;
    });
    let mut broker = broker(outside);
    let begun = Instant::now();
    tokio::time::advance(Duration::from_secs(50)).await;
    let handle = submit(&mut broker, &FetchRequest { timeout_ms: u64::MAX, ..get(URL) }).await;
    assert_eq!(wait(&mut broker, &[handle], u32::MAX).await, -errno::TIMEDOUT);
    assert_eq!(begun.elapsed().as_secs(), Limits::default().wall_ms / 1_000);
}
