//! Comparisons: the arms of a sweep side by side, with confidence intervals and paired differences.
//!
//! Guarantees: every arm is compared with the first, seed by seed; a verdict is the one of [`crate::statistics`], which says nothing
//! with too few seeds; a measure that an arm lacks is left out. Deliberately lacks a winner: measures pull in different directions.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use station_node::results::html::escape;

use super::chart::{Curve, cdf, intervals, number};
use super::{facts, head};
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
    let mut page = head(&format!("{}: {}", comparison.scenario, comparison.arms.join(" / ")));
    let _ = write!(page, "<p class=\"soft\">{}</p>", escape(&comparison.shows));
    let runs: Vec<String> = comparison.runs.iter().map(u64::to_string).collect();
    facts(&mut page, &[(comparison.arms.len().to_string(), "arms"), (runs.join(" / "), "runs of each")]);
    page.push_str(
        "<p>Every arm ran the same seeds. Intervals are 95 % confidence intervals of the mean over seeds; differences are taken seed by seed against the first arm, \
         because runs with one seed share their luck. “No difference shown” does not mean that there is none.</p>",
    );
    table(&mut page, comparison);
    let curves: Vec<Curve<'_>> = comparison
        .arms
        .iter()
        .zip(&comparison.propagation)
        .filter(|(_, cdf)| !cdf.0.is_empty())
        .map(|(label, cdf)| Curve { label, points: cdf.0.clone(), steps: true })
        .collect();
    page.push_str("<div class=\"pair\">");
    if !curves.is_empty() {
        let _ = write!(page, "<div><h2>How fast a Call spreads, all runs of an arm together</h2>{}</div>", cdf("propagation", &curves));
    }
    for row in &comparison.rows {
        let arms: Vec<(&str, f64, Option<f64>)> =
            comparison.arms.iter().zip(&row.estimates).map(|(label, estimate)| (label.as_str(), estimate.mean, estimate.half)).collect();
        let _ = write!(page, "<div><h2>{} {}</h2>{}</div>", escape(&row.measure), unit(&row.unit), intervals(&row.measure, &arms));
    }
    page.push_str("</div></main></html>\n");
    page
}

fn unit(unit: &str) -> String {
    if unit.is_empty() { String::new() } else { format!("<span class=\"soft\">in {}</span>", escape(unit)) }
}

fn table(page: &mut String, comparison: &Comparison) {
    page.push_str("<div class=\"scroll\"><table><tr><th>measure</th>");
    for (index, arm) in comparison.arms.iter().enumerate() {
        let _ = write!(page, "<th class=\"n\">{}</th>", escape(arm));
        if index > 0 {
            page.push_str("<th class=\"n\">difference</th><th class=\"n\">effect</th><th>verdict</th>");
        }
    }
    page.push_str("</tr>");
    for row in &comparison.rows {
        let _ = write!(page, "<tr><td><code>{}</code> {}</td>", escape(&row.measure), unit(&row.unit));
        for (index, estimate) in row.estimates.iter().enumerate() {
            let _ = write!(page, "<td class=\"n\">{}</td>", interval(estimate));
            if index > 0 {
                page.push_str(&difference(row.against_first.get(index - 1).copied().flatten()));
            }
        }
        page.push_str("</tr>");
    }
    page.push_str("</table></div>");
}

fn interval(estimate: &Estimate) -> String {
    match estimate.half {
        Some(half) => format!("{} ± {}", number(estimate.mean), number(half)),
        None => format!("{} <span class=\"soft\">one run</span>", number(estimate.mean)),
    }
}

fn difference(paired: Option<Paired>) -> String {
    let Some(paired) = paired else { return "<td class=\"soft\" colspan=\"3\">no seed in common</td>".into() };
    let class = match paired.verdict {
        Verdict::Better => "good",
        Verdict::Worse => "bad",
        Verdict::TooFewSeeds | Verdict::NotShown | Verdict::Differs => "soft",
    };
    let effect = paired.effect.map_or("–".to_owned(), |effect| format!("{effect:.1}"));
    format!("<td class=\"n\">{}</td><td class=\"n\">{effect}</td><td class=\"{class}\">{}</td>", interval(&paired.difference), paired.verdict.words())
}
