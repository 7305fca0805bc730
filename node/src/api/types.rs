//! What the API says and hears, as JSON. The command line uses the same types.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::page::{ActivityBody, BootstrapBody, BudgetsBody, DeclinedBody, FileBody, MachineBody, PeerBody, ReachBody, StateBody};

/// `GET /v1/status`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StatusBody {
    pub node: String,
    pub network: String,
    pub software: String,
    /// That others say they run a newer version, in words.
    #[serde(default)]
    pub newer: Option<String>,
    pub isolation: String,
    /// When it started and what its clock says, in milliseconds since the epoch. The time between is what passed while the machine was awake,
    /// however its clock was set meanwhile.
    pub started: u64,
    pub now: u64,
    pub state: StateBody,
    pub machine: MachineBody,
    /// Jobs at the same time, by the policy in force.
    pub capacity: u32,
    /// How this clock differs from that of most peers and what to do, where it does.
    pub clock: Option<String>,
    /// Why this machine can run nothing, and what to look at, where that was found.
    pub unfit: Option<String>,
    pub addresses: Vec<String>,
    pub connected: Vec<String>,
    /// Everybody who is connected, and the way to them.
    pub peers: Vec<PeerBody>,
    pub reach: ReachBody,
    pub bootstraps: Vec<BootstrapBody>,
    /// Whether what stands in the operator's files is in force.
    pub files: Vec<FileBody>,
    pub budgets: BudgetsBody,
    /// Open experiments that are declined, and what would allow them.
    pub declined: Vec<DeclinedBody>,
    /// What was done for whom in the last 24 hours.
    pub activity: ActivityBody,
    /// Topic → counted stations.
    pub topics: BTreeMap<String, u64>,
    pub running: usize,
    /// Receipts waiting to be held by their requesters.
    pub outbox: usize,
    /// Experiments of others, as this station sees them.
    pub calls: Vec<CallBody>,
    /// Experiments of this station.
    pub own: Vec<String>,
    /// What strangers made this station do since it started, kind by kind.
    pub accounts: BTreeMap<String, AccountBody>,
    /// How full everything is that has a bound.
    pub bounds: BTreeMap<String, BoundBody>,
}

/// One kind of work, in its units.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct AccountBody {
    /// Done.
    pub charged: u64,
    /// Not done, because somebody was over the share.
    pub refused: u64,
    /// How often somebody who went on was let go.
    pub let_go: u64,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct BoundBody {
    pub now: usize,
    pub max: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CallBody {
    pub experiment: String,
    pub name: String,
    pub requester: String,
    pub topic: String,
    /// Its CID, and its name where it is bundled.
    pub module: String,
    pub module_name: Option<String>,
    /// Capabilities with their targets, like `http a.example:443`.
    pub needs: Vec<String>,
    pub running: usize,
    /// What guests that run say of how far they are: a stranger's words.
    #[serde(default)]
    pub said: Vec<SayingBody>,
    /// Leases that wait, and receipts that are to be delivered.
    pub queued: usize,
    pub outbox: usize,
    /// What this station does about it and why.
    pub standing: String,
}

/// What a guest says of how far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SayingBody {
    /// At most 1,000.
    pub permille: u32,
    pub message: String,
}

/// The same as a station brought it to the requester: nobody signed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeardBody {
    pub job: u64,
    pub node: String,
    /// Milliseconds since the epoch, by the clock of this station.
    pub heard: u64,
    #[serde(flatten)]
    pub saying: SayingBody,
}

/// `POST /v1/content` answers this.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ContentBody {
    pub cid: String,
    pub bytes: u64,
}

/// `POST /v1/experiments`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishBody {
    /// The experiment file as text.
    pub file: String,
    /// The module, uploaded before with `POST /v1/content`; none when the file names a bundled one or a CID known here.
    #[serde(default)]
    pub module: Option<ContentBody>,
    /// What `POST /v1/inputs` answered, when the experiment file names a file of inputs.
    #[serde(default)]
    pub inputs: Option<String>,
}

/// `POST /v1/inputs` answers this.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct InputsBody {
    /// To be named in the publication that takes them.
    pub inputs: String,
    pub count: u64,
    /// Of CSV: each column, and whether it is one of `whole` numbers, of `decimal` ones, or `text`.
    pub columns: Vec<(String, String)>,
}

/// The answer to a publication.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PublishedBody {
    pub experiment: String,
    pub name: String,
    /// What makes it unlikely to end as it is meant, in sentences.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// `GET /v1/node`: whose API this is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeBody {
    pub node: String,
}

/// `GET /v1/experiments/{id}`: where it stands, and why it does not move.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExperimentBody {
    pub experiment: String,
    pub name: String,
    pub topic: String,
    /// Milliseconds since the epoch, by the clock of this station.
    pub published: u64,
    pub jobs: u64,
    pub settled: u64,
    pub held: u64,
    pub outstanding: u64,
    pub closed: bool,
    /// Milliseconds since the epoch.
    pub deadline: u64,
    pub log: Option<String>,
    /// Executions that each job wants.
    pub wanted: u64,
    /// Stations that the topic counts, this one among them; how many are connected with this one; how many the present Call asks.
    pub stations: u64,
    pub connected: u64,
    pub sampled: u64,
    pub claimants: u64,
    /// Of the claimants without a job: those that take none now, and those that lost or gave back their last ones and get the next later.
    #[serde(default)]
    pub full: u64,
    #[serde(default)]
    pub resting: u64,
    /// What guests that run say of how far they are, the newest leases first: strangers' words.
    #[serde(default)]
    pub said: Vec<HeardBody>,
    /// What it needs, like `http *.ipfs.io:443`, and the labels it asks for, like `region = eu or na`.
    pub needs: Vec<String>,
    pub labels: Vec<String>,
    /// Why claims were refused, and how often.
    pub refusals: BTreeMap<String, u64>,
    /// Why stations said they do not claim, and how many.
    pub declines: BTreeMap<String, u64>,
    /// How executions ended that brought no answer, and how many.
    pub failures: BTreeMap<String, u64>,
    /// What would change it, in sentences; at least one while it is open.
    pub advice: Vec<String>,
}

/// `GET /v1/experiments/{id}/verification`: every signature and verdict of the Log was checked again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VerificationBody {
    pub experiment: String,
    pub settled: u64,
    pub receipts: u64,
    /// Receipts that came after their job was settled.
    pub late: u64,
    /// Outputs and transcripts that receipts name and that are not here; no verdict needed them.
    pub absent: u64,
    /// Whether inputs were compared with the jobs of the experiment, whose blocks are here.
    pub inputs: bool,
    /// What no Log proves, in plain words.
    pub unproved: Vec<String>,
}

/// Any answer that is not 2xx.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ErrorBody {
    pub error: String,
}
