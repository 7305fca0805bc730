//! The command line.
//!
//! Guarantees: what goes to stdout is the result, and nothing else; what is shown meanwhile goes to stderr. Deliberately lacks a
//! default scenario.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::det::Machine;

mod children;
mod diff;
mod minimise;
mod mutant;
mod progress;
mod replay;
mod run;
mod sweep;
mod trial;

/// What the program's exit codes say.
const EXIT_CODES: &str = "Exit codes: 0 all is well, 1 the program failed, 2 the command line is wrong, 3 or 4 a run broke a guard \
                          (threads, hung), 5 a check of the scenario failed, or two runs differ.";

/// Runs the real Station node, thousands at a time, in virtual time, reproducible from a seed.
#[derive(Debug, Parser)]
#[command(name = "station-sim", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one scenario once.
    Run(run::Run),
    Sweep(sweep::Sweep),
    Minimise(minimise::Minimise),
    Replay(replay::Replay),
    Diff(diff::Diff),
    /// A mesh of equal stations with steady work: what the benchmark measures.
    Mesh(run::Mesh),
    /// Break one guard of a run; it must be refused.
    #[command(hide = true)]
    Trial(trial::Trial),
}

/// The whole program.
#[must_use]
pub fn main(machine: Machine) -> ExitCode {
    // Nobody listens: without this every poll would ask the `log` crate whether somebody does.
    let _ = tracing::subscriber::set_global_default(tracing::subscriber::NoSubscriber::default());
    let done = match Cli::parse().command {
        Command::Run(run) => run.execute(machine),
        Command::Sweep(sweep) => sweep.execute(),
        Command::Minimise(minimise) => minimise.execute(),
        Command::Replay(replay) => replay.execute(machine),
        Command::Diff(diff) => diff.execute(),
        Command::Mesh(mesh) => mesh.execute(machine),
        Command::Trial(trial) => trial.execute(machine),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("station-sim: {error}");
            if error.is::<ChecksFailed>() || error.is::<Differ>() { ExitCode::from(CHECKS_FAILED) } else { ExitCode::FAILURE }
        }
    }
}

/// The code of a program that did its work and found that a check failed. 1 is our own failure, 2 a wrong command line, 3 and 4 a run
/// that broke its guards.
const CHECKS_FAILED: u8 = 5;

/// A run's stations did what a check forbids.
#[derive(Debug, thiserror::Error)]
#[error("checks failed: {0}")]
struct ChecksFailed(String);

/// Two runs are not the same.
#[derive(Debug, thiserror::Error)]
#[error("the runs differ from second {0} on")]
struct Differ(usize);

/// Whatever ended a command, as a sentence for a person.
type Failure = Box<dyn std::error::Error>;
