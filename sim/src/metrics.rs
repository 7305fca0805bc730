//! [`Metrics`]: the figures of one run, as they are written to `metrics.json` and drawn by `report`.
//!
//! Guarantees: plain values; the same run has the same metrics; what no one measured is absent, never zero. Deliberately lacks what the
//! run cost the machine that ran it: that differs from run to run and stands in the manifest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::actors::mesh::Deeds;
use crate::scenario::check::{Bound, Figure, Latency, Measure, Statistic, Unit};
use crate::statistics::{Cdf, Quantiles};

#[cfg(test)]
mod tests;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    pub scenario: String,
    /// The sentence the file begins with.
    #[serde(default)]
    pub shows: String,
    pub seed: u64,
    pub trace_hash: String,
    pub fidelity: String,
    pub stations: u64,
    pub virtual_ms: u64,
    pub warmup_ms: u64,
    pub jobs: Jobs,
    /// Milliseconds.
    pub latencies: BTreeMap<Latency, Distribution>,
    /// Shares from 0 to 1; duplicates and redundancy as they are.
    pub figures: BTreeMap<Figure, f64>,
    /// Bytes above the multiplexer, by protocol.
    pub traffic: BTreeMap<String, Traffic>,
    /// Mesh peers → stations with so many, at the end.
    pub mesh_degree: BTreeMap<u32, u64>,
    /// Of all stations that are up at the end.
    #[serde(default)]
    pub lookups: Lookups,
    /// Stations that a Call came over → how often it came to a station so.
    #[serde(default)]
    pub hops: BTreeMap<u32, u64>,
    /// By the boxes of the dialling and the dialled station.
    pub dials: Vec<Dials>,
    pub relays: Vec<Relay>,
    /// One value per virtual second.
    pub series: Vec<Series>,
    pub faults: Vec<FaultSpan>,
    pub checks: Vec<CheckResult>,
    pub byzantine: Vec<Damage>,
    /// Of everything that has a bound, the fullest that any honest station had, where that was watched.
    #[serde(default)]
    pub fullest: Vec<Fill>,
}

/// How full something was at most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fill {
    pub what: String,
    pub most: u64,
    pub bound: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jobs {
    pub published: u64,
    pub agreed: u64,
    pub undecided: u64,
    pub expired: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distribution {
    pub quantiles: Quantiles,
    pub cdf: Cdf,
}

impl Distribution {
    /// Of `values` in any order; none when there are none.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        Some(Self { quantiles: Quantiles::of(values)?, cdf: Cdf::of(values) })
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Traffic {
    pub sent_bytes: u64,
    pub received_bytes: u64,
}

/// Lookups in the DHT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lookups {
    pub done: u64,
    /// Requests that they sent, all together.
    pub requests: u64,
    /// How long they took, all together.
    pub time_ms: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dials {
    /// Names of NAT kinds, as in scenarios.
    pub from: String,
    pub to: String,
    pub tried: u64,
    pub direct: u64,
    /// Direct after a hole was punched.
    pub punched: u64,
    pub relayed: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relay {
    pub station: String,
    pub reservations_max: u64,
    pub circuits_max: u64,
    /// Everything it sent, its own words too.
    pub bytes: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    pub name: String,
    pub unit: String,
    pub values: Vec<f64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultSpan {
    pub from_ms: u64,
    /// None: until the end.
    pub until_ms: Option<u64>,
    pub what: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckResult {
    pub check: String,
    pub passed: bool,
    /// What was measured, or where it broke.
    pub detail: String,
    /// It did not pass because there was nothing to judge: no job, say.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_empty: bool,
}

/// What the liars of one group achieved.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Damage {
    pub group: String,
    pub kind: String,
    pub stations: u64,
    /// Executions they were given, of all, and the clusters they are, of all: shares from 0 to 1.
    pub seats: f64,
    pub clusters: f64,
    pub lies: u64,
    pub lies_accepted: u64,
    /// Honest stations that were reported as liars.
    pub falsely_accused: u64,
    /// From the first lie to the first proof or ban.
    pub detected_ms: Option<u64>,
    /// Executions they would have been given by their clusters' share of those that got into experiments, of all.
    #[serde(default)]
    pub fair: f64,
    /// Times that their clusters got into an experiment, of all.
    #[serde(default)]
    pub let_in: f64,
    /// Keys that were searched through, where keys were ground.
    #[serde(default)]
    pub keys_tried: Option<u64>,
    /// What attackers of the mesh did, all of the group together.
    #[serde(default)]
    pub mesh: Option<Deeds>,
}

impl Metrics {
    /// A measure's value as people read it: milliseconds, shares from 0 to 1, plain ratios. None when nobody measured it.
    #[must_use]
    pub fn value(&self, measure: Measure) -> Option<f64> {
        match measure {
            Measure::Of(statistic, latency) => {
                let quantiles = &self.latencies.get(&latency)?.quantiles;
                Some(match statistic {
                    Statistic::Mean => quantiles.mean,
                    Statistic::P50 => quantiles.p50,
                    Statistic::P90 => quantiles.p90,
                    Statistic::P99 => quantiles.p99,
                    Statistic::Max => quantiles.max,
                })
            }
            Measure::Figure(figure) => self.figures.get(&figure).copied(),
        }
    }

    /// Whether `bound` holds; what nobody measured breaks it.
    #[must_use]
    pub fn judge(&self, bound: &Bound) -> CheckResult {
        let check = bound.to_string();
        let Some(value) = self.value(bound.measure) else {
            return CheckResult { check, passed: false, detail: "nothing was measured".into(), is_empty: true };
        };
        let factor = match bound.measure.unit() {
            Unit::Milliseconds => 1.0,
            Unit::Millionths => 1e6,
            Unit::Thousandths => 1e3,
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "measures are not negative; the cast saturates")]
        let in_unit = (value * factor).round() as u64;
        // Halves are told as they are judged.
        let detail = match bound.measure.unit() {
            Unit::Milliseconds => format!("{in_unit} ms"),
            Unit::Millionths => format!("{:.2} %", value * 100.0),
            Unit::Thousandths => format!("{value:.2}"),
        };
        CheckResult { check, passed: value.is_finite() && bound.holds(in_unit), detail, is_empty: false }
    }

    /// Checks that failed.
    #[must_use]
    pub fn failed(&self) -> Vec<&CheckResult> {
        self.checks.iter().filter(|check| !check.passed).collect()
    }
}
