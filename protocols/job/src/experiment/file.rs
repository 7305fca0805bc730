//! [`ExperimentFile`]: the TOML that people write, and from it the draft that a requester publishes.
//!
//! Guarantees: unknown keys are errors; everything but `module`, `[jobs]` and the class has a default; an error names the line or
//! the key and what to write. Deliberately lacks files: the caller brings the text of `jobs.file` and the bytes behind `module`.

use std::collections::BTreeMap;

use cid::Cid;
use serde::{Deserialize, Deserializer, de};

use crate::bounded::{List, Name, Text};
use crate::capability::{self, Needs};
use crate::content::Content;
use crate::experiment::{Class, EXECUTIONS_MAX, EngineProfile, FIELDS_MAX, InputForm, Labels, Measurement, OutputForm, Spread, Trust, WHOLE};
use crate::human::{Size, Span};
use crate::jobs::{Jobs, JobsError};
use crate::limits::{LimitError, Limits};
use crate::requester::Draft;
use crate::time::{DAY, MINUTE, SECOND};

mod inputs;
#[cfg(test)]
mod tests;

pub use inputs::{ColumnKind, FileKind, INPUTS_BYTES_MAX, Listed, Reader, not_utf8};

/// Largest experiment file: long lists of targets, but not the data itself.
pub const FILE_BYTES_MAX: usize = 16 << 20;
/// Where an experiment goes that names no topic.
pub const TOPIC_DEFAULT: &str = "general";
/// Time that an experiment gets without `run.deadline`.
pub const DEADLINE_MS_DEFAULT: u64 = 10 * MINUTE;
/// A shorter experiment ends before a lease could.
pub const DEADLINE_MS_MIN: u64 = 10 * SECOND;
/// A longer one is a series: receipts are kept until a week after the deadline.
pub const RUN_MS_MAX: u64 = 30 * DAY;
/// Executions per job of a measurement that does not say: enough for quartiles.
pub const STATIONS_DEFAULT: u32 = 20;

/// Why text is not an experiment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    #[error("the file takes {bytes} bytes, more than {FILE_BYTES_MAX}: put the inputs into a file of their own and write file = \"inputs.ndjson\"")]
    TooLarge { bytes: usize },
    /// Names line, column and key.
    #[error("{0}")]
    Toml(String),
    #[error("write exactly one of [pure] and [measurement]; found {found}")]
    Classes { found: usize },
    #[error("[self_verifying] is not implemented yet: write [pure] or [measurement]")]
    SelfVerifying,
    #[error("[pure] jobs get no capabilities, because their results must not depend on the world: remove [needs] or write [measurement]")]
    PureWithNeeds,
    #[error("module = {0:?} is none: write a bundled name, a path like \"./my.wasm\", or a CID")]
    Module(String),
    #[error("module = {0:?} begins like a CID and is none: copy it whole, as `station module inspect` prints it")]
    Cid(String),
    #[error("{key} is too long: {length} bytes are more than {max}")]
    TooLong { key: &'static str, length: usize, max: usize },
    #[error("stations = {0} is outside 1 to {EXECUTIONS_MAX}")]
    Stations(u32),
    #[error("[limits] {0}")]
    Limit(#[from] LimitError),
    #[error("run.deadline = \"{0}\" is outside \"10s\" to \"30d\": write something like \"10m\"")]
    Deadline(Span),
    #[error("run.{0} is not implemented yet, nothing recurs: remove it, and publish the experiment again for each run")]
    Recurrence(&'static str),
    #[error("where.labels.{0} is an empty list, which no station satisfies: write {0} = [\"…\"], or remove it")]
    NoValues(Name),
    #[error("[jobs] has neither lists nor a file: write a list like gateway = [\"https://…\"], or file = \"inputs.ndjson\"")]
    NoJobs,
    #[error("[jobs] has lists and a file: keep one of them")]
    ListsAndFile,
    #[error("jobs.{key} is not a list: write {key} = [\"…\"]")]
    NotAList { key: String },
    #[error("jobs.{key} holds a date: write it as text, in quotes")]
    Date { key: String },
    #[error("jobs.file = {0:?} is neither .csv, .tsv, .ndjson nor .jsonl: rename it to what it is")]
    FileKind(String),
    #[error("jobs.target = {0:?} is no key of the inputs: write one of the keys under [jobs]")]
    Target(String),
    #[error("jobs.text names {0:?}, which is no column of the file")]
    TextColumn(String),
    #[error("jobs.text is a list of columns of a CSV file, like text = [\"zip\"]")]
    TextColumns,
    #[error("measurement.{key} names {field:?}, but with output = \"{form}\" there is one field, {WHOLE:?}: name that, or none")]
    OutputField { key: &'static str, field: String, form: &'static str },
    #[error("the text of {0} is missing")]
    InputsMissing(String),
    #[error("line {line} of the inputs: {reason}")]
    Line { line: usize, reason: String },
    #[error(transparent)]
    Jobs(#[from] JobsError),
}

/// What the file calls a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModuleRef {
    Bundled(Name),
    /// Relative to the experiment file.
    Path(String),
    Cid(Cid),
}

impl std::str::FromStr for ModuleRef {
    type Err = FileError;
    fn from_str(text: &str) -> Result<Self, FileError> {
        if let Ok(cid) = text.parse() {
            return Ok(Self::Cid(cid));
        }
        if text.contains(['/', '\\']) || text.ends_with(".wasm") {
            return Ok(Self::Path(text.to_owned()));
        }
        if ["bafy", "bafk", "Qm"].iter().any(|begins| text.starts_with(begins)) {
            return Err(FileError::Cid(text.chars().take(80).collect()));
        }
        Name::new(text).map(Self::Bundled).map_err(|_| FileError::Module(text.chars().take(80).collect()))
    }
}

/// Where the inputs are.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Inputs {
    Here(Jobs),
    /// Relative to the experiment file.
    File {
        path: String,
        kind: FileKind,
        /// Columns that stay text, whatever stands in them.
        text: Vec<String>,
    },
}

/// An experiment as its file says it, every default filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExperimentFile {
    pub name: Text<64>,
    pub topic: Name,
    pub module: ModuleRef,
    pub contact: Text<128>,
    pub class: Class,
    pub deadline_ms: u64,
    /// Jobs dealt and not settled at a time: a gentle experiment names a small number.
    pub at_once: Option<u32>,
    pub limits: Limits,
    pub needs: Needs,
    pub labels: Labels,
    /// How the guest gets its input and what it writes.
    pub input: InputForm,
    pub output: OutputForm,
    /// The input key that names each job's target.
    pub target: Option<Text<64>>,
    inputs: Inputs,
}

impl ExperimentFile {
    /// Reads the file.
    pub fn parse(text: &str) -> Result<Self, FileError> {
        if text.len() > FILE_BYTES_MAX {
            return Err(FileError::TooLarge { bytes: text.len() });
        }
        let file: File = toml::from_str(text).map_err(|error| FileError::Toml(error.to_string().trim_end().to_owned()))?;
        let module: ModuleRef = file.module.parse()?;
        let class = class(file.pure, file.measurement, file.self_verifying)?;
        check_fields(&class, file.output)?;
        if matches!(class, Class::Pure(_)) && !file.needs.is_empty() {
            return Err(FileError::PureWithNeeds);
        }
        let deadline_ms = file.run.check()?;
        if let Some((label, _)) = file.r#where.labels.iter().find(|(_, values)| values.is_empty()) {
            return Err(FileError::NoValues(label.clone()));
        }
        let (inputs, target) = inputs_of(file.jobs)?;
        let name = file.name.unwrap_or_else(|| file.module.clone());
        let limits = Limits::from(file.limits);
        limits.check()?;
        Ok(Self {
            name: fitting("name", name)?,
            topic: file.topic.unwrap_or_else(|| Name::new(TOPIC_DEFAULT).expect("a name")),
            module,
            contact: fitting("contact", file.contact)?,
            class,
            deadline_ms,
            at_once: file.run.at_once,
            limits,
            needs: file.needs,
            labels: file.r#where.labels,
            input: file.input,
            output: file.output,
            target,
            inputs,
        })
    }

    /// The file that holds the inputs, relative to this one; none when they stand here.
    #[must_use]
    pub fn inputs_file(&self) -> Option<(&str, FileKind)> {
        match &self.inputs {
            Inputs::Here(_) => None,
            Inputs::File { path, kind, .. } => Some((path, *kind)),
        }
    }

    /// Columns of that file that stay text, whatever stands in them.
    #[must_use]
    pub fn text_columns(&self) -> &[String] {
        match &self.inputs {
            Inputs::Here(_) => &[],
            Inputs::File { text, .. } => text,
        }
    }

    /// Reads the text of [`ExperimentFile::inputs_file`]. A long one is read piece by piece with a [`Reader`].
    pub fn list(&self, text: &[u8]) -> Result<Listed, FileError> {
        let kind = self.inputs_file().map_or(FileKind::Ndjson, |(_, kind)| kind);
        let mut reader = Reader::new(kind);
        reader.push(text)?;
        reader.finish()
    }

    /// The jobs; `listed` is what [`ExperimentFile::inputs_file`] holds where there is one.
    pub fn jobs(&self, listed: Option<Listed>) -> Result<Jobs, FileError> {
        let jobs = match (&self.inputs, listed) {
            (Inputs::Here(jobs), _) => jobs.clone(),
            (Inputs::File { path, .. }, None) => return Err(FileError::InputsMissing(path.clone())),
            (Inputs::File { text, .. }, Some(listed)) => listed.into_jobs(text)?,
        };
        match &self.target {
            Some(key) if jobs.target(0, key).is_none() => Err(FileError::Target(key.to_string())),
            _ => Ok(jobs),
        }
    }

    /// What the requester publishes.
    #[must_use]
    pub fn into_draft(self, module: Content, jobs: Jobs, profile: EngineProfile) -> Draft {
        Draft {
            name: self.name,
            topic: self.topic,
            module,
            profile,
            needs: self.needs,
            limits: self.limits,
            class: self.class,
            labels: self.labels,
            contact: self.contact,
            deadline_ms: self.deadline_ms,
            input: self.input,
            output: self.output,
            jobs,
            target: self.target,
            previous: None,
            at_once: self.at_once,
        }
    }
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: Option<String>,
    topic: Option<Name>,
    module: String,
    #[serde(default)]
    contact: String,
    #[serde(default)]
    input: InputForm,
    #[serde(default)]
    output: OutputForm,
    jobs: BTreeMap<String, toml::Value>,
    pure: Option<PureFile>,
    measurement: Option<MeasurementFile>,
    self_verifying: Option<SelfVerifyingFile>,
    #[serde(default)]
    run: RunFile,
    #[serde(default)]
    limits: LimitsFile,
    #[serde(default, deserialize_with = "capability::written_needs")]
    needs: Needs,
    #[serde(default)]
    r#where: WhereFile,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PureFile {
    #[serde(default = "two_agree", deserialize_with = "trust")]
    trust: Trust,
}

/// One station alone proves nothing to who does not trust it.
fn two_agree() -> Trust {
    Trust::Fixed(2)
}

fn trust<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Trust, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
}

/// The text is no trust.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no trust: write \"fixed:N\" with N from 1 to {EXECUTIONS_MAX}, like \"fixed:2\": so many stations agree to the byte")]
pub struct TrustError(String);

impl std::str::FromStr for Trust {
    type Err = TrustError;

    fn from_str(text: &str) -> Result<Self, TrustError> {
        let fixed = |count: &str| count.parse().ok().filter(|count| (1..=EXECUTIONS_MAX).contains(&u32::from(*count))).map(Self::Fixed);
        text.strip_prefix("fixed:").and_then(fixed).ok_or_else(|| TrustError(text.to_owned()))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MeasurementFile {
    #[serde(default = "stations_default")]
    stations: u32,
    #[serde(default = "spread_default")]
    spread: Spread,
    #[serde(default)]
    exact: List<Text<64>, FIELDS_MAX>,
    #[serde(default)]
    report: List<Text<64>, FIELDS_MAX>,
}

fn stations_default() -> u32 {
    STATIONS_DEFAULT
}

fn spread_default() -> Spread {
    Spread::Network
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SelfVerifyingFile {
    #[serde(rename = "verifier")]
    _verifier: String,
}

fn class(pure: Option<PureFile>, measurement: Option<MeasurementFile>, verifying: Option<SelfVerifyingFile>) -> Result<Class, FileError> {
    match (pure, measurement, verifying) {
        (Some(pure), None, None) => Ok(Class::Pure(pure.trust)),
        (None, Some(measurement), None) => {
            let MeasurementFile { stations, spread, exact, report } = measurement;
            if stations == 0 || stations > EXECUTIONS_MAX {
                return Err(FileError::Stations(stations));
            }
            Ok(Class::Measurement(Measurement { stations, spread, exact, report }))
        }
        (None, None, Some(_)) => Err(FileError::SelfVerifying),
        (pure, measurement, verifying) => {
            let found = [pure.is_some(), measurement.is_some(), verifying.is_some()].into_iter().filter(|there| *there).count();
            Err(FileError::Classes { found })
        }
    }
}

/// Refuses fields that no output of this form has.
fn check_fields(class: &Class, output: OutputForm) -> Result<(), FileError> {
    let form = match output {
        OutputForm::DagCbor | OutputForm::Json => return Ok(()),
        OutputForm::Text => "text",
        OutputForm::Bytes => "bytes",
    };
    let Class::Measurement(measurement) = class else { return Ok(()) };
    let named = [("exact", &measurement.exact), ("report", &measurement.report)];
    let strange = named.into_iter().find_map(|(key, fields)| fields.iter().find(|field| field.as_str() != WHOLE).map(|field| (key, field)));
    strange.map_or(Ok(()), |(key, field)| Err(FileError::OutputField { key, field: field.to_string(), form }))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RunFile {
    deadline: Option<Span>,
    every: Option<toml::Value>,
    until: Option<toml::Value>,
    at_once: Option<u32>,
}

impl RunFile {
    /// The deadline in milliseconds.
    fn check(&self) -> Result<u64, FileError> {
        if self.every.is_some() {
            return Err(FileError::Recurrence("every"));
        }
        if self.until.is_some() {
            return Err(FileError::Recurrence("until"));
        }
        let deadline = self.deadline.unwrap_or(Span(DEADLINE_MS_DEFAULT));
        if (DEADLINE_MS_MIN..=RUN_MS_MAX).contains(&deadline.0) { Ok(deadline.0) } else { Err(FileError::Deadline(deadline)) }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsFile {
    fuel: Option<u64>,
    memory: Option<Size>,
    wall: Option<Span>,
    output: Option<Size>,
    bytes_in: Option<Size>,
}

impl From<LimitsFile> for Limits {
    fn from(file: LimitsFile) -> Self {
        let default = Self::default();
        Self {
            fuel: file.fuel.unwrap_or(default.fuel),
            memory_bytes: file.memory.map_or(default.memory_bytes, |size| size.0),
            wall_ms: file.wall.map_or(default.wall_ms, |span| span.0),
            output_bytes: file.output.map_or(default.output_bytes, |size| size.0),
            in_bytes: file.bytes_in.map_or(default.in_bytes, |size| size.0),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WhereFile {
    #[serde(default)]
    labels: Labels,
}

fn fitting<const MAX: usize>(key: &'static str, text: String) -> Result<Text<MAX>, FileError> {
    let length = text.len();
    Text::new(text).map_err(|_| FileError::TooLong { key, length, max: MAX })
}

/// `[jobs]`: lists, or `file`; and `target` beside either.
fn inputs_of(mut jobs: BTreeMap<String, toml::Value>) -> Result<(Inputs, Option<Text<64>>), FileError> {
    let mut word = |key: &str| match jobs.get(key) {
        Some(toml::Value::String(text)) => {
            let text = text.clone();
            jobs.remove(key);
            Some(text)
        }
        _ => None,
    };
    let target = word("target").map(|text| fitting("jobs.target", text)).transpose()?;
    let path = word("file");
    let text = if path.is_some() { jobs.remove("text") } else { None };
    let inputs = match (path, jobs.is_empty()) {
        (None, true) => return Err(FileError::NoJobs),
        (Some(_), false) => return Err(FileError::ListsAndFile),
        (Some(path), true) => {
            let kind = match path.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase()).as_deref() {
                Some("csv" | "tsv") => FileKind::Csv,
                Some("ndjson" | "jsonl") => FileKind::Ndjson,
                _ => return Err(FileError::FileKind(path)),
            };
            let text: Vec<String> = text.map_or(Ok(Vec::new()), toml::Value::try_into).map_err(|_| FileError::TextColumns)?;
            if kind == FileKind::Ndjson && !text.is_empty() {
                return Err(FileError::TextColumns);
            }
            Inputs::File { path, kind, text }
        }
        (None, false) => Inputs::Here(inputs::product(jobs)?),
    };
    Ok((inputs, target))
}
