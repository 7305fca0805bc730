//! `station run`: the station in the foreground until Ctrl-C.

use std::time::Duration;

use station_protocol::worker::{self, Rest};
use tokio::sync::broadcast::error::RecvError;

use super::layout::end_of;
use super::output::{Exit, Failure, Output};
use crate::api::operator;
use crate::config::{ConfigError, NetworkFile};
use crate::platform::home::{Home, never_contacted};
use crate::platform::start::{self, Plan};
use crate::platform::{trial, watch};
use crate::station::{Handle, Note};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A network file that becomes the home's network.toml once the station has started
    #[arg(long, value_name = "FILE")]
    network: Option<std::path::PathBuf>,
}

pub(super) async fn run(home: &Home, args: &Args, output: &Output) -> Result<Exit, Failure> {
    let network = args.network.as_deref().map(super::files::read_text).transpose()?;
    let plan = match (&network, &args.network) {
        (Some(text), Some(path)) => {
            let named = |error: ConfigError| ConfigError { file: path.display().to_string(), ..error };
            Plan::on(home, NetworkFile::parse(text).map_err(named)?)?
        }
        _ => Plan::of(home)?,
    };
    let (config, never) = (plan.config.clone(), never_contacted(&plan.policy));
    let sandbox = start::sandbox(home, None);
    let station = start::station(home, plan, &sandbox).await?;
    // The home is this station's by now: another one that runs from it keeps its network.
    if let Some(text) = &network {
        home.write("network.toml", text)?;
    }
    let handle = station.handle();
    // Known before the first call is heard: a station that can run nothing claims nothing.
    handle.unfit(Some(UNTRIED.to_owned())).await?;
    let (addr, api) = start::api(home, &config, &station).await?;
    announce(&handle, addr, output);
    never.iter().for_each(|warning| output.say(format!("warning: {warning}")));
    let beside = async {
        let files = watch::watch(home, &handle, |says| output.say(says));
        // Whatever is said of rest is said once the machine is tried out.
        let work = async {
            let is_fit = try_out(&handle, &sandbox).await;
            tokio::join!(try_again(&handle, &sandbox, is_fit), tell_rest(home, &handle, output));
        };
        tokio::join!(api, files, work, warn_of_bootstraps(home, &handle, output), drain_on_signal(handle.clone(), output))
    };
    let ended = tokio::select! {
        ended = station.run() => ended,
        _ = beside => Ok(()),
    };
    home.remove("api.addr");
    ended?;
    Ok(Exit::Done)
}

fn announce(handle: &Handle, api: std::net::SocketAddr, output: &Output) {
    let identity = handle.identity();
    let body = serde_json::json!({ "node": identity.node.to_string(), "network": identity.network.as_str(), "api": api.to_string() });
    output.show(&body, |_| format!("station {} on network {}; API on {api}; Ctrl-C drains and stops", identity.node, identity.network));
}

/// Drains at the first signal; at the second the process just ends.
async fn drain_on_signal(handle: Handle, output: &Output) {
    signal().await;
    output.say("finishing what runs and delivering what there is; press Ctrl-C again to stop at once");
    // A station that has stopped already needs no telling.
    let _ = handle.shutdown().await;
    signal().await;
    std::process::exit(Exit::Interrupted.code().into());
}

/// The first of Ctrl-C and, where there is one, SIGTERM.
pub(super) async fn signal() {
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = crate::platform::system::terminated() => {}
    }
}

/// What status says until the first trial has ended.
const UNTRIED: &str = "this machine is tried out";
/// How often a machine that could run nothing is tried again: limits change, and the trial costs a process.
const TRIED_AGAIN: Duration = Duration::from_secs(10 * 60);

/// Finds out whether this machine can run anything at all, and tells the station.
async fn try_out(handle: &Handle, sandbox: &station_sandbox::Sandbox) -> bool {
    let unfit = trial::noop(sandbox.clone()).await.err();
    if let Some(why) = &unfit {
        tracing::error!(%why, "no work is taken");
    }
    let is_fit = unfit.is_none();
    // A station that has stopped needs no telling.
    let _ = handle.unfit(unfit).await;
    is_fit
}

async fn try_again(handle: &Handle, sandbox: &station_sandbox::Sandbox, mut is_fit: bool) {
    while !is_fit {
        tokio::time::sleep(TRIED_AGAIN).await;
        is_fit = try_out(handle, sandbox).await;
    }
}

/// How long the bootstrap addresses have to answer before the terminal hears of it: within ten seconds.
const WARN_AFTER: Duration = Duration::from_secs(8);

/// Says once which bootstrap addresses do not lead into the network.
async fn warn_of_bootstraps(home: &Home, handle: &Handle, output: &Output) {
    tokio::time::sleep(WARN_AFTER).await;
    let Ok(status) = handle.status().await else { return };
    let network = handle.identity().network.as_str();
    let found: Vec<_> = status.bootstraps.iter().map(|bootstrap| operator::bootstrap(bootstrap, network)).collect();
    let bad: Vec<&str> = found.iter().filter(|bootstrap| bootstrap.bad).map(|bootstrap| bootstrap.says.as_str()).collect();
    if !bad.is_empty() {
        let alone = if status.paths.is_empty() { "; this station is connected to nobody" } else { "" };
        output.say(format!("warning: {}{alone} (`{}` looks again)", bad.join("; "), home.call("doctor")));
    }
}

/// Says why nothing new is taken, and when it is again.
async fn tell_rest(home: &Home, handle: &Handle, output: &Output) {
    let mut notes = handle.notes();
    let mut told = None;
    loop {
        let Ok(status) = handle.status().await else { return };
        if status.rest != told {
            told = status.rest;
            let state = operator::state(&status, &home.spelling());
            let until = state.until.map(|at| format!(" (until {})", end_of(at))).unwrap_or_default();
            output.say(if told.is_some() { format!("{}{until}", state.says) } else { "work is taken again".to_owned() });
        }
        loop {
            match notes.recv().await {
                // Stopping is told by whoever asked for it.
                Ok(Note::Worker(worker::Note::Rests(rest))) if rest != Some(Rest::Draining) => break,
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => break,
                Err(RecvError::Closed) => return,
            }
        }
    }
}
