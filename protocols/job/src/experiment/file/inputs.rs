//! Inputs from what people write: TOML lists, CSV, NDJSON.
//!
//! Guarantees: every error names the key or the line. Deliberately lacks guessing: a CSV cell is text, whatever it looks like.

use std::collections::BTreeMap;

use ipld_core::ipld::Ipld;

use crate::bounded::Text;
use crate::jobs::{EXPLICIT_BYTES_MAX, Jobs, JobsError};

use super::{FileError, fitting};

/// The product of TOML lists.
pub(super) fn product(lists: BTreeMap<String, toml::Value>) -> Result<Jobs, FileError> {
    let mut product: BTreeMap<Text<64>, Vec<Ipld>> = BTreeMap::new();
    for (key, value) in lists {
        let toml::Value::Array(values) = value else { return Err(FileError::NotAList { key }) };
        let values = values.into_iter().map(|value| ipld(&key, value)).collect::<Result<_, _>>()?;
        product.insert(fitting("a key under [jobs]", key)?, values);
    }
    Ok(Jobs::product(product)?)
}

fn ipld(key: &str, value: toml::Value) -> Result<Ipld, FileError> {
    Ok(match value {
        toml::Value::String(text) => Ipld::String(text),
        toml::Value::Integer(number) => Ipld::Integer(number.into()),
        toml::Value::Float(number) => Ipld::Float(number),
        toml::Value::Boolean(truth) => Ipld::Bool(truth),
        toml::Value::Datetime(_) => return Err(FileError::Date { key: key.to_owned() }),
        toml::Value::Array(values) => Ipld::List(values.into_iter().map(|value| ipld(key, value)).collect::<Result<_, _>>()?),
        toml::Value::Table(table) => {
            Ipld::Map(table.into_iter().map(|(name, value)| Ok((name, ipld(key, value)?))).collect::<Result<_, FileError>>()?)
        }
    })
}

/// One job per line, each a JSON value. Empty lines are skipped.
pub fn jobs_from_ndjson(text: &str) -> Result<Jobs, FileError> {
    bounded(text)?;
    let mut inputs = Vec::new();
    for (line, json) in (1..).zip(text.lines()) {
        if !json.trim().is_empty() {
            inputs.push(serde_json::from_str(json).map_err(|error| FileError::Line { line, reason: format!("not JSON: {error}") })?);
        }
    }
    Ok(Jobs::explicit(inputs)?)
}

/// One job per row after the first, which names the columns: a map from column to text. Commas separate, double quotes quote (and
/// double to mean themselves), as in RFC 4180.
pub fn jobs_from_csv(text: &str) -> Result<Jobs, FileError> {
    bounded(text)?;
    let mut rows = Rows { text: text.trim_start_matches('\u{feff}'), line: 1 };
    let (_, header) = rows.next_row()?.ok_or(JobsError::Empty)?;
    if let Some(column) = header.iter().enumerate().find_map(|(n, name)| header[..n].contains(name).then_some(name)) {
        return Err(FileError::Line { line: 1, reason: format!("the column {column:?} stands there twice: rename one") });
    }
    let mut inputs = Vec::new();
    while let Some((line, row)) = rows.next_row()? {
        if row == [""] {
            continue;
        }
        if row.len() != header.len() {
            let reason = format!("{} cells under {} columns: add or quote what is missing", row.len(), header.len());
            return Err(FileError::Line { line, reason });
        }
        inputs.push(Ipld::Map(header.iter().cloned().zip(row.into_iter().map(Ipld::String)).collect()));
    }
    Ok(Jobs::explicit(inputs)?)
}

/// Texts from which more inputs than allowed would come are refused before they are taken apart.
fn bounded(text: &str) -> Result<(), JobsError> {
    if text.len() > EXPLICIT_BYTES_MAX { Err(JobsError::TooManyBytes) } else { Ok(()) }
}

/// What is left of a CSV text, and the line it begins on.
struct Rows<'a> {
    text: &'a str,
    line: usize,
}

impl Rows<'_> {
    /// The line a row begins on, and its cells.
    fn next_row(&mut self) -> Result<Option<(usize, Vec<String>)>, FileError> {
        if self.text.is_empty() {
            return Ok(None);
        }
        let first = self.line;
        let mut cells = Vec::new();
        loop {
            cells.push(self.next_cell()?);
            match self.text.strip_prefix(',') {
                Some(rest) => self.text = rest,
                None => break,
            }
        }
        let rest = self.text.strip_prefix('\r').unwrap_or(self.text);
        match rest.strip_prefix('\n') {
            Some(rest) => self.text = rest,
            None if rest.is_empty() => self.text = rest,
            None => return Err(self.error("text after a closing quote: double the quotes inside a cell")),
        }
        self.line += 1;
        Ok(Some((first, cells)))
    }

    fn next_cell(&mut self) -> Result<String, FileError> {
        let Some(mut rest) = self.text.strip_prefix('"') else {
            let end = self.text.find([',', '\n']).unwrap_or(self.text.len());
            let (cell, rest) = self.text.split_at(end);
            let cell = if rest.starts_with(',') { cell } else { cell.strip_suffix('\r').unwrap_or(cell) };
            self.text = rest;
            return Ok(cell.to_owned());
        };
        let mut cell = String::new();
        loop {
            let Some((before, after)) = rest.split_once('"') else { return Err(self.error("a quote is never closed")) };
            cell.push_str(before);
            match after.strip_prefix('"') {
                Some(after) => {
                    cell.push('"');
                    rest = after;
                }
                None => {
                    self.line += cell.matches('\n').count();
                    self.text = after;
                    return Ok(cell);
                }
            }
        }
    }

    fn error(&self, reason: &str) -> FileError {
        FileError::Line { line: self.line, reason: reason.to_owned() }
    }
}
