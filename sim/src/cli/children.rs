//! Runs in processes of their own: libp2p counts connections per process, so that one process has one run.
//!
//! Guarantees: results come in the order of the runs, whatever order they end in; the first run that fails ends the others' turn.
//! Deliberately lacks a limit of time: a run that hangs ends itself.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::channel;

use serde::Deserialize;

use super::CHECKS_FAILED;
use crate::metrics::Metrics;

/// What a run says of itself, of what is read here.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Ran {
    pub(super) metrics: Metrics,
}

/// One run to make.
#[derive(Clone, Debug)]
pub(super) struct Job {
    /// The scenario.
    pub(super) text: String,
    pub(super) seed: u64,
    /// More arguments of `run`.
    pub(super) arguments: Vec<String>,
}

impl Job {
    /// Runs it and waits.
    pub(super) fn run(&self) -> Result<Ran, String> {
        let seed = self.seed.to_string();
        let fixed = ["run", "-", "--json", "--seed", &seed].map(str::to_owned);
        let output = program(&[fixed.as_slice(), &self.arguments].concat(), &self.text)?;
        serde_json::from_slice(&output).map_err(|error| format!("the run's result cannot be read: {error}"))
    }
}

/// What this program says with `arguments` and `input`, in a process of its own. A check that failed is a result like any.
pub(super) fn program(arguments: &[String], input: &str) -> Result<Vec<u8>, String> {
    let own = std::env::current_exe().map_err(|error| format!("this program cannot find itself: {error}"))?;
    let mut child = Command::new(own)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("no process for a run: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that ended before it read says why on stderr.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| format!("a run's process is lost: {error}"))?;
    if output.status.success() || output.status.code() == Some(i32::from(CHECKS_FAILED)) {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("a run ended with {}: {}", output.status, said.trim().trim_start_matches("station-sim: ")))
}

/// Makes all runs, `at_once` at a time, and tells `progress` how many have ended.
pub(super) fn all(jobs: &[Job], at_once: usize, mut progress: impl FnMut(usize)) -> Result<Vec<Ran>, (usize, String)> {
    let next = Mutex::new(0..jobs.len());
    let turn = || next.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
    let (sender, results) = channel();
    std::thread::scope(|scope| {
        for _ in 0..at_once.clamp(1, jobs.len().max(1)) {
            let (sender, turn) = (sender.clone(), &turn);
            scope.spawn(move || {
                while let Some(number) = turn() {
                    if sender.send((number, jobs[number].run())).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut done: Vec<Option<Ran>> = vec![None; jobs.len()];
        let mut ended = 0;
        for (number, result) in results {
            done[number] = Some(result.map_err(|error| (number, error))?);
            ended += 1;
            progress(ended);
        }
        Ok(done.into_iter().flatten().collect())
    })
}
