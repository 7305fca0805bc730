//! `run` and `mesh`: one run, its result on stdout, its folder on request.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use station_protocol::experiment::{Labels, Trust};

use super::mutant::Mutant;
use super::progress::Bar;
use super::{ChecksFailed, Failure};
use crate::det::{Machine, threads};
use crate::scenario::{Fidelity, Scenario};
use crate::world;
use crate::world::outcome::Outcome;
use crate::world::plan::{Kind, Plan, Work};

/// The scenario in a run's folder, as it was performed.
pub(super) const SCENARIO: &str = "scenario.toml";

/// How a run shows its result.
#[derive(Clone, Debug, Args)]
pub(super) struct Show {
    /// All luck of the run comes from this number.
    #[arg(long)]
    seed: Option<u64>,
    /// The result as one JSON object on stdout, and no progress.
    #[arg(long)]
    json: bool,
    /// A folder for scenario.toml, manifest.json, metrics.json, checkpoints.json and report.html.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Run {
    /// The scenario; "-" reads it from stdin.
    file: PathBuf,
    #[command(flatten)]
    show: Show,
    #[command(flatten)]
    mutant: Mutant,
}

impl Run {
    pub(super) fn execute(self, machine: Machine) -> Result<(), Failure> {
        let (plan, seed, text) = prepared(|| planned(&self.file, self.show.seed))?;
        self.mutant.plant();
        if let Some(dir) = &self.show.out {
            fs::create_dir_all(dir)?;
            fs::write(dir.join(SCENARIO), &text)?;
        }
        perform(&plan, seed, Scenario::shows(&text), &self.show, machine)
    }
}

/// A scenario's plan, its seed (`seed`, or the scenario's own) and its text.
pub(super) fn planned(file: &Path, seed: Option<u64>) -> Result<(Plan, u64, String), String> {
    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let (text, mut scenario) = read(file)?;
    scenario.run.seed = seed.unwrap_or(scenario.run.seed);
    let plan = Plan::of(&scenario, &name).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok((plan, scenario.run.seed, text))
}

/// A scenario and its text; "-" is stdin.
pub(super) fn read(file: &Path) -> Result<(String, Scenario), String> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let text = if file == Path::new("-") { std::io::read_to_string(std::io::stdin()) } else { fs::read_to_string(file) };
    let text = text.map_err(|error| named(&error))?;
    let scenario = Scenario::parse(&text).map_err(|error| named(&error))?;
    Ok((text, scenario))
}

#[derive(Debug, Args)]
pub(super) struct Mesh {
    #[arg(long, default_value_t = 100)]
    stations: u32,
    /// What connections are made of.
    #[arg(long, value_parser = fidelity, default_value = "full")]
    fidelity: Fidelity,
    /// Virtual seconds in all, and before anything counts.
    #[arg(long, default_value_t = 120)]
    duration: u64,
    #[arg(long, default_value_t = 60)]
    warmup: u64,
    /// Virtual milliseconds between two experiments of one job each, of a random station. Each sends five or six Calls, and of unknown
    /// authors together stations hear one a second.
    #[arg(long, default_value_t = 6_000)]
    every: u64,
    #[command(flatten)]
    show: Show,
}

fn fidelity(text: &str) -> Result<Fidelity, String> {
    match text {
        "full" => Ok(Fidelity::Full),
        "fast" => Ok(Fidelity::Fast),
        other => Err(format!("{other:?} is no fidelity: write full or fast")),
    }
}

/// One bootstrap node for so many stations: each asks a few of them once.
const STATIONS_PER_BOOTSTRAP: u32 = 50;
/// No experiment begins so shortly before the end.
const LAST_MS: u64 = 10_000;

impl Mesh {
    pub(super) fn execute(self, machine: Machine) -> Result<(), Failure> {
        let seed = self.show.seed.unwrap_or(1);
        let plan = prepared(|| self.plan(seed))?;
        perform(&plan, seed, "", &self.show, machine)
    }

    fn plan(&self, seed: u64) -> Result<Plan, String> {
        let servers = self.stations.div_ceil(STATIONS_PER_BOOTSTRAP);
        let fidelity = if self.fidelity == Fidelity::Full { "full" } else { "fast" };
        let text = format!(
            "[run]\nseed = {seed}\nduration = \"{}s\"\nwarmup = \"{}s\"\nfidelity = \"{fidelity}\"\n\
             [[group]]\nname = \"server\"\ncount = {servers}\nroles = [\"bootstrap\", \"dht_server\"]\njoin = {{ at = \"0s\", within = \"1s\" }}\n\
             [[group]]\nname = \"home\"\ncount = {}\nup = \"50mbit\"\ndown = \"200mbit\"\nlast_mile = \"5ms\"\njoin = {{ at = \"1s\", within = \"20s\" }}\n",
            self.duration,
            self.warmup,
            self.stations.saturating_sub(servers),
        );
        let scenario = Scenario::parse(&text).map_err(|error| error.to_string())?;
        let mut plan = Plan::of(&scenario, &format!("mesh-{}", self.stations)).map_err(|error| error.to_string())?;
        let (first_ms, last_ms) = (self.warmup * 1_000, (self.duration * 1_000).saturating_sub(LAST_MS));
        plan.work.push(Work {
            first_ms,
            every_ms: self.every,
            count: u32::try_from(last_ms.saturating_sub(first_ms) / self.every.max(1) + 1).unwrap_or(u32::MAX),
            requesters: (servers..self.stations).collect(),
            one_of_them: true,
            jobs: 1,
            kind: Kind::Pure { trust: Trust::Fixed(1), fuel: 100_000_000, output_bytes: 256, compile_ms: None },
            labels: Labels::default(),
            deadline_ms: 60_000,
            wall_ms: 60_000,
        });
        Ok(plan)
    }
}

/// What `prepare` gives, prepared on a thread of its own that has ended: a thread's first hash map fixes the keys of all its others, and
/// those of a run are drawn within the run.
pub(super) fn prepared<T: Send>(prepare: impl FnOnce() -> T + Send) -> T {
    let prepared = std::thread::scope(|scope| scope.spawn(prepare).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    threads::leave();
    prepared
}

/// Performs `plan`, of which its file says that it shows `shows`, and tells what came of it.
pub(super) fn perform(plan: &Plan, seed: u64, shows: &str, show: &Show, machine: Machine) -> Result<(), Failure> {
    let bar = Bar::new(show.json);
    let mut outcome = world::run(plan, seed, machine, None, &mut |now| bar.show(now))?;
    bar.finish();
    outcome.metrics.shows = shows.to_owned();
    if let Some(dir) = &show.out {
        write(dir, &outcome)?;
    }
    if show.json {
        println!("{}", serde_json::to_string(&outcome)?);
    } else {
        println!("{}", summary(&outcome));
    }
    let failed = outcome.metrics.failed();
    if failed.is_empty() {
        return Ok(());
    }
    let failed: Vec<String> = failed.iter().map(|check| format!("{} ({})", check.check, check.detail)).collect();
    Err(ChecksFailed(failed.join("; ")).into())
}

/// The result as a person reads it.
fn summary(outcome: &Outcome) -> String {
    let (metrics, speed) = (&outcome.metrics, &outcome.speed);
    let mut lines = vec![
        format!("{} with seed {}: trace {}", outcome.scenario, outcome.seed, outcome.trace_hash),
        format!(
            "{} stations, {:.0} virtual s in {:.1} s ({:.2} virtual/real, {:.2} per processor second after the warm-up), {:.0} MB",
            metrics.stations, speed.virtual_s, speed.real_s, speed.virtual_per_real, speed.steady_virtual_per_processor, speed.resident_mb
        ),
        format!(
            "jobs: {} published, {} agreed, {} undecided, {} expired",
            metrics.jobs.published, metrics.jobs.agreed, metrics.jobs.undecided, metrics.jobs.expired
        ),
    ];
    lines.extend(metrics.latencies.iter().map(|(latency, spread)| {
        let quantiles = &spread.quantiles;
        format!("{latency:?}: p50 {:.0} ms, p90 {:.0} ms, p99 {:.0} ms, max {:.0} ms", quantiles.p50, quantiles.p90, quantiles.p99, quantiles.max)
    }));
    lines.extend(metrics.checks.iter().map(|check| format!("{}: {} ({})", check.check, if check.passed { "holds" } else { "FAILS" }, check.detail)));
    lines.extend(outcome.internet.iter().map(|of| {
        let (stations, day) = (of.measurers.max(of.readers), of.day);
        format!("{}: {} readings and {} requests of {stations} stations on day {day}, cap {}", of.host, of.readings, of.measurements, of.cap)
    }));
    lines.extend(outcome.failures.iter().map(|failure| format!("failure: {failure}")));
    lines.join("\n")
}

fn write(dir: &PathBuf, outcome: &Outcome) -> Result<(), Failure> {
    fs::create_dir_all(dir)?;
    fs::write(dir.join("manifest.json"), serde_json::to_vec_pretty(&manifest(outcome))?)?;
    fs::write(dir.join("metrics.json"), serde_json::to_vec_pretty(&outcome.metrics)?)?;
    fs::write(dir.join("report.html"), crate::report::page(&outcome.metrics))?;
    fs::write(dir.join("checkpoints.json"), serde_json::to_vec(&outcome.checkpoints)?)?;
    Ok(())
}

fn manifest(outcome: &Outcome) -> serde_json::Value {
    serde_json::json!({
        "scenario": outcome.scenario,
        "seed": outcome.seed,
        "commit": env!("STATION_COMMIT"),
        "lock_hash": env!("STATION_LOCK_HASH"),
        "trace_hash": outcome.trace_hash,
        "trace_events": outcome.trace_events,
        "speed": outcome.speed,
    })
}
