//! Why an experiment moves as it does, in words: counts from the Requester, and what would change them.

use serde::Serialize;
use station_protocol::call::CallState;
use station_protocol::requester::View;
use station_protocol::work::{ClaimRefused, DeclineReason};
use station_protocol::worker::{Standing, Summary};

use super::types::ExperimentBody;

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
        format!("{} running, {} queued, {} receipts to deliver", summary.running, summary.queued, summary.outbox)
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

/// What the API says of an experiment of this station.
#[must_use]
pub fn experiment(view: &View) -> ExperimentBody {
    let (experiment, status, why) = (&view.call.body.experiment.body, &view.status, &view.explanation);
    ExperimentBody {
        experiment: status.experiment.to_string(),
        name: experiment.name.to_string(),
        topic: experiment.topic.to_string(),
        jobs: status.jobs,
        settled: status.settled,
        held: status.held,
        outstanding: status.outstanding,
        closed: matches!(view.call.body.state, CallState::Closed { .. }),
        deadline: experiment.deadline.0,
        log: status.log.map(|log| log.to_string()),
        stations: why.stations,
        sampled: why.sampled,
        claimants: why.claimants,
        refusals: why.refusals.iter().map(|(reason, count)| (word(reason), *count)).collect(),
        declines: why.declines.iter().map(|(reason, count)| (word(reason), *count)).collect(),
        advice: advice(view),
    }
}

fn advice(view: &View) -> Vec<String> {
    let (experiment, why) = (&view.call.body.experiment.body, &view.explanation);
    let mut advice = Vec::new();
    if matches!(view.call.body.state, CallState::Closed { .. }) {
        return advice;
    }
    if why.stations <= 1 {
        advice.push(format!("no other station is known on topic {}: check the network file's bootstrap addresses", experiment.topic));
    } else if why.claimants == 0 {
        advice.push(format!("{} of {} stations were asked and none has claimed yet; the Call widens every 2 s", why.sampled, why.stations));
        if !experiment.needs.is_empty() {
            let needs: Vec<String> = experiment.needs.keys().map(ToString::to_string).collect();
            advice.push(format!(
                "it needs {}: stations take part only where their operator ran `station allow` for this module or requester",
                needs.join(", ")
            ));
        }
    }
    advice.extend(why.declines.keys().filter_map(|reason| decline(*reason)).map(str::to_owned));
    advice.extend(why.refusals.keys().filter_map(|reason| refusal(*reason)).map(str::to_owned));
    if why.unplaced > 0 {
        advice.push(format!(
            "{} claims came from private addresses, which share one seat on a public network: let the proxy or container in front of this station keep the addresses of those who connect",
            why.unplaced
        ));
    }
    let executions = u64::from(experiment.class.executions());
    if why.claimants > 0 && why.claimants < executions {
        advice.push(format!("each job wants {executions} stations of different networks and {} have claimed", why.claimants));
    }
    advice
}

fn decline(reason: DeclineReason) -> Option<&'static str> {
    match reason {
        DeclineReason::Capability => Some("some operators allow no such capability for this module: ask them to run `station allow`"),
        DeclineReason::Target => Some("some operators allow the capability for other targets only: name fewer targets in [needs]"),
        DeclineReason::Budget => Some("the limits are above some operators' budgets: lower [limits]"),
        DeclineReason::Labels => Some("some stations lack the labels of [where]"),
        DeclineReason::Quota => Some("some stations have used up the target's share of the day: spread the jobs over more days or targets"),
        DeclineReason::Module => Some("some stations could not fetch the module or refused it: try `station module inspect`"),
        _ => None,
    }
}

fn refusal(reason: ClaimRefused) -> Option<&'static str> {
    match reason {
        ClaimRefused::NotSampled => Some(
            "some claims came from networks that the present Call does not ask, or through a relay: it asks more of them by itself when too few claim",
        ),
        ClaimRefused::ClusterTaken => Some("some claims came from a network (/24 or /48) that has its seat already"),
        ClaimRefused::Profile => Some("some stations do not run the module's engine profile: they may need an update"),
        ClaimRefused::Labels => Some("some claims lack the labels of [where]"),
        _ => None,
    }
}
