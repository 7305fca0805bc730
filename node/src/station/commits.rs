//! [`Commits`]: what waits for the disk, in order, and what may be done once it is there.
//!
//! While a transaction is in flight everything that comes waits and forms the next one; effects run in the order their Commits
//! came. Guarantees: no effect of a Commit is released before its batch is durable, nor before those of earlier Commits.
//! Deliberately lacks any look at what is written.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use futures::future::BoxFuture;
use station_protocol::durable::{BYTES_WAITING_MAX, COMMITS_WAITING_MAX, Commit, Key};
use station_protocol::gauge::Gauge;

use crate::store::{Batch, Gone, StoreError, Table};

/// Group commit over effects of any kind.
pub(super) struct Commits<E> {
    waiting: VecDeque<(Table, Commit<E>)>,
    waiting_bytes: usize,
    in_flight: Option<Vec<E>>,
    /// Commits that were given so far, those of them that are durable or in flight, and those that are durable.
    given: u64,
    begun: u64,
    durable: u64,
    transaction: Option<BoxFuture<'static, Result<Gone, StoreError>>>,
}

impl<E> std::fmt::Debug for Commits<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Commits").field("waiting", &self.waiting.len()).field("in_flight", &self.in_flight.is_some()).finish()
    }
}

impl<E> Default for Commits<E> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), waiting_bytes: 0, in_flight: None, given: 0, begun: 0, durable: 0, transaction: None }
    }
}

impl<E> Commits<E> {
    /// Queues `commit` of the machine that owns `table`.
    pub(super) fn push(&mut self, table: Table, commit: Commit<E>) {
        self.waiting_bytes += commit.bytes();
        self.waiting.push_back((table, commit));
        self.given += 1;
    }

    /// How many Commits were given so far.
    #[must_use]
    pub(super) fn given(&self) -> u64 {
        self.given
    }

    /// Whether the first so many are durable.
    #[must_use]
    pub(super) fn are_durable(&self, given: u64) -> bool {
        self.durable >= given
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
        // One transaction has no order inside: the last word on a record wins, and deletes come last.
        let (mut blobs, mut owns, mut records, mut then) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new(), Vec::new());
        while let Some((table, commit)) = self.waiting.pop_front() {
            // A record that begins anew must not inherit what its predecessor owned: it waits for the next transaction.
            let anew = |key: &Key| matches!(records.get(&(table, key.clone())), Some(None));
            if commit.puts.iter().map(|(key, _)| key).chain(commit.owns.iter().map(|(key, _)| key)).any(anew) {
                self.waiting.push_front((table, commit));
                break;
            }
            self.waiting_bytes -= commit.bytes();
            self.begun += 1;
            blobs.extend(commit.blobs);
            owns.extend(commit.owns.into_iter().map(|(key, cid)| (table, key, cid)));
            records.extend(commit.puts.into_iter().map(|(key, value)| ((table, key), Some(value))));
            records.extend(commit.deletes.into_iter().map(|key| ((table, key), None)));
            then.extend(commit.then);
        }
        let mut batch = Batch { blobs: blobs.into_iter().collect(), owns: owns.into_iter().collect(), ..Batch::default() };
        for ((table, key), value) in records {
            match value {
                Some(value) => batch.puts.push((table, key, value)),
                None => batch.deletes.push((table, key)),
            }
        }
        self.in_flight = Some(then);
        Some(batch)
    }

    /// The transaction asked for by [`Commits::next_batch`] is under way.
    pub(super) fn started(&mut self, transaction: BoxFuture<'static, Result<Gone, StoreError>>) {
        self.transaction = Some(transaction);
    }

    /// Resolves when the transaction in flight is durable, with the effects it releases and the blobs that went; never when none is.
    /// Cancel-safe.
    pub(super) async fn durable(&mut self) -> Result<(Vec<E>, Gone), StoreError> {
        match &mut self.transaction {
            None => std::future::pending().await,
            Some(transaction) => {
                let result = transaction.await;
                self.transaction = None;
                if result.is_ok() {
                    self.durable = self.begun;
                }
                result.map(|gone| (self.in_flight.take().unwrap_or_default(), gone))
            }
        }
    }
}

#[cfg(test)]
mod tests;
