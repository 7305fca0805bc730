//! [`Gateway`]: a small trustless IPFS gateway on loopback, good, slow or lying, for the demo and for tests.
//!
//! Guarantees: a real HTTP/1.1 server with kept connections; `/ipfs/{cid}` with `format=raw`, or `format=car` and
//! `dag-scope=block`, by query or `Accept`; GET and HEAD; dropping it closes its listener and every connection. Deliberately lacks
//! directories, ranges, whole DAGs and any content but the blocks it was given.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use cid::Cid;
use futures::stream::{self, BoxStream, StreamExt as _};
use http_body_util::StreamBody;
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use station_car::Writer;
use station_car::block::inline_bytes;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// How a gateway treats those who ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Answers at once with the right bytes.
    Good,
    /// Answers after [`SLOW_ANSWER`], a few bytes at a time.
    Slow,
    /// Answers at once with one byte of every body flipped.
    Lying,
}

/// What a slow gateway waits before each answer: clearly apart from loopback's own times, far from anybody's time-out.
pub const SLOW_ANSWER: Duration = Duration::from_millis(400);
/// What a slow gateway waits between the pieces of a body.
const SLOW_PIECE: Duration = Duration::from_millis(15);
/// Into how many pieces a slow gateway breaks a body.
const SLOW_PIECES: usize = 8;
/// Connections served at once; more wait. The demo's eight stations keep one or two each.
const CONNECTIONS_MAX: usize = 64;
/// How long a failing `accept` rests: such failures (no descriptors left) do not pass at once.
const ACCEPT_REST: Duration = Duration::from_millis(50);
/// A client that has not sent a request's head by then is cut off.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

const RAW: &str = "application/vnd.ipld.raw";
const CAR: &str = "application/vnd.ipld.car";

/// A running gateway. Dropping it stops it.
#[derive(Debug)]
pub struct Gateway {
    addr: SocketAddr,
    server: AbortHandle,
}

impl Gateway {
    /// Serves `blocks` on a free port of 127.0.0.1. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// When no loopback port can be bound.
    pub async fn start(behaviour: Behaviour, blocks: Vec<(Cid, Vec<u8>)>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let shelf = Arc::new(Shelf { behaviour, blocks: blocks.into_iter().map(|(cid, bytes)| (cid, Bytes::from(bytes))).collect() });
        Ok(Self { addr, server: tokio::spawn(serve(listener, shelf)).abort_handle() })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// As an experiment's input names it: `http://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // The server's task owns its connections' tasks, so they end with it.
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, shelf: Arc<Shelf>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, Arc::clone(&shelf)));
                }
                Err(_) => tokio::time::sleep(ACCEPT_REST).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, shelf: Arc<Shelf>) {
    let service = hyper::service::service_fn(|request: Request<Incoming>| {
        let shelf = Arc::clone(&shelf);
        async move { Ok::<_, Infallible>(shelf.answer(&request).await) }
    });
    // A client that breaks off is its own affair.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

type Body = StreamBody<BoxStream<'static, Result<Frame<Bytes>, Infallible>>>;

/// What a gateway has, and its manners.
#[derive(Debug)]
struct Shelf {
    behaviour: Behaviour,
    blocks: BTreeMap<Cid, Bytes>,
}

/// What a gateway can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Raw,
    Car,
}

/// A good answer, before manners.
struct Found {
    format: Format,
    cid: Cid,
    body: Bytes,
}

impl Shelf {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Body> {
        if self.behaviour == Behaviour::Slow {
            tokio::time::sleep(SLOW_ANSWER).await;
        }
        let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
        let mut response = match request.method() {
            &Method::GET | &Method::HEAD => match self.find(request.uri().path(), request.uri().query().unwrap_or_default(), accept) {
                Ok(found) => self.found(found),
                Err(refusal) => plain(refusal),
            },
            _ => {
                let mut response = plain(StatusCode::METHOD_NOT_ALLOWED);
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
                response
            }
        };
        if request.method() == Method::HEAD {
            *response.body_mut() = pieces(Bytes::new(), 1, Duration::ZERO);
        }
        response
    }

    /// The bytes asked for, or the status that refuses.
    fn find(&self, path: &str, query: &str, accept: Option<&str>) -> Result<Found, StatusCode> {
        let name = path.strip_prefix("/ipfs/").filter(|name| !name.is_empty()).ok_or(StatusCode::NOT_FOUND)?;
        let cid: Cid = name.parse().map_err(|_| StatusCode::BAD_REQUEST)?;
        let parameter = |key: &str| query.split('&').filter_map(|pair| pair.split_once('=')).find(|(own, _)| *own == key).map(|(_, value)| value);
        let format = match (parameter("format"), accept) {
            (Some("raw"), _) => Format::Raw,
            (Some("car"), _) => Format::Car,
            (Some(_), _) => return Err(StatusCode::NOT_ACCEPTABLE),
            (None, Some(accept)) if accept.contains(CAR) => Format::Car,
            (None, Some(accept)) if accept.contains(RAW) => Format::Raw,
            // The specification of trustless gateways asks for this when no format is named at all.
            (None, _) => return Err(StatusCode::BAD_REQUEST),
        };
        if format == Format::Car && parameter("dag-scope") != Some("block") {
            return Err(StatusCode::NOT_IMPLEMENTED);
        }
        let block = match inline_bytes(&cid) {
            Some(bytes) => Bytes::copy_from_slice(bytes),
            None => self.blocks.get(&cid).cloned().ok_or(StatusCode::NOT_FOUND)?,
        };
        let body = match format {
            Format::Raw => block,
            Format::Car => car_of(cid, &block).ok_or(StatusCode::INTERNAL_SERVER_ERROR)?,
        };
        Ok(Found { format, cid, body })
    }

    fn found(&self, Found { format, cid, body }: Found) -> Response<Body> {
        let length = body.len();
        let body = match self.behaviour {
            Behaviour::Good => pieces(body, 1, Duration::ZERO),
            Behaviour::Slow => pieces(body, SLOW_PIECES, SLOW_PIECE),
            Behaviour::Lying => pieces(flipped(&body), 1, Duration::ZERO),
        };
        let (kind, extension) = match format {
            Format::Raw => (RAW, "bin"),
            Format::Car => ("application/vnd.ipld.car; version=1; order=dfs; dups=n", "car"),
        };
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=29030400, immutable"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        // A CID's text is letters and digits, so these always are headers.
        for (name, value) in [(ETAG, format!("\"{cid}.{extension}\"")), (CONTENT_DISPOSITION, format!("attachment; filename=\"{cid}.{extension}\""))]
        {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        }
        response
    }
}

/// A refusal in words.
fn plain(status: StatusCode) -> Response<Body> {
    let words = status.canonical_reason().unwrap_or_default();
    let mut response = Response::new(pieces(Bytes::from_static(words.as_bytes()), 1, Duration::ZERO));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(words.len()));
    response
}

/// A CAR of that one block; identity blocks stay out of CARs. Nothing if the block is not its CID's.
fn car_of(cid: Cid, block: &[u8]) -> Option<Bytes> {
    let mut writer = Writer::new(cid).ok()?;
    let mut car = writer.header();
    if writer.wants().is_some() {
        car.extend(writer.supply(block).ok()?);
    }
    Some(Bytes::from(car))
}

/// The same with its last byte changed; nothing can be changed in nothing.
fn flipped(body: &[u8]) -> Bytes {
    let mut body = body.to_vec();
    if let Some(last) = body.last_mut() {
        *last ^= 1;
    }
    Bytes::from(body)
}

/// `body` in about `count` pieces with a rest of `pause` before each.
fn pieces(body: Bytes, count: usize, pause: Duration) -> Body {
    let size = body.len().div_ceil(count).max(1);
    let pieces = stream::unfold(body, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        let piece = rest.split_to(size.min(rest.len()));
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        Some((Ok(Frame::data(piece)), rest))
    });
    StreamBody::new(pieces.boxed())
}

#[cfg(test)]
mod tests;
