//! `station pause`, `resume` and `activity`: what an operator does with a running station, and what it did for others.

use station_protocol::human::{Span, moment};

use super::client::Client;
use super::layout::end_of;
use super::ledger;
use super::output::{Exit, Failure, Output};
use crate::api::page::{ActivityBody, PauseBody, PausedBody};
use crate::platform::home::Home;

#[derive(Debug, clap::Args)]
pub(super) struct PauseArgs {
    /// How long, like 30m, 2h or 1d; until `station resume`, if not given
    #[arg(long = "for", value_name = "TIME")]
    length: Option<Span>,
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
    use station_protocol::time::DAY;

    use super::*;

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
