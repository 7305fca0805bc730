//! `station pause`, `resume` and `activity`: what an operator does with a running station, and what it did for others.

use station_protocol::human::{HumanError, Span, moment};
use station_protocol::time::DAY;

use super::client::Client;
use super::layout::end_of;
use super::ledger;
use super::output::{Exit, Failure, Output};
use crate::api::page::{ActivityBody, PauseBody, PausedBody};
use crate::platform::home::Home;

#[derive(Debug, clap::Args)]
pub(super) struct PauseArgs {
    /// How long, like 30m, 2h or 1d; until `station resume`, if not given
    #[arg(long = "for", value_name = "TIME", value_parser = length)]
    length: Option<Span>,
}

/// Longest pause that ends by itself, as the API has it.
const PAUSE_MS_MAX: u64 = 366 * DAY;

/// A pause that has an end.
fn length(text: &str) -> Result<Span, String> {
    let length: Span = text.parse().map_err(|error: HumanError| error.to_string())?;
    if length.0 == 0 {
        return Err(format!("{length} is no pause: write a time like \"30m\", or leave --for out for one without an end"));
    }
    if length.0 > PAUSE_MS_MAX {
        let most = Span(PAUSE_MS_MAX);
        return Err(format!("{length} is more than {most}: leave --for out, and the pause lasts until `station resume`"));
    }
    Ok(length)
}

#[derive(Debug, clap::Args)]
pub(super) struct ActivityArgs {
    /// From when on: like 24h or 7d back from now, or like 2026-12-31T00:00:00Z; `all` for everything that is kept
    #[arg(long, value_name = "TIME", default_value = "7d")]
    since: Since,
}

/// A moment, or a span back from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    All,
    Ago(u64),
    At(u64),
}

impl std::str::FromStr for Since {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self::All);
        }
        let at = || moment(text).map(|at| Self::At(at.0));
        text.parse::<Span>().map(|span| Self::Ago(span.0)).or_else(|_| at()).map_err(|_| {
            format!("{:?} is no time: write like \"24h\", \"7d\", \"2026-12-31T00:00:00Z\" or \"all\"", text.chars().take(40).collect::<String>())
        })
    }
}

pub(super) async fn pause(home: &Home, args: &PauseArgs, output: &Output) -> Result<Exit, Failure> {
    let client = Client::connect(home).await?;
    let body: PausedBody = client.post("/v1/pause", &PauseBody { for_ms: args.length.map(|length| length.0) }).await?;
    output.show(&body, |body| {
        let end = body.until.map(|at| format!("{} or ", end_of(at))).unwrap_or_default();
        format!("paused until {end}`{}`, also over a restart: nothing new is taken; what runs is finished", home.call("resume"))
    });
    Ok(Exit::Done)
}

pub(super) async fn resume(home: &Home, output: &Output) -> Result<Exit, Failure> {
    let body: PausedBody = Client::connect(home).await?.delete_for("/v1/pause").await?;
    output.show(&body, |body| if body.before { "work is taken again" } else { "the station was not paused: nothing was changed" }.to_owned());
    Ok(Exit::Done)
}

pub(super) async fn activity(home: &Home, args: &ActivityArgs, output: &Output) -> Result<Exit, Failure> {
    let now = crate::clock::Clock::start().now();
    let since = match args.since {
        Since::All => 0,
        Since::Ago(ms) => now.0.saturating_sub(ms),
        Since::At(at) => at,
    };
    let body: ActivityBody = Client::connect(home).await?.get(&format!("/v1/activity?since={since}")).await?;
    let width = output.width();
    output.show(&body, |body| ledger::pages(body, width));
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_with_an_end_has_a_length_that_a_person_could_mean() {
        assert_eq!(["30m", "366d"].map(|text| length(text).map(|span| span.0)), [Ok(DAY / 48), Ok(366 * DAY)]);
        for (bad, says) in [("400d", "366d"), ("0s", "no pause"), ("9999999d", "366d"), ("x", "10m")] {
            assert!(length(bad).is_err_and(|error| error.contains(says)), "{bad}: {:?}", length(bad));
        }
    }

    #[test]
    fn since_is_a_span_a_moment_or_all() {
        assert_eq!("24h".parse(), Ok(Since::Ago(DAY)));
        assert_eq!("1970-01-02T00:00:00Z".parse(), Ok(Since::At(DAY)));
        assert_eq!("all".parse(), Ok(Since::All));
        for bad in ["yesterday", "", "24"] {
            assert!(bad.parse::<Since>().is_err_and(|error| error.contains("24h")), "{bad:?}");
        }
    }
}
