//! Charts as inline SVG.
//!
//! Guarantees: labels are escaped; values that are not finite draw nothing. Deliberately lacks logarithmic axes: they hide the tails
//! that the charts are for.

use std::fmt::Write as _;

use station_node::results::html::escape;

use crate::metrics::{Metrics, Series};

const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 36.0;
/// Colours there are; further curves begin again.
const COLOURS: usize = 6;

pub(super) struct Curve<'a> {
    pub(super) label: &'a str,
    pub(super) points: Vec<(f64, f64)>,
    /// Drawn as stairs: the value holds until the next point.
    pub(super) steps: bool,
}

pub(super) struct Bar {
    pub(super) label: String,
    pub(super) values: Vec<f64>,
}

/// Three digits that count.
pub(super) fn number(value: f64) -> String {
    let text = match value.abs() {
        size if size >= 100.0 || size == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A round number at least as large, so that axes end at one.
fn nice(max: f64) -> f64 {
    if max <= 0.0 || !max.is_finite() {
        return 1.0;
    }
    let power = 10_f64.powf(max.log10().floor());
    [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0].iter().map(|step| step * power).find(|nice| *nice >= max * (1.0 - 1e-9)).unwrap_or(max)
}

fn frame(svg: &mut String, (x_max, y_max): (f64, f64), (width, height): (f64, f64), x_unit: &str) {
    for step in 0..=4 {
        let part = f64::from(step) / 4.0;
        let (x, y) = (LEFT + part * (width - LEFT - RIGHT), height - BOTTOM - part * (height - TOP - BOTTOM));
        let _ = write!(
            svg,
            "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <text class=\"soft\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"{}\">{}{}</text>",
            width - RIGHT,
            LEFT - 6.0,
            y + 4.0,
            number(y_max * part),
            height - BOTTOM + 18.0,
            if step == 4 { "end" } else { "middle" },
            number(x_max * part),
            if step == 4 { format!(" {x_unit}") } else { String::new() },
        );
    }
}

fn path(curve: &Curve<'_>, (x_max, y_max): (f64, f64), (width, height): (f64, f64)) -> String {
    let mut path = String::new();
    let mut last = None;
    for (x, y) in curve.points.iter().filter(|(x, y)| x.is_finite() && y.is_finite()) {
        let x = LEFT + x / x_max * (width - LEFT - RIGHT);
        let y = height - BOTTOM - y / y_max * (height - TOP - BOTTOM);
        let _ = match last {
            // A distribution rises from nothing at its first value.
            None if curve.steps => write!(path, "M{x:.1} {:.1}V{y:.1}", height - BOTTOM),
            None => write!(path, "M{x:.1} {y:.1}"),
            Some(_) if curve.steps => write!(path, "H{x:.1}V{y:.1}"),
            Some(_) => write!(path, "L{x:.1} {y:.1}"),
        };
        last = Some(y);
    }
    path
}

fn legend(svg: &mut String, labels: &[&str]) {
    let mut x = LEFT;
    for (index, label) in labels.iter().enumerate() {
        let colour = index % COLOURS;
        let _ = write!(
            svg,
            "<rect class=\"f{colour}\" x=\"{x:.0}\" y=\"10\" width=\"10\" height=\"10\" rx=\"2\"/><text x=\"{:.0}\" y=\"19\">{}</text>",
            x + 15.0,
            escape(label)
        );
        x += 30.0 + 7.0 * f64::from(u32::try_from(label.chars().count()).unwrap_or(0));
    }
}

/// Distributions of milliseconds: share of all on the way up.
pub(super) fn cdf(title: &str, curves: &[Curve<'_>]) -> String {
    let max = nice(curves.iter().flat_map(|curve| &curve.points).map(|(x, _)| *x).filter(|x| x.is_finite()).fold(0.0, f64::max));
    let (scale, unit) = if max >= 10_000.0 { (1_000.0, "s") } else { (1.0, "ms") };
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">", escape(title));
    frame(&mut svg, (max / scale, 1.0), (WIDTH, HEIGHT), unit);
    for (index, curve) in curves.iter().enumerate() {
        let _ = write!(svg, "<path class=\"s{}\" d=\"{}\"/>", index % COLOURS, path(curve, (max, 1.0), (WIDTH, HEIGHT)));
    }
    let labels: Vec<&str> = curves.iter().map(|curve| curve.label).collect();
    legend(&mut svg, &labels);
    svg + "</svg>"
}

/// A series over the run's time, with its faults.
pub(super) fn timeline(series: &Series, metrics: &Metrics) -> String {
    const WIDE: (f64, f64) = (1_200.0, 170.0);
    let seconds = (metrics.virtual_ms as f64 / 1e3).max(1.0);
    let x = |ms: u64| LEFT + (ms as f64 / 1e3 / seconds).min(1.0) * (WIDE.0 - LEFT - RIGHT);
    let max = nice(series.values.iter().copied().filter(|value| value.is_finite()).fold(0.0, f64::max));
    let mut svg =
        format!("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\" style=\"margin-bottom:8px\">", WIDE.0, WIDE.1, escape(&series.name));
    let shade = |svg: &mut String, class: &str, from: f64, until: f64| {
        let _ = write!(
            svg,
            "<rect class=\"{class}\" x=\"{from:.1}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\"/>",
            (until - from).max(0.0),
            WIDE.1 - TOP - BOTTOM
        );
    };
    shade(&mut svg, "warm", LEFT, x(metrics.warmup_ms));
    for fault in &metrics.faults {
        let (from, until) = (x(fault.from_ms), x(fault.until_ms.unwrap_or(metrics.virtual_ms)));
        shade(&mut svg, "fault", from, until);
        let _ = write!(svg, "<line class=\"faultline\" x1=\"{from:.1}\" x2=\"{from:.1}\" y1=\"{TOP}\" y2=\"{:.1}\"/>", WIDE.1 - BOTTOM);
    }
    frame(&mut svg, (seconds, max), WIDE, "s");
    let points = (0_u32..).map(f64::from).zip(series.values.iter().copied()).collect();
    let curve = Curve { label: &series.name, points, steps: false };
    let _ = write!(svg, "<path class=\"s0\" d=\"{}\"/>", path(&curve, (seconds, max), WIDE));
    let unit = if series.unit.is_empty() { String::new() } else { format!(" ({})", series.unit) };
    let _ = write!(svg, "<text x=\"{LEFT}\" y=\"19\">{}</text></svg>", escape(&(series.name.clone() + &unit)));
    svg
}

/// At most `max` characters; of longer ones the end, which is what tells protocols apart.
fn shortened(label: &str, max: usize) -> String {
    let all = label.chars().count();
    if all <= max { label.to_owned() } else { std::iter::once('…').chain(label.chars().skip(all + 1 - max)).collect() }
}

/// Rows of bars.
pub(super) fn bars(title: &str, rows: &[Bar], labels: &[&str]) -> String {
    const LABEL: f64 = 150.0;
    const THICK: f64 = 12.0;
    let max = rows.iter().flat_map(|row| &row.values).copied().filter(|value| value.is_finite()).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let each = THICK * f64::from(u32::try_from(labels.len()).unwrap_or(1)) + 8.0;
    let height = TOP + each * f64::from(u32::try_from(rows.len()).unwrap_or(0)) + 8.0;
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{}\">", escape(title));
    legend(&mut svg, labels);
    let mut y = TOP;
    for row in rows {
        let _ = write!(svg, "<text x=\"12\" y=\"{:.1}\">{}</text>", y + each / 2.0, escape(&shortened(&row.label, 20)));
        for (index, value) in row.values.iter().enumerate() {
            let width = (value / max).clamp(0.0, 1.0) * (WIDTH - LABEL - 70.0);
            let top = y + THICK * f64::from(u32::try_from(index).unwrap_or(0));
            let _ = write!(
                svg,
                "<rect class=\"f{}\" x=\"{LABEL}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{:.1}\" rx=\"2\"/><text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                index % COLOURS,
                THICK - 2.0,
                LABEL + width + 6.0,
                top + 9.5,
                number(*value)
            );
        }
        y += each;
    }
    svg + "</svg>"
}

/// One mean with its interval per arm; arms under each other on one axis from zero.
pub(super) fn intervals(title: &str, arms: &[(&str, f64, Option<f64>)]) -> String {
    const LABEL: f64 = 190.0;
    const LINE: f64 = 28.0;
    let max = nice(arms.iter().map(|(_, mean, half)| mean + half.unwrap_or(0.0)).filter(|value| value.is_finite()).fold(0.0, f64::max));
    let height = 12.0 + LINE * f64::from(u32::try_from(arms.len()).unwrap_or(0)) + 24.0;
    let x = |value: f64| LABEL + (value / max).clamp(0.0, 1.0) * (WIDTH - LABEL - 30.0);
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{}\">", escape(title));
    for step in 0..=4 {
        let value = max * f64::from(step) / 4.0;
        let _ = write!(
            svg,
            "<line class=\"axis\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"8\" y2=\"{1:.0}\"/><text class=\"soft\" x=\"{0:.1}\" y=\"{2:.0}\" text-anchor=\"middle\">{3}</text>",
            x(value),
            height - 24.0,
            height - 8.0,
            number(value)
        );
    }
    let mut y = 12.0 + LINE / 2.0;
    for (index, (label, mean, half)) in arms.iter().enumerate() {
        let label = shortened(label, 26);
        let _ = write!(svg, "<text x=\"12\" y=\"{:.1}\">{}</text>", y + 4.0, escape(&label));
        if let Some(half) = half {
            let (low, high) = (x(mean - half), x(mean + half));
            let _ = write!(svg, "<line class=\"whisker\" x1=\"{low:.1}\" x2=\"{high:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>");
            for end in [low, high] {
                let _ = write!(svg, "<line class=\"whisker\" x1=\"{end:.1}\" x2=\"{end:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>", y - 5.0, y + 5.0);
            }
        }
        let _ = write!(svg, "<circle class=\"f{}\" cx=\"{:.1}\" cy=\"{y:.1}\" r=\"5\"/>", index % COLOURS, x(*mean));
        y += LINE;
    }
    svg + "</svg>"
}
