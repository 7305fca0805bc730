//! `station watch`, and what `publish` shows: one experiment until it is closed, why it stands still, and what Ctrl-C leaves behind.
//!
//! Guarantees: every line of JSON has a type; a heading has reasons under it; whoever stops watching is told whether the experiment goes on
//! and how to return. Deliberately lacks pushing: it asks four times a second.

use std::time::Duration;

use indicatif::ProgressBar;
use serde::Serialize;

use super::client::Client;
use super::output::{Exit, Failure, Output};
use super::pick::{Source, not_running, short};
use super::show::{WhichArgs, tell, verdict_code};
use crate::api::types::{ExperimentBody, HeardBody, PublishedBody, StatusBody};
use crate::numbers::{count, span};
use crate::page::words::tail;
use crate::platform::home::Home;
use crate::printable::Line;
use crate::results::Results;

/// How often a watcher asks: often enough to feel live, rare enough to cost nothing.
const ASK_EVERY: Duration = Duration::from_millis(250);
/// Without progress for so long, the reasons are shown.
const STUCK_AFTER: Duration = Duration::from_secs(5);

/// A line of `publish --json` and `watch --json`: first what was published, then how it goes, last its results.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Told<'a> {
    Published(&'a PublishedBody),
    Progress(&'a ExperimentBody),
    Results(&'a Results),
}

/// Who carries an experiment while it is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    /// A station that goes on without this process.
    Station,
    /// This process itself.
    Here,
}

pub(super) async fn watch(home: &Home, args: &WhichArgs, output: &Output) -> Result<Exit, Failure> {
    let source = Source::of(home).await?;
    let id = source.pick(home, &args.id).await?;
    if let Source::Running(client) = &source {
        return follow(home, client, &id, Carrier::Station, output).await;
    }
    if !source.experiment(home, &id).await?.closed {
        return Err(not_running(home, &id));
    }
    Ok(end(home, &source.results(&id).await?, output))
}

/// Shows progress until the experiment is closed, then its table; the exit code says whether every job got an answer.
pub(super) async fn follow(home: &Home, client: &Client, id: &str, carrier: Carrier, output: &Output) -> Result<Exit, Failure> {
    let watching = observe(home, client, id, output);
    match carrier {
        // Whoever carries it says what becomes of it.
        Carrier::Here => watching.await,
        Carrier::Station => {
            let watched = tokio::select! {
                watched = watching => watched,
                () = super::run::signal() => return Err(interrupted(home, id)),
            };
            watched.map_err(|failure| if failure.exit == Exit::NotRunning { stopped(home, id) } else { failure })
        }
    }
}

fn interrupted(home: &Home, id: &str) -> Failure {
    let (watch, cancel) = (home.call(&format!("watch {}", short(id))), home.call(&format!("cancel {}", short(id))));
    Failure::new(format!("no longer watching; the experiment goes on in the running station: `{watch}` returns to it, `{cancel}` ends it"))
        .with(Exit::Interrupted)
}

fn stopped(home: &Home, id: &str) -> Failure {
    let (resume, run) = (home.call("publish --resume"), home.call("run"));
    let id = short(id);
    Failure::new(format!("the station that carried experiment {id} has stopped; it is kept: go on with `{resume}`, or with `{run}`"))
        .with(Exit::NotRunning)
}

/// A line on the terminal that is gone when this is, however it ends.
struct Shown(ProgressBar);

impl Drop for Shown {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

async fn observe(home: &Home, client: &Client, id: &str, output: &Output) -> Result<Exit, Failure> {
    let path = format!("/v1/experiments/{id}");
    let mut seen: ExperimentBody = client.get(&path).await?;
    let shown = Shown(output.line());
    let (begun, clock) = (tokio::time::Instant::now(), crate::clock::Clock::start());
    let (mut moved, mut told, mut looked, mut rest) = (begun, None, None, None);
    progress(&seen, output);
    loop {
        let left = seen.deadline.saturating_sub(clock.now().0);
        let since = clock.now().0.saturating_sub(seen.published);
        shown.0.set_message(line(&seen, since, left, output.error_width()));
        if seen.closed {
            break;
        }
        tokio::time::sleep(ASK_EVERY).await;
        let next: ExperimentBody = client.get(&path).await?;
        let has_moved = (next.settled, next.held, next.outstanding) != (seen.settled, seen.held, seen.outstanding);
        if has_moved {
            moved = tokio::time::Instant::now();
        }
        if has_moved || next.said != seen.said {
            progress(&next, output);
        }
        seen = next;
        if moved.elapsed() > STUCK_AFTER {
            if looked.is_none_or(|at: tokio::time::Instant| at.elapsed() > STUCK_AFTER) {
                // Where it does not answer, the next question about the experiment says so.
                rest = own_rest(client).await.unwrap_or_default();
                looked = Some(tokio::time::Instant::now());
            }
            let reasons = (seen.advice.clone(), rest.as_ref().map(|(state, _)| String::clone(state)));
            if told.as_ref() != Some(&reasons) {
                let lines = standstill(&seen, rest.as_ref().map(|(_, says)| says.as_str()), elapsed_ms(moved));
                shown.0.suspend(|| lines.iter().for_each(|line| output.say(line)));
                told = Some(reasons);
            }
        }
    }
    drop(shown);
    let results: Results = client.get(&format!("{path}/results")).await?;
    Ok(end(home, &results, output))
}

/// The last that is told.
fn end(home: &Home, results: &Results, output: &Output) -> Exit {
    if output.is_json() {
        output.show(&Told::Results(results), |_| String::new());
    } else {
        tell(home, results, output);
    }
    verdict_code(results)
}

fn progress(seen: &ExperimentBody, output: &Output) {
    if output.is_json() {
        output.show(&Told::Progress(seen), |_| String::new());
    }
}

fn elapsed_ms(since: tokio::time::Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Columns that the bar takes where there is room.
const BAR: u64 = 20;
/// In a terminal narrower than this there is none.
const WIDTH_FOR_BAR: usize = 100;

/// How it stands in one line of at most `width` columns, the most important first.
fn line(seen: &ExperimentBody, elapsed_ms: u64, left_ms: u64, width: usize) -> String {
    let mut line = format!("{} of {} settled", seen.settled, count(seen.jobs, "job"));
    if width >= WIDTH_FOR_BAR {
        let full = usize::try_from(seen.settled.saturating_mul(BAR) / seen.jobs.max(1)).unwrap_or(0);
        line = format!("{line} [{}{}]", "█".repeat(full), " ".repeat(usize::try_from(BAR).unwrap_or(0).saturating_sub(full)));
    }
    let times = [format!("after {}", span(elapsed_ms)), format!("{} to the deadline", span(left_ms))];
    let work = [
        format!("{} running", count(seen.outstanding, "execution")),
        format!("{} held", count(seen.held, "receipt")),
        format!("{} claimed", count(seen.claimants, "station")),
    ];
    let said = seen.said.first().map(|said| format!("a guest says of job {}: {}", said.job, percent(said.saying.permille)));
    for part in times.into_iter().chain(work).chain(said) {
        let longer = format!("{line} · {part}");
        if longer.chars().count() > width {
            break;
        }
        line = longer;
    }
    line.chars().take(width).collect()
}

/// States of a station in which it takes nothing new, its own experiments among that.
const RESTS: [&str; 5] = ["paused", "hours", "battery", "disk", "unfit"];

/// Why this station itself takes no job of the experiment, where it rests.
async fn own_rest(client: &Client) -> Result<Option<(String, String)>, Failure> {
    let status: StatusBody = client.get("/v1/status").await?;
    Ok(rest(&status))
}

/// The state in a word, and in words that may count what still runs.
fn rest(status: &StatusBody) -> Option<(String, String)> {
    // One that only publishes runs nothing when it does not rest, either.
    let is_resting = RESTS.contains(&status.state.state.as_str()) && status.capacity > 0;
    is_resting.then(|| (status.state.state.clone(), format!("this station itself takes no job of it: {}", status.state.says)))
}

/// Why nothing moves, and whether this very station keeps still: nothing is said where nobody knows.
fn standstill(seen: &ExperimentBody, rest: Option<&str>, still_ms: u64) -> Vec<String> {
    if seen.advice.is_empty() && rest.is_none() {
        return Vec::new();
    }
    let heading = format!("nothing moved for {}:", span(still_ms));
    let reasons = rest.into_iter().chain(seen.advice.iter().map(String::as_str));
    let reasons = reasons.map(|reason| format!("  {}", Line(reason)));
    std::iter::once(heading).chain(reasons).chain(seen.said.iter().take(SAID_SHOWN).map(|said| format!("  {}", words(said)))).collect()
}

/// Guests whose words are shown where nothing moves.
const SAID_SHOWN: usize = 4;

/// What a guest says, as the words of a stranger.
fn words(HeardBody { job, node, saying, .. }: &HeardBody) -> String {
    format!("job {job} at {} says that it is at {}: \"{}\"", tail(node), percent(saying.permille), Line(&saying.message))
}

fn percent(permille: u32) -> String {
    format!("{} %", permille / 10)
}

#[cfg(test)]
mod tests;
