//! Requesters that take work and never settle: a [`Store`] on which no receipt ever becomes durable.
//!
//! The rules say `held` only after the disk has it, so that a requester whose disk stalls exactly there gives leases, takes
//! deliveries and never answers them. Guarantees: everything before the first receipt is as always. Deliberately lacks a way back.

use std::sync::Arc;

use cid::Cid;
use futures::FutureExt;
use futures::future::BoxFuture;
use station_car::Dag;
use station_node::store::{Batch, Blocks, Gone, Records, Store, StoreError, Table};
use station_protocol::durable::Key;

/// How the records of held receipts begin (`requester/records.rs`).
const HELD: u8 = b'H';

/// A disk that stalls at the first receipt.
pub struct Unsettling(pub Arc<dyn Store>);

impl std::fmt::Debug for Unsettling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unsettling").finish_non_exhaustive()
    }
}

impl Store for Unsettling {
    fn commit(&self, batch: Batch) -> BoxFuture<'static, Result<Gone, StoreError>> {
        let settles = batch.puts.iter().any(|(table, key, _)| *table == Table::Requester && key.0.first() == Some(&HELD));
        if settles { futures::future::pending().boxed() } else { self.0.commit(batch) }
    }

    fn load(&self, table: Table) -> BoxFuture<'static, Result<Records, StoreError>> {
        self.0.load(table)
    }

    fn owned(&self, table: Table, by: fn(&Key) -> bool) -> BoxFuture<'static, Result<Vec<Cid>, StoreError>> {
        self.0.owned(table, by)
    }

    fn blob(&self, cid: Cid) -> BoxFuture<'static, Result<Option<Vec<u8>>, StoreError>> {
        self.0.blob(cid)
    }

    fn is_damaged(&self, cid: Cid) -> BoxFuture<'static, Result<bool, StoreError>> {
        self.0.is_damaged(cid)
    }

    fn serve(&self, cid: Cid) -> BoxFuture<'static, Result<Option<Vec<u8>>, StoreError>> {
        self.0.serve(cid)
    }

    fn cache(&self, dag: Dag) -> BoxFuture<'static, Result<(), StoreError>> {
        self.0.cache(dag)
    }

    fn cached(&self, root: Cid) -> BoxFuture<'static, Result<Option<Blocks>, StoreError>> {
        self.0.cached(root)
    }

    fn room(&self) -> BoxFuture<'static, Result<u64, StoreError>> {
        self.0.room()
    }
}

#[cfg(test)]
mod tests {
    use station_node::store::MemoryStore;
    use station_protocol::durable::Key;

    use super::*;

    fn batch(key: &[u8]) -> Batch {
        Batch { puts: vec![(Table::Requester, Key(key.to_vec()), vec![1])], ..Batch::default() }
    }

    #[tokio::test]
    async fn everything_becomes_durable_but_receipts() {
        let store = Unsettling(Arc::new(MemoryStore::default()));
        store.commit(batch(b"Lease numbers")).await.expect("durable");
        assert!(futures::poll!(store.commit(batch(b"Held"))).is_pending());
        assert_eq!(store.load(Table::Requester).await.expect("readable").len(), 1);
    }
}
