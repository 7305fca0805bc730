//! CSV as people have it: RFC 4180, or with semicolons or tabs; a first line `sep=;`; rows that end with `\n`, `\r\n` or `\r`; rows of
//! empty cells, which are skipped.
//!
//! The first row names the columns, and says what separates cells: the one of comma, semicolon and tab that stands in it. Double quotes
//! quote, and double to mean themselves. Guarantees: a row that looks like values where names must stand is refused, not taken for names.

use ipld_core::ipld::Ipld;

use crate::jobs::{self, Jobs, JobsError};

use super::{ColumnKind, FileError, LINE_BYTES_MAX, on_line};

const SEPARATORS: [(char, &str); 3] = [(',', "commas"), (';', "semicolons"), ('\t', "tabs")];

/// A file of rows, each cell as text.
#[derive(Clone, Debug)]
pub struct Table {
    pub(super) columns: Vec<Column>,
    pub(super) inputs: jobs::Builder,
}

#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    /// Whether every cell so far is a whole number, and whether every one is a number.
    whole: bool,
    number: bool,
}

impl Column {
    pub(super) fn kind(&self) -> ColumnKind {
        match (self.whole, self.number) {
            (true, _) => ColumnKind::Whole,
            (false, true) => ColumnKind::Decimal,
            (false, false) => ColumnKind::Text,
        }
    }

    fn meet(&mut self, cell: &str) {
        self.whole &= whole(cell).is_some();
        self.number &= decimal(cell).is_some();
    }
}

/// A whole number of 64 bits that is written again as it stands.
fn whole(cell: &str) -> Option<i128> {
    let number: i128 = cell.parse().ok()?;
    ((i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&number) && number.to_string() == cell).then_some(number)
}

/// The same for any number, without exponent.
fn decimal(cell: &str) -> Option<f64> {
    let number: f64 = cell.parse().ok()?;
    // A minus before nothing would be lost on the wire, which has one zero: such a column is text.
    let is_lost = number == 0.0 && number.is_sign_negative();
    (number.is_finite() && !is_lost && cell.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-')) && number.to_string() == cell)
        .then_some(number)
}

impl Table {
    /// The jobs, with numbers where columns are of numbers.
    pub(super) fn into_jobs(self, text: &[String]) -> Result<Jobs, FileError> {
        let Self { columns, inputs } = self;
        if let Some(stranger) = text.iter().find(|name| columns.iter().all(|column| column.name != **name)) {
            return Err(FileError::TextColumn(stranger.clone()));
        }
        let numbers: Vec<Column> = columns.into_iter().filter(|column| column.kind() != ColumnKind::Text && !text.contains(&column.name)).collect();
        if numbers.is_empty() {
            return Ok(inputs.finish()?);
        }
        let change = |input: Ipld| match input {
            Ipld::Map(mut map) => {
                for column in &numbers {
                    let Some(Ipld::String(cell)) = map.get(&column.name) else { continue };
                    let number = match column.kind() {
                        ColumnKind::Whole => whole(cell).map(Ipld::Integer),
                        _ => decimal(cell).map(Ipld::Float),
                    };
                    number.map(|number| map.insert(column.name.clone(), number));
                }
                Ipld::Map(map)
            }
            other => other,
        };
        Ok(inputs.changed(change)?.finish()?)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    CellStart,
    Plain,
    Quoted,
    /// After a quote within quotes: the end of the cell, or half of a quote.
    Quote,
}

/// Reads rows character by character.
#[derive(Debug)]
pub(super) struct Csv {
    /// Known from the first row on.
    separator: Option<char>,
    /// The first row as it stands, while what separates its cells is not known.
    first: String,
    first_is_quoted: bool,
    columns: Option<Vec<Column>>,
    at: At,
    cell: String,
    cells: Vec<String>,
    row_bytes: usize,
    line: usize,
    row_line: usize,
    /// Where the last quote opened.
    quote_line: usize,
    after_return: bool,
    inputs: jobs::Builder,
}

impl Default for Csv {
    fn default() -> Self {
        Self {
            separator: None,
            first: String::new(),
            first_is_quoted: false,
            columns: None,
            at: At::CellStart,
            cell: String::new(),
            cells: Vec::new(),
            row_bytes: 0,
            line: 1,
            row_line: 1,
            quote_line: 1,
            after_return: false,
            inputs: jobs::Builder::default(),
        }
    }
}

impl Csv {
    pub(super) fn push(&mut self, text: &str) -> Result<(), FileError> {
        text.chars().try_for_each(|c| self.character(c))
    }

    pub(super) fn finish(mut self) -> Result<Table, FileError> {
        if self.separator.is_none() {
            self.first_row()?;
        }
        if self.at == At::Quoted {
            return Err(self.unclosed(""));
        }
        if self.at != At::CellStart || !self.cells.is_empty() {
            self.row()?;
        }
        match self.columns {
            Some(columns) if self.inputs.count() > 0 => Ok(Table { columns, inputs: self.inputs }),
            _ => Err(JobsError::Empty.into()),
        }
    }

    fn character(&mut self, c: char) -> Result<(), FileError> {
        self.row_bytes += c.len_utf8();
        if self.row_bytes > LINE_BYTES_MAX {
            let why = format!(", or its row is longer than {LINE_BYTES_MAX} bytes");
            return Err(if self.at == At::Quoted { self.unclosed(&why) } else { self.too_long() });
        }
        match self.separator {
            None => {
                self.first_is_quoted ^= c == '"';
                if matches!(c, '\n' | '\r') && !self.first_is_quoted {
                    if self.first.trim().is_empty() {
                        self.empty_line(c);
                        return Ok(());
                    }
                    self.first_row()?;
                    return self.separated(c);
                }
                self.first.push(c);
                Ok(())
            }
            Some(_) => self.separated(c),
        }
    }

    /// A line before the first row.
    fn empty_line(&mut self, c: char) {
        self.first.clear();
        let is_rest = std::mem::replace(&mut self.after_return, c == '\r') && c == '\n';
        self.line += usize::from(!is_rest);
        (self.row_line, self.row_bytes) = (self.line, 0);
    }

    /// Finds what separates cells, and reads the row that told it, up to its end.
    fn first_row(&mut self) -> Result<(), FileError> {
        let first = std::mem::take(&mut self.first);
        let said = first.strip_prefix("sep=").or_else(|| first.strip_prefix("SEP="));
        if let Some(separator) = said.and_then(|rest| rest.trim_end_matches(' ').chars().next()) {
            self.separator = Some(separator);
            return Ok(());
        }
        let mut is_quoted = false;
        let outside: Vec<char> = first
            .chars()
            .filter(|c| {
                is_quoted ^= *c == '"';
                !is_quoted
            })
            .collect();
        let found: Vec<_> = SEPARATORS.iter().filter(|(separator, _)| outside.contains(separator)).collect();
        self.separator = match found.as_slice() {
            [] => Some(','),
            [(separator, _)] => Some(*separator),
            [(_, one), (_, other), ..] => {
                let reason = format!("the names are separated by {one} and by {other}: write a first line `sep=;` with the one that is meant");
                return Err(self.error(&reason));
            }
        };
        first.chars().try_for_each(|c| self.separated(c))
    }

    fn separated(&mut self, c: char) -> Result<(), FileError> {
        if std::mem::take(&mut self.after_return) && c == '\n' {
            // The row ended with the `\r`.
            self.row_bytes = 0;
            return Ok(());
        }
        let is_separator = self.separator == Some(c);
        match self.at {
            At::CellStart if c == '"' => (self.at, self.quote_line) = (At::Quoted, self.line),
            At::Quoted if c == '"' => self.at = At::Quote,
            At::Quoted => {
                self.line += usize::from(c == '\n');
                self.cell.push(c);
            }
            At::Quote if c == '"' => {
                self.cell.push('"');
                self.at = At::Quoted;
            }
            _ if is_separator => {
                self.cells.push(std::mem::take(&mut self.cell));
                // A row does not end before the cell that comes after a separator.
                self.at = At::CellStart;
            }
            _ if c == '\n' || c == '\r' => {
                self.after_return = c == '\r';
                self.row()?;
            }
            At::Quote => return Err(self.error("text after a closing quote: double the quotes inside a cell")),
            At::CellStart | At::Plain => {
                self.cell.push(c);
                self.at = At::Plain;
            }
        }
        Ok(())
    }

    /// A whole row.
    fn row(&mut self) -> Result<(), FileError> {
        self.cells.push(std::mem::take(&mut self.cell));
        self.at = At::CellStart;
        let mut cells = std::mem::take(&mut self.cells);
        let line = self.row_line;
        self.line += 1;
        (self.row_line, self.row_bytes) = (self.line, 0);
        if cells.iter().all(|cell| cell.trim().is_empty()) {
            return Ok(());
        }
        let Some(columns) = &mut self.columns else {
            // What `sep=` said is no row.
            self.columns = Some(header(line, cells)?);
            return Ok(());
        };
        // Spreadsheets write empty cells after the last one that was ever used.
        while cells.len() > columns.len() && cells.last().is_some_and(|cell| cell.trim().is_empty()) {
            cells.pop();
        }
        if cells.len() != columns.len() {
            let reason = format!("{} cells under {} columns: add or quote what is missing", cells.len(), columns.len());
            return Err(FileError::Line { line, reason });
        }
        columns.iter_mut().zip(&cells).for_each(|(column, cell)| column.meet(cell));
        let names = columns.iter().map(|column| column.name.clone());
        let input = Ipld::Map(names.zip(cells.into_iter().map(Ipld::String)).collect());
        self.inputs.push(&input).map_err(on_line(line))
    }

    /// The line is the one where somebody looks for it: what follows may be all of the file.
    fn unclosed(&self, why: &str) -> FileError {
        FileError::Line { line: self.quote_line, reason: format!("the quote that opens here is never closed{why}") }
    }

    fn too_long(&self) -> FileError {
        FileError::Line { line: self.row_line, reason: format!("the row that begins here is longer than {LINE_BYTES_MAX} bytes") }
    }

    fn error(&self, reason: &str) -> FileError {
        FileError::Line { line: self.line, reason: reason.to_owned() }
    }
}

/// The columns that a first row names.
fn header(line: usize, mut names: Vec<String>) -> Result<Vec<Column>, FileError> {
    let refused = |reason: String| FileError::Line { line, reason };
    for name in &mut names {
        *name = name.trim().to_owned();
    }
    while names.last().is_some_and(String::is_empty) {
        names.pop();
    }
    if let Some(nameless) = names.iter().position(String::is_empty) {
        return Err(refused(format!("column {} has no name", nameless + 1)));
    }
    if let Some(value) = names.iter().find(|name| name.contains("://") || decimal(name).is_some()) {
        return Err(refused(format!("the first row names the columns, and {value:?} looks like a value: put a row of names above it")));
    }
    if let Some(column) = names.iter().enumerate().find_map(|(n, name)| names[..n].contains(name).then_some(name)) {
        return Err(refused(format!("the column {column:?} stands there twice: rename one")));
    }
    Ok(names.into_iter().map(|name| Column { name, whole: true, number: true }).collect())
}
