//! One station's manners, through the fetcher that they stand before.

use station_protocol::SigningKey;
use station_protocol::hostcall::{FetchError, FetchRequest};
use station_protocol::time::{DAY, Time};
use tokio::time::Instant;

use super::*;
use crate::clock::NOON;
use crate::outside::fake::{Counting, Fake, get, read_head, response};
use crate::outside::http::{Fetcher, Permit};
use crate::outside::tls::Tls;
use crate::outside::trouble::Trouble;
use crate::outside::vicinity::Vicinity;

struct Polite {
    politeness: Arc<Politeness>,
    stations: u64,
    purse: Arc<Counting>,
}

impl Polite {
    fn errand(&self) -> Errand {
        Errand { stations: self.stations, per_day: None, purse: self.purse.clone() }
    }
}

impl Permit for Polite {
    fn permits(&self, _: &str, _: u16) -> bool {
        true
    }
    fn count_redirect(&self) -> bool {
        true
    }
    fn admit<'a>(&'a self, visit: Visit<'a>) -> BoxFuture<'a, Result<(), Trouble>> {
        Box::pin(async move { self.politeness.admit(visit, &self.errand()).await.map_err(|_| FetchError::Quota.into()) })
    }
    fn arrive<'a>(&'a self, visit: Visit<'a>, ip: IpAddr) -> BoxFuture<'a, Result<(), Trouble>> {
        Box::pin(async move { self.politeness.arrive(visit, ip, &self.errand()).await.map_err(|_| FetchError::Quota.into()) })
    }
    fn is_spent(&self) -> bool {
        false
    }
    fn purse(&self) -> Arc<dyn Purse> {
        Arc::<Counting>::default()
    }
    fn keep(&self, wanted: u64) -> u64 {
        wanted
    }
}

#[derive(Default)]
struct Log(Mutex<Vec<QuotaRecord>>);

impl QuotaLog for Arc<Log> {
    fn reserve(&self, record: QuotaRecord) -> BoxFuture<'static, Result<(), StoreError>> {
        self.0.lock().unwrap().push(record);
        Box::pin(std::future::ready(Ok(())))
    }
    fn forget(&self, targets: Vec<Target>) -> BoxFuture<'static, Result<(), StoreError>> {
        self.0.lock().unwrap().retain(|record| !targets.contains(&record.target));
        Box::pin(std::future::ready(Ok(())))
    }
}

fn polite(key: u8, stations: u64, per_day: u64, log: &Arc<Log>) -> Polite {
    let node = SigningKey::from_bytes(&[key; 32]).node();
    let quotas = Quotas::restore(per_day, []);
    Polite { politeness: Politeness::new(node, Clock::at(NOON), quotas, Arc::new(log.clone()), Tasks::new()), stations, purse: Arc::default() }
}

/// A log that takes what a station writes down, and what it would find after a crash.
fn found(log: &Log) -> Vec<QuotaRecord> {
    let last = log.0.lock().unwrap().iter().map(|record| (record.target.clone(), record.clone())).collect::<BTreeMap<_, _>>();
    last.into_values().collect()
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
    Fetcher::new(Vicinity::new(outside.clone()), Tls::default(), "station/test")
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
        let (read, asked) = *counts.lock().unwrap();
        assert!(read + asked <= found(&log)[0].reserved);
    }
    assert_eq!(errors[..12], [None; 12]);
    assert_eq!(errors[12..], [Some(FetchError::Quota); 2]);
    // When the reading began and when it was known what the file says, then a block and what is left of the quota and the reading.
    assert_eq!(log.0.lock().unwrap().iter().map(|record| record.reserved).collect::<Vec<_>>(), [10, 10, 13]);
}

#[tokio::test(start_paused = true)]
async fn a_restarted_station_knows_what_the_file_said_today() {
    for (file, requests) in [("cap = 0", 0), ("cap = 400", 2)] {
        let (outside, counts) = world(file);
        let log = Arc::new(Log::default());
        for _ in 0..2 {
            let mut permit = polite(1, 8, 100, &log);
            permit.politeness = again(&permit, found(&log), &log);
            let fetched = fetcher(&outside).fetch(&get("http://127.0.0.1:4567/"), &permit).await;
            assert_eq!(fetched.head.error.is_none(), requests > 0, "{file}");
        }
        assert_eq!(*counts.lock().unwrap(), (1, requests), "{file}");
    }
}

/// The manners of the same station after it was started again.
fn again(before: &Polite, records: Vec<QuotaRecord>, log: &Arc<Log>) -> Arc<Politeness> {
    Politeness::new(before.politeness.node, Clock::at(NOON), Quotas::restore(100, records), Arc::new(log.clone()), Tasks::new())
}

/// Begins fetches of `url` and gives each up when it had no answer after 30 ms, as a guest can.
async fn begin_and_cancel(outside: &Arc<Fake>, permit: &Polite, url: &str, times: usize) {
    for _ in 0..times {
        let fetcher = fetcher(outside);
        let _ = tokio::time::timeout(Duration::from_millis(30), fetcher.fetch(&get(url), permit)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_cancels_cannot_have_the_file_read_twice() {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = heads.clone();
    let fake = Fake::default().with_name("example.org", &[&["1.2.3.4"]]).with_pipe("1.2.3.4:80", move |mut pipe| {
        let seen = seen.clone();
        async move {
            while let Some(head) = read_head(&mut pipe).await {
                seen.lock().unwrap().push(head);
                std::future::pending::<()>().await;
            }
        }
    });
    let (outside, log) = (Arc::new(fake), Arc::new(Log::default()));
    let permit = polite(1, 8, 100, &log);
    begin_and_cancel(&outside, &permit, "http://example.org/", 1_000).await;
    let heads = heads.lock().unwrap().clone();
    assert_eq!(heads.iter().filter(|head| head.contains("GET /.well-known/station ")).count(), 1);
    let sent = outside.connections();
    assert!(sent <= 40, "a thousand tries in 30 s are 35 requests at the pace: {sent}");
    let target = found(&log).into_iter().find(|record| record.target.as_str() == "example.org").expect("it is counted");
    assert!(target.reserved >= sent as u64, "the reading and the requests are in the quota: {target:?}");
}

#[tokio::test(start_paused = true)]
async fn a_reading_is_remembered_before_it_is_sent_and_its_lost_answer_keeps_the_origin_unasked() {
    let fake = Fake::default().with_name("example.org", &[&["1.2.3.4"]]).with_pipe("1.2.3.4:80", |pipe| async move {
        let _pipe = pipe;
        std::future::pending::<()>().await;
    });
    let (outside, log) = (Arc::new(fake), Arc::new(Log::default()));
    let permit = polite(1, 8, 100, &log);
    begin_and_cancel(&outside, &permit, "http://example.org/", 1).await;
    assert_eq!(outside.connections(), 1);
    let records = found(&log);
    assert!(records.iter().any(|record| record.read.iter().any(|reading| !reading.known)), "{records:?}");
    let mut restarted = polite(1, 8, 100, &log);
    restarted.politeness = again(&permit, records, &log);
    let fetched = fetcher(&outside).fetch(&get("http://example.org/"), &restarted).await;
    assert_eq!((fetched.head.error, outside.connections()), (Some(FetchError::Quota), 1));
}

#[tokio::test(start_paused = true)]
async fn a_silent_host_of_a_domain_does_not_hide_what_another_says() {
    let fake = Fake::default().with_name("www.example.org", &[&["1.2.3.4"]]).with_name("dead.example.org", &[&["1.2.4.4"]]);
    let fake = fake.with_server("1.2.3.4:80", |head| match head.starts_with("GET /.well-known/station ") {
        true => response("200 OK", "", b"cap = 0"),
        false => response("200 OK", "", b"page"),
    });
    let (outside, permit) = (Arc::new(fake), polite(1, 8, 100, &Arc::default()));
    let fetcher = fetcher(&outside);
    for (url, error) in [
        ("http://dead.example.org/", FetchError::Connect),
        ("http://gone.example.org/", FetchError::Dns),
        ("http://www.example.org/", FetchError::Quota),
        ("http://dead.example.org/", FetchError::Quota),
    ] {
        assert_eq!(fetcher.fetch(&get(url), &permit).await.head.error, Some(error), "{url}");
    }
}

#[tokio::test(start_paused = true)]
async fn many_names_for_one_address_share_one_account() {
    let asked = Arc::new(Mutex::new(0_u64));
    let counted = asked.clone();
    let mut fake = Fake::default().with_server("1.2.3.4:80", move |_| {
        *counted.lock().unwrap() += 1;
        response("200 OK", "", b"page")
    });
    for name in 0..300 {
        fake = fake.with_name(&format!("victim{name}.example"), &[&["1.2.3.4"]]);
    }
    let (outside, permit) = (Arc::new(fake), polite(1, 8, 10, &Arc::default()));
    let begun = Instant::now();
    let mut answered = 0;
    for name in 0..300 {
        let fetched = fetcher(&outside).fetch(&get(&format!("http://victim{name}.example/")), &permit).await;
        answered += u64::from(fetched.head.error.is_none());
    }
    // Eight names' quota of ten, readings among them; twenty at once, then four a second.
    assert_eq!((*asked.lock().unwrap(), answered), (80, 40));
    assert_eq!(begun.elapsed().as_secs(), (80 - 20) / 4);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_may_not_be_contacted_today_is_left_out_and_another_of_the_name_serves() {
    // Of 15,552 stations as many as eight names may have, 6,912, may contact one network, and 864 ask a name.
    let stations = 15_552 * 8 / 9;
    let (mut first, mut second, mut neither) = (0, 0, 0);
    for key in 0..200_u8 {
        let fake = Fake::default().with_exempt("127.0.0.1:4567").with_server("1.2.3.4:80", |_| response("200 OK", "", b""));
        let fake = fake.with_server("1.2.5.4:80", |_| response("200 OK", "", b""));
        let (outside, permit) = (Arc::new(fake), polite(key, stations, 100, &Arc::default()));
        let (politeness, errand) = (&permit.politeness, permit.errand());
        let caller = Caller::new(Vicinity::new(outside.clone()), Tls::default(), "station/test");
        let origin = Origin::of(&url::Url::parse("http://example.org/").unwrap()).unwrap();
        let visit = Visit { caller: &caller, origin: &origin, exempt: false };
        let arrives = async |ip: &str| politeness.arrive(visit, ip.parse().unwrap(), &errand).await.is_ok();
        match (arrives("1.2.3.4").await, arrives("1.2.5.4").await) {
            (true, _) => first += 1,
            (false, true) => second += 1,
            (false, false) => neither += 1,
        }
    }
    assert!((60..=118).contains(&first) && second > 20 && neither > 20, "{first} {second} {neither}");
}

#[tokio::test(start_paused = true)]
async fn a_station_that_may_not_ask_a_name_does_not_look_it_up_either() {
    let (outside, _) = world("");
    let fetched = fetcher(&outside).fetch(&get("http://example.org/"), &polite(1, u64::MAX, 100, &Arc::default())).await;
    assert_eq!(fetched.head.error, Some(FetchError::Quota));
    assert!(outside.resolved.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn names_below_one_domain_are_looked_up_as_often_as_the_domain_may_be_asked() {
    let (outside, _) = world("");
    let permit = polite(1, 8, 20, &Arc::default());
    for name in 0..200 {
        fetcher(&outside).fetch(&get(&format!("http://r{name}.example.org/")), &permit).await;
    }
    let asked = outside.resolved.lock().unwrap().len();
    assert!((20..=21).contains(&asked), "each name takes a reading and a request, both looked up: {asked}");
}

#[tokio::test(start_paused = true)]
async fn the_bytes_of_a_reading_are_paid_for_by_the_station() {
    let (outside, _) = world("cap = 4000");
    let permit = polite(1, 8, 100, &Arc::default());
    assert_eq!(fetcher(&outside).fetch(&get("http://example.org/"), &permit).await.head.error, None);
    let answer = response("200 OK", "", b"cap = 4000").len() as u64;
    assert_eq!(permit.purse.came_in(), answer);
}

#[tokio::test(start_paused = true)]
async fn days_gone_by_leave_nothing_behind() {
    let (outside, _) = world("");
    let log = Arc::new(Log::default());
    let permit = polite(1, 8, 100, &log);
    let fetcher = fetcher(&outside);
    for (day, url) in ["http://example.org/", "http://1.2.3.4/", "http://example.org/"].into_iter().enumerate() {
        let fetched = fetcher.fetch(&FetchRequest { fresh: true, ..get(url) }, &permit).await;
        assert_eq!(fetched.head.error, None);
        let days: std::collections::BTreeSet<u64> = found(&log).iter().map(|record| record.day.day()).collect();
        assert_eq!(days, [NOON.day() + day as u64].into(), "{url}");
        tokio::time::advance(Duration::from_secs(24 * 60 * 60)).await;
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
        let request = FetchRequest { timeout_ms: 100, ..get("http://example.org/") };
        let fetched = fetcher.fetch(&request, &permit).await;
        assert_eq!(fetched.head.error, None, "waiting is not charged to the request");
        assert!(fetched.head.total_us.unwrap() < 100_000);
    }
    // Five at once, the reading among them.
    assert_eq!(begun.elapsed().as_secs(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_target_whose_file_never_comes_costs_a_bounded_wait_once() {
    for (socket, url, most) in [("1.2.3.4:80", "http://example.org/", 3_100), ("127.0.0.1:4567", "http://127.0.0.1:4567/", 300)] {
        let fake = Fake::default().with_name("example.org", &[&["1.2.3.4"]]).with_exempt("127.0.0.1:4567");
        let outside = Arc::new(fake.with_pipe(socket, |mut pipe| async move {
            while let Some(head) = read_head(&mut pipe).await {
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

thread_local! {
    /// What the machine of the test below says.
    static MACHINE: std::cell::Cell<Time> = const { std::cell::Cell::new(NOON) };
}

#[tokio::test(start_paused = true)]
async fn what_is_shown_of_today_is_of_the_worlds_day_and_one_wrong_moment_locks_no_target() {
    let clock = Clock::following(NOON, || MACHINE.get());
    let quotas = Quotas::restore(2, []);
    let politeness = Politeness::new(SigningKey::from_bytes(&[1; 32]).node(), clock.clone(), quotas, Arc::new(Forgetful), Tasks::new());
    let permit = Polite { politeness, stations: 8, purse: Arc::default() };
    let (outside, _) = world("");
    let fetcher = fetcher(&outside);
    let fetch = async || fetcher.fetch(&get("http://example.org/"), &permit).await.head.error;
    let tell = |time: Time| {
        MACHINE.set(time);
        assert!(clock.look().is_some());
    };
    tell(NOON.plus(365 * DAY));
    while fetch().await.is_none() {}
    assert!(!permit.politeness.used().is_empty(), "by the day that it is taken for");
    tell(NOON);
    assert_eq!(fetch().await, Some(FetchError::Quota), "what was used stays used");
    tell(NOON.plus(DAY));
    assert!(permit.politeness.used().is_empty());
    assert_eq!(fetch().await, None, "no year of waiting");
}
