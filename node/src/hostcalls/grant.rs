//! What one execution may still do ([`Job`]), and one operation's share of it ([`Grant`]).
//!
//! Guarantees: operations, bytes and memory of an execution are counted in one place; a grant that is dropped gives its memory
//! back. Deliberately lacks IO.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use futures::future::BoxFuture;
use station_protocol::capability::Capability;
use station_protocol::hostcall::{FetchError, OPS_MAX};
use station_protocol::worker::Execution;

use super::Gate;
use crate::outside::http::{Permit, Visit};
use crate::outside::politeness::Politeness;

/// Bytes of bodies an execution may have in the node's memory: two of the largest.
const MEMORY_BYTES_MAX: u64 = 64 << 20;

pub(super) struct Job {
    pub(super) execution: Execution,
    gate: Arc<dyn Gate>,
    politeness: Arc<Politeness>,
    ops: AtomicUsize,
    /// What may still come in of `limits.in_bytes`.
    in_bytes: AtomicU64,
    /// Bodies not yet closed.
    memory: AtomicU64,
}

impl Job {
    pub(super) fn new(execution: Execution, gate: Arc<dyn Gate>, politeness: Arc<Politeness>) -> Self {
        let in_bytes = AtomicU64::new(execution.limits.in_bytes);
        Self { execution, gate, politeness, ops: AtomicUsize::new(0), in_bytes, memory: AtomicU64::new(0) }
    }

    /// Counts one operation; false when there were enough.
    pub(super) fn count_op(&self) -> bool {
        self.ops.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |ops| (ops < OPS_MAX).then_some(ops + 1)).is_ok()
    }
}

/// Up to `wanted` of what `left` holds.
fn take(left: &AtomicU64, wanted: u64) -> u64 {
    let before = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(wanted))).unwrap_or(0);
    before.min(wanted)
}

/// One operation's right to act for its execution.
pub(super) struct Grant {
    job: Arc<Job>,
    memory: AtomicU64,
}

impl Grant {
    pub(super) fn new(job: Arc<Job>) -> Self {
        Self { job, memory: AtomicU64::new(0) }
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        self.job.memory.fetch_sub(self.memory.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

impl Permit for Grant {
    fn permits(&self, host: &str, port: u16) -> bool {
        let granted = self.job.execution.granted.get(&Capability::Http);
        granted.is_some_and(|targets| targets.iter().any(|target| target.covers(host, port)))
            && self.job.gate.permits(&self.job.execution, Capability::Http, host, port)
    }

    fn count_redirect(&self) -> bool {
        self.job.count_op()
    }

    fn admit<'a>(&'a self, visit: Visit<'a>) -> BoxFuture<'a, Result<(), FetchError>> {
        Box::pin(async move {
            let (gate, job, origin) = (&self.job.gate, &self.job.execution, visit.origin);
            let (stations, per_day) = (gate.stations(job), gate.per_day(job, Capability::Http, &origin.host, origin.port));
            gate.expect_bytes().await;
            self.job.politeness.admit(visit, stations, per_day).await.map_err(|reason| {
                tracing::debug!(host = %visit.origin.host, %reason, "not now");
                FetchError::Quota
            })
        })
    }

    fn is_spent(&self) -> bool {
        self.job.in_bytes.load(Ordering::Relaxed) == 0 || self.job.gate.is_spent()
    }

    fn take_bytes(&self, wanted: u64) -> BoxFuture<'_, u64> {
        Box::pin(async move {
            let memory = MEMORY_BYTES_MAX.saturating_sub(self.job.memory.load(Ordering::Relaxed));
            let wanted = take(&self.job.in_bytes, wanted.min(memory));
            // Counted before the gate is asked, which may take a while, so that operations beside this one see it.
            self.job.memory.fetch_add(wanted, Ordering::Relaxed);
            self.memory.fetch_add(wanted, Ordering::Relaxed);
            self.job.gate.take_bytes(wanted).await.min(wanted)
        })
    }
}
