//! Work: who publishes what, and the internet that it measures.
//!
//! Guarantees: a class carries its own settings; a requester of several keys is several stations. Deliberately lacks modules: the
//! world has one for pure work and one for measurements; or each pure experiment has one of its own, which says what compiling it takes.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use station_protocol::bounded::Name;
use station_protocol::experiment::Trust;
use station_protocol::human::{Size, Span};
use station_protocol::limits::Limits;

use super::group::Place;
use super::units::{Frequency, Rate, Share};

/// A researcher: one station per key, which publishes and never works for others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requester {
    pub name: Name,
    #[serde(default = "one")]
    pub keys: u32,
    #[serde(default)]
    pub region: Place,
    #[serde(default = "line_default")]
    pub up: Rate,
    #[serde(default = "line_default")]
    pub down: Rate,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub byzantine: Option<Misconduct>,
}

fn line_default() -> Rate {
    Rate(100_000_000)
}

fn one() -> u32 {
    1
}

/// How a requester misbehaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Misconduct {
    /// Takes receipts and never says held.
    RefuseToSettle {},
    /// Two different statements under one sequence number.
    Contradict {},
    /// Calls from keys made for one Call each.
    Flood { calls: Frequency },
    /// Each of its jobs runs until its limit on time ends it.
    Endless {},
}

/// Experiments, one after the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Raw", into = "Raw")]
pub struct Work {
    pub requester: Name,
    /// Of the first one.
    pub at: Span,
    /// Between two; `count` of them. Each key of the requester publishes so many.
    pub every: Span,
    pub count: u32,
    pub jobs: u32,
    pub class: Class,
    /// What one job burns.
    pub fuel: u64,
    /// Each experiment has a module of its own that takes so long to compile; only pure work in the model may.
    pub compile: Option<Span>,
    /// The longest that one execution may take; a lease is half a minute longer.
    pub wall: Span,
    pub output: Size,
    pub deadline: Span,
    /// Hosts of the simulated internet that each job asks; only a measurement may.
    pub targets: Vec<Name>,
    /// Labels a station must carry.
    pub labels: BTreeMap<Name, Vec<Name>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Pure(Trust),
    /// Executions wanted of each job.
    Measurement {
        stations: u32,
    },
}

/// As it is written: one of two tables says the class.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    requester: Name,
    at: Span,
    #[serde(default = "every_default")]
    every: Span,
    #[serde(default = "one")]
    count: u32,
    #[serde(default = "one")]
    jobs: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pure: Option<RawPure>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    measurement: Option<RawMeasurement>,
    #[serde(default = "fuel_default")]
    fuel: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    compile: Option<Span>,
    #[serde(default = "wall_default")]
    wall: Span,
    #[serde(default = "output_default")]
    output: Size,
    #[serde(default = "deadline_default")]
    deadline: Span,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    targets: Vec<Name>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<Name, Vec<Name>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPure {
    #[serde(serialize_with = "write_trust", deserialize_with = "read_trust")]
    trust: Trust,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMeasurement {
    stations: u32,
}

fn every_default() -> Span {
    Span(10_000)
}

/// A tenth of a second on the reference machine's billion a second.
fn fuel_default() -> u64 {
    100_000_000
}

fn wall_default() -> Span {
    Span(Limits::default().wall_ms)
}

fn output_default() -> Size {
    Size(256)
}

fn deadline_default() -> Span {
    Span(5 * 60_000)
}

fn read_trust<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Trust, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
}

fn write_trust<S: Serializer>(trust: &Trust, serializer: S) -> Result<S::Ok, S::Error> {
    match trust {
        Trust::Final => serializer.serialize_str("final"),
        Trust::Standard => serializer.serialize_str("standard"),
        Trust::Cheap => serializer.serialize_str("cheap"),
        Trust::Fixed(count) => serializer.collect_str(&format_args!("fixed:{count}")),
    }
}

impl TryFrom<Raw> for Work {
    type Error = String;
    fn try_from(raw: Raw) -> Result<Self, String> {
        let class = match (raw.pure, raw.measurement) {
            (Some(RawPure { trust }), None) => Class::Pure(trust),
            (None, Some(RawMeasurement { stations })) => Class::Measurement { stations },
            _ => return Err("a work has exactly one class: write pure = { trust = \"fixed:3\" } or measurement = { stations = 20 }".into()),
        };
        let Raw { requester, at, every, count, jobs, fuel, compile, wall, output, deadline, targets, labels, .. } = raw;
        if compile.is_some() && matches!(class, Class::Measurement { .. }) {
            return Err("a measurement's module is the bundled one: leave `compile` away".into());
        }
        Ok(Self { requester, at, every, count, jobs, class, fuel, compile, wall, output, deadline, targets, labels })
    }
}

impl From<Work> for Raw {
    fn from(work: Work) -> Self {
        let (pure, measurement) = match work.class {
            Class::Pure(trust) => (Some(RawPure { trust }), None),
            Class::Measurement { stations } => (None, Some(RawMeasurement { stations })),
        };
        let Work { requester, at, every, count, jobs, fuel, compile, wall, output, deadline, targets, labels, .. } = work;
        Self { requester, at, every, count, jobs, pure, measurement, fuel, compile, wall, output, deadline, targets, labels }
    }
}

/// The hosts that measurements ask.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Internet {
    #[serde(rename = "host", skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<Host>,
}

impl Internet {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// A registrable domain, like `gateway.example`.
    pub name: Name,
    #[serde(default)]
    pub region: Place,
    /// Requests a day that its `/.well-known/station` allows the whole network; absent: it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap_per_day: Option<u64>,
    #[serde(default = "body_default")]
    pub body: Size,
    /// Until the first byte of an answer.
    #[serde(default = "think_default")]
    pub think: Span,
    #[serde(default)]
    pub conduct: Conduct,
}

fn body_default() -> Size {
    Size(1 << 10)
}

fn think_default() -> Span {
    Span(5)
}

/// How a server answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Conduct {
    Ok {},
    /// This share of answers is 500.
    Errors {
        share: Share,
    },
    /// Takes the connection and says nothing.
    Silent {},
    /// Refuses connections.
    Refuses {},
    /// Another body at each station.
    Varies {},
}

impl Default for Conduct {
    fn default() -> Self {
        Self::Ok {}
    }
}
