//! The program's log: lines on standard error, and how many of them others can cause.
//!
//! Guarantees: of lines that name a peer, or else an experiment, at most one a second is written for it. Of lines of other crates, which
//! strangers cause too, it is one a second for each place in their code. How many were left out is said, and about whom. Deliberately leaves
//! `debug` and `trace` alone: whoever asks for them wants all.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

use super::output;
use crate::sparing::{LeftOut, Sparing};

/// Our own crates, by how their targets begin.
const OWN: &str = "station";
/// Fields by which our lines name who caused them, or what they are about.
const NAMES: [&str; 6] = ["node", "requester", "from", "peer", "experiment", "what"];
/// Peers of whom one line tells what was left out before.
const TOLD_MAX: usize = 16;

/// What a line is about, where others can cause it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum About {
    /// A peer or an experiment.
    Peer(String),
    /// A place in the code of another crate.
    Place(String),
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(of) | Self::Place(of) => f.write_str(of),
        }
    }
}

impl About {
    fn of(event: &Event<'_>) -> Option<Self> {
        let metadata = event.metadata();
        if *metadata.level() > Level::INFO {
            return None;
        }
        if !metadata.target().starts_with(OWN) {
            return Some(Self::Place(format!("{}:{}", metadata.target(), metadata.line().unwrap_or(0))));
        }
        let mut found = Named(None);
        event.record(&mut found);
        found.0.map(|(_, name)| Self::Peer(name))
    }
}

/// Looks for the first of [`NAMES`] that a line has.
struct Named(Option<(usize, String)>);

impl Visit for Named {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let Some(place) = NAMES.iter().position(|name| *name == field.name()) else { return };
        if self.0.as_ref().is_none_or(|(found, _)| place < *found) {
            self.0 = Some((place, format!("{value:?}")));
        }
    }
}

/// Writes lines as `inner` does, those that others cause sparingly.
struct Sparingly<F> {
    inner: F,
    said: Mutex<Sparing<About>>,
}

impl<F> Sparingly<F> {
    fn new(inner: F) -> Self {
        Self { inner, said: Mutex::default() }
    }
}

impl<S, N, F> FormatEvent<S, N> for Sparingly<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let (left_out, owed) = {
            let (mut said, now) = (self.said.lock().unwrap_or_else(PoisonError::into_inner), Instant::now());
            let left_out = match About::of(event) {
                None => None,
                Some(about) => match said.say(about, now) {
                    // Nothing is written then.
                    None => return Ok(()),
                    left_out => left_out.filter(|left_out| left_out.times > 0),
                },
            };
            (left_out, said.owed(TOLD_MAX, now))
        };
        for LeftOut { about, times } in left_out.into_iter().chain(owed) {
            // On the same line: an event is one, whatever peers put into it.
            match about {
                Some(about) => write!(writer, "({times} more lines about {about} were left out, one a second is written) ")?,
                None => write!(writer, "({times} more lines about others, too many to count apart, were left out) ")?,
            }
        }
        self.inner.format_event(context, writer, event)
    }
}

/// Lines that pass `filter`, to standard error.
pub(super) fn start(filter: &str) {
    let colour = output::may_colour(&std::io::stderr());
    tracing::subscriber::set_global_default(lines(filter, move || output::LogLines { to: std::io::stderr(), painted: colour }, colour))
        .expect("a program starts one log");
}

fn lines<W>(filter: &str, to: W, colour: bool) -> impl Subscriber + Send + Sync + use<W>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = tracing_subscriber::EnvFilter::new(filter);
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(to).with_ansi(colour).with_target(false).map_event_format(Sparingly::new).finish()
}

/// A filter that can be read: a spelling mistake in it must not look like silence.
pub(super) fn filter(text: &str) -> Result<String, String> {
    tracing_subscriber::EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
