//! [`Run`]: one open experiment in memory.
//!
//! Guarantees: state in proportion to the jobs that are dealt and unsettled and to the stations that take part, both bounded;
//! settled jobs and held leases are ranges. Deliberately lacks rules: the files beside it have them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cid::Cid;

use super::claim::CLAIMANTS_MAX;
use super::deal::OPEN_JOBS_MAX;
use super::logs::{LOGS_MAX, Logs};
use super::losers::Losers;
use super::overdue::Typical;
use super::progress::Heard;
use super::ranges::Ranges;
use super::records::{ClosedRecord, JobRecord};
use super::untold::{Unread, Untold};
use super::{Explanation, Peer};
use crate::bounded::Bytes;
use crate::call::Call;
use crate::clock::Shift;
use crate::cluster::Cluster;
use crate::codec;
use crate::durable::Ticket;
use crate::experiment::{Experiment, ExperimentId, Labels};
use crate::identity::{Hash32, NodeId, Signed};
use crate::jobs::Jobs;
use crate::log::{Entry, HELD_RECEIPT_BYTES_MAX, HeldReceipt, JOB_RECEIPTS_BYTES_MAX, Lost, PAGES_MAX};
use crate::receipt::{INLINE_BYTES_MAX, LOG_BYTES_MAX, LeaseNumber, Receipt};
use crate::time::Time;
use crate::verdict::VERDICT_RECEIPTS_MAX;
use crate::work::{At, DeclineReason};

#[derive(Debug)]
pub(super) struct Run {
    pub(super) id: ExperimentId,
    pub(super) experiment: Signed<Experiment>,
    pub(super) secret: Hash32,
    pub(super) jobs: Jobs,
    pub(super) published: Time,
    /// The researcher's own bound on open jobs.
    pub(super) at_once: Option<u32>,

    pub(super) call: Signed<Call>,
    pub(super) seq: u64,
    pub(super) claim_below: u64,
    /// The addresses of this station, or where it was last.
    pub(super) at: At,
    pub(super) renew_at: Time,
    pub(super) renew_after_ms: u64,
    pub(super) widen_at: Time,
    /// Whether a station was told to come back with a higher seq since the last Call.
    pub(super) turned_away: bool,
    pub(super) explanation: Explanation,
    /// Who declined, and why the last time.
    pub(super) decliners: BTreeMap<NodeId, DeclineReason>,
    /// Attempts that one job may have.
    pub(super) attempts_max: u32,

    pub(super) claimants: BTreeMap<NodeId, Claimant>,
    pub(super) losers: Losers,
    pub(super) window: Window,

    /// Jobs from here on were never opened.
    pub(super) fresh: u64,
    pub(super) open: BTreeMap<u64, OpenJob>,
    /// Open jobs that lack executions nobody has.
    pub(super) hungry: BTreeSet<u64>,
    pub(super) next_lease: LeaseNumber,
    /// When this process dealt its first lease.
    pub(super) dealing_since: Option<Time>,
    pub(super) leases: BTreeMap<LeaseNumber, Leased>,
    pub(super) ends: BTreeSet<(Time, LeaseNumber)>,
    /// Jobs that all have their leases, by how often they were dealt again, and by when they were dealt last.
    pub(super) silent: BTreeSet<Silent>,
    pub(super) typical: Typical,
    /// When somebody asked last who has a receipt held.
    pub(super) proved_at: Time,
    /// Bytes of receipts and outputs held in `open`.
    pub(super) held_bytes: usize,
    pub(super) logs: Logs,

    pub(super) settled: Ranges,
    pub(super) held: Ranges,
    pub(super) page: OpenPage,
    pub(super) pages: Vec<Cid>,
}

/// The page being filled: its entries are durable as records.
#[derive(Debug, Default)]
pub(super) struct OpenPage {
    pub(super) entries: Vec<Entry>,
    /// Numbers of its verdicts in the requester's durable order.
    pub(super) ordinals: Vec<u64>,
    pub(super) bytes: usize,
    pub(super) settled: Ranges,
    pub(super) held: Ranges,
}

/// How claims are collected before the first job is dealt.
#[derive(Debug)]
pub(super) enum Window {
    /// No claim yet, or no window needed.
    Unopened,
    Collecting {
        closes: Time,
        claims: BTreeMap<NodeId, Claimant>,
    },
    /// Who was drawn; the others of the window wait for a higher seq.
    Drawn {
        not_drawn: BTreeSet<NodeId>,
    },
}

/// A station that takes part.
#[derive(Debug)]
pub(super) struct Claimant {
    pub(super) cluster: Cluster,
    /// Whether it asked through a relay the last time.
    pub(super) is_relayed: bool,
    pub(super) labels: Arc<Labels>,
    pub(super) capacity: u32,
    pub(super) held: u64,
    pub(super) outstanding: BTreeSet<LeaseNumber>,
    pub(super) seen: Time,
    /// When it got its last new lease.
    pub(super) dealt: Time,
    /// When it claimed first, or had something to do for the last time.
    pub(super) busy: Time,
    /// Where its walk over the hungry jobs goes on.
    pub(super) walk: u64,
    /// Of open jobs before this one it has done or lost its part.
    pub(super) done: u64,
    /// Waits in a row without work.
    pub(super) idle: u32,
    /// Whether it took no more leases the last time.
    pub(super) is_full: bool,
    /// Leases in a row that were lost; the next come after `paused_until`.
    pub(super) losses: u32,
    /// Of those that made way for others' jobs, by what it says: no blame, but a pause as long.
    pub(super) made_way: u32,
    pub(super) paused_until: Time,
    /// Moving average of what one execution takes, for how far ahead to deal.
    pub(super) execution_ms: u64,
    /// Whether its record is on disk.
    pub(super) recorded: bool,
    /// Verdicts it has not read.
    pub(super) unread: Unread,
}

impl Claimant {
    pub(super) fn new(from: Peer, labels: Labels, capacity: u32, now: Time) -> Self {
        Self {
            cluster: from.cluster,
            is_relayed: from.is_relayed,
            labels: Arc::new(labels),
            capacity,
            held: 0,
            outstanding: BTreeSet::new(),
            seen: now,
            dealt: Time(0),
            busy: now,
            walk: 0,
            done: 0,
            idle: 0,
            is_full: false,
            losses: 0,
            made_way: 0,
            paused_until: Time(0),
            execution_ms: 1_000,
            recorded: false,
            unread: Unread::new(),
        }
    }
}

/// A lease that has not ended.
#[derive(Clone, Debug)]
pub(super) struct Leased {
    pub(super) index: u64,
    pub(super) node: NodeId,
    pub(super) cluster: Cluster,
    /// Those of the station, which may make room for others before it delivers.
    pub(super) labels: Arc<Labels>,
    pub(super) dealt: Time,
    /// When it was dealt by the record of it: a restart begins the lease anew, and changes nothing of this.
    pub(super) recorded: Time,
    pub(super) until: Time,
    /// Its duration began anew once already.
    pub(super) renewed: bool,
    pub(super) named: Option<Box<Named>>,
    /// What its guest said last of how far it is.
    pub(super) said: Option<Box<Heard>>,
}

/// A receipt that came in time and whose output is on its way.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) receipt: Signed<Receipt>,
    /// When it first came.
    pub(super) came: Time,
    pub(super) output: Part,
    pub(super) transcript: Part,
    pub(super) log: Option<Bytes<LOG_BYTES_MAX>>,
    pub(super) fetch: Option<Ticket>,
}

#[derive(Clone, Debug)]
pub(super) enum Part {
    /// The receipt names none.
    None,
    Missing,
    Here(Bytes<INLINE_BYTES_MAX>),
    /// Too large for the record: in the blob store.
    Stored,
}

/// How often a job was dealt although nothing was missing, when it was dealt last, and which it is.
pub(super) type Silent = (u32, Time, u64);

/// A job that was dealt and is not settled.
#[derive(Debug, Default)]
pub(super) struct OpenJob {
    pub(super) nodes: BTreeSet<NodeId>,
    pub(super) clusters: BTreeSet<Cluster>,
    pub(super) outstanding: BTreeSet<LeaseNumber>,
    pub(super) receipts: Vec<HeldReceipt>,
    /// What the Log says of leases without a receipt, the first [`LOST_MAX`] of them.
    pub(super) lost: Vec<(LeaseNumber, NodeId, Lost)>,
    pub(super) losses: BTreeMap<Cluster, Losses>,
    /// Executions that its receipts still lack.
    pub(super) lacking: u32,
    /// When it was dealt last, and how often although nothing was missing.
    pub(super) dealt: Time,
    pub(super) again: u32,
    /// When somebody lost it last: those who delivered something already go first then.
    pub(super) freed: Time,
    /// Where it stands among the silent ones.
    pub(super) silent: Option<Silent>,
    /// Leases of it that ended without a receipt, also those that the Log does not name.
    pub(super) lost_all: u32,
}

impl OpenJob {
    /// Executions to deal now. What is lost is no attempt: stations that return all they get or keep silent cannot use up those of others,
    /// up to [`LOSSES_MAX`] of them.
    pub(super) fn missing(&self, attempts_max: u32) -> u32 {
        if self.lost_all >= LOSSES_MAX
            || self.receipts.len() + self.outstanding.len() >= usize::try_from(attempts_max).unwrap_or(usize::MAX) + VAIN_MAX
        {
            return 0;
        }
        self.lacking.saturating_sub(count(self.outstanding.len())).min(attempts_max.saturating_sub(self.attempts()))
    }

    /// Executions that were tried, and those that are. A receipt that counts for nothing, like one of a run that was ended, is none: nobody
    /// uses up the attempts of others by saying so, up to [`VAIN_MAX`] times.
    pub(super) fn attempts(&self) -> u32 {
        let counts = self.receipts.iter().filter(|held| held.receipt.body.outcome.is_comparable()).count();
        count(counts + self.outstanding.len())
    }
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Clusters of which it is known what they lost of one job: those with the fewest losses make room.
pub(super) const LOSERS_MAX: usize = 64;

/// What one cluster lost of one job.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Losses {
    pub(super) count: u32,
    /// The cluster gets it again then.
    pub(super) ready: Time,
}

/// Stations of which it is known why they declined: 80 KiB.
pub(super) const DECLINERS_MAX: usize = 2_048;

/// Lost leases that the Log names of one job: enough to see who loses them. Each loss writes them all to the disk, and losses end no job.
pub(super) const LOST_MAX: usize = 128;

/// Leases of one job that may end without a receipt: a job that each station returns ends some day. With two of a station and sixteen of a
/// cluster, 32 clusters and 256 stations at least have tried it by then.
pub(super) const LOSSES_MAX: u32 = 512;

/// Receipts of one job beyond its attempts that count for nothing: one of each cluster.
pub(super) const VAIN_MAX: usize = 64;

/// Attempts that one job may have: twice what it wants for disagreement and loss, 8 more for jobs that want few; and no more than stand in
/// one entry of the Log, with what is kept of the labels.
pub(super) fn attempts_max(experiment: &Experiment) -> u32 {
    let wanted = experiment.class.executions().saturating_mul(2).saturating_add(8);
    let each = HELD_RECEIPT_BYTES_MAX + codec::encode(&experiment.labels).len();
    let most = (JOB_RECEIPTS_BYTES_MAX / each).min(VERDICT_RECEIPTS_MAX).saturating_sub(VAIN_MAX);
    wanted.min(u32::try_from(most).unwrap_or(u32::MAX))
}

/// A closed experiment: what is left to answer questions and to tell the network.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) record: ClosedRecord,
    pub(super) log: Cid,
    pub(super) logs: Logs,
    /// When to gossip it again, while that is useful.
    pub(super) renew_at: Option<Time>,
    pub(super) renew_after_ms: u64,
    pub(super) explanation: Explanation,
    pub(super) untold: Untold,
}

impl Run {
    /// What holds of it after every event: nothing that stations do makes more of it than fits.
    pub(super) fn assert_bounds(&self) {
        assert!(self.claimants.len() <= CLAIMANTS_MAX, "more claimants than fit");
        assert!(self.decliners.len() <= DECLINERS_MAX, "more decliners than fit");
        assert!(self.open.len() <= OPEN_JOBS_MAX + self.leases.len(), "more open jobs than fit");
        let indexed = self.hungry.len() + self.silent.len();
        assert!(self.ends.len() <= self.leases.len() && indexed <= self.open.len(), "what is indexed is there, and once");
        assert!(self.logs.len() <= LOGS_MAX, "more logs than fit");
        assert!(self.pages.len() < PAGES_MAX && self.settled.len() <= self.jobs.count(), "more pages or verdicts than there can be");
    }

    /// `node` said why it does not claim. Each station counts once, however often it says so; keys cost nothing, so that no more than
    /// [`DECLINERS_MAX`] count, and nothing rests on them but advice.
    pub(super) fn declined(&mut self, node: NodeId, reason: DeclineReason) {
        if self.decliners.len() >= DECLINERS_MAX && !self.decliners.contains_key(&node) {
            return;
        }
        if let Some(before) = self.decliners.insert(node, reason) {
            self.uncount(before);
        }
        *self.explanation.declines.entry(reason).or_default() += 1;
    }

    /// `node` claimed, whatever it said before.
    pub(super) fn takes_part(&mut self, node: NodeId) {
        if let Some(reason) = self.decliners.remove(&node) {
            self.uncount(reason);
        }
    }

    fn uncount(&mut self, reason: DeclineReason) {
        let Some(count) = self.explanation.declines.get_mut(&reason) else { return };
        *count -= 1;
        if *count == 0 {
            self.explanation.declines.remove(&reason);
        }
    }

    /// What is said of why it moves as it does.
    pub(super) fn explained(&self) -> Explanation {
        // By the last that anybody said: who has kept silent for long since then may be gone.
        let newest = self.claimants.values().map(|claimant| claimant.seen).max().unwrap_or_default();
        let waiting = || self.claimants.values().filter(move |claimant| claimant.outstanding.is_empty() && claimant.is_active(newest));
        let paused_until = |claimant: &Claimant| claimant.paused_until.max(self.losers.paused_until(claimant));
        let full = waiting().filter(|claimant| claimant.is_full).count() as u64;
        let resting = waiting().filter(|claimant| !claimant.is_full && paused_until(claimant) > newest).count() as u64;
        Explanation { full, resting, ..self.explanation.clone() }
    }

    /// Jobs that are neither settled nor open.
    pub(super) fn never_opened(&self) -> u64 {
        self.jobs.count().saturating_sub(self.settled.len()).saturating_sub(self.open.len() as u64)
    }

    /// Executions that nobody has yet, all jobs together.
    pub(super) fn unleased(&self) -> u64 {
        self.never_opened().saturating_mul(u64::from(self.experiment.body.class.executions())).saturating_add(self.hungry.len() as u64)
    }

    pub(super) fn job_record(&self, job: &OpenJob) -> JobRecord {
        let outstanding = job.outstanding.iter().filter_map(|number| {
            let leased = self.leases.get(number)?;
            Some((*number, leased.node, leased.cluster, leased.recorded))
        });
        let losses = job.losses.iter().map(|(cluster, losses)| (*cluster, losses.count));
        JobRecord { outstanding: outstanding.collect(), lost: job.lost.clone(), lost_all: job.lost_all, losses: losses.collect() }
    }

    /// When this experiment next wants to be asked.
    pub(super) fn next_deadline(&self, shift: Shift) -> Time {
        let ends = self.ends.first().map(|(end, _)| *end);
        let window = match &self.window {
            Window::Collecting { closes, .. } => Some(*closes),
            _ => None,
        };
        let widen = self.may_widen().then_some(self.widen_at);
        let others = [ends, window, widen, Some(shift.ours(self.closes_at()))];
        others.into_iter().flatten().fold(self.renew_at, Ord::min)
    }
}
