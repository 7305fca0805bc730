//! Pages that stand alone: one HTML file with its tables and charts, for the station's results and the simulator's reports.
//!
//! Guarantees: no script and no external reference; all text is escaped; the same figures give the same bytes. Text has its size in
//! pixels at every width, because charts are laid out by percent and never scaled. Words have a contrast of 4.5 at least, in light and
//! dark. A table that has no room becomes a card per row, on a phone and on paper. Deliberately lacks interaction: a page must look the
//! same in ten years.

use std::fmt::Write as _;

use crate::printable::Line;

pub mod chart;
mod palette;
mod style;
mod table;
#[cfg(test)]
mod tests;
pub mod words;

pub use table::{Cell, Column, Table};
pub use words::{grouped, number};

/// A page that is being written.
#[derive(Clone, Debug)]
pub struct Page(String);

impl Page {
    /// Head, styles and the first heading.
    #[must_use]
    pub fn new(title: &str) -> Self {
        let title = escape(title);
        Self(format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <title>{title}</title><style>{}</style></head><body><main><h1>{title}</h1>",
            style::sheet()
        ))
    }

    /// HTML as it is: whatever strangers wrote in it is escaped by now.
    pub fn push(&mut self, html: &str) {
        self.0.push_str(html);
    }

    /// A heading of the second level.
    pub fn section(&mut self, title: &str) {
        let _ = write!(self.0, "<h2>{}</h2>", escape(title));
    }

    /// A paragraph of HTML.
    pub fn paragraph(&mut self, html: &str) {
        let _ = write!(self.0, "<p>{html}</p>");
    }

    /// Figures at a glance: each a value and what it is.
    pub fn facts(&mut self, facts: &[(String, &str)]) {
        self.0.push_str("<div class=\"facts\">");
        for (value, label) in facts {
            let _ = write!(self.0, "<div class=\"fact\"><b>{}</b>{}</div>", escape(value), escape(label));
        }
        self.0.push_str("</div>");
    }

    /// A table in a box that scrolls, and takes the keyboard, where even cards are too wide.
    pub fn table(&mut self, table: &Table) {
        self.0.push_str(&table.html());
    }

    /// Charts beside each other where there is room.
    pub fn charts(&mut self, figures: &[String]) {
        if !figures.is_empty() {
            let _ = write!(self.0, "<div class=\"pair\">{}</div>", figures.concat());
        }
    }

    /// The whole page.
    #[must_use]
    pub fn finish(self) -> String {
        self.0 + "</main></body></html>\n"
    }
}

/// A time in RFC 3339 that breaks between its day and its hour, and there only where a line has no room for both.
#[must_use]
pub fn time(rfc3339: &str) -> String {
    let at = rfc3339.find('T').map_or(0, |at| at + 1);
    let (day, hour) = rfc3339.split_at(at);
    format!("<time class=\"at\"><span>{}</span><span>{}</span></time>", escape(day), escape(hour))
}

/// Text as HTML text or attribute value. What moves a cursor, ends a line or turns writing round is shown as an escape.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in Line(text).to_string().chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}
