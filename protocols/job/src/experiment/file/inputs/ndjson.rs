//! NDJSON: a JSON value on each line. Empty lines are skipped; lines end with `\n`, `\r\n` or `\r`.

use crate::experiment::from_json;
use crate::jobs::{self, JobsError};

use super::{FileError, LINE_BYTES_MAX, on_line};

/// Reads values line by line.
#[derive(Debug)]
pub(super) struct Ndjson {
    /// Of the line that is not whole yet.
    kept: String,
    line: usize,
    /// The last character was a `\r`: a `\n` after it ends no line.
    after_return: bool,
    inputs: jobs::Builder,
}

impl Default for Ndjson {
    fn default() -> Self {
        Self { kept: String::new(), line: 1, after_return: false, inputs: jobs::Builder::default() }
    }
}

impl Ndjson {
    pub(super) fn push(&mut self, text: &str) -> Result<(), FileError> {
        let mut rest = text;
        if std::mem::take(&mut self.after_return) {
            rest = rest.strip_prefix('\n').unwrap_or(rest);
        }
        while let Some(end) = rest.find(['\n', '\r']) {
            self.kept.push_str(&rest[..end]);
            self.value()?;
            let is_return = rest.as_bytes()[end] == b'\r';
            rest = &rest[end + 1..];
            if is_return {
                self.after_return = rest.is_empty();
                rest = rest.strip_prefix('\n').unwrap_or(rest);
            }
        }
        self.kept.push_str(rest);
        if self.kept.len() > LINE_BYTES_MAX {
            return Err(FileError::Line { line: self.line, reason: format!("longer than {LINE_BYTES_MAX} bytes") });
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<jobs::Builder, FileError> {
        self.value()?;
        if self.inputs.count() == 0 { Err(JobsError::Empty.into()) } else { Ok(self.inputs) }
    }

    fn value(&mut self) -> Result<(), FileError> {
        let (line, text) = (self.line, std::mem::take(&mut self.kept));
        self.line += 1;
        if text.trim().is_empty() {
            return Ok(());
        }
        let value = from_json(text.as_bytes()).map_err(|(at, reason)| {
            let column = text.get(..at).map_or(at, |before| before.chars().count()) + 1;
            FileError::Line { line, reason: format!("not JSON at column {column}: {reason}") }
        })?;
        self.inputs.push(&value).map_err(on_line(line))
    }
}
