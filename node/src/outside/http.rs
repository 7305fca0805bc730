//! `http.fetch` over any `Outside`: GET and HEAD by HTTP/1.1, with and without TLS (no HTTP/2 or 3 yet).
//!
//! Guarantees: nothing is looked up or contacted that may not be, by its form, its address and its [`Permit`]; a name is resolved once,
//! every candidate judged, and exactly a judged socket connected to; each redirect is judged anew; nothing a server does exceeds the
//! request's time, bytes and headers; times are taken at the stream. What goes wrong is data. Deliberately lacks cookies, credentials,
//! proxies, caches and decompression.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderMap, HeaderValue};
use hyper::{Request, Response};
use sha2::{Digest, Sha256};
use station_protocol::bounded::{List, Text};
use station_protocol::hostcall::{BODY_BYTES_MAX, FetchError, FetchHead, FetchRequest, HTTP_FETCH, Method, REDIRECTS_MAX, Record};
use station_protocol::identity::Hash32;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;
use url::Url;

use super::address::{Origin, judge_form};
use super::caller::Caller;
use super::connection::{Body, Connection, Line};
use super::request::{Step, follow, guest_headers, location};
use super::tls::Tls;
use super::toll::Purse;
use super::trouble::Trouble;
use super::vicinity::Vicinity;

/// Connections one execution may have, used and idle: what browsers open to one host.
pub const CONNECTIONS_MAX: usize = 6;

/// A request about to be sent, for [`Permit`].
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    /// Who would send it.
    pub caller: &'a Caller,
    pub origin: &'a Origin,
    /// Whether the builder of the `Outside` named the socket.
    pub exempt: bool,
}

/// What stands between a guest's wish and the wire: policy, quotas, politeness.
pub trait Permit: Send + Sync {
    /// Whether this host (lower case, no brackets) and port are granted at all.
    fn permits(&self, host: &str, port: u16) -> bool;
    /// Counts one more request because of a redirect; false when the execution may make no more.
    fn count_redirect(&self) -> bool;
    /// Waits until one more request to this target is polite, and counts it, before its name is looked up. Waiting is not charged to the
    /// request's time.
    fn admit<'a>(&'a self, visit: Visit<'a>) -> BoxFuture<'a, Result<(), Trouble>>;
    /// The same of an address, before it is contacted.
    fn arrive<'a>(&'a self, visit: Visit<'a>, ip: IpAddr) -> BoxFuture<'a, Result<(), Trouble>>;
    /// Whether no more bytes may come in, so that nothing should be asked for.
    fn is_spent(&self) -> bool;
    /// Who pays for the bytes at the socket.
    fn purse(&self) -> Arc<dyn Purse>;
    /// Makes room for up to `wanted` bytes of a body in memory; how many fit.
    fn keep(&self, wanted: u64) -> u64;
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
    caller: Caller,
    idle: Mutex<Vec<Connection>>,
    slots: Semaphore,
}

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetcher").field("caller", &self.caller).finish_non_exhaustive()
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

/// Where a request may run out of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Name,
    Connection,
    Tls,
    Answer,
}

impl Phase {
    /// Names are asked of this station's resolver: that it was slow says nothing of the target.
    fn over(self) -> Trouble {
        let (error, what) = match self {
            Self::Name => (FetchError::StationFailed, "this station's resolver did not answer in time"),
            Self::Connection => (FetchError::Timeout, "no connection in time"),
            Self::Tls => (FetchError::Timeout, "the TLS handshake did not end in time"),
            Self::Answer => (FetchError::Timeout, "the answer did not come whole in time"),
        };
        Trouble::new(error, what)
    }
}

impl TimeLeft {
    /// What `work` gives, unless the time is over before.
    async fn within<T, E: Into<Trouble>>(&mut self, phase: Phase, work: impl Future<Output = Result<T, E>>) -> Result<T, Trouble> {
        let begun = Instant::now();
        let done = tokio::time::timeout(self.left, work).await;
        self.left = self.left.saturating_sub(begun.elapsed());
        match done {
            Ok(done) => done.map_err(Into::into),
            Err(_) => Err(phase.over()),
        }
    }
}

impl Fetcher {
    /// A fetcher that names itself `agent` (see [`super::request::user_agent`]).
    #[must_use]
    pub fn new(vicinity: Arc<Vicinity>, tls: Tls, agent: &str) -> Self {
        Self { caller: Caller::new(vicinity, tls, agent), idle: Mutex::default(), slots: Semaphore::new(CONNECTIONS_MAX) }
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
                Err(error) => Err(Trouble::from(*error)),
            };
            hop.head.redirected_to = location(&url, hop.head.status, &hop.head.headers);
            hop.finish(result.err(), spent - time.left);
            records.push(hop.record(request.method, &url));
            let next = hop.head.redirected_to.as_ref().filter(|_| hop.head.error.is_none() && request.redirects > 0).map(ToString::to_string);
            let decided = next.map(|next| follow(&url, &next, followed, request.redirects.min(REDIRECTS_MAX)));
            match decided {
                Some(Ok(_)) if !permit.count_redirect() => {
                    return hop.done(Some(Trouble::new(FetchError::Quota, "the execution may make no more requests")), &time, records, None);
                }
                Some(Ok(Step { url: next, same_host })) => {
                    followed += 1;
                    url = next;
                    if !same_host {
                        headers = headers.map(|_| HeaderMap::new());
                    }
                }
                Some(Err(error)) => return hop.done(Some(error.into()), &time, records, None),
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
    ) -> Result<(), Trouble> {
        let url = Url::parse(url).map_err(|_| FetchError::BadRequest)?;
        let origin = Origin::of(&url)?;
        if !permit.permits(&origin.host, origin.port) {
            let why = "the experiment does not name this host and port, or this station's operator does not allow them";
            return Err(Trouble::new(FetchError::NotGranted, why));
        }
        let request = self.caller.request(&url, headers, wanted.method)?;
        if permit.is_spent() {
            return Err(Trouble::new(FetchError::Quota, "the bytes of the job or of this station's day are used up"));
        }
        let exempt = judge_form(&self.caller.vicinity, &origin)?;
        let visit = Visit { caller: &self.caller, origin: &origin, exempt };
        permit.admit(visit).await?;
        let idle = if wanted.fresh { None } else { self.idle_to(&origin).await };
        if let Some(connection) = idle {
            permit.arrive(Visit { exempt: connection.exempt, ..visit }, connection.ip).await?;
            let _slot = self.slot().await?;
            hop.head.reused = true;
            hop.head.ip = Some(Text::cut(&connection.ip.to_string()));
            connection.begin(wanted.max_bytes.min(BODY_BYTES_MAX));
            if self.exchange(connection, request.clone(), wanted, time, permit, hop).await? {
                return Ok(());
            }
            // The server had closed it meanwhile, as it may: a request that was not answered is repeated on a new one.
            *hop = Hop::default();
        }
        let (line, _slot) = self.connect(visit, wanted, time, permit, hop).await?;
        let begun = Instant::now();
        let line = if origin.https {
            let line = time.within(Phase::Tls, self.caller.secure(&origin, line)).await?;
            hop.head.tls_us = Some(micros(begun.elapsed()));
            line
        } else {
            line
        };
        let connection = time.within(Phase::Answer, Connection::open(origin, line)).await?;
        if self.exchange(connection, request, wanted, time, permit, hop).await? {
            Ok(())
        } else {
            Err(Trouble::new(FetchError::Truncated, "the connection was closed without an answer"))
        }
    }

    /// Sends `request` and reads the answer into `hop`; false if the connection ended before a byte of it. Keeps a connection that can
    /// serve again.
    async fn exchange(
        &self,
        mut connection: Connection,
        request: Request<Empty<Bytes>>,
        wanted: &FetchRequest,
        time: &mut TimeLeft,
        permit: &dyn Permit,
        hop: &mut Hop,
    ) -> Result<bool, Trouble> {
        let answer = time.within(Phase::Answer, exchange(&mut connection, request, wanted, permit, hop)).await?;
        connection.settle();
        if matches!(answer, Answer::Came { reusable: true }) {
            self.idle().push(connection);
        }
        Ok(matches!(answer, Answer::Came { .. }))
    }

    /// A line to the first of the origin's sockets that may be contacted and answers, and a place among the connections.
    async fn connect(
        &self,
        visit: Visit<'_>,
        wanted: &FetchRequest,
        time: &mut TimeLeft,
        permit: &dyn Permit,
        hop: &mut Hop,
    ) -> Result<(Line, SemaphorePermit<'_>), Trouble> {
        let (located, dns) = time.within(Phase::Name, timed(self.caller.locate(visit.origin, time.left))).await?;
        hop.head.dns_us = visit.origin.literal.is_none().then_some(dns);
        // Of several addresses the one that says most of the target counts, of equals the last; an address where nobody was asked is none.
        let mut failure: Option<(Trouble, Option<IpAddr>)> = None;
        let mut failed = |trouble: Trouble, ip| {
            if failure.as_ref().is_none_or(|(known, _)| trouble.weight() >= known.weight()) {
                failure = Some((trouble, ip));
            }
        };
        for socket in located.sockets {
            if let Err(error) = permit.arrive(Visit { exempt: located.exempt, ..visit }, socket.ip()).await {
                failed(error, None);
                continue;
            }
            let slot = self.slot().await?;
            self.make_room();
            let body_bytes = wanted.max_bytes.min(BODY_BYTES_MAX);
            match time.within(Phase::Connection, timed(self.caller.connect(socket, located.exempt, permit.purse(), body_bytes))).await {
                Ok((line, took)) => {
                    hop.head.ip = Some(Text::cut(&socket.ip().to_string()));
                    hop.head.connect_us = Some(took);
                    return Ok((line, slot));
                }
                Err(error) => failed(error, Some(socket.ip())),
            }
        }
        let (trouble, ip) = failure.unwrap_or((FetchError::Connect.into(), None));
        hop.head.ip = ip.map(|ip| Text::cut(&ip.to_string()));
        Err(trouble)
    }

    async fn slot(&self) -> Result<SemaphorePermit<'_>, FetchError> {
        self.slots.acquire().await.map_err(|_| FetchError::Cancelled)
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
) -> Result<Answer, Trouble> {
    let begun = Instant::now();
    let sent = connection.send(request).await;
    hop.head.ttfb_us = connection.first_byte().map(|first| micros(first - begun));
    let response = match sent {
        Ok(response) => response,
        Err(Some(error)) => return Err(error),
        Err(None) => return Ok(Answer::Closed),
    };
    hop.take_head(&response)?;
    let mut body = Body::from(response);
    read_body(connection, &mut body, wanted, permit, hop).await?;
    Ok(Answer::Came { reusable: connection.is_reusable().await })
}

async fn read_body(connection: &mut Connection, body: &mut Body, wanted: &FetchRequest, permit: &dyn Permit, hop: &mut Hop) -> Result<(), Trouble> {
    let max = wanted.max_bytes.min(BODY_BYTES_MAX);
    while let Some(data) = connection.next(body).await? {
        let room = max.saturating_sub(hop.body.len() as u64).min(data.len() as u64);
        let taken = permit.keep(room);
        hop.body.extend_from_slice(&data[..usize::try_from(taken).unwrap_or(data.len()).min(data.len())]);
        if taken < data.len() as u64 {
            return Err(Trouble::new(FetchError::TooLarge, "its body is larger than was asked for, or than fits here"));
        }
    }
    Ok(())
}

impl Hop {
    fn take_head(&mut self, response: &Response<Incoming>) -> Result<(), Trouble> {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers: Vec<_> = response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
        self.head.status = Some(u64::from(response.status().as_u16()));
        self.head.headers = List::new(headers).map_err(|_| FetchError::TooLarge)?;
        Ok(())
    }

    /// Completes the head once nothing more comes.
    fn finish(&mut self, trouble: Option<Trouble>, spent: Duration) {
        self.head.error = trouble.as_ref().map(|trouble| trouble.error);
        self.head.detail = trouble.and_then(|trouble| trouble.why);
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
            detail: head.detail.clone(),
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
    fn done(mut self, trouble: Option<Trouble>, time: &TimeLeft, records: Vec<Record>, last: Option<String>) -> Fetched {
        if let Some(trouble) = trouble.filter(|_| self.head.error.is_none()) {
            (self.head.error, self.head.detail) = (Some(trouble.error), trouble.why);
        }
        self.head.total_us = Some(micros(time.all.saturating_sub(time.left)));
        if self.head.redirected_to.is_none() {
            self.head.redirected_to = last.map(|url| Text::cut(&url));
        }
        Fetched { head: self.head, body: self.body, records }
    }
}

async fn timed<T>(work: impl Future<Output = Result<T, Trouble>>) -> Result<(T, u64), Trouble> {
    let begun = Instant::now();
    work.await.map(|done| (done, micros(begun.elapsed())))
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
