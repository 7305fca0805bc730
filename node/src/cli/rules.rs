//! `station allow`, `station deny` and `station policy show`: edits `policy.toml` and tells the running station.

use std::process::ExitCode;

use super::client::Client;
use super::output::{Failure, Output};
use crate::library::bundled_names;
use crate::platform::home::Home;
use station_protocol::policy::{Policy, Subject};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A bundled module's name, a module's CID, or a requester's node id
    who: String,
    /// A capability, like http
    capability: String,
    /// Targets like *.ipfs.io:443; for `deny` none means all
    targets: Vec<String>,
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum PolicyCommand {
    /// Print the policy as it is understood
    Show,
}

pub(super) async fn allow(home: &Home, args: &Args, output: &Output) -> Result<ExitCode, Failure> {
    if args.targets.is_empty() {
        return Err(Failure::new("name the targets to allow, like `*.ipfs.io:443`; `*` allows all public ones"));
    }
    let text = Policy::allow(&home.policy_text()?, &subject(&args.who)?, args.capability.parse()?, &patterns(args)?)?;
    replace(home, text, output).await
}

pub(super) async fn deny(home: &Home, args: &Args, output: &Output) -> Result<ExitCode, Failure> {
    let text = Policy::deny(&home.policy_text()?, &subject(&args.who)?, args.capability.parse()?, &patterns(args)?)?;
    replace(home, text, output).await
}

pub(super) fn policy(home: &Home, command: &PolicyCommand, output: &Output) -> Result<ExitCode, Failure> {
    let PolicyCommand::Show = command;
    let policy = home.policy()?;
    output.show(&serde_json::json!({ "policy": policy.to_toml(), "hash": format!("{:?}", policy.hash()) }), |_| policy.to_toml());
    Ok(ExitCode::SUCCESS)
}

fn subject(who: &str) -> Result<Subject, Failure> {
    who.parse().map_err(|_| Failure::new(format!("{who:?} is neither a bundled module, a CID nor a node id")))
}

fn patterns(args: &Args) -> Result<Vec<station_protocol::capability::TargetPattern>, Failure> {
    Ok(args.targets.iter().map(|target| target.parse()).collect::<Result<_, _>>()?)
}

/// Checks the new text before it replaces the old, and tells the running station.
async fn replace(home: &Home, text: String, output: &Output) -> Result<ExitCode, Failure> {
    Policy::parse(&text, &bundled_names())?;
    home.write("policy.toml", &text)?;
    let running = Client::find(home).await?;
    let told = running.is_some();
    if let Some(client) = running {
        client.put_text("/v1/policy", text.clone()).await?;
    }
    output.show(&serde_json::json!({ "policy": text, "running": told }), |_| text.clone());
    output.say(if told { "in force now" } else { "in force when the station starts" });
    Ok(ExitCode::SUCCESS)
}
