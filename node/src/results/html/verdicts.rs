//! The table of verdicts.
//!
//! Guarantees: what was decided over the receipts and what the stations say stand in columns of their own, and only the former is
//! coloured; a verdict in blue says that stations agree, not that what they say is good. Deliberately lacks a column per reading: many
//! would fit neither a window nor paper.

use super::super::{Results, Row, Verdict, fields};
use super::groups::{Exact, answer, uncounted_words};
use super::labels::{Labels, pairs};
use super::readings::figures;
use super::told;
use super::{Cell, Column, Table, escape, words};

pub(super) fn table(results: &Results, labels: &Labels<'_>, exact: &Exact) -> Table {
    let mut columns = vec![
        Column::words("job"),
        Column::words("input").share(20),
        Column::words("verdict over receipts"),
        Column::words("agree"),
        Column::words("what the stations say").share(20),
    ];
    if !results.report.is_empty() {
        columns.push(Column::words("readings").share(22));
    }
    columns.push(Column::words("who said what").share(24));
    let mut table = Table::new(&caption(results), columns);
    for row in &results.rows {
        let mut cells = vec![
            Cell::text(&row.index.to_string()),
            Cell::html(pairs(&labels.input(row), "<br>")),
            verdict(row),
            Cell::html(format!("<span class=\"nowrap\">{}</span>", escape(&row.agree_words()))),
            Cell::html(says(row)),
        ];
        if !results.report.is_empty() {
            cells.push(Cell::html(readings(results, row)));
        }
        cells.push(Cell::html(exact.who_said_what(row)));
        table.row(cells);
    }
    table
}

fn caption(results: &Results) -> String {
    let readings = if results.report.is_empty() {
        ""
    } else {
        " Readings are those of the stations that agree, or of all that count where nothing was decided."
    };
    let many = |row: &Row| fields(&row.input).is_some_and(|map| map.len() > 1);
    let keys = if results.rows.iter().any(many) { " Keys of inputs are in alphabetical order." } else { "" };
    format!(
        "Jobs that are settled: {} of {}. A verdict says whether stations agree, not whether what they say is good.{readings}{keys}{}",
        words::grouped(results.settled),
        words::grouped(results.jobs),
        uncounted_words(results)
    )
}

fn verdict(row: &Row) -> Cell {
    let class = match row.verdict {
        _ if told::is_certain(row) => "accent",
        Verdict::Agreed | Verdict::Certified | Verdict::Split => "mixed",
        Verdict::Failed | Verdict::Undecided | Verdict::Expired => "bad",
    };
    Cell::text(&row.verdict_words()).classed(class)
}

fn says(row: &Row) -> String {
    match row.verdict {
        Verdict::Agreed | Verdict::Certified => match (&row.answer, &row.no_answer) {
            (Some(said), _) => answer(said, "<br>"),
            (None, Some(reason)) => format!("– <span class=\"soft\">({})</span>", escape(reason)),
            (None, None) => "–".to_owned(),
        },
        Verdict::Split => "they differ".to_owned(),
        Verdict::Failed | Verdict::Undecided | Verdict::Expired => "–".to_owned(),
    }
}

fn readings(results: &Results, row: &Row) -> String {
    let lines: Vec<String> = results
        .report
        .iter()
        .map(|field| {
            let name = format!("<span class=\"key\">{}</span>", escape(&words::cut(field, 44)));
            let unit = words::unit_of(field);
            match row.readings.get(field) {
                Some(quantiles) => {
                    let (median, rest) = figures(quantiles, unit);
                    format!("{name} <span class=\"nowrap\">{}</span> <span class=\"soft\">({})</span>", escape(&median), escape(&rest))
                }
                None => format!("{name} –"),
            }
        })
        .collect();
    lines.iter().map(|line| format!("<div class=\"reading\">{line}</div>")).collect()
}
