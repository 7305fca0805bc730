//! [`Rows`]: one line per thing, all on one axis: readings as dots and boxes, bars, means with intervals.
//!
//! Guarantees: the column of labels is as wide as the labels need, up to two fifths; narrow screens put a label above its drawing.
//! Deliberately lacks an order of its own: rows stand as they are given.

use std::fmt::Write as _;

use super::super::{escape, words};
use super::{Axis, Key, SERIES, figure};

/// Longest part of a label; more of it is in its tooltip.
const LABEL_MAX: usize = 40;

/// What stands before a row: keys with their values; an empty key is not shown.
pub type Label = Vec<(String, String)>;

/// Rows of marks.
#[derive(Clone, Debug)]
pub struct Rows<'a> {
    pub title: &'a str,
    pub note: &'a str,
    pub legend: Vec<Key<'a>>,
    /// Whether values are counts, which have no halves.
    pub counts: bool,
    pub rows: Vec<Row>,
}

#[derive(Clone, Debug, Default)]
pub struct Row {
    pub label: Label,
    /// The row's figures, as text and in fewer words: what counts, then what belongs to it.
    pub figure: (String, String),
    /// The row in a sentence, for those who hear it.
    pub says: String,
    pub marks: Vec<Mark>,
}

/// How a dot stands to what was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dot {
    Agrees,
    Differs,
    /// Nothing was decided.
    Open,
    /// It does not count.
    Uncounted,
}

impl Dot {
    fn class(self) -> &'static str {
        match self {
            Self::Agrees => "agrees",
            Self::Differs => "differs",
            Self::Open => "open",
            Self::Uncounted => "uncounted",
        }
    }

    /// The dot in the middle between two places, one of them across; what does not count has corners. `inside` is its title.
    pub(super) fn svg(self, x: &str, y: &str, inside: &str) -> String {
        let class = self.class();
        match self {
            Self::Uncounted => {
                format!("<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"7\" height=\"7\" transform=\"translate(-3.5,-3.5)\">{inside}</rect>")
            }
            _ => format!("<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"4\">{inside}</circle>"),
        }
    }
}

#[derive(Clone, Debug)]
pub enum Mark {
    /// One reading; `says` is its tooltip.
    Dot {
        value: f64,
        dot: Dot,
        says: String,
    },
    Median(f64),
    /// Whiskers' ends, quartiles and median.
    Box {
        low: f64,
        q1: f64,
        median: f64,
        q3: f64,
        high: f64,
    },
    /// Of `lanes` bars in this row the one numbered `lane`.
    Bar {
        from: f64,
        until: f64,
        series: usize,
        lane: u32,
        lanes: u32,
    },
    /// A mean with half of its interval, where it has one.
    Mean {
        value: f64,
        half: Option<f64>,
        series: usize,
    },
}

impl Mark {
    fn values(&self) -> [f64; 2] {
        match self {
            Self::Dot { value, .. } | Self::Median(value) => [*value, *value],
            Self::Box { low, high, .. } => [*low, *high],
            Self::Bar { from, until, .. } => [*from, *until],
            Self::Mean { value, half, .. } => [value - half.unwrap_or(0.0), value + half.unwrap_or(0.0)],
        }
    }

    fn svg(&self, axis: &Axis) -> String {
        if self.values().into_iter().any(|value| !value.is_finite()) {
            return String::new();
        }
        let at = |value: f64| axis.at(value);
        let span = |from: f64, until: f64| (at(until) - at(from)).max(0.0);
        match self {
            Self::Dot { value, dot, says } => dot.svg(&format!("{:.2}%", at(*value)), "50%", &format!("<title>{}</title>", escape(says))),
            Self::Median(value) => upright("median", at(*value), 9),
            Self::Box { low, q1, median, q3, high } => {
                format!(
                    "<line class=\"whisker\" x1=\"{:.2}%\" x2=\"{:.2}%\" y1=\"50%\" y2=\"50%\"/>{}{}<rect class=\"box\" x=\"{:.2}%\" y=\"50%\" width=\"{:.2}%\" height=\"14\" transform=\"translate(0,-7)\"/>{}",
                    at(*low),
                    at(*high),
                    upright("end", at(*low), 5),
                    upright("end", at(*high), 5),
                    at(*q1),
                    span(*q1, *q3),
                    upright("median", at(*median), 7),
                )
            }
            Self::Bar { from, until, series, lane, lanes } => format!(
                "<rect class=\"f{}\" x=\"{:.2}%\" y=\"{:.2}%\" width=\"{:.2}%\" height=\"10\" rx=\"2\" transform=\"translate(0,-5)\"/>",
                series % SERIES,
                at(*from),
                (f64::from(*lane) + 0.5) * 100.0 / f64::from((*lanes).max(1)),
                span(*from, *until),
            ),
            Self::Mean { value, half, series } => {
                let mut svg = String::new();
                // An interval that its dot would cover is in the figures alone.
                if let Some(half) = half.filter(|half| span(value - half, value + half) > 1.0) {
                    let (low, high) = (at(value - half), at(value + half));
                    let _ = write!(svg, "<line class=\"whisker\" x1=\"{low:.2}%\" x2=\"{high:.2}%\" y1=\"50%\" y2=\"50%\"/>");
                    svg.push_str(&upright("end", low, 5));
                    svg.push_str(&upright("end", high, 5));
                }
                svg + &format!("<circle class=\"f{}\" cx=\"{:.2}%\" cy=\"50%\" r=\"5\"/>", series % SERIES, at(*value))
            }
        }
    }
}

/// A stroke across the middle of its row, so many pixels up and down. Places are percents and sizes are pixels: a rectangle can have both.
fn upright(class: &str, at: f64, half: u32) -> String {
    format!("<rect class=\"{class}\" x=\"{at:.2}%\" y=\"50%\" width=\"3\" height=\"{}\" transform=\"translate(-1.5,-{half})\"/>", half * 2)
}

impl Rows<'_> {
    /// The figure; nothing of no rows.
    #[must_use]
    pub fn html(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let axis = Axis::of(self.rows.iter().flat_map(|row| &row.marks).flat_map(Mark::values));
        let axis = if self.counts { axis.whole() } else { axis };
        let mut body = "<div class=\"rows\" role=\"list\">".to_owned();
        for row in &self.rows {
            let name: Vec<String> = row.label.iter().map(|(key, value)| words::cut(format!("{key} {value}").trim(), words::TOOLTIP_MAX)).collect();
            let (figure, rest) = &row.figure;
            let rest = if rest.is_empty() { String::new() } else { format!(" <span class=\"soft\">{}</span>", escape(rest)) };
            let lanes = row.marks.iter().map(|mark| if let Mark::Bar { lanes, .. } = mark { *lanes } else { 1 }).max().unwrap_or(1);
            let height = if lanes > 1 { format!(" style=\"min-height:{}px\"", lanes * 14 + 6) } else { String::new() };
            let _ = write!(
                body,
                "<div class=\"row\" role=\"listitem\"><div class=\"label\">{}</div><div class=\"track\"{height}><svg role=\"img\"><title>{}</title><desc>{}</desc>{}{}</svg></div>\
                 <div class=\"figure\"><span>{}</span>{rest}</div></div>",
                label(&row.label),
                escape(&name.join(", ")),
                escape(&row.says),
                axis.lines(true),
                row.marks.iter().map(|mark| mark.svg(&axis)).collect::<String>(),
                escape(figure),
            );
        }
        let _ = write!(
            body,
            "<div class=\"row\" aria-hidden=\"true\"><div class=\"label\"></div><div class=\"ticks\"><svg>{}</svg></div><div class=\"figure\"></div></div></div>",
            axis.below("0", "")
        );
        figure(self.title, self.note, &self.legend, &body)
    }
}

fn label(parts: &Label) -> String {
    let mut html = String::new();
    for (key, value) in parts {
        let (key, shown) = (words::cut(key, LABEL_MAX), words::cut(value, LABEL_MAX));
        let tooltip = if shown == *value { String::new() } else { format!(" title=\"{}\"", escape(&words::cut(value, words::TOOLTIP_MAX))) };
        let key = if key.is_empty() { String::new() } else { format!("<span class=\"key\">{}</span> ", escape(&key)) };
        let _ = write!(html, "<span{tooltip}>{key}{}</span>", escape(&shown));
    }
    html
}
