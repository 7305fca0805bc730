//! [`fetch`]: asks one peer for a DAG and verifies it while it arrives.
//!
//! Guarantees: what is returned is the whole DAG under the root and nothing else, in at most the bytes its content allows.
//! Deliberately lacks retries and a second peer: whoever asks decides.

use std::io;

use cid::Cid;
use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use station_car::block::inline_bytes;
use station_car::{CarError, DagError, Progress, Verifier, dag_bytes_max};
use station_protocol::worker;

use super::pace::{Pace, Slow};
use super::serve::is_single;
use super::wire::{self, Refusal, Request, Scope};

/// Most content of one fetch: it is held in memory until it is whole. The largest module there may be.
pub const FETCH_BYTES_MAX: u64 = 16 << 20;
/// Of all fetches of modules together, by what was said of them: two of the largest. A module goes to the disk in its blocks.
pub const MODULES_BYTES_MAX: usize = 32 << 20;
/// Of modules that wait for the compiler or are in it, of strangers and of the others each: one of the largest, and small ones beside it.
pub const COMPILING_BYTES_MAX: usize = 24 << 20;
/// Of all fetches of outputs together: sixteen of the largest.
pub const OUTPUTS_BYTES_MAX: usize = 16 << 20;
/// Bytes read at once.
const PIECE_BYTES: usize = 64 << 10;

/// Why content did not come.
#[derive(Debug, thiserror::Error)]
pub enum FetchFailure {
    #[error("{bytes} bytes are more than {FETCH_BYTES_MAX}")]
    TooMuch { bytes: u64 },
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the provider was too slow: {0}")]
    Slow(#[from] Slow),
    #[error("the stream ended early")]
    Truncated,
    #[error("the provider sent something else: {0}")]
    Unverified(DagError),
    #[error("the connection: {0}")]
    Connection(#[from] io::Error),
}

impl From<FetchFailure> for worker::FetchFailure {
    fn from(failure: FetchFailure) -> Self {
        match failure {
            FetchFailure::TooMuch { .. } | FetchFailure::Unverified(_) | FetchFailure::Refused(Refusal::TooLarge) => Self::Mismatch,
            FetchFailure::Slow(_) => Self::TimedOut,
            FetchFailure::Refused(_) | FetchFailure::Truncated | FetchFailure::Connection(_) => Self::NotFound,
        }
    }
}

impl From<DagError> for FetchFailure {
    fn from(error: DagError) -> Self {
        match error {
            DagError::Car(CarError::Truncated) => Self::Truncated,
            other => Self::Unverified(other),
        }
    }
}

/// The blocks under `root`, which stands for `content_bytes` of content, from the peer at the other end of `stream`.
pub async fn fetch<S>(mut stream: S, root: &Cid, content_bytes: u64) -> Result<Vec<(Cid, Vec<u8>)>, FetchFailure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if content_bytes > FETCH_BYTES_MAX {
        return Err(FetchFailure::TooMuch { bytes: content_bytes });
    }
    if inline_bytes(root).is_some() {
        return Ok(Vec::new());
    }
    let max_bytes = dag_bytes_max(content_bytes);
    let mut verifier = if is_single(root) { Verifier::alone(*root, max_bytes) } else { Verifier::new(*root, max_bytes) }?;
    let mut pace = Pace::begin();
    pace.limit(wire::write_request(&mut stream, &Request { root: *root, scope: Scope::All, max_bytes })).await??;
    pace.limit(wire::read_status(&mut stream)).await???;
    let mut blocks = Vec::new();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = pace.limit(stream.read(&mut piece)).await??;
        pace.moved(read);
        if read == 0 {
            verifier.end();
        } else {
            verifier.push(&piece[..read]);
        }
        loop {
            match verifier.poll()? {
                Progress::Block(block) => blocks.push((block.cid, block.bytes)),
                Progress::More => break,
                // What follows is not read: dropping the stream tells the provider.
                Progress::Complete => return Ok(blocks),
            }
        }
    }
}
