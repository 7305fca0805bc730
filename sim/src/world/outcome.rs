//! [`Outcome`]: what a run gives: its hash, and its figures.
//!
//! Guarantees: everything but [`Speed`] is the same for the same plan and seed. Deliberately lacks charts: `report` draws them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use station_node::station::Status;
use station_protocol::gauge::Gauge;

use super::Progress;
use super::internet::Tally;
use super::ledger::{Counts, Story};
use super::plan::{Due, Plan};
use super::resident::Surroundings;
use crate::actors::mesh::Deeds;
use crate::det::trace::{Checkpoint, Seen};
use crate::invariants::Violation;
use crate::metrics::{CheckResult, Damage, Distribution, Fill, Jobs, Lookups, Metrics, Relay, Traffic};
use crate::net::fabric::NodeIndex;
use crate::scenario::Fidelity;
use crate::scenario::check::{Figure, Goal, Invariant, Latency};

/// What the wires carried below the streams.
const BELOW: &str = "(handshakes, yamux)";

/// The raw end of a run.
pub(super) struct End {
    pub(super) hash: String,
    pub(super) events: u64,
    pub(super) progress: Progress,
    /// When the warm-up was over.
    pub(super) warm: Progress,
    /// Of each station that is up.
    pub(super) statuses: Vec<(NodeIndex, Status)>,
    pub(super) attackers: Vec<Attackers>,
    /// Bytes out and in of each station.
    pub(super) traffic: Vec<(u64, u64)>,
    /// When the warm-up was over.
    pub(super) warm_traffic: Vec<(u64, u64)>,
    /// Goals, by their place in the plan, that were judged at their moment.
    pub(super) judged: BTreeMap<usize, CheckResult>,
}

/// What only the world knows of a group that misbehaves.
pub(super) struct Attackers {
    pub(super) group: String,
    pub(super) kind: &'static str,
    pub(super) stations: u64,
    pub(super) keys_tried: Option<u64>,
    pub(super) mesh: Option<Deeds>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    pub scenario: String,
    pub seed: u64,
    pub trace_hash: String,
    pub trace_events: u64,
    pub metrics: Metrics,
    /// How often what happened after the warm-up.
    pub counts: Counts,
    /// Topic peers of the stations that are up at the end.
    pub connections: Quantiles,
    /// Of each station, over the whole run.
    pub sent_bytes: Quantiles,
    pub received_bytes: Quantiles,
    /// After the warm-up.
    pub steady_received_bytes: Quantiles,
    pub speed: Speed,
    /// What came to each host of the internet on each day.
    pub internet: Vec<Tally>,
    /// Honest stations that never heard some Calls, and when those were made, in virtual ms.
    pub missed: BTreeMap<String, Vec<u64>>,
    pub failures: Vec<String>,
    #[serde(skip)]
    pub checkpoints: Vec<Checkpoint>,
    /// What happened in the window that was asked for.
    #[serde(skip)]
    pub seen: Vec<Seen>,
    #[serde(skip)]
    pub stories: Vec<Story>,
}

/// What the run cost the machine that ran it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Speed {
    pub virtual_s: f64,
    pub real_s: f64,
    pub virtual_per_real: f64,
    pub resident_mb: f64,
    pub polls: u64,
    /// Of the processor, where others want it too.
    pub processor_s: f64,
    /// After the warm-up, when everybody has joined.
    pub steady_virtual_per_processor: f64,
    pub steady_virtual_per_real: f64,
}

/// Of a set of numbers; all zero when there are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Quantiles {
    pub count: usize,
    pub min: f64,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub max: f64,
    pub mean: f64,
}

impl Quantiles {
    /// By the same rule as those of results.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub fn of(values: impl IntoIterator<Item = u64>) -> Self {
        let values: Vec<f64> = values.into_iter().map(|value| value as f64).collect();
        let of = crate::statistics::Quantiles::of(&values);
        of.map_or_else(Self::default, |of| Self {
            count: values.len(),
            min: of.min,
            p50: of.p50,
            p90: of.p90,
            p99: of.p99,
            max: of.max,
            mean: of.mean,
        })
    }
}

impl Outcome {
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub(super) fn new(plan: &Plan, seed: u64, around: &Surroundings, end: &End) -> Self {
        let stories = around.ledger.stories();
        let steady_s = (end.progress.virtual_ms - end.warm.virtual_ms) as f64 / 1e3;
        let name = |number: NodeIndex| plan.stations[number as usize].name.clone();
        let (virtual_s, real_s) = (end.progress.virtual_ms as f64 / 1e3, end.progress.real_ns as f64 / 1e9);
        Self {
            scenario: plan.name.clone(),
            seed,
            trace_hash: end.hash.clone(),
            trace_events: end.events,
            metrics: metrics(plan, seed, around, end),
            counts: around.ledger.counts(),
            connections: Quantiles::of(end.statuses.iter().map(|(_, of)| of.connected.len() as u64)),
            sent_bytes: Quantiles::of(end.traffic.iter().map(|(sent, _)| *sent)),
            received_bytes: Quantiles::of(end.traffic.iter().map(|(_, received)| *received)),
            steady_received_bytes: Quantiles::of(end.traffic.iter().zip(&end.warm_traffic).map(|((_, end), (_, warm))| end - warm)),
            speed: Speed {
                virtual_s,
                real_s,
                virtual_per_real: virtual_s / real_s,
                resident_mb: end.progress.resident_bytes as f64 / 1e6,
                polls: around.watchdog.polls(),
                processor_s: end.progress.processor_ns as f64 / 1e9,
                steady_virtual_per_processor: steady_s / (end.progress.processor_ns - end.warm.processor_ns) as f64 * 1e9,
                steady_virtual_per_real: steady_s / (end.progress.real_ns - end.warm.real_ns) as f64 * 1e9,
            },
            internet: around.internet.tallies(),
            missed: around.ledger.missed(end.progress.virtual_ms).into_iter().map(|(number, moments)| (name(number), moments)).collect(),
            failures: around.ledger.failures(),
            checkpoints: around.trace.checkpoints(),
            seen: around.trace.seen(),
            stories,
        }
    }
}

/// The figures of what happened until now, and the checks.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(super) fn metrics(plan: &Plan, seed: u64, around: &Surroundings, end: &End) -> Metrics {
    let stories = around.ledger.stories();
    let counted: Vec<&Story> = stories.iter().filter(|story| story.published_ms >= plan.warmup_ms).collect();
    let sum = |of: fn(&Story) -> u64| counted.iter().map(|story| of(story)).sum::<u64>();
    let jobs = Jobs {
        published: sum(|story| story.jobs),
        agreed: sum(|story| story.agreed),
        undecided: sum(|story| story.undecided),
        expired: sum(|story| story.expired),
    };
    let delivery = around.ledger.delivery(end.progress.virtual_ms);
    let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
    let (messages, copies) =
        end.statuses.iter().fold((0, 0), |(messages, copies), (_, of)| (messages + of.gossip.messages, copies + of.gossip.copies));
    let dials = around.fabric.dials();
    let (tried, made) = dials.iter().fold((0, 0), |(tried, made), of| (tried + of.tried, made + of.direct + of.punched + of.relayed));
    let figures = [
        (Figure::Dialled, share(made, tried)),
        (Figure::Duplicates, share(copies - messages, messages)),
        (Figure::Delivered, share(delivery.reached, delivery.due)),
        (Figure::Settled, share(jobs.agreed + jobs.undecided, jobs.published)),
        (Figure::Wrong, share(around.ledger.damage().wrong_verdicts, jobs.agreed)),
        (Figure::Redundancy, share(sum(|story| story.receipts), jobs.published)),
    ];
    let mut metrics = Metrics {
        scenario: plan.name.clone(),
        seed,
        trace_hash: end.hash.clone(),
        fidelity: if plan.fidelity == Fidelity::Full { "full" } else { "fast" }.to_owned(),
        stations: plan.stations.len() as u64,
        virtual_ms: end.progress.virtual_ms,
        warmup_ms: plan.warmup_ms,
        jobs,
        latencies: latencies(&counted, &delivery.after_ms),
        figures: figures.into_iter().filter_map(|(figure, value)| Some((figure, value?))).collect(),
        mesh_degree: degrees(end.statuses.iter().map(|(_, of)| of.gossip.mesh)),
        lookups: end.statuses.iter().map(|(_, of)| of.dht).fold(Lookups::default(), |all, of| Lookups {
            done: all.done + of.lookups,
            requests: all.requests + of.requests,
            time_ms: all.time_ms + of.time_ms,
        }),
        dials,
        relays: relays(plan, end),
        traffic: traffic(around, &end.traffic),
        hops: around.ledger.hops(),
        faults: plan.spans.clone(),
        byzantine: byzantine(around, &end.attackers),
        fullest: around.ledger.fullest().into_iter().map(fill).collect(),
        ..Metrics::default()
    };
    let result = |(place, due)| end.judged.get(&place).cloned().unwrap_or_else(|| judge(due, &metrics, &counted));
    metrics.checks = plan.goals.iter().enumerate().map(result).collect();
    metrics.checks.extend(invariants(&plan.invariants, &around.ledger.violations()));
    metrics
}

fn fill(gauge: Gauge) -> Fill {
    Fill { what: gauge.what.to_owned(), most: gauge.len as u64, bound: gauge.max as u64 }
}

/// Bytes by protocol, and what the wires carried beside them.
fn traffic(around: &Surroundings, wires: &[(u64, u64)]) -> BTreeMap<String, Traffic> {
    let counts = around.fabric.counts().all();
    let add = |(a, b): (u64, u64), (c, d): (u64, u64)| (a + c, b + d);
    let (all, counted) = (wires.iter().copied().fold((0, 0), add), counts.values().copied().fold((0, 0), add));
    let rest = (BELOW.to_owned(), (all.0.saturating_sub(counted.0), all.1.saturating_sub(counted.1)));
    counts.into_iter().chain([rest]).map(|(name, (sent_bytes, received_bytes))| (name, Traffic { sent_bytes, received_bytes })).collect()
}

/// What those carry that relay for others.
fn relays(plan: &Plan, end: &End) -> Vec<Relay> {
    let relays = end.statuses.iter().filter(|(number, _)| plan.stations[*number as usize].policy.roles.relay);
    let load = |(number, of): &(NodeIndex, Status)| Relay {
        station: plan.stations[*number as usize].name.clone(),
        reservations_max: of.relay.places_max as u64,
        circuits_max: of.relay.circuits_max as u64,
        bytes: end.traffic[*number as usize].0,
    };
    relays.map(load).collect()
}

/// What each group that misbehaves achieved.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn byzantine(around: &Surroundings, attackers: &[Attackers]) -> Vec<Damage> {
    let (parts, lies) = around.ledger.operators();
    let damage = |attackers: &Attackers| {
        let part = parts.get(&attackers.group).copied().unwrap_or_default();
        let lies = lies.get(&attackers.group).copied().unwrap_or_default();
        let share = |part: f64, whole: u64| if whole > 0 { part / whole as f64 } else { 0.0 };
        Damage {
            group: attackers.group.clone(),
            kind: attackers.kind.to_owned(),
            stations: attackers.stations,
            seats: share(part.seats as f64, part.of_seats),
            fair: share(part.fair, part.of_seats),
            let_in: share(part.let_in as f64, part.of_let_in),
            clusters: share(part.clusters as f64, part.of_clusters),
            lies: lies.told,
            lies_accepted: lies.accepted,
            falsely_accused: lies.accused,
            detected_ms: lies.detected_ms(),
            keys_tried: attackers.keys_tried,
            mesh: attackers.mesh,
        }
    };
    attackers.iter().map(damage).collect()
}

/// Mesh peers → stations with so many.
fn degrees(all: impl Iterator<Item = usize>) -> BTreeMap<u32, u64> {
    let mut degrees = BTreeMap::new();
    for mesh in all {
        *degrees.entry(u32::try_from(mesh).unwrap_or(u32::MAX)).or_default() += 1;
    }
    degrees
}

/// In ms; what nobody measured is absent.
fn latencies(counted: &[&Story], heard: &[u32]) -> BTreeMap<Latency, Distribution> {
    let since = |at: fn(&Story) -> Option<u64>| -> Vec<f64> { counted.iter().filter_map(|story| Some(span(story, at(story)?))).collect() };
    let verdicts: Vec<f64> = counted.iter().flat_map(|story| story.settled_ms.iter().map(|at| span(story, *at))).collect();
    let all = [
        (Latency::Propagation, heard.iter().copied().map(f64::from).collect()),
        (Latency::Claim, since(|story| story.first_claim_ms)),
        (Latency::Lease, since(|story| story.first_lease_ms)),
        (Latency::Result, since(|story| story.first_receipt_ms)),
        (Latency::Verdict, verdicts),
    ];
    all.into_iter().filter_map(|(latency, values)| Some((latency, Distribution::of(&values)?))).collect()
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn span(story: &Story, at: u64) -> f64 {
    at.saturating_sub(story.published_ms) as f64
}

/// What the scenario asks for, and what broke although it did not ask.
fn invariants(asked: &[Invariant], violations: &[Violation]) -> Vec<CheckResult> {
    let broken = violations.iter().map(|violation| violation.invariant);
    let all: BTreeSet<Invariant> = asked.iter().copied().chain(broken).collect();
    let result = |invariant: Invariant| {
        let first = violations.iter().find(|violation| violation.invariant == invariant);
        let detail = first.map_or_else(|| "at every moment".to_owned(), |first| format!("at {} ms: {}", first.at_ms, first.what));
        CheckResult { check: invariant.name().to_owned(), passed: first.is_none(), detail, is_empty: false }
    };
    all.into_iter().map(result).collect()
}

fn judge(due: &Due, metrics: &Metrics, counted: &[&Story]) -> CheckResult {
    match &due.goal {
        Goal::Bound(bound) => metrics.judge(bound),
        Goal::EveryJobSettles => verdicts(due, counted, |story| &story.settled_ms),
        Goal::EveryJobAgrees => verdicts(due, counted, |story| &story.agreed_ms),
    }
}

/// Whether each job that was published in time had one of these verdicts in time.
fn verdicts(due: &Due, counted: &[&Story], times: fn(&Story) -> &[u64]) -> CheckResult {
    let by_ms = due.by_ms.unwrap_or(u64::MAX);
    let published: Vec<_> = counted.iter().filter(|story| story.published_ms <= by_ms).collect();
    let all = published.iter().map(|story| story.jobs).sum::<u64>();
    let done = published.iter().flat_map(|story| times(story)).filter(|at| **at <= by_ms).count() as u64;
    let last = published.iter().flat_map(|story| times(story).iter().copied()).max().unwrap_or(0);
    let by = due.by_ms.map_or_else(String::new, |by| format!(" by {:.0} s", by as f64 / 1e3));
    let detail = format!("{done} of {all}{by}, the last at {:.0} s", last as f64 / 1e3);
    CheckResult { check: due.goal.to_string(), passed: all > 0 && done == all, detail, is_empty: all == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_without_agreement_settles_and_does_not_agree() {
        let undecided = Story { jobs: 2, settled_ms: vec![5, 9], agreed_ms: vec![5], ..Story::default() };
        let agreed = Story { jobs: 1, settled_ms: vec![7], agreed_ms: vec![7], ..Story::default() };
        let of = |goal, story: &Story| verdicts(&Due { goal, by_ms: None }, &[story], |story| &story.agreed_ms).passed;
        assert!(!of(Goal::EveryJobAgrees, &undecided) && of(Goal::EveryJobAgrees, &agreed));
        assert!(verdicts(&Due { goal: Goal::EveryJobSettles, by_ms: None }, &[&undecided], |story| &story.settled_ms).passed);
    }
}
