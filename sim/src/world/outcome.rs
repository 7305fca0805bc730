//! [`Outcome`]: what a run gives: its hash, and its figures.
//!
//! Guarantees: everything but [`Speed`] is the same for the same plan and seed. Deliberately lacks charts: `report` draws them.

use serde::Serialize;

use super::Progress;
use super::ledger::{Counts, Story};
use super::plan::Plan;
use super::resident::Surroundings;
use crate::det::trace::Checkpoint;

/// The raw end of a run.
pub(super) struct End {
    pub(super) hash: String,
    pub(super) events: u64,
    pub(super) progress: Progress,
    /// Topic peers of each station that is up.
    pub(super) connected: Vec<usize>,
    /// Bytes out and in of each station.
    pub(super) traffic: Vec<(u64, u64)>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    pub scenario: String,
    pub seed: u64,
    pub trace_hash: String,
    pub trace_events: u64,
    pub metrics: Metrics,
    pub speed: Speed,
    pub failures: Vec<String>,
    #[serde(skip)]
    pub checkpoints: Vec<Checkpoint>,
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
}

#[derive(Clone, Debug, Serialize)]
pub struct Metrics {
    pub stations: usize,
    pub stations_up: usize,
    /// From a Call to a station that hears it.
    pub propagation_ms: Quantiles,
    /// Calls heard, of those that could be.
    pub reached: f64,
    /// From publication to each job's verdict.
    pub settle_ms: Quantiles,
    pub first_claim_ms: Quantiles,
    pub first_receipt_ms: Quantiles,
    pub jobs: u64,
    pub jobs_agreed: u64,
    pub jobs_expired: u64,
    pub jobs_undecided: u64,
    pub experiments: usize,
    pub experiments_closed: usize,
    pub connections: Quantiles,
    pub sent_bytes: Quantiles,
    pub received_bytes: Quantiles,
    pub counts: Counts,
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
    /// Nearest rank.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub fn of(values: impl IntoIterator<Item = u64>) -> Self {
        let mut values: Vec<u64> = values.into_iter().collect();
        values.sort_unstable();
        let at = |permille: usize| values.get((values.len() * permille).div_ceil(1_000).saturating_sub(1)).copied().unwrap_or(0) as f64;
        let mean = if values.is_empty() { 0.0 } else { values.iter().sum::<u64>() as f64 / values.len() as f64 };
        Self { count: values.len(), min: at(0), p50: at(500), p90: at(900), p99: at(990), max: at(1_000), mean }
    }
}

impl Outcome {
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub(super) fn new(plan: &Plan, seed: u64, around: &Surroundings, end: End) -> Self {
        let stories = around.ledger.stories();
        let (virtual_s, real_s) = (end.progress.virtual_ms as f64 / 1e3, end.progress.real_ns as f64 / 1e9);
        Self {
            scenario: plan.name.clone(),
            seed,
            trace_hash: end.hash.clone(),
            trace_events: end.events,
            metrics: metrics(plan, around, &stories, &end),
            speed: Speed {
                virtual_s,
                real_s,
                virtual_per_real: virtual_s / real_s,
                resident_mb: end.progress.resident_bytes as f64 / 1e6,
                polls: around.watchdog.polls(),
            },
            failures: around.ledger.failures(),
            checkpoints: around.trace.checkpoints(),
            stories,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn metrics(plan: &Plan, around: &Surroundings, stories: &[Story], end: &End) -> Metrics {
    let counted: Vec<&Story> = stories.iter().filter(|story| story.published_ms >= plan.warmup_ms).collect();
    let since = |story: &Story, at: Option<u64>| at.map(|at| at.saturating_sub(story.published_ms));
    let settled = counted.iter().flat_map(|story| story.settled_ms.iter().map(|at| at.saturating_sub(story.published_ms)));
    let (heard, calls) = around.ledger.propagation();
    let possible = calls * end.connected.len();
    Metrics {
        stations: plan.stations.len(),
        stations_up: end.connected.len(),
        reached: if possible == 0 { 0.0 } else { heard.len() as f64 / possible as f64 },
        propagation_ms: Quantiles::of(heard.into_iter().map(u64::from)),
        settle_ms: Quantiles::of(settled),
        first_claim_ms: Quantiles::of(counted.iter().filter_map(|story| since(story, story.first_claim_ms))),
        first_receipt_ms: Quantiles::of(counted.iter().filter_map(|story| since(story, story.first_receipt_ms))),
        jobs: counted.iter().map(|story| story.jobs).sum(),
        jobs_agreed: counted.iter().map(|story| story.agreed).sum(),
        jobs_expired: counted.iter().map(|story| story.expired).sum(),
        jobs_undecided: counted.iter().map(|story| story.undecided).sum(),
        experiments: counted.len(),
        experiments_closed: counted.iter().filter(|story| story.closed_ms.is_some()).count(),
        connections: Quantiles::of(end.connected.iter().map(|count| *count as u64)),
        sent_bytes: Quantiles::of(end.traffic.iter().map(|(sent, _)| *sent)),
        received_bytes: Quantiles::of(end.traffic.iter().map(|(_, received)| *received)),
        counts: around.ledger.counts(),
    }
}
