//! One station's manners, through the fetcher that they stand before.

use station_protocol::SigningKey;
use station_protocol::hostcall::FetchError;
use tokio::time::Instant;

use super::*;
use crate::clock::NOON;
use crate::outside::fake::{Fake, get, response};
use crate::outside::http::{Fetcher, Permit};
use crate::outside::tls::Tls;

struct Polite {
    politeness: Politeness,
    stations: u64,
}

impl Permit for Polite {
    fn permits(&self, _: &str, _: u16) -> bool {
        true
    }
    fn count_redirect(&self) -> bool {
        true
    }
    fn admit<'a>(&'a self, visit: Visit<'a>) -> BoxFuture<'a, Result<(), FetchError>> {
        Box::pin(async move { self.politeness.admit(visit, self.stations, None).await.map_err(|_| FetchError::Quota) })
    }
    fn is_spent(&self) -> bool {
        false
    }
    fn take_bytes(&self, wanted: u64) -> BoxFuture<'_, u64> {
        Box::pin(std::future::ready(wanted))
    }
}

#[derive(Default)]
struct Log(Mutex<Vec<QuotaRecord>>);

impl QuotaLog for Arc<Log> {
    fn reserve(&self, record: QuotaRecord) -> BoxFuture<'static, Result<(), StoreError>> {
        self.0.lock().unwrap().push(record);
        Box::pin(std::future::ready(Ok(())))
    }
}

fn polite(key: u8, stations: u64, per_day: u64, log: &Arc<Log>) -> Polite {
    let node = SigningKey::from_bytes(&[key; 32]).node();
    let quotas = Quotas::restore(per_day, []);
    Polite { politeness: Politeness::new(node, Clock::at(NOON), quotas, Arc::new(log.clone())), stations }
}

/// `file` at /.well-known/station, a page elsewhere; counts both.
fn world(file: &'static str) -> (Arc<Fake>, Arc<Mutex<(u64, u64)>>) {
    let counts = Arc::new(Mutex::new((0, 0)));
    let counted = counts.clone();
    let fake = Fake::default().with_name("example.org", &[&["1.2.3.4"]]).with_exempt("127.0.0.1:4567");
    let answer = move |head: &str| {
        let mut counts = counted.lock().unwrap();
        if head.starts_with("GET /.well-known/station ") {
            counts.0 += 1;
            if file.is_empty() { response("404 Not Found", "", b"") } else { response("200 OK", "", file.as_bytes()) }
        } else {
            counts.1 += 1;
            response("200 OK", "", b"page")
        }
    };
    let answer = Arc::new(answer);
    let again = answer.clone();
    (Arc::new(fake.with_server("1.2.3.4:80", move |head| answer(head)).with_server("127.0.0.1:4567", move |head| again(head))), counts)
}

fn fetcher(outside: &Arc<Fake>) -> Fetcher {
    Fetcher::new(outside.clone(), Tls::default(), "station/test")
}

#[tokio::test(start_paused = true)]
async fn the_file_is_read_once_a_day_and_its_absence_changes_nothing() {
    let (outside, counts) = world("");
    let permit = polite(1, 8, 100, &Arc::default());
    let fetcher = fetcher(&outside);
    for round in 0..3 {
        let fetched = fetcher.fetch(&get("http://example.org/"), &permit).await;
        assert_eq!((fetched.head.error, fetched.head.reused), (None, round > 0), "the file's connection serves no guest");
    }
    assert_eq!(*counts.lock().unwrap(), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn a_target_that_wants_nobody_gets_nobody() {
    let (outside, counts) = world("cap = 0");
    let fetched = fetcher(&outside).fetch(&get("http://example.org/"), &polite(1, 8, 100, &Arc::default())).await;
    assert_eq!(fetched.head.error, Some(FetchError::Quota));
    let fetched = fetcher(&outside).fetch(&get("http://127.0.0.1:4567/"), &polite(1, 8, 100, &Arc::default())).await;
    assert_eq!(fetched.head.error, Some(FetchError::Quota), "honoured by exempt sockets too");
    assert_eq!(*counts.lock().unwrap(), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_stated_cap_lowers_how_many_stations_come_and_cannot_raise_it() {
    let mut came = [0, 0, 0];
    for (place, file) in ["", "cap = 400", "cap = 999999999999"].into_iter().enumerate() {
        for key in 0..60 {
            let (outside, _) = world(file);
            // 1,728 stations with 100 requests each are twice the default cap: half of them may come.
            let fetched = fetcher(&outside).fetch(&get("http://example.org/"), &polite(key, 1_728, 100, &Arc::default())).await;
            came[place] += u32::from(fetched.head.error.is_none());
        }
    }
    assert!((18..=42).contains(&came[0]), "{came:?}");
    assert!(came[1] <= 3, "{came:?}");
    assert_eq!(came[0], came[2]);
}

#[tokio::test(start_paused = true)]
async fn a_station_that_is_not_eligible_contacts_nobody() {
    let (outside, _) = world("");
    let fetched = fetcher(&outside).fetch(&get("http://example.org/"), &polite(1, u64::MAX, 100, &Arc::default())).await;
    assert_eq!((fetched.head.error, outside.connections()), (Some(FetchError::Quota), 0));
}

#[tokio::test(start_paused = true)]
async fn the_daily_quota_is_durable_before_it_is_used() {
    let (outside, counts) = world("");
    let log = Arc::new(Log::default());
    let permit = polite(1, 8, 12, &log);
    let fetcher = fetcher(&outside);
    let mut errors = Vec::new();
    for _ in 0..14 {
        errors.push(fetcher.fetch(&get("http://127.0.0.1:4567/"), &permit).await.head.error);
        assert!(counts.lock().unwrap().1 <= log.0.lock().unwrap().last().unwrap().reserved);
    }
    assert_eq!(errors[..12], [None; 12]);
    assert_eq!(errors[12..], [Some(FetchError::Quota); 2]);
    assert_eq!(log.0.lock().unwrap().iter().map(|record| record.reserved).collect::<Vec<_>>(), [10, 12]);
}

#[tokio::test(start_paused = true)]
async fn a_restarted_station_knows_what_the_file_said_today() {
    for (file, requests) in [("cap = 0", 0), ("cap = 40", 2)] {
        let (outside, counts) = world(file);
        let log = Arc::new(Log::default());
        for life in 0..2 {
            let mut permit = polite(1, 8, 100, &log);
            let records = log.0.lock().unwrap().last().cloned();
            assert_eq!(records.is_some(), life > 0, "durable also where nothing was asked");
            permit.politeness = Politeness::new(permit.politeness.node, Clock::at(NOON), Quotas::restore(100, records), Arc::new(log.clone()));
            let fetched = fetcher(&outside).fetch(&get("http://127.0.0.1:4567/"), &permit).await;
            // The share of one in eight is four requests at a cap of forty, and what is reserved is gone after a restart.
            assert_eq!(fetched.head.error.is_none(), requests > 0 && life == 0, "{file}");
        }
        assert_eq!(*counts.lock().unwrap(), (1, requests / 2), "{file}");
    }
}

#[tokio::test(start_paused = true)]
async fn requests_to_one_domain_queue_and_those_to_exempt_sockets_do_not() {
    let (outside, _) = world("");
    let permit = polite(1, 8, 100, &Arc::default());
    let fetcher = fetcher(&outside);
    let begun = Instant::now();
    for _ in 0..10 {
        let fetched = fetcher.fetch(&get("http://127.0.0.1:4567/"), &permit).await;
        assert_eq!(fetched.head.error, None);
    }
    assert!(begun.elapsed().as_millis() < 100);
    for _ in 0..10 {
        let request = station_protocol::hostcall::FetchRequest { timeout_ms: 100, ..get("http://example.org/") };
        let fetched = fetcher.fetch(&request, &permit).await;
        assert_eq!(fetched.head.error, None, "waiting is not charged to the request");
        assert!(fetched.head.total_us.unwrap() < 100_000);
    }
    assert_eq!(begun.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_target_whose_file_never_comes_costs_a_bounded_wait_once() {
    for (socket, url, most) in [("1.2.3.4:80", "http://example.org/", 3_100), ("127.0.0.1:4567", "http://127.0.0.1:4567/", 300)] {
        let fake = Fake::default().with_name("example.org", &[&["1.2.3.4"]]).with_exempt("127.0.0.1:4567");
        let outside = Arc::new(fake.with_pipe(socket, |mut pipe| async move {
            while let Some(head) = crate::outside::fake::read_head(&mut pipe).await {
                if head.starts_with("GET /.well-known/station ") {
                    std::future::pending::<()>().await;
                }
                let _ = tokio::io::AsyncWriteExt::write_all(&mut pipe, &response("200 OK", "", b"page")).await;
            }
        }));
        let permit = polite(1, 8, 100, &Arc::default());
        let fetcher = fetcher(&outside);
        let begun = Instant::now();
        for _ in 0..2 {
            assert_eq!(fetcher.fetch(&get(url), &permit).await.head.error, None);
        }
        assert!(begun.elapsed().as_millis() < most, "{:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_of_more_than_four_kib_says_nothing() {
    for (bytes, error) in [(4_000, Some(FetchError::Quota)), (4_200, None)] {
        let file: &'static str = format!("cap = 0\n#{}", "x".repeat(bytes)).leak();
        let (outside, _) = world(file);
        let fetched = fetcher(&outside).fetch(&get("http://example.org/"), &polite(1, 8, 100, &Arc::default())).await;
        assert_eq!(fetched.head.error, error, "{bytes}");
    }
}
