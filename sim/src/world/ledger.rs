//! [`Ledger`]: what the stations noted, as figures.
//!
//! Guarantees: memory grows with the number of Calls and jobs, not with time. Deliberately lacks judgement:
//! `invariants` and `outcome` have it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cid::Cid;
use serde::Serialize;
use station_node::station::Note;
use station_protocol::experiment::{Experiment, ExperimentId};
use station_protocol::gauge::Gauge;
use station_protocol::policy::Policy;
use station_protocol::verdict::Decision;
use station_protocol::{Content, NodeId, requester, worker};

use super::paths::Paths;
use crate::invariants::contacts::{Contact, Contacts};
use crate::invariants::lies::Lies;
use crate::invariants::{Damage, Identity, Part, Violation, Watch};
use crate::net::fabric::NodeIndex;

/// A younger Call may still be on its way: scenarios ask for two seconds.
pub const DELIVERED_WITHIN_MS: u64 = 5_000;

#[derive(Debug, Default)]
pub struct Ledger {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    counted_from_ms: u64,
    experiments: BTreeMap<ExperimentId, Story>,
    calls: BTreeMap<(ExperimentId, u64), Heard>,
    counts: Counts,
    failures: Vec<String>,
    watch: Watch,
    contacts: Contacts,
    nodes: BTreeMap<NodeIndex, NodeId>,
    honest: BTreeSet<NodeIndex>,
    /// Honest stations that run.
    up: BTreeSet<NodeIndex>,
    overhearing: BTreeSet<NodeIndex>,
    overheard: Vec<(NodeIndex, ExperimentId, u64)>,
    /// Calls that somebody heard, renewals and closings too.
    told: BTreeSet<(ExperimentId, u64)>,
    paths: Paths,
}

/// One Call on its way.
#[derive(Debug)]
struct Heard {
    called_ms: u64,
    claim_below: u64,
    /// Whether its requester is.
    honest: bool,
    /// Of the honest stations that heard it, each once.
    after_ms: Vec<u32>,
    /// Honest stations that ran when it was made and since then, without its requester.
    due: u64,
    /// Those of them that heard neither it nor a later Call of its experiment.
    missing: BTreeSet<NodeIndex>,
}

/// How far the Calls of honest requesters came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// From a Call to each honest station that heard it, in ms, sorted.
    pub after_ms: Vec<u32>,
    /// Pairs of a Call and an honest station that should have heard it: of Calls at least [`DELIVERED_WITHIN_MS`] old.
    pub due: u64,
    /// Pairs of these where the station heard it, or a later Call of its experiment. Never more than `due`.
    pub reached: u64,
}

/// One experiment from publication to its Log, in ms since the start of the run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Story {
    pub requester: NodeIndex,
    pub published_ms: u64,
    pub jobs: u64,
    pub first_claim_ms: Option<u64>,
    pub first_lease_ms: Option<u64>,
    pub first_receipt_ms: Option<u64>,
    /// One per job with a verdict; none for those that expired.
    pub settled_ms: Vec<u64>,
    /// Those of them that say what the work came to.
    pub agreed_ms: Vec<u64>,
    pub closed_ms: Option<u64>,
    pub agreed: u64,
    pub expired: u64,
    pub undecided: u64,
    pub receipts: u64,
}

/// How often something happened after the warm-up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub calls: u64,
    /// Calls that went through the mesh: renewals and closings too.
    pub calls_told: u64,
    pub calls_heard: u64,
    pub claims: u64,
    pub claims_refused: u64,
    pub executions: u64,
    pub receipts_held: u64,
    pub leases_expired: u64,
    pub settled: u64,
    pub unreachable: u64,
    pub overflows: u64,
    pub notes_lost: u64,
}

impl Ledger {
    /// Counts from `ms` on.
    #[must_use]
    pub fn new(counted_from_ms: u64) -> Self {
        Self { inner: Mutex::new(Inner { counted_from_ms, ..Inner::default() }) }
    }

    /// Who a station is, for what is watched.
    pub fn introduce(&self, number: NodeIndex, node: NodeId, identity: Identity) {
        let mut inner = self.lock();
        if identity.honest {
            inner.honest.insert(number);
        }
        inner.watch.introduce(node, identity);
    }

    /// What `number` hears is kept for [`Self::overheard`].
    pub fn overhear(&self, number: NodeIndex) {
        self.lock().overhearing.insert(number);
    }

    /// Experiments whose Calls came to those who are overheard, since the last time, with the share that each Call samples.
    #[must_use]
    pub fn overheard(&self) -> Vec<(NodeIndex, ExperimentId, u64)> {
        std::mem::take(&mut self.lock().overheard)
    }

    /// Who published `experiment`.
    #[must_use]
    pub fn requester(&self, experiment: &ExperimentId) -> Option<NodeIndex> {
        self.lock().experiments.get(experiment).map(|story| story.requester)
    }

    /// What the station `number`, whose key is now that of `node`, lets itself do.
    pub fn allowed(&self, number: NodeIndex, node: NodeId, policy: Policy) {
        let mut inner = self.lock();
        inner.nodes.insert(number, node);
        inner.contacts.introduce(node, policy);
    }

    /// What policies say of an experiment depends on its `facts`; `content` is there because of it.
    pub fn announced(&self, experiment: ExperimentId, facts: Experiment, content: Vec<Cid>) {
        self.lock().contacts.published(experiment, facts, content);
    }

    /// A request reached a host.
    pub fn asked(&self, now_ms: u64, contact: &Contact) {
        let mut inner = self.lock();
        for (invariant, what) in inner.contacts.asked(contact) {
            inner.watch.violate(now_ms, invariant, what);
        }
    }

    /// A station stores a block.
    pub fn stored(&self, now_ms: u64, node: NodeId, cid: &Cid) {
        let mut inner = self.lock();
        if let Some((invariant, what)) = inner.contacts.stored(node, cid) {
            inner.watch.violate(now_ms, invariant, what);
        }
    }

    /// `number` publishes; `truths` are what honest stations say of its jobs.
    pub fn published(&self, number: NodeIndex, now_ms: u64, experiment: ExperimentId, truths: Vec<Option<Content>>) {
        let mut inner = self.lock();
        let story = inner.experiments.entry(experiment).or_default();
        (story.requester, story.published_ms, story.jobs) = (number, now_ms, truths.len() as u64);
        if !inner.honest.contains(&number) {
            inner.watch.excuse(experiment);
        }
        inner.watch.published(experiment, move |index| truths.get(usize::try_from(index).ok()?).cloned().flatten());
    }

    pub fn note(&self, number: NodeIndex, now_ms: u64, note: &Note) {
        let mut inner = self.lock();
        match note {
            Note::Worker(note) => inner.worker(number, now_ms, note),
            Note::Requester(note) => {
                inner.watch.note(now_ms, note);
                inner.requester(number, now_ms, note);
            }
            // The fabric counts it among the dials.
            Note::Relayed(_) => {}
        }
    }

    /// Whose id `node` is.
    #[must_use]
    pub fn number_of(&self, node: NodeId) -> Option<NodeIndex> {
        self.lock().nodes.iter().find(|(_, known)| **known == node).map(|(number, _)| *number)
    }

    pub fn lost(&self, notes: u64) {
        self.lock().counts.notes_lost += notes;
    }

    pub fn failed(&self, number: NodeIndex, error: &str) {
        self.lock().failures.push(format!("station {number}: {error}"));
    }

    #[must_use]
    pub fn counts(&self) -> Counts {
        self.lock().counts.clone()
    }

    /// What was broken that nothing may break.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.lock().watch.violations().to_vec()
    }

    /// What lies cost.
    #[must_use]
    pub fn damage(&self) -> Damage {
        self.lock().watch.damage().clone()
    }

    /// Every operator's part of the work, and what its lies came to.
    #[must_use]
    pub fn operators(&self) -> (BTreeMap<String, Part>, BTreeMap<String, Lies>) {
        let inner = self.lock();
        (inner.watch.parts(), inner.watch.lies().clone())
    }

    /// How full everything is at the station `name`.
    pub fn gauged(&self, now_ms: u64, name: &str, gauges: &[Gauge]) {
        let mut inner = self.lock();
        gauges.iter().for_each(|gauge| inner.watch.gauge(now_ms, name, gauge));
    }

    /// Of everything that has a bound, the fullest that any station had.
    #[must_use]
    pub fn fullest(&self) -> Vec<Gauge> {
        self.lock().watch.fullest().copied().collect()
    }

    /// Judges every operator's part of the work, once a run is over.
    pub fn judge_parts(&self, now_ms: u64) {
        self.lock().watch.judge_parts(now_ms);
    }

    /// Over how many stations Calls came → how often.
    #[must_use]
    pub fn hops(&self) -> BTreeMap<u32, u64> {
        self.lock().paths.hops()
    }

    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        self.lock().failures.clone()
    }

    /// All experiments of honest requesters, in the order of their publication.
    #[must_use]
    pub fn stories(&self) -> Vec<Story> {
        let inner = self.lock();
        let mut stories: Vec<Story> = inner.experiments.values().filter(|story| inner.honest.contains(&story.requester)).cloned().collect();
        stories.sort_by_key(|story| (story.published_ms, story.requester));
        stories
    }

    /// The station `number` runs from now on.
    pub fn started(&self, number: NodeIndex) {
        let mut inner = self.lock();
        if inner.honest.contains(&number) {
            inner.up.insert(number);
        }
    }

    /// The station `number` does not run any more: what it has not heard by now, it need not hear.
    pub fn stopped(&self, number: NodeIndex) {
        let mut inner = self.lock();
        if inner.up.remove(&number) {
            for heard in inner.calls.values_mut() {
                heard.due -= u64::from(heard.missing.remove(&number));
            }
        }
    }

    /// How far the Calls of honest requesters came by `now_ms`.
    #[must_use]
    pub fn delivery(&self, now_ms: u64) -> Delivery {
        let inner = self.lock();
        let mut delivery = Delivery::default();
        for heard in inner.calls.values().filter(|heard| heard.honest && heard.called_ms >= inner.counted_from_ms) {
            delivery.after_ms.extend(&heard.after_ms);
            if heard.called_ms + DELIVERED_WITHIN_MS <= now_ms {
                delivery.due += heard.due;
                delivery.reached += heard.due - heard.missing.len() as u64;
            }
        }
        delivery.after_ms.sort_unstable();
        delivery
    }

    /// Of each honest station that missed Calls which count as due by `now_ms`: when those were made.
    #[must_use]
    pub fn missed(&self, now_ms: u64) -> BTreeMap<NodeIndex, Vec<u64>> {
        let inner = self.lock();
        let due = |heard: &&Heard| heard.honest && heard.called_ms >= inner.counted_from_ms && heard.called_ms + DELIVERED_WITHIN_MS <= now_ms;
        let mut missed: BTreeMap<NodeIndex, Vec<u64>> = BTreeMap::new();
        for heard in inner.calls.values().filter(due) {
            heard.missing.iter().for_each(|station| missed.entry(*station).or_default().push(heard.called_ms));
        }
        missed.values_mut().for_each(|moments| moments.sort_unstable());
        missed
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn worker(&mut self, number: NodeIndex, now_ms: u64, note: &worker::Note) {
        use worker::Note as N;
        let counts = now_ms >= self.counted_from_ms;
        let one = u64::from(counts);
        match note {
            N::Heard { experiment, seq, requester, from } => {
                self.counts.calls_heard += one;
                if counts && let (Some(from), Some(to)) = (from, self.nodes.get(&number)) {
                    self.counts.calls_told += u64::from(self.told.insert((*experiment, *seq)));
                    self.paths.heard((*experiment, *seq), *requester, *from, *to);
                }
                // Whoever has a later Call needs no earlier one.
                for (_, earlier) in self.calls.range_mut((*experiment, 0)..(*experiment, *seq)) {
                    earlier.missing.remove(&number);
                }
                if let Some(heard) = self.calls.get_mut(&(*experiment, *seq)) {
                    // A station that forgot an experiment hears of it again: that is no second delivery.
                    if heard.missing.remove(&number) {
                        heard.after_ms.push(u32::try_from(now_ms - heard.called_ms).unwrap_or(u32::MAX));
                    }
                    if self.overhearing.contains(&number) {
                        self.overheard.push((number, *experiment, heard.claim_below));
                    }
                }
            }
            N::Claimed { .. } => self.counts.claims += one,
            N::Refused { .. } => self.counts.claims_refused += one,
            N::Started { experiment, .. } => {
                let node = self.nodes.get(&number);
                if let Some((invariant, what)) = node.and_then(|node| self.contacts.started(*node, experiment)) {
                    self.watch.violate(now_ms, invariant, what);
                }
            }
            N::Finished { .. } => self.counts.executions += one,
            N::Unreachable { .. } => self.counts.unreachable += one,
            N::Contradicted { requester, .. } => self.watch.contradicted(now_ms, requester),
            N::Overflow { .. } => self.counts.overflows += one,
            _ => {}
        }
    }

    fn requester(&mut self, number: NodeIndex, now_ms: u64, note: &requester::Note) {
        use requester::Note as N;
        let one = u64::from(now_ms >= self.counted_from_ms);
        match note {
            N::Called { experiment, seq, claim_below } => {
                self.counts.calls += one;
                let honest = self.honest.contains(&number);
                let missing: BTreeSet<NodeIndex> = self.up.iter().copied().filter(|up| *up != number).collect();
                let due = missing.len() as u64;
                let heard = Heard { called_ms: now_ms, claim_below: *claim_below, honest, after_ms: Vec::new(), due, missing };
                self.calls.entry((*experiment, *seq)).or_insert(heard);
            }
            N::Claimed { experiment, .. } => _ = self.story(experiment).first_claim_ms.get_or_insert(now_ms),
            N::Leased { experiment, .. } => _ = self.story(experiment).first_lease_ms.get_or_insert(now_ms),
            N::Expired { .. } => self.counts.leases_expired += one,
            N::Held { experiment, .. } => {
                self.counts.receipts_held += one;
                let story = self.story(experiment);
                story.receipts += 1;
                story.first_receipt_ms.get_or_insert(now_ms);
            }
            N::Settled { experiment, verdict, .. } => {
                self.counts.settled += one;
                let story = self.story(experiment);
                if !matches!(verdict.decision, Decision::Expired { .. }) {
                    story.settled_ms.push(now_ms);
                }
                if matches!(verdict.decision, Decision::Agreed { .. } | Decision::Measured { .. }) {
                    story.agreed_ms.push(now_ms);
                }
                match &verdict.decision {
                    Decision::Agreed { .. } | Decision::Failed { .. } | Decision::Measured { .. } => story.agreed += 1,
                    Decision::Undecided { .. } => story.undecided += 1,
                    Decision::Expired { .. } => story.expired += 1,
                }
            }
            N::Closed { experiment, .. } => self.story(experiment).closed_ms = Some(now_ms),
            _ => {}
        }
    }

    fn story(&mut self, experiment: &ExperimentId) -> &mut Story {
        self.experiments.entry(*experiment).or_default()
    }
}

#[cfg(test)]
mod tests;
