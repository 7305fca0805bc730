//! The operator's page as JSON: what a station does now, what it did for whom, and what is in force.
//!
//! Guarantees: sentences for people stand beside the values they are made of. Deliberately lacks making them: [`super::operator`] does.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Whether the station works, and why not.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StateBody {
    /// `working`, `idle`, or why nothing new is taken: `paused`, `hours`, `battery`, `disk`, `unfit`, `draining`.
    pub state: String,
    /// When that ends by itself, in milliseconds since the epoch.
    pub until: Option<u64>,
    pub says: String,
}

/// What the station takes of its machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MachineBody {
    /// Of the station itself, without its workers; nothing where the system does not tell.
    pub memory_bytes: Option<u64>,
    /// What may still be written before the end of the disk or of `disk` in station.toml.
    pub disk_room_bytes: u64,
    pub disk_max_bytes: u64,
}

/// A connected peer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PeerBody {
    pub node: String,
    /// `direct` or `relayed`.
    pub path: String,
    /// Its own, or its relay's.
    pub address: String,
    pub relay: Option<String>,
    /// Whether it speaks about topics of this network.
    pub on_topic: bool,
    /// What it says that it runs; empty before it said so.
    #[serde(default)]
    pub software: String,
}

/// Whether others reach this station.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReachBody {
    /// Direct connections that others opened since the start.
    pub from_others: u64,
    pub says: String,
}

/// One address of the network file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BootstrapBody {
    pub address: String,
    /// `connected`, `elsewhere` (its station is connected, not at this address), `own`, `asked`, `unasked`, `lost`, `failed`, `wrong_node`, `other_network` or `no_station`.
    pub state: String,
    /// Whether its operator should look at it.
    pub bad: bool,
    pub ago_ms: u64,
    pub says: String,
}

/// One of the operator's files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FileBody {
    pub file: String,
    pub in_force: bool,
    /// What is not in force, and what to do.
    pub says: Option<String>,
}

/// A budget of the policy.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BudgetBody {
    /// `jobs at once`, `memory` (bytes) or `bytes today`.
    pub what: String,
    pub used: u64,
    pub max: u64,
}

/// A row of the policy and what is used of it today.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RuleBody {
    /// A bundled name or a CID.
    pub module: Option<String>,
    pub requester: Option<String>,
    pub capability: String,
    pub targets: Vec<String>,
    pub per_day: u64,
    /// Requests of today to each target that the row covers, the most first. A target is a registrable domain, whoever asked for it.
    pub used: Vec<(String, u64)>,
}

/// What the policy allows, and what is used of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BudgetsBody {
    pub budgets: Vec<BudgetBody>,
    /// Of the UTC day.
    pub hours: String,
    pub on_battery: bool,
    pub rules: Vec<RuleBody>,
}

/// Open experiments that this station declines for one reason.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeclinedBody {
    pub reason: String,
    pub experiments: u64,
    pub says: String,
    /// What would allow them.
    pub command: Option<String>,
}

/// `GET /v1/policy`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PolicyBody {
    /// sha2-256 of the file's bytes in hexadecimal, as claims name it.
    pub hash: String,
    /// Every setting as it is understood.
    pub policy: serde_json::Value,
    /// The file's bytes that are in force.
    pub text: String,
    pub file: FileBody,
}

/// `POST /v1/pause`.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PauseBody {
    /// How long; until it is resumed, if not given.
    #[serde(default)]
    pub for_ms: Option<u64>,
}

/// The answer to a pause and to its end.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct PausedBody {
    /// Whether it was paused before.
    pub before: bool,
    pub paused: bool,
    /// Milliseconds since the epoch.
    pub until: Option<u64>,
}

/// `GET /v1/activity?since=<ms since the epoch>`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ActivityBody {
    /// The clock of the station, in milliseconds since the epoch.
    pub now: u64,
    pub since: u64,
    /// The earliest first.
    pub spans: Vec<SpanBody>,
}

/// What was done in an hour, in a day, or before all days that are kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SpanBody {
    /// `hour`, `day` or `earlier`.
    pub span: String,
    pub begins: u64,
    pub rows: Vec<RowBody>,
    /// Experiments that were found to be declined, by reason.
    pub declined: BTreeMap<String, u64>,
}

/// What was done for one party.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RowBody {
    /// Nothing for all those together that have no row of their own.
    pub requester: Option<String>,
    /// Its CID.
    pub module: Option<String>,
    pub module_name: Option<String>,
    pub first: u64,
    pub last: u64,
    pub jobs: u64,
    pub outcomes: BTreeMap<String, u64>,
    pub cpu_ms: u64,
    /// Whether every job's processor time is known; of the others it is how long they had a slot.
    pub cpu_is_exact: bool,
    pub slot_ms: u64,
    /// At the sockets of host calls.
    pub in_bytes: u64,
    pub out_bytes: u64,
    pub hosts: Vec<HostBody>,
}

/// What went to one host.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct HostBody {
    /// Nothing for all those together that have no name here.
    pub host: Option<String>,
    pub requests: u64,
    /// Of bodies that came.
    pub bytes: u64,
    /// Requests of which nothing was sent, by reason.
    pub refused: BTreeMap<String, u64>,
}
