//! One self-contained HTML page: verdicts and who said what, a chart of every reading and of how long it
//! took, who took part, and when each execution was.
//!
//! Guarantees: everything a guest or researcher wrote is escaped; a verdict over receipts is never taken for what an answer says of its
//! subject, and no answer is painted as good; where nothing was decided, those who differ stand beside each other without a winner.
//! Deliberately lacks judgement of answers: only the researcher knows which are good.

use super::Results;
use crate::page::{Cell, Column, Page, Table, escape, grouped, time, words};

mod executions;
pub(super) mod groups;
mod labels;
mod logs;
pub(super) mod readings;
mod stations;
mod told;
mod verdicts;

use groups::Exact;
use labels::Labels;

/// Whether a reader can check the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The station that published it keeps the Log, once the experiment is closed.
    Kept,
    /// Its stations and their Log went with the process that wrote the page.
    Gone,
}

/// The page.
#[must_use]
pub fn render(results: &Results, check: Check) -> String {
    let mut page = Page::new(if results.name.is_empty() { "Experiment" } else { &results.name });
    page.push(&about(results));
    page.facts(&summary(results));
    page.push(&format!("<p class=\"check\">{}</p>", check_words(results, check)));
    let (labels, exact) = (Labels::of(results), Exact::of(results));
    page.section("Verdicts");
    if results.rows.is_empty() {
        page.paragraph("No job is settled.");
    } else {
        if let Some(same) = labels.same_in_all() {
            page.paragraph(&format!("<span class=\"soft\">The same in every job:</span> {same}"));
        }
        page.table(&verdicts::table(results, &labels, &exact));
        page.section(if results.report.is_empty() { "How long it took" } else { "Readings, and how long they took" });
        for field in &results.report {
            page.push(&readings::of_field(results, field, &labels));
        }
        page.push(&readings::of_time(results, &labels));
        page.section("Who took part");
        page.push(&stations::chart(results));
        page.table(&stations::table(results));
        page.section("Executions");
        page.table(&executions::table(results));
        if let Some(logs) = logs::table(results) {
            page.section("What guests wrote into their logs");
            page.table(&logs);
        }
    }
    page.finish()
}

fn about(results: &Results) -> String {
    let mut html = format!("<p class=\"soft\">A {} experiment on Station</p><dl>", escape(&results.class));
    let log = results.log.as_deref().unwrap_or(if results.closed_at.is_none() { "not closed yet" } else { "not written yet" });
    let module = &results.module;
    let named = module.name.as_ref().map(|name| format!("{name}, ")).unwrap_or_default();
    let module = format!("{named}{} bytes: {}", grouped(module.bytes), module.cid);
    for (name, value) in [
        ("experiment", escape(&results.experiment)),
        ("requester", escape(&results.requester)),
        ("topic", escape(&results.topic)),
        ("module", escape(&module)),
        ("profile", escape(&results.profile)),
        ("published", time(&results.published_at)),
        ("closed", results.closed_at.as_deref().map_or_else(|| "still open".to_owned(), time)),
        ("deadline", time(&results.deadline_at)),
        ("log", escape(log)),
    ] {
        html.push_str(&format!("<dt>{name}</dt><dd><code>{value}</code></dd>"));
    }
    html + "</dl>"
}

fn summary(results: &Results) -> [(String, &'static str); 4] {
    let noun = |count: usize, one: &'static str, many: &'static str| if count == 1 { one } else { many };
    let certain = results.rows.iter().filter(|row| told::is_certain(row)).count();
    let executions = || results.rows.iter().flat_map(|row| &row.executions);
    let mut nodes: Vec<&str> = executions().map(|execution| execution.node.as_str()).collect();
    nodes.sort_unstable();
    nodes.dedup();
    [
        (format!("{} / {}", grouped(results.settled), grouped(results.jobs)), "jobs settled"),
        (grouped(certain as u64), "with agreement"),
        (grouped(executions().count() as u64), noun(executions().count(), "signed receipt", "signed receipts")),
        (grouped(nodes.len() as u64), noun(nodes.len(), "station", "stations")),
    ]
}

fn check_words(results: &Results, check: Check) -> String {
    let command = format!("<code>station verify {}</code>", escape(&results.experiment));
    let does = "hashes every byte of its Log that is there, checks every signature and recomputes every verdict";
    match (check, &results.log) {
        (Check::Gone, _) => "The stations that made this page have ended, and their Log with them. An experiment of your own you check \
             yourself: <code>station verify ID</code>."
            .to_owned(),
        (Check::Kept, Some(_)) => format!("Check this yourself: {command}, on the station that published it, {does}."),
        (Check::Kept, None) => format!("When the experiment is closed, check this yourself: {command}, on the station that published it, {does}."),
    }
}
