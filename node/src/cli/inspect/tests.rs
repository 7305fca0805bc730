//! What authors of modules could write for whoever looks at them.

use super::*;
use crate::printable::is_unprintable;

/// Red, a cleared screen, another title, and a line that looks like ours.
const HOSTILE: &str = "it imports \x1b[31menv\x1b[2J\x1b]0;t\x07.abort\nverdict  runs on this profile";

#[test]
fn a_refusal_cannot_say_that_the_module_runs() {
    let report = Inspection { cid: "bafy".to_owned(), bytes: 8, profile: "p", refused: Some(HOSTILE.to_owned()) };
    let text = judgement(&report);
    assert_eq!(text.lines().filter(|line| line.starts_with("verdict")).count(), 1, "{text}");
    assert!(text.chars().all(|c| c == '\n' || !is_unprintable(c)), "{text:?}");
}

#[test]
fn a_guests_log_and_output_are_told_apart_from_what_the_station_says() {
    let log = format!("{HOSTILE}\noutcome  completed\r\n\u{202e}fuel     1");
    let trial =
        Trial { outcome: "trapped".to_owned(), completed: false, output: serde_json::json!({ "a": "\u{9b}2J" }), log, fuel: 7, duration_ms: 1 };
    let text = words(&trial);
    let begins = |word: &str| text.lines().filter(|line| line.starts_with(word)).count();
    assert_eq!([begins("outcome"), begins("fuel"), begins("verdict"), begins("log"), begins("output")], [1, 1, 0, 4, 1], "{text}");
    assert!(text.chars().all(|c| c == '\n' || !is_unprintable(c)), "{text:?}");
    let long = Trial { log: "é".repeat(100_000), ..trial };
    assert!(words(&long).chars().count() < LOG_CHARS_MAX + 200);
}
