//! [`Part`]: what part of the work an operator got, and what part would be fair.
//!
//! Fair is what it would get if each cluster that asked for an experiment got as many of its seats as every other: for each experiment
//! its seats times the operator's share of those clusters, summed. Who was asked is the sample's doing, which is load control and can be
//! ground; who gets a seat is the requester's, and that is judged.
//!
//! Guarantees: an operator with many stations and few clusters is judged by the clusters. Deliberately lacks stations that are faster
//! than others: where speeds differ, so do fair parts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use station_protocol::NodeId;
use station_protocol::cluster::Cluster;
use station_protocol::experiment::ExperimentId;

use super::Identity;

/// Seats come in whole numbers and go to whoever asks first: by so many standard deviations of a fair draw a part may be above fair.
const DEVIATIONS: f64 = 4.0;

/// One operator's part of the work.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Part {
    /// Receipts held, of all.
    pub seats: u64,
    pub of_seats: u64,
    /// Clusters that its stations are in, of all that work.
    pub clusters: u64,
    pub of_clusters: u64,
    /// Seats that would be fair.
    pub fair: f64,
    /// The square of the standard deviation of a fair draw.
    pub variance: f64,
}

/// Seats above what is fair, as a sentence's end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Excess(Part);

#[derive(Debug, Default)]
pub(super) struct Parts {
    experiments: BTreeMap<ExperimentId, Round>,
}

/// One experiment.
#[derive(Debug, Default)]
struct Round {
    asked: BTreeMap<String, BTreeSet<Cluster>>,
    seats: BTreeMap<String, u64>,
}

impl Part {
    /// By how much it is more than fair, if it is.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "seats of one run")]
    pub fn excess(self) -> Option<Excess> {
        (self.seats as f64 > self.fair + DEVIATIONS * self.variance.sqrt()).then_some(Excess(self))
    }
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Part { seats, of_seats, fair, .. } = self.0;
        write!(f, "{seats} of {of_seats} seats, where {fair:.1} would be its clusters' share")
    }
}

impl Parts {
    /// A station of `who` asked for work, and could have got some.
    pub(super) fn asked(&mut self, experiment: ExperimentId, who: &Identity) {
        let round = self.experiments.entry(experiment).or_default();
        round.asked.entry(who.operator.clone()).or_default().insert(who.cluster);
    }

    /// A receipt of a station of `who` is held.
    pub(super) fn held(&mut self, experiment: ExperimentId, who: &Identity) {
        // It asked, even if that note was lost.
        self.asked(experiment, who);
        *self.experiments.entry(experiment).or_default().seats.entry(who.operator.clone()).or_default() += 1;
    }

    #[expect(clippy::cast_precision_loss, reason = "seats of one run")]
    pub(super) fn all(&self, who: &BTreeMap<NodeId, Identity>) -> BTreeMap<String, Part> {
        let mut clusters: BTreeMap<&str, BTreeSet<Cluster>> = BTreeMap::new();
        for identity in who.values().filter(|identity| identity.works) {
            clusters.entry(&identity.operator).or_default().insert(identity.cluster);
        }
        let of_clusters = clusters.values().flatten().collect::<BTreeSet<_>>().len() as u64;
        let of_seats = self.experiments.values().flat_map(|round| round.seats.values()).sum();
        let part = |(operator, clusters): (&str, BTreeSet<Cluster>)| {
            let mut part = Part { of_seats, clusters: clusters.len() as u64, of_clusters, ..Part::default() };
            for round in self.experiments.values() {
                let (asked, all) = (round.asked.get(operator).map_or(0, BTreeSet::len), round.asked.values().map(BTreeSet::len).sum::<usize>());
                let (share, seats) = (asked as f64 / all.max(1) as f64, round.seats.values().sum::<u64>() as f64);
                part.seats += round.seats.get(operator).copied().unwrap_or(0);
                part.fair += seats * share;
                part.variance += seats * share * (1.0 - share);
            }
            (operator.to_owned(), part)
        };
        clusters.into_iter().map(part).collect()
    }
}
