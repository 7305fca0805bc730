//! [`Worker`]: the machine of a station that runs other people's jobs.
//!
//! ```text
//!  CallHeard ─► judged by policy ─► sampled ─► claim ─► leases ─► fetch ─► run ─► receipt durable ─► deliver until held
//!      │             └ declined         └ not         └ wait / refused          └ returned            └ outbox ends
//!      └ relayed to neighbours, given to those who ask (`Calls`)
//! ```
//!
//! Guarantees: contacts nobody and fetches nothing before its policy allowed it; runs no lease after it expired; lets no receipt
//! leave before it is durable; every map and queue has a bound. Deliberately lacks: sockets, the sandbox, the clock, and any
//! opinion on whether a result is right.

use std::net::IpAddr;

use cid::Cid;

use crate::address::{Address, Reach};
use crate::bounded::{Name, Text};
use crate::call::Call;
use crate::capability::Needs;
use crate::clock::Shift;
use crate::cluster::Cluster;
use crate::content::Content;
use crate::durable::{self, Ticket};
use crate::experiment::{EngineProfile, ExperimentId, Labels};
use crate::identity::{NodeId, Signed};
use crate::limits::Limits;
use crate::peer_action::PeerAction;
use crate::policy::Policy;
use crate::receipt::{Isolation, LeaseNumber, Outcome};
use crate::time::Time;
use crate::work::{At, ClaimRefused, DeclineReason, RELAYED_BYTES_MAX, ReceiptRefused, Request, Response, ReturnReason};

mod calls;
mod claims;
mod dials;
mod executions;
mod frames;
mod gauges;
mod guest_log;
mod introductions;
mod machine;
mod outbox;
mod peers;
mod probes;
mod progress;
mod questions;
mod rest;
mod schedule;
mod summary;
mod turns;
mod used;
mod way;
mod whereabouts;
mod work;

#[cfg(test)]
mod tests;

pub use executions::Saying;
pub use machine::{Standing, Worker};
pub use outbox::OUTBOX_UNKNOWN_MAX;
pub use rest::Rest;
pub use summary::Summary;
pub use turns::UNKNOWN_STRIDE;

/// The largest receipt with all that stands beside it: a relayed Deliver has room for one.
const RECEIPT_KEPT_BYTES_MAX: usize = RELAYED_BYTES_MAX - outbox::DELIVER_OVERHEAD_BYTES;
/// Bytes that the receipts for all strangers take in memory.
pub const STRANGERS_RECEIPTS_BYTES_MAX: usize = outbox::OUTBOX_STRANGERS_MAX * RECEIPT_KEPT_BYTES_MAX;

/// What a Worker knows of its station.
#[derive(Clone, Debug)]
pub struct Config {
    pub network: Name,
    /// Which addresses mean something there.
    pub reach: Reach,
    pub topics: Vec<Name>,
    pub policy: Policy,
    pub labels: Labels,
    pub isolation: Isolation,
    pub profiles: Vec<EngineProfile>,
    /// Executions at the same time, all experiments together.
    pub capacity: u32,
    /// What receipts name as the software, like `station/0.1.0`.
    pub software: Text<32>,
    /// Whether to run jobs of this station's own experiments as their anchor, without waiting for others.
    pub anchor: bool,
}

/// A remote's answer did not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendFailure {
    /// No connection could be made at any of the addresses.
    Unreachable,
    /// Somebody else answered at the address.
    WrongNode,
    /// Connected, but no answer in time or a broken one.
    NoAnswer,
    /// Connected through a relay, which carries no request as large as this one: it was not sent.
    TooLarge,
}

/// Content could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchFailure {
    NotFound,
    /// More bytes than the Content said, or hashes that do not match.
    Mismatch,
    TimedOut,
    /// It was ended because no lease waited for it; one that came meanwhile has it fetched again.
    Unwanted,
}

/// Where an answer came from. Whoever comes through relays of a network does not belong to it: anybody may have a place at many people's relays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Near {
    pub cluster: Cluster,
    pub is_relayed: bool,
}

impl Near {
    fn own(node: NodeId) -> Self {
        Self { cluster: Cluster::Own(node), is_relayed: false }
    }

    fn of_address(address: &Address, reach: Reach) -> Self {
        Self { cluster: Cluster::of_address(address, reach), is_relayed: address.relay().is_some() }
    }
}

/// How a Call reached this station.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// On gossip, forwarded by a neighbour that is seen in the network `near`, if that is known; the driver awaits [`Effect::Judge`] for the
    /// ticket.
    Gossip { from: NodeId, near: Option<Cluster>, ticket: Ticket },
    /// This station published it.
    Own,
}

#[derive(Clone, Debug)]
pub enum Event {
    /// A Call that passed [`crate::call::check`].
    CallHeard {
        call: Box<Signed<Call>>,
        via: Via,
    },
    /// A neighbour asks; only `Calls` and `Peers` come here.
    Asked {
        ask: Ticket,
        from: NodeId,
        request: Request,
    },
    /// What became of a [`Effect::Send`]. An answer came over a connection from the network `near`; from this station itself from none.
    Answered {
        send: Ticket,
        answer: Result<Response, SendFailure>,
        near: Option<Near>,
    },
    /// The content is in the station's store; a module is compiled, too.
    Fetched {
        fetch: Ticket,
        result: Result<(), FetchFailure>,
    },
    /// An execution ended.
    Finished {
        execution: Ticket,
        report: Result<Report, StationFailure>,
    },
    /// The guest of an execution says how far it is.
    Said {
        execution: Ticket,
        saying: Saying,
    },
    /// A topic peer is connected.
    Connected {
        node: NodeId,
        topics: Vec<Name>,
    },
    Disconnected {
        node: NodeId,
    },
    /// This station's own addresses, best first; empty until known.
    Addresses(At),
    /// A directly connected peer of the cluster `by` says that it sees this station at `ip`.
    Seen {
        by: Cluster,
        ip: IpAddr,
    },
    /// The operator changed what they allow, and how many executions at the same time: what runs beyond that is let run.
    PolicyChanged {
        policy: Box<Policy>,
        capacity: u32,
    },
    /// The operator wants no new work: until then, by the world's time, or until they say [`Event::Resume`]. Holds over restarts.
    Pause {
        until: Option<Time>,
    },
    Resume,
    /// Whether the machine runs on battery now.
    OnBattery(bool),
    /// Whether the disk has room for what work brings.
    Room(bool),
    /// Whether this machine can run anything at all.
    Fit(bool),
    /// How far the world's time is ahead of the one that events come with; before the first of these not at all.
    Clock(Shift),
    /// Finish what runs, take nothing new, deliver what there is.
    Drain,
    /// The deadline asked for by `next_deadline` has come.
    Tick,
}

/// What one execution gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub outcome: Outcome,
    pub output: Vec<u8>,
    /// Canonical DAG-CBOR; empty when the job made no host calls.
    pub transcript: Vec<u8>,
    /// What the guest wrote to standard error, or the end of it.
    pub log: Vec<u8>,
    pub fuel: u64,
    pub duration_ms: u64,
}

/// The station, not the guest, failed: nothing is signed, and the lease is returned unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StationFailure {
    Sandbox,
    /// This one job needs more stack or memory than the sandbox sets aside beside the job's own; other jobs are well.
    Outgrown,
    TargetBusy,
    Stopped,
    /// The module has to be compiled anew, and cannot be now: its requester cannot pay, or too many wait. The lease waits for it.
    NotNow,
}

/// Everything that an execution needs to know.
#[derive(Clone, Debug)]
pub struct Execution {
    pub experiment: ExperimentId,
    pub requester: NodeId,
    pub contact: Text<128>,
    pub index: u64,
    pub module: Content,
    pub profile: EngineProfile,
    pub limits: Limits,
    /// Needs ∩ policy at the time of the claim; the gate asks the policy again at each host call.
    pub granted: Needs,
    /// A pure job sees no clock and no entropy.
    pub pure: bool,
    /// Standard input.
    pub input: Vec<u8>,
}

#[derive(Clone, Debug)]
pub enum Effect {
    /// The gossip verdict for a Call: forward, drop silently, or punish the neighbour.
    Judge {
        ticket: Ticket,
        admission: Admission,
    },
    /// Connect if needed and ask. To one's own NodeId the driver goes from machine to machine.
    Send {
        send: Ticket,
        to: NodeId,
        at: At,
        request: Request,
    },
    Answer {
        ask: Ticket,
        response: Response,
    },
    /// Bring content into the station's store, from the requester or from whoever provides it.
    Fetch {
        fetch: Ticket,
        content: Content,
        requester: NodeId,
        at: At,
    },
    Start {
        execution: Ticket,
        job: Box<Execution>,
    },
    Stop {
        execution: Ticket,
    },
    /// The counted size of a topic, for the Requester of this station.
    Counted {
        topic: Name,
        stations: u64,
    },
    /// Peers of a topic worth being connected to.
    Neighbours {
        topic: Name,
        peers: Vec<(NodeId, At)>,
    },
    Report {
        node: NodeId,
        action: PeerAction,
    },
    /// What the clock of a connected peer says, to be compared with this station's.
    PeerTime {
        node: NodeId,
        time: Time,
    },
    Note(Note),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    Accept,
    Ignore,
    Reject,
}

/// What happened, for logs, metrics and `station why`. Never acted upon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    Heard {
        experiment: ExperimentId,
        seq: u64,
        requester: NodeId,
        /// The neighbour that told it first; none of an own Call.
        from: Option<NodeId>,
    },
    /// A Call was not kept because it begins so far ahead of this station's clock, or (negative) began so long ago.
    Untimely {
        experiment: ExperimentId,
        requester: NodeId,
        ahead_ms: i64,
    },
    NotSampled {
        experiment: ExperimentId,
    },
    Declined {
        experiment: ExperimentId,
        reason: DeclineReason,
    },
    Claimed {
        experiment: ExperimentId,
        requester: NodeId,
    },
    Refused {
        experiment: ExperimentId,
        reason: ClaimRefused,
    },
    Unreachable {
        experiment: ExperimentId,
        failure: SendFailure,
    },
    Leased {
        experiment: ExperimentId,
        leases: usize,
    },
    Started {
        experiment: ExperimentId,
        lease: LeaseNumber,
        index: u64,
    },
    Finished {
        experiment: ExperimentId,
        lease: LeaseNumber,
        index: u64,
        outcome: Outcome,
        fuel: u64,
        duration_ms: u64,
    },
    Returned {
        experiment: ExperimentId,
        lease: LeaseNumber,
        reason: ReturnReason,
    },
    Held {
        experiment: ExperimentId,
        lease: LeaseNumber,
    },
    ReceiptRefused {
        experiment: ExperimentId,
        lease: LeaseNumber,
        reason: ReceiptRefused,
    },
    Closed {
        experiment: ExperimentId,
        log: Cid,
    },
    /// Two Calls of one requester under one `seq` that say different things: proof E3 against it.
    Contradicted {
        experiment: ExperimentId,
        seq: u64,
        requester: NodeId,
    },
    /// Something was dropped because a bound was reached.
    Overflow {
        what: &'static str,
    },
    /// From now on nothing new is taken, for this reason; or it is again.
    Rests(Option<Rest>),
}

pub type Action = durable::Action<Effect>;
