//! What one execution may still do ([`Job`]), and one operation's share of it ([`Grant`]).
//!
//! Guarantees: operations, targets, bytes and memory of an execution are counted in one place; a grant that is dropped gives its memory
//! back. Deliberately lacks IO.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use station_protocol::capability::Capability;
use station_protocol::hostcall::{OPS_MAX, Record};
use station_protocol::worker::Execution;

use super::Gate;
use crate::outside::http::{Permit, Visit};
use crate::outside::politeness::{Errand, Politeness};
use crate::outside::quota::{QuotaRefused, Target};
use crate::outside::toll::{Purse, Way};
use crate::outside::trouble::Trouble;

/// Bytes of bodies an execution may have in the node's memory: two of the largest.
const MEMORY_BYTES_MAX: u64 = 64 << 20;
/// Bytes an execution may send: for each of its operations a handshake, a request and its headers.
const OUT_BYTES_MAX: u64 = OPS_MAX as u64 * (4 << 10);
/// Targets an execution may ask: a job names one or a few, and the station's table of a day has place for sixty-four such executions.
const TARGETS_MAX: usize = 64;

pub(super) struct Job {
    pub(super) execution: Execution,
    gate: Arc<dyn Gate>,
    politeness: Arc<Politeness>,
    ops: AtomicUsize,
    /// What may still come in of `limits.in_bytes`.
    in_bytes: AtomicU64,
    out_bytes: AtomicU64,
    targets: Mutex<BTreeSet<Target>>,
    /// Bodies not yet closed.
    memory: AtomicU64,
}

impl Job {
    pub(super) fn new(execution: Execution, gate: Arc<dyn Gate>, politeness: Arc<Politeness>) -> Self {
        let in_bytes = AtomicU64::new(execution.limits.in_bytes);
        let (ops, out_bytes, targets, memory) = (AtomicUsize::new(0), AtomicU64::new(OUT_BYTES_MAX), Mutex::default(), AtomicU64::new(0));
        Self { execution, gate, politeness, ops, in_bytes, out_bytes, targets, memory }
    }

    /// Counts one operation; false when there were enough.
    pub(super) fn count_op(&self) -> bool {
        self.ops.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |ops| (ops < OPS_MAX).then_some(ops + 1)).is_ok()
    }

    /// Counts the target of `visit`; false when there were enough.
    fn count_target(&self, visit: &Visit<'_>) -> bool {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        let target = Target::of(visit.origin, visit.exempt);
        targets.contains(&target) || (targets.len() < TARGETS_MAX && targets.insert(target))
    }

    /// For the operator's ledger.
    pub(super) fn contacted(&self, record: &Record) {
        self.gate.contacted(&self.execution, &record.url, record.bytes, record.error);
    }

    fn left(&self, way: Way) -> &AtomicU64 {
        match way {
            Way::In => &self.in_bytes,
            Way::Out => &self.out_bytes,
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let went = |all: u64, left: &AtomicU64| all.saturating_sub(left.load(Ordering::Relaxed));
        let (in_bytes, out_bytes) = (went(self.execution.limits.in_bytes, &self.in_bytes), went(OUT_BYTES_MAX, &self.out_bytes));
        self.gate.moved(&self.execution, in_bytes, out_bytes);
    }
}

/// The execution's own bytes and the operator's day pay together.
struct Both(Arc<Job>);

impl Purse for Both {
    fn take(&self, way: Way, wanted: u64) -> BoxFuture<'static, u64> {
        let job = self.0.clone();
        Box::pin(async move {
            let of_day = job.gate.take_bytes(wanted.min(job.left(way).load(Ordering::Relaxed))).await;
            // Nothing waits between here and the end, so that a guest that goes away loses nobody's bytes.
            let taken = take(job.left(way), of_day);
            job.gate.give_back(of_day - taken);
            taken
        })
    }

    fn give_back(&self, way: Way, bytes: u64) {
        self.0.left(way).fetch_add(bytes, Ordering::Relaxed);
        self.0.gate.give_back(bytes);
    }
}

/// The operator's day alone pays: for what the station asks for its own sake.
struct Day(Arc<dyn Gate>);

impl Purse for Day {
    fn take(&self, _: Way, wanted: u64) -> BoxFuture<'static, u64> {
        let gate = self.0.clone();
        Box::pin(async move { gate.take_bytes(wanted).await })
    }

    fn give_back(&self, _: Way, bytes: u64) {
        self.0.give_back(bytes);
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

    fn admit<'a>(&'a self, visit: Visit<'a>) -> BoxFuture<'a, Result<(), Trouble>> {
        Box::pin(async move {
            self.job.gate.expect_bytes().await;
            let admitted = match self.job.count_target(&visit) {
                true => self.job.politeness.admit(visit, &self.errand(&visit)).await,
                false => Err(QuotaRefused::TooManyForOne),
            };
            admitted.map_err(|reason| not_now(&visit, reason))
        })
    }

    fn arrive<'a>(&'a self, visit: Visit<'a>, ip: IpAddr) -> BoxFuture<'a, Result<(), Trouble>> {
        Box::pin(async move {
            let arrived = self.job.politeness.arrive(visit, ip, &self.errand(&visit)).await;
            arrived.map_err(|reason| not_now(&visit, reason))
        })
    }

    fn is_spent(&self) -> bool {
        self.job.in_bytes.load(Ordering::Relaxed) == 0 || self.job.gate.is_spent()
    }

    fn purse(&self) -> Arc<dyn Purse> {
        Arc::new(Both(self.job.clone()))
    }

    fn keep(&self, wanted: u64) -> u64 {
        let room = |memory: u64| MEMORY_BYTES_MAX.saturating_sub(memory).min(wanted);
        let before = self.job.memory.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |memory| Some(memory + room(memory)));
        let kept = room(before.unwrap_or(MEMORY_BYTES_MAX));
        self.memory.fetch_add(kept, Ordering::Relaxed);
        kept
    }
}

impl Grant {
    fn errand(&self, visit: &Visit<'_>) -> Errand {
        let (gate, job, origin) = (&self.job.gate, &self.job.execution, visit.origin);
        let per_day = gate.per_day(job, Capability::Http, &origin.host, origin.port);
        Errand { stations: gate.stations(job), per_day, purse: Arc::new(Day(gate.clone())) }
    }
}

fn not_now(visit: &Visit<'_>, reason: QuotaRefused) -> Trouble {
    tracing::debug!(host = %visit.origin.host, %reason, "not now");
    reason.into()
}
