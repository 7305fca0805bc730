//! Faults: what befalls the network, when, and for how long.
//!
//! Guarantees: a fault is of exactly one kind; whom it befalls is named and exists. Deliberately lacks probabilities of faults: luck
//! chooses victims, the scenario chooses faults.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use station_protocol::bounded::Name;
use station_protocol::human::Span;

use super::group::{Role, all};
use super::units::Share;
use crate::net::region::Region;

/// Some of the stations.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Who {
    Everyone,
    Group(Name),
    Requester(Name),
    Region(Region),
    Role(Role),
}

const WHO: &str =
    "write \"everyone\", \"group:<name>\", \"requester:<name>\", \"region:<name>\" or \"role:relay\" (or dht_server, bootstrap, autonat, anchor)";

const ROLES: [(&str, Role); 5] =
    [("relay", Role::Relay), ("dht_server", Role::DhtServer), ("bootstrap", Role::Bootstrap), ("autonat", Role::Autonat), ("anchor", Role::Anchor)];

impl FromStr for Who {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let who = match text.split_once(':') {
            None if text == "everyone" => Some(Self::Everyone),
            Some(("group", name)) => Name::new(name).ok().map(Self::Group),
            Some(("requester", name)) => Name::new(name).ok().map(Self::Requester),
            Some(("region", name)) => Region::named(name).map(Self::Region),
            Some(("role", name)) => ROLES.iter().find(|(word, _)| *word == name).map(|(_, role)| Self::Role(*role)),
            _ => None,
        };
        who.ok_or_else(|| format!("{text:?} names no stations: {WHO}"))
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everyone => f.write_str("everyone"),
            Self::Group(name) => write!(f, "group:{name}"),
            Self::Requester(name) => write!(f, "requester:{name}"),
            Self::Region(region) => write!(f, "region:{}", region.name()),
            Self::Role(role) => write!(f, "role:{}", ROLES.iter().find(|(_, known)| known == role).map_or("", |(word, _)| word)),
        }
    }
}

impl TryFrom<String> for Who {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Who> for String {
    fn from(who: Who) -> Self {
        who.to_string()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Raw", into = "Raw")]
pub struct Fault {
    pub at: Span,
    /// Absent: until the end.
    pub lasts: Option<Span>,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Partition(Partition),
    Loss(Loss),
    Latency(Latency),
    Crash(Crash),
    /// Their processes stand still while the world goes on.
    Pause(Victims),
    /// Their operators pause them: they run, take nothing new, and finish what they have.
    Rest(Victims),
    Skew(Skew),
    /// Nothing gets to them or from them, and their processes go on: a lost relay, a bootstrap node that is down.
    Unplug(Victims),
}

/// Nothing passes between two sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partition {
    pub from: Vec<Who>,
    /// Empty: everyone else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<Who>,
    /// Only what goes from the first side to the second is lost.
    #[serde(default)]
    pub one_way: bool,
}

/// Of every segment and datagram from and to them, in place of the network's loss.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loss {
    pub who: Who,
    pub share: Share,
}

/// One way, on top of every latency from and to them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    pub who: Who,
    pub add: Span,
}

/// Their processes die; they start again from their disks when the fault ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crash {
    pub who: Who,
    #[serde(default = "all")]
    pub share: Share,
    #[serde(default)]
    pub disk: Disk,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disk {
    Kept,
    /// Writes that no transaction promised are gone.
    #[default]
    LoseUnsynced,
}

/// A share of some stations, drawn by luck.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Victims {
    pub who: Who,
    #[serde(default = "all")]
    pub share: Share,
}

/// Their wall clocks jump.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Skew {
    pub who: Who,
    #[serde(default = "all")]
    pub share: Share,
    pub by: Span,
    /// Back instead of ahead.
    #[serde(default)]
    pub back: bool,
}

/// As it is written: the kind is the key.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    at: Span,
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    lasts: Option<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    partition: Option<Partition>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    loss: Option<Loss>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    latency: Option<Latency>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crash: Option<Crash>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pause: Option<Victims>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rest: Option<Victims>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    skew: Option<Skew>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unplug: Option<Victims>,
}

impl TryFrom<Raw> for Fault {
    type Error = String;
    fn try_from(raw: Raw) -> Result<Self, String> {
        let kinds = [
            raw.partition.map(Kind::Partition),
            raw.loss.map(Kind::Loss),
            raw.latency.map(Kind::Latency),
            raw.crash.map(Kind::Crash),
            raw.pause.map(Kind::Pause),
            raw.rest.map(Kind::Rest),
            raw.skew.map(Kind::Skew),
            raw.unplug.map(Kind::Unplug),
        ];
        let mut kinds = kinds.into_iter().flatten();
        match (kinds.next(), kinds.next()) {
            (Some(kind), None) => Ok(Self { at: raw.at, lasts: raw.lasts, kind }),
            _ => Err("a fault is of exactly one kind: write one of partition, loss, latency, crash, pause, rest, skew, unplug, like crash = { who = \"group:home\" }; \
                      for two faults write two [[fault]] tables"
                .into()),
        }
    }
}

impl From<Fault> for Raw {
    fn from(fault: Fault) -> Self {
        let Fault { at, lasts, kind } = fault;
        let mut raw = Self { at, lasts, partition: None, loss: None, latency: None, crash: None, pause: None, rest: None, skew: None, unplug: None };
        match kind {
            Kind::Partition(partition) => raw.partition = Some(partition),
            Kind::Loss(loss) => raw.loss = Some(loss),
            Kind::Latency(latency) => raw.latency = Some(latency),
            Kind::Crash(crash) => raw.crash = Some(crash),
            Kind::Pause(victims) => raw.pause = Some(victims),
            Kind::Rest(victims) => raw.rest = Some(victims),
            Kind::Skew(skew) => raw.skew = Some(skew),
            Kind::Unplug(victims) => raw.unplug = Some(victims),
        }
        raw
    }
}

impl Fault {
    /// Everybody it names.
    pub fn whom(&self) -> Vec<&Who> {
        match &self.kind {
            Kind::Partition(Partition { from, to, .. }) => from.iter().chain(to).collect(),
            Kind::Loss(Loss { who, .. })
            | Kind::Latency(Latency { who, .. })
            | Kind::Crash(Crash { who, .. })
            | Kind::Pause(Victims { who, .. })
            | Kind::Rest(Victims { who, .. })
            | Kind::Skew(Skew { who, .. })
            | Kind::Unplug(Victims { who, .. }) => vec![who],
        }
    }

    /// The key that says its kind.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self.kind {
            Kind::Partition(_) => "partition",
            Kind::Loss(_) => "loss",
            Kind::Latency(_) => "latency",
            Kind::Crash(_) => "crash",
            Kind::Pause(_) => "pause",
            Kind::Rest(_) => "rest",
            Kind::Skew(_) => "skew",
            Kind::Unplug(_) => "unplug",
        }
    }
}
