//! A world for tests: names in a table, servers at the end of in-memory pipes, and a count of everything that was contacted.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use station_protocol::bounded::{List, Text};
use station_protocol::hostcall::{FetchRequest, Method, REQUEST_HEADERS_MAX, RequestHeader};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::http::{Permit, Visit};
use super::toll::{Purse, Way};
use super::trouble::Trouble;
use super::vicinity::Interface;
use super::{Outside, ResolveError, Stream};

type Server = Arc<dyn Fn(DuplexStream) -> BoxFuture<'static, ()> + Send + Sync>;

/// Build it with the `with_` verbs, then put it into an `Arc`.
pub(crate) struct Fake {
    names: Mutex<BTreeMap<String, VecDeque<Vec<IpAddr>>>>,
    servers: BTreeMap<SocketAddr, Server>,
    exempt: BTreeSet<SocketAddr>,
    own: Vec<Interface>,
    is_blind: bool,
    /// What its resolver says of every name that is not in the table; none: nothing, ever.
    resolver: Option<ResolveError>,
    unreachable: BTreeMap<SocketAddr, io::ErrorKind>,
    pub(crate) connected: Mutex<Vec<SocketAddr>>,
    pub(crate) resolved: Mutex<Vec<String>>,
    /// How long whoever asked for the last name waits.
    pub(crate) waited_for: Mutex<Option<Duration>>,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            names: Mutex::default(),
            servers: BTreeMap::new(),
            exempt: BTreeSet::new(),
            own: Vec::new(),
            is_blind: false,
            resolver: Some(ResolveError::NoSuchName),
            unreachable: BTreeMap::new(),
            connected: Mutex::default(),
            resolved: Mutex::default(),
            waited_for: Mutex::default(),
        }
    }
}

impl Fake {
    /// A resolver that says this of every name that is not in the table; none: it is silent for ever.
    pub(crate) fn with_resolver(mut self, says: Option<ResolveError>) -> Self {
        self.resolver = says;
        self
    }

    /// Connecting to `socket` fails so.
    pub(crate) fn with_failure(mut self, socket: &str, kind: io::ErrorKind) -> Self {
        self.unreachable.insert(socket.parse().unwrap(), kind);
        self
    }

    /// `answers` one after the other; the last one stays.
    pub(crate) fn with_name(self, name: &str, answers: &[&[&str]]) -> Self {
        let answers = answers.iter().map(|ips| ips.iter().map(|ip| ip.parse().unwrap()).collect()).collect();
        self.names.lock().unwrap().insert(name.into(), answers);
        self
    }

    /// An interface, like `5.6.7.8/24`.
    pub(crate) fn with_own(mut self, interface: &str) -> Self {
        let (ip, prefix) = interface.split_once('/').unwrap();
        self.own.push(Interface { ip: ip.parse().unwrap(), prefix: prefix.parse().unwrap() });
        self
    }

    /// Its interfaces cannot be listed.
    pub(crate) fn blind(mut self) -> Self {
        self.is_blind = true;
        self
    }

    pub(crate) fn with_exempt(mut self, socket: &str) -> Self {
        self.exempt.insert(socket.parse().unwrap());
        self
    }

    /// Gives each connection to `socket` to `server`.
    pub(crate) fn with_pipe<F>(mut self, socket: &str, server: impl Fn(DuplexStream) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.servers.insert(socket.parse().unwrap(), Arc::new(move |pipe| Box::pin(server(pipe))));
        self
    }

    /// Answers each request head at `socket` with what `answer` makes of it, and keeps the connection.
    pub(crate) fn with_server(self, socket: &str, answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let answer = Arc::new(answer);
        self.with_pipe(socket, move |mut pipe| {
            let answer = answer.clone();
            async move {
                while let Some(head) = read_head(&mut pipe).await {
                    if pipe.write_all(&answer(&head)).await.is_err() {
                        return;
                    }
                }
            }
        })
    }

    pub(crate) fn connections(&self) -> usize {
        self.connected.lock().unwrap().len()
    }
}

/// One request head, to its empty line.
pub(crate) async fn read_head(pipe: &mut DuplexStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(pipe.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

/// A whole response with `headers` (each ending in CRLF) and a Content-Length.
pub(crate) fn response(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut all = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len()).into_bytes();
    all.extend_from_slice(body);
    all
}

/// GET `url`, 1 MiB, 30 s, no redirects.
pub(crate) fn get(url: &str) -> FetchRequest {
    FetchRequest {
        method: Method::Get,
        url: Text::new(url).unwrap(),
        headers: List::default(),
        max_bytes: 1 << 20,
        timeout_ms: 30_000,
        redirects: 0,
        fresh: false,
    }
}

/// Request headers.
pub(crate) fn header_list(all: &[(&str, &str)]) -> List<RequestHeader, REQUEST_HEADERS_MAX> {
    List::new(all.iter().map(|(name, value)| (Text::new(*name).unwrap(), Text::new(*value).unwrap())).collect()).unwrap()
}

/// Permits everything and counts what it admitted.
#[derive(Debug, Default)]
pub(crate) struct Anything {
    pub(crate) admitted: Mutex<Vec<String>>,
    pub(crate) purse: Arc<Counting>,
}

impl Permit for Anything {
    fn permits(&self, _: &str, _: u16) -> bool {
        true
    }
    fn count_redirect(&self) -> bool {
        true
    }
    fn admit<'a>(&'a self, visit: Visit<'a>) -> BoxFuture<'a, Result<(), Trouble>> {
        self.admitted.lock().unwrap().push(visit.origin.host.clone());
        Box::pin(std::future::ready(Ok(())))
    }
    fn arrive<'a>(&'a self, _: Visit<'a>, _: IpAddr) -> BoxFuture<'a, Result<(), Trouble>> {
        Box::pin(std::future::ready(Ok(())))
    }
    fn is_spent(&self) -> bool {
        false
    }
    fn purse(&self) -> Arc<dyn Purse> {
        self.purse.clone()
    }
    fn keep(&self, wanted: u64) -> u64 {
        wanted
    }
}

/// A purse of `left` bytes both ways together, all there are unless it is told otherwise; counts what passed.
#[derive(Debug)]
pub(crate) struct Counting {
    pub(crate) left: AtomicU64,
    /// In and out.
    pub(crate) passed: [AtomicU64; 2],
}

impl Default for Counting {
    fn default() -> Self {
        Self { left: AtomicU64::new(u64::MAX / 2), passed: Default::default() }
    }
}

impl Counting {
    pub(crate) fn came_in(&self) -> u64 {
        self.passed[0].load(Ordering::Relaxed)
    }
}

impl Purse for Counting {
    fn take(&self, way: Way, wanted: u64) -> BoxFuture<'static, u64> {
        let taken = wanted.min(self.left.load(Ordering::Relaxed));
        self.left.fetch_sub(taken, Ordering::Relaxed);
        self.passed[usize::from(way == Way::Out)].fetch_add(taken, Ordering::Relaxed);
        Box::pin(std::future::ready(taken))
    }
    fn give_back(&self, way: Way, bytes: u64) {
        self.left.fetch_add(bytes, Ordering::Relaxed);
        self.passed[usize::from(way == Way::Out)].fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Outside for Fake {
    fn resolve(&self, name: String, within: Duration) -> BoxFuture<'static, Result<Vec<IpAddr>, ResolveError>> {
        let mut names = self.names.lock().unwrap();
        let answer = names.get_mut(&name).map(|answers| if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0].clone() });
        self.resolved.lock().unwrap().push(name);
        *self.waited_for.lock().unwrap() = Some(within);
        match (answer, self.resolver) {
            (Some(answer), _) => Box::pin(std::future::ready(Ok(answer))),
            (None, Some(error)) => Box::pin(std::future::ready(Err(error))),
            (None, None) => Box::pin(std::future::pending()),
        }
    }

    fn connect(&self, to: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Stream>>> {
        self.connected.lock().unwrap().push(to);
        let server = self.servers.get(&to).cloned();
        let kind = self.unreachable.get(&to).copied().unwrap_or(io::ErrorKind::ConnectionRefused);
        Box::pin(async move {
            let server = server.ok_or(kind)?;
            let (ours, theirs) = tokio::io::duplex(16 << 10);
            tokio::spawn(server(theirs));
            Ok(Box::new(ours) as Box<dyn Stream>)
        })
    }

    fn interfaces(&self) -> io::Result<Vec<Interface>> {
        if self.is_blind { Err(io::ErrorKind::PermissionDenied.into()) } else { Ok(self.own.clone()) }
    }

    fn is_exempt(&self, to: SocketAddr) -> bool {
        self.exempt.contains(&to)
    }

    fn has_exempt(&self) -> bool {
        !self.exempt.is_empty()
    }
}
