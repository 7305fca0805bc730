//! `minimise`: the smallest scenario that fails as the given one does.
//!
//! Guarantees: what is written fails with its seed, in a process of its own, as the search saw; a scenario that was tried is not run
//! again. Deliberately lacks a seed search: `sweep` names the seeds that fail.

use std::collections::BTreeMap;
use std::fs;
use std::io::{IsTerminal, Write, stderr};
use std::path::PathBuf;

use clap::Args;

use super::Failure;
use super::children::Job;
use super::mutant::Mutant;
use super::run::read;
use crate::metrics::Metrics;
use crate::scenario::Scenario;
use crate::scenario::check::Invariant;

/// Leaves out of a failing scenario what it does not need to fail.
///
/// A candidate fails when it breaks what the whole scenario breaks: one of the same invariants, or, when it breaks none, one of the
/// same checks. Every run has a process of its own.
#[derive(Debug, Args)]
pub(super) struct Minimise {
    /// A scenario that fails; "-" reads it from stdin.
    file: PathBuf,
    /// The seed that it fails with; without it the scenario's own.
    #[arg(long)]
    seed: Option<u64>,
    /// At most so many runs.
    #[arg(long, default_value_t = 200)]
    runs: usize,
    /// Fails means that this check fails, as a run names it.
    #[arg(long, value_name = "CHECK")]
    check: Option<String>,
    /// Where the smallest scenario is written; without it stdout.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    mutant: Mutant,
}

impl Minimise {
    pub(super) fn execute(self) -> Result<(), Failure> {
        let (_, mut scenario) = read(&self.file)?;
        scenario.run.seed = self.seed.unwrap_or(scenario.run.seed);
        scenario.sweep = None;
        let first = self.run(&scenario)?;
        let wanted = self.wanted(&first, scenario.run.seed)?;
        // Without work nothing settles either: that is another failure than the one at hand.
        let is_failing = |metrics: &Metrics| metrics.failed().iter().any(|check| wanted.get(&check.check) == Some(&check.is_empty));
        let is_of_the_end = !wanted.keys().any(|check| is_invariant(check));
        let mut tried = BTreeMap::from([(scenario.text(), true)]);
        let (mut runs, mut broken) = (1, 0_usize);
        let smallest = crate::minimise::minimise(&scenario, self.runs, |candidate| {
            if is_of_the_end && !crate::minimise::leaves_time(&scenario, candidate) {
                return false;
            }
            *tried.entry(candidate.text()).or_insert_with(|| {
                runs += 1;
                show(&format!("run {runs} of at most {}: {} stations, {} s", self.runs, candidate.stations(), candidate.run.duration.0 / 1_000));
                // A world without its bootstrap nodes, say, has no run: it does not fail as wanted.
                self.run(candidate).map_or_else(
                    |_| {
                        broken += 1;
                        false
                    },
                    |metrics| is_failing(&metrics),
                )
            })
        });
        show("");
        let smallest = smallest.ok_or("no run is allowed: give --runs at least 1")?;
        let checks: Vec<&str> = wanted.keys().map(String::as_str).collect();
        let text = format!("# Breaks {} with seed {}.\n{}", checks.join(", "), scenario.run.seed, smallest.text());
        match &self.out {
            Some(file) => fs::write(file, &text).map_err(|error| format!("{}: {error}", file.display()))?,
            None => print!("{text}"),
        }
        let rest = if smallest.is_complete { "nothing more can go" } else { "the runs are used up: more --runs may make it smaller" };
        eprintln!("{runs} runs, {broken} of them without a result; {} lines; {rest}", text.lines().count());
        Ok(())
    }

    fn run(&self, scenario: &Scenario) -> Result<Metrics, String> {
        Ok(Job { text: scenario.text(), seed: scenario.run.seed, arguments: self.mutant.arguments() }.run()?.metrics)
    }

    /// The checks of which one must fail, and whether it does because there is nothing to judge.
    fn wanted(&self, first: &Metrics, seed: u64) -> Result<BTreeMap<String, bool>, String> {
        let failed: BTreeMap<String, bool> = first.failed().iter().map(|check| (check.check.clone(), check.is_empty)).collect();
        if failed.is_empty() {
            return Err(format!("every check holds with seed {seed}: give a --seed that fails; `station-sim sweep` names them"));
        }
        if let Some(check) = &self.check {
            let all: Vec<&str> = failed.keys().map(String::as_str).collect();
            return match failed.get(check) {
                Some(is_empty) => Ok(BTreeMap::from([(check.clone(), *is_empty)])),
                None => Err(format!("{check:?} does not fail with seed {seed}; these do: {}", all.join(", "))),
            };
        }
        let invariants: BTreeMap<String, bool> = failed.clone().into_iter().filter(|(check, _)| is_invariant(check)).collect();
        Ok(if invariants.is_empty() { failed } else { invariants })
    }
}

fn is_invariant(check: &str) -> bool {
    serde_json::from_value::<Invariant>(check.into()).is_ok()
}

/// One line on stderr that the next one replaces, where somebody looks.
pub(super) fn show(line: &str) {
    if stderr().is_terminal() {
        // A terminal that takes no more text is no reason to end.
        let _ = write!(stderr(), "\r\x1b[K{line}");
    }
}
