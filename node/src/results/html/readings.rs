//! Charts of readings, one row per job: dots, and boxes where there are readings enough.
//!
//! Guarantees: medians and quartiles are by the rule of all results, whiskers end at a reading, and all is of the same executions as in the
//! table. Deliberately lacks rows beyond [`ROWS_MAX`]: the table has them all, and the chart says how many it leaves out.

use super::super::stats::{P95_LEAST, Quantiles, quantile};
use super::super::{ExecutionRow, Results, Row};
use super::groups::{Standing, standing};
use super::labels::Labels;
use crate::page::chart::{Dot, Key, Mark, Row as Drawn, Rows};
use crate::page::{escape, grouped, words};

/// Rows in one chart: more would be unreadable; the table has them all.
pub(super) const ROWS_MAX: usize = 40;
/// Fewest readings for a box: five numbers of fewer readings say less than the readings.
pub(super) const BOX_LEAST: usize = 5;
/// Most dots in one row; of more readings only those that differ from the verdict or lie beyond the whiskers are drawn.
const DOTS_MAX: usize = 24;

/// A box and its whiskers, which end at the last readings within one and a half times its length (Tukey).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::results) struct Spread {
    pub(in crate::results) low: f64,
    pub(in crate::results) q1: f64,
    pub(in crate::results) median: f64,
    pub(in crate::results) q3: f64,
    pub(in crate::results) high: f64,
}

impl Spread {
    /// Of finite values in any order; none when there are none.
    pub(in crate::results) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.retain(|value| value.is_finite());
        values.sort_by(f64::total_cmp);
        if values.is_empty() {
            return None;
        }
        let [q1, median, q3] = [0.25, 0.5, 0.75].map(|q| quantile(&values, q));
        let reach = 1.5 * (q3 - q1);
        let low = values.iter().copied().find(|value| *value >= q1 - reach).unwrap_or(q1);
        let high = values.iter().rev().copied().find(|value| *value <= q3 + reach).unwrap_or(q3);
        Some(Self { low, q1, median, q3, high })
    }
}

/// The median with its unit, and what lies around it: the range of few readings, the 95th percentile of many, and how many there are.
pub(super) fn figures(quantiles: &Quantiles, unit: &str) -> (String, String) {
    let Quantiles { n, min, p50, p95, max } = quantiles;
    let around = match *n {
        _ if min == max => String::new(),
        few if few < P95_LEAST => format!("{} to {}, ", words::number(*min), words::number(*max)),
        _ => format!("p95 {}, ", words::number(*p95)),
    };
    (words::quantity(*p50, unit), format!("{around}n\u{a0}{}", grouped(*n as u64)))
}

/// The chart of one field of the output.
pub(super) fn of_field(results: &Results, field: &str, labels: &Labels<'_>) -> String {
    let chart = Chart { results, labels, title: &words::cut(field, 60), unit: words::unit_of(field), all: false };
    chart.html(&|execution| execution.reading(field))
}

/// The chart of how long executions took.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of a job are far below 2^53")]
pub(super) fn of_time(results: &Results, labels: &Labels<'_>) -> String {
    let chart = Chart { results, labels, title: "duration of an execution", unit: "ms", all: true };
    chart.html(&|execution| Some(execution.duration_ms as f64))
}

struct Chart<'a> {
    results: &'a Results,
    labels: &'a Labels<'a>,
    title: &'a str,
    unit: &'a str,
    /// Whether boxes are of all executions, or of those that agree.
    all: bool,
}

/// One execution's reading.
struct Reading<'a> {
    value: f64,
    execution: &'a ExecutionRow,
    standing: Standing,
}

impl Reading<'_> {
    fn mark(&self, unit: &str) -> Mark {
        let says = format!("{}: {}, {}", words::tail(&self.execution.node), words::quantity(self.value, unit), self.standing.word());
        Mark::Dot { value: self.value, dot: self.standing.dot(), says }
    }
}

impl Chart<'_> {
    fn html(&self, value: &dyn Fn(&ExecutionRow) -> Option<f64>) -> String {
        let read = |row: &Row| !readings(row, value).is_empty();
        let rows: Vec<&Row> = self.results.rows.iter().filter(|row| read(row)).collect();
        if rows.is_empty() {
            return format!("<p class=\"soft\">No readings of {}.</p>", escape(self.title));
        }
        let drawn: Vec<Drawn> = rows.iter().take(ROWS_MAX).map(|row| self.row(row, value)).collect();
        let of = if self.all { "of all executions" } else { "of the stations that agree, or of all that count where nothing was decided" };
        let left = if rows.len() > ROWS_MAX {
            format!(" Drawn are the first {ROWS_MAX} of {} jobs; the table has them all.", grouped(rows.len() as u64))
        } else {
            String::new()
        };
        let many = if rows.iter().take(ROWS_MAX).any(|row| readings(row, value).len() > DOTS_MAX) {
            format!(" Of more than {DOTS_MAX} readings only those that differ from the verdict or lie beyond the whiskers are dots.")
        } else {
            String::new()
        };
        let unit = if self.unit.is_empty() { String::new() } else { format!("In {}. ", self.unit) };
        let note = format!("{unit}Median, range and n are {of}.{many}{left}");
        Rows { title: self.title, note: &note, legend: legend(&drawn), counts: false, rows: drawn }.html()
    }

    fn row(&self, row: &Row, value: &dyn Fn(&ExecutionRow) -> Option<f64>) -> Drawn {
        let readings = readings(row, value);
        let counted: Vec<f64> = readings.iter().filter(|reading| self.all || row.reads(reading.execution)).map(|reading| reading.value).collect();
        let differ = readings.iter().filter(|reading| reading.standing == Standing::Differs).count();
        let mut marks = Vec::new();
        let mut dots: Vec<&Reading<'_>> = readings.iter().collect();
        if let Some(spread) = Spread::of(counted.clone()) {
            let Spread { low, q1, median, q3, high } = spread;
            marks.push(if counted.len() < BOX_LEAST { Mark::Median(median) } else { Mark::Box { low, q1, median, q3, high } });
            if readings.len() > DOTS_MAX {
                let far = |reading: &Reading<'_>| (reading.value - median).abs();
                dots.retain(|reading| reading.standing == Standing::Differs || reading.value < low || reading.value > high);
                dots.sort_by(|one, other| {
                    (one.standing != Standing::Differs).cmp(&(other.standing != Standing::Differs)).then(far(other).total_cmp(&far(one)))
                });
                dots.truncate(DOTS_MAX);
            }
        }
        // Hollow dots lie on top: they are fewer.
        dots.sort_by_key(|reading| reading.standing.dot() == Dot::Differs);
        marks.extend(dots.iter().map(|reading| reading.mark(self.unit)));
        let figure = Quantiles::of(counted).map(|quantiles| figures(&quantiles, self.unit)).unwrap_or_default();
        let apart =
            if differ > 0 && !self.all { format!(", {} not in it", words::counted(differ, "that differs", "that differ")) } else { String::new() };
        let says = if figure.0.is_empty() { "no reading counts".to_owned() } else { format!("median {}: {}", figure.0, figure.1) };
        let says = format!("{says}{apart}");
        Drawn { label: self.labels.row(row), figure, says, marks }
    }
}

/// What was read of `row`, execution by execution.
fn readings<'r>(row: &'r Row, value: &dyn Fn(&ExecutionRow) -> Option<f64>) -> Vec<Reading<'r>> {
    let readings = row.executions.iter().filter_map(|execution| {
        let value = value(execution).filter(|value| value.is_finite())?;
        Some(Reading { value, execution, standing: standing(execution) })
    });
    readings.collect()
}

fn legend(rows: &[Drawn]) -> Vec<Key<'static>> {
    let has = |is: &dyn Fn(&Mark) -> bool| rows.iter().flat_map(|row| &row.marks).any(is);
    let mut keys = Vec::new();
    for (dot, words) in [
        (Dot::Agrees, "a station that agrees with the verdict"),
        (Dot::Differs, "one that differs from it"),
        (Dot::Open, "one where nothing was decided"),
        (Dot::Uncounted, "one that does not count"),
    ] {
        if has(&|mark| matches!(mark, Mark::Dot { dot: drawn, .. } if *drawn == dot)) {
            keys.push(Key::Dot(dot, words));
        }
    }
    if has(&|mark| matches!(mark, Mark::Median(_))) {
        keys.push(Key::Median("median"));
    }
    if has(&|mark| matches!(mark, Mark::Box { .. })) {
        keys.push(Key::Box("quartiles and median; whiskers to the last reading within 1.5 times the box"));
    }
    keys
}
