//! Results a person reads: [`Results`] of one experiment, made from the Log's settled jobs; rendered as table, CSV, NDJSON, JSON or
//! one self-contained HTML page.
//!
//! Guarantees: says nothing that the receipts do not say; a dissenting station is named with what it said, and nobody is where nothing was
//! decided; a failure is no answer; what is not in the promised form is shown as it is, with the reason. Deliberately lacks judgement:
//! verdicts come from the rules.

pub mod csv;
mod execution;
pub mod html;
mod json;
mod outcome;
mod output;
pub mod stats;
pub mod table;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use station_protocol::experiment::{Class, Experiment, InputForm, OutputForm, WHOLE};
use station_protocol::human::rfc3339;
use station_protocol::log::{HeldReceipt, SettledJob};
use station_protocol::quorum::usable;
use station_protocol::receipt::LeaseNumber;
use station_protocol::requester::View;
use station_protocol::verdict::{Decision, Group, Stratum};
use station_protocol::{ExperimentId, Time};

use crate::library::bundled_names;
pub use execution::{ExecutionRow, RequestRow, Requests, RequestsRead, Seen, Stated};
pub use json::{from_cbor, to_json};
pub use outcome::remedy;
pub use output::{Answer, Elsewhere, Output, Raw, RawContent};
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
    /// By the requester's clock, RFC 3339.
    pub published_at: String,
    pub closed_at: Option<String>,
    pub deadline_at: String,
    pub topic: String,
    pub module: Module,
    /// The engine's.
    pub profile: String,
    /// How the guest got its input, and what its output promises to be: `dag_cbor`, `json`, `text` or `bytes`.
    pub input_form: InputForm,
    pub output_form: OutputForm,
    /// Readings asked for, in the experiment's order.
    pub report: Vec<String>,
    pub rows: Vec<Row>,
}

/// The module that ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Module {
    pub cid: String,
    pub bytes: u64,
    /// Of one that comes with the program.
    pub name: Option<String>,
}

/// What results are made from beside the settled jobs.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub id: ExperimentId,
    pub experiment: &'a Experiment,
    pub published: Time,
    pub closed: Option<Time>,
    /// The Log's root, once closed.
    pub log: Option<cid::Cid>,
    /// The ends of guests' logs.
    pub logs: &'a BTreeMap<LeaseNumber, Vec<u8>>,
}

impl<'a> Facts<'a> {
    /// Of an experiment of this station.
    #[must_use]
    pub fn of(view: &'a View, logs: &'a BTreeMap<LeaseNumber, Vec<u8>>) -> Self {
        let call = &view.call.body;
        Self { id: call.id(), experiment: &call.experiment.body, published: view.published, closed: view.closed, log: view.status.log, logs }
    }

    /// Readings asked for, in the experiment's order.
    fn report(&self) -> Vec<String> {
        match &self.experiment.class {
            Class::Measurement(measurement) => measurement.report.iter().map(ToString::to_string).collect(),
            Class::Pure(_) | Class::SelfVerifying { .. } => Vec::new(),
        }
    }

    /// The results of `job`. `requests`: what those transcripts say that do not stand in its receipts.
    #[must_use]
    pub fn row(&self, job: &SettledJob, requests: &BTreeMap<LeaseNumber, RequestsRead>) -> Row {
        let form = self.experiment.output;
        let Said { verdict, supporting, against, agree, of, outcome, mut answer, mut no_answer } = said(job, self.experiment);
        let (supporting, against): (BTreeSet<u64>, BTreeSet<u64>) = (supporting.into_iter().collect(), against.into_iter().collect());
        let counting: BTreeSet<u64> = usable(&job.receipts).into_iter().map(|held| held.receipt.body.lease).collect();
        let agrees = |lease: u64| if supporting.contains(&lease) { Some(true) } else { against.contains(&lease).then_some(false) };
        let execution = |held: &HeldReceipt| {
            let lease = held.receipt.body.lease;
            ExecutionRow::new(held, (counting.contains(&lease), agrees(lease)), form, self.logs.get(&lease), requests.get(&lease))
        };
        let executions: Vec<ExecutionRow> = job.receipts.iter().map(execution).collect();
        let agreeing: Vec<&ExecutionRow> = executions.iter().filter(|execution| execution.agrees == Some(true)).collect();
        if answer.is_some() && !agreeing.is_empty() && agreeing.iter().all(|execution| execution.asked_nobody()) {
            (answer, no_answer) = (None, Some(ASKED_NOBODY.to_owned()));
        }
        let readings = self.report().into_iter().filter_map(|field| reading(&field, verdict, &executions).map(|reading| (field, reading))).collect();
        let wanted = self.experiment.class.executions() as usize;
        let answered = usable(&job.receipts).iter().filter(|held| held.receipt.body.outcome.is_answer()).count();
        let (index, input) = (job.verdict.index, from_cbor(&job.input));
        Row { index, input, verdict, agree, of, answered, wanted, outcome, answer, no_answer, readings, executions }
    }
}

/// Why there is no answer where those that agree tell of their own machines only.
const ASKED_NOBODY: &str = "nobody was asked, for these stations could not: look at their resolvers and lines";

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
    /// Of those that count, how many came to an answer: a crash is none.
    pub answered: usize,
    pub wanted: usize,
    /// How those that agree ended, like `completed`; nothing where nothing was decided.
    pub outcome: Option<String>,
    /// What they say: the output of a pure job, the `exact` fields of a measurement. Nothing where nothing was decided.
    #[serde(flatten)]
    pub answer: Option<Answer>,
    /// Why those that agree give no answer although they came to their end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_answer: Option<String>,
    /// Quantiles of each reading over the agreeing executions, or over all that completed and count where nothing was decided.
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

impl Verdict {
    /// Whether it says which executions are right.
    fn is_decided(self) -> bool {
        matches!(self, Self::Agreed | Self::Failed | Self::Certified)
    }

    /// Whether the readings of `execution` belong to a job with this verdict.
    fn reads(self, execution: &ExecutionRow) -> bool {
        if self.is_decided() { execution.agrees == Some(true) } else { execution.counts }
    }
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
    /// Whether fewer stations answered than the experiment asks for. Of what failed everywhere, whether fewer say so.
    #[must_use]
    pub fn is_short(&self) -> bool {
        let told = if self.verdict == Verdict::Failed { self.of } else { self.answered };
        told < self.wanted
    }

    /// Whether the job has the answer that was asked for, in the form that was promised, from as many stations as were asked for.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        let is_told = matches!(self.verdict, Verdict::Agreed | Verdict::Certified | Verdict::Split);
        is_told && !self.is_short() && self.malformed().is_none() && self.no_answer.is_none()
    }

    /// Whether the verdict says which executions are right.
    #[must_use]
    pub fn is_decided(&self) -> bool {
        self.verdict.is_decided()
    }

    /// Whether the readings of `execution` are among the row's.
    #[must_use]
    pub fn reads(&self, execution: &ExecutionRow) -> bool {
        self.verdict.reads(execution)
    }

    /// The answer as a value; null where it is none.
    #[must_use]
    pub fn answer(&self) -> &Value {
        if let Some(Answer::Value(value)) = &self.answer { value } else { &Value::Null }
    }

    /// The answer, where it is not in the form that was promised.
    #[must_use]
    pub fn malformed(&self) -> Option<&Raw> {
        if let Some(Answer::Raw(raw)) = &self.answer { Some(raw) } else { None }
    }

    /// The verdict, and of a failure how it failed: `failed: out_of_fuel`.
    #[must_use]
    pub fn verdict_words(&self) -> String {
        match (&self.verdict, &self.outcome) {
            (Verdict::Failed, Some(outcome)) => format!("failed: {outcome}"),
            (verdict, _) => verdict.to_string(),
        }
    }

    /// How many agree: `3/3`, `2/2 of 3` where fewer came than are wanted, and `1/3 (2 failed)` where some of them are no answers.
    #[must_use]
    pub fn agree_words(&self) -> String {
        let wanted = if self.of < self.wanted { format!(" of {}", self.wanted) } else { String::new() };
        let failed = match self.of.saturating_sub(self.answered) {
            0 => String::new(),
            _ if self.verdict == Verdict::Failed => String::new(),
            failed => format!(" ({failed} failed)"),
        };
        format!("{}/{}{wanted}{failed}", self.agree, self.of)
    }
}

impl Results {
    /// Of `rows` in any order, which [`Facts::row`] made.
    #[must_use]
    pub fn new(facts: &Facts<'_>, mut rows: Vec<Row>) -> Self {
        let experiment = facts.experiment;
        let class = match &experiment.class {
            Class::Pure(_) => "pure",
            Class::Measurement(_) => "measurement",
            Class::SelfVerifying { .. } => "self_verifying",
        };
        rows.sort_by_key(|row| row.index);
        let module = &experiment.module;
        let bundled = bundled_names().into_iter().find(|(_, cids)| cids.contains(&module.cid));
        Self {
            experiment: facts.id.to_string(),
            name: experiment.name.to_string(),
            requester: experiment.requester.to_string(),
            class: class.to_owned(),
            jobs: experiment.jobs.count,
            settled: rows.iter().filter(|row| row.verdict != Verdict::Expired).count() as u64,
            log: facts.log.map(|log| log.to_string()),
            published_at: rfc3339(facts.published),
            closed_at: facts.closed.map(rfc3339),
            deadline_at: rfc3339(experiment.deadline),
            topic: experiment.topic.to_string(),
            module: Module { cid: module.cid.to_string(), bytes: module.bytes, name: bundled.map(|(name, _)| name.to_string()) },
            profile: experiment.profile.to_string(),
            input_form: experiment.input,
            output_form: experiment.output,
            report: facts.report(),
            rows,
        }
    }

    /// The experiment in a few words: module, engine profile, topic, when it was published and closed.
    #[must_use]
    pub fn facts_words(&self) -> String {
        let Module { cid, name, .. } = &self.module;
        let module = name.as_ref().map_or_else(|| cid.clone(), |name| format!("{name} ({cid})"));
        let end = self.closed_at.as_ref().map_or_else(|| format!("open until {}", self.deadline_at), |at| format!("closed {at}"));
        format!("{module} under {} on {} · published {} · {end}", self.profile, self.topic, self.published_at)
    }
}

/// One JSON object per job and line, with what names its experiment.
#[must_use]
pub fn ndjson(results: &Results) -> String {
    let facts = serde_json::json!({
        "experiment": results.experiment,
        "module": results.module,
        "topic": results.topic,
        "published_at": results.published_at,
        "closed_at": results.closed_at,
        "deadline_at": results.deadline_at,
    });
    let line = |row: &Row| {
        let mut line = serde_json::to_value(row).expect("our own types have JSON");
        if let (Value::Object(line), Value::Object(facts)) = (&mut line, &facts) {
            line.extend(facts.clone());
        }
        format!("{line}\n")
    };
    results.rows.iter().map(line).collect()
}

/// What a decision says of its job.
struct Said {
    verdict: Verdict,
    /// Leases of the receipts that say so, and of those that count and say something else; none where nothing was decided. What is in
    /// neither does not count.
    supporting: Vec<u64>,
    against: Vec<u64>,
    agree: usize,
    of: usize,
    outcome: Option<String>,
    answer: Option<Answer>,
    no_answer: Option<String>,
}

fn said(job: &SettledJob, experiment: &Experiment) -> Said {
    let form = experiment.output;
    let undecided = |verdict| {
        let (agree, of) = largest_of(&job.receipts);
        Said { verdict, supporting: Vec::new(), against: Vec::new(), agree, of, outcome: None, answer: None, no_answer: None }
    };
    match &job.verdict.decision {
        Decision::Measured { strata, .. } => measured(strata, job, experiment).unwrap_or_else(|| undecided(Verdict::Undecided)),
        Decision::Undecided { .. } => undecided(Verdict::Undecided),
        Decision::Expired { .. } => undecided(Verdict::Expired),
        Decision::Agreed { canonical, certificate, against } | Decision::Failed { canonical, certificate, against } => Said {
            verdict: if matches!(job.verdict.decision, Decision::Agreed { .. }) { Verdict::Agreed } else { Verdict::Failed },
            agree: certificate.len(),
            of: certificate.len() + against.len(),
            outcome: Some(outcome_word(&canonical.outcome)),
            // What a guest wrote before it failed is no answer.
            answer: if canonical.outcome.is_answer() { said_by(certificate, job, form).map(Answer::from) } else { None },
            no_answer: None,
            supporting: certificate.to_vec(),
            against: against.to_vec(),
        },
    }
}

/// The output of the first receipt that is under one of these leases.
fn said_by(leases: &[u64], job: &SettledJob, form: OutputForm) -> Option<Output> {
    let held = job.receipts.iter().find(|held| leases.contains(&held.receipt.body.lease))?;
    execution::output(held, form)
}

/// Of the receipts that count, how many at most say exactly the same, and how many there are.
fn largest_of(receipts: &[HeldReceipt]) -> (usize, usize) {
    let mut equal: BTreeMap<_, usize> = BTreeMap::new();
    for body in usable(receipts).into_iter().map(|held| &held.receipt.body) {
        *equal.entry((&body.outcome, &body.output, body.fuel)).or_default() += 1;
    }
    (equal.values().copied().max().unwrap_or(0), equal.values().sum())
}

/// The leading group of all strata together: certified when every stratum has a majority for the same answer. Nothing of no strata.
fn measured(strata: &[Stratum], job: &SettledJob, experiment: &Experiment) -> Option<Said> {
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
    let (answer, no_answer) = match verdict {
        Verdict::Failed => (None, None),
        _ => match answered(largest, &supporting, job, experiment) {
            Ok(answer) => (Some(answer), None),
            Err(reason) => (None, Some(reason)),
        },
    };
    // Where places or stations differ nobody is right because more say so.
    let is_split = verdict == Verdict::Split;
    let against = || groups().filter(|group| !same(group)).flat_map(|group| group.receipts.iter().copied()).collect();
    Some(Said {
        verdict,
        agree: supporting.len(),
        of: usable(&job.receipts).len(),
        against: if is_split { Vec::new() } else { against() },
        outcome: Some(outcome_word(&largest.outcome)),
        answer,
        no_answer,
        supporting: if is_split { Vec::new() } else { supporting },
    })
}

/// What the leading group says in its `exact` fields, or why that is nothing: a field that the file spells wrong is in no output.
fn answered(leading: &Group, supporting: &[u64], job: &SettledJob, experiment: &Experiment) -> Result<Answer, String> {
    let exact: Vec<String> = match &experiment.class {
        Class::Measurement(measurement) => measurement.exact.iter().map(ToString::to_string).collect(),
        Class::Pure(_) | Class::SelfVerifying { .. } => Vec::new(),
    };
    if !leading.exact.is_empty() {
        let answer = leading.exact.iter().map(|(field, value)| (field.to_string(), from_cbor(value))).collect();
        return Ok(Answer::Value(Value::Object(answer)));
    }
    match said_by(supporting, job, experiment.output) {
        // Where not one field could be read, the outputs may be none of the form.
        Some(Output::Raw(raw)) => Ok(Answer::Raw(raw)),
        _ if exact.is_empty() => Ok(Answer::Value(Value::Object(serde_json::Map::new()))),
        Some(Output::Elsewhere(elsewhere)) => Err(format!("their outputs are too large for [measurement] exact: {}", elsewhere.words())),
        Some(Output::Value(_)) | None => Err(format!("their outputs have no field that [measurement] exact names: {}", exact.join(", "))),
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

/// A unit of an enumeration as it is written on the wire.
fn to_word<T: Serialize>(value: &T) -> String {
    serde_json::to_value(value).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

/// The entries of a map; bytes and links, which JSON writes as maps, are none.
fn fields(value: &Value) -> Option<&serde_json::Map<String, Value>> {
    let map = value.as_object()?;
    let is_marked = map.len() == 1 && map.get("/").is_some_and(|marked| marked.is_string() || marked.get("bytes").is_some());
    (!is_marked).then_some(map)
}

/// What `output` says under `field`: an output that is no map has one field.
fn field_of<'a>(output: &'a Value, field: &str) -> Option<&'a Value> {
    match output {
        Value::Object(map) => map.get(field),
        whole => (field == WHOLE).then_some(whole),
    }
}

fn reading(field: &str, verdict: Verdict, executions: &[ExecutionRow]) -> Option<Quantiles> {
    let read = executions.iter().filter(|execution| verdict.reads(execution));
    Quantiles::of(read.filter_map(|execution| execution.reading(field)).collect())
}

/// A job's input in a few words: its values in key order.
#[must_use]
pub fn input_words(input: &Value) -> String {
    match input {
        Value::Object(map) => map.values().map(value_words).collect::<Vec<_>>().join(" "),
        other => value_words(other),
    }
}

/// A value without quotes where it is text that can be seen.
#[must_use]
pub fn value_words(value: &Value) -> String {
    match value {
        Value::String(text) if text.trim().is_empty() => format!("{text:?}"),
        Value::String(text) => text.clone(),
        Value::Null => "–".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
pub(crate) mod tests;
