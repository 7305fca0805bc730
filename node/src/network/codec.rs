//! Frames of the `work` protocol: a big-endian u32 length, then canonical DAG-CBOR.
//!
//! Guarantees: a length above the bound is refused before a byte of the body is read; memory grows with what arrived, not with
//! what was announced; a request that is not one arrives as the value [`NotARequest`], because libp2p tells nobody of a failure to read
//! it; an answer that is not one is `InvalidData`; all frames that are being read have a bound on their bytes together, and a frame that
//! trickles is given up. Deliberately lacks versions: a change is a new protocol id.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::StreamProtocol;
use libp2p::request_response;
use serde::Serialize;
use serde::de::DeserializeOwned;
use station_protocol::codec::{self, DecodeError};
use station_protocol::work::{REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX, Request, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::config::{WORK_ANSWER_BYTES_MAX, WORK_BYTES_MAX, WORK_SMALL_BYTES, WORK_WAITING_MAX};

/// Time that any frame may take: losses and a slow relay.
pub(super) const GRACE: Duration = Duration::from_secs(4);
/// What comes more slowly after that is given up: a megabyte takes as long as a request may.
pub(super) const BYTES_PER_SECOND_MIN: u64 = 256 << 10;

/// A message with the length of the frame it came in; zero for one of ours.
#[derive(Debug)]
pub(crate) struct Frame<T> {
    pub(crate) value: T,
    pub(crate) bytes: usize,
    /// Of a message of others, until it is dealt with.
    _room: Option<OwnedSemaphorePermit>,
}

impl<T> Frame<T> {
    pub(crate) fn own(value: T) -> Self {
        Self { value, bytes: 0, _room: None }
    }
}

/// Room for the frames that are being read, in KiB. Clones share it.
#[derive(Clone, Debug)]
struct Room {
    free: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

impl Room {
    fn of(bytes: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(bytes >> 10)), waiting: Arc::default() }
    }

    /// Takes room for `bytes`; waits for it, where not too many wait.
    async fn take(&self, bytes: usize) -> io::Result<OwnedSemaphorePermit> {
        let pieces = u32::try_from(bytes.div_ceil(1 << 10)).map_err(invalid)?;
        if let Ok(room) = self.free.clone().try_acquire_many_owned(pieces) {
            return Ok(room);
        }
        let place = Waiting(&self.waiting);
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= WORK_WAITING_MAX {
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, "too many frames wait for room"));
        }
        let room = self.free.clone().acquire_many_owned(pieces).await.map_err(io::Error::other);
        drop(place);
        room
    }
}

struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What came is not a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotARequest {
    /// Well-formed, but no request of this version: perhaps a later one's. It is answered, and nobody is blamed.
    #[error("no request of this version: {0}")]
    Unknown(String),
    /// No honest station of any version sends this.
    #[error("{0}")]
    Garbled(String),
}

impl From<DecodeError> for NotARequest {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Shape(what) => Self::Unknown(what),
            other => Self::Garbled(other.to_string()),
        }
    }
}

/// A request, or what came in place of one.
pub(crate) type Question = Result<Request, NotARequest>;

/// Requests and answers have room of their own: those whom this station asks must not take that of those who ask.
#[derive(Clone, Debug)]
pub(crate) struct WorkCodec {
    requests: Rooms,
    answers: Rooms,
}

/// Room for small frames, and for large ones.
#[derive(Clone, Debug)]
struct Rooms {
    small: Room,
    large: Room,
}

impl Default for WorkCodec {
    fn default() -> Self {
        let answers = Room::of(WORK_ANSWER_BYTES_MAX);
        let requests = Rooms { small: Room::of(WORK_BYTES_MAX.0), large: Room::of(WORK_BYTES_MAX.1) };
        Self { requests, answers: Rooms { small: answers.clone(), large: answers } }
    }
}

impl request_response::Codec for WorkCodec {
    type Protocol = StreamProtocol;
    type Request = Frame<Question>;
    type Response = Frame<Response>;

    async fn read_request<T: AsyncRead + Unpin + Send>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Self::Request> {
        let Frame { value, bytes, _room } = read(io, REQUEST_BYTES_MAX, &self.requests).await?;
        Ok(Frame { value: value.map_err(NotARequest::from), bytes, _room })
    }

    async fn read_response<T: AsyncRead + Unpin + Send>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Self::Response> {
        let Frame { value, bytes, _room } = read(io, RESPONSE_BYTES_MAX, &self.answers).await?;
        Ok(Frame { value: value.map_err(invalid)?, bytes, _room })
    }

    async fn write_request<T: AsyncWrite + Unpin + Send>(&mut self, _: &StreamProtocol, io: &mut T, request: Self::Request) -> io::Result<()> {
        let request = request.value.map_err(|none| io::Error::new(io::ErrorKind::InvalidInput, none))?;
        write(io, &request, REQUEST_BYTES_MAX).await
    }

    async fn write_response<T: AsyncWrite + Unpin + Send>(&mut self, _: &StreamProtocol, io: &mut T, response: Self::Response) -> io::Result<()> {
        write(io, &response.value, RESPONSE_BYTES_MAX).await
    }
}

/// A message, or why the frame that came is none.
type Read<T> = Frame<Result<T, DecodeError>>;

async fn read<T: DeserializeOwned + Serialize, R: AsyncRead + Unpin + Send>(io: &mut R, max: usize, rooms: &Rooms) -> io::Result<Read<T>> {
    let mut head = [0; 4];
    io.read_exact(&mut head).await?;
    let length = usize::try_from(u32::from_be_bytes(head)).map_err(invalid)?;
    if length > max {
        return Ok(Frame::own(Err(DecodeError::TooLarge { bytes: length, max })));
    }
    let room = if length <= WORK_SMALL_BYTES { &rooms.small } else { &rooms.large };
    let room = room.take(length).await?;
    let mut body = Vec::new();
    let time = GRACE + Duration::from_secs(length as u64 / BYTES_PER_SECOND_MIN);
    tokio::time::timeout(time, io.take(length as u64).read_to_end(&mut body)).await.map_err(|_| io::ErrorKind::TimedOut)??;
    if body.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let value = codec::decode(&body, max);
    Ok(Frame { value, bytes: length, _room: Some(room) })
}

async fn write<T: Serialize, W: AsyncWrite + Unpin + Send>(io: &mut W, value: &T, max: usize) -> io::Result<()> {
    let body = codec::encode(value);
    if body.len() > max {
        // Our own machines bound their messages; a larger one must not leave, but is no reason to stop the station.
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the message is larger than its protocol allows"));
    }
    io.write_all(&u32::try_from(body.len()).map_err(invalid)?.to_be_bytes()).await?;
    io.write_all(&body).await?;
    io.flush().await
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests;
