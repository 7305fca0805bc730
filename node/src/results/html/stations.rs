//! Who took part: a bar and a line per station.
//!
//! Guarantees: the whole node id of everybody whose receipt is on the page. Deliberately lacks a rank: a station that differs in a
//! measurement may be the one that saw right.

use std::collections::BTreeMap;

use super::super::stats::median;
use super::super::{ExecutionRow, Results};
use super::groups::{Standing, standing};
use super::readings::ROWS_MAX;
use super::{Cell, Column, Table, grouped, words};
use crate::page::chart::{Key, Mark, Row, Rows};

/// Bars within a row, in their order, in the colours of the dots.
const BARS: [(Standing, usize, &str); 4] = [
    (Standing::Agrees, 0, "agrees with the verdict"),
    (Standing::Differs, 4, "differs from it"),
    (Standing::Open, 5, "nothing was decided"),
    (Standing::NotCounted, 3, "does not count"),
];

/// What one station did.
#[derive(Default)]
struct Deeds<'a> {
    regions: Vec<&'a str>,
    by_standing: BTreeMap<Standing, usize>,
    durations_ms: Vec<u64>,
}

impl Deeds<'_> {
    fn of(&self, standing: Standing) -> usize {
        self.by_standing.get(&standing).copied().unwrap_or(0)
    }

    fn region(&self) -> String {
        if self.regions.is_empty() { "–".to_owned() } else { self.regions.join(", ") }
    }

    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a job are far below 2^53")]
    fn median_ms(&self) -> f64 {
        let mut sorted: Vec<f64> = self.durations_ms.iter().map(|ms| *ms as f64).collect();
        sorted.sort_by(f64::total_cmp);
        median(&sorted)
    }
}

fn deeds(results: &Results) -> BTreeMap<&str, Deeds<'_>> {
    let mut stations: BTreeMap<&str, Deeds<'_>> = BTreeMap::new();
    for row in &results.rows {
        for execution in &row.executions {
            let ExecutionRow { node, region, duration_ms, .. } = execution;
            let deeds = stations.entry(node).or_default();
            *deeds.by_standing.entry(standing(execution)).or_default() += 1;
            deeds.durations_ms.push(*duration_ms);
            deeds.regions.extend(region.as_deref().filter(|region| !deeds.regions.contains(region)));
        }
    }
    stations
}

/// Bars of receipts.
pub(super) fn chart(results: &Results) -> String {
    let stations = deeds(results);
    let legend = BARS.iter().filter(|(standing, ..)| stations.values().any(|deeds| deeds.of(*standing) > 0));
    let legend = legend.map(|(_, series, label)| Key::Bar(*series, label)).collect();
    let left = if stations.len() > ROWS_MAX {
        format!(" Drawn are {ROWS_MAX} of {} stations; the table has them all.", grouped(stations.len() as u64))
    } else {
        String::new()
    };
    let note = format!("Signed receipts of each station.{left}");
    let rows = stations.iter().take(ROWS_MAX).map(|(node, deeds)| row(node, deeds)).collect();
    Rows { title: "receipts", note: &note, legend, counts: true, rows }.html()
}

#[expect(clippy::cast_precision_loss, reason = "counts of receipts in memory")]
fn row(node: &str, deeds: &Deeds<'_>) -> Row {
    let (mut at, mut marks, mut says) = (0, Vec::new(), Vec::new());
    for (standing, series, label) in BARS {
        let count = deeds.of(standing);
        if count > 0 {
            marks.push(Mark::Bar { from: at as f64, until: (at + count) as f64, series, lane: 0, lanes: 1 });
            says.push(format!("{count}: {label}"));
            at += count;
        }
    }
    Row {
        label: vec![(String::new(), words::tail(node))],
        figure: (words::counted(at, "receipt", "receipts"), String::new()),
        says: says.join(", "),
        marks,
    }
}

/// A line per station.
pub(super) fn table(results: &Results) -> Table {
    let columns = vec![
        Column::words("station").share(36),
        Column::words("region"),
        Column::number("receipts"),
        Column::number("agrees"),
        Column::number("differs"),
        Column::number("undecided"),
        Column::number("not counted"),
        Column::number("median duration"),
    ];
    let mut table = Table::new("Stations whose receipts this page rests on. A region is what a station says of itself.", columns);
    for (node, deeds) in deeds(results) {
        let count = |count: usize| Cell::text(&grouped(count as u64));
        table.row(vec![
            Cell::code(node),
            Cell::text(&deeds.region()),
            count(deeds.durations_ms.len()),
            count(deeds.of(Standing::Agrees)),
            count(deeds.of(Standing::Differs)),
            count(deeds.of(Standing::Open)),
            count(deeds.of(Standing::NotCounted)).classed(if deeds.of(Standing::NotCounted) > 0 { "uncounted" } else { "" }),
            Cell::text(&words::quantity(deeds.median_ms(), "ms")),
        ]);
    }
    table
}
