//! From a station's values to the operator's page: why it works or does not, who used the machine, what is in force.
//!
//! Guarantees: a command that is offered would change what its sentence says. Deliberately lacks layout: that is the command line's.

use std::collections::BTreeMap;

use cid::Cid;
use station_protocol::activity::{Contact, Page, Row, Span, Who};
use station_protocol::address::Reach;
use station_protocol::capability::{Hosts, TargetPattern};
use station_protocol::human::Size;
use station_protocol::policy::{Allowance, Policy};
use station_protocol::sampling::target_of_host;
use station_protocol::work::DeclineReason;
use station_protocol::worker::{Rest, Standing, Summary};

use super::explain::word;
use super::page::{
    ActivityBody, BootstrapBody, BudgetBody, BudgetsBody, DeclinedBody, FileBody, HostBody, PeerBody, PolicyBody, ReachBody, RowBody, RuleBody,
    SpanBody, StateBody,
};
use crate::library::bundled_names;
use crate::network::Path;
use crate::network::knocks::{Bootstrap, Knock};
use crate::numbers::count;
use crate::on_disk::{FileStanding, OnDisk, sentence};
use crate::operator::Used;
use crate::outside::address::judge_pattern;
use crate::outside::quota::Target;
use crate::printable::Line;
use crate::spelling::Spelling;
use crate::station::{SOFTWARE, Status};

/// Whether it works now, and why not.
#[must_use]
pub fn state(status: &Status, spelling: &Spelling) -> StateBody {
    let body =
        |state: &str, until: Option<station_protocol::Time>, says: String| StateBody { state: state.to_owned(), until: until.map(|at| at.0), says };
    let running = status.running;
    let finishing = if running > 0 { format!("; {running} still running") } else { String::new() };
    match status.rest {
        Some(Rest::Draining) => body("draining", None, format!("stopping: nothing new is taken{finishing}")),
        Some(Rest::Paused { until }) => {
            let end = if until.is_some() { "it ends by itself, or with" } else { "until" };
            body("paused", until, format!("paused: nothing new is taken{finishing}; {end} `{}`", spelling.call("resume")))
        }
        Some(Rest::Hours { from }) => body("hours", Some(from), format!("outside the hours of the policy: nothing new is taken{finishing}")),
        Some(Rest::Battery) => body(
            "battery",
            None,
            format!("on battery: nothing new is taken{finishing}; `on_battery = true` under [budget] in policy.toml would let it work"),
        ),
        Some(Rest::Unfit) => {
            body("unfit", None, format!("{}: nothing new is taken{finishing}", status.unfit.as_deref().unwrap_or("this machine can run nothing")))
        }
        Some(Rest::Disk) => {
            body("disk", None, format!("the disk is nearly full: nothing new is taken{finishing}; free some, or raise `disk` in station.toml"))
        }
        None if running > 0 => body("working", None, format!("working: {running} of {} taken", count(status.slots.0.into(), "slot"))),
        None => body("idle", None, format!("idle: {}", why_idle(status))),
    }
}

fn why_idle(status: &Status) -> String {
    let is_open = |call: &&Summary| !matches!(call.standing, Standing::Closed | Standing::Late);
    let open: Vec<&Summary> = status.calls.iter().filter(is_open).collect();
    let declined = open.iter().filter(|call| matches!(call.standing, Standing::Declined(_))).count();
    match (status.slots.0, open.len()) {
        (0, _) => "this station only publishes".to_owned(),
        (_, 0) if status.paths.is_empty() => "no other station is connected, so that no experiment is heard of".to_owned(),
        (_, 0) => "no open experiment is known on its topics".to_owned(),
        (_, 1) if declined == 1 => "the one open experiment is declined, see below".to_owned(),
        (_, all) if declined == all => format!("all {all} open experiments are declined, see below"),
        (_, all) => format!("{all} open {}, and none has a job for this station now", if all == 1 { "experiment" } else { "experiments" }),
    }
}

/// The open experiments that are declined, by reason, with what would allow them.
#[must_use]
pub fn declined(calls: &[Summary], policy: &Policy, spelling: &Spelling) -> Vec<DeclinedBody> {
    let mut groups: BTreeMap<(String, String, Option<String>), u64> = BTreeMap::new();
    for call in calls {
        let Standing::Declined(reason) = call.standing else { continue };
        let (says, words) = decline(call, reason, policy);
        let command = words.map(|words| spelling.call(&words));
        *groups.entry((word(&reason), says, command)).or_default() += 1;
    }
    groups.into_iter().map(|((reason, says, command), experiments)| DeclinedBody { reason, experiments, says, command }).collect()
}

/// Why it is declined, and the words of the command that would allow it.
fn decline(call: &Summary, reason: DeclineReason, policy: &Policy) -> (String, Option<String>) {
    let module = module_name(&call.module).unwrap_or_else(|| call.module.to_string());
    match reason {
        DeclineReason::Capability | DeclineReason::Target if !call.lacks.is_empty() => lacking(call, &module),
        DeclineReason::Capability => (format!("{module} measures, and no rule of the policy names it or its requester"), None),
        DeclineReason::Target => (format!("{module} needs more targets than one grant can name"), None),
        DeclineReason::Budget => {
            let (limits, budget) = (&call.limits, &policy.budget);
            let asks = if limits.memory_bytes > budget.memory.0 {
                format!("{} of memory, and `memory` is {}", Size(limits.memory_bytes), budget.memory)
            } else {
                format!("{} of bytes in, and `bytes_per_day` is {}", Size(limits.in_bytes), budget.bytes_per_day)
            };
            (format!("a job of it may take {asks} under [budget] in policy.toml"), None)
        }
        DeclineReason::Profile => ("it is for an engine profile that this version does not run".to_owned(), None),
        DeclineReason::Labels => ("it asks for labels that are not under [labels] in station.toml".to_owned(), None),
        DeclineReason::Banned => match policy.denied(&call.requester, &call.module) {
            Some((Some(_), None)) => (format!("policy.toml denies the module {module}"), Some(format!("allow {module}"))),
            Some((None, Some(requester))) => (format!("policy.toml denies its requester {requester}"), Some(format!("allow {requester}"))),
            _ => ("policy.toml denies this module of this requester: edit its [[deny]]".to_owned(), None),
        },
        DeclineReason::Module => (format!("the module {module} could not be had whole, or no station could run it"), None),
        other => (word(&other), None),
    }
}

/// What a policy does not allow: a command is offered where it would not be refused.
fn lacking(call: &Summary, module: &str) -> (String, Option<String>) {
    let lacks: Vec<String> = call.lacks.iter().map(|(_, target)| target.to_string()).collect();
    // One capability at a time: there is one.
    let capability = call.lacks[0].0;
    let says = format!("{module} needs {capability} to {}, which the policy does not allow it", lacks.join(", "));
    let never = call.lacks.iter().find_map(|(_, target)| Some((target, judge_pattern(target).err()?)));
    if let Some((target, reason)) = never {
        return (format!("{says}; no policy can: {target} can never be contacted, for {reason}"), None);
    }
    let quoted: Vec<String> = lacks.iter().map(|target| quote(target)).collect();
    (says, Some(format!("allow {module} {capability} {}", quoted.join(" "))))
}

/// As a shell takes it for one word.
fn quote(word: &str) -> String {
    let is_plain = word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-' | '_'));
    if is_plain { word.to_owned() } else { format!("'{word}'") }
}

/// The bundled name of a module, also of an earlier release's.
#[must_use]
pub fn module_name(module: &Cid) -> Option<String> {
    bundled_names().iter().find(|(_, cids)| cids.contains(module)).map(|(name, _)| name.to_string())
}

/// Puts what is at work first, then what is open, and last what is over; those of a kind by their names.
pub fn in_order(calls: &mut [Summary]) {
    let place = |call: &Summary| match call.standing {
        _ if call.running + call.queued + call.outbox > 0 => 0,
        Standing::Closed | Standing::Final(_) | Standing::Late => 2,
        Standing::Open | Standing::Declined(_) | Standing::NotSampled | Standing::Refused { .. } => 1,
    };
    calls.sort_by_cached_key(|call| (place(call), call.name.to_string(), call.requester.to_string(), call.experiment.to_string()));
}

#[must_use]
pub fn peers(paths: &[Path]) -> Vec<PeerBody> {
    let peer = |path: &Path| PeerBody {
        node: path.node.to_string(),
        path: if path.remote.relay.is_some() { "relayed" } else { "direct" }.to_owned(),
        address: path.remote.ip.to_string(),
        relay: path.remote.relay.map(|relay| relay.to_string()),
        on_topic: path.on_topic,
        software: path.software.to_string(),
    };
    paths.iter().map(peer).collect()
}

/// Whether others say that they run a newer version of this software, in words: the highest that stations of two networks have or pass, since
/// one alone may say what it likes. Nobody is asked who could know it.
#[must_use]
pub fn newer(paths: &[Path]) -> Option<String> {
    let own = version(SOFTWARE)?;
    let said = paths.iter().filter_map(|path| Some((version(&path.software)?, path.remote.cluster(path.node, Reach::Any))));
    let mut newer: Vec<_> = said.filter(|(version, _)| *version > own).collect();
    newer.sort_unstable();
    let (_, first) = newer.last()?;
    let ((major, minor, patch), _) = newer.iter().rev().find(|(_, cluster)| cluster != first)?;
    let stations = count(newer.len() as u64, "connected station");
    Some(format!("{stations} say that they run a newer version, {major}.{minor}.{patch} or later: look for it where you got this one"))
}

/// The numbers of a version of this software. Others' software has versions of its own.
fn version(software: &str) -> Option<(u32, u32, u32)> {
    let mut numbers = software.strip_prefix("station/")?.split('.').map(|number| number.parse().ok());
    let version = (numbers.next()??, numbers.next()??, numbers.next()??);
    numbers.next().is_none().then_some(version)
}

#[must_use]
pub fn reach(status: &Status) -> ReachBody {
    let relayed = status.addresses.iter().any(|address| address.relay().is_some());
    let direct = status.addresses.iter().any(|address| address.relay().is_none());
    let says = match (status.reached, direct, relayed) {
        (1, ..) => "others have dialled this station directly, once since it started".to_owned(),
        (2.., ..) => format!("others have dialled this station directly, {} times since it started", status.reached),
        (0, true, _) => "nobody has dialled this station directly yet; it announces an address, which may be behind a router or firewall".to_owned(),
        (0, false, true) => "nobody has dialled this station directly: others come through a relay".to_owned(),
        (0, false, false) => {
            "this station knows no address at which others could dial it; it works all the same, over connections of its own".to_owned()
        }
    };
    ReachBody { from_others: status.reached, says }
}

/// What came of dialling a bootstrap address.
#[must_use]
pub fn bootstrap(bootstrap: &Bootstrap, network: &str) -> BootstrapBody {
    let ago = format!("{} s ago", bootstrap.ago_ms / 1_000);
    let (state, says) = match &bootstrap.knock {
        Knock::Unasked => ("unasked", "not dialled yet".to_owned()),
        Knock::Asked => ("asked", format!("no answer for {} s", bootstrap.ago_ms / 1_000)),
        Knock::Own => ("own", "this station's own".to_owned()),
        Knock::Connected => ("connected", "connected".to_owned()),
        Knock::Elsewhere => ("elsewhere", "its station is connected another way".to_owned()),
        Knock::Lost => ("lost", format!("was connected until {ago}")),
        Knock::Failed(why) => ("failed", format!("{why} {ago}")),
        Knock::Nowhere { name } => (
            "failed",
            format!(
                "this machine found no address of {} {ago}: see how the name is written under `bootstrap` in network.toml, and whether names \
                 can be looked up here (`names` in `station doctor`)",
                Line(name)
            ),
        ),
        Knock::WrongNode(Some(node)) => {
            let named = bootstrap.address.iter().last().map(|part| part.to_string().trim_start_matches("/p2p/").to_owned()).unwrap_or_default();
            ("wrong_node", format!("answers as {node}, not {named}"))
        }
        Knock::WrongNode(None) => ("wrong_node", "answers with a key that is no station's".to_owned()),
        Knock::OtherNetwork(other) => ("other_network", format!("speaks network {other}, not {network}")),
        Knock::OtherVersion { speaks, own } => {
            ("other_version", format!("speaks version {speaks} of this network's protocol, not {own}: update the older of the two"))
        }
        Knock::NoStation => ("no_station", "answers, and is no station".to_owned()),
    };
    // What is asked and silent for long is as bad as what failed.
    let bad = bootstrap.knock.is_bad() || (bootstrap.knock == Knock::Asked && bootstrap.ago_ms >= 3_000);
    let says = format!("bootstrap {}: {says}", bootstrap.place());
    BootstrapBody { address: bootstrap.address.to_string(), state: state.to_owned(), bad, ago_ms: bootstrap.ago_ms, says }
}

/// Each of the operator's files.
#[must_use]
pub fn files(on_disk: &OnDisk, policy: &Policy, spelling: &Spelling) -> Vec<FileBody> {
    let file = |(file, standing): &(&str, FileStanding)| FileBody {
        file: (*file).to_owned(),
        in_force: *standing == FileStanding::InForce,
        says: sentence(file, standing, spelling),
    };
    on_disk.files(policy).iter().map(file).collect()
}

/// The policy in force.
#[must_use]
pub fn policy(on_disk: &OnDisk, policy: &Policy, spelling: &Spelling) -> PolicyBody {
    let hash = policy.hash().0.iter().map(|byte| format!("{byte:02x}")).collect();
    let file = files(on_disk, policy, spelling).swap_remove(0);
    PolicyBody { hash, policy: policy.values(), text: policy.source().to_owned(), file }
}

/// What the policy allows and what is used of it.
#[must_use]
pub fn budgets(status: &Status, policy: &Policy, used: &Used) -> BudgetsBody {
    let budget = |what: &str, used: u64, max: u64| BudgetBody { what: what.to_owned(), used, max };
    let rule = |rule: Allowance<'_>| {
        let covers = |target: &Target| rule.targets.iter().any(|pattern| leads_to(pattern, target));
        let mut of_rule: Vec<(String, u64)> =
            used.targets.iter().filter(|(target, _)| covers(target)).map(|(target, used)| (target.to_string(), *used)).collect();
        of_rule.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        RuleBody {
            module: rule.module.map(str::to_owned),
            requester: rule.requester.map(|requester| requester.to_string()),
            capability: rule.capability.to_string(),
            targets: rule.targets.iter().map(ToString::to_string).collect(),
            per_day: rule.per_day,
            used: of_rule,
        }
    };
    let (slots, memory) = status.slots;
    BudgetsBody {
        budgets: vec![
            budget("jobs at once", status.running as u64, slots.into()),
            budget("memory", memory, policy.budget.memory.0),
            budget("bytes today", used.bytes, policy.budget.bytes_per_day.0),
        ],
        hours: policy.budget.hours.to_string(),
        on_battery: policy.budget.on_battery,
        rules: policy.rules_written().map(rule).collect(),
    }
}

/// Whether requests to hosts of `pattern` count at `target`.
fn leads_to(pattern: &TargetPattern, target: &Target) -> bool {
    if target.is_network() {
        return false;
    }
    match pattern.hosts() {
        Hosts::Any => true,
        // A socket that the builder of the `Outside` named is a target with its port.
        Hosts::Exactly(host) => target_of_host(host) == target.as_str() || target.as_str().rsplit_once(':').is_some_and(|(name, _)| name == host),
        Hosts::Below(domain) => target_of_host(domain) == target.as_str(),
    }
}

/// The ledger from `since` on.
#[must_use]
pub fn activity(pages: &[(Span, Page)], now: station_protocol::Time, since: station_protocol::Time) -> ActivityBody {
    let span = |(span, page): &(Span, Page)| {
        let kind = match span {
            Span::Hour(_) => "hour",
            Span::Day(_) => "day",
            Span::Earlier => "earlier",
        };
        let named = page.rows.iter().map(|(who, page_row)| row(Some(who), page_row));
        let others = (!page.others.is_empty()).then(|| row(None, &page.others));
        let declined = page.declined.iter().map(|(reason, count)| (word(reason), *count)).collect();
        SpanBody { span: kind.to_owned(), begins: span.begins().0, rows: named.chain(others).collect(), declined }
    };
    ActivityBody { now: now.0, since: since.0, spans: pages.iter().map(span).collect() }
}

fn row(who: Option<&Who>, row: &Row) -> RowBody {
    let host = |host: Option<&str>, contact: &Contact| HostBody {
        host: host.map(str::to_owned),
        requests: contact.requests,
        bytes: contact.bytes,
        refused: contact.refused.iter().map(|(reason, count)| (word(reason), *count)).collect(),
    };
    let mut hosts: Vec<HostBody> = row.hosts.iter().map(|(name, contact)| host(Some(name.as_str()), contact)).collect();
    hosts.sort_by_key(|host| std::cmp::Reverse(host.requests));
    if row.elsewhere != Contact::default() {
        hosts.push(host(None, &row.elsewhere));
    }
    RowBody {
        requester: who.map(|who| who.requester.to_string()),
        module: who.map(|who| who.module.to_string()),
        module_name: who.and_then(|who| module_name(&who.module)),
        first: row.first.0,
        last: row.last.0,
        jobs: row.jobs(),
        outcomes: row.ended.iter().map(|(ended, count)| (word(ended), *count)).collect(),
        cpu_ms: row.cpu_ms,
        cpu_is_exact: row.cpu_unknown == 0,
        slot_ms: row.slot_ms,
        in_bytes: row.in_bytes,
        out_bytes: row.out_bytes,
        hosts,
    }
}

#[cfg(test)]
mod tests;
