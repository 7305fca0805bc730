//! [`Receipt`]: the station's signed statement of one execution, and the [`Outcome`] inside.
//!
//! Guarantees: outcomes say who is concerned: the job (comparable) or the machine (never in a quorum). Deliberately lacks error
//! texts: a text that differs between machines would break agreement.

use serde::{Deserialize, Serialize};

use crate::bounded::Text;
use crate::capability::Capability;
use crate::content::Content;
use crate::experiment::{EngineProfile, ExperimentId};
use crate::identity::{Body, NodeId};

/// A lease's number, counted per experiment, never reused.
pub type LeaseNumber = u64;

/// Largest receipt on the wire, without output and transcript.
pub const RECEIPT_BYTES_MAX: usize = 2 << 10;
/// Output and transcript together travel beside the receipt up to this; above it by CID.
pub const INLINE_BYTES_MAX: usize = 64 << 10;

/// The end of a guest's log that travels beside a receipt.
pub const LOG_BYTES_MAX: usize = 4 << 10;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    pub experiment: ExperimentId,
    /// Which job.
    pub index: u64,
    pub lease: LeaseNumber,
    pub node: NodeId,
    pub profile: EngineProfile,
    pub isolation: Isolation,
    pub outcome: Outcome,
    /// Standard output: what the guest claims.
    pub output: Option<Content>,
    /// The host's record of the job's host calls: what the station claims.
    pub transcript: Option<Content>,
    pub fuel: u64,
    /// From receiving the lease to starting the guest.
    pub started_ms: u64,
    /// From starting the guest to its end.
    pub duration_ms: u64,
    /// `station/0.1.0`.
    pub software: Text<32>,
}

impl Receipt {
    /// Whether both state the same result of the same lease. When it began and how long it took, how well the guest was shut in, and by which
    /// software are circumstances: whoever crashed between signing and storing may state them anew, and gains nothing.
    #[must_use]
    pub fn says_as(&self, other: &Self) -> bool {
        let (isolation, software) = (other.isolation, other.software.clone());
        *other == Self { isolation, software, started_ms: other.started_ms, duration_ms: other.duration_ms, ..self.clone() }
    }
}

impl Body for Receipt {
    const KIND: &'static str = "receipt/1";
}

/// How well the station could shut the guest in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// A process of its own with limits on resources only.
    ProcessOnly,
    /// Some of seccomp, landlock and namespaces.
    Partial,
    /// All of them.
    Full,
}

/// What happened in one execution.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Outcome {
    /// The guest returned or exited with 0.
    Completed,
    /// The guest exited with another code.
    Exited(u32),
    /// The guest trapped.
    Trapped(Trap),
    /// The guest used its fuel up.
    OutOfFuel,
    /// The guest wrote more output than its limit.
    OutputTooLarge,
    /// The module is not one that this engine profile runs.
    BadModule,
    /// The guest used a capability outside its grant and did not handle the refusal.
    Refused(Capability),
    /// The stack that the engine profile counts was used up; it ends at the same call everywhere.
    StackOverflow,
    /// The machine refused memory inside the job's limit.
    OutOfMemory,
    /// The wall clock limit.
    TimedOut,
    /// The worker process died or was ended.
    Killed,
}

/// Why a guest trapped, as the Wasm specification names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Trap {
    Unreachable,
    MemoryOutOfBounds,
    TableOutOfBounds,
    IndirectCallToNull,
    BadSignature,
    IntegerOverflow,
    IntegerDivisionByZero,
    BadConversionToInteger,
    Other,
}

impl Outcome {
    /// Whether the guest gave an answer. Every other end only says that it or the machine failed.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        matches!(self, Self::Completed)
    }

    /// Whether two honest stations under one profile must see the same. Machine-dependent outcomes never enter a quorum.
    #[must_use]
    pub fn is_comparable(&self) -> bool {
        !matches!(self, Self::OutOfMemory | Self::TimedOut | Self::Killed)
    }
}
