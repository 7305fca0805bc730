//! `station module build|inspect|run`: from source to a module one has seen running, without a network.

use std::path::{Path, PathBuf};
use std::process::Command as Process;

use station_protocol::limits::Limits;

use super::output::{Exit, Failure, Output};
use super::publish::read_module;
use crate::library::BUNDLED;
use crate::platform::trial::{self, Inspection, Trial};
use crate::printable::Line;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Build a Rust module for wasm32-wasip1 with the installed toolchain
    Build {
        /// The module's folder
        #[arg(default_value = ".")]
        dir: PathBuf,
    },
    /// Check a module as a station would, and say what it needs
    Inspect {
        /// A .wasm file or a bundled module's name
        module: String,
    },
    /// Run a module once in the sandbox, without a network
    Run {
        /// A .wasm file or a bundled module's name
        module: String,
        /// The job's input as JSON
        #[arg(long, default_value = "{}")]
        input: String,
        /// Run it as a pure job: no clock, no entropy
        #[arg(long)]
        pure: bool,
    },
}

pub(super) async fn run(command: &Command, output: &Output) -> Result<Exit, Failure> {
    match command {
        Command::Build { dir } => build(dir, output),
        Command::Inspect { module } => inspect(module, output).await,
        Command::Run { module, input, pure } => trial(module, input, *pure, output).await,
    }
}

fn build(dir: &Path, output: &Output) -> Result<Exit, Failure> {
    let spinner = output.spinner("building for wasm32-wasip1");
    let mut build = Process::new("cargo");
    build.args(["build", "--release", "--target", "wasm32-wasip1", "--message-format=json-render-diagnostics"]).current_dir(dir);
    let built = build.stderr(std::process::Stdio::inherit()).output();
    spinner.finish_and_clear();
    let built = built.map_err(|error| Failure::new(format!("cargo does not start: {error}")))?;
    if !built.status.success() {
        return Err(Failure::new(
            "the build failed; `rustup target add wasm32-wasip1` adds the target where rustup has it, modules/build.sh shows how to do without",
        ));
    }
    let messages = String::from_utf8_lossy(&built.stdout).into_owned();
    let modules: Vec<String> = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|message| message["executable"].as_str().map(str::to_owned))
        .collect();
    output.show(&serde_json::json!({ "modules": modules }), |_| modules.join("\n"));
    Ok(Exit::Done)
}

fn bytes(module: &str) -> Result<Vec<u8>, Failure> {
    match BUNDLED.iter().find(|bundled| bundled.name == module) {
        Some(bundled) => Ok(bundled.bytes.to_vec()),
        None => read_module(Path::new(module)),
    }
}

async fn inspect(module: &str, output: &Output) -> Result<Exit, Failure> {
    let bytes = bytes(module)?;
    let report = trial::inspect(bytes).await?;
    output.show(&report, judgement);
    Ok(if report.refused.is_some() { Exit::Failed } else { Exit::Done })
}

/// What a station would say, in words. The module's author chose the names in a refusal.
fn judgement(report: &Inspection) -> String {
    let verdict = Line(report.refused.as_deref().unwrap_or("runs on this profile"));
    format!("cid      {}\nbytes    {}\nprofile  {}\nverdict  {verdict}\n", report.cid, report.bytes, report.profile)
}

async fn trial(module: &str, input: &str, pure: bool, output: &Output) -> Result<Exit, Failure> {
    let input: serde_json::Value = serde_json::from_str(input).map_err(|error| Failure::new(format!("--input is not JSON: {error}")))?;
    let trial = trial::run(bytes(module)?, &input, Limits::default(), pure).await?;
    output.show(&trial, words);
    Ok(if trial.outcome == "completed" { Exit::Done } else { Exit::Failed })
}

/// Characters of a guest's log that are shown: a screen or two.
const LOG_CHARS_MAX: usize = 4_096;

/// A run in words. Each line that the guest wrote begins with whose it is, so that none passes for a line of the station.
fn words(trial: &Trial) -> String {
    let shown: String = trial.log.chars().take(LOG_CHARS_MAX).collect();
    let log: String = shown.lines().map(|line| format!("log      {}\n", Line(line))).collect();
    let output = trial.output.to_string();
    format!("outcome  {}\nfuel     {}\ntime     {} ms\n{log}output   {}\n", trial.outcome, trial.fuel, trial.duration_ms, Line(&output))
}

#[cfg(test)]
mod tests;
