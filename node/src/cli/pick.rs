//! [`Source`]: where this home's experiments are known, a running station or the disk; and which of them a person means by `last`, `@2`,
//! an id or its beginning.
//!
//! Guarantees: what is ambiguous is refused with the candidates, and so is what every id begins with; a file or somebody else's experiment by what it is. Deliberately lacks
//! names: they are not unique.

use std::path::Path;

use cid::Cid;

use super::client::Client;
use super::output::{Exit, Failure};
use crate::api::types::{ExperimentBody, VerificationBody};
use crate::platform::home::Home;
use crate::platform::offline::Offline;
use crate::printable::Line;
use crate::results::Results;

/// What every id begins with: the multibase, CIDv1, DAG-CBOR, sha2-256, 32 bytes.
const SAME: &str = "bafyrei";
/// Letters of the part that varies which tell experiments of one station apart: 38 bits.
const SHORT: usize = 8;

/// What help says of an argument that names an experiment.
pub(super) const ID_HELP: &str = "The experiment: its id or the beginning of it, `last`, or `@2` for the one before";

/// The part of an id, or of its beginning, that is not the same in all.
fn varies(id: &str) -> &str {
    id.strip_prefix(SAME).unwrap_or(id)
}

/// The part of an id that people read and type.
pub(super) fn short(id: &str) -> &str {
    let varies = varies(id);
    varies.get(..SHORT).unwrap_or(varies)
}

/// Where the experiments of a home are known.
#[derive(Debug)]
pub(super) enum Source {
    Running(Client),
    Kept(Box<Offline>),
}

impl Source {
    /// The running station of `home`, else its disk.
    pub(super) async fn of(home: &Home) -> Result<Self, Failure> {
        match Client::find(home).await? {
            Some(client) => Ok(Self::Running(client)),
            None => Ok(Self::Kept(Box::new(Offline::open(home).await?))),
        }
    }

    /// All experiments of this station, the newest first.
    pub(super) async fn experiments(&self) -> Result<Vec<ExperimentBody>, Failure> {
        match self {
            Self::Running(client) => client.get("/v1/experiments").await,
            Self::Kept(kept) => Ok(kept.experiments()),
        }
    }

    /// The id of the experiment that `text` means.
    pub(super) async fn pick(&self, home: &Home, text: &str) -> Result<String, Failure> {
        // Whole ids go to whoever answers: it may know whose they are.
        match text.parse::<Cid>() {
            Ok(id) => Ok(id.to_string()),
            Err(_) => choose(home, text, &self.experiments().await?),
        }
    }

    /// One experiment as it stands.
    pub(super) async fn experiment(&self, home: &Home, id: &str) -> Result<ExperimentBody, Failure> {
        match self {
            Self::Running(client) => client.get(&format!("/v1/experiments/{id}")).await,
            Self::Kept(kept) => kept.experiments().into_iter().find(|own| own.experiment == id).ok_or_else(|| unknown(home, id)),
        }
    }

    pub(super) async fn results(&self, id: &str) -> Result<Results, Failure> {
        match self {
            Self::Running(client) => client.get(&format!("/v1/experiments/{id}/results")).await,
            Self::Kept(kept) => Ok(kept.results(id).await?),
        }
    }

    pub(super) async fn verification(&self, id: &str) -> Result<VerificationBody, Failure> {
        match self {
            Self::Running(client) => client.get(&format!("/v1/experiments/{id}/verification")).await,
            Self::Kept(kept) => Ok(kept.verify(id).await?),
        }
    }
}

/// What a command says that needs a station for an experiment which only the disk has.
pub(super) fn not_running(home: &Home, id: &str) -> Failure {
    let (resume, run) = (home.call("publish --resume"), home.call("run"));
    Failure::new(format!("experiment {} is open and no station runs from here: go on with `{resume}`, or with `{run}`", short(id)))
        .with(Exit::NotRunning)
}

fn unknown(home: &Home, text: &str) -> Failure {
    Failure::new(format!("this station has published no experiment {}; `{}` lists those it has", Line(text), home.call("experiments")))
}

/// The one of `own`, newest first, that `text` means.
fn choose(home: &Home, text: &str, own: &[ExperimentBody]) -> Result<String, Failure> {
    let list = home.call("experiments");
    let nth = if text.eq_ignore_ascii_case("last") { Some("1") } else { text.strip_prefix('@') };
    if let Some(number) = nth {
        let place = number.parse::<usize>().ok().filter(|place| *place > 0);
        let place = place.ok_or_else(|| Failure::new(format!("{text:?} is no place in the list: write @1 for the last, @2 for the one before")))?;
        let have = own.len();
        let none = || match have {
            0 => Failure::new(format!("this station has published no experiment yet: `{}`", home.call("publish FILE"))),
            _ => Failure::new(format!("there is no {text}: this station has {have}; `{list}` lists them")),
        };
        return own.get(place - 1).map(|found| found.experiment.clone()).ok_or_else(none);
    }
    if Path::new(text).is_file() || text.ends_with(".toml") {
        let publish = home.call(&format!("publish {text}"));
        return Err(Failure::new(format!(
            "{text:?} is a file: write an experiment's id, its beginning, `last` or `@2`; `{list}` lists them, `{publish}` publishes it"
        )));
    }
    let lower = text.to_ascii_lowercase();
    // All ids begin alike, so that only the part that varies names one.
    let wanted = varies(&lower);
    let begins = |body: &&ExperimentBody| varies(&body.experiment).starts_with(wanted);
    let found: Vec<&ExperimentBody> = own.iter().filter(begins).collect();
    match found[..] {
        [] => Err(Failure::new(format!("no experiment of this station is or begins with {text:?}; `{list}` lists them"))),
        [one] if !wanted.is_empty() => Ok(one.experiment.clone()),
        _ => {
            let told = |body: &&ExperimentBody| format!("{} {:?}", short(&body.experiment), body.name);
            let all: Vec<String> = found.iter().take(CANDIDATES_TOLD).map(told).collect();
            let more = if found.len() > CANDIDATES_TOLD { format!(" and {} more", found.len() - CANDIDATES_TOLD) } else { String::new() };
            Err(Failure::new(format!("{text:?} may be {}{more}: write more of it", all.join(", "))))
        }
    }
}

/// Candidates that one sentence names.
const CANDIDATES_TOLD: usize = 5;

#[cfg(test)]
mod tests;
