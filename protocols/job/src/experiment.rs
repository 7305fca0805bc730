//! [`Experiment`]: what a researcher publishes. Immutable; the CID of its canonical bytes is its id.
//!
//! Guarantees: a decoded experiment is within its bounds; [`Experiment::check`] adds the rules that span fields. Deliberately
//! lacks the inputs themselves: they stand under `jobs.root` (see [`crate::jobs`]). [`file`] reads the TOML that people write.

use cid::Cid;
use serde::{Deserialize, Serialize};

use crate::bounded::{List, Name, Text};
use crate::capability::Needs;
use crate::codec;
use crate::content::{Content, DAG_CBOR, cid_of};
use crate::identity::{Body, Hash32, NodeId};
use crate::limits::Limits;
use crate::time::{DAY, Time};

pub mod file;
mod form;

pub use form::{InputForm, Malformed, OutputForm, WHOLE, from_json, to_json};

/// An experiment's id: the CIDv1 (DAG-CBOR, sha2-256) of its canonical bytes, signature not included.
pub type ExperimentId = Cid;

/// Everything that can change a pure job's output or fuel. Receipts of different profiles are never compared.
pub type EngineProfile = Name;

pub use crate::labels::{LABEL_VALUES_MAX, LABELS_MAX, Labels};

/// Most `exact` or `report` fields: a table a person can still read.
pub const FIELDS_MAX: usize = 32;
/// Most executions wanted per job: Spark's committees of 30 to 40 with room; above it statistics gain little.
pub const EXECUTIONS_MAX: u32 = 1_000;

/// Most bytes of a module, and of a verifier: what a station compiles within seconds and a home line brings within a minute.
pub const MODULE_BYTES_MAX: u64 = 16 << 20;
/// Latest deadline, counted from the beginning of the Call that names it: receipts are kept until a week after it, so that this bounds how
/// long a requester occupies a station's disk. A day more than people may ask for.
pub const DEADLINE_MS_MAX: u64 = 31 * DAY;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    pub requester: NodeId,
    pub network: Name,
    pub topic: Name,
    /// For people; not unique.
    pub name: Text<64>,
    pub module: Content,
    pub profile: EngineProfile,
    pub needs: Needs,
    pub limits: Limits,
    pub class: Class,
    pub jobs: JobsRef,
    /// Labels a station must carry to claim: one of the values of each.
    #[serde(rename = "where")]
    pub labels: Labels,
    /// Absolute. For retention and refusal of new leases only, with 30 s tolerance.
    pub deadline: Time,
    /// Travels in the User-Agent of every request the experiment causes.
    pub contact: Text<128>,
    /// sha2-256 of the selection secret, which the Log opens.
    pub commitment: Hash32,
    /// How the guest gets its input, and what it promises to write.
    #[serde(default, skip_serializing_if = "InputForm::is_default")]
    pub input: InputForm,
    #[serde(default, skip_serializing_if = "OutputForm::is_default")]
    pub output: OutputForm,
    /// The last experiment of the same series.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Cid>,
}

impl Body for Experiment {
    const KIND: &'static str = "experiment/1";
}

/// Where an experiment's inputs are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobsRef {
    pub root: Cid,
    pub count: u64,
    /// The input key that names the target each job contacts, for dealing by the target cap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Text<64>>,
}

/// How results of one job are compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Class {
    /// Byte-equal output and fuel under one profile.
    Pure(Trust),
    /// Facts by majority within a stratum, readings by robust statistics; never a fault.
    Measurement(Measurement),
    /// A verifier module checks the output.
    SelfVerifying { verifier: Content },
}

impl Class {
    /// Executions that one job wants before anything goes wrong.
    #[must_use]
    pub fn executions(&self) -> u32 {
        match self {
            Self::Pure(Trust::Fixed(count)) => u32::from(*count),
            Self::Pure(_) => 2,
            Self::Measurement(measurement) => measurement.stations,
            Self::SelfVerifying { .. } => 1,
        }
    }
}

/// How sure to be of a pure job's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    Final,
    Standard,
    Cheap,
    /// That many receipts must agree exactly, one per cluster.
    Fixed(u16),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measurement {
    /// Executions wanted per job.
    pub stations: u32,
    pub spread: Spread,
    /// Fields of the output map on which a stratum may agree.
    pub exact: List<Text<64>, FIELDS_MAX>,
    /// Fields that are readings: reported as quantiles.
    pub report: List<Text<64>, FIELDS_MAX>,
}

/// How executions of one job must differ in origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spread {
    /// At most one per cluster (/24 or /48).
    Network,
}

/// Why an experiment that decodes is still not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExperimentError {
    #[error(transparent)]
    Limit(#[from] crate::limits::LimitError),
    #[error("it has no jobs")]
    NoJobs,
    #[error("it wants {0} executions per job, outside 1 to {EXECUTIONS_MAX}")]
    Executions(u32),
    #[error("a pure experiment must not need capabilities")]
    PureWithNeeds,
    #[error("its module has no bytes")]
    EmptyModule,
    #[error("its module or verifier has {0} bytes; {MODULE_BYTES_MAX} is the most")]
    ModuleTooLarge(u64),
    #[error("its deadline is more than {DEADLINE_MS_MAX} ms after the beginning of the Call")]
    Deadline,
}

impl Experiment {
    /// The CID of the canonical bytes.
    #[must_use]
    pub fn id(&self) -> ExperimentId {
        cid_of(DAG_CBOR, &codec::encode(self))
    }

    /// The rules that span fields; stateless, so that all stations of one version agree.
    pub fn check(&self) -> Result<(), ExperimentError> {
        self.limits.check()?;
        if self.jobs.count == 0 {
            return Err(ExperimentError::NoJobs);
        }
        if self.module.bytes == 0 {
            return Err(ExperimentError::EmptyModule);
        }
        let verifier = if let Class::SelfVerifying { verifier } = &self.class { verifier.bytes } else { 0 };
        let largest = self.module.bytes.max(verifier);
        if largest > MODULE_BYTES_MAX {
            return Err(ExperimentError::ModuleTooLarge(largest));
        }
        let executions = self.class.executions();
        if executions == 0 || executions > EXECUTIONS_MAX {
            return Err(ExperimentError::Executions(executions));
        }
        if matches!(self.class, Class::Pure(_)) && !self.needs.is_empty() {
            return Err(ExperimentError::PureWithNeeds);
        }
        Ok(())
    }

    /// The same for an experiment that a Call from `nbf` on names.
    pub fn check_called(&self, nbf: Time) -> Result<(), ExperimentError> {
        self.check()?;
        if self.deadline > nbf.plus(DEADLINE_MS_MAX) { Err(ExperimentError::Deadline) } else { Ok(()) }
    }
}
