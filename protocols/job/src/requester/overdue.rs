//! Second dealing: what becomes of a lease that says nothing for too long.
//!
//! A lease lasts as long as the slowest honest station may take, so whoever claims and never delivers would hold a job that long. Guarantees:
//! once a lease is overdue, the first station that asks and has nothing else to do gets its job too; each lease brings at most one more
//! execution, and none while other work is left or beyond the attempts that a job has. Whoever delivers first counts; a receipt that comes
//! second is kept in the Log. Deliberately lacks blame: an overdue lease goes on, and may be that of the slowest honest station.

use super::deal::WALK_MAX;
use super::run::{Leased, Run};
use crate::identity::NodeId;
use crate::receipt::LeaseNumber;
use crate::time::{SECOND, Time};

/// No lease is overdue before: the way, a cold start, a busy disk.
const OVERDUE_MS_MIN: u64 = 10 * SECOND;
/// The module's way to a station that has not run it yet, bytes per millisecond (1 MB/s).
const MODULE_BYTES_PER_MS: u64 = 1_000;
/// A lease is overdue after this many times what half of them take.
const OVERDUE_TIMES: u64 = 4;
/// Each receipt moves the typical time by an eighth, so that one extreme moves it no further than any other.
const STEP: u64 = 8;

/// What half of an experiment's leases take from dealing to the whole receipt, by the requester's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Typical(pub(super) Option<u64>);

impl Typical {
    /// A receipt became whole `took_ms` after its lease was dealt.
    pub(super) fn took(&mut self, took_ms: u64) {
        self.0 = Some(match self.0 {
            None => took_ms,
            Some(typical) if took_ms > typical => typical.saturating_add(typical / STEP + 1),
            Some(typical) => typical - typical / STEP,
        });
    }
}

impl Run {
    /// When a lease dealt at `dealt`, for `duration_ms`, is overdue: by what others took, and by half its time where nobody delivered yet.
    fn overdue_at(&self, leased: &Leased) -> Time {
        let half = leased.duration_ms / 2;
        let usual = self.typical.0.map_or(half, |typical| typical.saturating_mul(OVERDUE_TIMES).min(half));
        let least = OVERDUE_MS_MIN + self.experiment.body.module.bytes / MODULE_BYTES_PER_MS;
        leased.dealt.plus(usual.max(least))
    }

    /// Leases that nobody else has yet and that are overdue, the oldest first.
    fn overdue(&self, now: Time) -> impl Iterator<Item = &Leased> {
        let unbacked = self.unbacked.iter().filter_map(|number| self.leases.get(number));
        unbacked.take(WALK_MAX).filter(move |leased| self.overdue_at(leased) <= now && self.has_attempts(leased.index))
    }

    fn has_attempts(&self, index: u64) -> bool {
        self.open.get(&index).is_some_and(|job| job.attempts() < self.attempts_max)
    }

    /// Up to `count` jobs of overdue leases that `node` may run.
    pub(super) fn pick_overdue(&self, node: NodeId, count: usize, now: Time) -> Vec<u64> {
        let mut picked = Vec::new();
        for leased in self.overdue(now) {
            if picked.len() == count {
                break;
            }
            if !picked.contains(&leased.index) && self.may_run(leased.index, node, now) {
                picked.push(leased.index);
            }
        }
        picked
    }

    /// The oldest overdue lease whose job nobody here took: those who claimed may all be unable to.
    pub(super) fn first_overdue(&self, now: Time) -> Option<u64> {
        self.overdue(now).next().map(|leased| leased.index)
    }

    /// Job `index` is being dealt again although its leases go on: the oldest of them that is alone is so no more.
    pub(super) fn back(&mut self, index: u64) {
        let Some(job) = self.open.get(&index) else { return };
        let oldest: Option<LeaseNumber> = job.outstanding.iter().copied().find(|number| self.unbacked.contains(number));
        oldest.map(|number| self.unbacked.remove(&number));
    }
}
