//! [`Plan`]: a run as the world performs it, every choice made: stations with addresses and lines, work and faults with times.
//!
//! Guarantees: two equal plans with one seed are one run. Deliberately lacks distributions and defaults: `scenario` draws them.

use std::net::IpAddr;

use station_protocol::policy::Policy;

use crate::net::fabric::{Line, NodeIndex};
use crate::net::transport::Fidelity;

/// Everything about a run but its seed.
#[derive(Clone, Debug)]
pub struct Plan {
    pub name: String,
    pub duration_ms: u64,
    /// Until then nothing counts towards the figures.
    pub warmup_ms: u64,
    pub fidelity: Fidelity,
    pub stations: Vec<Member>,
    /// One way between the middles of regions, in ns.
    pub between_ns: Vec<Vec<u64>>,
    /// Up to so many millionths of the latency come on top.
    pub jitter: u32,
    /// How long a transaction takes on every disk.
    pub commit_ms: u64,
    pub work: Vec<Work>,
    pub faults: Vec<Fault>,
}

/// One station.
#[derive(Clone, Debug)]
pub struct Member {
    pub ip: IpAddr,
    pub line: Line,
    /// Its policy says what it does for others; whoever has the role `dht_server` is a bootstrap node of the network.
    pub policy: Policy,
    /// Jobs at the same time.
    pub capacity: u32,
    /// Fuel that its processor burns in a millisecond.
    pub fuel_per_ms: u64,
    /// How far its wall clock is ahead.
    pub skew_ms: i64,
    pub starts_ms: u64,
}

/// Experiments, published one after the other by stations that are drawn for it.
#[derive(Clone, Debug)]
pub struct Work {
    pub first_ms: u64,
    pub every_ms: u64,
    /// No later than this.
    pub until_ms: u64,
    /// Who may publish it.
    pub requesters: Vec<NodeIndex>,
    pub jobs: usize,
    /// Receipts that must agree.
    pub fixed: u16,
    pub deadline_ms: u64,
    /// What one job burns.
    pub fuel: u64,
}

#[derive(Clone, Debug)]
pub struct Fault {
    pub at_ms: u64,
    pub what: What,
}

#[derive(Clone, Debug)]
pub enum What {
    /// Nothing gets from the first to the second; with `both`, nor back.
    Cut {
        from: Vec<NodeIndex>,
        to: Vec<NodeIndex>,
        both: bool,
    },
    /// All cuts end.
    Heal,
    /// The processes die, with what their disks had not promised.
    Crash {
        stations: Vec<NodeIndex>,
    },
    /// They start again from their disks.
    Restart {
        stations: Vec<NodeIndex>,
    },
    /// The processes stand still while the world goes on.
    Pause {
        stations: Vec<NodeIndex>,
    },
    Resume {
        stations: Vec<NodeIndex>,
    },
    /// From now on so many millionths of segments are lost at each of them.
    Loss {
        stations: Vec<NodeIndex>,
        millionths: u32,
    },
}

impl What {
    /// For the trace and the report.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Cut { .. } => "cut",
            Self::Heal => "heal",
            Self::Crash { .. } => "crash",
            Self::Restart { .. } => "restart",
            Self::Pause { .. } => "pause",
            Self::Resume { .. } => "resume",
            Self::Loss { .. } => "loss",
        }
    }
}
