//! What one table says about another: names that must exist, numbers that must fit together.
//!
//! Guarantees: an error names both ends. Deliberately lacks repairs.

use std::collections::BTreeMap;

use station_protocol::human::moment;
use station_protocol::policy::Policy;

use super::fault::Who;
use super::group::{Byzantine, Group};
use super::plan::HOSTS_PER_SUBNET_MAX;
use super::work::{Class, Work};
use super::{Scenario, ScenarioError};
use crate::net::nat::kind::NatKind;

/// Most stations: more do not fit any machine this was run on.
const STATIONS_MAX: u64 = 100_000;
/// Longest run: a week of virtual time.
const DURATION_MS_MAX: u64 = 7 * 86_400_000;

fn nonsense(wher: impl Into<String>, what: impl Into<String>) -> ScenarioError {
    ScenarioError::Nonsense { wher: wher.into(), what: what.into() }
}

fn unknown(user: impl Into<String>, name: &str, table: &str, known: &[&str]) -> ScenarioError {
    let hint = if known.is_empty() { format!("there is no {table} at all") } else { format!("write one of {}", known.join(", ")) };
    ScenarioError::Unknown { user: user.into(), name: name.into(), hint }
}

impl Scenario {
    pub(super) fn validate(&self) -> Result<(), ScenarioError> {
        self.sizes()?;
        self.unique_names()?;
        for group in &self.groups {
            self.group(group)?;
        }
        for (index, work) in self.works.iter().enumerate() {
            self.work(index, work)?;
        }
        for (index, fault) in self.faults.iter().enumerate() {
            let user = format!("fault {} ({} at {})", index + 1, fault.name(), fault.at);
            for who in fault.whom() {
                self.who(&user, who)?;
            }
            if fault.at >= self.run.duration {
                return Err(nonsense(user, format!("it begins after the run of {} is over", self.run.duration)));
            }
            if fault.lasts.is_some_and(|lasts| lasts.0 == 0) {
                return Err(nonsense(user, "for = 0 is no time at all: write a span, or leave it out for until the end"));
            }
        }
        if let Some(churn) = &self.churn {
            self.who("churn", &churn.who)?;
        }
        if let Some(sweep) = &self.sweep {
            sweep.check(self)?;
        }
        Ok(())
    }

    fn sizes(&self) -> Result<(), ScenarioError> {
        let run = &self.run;
        if run.duration.0 == 0 || run.duration.0 > DURATION_MS_MAX {
            return Err(nonsense("run", "duration must be more than nothing and at most 7d"));
        }
        if run.warmup >= run.duration {
            return Err(nonsense("run", format!("warmup = {} leaves nothing of duration = {} to measure", run.warmup, run.duration)));
        }
        moment(&run.start).map_err(|error| nonsense("run", format!("start: {error}")))?;
        match self.stations() {
            0 => return Err(nonsense("group", "there is not one station: write a [[group]] with a count")),
            count if count > STATIONS_MAX => return Err(nonsense("group", format!("{count} stations are more than {STATIONS_MAX}"))),
            _ => {}
        }
        if self.network.regions.values().all(|weight| *weight == 0) {
            return Err(nonsense("network", "regions: not one of them has a weight; write regions = { europe = 1 }"));
        }
        let gossip = &self.gossip;
        let (low, n, high) = (gossip.mesh_n_low, gossip.mesh_n, gossip.mesh_n_high);
        if low.zip(n).is_some_and(|(low, n)| low > n) || n.zip(high).is_some_and(|(n, high)| n > high) {
            return Err(nonsense("gossip", "mesh_n_low ≤ mesh_n ≤ mesh_n_high must hold"));
        }
        Ok(())
    }

    /// A group, a requester and a host are each known by one name; a group and a requester may not share one either: stations do not.
    fn unique_names(&self) -> Result<(), ScenarioError> {
        let groups = self.groups.iter().map(|group| (group.name.as_str(), "group"));
        let requesters = self.requesters.iter().map(|requester| (requester.name.as_str(), "requester"));
        let mut seen = BTreeMap::new();
        for (name, table) in groups.chain(requesters) {
            if let Some(before) = seen.insert(name, table) {
                return Err(nonsense(format!("{table} {name:?}"), format!("a {before} has this name already: give each its own")));
            }
        }
        let mut hosts: Vec<&str> = self.internet.hosts.iter().map(|host| host.name.as_str()).collect();
        hosts.sort_unstable();
        match hosts.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(nonsense(format!("internet.host {:?}", pair[0]), "two hosts have this name: give each its own")),
            None => Ok(()),
        }
    }

    fn group(&self, group: &Group) -> Result<(), ScenarioError> {
        let user = format!("group {:?}", group.name.as_str());
        for name in group.nat.0.keys() {
            let builtin = NatKind::ALL.map(NatKind::name);
            if !builtin.contains(&name.as_str()) && !self.nat.contains_key(name) {
                let known: Vec<&str> = builtin.into_iter().chain(self.nat.keys().map(station_protocol::bounded::Name::as_str)).collect();
                return Err(unknown(user, name, "nat", &known));
            }
        }
        if !(1..=HOSTS_PER_SUBNET_MAX).contains(&group.per_subnet) {
            return Err(nonsense(user, format!("per_subnet = {} is not from 1 to {HOSTS_PER_SUBNET_MAX}", group.per_subnet)));
        }
        if let Some(table) = &group.policy {
            let text = toml::to_string(table).map_err(|error| nonsense(&user, format!("policy: {error}")))?;
            // Bundled names are the world's to resolve; here only the form counts.
            if let Err(error) = Policy::parse(&text, &BTreeMap::new())
                && !matches!(error, station_protocol::policy::PolicyError::UnknownModule { .. })
            {
                return Err(nonsense(user, error.to_string()));
            }
        }
        match &group.byzantine {
            Some(Byzantine::Eclipse { victims }) => self.who(&user, &Who::Group(victims.clone())),
            Some(Byzantine::Censor { requester: named } | Byzantine::AddressWeapons { victims: named, .. }) => {
                self.who(&user, &Who::Requester(named.clone()))
            }
            _ => Ok(()),
        }
    }

    fn work(&self, index: usize, work: &Work) -> Result<(), ScenarioError> {
        let user = format!("work {} (at {})", index + 1, work.at);
        self.who(&user, &Who::Requester(work.requester.clone()))?;
        let known: Vec<&str> = self.internet.hosts.iter().map(|host| host.name.as_str()).collect();
        if let Some(target) = work.targets.iter().find(|target| !known.contains(&target.as_str())) {
            return Err(unknown(user, target, "internet.host", &known));
        }
        if matches!(work.class, Class::Pure(_)) && !work.targets.is_empty() {
            return Err(nonsense(user, "pure work contacts nobody: remove targets, or write measurement = { stations = 20 }"));
        }
        if matches!(work.class, Class::Measurement { .. }) && work.targets.is_empty() {
            return Err(nonsense(user, "a measurement asks somebody: write targets = [\"gateway.example\"] and an [[internet.host]] of that name"));
        }
        if work.jobs == 0 || work.count == 0 {
            return Err(nonsense(user, "jobs and count must each be at least 1"));
        }
        if work.at >= self.run.duration {
            return Err(nonsense(user, format!("it is published after the run of {} is over", self.run.duration)));
        }
        Ok(())
    }

    fn who(&self, user: &str, who: &Who) -> Result<(), ScenarioError> {
        let groups: Vec<&str> = self.groups.iter().map(|group| group.name.as_str()).collect();
        let requesters: Vec<&str> = self.requesters.iter().map(|requester| requester.name.as_str()).collect();
        match who {
            Who::Group(name) if !groups.contains(&name.as_str()) => Err(unknown(user, name, "group", &groups)),
            Who::Requester(name) if !requesters.contains(&name.as_str()) => Err(unknown(user, name, "requester", &requesters)),
            Who::Role(role) if !self.groups.iter().any(|group| group.roles.contains(role)) => {
                Err(nonsense(user, format!("no group has the role that {who} names")))
            }
            _ => Ok(()),
        }
    }
}
