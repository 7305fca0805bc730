//! Binds the control API to its loopback socket and serves it within [`Limits`].
//!
//! Guarantees: so many connections and no more, a time for every head, body and unread answer, and a bound on heads, so that no program
//! without the token holds a place that another needs. Deliberately lacks a bound on how long an answer may take: whoever has the token is
//! the operator.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::serve::Listener;
use axum::{BoxError, Json, Router};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::api::types::ErrorBody;
use patient::Patient;
use places::{Place, Places};

/// Connections served at once; the next one takes the place of who waits longest, or waits in the kernel. An operator's commands and
/// scripts hold one each, so that 64 are plenty; at 25 KiB each they are 1.6 MiB.
const CONNECTIONS_MAX: usize = 64;
/// A newcomer keeps its place for so long, whoever comes: long enough to read a request that was sent before the connection was accepted,
/// and short enough for 1,280 silent ones a second to pass.
const SETTLE: Duration = Duration::from_millis(50);
/// Connections that wait in the kernel, which has no more by default: when they are too few, a command's first packet is lost and sent again
/// after seconds, while a queue of 4,096 passes in three.
const BACKLOG: u32 = 4096;
/// Largest head of a request: the token's and a browser's headers are below 1 KiB, and hyper would take 400 KiB.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// A head is whole by then, counted from the connection or from the last answer, so that it bounds idle connections too. A script that
/// keeps its connection longer opens another.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// A body is whole by then: 16 MiB at 140 kB/s, for those who come through a tunnel.
const BODY_TIME: Duration = Duration::from_secs(120);
/// An answer of which nothing was taken for so long has no reader any more; a person who leafs through one pauses for less.
const STALL_TIME: Duration = Duration::from_secs(120);

/// What connections may take.
#[derive(Clone, Copy, Debug)]
struct Limits {
    connections: usize,
    settle: Duration,
    head_bytes: usize,
    head: Duration,
    body: Duration,
    stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: CONNECTIONS_MAX, settle: SETTLE, head_bytes: HEAD_BYTES_MAX, head: HEAD_TIME, body: BODY_TIME, stall: STALL_TIME }
    }
}

/// Where the API listens, and the server itself to be awaited; its connections end when it is dropped.
pub async fn serve(addr: SocketAddr, router: Router) -> std::io::Result<(SocketAddr, impl Future<Output = ()> + Send + 'static)> {
    let listener = listener(addr)?;
    let addr = listener.local_addr()?;
    Ok((addr, admit(listener, router, Limits::default())))
}

/// As [`TcpListener::bind`] makes it, with another backlog.
fn listener(addr: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // On Windows it would let two programs listen at one address.
    if !cfg!(windows) {
        socket.set_reuseaddr(true)?;
    }
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

async fn admit(mut listener: impl Listener, router: Router, limits: Limits) {
    let mut places = Places::new(limits.connections, limits.settle);
    let router = TowerToHyperService::new(router);
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await;
        let place = places.take().await;
        while connections.try_join_next().is_some() {}
        connections.spawn(connection(stream, place, router.clone(), limits));
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin, place: Place, router: TowerToHyperService<Router>, limits: Limits) {
    let (at, to) = (&place, &router);
    let service = service_fn(move |request| async move { Ok::<_, Infallible>(answer(at, to, request, limits.body).await) });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_header_size(limits.head_bytes)
        .serve_connection(TokioIo::new(Patient::new(stream, limits.stall)), service);
    tokio::select! {
        // A client that breaks off is its own affair.
        _ = served => {}
        () = place.let_go() => {}
    }
}

async fn answer(place: &Place, router: &TowerToHyperService<Router>, request: hyper::Request<Incoming>, time: Duration) -> Response {
    // Who was let go at this very moment is not begun with.
    let Some(work) = place.work() else { return std::future::pending().await };
    let (unread, read) = oneshot::channel::<()>();
    // The sender goes with the body: when that was read, or is not wanted.
    let request: Request = match request.body().is_end_stream() {
        true => request.map(|body| holding(body, unread)),
        false => {
            let receiving = place.receives();
            request.map(|body| {
                let told = body.map_frame(move |frame| {
                    receiving.came();
                    frame
                });
                holding(told, unread)
            })
        }
    };
    let response = tokio::select! {
        biased;
        Ok(response) = router.call(request) => response,
        () = late(read, time) => too_late(time),
    };
    response.map(|body| holding(body, work))
}

/// `body`, with which `held` is dropped.
fn holding<B>(body: B, held: impl Send + 'static) -> Body
where
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    Body::new(body.map_err(move |error| {
        let _held = &held;
        error
    }))
}

/// Returns if `read` has not ended in `time`, and never otherwise.
async fn late(read: oneshot::Receiver<()>, time: Duration) {
    if tokio::time::timeout(time, read).await.is_ok() {
        std::future::pending::<()>().await;
    }
}

fn too_late(time: Duration) -> Response {
    let error = format!("the request's body was not whole after {} s", time.as_secs());
    (StatusCode::REQUEST_TIMEOUT, Json(ErrorBody { error })).into_response()
}

mod patient;
mod places;
#[cfg(test)]
pub(crate) mod tests;
