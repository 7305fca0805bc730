//! The command line: one file per command, all of them thin over the API or a home folder.
//!
//! Exit codes: 0 done; 1 it failed, the sentence says why; 2 wrong usage; 3 no station runs here and the command needs one;
//! 4 not every job got an answer; 130 interrupted. They are [`output::Exit`], which `--help` and README.md repeat.

mod checks;
mod client;
mod demo;
mod doctor;
mod experiments;
mod files;
mod follow;
mod inspect;
mod layout;
mod ledger;
mod log;
mod manage;
mod network;
mod operate;
mod output;
mod pick;
mod publish;
mod rules;
mod run;
mod show;
mod status;
mod who;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::platform::home::{self, Home};
use output::{Exit, Failure, Output};

/// Runs other people's experiments safely and returns results one can trust.
#[derive(Debug, Parser)]
#[command(
    name = "station",
    version,
    max_term_width = 110,
    after_help = Exit::help()
)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Where help lists what every command takes: after what is the command's own.
const EVERYWHERE: &str = "With every command";

#[derive(Clone, Debug, Args)]
pub struct Common {
    /// The station's folder: key, settings, policy, store
    #[arg(long, global = true, env = "STATION_HOME", value_name = "DIR", value_parser = OsStringValueParser::new().map(PathBuf::from), help_heading = EVERYWHERE)]
    home: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    json: bool,
    /// What to log to standard error, like `info` or `station_node=debug`
    #[arg(long, global = true, env = "STATION_LOG", value_name = "FILTER", default_value = "warn,libp2p_kad=error", value_parser = log::filter, help_heading = EVERYWHERE)]
    log: String,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a station: a key and commented settings
    Init,
    /// Make networks
    #[command(subcommand)]
    Network(network::Command),
    /// Run the station until Ctrl-C
    Run(run::Args),
    /// Publish an experiment and watch it
    Publish(publish::Args),
    /// List this station's experiments, the newest first: short id, age, name, state, counts
    #[command(after_help = EXPERIMENTS_EXAMPLES)]
    Experiments,
    /// Watch an experiment of this station: progress, and why it does not move
    Watch(show::WhichArgs),
    /// Show an experiment's results
    Results(show::ResultsArgs),
    /// Check every signature and recompute every verdict of a closed experiment's Log
    Verify(show::WhichArgs),
    /// Close an experiment of this station now; unsettled jobs expire
    Cancel(show::WhichArgs),
    /// Build, inspect or try a module
    #[command(subcommand)]
    Module(inspect::Command),
    /// Allow a module or requester a capability on targets; what they were denied is lifted
    Allow(rules::AllowArgs),
    /// Take back what was allowed, or deny all work
    Deny(rules::DenyArgs),
    /// The operator's policy
    #[command(subcommand)]
    Policy(rules::PolicyCommand),
    /// What the running station does and for whom, what it contacted, what is left of its budgets, and why it is idle
    Status,
    /// What the station did for whom: jobs, processor time, bytes, hosts contacted and refused, by hour and day
    Activity(operate::ActivityArgs),
    /// Take nothing new, also over restarts; what runs is finished
    Pause(operate::PauseArgs),
    /// Take work again after a pause
    Resume,
    /// This station's node id and addresses
    Id,
    /// Check this machine: key, files, disk, bootstrap addresses (dialled), reachability, sandbox, clock
    Doctor,
    /// Run a small mesh on this machine and show an experiment end to end
    Demo(demo::Args),
}

const EXPERIMENTS_EXAMPLES: &str = "Examples:
  station experiments                       also while no station runs
  station experiments --json | jq -r '.[] | select(.closed | not) | .experiment'

What the list names can be written in `watch`, `results`, `verify` and `cancel`: `last`, `@2`, or the beginning of an id.";

/// Parses the arguments and runs the command.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match parse(std::env::args_os()) {
        Ok(cli) => cli,
        Err(Wrong::Usage(failure)) => return Output::new(true).fail(&failure).into(),
        Err(Wrong::Clap(error)) => error.exit(),
    };
    let output = Output::new(cli.common.json);
    log::start(&cli.common.log);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output.fail(&Failure::new(format!("the runtime does not start: {error}"))).into(),
    };
    let result = runtime.block_on(dispatch(cli, &output));
    // What still runs in the background belongs to nobody now.
    runtime.shutdown_background();
    output.end(result).into()
}

/// Arguments that are no command, or a wish for help.
enum Wrong {
    /// A script asked, so the answer is JSON.
    Usage(Failure),
    Clap(clap::Error),
}

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, Wrong> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    Cli::try_parse_from(&arguments).map_err(|error| {
        if error.use_stderr() && arguments.iter().any(|argument| argument == "--json") {
            Wrong::Usage(Failure::new(error.to_string().trim_end()).with(Exit::Usage))
        } else {
            Wrong::Clap(error)
        }
    })
}

async fn dispatch(cli: Cli, output: &Output) -> Result<Exit, Failure> {
    let home = Home::new(home_dir(cli.common.home)?);
    match cli.command {
        Command::Init => manage::init(&home, output),
        Command::Network(command) => network::run(&home, &command, output),
        Command::Run(args) => run::run(&home, &args, output).await,
        Command::Publish(args) => publish::run(&home, &args, output).await,
        Command::Experiments => experiments::run(&home, output).await,
        Command::Watch(args) => follow::watch(&home, &args, output).await,
        Command::Results(args) => show::results(&home, &args, output).await,
        Command::Verify(args) => show::verify(&home, &args, output).await,
        Command::Cancel(args) => show::cancel(&home, &args, output).await,
        Command::Module(command) => inspect::run(&command, output).await,
        Command::Allow(args) => rules::allow(&home, &args, output).await,
        Command::Deny(args) => rules::deny(&home, &args, output).await,
        Command::Policy(command) => rules::policy(&home, &command, output).await,
        Command::Status => status::status(&home, output).await,
        Command::Activity(args) => operate::activity(&home, &args, output).await,
        Command::Pause(args) => operate::pause(&home, &args, output).await,
        Command::Resume => operate::resume(&home, output).await,
        Command::Id => manage::id(&home, output).await,
        Command::Doctor => doctor::run(&home, output).await,
        Command::Demo(args) => demo::run(&args, output).await,
    }
}

/// `--home`, else `~/.station`. An empty name is a variable that was to be set: the usual folder in its place could be another station's.
fn home_dir(given: Option<PathBuf>) -> Result<PathBuf, Failure> {
    if given.as_ref().is_some_and(|dir| dir.as_os_str().is_empty()) {
        let says = "the station's folder has an empty name: write --home DIR, or set STATION_HOME to a folder, or unset it for ~/.station";
        return Err(Failure::new(says).with(Exit::Usage));
    }
    given.or_else(home::default_dir).ok_or_else(|| Failure::new("HOME is not set: name the station's folder with --home"))
}

#[cfg(test)]
mod tests;
