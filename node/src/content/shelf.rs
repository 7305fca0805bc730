//! [`Shelf`]: the roots this station was told to provide.
//!
//! Guarantees: what is not on it is not served, whatever else is in the store. Deliberately lacks a choice of what belongs on it: own
//! experiments' modules, inputs, Logs and outputs, and a fetched module while its job runs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cid::Cid;
use station_car::{Dag, dag_bytes_max};
use station_protocol::gauge::Gauge;

/// Most roots at once: an outbox of 4,096 entries with output and transcript each, several times over.
pub const SHELF_MAX: usize = 65_536;

/// [`SHELF_MAX`] roots are on the shelf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{SHELF_MAX} roots are provided already")]
pub struct ShelfFull;

/// Blocks held in memory, by CID.
pub(super) type Held = Arc<BTreeMap<Cid, Vec<u8>>>;

/// One root on the shelf.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    /// Its blocks have at most so many bytes together.
    pub(super) dag_bytes: u64,
    /// `None`: its blocks are in the store.
    pub(super) held: Option<Held>,
}

/// Cheap to clone; clones are the same shelf.
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    offers: Arc<Mutex<BTreeMap<Cid, Offer>>>,
}

impl Shelf {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Provides the content of `content_bytes` under `root`, whose blocks are in the store.
    pub fn put_stored(&self, root: Cid, content_bytes: u64) -> Result<(), ShelfFull> {
        self.put(root, Offer { dag_bytes: dag_bytes_max(content_bytes), held: None })
    }

    /// Provides `dag` from memory.
    pub fn put_held(&self, dag: Dag) -> Result<(), ShelfFull> {
        let dag_bytes = dag.bytes();
        self.put(dag.root, Offer { dag_bytes, held: Some(Arc::new(dag.blocks.into_iter().collect())) })
    }

    /// Takes `root` away, however often it was put there: who still needs it keeps its blocks in the store, and those are not taken
    /// away before the last owner lets them go.
    pub fn take(&self, root: &Cid) {
        self.lock().remove(root);
    }

    /// How many roots are on it.
    #[must_use]
    pub fn gauge(&self) -> Gauge {
        Gauge::new("roots that others may fetch", self.lock().len(), SHELF_MAX)
    }

    pub(super) fn get(&self, root: &Cid) -> Option<Offer> {
        self.lock().get(root).cloned()
    }

    fn put(&self, root: Cid, offer: Offer) -> Result<(), ShelfFull> {
        let mut offers = self.lock();
        if offers.len() >= SHELF_MAX && !offers.contains_key(&root) {
            return Err(ShelfFull);
        }
        // The first offer stays: of one root it names the size that its owner knows.
        offers.entry(root).or_insert(offer);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Cid, Offer>> {
        self.offers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
