//! CSV (RFC 4180): one line per execution, so that a spreadsheet can do what it likes.
//!
//! Columns, in this order: the job and its input; the verdict and what its execution gave; `seen_…`, which the requester saw itself;
//! `station_…`, which the station signed; the experiment; the output; the guest's log. Times are RFC 3339 in UTC.
//!
//! Numbers are in the shortest form that reads back as the same number: an integer has no point, and of another number a whole one neither.
//! A cell that a spreadsheet would run as a formula has an apostrophe before it, and [`armed`] takes it off again.
//!
//! Guarantees: strangers do not choose how many columns there are: an output's keys have [`KEYS_MAX`] at most, those that agree choose first,
//! and what has no column stands as JSON in `output_rest`. Deliberately lacks an order of columns that is the same in all experiments.

use super::{ExecutionRow, Output, Results, Row, fields};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

const FIXED: [&str; 28] = [
    "verdict",
    "wanted",
    "node",
    "region",
    "counts",
    "outcome",
    "agrees",
    "fuel",
    "duration_ms",
    "seen_network",
    "seen_leased_at",
    "seen_received_at",
    "station_started_at",
    "station_ended_at",
    "station_waited_ms",
    "station_isolation",
    "station_software",
    "station_profile",
    "station_requests",
    "station_body_bytes",
    "station_errors",
    "experiment",
    "module_cid",
    "module_name",
    "topic",
    "published_at",
    "closed_at",
    "deadline_at",
];

/// Keys of inputs, and of outputs, that have a column each.
pub(super) const KEYS_MAX: usize = 256;

/// The columns that values make: one per key of those that are maps, one for those that are none, and one for keys that have none.
struct Columns {
    name: &'static str,
    whole: bool,
    keys: BTreeSet<String>,
    rest: bool,
}

impl Columns {
    /// The keys of `choosing` have columns first, and those of `all` where room is left.
    fn of<'a>(name: &'static str, choosing: impl Iterator<Item = &'a Value>, all: impl Iterator<Item = &'a Value>) -> Self {
        let mut columns = Self { name, whole: false, keys: BTreeSet::new(), rest: false };
        for value in choosing.chain(all) {
            let Some(map) = fields(value) else {
                columns.whole |= !value.is_null();
                continue;
            };
            for key in map.keys() {
                let is_new = !columns.keys.contains(key);
                if is_new && columns.keys.len() == KEYS_MAX {
                    columns.rest = true;
                    break;
                }
                if is_new {
                    columns.keys.insert(key.clone());
                }
            }
        }
        columns
    }

    fn header(&self) -> impl Iterator<Item = String> + '_ {
        let whole = self.whole.then(|| self.name.to_owned());
        let rest = self.rest.then(|| format!("{}_rest", self.name));
        whole.into_iter().chain(self.keys.iter().map(|key| format!("{}.{key}", self.name))).chain(rest)
    }

    fn cells<'a>(&'a self, value: &'a Value) -> impl Iterator<Item = String> + 'a {
        let map = fields(value);
        let whole = self.whole.then(|| if map.is_some() { String::new() } else { words(value) });
        let rest = self.rest.then(|| map.map(|map| self.rest_of(map)).unwrap_or_default());
        let keys = self.keys.iter().map(move |key| map.and_then(|map| map.get(key)).map(words).unwrap_or_default());
        whole.into_iter().chain(keys).chain(rest)
    }

    /// What of `map` has no column, as JSON.
    fn rest_of(&self, map: &Map<String, Value>) -> String {
        let rest: Map<String, Value> =
            map.iter().filter(|(key, _)| !self.keys.contains(*key)).map(|(key, value)| (key.clone(), value.clone())).collect();
        if rest.is_empty() { String::new() } else { Value::Object(rest).to_string() }
    }
}

/// A value in one cell. Text is as it was written; `3.0` is `3`, and `-0.0` is `-0`.
fn words(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Number(number) => {
            let text = number.to_string();
            text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
        }
        other => other.to_string(),
    }
}

/// The whole experiment.
#[must_use]
pub fn render(results: &Results) -> String {
    let executions = || results.rows.iter().flat_map(|row| &row.executions);
    let agreeing = executions().filter(|execution| execution.agrees == Some(true)).map(ExecutionRow::value);
    let inputs = Columns::of("input", results.rows.iter().map(|row| &row.input), std::iter::empty());
    let outputs = Columns::of("output", agreeing, executions().map(ExecutionRow::value));
    let has_raw = executions().any(|execution| instead(execution).is_some());
    let has_log = executions().any(|execution| execution.guest_log.is_some());
    let raw = if has_raw { &["output_raw", "output_error"][..] } else { &[] };
    let log = if has_log { &["guest_log"][..] } else { &[] };
    let rest = |names: &'static [&'static str]| names.iter().map(|name| (*name).to_owned());
    let header = rest(&["job"]).chain(inputs.header()).chain(rest(&FIXED)).chain(outputs.header());
    let mut text = line(header.chain(raw.iter().chain(log).map(|name| (*name).to_owned())));
    for row in &results.rows {
        for execution in &row.executions {
            let cells = std::iter::once(row.index.to_string()).chain(inputs.cells(&row.input)).chain(fixed(results, row, execution));
            let raw = if has_raw { instead(execution).unwrap_or_default().to_vec() } else { Vec::new() };
            let log = has_log.then(|| execution.guest_log.clone().unwrap_or_default());
            text.push_str(&line(cells.chain(outputs.cells(execution.value())).chain(raw).chain(log)));
        }
    }
    text
}

/// What there is instead of an output in the promised form, and why.
fn instead(execution: &ExecutionRow) -> Option<[String; 2]> {
    match execution.output.as_ref()? {
        Output::Value(_) => None,
        Output::Raw(raw) => {
            let content = match &raw.content {
                super::RawContent::Text(text) => text.clone(),
                super::RawContent::Base64(text) => format!("base64:{text}"),
            };
            Some([content, raw.reason.clone()])
        }
        Output::Elsewhere(elsewhere) => Some([String::new(), elsewhere.words()]),
    }
}

fn fixed(results: &Results, row: &Row, execution: &ExecutionRow) -> [String; FIXED.len()] {
    let (seen, stated) = (&execution.seen, &execution.station);
    let read = stated.requests.as_ref().and_then(|requests| requests.read.as_ref());
    let errors = |errors: &std::collections::BTreeMap<String, u64>| {
        errors.iter().map(|(error, times)| format!("{times} {error}")).collect::<Vec<_>>().join(" ")
    };
    [
        row.verdict.to_string(),
        row.wanted.to_string(),
        execution.node.clone(),
        execution.region.clone().unwrap_or_default(),
        execution.counts.to_string(),
        execution.outcome.clone(),
        execution.agrees.map(|agrees| agrees.to_string()).unwrap_or_default(),
        execution.fuel.to_string(),
        execution.duration_ms.to_string(),
        seen.network.clone(),
        seen.leased_at.clone(),
        seen.received_at.clone(),
        stated.started_at.clone(),
        stated.ended_at.clone(),
        stated.waited_ms.to_string(),
        stated.isolation.clone(),
        stated.software.clone(),
        stated.profile.clone(),
        read.map(|read| read.count.to_string()).unwrap_or_default(),
        read.map(|read| read.body_bytes.to_string()).unwrap_or_default(),
        read.map(|read| errors(&read.errors)).unwrap_or_default(),
        results.experiment.clone(),
        results.module.cid.clone(),
        results.module.name.clone().unwrap_or_default(),
        results.topic.clone(),
        results.published_at.clone(),
        results.closed_at.clone().unwrap_or_default(),
        results.deadline_at.clone(),
    ]
}

/// What a spreadsheet may take for the beginning of a formula.
const ARMED: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// Whether `cell` begins as a formula does, behind any apostrophes.
fn begins_as_formula(cell: &str) -> bool {
    cell.trim_start_matches('\'').starts_with(ARMED)
}

/// The cell with an apostrophe before what begins as a formula does. Negative numbers stay.
fn disarmed(cell: String) -> String {
    let is_number = cell.starts_with('-') && cell.parse::<f64>().is_ok_and(f64::is_finite);
    if begins_as_formula(&cell) && !is_number { format!("'{cell}") } else { cell }
}

/// What was in a cell before it was disarmed.
#[must_use]
pub fn armed(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|_| begins_as_formula(cell)).unwrap_or(cell)
}

/// Disarms, and quotes what needs it.
fn line(cells: impl Iterator<Item = String>) -> String {
    let quoted = cells.map(|cell| {
        let cell = disarmed(cell);
        if cell.contains([',', '"', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
    });
    quoted.collect::<Vec<_>>().join(",") + "\r\n"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_with_commas_and_quotes_are_quoted() {
        assert_eq!(line(["a,b".to_owned(), "say \"no\"".to_owned()].into_iter()), "\"a,b\",\"say \"\"no\"\"\"\r\n");
    }

    #[test]
    fn a_strangers_formula_is_text_in_a_spreadsheet() {
        assert_eq!(line(["=cmd()".to_owned(), "-3".to_owned(), "-x".to_owned()].into_iter()), "'=cmd(),-3,'-x\r\n");
        assert_eq!(line(["-inf".to_owned(), "-NaN".to_owned(), "＝1".to_owned()].into_iter()), "'-inf,'-NaN,'＝1\r\n");
    }

    #[test]
    fn whoever_takes_the_apostrophe_off_again_has_every_cell_as_it_was() {
        let begins = ["=1+2", "-3", "-1e300", "-x", "+1", "@a", "\t", "\r", "\n", "3", "x", "", "'", "''", "\u{ff1d}1", "it's"];
        for begin in begins {
            for before in ["", "'", "''", " "] {
                let cell = format!("{before}{begin}");
                assert_eq!(armed(&disarmed(cell.clone())), cell, "{cell:?}");
                assert!(cell.parse::<f64>().is_ok() || !disarmed(cell.clone()).starts_with(ARMED), "{cell:?}");
            }
        }
    }

    #[test]
    fn numbers_are_written_in_the_shortest_form_that_reads_back_as_the_same() {
        let written = [
            (json!(3), "3"),
            (json!(-3), "-3"),
            (json!(u64::MAX), "18446744073709551615"),
            (json!(3.0), "3"),
            (json!(-0.0), "-0"),
            (json!(0.1), "0.1"),
            (json!(-2.5), "-2.5"),
            (json!(1e300), "1e+300"),
            (json!(1e-7), "1e-7"),
            (json!("3.0"), "3.0"),
            (json!(""), ""),
            (Value::Null, ""),
            (json!([3.0, -0.0]), "[3.0,-0.0]"),
        ];
        for (value, text) in written {
            assert_eq!(words(&value), text, "{value:?}");
        }
    }
}
