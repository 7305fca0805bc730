//! The ends of guests' logs, as stations brought them.
//!
//! Guarantees: each stands under the job and station it is of and is called a stranger's words; no two alike; those of failures first.
//! Deliberately lacks logs beyond [`LOGS_MAX`]: the other formats have all that came.

use std::collections::BTreeSet;

use super::super::{ExecutionRow, Results};
use super::groups::short_name;
use super::{Cell, Column, Table, escape, grouped, words};

/// Logs of one page.
const LOGS_MAX: usize = 32;
/// Longest outcome shown beside a log.
const OUTCOME_MAX: usize = 80;

/// A line per log; nothing where none came.
pub(super) fn table(results: &Results) -> Option<Table> {
    let all = || results.rows.iter().flat_map(|row| row.executions.iter().map(move |execution| (row.index, execution)));
    let failed = all().filter(|(_, execution)| !execution.is_completed());
    let mut seen = BTreeSet::new();
    let logs: Vec<(u64, &ExecutionRow, &str)> = failed
        .chain(all().filter(|(_, execution)| execution.is_completed()))
        .filter_map(|(index, execution)| Some((index, execution, execution.guest_log.as_deref()?)))
        .filter(|(_, execution, log)| seen.insert((execution.is_completed(), *log)))
        .collect();
    if logs.is_empty() {
        return None;
    }
    let left = if logs.len() > LOGS_MAX {
        format!(" The first {LOGS_MAX} of {}; JSON and CSV have all.", grouped(logs.len() as u64))
    } else {
        String::new()
    };
    let caption = format!(
        "The ends of guests' logs, failures first, and of equal ones the first. They are strangers' words: stations brought them, and \
         nobody signed them.{left}"
    );
    let columns = vec![Column::words("job"), Column::words("station"), Column::words("outcome"), Column::words("a stranger's words").share(60)];
    let mut table = Table::new(&caption, columns);
    for (index, execution, log) in logs.into_iter().take(LOGS_MAX) {
        let lines: Vec<String> = log.lines().map(escape).collect();
        table.row(vec![
            Cell::text(&index.to_string()),
            Cell::html(short_name(execution)),
            Cell::text(&words::cut(&execution.outcome, OUTCOME_MAX)),
            Cell::html(format!("<code>{}</code>", lines.join("<br>"))),
        ]);
    }
    Some(table)
}
