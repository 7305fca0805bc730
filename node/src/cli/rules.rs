//! `station allow`, `station deny` and `station policy show`: edits `policy.toml` and tells the running station.

use super::client::Client;
use super::output::{Exit, Failure, Output};
use crate::library::bundled_names;
use crate::outside::address::{Breadth, judge_pattern};
use crate::platform::home::Home;
use crate::printable::Line;
use station_protocol::capability::{Capability, TargetPattern};
use station_protocol::policy::{Policy, Subject};

#[derive(Debug, clap::Args)]
pub(super) struct AllowArgs {
    /// A bundled module's name, a module's CID, or a requester's node id
    who: String,
    /// A capability, like http
    capability: Capability,
    /// Targets like *.ipfs.io:443; `*` allows all public ones
    #[arg(required = true)]
    targets: Vec<TargetPattern>,
}

#[derive(Debug, clap::Args)]
pub(super) struct DenyArgs {
    /// A bundled module's name, a module's CID, or a requester's node id
    who: String,
    /// The capability to take back; without it nothing is done for them any more, pure computation included
    capability: Option<Capability>,
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum PolicyCommand {
    /// Print the policy as it is understood
    Show,
}

pub(super) async fn allow(home: &Home, args: &AllowArgs, output: &Output) -> Result<Exit, Failure> {
    for target in &args.targets {
        let breadth =
            judge_pattern(target).map_err(|reason| Failure::new(format!("{target} can never be contacted, for {reason}: nothing was changed")))?;
        if breadth == Breadth::Wide {
            output.say(format!("{target} is far and wide: whoever publishes for {} may have this machine contact any host there", Line(&args.who)));
        }
    }
    let text = home.policy()?.allow(&subject(&args.who), args.capability, &args.targets);
    replace(home, text, output).await
}

pub(super) async fn deny(home: &Home, args: &DenyArgs, output: &Output) -> Result<Exit, Failure> {
    let text = home.policy()?.deny(&subject(&args.who), args.capability);
    replace(home, text, output).await
}

pub(super) fn policy(home: &Home, command: &PolicyCommand, output: &Output) -> Result<Exit, Failure> {
    let PolicyCommand::Show = command;
    let policy = home.policy()?;
    output.show(&serde_json::json!({ "policy": policy.text(), "hash": format!("{:?}", policy.hash()) }), |_| policy.text());
    Ok(Exit::Done)
}

/// A node id, or else a module: whether it is one shows when the new policy is read back.
fn subject(who: &str) -> Subject {
    who.parse().map_or_else(|_| Subject::Module(who.to_owned()), Subject::Requester)
}

/// Checks the new text before it replaces the old, and tells the running station.
async fn replace(home: &Home, text: String, output: &Output) -> Result<Exit, Failure> {
    Policy::parse(&text, &bundled_names())?;
    home.write("policy.toml", &text)?;
    let running = Client::find(home).await?;
    let told = running.is_some();
    if let Some(client) = running {
        client.put_text("/v1/policy", text.clone()).await?;
    }
    output.show(&serde_json::json!({ "policy": text, "running": told }), |_| text.clone());
    output.say(if told { "in force now" } else { "in force when the station starts" });
    Ok(Exit::Done)
}
