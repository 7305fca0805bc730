//! The table that a terminal shows: one line per job.

use super::{Results, Row, Verdict, input_words, value_words};
use crate::printable::{Line, is_unprintable};
use serde_json::Value;

/// Cells wider than this are cut in the middle: CIDs and URLs stay recognisable at both ends.
const CELL_WIDTH_MAX: usize = 44;
/// Dissenting stations named in one cell; the rest are counted.
const NAMED_MAX: usize = 3;

/// The table, or a block per job where a terminal of `width` columns has no room for it; with colour where `colour` says so.
#[must_use]
pub fn render(results: &Results, colour: bool, width: Option<usize>) -> String {
    let mut header: Vec<String> = ["job", "verdict", "agree", "answer"].map(str::to_owned).to_vec();
    header.extend(results.report.iter().map(|field| cut(field)));
    header.push("disagreed".to_owned());
    let rows: Vec<(&str, Vec<String>)> = results.rows.iter().map(|row| (paint(row), cells(row, &results.report))).collect();
    let widths: Vec<usize> = (0..header.len())
        .map(|column| {
            std::iter::once(&header).chain(rows.iter().map(|(_, cells)| cells)).map(|cells| cells[column].chars().count()).max().unwrap_or(0)
        })
        .collect();
    let whole = widths.iter().sum::<usize>() + GAP.len() * (widths.len() - 1);
    let mut text = if width.is_some_and(|width| whole > width) { blocks(&header, &rows, colour) } else { grid(&header, &rows, &widths, colour) };
    if !results.report.is_empty() {
        text.push_str("readings: p50 / p95 of the stations that agree; of all where nothing was decided\n");
    }
    text
}

/// Between two columns.
const GAP: &str = "  ";

fn grid(header: &[String], rows: &[(&str, Vec<String>)], widths: &[usize], colour: bool) -> String {
    let mut text = line(header, widths);
    text.push_str(&widths.iter().map(|width| "─".repeat(*width)).collect::<Vec<_>>().join(&"─".repeat(GAP.len())));
    text.push('\n');
    for (paint, cells) in rows {
        text.push_str(&painted(paint, line(cells, widths).trim_end(), colour));
    }
    text
}

fn blocks(header: &[String], rows: &[(&str, Vec<String>)], colour: bool) -> String {
    let mut text = String::new();
    for (paint, cells) in rows {
        text.push_str(&painted(paint, &format!("{}  {} {}", cells[0], cells[1], cells[2]), colour));
        for (name, cell) in header.iter().zip(cells).skip(3) {
            text.push_str(&format!("  {name}: {cell}\n"));
        }
    }
    text
}

fn painted(paint: &str, line: &str, colour: bool) -> String {
    if colour { format!("{paint}{line}\x1b[0m\n") } else { format!("{line}\n") }
}

fn paint(row: &Row) -> &'static str {
    match row.verdict {
        Verdict::Agreed | Verdict::Certified if !row.is_short() => "\x1b[32m",
        Verdict::Agreed | Verdict::Certified | Verdict::Split => "\x1b[33m",
        Verdict::Failed | Verdict::Undecided | Verdict::Expired => "\x1b[31m",
    }
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let padded: Vec<String> = cells.iter().zip(widths).map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.chars().count()))).collect();
    format!("{}\n", padded.join(GAP).trim_end())
}

fn cells(row: &Row, report: &[String]) -> Vec<String> {
    let mut cells = vec![cut(&input_words(&row.input)), row.verdict_words(), row.agree_words(), answer(&row.answer)];
    for field in report {
        let quantiles = row.readings.get(field);
        cells.push(quantiles.map_or("–".to_owned(), |quantiles| format!("{} / {}", number(quantiles.p50), number(quantiles.p95))));
    }
    cells.push(dissent(row));
    // Whatever a cell is made of: the escapes of this table are the only ones in it.
    cells.iter().map(|cell| Line(cell).to_string()).collect()
}

/// Values of an answer are cut to this: enough to tell two hashes apart.
const VALUE_WIDTH_MAX: usize = 13;

fn answer(answer: &Value) -> String {
    match answer {
        Value::Object(map) => {
            map.iter().map(|(key, value)| format!("{}={}", cut(key), cut_to(&value_words(value), VALUE_WIDTH_MAX))).collect::<Vec<_>>().join(" ")
        }
        other => cut(&value_words(other)),
    }
}

fn dissent(row: &Row) -> String {
    let nodes: Vec<String> =
        row.executions.iter().filter(|execution| execution.agrees == Some(false)).map(|execution| short(&execution.node)).collect();
    match nodes.len() {
        0 if row.executions.iter().all(|execution| execution.agrees.is_none()) => "–".to_owned(),
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

/// `text` within [`CELL_WIDTH_MAX`] characters, without what moves the cursor or turns the writing round: a guest wrote it.
pub(super) fn cut(text: &str) -> String {
    cut_to(text, CELL_WIDTH_MAX)
}

fn cut_to(text: &str, width: usize) -> String {
    let clean: Vec<char> = text.chars().filter(|c| !is_unprintable(*c)).collect();
    if clean.len() <= width {
        return clean.into_iter().collect();
    }
    let half = width / 2;
    let (head, tail) = (&clean[..half], &clean[clean.len() - (width - half - 1)..]);
    head.iter().chain(&['…']).chain(tail).collect()
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn a_guests_output_cannot_move_the_cursor() {
        assert_eq!(cut("ok\x1b[2J\r\n"), "ok[2J");
        assert_eq!(cut("ok\u{202e}ko\u{2066}"), "okko");
    }

    #[test]
    fn long_cells_keep_both_ends() {
        let text = cut(&format!("{}end", "x".repeat(100)));
        assert!(text.starts_with("xxx") && text.ends_with("end") && text.chars().count() == super::CELL_WIDTH_MAX);
    }
}
