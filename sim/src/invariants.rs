//! [`Watch`]: what must never happen in a run, checked against every note of every station while it goes on.
//!
//! | invariant | broken when |
//! |---|---|
//! | no job settled twice | a requester that keeps the rules says a second verdict on a job |
//! | no accepted wrong result | a verdict says what no honest engine does, and most of the job's executions were honest |
//! | no credit after expiry | a receipt is held whose lease the requester had ended |
//! | seats by cluster | a certificate names two receipts of one node or one cluster; or an attacker has more of the work than of the clusters ([`parts`]) |
//! | bounded queues | a station keeps more of something than the bound of it says |
//!
//! Guarantees: memory grows with jobs and receipts, not with time; what a lie cost although no invariant broke is counted as damage.
//! Deliberately lacks knowledge of the machines' insides: it sees what a log file would show.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use station_protocol::cluster::Cluster;
use station_protocol::experiment::ExperimentId;
use station_protocol::gauge::Gauge;
use station_protocol::receipt::LeaseNumber;
use station_protocol::requester::Note;
use station_protocol::verdict::JobVerdict;
use station_protocol::work::ReceiptRefused;
use station_protocol::{Content, NodeId};

use crate::scenario::check::Invariant;
use parts::Parts;

pub mod contacts;
pub mod lies;
pub mod parts;
#[cfg(test)]
mod tests;

use lies::Lies;
pub use parts::Part;

/// Violations kept word for word; further ones are counted.
const KEPT_MAX: usize = 100;

/// Who a station is, as only the world knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its group, or whoever runs it.
    pub operator: String,
    pub cluster: Cluster,
    pub honest: bool,
    /// Whether it takes leases at all.
    pub works: bool,
}

/// What went wrong, in a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    pub at_ms: u64,
    pub invariant: Invariant,
    pub what: String,
}

/// What lies cost, whether an invariant broke or not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// Verdicts that say what no honest engine does.
    pub wrong_verdicts: u64,
    /// Of those, with most of the executions honest.
    pub wrong_despite_honest_majority: u64,
    /// Held receipts of stations that are not honest.
    pub dishonest_receipts: u64,
    pub leases_expired: u64,
    pub receipts_refused: u64,
}

type Truth = Box<dyn Fn(u64) -> Option<Content> + Send>;

/// A receipt that is held.
#[derive(Clone, Copy, Debug)]
struct Seat {
    node: NodeId,
    at_ms: u64,
}

/// All invariants of one run.
#[derive(Default)]
pub struct Watch {
    who: BTreeMap<NodeId, Identity>,
    excused: BTreeSet<ExperimentId>,
    truths: BTreeMap<ExperimentId, Truth>,
    settled: BTreeSet<(ExperimentId, u64)>,
    ended: BTreeSet<(ExperimentId, LeaseNumber)>,
    held: BTreeMap<(ExperimentId, LeaseNumber), Seat>,
    parts: Parts,
    lies: BTreeMap<String, Lies>,
    /// Honest and other executions of each job.
    executions: BTreeMap<(ExperimentId, u64), (u32, u32)>,
    fullest: BTreeMap<&'static str, Gauge>,
    violations: Vec<Violation>,
    dropped: u64,
    damage: Damage,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("violations", &self.violations).field("damage", &self.damage).finish_non_exhaustive()
    }
}

impl Watch {
    /// Makes a station known; one that is not is taken for honest and for a cluster of its own.
    pub fn introduce(&mut self, node: NodeId, identity: Identity) {
        self.who.insert(node, identity);
    }

    /// What an honest engine says of each job of `experiment`.
    pub fn published(&mut self, experiment: ExperimentId, truth: impl Fn(u64) -> Option<Content> + Send + 'static) {
        self.truths.insert(experiment, Box::new(truth));
    }

    /// A station saw a requester contradict itself.
    pub fn contradicted(&mut self, at_ms: u64, requester: &NodeId) {
        self.lie(requester, at_ms, Some(at_ms));
    }

    /// How full something is at `station`.
    pub fn gauge(&mut self, at_ms: u64, station: &str, gauge: &Gauge) {
        let fullest = self.fullest.entry(gauge.what).or_insert(*gauge);
        if gauge.len > fullest.len {
            *fullest = *gauge;
        }
        if gauge.is_exceeded() {
            self.violate(
                at_ms,
                Invariant::BoundedQueues,
                format!("{station} keeps {} {} and no more than {} are allowed", gauge.len, gauge.what, gauge.max),
            );
        }
    }

    /// Of everything that has a bound, the fullest that any station had.
    pub fn fullest(&self) -> impl Iterator<Item = &Gauge> {
        self.fullest.values()
    }

    /// The requester of `experiment` breaks the rules: that it settles a job twice is its misconduct and no fault of the network.
    pub fn excuse(&mut self, experiment: ExperimentId) {
        self.excused.insert(experiment);
    }

    /// Something a requester noted.
    pub fn note(&mut self, at_ms: u64, note: &Note) {
        match note {
            Note::Expired { experiment, lease, .. } => {
                self.ended.insert((*experiment, *lease));
                self.damage.leases_expired += 1;
            }
            Note::Claimed { experiment, node } => {
                if let Some(identity) = self.who.get(node) {
                    self.parts.let_in(*experiment, identity);
                }
            }
            Note::Held { experiment, node, lease, index } => self.held(at_ms, *experiment, *node, *lease, *index),
            Note::ReceiptRefused { experiment, node, lease, reason } => {
                self.damage.receipts_refused += 1;
                if *reason == ReceiptRefused::Contradiction {
                    let first_ms = self.held.get(&(*experiment, *lease)).map_or(at_ms, |seat| seat.at_ms);
                    self.lie(node, first_ms, Some(at_ms));
                }
            }
            Note::Settled { experiment, verdict, .. } => self.settled(at_ms, *experiment, verdict),
            _ => {}
        }
    }

    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// All violations, those that were not kept too.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.violations.len() as u64 + self.dropped
    }

    #[must_use]
    pub fn damage(&self) -> &Damage {
        &self.damage
    }

    /// Every operator's part of the work.
    #[must_use]
    pub fn parts(&self) -> BTreeMap<String, Part> {
        self.parts.all(&self.who)
    }

    /// What each operator's lies came to, of those that lied.
    #[must_use]
    pub fn lies(&self) -> &BTreeMap<String, Lies> {
        &self.lies
    }

    /// Judges the parts of those who break the rules once a run is over. Among those who keep them the quicker have more, by right.
    pub fn judge_parts(&mut self, at_ms: u64) {
        let attacks = |operator: &String| self.who.values().any(|identity| !identity.honest && identity.operator == *operator);
        let parts: Vec<_> = self.parts().into_iter().filter(|(operator, _)| attacks(operator)).collect();
        for (operator, part) in parts {
            if let Some(excess) = part.excess() {
                self.violate(at_ms, Invariant::SeatsByCluster, format!("{operator} has {excess}"));
            }
        }
    }

    /// Somebody else saw an invariant broken.
    pub fn violate(&mut self, at_ms: u64, invariant: Invariant, what: String) {
        if self.violations.len() < KEPT_MAX {
            self.violations.push(Violation { at_ms, invariant, what });
        } else {
            self.dropped += 1;
        }
    }

    fn held(&mut self, at_ms: u64, experiment: ExperimentId, node: NodeId, lease: LeaseNumber, index: u64) {
        if self.ended.contains(&(experiment, lease)) {
            self.violate(at_ms, Invariant::NoCreditAfterExpiry, format!("lease {lease} of job {index} is held although it had ended"));
        }
        let honest = self.who.get(&node).is_none_or(|identity| identity.honest);
        let (good, bad) = self.executions.entry((experiment, index)).or_default();
        if honest {
            *good += 1;
        } else {
            *bad += 1;
            self.damage.dishonest_receipts += 1;
        }
        self.held.insert((experiment, lease), Seat { node, at_ms });
        if let Some(identity) = self.who.get(&node) {
            self.parts.held(experiment, identity);
        }
    }

    fn settled(&mut self, at_ms: u64, experiment: ExperimentId, verdict: &JobVerdict) {
        let index = verdict.index;
        if !self.settled.insert((experiment, index)) && !self.excused.contains(&experiment) {
            self.violate(at_ms, Invariant::NoJobSettledTwice, format!("job {index} is settled twice"));
        }
        let Some((canonical, certificate, against)) = verdict.decision.agreement() else { return };
        self.seats(at_ms, experiment, index, certificate);
        let Some(truth) = self.truths.get(&experiment).and_then(|truth| truth(index)) else { return };
        let seats =
            |leases: &[LeaseNumber]| -> Vec<Seat> { leases.iter().filter_map(|lease| self.held.get(&(experiment, *lease)).copied()).collect() };
        let (certificate, against) = (seats(certificate), seats(against));
        if canonical.output.as_ref() == Some(&truth) {
            // Whoever says otherwise lied, and its receipt stands in the Log beside the certificate.
            against.into_iter().for_each(|seat| self.lie(&seat.node, seat.at_ms, Some(at_ms)));
        } else {
            self.wrong(at_ms, experiment, index);
            self.believed(&certificate, &against);
        }
    }

    /// `node` said what is not so; `found_ms` is when that was proved.
    fn lie(&mut self, node: &NodeId, at_ms: u64, found_ms: Option<u64>) {
        // An honest station differs from others where a limit ended it, and lies nowhere.
        if let Some(identity) = self.who.get(node).filter(|identity| !identity.honest) {
            self.lies.entry(identity.operator.clone()).or_default().told(at_ms, found_ms);
        }
    }

    /// The certificate of a wrong verdict: its lies were believed, and the honest who said otherwise stand there as liars.
    fn believed(&mut self, certificate: &[Seat], against: &[Seat]) {
        let is_honest = |seat: &&Seat| self.who.get(&seat.node).is_none_or(|identity| identity.honest);
        let accused = against.iter().filter(is_honest).count() as u64;
        let mut operators = BTreeSet::new();
        for seat in certificate {
            self.lie(&seat.node, seat.at_ms, None);
            let Some(identity) = self.who.get(&seat.node).filter(|identity| !identity.honest) else { continue };
            self.lies.entry(identity.operator.clone()).or_default().accepted += 1;
            operators.insert(identity.operator.clone());
        }
        for operator in operators {
            self.lies.entry(operator).or_default().accused += accused;
        }
    }

    /// No two receipts of a certificate are of one node or cluster.
    fn seats(&mut self, at_ms: u64, experiment: ExperimentId, index: u64, certificate: &[LeaseNumber]) {
        let (mut nodes, mut clusters) = (BTreeSet::new(), BTreeSet::new());
        for lease in certificate {
            let Some(Seat { node, .. }) = self.held.get(&(experiment, *lease)).copied() else { continue };
            let cluster = self.who.get(&node).map_or(Cluster::Own(node), |identity| identity.cluster);
            if !nodes.insert(node) || !clusters.insert(cluster) {
                self.violate(at_ms, Invariant::SeatsByCluster, format!("job {index} has two receipts of {cluster:?} in its certificate"));
                return;
            }
        }
    }

    /// A verdict says what no honest engine does.
    fn wrong(&mut self, at_ms: u64, experiment: ExperimentId, index: u64) {
        self.damage.wrong_verdicts += 1;
        let (good, bad) = self.executions.get(&(experiment, index)).copied().unwrap_or_default();
        if good > bad {
            self.damage.wrong_despite_honest_majority += 1;
            let what = format!("job {index} has a wrong verdict although {good} of its {} executions were honest", good + bad);
            self.violate(at_ms, Invariant::NoAcceptedWrongResult, what);
        }
    }
}
