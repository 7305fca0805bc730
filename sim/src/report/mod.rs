//! Reports: one self-contained HTML page per run, and one per sweep.
//!
//! Guarantees: no script, no external reference, light and dark by the reader's setting, everything a scenario wrote is escaped, the
//! same metrics give the same bytes. Deliberately lacks interaction: a figure in a paper must look the same in ten years.

use std::fmt::Write as _;

use station_node::results::html::escape;

use crate::metrics::{Dials, Lookups, Metrics};
use crate::scenario::check::{Figure, Latency};

mod chart;
pub mod compare;
#[cfg(test)]
mod tests;

use chart::{Bar, Curve, bars, number};

const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1c2430;--soft:#667085;--line:#d9dee7;--card:#fff;--page:#f6f7f9;--good:#1a7f4b;--bad:#b42318;--c0:#2f6fde;--c1:#c2410c;--c2:#0e9384;--c3:#7a5af8;--c4:#b26a00;--c5:#667085}
@media(prefers-color-scheme:dark){:root{--ink:#e8ebf0;--soft:#98a2b3;--line:#343b47;--card:#1b212b;--page:#12161d;--good:#4cc38a;--bad:#f97066;--c0:#7aa7ff;--c1:#fb923c;--c2:#2dd4bf;--c3:#a78bfa;--c4:#f0b35a;--c5:#98a2b3}}
*{box-sizing:border-box}body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1240px;margin:0 auto;padding:32px 20px}h1{font-size:26px;margin:0 0 4px}h2{font-size:18px;margin:32px 0 8px}
.soft{color:var(--soft)}code{font:13px ui-monospace,monospace;overflow-wrap:anywhere}
.facts{display:flex;flex-wrap:wrap;gap:12px;margin:20px 0}.fact{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:10px 16px;min-width:120px}.fact b{display:block;font-size:22px}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(420px,1fr));gap:16px}.pair>div{min-width:0}.pair h2{margin-top:16px}
table{border-collapse:collapse;width:100%;background:var(--card);border:1px solid var(--line);border-radius:10px}th,td{text-align:left;padding:7px 12px;border-top:1px solid var(--line);vertical-align:top}tr:first-child th{border-top:0}
th{color:var(--soft);font-weight:600;font-size:13px}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}.good{color:var(--good);font-weight:600}.bad{color:var(--bad);font-weight:600}.scroll{overflow-x:auto}
svg{width:100%;height:auto;background:var(--card);border:1px solid var(--line);border-radius:10px}svg text{fill:var(--ink);font:12px system-ui,sans-serif}svg .axis{stroke:var(--line)}svg text.soft{fill:var(--soft)}
svg path{fill:none;stroke-width:2}svg .fault{fill:var(--bad);opacity:.1}svg .faultline{stroke:var(--bad);stroke-width:1;stroke-dasharray:3 3}svg .warm{fill:var(--soft);opacity:.08}svg .whisker{stroke:var(--ink);stroke-width:1.5}
.s0{stroke:var(--c0)}.s1{stroke:var(--c1)}.s2{stroke:var(--c2)}.s3{stroke:var(--c3)}.s4{stroke:var(--c4)}.s5{stroke:var(--c5)}.f0{fill:var(--c0)}.f1{fill:var(--c1)}.f2{fill:var(--c2)}.f3{fill:var(--c3)}.f4{fill:var(--c4)}.f5{fill:var(--c5)}
";

/// Series drawn one under the other: more would be a wall.
const SERIES_MAX: usize = 12;

fn head(title: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>{0}</title><style>{STYLE}</style><main><h1>{0}</h1>",
        escape(title)
    )
}

fn facts(page: &mut String, facts: &[(String, &str)]) {
    page.push_str("<div class=\"facts\">");
    for (value, label) in facts {
        let _ = write!(page, "<div class=\"fact\"><b>{}</b>{label}</div>", escape(value));
    }
    page.push_str("</div>");
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// The page of one run.
#[must_use]
pub fn page(metrics: &Metrics) -> String {
    let mut page = head(&metrics.scenario);
    let _ = write!(
        page,
        "<p class=\"soft\">{}<br>seed {} · fidelity {} · trace <code>{}</code></p>",
        escape(&metrics.shows),
        metrics.seed,
        escape(&metrics.fidelity),
        escape(&metrics.trace_hash)
    );
    let figure = |figure| metrics.figures.get(&figure).copied();
    let mut summary = vec![
        (metrics.stations.to_string(), "stations"),
        (format!("{} s", metrics.virtual_ms / 1_000), "of virtual time"),
        (format!("{} / {}", metrics.jobs.agreed, metrics.jobs.published), "jobs agreed"),
    ];
    summary.extend(figure(Figure::Delivered).map(|share| (percent(share), "of Calls delivered")));
    summary.extend(figure(Figure::Duplicates).map(|ratio| (format!("{ratio:.1}"), "copies beyond the first")));
    summary.extend(figure(Figure::Redundancy).map(|ratio| (format!("{ratio:.2}"), "executions per job")));
    summary.extend(figure(Figure::Wrong).map(|share| (percent(share), "wrong verdicts")));
    facts(&mut page, &summary);
    checks(&mut page, metrics);
    latencies(&mut page, metrics);
    byzantine(&mut page, metrics);
    deeds(&mut page, metrics);
    fullest(&mut page, metrics);
    series(&mut page, metrics);
    traffic_and_mesh(&mut page, metrics);
    reach(&mut page, metrics);
    page.push_str("</main></html>\n");
    page
}

fn checks(page: &mut String, metrics: &Metrics) {
    if metrics.checks.is_empty() {
        return;
    }
    page.push_str("<h2>Checks</h2><div class=\"scroll\"><table><tr><th>check</th><th>result</th><th>measured</th></tr>");
    for check in &metrics.checks {
        let (class, word) = if check.passed { ("good", "holds") } else { ("bad", "broken") };
        let _ = write!(
            page,
            "<tr><td><code>{}</code></td><td class=\"{class}\">{word}</td><td>{}</td></tr>",
            escape(&check.check),
            escape(&check.detail)
        );
    }
    page.push_str("</table></div>");
}

fn latencies(page: &mut String, metrics: &Metrics) {
    let curve = |latency: Latency| Some(Curve { label: latency.name(), points: metrics.latencies.get(&latency)?.cdf.0.clone(), steps: true });
    let propagation: Vec<_> = curve(Latency::Propagation).into_iter().collect();
    let work: Vec<_> = Latency::ALL.into_iter().filter(|latency| *latency != Latency::Propagation).filter_map(curve).collect();
    page.push_str("<div class=\"pair\">");
    for (title, curves) in [("How fast a Call spreads", propagation), ("From publication to claim, lease, result and verdict", work)] {
        if !curves.is_empty() {
            let _ = write!(page, "<div><h2>{title}</h2>{}</div>", chart::cdf(title, &curves));
        }
    }
    page.push_str("</div>");
    if metrics.latencies.is_empty() {
        return;
    }
    page.push_str("<h2>Latencies in milliseconds</h2><div class=\"scroll\"><table><tr><th></th>");
    for column in ["n", "min", "mean", "p50", "p90", "p99", "max"] {
        let _ = write!(page, "<th class=\"n\">{column}</th>");
    }
    page.push_str("</tr>");
    for (latency, distribution) in &metrics.latencies {
        let q = &distribution.quantiles;
        let _ = write!(page, "<tr><td>{}</td><td class=\"n\">{}</td>", latency.name(), q.n);
        for value in [q.min, q.mean, q.p50, q.p90, q.p99, q.max] {
            let _ = write!(page, "<td class=\"n\">{}</td>", number(value));
        }
        page.push_str("</tr>");
    }
    page.push_str("</table></div>");
}

fn byzantine(page: &mut String, metrics: &Metrics) {
    if metrics.byzantine.is_empty() {
        return;
    }
    page.push_str(
        "<h2>What the liars achieved</h2><div class=\"scroll\"><table><tr><th>group</th><th>how</th><th class=\"n\">stations</th><th class=\"n\">share of seats</th>\
         <th class=\"n\">fair</th><th class=\"n\">share of places</th><th class=\"n\">share of clusters</th><th class=\"n\">keys tried</th><th class=\"n\">lies</th><th class=\"n\">accepted</th><th class=\"n\">honest accused</th><th class=\"n\">found after</th></tr>",
    );
    for damage in &metrics.byzantine {
        let class = if damage.lies_accepted > 0 { "n bad" } else { "n" };
        let found = damage.detected_ms.map_or("never".to_owned(), |ms| format!("{} s", number(ms as f64 / 1e3)));
        let _ = write!(
            page,
            "<tr><td>{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"{class}\">{}</td><td class=\"n\">{}</td><td class=\"n\">{found}</td></tr>",
            escape(&damage.group),
            escape(&damage.kind),
            damage.stations,
            percent(damage.seats),
            percent(damage.fair),
            percent(damage.let_in),
            percent(damage.clusters),
            damage.keys_tried.map_or(String::new(), |tried| tried.to_string()),
            damage.lies,
            damage.lies_accepted,
            damage.falsely_accused,
        );
    }
    page.push_str("</table></div>");
}

/// What attackers of the mesh did, where there are any.
fn deeds(page: &mut String, metrics: &Metrics) {
    let attackers: Vec<_> = metrics.byzantine.iter().filter_map(|damage| Some((damage, damage.mesh?))).collect();
    if attackers.is_empty() {
        return;
    }
    page.push_str("<h2>What the attackers of the mesh did</h2><div class=\"scroll\"><table><tr><th>group</th><th>how</th>");
    for column in [
        "heard",
        "forwarded",
        "withheld",
        "forged",
        "flooded",
        "announced",
        "bytes asked of it",
        "nonsense",
        "leases forced",
        "receipts not acknowledged",
        "ground records",
    ] {
        let _ = write!(page, "<th class=\"n\">{column}</th>");
    }
    page.push_str("</tr>");
    for (damage, deeds) in attackers {
        let _ = write!(page, "<tr><td>{}</td><td>{}</td>", escape(&damage.group), escape(&damage.kind));
        let first = [deeds.heard, deeds.forwarded, deeds.withheld, deeds.forged, deeds.flooded, deeds.announced, deeds.asked_bytes];
        for count in first.into_iter().chain([deeds.nonsense, deeds.leases, deeds.unacknowledged, deeds.records, deeds.modules]) {
            let _ = write!(page, "<td class=\"n\">{count}</td>");
        }
        page.push_str("</tr>");
    }
    page.push_str("</table></div>");
}

/// How close anything came to its bound, where that was watched.
fn fullest(page: &mut String, metrics: &Metrics) {
    if metrics.fullest.is_empty() {
        return;
    }
    page.push_str(
        "<h2>How full queues were at most</h2><div class=\"scroll\"><table><tr><th>what</th><th class=\"n\">most</th><th class=\"n\">bound</th></tr>",
    );
    for fill in &metrics.fullest {
        let class = if fill.most > fill.bound { "n bad" } else { "n" };
        let _ = write!(page, "<tr><td>{}</td><td class=\"{class}\">{}</td><td class=\"n\">{}</td></tr>", escape(&fill.what), fill.most, fill.bound);
    }
    page.push_str("</table></div>");
}

fn series(page: &mut String, metrics: &Metrics) {
    if metrics.series.is_empty() {
        return;
    }
    let shaded = if metrics.faults.is_empty() { "grey is the warm-up" } else { "red spans are faults, grey is the warm-up" };
    let _ = write!(page, "<h2>Second by second</h2><p class=\"soft\">The line is one value per virtual second; {shaded}.</p>");
    for series in metrics.series.iter().take(SERIES_MAX) {
        page.push_str(&chart::timeline(series, metrics));
    }
    if metrics.faults.is_empty() {
        return;
    }
    page.push_str("<h2>Faults</h2><div class=\"scroll\"><table><tr><th class=\"n\">from</th><th class=\"n\">until</th><th>what</th></tr>");
    for fault in &metrics.faults {
        let until = fault.until_ms.map_or("the end".to_owned(), |ms| format!("{} s", number(ms as f64 / 1e3)));
        let _ = write!(
            page,
            "<tr><td class=\"n\">{} s</td><td class=\"n\">{until}</td><td>{}</td></tr>",
            number(fault.from_ms as f64 / 1e3),
            escape(&fault.what)
        );
    }
    page.push_str("</table></div>");
}

fn traffic_and_mesh(page: &mut String, metrics: &Metrics) {
    page.push_str("<div class=\"pair\">");
    if !metrics.traffic.is_empty() {
        let per = |bytes: u64| bytes as f64 / 1e3 / metrics.stations.max(1) as f64;
        let mut traffic: Vec<_> = metrics.traffic.iter().collect();
        traffic.sort_by_key(|(_, traffic)| std::cmp::Reverse(traffic.received_bytes));
        let rows: Vec<Bar> = traffic
            .into_iter()
            .map(|(name, traffic)| Bar { label: name.clone(), values: vec![per(traffic.sent_bytes), per(traffic.received_bytes)] })
            .collect();
        let _ = write!(page, "<div><h2>Kilobytes per station, by protocol</h2>{}</div>", bars("bytes by protocol", &rows, &["sent", "received"]));
    }
    if !metrics.mesh_degree.is_empty() {
        let rows: Vec<Bar> =
            metrics.mesh_degree.iter().map(|(degree, stations)| Bar { label: format!("{degree} peers"), values: vec![*stations as f64] }).collect();
        let _ = write!(page, "<div><h2>Stations by mesh degree, at the end</h2>{}</div>", bars("mesh degree", &rows, &["stations"]));
    }
    if !metrics.hops.is_empty() {
        let rows: Vec<Bar> = metrics.hops.iter().map(|(hops, times)| Bar { label: format!("{hops} hops"), values: vec![*times as f64] }).collect();
        let _ = write!(page, "<div><h2>How far Calls came</h2>{}</div>", bars("hops", &rows, &["first tellings"]));
    }
    page.push_str("</div>");
    let Lookups { done, requests, time_ms } = metrics.lookups;
    if done > 0 {
        let mean = |sum: u64| number(sum as f64 / done as f64);
        let _ = write!(page, "<p class=\"soft\">{done} lookups in the DHT: {} requests and {} ms on average.</p>", mean(requests), mean(time_ms));
    }
}

fn reach(page: &mut String, metrics: &Metrics) {
    if !metrics.dials.is_empty() {
        page.push_str("<h2>Who connects to whom</h2><p class=\"soft\">Of the dials from a row to a column, the share that made a direct connection, of which through a punched hole, and the share that a relay carried. Each try of a punch is a dial.</p>");
        page.push_str(&dial_matrix(&metrics.dials));
    }
    if !metrics.relays.is_empty() {
        page.push_str("<h2>Relays</h2><div class=\"scroll\"><table><tr><th>station</th><th class=\"n\">reservations, most</th><th class=\"n\">circuits, most</th><th class=\"n\">megabytes sent</th></tr>");
        for relay in &metrics.relays {
            let _ = write!(
                page,
                "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{:.1}</td></tr>",
                escape(&relay.station),
                relay.reservations_max,
                relay.circuits_max,
                relay.bytes as f64 / 1e6
            );
        }
        page.push_str("</table></div>");
    }
}

fn dial_matrix(dials: &[Dials]) -> String {
    let mut names: Vec<&str> = dials.iter().flat_map(|cell| [cell.from.as_str(), cell.to.as_str()]).collect();
    names.sort_unstable();
    names.dedup();
    let mut table = "<div class=\"scroll\"><table><tr><th></th>".to_owned();
    for name in &names {
        let _ = write!(table, "<th>{}</th>", escape(name));
    }
    table.push_str("</tr>");
    for from in &names {
        let _ = write!(table, "<tr><th>{}</th>", escape(from));
        for to in &names {
            let cell = dials.iter().find(|cell| cell.from == *from && cell.to == *to && cell.tried > 0);
            let Some(cell) = cell else {
                table.push_str("<td class=\"soft\">–</td>");
                continue;
            };
            let share = |count: u64| count as f64 / cell.tried as f64;
            let tint = (share(cell.direct + cell.punched) * 35.0).clamp(0.0, 35.0);
            let _ = write!(
                table,
                "<td style=\"white-space:nowrap;background:color-mix(in srgb,var(--good) {tint:.0}%,transparent)\">{:.0} %",
                share(cell.direct + cell.punched) * 100.0
            );
            for (count, how) in [(cell.punched, "punched"), (cell.relayed, "relayed")] {
                if count > 0 {
                    let _ = write!(table, "<br><span class=\"soft\">{:.0} % {how}</span>", share(count) * 100.0);
                }
            }
            table.push_str("</td>");
        }
        table.push_str("</tr>");
    }
    table + "</table></div>"
}
