//! `station experiments`: what this station has published, the newest first.

use super::layout::hung;
use super::output::{Exit, Failure, Output};
use super::pick::{Source, short};
use crate::api::types::ExperimentBody;
use crate::numbers::{count, span};
use crate::platform::home::Home;
use crate::printable::Line;

/// Characters of a name that the list shows.
const NAME_CHARS_MAX: usize = 32;

pub(super) async fn run(home: &Home, output: &Output) -> Result<Exit, Failure> {
    let source = Source::of(home).await?;
    let own = source.experiments().await?;
    let now = crate::clock::Clock::start().now().0;
    let width = output.width();
    output.show(&own, |own| table(own, now, matches!(source, Source::Running(_)), width));
    if own.is_empty() {
        output.say(format!("no experiment yet: `{}` publishes one", home.call("publish FILE")));
    } else if matches!(source, Source::Kept(_)) && own.iter().any(|experiment| !experiment.closed) {
        output.say(format!("no station runs from here: go on with `{}`, or with `{}`", home.call("publish --resume"), home.call("run")));
    }
    Ok(Exit::Done)
}

/// A line for each, with what names it in other commands; where a terminal has no room for that, two or three.
fn table(own: &[ExperimentBody], now: u64, is_running: bool, width: Option<usize>) -> String {
    let rows: Vec<[String; 5]> = (1..).zip(own).map(|(place, body)| row(place, body, now, is_running)).collect();
    let head = ["", "id", "age", "name", "state"].map(str::to_owned);
    let lines: Vec<[String; 5]> = if rows.is_empty() { Vec::new() } else { std::iter::once(head).chain(rows.iter().cloned()).collect() };
    let widths: [usize; 5] = std::array::from_fn(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0));
    let whole = widths.iter().sum::<usize>() + GAP.len() * (widths.len() - 1);
    if let Some(width) = width.filter(|width| whole > *width) {
        return rows.iter().map(|row| block(row, width)).collect();
    }
    let padded = |line: &[String; 5]| {
        let cells: Vec<String> = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join(GAP).trim_end().to_owned() + "\n"
    };
    lines.iter().map(padded).collect()
}

/// Between two columns.
const GAP: &str = "  ";

/// One experiment below the other: what names it, and under that what it is called and how it stands.
fn block([place, id, age, name, state]: &[String; 5], width: usize) -> String {
    let below = |text: &str| hung(width, "    ", "      ", text);
    format!("{place}{GAP}{id}{GAP}{age}\n{}{}", below(name), below(state))
}

fn row(place: u64, body: &ExperimentBody, now: u64, is_running: bool) -> [String; 5] {
    let name = Line(&body.name).to_string();
    let name = if name.chars().count() > NAME_CHARS_MAX { name.chars().take(NAME_CHARS_MAX - 1).chain(['…']).collect() } else { name };
    [format!("@{place}"), short(&body.experiment).to_owned(), span(now.saturating_sub(body.published)), name, state(body, is_running)]
}

/// In which state it is, and how much of it is done.
fn state(body: &ExperimentBody, is_running: bool) -> String {
    let settled = format!("{} of {} settled", body.settled, count(body.jobs, "job"));
    match (body.closed, is_running) {
        (true, _) => format!("closed: {settled}"),
        (false, true) => format!("open: {settled}, {} running", body.outstanding),
        (false, false) => format!("open, carried by nobody: {settled}"),
    }
}

#[cfg(test)]
mod tests;
