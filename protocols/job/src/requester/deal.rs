//! Dealing: which job a station gets next, for how long, and what happens when the lease is lost.
//!
//! Guarantees: no job is dealt twice to one node or one cluster at a time; a node that has proved nothing has one lease; numbers and
//! jobs of leases are durable before they are sent; work per lease is logarithmic in the open jobs, an answer looks at a bounded number
//! of them, and jobs open at once are bounded.
//! Deliberately lacks choice, for which jobs a station wants is never asked, and what the stations of one cluster share: `share` has it.

use std::sync::Arc;

use super::Note;
use super::context::Context;
use super::records::{NodeRecord, Tag, key, numbered};
use super::run::{Claimant, LOSERS_MAX, LOST_MAX, Leased, OpenJob, Run};
use crate::bounded::{Bytes, List};
use crate::cluster::Cluster;
use crate::codec;
use crate::experiment::{Class, Labels};
use crate::identity::NodeId;
use crate::lease::{GRACE_MS, duration_ms};
use crate::log::{HeldReceipt, Lost};
use crate::mutants::{Mutant, is_planted};
use crate::receipt::LeaseNumber;
use crate::sampling;
use crate::time::{MINUTE, SECOND, Time};
use crate::work::{ClaimRefused, HOLDING_MAX, INPUT_BYTES_MAX, LEASES_MAX, Lease, Leases, RELAYED_BYTES_MAX};

/// Jobs open at once: 8 stations with 256 leases each, four times over; bounds memory when some stations lag.
pub(super) const OPEN_JOBS_MAX: usize = 8_192;
/// Bytes of receipts and outputs in memory before no more jobs of an experiment are opened.
pub(super) const HELD_BYTES_MAX: usize = 64 << 20;
/// The same of all open experiments together: strangers must not fill one after the other.
pub(super) const HELD_BYTES_ALL_MAX: usize = 128 << 20;
/// What each may hold even then, so that it goes on.
pub(super) const HELD_BYTES_SHARE: usize = 1 << 20;
/// Open jobs looked at for one answer; the walk goes on there with the next.
pub(super) const WALK_MAX: usize = 256;
/// Open jobs among which a station gets those whose targets it is first to contact.
const TARGET_WINDOW: usize = 256;
/// Times one node may lose one job before the job goes to others only.
pub(super) const LOSSES_PER_NODE_MAX: usize = 2;
/// The same for a cluster: a laboratory whose stations share one has that many crashes, and keys of one party lose no more.
pub(super) const LOSSES_PER_CLUSTER_MAX: u32 = 16;
/// A known station gets this many times its capacity, so that it need not wait for the answer to a delivery.
pub(super) const AHEAD: u64 = 2;
/// Of a pure experiment a known station gets as much as it does in this time, if that is more.
pub(super) const AHEAD_MS: u64 = SECOND;
/// How long those who have delivered something go first where a job is dealt anew: each of them asks once a second.
pub(super) const FIRST_MS: u64 = 2 * SECOND;
/// Longest pause after losses.
pub(super) const PAUSE_MS_MAX: u64 = MINUTE;

impl Run {
    /// Leases for `node`: first again what it lost on the way, then new ones. `Err(None)`: nothing now; `Err(Some)`: nothing until the next Call.
    pub(super) fn leases_for(
        &mut self,
        cx: &mut Context,
        node: NodeId,
        free: u32,
        holding: &[LeaseNumber],
        now: Time,
    ) -> Result<Leases, Option<ClaimRefused>> {
        if let Some(claimant) = self.claimants.get_mut(&node) {
            claimant.is_full = free == 0;
            if claimant.held > 0 {
                self.proved_at = now;
            }
        }
        if let Some(again) = self.leases_again(cx, node, free, holding, now) {
            return Ok(again);
        }
        let count = self.allowance(cx, node, free, holding, now);
        if count == 0 || cx.world(now) >= self.experiment.body.deadline {
            return Err(None);
        }
        let mut jobs = self.pick(cx, node, count, now);
        if jobs.is_empty() {
            jobs = self.pick_overdue(node, count, now);
        }
        if jobs.is_empty() {
            return Err(self.has_nothing_left(node).then_some(ClaimRefused::NothingLeft));
        }
        Ok(self.grant(cx, node, free, &jobs, now))
    }

    /// The first run of numbers that the node has outstanding and neither holds nor has named a receipt of, at most `free`.
    fn leases_again(&mut self, cx: &mut Context, node: NodeId, free: u32, holding: &[LeaseNumber], now: Time) -> Option<Leases> {
        self.forget_settled(cx, node, holding);
        let claimant = self.claimants.get(&node).filter(|_| free > 0)?;
        let mut missing = claimant
            .outstanding
            .iter()
            .copied()
            .filter(|number| !holding.contains(number) && self.leases.get(number).is_some_and(|leased| leased.named.is_none()));
        let first = missing.next()?;
        let mut numbers = vec![first];
        for number in missing.take(LEASES_MAX.min(free as usize).saturating_sub(1)) {
            if number != first + numbers.len() as u64 {
                break;
            }
            numbers.push(number);
        }
        let most = lease_bytes_max(claimant.is_relayed);
        let (mut leases, mut bytes) = (Vec::with_capacity(numbers.len()), 0);
        for (place, number) in numbers.iter().enumerate() {
            let fresh_ms = self.duration_ms(place as u64, free);
            let leased = self.leases.get_mut(number)?;
            let input = input(&self.jobs, leased.index);
            bytes += input.len();
            if place > 0 && bytes > most {
                break;
            }
            let duration_ms = if leased.renewed {
                leased.until.since(now).saturating_sub(GRACE_MS)
            } else {
                self.ends.remove(&(leased.until, *number));
                leased.until = now.plus(fresh_ms + GRACE_MS);
                leased.renewed = true;
                self.ends.insert((leased.until, *number));
                fresh_ms
            };
            leases.push(Lease { index: leased.index, input, duration_ms });
        }
        cx.note(Note::Leased { experiment: self.id, node, leases: leases.len() });
        Some(Leases { experiment: self.id, node, first, leases: List::first(leases) })
    }

    /// Ends the leases of jobs that others settled meanwhile, as far as the node does not hold them: that is no loss of its.
    fn forget_settled(&mut self, cx: &mut Context, node: NodeId, holding: &[LeaseNumber]) {
        let Some(claimant) = self.claimants.get_mut(&node) else { return };
        let (leases, open) = (&self.leases, &self.open);
        let is_over = |number: &LeaseNumber| leases.get(number).is_none_or(|leased| leased.named.is_none() && !open.contains_key(&leased.index));
        let over: Vec<LeaseNumber> = claimant.outstanding.iter().copied().filter(|number| !holding.contains(number) && is_over(number)).collect();
        for number in over {
            claimant.outstanding.remove(&number);
            if let Some(leased) = self.leases.remove(&number) {
                self.ends.remove(&(leased.until, number));
                cx.delete(numbered(Tag::Fetched, &self.id, number));
            }
        }
    }

    /// Whether no job is left that the node could ever run: it has none under way, and of each that is open there is a receipt from its cluster,
    /// or it or its cluster lost the job too often. Looks at [`WALK_MAX`] jobs at most and goes on there when it is asked again: what was done
    /// once stays so, for no job is opened any more.
    fn has_nothing_left(&mut self, node: NodeId) -> bool {
        let all_opened = self.never_opened() == 0;
        let Some(claimant) = self.claimants.get_mut(&node).filter(|claimant| all_opened && claimant.outstanding.is_empty()) else { return false };
        let cluster = claimant.cluster;
        // Receipts are walked only where it or somebody of its cluster has one, or a lease.
        let may_have = |job: &OpenJob| job.nodes.contains(&node) || job.clusters.contains(&cluster);
        let is_theirs = |held: &HeldReceipt| held.receipt.body.node == node || held.cluster == cluster;
        let is_done = |job: &OpenJob| may_have(job) && job.receipts.iter().any(is_theirs) || job.is_lost_to(cluster, node);
        for (index, job) in self.open.range(claimant.done..).take(WALK_MAX) {
            if !is_done(job) {
                claimant.done = *index;
                return false;
            }
            claimant.done = index + 1;
        }
        self.open.range(claimant.done..).next().is_none()
    }

    /// How many new leases the node may have now.
    fn allowance(&self, cx: &Context, node: NodeId, free: u32, holding: &[LeaseNumber], now: Time) -> usize {
        let Some(claimant) = self.claimants.get(&node) else { return 0 };
        if free == 0 || now < claimant.paused_until.max(self.losers.paused_until(claimant)) {
            return 0;
        }
        let capacity = u64::from(claimant.capacity.max(1));
        let ahead = match self.experiment.body.class {
            Class::Pure(_) => (capacity * AHEAD_MS / claimant.execution_ms.max(1)).max(AHEAD * capacity),
            _ => AHEAD * capacity,
        };
        let proved = claimant.held.saturating_mul(2).max(1);
        let most = if claimant.held == 0 { proved } else { proved.min(ahead) }.min(HOLDING_MAX as u64);
        let outstanding = claimant.outstanding.len().max(holding.len()) as u64;
        let left = most.saturating_sub(outstanding).min(self.left_to_cluster(cx, node, now).unwrap_or(u64::MAX));
        usize::try_from(left.min(u64::from(free))).unwrap_or(0).min(LEASES_MAX)
    }

    /// Up to `count` jobs that the node may run: open ones that lack executions first, then jobs never dealt.
    fn pick(&mut self, cx: &Context, node: NodeId, count: usize, now: Time) -> Vec<u64> {
        if let Some(target) = self.experiment.body.jobs.target.clone() {
            return self.pick_by_target(cx, node, &target, count, now);
        }
        let start = self.claimants.get(&node).map_or(0, |claimant| claimant.walk);
        let mut picked = Vec::new();
        let mut at = start;
        let around = self.hungry.range(start..).chain(self.hungry.range(..start));
        for index in around.take(WALK_MAX) {
            if picked.len() >= count {
                break;
            }
            at = index + 1;
            if self.may_run(*index, node, now) {
                picked.push(*index);
            }
        }
        if let Some(claimant) = self.claimants.get_mut(&node) {
            claimant.walk = at;
        }
        while picked.len() < count {
            let Some(index) = self.open_next(cx) else { break };
            picked.push(index);
        }
        picked
    }

    /// The same for jobs that name a target: each station begins elsewhere, and always with the targets whose caps it is under.
    fn pick_by_target(&mut self, cx: &Context, node: NodeId, target: &str, count: usize, now: Time) -> Vec<u64> {
        while self.hungry.len() < TARGET_WINDOW && self.open_next(cx).is_some() {}
        let day = cx.world(now).day().to_be_bytes();
        let start = self.claimants.get(&node).map_or(0, |claimant| claimant.walk);
        let around = self.hungry.range(start..).chain(self.hungry.range(..start)).copied().take(WALK_MAX);
        let around: Vec<u64> = around.collect();
        let candidates = around.iter().copied().filter(|index| self.may_run(*index, node, now));
        let mut ranked: Vec<(u64, u64)> = candidates
            .map(|index| {
                // The name under which a station's share of the target is drawn, so that it gets what it may do.
                let name = sampling::target_of(&self.jobs.target(index, target).unwrap_or_default());
                (sampling::fraction("target", &[name.as_bytes(), &[0], &day, &node.0]), index)
            })
            .collect();
        ranked.sort_unstable();
        let mut picked: Vec<u64> = ranked.into_iter().take(count).map(|(_, index)| index).collect();
        // What it can do nothing of hides what comes behind.
        if let Some((claimant, last)) = self.claimants.get_mut(&node).zip(around.last()).filter(|_| picked.is_empty()) {
            claimant.walk = last + 1;
        }
        while picked.len() < count {
            let Some(index) = self.open_next(cx) else { break };
            picked.push(index);
        }
        picked
    }

    /// Opens the next job never dealt.
    fn open_next(&mut self, cx: &Context) -> Option<u64> {
        loop {
            self.fresh = self.settled.next_gap(self.fresh);
            if !self.open.contains_key(&self.fresh) {
                break;
            }
            self.fresh += 1;
        }
        if self.fresh >= self.jobs.count() || self.open.len() >= self.open_jobs_max() || self.is_full_of_receipts(cx) {
            return None;
        }
        let index = self.fresh;
        self.fresh += 1;
        let lacking = self.experiment.body.class.executions();
        self.open.insert(index, OpenJob { lacking, ..OpenJob::default() });
        self.hungry.insert(index);
        Some(index)
    }

    /// Whether what it holds of jobs without a verdict fills the memory that is meant for it.
    pub(super) fn is_full_of_receipts(&self, cx: &Context) -> bool {
        let share = if cx.held_bytes >= HELD_BYTES_ALL_MAX { HELD_BYTES_SHARE } else { HELD_BYTES_MAX };
        self.held_bytes >= share
    }

    fn open_jobs_max(&self) -> usize {
        self.at_once.map_or(OPEN_JOBS_MAX, |most| OPEN_JOBS_MAX.min(most.max(1) as usize))
    }

    pub(super) fn may_run(&self, index: u64, node: NodeId, now: Time) -> bool {
        let (Some(job), Some(claimant)) = (self.open.get(&index), self.claimants.get(&node)) else { return false };
        job.losses.get(&claimant.cluster).is_none_or(|losses| now >= losses.ready)
            && (now.since(job.freed) > FIRST_MS || !self.lets_others_first(claimant, now))
            && self.could_run(index, node)
    }

    /// Whether others, who have delivered something and ask these days, go before `claimant` where a job is dealt anew: whoever loses jobs
    /// or is silent asks as soon as anybody else does.
    pub(super) fn lets_others_first(&self, claimant: &Claimant, now: Time) -> bool {
        claimant.held == 0 && now.since(self.proved_at) <= FIRST_MS
    }

    /// The same at some time.
    pub(super) fn could_run(&self, index: u64, node: NodeId) -> bool {
        let (Some(job), Some(claimant)) = (self.open.get(&index), self.claimants.get(&node)) else { return false };
        !job.nodes.contains(&node)
            && (!job.clusters.contains(&claimant.cluster) || is_planted(Mutant::ClusterHasManySeats))
            && !job.is_lost_to(claimant.cluster, node)
    }

    fn grant(&mut self, cx: &mut Context, node: NodeId, free: u32, jobs: &[u64], now: Time) -> Leases {
        let first = self.next_lease;
        self.dealing_since.get_or_insert(now);
        let attempts_max = self.attempts_max;
        let (mut leases, mut bytes) = (Vec::with_capacity(jobs.len()), 0);
        for (place, index) in jobs.iter().enumerate() {
            let duration_ms = self.duration_ms(place as u64, free);
            let input = input(&self.jobs, *index);
            let is_second = !self.hungry.contains(index);
            let (Some(job), Some(claimant)) = (self.open.get_mut(index), self.claimants.get_mut(&node)) else { continue };
            bytes += input.len();
            if place > 0 && bytes > lease_bytes_max(claimant.is_relayed) {
                break;
            }
            let (number, cluster, labels) = (self.next_lease, claimant.cluster, Arc::clone(&claimant.labels));
            self.next_lease += 1;
            let until = now.plus(duration_ms + GRACE_MS);
            job.nodes.insert(node);
            job.clusters.insert(claimant.cluster);
            job.outstanding.insert(number);
            (job.dealt, job.again) = (now, job.again + u32::from(is_second));
            if job.missing(attempts_max) == 0 {
                self.hungry.remove(index);
            }
            claimant.outstanding.insert(number);
            claimant.idle = 0;
            (claimant.dealt, claimant.busy) = (now, now);
            self.leases.insert(
                number,
                Leased { index: *index, node, cluster, labels, dealt: now, recorded: cx.world(now), until, renewed: false, named: None, said: None },
            );
            self.ends.insert((until, number));
            self.watch(*index);
            leases.push(Lease { index: *index, input, duration_ms });
        }
        self.record_node(cx, node);
        for index in jobs.iter().take(leases.len()) {
            self.record_job(cx, *index);
        }
        cx.put(key(Tag::NextLease, &self.id, &[]), codec::encode(&self.next_lease));
        cx.note(Note::Leased { experiment: self.id, node, leases: leases.len() });
        Leases { experiment: self.id, node, first, leases: List::first(leases) }
    }

    /// `place` counts from this batch; what the station still has was counted when it was dealt.
    fn duration_ms(&self, place: u64, free: u32) -> u64 {
        let body = &self.experiment.body;
        duration_ms(body.module.bytes, body.limits.wall_ms, place, free)
    }

    pub(super) fn record_node(&mut self, cx: &mut Context, node: NodeId) {
        let Some(claimant) = self.claimants.get_mut(&node).filter(|claimant| !claimant.recorded) else { return };
        claimant.recorded = true;
        let labels = Labels::clone(&claimant.labels);
        let record = NodeRecord { cluster: claimant.cluster, labels, capacity: claimant.capacity, held: claimant.held };
        cx.put(key(Tag::Node, &self.id, &node.0), codec::encode(&record));
    }

    pub(super) fn record_job(&self, cx: &mut Context, index: u64) {
        if let Some(job) = self.open.get(&index) {
            cx.put(numbered(Tag::Job, &self.id, index), codec::encode(&self.job_record(job)));
        }
    }

    /// Ends a lease without a receipt and gives its job back to the pool.
    pub(super) fn lose(&mut self, cx: &mut Context, number: LeaseNumber, how: Lost, now: Time) {
        let Some((node, cluster)) = self.leases.get(&number).map(|leased| (leased.node, leased.cluster)) else { return };
        self.losers.lost(cluster, now);
        self.pause(node, how, now);
        self.end_lease(cx, number, how, now);
    }

    /// `node` lost something: its next leases come after a pause, longer each time.
    pub(super) fn pause(&mut self, node: NodeId, how: Lost, now: Time) {
        let Some(claimant) = self.claimants.get_mut(&node) else { return };
        let times = if how == Lost::MadeWay { &mut claimant.made_way } else { &mut claimant.losses };
        *times = times.saturating_add(1);
        claimant.paused_until = claimant.paused_until.max(now.plus(pause_ms(*times)));
    }

    /// The same without a pause for the station and its cluster.
    pub(super) fn end_lease(&mut self, cx: &mut Context, number: LeaseNumber, how: Lost, now: Time) {
        let Some(leased) = self.leases.remove(&number) else { return };
        self.ends.remove(&(leased.until, number));
        if let Some(named) = leased.named {
            named.fetch.map(|ticket| cx.fetches.remove(&ticket));
            // What was fetched of it, if anything was.
            cx.delete(numbered(Tag::Fetched, &self.id, number));
        }
        if let Some(claimant) = self.claimants.get_mut(&leased.node) {
            claimant.outstanding.remove(&number);
        }
        let attempts_max = self.attempts_max;
        if let Some(job) = self.open.get_mut(&leased.index) {
            job.outstanding.remove(&number);
            job.lost_all = job.lost_all.saturating_add(1);
            if job.missing(attempts_max) == 0 {
                // It was one more than the job lacks: whoever had it before is as overdue as if it had never been dealt.
                job.again = job.again.saturating_sub(1);
                job.dealt = job.outstanding.iter().filter_map(|other| Some(self.leases.get(other)?.dealt)).max().unwrap_or(job.dealt);
            }
            job.nodes.remove(&leased.node);
            job.clusters.remove(&leased.cluster);
            if job.lost.len() < LOST_MAX {
                job.lost.push((number, leased.node, how));
            }
            // At once the first time; then slower each time, so that a job which a cluster cannot do does not spin there. Others may have
            // it at once.
            let losses = job.losses.entry(leased.cluster).or_default();
            losses.count = losses.count.saturating_add(1);
            losses.ready = if losses.count <= 1 { Time(0) } else { now.plus(pause_ms(losses.count - 1)) };
            job.freed = now;
            if job.losses.len() > LOSERS_MAX {
                let least = job.losses.iter().min_by_key(|(_, losses)| (losses.count, losses.ready)).map(|(cluster, _)| *cluster);
                least.map(|cluster| job.losses.remove(&cluster));
            }
            self.record_job(cx, leased.index);
            self.progress(cx, leased.index);
        }
    }

    /// Ends what has run out of time.
    pub(super) fn expire(&mut self, cx: &mut Context, now: Time) {
        while let Some((_, number)) = self.ends.first().copied().filter(|(until, _)| *until <= now) {
            let Some(node) = self.leases.get(&number).map(|leased| leased.node) else { break };
            cx.note(Note::Expired { experiment: self.id, node, lease: number });
            cx.report(node, crate::peer_action::PeerAction::Tolerable);
            let forgotten = is_planted(Mutant::ExpiredLeaseCounts).then(|| self.leases.get(&number).cloned()).flatten();
            self.lose(cx, number, Lost::Expired, now);
            self.leases.extend(forgotten.map(|leased| (number, leased)));
        }
    }
}

impl OpenJob {
    /// Whether a station, or its cluster, lost it so often that it goes to others only.
    fn is_lost_to(&self, cluster: Cluster, node: NodeId) -> bool {
        self.losses.get(&cluster).is_some_and(|losses| losses.count >= LOSSES_PER_CLUSTER_MAX)
            || self.lost.iter().filter(|(_, loser, how)| *loser == node && *how != Lost::MadeWay).count() >= LOSSES_PER_NODE_MAX
    }
}

/// Bytes of inputs in one answer: all 32 inputs of a direct connection, half of a relayed frame.
fn lease_bytes_max(is_relayed: bool) -> usize {
    if is_relayed { RELAYED_BYTES_MAX / 2 } else { LEASES_MAX * INPUT_BYTES_MAX }
}

pub(super) fn pause_ms(times: u32) -> u64 {
    (SECOND << times.saturating_sub(1).min(16)).min(PAUSE_MS_MAX)
}

/// The input of a job of ours: it was within its bound when the jobs were made.
fn input(jobs: &crate::jobs::Jobs, index: u64) -> Bytes<INPUT_BYTES_MAX> {
    jobs.input(index).and_then(|bytes| Bytes::new(bytes).ok()).unwrap_or_default()
}
