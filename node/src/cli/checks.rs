//! What `station doctor` finds out beside the machine itself: whether the files are in force, the disk, the way into the network.
//!
//! Guarantees: where a station runs, it is asked; where none does, the bootstrap addresses are dialled with a key made for that, so that
//! nobody takes the doctor for the station. Deliberately lacks the sandbox and the clock: those stand in `doctor`.

use std::time::Duration;

use super::client::Client;
use super::doctor::Finding;
use super::layout::size;
use super::output::Failure;
use super::rules::unlike_disk;
use crate::api::operator;
use crate::api::page::{BootstrapBody, PolicyBody};
use crate::api::types::StatusBody;
use crate::numbers::count;
use crate::platform::damage;
use crate::platform::home::{Home, never_contacted};
use crate::platform::knock;
use crate::platform::ports;
use crate::platform::store::{Bounds, RedbStore};
use crate::store::{ROOM_BYTES_MIN, Store as _};

/// How long the bootstrap addresses have to answer.
const PATIENCE: Duration = Duration::from_secs(9);

/// What a running station says.
pub(super) enum Seen {
    Running(Box<(StatusBody, PolicyBody)>),
    Nobody,
    /// One is there and does not answer.
    Mute(Failure),
}

impl Seen {
    pub(super) async fn of(home: &Home) -> Self {
        match ask(home).await {
            Ok(Some(answers)) => Self::Running(Box::new(answers)),
            Ok(None) => Self::Nobody,
            Err(failure) => Self::Mute(failure),
        }
    }

    /// What the station that runs here says of itself, if one does and answers.
    pub(super) fn status(&self) -> Option<&StatusBody> {
        if let Self::Running(answers) = self { Some(&answers.0) } else { None }
    }
}

async fn ask(home: &Home) -> Result<Option<(StatusBody, PolicyBody)>, Failure> {
    let Some(client) = Client::find(home).await? else { return Ok(None) };
    Ok(Some((client.get("/v1/status").await?, client.get("/v1/policy").await?)))
}

pub(super) async fn findings(home: &Home, seen: &Seen) -> Vec<Finding> {
    let mut findings = vec![policy(home, seen)];
    findings.extend(files(seen));
    findings.push(disk(home, seen).await);
    findings.push(bootstraps(home, seen).await);
    findings.push(reach(home, seen));
    findings
}

pub(super) fn running(home: &Home, seen: &Seen) -> Finding {
    let (good, says) = match seen {
        Seen::Running(answers) => (true, format!("a station runs from this home: {}", answers.0.state.says)),
        Seen::Nobody => (true, format!("no station runs from this home (start it with `{}`)", home.call("run"))),
        Seen::Mute(failure) => (false, failure.message.clone()),
    };
    Finding { what: "running", good, says }
}

fn policy(home: &Home, seen: &Seen) -> Finding {
    let read = home.policy();
    let never = read.as_ref().map(never_contacted).unwrap_or_default();
    let (good, says) = match (seen, read) {
        (Seen::Running(answers), _) => match unlike_disk(home, &answers.1) {
            Some(says) => (false, says),
            None if !never.is_empty() => (false, never.join("; ")),
            None => (true, format!("in force; its hash, which every claim names, is {}", answers.1.hash)),
        },
        (_, Ok(_)) if !never.is_empty() => (false, never.join("; ")),
        (_, Ok(_)) => (true, "read; in force when the station starts".to_owned()),
        (_, Err(error)) => (false, error.to_string()),
    };
    Finding { what: "policy", good, says }
}

/// The other files, where what they say is not in force.
fn files(seen: &Seen) -> impl Iterator<Item = Finding> + '_ {
    let files = seen.status().into_iter().flat_map(|status| &status.files).filter(|file| file.file != "policy.toml");
    files.filter_map(|file| {
        let what = if file.file == "network.toml" { "network" } else { "settings" };
        Some(Finding { what, good: false, says: file.says.clone()? })
    })
}

/// What may still be written, and the most that the store takes.
async fn room(home: &Home, seen: &Seen) -> Result<(u64, u64), Failure> {
    if let Some(status) = seen.status() {
        return Ok((status.machine.disk_room_bytes, status.machine.disk_max_bytes));
    }
    let max = home.config()?.disk.0;
    let store = home.path("store");
    // What a station has open is its own, and looking makes no store.
    if matches!(seen, Seen::Nobody) && store.is_dir() {
        let open = RedbStore::open(&store, Bounds::of(max)).await;
        let open = open.map_err(|error| damage::of_store(home, &error).map_or_else(|| Failure::from(error), Failure::new))?;
        return Ok((open.room().await?, max));
    }
    let free = fs4::available_space(home.dir()).map_err(|error| Failure::new(format!("{}: {error}", home.dir().display())))?;
    Ok((free.min(max), max))
}

async fn disk(home: &Home, seen: &Seen) -> Finding {
    let (good, says) = match room(home, seen).await {
        Err(failure) => (false, failure.message),
        Ok((room, max)) if room < ROOM_BYTES_MIN => (
            false,
            format!(
                "{} left, and no work is taken below {}: free some, or raise `disk` in station.toml (now {})",
                size(room),
                size(ROOM_BYTES_MIN),
                size(max)
            ),
        ),
        Ok((room, max)) => (true, format!("{} left; the store takes {} at most", size(room), size(max))),
    };
    Finding { what: "disk", good, says }
}

/// Whether any bootstrap address leads into the network; those that do not are named.
async fn bootstraps(home: &Home, seen: &Seen) -> Finding {
    let what = "bootstrap";
    let found: Vec<BootstrapBody> = match seen.status() {
        Some(status) => status.bootstraps.clone(),
        None => match knock::bootstraps(home, PATIENCE).await {
            Ok((network, found)) => found.iter().map(|bootstrap| operator::bootstrap(bootstrap, &network)).collect(),
            Err(error) => return Finding { what, good: false, says: error.to_string() },
        },
    };
    let leading = found.iter().filter(|bootstrap| matches!(bootstrap.state.as_str(), "connected" | "own")).count();
    let good = found.is_empty() || leading > 0 || found.iter().any(|bootstrap| bootstrap.state == "elsewhere");
    let bad: Vec<&str> =
        found.iter().filter(|bootstrap| bootstrap.bad || bootstrap.state == "asked").map(|bootstrap| bootstrap.says.as_str()).collect();
    let mut says = match found.len() {
        0 => "the network file names no address: others must dial this station first".to_owned(),
        all => format!("{leading} of {} {} into the network", count(all as u64, "address"), if leading == 1 { "leads" } else { "lead" }),
    };
    if !bad.is_empty() {
        says = format!("{says}; {}", bad.join("; "));
    }
    Finding { what, good, says }
}

fn reach(home: &Home, seen: &Seen) -> Finding {
    let (good, says) = match seen.status() {
        Some(status) => (true, status.reach.says.clone()),
        None => match home.config().map(|config| ports::probe(&config.listen)) {
            Ok(Ok(())) => (true, "its ports are free; whether others come through shows while the station runs".to_owned()),
            Ok(Err((address, error))) => (false, format!("cannot listen on {address}: {error}; set another `listen` in station.toml")),
            Err(error) => (false, error.to_string()),
        },
    };
    Finding { what: "reachable", good, says }
}
