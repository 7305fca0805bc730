//! `http.fetch` over any [`Outside`]: GET and HEAD by HTTP/1.1, with and without TLS (no HTTP/2 or 3 yet).
//!
//! Guarantees: a name is resolved once, every candidate judged, and exactly a judged socket connected to; each redirect is judged
//! anew; nothing a server does exceeds the request's time, bytes and headers; times are taken at the stream. What goes wrong is
//! data. Deliberately lacks cookies, credentials, proxies, caches and decompression.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Request, Response, StatusCode};
use sha2::{Digest, Sha256};
use station_protocol::bounded::{List, Text};
use station_protocol::hostcall::{BODY_BYTES_MAX, FetchError, FetchHead, FetchRequest, HTTP_FETCH, Method, REDIRECTS_MAX, Record};
use station_protocol::identity::Hash32;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use url::Url;

use super::address::{Origin, locate};
use super::connection::Connection;
use super::request::{Step, follow, guest_headers, location};
use super::tls::Tls;
use super::{Outside, Stream};

/// Connections one execution may have, used and idle: what browsers open to one host.
pub const CONNECTIONS_MAX: usize = 6;

/// The path of the file by which a target says how much it takes.
const STATION_FILE: &str = "/.well-known/station";
/// Its largest size: a number needs no more, and the station did not ask for content.
const STATION_FILE_BYTES_MAX: u64 = 4 << 10;
/// Patience with a target that is asked for it; a target that says nothing has the default.
const STATION_FILE_PATIENCE: Duration = Duration::from_secs(3);
/// The same for a socket that the builder of the `Outside` named: it is near, and people wait for a demo.
const STATION_FILE_PATIENCE_EXEMPT: Duration = Duration::from_millis(250);

/// Patience with one candidate address before the next is tried.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// A request about to be sent, for [`Permit::admit`].
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    fetcher: &'a Fetcher,
    pub origin: &'a Origin,
    /// The judged sockets, for who must ask the target first; empty when an open connection serves.
    pub sockets: &'a [SocketAddr],
    /// Whether the builder of the `Outside` named them all.
    pub exempt: bool,
}

impl Visit<'_> {
    /// Asks the target for its `/.well-known/station`, by a connection that serves nothing else, so that the guest's is as cold as
    /// it would be without. `None`: it has none, or did not answer in time.
    pub async fn station_file(&self) -> Option<String> {
        let patience = if self.exempt { STATION_FILE_PATIENCE_EXEMPT } else { STATION_FILE_PATIENCE };
        tokio::time::timeout(patience, self.fetcher.station_file(self)).await.ok()?.ok()
    }
}

/// What stands between a guest's wish and the wire: policy, quotas, politeness.
pub trait Permit: Send + Sync {
    /// Whether this host (lower case, no brackets) and port are granted at all.
    fn permits(&self, host: &str, port: u16) -> bool;
    /// Counts one more request because of a redirect; false when the execution may make no more.
    fn count_redirect(&self) -> bool;
    /// Waits until one more request to this target is polite, and counts it. Waiting is not charged to the request's time.
    fn admit<'a>(&'a self, visit: Visit<'a>) -> BoxFuture<'a, Result<(), FetchError>>;
    /// Whether no more bytes may come in, so that nothing should be asked for.
    fn is_spent(&self) -> bool;
    /// Takes up to `wanted` bytes of what may still come in; how many it got. Waits only for what must be durable first.
    fn take_bytes(&self, wanted: u64) -> BoxFuture<'_, u64>;
}

/// A finished fetch.
#[derive(Clone, Debug, Default)]
pub struct Fetched {
    pub head: FetchHead,
    pub body: Vec<u8>,
    /// One per request that was sent or refused.
    pub records: Vec<Record>,
}

/// Fetches for one execution, whose connections it keeps.
pub struct Fetcher {
    outside: Arc<dyn Outside>,
    tls: Tls,
    agent: HeaderValue,
    idle: Mutex<Vec<Connection>>,
    slots: Semaphore,
}

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetcher").field("agent", &self.agent).finish_non_exhaustive()
    }
}

/// One request and what is known of its answer.
#[derive(Default)]
struct Hop {
    head: FetchHead,
    body: Vec<u8>,
}

/// The time a request has left; waiting elsewhere is not charged.
struct TimeLeft {
    all: Duration,
    left: Duration,
}

impl TimeLeft {
    async fn within<T>(&mut self, work: impl Future<Output = Result<T, FetchError>>) -> Result<T, FetchError> {
        let begun = Instant::now();
        let done = tokio::time::timeout(self.left, work).await;
        self.left = self.left.saturating_sub(begun.elapsed());
        done.unwrap_or(Err(FetchError::Timeout))
    }
}

impl Fetcher {
    /// A fetcher that names itself `agent` (see [`super::request::user_agent`]).
    #[must_use]
    pub fn new(outside: Arc<dyn Outside>, tls: Tls, agent: &str) -> Self {
        let agent = HeaderValue::from_str(agent).unwrap_or_else(|_| HeaderValue::from_static("station"));
        Self { outside, tls, agent, idle: Mutex::default(), slots: Semaphore::new(CONNECTIONS_MAX) }
    }

    /// Performs `request`. Never fails: what goes wrong stands in the head.
    pub async fn fetch(&self, request: &FetchRequest, permit: &dyn Permit) -> Fetched {
        let all = Duration::from_millis(request.timeout_ms);
        let mut time = TimeLeft { all, left: all };
        let mut records = Vec::new();
        let mut url = request.url.to_string();
        let mut headers = guest_headers(request);
        let mut followed = 0;
        loop {
            let mut hop = Hop::default();
            let spent = time.left;
            let result = match &headers {
                Ok(headers) => self.hop(&url, headers, request, &mut time, permit, &mut hop).await,
                Err(error) => Err(*error),
            };
            hop.head.redirected_to = location(&url, hop.head.status, &hop.head.headers);
            hop.finish(result.err(), spent - time.left);
            records.push(hop.record(request.method, &url));
            let next = hop.head.redirected_to.as_ref().filter(|_| hop.head.error.is_none() && request.redirects > 0).map(ToString::to_string);
            let decided = next.map(|next| follow(&url, &next, followed, request.redirects.min(REDIRECTS_MAX)));
            match decided {
                Some(Ok(_)) if !permit.count_redirect() => return hop.done(Some(FetchError::Quota), &time, records, None),
                Some(Ok(Step { url: next, same_host })) => {
                    followed += 1;
                    url = next;
                    if !same_host {
                        headers = headers.map(|_| HeaderMap::new());
                    }
                }
                Some(Err(error)) => return hop.done(Some(error), &time, records, None),
                None => return hop.done(None, &time, records, (followed > 0).then_some(url)),
            }
        }
    }

    async fn hop(
        &self,
        url: &str,
        headers: &HeaderMap,
        wanted: &FetchRequest,
        time: &mut TimeLeft,
        permit: &dyn Permit,
        hop: &mut Hop,
    ) -> Result<(), FetchError> {
        let url = Url::parse(url).map_err(|_| FetchError::BadRequest)?;
        let origin = Origin::of(&url)?;
        if !permit.permits(&origin.host, origin.port) {
            return Err(FetchError::NotGranted);
        }
        let request = self.request(&url, headers, wanted.method)?;
        if permit.is_spent() {
            return Err(FetchError::Quota);
        }
        let idle = if wanted.fresh { None } else { self.idle_to(&origin).await };
        if let Some(mut connection) = idle {
            let visit = Visit { fetcher: self, origin: &origin, sockets: &[], exempt: connection.exempt };
            permit.admit(visit).await?;
            let _slot = self.slots.acquire().await.map_err(|_| FetchError::Cancelled)?;
            hop.head.reused = true;
            hop.head.ip = Some(Text::cut(&connection.ip.to_string()));
            match time.within(exchange(&mut connection, request.clone(), wanted, permit, hop)).await? {
                Answer::Came { reusable: true } => {
                    self.idle().push(connection);
                    return Ok(());
                }
                Answer::Came { reusable: false } => return Ok(()),
                // The server had closed it meanwhile, as it may: a request that was not answered is repeated on a new one.
                Answer::Closed => *hop = Hop::default(),
            }
        }
        let (located, dns) = time.within(timed(locate(self.outside.as_ref(), &origin))).await?;
        hop.head.dns_us = origin.literal.is_none().then_some(dns);
        permit.admit(Visit { fetcher: self, origin: &origin, sockets: &located.sockets, exempt: located.exempt }).await?;
        let _slot = self.slots.acquire().await.map_err(|_| FetchError::Cancelled)?;
        self.make_room();
        time.within(async {
            let (stream, socket) = self.connect(&located.sockets, hop).await?;
            let stream = self.secure(&origin, stream, hop).await?;
            let mut connection = Connection::open(origin, socket.ip(), located.exempt, stream).await?;
            match exchange(&mut connection, request, wanted, permit, hop).await? {
                Answer::Came { reusable: true } => self.idle().push(connection),
                Answer::Came { reusable: false } => {}
                Answer::Closed => return Err(FetchError::Truncated),
            }
            Ok(())
        })
        .await
    }

    fn request(&self, url: &Url, headers: &HeaderMap, method: Method) -> Result<Request<Empty<Bytes>>, FetchError> {
        let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
        let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let host = HeaderValue::from_str(authority).map_err(|_| FetchError::BadRequest)?;
        let method = match method {
            Method::Get => hyper::Method::GET,
            Method::Head => hyper::Method::HEAD,
        };
        let mut request = Request::builder().method(method).uri(target).body(Empty::new()).map_err(|_| FetchError::BadRequest)?;
        let all = request.headers_mut();
        all.insert(header::HOST, host);
        all.insert(header::USER_AGENT, self.agent.clone());
        all.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        all.extend(headers.clone());
        Ok(request)
    }

    /// Tries the judged sockets in order.
    async fn connect(&self, sockets: &[SocketAddr], hop: &mut Hop) -> Result<(Box<dyn Stream>, SocketAddr), FetchError> {
        for socket in sockets {
            hop.head.ip = Some(Text::cut(&socket.ip().to_string()));
            let begun = Instant::now();
            match tokio::time::timeout(CONNECT_PATIENCE, self.outside.connect(*socket)).await {
                Ok(Ok(stream)) => {
                    hop.head.connect_us = Some(micros(begun.elapsed()));
                    return Ok((stream, *socket));
                }
                Ok(Err(error)) => tracing::debug!(%socket, %error, "not connected"),
                Err(_) => tracing::debug!(%socket, "not connected in time"),
            }
        }
        Err(FetchError::Connect)
    }

    async fn secure(&self, origin: &Origin, stream: Box<dyn Stream>, hop: &mut Hop) -> Result<Box<dyn Stream>, FetchError> {
        if !origin.https {
            return Ok(stream);
        }
        let begun = Instant::now();
        let stream = self.tls.handshake(&origin.host, stream).await.map_err(|error| {
            tracing::debug!(host = %origin.host, %error, "no TLS");
            FetchError::Tls
        })?;
        hop.head.tls_us = Some(micros(begun.elapsed()));
        Ok(stream)
    }

    async fn station_file(&self, visit: &Visit<'_>) -> Result<String, FetchError> {
        let _slot = self.slots.acquire().await.map_err(|_| FetchError::Cancelled)?;
        self.make_room();
        let mut hop = Hop::default();
        let (stream, socket) = self.connect(visit.sockets, &mut hop).await?;
        let stream = self.secure(visit.origin, stream, &mut hop).await?;
        let mut connection = Connection::open(visit.origin.clone(), socket.ip(), visit.exempt, stream).await?;
        let url = Url::parse(&visit.origin.url()).map_err(|_| FetchError::BadRequest)?.join(STATION_FILE).map_err(|_| FetchError::BadRequest)?;
        let request = self.request(&url, &HeaderMap::new(), Method::Get)?;
        let response = connection.send(request).await.map_err(|error| error.unwrap_or(FetchError::Truncated))?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Protocol);
        }
        let mut body = response.into_body();
        let mut bytes = Vec::new();
        while let Some(data) = connection.next(&mut body).await? {
            bytes.extend_from_slice(&data);
            if bytes.len() as u64 > STATION_FILE_BYTES_MAX {
                return Err(FetchError::TooLarge);
            }
        }
        String::from_utf8(bytes).map_err(|_| FetchError::Protocol)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The youngest idle connection to `origin` that still lives.
    async fn idle_to(&self, origin: &Origin) -> Option<Connection> {
        loop {
            let mut connection = {
                let mut idle = self.idle();
                let place = idle.iter().rposition(|connection| connection.origin == *origin)?;
                idle.remove(place)
            };
            if connection.is_reusable().await {
                return Some(connection);
            }
        }
    }

    /// Closes the oldest idle connections until one more fits beside those in use.
    fn make_room(&self) {
        let used = CONNECTIONS_MAX - self.slots.available_permits();
        let mut idle = self.idle();
        let over = (idle.len() + used).saturating_sub(CONNECTIONS_MAX).min(idle.len());
        idle.drain(..over);
    }
}

enum Answer {
    /// As far as it was wanted; it stands in the hop.
    Came { reusable: bool },
    /// The connection ended before a byte of it.
    Closed,
}

/// Sends `request` and reads the answer into `hop`.
async fn exchange(
    connection: &mut Connection,
    request: Request<Empty<Bytes>>,
    wanted: &FetchRequest,
    permit: &dyn Permit,
    hop: &mut Hop,
) -> Result<Answer, FetchError> {
    let begun = Instant::now();
    let sent = connection.send(request).await;
    hop.head.ttfb_us = connection.first_byte().map(|first| micros(first - begun));
    let response = match sent {
        Ok(response) => response,
        Err(Some(error)) => return Err(error),
        Err(None) => return Ok(Answer::Closed),
    };
    hop.take_head(&response)?;
    let mut body = response.into_body();
    read_body(connection, &mut body, wanted, permit, hop).await?;
    Ok(Answer::Came { reusable: connection.is_reusable().await })
}

async fn read_body(
    connection: &mut Connection,
    body: &mut Incoming,
    wanted: &FetchRequest,
    permit: &dyn Permit,
    hop: &mut Hop,
) -> Result<(), FetchError> {
    let max = wanted.max_bytes.min(BODY_BYTES_MAX);
    while let Some(data) = connection.next(body).await? {
        let room = max.saturating_sub(hop.body.len() as u64).min(data.len() as u64);
        let taken = permit.take_bytes(room).await;
        hop.body.extend_from_slice(&data[..usize::try_from(taken).unwrap_or(data.len()).min(data.len())]);
        if taken < data.len() as u64 {
            return Err(FetchError::TooLarge);
        }
    }
    Ok(())
}

impl Hop {
    fn take_head(&mut self, response: &Response<Incoming>) -> Result<(), FetchError> {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers: Vec<_> = response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        self.head.status = Some(u64::from(response.status().as_u16()));
        self.head.headers = List::new(headers).map_err(|_| FetchError::TooLarge)?;
        Ok(())
    }

    /// Completes the head once nothing more comes.
    fn finish(&mut self, error: Option<FetchError>, spent: Duration) {
        self.head.error = error;
        self.head.total_us = Some(micros(spent));
        self.head.bytes = self.body.len() as u64;
        self.head.body_sha256 = self.head.status.map(|_| Hash32(Sha256::digest(&self.body).into()));
    }

    fn record(&self, method: Method, url: &str) -> Record {
        let head = &self.head;
        Record {
            op: Text::cut(HTTP_FETCH),
            method,
            url: Text::cut(url),
            error: head.error,
            status: head.status,
            ip: head.ip.clone(),
            reused: head.reused,
            dns_us: head.dns_us,
            connect_us: head.connect_us,
            tls_us: head.tls_us,
            ttfb_us: head.ttfb_us,
            total_us: head.total_us,
            bytes: head.bytes,
            body_sha256: head.body_sha256,
        }
    }

    /// The end of a fetch with this hop as its last. `last`: the URL that redirects led to.
    fn done(mut self, error: Option<FetchError>, time: &TimeLeft, records: Vec<Record>, last: Option<String>) -> Fetched {
        self.head.error = self.head.error.or(error);
        self.head.total_us = Some(micros(time.all.saturating_sub(time.left)));
        if self.head.redirected_to.is_none() {
            self.head.redirected_to = last.map(|url| Text::cut(&url));
        }
        Fetched { head: self.head, body: self.body, records }
    }
}

async fn timed<T>(work: impl Future<Output = Result<T, FetchError>>) -> Result<(T, u64), FetchError> {
    let begun = Instant::now();
    work.await.map(|done| (done, micros(begun.elapsed())))
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
