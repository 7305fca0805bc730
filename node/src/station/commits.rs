//! [`Commits`]: what waits for the disk, in order, and what may be done once it is there.
//!
//! While a transaction is in flight everything that comes waits and forms the next one; effects run in the order their Commits
//! came. Guarantees: no effect of a Commit is released before its batch is durable, nor before those of earlier Commits.
//! Deliberately lacks any look at what is written.

use std::collections::{BTreeMap, VecDeque};

use futures::future::BoxFuture;
use station_protocol::durable::{BYTES_WAITING_MAX, COMMITS_WAITING_MAX, Commit};
use station_protocol::gauge::Gauge;

use crate::store::{Batch, StoreError, Table};

/// Group commit over effects of any kind.
pub(super) struct Commits<E> {
    waiting: VecDeque<(Table, Commit<E>)>,
    waiting_bytes: usize,
    in_flight: Option<Vec<E>>,
    transaction: Option<BoxFuture<'static, Result<(), StoreError>>>,
}

impl<E> std::fmt::Debug for Commits<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Commits").field("waiting", &self.waiting.len()).field("in_flight", &self.in_flight.is_some()).finish()
    }
}

impl<E> Default for Commits<E> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), waiting_bytes: 0, in_flight: None, transaction: None }
    }
}

impl<E> Commits<E> {
    /// Queues `commit` of the machine that owns `table`.
    pub(super) fn push(&mut self, table: Table, commit: Commit<E>) {
        self.waiting_bytes += commit.bytes();
        self.waiting.push_back((table, commit));
    }

    /// Whether so much waits that the driver must stop reading from the network.
    #[must_use]
    pub(super) fn is_congested(&self) -> bool {
        self.waiting.len() >= COMMITS_WAITING_MAX || self.waiting_bytes >= BYTES_WAITING_MAX
    }

    /// How much waits. Reading stops at one half of it; what timers and running jobs still bring is no more than the other.
    #[must_use]
    pub(super) fn gauge(&self) -> Gauge {
        Gauge::new("commits waiting for the disk", self.waiting.len(), 2 * COMMITS_WAITING_MAX)
    }

    /// Whether nothing waits and nothing is in flight.
    #[must_use]
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.in_flight.is_none()
    }

    /// The next transaction's batch, when none is in flight and something waits; give its future to [`Commits::started`].
    pub(super) fn next_batch(&mut self) -> Option<Batch> {
        if self.in_flight.is_some() || self.waiting.is_empty() {
            return None;
        }
        // The last word on a record or blob wins: one transaction has no order inside.
        let (mut blobs, mut records, mut then) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        for (table, commit) in self.waiting.drain(..) {
            blobs.extend(commit.blobs.into_iter().map(|(cid, bytes)| (cid, Some(bytes))));
            blobs.extend(commit.blob_deletes.into_iter().map(|cid| (cid, None)));
            records.extend(commit.puts.into_iter().map(|(key, value)| ((table, key), Some(value))));
            records.extend(commit.deletes.into_iter().map(|key| ((table, key), None)));
            then.extend(commit.then);
        }
        let mut batch = Batch::default();
        for (cid, bytes) in blobs {
            match bytes {
                Some(bytes) => batch.blobs.push((cid, bytes)),
                None => batch.blob_deletes.push(cid),
            }
        }
        for ((table, key), value) in records {
            match value {
                Some(value) => batch.puts.push((table, key, value)),
                None => batch.deletes.push((table, key)),
            }
        }
        self.waiting_bytes = 0;
        self.in_flight = Some(then);
        Some(batch)
    }

    /// The transaction asked for by [`Commits::next_batch`] is under way.
    pub(super) fn started(&mut self, transaction: BoxFuture<'static, Result<(), StoreError>>) {
        self.transaction = Some(transaction);
    }

    /// Resolves when the transaction in flight is durable, with the effects it releases; never when none is. Cancel-safe.
    pub(super) async fn durable(&mut self) -> Result<Vec<E>, StoreError> {
        match &mut self.transaction {
            None => std::future::pending().await,
            Some(transaction) => {
                let result = transaction.await;
                self.transaction = None;
                result.map(|()| self.in_flight.take().unwrap_or_default())
            }
        }
    }
}

#[cfg(test)]
mod tests;
