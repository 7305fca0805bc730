//! The ledger of activity as text: who used the machine and what was contacted, in sentences.

use std::collections::BTreeMap;

use super::layout::{Sheet, day_of, moment_of, seconds, size};
use crate::api::page::{ActivityBody, HostBody, RowBody, SpanBody};
use crate::numbers::count;
use crate::page::words::tail;
use crate::printable::Line;

/// Hosts that one row names.
const HOSTS_SHOWN: usize = 6;

/// One paragraph of the page.
pub(super) fn party(row: &RowBody) -> String {
    let module = row.module_name.clone().or_else(|| row.module.as_deref().map(tail));
    match (&row.requester, module) {
        (Some(requester), Some(module)) => format!("{} for {}", Line(&module), Line(&tail(requester))),
        _ => "others, together".to_owned(),
    }
}

/// What was done for one party.
pub(super) fn sentence(row: &RowBody) -> String {
    let ended: Vec<String> = row.outcomes.iter().map(|(outcome, count)| format!("{count} {}", Line(&outcome.replace('_', " ")))).collect();
    let cpu = format!("{}{} of processor", if row.cpu_is_exact { "" } else { "at most " }, seconds(row.cpu_ms));
    let mut parts = vec![format!("{} ({})", count(row.jobs, "job"), ended.join(", ")), cpu];
    if row.jobs == 0 {
        parts.clear();
    }
    if row.in_bytes + row.out_bytes > 0 {
        parts.push(format!("{} in and {} out", size(row.in_bytes), size(row.out_bytes)));
    }
    format!("{}: {}, since {}", party(row), if parts.is_empty() { "requests only".to_owned() } else { parts.join(", ") }, moment_of(row.first))
}

/// What went to one host.
pub(super) fn contact(host: &HostBody) -> String {
    let name = host.host.as_deref().map_or_else(|| "other hosts".to_owned(), |name| Line(name).to_string());
    let mut parts = Vec::new();
    if host.requests > 0 || host.refused.is_empty() {
        parts.push(format!("{}, {} of bodies", count(host.requests, "request"), size(host.bytes)));
    }
    parts.extend(host.refused.iter().map(|(reason, times)| format!("{times} refused ({})", refusal(reason))));
    format!("{name}: {}", parts.join("; "))
}

fn refusal(reason: &str) -> &str {
    match reason {
        "not_granted" => "the policy or the experiment does not allow the host",
        "refused_address" => "its address is one that no guest may contact",
        "quota" => "a quota was used up",
        "bad_request" => "it is no request that a station sends",
        other => other,
    }
}

/// All rows of the spans, each party once.
pub(super) fn by_party(spans: &[SpanBody]) -> Vec<RowBody> {
    let mut parties: BTreeMap<(bool, Option<String>, Option<String>), RowBody> = BTreeMap::new();
    for row in spans.iter().flat_map(|span| &span.rows) {
        let key = (row.requester.is_none(), row.requester.clone(), row.module.clone());
        match parties.get_mut(&key) {
            Some(sum) => add(sum, row),
            None => _ = parties.insert(key, row.clone()),
        }
    }
    let mut rows: Vec<RowBody> = parties.into_values().collect();
    rows.sort_by_key(|row| (row.requester.is_none(), std::cmp::Reverse(row.slot_ms)));
    rows
}

/// All hosts of the spans, each once.
pub(super) fn by_host(spans: &[SpanBody]) -> Vec<HostBody> {
    let mut hosts: BTreeMap<Option<String>, HostBody> = BTreeMap::new();
    for host in spans.iter().flat_map(|span| &span.rows).flat_map(|row| &row.hosts) {
        add_host(hosts.entry(host.host.clone()).or_insert_with(|| HostBody { host: host.host.clone(), ..HostBody::default() }), host);
    }
    let mut hosts: Vec<HostBody> = hosts.into_values().collect();
    hosts.sort_by_key(|host| (host.host.is_none(), std::cmp::Reverse(host.requests)));
    hosts
}

fn add(sum: &mut RowBody, row: &RowBody) {
    (sum.first, sum.last) = (sum.first.min(row.first), sum.last.max(row.last));
    sum.jobs += row.jobs;
    row.outcomes.iter().for_each(|(outcome, count)| *sum.outcomes.entry(outcome.clone()).or_default() += count);
    sum.cpu_ms += row.cpu_ms;
    sum.cpu_is_exact &= row.cpu_is_exact;
    sum.slot_ms += row.slot_ms;
    sum.in_bytes += row.in_bytes;
    sum.out_bytes += row.out_bytes;
    for host in &row.hosts {
        match sum.hosts.iter_mut().find(|own| own.host == host.host) {
            Some(own) => add_host(own, host),
            None => sum.hosts.push(host.clone()),
        }
    }
}

fn add_host(sum: &mut HostBody, host: &HostBody) {
    sum.requests += host.requests;
    sum.bytes += host.bytes;
    host.refused.iter().for_each(|(reason, count)| *sum.refused.entry(reason.clone()).or_default() += count);
}

/// `station activity`: span by span, then the sum.
pub(super) fn pages(body: &ActivityBody, width: Option<usize>) -> String {
    let mut text = String::new();
    for span in &body.spans {
        let mut sheet = Sheet::new(width);
        for row in &span.rows {
            sheet.line("done", &sentence(row));
            row.hosts.iter().take(HOSTS_SHOWN).for_each(|host| sheet.line("contacted", &contact(host)));
            if row.hosts.len() > HOSTS_SHOWN {
                sheet.line("contacted", &format!("and {} more, see --json", row.hosts.len() - HOSTS_SHOWN));
            }
        }
        for (reason, count) in &span.declined {
            sheet.line("declined", &format!("{count} for {}", Line(reason)));
        }
        let title = match span.span.as_str() {
            "hour" => format!("the hour from {}", moment_of(span.begins)),
            "day" => day_of(span.begins),
            _ => "earlier, all together".to_owned(),
        };
        text.push_str(&format!("{title}\n{}\n", sheet.text()));
    }
    if text.is_empty() {
        return format!("nothing was done for anybody since {}\n", moment_of(body.since));
    }
    let mut sheet = Sheet::new(width);
    by_party(&body.spans).iter().for_each(|row| sheet.line("all in all", &sentence(row)));
    text + &sheet.text()
}
