//! Second dealing: what becomes of a job whose stations say nothing for too long.
//!
//! A lease lasts as long as the slowest honest station may take, so whoever claims and never delivers would hold a job that long. Guarantees:
//! a job whose newest lease is overdue goes to the first station that asks and has nothing else to do, each time after twice as long as
//! the time before, within the attempts that a job has; a measurement only when its station must have come to the end of its own limit, so
//! that slow places are not outrun. Its older leases go on: whoever delivers first counts. Deliberately lacks blame: who is overdue may be
//! the slowest honest station.

use super::deal::{FIRST_MS, WALK_MAX};
use super::run::{OpenJob, Run};
use crate::experiment::Class;
use crate::identity::NodeId;
use crate::time::{SECOND, Time};

/// No job is overdue before: the way, a cold start, a busy disk.
pub(super) const OVERDUE_MS_MIN: u64 = 10 * SECOND;
/// The module's way to a station that has not run it yet, bytes per millisecond (1 MB/s).
pub(super) const MODULE_BYTES_PER_MS: u64 = 1_000;
/// A job is overdue after this many times what half of them take.
pub(super) const OVERDUE_TIMES: u64 = 4;
/// Where nothing is known yet: after this part of the limit on time, which is meant for the slowest job.
pub(super) const UNKNOWN_PART: u64 = 4;
/// Receipts before anything is known of what is usual: fewer may all be of one kind.
pub(super) const RECEIPTS_MIN: u32 = 3;
/// The first receipts, whose longest time is the usual one.
pub(super) const RECEIPTS_FIRST: u32 = 8;
/// Each later receipt moves the usual time by an eighth, so that an extreme moves it no further than any other.
const STEP: u64 = 8;
/// How often the time is doubled at most: beyond that every lease has ended.
const DOUBLINGS_MAX: u32 = 20;

/// What an experiment's leases usually take from dealing to the whole receipt, by the requester's own clock: at first the longest of them,
/// then what half of them take.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Typical {
    receipts: u32,
    ms: u64,
}

impl Typical {
    /// A receipt became whole `took_ms` after its lease was dealt.
    pub(super) fn took(&mut self, took_ms: u64) {
        self.ms = match self.receipts {
            0..RECEIPTS_FIRST => self.ms.max(took_ms),
            _ if took_ms > self.ms => self.ms.saturating_add(self.ms / STEP + 1),
            _ => self.ms - self.ms / STEP,
        };
        self.receipts = self.receipts.saturating_add(1);
    }

    pub(super) fn ms(self) -> Option<u64> {
        (self.receipts >= RECEIPTS_MIN).then_some(self.ms)
    }
}

impl Run {
    /// How long the newest lease of a job may be silent before the job is dealt a second time.
    fn overdue_ms(&self) -> u64 {
        let body = &self.experiment.body;
        let least = OVERDUE_MS_MIN + body.module.bytes / MODULE_BYTES_PER_MS;
        let whole = body.limits.wall_ms.saturating_add(least);
        if matches!(body.class, Class::Measurement(_)) {
            return whole;
        }
        let usual = self.typical.ms().map_or(body.limits.wall_ms / UNKNOWN_PART, |typical| typical.saturating_mul(OVERDUE_TIMES));
        usual.max(least).min(whole)
    }

    /// Jobs that all have their leases and are overdue: those first that were dealt again the least often, of them the longest silent.
    fn overdue(&self, now: Time) -> impl Iterator<Item = (u64, &OpenJob)> {
        let after_ms = self.overdue_ms();
        let due = move |again: u32, dealt: Time| dealt.plus(after_ms.saturating_mul(1 << again)) <= now;
        let those = move |again| self.silent.range((again, Time(0), 0)..).take_while(move |(times, dealt, _)| *times == again && due(again, *dealt));
        let silent = (0..=DOUBLINGS_MAX).flat_map(those).take(WALK_MAX);
        silent.filter_map(|(.., index)| Some((*index, self.open.get(index)?)))
    }

    /// Up to `count` overdue jobs that `node` may run: who has delivered nothing yet only where nobody else came for them.
    pub(super) fn pick_overdue(&self, node: NodeId, count: usize, now: Time) -> Vec<u64> {
        let last = self.claimants.get(&node).is_some_and(|claimant| self.lets_others_first(claimant, now));
        let since = Time(now.0.saturating_sub(if last { FIRST_MS } else { 0 }));
        let overdue = self.overdue(since).map(|(index, _)| index);
        overdue.filter(|index| self.may_run(*index, node, now)).take(count).collect()
    }

    /// The job that is overdue longest and that nobody here took: those who claimed may all be unable to.
    pub(super) fn first_overdue(&self, now: Time) -> Option<u64> {
        self.overdue(now).next().map(|(index, _)| index)
    }

    /// Keeps job `index` in view as long as others than those who have it may be needed: after all that changes it.
    pub(super) fn watch(&mut self, index: u64) {
        let is_hungry = self.hungry.contains(&index);
        let Some(job) = self.open.get_mut(&index) else { return };
        if let Some(silent) = job.silent.take() {
            self.silent.remove(&silent);
        }
        if !is_hungry && !job.outstanding.is_empty() && job.attempts() < self.attempts_max {
            let silent = (job.again.min(DOUBLINGS_MAX), job.dealt, index);
            job.silent = Some(silent);
            self.silent.insert(silent);
        }
    }
}
