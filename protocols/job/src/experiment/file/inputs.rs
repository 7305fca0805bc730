//! Inputs from what people write: TOML lists, CSV, NDJSON. Files are read piece by piece.
//!
//! Guarantees: every error names the key or the line; of a file only the encoded inputs and one line are in memory. A column of a CSV
//! file is one of numbers where every cell is a number that is written again exactly as it stands, so that nothing of it can be lost;
//! any other column is text. Deliberately lacks more guessing: no dates, no truths, no decimal commas.

use std::collections::BTreeMap;

use ipld_core::ipld::Ipld;

use crate::bounded::Text;
use crate::jobs::{self, EXPLICIT_BYTES_MAX, Jobs, JobsError};

use super::{FileError, fitting};

mod csv;
mod ndjson;
mod utf8;

use csv::{Csv, Table};
use ndjson::Ndjson;
use utf8::Utf8;
pub use utf8::not_utf8;

/// Largest file of inputs.
pub const INPUTS_BYTES_MAX: usize = EXPLICIT_BYTES_MAX;
/// Longest line or row: an input of 16 KiB takes far less, however it is written.
const LINE_BYTES_MAX: usize = 1 << 20;

/// What a file of inputs is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A row of names, then a row for each input.
    Csv,
    /// A JSON value on each line.
    Ndjson,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ColumnKind {
    /// Whole numbers of 64 bits.
    Whole,
    /// Numbers with a point.
    Decimal,
    Text,
}

/// Reads a file of inputs.
#[derive(Debug)]
pub struct Reader {
    utf8: Utf8,
    rows: Rows,
    bytes: usize,
}

#[derive(Debug)]
enum Rows {
    Csv(Box<Csv>),
    Ndjson(Ndjson),
}

impl Reader {
    #[must_use]
    pub fn new(kind: FileKind) -> Self {
        let rows = match kind {
            FileKind::Csv => Rows::Csv(Box::default()),
            FileKind::Ndjson => Rows::Ndjson(Ndjson::default()),
        };
        Self { utf8: Utf8::default(), rows, bytes: 0 }
    }

    /// The next bytes of the file, cut anywhere.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.bytes += bytes.len();
        if self.bytes > INPUTS_BYTES_MAX {
            return Err(FileError::Jobs(JobsError::TooManyBytes));
        }
        let text = self.utf8.push(bytes)?;
        self.rows(&text)
    }

    /// What the file holds.
    pub fn finish(mut self) -> Result<Listed, FileError> {
        let rest = self.utf8.finish()?;
        self.rows(&rest)?;
        match self.rows {
            Rows::Csv(csv) => csv.finish().map(Listed::Table),
            Rows::Ndjson(ndjson) => ndjson.finish().map(Listed::Values),
        }
    }

    fn rows(&mut self, text: &str) -> Result<(), FileError> {
        match &mut self.rows {
            Rows::Csv(csv) => csv.push(text),
            Rows::Ndjson(ndjson) => ndjson.push(text),
        }
    }
}

/// The inputs of a file, before anybody said which columns stay text.
#[derive(Clone, Debug)]
pub enum Listed {
    Values(jobs::Builder),
    Table(Table),
}

impl Listed {
    #[must_use]
    pub fn count(&self) -> u64 {
        match self {
            Self::Values(inputs) => inputs.count(),
            Self::Table(table) => table.inputs.count(),
        }
    }

    /// Columns with what they hold; none of NDJSON.
    #[must_use]
    pub fn columns(&self) -> Vec<(String, ColumnKind)> {
        match self {
            Self::Values(_) => Vec::new(),
            Self::Table(table) => table.columns.iter().map(|column| (column.name.clone(), column.kind())).collect(),
        }
    }

    /// The jobs; `text` names columns of numbers that are text all the same.
    pub fn into_jobs(self, text: &[String]) -> Result<Jobs, FileError> {
        match self {
            Self::Values(inputs) => Ok(inputs.finish()?),
            Self::Table(table) => table.into_jobs(text),
        }
    }
}

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

/// A rule of the jobs that one line breaks, with the line.
fn on_line(line: usize) -> impl Fn(JobsError) -> FileError {
    move |error| match error {
        JobsError::InputTooLarge { .. } | JobsError::NotEncodable { .. } => FileError::Line { line, reason: error.to_string() },
        other => FileError::Jobs(other),
    }
}

#[cfg(test)]
mod tests;
