//! [`Lines`]: curves over one axis, with spans of time behind them.
//!
//! Guarantees: curves alone are stretched to the width there is, and their strokes are not; a curve of stairs rises at its first value.
//! Deliberately lacks a second axis: two scales in one picture can say anything.

use std::fmt::Write as _;

use super::super::escape;
use super::{Axis, Key, SERIES, figure};

/// What curves are measured in: far finer than a screen.
const GRAIN: f64 = 1_000.0;

/// One curve.
#[derive(Clone, Debug)]
pub struct Curve<'a> {
    pub label: &'a str,
    pub points: Vec<(f64, f64)>,
    /// Drawn as stairs: the value holds until the next point.
    pub steps: bool,
}

/// A stretch of the axis below.
#[derive(Clone, Debug)]
pub struct Span<'a> {
    pub from: f64,
    pub until: f64,
    pub kind: SpanKind,
    /// Its tooltip.
    pub says: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    Warm,
    Fault,
}

/// Curves in one drawing.
#[derive(Clone, Debug)]
pub struct Lines<'a> {
    pub title: &'a str,
    pub note: &'a str,
    /// What the upright axis shows.
    pub y_name: &'a str,
    pub x_unit: &'a str,
    /// Where the axis below ends in any case; at a round number, where nothing is said.
    pub x_ends: Option<f64>,
    /// The upright axis reaches to it in any case.
    pub y_least: f64,
    pub height_px: u32,
    pub curves: Vec<Curve<'a>>,
    pub spans: Vec<Span<'a>>,
    /// The drawing in a sentence, for those who hear it.
    pub says: String,
}

impl Lines<'_> {
    /// The figure.
    #[must_use]
    pub fn html(&self) -> String {
        let points = || self.curves.iter().flat_map(|curve| &curve.points).filter(|(x, y)| x.is_finite() && y.is_finite());
        let x = Axis::of(points().map(|(x, _)| *x).chain(self.x_ends));
        let x = self.x_ends.map_or(x, |end| x.until(end));
        let y = Axis::of(points().map(|(_, y)| *y).chain([self.y_least]));
        let mut svg = format!(
            "<svg class=\"lines\" role=\"img\" style=\"height:{}px\"><title>{}</title><desc>{}</desc>",
            self.height_px,
            escape(self.title),
            escape(&self.says)
        );
        for span in &self.spans {
            svg.push_str(&span.svg(&x));
        }
        svg.push_str(&y.lines(false));
        let mut longest = 1;
        for (value, at) in y.ticks() {
            let text = y.tick(value);
            longest = longest.max(text.chars().count());
            let _ = write!(svg, "<text x=\"-8\" y=\"{:.2}%\" dy=\"4\" text-anchor=\"end\">{text}</text>", 100.0 - at);
        }
        let _ = write!(svg, "<svg viewBox=\"0 0 {GRAIN} {GRAIN}\" preserveAspectRatio=\"none\" width=\"100%\" height=\"100%\">");
        for (index, curve) in self.curves.iter().enumerate() {
            let _ = write!(svg, "<path class=\"s{}\" vector-effect=\"non-scaling-stroke\" d=\"{}\"/>", index % SERIES, curve.path(&x, &y));
        }
        svg.push_str("</svg>");
        svg.push_str(&x.below("100%", self.x_unit));
        // Seven pixels are the width of a digit at this size, and a little more.
        let body = format!(
            "<div class=\"yname\">{}</div><div class=\"plot\" style=\"padding-left:{}px\">{svg}</svg></div>",
            escape(self.y_name),
            longest * 7 + 12
        );
        figure(self.title, self.note, &self.legend(), &body)
    }

    /// What a reader cannot know without: one curve is what the caption says.
    fn legend(&self) -> Vec<Key<'_>> {
        let mut keys: Vec<Key<'_>> = Vec::new();
        if self.curves.len() > 1 {
            keys.extend(self.curves.iter().enumerate().map(|(index, curve)| Key::Line(index, curve.label)));
        }
        keys
    }
}

impl Span<'_> {
    fn svg(&self, axis: &Axis) -> String {
        let (from, until) = (axis.at(self.from), axis.at(self.until));
        let class = match self.kind {
            SpanKind::Warm => "warm",
            SpanKind::Fault => "fault",
        };
        let mut svg = format!(
            "<rect class=\"{class}\" x=\"{from:.2}%\" y=\"0\" width=\"{:.2}%\" height=\"100%\"><title>{}</title></rect>",
            (until - from).max(0.0),
            escape(self.says)
        );
        if self.kind == SpanKind::Fault {
            let _ = write!(svg, "<line class=\"faultline\" x1=\"{from:.2}%\" x2=\"{from:.2}%\" y1=\"0\" y2=\"100%\"/>");
        }
        svg
    }
}

impl Curve<'_> {
    fn path(&self, x_axis: &Axis, y_axis: &Axis) -> String {
        let mut path = String::new();
        for (x, y) in self.points.iter().filter(|(x, y)| x.is_finite() && y.is_finite()) {
            let (x, y) = (x_axis.at(*x) * GRAIN / 100.0, (100.0 - y_axis.at(*y)) * GRAIN / 100.0);
            let _ = match (path.is_empty(), self.steps) {
                // A distribution rises from nothing at its first value.
                (true, true) => write!(path, "M{x:.1} {:.1}V{y:.1}", (100.0 - y_axis.at(0.0)) * GRAIN / 100.0),
                (true, false) => write!(path, "M{x:.1} {y:.1}"),
                (false, true) => write!(path, "H{x:.1}V{y:.1}"),
                (false, false) => write!(path, "L{x:.1} {y:.1}"),
            };
        }
        path
    }
}
