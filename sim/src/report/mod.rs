//! Reports: one self-contained HTML page per run, and one per sweep.
//!
//! Guarantees: no script, no external reference, light and dark by the reader's setting, everything a scenario wrote is escaped, the
//! same metrics give the same bytes. Deliberately lacks interaction: a figure in a paper must look the same in ten years.

use station_node::page::chart::{Curve, Key, Lines, Mark, Row, Rows, Span, SpanKind};
use station_node::page::words::counted;
use station_node::page::{Cell, Column, Page, Table, escape, grouped, number};

use crate::metrics::{Dials, Distribution, Lookups, Metrics, Series};
use crate::scenario::check::{Figure, Latency};

pub mod compare;
#[cfg(test)]
mod tests;

/// Series drawn one under the other: more would be a wall.
const SERIES_MAX: usize = 12;

fn percent(share: f64) -> String {
    format!("{:.1}\u{a0}%", share * 100.0)
}

/// A number of seconds of so many milliseconds.
fn seconds(ms: u64) -> String {
    format!("{} s", number(ms as f64 / 1e3))
}

fn count(count: u64) -> Cell {
    Cell::text(&grouped(count))
}

/// The page of one run.
#[must_use]
pub fn page(metrics: &Metrics) -> String {
    let mut page = Page::new(&metrics.scenario);
    let shows = if metrics.shows.is_empty() { String::new() } else { format!("{}<br>", escape(&metrics.shows)) };
    page.paragraph(&format!(
        "<span class=\"soft\">{shows}seed {} · fidelity {} · trace <code>{}</code></span>",
        metrics.seed,
        escape(&metrics.fidelity),
        escape(&metrics.trace_hash)
    ));
    let figure = |figure| metrics.figures.get(&figure).copied();
    let mut summary = vec![
        (grouped(metrics.stations), "stations"),
        (format!("{} s", grouped(metrics.virtual_ms / 1_000)), "of virtual time"),
        (format!("{} / {}", grouped(metrics.jobs.agreed), grouped(metrics.jobs.published)), "jobs agreed"),
    ];
    summary.extend(figure(Figure::Delivered).map(|share| (percent(share), "of Calls delivered")));
    summary.extend(figure(Figure::Duplicates).map(|ratio| (format!("{ratio:.1}"), "copies beyond the first")));
    summary.extend(figure(Figure::Redundancy).map(|ratio| (format!("{ratio:.2}"), "executions per job")));
    summary.extend(figure(Figure::Wrong).map(|share| (percent(share), "wrong verdicts")));
    page.facts(&summary);
    checks(&mut page, metrics);
    latencies(&mut page, metrics);
    byzantine(&mut page, metrics);
    deeds(&mut page, metrics);
    fullest(&mut page, metrics);
    series(&mut page, metrics);
    traffic_and_mesh(&mut page, metrics);
    reach(&mut page, metrics);
    page.finish()
}

fn checks(page: &mut Page, metrics: &Metrics) {
    if metrics.checks.is_empty() {
        return;
    }
    page.section("Checks");
    let columns = ["check", "result", "measured"].map(Column::words).to_vec();
    let mut table = Table::new("What the scenario says must hold, and what was measured.", columns);
    for check in &metrics.checks {
        let (class, word) = if check.passed { ("good", "holds") } else { ("bad", "broken") };
        table.row(vec![Cell::code(&check.check), Cell::text(word).classed(class), Cell::text(&check.detail)]);
    }
    page.table(&table);
}

/// Shares of all on the way up.
fn distributions(title: &str, curves: &[(&str, &[(f64, f64)])]) -> String {
    let longest = curves.iter().flat_map(|(_, points)| *points).map(|(ms, _)| *ms).filter(|ms| ms.is_finite()).fold(0.0, f64::max);
    let (scale, x_unit) = if longest >= 10_000.0 { (1e3, "s") } else { (1.0, "ms") };
    let half = |points: &[(f64, f64)]| points.iter().find(|(_, share)| *share >= 0.5).map(|(ms, _)| number(ms / scale));
    let says: Vec<String> = curves.iter().filter_map(|(label, points)| Some(format!("half of {label} by {} {x_unit}", half(points)?))).collect();
    let curves = curves
        .iter()
        .map(|(label, points)| Curve { label, points: points.iter().map(|(ms, share)| (ms / scale, *share)).collect(), steps: true })
        .collect();
    let lines = Lines {
        title,
        note: "",
        y_name: "share of all",
        x_unit,
        x_ends: None,
        y_least: 1.0,
        height_px: 250,
        curves,
        spans: Vec::new(),
        says: says.join("; "),
    };
    lines.html()
}

fn latencies(page: &mut Page, metrics: &Metrics) {
    if metrics.latencies.is_empty() {
        return;
    }
    let curve = |latency: &Latency| Some((latency.name(), metrics.latencies.get(latency)?.cdf.0.as_slice()));
    let (first, rest): (Vec<Latency>, Vec<Latency>) = Latency::ALL.into_iter().partition(|latency| *latency == Latency::Propagation);
    let charts = [("How fast a Call spreads", first), ("From publication to claim, lease, result and verdict", rest)];
    let charts = charts.map(|(title, of)| (title, of.iter().filter_map(curve).collect::<Vec<_>>()));
    page.section("Latencies");
    page.charts(&charts.iter().filter(|(_, curves)| !curves.is_empty()).map(|(title, curves)| distributions(title, curves)).collect::<Vec<_>>());
    let columns = std::iter::once(Column::words("latency")).chain(["n", "min", "mean", "p50", "p90", "p99", "max"].map(Column::number)).collect();
    let mut table =
        Table::new("Milliseconds of virtual time: propagation from a Call to a station that hears it, all others from the publication.", columns);
    for (latency, Distribution { quantiles: q, .. }) in &metrics.latencies {
        let values = [q.min, q.mean, q.p50, q.p90, q.p99, q.max].map(|value| Cell::text(&number(value)));
        table.row([Cell::text(latency.name()), count(q.n)].into_iter().chain(values).collect());
    }
    page.table(&table);
}

fn byzantine(page: &mut Page, metrics: &Metrics) {
    if metrics.byzantine.is_empty() {
        return;
    }
    page.section("What the liars achieved");
    let numbers = [
        "stations",
        "share of seats",
        "fair",
        "share of places",
        "share of clusters",
        "keys tried",
        "lies",
        "accepted",
        "honest accused",
        "found after",
    ];
    let columns = ["group", "how"].map(Column::words).into_iter().chain(numbers.map(Column::number)).collect();
    let mut table = Table::new("Fair is the share that honest stations in their place would have had.", columns);
    for damage in &metrics.byzantine {
        let accepted = count(damage.lies_accepted);
        table.row(vec![
            Cell::text(&damage.group),
            Cell::text(&damage.kind),
            count(damage.stations),
            Cell::text(&percent(damage.seats)),
            Cell::text(&percent(damage.fair)),
            Cell::text(&percent(damage.let_in)),
            Cell::text(&percent(damage.clusters)),
            Cell::text(&damage.keys_tried.map_or("–".to_owned(), grouped)),
            count(damage.lies),
            if damage.lies_accepted > 0 { accepted.classed("bad") } else { accepted },
            count(damage.falsely_accused),
            Cell::text(&damage.detected_ms.map_or("never".to_owned(), seconds)),
        ]);
    }
    page.table(&table);
}

/// What attackers of the mesh did, where there are any.
fn deeds(page: &mut Page, metrics: &Metrics) {
    let attackers: Vec<_> = metrics.byzantine.iter().filter_map(|damage| Some((damage, damage.mesh?))).collect();
    if attackers.is_empty() {
        return;
    }
    page.section("What the attackers of the mesh did");
    let numbers = [
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
        "modules",
    ];
    let columns = ["group", "how"].map(Column::words).into_iter().chain(numbers.map(Column::number)).collect();
    let mut table = Table::new("Messages, unless the column says otherwise.", columns);
    for (damage, deeds) in attackers {
        let first = [deeds.heard, deeds.forwarded, deeds.withheld, deeds.forged, deeds.flooded, deeds.announced, deeds.asked_bytes];
        let then = [deeds.nonsense, deeds.leases, deeds.unacknowledged, deeds.records, deeds.modules];
        table.row([Cell::text(&damage.group), Cell::text(&damage.kind)].into_iter().chain(first.into_iter().chain(then).map(count)).collect());
    }
    page.table(&table);
}

/// How close anything came to its bound, where that was watched.
fn fullest(page: &mut Page, metrics: &Metrics) {
    if metrics.fullest.is_empty() {
        return;
    }
    page.section("How full queues were at most");
    let columns = vec![Column::words("what"), Column::number("most"), Column::number("bound")];
    let mut table = Table::new("Of all honest stations the fullest.", columns);
    for fill in &metrics.fullest {
        let most = count(fill.most);
        table.row(vec![Cell::text(&fill.what), if fill.most > fill.bound { most.classed("bad") } else { most }, count(fill.bound)]);
    }
    page.table(&table);
}

fn series(page: &mut Page, metrics: &Metrics) {
    if metrics.series.is_empty() {
        return;
    }
    page.section("Second by second");
    let shaded = if metrics.faults.is_empty() { "Grey is the warm-up" } else { "Grey is the warm-up, red spans are faults" };
    page.paragraph(&format!("<span class=\"soft\">The line is one value per virtual second. {shaded}.</span>"));
    for series in metrics.series.iter().take(SERIES_MAX) {
        page.push(&timeline(series, metrics));
    }
    if metrics.faults.is_empty() {
        return;
    }
    page.section("Faults");
    let columns = vec![Column::words("what"), Column::number("from"), Column::number("until")];
    let mut table = Table::new("Seconds of virtual time.", columns);
    for fault in &metrics.faults {
        let until = fault.until_ms.map_or("the end".to_owned(), seconds);
        table.row(vec![Cell::text(&fault.what), Cell::text(&seconds(fault.from_ms)), Cell::text(&until)]);
    }
    page.table(&table);
}

/// A series over the run's time, with its faults.
fn timeline(series: &Series, metrics: &Metrics) -> String {
    let at = |ms: u64| ms as f64 / 1e3;
    let end = at(metrics.virtual_ms);
    let mut spans = vec![Span { from: 0.0, until: at(metrics.warmup_ms), kind: SpanKind::Warm, says: "warm-up" }];
    spans.extend(metrics.faults.iter().map(|fault| Span {
        from: at(fault.from_ms),
        until: fault.until_ms.map_or(end, at),
        kind: SpanKind::Fault,
        says: &fault.what,
    }));
    let points: Vec<(f64, f64)> = (0_u32..).map(f64::from).zip(series.values.iter().copied()).collect();
    let finite = || series.values.iter().copied().filter(|value| value.is_finite());
    let says = format!(
        "from {} to {} over {} s",
        number(finite().fold(f64::INFINITY, f64::min)),
        number(finite().fold(f64::NEG_INFINITY, f64::max)),
        number(end)
    );
    let lines = Lines {
        title: &series.name,
        note: "",
        y_name: &series.unit,
        x_unit: "s",
        x_ends: Some(end),
        y_least: 0.0,
        height_px: 110,
        curves: vec![Curve { label: &series.name, points, steps: false }],
        spans,
        says,
    };
    lines.html()
}

/// Bars of one or more values under a name each.
fn bars(title: &str, unit: &str, rows: &[(String, Vec<f64>)], labels: &[&str]) -> String {
    let legend = if labels.len() > 1 { labels.iter().enumerate().map(|(series, label)| Key::Bar(series, label)).collect() } else { Vec::new() };
    let note = if labels.len() > 1 { String::new() } else { labels.concat() };
    let rows = rows
        .iter()
        .map(|(name, values)| {
            let lanes = u32::try_from(values.len()).unwrap_or(1);
            let bar = |(lane, value): (u32, &f64)| Mark::Bar { from: 0.0, until: *value, series: lane as usize, lane, lanes };
            let figure = values.iter().map(|value| number(*value)).collect::<Vec<_>>().join(" / ");
            let says = labels.iter().zip(values).map(|(label, value)| format!("{} {unit} {label}", number(*value))).collect::<Vec<_>>().join(", ");
            Row { label: vec![(String::new(), name.clone())], figure: (figure, String::new()), says, marks: (0..).zip(values).map(bar).collect() }
        })
        .collect();
    Rows { title, note: &note, legend, counts: unit.is_empty(), rows }.html()
}

fn traffic_and_mesh(page: &mut Page, metrics: &Metrics) {
    let mut charts = Vec::new();
    if !metrics.traffic.is_empty() {
        let per = |bytes: u64| bytes as f64 / 1e3 / metrics.stations.max(1) as f64;
        let mut traffic: Vec<_> = metrics.traffic.iter().collect();
        traffic.sort_by_key(|(_, traffic)| std::cmp::Reverse(traffic.received_bytes));
        let rows: Vec<_> =
            traffic.into_iter().map(|(name, traffic)| (name.clone(), vec![per(traffic.sent_bytes), per(traffic.received_bytes)])).collect();
        charts.push(bars("Kilobytes per station, by protocol", "kB", &rows, &["sent", "received"]));
    }
    if !metrics.mesh_degree.is_empty() {
        let rows: Vec<_> =
            metrics.mesh_degree.iter().map(|(degree, stations)| (counted(*degree as usize, "peer", "peers"), vec![*stations as f64])).collect();
        charts.push(bars("Stations by mesh degree, at the end", "", &rows, &["stations"]));
    }
    if !metrics.hops.is_empty() {
        let rows: Vec<_> = metrics.hops.iter().map(|(hops, times)| (counted(*hops as usize, "hop", "hops"), vec![*times as f64])).collect();
        charts.push(bars("How far Calls came", "", &rows, &["first tellings"]));
    }
    let Lookups { done, requests, time_ms } = metrics.lookups;
    if charts.is_empty() && done == 0 {
        return;
    }
    page.section("Traffic and mesh");
    page.charts(&charts);
    if done > 0 {
        let mean = |sum: u64| number(sum as f64 / done as f64);
        let (done, requests, time_ms) = (grouped(done), mean(requests), mean(time_ms));
        page.paragraph(&format!("<span class=\"soft\">{done} lookups in the DHT: {requests} requests and {time_ms} ms on average.</span>"));
    }
}

fn reach(page: &mut Page, metrics: &Metrics) {
    if !metrics.dials.is_empty() {
        page.section("Who connects to whom");
        page.table(&dial_matrix(&metrics.dials));
    }
    if !metrics.relays.is_empty() {
        page.section("Relays");
        let numbers = ["reservations, most", "circuits, most", "megabytes sent"].map(Column::number);
        let mut table = Table::new("Of each station that relays.", std::iter::once(Column::words("station")).chain(numbers).collect());
        for relay in &metrics.relays {
            let megabytes = Cell::text(&format!("{:.1}", relay.bytes as f64 / 1e6));
            table.row(vec![Cell::text(&relay.station), count(relay.reservations_max), count(relay.circuits_max), megabytes]);
        }
        page.table(&table);
    }
}

fn dial_matrix(dials: &[Dials]) -> Table {
    let mut names: Vec<&str> = dials.iter().flat_map(|cell| [cell.from.as_str(), cell.to.as_str()]).collect();
    names.sort_unstable();
    names.dedup();
    let columns = std::iter::once(Column::words("from, to")).chain(names.iter().map(|name| Column::words(name))).collect();
    let caption = "Of the dials from a row to a column, the share that made a direct connection, of which through a punched hole, and the share \
                   that a relay carried. Each try of a punch is a dial.";
    let mut table = Table::new(caption, columns);
    for from in &names {
        let cells = names.iter().map(|to| match dials.iter().find(|cell| cell.from == *from && cell.to == *to && cell.tried > 0) {
            Some(cell) => dial_cell(cell),
            None => Cell::text("–").classed("soft"),
        });
        table.row(std::iter::once(Cell::text(from)).chain(cells).collect());
    }
    table
}

fn dial_cell(cell: &Dials) -> Cell {
    let share = |count: u64| count as f64 / cell.tried as f64;
    let mut html = format!("{:.0}\u{a0}%", share(cell.direct + cell.punched) * 100.0);
    for (count, how) in [(cell.punched, "punched"), (cell.relayed, "relayed")] {
        if count > 0 {
            html.push_str(&format!("<br>{:.0}\u{a0}% {how}", share(count) * 100.0));
        }
    }
    Cell::html(html).tinted(share(cell.direct + cell.punched))
}
