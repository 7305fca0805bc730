//! The `work` protocol: one request, one answer, over a stream between two stations.
//!
//! Guarantees: every list and blob is bounded; [`REQUEST_BYTES_MAX`] and [`RESPONSE_BYTES_MAX`] bound the frames. Requests are
//! authenticated by the connection; what must be shown to third parties (leases, refusals, acks) is signed. Deliberately lacks
//! streams: content moves by `car`.

use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::bounded::{Bytes, List, Name, Text};
use crate::call::Call;
use crate::census::{PeerRecord, RecordTag, SAMPLE_MAX};
use crate::experiment::{EngineProfile, ExperimentId, Labels};
use crate::identity::{Body, Hash32, NodeId, Signed};
use crate::receipt::{INLINE_BYTES_MAX, Isolation, LOG_BYTES_MAX, LeaseNumber, Receipt};
use crate::time::Time;
use crate::verdict::JobVerdict;
use cid::Cid;

/// Largest request frame: a Deliver with 64 receipts and their outputs.
pub const REQUEST_BYTES_MAX: usize = 1 << 20;
/// Largest answer frame: an Ack with 256 verdicts and 32 leases of 16 KiB inputs.
pub const RESPONSE_BYTES_MAX: usize = 2 << 20;
/// Largest frame over a relayed connection, both ways.
pub const RELAYED_BYTES_MAX: usize = 64 << 10;
/// How long a request may take before it counts as lost.
pub const REQUEST_TIMEOUT_MS: u64 = 10_000;
/// Unfinished leases that a claim or delivery names.
pub const HOLDING_MAX: usize = 256;
/// Receipts in one Deliver.
pub const DELIVERIES_MAX: usize = 64;
/// Leases in one answer.
pub const LEASES_MAX: usize = 32;
/// Verdicts in one Ack.
pub const ACK_VERDICTS_MAX: usize = 256;
/// Calls one anti-entropy question names.
pub const HAVE_MAX: usize = 256;
/// Calls in one anti-entropy answer.
pub const CALLS_MAX: usize = 32;
/// Stations introduced in one answer, its author among them: a few times the four that are dialled.
pub const INTRODUCED_MAX: usize = 16;
/// Peer records in one answer: the sample that counts the topic, and those whom the answerer introduces.
pub const PEERS_MAX: usize = SAMPLE_MAX + INTRODUCED_MAX;
/// Guests of which one message says how far they are: more than most stations run at once.
pub const PROGRESS_MAX: usize = 64;
/// Longest thing that a guest says of how far it is: one line.
pub const MESSAGE_BYTES_MAX: usize = 256;
/// Input of one job.
pub const INPUT_BYTES_MAX: usize = 16 << 10;
/// Engine profiles a station can run.
pub const PROFILES_MAX: usize = 8;
/// Shortest and longest `Wait`, and `again_ms`.
pub const WAIT_MS: std::ops::RangeInclusive<u32> = 50..=60_000;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Anti-entropy: which Calls of a topic do you know that I do not?
    Calls {
        topic: Name,
        have: List<(ExperimentId, u64), HAVE_MAX>,
    },
    /// Which peers of a topic do you know that I do not?
    Peers {
        topic: Name,
        have: List<RecordTag, SAMPLE_MAX>,
    },
    Claim(Claim),
    Decline(Decline),
    Deliver(Deliver),
    /// How far guests say they are. Answered as a decline is, and nothing rests on it.
    Progress(Progress),
    /// Where an experiment stands. Answered to anybody.
    Status {
        experiment: ExperimentId,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Response {
    Calls {
        calls: List<Signed<Call>, CALLS_MAX>,
    },
    Peers {
        records: List<Signed<PeerRecord>, PEERS_MAX>,
        /// What the clock of who answers says, so that whose is wrong hears of it.
        time: Time,
    },
    Leases(Signed<Leases>),
    /// Ask again then.
    Wait {
        ms: u32,
    },
    Refused(Signed<Refusal>),
    Acked(Box<Signed<Ack>>),
    Status(Status),
    /// A decline was noted.
    Noted,
    /// The question is over its rate, or unknown here.
    Unserved,
}

/// A station asks for work on an experiment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    pub experiment: ExperimentId,
    /// Executions this station runs at the same time, of all requesters together.
    pub capacity: u32,
    /// Leases it would take now beyond those it holds: of short jobs more than it can begin at once.
    pub free: u32,
    /// Leases it has and has not finished.
    pub holding: List<LeaseNumber, HOLDING_MAX>,
    pub profiles: List<EngineProfile, PROFILES_MAX>,
    pub isolation: Isolation,
    pub labels: Labels,
    /// sha2-256 of the operator's policy file.
    pub policy: Hash32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decline {
    pub experiment: ExperimentId,
    pub reason: DeclineReason,
}

/// Why a station does not claim, where its policy lets it say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeclineReason {
    /// The policy has no rule for this module or requester with the capabilities it needs.
    Capability,
    /// The policy allows the capability, but not on all targets that it needs.
    Target,
    /// The experiment's limits are above the operator's budget.
    Budget,
    /// No engine for the profile.
    Profile,
    /// The labels asked for are not this station's.
    Labels,
    /// The requester's key is banned here.
    Banned,
    /// What came is not the module that the experiment names, or none that a station takes.
    Module,
}

/// A signed batch of leases: lease `first + position` is the right to run `leases[position]` once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leases {
    pub experiment: ExperimentId,
    pub node: NodeId,
    pub first: LeaseNumber,
    pub leases: List<Lease, LEASES_MAX>,
}

impl Body for Leases {
    const KIND: &'static str = "leases/1";
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    pub index: u64,
    /// Canonical DAG-CBOR of the job's input.
    pub input: Bytes<INPUT_BYTES_MAX>,
    /// The worker counts it from receipt, the requester from sending (+ 5 s).
    pub duration_ms: u64,
}

/// A signed no.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    pub experiment: ExperimentId,
    pub node: NodeId,
    pub reason: ClaimRefused,
    /// The `seq` of the newest Call: some refusals end with a higher one.
    pub seq: u64,
}

impl Body for Refusal {
    const KIND: &'static str = "refusal/1";
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClaimRefused {
    /// Enough stations claimed. Until a higher `seq`.
    Enough,
    /// The Call does not ask the cluster that the station is seen in, or it is seen behind a relay. Until a higher `seq`.
    NotSampled,
    /// The draw went to others. Until a higher `seq`.
    NotDrawn,
    /// Another station of the same cluster has the seat. Until a higher `seq`.
    ClusterTaken,
    /// This station, or its cluster, ran or lost every job that is left. Until a higher `seq`.
    NothingLeft,
    /// The experiment's engine profile is not among the claim's. Final.
    Profile,
    /// The claim's labels are not those asked for. Final.
    Labels,
    /// The experiment is closed. Final.
    Closed,
    /// Not an experiment of this requester. Final.
    Unknown,
    /// The requester has as many claimants as it can have: as `Wait` 10 s.
    Busy,
}

impl ClaimRefused {
    /// Whether asking again can help after a Call with a higher `seq`.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Profile | Self::Labels | Self::Closed | Self::Unknown)
    }

    /// Whether it ends with such a Call, and not with time.
    #[must_use]
    pub fn ends_with_a_higher_seq(self) -> bool {
        !self.is_final() && self != Self::Busy
    }
}

/// A worker hands over receipts, says what it still has, and by that asks for more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deliver {
    pub experiment: ExperimentId,
    pub receipts: List<Delivery, DELIVERIES_MAX>,
    pub holding: List<LeaseNumber, HOLDING_MAX>,
    pub free: u32,
    /// Position in the requester's durable order of verdicts up to which this station has read.
    pub cursor: u64,
    /// Leases given back, neither receipt nor fault.
    pub returned: List<(LeaseNumber, ReturnReason), HOLDING_MAX>,
}

/// What guests that run under leases of an experiment said last, for the researcher's eyes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    pub experiment: ExperimentId,
    pub said: List<Said, PROGRESS_MAX>,
}

/// A guest's words, which prove nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    pub lease: LeaseNumber,
    /// Of all it has to do; above 1,000 it is 1,000.
    pub permille: u32,
    pub message: Text<MESSAGE_BYTES_MAX>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    pub receipt: Signed<Receipt>,
    /// Present when the two together are at most [`INLINE_BYTES_MAX`]; else fetched by CID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Bytes<INLINE_BYTES_MAX>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript: Option<Bytes<INLINE_BYTES_MAX>>,
    /// The end of what the guest wrote to standard error. No receipt names it: it is for the researcher's eyes, and proves nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Bytes<LOG_BYTES_MAX>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReturnReason {
    /// Module or input could not be fetched.
    FetchFailed,
    /// The target's daily share is used up.
    TargetBusy,
    /// The station is going away, or its operator wants it quiet.
    Drain,
    /// The policy changed.
    Policy,
    /// The station itself failed.
    StationFailed,
    /// The job needs more stack or memory than the station's sandbox sets aside beside the job's own.
    Outgrown,
    /// The lease ran out before the guest ended.
    Expired,
    /// It ran long enough while another requester's job waited for its slot or memory; or it waited behind such a job and would not have been
    /// done in its time.
    MadeWay,
}

/// The requester's answer to a Deliver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ack {
    pub experiment: ExperimentId,
    pub node: NodeId,
    /// Receipt and verified output are durable at the requester.
    pub held: List<LeaseNumber, DELIVERIES_MAX>,
    pub refused: List<(LeaseNumber, ReceiptRefused), DELIVERIES_MAX>,
    /// When to deliver again what is in neither list, or to ask for more.
    pub again_ms: u32,
    /// On jobs this station has held receipts for, in durable order from `cursor`.
    pub verdicts: List<JobVerdict, ACK_VERDICTS_MAX>,
    /// The cursor after these verdicts.
    pub cursor: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leases: Option<Leases>,
    /// Set when there will be no more leases for this station until a higher `seq`, or ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_more: Option<ClaimRefused>,
}

impl Body for Ack {
    const KIND: &'static str = "ack/1";
}

/// Why a receipt will never count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReceiptRefused {
    /// No such lease, or another station's.
    NoLease,
    /// First delivered after the lease ended.
    Late,
    /// The signature does not match.
    Signature,
    /// Not the job, profile or experiment of the lease.
    Mismatch,
    /// Another receipt for the same lease is held that states another result: proof E1.
    Contradiction,
    /// The output is not what the receipt names, or did not come in time.
    Output,
    /// The experiment is closed.
    Closed,
}

/// Where an experiment stands at its requester.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    pub experiment: ExperimentId,
    pub jobs: u64,
    pub settled: u64,
    pub held: u64,
    pub outstanding: u64,
    pub claimants: u32,
    /// Pages of the Log so far.
    pub pages: u64,
    /// Root of the Log once closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Cid>,
}

/// Where a requester or worker may be reached: what the driver needs beside a [`NodeId`] to dial.
pub type At = List<Address, { crate::call::CALL_ADDRESSES_MAX }>;
