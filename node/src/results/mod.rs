//! Results a person reads: [`Results`] of one experiment, made from the Log's settled jobs; rendered as table, CSV, NDJSON, JSON or
//! one self-contained HTML page.
//!
//! Guarantees: says nothing that the receipts do not say; a dissenting station is named with what it said, and nobody is where nothing was
//! decided; a failure is no answer. Deliberately lacks judgement: verdicts come from the rules.

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
use station_protocol::verdict::{Decision, Group, Stratum};

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
    /// Executions that say the same, of how many that count, of how many that the experiment asks for.
    pub agree: usize,
    pub of: usize,
    pub wanted: usize,
    /// How those that agree ended, like `completed`; nothing where nothing was decided.
    pub outcome: Option<String>,
    /// What they say: the output of a pure job, the `exact` fields of a measurement.
    pub answer: Value,
    /// Quantiles of each reading over the agreeing executions, or over all where nothing was decided.
    pub readings: BTreeMap<String, Quantiles>,
    pub executions: Vec<ExecutionRow>,
}

/// A verdict in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A pure job: enough receipts give the same answer.
    Agreed,
    /// Enough executions of a pure job failed in the same way, or all of a measurement failed.
    Failed,
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
            Self::Failed => "failed",
            Self::Certified => "certified",
            Self::Split => "split",
            Self::Undecided => "undecided",
            Self::Expired => "expired",
        })
    }
}

impl Row {
    /// Whether fewer stations answered than the experiment asks for.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.of < self.wanted
    }

    /// Whether the job has the answer that was asked for, from as many stations as were asked for.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        matches!(self.verdict, Verdict::Agreed | Verdict::Certified | Verdict::Split) && !self.is_short()
    }

    /// The verdict, and of a failure how it failed: `failed: out_of_fuel`.
    #[must_use]
    pub fn verdict_words(&self) -> String {
        match (&self.verdict, &self.outcome) {
            (Verdict::Failed, Some(outcome)) => format!("failed: {outcome}"),
            (verdict, _) => verdict.to_string(),
        }
    }

    /// How many agree: `3/3`, and `2/2 of 3` where fewer came than are wanted.
    #[must_use]
    pub fn agree_words(&self) -> String {
        let wanted = if self.is_short() { format!(" of {}", self.wanted) } else { String::new() };
        format!("{}/{}{wanted}", self.agree, self.of)
    }
}

/// One execution as its receipt tells it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExecutionRow {
    pub node: String,
    pub region: Option<String>,
    pub outcome: String,
    /// Whether it says what was decided; nothing where nothing was.
    pub agrees: Option<bool>,
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
        let wanted = experiment.class.executions() as usize;
        let mut rows: Vec<Row> = settled.iter().map(|job| row(job, wanted, &report)).collect();
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

/// What a decision says of its job.
struct Said {
    verdict: Verdict,
    /// Leases of the receipts that say so, where something was decided.
    supporting: Option<Vec<u64>>,
    agree: usize,
    of: usize,
    outcome: Option<String>,
    answer: Value,
}

fn row(job: &SettledJob, wanted: usize, report: &[String]) -> Row {
    let Said { verdict, supporting, agree, of, outcome, answer } = said(job);
    let executions: Vec<ExecutionRow> = job.receipts.iter().map(|held| execution(held, supporting.as_deref())).collect();
    let readings = report.iter().filter_map(|field| Some((field.clone(), reading(field, &executions)?))).collect();
    Row { index: job.verdict.index, input: from_cbor(&job.input), verdict, agree, of, wanted, outcome, answer, readings, executions }
}

fn said(job: &SettledJob) -> Said {
    let undecided = |verdict| {
        let (agree, of) = largest_of(&job.receipts);
        Said { verdict, supporting: None, agree, of, outcome: None, answer: Value::Null }
    };
    match &job.verdict.decision {
        Decision::Measured { strata, .. } => measured(strata).unwrap_or_else(|| undecided(Verdict::Undecided)),
        Decision::Undecided { .. } => undecided(Verdict::Undecided),
        Decision::Expired { .. } => undecided(Verdict::Expired),
        Decision::Agreed { canonical, certificate, against } | Decision::Failed { canonical, certificate, against } => Said {
            verdict: if matches!(job.verdict.decision, Decision::Agreed { .. }) { Verdict::Agreed } else { Verdict::Failed },
            agree: certificate.len(),
            of: certificate.len() + against.len(),
            outcome: Some(outcome_word(&canonical.outcome)),
            answer: job.receipts.iter().find(|held| certificate.contains(&held.receipt.body.lease)).map_or(Value::Null, output),
            supporting: Some(certificate.to_vec()),
        },
    }
}

/// Of the receipts that count, how many at most say exactly the same, and how many there are.
fn largest_of(receipts: &[HeldReceipt]) -> (usize, usize) {
    let mut equal: BTreeMap<_, usize> = BTreeMap::new();
    for body in receipts.iter().map(|held| &held.receipt.body).filter(|body| body.outcome.is_comparable()) {
        *equal.entry((&body.outcome, &body.output, body.fuel)).or_default() += 1;
    }
    (equal.values().copied().max().unwrap_or(0), equal.values().sum())
}

/// The leading group of all strata together: certified when every stratum has a majority for the same answer. Nothing of no strata.
fn measured(strata: &[Stratum]) -> Option<Said> {
    let leading: Vec<_> = strata.iter().filter_map(|stratum| stratum.groups.first().map(|group| (stratum.certified, group))).collect();
    let (_, largest) = leading.iter().max_by_key(|(_, group)| (group.outcome.is_answer(), group.receipts.len()))?;
    let same = |group: &Group| group.exact == largest.exact && group.outcome == largest.outcome;
    let verdict = if !largest.outcome.is_answer() {
        Verdict::Failed
    } else if leading.iter().all(|(certified, group)| *certified && same(group)) {
        Verdict::Certified
    } else {
        Verdict::Split
    };
    let groups = || strata.iter().flat_map(|stratum| stratum.groups.iter());
    let supporting: Vec<u64> = groups().filter(|group| same(group)).flat_map(|group| group.receipts.iter().copied()).collect();
    let answer = largest.exact.iter().map(|(field, value)| (field.to_string(), from_cbor(value))).collect::<serde_json::Map<_, _>>();
    Some(Said {
        verdict,
        agree: supporting.len(),
        of: groups().map(|group| group.receipts.len()).sum(),
        outcome: Some(outcome_word(&largest.outcome)),
        answer: if verdict == Verdict::Failed { Value::Null } else { Value::Object(answer) },
        // Where places or stations differ nobody is right because more say so.
        supporting: (verdict != Verdict::Split).then_some(supporting),
    })
}

fn execution(held: &HeldReceipt, supporting: Option<&[u64]>) -> ExecutionRow {
    let receipt = &held.receipt.body;
    let region = held.labels.region();
    ExecutionRow {
        node: receipt.node.to_string(),
        region: region.map(ToString::to_string),
        outcome: outcome_word(&receipt.outcome),
        agrees: supporting.map(|supporting| supporting.contains(&receipt.lease)),
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
    let agreeing = executions.iter().filter(|execution| execution.agrees.unwrap_or(true));
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
