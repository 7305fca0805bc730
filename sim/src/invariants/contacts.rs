//! [`Contacts`]: whom the stations asked, what they ran and what they stored, held against what their operators allow and what the
//! targets take.
//!
//! | invariant | broken when |
//! |---|---|
//! | target caps | a host gets more than 1.2 times its cap on one UTC day, readings of its `/.well-known/station` counted; or the hosts of one /24 or /48 together 1.2 times a network's |
//! | only what policy allows | a request reaches a host for an experiment that did not need it or that the station's policy does not let ask it; a station starts a job, or stores content, of somebody's experiment that its policy declines |
//!
//! Guarantees: policies are judged by the protocol's own rules, beside the node and after it. Deliberately lacks policies that change
//! during a run.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use cid::Cid;
use station_protocol::NodeId;
use station_protocol::capability::Capability;
use station_protocol::experiment::{Experiment, ExperimentId};
use station_protocol::policy::Policy;
use station_protocol::sampling::{NETWORK_CAP_PER_DAY, target_of_host};

use crate::scenario::check::Invariant;

#[cfg(test)]
mod tests;

/// Where hosts of the simulated internet listen.
pub const PORT: u16 = 80;
/// What a day may bring beyond a cap: a fifth.
const TOLERANCE: (u64, u64) = (6, 5);

/// A request that reached a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    pub host: String,
    pub ip: IpAddr,
    /// Requests a day that it may get from the whole network.
    pub cap: u64,
    /// UTC day from the epoch.
    pub day: u64,
    pub node: NodeId,
    /// On whose behalf, as the request says.
    pub experiment: Option<ExperimentId>,
    /// Whether it is for `/.well-known/station`, which is asked before it is known what the host allows.
    pub is_reading: bool,
}

/// Counts a request to `whom`, and says so when it is the first one too many. Said once a day: whatever follows is the same breach.
fn over(asked: &mut BTreeMap<(String, u64), u64>, whom: &str, day: u64, cap: u64) -> Option<Broken> {
    let count = asked.entry((whom.to_owned(), day)).or_default();
    *count += 1;
    let most = cap * TOLERANCE.0 / TOLERANCE.1;
    (*count == most + 1).then(|| (Invariant::TargetCaps, format!("{whom} got more than {most} requests on day {day}, its cap being {cap}")))
}

/// What broke, in a sentence.
pub type Broken = (Invariant, String);

#[derive(Debug)]
pub struct Contacts {
    policies: BTreeMap<NodeId, Policy>,
    experiments: BTreeMap<ExperimentId, Experiment>,
    /// Whose content it is: modules' and jobs' blocks.
    content: BTreeMap<Cid, BTreeSet<ExperimentId>>,
    /// By host and UTC day.
    asked: BTreeMap<(String, u64), u64>,
    /// By network of addresses and UTC day.
    asked_in: BTreeMap<(String, u64), u64>,
    /// Requests a day that one network of addresses may get.
    network_cap: u64,
}

impl Default for Contacts {
    fn default() -> Self {
        Self {
            policies: BTreeMap::new(),
            experiments: BTreeMap::new(),
            content: BTreeMap::new(),
            asked: BTreeMap::new(),
            asked_in: BTreeMap::new(),
            network_cap: NETWORK_CAP_PER_DAY,
        }
    }
}

impl Contacts {
    pub fn introduce(&mut self, node: NodeId, policy: Policy) {
        self.policies.insert(node, policy);
    }

    /// `experiment` is out, and `content` belongs to it.
    pub fn published(&mut self, id: ExperimentId, experiment: Experiment, content: impl IntoIterator<Item = Cid>) {
        for cid in content {
            self.content.entry(cid).or_default().insert(id);
        }
        self.experiments.insert(id, experiment);
    }

    /// A request reached a host.
    pub fn asked(&mut self, contact: &Contact) -> Vec<Broken> {
        let network = target_of_host(&contact.ip.to_string());
        let host = over(&mut self.asked, &contact.host, contact.day, contact.cap);
        let network = over(&mut self.asked_in, &network, contact.day, self.network_cap);
        let forbidden =
            self.forbidden(contact).map(|why| (Invariant::OnlyWhatPolicyAllows, format!("{} asked {}: {why}", contact.node, contact.host)));
        host.into_iter().chain(network).chain(forbidden).collect()
    }

    /// A station starts a job of `experiment`.
    pub fn started(&self, node: NodeId, experiment: &ExperimentId) -> Option<Broken> {
        let known = self.experiments.get(experiment)?;
        let declined = self.declines(node, known)?;
        Some((Invariant::OnlyWhatPolicyAllows, format!("{node} runs a job of {experiment}, which its policy declines: {declined}")))
    }

    /// A station stores the block `cid`. What belongs to no experiment, like its own receipts' outputs, is its own.
    pub fn stored(&self, node: NodeId, cid: &Cid) -> Option<Broken> {
        let owners: Vec<&Experiment> = self.content.get(cid)?.iter().filter_map(|id| self.experiments.get(id)).collect();
        // Content of several experiments may be there for any of them.
        let declined: Option<Vec<String>> = owners.into_iter().map(|experiment| self.declines(node, experiment)).collect();
        let first = declined?.into_iter().next()?;
        Some((Invariant::OnlyWhatPolicyAllows, format!("{node} stores {cid}, content of an experiment that its policy declines: {first}")))
    }

    /// Why `node` may have nothing to do with `experiment`. One's own is one's own.
    fn declines(&self, node: NodeId, experiment: &Experiment) -> Option<String> {
        if experiment.requester == node {
            return None;
        }
        let Some(policy) = self.policies.get(&node) else { return Some("nobody knows this station".to_owned()) };
        policy.judge(experiment).err().map(|reason| format!("{reason:?}"))
    }

    fn forbidden(&self, contact: &Contact) -> Option<String> {
        let Some(experiment) = contact.experiment.and_then(|id| self.experiments.get(&id)) else {
            return Some("it names no experiment that was published".to_owned());
        };
        let needed = experiment.needs.get(&Capability::Http).is_some_and(|needs| needs.iter().any(|need| need.covers(&contact.host, PORT)));
        if !needed {
            return Some("its experiment did not need that".to_owned());
        }
        let Some(policy) = self.policies.get(&contact.node) else { return Some("nobody knows this station".to_owned()) };
        let permits = policy.permits(&experiment.requester, &experiment.module.cid, Capability::Http, &contact.host, PORT);
        (!permits).then(|| "its policy does not permit that".to_owned())
    }
}
