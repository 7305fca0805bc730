//! `replay`: a run once more, told event by event where one wants to look.
//!
//! Guarantees: the run is the same as without looking, to its trace hash; what is printed is in the order in which it happened.
//! Deliberately lacks a way to begin in the middle: a run is its whole past.

use std::collections::BTreeSet;
use std::io::{BufWriter, Write, stdout};
use std::path::{Path, PathBuf};

use clap::Args;
use station_protocol::human::Span;

use super::Failure;
use super::mutant::Mutant;
use super::progress::Bar;
use super::run::{SCENARIO, planned, prepared};
use crate::det::Machine;
use crate::det::trace::{Seen, Window};
use crate::world;
use crate::world::plan::Plan;

/// Repeats a run and tells what happened in a part of it.
///
/// A line is a time, a station, what it did, and a hash of the bytes or the words of what it noted.
#[derive(Debug, Args)]
pub(super) struct Replay {
    /// A scenario, a folder that `run --out` wrote, or "-" for stdin.
    file: PathBuf,
    #[arg(long)]
    seed: Option<u64>,
    /// The first moment that is told, like 90s.
    #[arg(long, value_parser = span)]
    from: Span,
    /// The first moment that is told no more; without it one second later.
    #[arg(long, value_parser = span)]
    until: Option<Span>,
    /// Only these stations, by name, like home-3; without it all.
    #[arg(long, num_args = 1.., value_delimiter = ',')]
    nodes: Vec<String>,
    /// One JSON object per line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    mutant: Mutant,
}

fn span(text: &str) -> Result<Span, String> {
    text.parse().map_err(|error| format!("{error}"))
}

impl Replay {
    pub(super) fn execute(self, machine: Machine) -> Result<(), Failure> {
        let (plan, seed) = prepared(|| self.plan())?;
        let window = self.window(&plan)?;
        self.mutant.plant();
        let until_ms = window.until_ms;
        // What comes after the window would be run for nothing.
        let plan = Plan { duration_ms: plan.duration_ms.min(until_ms.next_multiple_of(1_000)), ..plan };
        let bar = Bar::new(self.json);
        let outcome = world::run(&plan, seed, machine, Some(window), &mut |now| bar.show(now))?;
        bar.finish();
        let mut out = BufWriter::new(stdout().lock());
        for seen in &outcome.seen {
            let station = plan.stations.get(seen.node as usize).map_or("", |member| member.name.as_str());
            let line = if self.json { serde_json::to_string(seen)? } else { told(seen, station) };
            writeln!(out, "{line}")?;
        }
        out.flush()?;
        Ok(())
    }

    fn plan(&self) -> Result<(Plan, u64), String> {
        let (file, recorded) = of(&self.file)?;
        let (plan, seed, _) = planned(&file, self.seed.or(recorded))?;
        Ok((plan, seed))
    }

    fn window(&self, plan: &Plan) -> Result<Window, String> {
        let (from_ms, until_ms) = (self.from.0, self.until.map_or(self.from.0 + 1_000, |until| until.0));
        if from_ms >= until_ms || from_ms >= plan.duration_ms {
            return Err(format!("nothing happens from {} on: the run ends after {} ms and --until must be later", self.from, plan.duration_ms));
        }
        let number = |name: &String| {
            let place = plan.stations.iter().position(|member| member.name == *name);
            place
                .and_then(|place| u32::try_from(place).ok())
                .ok_or_else(|| format!("no station is called {name:?}: they are called like {:?}", plan.stations[0].name))
        };
        Ok(Window { from_ms, until_ms, nodes: self.nodes.iter().map(number).collect::<Result<BTreeSet<u32>, String>>()? })
    }
}

/// The scenario's file and, of a run's folder, its seed.
pub(super) fn of(path: &Path) -> Result<(PathBuf, Option<u64>), String> {
    if !path.is_dir() {
        return Ok((path.to_owned(), None));
    }
    let manifest = super::diff::json(&path.join("manifest.json"))?;
    let scenario = path.join(SCENARIO);
    if !scenario.exists() {
        return Err(format!("{}: there is no {SCENARIO} in it, so that the run cannot be repeated", path.display()));
    }
    Ok((scenario, manifest["seed"].as_u64()))
}

fn told(seen: &Seen, station: &str) -> String {
    let kind = format!("{:?}", seen.kind).to_lowercase();
    let what = if seen.what.is_empty() { format!("#{:016x}", seen.content) } else { seen.what.clone() };
    format!("{:>9.3} s  {station:<16} {kind:<8} {what}", std::time::Duration::from_millis(seen.at_ms).as_secs_f64())
}
