//! Groups: stations that are alike but for luck.
//!
//! Guarantees: the shares of a NAT mix sum to all; a kind of liar carries what it needs and nothing else. Deliberately lacks single
//! stations: a group of one is one.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use station_protocol::bounded::Name;
use station_protocol::human::Span;

use super::units::{Rate, Share};
use crate::net::region::Region;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    pub name: Name,
    pub count: u32,
    #[serde(default)]
    pub region: Place,
    #[serde(default = "line_default")]
    pub up: Rate,
    #[serde(default = "line_default")]
    pub down: Rate,
    /// From the station to its region's network, one way.
    #[serde(default = "last_mile_default")]
    pub last_mile: Span,
    #[serde(default)]
    pub nat: NatMix,
    #[serde(default)]
    pub firewall: Firewall,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub roles: BTreeSet<Role>,
    /// As in a policy file; absent is the node's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<toml::Table>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<Name, Vec<Name>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub byzantine: Option<Byzantine>,
    /// Speed of its processor, of the reference machine's.
    #[serde(default = "all")]
    pub cpu: Share,
    /// Jobs at the same time.
    #[serde(default = "one")]
    pub capacity: u32,
    /// Addresses: how many stations share a /24, like a hosting provider's. One: each has its own.
    #[serde(default = "one")]
    pub per_subnet: u32,
    /// The stations start one by one within this span, beginning at `at`.
    #[serde(default)]
    pub join: Join,
}

fn line_default() -> Rate {
    Rate(100_000_000)
}

fn last_mile_default() -> Span {
    Span(2)
}

pub(super) fn all() -> Share {
    Share::ALL
}

fn one() -> u32 {
    1
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Join {
    pub at: Span,
    pub within: Span,
}

impl Default for Join {
    fn default() -> Self {
        Self { at: Span(0), within: Span(10_000) }
    }
}

/// Where a station is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Place {
    /// Drawn by the network's weights.
    #[default]
    Weighted,
    In(Region),
}

impl TryFrom<String> for Place {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let wanted = || format!("{text:?} is no region: write \"weighted\" or one of {}", Region::ALL.map(Region::name).join(", "));
        if text == "weighted" { Ok(Self::Weighted) } else { Region::named(&text).map(Self::In).ok_or_else(wanted) }
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        match place {
            Place::Weighted => "weighted".into(),
            Place::In(region) => region.name().into(),
        }
    }
}

/// Which boxes the stations are behind: `"symmetric"`, or shares like `{ none = "10%", port_restricted = "90%" }` that sum to all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "toml::Value", into = "toml::Value")]
pub struct NatMix(pub BTreeMap<Name, Share>);

impl Default for NatMix {
    fn default() -> Self {
        Self(Name::new("none").into_iter().map(|name| (name, Share::ALL)).collect())
    }
}

impl TryFrom<toml::Value> for NatMix {
    type Error = String;
    fn try_from(value: toml::Value) -> Result<Self, String> {
        let name = |text: &str| Name::new(text).map_err(|error| error.to_string());
        let mix: BTreeMap<Name, Share> = match value {
            toml::Value::String(text) => [(name(&text)?, Share::ALL)].into(),
            toml::Value::Table(table) => {
                let share = |value: &toml::Value| value.as_str().unwrap_or_default().parse().map_err(|error| format!("{error}"));
                table.iter().map(|(key, value)| Ok::<_, String>((name(key)?, share(value)?))).collect::<Result<_, _>>()?
            }
            other => {
                return Err(format!("nat = {other} is no NAT mix: write nat = \"symmetric\" or nat = {{ none = \"10%\", symmetric = \"90%\" }}"));
            }
        };
        let sum: u64 = mix.values().map(|share| u64::from(share.get())).sum();
        if sum == u64::from(Share::ALL.get()) { Ok(Self(mix)) } else { Err("the shares of a NAT mix must sum to 100%".into()) }
    }
}

impl From<NatMix> for toml::Value {
    fn from(mix: NatMix) -> Self {
        match mix.0.first_key_value() {
            Some((name, share)) if *share == Share::ALL => Self::String(name.to_string()),
            _ => Self::Table(mix.0.into_iter().map(|(name, share)| (name.to_string(), Self::String(share.to_string()))).collect()),
        }
    }
}

/// What stands before a station beside NAT boxes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Firewall {
    #[default]
    None,
    /// Out is allowed; in only what answers.
    Stateful,
    /// Stateful, and no datagrams but DNS.
    UdpBlocked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Relay,
    DhtServer,
    /// In the network file: newcomers dial it first.
    Bootstrap,
    Autonat,
    /// Its requesters believe it: it runs the audits.
    Anchor,
}

/// How the stations of a group lie. `rate` is the share of jobs, or of messages, with which they do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Byzantine {
    /// An output of its own invention, another one each time.
    WrongResult {
        #[serde(default = "all")]
        rate: Share,
    },
    /// The cheapest output that looks right, without running.
    Lazy {
        #[serde(default = "all")]
        rate: Share,
    },
    /// What another station of the group found, without running.
    Copy {
        #[serde(default = "all")]
        rate: Share,
    },
    /// All stations of one clique say the same wrong output.
    Collude {
        clique: Name,
        #[serde(default = "all")]
        rate: Share,
    },
    /// Takes leases and never delivers.
    Withhold {
        #[serde(default = "all")]
        rate: Share,
    },
    /// Two different receipts for one lease.
    Equivocate {
        #[serde(default = "all")]
        rate: Share,
    },
    /// The truth, so much later.
    Late {
        by: Span,
        #[serde(default = "all")]
        rate: Share,
    },
    /// Searches for keys until Calls' samples include them.
    Grind {},
    /// Joins the mesh in numbers and forwards nothing.
    Sybil {},
    /// Surrounds the stations of one group and forwards nothing to them.
    Eclipse { victims: Name },
    /// Forwards everything but what one requester says.
    Censor { requester: Name },
    /// Announces messages that do not exist.
    IhaveSpam { per_second: u32 },
    /// Is there before everybody else, forwards nothing.
    ColdBoot {},
    /// Behaves until then, afterwards forwards nothing.
    CovertFlash { after: Span },
    /// Forwards copies whose signature has one bit flipped.
    FlipSignatures {},
    /// Sends messages that no version of the protocol knows.
    Nonsense { per_second: u32 },
    /// Publishes an experiment every so often, gives 32 leases to everybody at every chance and acknowledges nothing.
    LyingRequester { every: Span },
    /// Searches through so many keys, and tells records of those that count a topic for many.
    GroundCensus { keys: u32 },
    /// Publishes an experiment every so often, each under another key, whose module takes `compile`.
    CompileHogs { every: Span, compile: Span },
    /// Publishes Calls of fresh keys that say their requesters are at the machines of one honest requester.
    AddressWeapons { every: Span, victims: Name },
}
