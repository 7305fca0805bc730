//! [`Provider`]: answers requests for content from its [`Shelf`].
//!
//! Guarantees: bounded by its [`Quota`]; a CAR that cannot be finished is broken off, never ended cleanly. Deliberately lacks
//! anything a stranger could make it serve that it was not told to.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cid::Cid;
use futures::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use station_car::{DagError, Writer};
use station_protocol::NodeId;
use tokio::time::Instant;

use super::pace::{Pace, Slow};
use super::quota::{Quota, Rates};
use super::shelf::{Offer, Shelf};
use super::wire::{self, Refusal};
use crate::store::{Store, StoreError};

/// Largest CAR over a relayed connection: relays carry strangers' traffic for free.
pub const RELAYED_CAR_BYTES_MAX: u64 = 256 << 10;
/// Bytes written at once, so that the pace is known while a block of 2 MiB leaves.
const PIECE_BYTES: usize = 64 << 10;

/// How a request ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// A whole CAR of so many bytes.
    Sent {
        bytes: u64,
    },
    Refused(Refusal),
}

/// Why an answer broke off.
#[derive(Debug, thiserror::Error)]
pub enum ServeFailure {
    #[error("the asker was too slow: {0}")]
    Slow(#[from] Slow),
    #[error("the connection: {0}")]
    Connection(#[from] io::Error),
    #[error("the block {cid} is not here")]
    Missing { cid: Cid },
    #[error("what is stored is not a DAG of the size that was offered: {0}")]
    Dag(#[from] DagError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Cheap to clone; clones share shelf and quota.
#[derive(Clone)]
pub struct Provider {
    store: Arc<dyn Store>,
    shelf: Shelf,
    quota: Arc<Mutex<Quota>>,
    start: Instant,
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provider").field("shelf", &self.shelf).finish_non_exhaustive()
    }
}

impl Provider {
    /// An empty shelf over `store`, within the default [`Rates`].
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self::with_rates(store, Rates::default())
    }

    #[must_use]
    pub fn with_rates(store: Arc<dyn Store>, rates: Rates) -> Self {
        Self { store, shelf: Shelf::new(), quota: Arc::new(Mutex::new(Quota::new(rates))), start: Instant::now() }
    }

    /// What is provided: put roots on it, take them away.
    #[must_use]
    pub fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// Answers the one request on `stream`, and logs how it ended.
    pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S, from: NodeId, relayed: bool) {
        match self.answer(stream, from, relayed).await {
            Ok(served) => tracing::debug!(%from, ?served, "content asked for"),
            Err(failure) => tracing::debug!(%from, %failure, "content not served"),
        }
    }

    /// As [`Self::serve`], and says how it ended.
    pub async fn answer<S: AsyncRead + AsyncWrite + Unpin>(&self, mut stream: S, from: NodeId, relayed: bool) -> Result<Served, ServeFailure> {
        let mut pace = Pace::begin();
        let request = pace.limit(wire::read_request(&mut stream)).await??;
        let admitted = request.ok_or(Refusal::Malformed).and_then(|request| {
            let offer = self.shelf.get(&request.root).ok_or(Refusal::NotFound)?;
            let carried = if relayed { RELAYED_CAR_BYTES_MAX } else { u64::MAX };
            if offer.dag_bytes > request.max_bytes.min(carried) {
                return Err(Refusal::TooLarge);
            }
            let transfer = Transfer::begin(&self.quota, from, offer.dag_bytes, self.now_ms())?;
            Ok((request.root, offer, transfer))
        });
        let (root, offer, _transfer) = match admitted {
            Ok(admitted) => admitted,
            Err(refusal) => {
                pace.limit(wire::write_status(&mut stream, Err(refusal))).await??;
                pace.limit(stream.close()).await??;
                return Ok(Served::Refused(refusal));
            }
        };
        pace.limit(wire::write_status(&mut stream, Ok(()))).await??;
        let bytes = self.send(&mut stream, &mut pace, root, &offer).await?;
        pace.limit(stream.close()).await??;
        Ok(Served::Sent { bytes })
    }

    async fn send<S: AsyncWrite + Unpin>(&self, stream: &mut S, pace: &mut Pace, root: Cid, offer: &Offer) -> Result<u64, ServeFailure> {
        let mut writer = Writer::new(root)?;
        let (mut sent, mut dag_bytes) = (0, 0);
        let mut out = writer.header();
        loop {
            for piece in out.chunks(PIECE_BYTES) {
                pace.limit(stream.write_all(piece)).await??;
                pace.moved(piece.len());
            }
            sent += out.len() as u64;
            let Some(cid) = writer.wants() else { return Ok(sent) };
            let block = match &offer.held {
                Some(held) => held.get(&cid).cloned(),
                None => self.store.serve(cid).await?,
            };
            let block = block.ok_or(ServeFailure::Missing { cid })?;
            dag_bytes += block.len() as u64;
            if dag_bytes > offer.dag_bytes {
                return Err(DagError::TooLarge { max: offer.dag_bytes }.into());
            }
            out = writer.supply(&block)?;
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// A place in the quota, given back when dropped.
struct Transfer {
    quota: Arc<Mutex<Quota>>,
    peer: NodeId,
}

impl Transfer {
    fn begin(quota: &Arc<Mutex<Quota>>, peer: NodeId, bytes: u64, now_ms: u64) -> Result<Self, Refusal> {
        lock(quota).begin(peer, bytes, now_ms).map_err(|over| {
            tracing::debug!(%peer, %over, "content not served");
            Refusal::OverRate
        })?;
        Ok(Self { quota: quota.clone(), peer })
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        lock(&self.quota).end(&self.peer);
    }
}

fn lock(quota: &Mutex<Quota>) -> MutexGuard<'_, Quota> {
    quota.lock().unwrap_or_else(PoisonError::into_inner)
}
