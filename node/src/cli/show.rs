//! `station watch` and `station results`.

use std::time::Duration;

use clap::ValueEnum;

use super::client::Client;
use super::output::{Exit, Failure, Output};
use crate::api::types::{ExperimentBody, VerificationBody};
use crate::platform::home::Home;
use crate::platform::offline;
use crate::printable::{Line, json};
use crate::results::{Results, Verdict, csv, html, ndjson, table};

/// How often a watcher asks: often enough to feel live, rare enough to cost nothing.
const ASK_EVERY: Duration = Duration::from_millis(250);
/// Without progress for so long, the reasons are shown.
const STUCK_AFTER: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
pub(super) struct WatchArgs {
    /// The experiment's id
    id: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct ResultsArgs {
    /// The experiment's id
    id: String,
    /// How to print them [default: table]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Where to write them; standard output if not given
    #[arg(long, short, value_name = "FILE")]
    output: Option<std::path::PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
    Csv,
    Ndjson,
    Html,
}

pub(super) async fn watch(home: &Home, args: &WatchArgs, output: &Output) -> Result<Exit, Failure> {
    follow(&Client::connect(home).await?, &args.id, output).await
}

pub(super) async fn verify(home: &Home, args: &WatchArgs, output: &Output) -> Result<Exit, Failure> {
    let path = format!("/v1/experiments/{}/verification", args.id);
    let body: VerificationBody = Client::connect(home).await?.get(&path).await?;
    output.show(&body, |body| {
        let inputs = if body.inputs { "" } else { "; the jobs are not here, so that inputs were not compared" };
        let absent = if body.absent == 0 { String::new() } else { format!("; {} outputs or transcripts are not here", body.absent) };
        let (verdicts, receipts, late) = (body.settled, body.receipts, body.late);
        let holds =
            format!("the Log holds together: {verdicts} verdicts recomputed from {receipts} signed receipts ({late} came late){inputs}{absent}");
        format!("{holds}\nno Log proves {}", body.unproved.join(", "))
    });
    Ok(Exit::Done)
}

pub(super) async fn cancel(home: &Home, args: &WatchArgs, output: &Output) -> Result<Exit, Failure> {
    Client::connect(home).await?.delete(&format!("/v1/experiments/{}", args.id)).await?;
    output.show(&serde_json::json!({ "cancelled": args.id }), |_| format!("closing {}; `station results {0}` shows what there is", args.id));
    Ok(Exit::Done)
}

/// Shows progress until the experiment is closed, then its table; the exit code says whether every job got an answer.
pub(super) async fn follow(client: &Client, id: &str, output: &Output) -> Result<Exit, Failure> {
    let path = format!("/v1/experiments/{id}");
    let mut seen: ExperimentBody = client.get(&path).await?;
    let bar = output.bar(seen.jobs, "settled");
    let (mut moved, mut told) = (tokio::time::Instant::now(), Vec::new());
    loop {
        bar.set_position(seen.settled);
        bar.set_message(format!("{} receipts · {} running · {} stations claimed", seen.held, seen.outstanding, seen.claimants));
        if seen.closed {
            break;
        }
        tokio::time::sleep(ASK_EVERY).await;
        let next: ExperimentBody = client.get(&path).await?;
        if (next.settled, next.held, next.outstanding) != (seen.settled, seen.held, seen.outstanding) {
            moved = tokio::time::Instant::now();
            if output.is_json() {
                output.show(&next, |_| String::new());
            }
        }
        seen = next;
        if moved.elapsed() > STUCK_AFTER && told != seen.advice {
            bar.suspend(|| explain(&seen, output));
            told.clone_from(&seen.advice);
        }
    }
    bar.finish_and_clear();
    let results: Results = client.get(&format!("{path}/results")).await?;
    output.paint(&results, |results| table::render(results, output.colour(), output.width()));
    if results.settled < results.jobs {
        output.say(format!("{} jobs never got an execution before the end", results.jobs - results.settled));
    }
    shortcomings(&results).iter().for_each(|line| output.say(line));
    output.say(format!("{} of {} jobs settled; more: station results {id} --format html -o report.html", results.settled, results.jobs));
    Ok(verdict_code(&results))
}

fn explain(seen: &ExperimentBody, output: &Output) {
    output.say(format!("nothing moved for {} s:", STUCK_AFTER.as_secs()));
    for (reason, count) in &seen.declines {
        output.say(format!("  {count} stations declined: {}", Line(reason)));
    }
    for (reason, count) in &seen.refusals {
        output.say(format!("  {count} claims refused: {}", Line(reason)));
    }
    seen.advice.iter().for_each(|advice| output.say(format!("  {}", Line(advice))));
}

/// What is missing although jobs are settled, in a line each.
fn shortcomings(results: &Results) -> Vec<String> {
    let failed = results.rows.iter().filter(|row| row.verdict == Verdict::Failed).count();
    let short = results.rows.iter().filter(|row| row.is_short()).count();
    let mut lines = Vec::new();
    if failed > 0 {
        lines.push(format!("{failed} of {} jobs failed wherever they ran: try one with `station module run`", results.jobs));
    }
    if short > 0 {
        lines.push(format!("{short} of {} jobs were done by fewer stations than the experiment asks for", results.jobs));
    }
    lines
}

pub(super) fn verdict_code(results: &Results) -> Exit {
    let answered = results.rows.iter().filter(|row| row.is_answered()).count() as u64;
    if answered == results.jobs { Exit::Done } else { Exit::Unanswered }
}

pub(super) async fn results(home: &Home, args: &ResultsArgs, output: &Output) -> Result<Exit, Failure> {
    let results: Results = match Client::find(home).await? {
        Some(client) => client.get(&format!("/v1/experiments/{}/results", args.id)).await?,
        None => offline::results(home, &args.id).await?,
    };
    // A script that names a file gets it in the format it names; on standard output `--json` wins.
    let fallback = if output.is_json() { Format::Json } else { Format::Table };
    let format = args.format.filter(|_| args.output.is_some() || !output.is_json()).unwrap_or(fallback);
    let text = match format {
        Format::Table => table::render(&results, args.output.is_none() && output.colour(), args.output.is_none().then(|| output.width()).flatten()),
        Format::Json => serde_json::to_string_pretty(&results)? + "\n",
        Format::Csv => csv::render(&results),
        Format::Ndjson => ndjson(&results),
        Format::Html => html::render(&results, html::Check::Kept),
    };
    match &args.output {
        Some(file) => {
            std::fs::write(file, text).map_err(|error| Failure::new(format!("{}: {error}", file.display())))?;
            output.say(format!("wrote {}", file.display()));
            if output.is_json() {
                output.show(&serde_json::json!({ "file": file }), |_| String::new());
            }
        }
        None => match format {
            Format::Table => output.write(&text),
            Format::Json | Format::Ndjson => output.write(&json(&text)),
            Format::Csv | Format::Html => output.data(&text),
        },
    }
    Ok(verdict_code(&results))
}
