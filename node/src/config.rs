//! What an operator sets: `station.toml` ([`Config`]) and the network file ([`NetworkFile`]).
//!
//! Every setting and its default stands on this page and is written out by `station init`. Guarantees: unknown keys are errors that
//! name the key. Deliberately lacks the policy: what a station may do for others is `policy.toml` (see `station_protocol::policy`).

use std::collections::BTreeMap;
use std::net::SocketAddr;

use libp2p::Multiaddr;
use serde::{Deserialize, Serialize};
use station_protocol::address::Reach;
use station_protocol::bounded::{List, Name};
use station_protocol::experiment::{LABEL_VALUES_MAX, Labels};
use station_protocol::human::{Cores, Size};

use crate::network::GossipConfig;

mod labels;

/// Why a file an operator wrote is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {reason}")]
pub struct ConfigError {
    pub file: String,
    pub reason: String,
}

/// `station.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where to listen for other stations.
    pub listen: Vec<Multiaddr>,
    /// Addresses to announce beside those that others see, for a station behind a port forwarding.
    pub announce: Vec<Multiaddr>,
    /// Whether to ask others that relay for a place while nobody can dial this station.
    pub use_relays: bool,
    /// Where the control API listens: loopback only. Port 0 takes a free one, written to `api.addr`.
    pub api: SocketAddr,
    /// Jobs run at the same time; 0 is one less than the processors, at least one. The policy's `budget.cpu` bounds it.
    pub capacity: u32,
    /// Whether this station runs jobs of its own experiments without waiting for others.
    pub anchor: bool,
    /// Most that the store may take on the disk: receipts, results, modules. Compiled modules take another GiB at most.
    pub disk: Size,
    /// What this station says of itself, like `region = ["eu"]`.
    #[serde(deserialize_with = "labels::read")]
    pub labels: BTreeMap<Name, Vec<Name>>,
    /// Not in the file: what is compared in the simulator.
    #[serde(skip)]
    pub gossip: GossipConfig,
}

impl Default for Config {
    fn default() -> Self {
        let addresses = ["/ip4/0.0.0.0/tcp/4710", "/ip4/0.0.0.0/udp/4710/quic-v1"];
        Self {
            listen: addresses.iter().map(|address| address.parse().expect("our own addresses parse")).collect(),
            announce: Vec::new(),
            use_relays: true,
            api: SocketAddr::from(([127, 0, 0, 1], 4711)),
            capacity: 0,
            anchor: false,
            disk: Size(8 << 30),
            labels: BTreeMap::new(),
            gossip: GossipConfig::default(),
        }
    }
}

/// The commented page that `station init` writes: what [`Config::default`] means, in words.
pub const CONFIG_PAGE: &str = r#"# Every setting of a station with its default. Remove the '#' to change one; unknown keys are errors.

# Where to listen for other stations (TCP and QUIC).
# listen = ["/ip4/0.0.0.0/tcp/4710", "/ip4/0.0.0.0/udp/4710/quic-v1"]

# Addresses to announce beside those that others see: for a station behind a port forwarding.
# announce = []

# Whether to ask stations that relay for a place while this one has no public address, so that others reach it all the same.
# use_relays = true

# Where the control API listens: loopback only. Port 0 takes a free one, written to the file api.addr.
# api = "127.0.0.1:4711"

# Jobs run at the same time; 0 is one less than the processors, at least one. The policy's budget.cpu bounds it.
# capacity = 0

# Whether this station runs jobs of its own experiments without waiting for others.
# anchor = false

# Most that the store may take on the disk: receipts, results, modules. Above it fetched modules are dropped first, then no work is
# taken, then the station stops. Compiled modules take another GiB at most.
# disk = "8GiB"

# What this station says of itself; experiments may ask for it.
# [labels]
# region = ["eu"]
"#;

impl Config {
    /// Parses `station.toml`.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let refuse = |reason: String| ConfigError { file: "station.toml".into(), reason };
        let config: Self = toml::from_str(text).map_err(|error| refuse(error.to_string()))?;
        if !config.api.ip().is_loopback() {
            return Err(refuse(format!(
                "api = \"{}\" is not a loopback address; the API controls this station and is for this machine only",
                config.api
            )));
        }
        config.labels().map_err(refuse)?;
        Ok(config)
    }

    /// The labels as claims carry them.
    pub fn labels(&self) -> Result<Labels, String> {
        let too_many = |name: &Name| format!("label {name} has more than {LABEL_VALUES_MAX} values");
        let of = |(name, values): (&Name, &Vec<Name>)| Ok((name.clone(), List::new(values.clone()).map_err(|_| too_many(name))?));
        let labels: Vec<_> = self.labels.iter().map(of).collect::<Result<_, String>>()?;
        Labels::of(labels).map_err(|error| error.to_string())
    }

    /// Jobs at the same time on a machine with `processors` of which the policy gives `cores`; none when the machine offers none (a
    /// station that only publishes). A guest is one thread, so as many jobs use at most as many cores.
    #[must_use]
    pub fn capacity_on(&self, processors: usize, cores: Cores) -> u32 {
        if processors == 0 {
            return 0;
        }
        let budget = cores.0.div_ceil(1_000).max(1);
        let wished = if self.capacity > 0 { self.capacity } else { u32::try_from(processors.saturating_sub(1)).unwrap_or(u32::MAX).clamp(1, 64) };
        wished.min(budget)
    }
}

/// A network is one file: its name is in every protocol id and signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkFile {
    pub name: Name,
    /// A network of one machine or one room: private and loopback addresses of stations count.
    #[serde(default)]
    pub lan: bool,
    /// Stations that newcomers dial first, each ending in `/p2p/<node id>`.
    #[serde(default)]
    pub bootstrap: Vec<Multiaddr>,
    pub topics: Vec<Name>,
}

/// Most topics in a network: each is a gossip mesh of its own.
pub const TOPICS_MAX: usize = 32;
/// Most bootstrap addresses: more only slow the start.
pub const BOOTSTRAP_MAX: usize = 32;

impl NetworkFile {
    /// Which addresses of stations mean something on it.
    #[must_use]
    pub fn reach(&self) -> Reach {
        if self.lan { Reach::Any } else { Reach::Global }
    }

    /// Parses a network file.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let refuse = |reason: String| ConfigError { file: "network.toml".into(), reason };
        let network: Self = toml::from_str(text).map_err(|error| refuse(error.to_string()))?;
        if network.topics.is_empty() || network.topics.len() > TOPICS_MAX {
            return Err(refuse(format!("it has {} topics; 1 to {TOPICS_MAX} are possible", network.topics.len())));
        }
        if network.bootstrap.len() > BOOTSTRAP_MAX {
            return Err(refuse(format!("it has {} bootstrap addresses, more than {BOOTSTRAP_MAX}", network.bootstrap.len())));
        }
        for address in &network.bootstrap {
            if !matches!(address.iter().last(), Some(libp2p::multiaddr::Protocol::P2p(_))) {
                return Err(refuse(format!("bootstrap address {address} does not end in /p2p/<node id>; `station id` prints whole ones")));
            }
        }
        Ok(network)
    }
}

#[cfg(test)]
mod tests;
