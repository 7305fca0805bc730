//! `station verify`, `cancel` and `results`: one experiment, in the running station or on the disk.

use std::path::Path;

use clap::ValueEnum;

use super::output::{Exit, Failure, Output, shown};
use super::pick::{ID_HELP, Source, not_running, short};
use crate::numbers::count;
use crate::platform::home::Home;
use crate::printable::{Line, json};
use crate::results::{Results, Verdict, csv, html, ndjson, table};

#[derive(Debug, clap::Args)]
pub(super) struct WhichArgs {
    #[arg(help = ID_HELP)]
    pub(super) id: String,
}

#[derive(Debug, clap::Args)]
#[command(after_help = RESULTS_EXAMPLES)]
pub(super) struct ResultsArgs {
    #[arg(help = ID_HELP)]
    id: String,
    /// How to print them [default: table, and json with --json]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Under the table also each receipt: times, network, isolation, requests and why they failed; of one job with =JOB
    #[arg(long, value_name = "JOB", num_args = 0..=1, require_equals = true)]
    receipts: Option<Option<u64>>,
    /// Where to write them; standard output if not given, or `-`
    #[arg(long, short, value_name = "FILE")]
    output: Option<std::path::PathBuf>,
}

const RESULTS_EXAMPLES: &str = "Examples:
  station results last                               the newest experiment, as a table
  station results c4xk2hza --format csv -o r.csv     the beginning of an id is enough
  station results last --receipts=3                  the table, and each receipt of job 3
  station results @2 --format html -o report.html    the one before the last, as a page with charts";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
    Csv,
    Ndjson,
    Html,
}

pub(super) async fn verify(home: &Home, args: &WhichArgs, output: &Output) -> Result<Exit, Failure> {
    let source = Source::of(home).await?;
    let id = source.pick(home, &args.id).await?;
    let body = source.verification(&id).await?;
    output.show(&body, |body| {
        let inputs = if body.inputs { "" } else { "; the jobs are not here, so that inputs were not compared" };
        let absent = if body.absent == 0 { String::new() } else { format!("; {} of the outputs and transcripts not here", body.absent) };
        let (verdicts, receipts, late) = (count(body.settled, "verdict"), count(body.receipts, "signed receipt"), body.late);
        let holds = format!("the Log holds together: {verdicts} recomputed from {receipts} ({late} came late){inputs}{absent}");
        format!("{holds}\nno Log proves {}", body.unproved.join(", "))
    });
    Ok(Exit::Done)
}

pub(super) async fn cancel(home: &Home, args: &WhichArgs, output: &Output) -> Result<Exit, Failure> {
    let source = Source::of(home).await?;
    let id = source.pick(home, &args.id).await?;
    let was_closed = source.experiment(home, &id).await?.closed;
    match &source {
        _ if was_closed => {}
        Source::Running(client) => client.delete(&format!("/v1/experiments/{id}")).await?,
        Source::Kept(_) => return Err(not_running(home, &id)),
    }
    let results = home.call(&format!("results {}", short(&id)));
    output.show(&serde_json::json!({ "cancelled": id, "was_closed": was_closed }), |_| {
        let says = if was_closed { "is closed already" } else { "is being closed" };
        format!("{} {says}; `{results}` shows what there is", short(&id))
    });
    Ok(Exit::Done)
}

/// The end of an experiment: its table, what is missing, and how to see more.
pub(super) fn tell(home: &Home, results: &Results, output: &Output) {
    output.paint(results, |results| table::render(results, output.colour(), output.width()));
    missing(results).iter().for_each(|line| output.say(line));
    let more = home.call(&format!("results {} --format html -o report.html", short(&results.experiment)));
    output.say(each(home, results));
    output.say(format!("{}; more: {more}", settled(results)));
}

/// How many jobs are settled, and how many came to their end without that.
fn settled(results: &Results) -> String {
    let expired = (results.rows.len() as u64).saturating_sub(results.settled);
    let expired = if expired == 0 { String::new() } else { format!(", {expired} expired") };
    format!("{} of {} settled{expired}", results.settled, count(results.jobs, "job"))
}

/// What keeps the results from being whole, in a line each.
fn missing(results: &Results) -> Vec<String> {
    let none = results.jobs.saturating_sub(results.rows.len() as u64);
    (none > 0).then(|| unsettled(none)).into_iter().chain(shortcomings(results)).collect()
}

/// Where that stands of which a table has no room.
fn each(home: &Home, results: &Results) -> String {
    let receipts = home.call(&format!("results {} --receipts", short(&results.experiment)));
    format!("times, network, isolation and requests of each execution: {receipts}")
}

/// The receipts that were asked for; of a job that is not among the results none can be shown.
fn receipts(results: &Results, job: Option<u64>) -> Result<String, Failure> {
    match job.filter(|job| results.rows.iter().all(|row| row.index != *job)) {
        Some(job) if job < results.jobs => Err(Failure::new(format!("job {job} has no receipt yet: look again when it is settled"))),
        Some(job) => Err(Failure::new(format!("there is no job {job}: the experiment has {}, counted from 0", count(results.jobs, "job")))),
        None => Ok(table::receipts::render(results, job)),
    }
}

/// Jobs of which nothing came, whether or not somebody had begun them.
fn unsettled(jobs: u64) -> String {
    format!("{} no receipt", if jobs == 1 { "1 job has".to_owned() } else { format!("{jobs} jobs have") })
}

/// What is missing although jobs are settled, in a line each.
fn shortcomings(results: &Results) -> Vec<String> {
    let failed = results.rows.iter().filter(|row| row.verdict == Verdict::Failed).count();
    let short = results.rows.iter().filter(|row| row.is_short()).count();
    let (jobs, mut lines) = (count(results.jobs, "job"), Vec::new());
    if failed > 0 {
        lines.push(format!("{failed} of {jobs} failed in the same way on enough stations: try one with `station module run`"));
    }
    let unsaid: Vec<&String> = results.rows.iter().filter_map(|row| row.no_answer.as_ref()).collect();
    if let Some(reason) = unsaid.first() {
        lines.push(format!("{} of {jobs} without an answer: {}", unsaid.len(), Line(reason)));
    }
    if short > 0 {
        lines.push(format!("{short} of {jobs} done by fewer stations than the experiment asks for"));
    }
    lines
}

pub(super) fn verdict_code(results: &Results) -> Exit {
    let answered = results.rows.iter().filter(|row| row.is_answered()).count() as u64;
    if answered == results.jobs { Exit::Done } else { Exit::Unanswered }
}

/// The file that `-o` names: `-` is standard output, as everywhere.
pub(super) fn to_file(named: Option<&Path>) -> Option<&Path> {
    named.filter(|path| *path != Path::new("-"))
}

/// How results are written. A file has the format that was named for it, whatever this program prints; what it prints with `--json` is JSON.
fn format(named: Option<Format>, to_file: bool, is_json: bool) -> Result<Format, Failure> {
    match (named, is_json && !to_file) {
        (None, _) => Ok(if is_json { Format::Json } else { Format::Table }),
        (Some(format), false) | (Some(format @ (Format::Json | Format::Ndjson)), true) => Ok(format),
        (Some(format), true) => {
            let word = format.to_possible_value().map(|word| word.get_name().to_owned()).unwrap_or_default();
            let says = format!("--json and --format {word} both say what standard output gets: keep one of them, or name a file with -o");
            Err(Failure::new(says).with(Exit::Usage))
        }
    }
}

pub(super) async fn results(home: &Home, args: &ResultsArgs, output: &Output) -> Result<Exit, Failure> {
    let file = to_file(args.output.as_deref());
    let format = format(args.format, file.is_some(), output.is_json())?;
    if args.receipts.is_some() && format != Format::Table {
        return Err(Failure::new("--receipts stands under a table; the other formats have every receipt without it").with(Exit::Usage));
    }
    let source = Source::of(home).await?;
    let results = source.results(&source.pick(home, &args.id).await?).await?;
    let receipts = args.receipts.map(|job| receipts(&results, job)).transpose()?.unwrap_or_default();
    let text = match format {
        Format::Table => {
            let width = file.is_none().then(|| output.width()).flatten();
            table::render(&results, file.is_none() && output.colour(), width) + &receipts
        }
        Format::Json => serde_json::to_string_pretty(&results)? + "\n",
        Format::Csv => csv::render(&results),
        Format::Ndjson => ndjson(&results),
        Format::Html => html::render(&results, html::Check::Kept),
    };
    match file {
        Some(file) => {
            std::fs::write(file, text).map_err(|error| Failure::new(format!("{}: {error}", file.display())))?;
            output.say(format!("wrote {}", file.display()));
            if output.is_json() {
                output.show(&serde_json::json!({ "file": shown(file) }), |_| String::new());
            }
        }
        None => match format {
            Format::Table => {
                output.write(&text);
                missing(&results).iter().for_each(|line| output.say(line));
                if args.receipts.is_none() {
                    output.say(each(home, &results));
                }
            }
            Format::Json | Format::Ndjson => output.write(&json(&text)),
            Format::Csv | Format::Html => output.data(&text),
        },
    }
    Ok(verdict_code(&results))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_is_written_or_refused_where_json_is_asked_for_too() {
        use Format::{Csv, Html, Json, Ndjson, Table};
        for named in [Table, Json, Csv, Ndjson, Html] {
            for (to_file, is_json) in [(false, false), (true, false), (true, true)] {
                assert_eq!(format(Some(named), to_file, is_json).ok(), Some(named));
            }
            let printed = format(Some(named), false, true);
            match named {
                Json | Ndjson => assert_eq!(printed.ok(), Some(named)),
                Table | Csv | Html => {
                    let refused = printed.expect_err("two formats for one output");
                    assert!(refused.exit == Exit::Usage && refused.message.contains("--json and --format"), "{}", refused.message);
                }
            }
        }
        let unnamed = [(false, false), (true, false), (false, true), (true, true)];
        assert_eq!(unnamed.map(|(to_file, is_json)| format(None, to_file, is_json).ok()), [Table, Table, Json, Json].map(Some));
        assert_eq!([None, Some("-"), Some("r.csv")].map(|named| to_file(named.map(Path::new)).is_some()), [false, false, true]);
    }

    #[test]
    fn what_is_missing_is_said_as_it_is_known() {
        assert_eq!([1, 3].map(unsettled), ["1 job has no receipt", "3 jobs have no receipt"]);
        let results: Results = serde_json::from_value(super::super::tests::results(&["failed", "agreed"])).expect("results");
        let said = shortcomings(&results);
        assert!(said[0].starts_with("1 of 2 jobs failed in the same way on enough stations"), "{said:?}");
    }

    #[test]
    fn receipts_of_a_job_that_is_not_there_are_refused_with_the_jobs_there_are() {
        let results: Results = serde_json::from_value(super::super::tests::results(&["agreed"])).expect("results");
        assert_eq!([receipts(&results, None), receipts(&results, Some(0))], [Ok("no receipts\n".to_owned()), Ok("no receipts\n".to_owned())]);
        let said = |job| receipts(&results, Some(job)).expect_err("it has none").message;
        assert_eq!(said(1), "job 1 has no receipt yet: look again when it is settled");
        assert_eq!(said(2), "there is no job 2: the experiment has 2 jobs, counted from 0");
    }

    #[test]
    fn jobs_whose_stations_agree_on_nothing_are_told_with_the_reason_and_end_with_their_own_code() {
        let mut results: Results = serde_json::from_value(super::super::tests::results(&["certified", "certified"])).expect("results");
        assert_eq!((shortcomings(&results), verdict_code(&results)), (Vec::new(), Exit::Done));
        results.rows[1].no_answer = Some("no field\x1b[2J".to_owned());
        assert_eq!(shortcomings(&results), ["1 of 2 jobs without an answer: no field\\u{1b}[2J"]);
        assert_eq!(verdict_code(&results), Exit::Unanswered);
    }
}
