//! The command line.
//!
//! Guarantees: what goes to stdout is the result, and nothing else; what is shown meanwhile goes to stderr. Deliberately lacks a
//! default scenario.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::det::Machine;

mod progress;
mod run;
mod trial;

/// Runs the real Station node, thousands at a time, in virtual time, reproducible from a seed.
#[derive(Debug, Parser)]
#[command(name = "station-sim", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one scenario once.
    Run(run::Run),
    /// A mesh of equal stations with steady work: what the benchmark measures.
    Mesh(run::Mesh),
    /// Break one guard of a run; it must be refused.
    #[command(hide = true)]
    Trial(trial::Trial),
}

/// The whole program.
#[must_use]
pub fn main(machine: Machine) -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(run) => run.execute(machine),
        Command::Mesh(mesh) => mesh.execute(machine),
        Command::Trial(trial) => trial.execute(machine),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("station-sim: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whatever ended a command, as a sentence for a person.
type Failure = Box<dyn std::error::Error>;
