//! Frames of the `work` protocol: a big-endian u32 length, then canonical DAG-CBOR.
//!
//! Guarantees: a length above the bound is refused before a byte of the body is read; memory grows with what arrived, not with
//! what was announced; a request that is not one arrives as the value [`Garbled`], because libp2p tells nobody of a failure to read
//! it; an answer that is not one is `InvalidData`. Deliberately lacks versions: a change is a new protocol id.

use std::io;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::StreamProtocol;
use libp2p::request_response;
use serde::Serialize;
use serde::de::DeserializeOwned;
use station_protocol::codec;
use station_protocol::work::{REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX, Request, Response};

/// A message with the length of the frame it came in; zero for one of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame<T> {
    pub(crate) value: T,
    pub(crate) bytes: usize,
}

impl<T> Frame<T> {
    pub(crate) fn own(value: T) -> Self {
        Self { value, bytes: 0 }
    }
}

/// What came is not a request, and no honest station sends it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Garbled(String);

/// A request, or what came in place of one.
pub(crate) type Question = Result<Request, Garbled>;

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WorkCodec;

impl request_response::Codec for WorkCodec {
    type Protocol = StreamProtocol;
    type Request = Frame<Question>;
    type Response = Frame<Response>;

    async fn read_request<T: AsyncRead + Unpin + Send>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Self::Request> {
        match read(io, REQUEST_BYTES_MAX).await {
            Ok(Frame { value, bytes }) => Ok(Frame { value: Ok(value), bytes }),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(Frame { value: Err(Garbled(error.to_string())), bytes: 0 }),
            Err(error) => Err(error),
        }
    }

    async fn read_response<T: AsyncRead + Unpin + Send>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Self::Response> {
        read(io, RESPONSE_BYTES_MAX).await
    }

    async fn write_request<T: AsyncWrite + Unpin + Send>(&mut self, _: &StreamProtocol, io: &mut T, request: Self::Request) -> io::Result<()> {
        let request = request.value.map_err(|garbled| io::Error::new(io::ErrorKind::InvalidInput, garbled))?;
        write(io, &request, REQUEST_BYTES_MAX).await
    }

    async fn write_response<T: AsyncWrite + Unpin + Send>(&mut self, _: &StreamProtocol, io: &mut T, response: Self::Response) -> io::Result<()> {
        write(io, &response.value, RESPONSE_BYTES_MAX).await
    }
}

async fn read<T: DeserializeOwned + Serialize, R: AsyncRead + Unpin + Send>(io: &mut R, max: usize) -> io::Result<Frame<T>> {
    let mut head = [0; 4];
    io.read_exact(&mut head).await?;
    let length = usize::try_from(u32::from_be_bytes(head)).map_err(invalid)?;
    if length > max {
        return Err(invalid(codec::DecodeError::TooLarge { bytes: length, max }));
    }
    let mut body = Vec::new();
    io.take(length as u64).read_to_end(&mut body).await?;
    if body.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let value = codec::decode(&body, max).map_err(invalid)?;
    Ok(Frame { value, bytes: length })
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
