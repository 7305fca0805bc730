//! How commands speak: text for people, JSON for scripts, one kind of failure.
//!
//! Guarantees: no colour where `NO_COLOR` is set or nobody looks; results on standard output, everything else on standard error.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

/// A command did not do what it was asked: the sentence, and the exit code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub message: String,
    pub code: u8,
}

/// Exit code: no station runs here.
pub(super) const NOT_RUNNING: u8 = 3;
/// Exit code: the experiment ended with jobs that got no answer.
pub(super) const UNANSWERED: u8 = 4;

impl Failure {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 1 }
    }

    #[must_use]
    pub fn with_code(self, code: u8) -> Self {
        Self { code, ..self }
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(error.to_string())
    }
}

/// Where a command's words go.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    json: bool,
}

impl Output {
    #[must_use]
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    #[must_use]
    pub fn is_json(&self) -> bool {
        self.json
    }

    #[must_use]
    pub fn colour(&self) -> bool {
        !self.json && may_colour(&std::io::stdout())
    }

    /// Columns of the terminal that reads standard output, if one does.
    #[must_use]
    pub fn width(&self) -> Option<usize> {
        terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0))
    }

    /// `value` as one line of JSON, or what `text` makes of it.
    pub fn show<T: Serialize>(&self, value: &T, text: impl FnOnce(&T) -> String) {
        if self.json {
            println!("{}", serde_json::to_string(value).expect("our own types have JSON"));
        } else {
            let text = text(value);
            print!("{text}{}", if text.ends_with('\n') || text.is_empty() { "" } else { "\n" });
        }
    }

    /// A line for people only, beside the result.
    pub fn say(&self, text: impl AsRef<str>) {
        if !self.json {
            eprintln!("{}", text.as_ref());
        }
    }

    /// A bar over `total` steps, hidden from scripts.
    #[must_use]
    pub fn bar(&self, total: u64, what: &str) -> ProgressBar {
        let bar = self.hidden_for_scripts(ProgressBar::new(total));
        let style = ProgressStyle::with_template("{prefix:>12} [{bar:30}] {pos}/{len}  {wide_msg}").expect("the template is a constant");
        bar.set_style(style.progress_chars("█▌ "));
        bar.set_prefix(what.to_owned());
        bar
    }

    /// A moving sign for work of unknown length.
    #[must_use]
    pub fn spinner(&self, what: &str) -> ProgressBar {
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

    /// Prints `failure` and gives its exit code.
    #[must_use]
    pub fn fail(&self, failure: &Failure) -> ExitCode {
        if self.json {
            println!("{}", serde_json::json!({ "error": failure.message, "code": failure.code }));
        } else {
            eprintln!("station: {}", failure.message);
        }
        ExitCode::from(failure.code)
    }
}

/// <https://no-color.org>: any value of `NO_COLOR` but the empty one turns colour off.
#[must_use]
pub(super) fn may_colour(stream: &impl IsTerminal) -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && stream.is_terminal()
}
