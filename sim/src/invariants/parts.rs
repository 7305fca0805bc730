//! [`Part`]: what part of the work an operator got, and what part would be fair.
//!
//! Two steps lead to a seat, and each is judged by clusters. Into experiments clusters get by the sample of a Call: fair is the operator's
//! share of all clusters that work. Of an experiment's seats each cluster that got in has as many as every other. There is luck in both:
//! few clusters are asked for an experiment, and some of them get many of its seats, one a job where only as many came as a job needs.
//!
//! Guarantees: an operator with many stations and few clusters is judged by the clusters. Deliberately lacks speed: where the first to
//! come are served first, whoever is near a requester has more than a fair part without breaking a rule.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use station_protocol::NodeId;
use station_protocol::cluster::Cluster;
use station_protocol::experiment::ExperimentId;

use super::Identity;

/// By so many standard deviations a part may be above fair: luck goes as far once in some thousand runs, for it comes in lumps.
const DEVIATIONS: f64 = 4.0;

/// One operator's part of the work.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Part {
    /// Receipts held, of all.
    pub seats: u64,
    pub of_seats: u64,
    /// Clusters that got into an experiment, of all, summed over experiments.
    pub let_in: u64,
    pub of_let_in: u64,
    /// Clusters that its stations are in, of all that work.
    pub clusters: u64,
    pub of_clusters: u64,
    /// Seats that would be fair for those that got in.
    pub fair: f64,
    /// The square of the standard deviation of seats, were they dealt to those by lot.
    pub variance: f64,
}

/// More than is fair, as a sentence's end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Excess {
    LetIn(Part),
    Seats(Part),
}

#[derive(Debug, Default)]
pub(super) struct Parts {
    experiments: BTreeMap<ExperimentId, Round>,
}

/// One experiment: receipts held by each operator and cluster that got in.
type Round = BTreeMap<(String, Cluster), u64>;

impl Part {
    /// By how much it is more than fair, if it is.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "seats of one run")]
    pub fn excess(self) -> Option<Excess> {
        let is_above = |count: u64, fair: f64, variance: f64| count as f64 > fair + DEVIATIONS * variance.sqrt();
        let (fair_in, share) = (self.fair_let_in(), self.clusters as f64 / self.of_clusters.max(1) as f64);
        if is_above(self.let_in, fair_in, fair_in * (1.0 - share)) {
            return Some(Excess::LetIn(self));
        }
        is_above(self.seats, self.fair, self.variance).then_some(Excess::Seats(self))
    }

    /// Times that its clusters would get into an experiment, were all asked alike.
    #[expect(clippy::cast_precision_loss, reason = "clusters of one run")]
    fn fair_let_in(self) -> f64 {
        self.of_let_in as f64 * self.clusters as f64 / self.of_clusters.max(1) as f64
    }
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LetIn(part) => {
                let Part { let_in, of_let_in, .. } = part;
                write!(f, "{let_in} of {of_let_in} places in experiments, where {:.1} would be its clusters' share", part.fair_let_in())
            }
            Self::Seats(Part { seats, of_seats, fair, .. }) => {
                write!(f, "{seats} of {of_seats} seats, where {fair:.1} would be the share of its clusters among those that got in")
            }
        }
    }
}

impl Parts {
    /// A station of `who` got in.
    pub(super) fn let_in(&mut self, experiment: ExperimentId, who: &Identity) {
        self.seats(experiment, who);
    }

    /// A receipt of a station of `who` is held. It got in, even if that note was lost.
    pub(super) fn held(&mut self, experiment: ExperimentId, who: &Identity) {
        *self.seats(experiment, who) += 1;
    }

    fn seats(&mut self, experiment: ExperimentId, who: &Identity) -> &mut u64 {
        self.experiments.entry(experiment).or_default().entry((who.operator.clone(), who.cluster)).or_default()
    }

    pub(super) fn all(&self, who: &BTreeMap<NodeId, Identity>) -> BTreeMap<String, Part> {
        let mut clusters: BTreeMap<&str, BTreeSet<Cluster>> = BTreeMap::new();
        for identity in who.values().filter(|identity| identity.works) {
            clusters.entry(&identity.operator).or_default().insert(identity.cluster);
        }
        let honest: BTreeSet<&str> = who.values().filter(|identity| identity.honest).map(|identity| identity.operator.as_str()).collect();
        let of_clusters = clusters.values().flatten().collect::<BTreeSet<_>>().len() as u64;
        let part = |(operator, clusters): (&str, BTreeSet<Cluster>)| {
            let mut part = Part { clusters: clusters.len() as u64, of_clusters, ..Part::default() };
            self.experiments.values().for_each(|round| part.add(round, operator, &honest));
            (operator.to_owned(), part)
        };
        clusters.into_iter().map(part).collect()
    }
}

impl Part {
    /// Of one experiment what `operator` got. Chance is as large as if seats were dealt by lot in lumps as large as honest clusters have.
    #[expect(clippy::cast_precision_loss, reason = "seats of one run")]
    fn add(&mut self, round: &Round, operator: &str, honest: &BTreeSet<&str>) {
        let of = |who: &str| round.iter().filter(move |((of, _), _)| of == who).map(|(_, seats)| *seats).collect::<Vec<u64>>();
        let (own, all) = (of(operator), round.values().sum::<u64>());
        let lumps: Vec<f64> = honest.iter().flat_map(|who| of(who)).map(|seats| seats as f64).collect();
        let lump = lumps.iter().map(|seats| seats * seats).sum::<f64>() / lumps.iter().sum::<f64>().max(1.0);
        let share = own.len() as f64 / round.len().max(1) as f64;
        self.seats += own.iter().sum::<u64>();
        self.of_seats += all;
        self.let_in += own.len() as u64;
        self.of_let_in += round.len() as u64;
        self.fair += all as f64 * share;
        self.variance += all as f64 * lump.max(1.0) * share * (1.0 - share);
    }
}
