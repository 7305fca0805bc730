//! Bytes as text: UTF-8 with or without a mark at its beginning; of other encodings, which one it is and what to do.
//!
//! Guarantees: pieces may be cut within a character. Deliberately lacks conversion: which letters were meant is the author's knowledge.

use super::FileError;

/// Reads text piece by piece.
#[derive(Debug)]
pub(super) struct Utf8 {
    line: usize,
    /// The beginning of a character, or of the file as long as it may be a mark.
    kept: Vec<u8>,
    has_begun: bool,
}

impl Default for Utf8 {
    fn default() -> Self {
        Self { line: 1, kept: Vec::new(), has_begun: false }
    }
}

const MARK: &[u8] = b"\xef\xbb\xbf";
/// The marks of UTF-16, and letters of the usual alphabets in it without one.
const MARKS_16: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];

impl Utf8 {
    /// The whole characters so far.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<String, FileError> {
        self.kept.extend_from_slice(bytes);
        if !self.has_begun {
            if self.kept.len() < MARK.len() {
                return Ok(String::new());
            }
            self.begin()?;
        }
        self.text(false)
    }

    /// What is left at the end.
    pub(super) fn finish(&mut self) -> Result<String, FileError> {
        if !self.has_begun {
            self.begin()?;
        }
        self.text(true)
    }

    fn begin(&mut self) -> Result<(), FileError> {
        self.has_begun = true;
        if let Some((line, reason)) = not_utf8(&self.kept).filter(|_| is_utf16(&self.kept)) {
            return Err(FileError::Line { line, reason });
        }
        if self.kept.starts_with(MARK) {
            self.kept.drain(..MARK.len());
        }
        Ok(())
    }

    fn text(&mut self, is_last: bool) -> Result<String, FileError> {
        let bytes = std::mem::take(&mut self.kept);
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let (valid, is_cut) = (error.utf8_error().valid_up_to(), error.utf8_error().error_len().is_none());
                let mut bytes = error.into_bytes();
                if !is_cut || is_last {
                    let (line, reason) = not_utf8(&bytes).unwrap_or((1, String::new()));
                    return Err(FileError::Line { line: self.line + line - 1, reason });
                }
                self.kept = bytes.split_off(valid);
                String::from_utf8_lossy(&bytes).into_owned()
            }
        };
        self.line += lines(text.as_bytes());
        Ok(text)
    }
}

/// Ends of lines: `\n`, `\r\n` or `\r`.
fn lines(bytes: &[u8]) -> usize {
    let alone = |at: &usize| bytes[*at] == b'\r' && bytes.get(at + 1) != Some(&b'\n');
    (0..bytes.len()).filter(|at| bytes[*at] == b'\n' || alone(at)).count()
}

fn is_utf16(bytes: &[u8]) -> bool {
    MARKS_16.iter().any(|mark| bytes.starts_with(mark)) || matches!(bytes, [one, other, ..] if (*one == 0) != (*other == 0))
}

/// Of bytes that are no text in UTF-8: the line where that shows, and a sentence on what they are and what to do. None of text.
#[must_use]
pub fn not_utf8(bytes: &[u8]) -> Option<(usize, String)> {
    if is_utf16(bytes) {
        let remedy = "save it as UTF-8 (spreadsheets call that \"CSV UTF-8\"), or `iconv -f UTF-16 -t UTF-8 OLD > NEW`";
        return Some((1, format!("the file is written in UTF-16: {remedy}")));
    }
    let error = std::str::from_utf8(bytes).err()?;
    let (before, rest) = bytes.split_at(error.valid_up_to());
    let byte = rest.first().copied().unwrap_or_default();
    // Of the encodings that are not UTF-8 by far the most usual; its letters from 0xa0 on are those of Latin-1.
    let letter = if byte >= 0xa0 { format!(", which is {:?} in Latin-1", char::from(byte)) } else { String::new() };
    let remedy = "save it as UTF-8 (spreadsheets call that \"CSV UTF-8\"), or `iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW`";
    Some((1 + lines(before), format!("it is not written in UTF-8: there is the byte 0x{byte:02x}{letter}; {remedy}")))
}
