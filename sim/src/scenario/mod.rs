//! Scenarios: one TOML file that says everything a run depends on beside the program.
//!
//! ```text
//! text ─► Scenario (units parsed, names checked) ─► plan::stations, churn::absences
//!    └──► sweep::trials: one Scenario per parameter value and seed
//! ```
//!
//! Guarantees: unknown keys are errors; every name that is used is defined; what is written by [`Scenario::text`] reads back as the
//! same scenario; two readings of one file are equal. Deliberately lacks behaviour: what a kind of fault or liar does is written in
//! the world and its actors.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use station_protocol::bounded::Name;
use station_protocol::human::Span;

pub mod check;
pub mod churn;
pub mod fault;
pub mod group;
pub mod plan;
pub mod sweep;
pub mod units;
mod validate;
pub mod work;

use crate::net::link::Tcp;
use crate::net::nat::kind::Behaviour;
use crate::net::region::Region;
use check::Check;
use churn::Churn;
use fault::Fault;
use group::Group;
use sweep::Sweep;
use units::{Jitter, Share};
use work::{Internet, Requester, Work};

#[cfg(test)]
mod tests;

/// Largest scenario file: a thousand tables.
pub const SCENARIO_BYTES_MAX: usize = 1 << 20;

/// Why text is not a scenario.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScenarioError {
    #[error("the scenario takes {bytes} bytes, more than {SCENARIO_BYTES_MAX}: split it")]
    TooLarge { bytes: usize },
    /// Names line, column and key.
    #[error("the scenario cannot be read: {0}")]
    Toml(String),
    #[error("{user} names {name:?}, which does not exist: {hint}")]
    Unknown { user: String, name: String, hint: String },
    #[error("{wher}: {what}")]
    Nonsense { wher: String, what: String },
    #[error("the swept parameter {parameter:?} with the value {value}: {reason}")]
    Parameter { parameter: String, value: String, reason: String },
}

/// A run, but for its seed's luck.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    pub run: Run,
    #[serde(default)]
    pub network: Network,
    #[serde(default, skip_serializing_if = "Gossip::is_default")]
    pub gossip: Gossip,
    /// NAT boxes of one's own, from the station outwards; groups name them beside the built-in kinds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub nat: BTreeMap<Name, Vec<Behaviour>>,
    #[serde(rename = "group")]
    pub groups: Vec<Group>,
    #[serde(default, rename = "requester", skip_serializing_if = "Vec::is_empty")]
    pub requesters: Vec<Requester>,
    #[serde(default, rename = "work", skip_serializing_if = "Vec::is_empty")]
    pub works: Vec<Work>,
    #[serde(default, skip_serializing_if = "Internet::is_default")]
    pub internet: Internet,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub churn: Option<Churn>,
    #[serde(default, rename = "fault", skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
    #[serde(default, rename = "check", skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sweep: Option<Sweep>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    #[serde(default = "seed_default")]
    pub seed: u64,
    pub duration: Span,
    /// Until then nothing counts towards the figures.
    #[serde(default = "warmup_default")]
    pub warmup: Span,
    #[serde(default)]
    pub fidelity: Fidelity,
    /// The wall clock when the run begins.
    #[serde(default = "start_default")]
    pub start: String,
    #[serde(default)]
    pub engine: Engine,
}

fn seed_default() -> u64 {
    1
}

fn warmup_default() -> Span {
    Span(0)
}

fn start_default() -> String {
    "2026-01-01T00:00:00Z".into()
}

/// What runs the jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// A model of what jobs cost and of what measurements ask.
    #[default]
    Model,
    /// The modules themselves, in the node's sandbox: for small runs.
    Stepped,
}

/// How much of the stack's cryptography runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fidelity {
    /// noise + yamux.
    Full,
    /// plaintext + yamux.
    #[default]
    Fast,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// How likely a station with `region = "weighted"` is in each region. Default: all alike. These are the scenario's words, not
    /// a measurement of anything.
    pub regions: BTreeMap<Region, u32>,
    /// One way between any two stations, instead of the matrix of regions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<Span>,
    pub jitter: Jitter,
    /// Of every segment and datagram.
    pub loss: Share,
    pub tcp: Tcp,
    /// Stations that have an IPv6 address too: public, behind a stateful firewall where there is a NAT box for IPv4.
    pub ipv6: Share,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            regions: Region::ALL.into_iter().map(|region| (region, 1)).collect(),
            latency: None,
            // A starting value: it is no measurement.
            jitter: Jitter::Share(Share::millionths(50_000).unwrap_or(Share::NONE)),
            loss: Share::NONE,
            tcp: Tcp::default(),
            ipv6: Share::NONE,
        }
    }
}

/// What a sweep may change of gossipsub. What is absent is the node's own default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gossip {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mesh_n: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mesh_n_low: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mesh_n_high: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mesh_outbound_min: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gossip_lazy: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gossip_factor: Option<Share>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flood_publish: Option<bool>,
}

impl Gossip {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Scenario {
    /// Reads a scenario file.
    ///
    /// # Errors
    ///
    /// Names the key, or both ends of a name that leads nowhere, and says what to write.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        if text.len() > SCENARIO_BYTES_MAX {
            return Err(ScenarioError::TooLarge { bytes: text.len() });
        }
        let scenario: Self = toml::from_str(text).map_err(|error| ScenarioError::Toml(error.to_string()))?;
        scenario.validate()?;
        Ok(scenario)
    }

    /// The scenario as a file that [`Self::parse`] reads back as equal.
    ///
    /// # Panics
    ///
    /// When a program has set a seed above [`units::SEED_MAX`], which no file can hold.
    #[must_use]
    pub fn text(&self) -> String {
        toml::to_string(self).expect("every scenario has a TOML form")
    }

    /// The shortest file that reads back as this scenario: without what is a default anyway.
    #[must_use]
    pub fn brief(&self) -> String {
        let Ok(table) = toml::Table::try_from(self) else { return self.text() };
        let mut root = toml::Value::Table(table);
        let is_same = |root: &toml::Value| toml::to_string(root).ok().and_then(|text| Self::parse(&text).ok()).as_ref() == Some(self);
        let mut paths = Vec::new();
        keys(&root, &mut Vec::new(), &mut paths);
        for path in paths {
            let mut shorter = root.clone();
            if remove(&mut shorter, &path) && is_same(&shorter) {
                root = shorter;
            }
        }
        // The run comes first, as people write it; the rest is in the order of the names.
        let first: toml::Table = root.as_table_mut().and_then(|table| table.remove_entry("run")).into_iter().collect();
        let both = toml::to_string(&first).ok().zip(toml::to_string(&root).ok());
        both.map_or_else(|| self.text(), |(run, rest)| format!("{run}\n{rest}"))
    }

    /// What the file says that it shows: its first line, if that is a comment.
    #[must_use]
    pub fn shows(text: &str) -> &str {
        text.lines().next().and_then(|line| line.strip_prefix('#')).unwrap_or_default().trim()
    }

    /// When the last fault is over and churn has ended: what [`check::After::Heal`] counts from. A fault without an end counts from its
    /// beginning.
    #[must_use]
    pub fn heals(&self) -> Span {
        let faults = self.faults.iter().map(|fault| fault.at.0.saturating_add(fault.lasts.map_or(0, |lasts| lasts.0)));
        let churn = self.churn.as_ref().map(|churn| churn.until.unwrap_or(self.run.duration).0);
        Span(faults.chain(churn).max().unwrap_or(0).min(self.run.duration.0))
    }

    /// Stations in all, requesters included.
    #[must_use]
    pub fn stations(&self) -> u64 {
        let groups = self.groups.iter().map(|group| u64::from(group.count));
        let requesters = self.requesters.iter().map(|requester| u64::from(requester.keys));
        groups.chain(requesters).sum()
    }
}

/// A key of a table, or a place in a list, from the root on.
#[derive(Clone, Debug)]
enum Step {
    Key(String),
    Place(usize),
}

/// The paths of all keys, those of whole tables before those in them.
fn keys(value: &toml::Value, path: &mut Vec<Step>, paths: &mut Vec<Vec<Step>>) {
    let mut visit = |step: Step, value: &toml::Value, is_key: bool| {
        path.push(step);
        if is_key {
            paths.push(path.clone());
        }
        keys(value, path, paths);
        path.pop();
    };
    match value {
        toml::Value::Table(table) => table.iter().for_each(|(key, value)| visit(Step::Key(key.clone()), value, true)),
        toml::Value::Array(list) => list.iter().enumerate().for_each(|(place, value)| visit(Step::Place(place), value, false)),
        _ => {}
    }
}

/// Whether there was a key at `path`, which is gone now.
fn remove(root: &mut toml::Value, path: &[Step]) -> bool {
    let Some((Step::Key(last), before)) = path.split_last() else { return false };
    let table = before.iter().try_fold(root, |value, step| match step {
        Step::Key(key) => value.get_mut(key),
        Step::Place(place) => value.get_mut(*place),
    });
    table.and_then(toml::Value::as_table_mut).is_some_and(|table| table.remove(last).is_some())
}
