//! [`Provider`]: answers requests for content from its [`Shelf`].
//!
//! Guarantees: bounded by its [`Quota`] and by the accounts of strangers, which pay for what is written and not for what was asked; a CAR
//! that cannot be finished is broken off, never ended cleanly. Deliberately lacks anything a stranger could make it serve that it was not told to.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cid::Cid;
use futures::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use station_car::block::DAG_PB;
use station_car::{DagError, Writer};
use station_protocol::NodeId;
use station_protocol::accounts::Charge;
use station_protocol::cluster::Cluster;
use tokio::sync::Semaphore;

use super::pace::{ASKED_WITHIN, Pace, Slow};
use super::quota::{Bounds, OverRate, Quota};
use super::shelf::{Offer, Shelf};
use super::wire::{self, Refusal};
use crate::ledger::Ledger;
use crate::store::{Store, StoreError};

/// Largest CAR over a relayed connection: relays carry strangers' traffic for free.
pub const RELAYED_CAR_BYTES_MAX: u64 = 256 << 10;
/// Bytes written at once, so that the pace is known while a block of 2 MiB leaves.
const PIECE_BYTES: usize = 64 << 10;
/// Blocks read from the store at once, each up to 2 MiB.
pub(super) const READS_MAX: usize = 2;
/// How often an asker who is over its share is looked at again, and for how long it may wait for the next piece.
const WAIT: Duration = Duration::from_millis(250);
const WAITS_MAX: u32 = 120;

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
    #[error("it is over its share for long: {0}")]
    Over(#[from] OverRate),
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
    ledger: Ledger,
    pub(super) reads: Arc<Semaphore>,
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provider").field("shelf", &self.shelf).finish_non_exhaustive()
    }
}

impl Provider {
    /// An empty shelf over `store`, within the default [`Bounds`]. Askers pay to `ledger`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, ledger: Ledger) -> Self {
        Self::with_bounds(store, ledger, Bounds::default())
    }

    #[must_use]
    pub fn with_bounds(store: Arc<dyn Store>, ledger: Ledger, bounds: Bounds) -> Self {
        let (quota, reads) = (Arc::new(Mutex::new(Quota::new(bounds))), Arc::new(Semaphore::new(READS_MAX)));
        Self { store, shelf: Shelf::new(), quota, ledger, reads }
    }

    /// What is provided: put roots on it, take them away.
    #[must_use]
    pub fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// Answers the one request on `stream`, and logs how it ended. Work goes on with `from`, or it is a stranger to the machines.
    pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S, from: NodeId, relayed: bool, works: bool) {
        match self.answer(stream, from, relayed, works).await {
            Ok(served) => tracing::debug!(%from, ?served, "content asked for"),
            Err(failure) => tracing::debug!(%from, %failure, "content not served"),
        }
    }

    /// As [`Self::serve`], and says how it ended.
    pub async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        mut stream: S,
        from: NodeId,
        relayed: bool,
        works: bool,
    ) -> Result<Served, ServeFailure> {
        let asked = tokio::time::timeout(ASKED_WITHIN, wire::read_request(&mut stream)).await;
        let request = asked.map_err(|_| Slow::Silent)??;
        let mut pace = Pace::begin();
        let admitted = request.ok_or(Refusal::Malformed).and_then(|request| {
            let offer = self.shelf.get(&request.root).ok_or(Refusal::NotFound)?;
            let carried = if relayed { RELAYED_CAR_BYTES_MAX } else { u64::MAX };
            let most = request.max_bytes.min(carried);
            // A file is refused by its size as it was said; of a single block the size itself is known, below.
            if !is_single(&request.root) && offer.dag_bytes > most {
                return Err(Refusal::TooLarge);
            }
            let transfer = self.begin(from, works).map_err(|over| {
                tracing::debug!(%from, %over, "content not served");
                Refusal::OverRate
            })?;
            Ok((request.root, offer, transfer, most))
        });
        let admitted = match admitted {
            Ok((root, offer, transfer, most)) => self.first(from, &offer, root, most).await?.map(|first| (root, offer, transfer, first)),
            Err(refusal) => Err(refusal),
        };
        let (root, offer, _transfer, first) = match admitted {
            Ok(admitted) => admitted,
            Err(refusal) => {
                pace.limit(wire::write_status(&mut stream, Err(refusal))).await??;
                pace.limit(stream.close()).await??;
                return Ok(Served::Refused(refusal));
            }
        };
        pace.limit(wire::write_status(&mut stream, Ok(()))).await??;
        let bytes = self.send(&mut stream, &mut pace, from, (root, first), &offer).await?;
        pace.limit(stream.close()).await??;
        Ok(Served::Sent { bytes })
    }

    /// A place for a transfer to somebody who can pay for its beginning.
    fn begin(&self, from: NodeId, works: bool) -> Result<Transfer, OverRate> {
        if !self.ledger.could_pay(from, Charge::BytesServed, PIECE_BYTES as u64) {
            // Counted, and no more than that.
            let _ = self.ledger.charge(from, Charge::BytesServed, PIECE_BYTES as u64);
            return Err(OverRate::Bytes);
        }
        let cluster = self.ledger.cluster(&from);
        lock(&self.quota).begin(from, cluster, works || self.ledger.comes_first(&from))?;
        Ok(Transfer { quota: self.quota.clone(), peer: from, cluster })
    }

    /// Waits until `from` has paid for so many bytes more.
    async fn pay(&self, from: NodeId, bytes: u64) -> Result<(), ServeFailure> {
        for _ in 0..WAITS_MAX {
            if self.ledger.could_pay(from, Charge::BytesServed, bytes) && self.ledger.charge(from, Charge::BytesServed, bytes).is_ok() {
                return Ok(());
            }
            tokio::time::sleep(WAIT).await;
        }
        Err(OverRate::Bytes.into())
    }

    /// The root's block, which must be here and small enough before anything is promised.
    async fn first(&self, from: NodeId, offer: &Offer, root: Cid, most: u64) -> Result<Result<Vec<u8>, Refusal>, ServeFailure> {
        Ok(match self.block(offer, root).await? {
            None => Err(Refusal::NotFound),
            Some(block) if is_single(&root) && block.len() as u64 > most => {
                // It was read for nothing.
                let _ = self.ledger.charge(from, Charge::BytesServed, block.len() as u64);
                Err(Refusal::TooLarge)
            }
            Some(block) => Ok(block),
        })
    }

    async fn block(&self, offer: &Offer, cid: Cid) -> Result<Option<Vec<u8>>, ServeFailure> {
        match &offer.held {
            Some(held) => Ok(held.get(&cid).cloned()),
            None => {
                let _read = self.reads.acquire().await;
                Ok(self.store.serve(cid).await?)
            }
        }
    }

    async fn send<S: AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        pace: &mut Pace,
        from: NodeId,
        (root, first): (Cid, Vec<u8>),
        offer: &Offer,
    ) -> Result<u64, ServeFailure> {
        let mut writer = if is_single(&root) { Writer::alone(root) } else { Writer::new(root) }?;
        let (mut sent, mut dag_bytes, mut first) = (0, 0, Some(first));
        let mut out = writer.header();
        loop {
            for piece in out.chunks(PIECE_BYTES) {
                self.pay(from, piece.len() as u64).await?;
                if let Err(failure) = pace.limit(stream.write_all(piece)).await.map_err(ServeFailure::from).and_then(|written| Ok(written?)) {
                    self.ledger.give_back(from, Charge::BytesServed, piece.len() as u64);
                    return Err(failure);
                }
                pace.moved(piece.len());
            }
            sent += out.len() as u64;
            let Some(cid) = writer.wants() else { return Ok(sent) };
            let block = match first.take() {
                Some(root) => root,
                None => self.block(offer, cid).await?.ok_or(ServeFailure::Missing { cid })?,
            };
            dag_bytes += block.len() as u64;
            if !is_single(&root) && dag_bytes > offer.dag_bytes {
                return Err(DagError::TooLarge { max: offer.dag_bytes }.into());
            }
            out = writer.supply(&block)?;
        }
    }
}

/// Whether the content under `root` is its one block. Only the nodes of files are followed: what a page of a Log or an output links to is
/// data, and may be nowhere.
pub(super) fn is_single(root: &Cid) -> bool {
    root.codec() != DAG_PB
}

/// A place in the quota, given back when dropped.
struct Transfer {
    quota: Arc<Mutex<Quota>>,
    peer: NodeId,
    cluster: Option<Cluster>,
}

impl Drop for Transfer {
    fn drop(&mut self) {
        lock(&self.quota).end(&self.peer, self.cluster);
    }
}

fn lock(quota: &Mutex<Quota>) -> MutexGuard<'_, Quota> {
    quota.lock().unwrap_or_else(PoisonError::into_inner)
}
