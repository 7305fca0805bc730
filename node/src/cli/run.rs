//! `station run`: the station in the foreground until Ctrl-C.

use super::output::{Exit, Failure, Output};
use crate::config::NetworkFile;
use crate::platform::home::Home;
use crate::platform::start::{self, Plan};
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
    let (addr, api) = start::api(home, &config, &station).await?;
    announce(&handle, addr, output);
    let watch = watch_hours(handle.clone(), home);
    let ended = tokio::select! {
        ended = station.run() => ended,
        () = async { tokio::join!(api, watch, drain_on_signal(handle, output)); } => Ok(()),
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

/// Tells the station once a minute whether the operator's hours and power allow work.
async fn watch_hours(handle: Handle, home: &Home) {
    let clock = crate::clock::Clock::start();
    let mut minute = tokio::time::interval(std::time::Duration::from_secs(60));
    loop {
        minute.tick().await;
        // A policy file that was just spoilt changes nothing; the commands that edit it refuse to.
        let Ok(budget) = home.policy().map(|policy| policy.budget) else { continue };
        let may = budget.hours.contain(clock.now()) && (budget.on_battery || !crate::platform::power::on_battery());
        if handle.may_work(may).await.is_err() {
            return;
        }
    }
}
