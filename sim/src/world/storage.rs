//! [`Watched`]: a station's disk, and what is put on it.
//!
//! Guarantees: every block that a station keeps is told to the ledger; everything else is as without it. Deliberately lacks records:
//! they are the station's own words.

use std::sync::Arc;

use cid::Cid;
use futures::future::BoxFuture;
use station_car::Dag;
use station_node::store::{Batch, Blocks, Gone, Records, Store, StoreError, Table};
use station_protocol::NodeId;
use station_protocol::durable::Key;

use super::ledger::Ledger;
use crate::det::clock;

pub struct Watched {
    pub disk: Arc<dyn Store>,
    pub node: NodeId,
    pub ledger: Arc<Ledger>,
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watched").field("node", &self.node).finish_non_exhaustive()
    }
}

impl Store for Watched {
    fn commit(&self, batch: Batch) -> BoxFuture<'static, Result<Gone, StoreError>> {
        for (cid, _) in &batch.blobs {
            self.ledger.stored(clock::now_ms(), self.node, cid);
        }
        self.disk.commit(batch)
    }

    fn load(&self, table: Table) -> BoxFuture<'static, Result<Records, StoreError>> {
        self.disk.load(table)
    }

    fn owned(&self, table: Table, by: fn(&Key) -> bool) -> BoxFuture<'static, Result<Vec<Cid>, StoreError>> {
        self.disk.owned(table, by)
    }

    fn blob(&self, cid: Cid) -> BoxFuture<'static, Result<Option<Vec<u8>>, StoreError>> {
        self.disk.blob(cid)
    }

    fn is_damaged(&self, cid: Cid) -> BoxFuture<'static, Result<bool, StoreError>> {
        self.disk.is_damaged(cid)
    }

    fn serve(&self, cid: Cid) -> BoxFuture<'static, Result<Option<Vec<u8>>, StoreError>> {
        self.disk.serve(cid)
    }

    fn cache(&self, dag: Dag) -> BoxFuture<'static, Result<(), StoreError>> {
        for (cid, _) in &dag.blocks {
            self.ledger.stored(clock::now_ms(), self.node, cid);
        }
        self.disk.cache(dag)
    }

    fn cached(&self, root: Cid) -> BoxFuture<'static, Result<Option<Blocks>, StoreError>> {
        self.disk.cached(root)
    }

    fn room(&self) -> BoxFuture<'static, Result<u64, StoreError>> {
        self.disk.room()
    }
}
