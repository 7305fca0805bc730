//! The progress of a run, one line on stderr: where it is and how fast virtual time passes.
//!
//! Guarantees: no thread, no hash map and no draw of luck, so that a run that is watched is the same run. Deliberately lacks output
//! where nobody looks: without a terminal it says nothing.

use std::io::{IsTerminal, Write, stderr};

use crate::world::Progress;

/// Characters of the bar.
const WIDTH: usize = 32;

/// A bar over the virtual time of one run.
#[derive(Debug)]
pub(super) struct Bar {
    shown: bool,
}

impl Bar {
    pub(super) fn new(quiet: bool) -> Self {
        Self { shown: !quiet && stderr().is_terminal() }
    }

    /// Shows `now`.
    pub(super) fn show(&self, now: Progress) {
        if self.shown {
            // A terminal that takes no more text is no reason to end a run.
            let _ = write!(stderr(), "\r\x1b[K{}", line(now));
        }
    }

    pub(super) fn finish(&self) {
        if self.shown {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn line(now: Progress) -> String {
    let (virtual_s, real_s) = (now.virtual_ms as f64 / 1e3, now.real_ns as f64 / 1e9);
    let done = usize::try_from(now.virtual_ms * WIDTH as u64 / now.of_ms.max(1)).map_or(WIDTH, |done| done.min(WIDTH));
    format!(
        "[{}{}] {virtual_s:.0} of {} virtual s in {real_s:.1} s ({:.2} virtual/real), {} MB",
        "=".repeat(done),
        " ".repeat(WIDTH - done),
        now.of_ms / 1_000,
        virtual_s / real_s.max(1e-9),
        now.resident_bytes / 1_000_000
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_where_the_run_is_and_how_fast() {
        let now = Progress { virtual_ms: 30_000, of_ms: 120_000, real_ns: 10_000_000_000, processor_ns: 0, resident_bytes: 250_000_000 };
        assert_eq!(line(now), format!("[{}{}] 30 of 120 virtual s in 10.0 s (3.00 virtual/real), 250 MB", "=".repeat(8), " ".repeat(24)));
    }
}
