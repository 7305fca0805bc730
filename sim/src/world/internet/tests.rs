use cid::Cid;
use futures::future::BoxFuture;
use futures::{FutureExt, TryFutureExt};
use station_node::clock::Clock;
use station_node::library::bundled_names;
use station_node::outside::Outside;
use station_node::outside::address::judge;
use station_node::outside::http::{Fetcher, Permit, Visit};
use station_node::outside::politeness::{Errand, Forgetful, Politeness};
use station_node::outside::quota::Quotas;
use station_node::outside::request::user_agent;
use station_node::outside::tls::Tls;
use station_node::outside::toll::{Purse, Way};
use station_node::outside::trouble::Trouble;
use station_node::outside::vicinity::Vicinity;
use station_node::store::{Batch, MemoryStore, Store};
use station_node::tasks::Tasks;
use station_protocol::bounded::{List, Text};
use station_protocol::content::sha256;
use station_protocol::experiment::{Experiment, Labels};
use station_protocol::hostcall::{FetchRequest, Method};
use station_protocol::policy::Policy;
use station_protocol::sampling::TARGET_QUOTA_PER_DAY;
use station_protocol::time::{SECOND, Time};
use station_protocol::{Content, SigningKey};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::server::Downlink;
use super::*;
use crate::det::clock::WALL_START;
use crate::net::fabric::Access;
use crate::scenario::check::Invariant;
use crate::scenario::units::{Rate, Share};
use crate::scenario::work::{Conduct, Host};
use crate::world::outside::Door;
use crate::world::plan::{Kind as PlanKind, Target, Work};
use crate::world::storage::Watched;
use crate::world::works;

const DOWN: u64 = 8_000_000;
/// Where the stations' clocks begin: which of them a target lets in is the luck of a day.
const WALL: Time = Time(WALL_START.as_secs() * SECOND);

fn host(name: &str, more: &str) -> Host {
    toml::from_str(&format!("name = \"{name}\"\nthink = \"20ms\"\n{more}")).expect("a host")
}

/// The way out of station 3 in Europe, a millisecond from its network, to `hosts`, all in the same region.
fn door(hosts: &[Host]) -> Door {
    let sites = hosts.iter().enumerate().map(|(place, host)| Site::new(place, host, Region::Europe)).collect();
    let internet = Arc::new(Internet::new(sites, None, 1, Arc::default(), Arc::new(Ledger::new(0))));
    let access = Access { region: Region::Europe, up: Rate(DOWN), down: Rate(DOWN), last_mile: Nanos::from_millis(1) };
    let asker = Asker { number: 3, node: SigningKey::from_bytes(&[3; 32]).node() };
    Door { internet, asker, own: vec!["45.0.0.1".parse().expect("an address")], access, downlink: Arc::new(Downlink::new(DOWN)) }
}

/// One way: a millisecond, the region's 500 km and its routers.
const ONE_WAY_MS: f64 = 1.0 + 3.75 + 2.0;

async fn ask(door: &Door, path: &str) -> Option<(String, Vec<u8>)> {
    let ip = door.resolve("a.example".into(), Duration::from_secs(60)).await.expect("it has a name")[0];
    let mut stream = door.connect((ip, 80).into()).await.ok()?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: a.example\r\n\r\n").as_bytes()).await.expect("written");
    let mut all = Vec::new();
    let until = tokio::time::timeout(Duration::from_secs(60), async {
        while !all.ends_with(b"\r\n\r\n") {
            all.push(stream.read_u8().await.expect("a byte"));
        }
        let head = String::from_utf8(all).expect("text");
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()).expect("a length");
        let mut body = vec![0; length.parse().expect("a number")];
        stream.read_exact(&mut body).await.expect("a body");
        (head, body)
    });
    until.await.ok()
}

fn block(door: &Door) -> (Cid, String) {
    let (_, site) = door.internet.at(site::address(0)).expect("a host");
    (site.cid(), format!("/ipfs/{}?format=raw", site.cid()))
}

#[test]
fn hosts_look_public_and_none_is_a_station() {
    for place in [0, 255, 256, 65_535] {
        let ip = site::address(place);
        assert_eq!(judge(ip), Ok(()), "{ip}");
        assert!(matches!(ip, IpAddr::V4(v4) if v4.octets()[0] == 185));
    }
    assert_ne!(site::address(0), site::address(256));
}

#[tokio::test(start_paused = true)]
async fn an_answer_takes_the_ways_the_thinking_and_the_downlink() {
    let door = door(&[host("a.example", "body = \"1MiB\"")]);
    let (cid, path) = block(&door);
    let begun = Instant::now();
    let (head, body) = ask(&door, &path).await.expect("an answer");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\ncontent-type: application/vnd.ipld.raw\r\n"), "{head}");
    assert_eq!(sha256(&[&body]), cid.hash().digest());
    // A name's way to the region's resolver, the handshake and the request: three times there and back; then a MiB at 8 Mbit/s.
    let expected_ms = 6.0 * ONE_WAY_MS + 20.0 + (1 << 20) as f64 / 1e3;
    let took_ms = begun.elapsed().as_secs_f64() * 1e3;
    assert!((took_ms - expected_ms).abs() < 10.0, "{took_ms} {expected_ms}");
}

#[tokio::test(start_paused = true)]
async fn every_request_that_arrives_is_counted_readings_apart() {
    let door = door(&[host("a.example", "cap_per_day = 7")]);
    let (_, path) = block(&door);
    let (_, file) = ask(&door, "/.well-known/station").await.expect("a file");
    assert_eq!(file, b"cap = 7\n");
    for _ in 0..2 {
        ask(&door, &path).await.expect("an answer");
    }
    assert!(ask(&door, "/elsewhere").await.expect("an answer").0.starts_with("HTTP/1.1 404"));
    let tallies = door.internet.tallies();
    let expected = Tally { host: "a.example".into(), day: 0, cap: 7, readings: 1, measurements: 3, readers: 1, measurers: 1 };
    assert_eq!(tallies, [expected]);
}

#[tokio::test(start_paused = true)]
async fn each_conduct_is_what_it_says() {
    for (conduct, check) in [
        (Conduct::Refuses {}, None),
        (Conduct::Silent {}, None),
        (Conduct::Errors { share: Share::ALL }, Some("500")),
        (Conduct::Errors { share: Share::NONE }, Some("200")),
    ] {
        let door = door(&[Host { conduct: conduct.clone(), ..host("a.example", "") }]);
        let (_, path) = block(&door);
        let answer = ask(&door, &path).await.map(|(head, _)| head[9..12].to_owned());
        assert_eq!(answer.as_deref(), check, "{conduct:?}");
        assert_eq!(door.internet.tallies().len(), usize::from(conduct != Conduct::Refuses {}), "{conduct:?}");
    }
    let door = door(&[Host { conduct: Conduct::Varies {}, ..host("a.example", "") }]);
    let (cid, path) = block(&door);
    let other = Door { asker: Asker { number: 4, ..door.asker }, ..door.clone() };
    let (one, two) = (ask(&door, &path).await.expect("an answer").1, ask(&other, &path).await.expect("an answer").1);
    assert_ne!(one, two);
    assert_ne!(sha256(&[&one]), cid.hash().digest());
}

#[tokio::test(start_paused = true)]
async fn a_name_nobody_has_and_an_address_nobody_serves_are_nowhere() {
    let door = door(&[host("a.example", "")]);
    assert!(door.resolve("b.example".into(), Duration::from_secs(60)).await.is_err());
    assert!(door.connect("186.0.0.1:80".parse().expect("a socket")).await.is_err());
    assert!(door.connect((site::address(0), 443).into()).await.is_err(), "nothing listens for TLS");
}

#[test]
fn the_experiment_is_read_from_the_user_agent() {
    let cid = station_protocol::Content::raw(b"experiment").cid;
    let agent = station_node::outside::request::user_agent("mailto:lab@example.org", &cid.to_string());
    let request = Request::parse(&format!("GET /x HTTP/1.1\r\nHost: a.example\r\nUser-Agent: {agent}\r\n\r\n")).expect("a request");
    assert_eq!(request, Request { is_head: false, path: "/x".into(), experiment: Some(cid) });
    assert_eq!(Request::parse("GET /x HTTP/1.1\r\n\r\n").expect("a request").experiment, None);
    assert_eq!(Request::parse("POST /x HTTP/1.1\r\n\r\n"), None);
}

/// How a station keeps to the rules: as the node does, or not at all.
struct Manners {
    polite: Option<Arc<Politeness>>,
    stations: u64,
}

impl Permit for Manners {
    fn permits(&self, _: &str, _: u16) -> bool {
        true
    }
    fn count_redirect(&self) -> bool {
        true
    }
    fn admit<'a>(&'a self, visit: Visit<'a>) -> BoxFuture<'a, Result<(), Trouble>> {
        Box::pin(async move {
            let Some(polite) = &self.polite else { return Ok(()) };
            polite.admit(visit, &self.errand()).await.map_err(Trouble::from)
        })
    }
    fn arrive<'a>(&'a self, visit: Visit<'a>, ip: IpAddr) -> BoxFuture<'a, Result<(), Trouble>> {
        Box::pin(async move {
            let Some(polite) = &self.polite else { return Ok(()) };
            polite.arrive(visit, ip, &self.errand()).await.map_err(Trouble::from)
        })
    }
    fn is_spent(&self) -> bool {
        false
    }
    fn purse(&self) -> Arc<dyn Purse> {
        Arc::new(Bottomless)
    }
    fn keep(&self, wanted: u64) -> u64 {
        wanted
    }
}

impl Manners {
    fn errand(&self) -> Errand {
        Errand { stations: self.stations, per_day: None, purse: self.purse() }
    }
}

/// Pays for everything.
struct Bottomless;

impl Purse for Bottomless {
    fn take(&self, _: Way, wanted: u64) -> BoxFuture<'static, u64> {
        Box::pin(std::future::ready(wanted))
    }
    fn give_back(&self, _: Way, _: u64) {}
}

/// Twenty stations ask `host` fifteen times each on behalf of one experiment, which `policy` allows or not; what broke.
async fn crowd(host: Host, are_polite: bool, policy: &str) -> (Vec<Invariant>, Tally) {
    const STATIONS: u8 = 20;
    let first = door(&[host]);
    let ledger = first.internet.ledger.clone();
    let (id, facts) = measurement();
    ledger.announced(id, facts, Vec::new());
    let (_, path) = block(&first);
    let agent = user_agent("mailto:lab@example.org", &id.to_string());
    for number in 0..STATIONS {
        let node = SigningKey::from_bytes(&[number; 32]).node();
        ledger.allowed(number.into(), node, Policy::parse(policy, &bundled_names()).expect("a policy"));
        let station = Door { asker: Asker { number: number.into(), node }, ..first.clone() };
        let polite = Politeness::new(node, Clock::at(WALL), Quotas::restore(TARGET_QUOTA_PER_DAY, []), Arc::new(Forgetful), Tasks::new());
        let manners = Manners { polite: are_polite.then_some(polite), stations: STATIONS.into() };
        let fetcher = Fetcher::new(Vicinity::new(Arc::new(station)), Tls::default(), &agent);
        for _ in 0..15 {
            let request = FetchRequest {
                method: Method::Get,
                url: Text::cut(&format!("http://a.example{path}")),
                headers: List::default(),
                max_bytes: 1 << 20,
                timeout_ms: 10_000,
                redirects: 0,
                fresh: false,
            };
            fetcher.fetch(&request, &manners).await;
        }
    }
    let broken: BTreeSet<Invariant> = ledger.violations().into_iter().map(|violation| violation.invariant).collect();
    (broken.into_iter().collect(), first.internet.tallies().remove(0))
}

/// An experiment that needs a.example.
fn measurement() -> (ExperimentId, Experiment) {
    let target = Target { host: "a.example".into(), cid: station_protocol::Content::raw(b"any").cid };
    let work = Work {
        first_ms: 0,
        every_ms: 1,
        count: 1,
        requesters: Vec::new(),
        one_of_them: false,
        jobs: 1,
        kind: PlanKind::Measurement { stations: 20, targets: vec![target] },
        labels: Labels::new(),
        deadline_ms: 60_000,
        wall_ms: 60_000,
    };
    let facts = works::facts(&works::draft(&work, 0), SigningKey::from_bytes(&[99; 32]).node());
    (facts.id(), facts)
}

const ALLOWS: &str = "[[allow]]\nmodule = \"gateway-check\"\ncapability = \"http\"\ntargets = [\"a.example\"]\n";

#[tokio::test(start_paused = true)]
async fn a_crowd_that_keeps_to_the_nodes_rules_keeps_the_cap_and_one_that_does_not_is_seen() {
    let host = host("a.example", "cap_per_day = 120");
    let (broken, tally) = crowd(host.clone(), true, ALLOWS).await;
    assert_eq!(broken, []);
    // What twenty readings leave of the cap is less than a share for each, so that few are let in.
    assert_eq!(tally.readings, 20);
    assert!(tally.readings + tally.measurements <= 144 && tally.measurements > 0, "{tally:?}");
    let (broken, tally) = crowd(host, false, ALLOWS).await;
    assert_eq!((broken.as_slice(), tally.measurements), ([Invariant::TargetCaps].as_slice(), 300));
}

#[tokio::test(start_paused = true)]
async fn requests_past_a_policy_are_seen_at_the_host() {
    for policy in ["", "[[allow]]\nmodule = \"gateway-check\"\ncapability = \"http\"\ntargets = [\"b.example\"]\n"] {
        assert_eq!(crowd(host("a.example", ""), true, policy).await.0, [Invariant::OnlyWhatPolicyAllows]);
    }
    assert_eq!(crowd(host("a.example", ""), true, ALLOWS).await.0, []);
}

#[tokio::test(start_paused = true)]
async fn a_block_that_a_policy_forbids_is_seen_when_it_is_stored() {
    for cached in [false, true] {
        let internet = door(&[]).internet;
        let (id, facts) = measurement();
        let block = station_protocol::Content::raw(b"an input").cid;
        internet.ledger.announced(id, facts, vec![block]);
        for (number, policy, broken) in [(1, ALLOWS, 0), (2, "", 1)] {
            let node = SigningKey::from_bytes(&[number; 32]).node();
            internet.ledger.allowed(number.into(), node, Policy::parse(policy, &bundled_names()).expect("a policy"));
            let disk = Watched { disk: Arc::new(MemoryStore::default()), node, ledger: internet.ledger.clone() };
            let stored = if cached {
                disk.cache(station_car::Dag { root: block, blocks: vec![(block, b"an input".to_vec())] })
            } else {
                disk.commit(Batch { blobs: vec![(block, b"an input".to_vec())], ..Batch::default() }).map_ok(drop).boxed()
            };
            stored.await.expect("the disk works");
            let content = Content { cid: block, bytes: 8 };
            assert_eq!(station_node::content::file(&disk, &content).await.expect("the disk works").as_deref(), Some(b"an input".as_slice()));
            let seen = internet.ledger.violations();
            assert_eq!(seen.iter().map(|violation| violation.invariant).collect::<Vec<_>>(), vec![Invariant::OnlyWhatPolicyAllows; broken]);
        }
    }
}
