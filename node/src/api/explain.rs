//! Why an experiment moves as it does, in words: counts from the Requester, and what would change them.
//!
//! Guarantees: each sentence of advice follows from [`Facts`] that the same answer shows, and an open experiment has at least one.
//! Deliberately lacks guesses: who keeps silent gave no reason, and none is invented.

use cid::Cid;
use serde::Serialize;
use station_protocol::bounded::{List, Name};
use station_protocol::call::CallState;
use station_protocol::capability::{Capability, PATTERNS_MAX, TargetPattern};
use station_protocol::experiment::{Class, Experiment, LABEL_VALUES_MAX};
use station_protocol::human::{Size, Span};
use station_protocol::log;
use station_protocol::policy::Budget;
use station_protocol::receipt::Outcome;
use station_protocol::requester::{Heard, View};
use station_protocol::work::{ClaimRefused, DeclineReason};
use station_protocol::worker::{Standing, Summary};

use super::types::{ExperimentBody, HeardBody, SayingBody, VerificationBody};
use crate::library::bundled_names;
use crate::numbers::count;
use crate::results::{outcome_word, remedy};
use crate::station::Around;

/// A unit variant as it is written on the wire.
pub fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(_) => "unknown".to_owned(),
    }
}

/// What this station does about somebody's experiment, and why.
#[must_use]
pub fn standing(summary: &Summary) -> String {
    let busy = if summary.running + summary.queued + summary.outbox == 0 {
        if summary.claimed { "claimed; nothing to do now".to_owned() } else { "open".to_owned() }
    } else {
        format!("{} running, {} queued, {} to deliver", summary.running, summary.queued, count(summary.outbox as u64, "receipt"))
    };
    match &summary.standing {
        Standing::Open => busy,
        Standing::Declined(reason) => format!("declined: {}", word(reason)),
        Standing::NotSampled => "not asked: the present Call asks other stations".to_owned(),
        Standing::Refused { reason, .. } => format!("refused by the requester until its next Call: {}", word(reason)),
        Standing::Final(reason) => format!("refused by the requester: {}", word(reason)),
        Standing::Late => "its deadline has passed".to_owned(),
        Standing::Closed => "closed".to_owned(),
    }
}

/// Everything that advice about one experiment rests on: the same answer of the API shows it.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub view: &'a View,
    pub around: Around,
    /// The topics that this station takes part in.
    pub topics: &'a [Name],
}

/// What the API says of an experiment of this station.
#[must_use]
pub fn experiment(facts: &Facts<'_>) -> ExperimentBody {
    let Facts { view, around, .. } = facts;
    let (experiment, status, why) = (&view.call.body.experiment.body, &view.status, &view.explanation);
    ExperimentBody {
        experiment: status.experiment.to_string(),
        name: experiment.name.to_string(),
        topic: experiment.topic.to_string(),
        published: view.published.0,
        jobs: status.jobs,
        settled: status.settled,
        held: status.held,
        outstanding: status.outstanding,
        closed: is_closed(view),
        deadline: experiment.deadline.0,
        log: status.log.map(|log| log.to_string()),
        wanted: u64::from(experiment.class.executions()),
        stations: around.counted.max(why.stations),
        connected: around.connected,
        sampled: why.sampled,
        claimants: why.claimants,
        full: why.full,
        resting: why.resting,
        said: view.said.iter().map(heard).collect(),
        needs: needs(experiment),
        labels: labels(experiment),
        refusals: why.refusals.iter().map(|(reason, count)| (word(reason), *count)).collect(),
        declines: why.declines.iter().map(|(reason, count)| (word(reason), *count)).collect(),
        failures: why.failures.iter().map(|(outcome, count)| (outcome_word(outcome), *count)).collect(),
        advice: advice(facts),
    }
}

fn heard(heard: &Heard) -> HeardBody {
    let saying = SayingBody { permille: heard.permille, message: heard.message.to_string() };
    HeardBody { job: heard.index, node: heard.node.to_string(), heard: heard.at.0, saying }
}

/// What the API says of a Log that holds together.
#[must_use]
pub fn verification(experiment: String, summary: &log::Summary) -> VerificationBody {
    let log::Summary { settled, receipts, late, absent, inputs, .. } = *summary;
    VerificationBody { experiment, settled, receipts, late, absent, inputs, unproved: log::UNPROVED.map(str::to_owned).to_vec() }
}

fn is_closed(view: &View) -> bool {
    matches!(view.call.body.state, CallState::Closed { .. })
}

fn needs(experiment: &Experiment) -> Vec<String> {
    let of = |(capability, targets): (&Capability, &List<TargetPattern, PATTERNS_MAX>)| {
        targets.iter().map(|target| format!("{capability} {target}")).collect::<Vec<_>>()
    };
    experiment.needs.iter().flat_map(of).collect()
}

fn labels(experiment: &Experiment) -> Vec<String> {
    let of = |(label, values): (&Name, &List<Name, LABEL_VALUES_MAX>)| {
        let values: Vec<&str> = values.iter().map(Name::as_str).collect();
        format!("{label} = {}", values.join(" or "))
    };
    experiment.labels.iter().map(of).collect()
}

/// Why an open experiment is not further, and what would change it: at least one sentence, each about a fact of `facts`.
fn advice(facts: &Facts<'_>) -> Vec<String> {
    let Facts { view, topics, .. } = facts;
    if is_closed(view) {
        return Vec::new();
    }
    let experiment = &view.call.body.experiment.body;
    if !topics.contains(&experiment.topic) {
        let have: Vec<&str> = topics.iter().map(Name::as_str).collect();
        let (topic, have) = (&experiment.topic, have.join(", "));
        return vec![format!("{topic} is no topic of this station's network any more, it has {have}: add it to the network file, or cancel")];
    }
    let mut advice = Vec::new();
    advice.extend(nobody(facts));
    advice.extend(unclaimed(facts));
    advice.extend(view.explanation.declines.iter().filter_map(|(reason, count)| decline(*reason, *count, experiment)));
    advice.extend(view.explanation.refusals.iter().filter_map(|(reason, count)| refusal(*reason, *count)));
    advice.extend(unplaced(view.explanation.unplaced));
    advice.extend(too_few(facts));
    advice.extend(view.explanation.failures.iter().filter_map(|(outcome, count)| failure(outcome, *count)));
    advice.extend(under_way(view));
    let all_elsewhere = view.explanation.full + view.explanation.resting >= view.explanation.claimants;
    if advice.is_empty() && !(all_elsewhere && view.explanation.claimants > 0) {
        advice.push(idle(view));
    }
    advice.extend(elsewhere(view));
    advice
}

/// Nobody is there who could take a job, and nobody has one.
fn nobody(Facts { view, around, .. }: &Facts<'_>) -> Option<String> {
    let (topic, claimants) = (&view.call.body.experiment.body.topic, view.explanation.claimants);
    if around.connected > 0 || view.status.outstanding > 0 {
        return None;
    }
    Some(if claimants > 0 {
        let before = count(claimants, "station");
        format!("no station of topic {topic} is connected now; {before} claimed before: if they still run they come back by themselves")
    } else if around.peers == 0 {
        "this station is connected with nobody: check the network file's bootstrap addresses, and that a station runs there".to_owned()
    } else {
        let peers = count(around.peers, "connected station");
        format!("none of the {peers} takes part in topic {topic}: their network file must have it, as this one's has")
    })
}

/// Stations are there, and none has claimed: how many were asked, and what could keep them away.
fn unclaimed(facts: &Facts<'_>) -> Vec<String> {
    let Facts { view, around, .. } = facts;
    let (experiment, why) = (&view.call.body.experiment.body, &view.explanation);
    if around.connected == 0 || why.claimants > 0 {
        return Vec::new();
    }
    let (counted, topic) = (around.counted.max(why.stations), &experiment.topic);
    let stations = count(counted, "station");
    let mut advice = vec![if why.sampled < why.stations {
        let asked = why.sampled;
        format!("of the {stations} that topic {topic} counts {asked} are asked and none has claimed yet; every 2 s more are asked")
    } else {
        format!("all of the {stations} that topic {topic} counts, this one among them, are asked and none has claimed yet")
    }];
    if !experiment.needs.is_empty() {
        let (needs, module) = (needs(experiment).join(", "), experiment.module.cid);
        let capabilities: Vec<String> = experiment.needs.keys().map(ToString::to_string).collect();
        advice.push(format!(
            "it needs {needs}: stations take part only where their operator ran `station allow {} {} TARGET…` with these targets",
            bundled_name(&module),
            capabilities.join(", "),
        ));
    }
    if !experiment.labels.is_empty() && !why.declines.contains_key(&DeclineReason::Labels) {
        let labels = labels(experiment).join(" and ");
        advice.push(format!("only stations that say {labels} of themselves may take part: ask for fewer in [where], or operators to say so"));
    }
    let budget = Budget::default();
    if experiment.limits.memory_bytes > budget.memory.0 && !why.declines.contains_key(&DeclineReason::Budget) {
        let memory = Size(experiment.limits.memory_bytes);
        advice.push(format!("it asks for {memory} of memory and operators who did not say otherwise give {}: lower [limits] memory", budget.memory));
    }
    advice
}

/// A module as people name it in `station allow`.
fn bundled_name(module: &Cid) -> String {
    let bundled = bundled_names().into_iter().find(|(_, cids)| cids.contains(module));
    bundled.map_or_else(|| module.to_string(), |(name, _)| name.to_string())
}

fn decline(reason: DeclineReason, stations: u64, experiment: &Experiment) -> Option<String> {
    let says = match reason {
        DeclineReason::Capability => "allow no such capability for this module: ask their operators to run `station allow`".to_owned(),
        DeclineReason::Target => "allow the capability for other targets only: name fewer targets in [needs]".to_owned(),
        DeclineReason::Budget => "have budgets below the limits: lower [limits]".to_owned(),
        DeclineReason::Labels => format!("do not say {} of themselves: ask for fewer labels in [where]", labels(experiment).join(" and ")),
        DeclineReason::Module => "could not fetch the module, or refused it: try `station module inspect`".to_owned(),
        DeclineReason::Profile => "do not run the module's engine profile: they, or this station, need an update".to_owned(),
        DeclineReason::Banned => "take nothing from this requester, or not this module: only their operators can change that".to_owned(),
        _ => return None,
    };
    Some(format!("{} declined: they {says}", count(stations, "station")))
}

fn refusal(reason: ClaimRefused, claims: u64) -> Option<String> {
    let says = match reason {
        ClaimRefused::NotSampled => {
            "came from networks that the present Call does not ask, or through a relay: it asks more of them by itself when too few claim"
        }
        ClaimRefused::ClusterTaken => "came from a network (/24 or /48) that has its seat already",
        ClaimRefused::Profile => "came from stations without the module's engine profile: they may need an update",
        ClaimRefused::Labels => "came from stations that do not have the labels of [where]",
        _ => return None,
    };
    Some(format!("{} refused: {} {says}", count(claims, "claim"), if claims == 1 { "it" } else { "they" }))
}

fn unplaced(claims: u64) -> Option<String> {
    (claims > 0).then(|| {
        format!(
            "{} came from private addresses, which share one seat on a public network: let the proxy or container in front of this station keep the addresses of those who connect",
            count(claims, "claim")
        )
    })
}

/// Some claimed, and fewer than one job wants.
fn too_few(Facts { view, around, .. }: &Facts<'_>) -> Option<String> {
    let (class, why) = (&view.call.body.experiment.body.class, &view.explanation);
    let wanted = u64::from(class.executions());
    let counted = around.counted.max(why.stations);
    // Where nobody is connected the count says nothing.
    let is_small = around.connected > 0 && counted < wanted;
    if why.claimants >= wanted || (why.claimants == 0 && !is_small) {
        return None;
    }
    let key = if matches!(class, Class::Measurement(_)) { "[measurement] stations" } else { "[pure] trust" };
    let claimed = if why.claimants == 1 { "1 has".to_owned() } else { format!("{} have", why.claimants) };
    let more = if is_small { format!("; the topic counts {counted} in all: ask for fewer in {key}, or wait for more") } else { String::new() };
    Some(format!("each job wants {} of different networks and {claimed} claimed{more}", count(wanted, "station")))
}

/// What a failed execution says of the experiment.
fn failure(outcome: &Outcome, executions: u64) -> Option<String> {
    let word = outcome_word(outcome);
    remedy(&word).map(|next| format!("{} ended with {word}: {next}", count(executions, "execution")))
}

/// What is waited for.
fn under_way(view: &View) -> Option<String> {
    let wall = Span(view.call.body.experiment.body.limits.wall_ms);
    let running = count(view.status.outstanding, "execution");
    (view.status.outstanding > 0).then(|| format!("{running} under way: each may take {wall} by [limits] wall, and the way there and back"))
}

/// Claimants that wait, and not for want of jobs.
fn elsewhere(view: &View) -> Vec<String> {
    let why = &view.explanation;
    let mut said = Vec::new();
    if why.full > 0 {
        let (stations, they) = (count(why.full, "station"), if why.full == 1 { "takes" } else { "take" });
        said.push(format!("{stations} that claimed {they} no job now: busy, paused or full, and each requester gets its turn"));
    }
    if why.resting > 0 {
        let stations = count(why.resting, "station");
        said.push(format!("{stations} lost or gave back the last jobs: the next come after a pause, of a minute at most"));
    }
    said
}

/// Enough claimed, nothing failed, nothing is under way.
fn idle(view: &View) -> String {
    let claimants = count(view.explanation.claimants, "station");
    format!(
        "{claimants} claimed and have nothing to run now: what is left they ran or lost before, or its target's share of the day is used up; others are asked"
    )
}

#[cfg(test)]
mod tests;
