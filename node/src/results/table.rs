//! The table that a terminal shows: one line per job.

use super::{Results, Row, Verdict, input_words, value_words};
use serde_json::Value;

/// Cells wider than this are cut in the middle: CIDs and URLs stay recognisable at both ends.
const CELL_WIDTH_MAX: usize = 44;
/// Dissenting stations named in one cell; the rest are counted.
const NAMED_MAX: usize = 3;

/// The table, with colour where `colour` says so.
#[must_use]
pub fn render(results: &Results, colour: bool) -> String {
    let mut header = vec!["job".to_owned(), "verdict".to_owned(), "agree".to_owned(), "answer".to_owned()];
    for field in &results.report {
        header.push(format!("{field} p50"));
        header.push("p95".to_owned());
    }
    header.push("disagreed".to_owned());
    let rows: Vec<(Verdict, Vec<String>)> = results.rows.iter().map(|row| (row.verdict, cells(row, &results.report))).collect();
    let widths: Vec<usize> = (0..header.len())
        .map(|column| {
            std::iter::once(&header).chain(rows.iter().map(|(_, cells)| cells)).map(|cells| cells[column].chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut text = line(&header, &widths);
    text.push_str(&widths.iter().map(|width| "─".repeat(*width)).collect::<Vec<_>>().join("──"));
    text.push('\n');
    for (verdict, cells) in &rows {
        let line = line(cells, &widths);
        text.push_str(&if colour { format!("{}{}\x1b[0m\n", paint(*verdict), line.trim_end()) } else { line });
    }
    text
}

fn paint(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Agreed | Verdict::Certified => "\x1b[32m",
        Verdict::Split => "\x1b[33m",
        Verdict::Undecided | Verdict::Expired => "\x1b[31m",
    }
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let padded: Vec<String> = cells.iter().zip(widths).map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.chars().count()))).collect();
    format!("{}\n", padded.join("  ").trim_end())
}

fn cells(row: &Row, report: &[String]) -> Vec<String> {
    let mut cells = vec![cut(&input_words(&row.input)), row.verdict.to_string(), format!("{}/{}", row.agree, row.of), cut(&answer(&row.answer))];
    for field in report {
        let quantiles = row.readings.get(field);
        cells.push(quantiles.map_or("–".to_owned(), |quantiles| number(quantiles.p50)));
        cells.push(quantiles.map_or("–".to_owned(), |quantiles| number(quantiles.p95)));
    }
    cells.push(dissent(row));
    cells
}

fn answer(answer: &Value) -> String {
    match answer {
        Value::Object(map) => map.iter().map(|(key, value)| format!("{key}={}", value_words(value))).collect::<Vec<_>>().join(" "),
        other => value_words(other),
    }
}

fn dissent(row: &Row) -> String {
    let nodes: Vec<String> = row.executions.iter().filter(|execution| !execution.agrees).map(|execution| short(&execution.node)).collect();
    match nodes.len() {
        0 => "nobody".to_owned(),
        count if count <= NAMED_MAX => nodes.join(" "),
        count => format!("{} and {} more", nodes[..NAMED_MAX].join(" "), count - NAMED_MAX),
    }
}

/// A node id by its end, which differs between ids where the beginning does not.
#[must_use]
pub fn short(node: &str) -> String {
    let tail: String = node.chars().rev().take(6).collect::<Vec<_>>().into_iter().rev().collect();
    format!("…{tail}")
}

/// A reading without digits it does not have.
#[must_use]
pub fn number(value: f64) -> String {
    if value.fract() == 0.0 || value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

/// `text` within [`CELL_WIDTH_MAX`] characters, control characters removed: a guest's output must not move the cursor.
pub(super) fn cut(text: &str) -> String {
    let clean: Vec<char> = text.chars().filter(|c| !c.is_control()).collect();
    if clean.len() <= CELL_WIDTH_MAX {
        return clean.into_iter().collect();
    }
    let half = CELL_WIDTH_MAX / 2;
    let (head, tail) = (&clean[..half], &clean[clean.len() - (CELL_WIDTH_MAX - half - 1)..]);
    head.iter().chain(&['…']).chain(tail).collect()
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn a_guests_output_cannot_move_the_cursor() {
        assert_eq!(cut("ok\x1b[2J\r\n"), "ok[2J");
    }

    #[test]
    fn long_cells_keep_both_ends() {
        let text = cut(&format!("{}end", "x".repeat(100)));
        assert!(text.starts_with("xxx") && text.ends_with("end") && text.chars().count() == super::CELL_WIDTH_MAX);
    }
}
