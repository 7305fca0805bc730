//! [`Caller`]: how this station calls a target: where it is, a line to it, and the file in which it says how much it takes.
//!
//! Guarantees: a name is resolved to judged sockets, and exactly one of them connected to; what is sent names the station and the
//! experiment. Deliberately lacks leave: whether to call is asked before, of `politeness`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Request, StatusCode};
use station_protocol::hostcall::{FetchError, Method};
use tokio::time::timeout;
use url::Url;

use super::address::{Located, Origin, locate};
use super::connection::{Body, Connection, Line};
use super::tls::Tls;
use super::toll::{Paid, Purse, Toll};
use super::trouble::{Trouble, not_connected, not_secure};
use super::vicinity::Vicinity;

/// Patience with one candidate address before the next is tried.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// The path of the file by which a target says how much it takes.
const STATION_FILE: &str = "/.well-known/station";
/// Its largest size: a number needs no more, and the station did not ask for content.
const STATION_FILE_BYTES_MAX: u64 = 4 << 10;
/// Patience with a target that is asked for it; a target that says nothing has the default.
const STATION_FILE_PATIENCE: Duration = Duration::from_secs(3);
/// The same for a socket that the builder of the `Outside` named: it is near, and people wait for a demo.
const STATION_FILE_PATIENCE_EXEMPT: Duration = Duration::from_millis(250);

/// Whether an address may be contacted, and its turn has come.
pub(super) type Arrive<'a> = &'a (dyn Fn(IpAddr) -> BoxFuture<'a, bool> + Send + Sync);

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Caller {
    pub(super) vicinity: Arc<Vicinity>,
    tls: Tls,
    agent: HeaderValue,
}

impl Caller {
    /// One that names itself `agent` (see [`super::request::user_agent`]).
    #[must_use]
    pub fn new(vicinity: Arc<Vicinity>, tls: Tls, agent: &str) -> Self {
        Self { vicinity, tls, agent: HeaderValue::from_str(agent).unwrap_or_else(|_| HeaderValue::from_static("station")) }
    }

    /// Where `origin` is, every candidate judged; whoever asks waits so long.
    pub(super) async fn locate(&self, origin: &Origin, within: Duration) -> Result<Located, Trouble> {
        locate(&self.vicinity, origin, within).await
    }

    /// A GET or HEAD of `url` with the headers that every request has, and `headers`.
    pub(super) fn request(&self, url: &Url, headers: &HeaderMap, method: Method) -> Result<Request<Empty<Bytes>>, FetchError> {
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

    /// A line to `socket`, which was judged. `purse` pays for all that passes, in the first exchange a body of `body_bytes` at most.
    pub(super) async fn connect(&self, socket: SocketAddr, exempt: bool, purse: Arc<dyn Purse>, body_bytes: u64) -> Result<Line, Trouble> {
        match timeout(CONNECT_PATIENCE, self.vicinity.outside().connect(socket)).await {
            Ok(Ok(stream)) => {
                let toll = Toll::new(purse);
                toll.begin(body_bytes);
                Ok(Line { stream: Box::new(Paid { stream, toll: toll.clone() }), ip: socket.ip(), exempt, toll })
            }
            Ok(Err(error)) => {
                tracing::debug!(%socket, %error, "not connected");
                Err(not_connected(&error))
            }
            Err(_) => {
                tracing::debug!(%socket, "not connected in time");
                Err(Trouble::new(FetchError::Connect, format_args!("nobody answered within {} s", CONNECT_PATIENCE.as_secs())))
            }
        }
    }

    /// The handshake with `origin` over `line`.
    pub(super) async fn secure(&self, origin: &Origin, line: Line) -> Result<Line, Trouble> {
        let Line { stream, toll, .. } = line;
        let stream = self.tls.handshake(&origin.host, stream).await.map_err(|error| {
            tracing::debug!(host = %origin.host, %error, "no TLS");
            toll.failure().map_or_else(|| not_secure(&error), Trouble::from)
        })?;
        Ok(Line { stream, toll, ..line })
    }

    /// Asks `origin` for its `/.well-known/station`, by a connection that serves nothing else, so that the guest's is as cold as it would
    /// be without. `arrive` says whether an address may be contacted, and waits for its turn. `None`: there is none, or no answer in time.
    pub(super) async fn station_file(&self, origin: &Origin, purse: Arc<dyn Purse>, arrive: Arrive<'_>) -> Option<String> {
        let located = timeout(STATION_FILE_PATIENCE, self.locate(origin, STATION_FILE_PATIENCE)).await.ok()?.ok()?;
        let patience = if located.exempt { STATION_FILE_PATIENCE_EXEMPT } else { STATION_FILE_PATIENCE };
        for socket in located.sockets {
            if located.exempt || arrive(socket.ip()).await {
                let reading = self.read_station_file(origin, socket, located.exempt, purse);
                return timeout(patience, reading).await.ok()?.ok();
            }
        }
        None
    }

    async fn read_station_file(&self, origin: &Origin, socket: SocketAddr, exempt: bool, purse: Arc<dyn Purse>) -> Result<String, Trouble> {
        let mut line = self.connect(socket, exempt, purse, STATION_FILE_BYTES_MAX).await?;
        if origin.https {
            line = self.secure(origin, line).await?;
        }
        let mut connection = Connection::open(origin.clone(), line).await?;
        let url = Url::parse(&origin.url()).map_err(|_| FetchError::BadRequest)?.join(STATION_FILE).map_err(|_| FetchError::BadRequest)?;
        let request = self.request(&url, &HeaderMap::new(), Method::Get)?;
        let response = connection.send(request).await.map_err(|error| error.unwrap_or(FetchError::Truncated.into()))?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Protocol.into());
        }
        let mut body = Body::from(response);
        let mut bytes = Vec::new();
        while let Some(data) = connection.next(&mut body).await? {
            bytes.extend_from_slice(&data);
            if bytes.len() as u64 > STATION_FILE_BYTES_MAX {
                return Err(FetchError::TooLarge.into());
            }
        }
        String::from_utf8(bytes).map_err(|_| FetchError::Protocol.into())
    }
}
