//! `diff`: where two runs begin to differ.
//!
//! Guarantees: the event that is named is the first one: everything before it is the same in both. Deliberately lacks a judgement on
//! which of them is right.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;

use super::children::program;
use super::run::SCENARIO;
use super::{Differ, Failure};

/// Names the first event in which two runs differ.
///
/// Both are folders that `run --out` wrote. Their checkpoints name the second, and that second of both is run again and compared event
/// by event.
#[derive(Debug, Args)]
pub(super) struct Diff {
    a: PathBuf,
    b: PathBuf,
    /// The result as one JSON object.
    #[arg(long)]
    json: bool,
}

impl Diff {
    pub(super) fn execute(self) -> Result<(), Failure> {
        let [a, b] = [&self.a, &self.b].map(|dir| json(&dir.join("checkpoints.json")));
        let Some(second) = first_difference(&list(a?)?, &list(b?)?) else {
            self.say(&serde_json::json!({ "same": true }), "no difference: both runs are the same event by event");
            return Ok(());
        };
        let [a, b] = [&self.a, &self.b].map(|dir| events(dir, second));
        let (a, b) = (a?, b?);
        let place = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
        let at = |events: &[String]| events.get(place).cloned();
        let value = |event: Option<String>| event.and_then(|text| serde_json::from_str::<Value>(&text).ok());
        let line = |event: Option<String>| event.unwrap_or_else(|| "(nothing more in this second)".to_owned());
        let text = format!("the same until second {second} and {place} events into it; then\n  A: {}\n  B: {}", line(at(&a)), line(at(&b)));
        self.say(&serde_json::json!({ "same": false, "second": second, "event": place, "a": value(at(&a)), "b": value(at(&b)) }), &text);
        if a == b {
            return Err("played again, both runs are the same: they were made by other builds of this program".into());
        }
        Err(Differ(second).into())
    }

    fn say(&self, object: &Value, text: &str) {
        if self.json {
            println!("{object}");
        } else {
            println!("{text}");
        }
    }
}

/// What stands in a file of a run's folder.
pub(super) fn json(file: &Path) -> Result<Value, String> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}: give a folder that `station-sim run --out` wrote", file.display());
    serde_json::from_slice(&fs::read(file).map_err(|error| named(&error))?).map_err(|error| named(&error))
}

fn list(value: Value) -> Result<Vec<Value>, String> {
    if let Value::Array(list) = value { Ok(list) } else { Err("checkpoints.json is no list".to_owned()) }
}

/// The first second that is not the same in both, or that only one of them has.
fn first_difference(a: &[Value], b: &[Value]) -> Option<usize> {
    let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    (same < a.len().max(b.len())).then_some(same)
}

/// That second of the run of `dir`, an event a line.
fn events(dir: &Path, second: usize) -> Result<Vec<String>, String> {
    let manifest = json(&dir.join("manifest.json"))?;
    let seed = manifest["seed"].as_u64().ok_or_else(|| format!("{}: its manifest has no seed", dir.display()))?;
    let scenario = fs::read_to_string(dir.join(SCENARIO)).map_err(|error| format!("{}: {error}", dir.join(SCENARIO).display()))?;
    let (from, until) = (format!("{second}s"), format!("{}s", second + 1));
    let arguments = ["replay", "-", "--json", "--seed", &seed.to_string(), "--from", &from, "--until", &until].map(str::to_owned);
    let output = program(&arguments, &scenario)?;
    Ok(String::from_utf8_lossy(&output).lines().map(str::to_owned).collect())
}
