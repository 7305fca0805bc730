//! What stands under a table: how readings are meant, outputs in another form, how executions ended that are no answers, who differs, the
//! logs of what failed, and when all this was.

use std::collections::{BTreeMap, BTreeSet};

use station_protocol::experiment::OutputForm;

use crate::numbers::count;
use crate::page::words::{cut, tail};
use crate::printable::Line;
use crate::results::html::groups::{Exact, Standing};
use crate::results::stats::P95_LEAST;
use crate::results::{Answer, ExecutionRow, Output, Raw, Results, Verdict, fields, remedy, value_words};

/// Reasons that are told why outputs are not in their form; the rest are counted.
const REASONS_MAX: usize = 3;
/// Split jobs whose groups are named, groups of each, and characters of what one says; the other formats have all.
const SPLITS_MAX: usize = 5;
const GROUPS_MAX: usize = 4;
const SAID_WIDTH_MAX: usize = 160;
/// Logs of failed executions that are shown; the other formats have all that came.
const LOGS_MAX: usize = 3;
/// Last lines of a log that are shown, and characters of each.
const LOG_LINES_MAX: usize = 12;
const LOG_WIDTH_MAX: usize = 400;

pub(super) fn under(results: &Results, text: &mut String) {
    if !results.report.is_empty() {
        text.push_str("readings: median / p95 of the stations that agree; of all that count where nothing was decided");
        let few = results.rows.iter().flat_map(|row| row.readings.values()).any(|quantiles| quantiles.n < P95_LEAST);
        text.push_str(if few { "; p95 of few is the largest\n" } else { "\n" });
    }
    malformed(results, text);
    ended(results, text);
    splits(results, text);
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

/// How those executions ended that keep jobs from an answer: how many of each kind, and what would help. Of what failed everywhere the table
/// says it.
fn ended(results: &Results, text: &mut String) {
    let open = results.rows.iter().filter(|row| row.verdict != Verdict::Failed && !row.is_answered());
    let mut ends: BTreeMap<&str, u64> = BTreeMap::new();
    for execution in open.flat_map(|row| &row.executions).filter(|execution| !execution.is_completed()) {
        *ends.entry(&execution.outcome).or_default() += 1;
    }
    let mut ends: Vec<(&str, u64)> = ends.into_iter().collect();
    ends.sort_by_key(|(_, executions)| std::cmp::Reverse(*executions));
    for (outcome, executions) in ends.iter().take(REASONS_MAX) {
        let next = remedy(outcome).map(|next| format!(": {next}")).unwrap_or_default();
        text.push_str(&format!("{} ended with {}{next}\n", count(*executions, "execution"), Line(outcome)));
    }
    let rest: u64 = ends.iter().skip(REASONS_MAX).map(|(_, executions)| executions).sum();
    if rest > 0 {
        text.push_str(&format!("{} ended in other ways\n", count(rest, "execution")));
    }
}

/// Who said what where stations differ: a cell has no room for it, and none of them is called wrong.
fn splits(results: &Results, text: &mut String) {
    let (exact, split) = (Exact::of(results), results.rows.iter().filter(|row| row.verdict == Verdict::Split));
    for row in split.clone().take(SPLITS_MAX) {
        text.push_str(&format!("job {} is split:\n", row.index));
        let groups = exact.groups(row);
        for ((standing, _), members) in groups.iter().take(GROUPS_MAX) {
            let nodes: Vec<String> = members.iter().map(|execution| tail(&execution.node)).collect();
            let not = if *standing == Standing::NotCounted { ", not counted" } else { "" };
            let says = says(members[0], exact.said(members[0]).as_ref(), members.len());
            text.push_str(&format!("  {} {}{not}: {}\n", members.len(), Line(&cut(&says, SAID_WIDTH_MAX)), Line(&super::named(&nodes))));
        }
        if groups.len() > GROUPS_MAX {
            text.push_str(&format!("  and {}\n", count((groups.len() - GROUPS_MAX) as u64, "other group")));
        }
    }
    let rest = split.count().saturating_sub(SPLITS_MAX);
    if rest > 0 {
        text.push_str(&format!("and {} so: the other formats have them\n", count(rest as u64, "other job")));
    }
}

/// What a group of `members` executions like this one says, or how it ended.
fn says(execution: &ExecutionRow, said: Option<&Answer>, members: usize) -> String {
    if !execution.is_completed() {
        return format!("ended with {}", execution.outcome);
    }
    let what = match said {
        None => "nothing".to_owned(),
        Some(Answer::Value(value)) => match fields(value) {
            Some(map) if map.is_empty() => "nothing".to_owned(),
            Some(map) => map.iter().map(|(key, value)| format!("{key}={}", value_words(value))).collect::<Vec<_>>().join(" "),
            None => value_words(value),
        },
        Some(Answer::Raw(raw)) => raw.words(),
        Some(Answer::Elsewhere(elsewhere)) => elsewhere.words(),
    };
    format!("{} {what}", if members == 1 { "says" } else { "say" })
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
        text.push_str(&format!("and {}: --format json has them\n", count((distinct.len() - LOGS_MAX) as u64, "other log")));
    }
}
