//! The table that a terminal shows: one line per job, and under it what a reader needs to know of all of them.
//!
//! Guarantees: the word of the quorum is coloured, and nothing that stations say: an answer is never green. Words of an answer are never
//! cut, hashes are, and nothing is where no terminal reads. Deliberately lacks each execution: [`receipts`] has them, and the other formats.

use std::collections::BTreeSet;

use super::{Answer, Results, Row, Verdict, fields, value_words};
use crate::page::words::{self, number, tail};
use crate::printable::Line;
use serde_json::Value;

mod notes;
pub mod receipts;

/// A hash or CID is cut to this: enough to tell two apart.
const HASH_WIDTH: usize = 13;
/// Longest text that a terminal shows of one value; what is longer is no word.
const VALUE_WIDTH_MAX: usize = 400;
/// Dissenting stations named in one cell; the rest are counted.
const NAMED_MAX: usize = 3;

/// What a table is laid out by.
#[derive(Clone, Copy)]
struct Layout {
    colour: bool,
    /// Columns of the terminal; none where nobody looks.
    width: Option<usize>,
}

/// One job's line.
struct Cells {
    inputs: Vec<String>,
    quorum: String,
    paint: &'static str,
    agree: String,
    /// Answer, readings, who disagreed.
    rest: Vec<String>,
}

/// The table, or a block per job where a terminal of `width` columns has no room for it; with colour where `colour` says so. Without a
/// terminal nothing is cut.
#[must_use]
pub fn render(results: &Results, colour: bool, width: Option<usize>) -> String {
    let layout = Layout { colour, width };
    let inputs = input_names(results);
    let mut rest = vec!["answer".to_owned()];
    rest.extend(results.report.iter().cloned());
    rest.push("disagreed".to_owned());
    let rows: Vec<Cells> = results.rows.iter().map(|row| layout.cells(row, &inputs, &results.report)).collect();
    let shown = |names: &[String]| names.iter().map(|name| Line(name).to_string()).collect::<Vec<_>>();
    let header: Vec<String> = shown(&inputs).into_iter().chain(["quorum".to_owned(), "agree".to_owned()]).chain(shown(&rest)).collect();
    let lines: Vec<Vec<&str>> = rows.iter().map(Cells::line).collect();
    let widths: Vec<usize> = (0..header.len())
        .map(|column| lines.iter().map(|cells| cells[column]).chain([header[column].as_str()]).map(|cell| cell.chars().count()).max().unwrap_or(0))
        .collect();
    let whole = widths.iter().sum::<usize>() + GAP.len() * (widths.len() - 1);
    let mut text = if width.is_some_and(|width| whole > width) {
        blocks(&inputs, &rest, &rows, layout)
    } else {
        grid(&header, &rows, &widths, inputs.len(), layout)
    };
    notes::under(results, &mut text);
    text
}

/// The keys of all inputs, or one name where they are no maps.
fn input_names(results: &Results) -> Vec<String> {
    let mut names = BTreeSet::new();
    for row in &results.rows {
        match fields(&row.input) {
            Some(map) => names.extend(map.keys().cloned()),
            None => _ = names.insert("input".to_owned()),
        }
    }
    if names.is_empty() { vec!["input".to_owned()] } else { names.into_iter().collect() }
}

/// Between two columns.
const GAP: &str = "  ";

fn grid(header: &[String], rows: &[Cells], widths: &[usize], quorum: usize, layout: Layout) -> String {
    let padded = |cell: &str, width: usize| format!("{cell}{}", " ".repeat(width - cell.chars().count()));
    let line = |cells: &[&str], paint: Option<&str>| {
        let cells: Vec<String> = cells
            .iter()
            .zip(widths)
            .enumerate()
            .map(|(column, (cell, width))| {
                let padding = padded(cell, *width);
                match paint.filter(|_| column == quorum) {
                    Some(paint) => padding.replacen(cell, &layout.painted(paint, cell), 1),
                    None => padding,
                }
            })
            .collect();
        format!("{}\n", cells.join(GAP).trim_end())
    };
    let mut text = line(&header.iter().map(String::as_str).collect::<Vec<_>>(), None);
    text.push_str(&widths.iter().map(|width| "─".repeat(*width)).collect::<Vec<_>>().join(&"─".repeat(GAP.len())));
    text.push('\n');
    for row in rows {
        text.push_str(&line(&row.line(), Some(row.paint)));
    }
    text
}

fn blocks(inputs: &[String], rest: &[String], rows: &[Cells], layout: Layout) -> String {
    let mut text = String::new();
    for row in rows {
        let named = inputs.iter().zip(&row.inputs).filter(|(_, cell)| !cell.is_empty());
        let input: Vec<String> = named.map(|(name, cell)| if inputs.len() == 1 { cell.clone() } else { format!("{}={cell}", Line(name)) }).collect();
        text.push_str(&format!("{}\n  {}  {}\n", input.join(" "), layout.painted(row.paint, &row.quorum), row.agree));
        let said = rest.iter().zip(&row.rest).filter(|(name, cell)| *cell != NOTHING && (*name != "disagreed" || *cell != NOBODY));
        for (name, cell) in said {
            text.push_str(&format!("  {}: {cell}\n", Line(name)));
        }
    }
    text
}

const NOTHING: &str = "–";
const NOBODY: &str = "nobody";

impl Cells {
    fn line(&self) -> Vec<&str> {
        let inputs = self.inputs.iter().map(String::as_str);
        inputs.chain([self.quorum.as_str(), self.agree.as_str()]).chain(self.rest.iter().map(String::as_str)).collect()
    }
}

impl Layout {
    fn painted(self, paint: &str, word: &str) -> String {
        if self.colour { format!("{paint}{word}\x1b[0m") } else { word.to_owned() }
    }

    fn cells(self, row: &Row, inputs: &[String], report: &[String]) -> Cells {
        // Whatever a cell is made of: the escapes of this table are the only ones in it.
        let safe = |cell: &str| Line(cell).to_string();
        let input = |name: &String| match fields(&row.input) {
            Some(map) => map.get(name).map(|value| self.value(value)).unwrap_or_default(),
            None if name == "input" => self.value(&row.input),
            None => String::new(),
        };
        let readings = report.iter().map(|field| {
            let quantiles = row.readings.get(field);
            quantiles.map_or(NOTHING.to_owned(), |quantiles| format!("{} / {}", number(quantiles.p50), number(quantiles.p95)))
        });
        let rest: Vec<String> = std::iter::once(self.answer(row)).chain(readings).chain([dissent(row)]).collect();
        Cells {
            inputs: inputs.iter().map(|name| safe(&input(name))).collect(),
            quorum: safe(&row.verdict_words()),
            paint: paint(row),
            agree: if row.answer.is_some() { format!("{} say", row.agree_words()) } else { row.agree_words() },
            rest: rest.iter().map(|cell| safe(cell)).collect(),
        }
    }

    fn answer(self, row: &Row) -> String {
        match &row.answer {
            None => row.no_answer.as_ref().map_or_else(|| NOTHING.to_owned(), |reason| format!("{NOTHING} ({reason})")),
            Some(Answer::Value(value)) => match fields(value) {
                Some(map) if map.is_empty() => "nothing".to_owned(),
                Some(map) => map.iter().map(|(key, value)| format!("{key}={}", self.value(value))).collect::<Vec<_>>().join(" "),
                None => self.value(value),
            },
            Some(Answer::Raw(raw)) => format!("{} ({})", self.cut(&raw.words()), raw.reason),
            Some(Answer::Elsewhere(elsewhere)) => elsewhere.words(),
        }
    }

    /// A value as this reader may see it.
    fn value(self, value: &Value) -> String {
        let text = value_words(value);
        let link = value.get("/").and_then(Value::as_str);
        let hash = link.or_else(|| Some(text.as_str()).filter(|text| is_hash(text)));
        match hash {
            Some(hash) if self.width.is_some() => words::cut(hash, HASH_WIDTH),
            _ => self.cut(&text),
        }
    }

    fn cut(self, words: &str) -> String {
        let length = words.chars().count();
        if self.width.is_none() || length <= VALUE_WIDTH_MAX {
            return words.to_owned();
        }
        let begin: String = words.chars().take(VALUE_WIDTH_MAX).collect();
        format!("{begin}… ({length} characters)")
    }
}

/// Text that nobody reads but compares: a hash in hexadecimal, or a CID.
fn is_hash(text: &str) -> bool {
    let is_hex = text.len() >= 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex || (text.len() >= 36 && text.parse::<cid::Cid>().is_ok())
}

fn paint(row: &Row) -> &'static str {
    match row.verdict {
        Verdict::Agreed | Verdict::Certified if row.is_answered() => "\x1b[32m",
        Verdict::Agreed | Verdict::Certified | Verdict::Split => "\x1b[33m",
        Verdict::Failed | Verdict::Undecided | Verdict::Expired => "\x1b[31m",
    }
}

fn dissent(row: &Row) -> String {
    let nodes: Vec<String> =
        row.executions.iter().filter(|execution| execution.agrees == Some(false)).map(|execution| tail(&execution.node)).collect();
    match nodes.len() {
        0 if row.executions.iter().all(|execution| execution.agrees.is_none()) => NOTHING.to_owned(),
        0 => NOBODY.to_owned(),
        _ => named(&nodes),
    }
}

/// The first of these stations, and how many there are beside.
fn named(nodes: &[String]) -> String {
    match nodes.len() {
        count if count <= NAMED_MAX => nodes.join(" "),
        count => format!("{} and {} more", nodes[..NAMED_MAX].join(" "), count - NAMED_MAX),
    }
}
