//! [`Table`]: rows under named columns, which become cards where there is no room.
//!
//! Guarantees: caption, head and scopes, said in roles too, because cards would lose them; each cell carries its column's name for the
//! card; the first cell names its row. Deliberately lacks columns that vanish: on paper everything is there.

use std::fmt::Write as _;

use super::escape;

/// The head of a column.
#[derive(Clone, Debug)]
pub struct Column {
    name: String,
    is_numeric: bool,
    is_whole: bool,
    /// Percent of the width; what is needed, where there is none.
    share: Option<u32>,
}

impl Column {
    /// Of text, on the left.
    #[must_use]
    pub fn words(name: &str) -> Self {
        Self { name: escape(name), is_numeric: false, is_whole: is_whole(name), share: None }
    }

    /// Of numbers, on the right.
    #[must_use]
    pub fn number(name: &str) -> Self {
        Self { is_numeric: true, ..Self::words(name) }
    }

    /// The same with so many percent of the width.
    #[must_use]
    pub fn share(self, percent: u32) -> Self {
        Self { share: Some(percent), ..self }
    }
}

/// What stands in one cell.
#[derive(Clone, Debug)]
pub struct Cell {
    html: String,
    class: &'static str,
    tint: f64,
    is_whole: bool,
}

impl Cell {
    /// HTML whose strangers' parts are escaped by now.
    #[must_use]
    pub fn html(html: String) -> Self {
        Self { html, class: "", tint: 0.0, is_whole: false }
    }

    /// Any text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self { is_whole: is_whole(text), ..Self::html(escape(text)) }
    }

    /// Text in a fixed pitch.
    #[must_use]
    pub fn code(text: &str) -> Self {
        Self::html(format!("<code>{}</code>", escape(text)))
    }

    /// The same in a class of the style sheet: `good`, `mixed`, `bad`, `accent`, `soft` or `uncounted`.
    #[must_use]
    pub fn classed(self, class: &'static str) -> Self {
        Self { class, ..self }
    }

    /// The same on a green ground for a share from 0 to 1.
    #[must_use]
    pub fn tinted(self, share: f64) -> Self {
        Self { tint: share.clamp(0.0, 1.0), ..self }
    }
}

/// A table that is being written.
#[derive(Clone, Debug)]
pub struct Table {
    caption: String,
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

/// Words longer than this may break anywhere; shorter ones stay whole.
const WORD_MAX: usize = 24;

fn is_whole(text: &str) -> bool {
    text.split_whitespace().all(|word| word.chars().count() <= WORD_MAX)
}

/// Up to so many columns fit a sheet of paper; more are cards there.
const FIT_PAPER: usize = 8;
/// Up to so many fit a window of 1,280 pixels.
const FIT_WINDOW: usize = 12;

impl Table {
    #[must_use]
    pub fn new(caption: &str, columns: Vec<Column>) -> Self {
        Self { caption: escape(caption), columns, rows: Vec::new() }
    }

    /// One more row; its first cell names it.
    pub fn row(&mut self, cells: Vec<Cell>) {
        assert_eq!(cells.len(), self.columns.len(), "a row has a cell per column");
        self.rows.push(cells);
    }

    pub(super) fn html(&self) -> String {
        let width = match self.columns.len() {
            count if count <= FIT_PAPER => "narrow",
            count if count <= FIT_WINDOW => "wide",
            _ => "vast",
        };
        let caption = &self.caption;
        let mut html = format!(
            "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"{caption}\"><table class=\"{width}\" role=\"table\">\
             <caption>{caption}</caption><thead role=\"rowgroup\"><tr role=\"row\">"
        );
        for Column { name, is_numeric, is_whole, share } in &self.columns {
            let class = class_of(&[(*is_numeric, "n"), (*is_whole, "whole")]);
            let share = share.map(|percent| format!(" style=\"width:{percent}%\"")).unwrap_or_default();
            let _ = write!(html, "<th scope=\"col\" role=\"columnheader\"{class}{share}><div>{name}</div></th>");
        }
        html.push_str("</tr></thead><tbody role=\"rowgroup\">");
        for row in &self.rows {
            html.push_str("<tr role=\"row\">");
            for (at, (cell, column)) in row.iter().zip(&self.columns).enumerate() {
                html.push_str(&one(cell, column, at == 0));
            }
            html.push_str("</tr>");
        }
        html + "</tbody></table></div>"
    }
}

fn one(cell: &Cell, column: &Column, names_row: bool) -> String {
    let (tag, role) = if names_row { ("th scope=\"row\"", "rowheader") } else { ("td", "cell") };
    let class = class_of(&[(column.is_numeric, "n"), (cell.is_whole, "whole"), (!cell.class.is_empty(), cell.class)]);
    let style = if cell.tint > 0.0 {
        let percent = cell.tint * super::palette::TINT_MAX;
        format!(" style=\"background:color-mix(in srgb,var(--good) {percent:.0}%,var(--card))\"")
    } else {
        String::new()
    };
    let end = &tag[..2];
    format!("<{tag} role=\"{role}\"{class}{style} data-of=\"{}\"><div>{}</div></{end}>", column.name, cell.html)
}

/// The attribute of those that hold.
fn class_of(classes: &[(bool, &str)]) -> String {
    let held: Vec<&str> = classes.iter().filter(|(holds, _)| *holds).map(|(_, class)| *class).collect();
    if held.is_empty() { String::new() } else { format!(" class=\"{}\"", held.join(" ")) }
}
