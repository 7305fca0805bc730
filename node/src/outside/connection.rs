//! One HTTP/1.1 connection to a judged address, polled by whoever uses it.
//!
//! Guarantees: the first byte of a response is timed where it leaves the stream; a response head stays within its bounds, and so does
//! all that comes before it; one that comes too slowly is given up; trailers are bounded by hyper (16 KiB) and thrown away. The pace is
//! taken above TLS, so that padding is no progress. Deliberately lacks tasks of its own: an idle connection does nothing until it is used.

use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::poll_fn;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{self, HeaderMap};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use station_protocol::hostcall::{FetchError, RESPONSE_HEAD_BYTES_MAX, RESPONSE_HEADERS_MAX};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::Stream;
use super::address::Origin;
use super::toll::Toll;
use super::trouble::Trouble;

/// Why a head is refused that is whole HTTP.
const HEAD_TOO_LARGE: &str = "its head has more than 100 headers or 32 KiB";
const _: () = assert!(RESPONSE_HEADERS_MAX == 100 && RESPONSE_HEAD_BYTES_MAX == 32 << 10, "the words have these numbers");

type Driver = Pin<Box<http1::Connection<TokioIo<Metered>, Empty<Bytes>>>>;

/// A response must bring this much in every window after its first byte, else it is held open on purpose: 1 KiB/s.
const PACE_BYTES: u64 = 10 << 10;
/// The window: long enough for a mobile network's pause.
const PACE_WINDOW: Duration = Duration::from_secs(10);
/// How often the pace is looked at.
const PACE_LOOK: Duration = Duration::from_secs(1);

/// Bytes that may come before a response's head is whole: the largest head, and as much of those with a status of 1xx, which servers
/// may send in any number.
const HEADS_BYTES_MAX: u64 = 2 * RESPONSE_HEAD_BYTES_MAX as u64;

/// A connection with one request at most in flight.
pub(super) struct Connection {
    pub(super) origin: Origin,
    pub(super) ip: IpAddr,
    /// Whether the builder of the `Outside` named this socket.
    pub(super) exempt: bool,
    sender: SendRequest<Empty<Bytes>>,
    /// None once the connection ended.
    driver: Option<Driver>,
    meter: Arc<Meter>,
    toll: Arc<Toll>,
}

impl Connection {
    /// Speaks HTTP to `origin` over `line`.
    pub(super) async fn open(origin: Origin, line: Line) -> Result<Self, FetchError> {
        let meter = Arc::new(Meter::default());
        let Line { stream, ip, exempt, toll } = line;
        let io = TokioIo::new(Metered { stream, meter: meter.clone() });
        let mut builder = http1::Builder::new();
        builder.max_buf_size(RESPONSE_HEAD_BYTES_MAX).max_headers(RESPONSE_HEADERS_MAX);
        // Lines of a header that go on in the next one: RFC 9112 wants them taken for a space.
        builder.allow_obsolete_multiline_headers_in_responses(true);
        let (sender, driver) = builder.handshake(io).await.map_err(|_| FetchError::Protocol)?;
        Ok(Self { origin, ip, exempt, sender, driver: Some(Box::pin(driver)), meter, toll })
    }

    /// Another exchange begins, that is to bring a body of `body_bytes` at most.
    pub(super) fn begin(&self, body_bytes: u64) {
        self.toll.begin(body_bytes);
    }

    /// What was paid for and not used is for other connections.
    pub(super) fn settle(&self) {
        self.toll.settle();
    }

    /// Sends `request` and awaits the response's head. `None`: the connection was closed before it answered anything.
    pub(super) async fn send(&mut self, request: Request<Empty<Bytes>>) -> Result<Response<Incoming>, Option<Trouble>> {
        self.meter.arm();
        let response = self.sender.send_request(request);
        let error = match drive(&mut self.driver, &self.meter, response).await.map_err(|error| Some(too_slow_an_answer(error)))? {
            Ok(response) => {
                self.meter.head_came();
                return Ok(response);
            }
            Err(error) => error,
        };
        if let Some(failure) = self.meter.flood() {
            return Err(Some(Trouble::new(failure, HEAD_TOO_LARGE)));
        }
        if let Some(failure) = self.toll.failure() {
            return Err(Some(failure.into()));
        }
        if error.is_parse_too_large() {
            return Err(Some(Trouble::new(FetchError::TooLarge, HEAD_TOO_LARGE)));
        }
        if error.is_parse() {
            // hyper's words are its own: nothing that the server sent is in them.
            return Err(Some(Trouble::new(FetchError::Protocol, format_args!("the answer is no HTTP/1.1: {error}"))));
        }
        Err(self.meter.first_byte().map(|_| Trouble::new(FetchError::Truncated, "the answer ended in its head")))
    }

    /// The next piece of the body; `None` at its end.
    pub(super) async fn next(&mut self, body: &mut Body) -> Result<Option<Bytes>, Trouble> {
        if body.left == Some(0) {
            return Ok(None);
        }
        let mut data = self.piece(&mut body.incoming).await?;
        match (&mut body.left, &mut data) {
            // What follows the body is no part of it.
            (Some(left), Some(data)) => {
                data.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= data.len() as u64;
            }
            (Some(_), None) => return Err(Trouble::new(FetchError::Truncated, "the body ended before the length that its head says")),
            (None, _) => {}
        }
        Ok(data)
    }

    async fn piece(&mut self, body: &mut Incoming) -> Result<Option<Bytes>, Trouble> {
        loop {
            match drive(&mut self.driver, &self.meter, body.frame()).await.map_err(too_slow_an_answer)? {
                None => return Ok(None),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => return Ok(Some(data)),
                    Err(_trailers) => {}
                },
                // However it ended, bytes of the body are there: it was larger than could be let in.
                Some(Err(_)) if self.toll.failure().is_some() => return Err(FetchError::TooLarge.into()),
                Some(Err(error)) => return Err(body_error(&error).into()),
            }
        }
    }

    /// When the first byte of the last response came.
    pub(super) fn first_byte(&self) -> Option<Instant> {
        self.meter.first_byte()
    }

    /// Whether another request can be sent: the last body was read to its end and neither side wants to close.
    pub(super) async fn is_reusable(&mut self) -> bool {
        let Self { sender, driver, .. } = self;
        poll_fn(|context| {
            poll_driver(driver, context);
            Poll::Ready(driver.is_some() && matches!(sender.poll_ready(context), Poll::Ready(Ok(()))))
        })
        .await
    }
}

/// A response's body, as it comes.
pub(super) struct Body {
    incoming: Incoming,
    /// Bytes that are still to come, where hyper would wait for the connection to end.
    left: Option<u64>,
}

impl From<Response<Incoming>> for Body {
    fn from(response: Response<Incoming>) -> Self {
        let left = if response.body().is_end_stream() { None } else { identity_length(response.headers()) };
        Self { incoming: response.into_body(), left }
    }
}

/// The length of a body that says both its length and that it is not encoded, as old servers do. HTTP/1.1 dropped that word, and by its
/// rules the body would end with the connection, which such servers keep.
fn identity_length(headers: &HeaderMap) -> Option<u64> {
    let only = |wanted| {
        let mut values = headers.get_all(wanted).iter().map(|value| value.to_str().unwrap_or_default().trim());
        values.next().filter(|_| values.next().is_none())
    };
    only(header::TRANSFER_ENCODING).filter(|encoding| encoding.eq_ignore_ascii_case("identity"))?;
    only(header::CONTENT_LENGTH)?.parse().ok()
}

/// What the pace found.
fn too_slow_an_answer(error: FetchError) -> Trouble {
    Trouble::new(error, format_args!("fewer than {PACE_BYTES} bytes came in {} s", PACE_WINDOW.as_secs()))
}

fn poll_driver(driver: &mut Option<Driver>, context: &mut Context<'_>) {
    // How it ended is told to the request in flight.
    if driver.as_mut().is_some_and(|driver| driver.as_mut().poll(context).is_ready()) {
        *driver = None;
    }
}

/// Polls the connection beside `work`, and gives up when the answer comes too slowly.
async fn drive<T>(driver: &mut Option<Driver>, meter: &Meter, work: impl Future<Output = T>) -> Result<T, FetchError> {
    let mut work = pin!(work);
    let mut slow = pin!(too_slow(meter));
    poll_fn(|context| {
        poll_driver(driver, context);
        // Looked at here too: a byte now and then wakes this often enough that the look below would never come.
        if meter.state().is_slow(Instant::now()) {
            return Poll::Ready(Err(FetchError::Timeout));
        }
        if let Poll::Ready(done) = work.as_mut().poll(context) {
            return Poll::Ready(Ok(done));
        }
        slow.as_mut().poll(context).map(|()| Err(FetchError::Timeout))
    })
    .await
}

/// Ends when a window after the first byte brought too little. Before the first byte the deadline alone counts: finding content can
/// take a gateway half a minute.
async fn too_slow(meter: &Meter) {
    loop {
        tokio::time::sleep(PACE_LOOK).await;
        if meter.state().is_slow(Instant::now()) {
            return;
        }
    }
}

fn body_error(error: &hyper::Error) -> FetchError {
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            let malformed = matches!(io.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput);
            return if malformed { FetchError::Protocol } else { FetchError::Truncated };
        }
        source = inner.source();
    }
    if error.is_parse() { FetchError::Protocol } else { FetchError::Truncated }
}

/// A stream that leads to an address, and who pays for it.
pub(super) struct Line {
    pub(super) stream: Box<dyn Stream>,
    pub(super) ip: IpAddr,
    pub(super) exempt: bool,
    pub(super) toll: Arc<Toll>,
}

#[derive(Debug, Default)]
struct Meter(Mutex<MeterState>);

#[derive(Debug, Default)]
struct MeterState {
    first: Option<Instant>,
    bytes: u64,
    /// Whether a request was sent whose response has no head yet.
    awaits_head: bool,
    /// Where the present window began, and the bytes until then.
    window: Option<(Instant, u64)>,
}

impl MeterState {
    fn is_slow(&mut self, now: Instant) -> bool {
        let Some((begun, bytes)) = self.window else { return false };
        if now.duration_since(begun) < PACE_WINDOW {
            return false;
        }
        let slow = self.bytes - bytes < PACE_BYTES;
        self.window = Some((now, self.bytes));
        slow
    }
}

impl Meter {
    fn state(&self) -> std::sync::MutexGuard<'_, MeterState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arm(&self) {
        *self.state() = MeterState { awaits_head: true, ..MeterState::default() };
    }

    fn head_came(&self) {
        self.state().awaits_head = false;
    }

    /// Whether more came than all heads of one response may have.
    fn flood(&self) -> Option<FetchError> {
        let state = self.state();
        (state.awaits_head && state.bytes > HEADS_BYTES_MAX).then_some(FetchError::TooLarge)
    }

    fn first_byte(&self) -> Option<Instant> {
        self.state().first
    }

    fn count(&self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        let mut state = self.state();
        if state.first.is_none() {
            let now = Instant::now();
            state.first = Some(now);
            state.window = Some((now, 0));
        }
        state.bytes += bytes as u64;
    }
}

/// The stream with its meter; above TLS, so that what is timed and counted is HTTP.
struct Metered {
    stream: Box<dyn Stream>,
    meter: Arc<Meter>,
}

impl AsyncRead for Metered {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // Here, because hyper reads on over heads that it skips without giving anybody else a turn.
        if self.meter.flood().is_some() {
            return Poll::Ready(Err(io::ErrorKind::FileTooLarge.into()));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.meter.count(buffer.filled().len() - before);
        polled
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
