//! The request frame and the status byte of the `car` protocol.
//!
//! Guarantees: a request is bounded before it is read and has one encoding. Deliberately lacks the CAR: `station-car` has it.

use std::io;

use cid::Cid;
use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use serde::{Deserialize, Serialize};
use station_car::varint;
use station_protocol::codec;

/// Largest request: a CID with a 64-byte digest and two small fields take half of it.
pub const REQUEST_BYTES_MAX: usize = 256;
/// The status byte before a CAR.
const FOLLOWS: u8 = 0;

/// What an asker wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    pub root: Cid,
    pub scope: Scope,
    /// The most bytes that all blocks together may have.
    pub max_bytes: u64,
}

/// How much of the content under a root: a file whole, and of everything else its one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    All,
}

/// Why a provider sends no CAR.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the provider does not have it")]
    NotFound,
    #[error("it is larger than asked for, or than this connection may carry")]
    TooLarge,
    #[error("the provider has served enough for now")]
    OverRate,
    #[error("the provider does not understand the request")]
    Malformed,
    #[error("the provider answered {0}, which means nothing here")]
    Unknown(u8),
}

impl Refusal {
    fn of(byte: u8) -> Self {
        match byte {
            1 => Self::NotFound,
            2 => Self::TooLarge,
            3 => Self::OverRate,
            4 => Self::Malformed,
            other => Self::Unknown(other),
        }
    }

    fn byte(self) -> u8 {
        match self {
            Self::NotFound => 1,
            Self::TooLarge => 2,
            Self::OverRate => 3,
            Self::Malformed => 4,
            Self::Unknown(byte) => byte,
        }
    }
}

pub(super) async fn write_request<S: AsyncWrite + Unpin>(stream: &mut S, request: &Request) -> io::Result<()> {
    let body = codec::encode(request);
    let mut frame = Vec::with_capacity(body.len() + 2);
    varint::encode(body.len() as u64, &mut frame);
    frame.extend(body);
    stream.write_all(&frame).await?;
    stream.flush().await
}

/// `None` when what came is not a request.
pub(super) async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Option<Request>> {
    // Lengths up to 256 take at most two bytes.
    let mut prefix = Vec::with_capacity(2);
    let length = loop {
        let mut byte = [0];
        stream.read_exact(&mut byte).await?;
        prefix.push(byte[0]);
        match varint::decode(&prefix) {
            Ok(Some((length, _))) => break length,
            Ok(None) if prefix.len() < 2 => {}
            _ => return Ok(None),
        }
    };
    let Some(length) = usize::try_from(length).ok().filter(|length| *length <= REQUEST_BYTES_MAX) else { return Ok(None) };
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(codec::decode(&body, REQUEST_BYTES_MAX).ok())
}

pub(super) async fn write_status<S: AsyncWrite + Unpin>(stream: &mut S, status: Result<(), Refusal>) -> io::Result<()> {
    stream.write_all(&[status.map_or_else(Refusal::byte, |()| FOLLOWS)]).await
}

pub(super) async fn read_status<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Result<(), Refusal>> {
    let mut byte = [0];
    stream.read_exact(&mut byte).await?;
    Ok(if byte[0] == FOLLOWS { Ok(()) } else { Err(Refusal::of(byte[0])) })
}
