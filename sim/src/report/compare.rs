//! Comparisons: the arms of a sweep side by side, with confidence intervals and paired differences.
//!
//! Guarantees: every arm is compared with the first, seed by seed; a verdict is the one of [`crate::statistics`], which says nothing
//! with too few seeds; a measure that an arm lacks is left out. Deliberately lacks a winner: measures pull in different directions.

use serde::{Deserialize, Serialize};
use station_node::page::chart::{Mark, Row as Drawn, Rows};
use station_node::page::{Cell, Column, Page, Table, escape, grouped, number};

use super::distributions;
use crate::metrics::Metrics;
use crate::scenario::check::{Figure, Latency, Measure, Statistic, Unit};
use crate::statistics::{Better, Cdf, Estimate, Paired, Verdict, paired};

/// One value of each swept parameter, and its runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Arm {
    /// `gossip.mesh_n = 6`.
    pub label: String,
    pub runs: Vec<Metrics>,
}

/// What a sweep says; its JSON form is written beside the page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    pub scenario: String,
    pub shows: String,
    pub arms: Vec<String>,
    /// Runs of each arm.
    pub runs: Vec<u64>,
    pub rows: Vec<Row>,
    /// Propagation of all runs of an arm together.
    pub propagation: Vec<Cdf>,
}

/// One measure in all arms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// As in scenarios: `p99(propagation)`.
    pub measure: String,
    pub unit: String,
    pub better: Better,
    pub estimates: Vec<Estimate>,
    /// The arms after the first, each against it; none when they share no seed.
    pub against_first: Vec<Option<Paired>>,
}

/// What is compared, and which way is better.
const MEASURES: [(Measure, Better); 12] = [
    (Measure::Of(Statistic::P50, Latency::Propagation), Better::Lower),
    (Measure::Of(Statistic::P99, Latency::Propagation), Better::Lower),
    (Measure::Figure(Figure::Delivered), Better::Higher),
    (Measure::Figure(Figure::Duplicates), Better::Lower),
    (Measure::Of(Statistic::P50, Latency::Claim), Better::Lower),
    (Measure::Of(Statistic::P50, Latency::Result), Better::Lower),
    (Measure::Of(Statistic::P50, Latency::Verdict), Better::Lower),
    (Measure::Of(Statistic::P99, Latency::Verdict), Better::Lower),
    (Measure::Figure(Figure::Settled), Better::Higher),
    (Measure::Figure(Figure::Wrong), Better::Lower),
    (Measure::Figure(Figure::Redundancy), Better::Lower),
    (Measure::Figure(Figure::Dialled), Better::Higher),
];
/// Bytes that all protocols together sent per station, which is no measure of checks.
const KILOBYTES: &str = "kilobytes sent per station";

/// Compares the arms of a sweep.
#[must_use]
pub fn compare(arms: &[Arm]) -> Comparison {
    let first = arms.first().and_then(|arm| arm.runs.first());
    let mut rows: Vec<Row> = MEASURES
        .iter()
        .filter_map(|(measure, better)| {
            let (unit, factor) = match measure.unit() {
                Unit::Milliseconds => ("ms", 1.0),
                Unit::Millionths => ("%", 100.0),
                Unit::Thousandths => ("", 1.0),
            };
            row(arms, &measure.to_string(), unit, *better, |run| Some(run.value(*measure)? * factor))
        })
        .collect();
    rows.extend(row(arms, KILOBYTES, "kB", Better::Lower, kilobytes));
    Comparison {
        scenario: first.map(|run| run.scenario.clone()).unwrap_or_default(),
        shows: first.map(|run| run.shows.clone()).unwrap_or_default(),
        arms: arms.iter().map(|arm| arm.label.clone()).collect(),
        runs: arms.iter().map(|arm| arm.runs.len() as u64).collect(),
        rows,
        propagation: arms.iter().map(pooled).collect(),
    }
}

fn kilobytes(run: &Metrics) -> Option<f64> {
    let sent: u64 = run.traffic.values().map(|traffic| traffic.sent_bytes).sum();
    (run.stations > 0 && !run.traffic.is_empty()).then(|| sent as f64 / 1e3 / run.stations as f64)
}

/// None unless every arm has the measure.
fn row(arms: &[Arm], measure: &str, unit: &str, better: Better, value: impl Fn(&Metrics) -> Option<f64>) -> Option<Row> {
    let values: Vec<Vec<(u64, f64)>> = arms.iter().map(|arm| arm.runs.iter().filter_map(|run| Some((run.seed, value(run)?))).collect()).collect();
    let estimates: Option<Vec<Estimate>> = values.iter().map(|arm| Estimate::of(&arm.iter().map(|(_, value)| *value).collect::<Vec<_>>())).collect();
    let against_first = values.iter().skip(1).map(|arm| paired(values.first()?, arm, better)).collect();
    Some(Row { measure: measure.into(), unit: unit.into(), better, estimates: estimates.filter(|all| !all.is_empty())?, against_first })
}

fn pooled(arm: &Arm) -> Cdf {
    let points = arm.runs.iter().filter_map(|run| run.latencies.get(&Latency::Propagation)).flat_map(|distribution| &distribution.cdf.0);
    Cdf::of(&points.map(|(value, _)| *value).collect::<Vec<_>>())
}

/// The page of a comparison.
#[must_use]
pub fn page(comparison: &Comparison) -> String {
    let mut page = Page::new(&format!("{}: {}", comparison.scenario, comparison.arms.join(" / ")));
    if !comparison.shows.is_empty() {
        page.paragraph(&format!("<span class=\"soft\">{}</span>", escape(&comparison.shows)));
    }
    let runs: Vec<String> = comparison.runs.iter().map(|runs| grouped(*runs)).collect();
    page.facts(&[(comparison.arms.len().to_string(), "arms"), (runs.join(" / "), "runs of each")]);
    page.paragraph(
        "Every arm ran the same seeds. Intervals are 95 % confidence intervals of the mean over seeds; differences are taken seed by seed against the first arm, \
         because runs with one seed share their luck. “No difference shown” does not mean that there is none.",
    );
    page.section("Measures");
    page.table(&table(comparison));
    let curves: Vec<(&str, &[(f64, f64)])> = comparison
        .arms
        .iter()
        .zip(&comparison.propagation)
        .filter(|(_, cdf)| !cdf.0.is_empty())
        .map(|(label, cdf)| (label.as_str(), cdf.0.as_slice()))
        .collect();
    let spread = (!curves.is_empty()).then(|| distributions("How fast a Call spreads, all runs of an arm together", &curves));
    let intervals = comparison.rows.iter().map(|row| intervals(row, &comparison.arms));
    page.section("Charts");
    page.charts(&spread.into_iter().chain(intervals).collect::<Vec<_>>());
    page.finish()
}

/// One mean with its interval per arm; arms under each other on one axis.
fn intervals(row: &Row, arms: &[String]) -> String {
    let rows = arms.iter().zip(&row.estimates).enumerate().map(|(series, (arm, estimate))| {
        let (mean, half) = interval(estimate);
        Drawn {
            label: vec![(String::new(), arm.clone())],
            says: format!("{mean} {half}"),
            figure: (mean, half),
            marks: vec![Mark::Mean { value: estimate.mean, half: estimate.half, series }],
        }
    });
    let note = if row.unit.is_empty() { String::new() } else { format!("In {}.", row.unit) };
    Rows { title: &row.measure, note: &note, legend: Vec::new(), counts: false, rows: rows.collect() }.html()
}

fn table(comparison: &Comparison) -> Table {
    let mut columns = vec![Column::words("measure")];
    for (index, arm) in comparison.arms.iter().enumerate() {
        columns.push(Column::number(arm));
        if index > 0 {
            columns.extend([Column::number("difference"), Column::number("effect"), Column::words("verdict")]);
        }
    }
    let mut table = Table::new("Means over seeds with their intervals.", columns);
    for row in &comparison.rows {
        let unit = if row.unit.is_empty() { String::new() } else { format!(" <span class=\"soft\">in {}</span>", escape(&row.unit)) };
        let mut cells = vec![Cell::html(format!("<code>{}</code>{unit}", escape(&row.measure)))];
        for (index, estimate) in row.estimates.iter().enumerate() {
            cells.push(estimated(estimate));
            if index > 0 {
                cells.extend(difference(row.against_first.get(index - 1).copied().flatten()));
            }
        }
        table.row(cells);
    }
    table
}

/// A mean, and its interval or that it has none. What only the adding up of floating-point numbers left is none.
fn interval(estimate: &Estimate) -> (String, String) {
    let shown = |half: f64| if half < estimate.mean.abs() * 1e-9 { 0.0 } else { half };
    (number(estimate.mean), estimate.half.map_or("one run".to_owned(), |half| format!("± {}", number(shown(half)))))
}

fn estimated(estimate: &Estimate) -> Cell {
    let (mean, half) = interval(estimate);
    Cell::html(format!("<span class=\"nowrap\">{mean} <span class=\"soft\">{half}</span></span>"))
}

fn difference(paired: Option<Paired>) -> [Cell; 3] {
    let Some(paired) = paired else { return ["–", "–", "no seed in common"].map(|text| Cell::text(text).classed("soft")) };
    let class = match paired.verdict {
        Verdict::Better => "good",
        Verdict::Worse => "bad",
        Verdict::TooFewSeeds | Verdict::NotShown | Verdict::Differs => "soft",
    };
    let effect = paired.effect.map_or("–".to_owned(), |effect| format!("{:.1}", (effect * 10.0).round() / 10.0 + 0.0));
    [estimated(&paired.difference), Cell::text(&effect), Cell::text(paired.verdict.words()).classed(class)]
}
