//! `station doctor`: what this machine can and cannot do, each finding with the next step.

use serde::Serialize;
use station_sandbox::Sandbox;

use super::checks;
use super::layout::hung;
use super::output::{Exit, Failure, Output};
use crate::api::types::StatusBody;
use crate::numbers::count;
use crate::platform::home::Home;
use crate::platform::names::{Names, System};
use crate::platform::trial::{self, Trial};

#[derive(Debug, Serialize)]
pub(super) struct Finding {
    pub(super) what: &'static str,
    pub(super) good: bool,
    pub(super) says: String,
}

pub(super) async fn run(home: &Home, output: &Output) -> Result<Exit, Failure> {
    let spinner = output.spinner("looking");
    let seen = checks::Seen::of(home).await;
    let mut findings = vec![key(home), settings(home), network(home)];
    findings.extend(checks::findings(home, &seen).await);
    findings.extend([sandbox().await, names(home).await, clock(&seen), checks::running(home, &seen)]);
    spinner.finish_and_clear();
    let good = findings.iter().all(|finding| finding.good);
    let width = output.width();
    output.show(&findings, |findings| findings.iter().map(|finding| line(finding, width)).collect());
    Ok(if good { Exit::Done } else { Exit::Failed })
}

/// Columns from which on a finding is told beside its name, and not below.
const BESIDE: usize = 60;

fn line(finding: &Finding, width: Option<usize>) -> String {
    let (good, what) = (if finding.good { "ok  " } else { "BAD " }, finding.what);
    match width {
        // Nobody's lines are folded that a program reads.
        None => hung(usize::MAX, &format!("{good} {what:12} "), &" ".repeat(18), &finding.says),
        Some(width) if width < BESIDE => format!("{good} {what}\n{}", hung(width, "  ", "  ", &finding.says)),
        Some(width) => hung(width, &format!("{good} {what:12} "), &" ".repeat(18), &finding.says),
    }
}

fn finding<T, E: std::fmt::Display>(what: &'static str, result: Result<T, E>, says: impl FnOnce(T) -> String) -> Finding {
    match result {
        Ok(value) => Finding { what, good: true, says: says(value) },
        Err(error) => Finding { what, good: false, says: error.to_string() },
    }
}

fn key(home: &Home) -> Finding {
    finding("key", home.key(), |key| station_protocol::SigningKey::from_bytes(&key).node().to_string())
}

fn settings(home: &Home) -> Finding {
    finding("settings", home.config(), |config| {
        format!("listens on {}", config.listen.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
    })
}

fn network(home: &Home) -> Finding {
    finding("network", home.network(), |network| {
        let (topics, addresses) = (network.topics.len() as u64, network.bootstrap.len() as u64);
        format!("{} with {} and {}", network.name, count(topics, "topic"), count(addresses, "bootstrap address"))
    })
}

/// Runs the bundled no-op for real: a machine on which it does not complete runs nothing.
async fn sandbox() -> Finding {
    let isolation = crate::api::explain::word(&station_sandbox::isolation());
    of_trial(&isolation, trial::noop(Sandbox::new(station_sandbox::Config::default())).await)
}

fn of_trial(isolation: &str, trial: Result<Trial, String>) -> Finding {
    finding("sandbox", trial, |trial| format!("isolation {isolation}; a no-op {} in {} ms", trial.outcome, trial.duration_ms))
}

/// Whether names can be looked up, which some stations never need.
async fn names(home: &Home) -> Finding {
    let named = |address: &libp2p::Multiaddr| address.to_string().starts_with("/dns");
    let bootstrap = home.network().is_ok_and(|network| network.bootstrap.iter().any(named));
    let measures = home.policy().is_ok_and(|policy| policy.text().contains("[[allow]]"));
    match Names::new(System).check().await {
        Ok(()) => Finding { what: "names", good: true, says: "the system's resolver answers".to_owned() },
        Err(error) => {
            let next = "look at /etc/resolv.conf and the network; a running station takes the new one by itself";
            let without = if bootstrap || measures { next } else { "nothing here needs names" };
            Finding { what: "names", good: !(bootstrap || measures), says: format!("{error}: {without}") }
        }
    }
}

/// Certificates, leases and records need a clock that is roughly right; calls need one that is right to half a minute.
fn clock(seen: &checks::Seen) -> Finding {
    /// When this version was written: no honest clock is before it.
    const WRITTEN: u64 = 1_795_000_000_000;
    if crate::clock::machine().0 < WRITTEN {
        let says = "the clock is years behind: set it, or calls will look as if they came from the future";
        return Finding { what: "clock", good: false, says: says.to_owned() };
    }
    let (good, says) = match seen.status() {
        Some(StatusBody { clock: Some(apart), .. }) => (false, apart.clone()),
        Some(_) => (true, "plausible; most peers of the running station say nothing else".to_owned()),
        None => (true, "plausible; peers' clocks are compared while a station runs".to_owned()),
    };
    Finding { what: "clock", good, says }
}

#[cfg(test)]
mod tests;
