//! `station allow`, `station deny` and `station policy`: edits `policy.toml`, and tells the running station.

use serde_json::json;
use station_protocol::capability::{Capability, TargetPattern};
use station_protocol::policy::Policy;
use station_protocol::policy::edit::{self, Change, Edit};

use super::client::Client;
use super::output::{Exit, Failure, Output};
use super::who;
use crate::api::operator;
use crate::api::page::PolicyBody;
use crate::library::bundled_names;
use crate::on_disk::OnDisk;
use crate::outside::address::{Breadth, judge_pattern};
use crate::platform::home::{Home, never_contacted};
use crate::printable::Line;

#[derive(Debug, clap::Args)]
pub(super) struct AllowArgs {
    /// A bundled module's name, a module's CID, or a requester's node id: whole, its beginning, or its end as pages show it
    who: String,
    /// A capability, like http; without one only a `station deny` is taken back, for pure work
    #[arg(requires = "targets")]
    capability: Option<Capability>,
    /// Targets like *.ipfs.io:443; `*` allows all public ones
    #[arg(value_parser = TargetPattern::written)]
    targets: Vec<TargetPattern>,
}

#[derive(Debug, clap::Args)]
pub(super) struct DenyArgs {
    /// A bundled module's name, a module's CID, or a requester's node id: whole, its beginning, or its end as pages show it
    who: String,
    /// The capability to take back; without it nothing is done for them any more, pure computation included
    capability: Option<Capability>,
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum PolicyCommand {
    /// Print the policy in force as it is understood, and say what is on disk and not in force
    Show,
    /// Have the running station read policy.toml now (it does so by itself within seconds)
    Reload,
}

pub(super) async fn allow(home: &Home, args: &AllowArgs, output: &Output) -> Result<Exit, Failure> {
    let mut warnings = Vec::new();
    for target in &args.targets {
        let breadth =
            judge_pattern(target).map_err(|reason| Failure::new(format!("{target} can never be contacted, for {reason}: nothing was changed")))?;
        if breadth == Breadth::Wide {
            let who = Line(&args.who);
            warnings.push(format!("{target} is far and wide: whoever publishes for {who} may have this machine contact any host there"));
        }
    }
    let text = readable(home)?;
    let subject = who::subject(home, &args.who, &text).await?;
    who::is_whole_enough(home, &args.who, &subject)?;
    let who = who::name(&subject);
    warnings.iter().for_each(|warning| output.say(warning));
    let grant = args.capability.map(|capability| (capability, args.targets.as_slice()));
    let edit = edit::allow(&text, &subject, grant, &bundled_names())?;
    let nothing = match args.capability {
        Some(_) => format!("{} is allowed all that already", Line(&who)),
        None => format!("{} was not denied: nothing was changed", Line(&who)),
    };
    replace(home, &who, edit, (&nothing, &warnings), output).await
}

pub(super) async fn deny(home: &Home, args: &DenyArgs, output: &Output) -> Result<Exit, Failure> {
    let text = readable(home)?;
    let subject = who::subject(home, &args.who, &text).await?;
    let who = who::name(&subject);
    let edit = edit::deny(&text, &subject, args.capability, &bundled_names())?;
    let nothing = match args.capability {
        Some(capability) => format!("nothing to take back: {} is not allowed {capability}", Line(&who)),
        None => format!("{} is denied everything already", Line(&who)),
    };
    replace(home, &who, edit, (&nothing, &[]), output).await
}

pub(super) async fn policy(home: &Home, command: &PolicyCommand, output: &Output) -> Result<Exit, Failure> {
    match command {
        PolicyCommand::Show => show(home, output).await,
        PolicyCommand::Reload => reload(home, output).await,
    }
}

/// The policy that a station decides by: the running one's, or else the file's.
async fn show(home: &Home, output: &Output) -> Result<Exit, Failure> {
    let (body, running) = match Client::find(home).await? {
        Some(client) => (client.get::<PolicyBody>("/v1/policy").await?, true),
        None => {
            let policy = home.policy()?;
            (operator::policy(&OnDisk::in_force(&policy), &policy, &home.spelling()), false)
        }
    };
    let unlike = if running { unlike_disk(home, &body) } else { None };
    let in_force = running && unlike.is_none();
    let policy = Policy::parse(&body.text, &bundled_names());
    let warnings = policy.as_ref().map(never_contacted).unwrap_or_default();
    let value = json!({ "policy": body.policy, "hash": body.hash, "running": running, "in_force": in_force, "says": unlike, "warnings": warnings });
    output.show(&value, |_| policy.map_or_else(|_| body.text.clone(), |policy| policy.text()));
    warnings.iter().for_each(|warning| output.say(format!("warning: {warning}")));
    match unlike {
        Some(says) => output.say(format!("what you see is in force; {says}")),
        None if running => output.say(format!("in force now; its hash, which every claim names, is {}", body.hash)),
        None => output.say("no station runs from this home: in force when one starts"),
    }
    Ok(Exit::Done)
}

/// What stands in policy.toml and is not in force, if anything does.
pub(super) fn unlike_disk(home: &Home, in_force: &PolicyBody) -> Option<String> {
    let text = match home.policy_text() {
        Ok(text) => text,
        Err(error) => return Some(format!("policy.toml cannot be read: {error}")),
    };
    match Policy::parse(&text, &bundled_names()) {
        Err(error) => Some(format!("policy.toml on disk cannot be used: {error}")),
        Ok(_) if text != in_force.text => {
            Some(format!("policy.toml on disk is another and not in force: `{}` has it read now", home.call("policy reload")))
        }
        Ok(_) => in_force.file.says.clone(),
    }
}

/// Where a policy is put that is the file's by now.
const OF_FILE: &str = "/v1/policy?from_file=true";

async fn reload(home: &Home, output: &Output) -> Result<Exit, Failure> {
    let policy = home.policy()?;
    let client = Client::connect(home).await?;
    client.put_text(OF_FILE, policy.source().to_owned()).await?;
    let body: PolicyBody = client.get("/v1/policy").await?;
    let warnings = never_contacted(&policy);
    output.show(&json!({ "hash": body.hash, "warnings": warnings }), |_| "policy.toml is in force now".to_owned());
    warnings.iter().for_each(|warning| output.say(format!("warning: {warning}")));
    Ok(Exit::Done)
}

/// The file's text, where it is a policy: an edit must not make a spoilt file look mended.
fn readable(home: &Home) -> Result<String, Failure> {
    Ok(home.policy()?.source().to_owned())
}

/// Checks the new text before it replaces the old, tells the running station, and says what is different, or `nothing`. People have seen the
/// `warnings` by now.
async fn replace(home: &Home, who: &str, edit: Edit, (nothing, warnings): (&str, &[String]), output: &Output) -> Result<Exit, Failure> {
    let Edit { text, changes, still_denied } = edit;
    let policy = Policy::parse(&text, &bundled_names())?;
    let changed = !changes.is_empty();
    if changed {
        home.write("policy.toml", &text)?;
    }
    let client = Client::find(home).await?;
    let running = client.is_some();
    if let Some(client) = client {
        // Also where nothing was changed: what the file says is wanted now.
        client.put_text(OF_FILE, text).await?;
    }
    let mut sentences: Vec<String> = changes.iter().map(|change| sentence(who, change)).collect();
    if !changed {
        sentences.push(nothing.to_owned());
    }
    if still_denied {
        sentences.push(format!("a [[deny]] that names {} with others is left and still holds: edit policy.toml to lift it", Line(who)));
    }
    let hash: String = policy.hash().0.iter().map(|byte| format!("{byte:02x}")).collect();
    let answer = json!({ "changed": changed, "says": sentences, "warnings": warnings, "running": running, "hash": hash });
    output.show(&answer, |_| sentences.join("\n"));
    if changed {
        output.say(if running { "in force now" } else { "in force when the station starts" });
    }
    Ok(Exit::Done)
}

fn sentence(who: &str, change: &Change) -> String {
    let who = Line(who);
    match change {
        Change::Allowed { capability, targets } => {
            let targets: Vec<String> = targets.iter().map(ToString::to_string).collect();
            format!("{who} may use {capability} on {}", targets.join(", "))
        }
        Change::DenyLifted => format!("{who} was denied, and is not any more"),
        Change::TakenBack { capability, targets } => format!("{who} may no longer use {} on {}", Line(capability), Line(&targets.join(", "))),
        Change::Denied => format!("nothing is done for {who} any more, not even pure computation"),
    }
}
