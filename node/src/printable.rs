//! What strangers wrote, as a terminal may see it: [`Line`] inside a line of ours, [`page`] for whole texts, [`json`] for JSON.
//!
//! Guarantees: what comes out neither moves the cursor, nor colours, rings, names a window or turns the direction of writing; a
//! [`Line`] has no end of line, so that nothing in it passes for a line of ours. Deliberately lacks cutting: that is the table's.

use std::fmt::{self, Write};

/// Text of a stranger within a line: what a terminal would obey is shown as an escape, ends of lines too.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a>(pub &'a str);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| if is_unprintable(c) { write!(f, "{}", c.escape_default()) } else { f.write_char(c) })
    }
}

/// A text of several lines, which keep their ends; all else that a terminal would obey is shown as an escape.
#[must_use]
pub fn page(text: &str) -> String {
    let mut page = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (line, end) = match line.strip_suffix('\n') {
            Some(line) => (line.strip_suffix('\r').unwrap_or(line), "\n"),
            None => (line, ""),
        };
        write!(page, "{}{end}", Line(line)).expect("a String takes all");
    }
    page
}

/// The same JSON, in which a terminal finds nothing to obey. JSON's own escapes end below U+0020.
#[must_use]
pub fn json(text: &str) -> String {
    let mut json = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unprintable(c) && c != '\n' {
            write!(json, "\\u{:04x}", u32::from(c)).expect("a String takes all");
        } else {
            json.push(c);
        }
    }
    json
}

/// Control characters, Unicode's ends of lines and paragraphs, and its marks, embeddings, overrides and isolates of writing
/// direction: with them one word can rearrange a whole line. All lie in the plane that JSON escapes with four digits.
#[must_use]
pub fn is_unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Colours, clears, names the window (with both ends of that), rings, returns, turns writing round, ends lines in five ways.
    const HOSTILE: &str =
        "a\x1b[31mb\x1b[2J\x1b]0;x\x07\u{9b}1m\u{9d}0;y\u{9c}\x08\r\t\u{202e}c\u{2066}\u{200f}\n\u{85}\u{2028}\u{2029}verdict  runs";

    #[test]
    fn a_line_stays_one_line_and_shows_what_was_in_it() {
        let line = Line(HOSTILE).to_string();
        assert!(!line.chars().any(is_unprintable), "{line:?}");
        assert!(line.starts_with("a\\u{1b}[31mb") && line.ends_with("\\n\\u{85}\\u{2028}\\u{2029}verdict  runs"), "{line}");
        assert_eq!(Line("Zürich 東京 🙂 ‘x’").to_string(), "Zürich 東京 🙂 ‘x’", "writing is left alone");
        assert_eq!(Line(&line).to_string(), line, "once is enough");
    }

    #[test]
    fn a_page_keeps_its_lines_and_nothing_else() {
        let text = page(&format!("one\r\ntwo\n{HOSTILE}"));
        assert!(text.starts_with("one\ntwo\na\\u{1b}"), "{text}");
        assert!(text.chars().all(|c| c == '\n' || !is_unprintable(c)), "{text:?}");
        assert_eq!(page("no end"), "no end");
    }

    #[test]
    fn json_means_the_same_and_a_terminal_finds_nothing_in_it() {
        let value = serde_json::json!({ HOSTILE: [HOSTILE, 1] });
        let text = json(&serde_json::to_string_pretty(&value).expect("a value"));
        assert!(text.chars().all(|c| c == '\n' || !is_unprintable(c)), "{text:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).expect("still JSON"), value);
    }
}
