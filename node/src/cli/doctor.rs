//! `station doctor`: what this machine can and cannot do, each finding with the next step.

use serde::Serialize;
use station_protocol::limits::Limits;

use super::checks;
use super::output::{Exit, Failure, Output};
use crate::library::BUNDLED;
use crate::platform::home::Home;
use crate::platform::trial;

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
    findings.extend([sandbox().await, clock(), checks::running(&seen)]);
    spinner.finish_and_clear();
    let good = findings.iter().all(|finding| finding.good);
    output.show(&findings, |findings| {
        findings.iter().map(|finding| format!("{} {:12} {}\n", if finding.good { "ok  " } else { "BAD " }, finding.what, finding.says)).collect()
    });
    Ok(if good { Exit::Done } else { Exit::Failed })
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
        format!("{} with {} topics and {} bootstrap addresses", network.name, network.topics.len(), network.bootstrap.len())
    })
}

/// Runs the bundled no-op for real: the shortest proof that workers start, compile and answer.
async fn sandbox() -> Finding {
    let noop = BUNDLED.iter().find(|module| module.name == "noop").expect("noop is bundled");
    let isolation = crate::api::explain::word(&station_sandbox::isolation());
    let trial = trial::run(noop.bytes.to_vec(), &serde_json::json!({}), Limits::default(), true).await;
    finding("sandbox", trial, |trial| format!("isolation {isolation}; a no-op {} in {} ms", trial.outcome, trial.duration_ms))
}

/// Certificates, leases and records need a clock that is roughly right.
fn clock() -> Finding {
    /// When this version was written: no honest clock is before it.
    const WRITTEN: u64 = 1_795_000_000_000;
    let now = crate::clock::Clock::start().now();
    let result =
        if now.0 >= WRITTEN { Ok(now) } else { Err("the clock is years behind: set it, or calls will look as if they came from the future") };
    finding("clock", result, |_| "plausible".to_owned())
}
