//! Results a person reads: [`Results`] of one experiment, made from the Log's settled jobs; rendered as table, CSV, NDJSON, JSON or
//! one self-contained HTML page.
//!
//! Guarantees: says nothing that the receipts do not say; a dissenting station is named with what it said. Deliberately lacks
//! judgement: verdicts come from the rules.

pub mod csv;
pub mod html;
mod json;
pub mod stats;
pub mod table;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use station_protocol::experiment::{Class, Experiment};
use station_protocol::log::{HeldReceipt, SettledJob};
use station_protocol::verdict::{Decision, Stratum};

pub use json::{from_cbor, to_json};
pub use stats::Quantiles;

/// One experiment's results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    pub experiment: String,
    pub name: String,
    pub requester: String,
    pub class: String,
    pub jobs: u64,
    pub settled: u64,
    /// The CID of the Log's root, once closed.
    pub log: Option<String>,
    /// Readings asked for, in the experiment's order.
    pub report: Vec<String>,
    pub rows: Vec<Row>,
}

/// One job's results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub index: u64,
    /// The job's input, as JSON.
    pub input: Value,
    pub verdict: Verdict,
    /// Executions that say what the answer says, of how many that count.
    pub agree: usize,
    pub of: usize,
    /// What they say: the output of a pure job, the `exact` fields of a measurement.
    pub answer: Value,
    /// Quantiles of each reading over the agreeing executions.
    pub readings: BTreeMap<String, Quantiles>,
    pub executions: Vec<ExecutionRow>,
}

/// A verdict in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A pure job: enough receipts are equal.
    Agreed,
    /// A measurement: every stratum has a majority, and the majorities say the same.
    Certified,
    /// A measurement: strata or stations differ.
    Split,
    Undecided,
    Expired,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Agreed => "agreed",
            Self::Certified => "certified",
            Self::Split => "split",
            Self::Undecided => "undecided",
            Self::Expired => "expired",
        })
    }
}

/// One execution as its receipt tells it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExecutionRow {
    pub node: String,
    pub region: Option<String>,
    pub outcome: String,
    pub agrees: bool,
    pub fuel: u64,
    pub duration_ms: u64,
    /// The output as JSON; null when there is none or it is not DAG-CBOR.
    pub output: Value,
}

impl Results {
    /// `settled` in any order; `log` once the experiment is closed.
    #[must_use]
    pub fn new(id: &station_protocol::ExperimentId, experiment: &Experiment, settled: &[SettledJob], log: Option<String>) -> Self {
        let (class, report) = match &experiment.class {
            Class::Pure(_) => ("pure", Vec::new()),
            Class::Measurement(measurement) => ("measurement", measurement.report.iter().map(ToString::to_string).collect()),
            Class::SelfVerifying { .. } => ("self_verifying", Vec::new()),
        };
        let mut rows: Vec<Row> = settled.iter().map(|job| row(job, &report)).collect();
        rows.sort_by_key(|row| row.index);
        Self {
            experiment: id.to_string(),
            name: experiment.name.to_string(),
            requester: experiment.requester.to_string(),
            class: class.to_owned(),
            jobs: experiment.jobs.count,
            settled: rows.len() as u64,
            log,
            report,
            rows,
        }
    }
}

/// One JSON object per job and line.
#[must_use]
pub fn ndjson(results: &Results) -> String {
    results.rows.iter().map(|row| serde_json::to_string(row).expect("our own types have JSON") + "\n").collect()
}

fn row(job: &SettledJob, report: &[String]) -> Row {
    let comparable = || job.receipts.iter().filter(|held| held.receipt.body.outcome.is_comparable()).count();
    let (verdict, supporting, of, answer) = match &job.verdict.decision {
        Decision::Agreed { certificate, against, .. } => {
            let output = job.receipts.iter().find(|held| certificate.contains(&held.receipt.body.lease)).map_or(Value::Null, output);
            (Verdict::Agreed, certificate.to_vec(), certificate.len() + against.len(), output)
        }
        Decision::Measured { strata, .. } => {
            let (verdict, supporting, answer) = measured(strata);
            let counted = strata.iter().flat_map(|stratum| stratum.groups.iter()).map(|group| group.receipts.len()).sum();
            (verdict, supporting, counted, answer)
        }
        Decision::Undecided { .. } => (Verdict::Undecided, Vec::new(), comparable(), Value::Null),
        Decision::Expired { .. } => (Verdict::Expired, Vec::new(), comparable(), Value::Null),
    };
    let executions: Vec<ExecutionRow> = job.receipts.iter().map(|held| execution(held, &supporting)).collect();
    let readings = report.iter().filter_map(|field| Some((field.clone(), reading(field, &executions)?))).collect();
    Row { index: job.verdict.index, input: from_cbor(&job.input), verdict, agree: supporting.len(), of, answer, readings, executions }
}

/// The leading group of all strata together: certified when every stratum has a majority for the same answer.
fn measured(strata: &[Stratum]) -> (Verdict, Vec<u64>, Value) {
    let leading: Vec<_> = strata.iter().filter_map(|stratum| stratum.groups.first().map(|group| (stratum.certified, group))).collect();
    let Some((_, largest)) = leading.iter().max_by_key(|(_, group)| group.receipts.len()) else {
        return (Verdict::Undecided, Vec::new(), Value::Null);
    };
    let same = |group: &station_protocol::verdict::Group| group.exact == largest.exact && group.outcome == largest.outcome;
    let certified = leading.iter().all(|(certified, group)| *certified && same(group));
    let supporting =
        strata.iter().flat_map(|stratum| stratum.groups.iter().filter(|group| same(group))).flat_map(|group| group.receipts.iter().copied());
    let answer = largest.exact.iter().map(|(field, value)| (field.to_string(), from_cbor(value))).collect::<serde_json::Map<_, _>>();
    (if certified { Verdict::Certified } else { Verdict::Split }, supporting.collect(), Value::Object(answer))
}

fn execution(held: &HeldReceipt, supporting: &[u64]) -> ExecutionRow {
    let receipt = &held.receipt.body;
    let region = held.labels.region();
    ExecutionRow {
        node: receipt.node.to_string(),
        region: region.map(ToString::to_string),
        outcome: outcome_word(&receipt.outcome),
        agrees: supporting.contains(&receipt.lease),
        fuel: receipt.fuel,
        duration_ms: receipt.duration_ms,
        output: output(held),
    }
}

/// The outcome as it is written on the wire, like `completed` or `trapped: unreachable`.
#[must_use]
pub fn outcome_word(outcome: &station_protocol::receipt::Outcome) -> String {
    match serde_json::to_value(outcome) {
        Ok(Value::String(word)) => word,
        Ok(Value::Object(map)) => {
            map.into_iter().map(|(word, detail)| format!("{word}: {}", detail.as_str().map_or(detail.to_string(), str::to_owned))).collect()
        }
        _ => format!("{outcome:?}"),
    }
}

fn output(held: &HeldReceipt) -> Value {
    held.output.as_ref().map_or(Value::Null, |output| from_cbor(output))
}

fn reading(field: &str, executions: &[ExecutionRow]) -> Option<Quantiles> {
    let agreeing = executions.iter().filter(|execution| execution.agrees);
    Quantiles::of(agreeing.filter_map(|execution| execution.output.get(field)?.as_f64()).collect())
}

/// A job's input in a few words: its values in key order.
#[must_use]
pub fn input_words(input: &Value) -> String {
    match input {
        Value::Object(map) => map.values().map(value_words).collect::<Vec<_>>().join(" "),
        other => value_words(other),
    }
}

/// A value without quotes where it is text.
#[must_use]
pub fn value_words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "–".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
