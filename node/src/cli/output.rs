//! How commands speak: text for people, JSON for scripts, one kind of failure.
//!
//! Guarantees: no colour where `NO_COLOR` is set or nobody looks; results on standard output, everything else on standard error;
//! whatever a stranger had a word in reaches a terminal through [`crate::printable`].

use std::ffi::OsStr;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::printable::{Line, json, page};

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    Done,
    Failed,
    Usage,
    NotRunning,
    Unanswered,
    Interrupted,
}

impl Exit {
    const ALL: [Self; 6] = [Self::Done, Self::Failed, Self::Usage, Self::NotRunning, Self::Unanswered, Self::Interrupted];

    pub(super) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotRunning => 3,
            Self::Unanswered => 4,
            Self::Interrupted => 130,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::NotRunning => "no station is running",
            Self::Unanswered => "not every job got an answer",
            Self::Interrupted => "interrupted",
        }
    }

    /// The line under `station --help`.
    pub(super) fn help() -> String {
        format!("Exit codes: {}", Self::ALL.map(|exit| format!("{} {}", exit.code(), exit.words())).join(" · "))
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// A command did not do what it was asked: the sentence, and how the program ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) message: String,
    pub(super) exit: Exit,
}

impl Failure {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), exit: Exit::Failed }
    }

    #[must_use]
    pub(super) fn with(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(error.to_string())
    }
}

/// Where a command's words go.
pub(super) struct Output {
    json: bool,
    is_terminal: bool,
    results: Mutex<Results>,
}

/// Standard output, until it takes no more.
struct Results {
    to: Box<dyn Write + Send>,
    failed: Option<io::Error>,
}

impl Output {
    #[must_use]
    pub(super) fn new(json: bool) -> Self {
        Self { is_terminal: io::stdout().is_terminal(), ..Self::to(json, Box::new(io::stdout())) }
    }

    /// The same with results going elsewhere.
    pub(super) fn to(json: bool, to: Box<dyn Write + Send>) -> Self {
        Self { json, is_terminal: false, results: Mutex::new(Results { to, failed: None }) }
    }

    #[must_use]
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    #[must_use]
    pub(super) fn colour(&self) -> bool {
        !self.json && may_colour(&std::io::stdout())
    }

    /// Columns of the terminal that reads standard output, if one does.
    #[must_use]
    pub(super) fn width(&self) -> Option<usize> {
        terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0))
    }

    /// `value` as one line of JSON, or what `text` makes of it.
    pub(super) fn show<T: Serialize>(&self, value: &T, text: impl FnOnce(&T) -> String) {
        self.paint(value, |value| page(&text(value)));
    }

    /// The same for text with colours, whose maker has filtered what is in it.
    pub(super) fn paint<T: Serialize>(&self, value: &T, text: impl FnOnce(&T) -> String) {
        if self.json {
            self.write(&(json(&serde_json::to_string(value).expect("our own types have JSON")) + "\n"));
        } else {
            let text = text(value);
            self.write(&format!("{text}{}", if text.ends_with('\n') || text.is_empty() { "" } else { "\n" }));
        }
    }

    /// A file's text: as it is for a program, as a terminal may see it for people.
    pub(super) fn data(&self, text: &str) {
        if self.is_terminal { self.write(&page(text)) } else { self.write(text) }
    }

    /// A guest's output: byte for byte for a program, as a terminal may see it for people.
    pub(super) fn bytes(&self, bytes: &[u8]) {
        if self.is_terminal { self.write(&page(&String::from_utf8_lossy(bytes))) } else { self.write_bytes(bytes) }
    }

    /// Results as they are. What cannot be written is told by [`Output::end`]; nothing more is written after it.
    pub(super) fn write(&self, text: &str) {
        self.write_bytes(text.as_bytes());
    }

    fn write_bytes(&self, bytes: &[u8]) {
        let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        if results.failed.is_none() {
            let written = results.to.write_all(bytes);
            results.failed = written.and_then(|()| results.to.flush()).err();
        }
    }

    /// A line for people only, beside the result.
    pub(super) fn say(&self, text: impl AsRef<str>) {
        if !self.json {
            complain(text.as_ref());
        }
    }

    /// A line that changes in place, hidden from scripts.
    #[must_use]
    pub(super) fn line(&self) -> ProgressBar {
        let line = self.hidden_for_scripts(ProgressBar::new_spinner());
        line.set_style(ProgressStyle::with_template("{wide_msg}").expect("the template is a constant"));
        line
    }

    /// Columns of the terminal that reads standard error, where such a line stands; of none, as many as it takes.
    #[must_use]
    pub(super) fn error_width(&self) -> usize {
        terminal_size::terminal_size_of(std::io::stderr()).map_or(usize::MAX, |(width, _)| usize::from(width.0))
    }

    /// A bar over `total` steps, hidden from scripts.
    #[must_use]
    pub(super) fn bar(&self, total: u64, what: &str) -> ProgressBar {
        let bar = self.hidden_for_scripts(ProgressBar::new(total));
        let style = ProgressStyle::with_template("{prefix:>12} [{bar:30}] {pos}/{len}  {wide_msg}").expect("the template is a constant");
        bar.set_style(style.progress_chars("█▌ "));
        bar.set_prefix(what.to_owned());
        bar
    }

    /// A moving sign for work of unknown length.
    #[must_use]
    pub(super) fn spinner(&self, what: &str) -> ProgressBar {
        let bar = self.hidden_for_scripts(ProgressBar::new_spinner());
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        bar
    }

    fn hidden_for_scripts(&self, bar: ProgressBar) -> ProgressBar {
        if self.json || !std::io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        bar
    }

    /// Prints `failure` and says how the program ends.
    #[must_use]
    pub(super) fn fail(&self, failure: &Failure) -> Exit {
        if self.json {
            self.write(&format!(
                "{}\n",
                json(&serde_json::json!({ "type": "failure", "error": failure.message, "code": failure.exit.code() }).to_string())
            ));
        } else {
            complain(&format!("station: {}", failure.message));
        }
        failure.exit
    }

    /// How the program ends after a command that ended so. Results that could not be written are a failure, except where their
    /// reader had seen enough and left, as `head` does.
    #[must_use]
    pub(super) fn end(&self, result: Result<Exit, Failure>) -> Exit {
        let exit = result.unwrap_or_else(|failure| self.fail(&failure));
        match self.results.lock().unwrap_or_else(PoisonError::into_inner).failed.take() {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                complain(&format!("station: the results cannot be written: {error}"));
                Exit::Failed
            }
            _ => exit,
        }
    }
}

/// A path as JSON has it, which knows no bytes that are not UTF-8.
pub(super) fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// A line on standard error. Where nobody can read it, nobody can be told.
fn complain(text: &str) {
    let _ = complain_to(&mut io::stderr(), text);
}

/// The line with its end in one write: what several processes say to one terminal at a time stays one line each.
fn complain_to(to: &mut impl Write, text: &str) -> io::Result<()> {
    to.write_all(format!("{}\n", page(text)).as_bytes())
}

/// Where the log goes, an event at a time: each stays one line, whatever peers put into it.
pub(super) struct LogLines<W> {
    pub(super) to: W,
    /// The log's own colours pass; it has disarmed those of others.
    pub(super) painted: bool,
}

impl<W: Write> Write for LogLines<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let (text, end) = text.strip_suffix('\n').map_or((&*text, ""), |text| (text, "\n"));
        let line = if self.painted {
            text.split('\x1b').map(|part| Line(part).to_string()).collect::<Vec<_>>().join("\x1b")
        } else {
            Line(text).to_string()
        };
        self.to.write_all(format!("{line}{end}").as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Whether `stream` may be coloured: a terminal, and nobody said otherwise.
#[must_use]
pub(super) fn may_colour(stream: &impl IsTerminal) -> bool {
    wants_colour(std::env::var_os("NO_COLOR").as_deref(), stream.is_terminal())
}

/// <https://no-color.org>: any value of `NO_COLOR` but the empty one turns colour off.
fn wants_colour(no_color: Option<&OsStr>, terminal: bool) -> bool {
    terminal && no_color.is_none_or(OsStr::is_empty)
}

#[cfg(test)]
pub(in crate::cli) mod tests;
