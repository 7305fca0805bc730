//! Resolvers on loopback that answer, keep silent, and are exchanged.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use hickory_resolver::config::NameServerConfig;
use hickory_resolver::proto::op::Message;
use hickory_resolver::proto::rr::{RData, Record};
use tokio::net::UdpSocket;

use super::*;

/// What a resolver of these tests does.
#[derive(Clone, Copy)]
enum Manner {
    /// Says that every name is there.
    Says(Ipv4Addr),
    /// Answers nobody.
    Silent,
    /// Knows the root's servers and can find out nothing else.
    KnowsTheRoot,
    /// Can find out nothing.
    Fails,
    /// Knows that no name is there.
    Denies,
    /// Answers so whatever is asked.
    Answers(ResponseCode),
}

/// How long those wait who ask here.
const WAITS: Duration = Duration::from_secs(15);

/// A resolver on a port of its own, which lives as long as the test; and the names it was asked for.
async fn server(manner: Manner) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let (addr, asked) = (socket.local_addr().expect("bound"), Arc::new(Mutex::new(Vec::new())));
    let seen = asked.clone();
    tokio::spawn(async move {
        let mut buffer = [0; 2_048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let Ok(question) = Message::from_vec(&buffer[..length]) else { continue };
            let Some(query) = question.queries.first().cloned() else { continue };
            seen.lock().expect("no panic").push(query.name().to_string());
            let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
            answer.add_query(query.clone());
            let is_root = query.name().is_root();
            match manner {
                Manner::Silent => continue,
                Manner::Says(ip) if query.query_type() == RecordType::A => {
                    answer.add_answer(Record::from_rdata(query.name().clone(), 60, RData::A(ip.into())));
                }
                Manner::KnowsTheRoot if !is_root => answer.metadata.response_code = ResponseCode::ServFail,
                Manner::Fails => answer.metadata.response_code = ResponseCode::ServFail,
                Manner::Denies => answer.metadata.response_code = ResponseCode::NXDomain,
                Manner::Answers(code) => answer.metadata.response_code = code,
                Manner::Says(_) | Manner::KnowsTheRoot => {}
            }
            // Whoever asked has gone.
            let _ = socket.send_to(&answer.to_vec().expect("it encodes"), from).await;
        }
    });
    (addr, asked)
}

/// A configuration that tests exchange.
#[derive(Clone, Default)]
struct Shelf {
    server: Arc<Mutex<Option<SocketAddr>>>,
    stamp: Arc<AtomicU64>,
    /// Whether no answer is expected, so that nobody need wait for one.
    is_silent: Arc<AtomicBool>,
}

impl Shelf {
    /// The same with a server that never answers.
    fn put_silent(&self, server: SocketAddr) {
        self.put(Some(server), true);
        self.is_silent.store(true, Ordering::Relaxed);
    }

    /// Another configuration, whose file shows it or not.
    fn put(&self, server: Option<SocketAddr>, shows: bool) {
        *self.server.lock().expect("no panic") = server;
        self.is_silent.store(false, Ordering::Relaxed);
        self.stamp.fetch_add(u64::from(shows), Ordering::Relaxed);
    }
}

impl Source for Shelf {
    fn stamp(&self) -> Option<Stamp> {
        Some(Stamp { modified: None, bytes: self.stamp.load(Ordering::Relaxed), file: 0 })
    }

    fn read(&self) -> Result<(ResolverConfig, ResolverOpts), NetError> {
        let server = (*self.server.lock().expect("no panic")).ok_or(NetError::NoConnections)?;
        let mut config = NameServerConfig::udp(server.ip());
        config.connections.iter_mut().for_each(|connection| connection.port = server.port());
        let mut options = ResolverOpts::default();
        // Where an answer comes the machine may be as slow as it likes, as far as the resolver's own bounds let it.
        (options.timeout, options.attempts) = if self.is_silent.load(Ordering::Relaxed) { (Duration::from_millis(50), 0) } else { (WAITS, 9) };
        Ok((ResolverConfig::from_parts(None, Vec::new(), vec![config]), options))
    }
}

const ONE: Ipv4Addr = Ipv4Addr::new(5, 5, 5, 1);
const TWO: Ipv4Addr = Ipv4Addr::new(5, 5, 5, 2);

#[tokio::test]
async fn a_resolver_that_was_exchanged_is_asked_from_the_next_name_on() {
    let (shelf, (one, _), (two, _)) = (Shelf::default(), server(Manner::Says(ONE)).await, server(Manner::Says(TWO)).await);
    let names = Names::new(shelf.clone());
    shelf.put(Some(one), true);
    assert_eq!(names.addresses("a.example", WAITS).await, Ok(vec![ONE.into()]));
    shelf.put(Some(two), true);
    assert_eq!(names.addresses("a.example", WAITS).await, Ok(vec![TWO.into()]), "what the old one said is not remembered either");
}

#[tokio::test]
async fn without_a_resolver_names_wait_for_one_and_are_not_blamed() {
    let (shelf, (one, _)) = (Shelf::default(), server(Manner::Says(ONE)).await);
    let names = Names::new(shelf.clone());
    assert_eq!(names.addresses("a.example", WAITS).await, Err(ResolveError::NoResolver));
    assert_eq!(names.check().await, Err(ResolveError::NoResolver));
    shelf.put(Some(one), false);
    assert_eq!(names.addresses("a.example", WAITS).await, Ok(vec![ONE.into()]), "tried again though no file shows a change");
    assert_eq!(names.check().await, Ok(()));
}

#[tokio::test]
async fn a_resolver_that_falls_silent_is_the_stations_failure_and_is_read_again() {
    let (shelf, (dead, _), (one, _)) = (Shelf::default(), server(Manner::Silent).await, server(Manner::Says(ONE)).await);
    let names = Names::new(shelf.clone());
    shelf.put_silent(dead);
    assert_eq!(names.addresses("a.example", WAITS).await, Err(ResolveError::Silent));
    assert_eq!(names.check().await, Err(ResolveError::Silent));
    shelf.put(Some(one), false);
    assert_eq!(names.addresses("a.example", WAITS).await, Ok(vec![ONE.into()]));
}

#[tokio::test]
async fn a_name_whose_servers_are_silent_is_told_from_a_resolver_that_can_find_out_nothing() {
    for (manner, error) in
        [(Manner::KnowsTheRoot, ResolveError::NoAnswer), (Manner::Fails, ResolveError::Silent), (Manner::Denies, ResolveError::NoSuchName)]
    {
        let (shelf, (server, _)) = (Shelf::default(), server(manner).await);
        shelf.put(Some(server), true);
        assert_eq!(Names::new(shelf).addresses("a.example", WAITS).await, Err(error));
    }
}

#[tokio::test]
async fn a_resolver_that_answers_anything_but_that_it_failed_is_a_resolver_that_works() {
    for code in [ResponseCode::Refused, ResponseCode::NotImp, ResponseCode::FormErr, ResponseCode::NotAuth] {
        let (shelf, (server, _)) = (Shelf::default(), server(Manner::Answers(code)).await);
        shelf.put(Some(server), true);
        let names = Names::new(shelf);
        assert_eq!((names.check().await, names.addresses("a.example", WAITS).await), (Ok(()), Err(ResolveError::NoAnswer)), "{code}");
    }
}

#[tokio::test]
async fn underscores_are_asked_for_and_no_search_domain_is_appended() {
    let (shelf, (one, asked)) = (Shelf::default(), server(Manner::Says(ONE)).await);
    shelf.put(Some(one), true);
    assert_eq!(Names::new(shelf).addresses("under_score.example", WAITS).await, Ok(vec![ONE.into()]));
    assert!(asked.lock().expect("no panic").iter().all(|name| name == "under_score.example."));
}

#[test]
fn the_resolver_reads_no_file_of_hosts_remembers_few_answers_and_is_asked_twice() {
    let mut options = ResolverOpts::default();
    modest(&mut options);
    assert!(matches!(options.use_hosts_file, ResolveHosts::Never));
    assert_eq!((options.cache_size, options.timeout, options.attempts), (ANSWERS_CACHED_MAX, QUESTION_PATIENCE, QUESTIONS - 1), "the first is none");
    assert!(QUESTION_PATIENCE * u32::try_from(QUESTIONS).expect("few") <= NAME_PATIENCE);
}

/// A time-out of gateway-check, as its source has it.
fn of_gateway_check(name: &str) -> Duration {
    let source = include_str!("../../../../modules/gateway-check/src/check.rs");
    let (_, after) = source.split_once(&format!("const {name}: u64 = ")).expect("it has such a time-out");
    let (number, _) = after.split_once(';').expect("a number");
    Duration::from_millis(number.replace('_', "").parse().expect("a number"))
}

#[test]
fn whose_failure_it_is_is_known_before_whoever_asked_has_gone() {
    for waits in [of_gateway_check("TIMEOUT_MS"), of_gateway_check("PROBE_TIMEOUT_MS"), Duration::from_millis(50), Duration::ZERO] {
        let (name, control) = patience(waits);
        assert!(name + control < waits || waits.is_zero(), "{waits:?}: {name:?} and {control:?}");
        assert!(name >= waits / 3 && control >= waits / 6, "{waits:?}: {name:?} and {control:?}");
    }
    assert!(patience(of_gateway_check("PROBE_TIMEOUT_MS")).1 >= SILENCE);
    assert_eq!(patience(WAITS), (NAME_PATIENCE, CONTROL_PATIENCE));
}

#[test]
fn a_file_that_was_written_or_replaced_has_another_stamp() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("resolv.conf");
    let stamp = || std::fs::metadata(&path).ok().as_ref().map(Stamp::of);
    assert_eq!(stamp(), None);
    std::fs::write(&path, "nameserver 5.5.5.1\n").expect("written");
    let first = stamp();
    assert!(first.is_some() && stamp() == first);
    std::fs::write(&path, "nameserver 5.5.5.1\nnameserver 5.5.5.2\n").expect("written");
    assert_ne!(stamp(), first);
}
