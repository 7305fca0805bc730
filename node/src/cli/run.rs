//! `station run`: the station in the foreground until Ctrl-C.

use super::output::{Exit, Failure, Output};
use crate::config::NetworkFile;
use crate::platform::home::Home;
use crate::platform::start::{self, Plan};
use crate::platform::trial;
use crate::station::Handle;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A network file to use instead of the home's network.toml
    #[arg(long, value_name = "FILE")]
    network: Option<std::path::PathBuf>,
}

pub(super) async fn run(home: &Home, args: &Args, output: &Output) -> Result<Exit, Failure> {
    if let Some(file) = &args.network {
        let text = super::files::read_text(file)?;
        NetworkFile::parse(&text)?;
        home.write("network.toml", &text)?;
    }
    let plan = Plan::of(home)?;
    let config = plan.config.clone();
    let sandbox = start::sandbox(home, None);
    let station = start::station(home, plan, &sandbox).await?;
    let handle = station.handle();
    // Known before the first call is heard: a station that can run nothing claims nothing.
    handle.unfit(Some(UNTRIED.to_owned())).await?;
    let (addr, api) = start::api(home, &config, &station).await?;
    announce(&handle, addr, output);
    let watch = watch_hours(handle.clone(), home);
    let fitness = watch_fitness(handle.clone(), sandbox.clone());
    let ended = tokio::select! {
        ended = station.run() => ended,
        () = async { tokio::join!(api, watch, fitness, drain_on_signal(handle, output)); } => Ok(()),
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
const UNTRIED: &str = "this machine is tried out: no work is taken yet";
/// How often a machine that could run nothing is tried again: limits change, and the trial costs a process.
const TRIED_AGAIN: std::time::Duration = std::time::Duration::from_secs(10 * 60);

/// Tells the station whether this machine can run anything at all.
async fn watch_fitness(handle: Handle, sandbox: station_sandbox::Sandbox) {
    loop {
        let unfit = trial::noop(sandbox.clone()).await.err();
        if let Some(why) = &unfit {
            tracing::error!(%why, "no work is taken");
        }
        let again = unfit.is_some();
        if handle.unfit(unfit).await.is_err() || !again {
            return;
        }
        tokio::time::sleep(TRIED_AGAIN).await;
    }
}

/// Tells the station once a minute whether the operator's hours and power allow work.
async fn watch_hours(handle: Handle, home: &Home) {
    let mut minute = tokio::time::interval(std::time::Duration::from_secs(60));
    loop {
        minute.tick().await;
        // A policy file that was just spoilt changes nothing; the commands that edit it refuse to.
        let Ok(budget) = home.policy().map(|policy| policy.budget) else { continue };
        let may = budget.hours.contain(crate::clock::machine()) && (budget.on_battery || !crate::platform::power::on_battery());
        if handle.may_work(may).await.is_err() {
            return;
        }
    }
}
