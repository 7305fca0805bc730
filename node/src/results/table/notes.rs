//! What stands under a table: how readings are meant, outputs in another form, the logs of what failed, and when all this was.

use std::collections::{BTreeMap, BTreeSet};

use station_protocol::experiment::OutputForm;

use crate::numbers::count;
use crate::page::words::tail;
use crate::printable::Line;
use crate::results::{ExecutionRow, Output, Raw, Results};

/// Reasons that are told why outputs are not in their form; the rest are counted.
const REASONS_MAX: usize = 3;
/// Logs of failed executions that are shown; the other formats have all that came.
const LOGS_MAX: usize = 3;
/// Last lines of a log that are shown, and characters of each.
const LOG_LINES_MAX: usize = 12;
const LOG_WIDTH_MAX: usize = 400;

pub(super) fn under(results: &Results, text: &mut String) {
    if !results.report.is_empty() {
        text.push_str("readings: p50 / p95 of the stations that agree; of all where nothing was decided\n");
    }
    malformed(results, text);
    logs(results, text);
    text.push_str(&format!("{}\n", Line(&results.facts_words())));
}

/// Outputs of guests that came to their end and are not in the promised form: how many for each reason, and what would help.
fn malformed(results: &Results, text: &mut String) {
    let completed = results.rows.iter().flat_map(|row| &row.executions).filter(|execution| execution.is_completed());
    let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
    for execution in completed {
        if let Some(Output::Raw(Raw { reason, .. })) = &execution.output {
            *reasons.entry(reason).or_default() += 1;
        }
    }
    let mut reasons: Vec<(&str, u64)> = reasons.into_iter().collect();
    reasons.sort_by_key(|(_, outputs)| std::cmp::Reverse(*outputs));
    let are = |outputs: u64| format!("{} {}", count(outputs, "output"), if outputs == 1 { "is" } else { "are" });
    for (reason, outputs) in reasons.iter().take(REASONS_MAX) {
        text.push_str(&format!("{} {}\n", are(*outputs), Line(reason)));
    }
    let rest: u64 = reasons.iter().skip(REASONS_MAX).map(|(_, outputs)| outputs).sum();
    if rest > 0 {
        text.push_str(&format!("{} so for other reasons\n", are(rest)));
    }
    if reasons.is_empty() {
        return;
    }
    if results.output_form == OutputForm::DagCbor {
        text.push_str("if that is what the module writes, the experiment file may say output = \"text\", \"json\" or \"bytes\"\n");
    }
}

/// The ends of some logs, each under the job and station it is of, and no two alike.
fn logs(results: &Results, text: &mut String) {
    let failed = results.rows.iter().flat_map(|row| row.executions.iter().map(move |execution| (row, execution)));
    let failed = failed.filter(|(_, execution)| !execution.is_completed());
    let mut seen = BTreeSet::new();
    let with_log = failed.filter_map(|(row, execution)| execution.guest_log.as_ref().map(|log| (row, execution, log)));
    let distinct: Vec<_> = with_log.filter(|(_, _, log)| seen.insert(log.as_str())).collect();
    for (row, execution, log) in distinct.iter().take(LOGS_MAX) {
        let ExecutionRow { node, outcome, .. } = execution;
        text.push_str(&format!("job {} on {}: {}; the end of its guest's log, which is a stranger's words:\n", row.index, tail(node), Line(outcome)));
        let lines: Vec<&str> = log.lines().collect();
        for line in &lines[lines.len().saturating_sub(LOG_LINES_MAX)..] {
            let shown: String = line.chars().take(LOG_WIDTH_MAX).collect();
            text.push_str(&format!("  log | {}\n", Line(&shown)));
        }
    }
    if distinct.len() > LOGS_MAX {
        text.push_str(&format!("and {} other logs: --format json has them\n", distinct.len() - LOGS_MAX));
    }
}
