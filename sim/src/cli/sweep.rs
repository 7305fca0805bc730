//! `sweep`: every parameter value with every seed, compared.
//!
//! Guarantees: each run has a process of its own; every arm runs the same seeds and is compared with the first arm seed by seed; with
//! too few seeds no arm is called better. Deliberately lacks a winner.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::children::{self, Job, Ran};
use super::minimise::show;
use super::mutant::Mutant;
use super::run::read;
use super::{ChecksFailed, Failure};
use crate::report::compare::{self, Arm, Comparison, Row};
use crate::scenario::Scenario;
use crate::scenario::sweep::{Trial, trials};
use crate::statistics::{Estimate, SEEDS_MIN};

/// Runs each combination of the values in [sweep] with each seed, and compares them.
///
/// Means have 95 % confidence intervals over seeds; differences are taken seed by seed against the first arm. No arm is called better
/// or worse with fewer than six seeds.
#[derive(Debug, Args)]
pub(super) struct Sweep {
    /// A scenario with a [sweep] table; "-" reads it from stdin.
    file: PathBuf,
    /// Runs at the same time: one for each core.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// The comparison as one JSON object on stdout.
    #[arg(long)]
    json: bool,
    /// A folder for report.html, comparison.json and the metrics of each run.
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    #[command(flatten)]
    mutant: Mutant,
}

/// A check that failed in one run.
#[derive(Debug, Serialize)]
struct Broken {
    arm: String,
    seed: u64,
    check: String,
    detail: String,
}

impl Sweep {
    pub(super) fn execute(self) -> Result<(), Failure> {
        let (text, scenario) = read(&self.file)?;
        if scenario.sweep.is_none() {
            return Err(format!("{}: there is no [sweep]: write one with seeds = \"1-10\"", self.file.display()).into());
        }
        let trials = trials(&scenario)?;
        let jobs: Vec<Job> = trials.iter().map(|trial| self.job(trial)).collect();
        let tell = |done: usize| show(&format!("{done} of {} runs", jobs.len()));
        tell(0);
        let ran = children::all(&jobs, self.jobs, tell);
        show("");
        let ran = ran.map_err(|(number, error)| format!("{} with seed {}: {error}", label(&trials[number]), trials[number].seed))?;
        let name = self.file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let arms = arms(&trials, ran, &name, Scenario::shows(&text));
        let (comparison, broken) = (compare::compare(&arms), broken(&arms));
        if let Some(dir) = &self.report {
            report(dir, &arms, &comparison).map_err(|error| format!("{}: {error}", dir.display()))?;
        }
        if self.json {
            println!("{}", serde_json::json!({ "comparison": comparison, "broken": broken }));
        } else {
            print!("{}", summary(&comparison));
        }
        if broken.is_empty() {
            return Ok(());
        }
        let broken: Vec<String> = broken.iter().map(|one| format!("{} with {}, seed {} ({})", one.check, one.arm, one.seed, one.detail)).collect();
        Err(ChecksFailed(format!("{}; `station-sim minimise` makes a failing scenario small", broken.join("; "))).into())
    }

    fn job(&self, trial: &Trial) -> Job {
        Job { text: trial.scenario.text(), seed: trial.seed, arguments: self.mutant.arguments() }
    }
}

fn label(trial: &Trial) -> String {
    let values: Vec<String> = trial.arm.iter().map(|(parameter, value)| format!("{parameter} = {value}")).collect();
    if values.is_empty() { "as written".to_owned() } else { values.join(", ") }
}

/// The runs by arm, in the order of the trials.
fn arms(trials: &[Trial], ran: Vec<Ran>, name: &str, shows: &str) -> Vec<Arm> {
    let mut arms: Vec<Arm> = Vec::new();
    for (trial, Ran { mut metrics }) in trials.iter().zip(ran) {
        (metrics.scenario, metrics.shows) = (name.to_owned(), shows.to_owned());
        let label = label(trial);
        match arms.last_mut().filter(|arm| arm.label == label) {
            Some(arm) => arm.runs.push(metrics),
            None => arms.push(Arm { label, runs: vec![metrics] }),
        }
    }
    arms
}

fn broken(arms: &[Arm]) -> Vec<Broken> {
    let of_run = |arm: &Arm| -> Vec<Broken> {
        let one = |seed, check: &crate::metrics::CheckResult| Broken {
            arm: arm.label.clone(),
            seed,
            check: check.check.clone(),
            detail: check.detail.clone(),
        };
        arm.runs.iter().flat_map(|run| run.failed().into_iter().map(move |check| one(run.seed, check))).collect()
    };
    arms.iter().flat_map(of_run).collect()
}

/// The comparison as a person reads it.
fn summary(comparison: &Comparison) -> String {
    let runs: Vec<String> = comparison.runs.iter().map(u64::to_string).collect();
    let mut text = format!("{}: {} arms, {} runs of each\n", comparison.scenario, comparison.arms.len(), runs.join(" / "));
    for row in &comparison.rows {
        let _ = writeln!(text, "{}{}", row.measure, if row.unit.is_empty() { String::new() } else { format!(" in {}", row.unit) });
        for (place, arm) in comparison.arms.iter().enumerate() {
            let _ = writeln!(text, "  {arm}: {}", against(row, place));
        }
    }
    if comparison.runs.iter().any(|runs| *runs < SEEDS_MIN as u64) {
        let _ = writeln!(text, "No arm is called better with fewer than {SEEDS_MIN} seeds: write more in [sweep].");
    }
    text
}

/// One arm's mean, and how it differs from the first arm's.
fn against(row: &Row, place: usize) -> String {
    let mean = row.estimates.get(place).map_or_else(String::new, shown);
    let Some(paired) = place.checked_sub(1).and_then(|place| row.against_first.get(place).copied().flatten()) else { return mean };
    let effect = paired.effect.map_or_else(String::new, |effect| format!(", effect {effect:.1}"));
    format!("{mean} (difference {}{effect}: {})", shown(&paired.difference), paired.verdict.words())
}

fn shown(estimate: &Estimate) -> String {
    match estimate.half {
        Some(half) => format!("{:.3} ± {half:.3}", estimate.mean),
        None => format!("{:.3} (one run)", estimate.mean),
    }
}

fn report(dir: &Path, arms: &[Arm], comparison: &Comparison) -> Result<(), Failure> {
    let runs = dir.join("runs");
    fs::create_dir_all(&runs)?;
    fs::write(dir.join("report.html"), compare::page(comparison))?;
    fs::write(dir.join("comparison.json"), serde_json::to_vec_pretty(comparison)?)?;
    for (number, arm) in arms.iter().enumerate() {
        for run in &arm.runs {
            fs::write(runs.join(format!("arm-{number}-seed-{}.json", run.seed)), serde_json::to_vec_pretty(run)?)?;
        }
    }
    Ok(())
}
