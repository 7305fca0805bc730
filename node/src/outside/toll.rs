//! Bytes at a socket, paid for before they pass: [`Paid`] streams, whose [`Toll`] a [`Purse`] pays.
//!
//! Guarantees: every byte of both ways counts, whatever it is for: TLS with its padding, heads, chunk frames, what is thrown away; a
//! stream whose purse is empty, or that brought more than its exchange may, fails instead of reading on; what was paid and not used
//! goes back. Deliberately lacks what TCP and IP add below: who sends empty segments is seen by no program.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use futures::future::BoxFuture;
use station_protocol::hostcall::{FetchError, RESPONSE_HEAD_BYTES_MAX};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Stream;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    In,
    Out,
}

/// Who pays for bytes.
pub trait Purse: Send + Sync {
    /// Takes up to `wanted` bytes; how many there were. Waits only for what must be durable first.
    fn take(&self, way: Way, wanted: u64) -> BoxFuture<'static, u64>;
    /// Bytes that were taken and did not pass.
    fn give_back(&self, way: Way, bytes: u64);
}

/// Bytes paid for at a time at most: what one record of TLS holds. More would keep what other connections may want.
const PIECE: u64 = 16 << 10;
/// What an exchange may bring beside its body: a handshake with a long chain of certificates (20 KiB are usual), a head of the largest
/// size with as much before it, and room.
const BESIDE_BODY_BYTES_MAX: u64 = 4 * RESPONSE_HEAD_BYTES_MAX as u64;
/// Bytes at the socket for each byte of body at most: chunk frames and records of a server that flushes a line at a time cost less.
const FRAMING_FACTOR: u64 = 2;

/// Why nothing passes any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The purse is empty.
    Spent,
    /// The exchange brought more than it may.
    TooMuch,
}

/// The books of one connection.
pub(super) struct Toll {
    purse: Arc<dyn Purse>,
    books: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    inward: Lane,
    outward: Lane,
    /// What may still come in of this exchange.
    left: u64,
    end: Option<End>,
}

#[derive(Default)]
struct Lane {
    paid: u64,
    paying: Option<BoxFuture<'static, u64>>,
}

impl Toll {
    pub(super) fn new(purse: Arc<dyn Purse>) -> Arc<Self> {
        Arc::new(Self { purse, books: Mutex::default() })
    }

    /// An exchange begins, the first with its handshake, that is to bring a body of `body_bytes` at most.
    pub(super) fn begin(&self, body_bytes: u64) {
        self.books().left = BESIDE_BODY_BYTES_MAX.saturating_add(body_bytes.saturating_mul(FRAMING_FACTOR));
    }

    /// The exchange is over: what it did not use is for others.
    pub(super) fn settle(&self) {
        let (inward, outward) = {
            let mut books = self.books();
            (std::mem::take(&mut books.inward.paid), std::mem::take(&mut books.outward.paid))
        };
        self.purse.give_back(Way::In, inward);
        self.purse.give_back(Way::Out, outward);
    }

    /// What a failure means to whom the stream failed, where it was this toll's doing.
    pub(super) fn failure(&self) -> Option<FetchError> {
        self.books().end.map(|end| match end {
            End::Spent => FetchError::Quota,
            End::TooMuch => FetchError::TooLarge,
        })
    }

    /// How many of `wanted` bytes may pass now: at least one.
    fn poll(&self, way: Way, wanted: usize, context: &mut Context<'_>) -> Poll<io::Result<u64>> {
        let mut books = self.books();
        if way == Way::In && books.left == 0 {
            books.end = Some(End::TooMuch);
        }
        if books.end.is_some() {
            return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into()));
        }
        let most = if way == Way::In { books.left } else { u64::MAX };
        let lane = books.lane(way);
        if lane.paid == 0 {
            let paying = lane.paying.get_or_insert_with(|| self.purse.take(way, PIECE.min(wanted as u64)));
            lane.paid = ready!(paying.as_mut().poll(context));
            lane.paying = None;
            if lane.paid == 0 {
                books.end = Some(End::Spent);
                return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into()));
            }
        }
        Poll::Ready(Ok(books.lane(way).paid.min(most)))
    }

    fn passed(&self, way: Way, bytes: usize) {
        let mut books = self.books();
        if way == Way::In {
            books.left = books.left.saturating_sub(bytes as u64);
        }
        let lane = books.lane(way);
        lane.paid = lane.paid.saturating_sub(bytes as u64);
    }

    fn books(&self) -> std::sync::MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Toll {
    fn drop(&mut self) {
        self.settle();
    }
}

impl Books {
    fn lane(&mut self, way: Way) -> &mut Lane {
        match way {
            Way::In => &mut self.inward,
            Way::Out => &mut self.outward,
        }
    }
}

/// A socket of the `Outside`, below TLS.
pub(super) struct Paid {
    pub(super) stream: Box<dyn Stream>,
    pub(super) toll: Arc<Toll>,
}

fn within(bytes: usize, allowed: u64) -> usize {
    usize::try_from(allowed).unwrap_or(usize::MAX).min(bytes)
}

impl AsyncRead for Paid {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let allowed = ready!(self.toll.poll(Way::In, buffer.remaining(), context))?;
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(within(buffer.remaining(), allowed)));
        let polled = Pin::new(&mut self.stream).poll_read(context, &mut part);
        let bytes = part.filled().len();
        buffer.advance(bytes);
        self.toll.passed(Way::In, bytes);
        polled
    }
}

impl AsyncWrite for Paid {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let allowed = ready!(self.toll.poll(Way::Out, bytes.len(), context))?;
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, &bytes[..within(bytes.len(), allowed)]))?;
        self.toll.passed(Way::Out, written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;
