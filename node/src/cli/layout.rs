//! How an operator's page is laid out in a terminal: labelled paragraphs that fit its width, and numbers as people read them.
//!
//! Guarantees: no line is longer than the width, but for a word that is, and for lines of a file that an error shows: their marks stand under
//! what they mean. Deliberately lacks colours and what is said.

use station_protocol::Time;
use station_protocol::human::rfc3339;
use station_protocol::time::SECOND;

/// Where nobody knows the width.
const WIDTH: usize = 100;
/// Below this labels stand on lines of their own.
const NARROW: usize = 60;
/// Columns of a label.
const LABEL: usize = 13;

/// Labelled paragraphs, one after the other.
#[derive(Debug)]
pub(super) struct Sheet {
    width: usize,
    text: String,
    last: Option<&'static str>,
}

impl Sheet {
    #[must_use]
    pub(super) fn new(width: Option<usize>) -> Self {
        Self { width: width.unwrap_or(WIDTH).max(20), text: String::new(), last: None }
    }

    /// A paragraph under `label`; following ones of the same label stand below it. An end of line in it stays one.
    pub(super) fn line(&mut self, label: &'static str, text: &str) {
        let again = self.last.replace(label) == Some(label);
        if self.width < NARROW {
            if !again {
                self.text.push_str(&format!("{label}\n"));
            }
            self.text.push_str(&hung(self.width, "  ", "    ", text));
        } else {
            let head = format!("{:LABEL$}", if again { "" } else { label });
            self.text.push_str(&hung(self.width, &head, &" ".repeat(LABEL + 2), text));
        }
    }

    #[must_use]
    pub(super) fn text(self) -> String {
        self.text
    }
}

/// `text` in lines of at most `width` columns, the first of which begins with `first` and the others with `next`.
#[must_use]
pub(super) fn hung(width: usize, first: &str, next: &str, text: &str) -> String {
    let (mut lines, mut begin) = (String::new(), first);
    for line in text.trim_end().split('\n') {
        if is_excerpt(line) {
            lines.push_str(format!("{begin}{line}").trim_end());
            lines.push('\n');
        } else {
            wrap(width, begin, next, line, &mut lines);
        }
        begin = next;
    }
    lines
}

/// Whether it is a line of a file that an error shows, or the marks under one: `3 | name = `, `  |   ^`.
fn is_excerpt(line: &str) -> bool {
    line.trim_start().trim_start_matches(|c: char| c.is_ascii_digit()).trim_start().starts_with('|')
}

fn wrap(width: usize, first: &str, next: &str, text: &str, lines: &mut String) {
    let mut line = first.to_owned();
    let mut is_empty = true;
    for word in text.split(' ') {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > width {
            lines.push_str(line.trim_end());
            lines.push('\n');
            next.clone_into(&mut line);
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    lines.push_str(line.trim_end());
    lines.push('\n');
}

/// `1.2 MiB`.
#[must_use]
pub(super) fn size(bytes: u64) -> String {
    let units = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => {
            let tenths = u128::from(bytes) * 10 / u128::from(*unit);
            if tenths >= 1_000 || tenths % 10 == 0 { format!("{} {name}", tenths / 10) } else { format!("{}.{} {name}", tenths / 10, tenths % 10) }
        }
        None => format!("{bytes} B"),
    }
}

/// Seconds with a tenth where there are few, and milliseconds of less than one.
#[must_use]
pub(super) fn seconds(ms: u64) -> String {
    match ms {
        0..SECOND => format!("{ms} ms"),
        ms if ms < 100 * SECOND => format!("{}.{} s", ms / SECOND, ms % SECOND / 100),
        ms => format!("{} s", ms / SECOND),
    }
}

/// `2026-11-30 14:05 UTC`.
#[must_use]
pub(super) fn moment_of(ms: u64) -> String {
    let (day, clock) = parts(ms);
    format!("{day} {} UTC", clock.get(..5).unwrap_or(&clock))
}

/// When something ends, to the second and not before: `2026-11-30 14:05:20 UTC`.
#[must_use]
pub(super) fn end_of(ms: u64) -> String {
    let (day, clock) = parts(ms.div_ceil(SECOND).saturating_mul(SECOND));
    format!("{day} {} UTC", clock.get(..8).unwrap_or(&clock))
}

/// `2026-11-30`.
#[must_use]
pub(super) fn day_of(ms: u64) -> String {
    parts(ms).0
}

/// Day and clock of a time in UTC.
fn parts(ms: u64) -> (String, String) {
    let text = rfc3339(Time(ms));
    text.split_once('T').map_or_else(|| (text.clone(), String::new()), |(day, clock)| (day.to_owned(), clock.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_say_them() {
        assert_eq!([0, 1_023, 1_024, 1_300, 1 << 20, 3 << 29, 2 << 30].map(size), ["0 B", "1023 B", "1 KiB", "1.2 KiB", "1 MiB", "1.5 GiB", "2 GiB"]);
        assert_eq!([0, 40, 999, 1_250, 250_000].map(seconds), ["0 ms", "40 ms", "999 ms", "1.2 s", "250 s"]);
        assert_eq!(moment_of(0), "1970-01-01 00:00 UTC");
        assert_eq!(moment_of(1_798_675_200_000 - 1), "2026-12-30 23:59 UTC");
        assert_eq!(day_of(1_709_164_800_000), "2024-02-29");
    }

    #[test]
    fn an_end_is_never_shown_as_a_time_before_it() {
        assert_eq!(
            [1_798_675_199_999, 1_798_675_199_000, 0].map(end_of),
            ["2026-12-31 00:00:00 UTC", "2026-12-30 23:59:59 UTC", "1970-01-01 00:00:00 UTC"]
        );
    }

    #[test]
    fn the_marks_of_an_error_stand_under_what_they_mean() {
        let text = "policy.toml cannot be used: TOML parse error at line 2, column 1\n  |\n2 | memroy = 1\n  | ^^^^^^\nunknown field `memroy`\n";
        for width in [40, 80] {
            let mut sheet = Sheet::new(Some(width));
            sheet.line("not in force", text);
            let page = sheet.text();
            let of = |part: &str| page.lines().find_map(|line| line.find(part)).unwrap_or_else(|| panic!("{part} is not in\n{page}"));
            assert_eq!(of("memroy = 1"), of("^^^^^^"), "{page}");
            assert!(page.lines().all(|line| line.chars().count() <= width) && page.trim_end().ends_with("`memroy`"), "{page}");
        }
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for width in [20, 40, 59, 60, 80] {
            let mut sheet = Sheet::new(Some(width));
            sheet.line("budgets", &"some words and 12 numbers ".repeat(8));
            sheet.line("budgets", "again");
            let text = sheet.text();
            assert!(text.lines().all(|line| line.chars().count() <= width), "{width}:\n{text}");
            assert_eq!(text.matches("budgets").count(), 1);
        }
    }
}
