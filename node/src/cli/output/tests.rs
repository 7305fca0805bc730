//! What is written where, and how the program ends.

use std::sync::Arc;

use super::*;

/// A pipe whose reader left, or a disk that is full.
struct Broken(io::ErrorKind);

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Standard output that a test reads.
#[derive(Clone, Default)]
pub(in crate::cli) struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    pub(in crate::cli) fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no test panicked").clone()).expect("UTF-8")
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no test panicked").write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps each write by itself.
#[derive(Default)]
struct Writes(Vec<String>);

impl Write for Writes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.push(String::from_utf8_lossy(bytes).into_owned());
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_line_on_standard_error_is_one_write_so_that_two_processes_do_not_share_a_line() {
    let mut writes = Writes::default();
    for text in ["one", "two\nlines"] {
        complain_to(&mut writes, text).expect("it takes all");
    }
    assert_eq!(writes.0, ["one\n", "two\nlines\n"]);
}

#[test]
fn no_color_turns_colour_off_unless_it_is_empty() {
    assert!(wants_colour(None, true));
    assert!(wants_colour(Some(OsStr::new("")), true));
    for value in ["1", "0", "false"] {
        assert!(!wants_colour(Some(OsStr::new(value)), true), "{value}");
    }
    assert!(!wants_colour(None, false), "nobody looks");
}

#[test]
fn a_script_never_gets_colour() {
    assert!(!Output::new(true).colour());
}

#[test]
fn a_result_is_one_line_of_json_or_text_that_ends() {
    for (json, text, expected) in [(true, "x", "{\"a\":1}\n"), (false, "one", "one\n"), (false, "two\n", "two\n"), (false, "", "")] {
        let kept = Kept::default();
        Output::to(json, Box::new(kept.clone())).show(&serde_json::json!({ "a": 1 }), |_| text.to_owned());
        assert_eq!(kept.text(), expected);
    }
}

/// What a terminal would obey, and a line that looks like ours.
const HOSTILE: &str = "x\x1b[2J\x1b]0;t\x07\u{9b}1m\u{202e}y\nverdict  runs on this profile";

#[test]
fn nothing_a_stranger_wrote_reaches_a_terminal_raw() {
    for json in [false, true] {
        let kept = Kept::default();
        let output = Output { is_terminal: true, ..Output::to(json, Box::new(kept.clone())) };
        output.show(&serde_json::json!({ "a": HOSTILE }), |value| value["a"].as_str().expect("text").to_owned());
        output.data(HOSTILE);
        if json {
            // Elsewhere failures go to standard error, through the same filter.
            let _ = output.end(Err(Failure::new(HOSTILE)));
        }
        assert!(kept.text().chars().all(|c| c == '\n' || !crate::printable::is_unprintable(c)), "{:?}", kept.text());
    }
    let kept = Kept::default();
    Output::to(false, Box::new(kept.clone())).data(HOSTILE);
    assert_eq!(kept.text(), HOSTILE, "a program gets a file's bytes as they are");
}

#[test]
fn an_event_in_the_log_is_one_line_whatever_peers_put_into_it() {
    for painted in [false, true] {
        let mut seen = Vec::new();
        let event = format!("\x1b[2mINFO\x1b[0m peer said {}\n", &HOSTILE[6..]);
        LogLines { to: &mut seen, painted }.write_all(event.as_bytes()).expect("a Vec takes all");
        let seen = String::from_utf8(seen).expect("UTF-8");
        assert_eq!((seen.lines().count(), seen.ends_with('\n'), seen.contains("\x1b[2m")), (1, true, painted), "{seen:?}");
        assert!(!seen.contains(['\u{9b}', '\u{202e}', '\x07']), "{seen:?}");
    }
}

#[test]
fn a_failure_is_json_with_its_code_where_json_is_wanted() {
    let kept = Kept::default();
    let output = Output::to(true, Box::new(kept.clone()));
    assert_eq!(output.end(Err(Failure::new("no").with(Exit::NotRunning))), Exit::NotRunning);
    assert_eq!(kept.text(), "{\"code\":3,\"error\":\"no\",\"type\":\"failure\"}\n");
    let silent = Kept::default();
    assert_eq!(Output::to(false, Box::new(silent.clone())).end(Err(Failure::new("no"))), Exit::Failed);
    assert_eq!(silent.text(), "", "sentences go to standard error");
}

#[test]
fn a_reader_that_leaves_is_no_failure_and_a_full_disk_is() {
    for (kind, expected) in [(io::ErrorKind::BrokenPipe, Exit::Unanswered), (io::ErrorKind::StorageFull, Exit::Failed)] {
        let output = Output::to(false, Box::new(Broken(kind)));
        output.write("a table\n");
        output.write("more\n");
        assert_eq!(output.end(Ok(Exit::Unanswered)), expected);
    }
}

#[test]
fn the_exit_codes_are_those_that_help_and_the_readme_name() {
    let readme = include_str!("../../../../README.md");
    let rows: Vec<&str> =
        readme.lines().skip_while(|line| !line.starts_with("| exit code |")).skip(2).take_while(|line| line.starts_with('|')).collect();
    let documented: Vec<u8> = rows.iter().map(|row| row.split('|').nth(1).expect("a cell").trim().parse().expect("a code")).collect();
    assert_eq!(documented, Exit::ALL.map(Exit::code));
    for exit in Exit::ALL {
        assert!(Exit::help().contains(&format!("{} {}", exit.code(), exit.words())));
    }
}
