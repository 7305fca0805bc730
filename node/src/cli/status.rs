//! `station status`: the operator's page in a terminal.
//!
//! Guarantees: what strangers named is shown as text and nothing else; fits 40 columns as well as 80. Deliberately lacks figures for
//! machines: `--json` has them all.

use super::client::Client;
use super::layout::{Sheet, end_of, size};
use super::ledger;
use super::output::{Exit, Failure, Output};
use crate::api::page::{BudgetBody, RuleBody};
use crate::api::types::{CallBody, StatusBody};
use crate::numbers::{count, span};
use crate::page::words::tail;
use crate::platform::home::Home;
use crate::printable::{Line, page};
use crate::spelling::Spelling;

/// Rows that one part of the page has at most; the rest is in `--json`.
const ROWS_SHOWN: usize = 8;

pub(super) async fn status(home: &Home, output: &Output) -> Result<Exit, Failure> {
    let status: StatusBody = Client::connect(home).await?.get("/v1/status").await?;
    let width = output.width();
    output.show(&status, |status| render(status, width, &home.spelling()));
    Ok(Exit::Done)
}

pub(super) fn render(status: &StatusBody, width: Option<usize>, spelling: &Spelling) -> String {
    let mut sheet = Sheet::new(width);
    state(status, &mut sheet);
    done(status, &mut sheet, spelling);
    budgets(status, &mut sheet);
    experiments(status, &mut sheet, spelling);
    network(status, &mut sheet);
    sheet.text()
}

fn state(status: &StatusBody, sheet: &mut Sheet) {
    let end = status.state.until.map(|at| format!(" (until {})", end_of(at))).unwrap_or_default();
    sheet.line("state", &format!("{}{end}", status.state.says));
    // What needs the operator comes first.
    status.clock.iter().for_each(|says| sheet.line("clock", &Line(says).to_string()));
    status.files.iter().filter_map(|file| file.says.as_ref()).for_each(|says| sheet.line("not in force", &page(says)));
    status.bootstraps.iter().filter(|bootstrap| bootstrap.bad).for_each(|bootstrap| sheet.line("not reached", &Line(&bootstrap.says).to_string()));
    let up = span(status.now.saturating_sub(status.started));
    sheet.line("station", &format!("{} on {}, up {up}, isolation {}", status.software, Line(&status.network), status.isolation));
    status.newer.iter().for_each(|says| sheet.line("station", &Line(says).to_string()));
    sheet.line("node", &status.node);
    let memory = status.machine.memory_bytes.map(|bytes| format!("{} of memory beside its workers, ", size(bytes))).unwrap_or_default();
    sheet.line("machine", &format!("{memory}{} of {} left on the disk", size(status.machine.disk_room_bytes), size(status.machine.disk_max_bytes)));
}

fn done(status: &StatusBody, sheet: &mut Sheet, spelling: &Spelling) {
    let rows = ledger::by_party(&status.activity.spans);
    if rows.is_empty() {
        sheet.line("used by", "nobody in the last 24 hours");
    }
    let whole = format!("`{}` and --json", spelling.call("activity"));
    shown_of(&rows, sheet, ("used by", &whole), ledger::sentence);
    shown_of(&ledger::by_host(&status.activity.spans), sheet, ("contacted", &whole), ledger::contact);
}

/// The first rows, and how many there are beside.
fn shown<T>(rows: &[T], sheet: &mut Sheet, label: &'static str, text: impl Fn(&T) -> String) {
    shown_of(rows, sheet, (label, "--json"), text);
}

/// The same of rows that are all in `whole`.
fn shown_of<T>(rows: &[T], sheet: &mut Sheet, (label, whole): (&'static str, &str), text: impl Fn(&T) -> String) {
    rows.iter().take(ROWS_SHOWN).for_each(|row| sheet.line(label, &text(row)));
    if rows.len() > ROWS_SHOWN {
        sheet.line(label, &format!("and {} more, see {whole}", rows.len() - ROWS_SHOWN));
    }
}

fn budgets(status: &StatusBody, sheet: &mut Sheet) {
    for BudgetBody { what, used, max } in &status.budgets.budgets {
        let text = match what.as_str() {
            "jobs at once" => format!("{used} of {} at once", count(*max, "job")),
            _ => format!("{what}: {} of {}, {} left", size(*used), size(*max), size(max.saturating_sub(*used))),
        };
        sheet.line("budgets", &text);
    }
    let battery = if status.budgets.on_battery { "also on battery" } else { "not on battery" };
    sheet.line("budgets", &format!("hours {} UTC, {battery}", status.budgets.hours));
    shown(&status.budgets.rules, sheet, "allowed", rule);
}

fn rule(rule: &RuleBody) -> String {
    let who: Vec<String> = rule.module.iter().map(|module| Line(module).to_string()).chain(rule.requester.as_deref().map(tail)).collect();
    let used: Vec<String> =
        rule.used.iter().take(3).map(|(target, used)| format!("{}: {used}, {} left", Line(target), rule.per_day.saturating_sub(*used))).collect();
    let today = if used.is_empty() { "none today".to_owned() } else { format!("today {}", used.join("; ")) };
    format!(
        "{} {} to {}; {} a day to each; {today}",
        who.join(" of "),
        rule.capability,
        Line(&rule.targets.join(", ")),
        count(rule.per_day, "request")
    )
}

fn experiments(status: &StatusBody, sheet: &mut Sheet, spelling: &Spelling) {
    let at_work = |call: &&CallBody| call.running + call.queued + call.outbox > 0;
    let (busy, rest): (Vec<&CallBody>, Vec<&CallBody>) = status.calls.iter().partition(at_work);
    shown(&busy, sheet, "experiments", |call| experiment(call));
    let others: Vec<&CallBody> = rest.into_iter().filter(|call| !call.standing.starts_with("declined")).collect();
    shown(&others, sheet, "experiments", |call| experiment(call));
    for declined in &status.declined {
        sheet.line("declined", &format!("{}: {}", count(declined.experiments, "experiment"), Line(&declined.says)));
        // On a line of its own, to be copied.
        declined.command.iter().for_each(|command| sheet.line("declined", &format!("→ {}", Line(command))));
    }
    if status.outbox > 0 {
        sheet.line("receipts", &format!("{} to deliver", status.outbox));
    }
    if !status.own.is_empty() {
        sheet.line("own", &format!("{}, see `{}`", count(status.own.len() as u64, "experiment"), spelling.call("experiments")));
    }
}

fn experiment(call: &CallBody) -> String {
    let module = call.module_name.clone().unwrap_or_else(|| tail(&call.module));
    let needs = if call.needs.is_empty() { String::new() } else { format!(", needs {}", Line(&call.needs.join(", "))) };
    // What a stranger named is marked as that.
    let said = call.said.first().map(|said| format!(", says it is at {} %: \"{}\"", said.permille / 10, Line(&said.message))).unwrap_or_default();
    format!("{:?} of {}, {module}{needs}, on {}: {}{said}", call.name, tail(&call.requester), Line(&call.topic), Line(&call.standing))
}

fn network(status: &StatusBody, sheet: &mut Sheet) {
    let relayed = status.peers.iter().filter(|peer| peer.path == "relayed").count();
    sheet.line("peers", &format!("{}: {} direct, {relayed} relayed", status.peers.len(), status.peers.len() - relayed));
    shown(&status.peers, sheet, "peers", |peer| match &peer.relay {
        Some(relay) => format!("{} relayed by {} at {}", tail(&peer.node), tail(relay), peer.address),
        None => format!("{} direct at {}", tail(&peer.node), peer.address),
    });
    status.bootstraps.iter().filter(|bootstrap| !bootstrap.bad).for_each(|bootstrap| sheet.line("bootstrap", &Line(&bootstrap.says).to_string()));
    sheet.line("reached", &status.reach.says);
    shown(&status.addresses, sheet, "address", |address| Line(address).to_string());
    for (topic, stations) in &status.topics {
        sheet.line("topics", &format!("{}: {}", Line(topic), count(*stations, "station")));
    }
    // Of strangers only what was too much: the rest is in --json.
    for (what, account) in status.accounts.iter().filter(|(_, account)| account.refused > 0) {
        sheet.line("strangers", &format!("{what}: {} refused, {} let go", account.refused, account.let_go));
    }
}

#[cfg(test)]
pub(in crate::cli) mod tests;
