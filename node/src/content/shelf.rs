//! [`Shelf`]: the roots this station was told to provide.
//!
//! Guarantees: what is not on it is not served, whatever else is in the store. Deliberately lacks a choice of what belongs on it: own
//! experiments' modules, inputs, logs and outputs, and a fetched module while its job runs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cid::Cid;
use station_car::{Dag, dag_bytes_max};

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
    offers: Arc<Mutex<BTreeMap<Cid, Placed>>>,
}

#[derive(Debug)]
struct Placed {
    offer: Offer,
    /// How often it was put there and not yet taken away.
    times: u64,
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

    /// Undoes one `put` of `root`. It is provided until each is undone.
    pub fn take(&self, root: &Cid) {
        let mut offers = self.lock();
        let Some(placed) = offers.get_mut(root) else { return };
        placed.times -= 1;
        if placed.times == 0 {
            offers.remove(root);
        }
    }

    pub(super) fn get(&self, root: &Cid) -> Option<Offer> {
        self.lock().get(root).map(|placed| placed.offer.clone())
    }

    fn put(&self, root: Cid, offer: Offer) -> Result<(), ShelfFull> {
        let mut offers = self.lock();
        if let Some(placed) = offers.get_mut(&root) {
            placed.times += 1;
            return Ok(());
        }
        if offers.len() >= SHELF_MAX {
            return Err(ShelfFull);
        }
        offers.insert(root, Placed { offer, times: 1 });
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Cid, Placed>> {
        self.offers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
