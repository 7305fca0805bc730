//! [`Policy`]: what the operator lets this station do. Default deny: one gate of requester × module × capability × target.
//!
//! ```toml
//! [budget]
//! cpu = "1 core"
//!
//! [[allow]]
//! module = "gateway-check"      # a bundled name or a CID; and, or instead: requester = "<node id>"
//! capability = "http"
//! targets = ["*.ipfs.io:443"]
//! per_day = 100                 # requests per target and day
//!
//! [[deny]]
//! requester = "<node id>"       # or module: no work at all, not even pure
//! ```
//!
//! Guarantees: without a rule only pure experiments within the budget are served; an unknown key is an error; the same gate
//! answers before a claim and at each host call. Deliberately lacks addresses (whether a resolved address may be contacted is the
//! node's table) and counting (how much of a quota is used is the node's book).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cid::Cid;
use serde::{Deserialize, Serialize};

use crate::bounded::{List, Name};
use crate::capability::{self, Capability, Needs, TargetPattern};
use crate::content::sha256;
use crate::experiment::{Class, Experiment};
use crate::human::{Cores, Hours, Size};
use crate::identity::{Hash32, NodeId};
use crate::sampling::TARGET_QUOTA_PER_DAY;
use crate::work::DeclineReason;

pub mod edit;
#[cfg(test)]
mod tests;

/// Largest policy file: a thousand long rules.
pub const POLICY_BYTES_MAX: usize = 1 << 20;

/// Why text is not a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    #[error("the policy takes {bytes} bytes, more than {POLICY_BYTES_MAX}: remove rules")]
    TooLarge { bytes: usize },
    /// Names line, column and key.
    #[error("the policy cannot be read: {0}")]
    Toml(String),
    #[error("{rule} names nobody: write module = \"<name or CID>\", requester = \"<node id>\", or both")]
    NoSubject { rule: String },
    #[error("{rule} names the module {module:?}, which is not bundled: write its CID, or one of {known}")]
    UnknownModule { rule: String, module: String, known: String },
    #[error("{rule} has no targets: write targets = [\"host:port\"], [\"*.domain\"] or [\"*\"]")]
    NoTargets { rule: String },
}

/// What the operator allows. Two policies with the same hash were written with the same bytes.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    pub budget: Budget,
    pub network: Network,
    pub roles: Roles,
    allow: Vec<Rule>,
    deny: Vec<Who>,
    file: File,
    source: Arc<str>,
    hash: Option<Hash32>,
}

/// How much of the machine other people's work may have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    pub cpu: Cores,
    /// All executions together.
    pub memory: Size,
    /// In and out, gossip included.
    pub bytes_per_day: Size,
    /// When to work, in UTC.
    pub hours: Hours,
    pub on_battery: bool,
}

impl Default for Budget {
    fn default() -> Self {
        Self { cpu: Cores(1_000), memory: Size(512 << 20), bytes_per_day: Size(2 << 30), hours: Hours::ALWAYS, on_battery: false }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// Ask the router for a port.
    pub upnp: bool,
    /// Tell requesters why this station declines.
    pub tell_why: bool,
}

/// What the station does for the network beside jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Roles {
    pub relay: bool,
    pub dht_server: bool,
    pub autonat: bool,
    pub cache: Cache,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cache {
    pub enabled: bool,
    pub size: Size,
}

impl Default for Cache {
    fn default() -> Self {
        Self { enabled: false, size: Size(10 << 30) }
    }
}

/// Whom an edit of the policy is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A bundled name or a CID.
    Module(String),
    Requester(NodeId),
}

/// One `[[allow]]`, as it is understood.
#[derive(Clone, Copy, Debug)]
pub struct Allowance<'a> {
    /// As it is written: a bundled name or a CID.
    pub module: Option<&'a str>,
    pub requester: Option<NodeId>,
    pub capability: Capability,
    pub targets: &'a [TargetPattern],
    /// Requests to each target.
    pub per_day: u64,
}

/// Who asks, for what, at which target: one host call.
#[derive(Clone, Copy, Debug)]
pub struct HostCall<'a> {
    pub requester: &'a NodeId,
    pub module: &'a Cid,
    pub capability: Capability,
    /// Lower case, without brackets.
    pub host: &'a str,
    pub port: u16,
}

impl Policy {
    /// Reads the file. `bundled` maps each bundled module's name to its CIDs in this and earlier releases.
    pub fn parse(toml: &str, bundled: &BTreeMap<Name, Vec<Cid>>) -> Result<Self, PolicyError> {
        if toml.len() > POLICY_BYTES_MAX {
            return Err(PolicyError::TooLarge { bytes: toml.len() });
        }
        let file: File = toml::from_str(toml).map_err(|error| PolicyError::Toml(error.to_string().trim_end().to_owned()))?;
        let allow = (1..).zip(&file.allow).map(|(n, rule)| rule.resolve(&format!("[[allow]] number {n}"), bundled)).collect::<Result<_, _>>()?;
        let deny = (1..).zip(&file.deny).map(|(n, who)| who.resolve(&format!("[[deny]] number {n}"), bundled)).collect::<Result<_, _>>()?;
        let (source, hash) = (toml.into(), Some(Hash32(sha256(&[toml.as_bytes()]))));
        Ok(Self { budget: file.budget.clone(), network: file.network.clone(), roles: file.roles.clone(), allow, deny, file, source, hash })
    }

    /// sha2-256 of the file's bytes; of no bytes for the default policy.
    #[must_use]
    pub fn hash(&self) -> Hash32 {
        self.hash.unwrap_or_else(|| Hash32(sha256(&[])))
    }

    /// What of the experiment's needs is granted, or why it is not served. All that it needs must be allowed: half an experiment
    /// is a wrong result. A need without a port is granted on the ports allowed.
    pub fn judge(&self, experiment: &Experiment) -> Result<Needs, DeclineReason> {
        let (requester, module) = (&experiment.requester, &experiment.module.cid);
        if self.deny.iter().any(|who| who.is(requester, module)) {
            return Err(DeclineReason::Banned);
        }
        if experiment.limits.memory_bytes > self.budget.memory.0 || experiment.limits.in_bytes > self.budget.bytes_per_day.0 {
            return Err(DeclineReason::Budget);
        }
        let known = self.allow.iter().any(|rule| rule.who.is(requester, module));
        if !matches!(experiment.class, Class::Pure(_)) && !known {
            return Err(DeclineReason::Capability);
        }
        let mut granted = Needs::new();
        for (capability, needed) in &experiment.needs {
            let rules: Vec<&Rule> = self.rules(requester, module, *capability).collect();
            if rules.is_empty() {
                return Err(DeclineReason::Capability);
            }
            let mut patterns = BTreeSet::new();
            for need in needed {
                let allowed: Vec<TargetPattern> = rules.iter().flat_map(|rule| &rule.targets).filter_map(|target| target.narrow(need)).collect();
                if allowed.is_empty() {
                    return Err(DeclineReason::Target);
                }
                patterns.extend(allowed);
            }
            // More ports than a grant can list is more than was meant to be allowed.
            let patterns = List::new(patterns.into_iter().collect()).map_err(|_| DeclineReason::Target)?;
            granted.insert(*capability, patterns);
        }
        Ok(granted)
    }

    /// Whether the host call may be made.
    #[must_use]
    pub fn permits(&self, requester: &NodeId, module: &Cid, capability: Capability, host: &str, port: u16) -> bool {
        self.quota_per_day(&HostCall { requester, module, capability, host, port }).is_some()
    }

    /// How many such calls a day the target may get from this station: the most that one rule gives; none where no rule permits it.
    #[must_use]
    pub fn quota_per_day(&self, call: &HostCall<'_>) -> Option<u64> {
        if self.deny.iter().any(|who| who.is(call.requester, call.module)) {
            return None;
        }
        let rules = self.rules(call.requester, call.module, call.capability);
        rules.filter(|rule| rule.targets.iter().any(|target| target.covers(call.host, call.port))).map(|rule| rule.per_day).max()
    }

    /// What of the experiment's needs no rule allows, whoever else is served: empty where nothing is lacking.
    #[must_use]
    pub fn lacking(&self, experiment: &Experiment) -> Vec<(Capability, TargetPattern)> {
        let (requester, module) = (&experiment.requester, &experiment.module.cid);
        let lacks = |capability: Capability, need: &TargetPattern| {
            !self.rules(requester, module, capability).any(|rule| rule.targets.iter().any(|target| target.narrow(need).is_some()))
        };
        let needs = experiment.needs.iter().flat_map(|(capability, needed)| needed.iter().map(|need| (*capability, need)));
        needs.filter(|(capability, need)| lacks(*capability, need)).map(|(capability, need)| (capability, need.clone())).collect()
    }

    /// Each `[[allow]]` in the file's order.
    pub fn rules_written(&self) -> impl Iterator<Item = Allowance<'_>> {
        self.allow.iter().zip(&self.file.allow).map(|(rule, file)| Allowance {
            module: file.module.as_deref(),
            requester: rule.who.requester,
            capability: rule.capability,
            targets: &rule.targets,
            per_day: rule.per_day,
        })
    }

    /// The first `[[deny]]` that keeps them out, as it is written: its module and its requester.
    #[must_use]
    pub fn denied(&self, requester: &NodeId, module: &Cid) -> Option<(Option<&str>, Option<NodeId>)> {
        let (who, file) = self.deny.iter().zip(&self.file.deny).find(|(who, _)| who.is(requester, module))?;
        Some((file.module.as_deref(), who.requester))
    }

    /// The file's text as it was read.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The whole policy as values, every setting written out: tables and lists as in the file.
    #[must_use]
    pub fn values(&self) -> serde_json::Value {
        serde_json::to_value(&self.file).expect("a policy that was read can be written")
    }

    /// The same as a file.
    #[must_use]
    pub fn text(&self) -> String {
        self.file.text()
    }

    fn rules<'a>(&'a self, requester: &'a NodeId, module: &'a Cid, capability: Capability) -> impl Iterator<Item = &'a Rule> {
        self.allow.iter().filter(move |rule| rule.capability == capability && rule.who.is(requester, module))
    }
}

/// Modules, a requester, or a module when that requester asks for it.
#[derive(Clone, Debug)]
struct Who {
    modules: Option<BTreeSet<Cid>>,
    requester: Option<NodeId>,
}

impl Who {
    fn is(&self, requester: &NodeId, module: &Cid) -> bool {
        self.modules.as_ref().is_none_or(|modules| modules.contains(module)) && self.requester.as_ref().is_none_or(|own| own == requester)
    }
}

#[derive(Clone, Debug)]
struct Rule {
    who: Who,
    capability: Capability,
    targets: Vec<TargetPattern>,
    per_day: u64,
}

/// The file as it is written.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    budget: Budget,
    network: Network,
    roles: Roles,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allow: Vec<AllowFile>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    deny: Vec<WhoFile>,
}

impl File {
    fn text(&self) -> String {
        toml::to_string(self).expect("a policy that was read can be written")
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AllowFile {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    module: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    requester: Option<String>,
    capability: Capability,
    #[serde(deserialize_with = "capability::written_targets")]
    targets: Vec<TargetPattern>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    per_day: Option<u32>,
}

impl AllowFile {
    fn who(&self) -> WhoFile {
        WhoFile { module: self.module.clone(), requester: self.requester.clone() }
    }

    fn resolve(&self, rule: &str, bundled: &BTreeMap<Name, Vec<Cid>>) -> Result<Rule, PolicyError> {
        if self.targets.is_empty() {
            return Err(PolicyError::NoTargets { rule: rule.to_owned() });
        }
        let who = self.who().resolve(rule, bundled)?;
        let per_day = self.per_day.map_or(TARGET_QUOTA_PER_DAY, u64::from);
        Ok(Rule { who, capability: self.capability, targets: self.targets.clone(), per_day })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WhoFile {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    module: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    requester: Option<String>,
}

impl WhoFile {
    fn resolve(&self, rule: &str, bundled: &BTreeMap<Name, Vec<Cid>>) -> Result<Who, PolicyError> {
        if self.module.is_none() && self.requester.is_none() {
            return Err(PolicyError::NoSubject { rule: rule.to_owned() });
        }
        let modules = self.module.as_ref().map(|module| module_cids(module, rule, bundled)).transpose()?;
        let requester = match &self.requester {
            Some(text) => Some(text.parse().map_err(|error| PolicyError::Toml(format!("{rule}, requester = {text:?}: {error}")))?),
            None => None,
        };
        Ok(Who { modules, requester })
    }
}

fn module_cids(module: &str, rule: &str, bundled: &BTreeMap<Name, Vec<Cid>>) -> Result<BTreeSet<Cid>, PolicyError> {
    if let Some(cids) = Name::new(module).ok().and_then(|name| bundled.get(&name)) {
        return Ok(cids.iter().copied().collect());
    }
    match module.parse::<Cid>() {
        Ok(cid) => Ok([cid].into()),
        Err(_) => {
            let known = bundled.keys().map(Name::as_str).collect::<Vec<_>>().join(", ");
            Err(PolicyError::UnknownModule { rule: rule.to_owned(), module: module.to_owned(), known })
        }
    }
}
