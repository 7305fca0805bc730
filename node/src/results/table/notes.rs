//! What stands under a table: how readings are meant, outputs in another form, the logs of what failed, and when all this was.

use std::collections::BTreeSet;

use station_protocol::experiment::OutputForm;

use super::short;
use crate::printable::Line;
use crate::results::{ExecutionRow, Output, Raw, Results};

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

/// Outputs that are not in the promised form: how many, why the first is not, and what would help.
fn malformed(results: &Results, text: &mut String) {
    let outputs = results.rows.iter().flat_map(|row| &row.executions).filter_map(|execution| execution.output.as_ref());
    let raw: Vec<&Raw> = outputs.filter_map(|output| if let Output::Raw(raw) = output { Some(raw) } else { None }).collect();
    let Some(first) = raw.first() else { return };
    text.push_str(&format!("{} outputs are {}\n", raw.len(), Line(&first.reason)));
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
        text.push_str(&format!(
            "job {} on {}: {}; the end of its guest's log, which is a stranger's words:\n",
            row.index,
            short(node),
            Line(outcome)
        ));
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
