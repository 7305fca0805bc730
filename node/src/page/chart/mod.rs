//! Charts as HTML with inline SVG, for the station and the simulator.
//!
//! Guarantees: axes have round ticks, end at one unless they are a run's time, and begin at zero or below; labels are escaped; places are percents and text is pixels, so
//! that a narrow screen lays a chart out again; a value that is not finite draws nothing; each drawing has a title and a description.
//! Deliberately lacks logarithmic axes: they hide the tails that the charts are for.

use std::fmt::Write as _;

use super::{escape, number};

mod lines;
mod rows;

pub use lines::{Curve, Lines, Span, SpanKind};
pub use rows::{Dot, Label, Mark, Row, Rows};

/// Colours there are; further curves begin again.
pub const SERIES: usize = 6;

/// One entry of a legend: how it looks, and what it is.
#[derive(Clone, Debug)]
pub enum Key<'a> {
    Line(usize, &'a str),
    Bar(usize, &'a str),
    Dot(Dot, &'a str),
    /// From the lower to the upper quartile, with median and whiskers.
    Box(&'a str),
    Median(&'a str),
    Fault(&'a str),
    Warm(&'a str),
}

impl Key<'_> {
    fn html(&self) -> String {
        let (drawn, label) = match self {
            Self::Line(series, label) => {
                (format!("<line class=\"s{}\" x1=\"0\" x2=\"26\" y1=\"7\" y2=\"7\" stroke-width=\"2.5\"/>", series % SERIES), label)
            }
            Self::Bar(series, label) => {
                (format!("<rect class=\"f{}\" x=\"6\" y=\"1\" width=\"14\" height=\"12\" rx=\"2\"/>", series % SERIES), label)
            }
            Self::Dot(dot, label) => (dot.svg("13", "7", ""), label),
            Self::Box(label) => (
                "<line class=\"whisker\" x1=\"0\" x2=\"26\" y1=\"7\" y2=\"7\"/><rect class=\"box\" x=\"6\" y=\"1\" width=\"14\" height=\"12\"/>\
                 <rect class=\"median\" x=\"12\" y=\"1\" width=\"3\" height=\"12\"/>"
                    .to_owned(),
                label,
            ),
            Self::Median(label) => ("<rect class=\"median\" x=\"12\" width=\"3\" height=\"14\"/>".to_owned(), label),
            Self::Fault(label) => ("<rect class=\"fault\" width=\"26\" height=\"14\"/>".to_owned(), label),
            Self::Warm(label) => ("<rect class=\"warm\" width=\"26\" height=\"14\"/>".to_owned(), label),
        };
        format!("<li><svg width=\"26\" height=\"14\" aria-hidden=\"true\">{drawn}</svg>{}</li>", escape(label))
    }
}

/// A drawing with its caption and legend.
fn figure(title: &str, note: &str, legend: &[Key<'_>], body: &str) -> String {
    let mut html = format!("<figure class=\"chart\"><figcaption><b>{}</b>{}</figcaption>", escape(title), escape(note));
    if !legend.is_empty() {
        let _ = write!(html, "<ul class=\"legend\">{}</ul>", legend.iter().map(Key::html).collect::<String>());
    }
    html + body + "</figure>"
}

/// A linear axis over all values and zero, with round ticks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Axis {
    low: f64,
    high: f64,
    step: f64,
    steps: u32,
}

/// Beyond, differences of two values would not be finite.
const VALUE_MAX: f64 = 1e300;
/// Below, all values are as good as zero.
const RANGE_MIN: f64 = 1e-300;

impl Axis {
    #[must_use]
    pub fn of(values: impl Iterator<Item = f64>) -> Self {
        let finite = values.filter(|value| value.is_finite()).map(|value| value.clamp(-VALUE_MAX, VALUE_MAX));
        let (low, mut high) = finite.fold((0.0_f64, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        if high - low < RANGE_MIN {
            high = 1.0;
        }
        let rough = (high - low) / 4.0;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= rough * (1.0 - 1e-9)).unwrap_or(rough);
        let (first, last) = ((low / step + 1e-9).floor(), (high / step - 1e-9).ceil());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a handful of steps")]
        let steps = (last - first).max(1.0) as u32;
        let low = first * step;
        Self { low, high: low + step * f64::from(steps), step, steps }
    }

    /// The same for counts: no tick between two whole numbers.
    #[must_use]
    pub fn whole(self) -> Self {
        if self.step.fract() == 0.0 {
            return self;
        }
        let step = self.step.max(1.0).ceil();
        let low = (self.low / step).floor() * step;
        let steps = ((self.high - low) / step).ceil().max(1.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "fewer than there were")]
        Self { low, high: low + step * steps, step, steps: steps as u32 }
    }

    /// The same ended at `high`, which need not be round: a run's time ends where the run does.
    #[must_use]
    pub fn until(self, high: f64) -> Self {
        if high <= self.low || high >= self.high {
            return self;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "fewer than there were")]
        let steps = ((high - self.low) / self.step + 1e-9).floor() as u32;
        Self { high, steps, ..self }
    }

    /// Where a value stands, from 0 to 100; one outside stands at the end.
    #[must_use]
    pub fn at(&self, value: f64) -> f64 {
        ((value - self.low) / (self.high - self.low) * 100.0).clamp(0.0, 100.0)
    }

    /// The round values with their places.
    #[must_use]
    pub fn ticks(&self) -> Vec<(f64, f64)> {
        (0..=self.steps).map(|n| self.low + self.step * f64::from(n)).map(|value| (value, self.at(value))).collect()
    }

    /// A tick's number; millions and more in short, since ticks stand beside each other.
    fn tick(&self, value: f64) -> String {
        let size = self.low.abs().max(self.high.abs());
        let short = [(1e12, "T"), (1e9, "G"), (1e6, "M")].into_iter().find(|(scale, _)| size >= *scale && size < 1e15);
        match short {
            Some((scale, letter)) if value != 0.0 => format!("{} {letter}", number(value / scale)),
            _ => number(value),
        }
    }

    /// Lines across at each tick; zero stands out where the axis goes below it.
    fn lines(&self, is_upright: bool) -> String {
        let ticks = self.ticks().into_iter().map(|(value, at)| {
            let class = if self.low < 0.0 && value.abs() < self.step / 2.0 { "zero" } else { "axis" };
            if is_upright {
                format!("<line class=\"{class}\" x1=\"{at:.2}%\" x2=\"{at:.2}%\" y1=\"0\" y2=\"100%\"/>")
            } else {
                let at = 100.0 - at;
                format!("<line class=\"{class}\" x1=\"0\" x2=\"100%\" y1=\"{at:.2}%\" y2=\"{at:.2}%\"/>")
            }
        });
        ticks.collect()
    }

    /// Ticks below a drawing, the last with the unit; `y` is the place of the text. Narrow drawings leave every other one out.
    fn below(&self, y: &str, unit: &str) -> String {
        let mut html = String::new();
        for (n, (value, at)) in (0..=self.steps).zip(self.ticks()) {
            let anchor = if n == 0 {
                "start"
            } else if n == self.steps {
                "end"
            } else {
                "middle"
            };
            let class = if self.steps > 3 && (self.steps - n) % 2 == 1 { " class=\"every-other\"" } else { "" };
            let unit = if n == self.steps && !unit.is_empty() { format!(" {}", escape(unit)) } else { String::new() };
            let _ = write!(html, "<text{class} x=\"{at:.2}%\" y=\"{y}\" dy=\"16\" text-anchor=\"{anchor}\">{}{unit}</text>", self.tick(value));
        }
        html
    }
}
