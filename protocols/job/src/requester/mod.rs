//! [`Requester`]: the machine of a researcher's side, all experiments of one station.
//!
//! ```text
//!  Publish ─► Call (durable seq) ─► claims ─► deal leases (durable numbers) ─► receipts held (durable) ─► verdict ─► page
//!     │          └ renew, widen                    └ expire ─► deal anew                        └ Ack           │
//!     └ refused: says why                                                         all settled or deadline ─► root ─► Closed
//! ```
//!
//! Guarantees: a job is settled once; no execution counts after its lease expired; a verdict never has two receipts of one node;
//! seq, lease numbers, receipts and verdicts are durable before they are sent; settled jobs leave memory as pages of the Log.
//! Deliberately lacks: sockets, the clock, and any way to change a verdict.

use std::collections::BTreeMap;

use cid::Cid;

mod claim;
mod context;
mod deal;
mod deliver;
mod gauges;
mod logs;
mod losers;
mod machine;
mod open;
mod overdue;
mod progress;
mod ranges;
mod records;
mod restore;
mod run;
mod settle;
mod share;
#[cfg(test)]
mod tests;
mod untold;

pub use machine::{CLOSED_MAX, OPEN_MAX, Requester};
pub use progress::{Heard, SAID_MAX};
pub use ranges::Ranges;
pub use records::is_for_others;

use crate::bounded::{Name, Text};
use crate::call::Call;
use crate::capability::Needs;
use crate::clock::Shift;
use crate::cluster::Cluster;
use crate::content::Content;
use crate::durable::{self, Ticket};
use crate::experiment::{Class, EngineProfile, ExperimentId, InputForm, Labels, OutputForm};
use crate::identity::{NodeId, Signed};
use crate::jobs::Jobs;
use crate::limits::Limits;
use crate::peer_action::PeerAction;
use crate::receipt::{LeaseNumber, Outcome};
use crate::time::Time;
use crate::verdict::JobVerdict;
use crate::work::{At, ClaimRefused, DeclineReason, ReceiptRefused, Request, Response, Status};
use crate::worker::FetchFailure;

/// What a Requester knows of its station.
#[derive(Clone, Debug)]
pub struct Config {
    pub network: Name,
}

/// What a researcher hands in; the machine makes the Experiment of it.
#[derive(Clone, Debug)]
pub struct Draft {
    pub name: Text<64>,
    pub topic: Name,
    pub module: Content,
    pub profile: EngineProfile,
    pub needs: Needs,
    pub limits: Limits,
    pub class: Class,
    pub labels: Labels,
    pub contact: Text<128>,
    /// From publication to the absolute deadline.
    pub deadline_ms: u64,
    pub jobs: Jobs,
    /// Input key naming the target.
    pub target: Option<Text<64>>,
    pub input: InputForm,
    pub output: OutputForm,
    pub previous: Option<Cid>,
    /// Jobs dealt and not settled at a time, where it is to be fewer than the machine allows itself.
    pub at_once: Option<u32>,
}

/// The station at the other end of a question, as the connection proves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    pub node: NodeId,
    pub cluster: Cluster,
    /// Whether the connection goes through a relay: its frames are smaller, and a sample leaves it out.
    pub is_relayed: bool,
}

#[derive(Clone, Debug)]
pub enum Event {
    Publish {
        publish: Ticket,
        draft: Box<Draft>,
        /// Blocks of its module that are in the store: the experiment owns them from here on.
        module: Vec<Cid>,
    },
    /// Close now; what is unsettled expires.
    Cancel { experiment: ExperimentId },
    /// A station asks; `Claim`, `Decline`, `Deliver`, `Progress` and `Status` come here.
    Asked { ask: Ticket, from: Peer, request: Request },
    /// The bytes of an output or transcript that was asked for.
    Fetched { fetch: Ticket, result: Result<Vec<u8>, FetchFailure> },
    /// The counted size of a topic, this station included.
    Counted { topic: Name, stations: u64 },
    /// This station's own addresses, best first.
    Addresses(At),
    /// How far the world's time is ahead of the one that events come with; before the first of these not at all.
    Clock(Shift),
    /// The deadline asked for by `next_deadline` has come.
    Tick,
}

#[derive(Clone, Debug)]
pub enum Effect {
    Published {
        publish: Ticket,
        result: Result<ExperimentId, PublishError>,
    },
    /// Gossip on the Call's topic, and show to this station's own Worker.
    Gossip(Box<Signed<Call>>),
    Answer {
        ask: Ticket,
        response: Response,
    },
    /// Bring content from the station that delivered its receipt.
    Fetch {
        fetch: Ticket,
        content: Content,
        from: NodeId,
    },
    Report {
        node: NodeId,
        action: PeerAction,
    },
    Note(Note),
}

/// Why an experiment is not published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    #[error("its Call takes {bytes} bytes, more than {max}; the largest field is {field} with {field_bytes}", max = crate::call::CALL_BYTES_MAX)]
    TooLarge { bytes: usize, field: &'static str, field_bytes: usize },
    #[error(transparent)]
    Experiment(#[from] crate::experiment::ExperimentError),
    #[error("{0} experiments are open at this station already")]
    TooManyOpen(usize),
    #[error(
        "{executions} receipts of a job with these labels are more than an entry of the Log holds, which is {most}: want fewer, or shorten [where]"
    )]
    TooManyReceipts { executions: u32, most: u32 },
    #[error("only fixed:N trust is implemented for pure jobs: write trust = \"fixed:3\"")]
    TrustNotImplemented,
    #[error("self-verifying experiments are not implemented yet: publish it as pure or as a measurement")]
    SelfVerifyingNotImplemented,
}

/// What happened, for progress, logs and `station watch`. Never acted upon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    Called {
        experiment: ExperimentId,
        seq: u64,
        claim_below: u64,
    },
    Claimed {
        experiment: ExperimentId,
        node: NodeId,
    },
    /// The first station that claims from an address which is not global, though the network is public: all such share one seat.
    Unplaced {
        experiment: ExperimentId,
        node: NodeId,
    },
    Refused {
        experiment: ExperimentId,
        node: NodeId,
        reason: ClaimRefused,
    },
    Declined {
        experiment: ExperimentId,
        node: NodeId,
        reason: DeclineReason,
    },
    Leased {
        experiment: ExperimentId,
        node: NodeId,
        leases: usize,
    },
    Expired {
        experiment: ExperimentId,
        node: NodeId,
        lease: LeaseNumber,
    },
    Held {
        experiment: ExperimentId,
        node: NodeId,
        lease: LeaseNumber,
        index: u64,
    },
    ReceiptRefused {
        experiment: ExperimentId,
        node: NodeId,
        lease: LeaseNumber,
        reason: ReceiptRefused,
    },
    Settled {
        experiment: ExperimentId,
        verdict: JobVerdict,
        settled: u64,
        jobs: u64,
    },
    Closed {
        experiment: ExperimentId,
        log: Cid,
    },
}

pub type Action = durable::Action<Effect>;

/// Why an experiment moves as it does: for `station watch` and `station why`.
#[derive(Clone, Debug, Default)]
pub struct Explanation {
    /// Stations that claimed, ever.
    pub claimants: u64,
    /// Of them, without a lease: those that said in their last message that they take nothing now, and those that lost or gave back their
    /// last leases and get the next after a pause.
    pub full: u64,
    pub resting: u64,
    /// Claims from addresses that are not global, on a public network: all of them are one cluster.
    pub unplaced: u64,
    pub refusals: BTreeMap<ClaimRefused, u64>,
    /// Stations that said why they do not claim, by the last reason of each.
    pub declines: BTreeMap<DeclineReason, u64>,
    /// Executions that ended without an answer, by how. Of more than [`FAILURES_MAX`] ways the first are told apart.
    pub failures: BTreeMap<Outcome, u64>,
    /// How many stations the topic counts, and how many of them the present Call asks.
    pub stations: u64,
    pub sampled: u64,
}

/// Ways to fail that one experiment tells apart: a guest chooses its exit code.
pub const FAILURES_MAX: usize = 16;

impl Explanation {
    /// One more execution ended so.
    pub(crate) fn ended(&mut self, outcome: &Outcome) {
        let is_told = !outcome.is_answer() && (self.failures.len() < FAILURES_MAX || self.failures.contains_key(outcome));
        if is_told {
            *self.failures.entry(outcome.clone()).or_default() += 1;
        }
    }
}

/// One experiment as its requester sees it now.
#[derive(Clone, Debug)]
pub struct View {
    pub call: Signed<Call>,
    pub status: Status,
    pub explanation: Explanation,
    /// By this requester's clock.
    pub published: Time,
    pub closed: Option<Time>,
    /// What guests that run say of how far they are, at most [`SAID_MAX`]: strangers' words, not kept over a restart.
    pub said: Vec<Heard>,
    /// Pages of the Log that are durable, in order.
    pub pages: Vec<Cid>,
    /// The ends of guests' logs that stations brought, by lease: in the store. Nobody signed them, and nothing rests on them.
    pub logs: BTreeMap<LeaseNumber, Cid>,
    /// Settled jobs that no page holds yet.
    pub settled: Vec<crate::log::SettledJob>,
}
