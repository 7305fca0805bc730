//! `station publish`: hands an experiment to the running station, or becomes a station that only publishes until it is closed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use station_protocol::Content;
use station_protocol::bounded::Name;
use station_protocol::experiment::file::{ExperimentFile, FileKind, ModuleRef};
use station_protocol::limits::Limits;

use super::client::Client;
use super::files;
use super::follow::{Carrier, Told, follow};
use super::output::{Exit, Failure, Output};
use super::pick::{Source, short};
use crate::api::types::{ContentBody, ExperimentBody, PublishBody, PublishedBody};
use crate::config::NetworkFile;
use crate::library::{BUNDLED, Bundled};
use crate::numbers::count;
use crate::platform::home::Home;
use crate::platform::start::{self, Plan};
use crate::platform::trial::{self, Inspection};
use crate::prepare;
use crate::printable::Line;
use crate::station::HandleError;

/// How long a closing requester stays at least: gossip is through the mesh by then.
const LINGER_MIN: Duration = Duration::from_secs(1);
/// How long it stays at most, for stations that still run a lease.
const LINGER_MAX: Duration = Duration::from_secs(30);

const EXAMPLES: &str = "Examples:
  station publish primes.toml                    watch it to its end; Ctrl-C leaves it in the running station
  ID=$(station publish --detach primes.toml)     hand it to the running station and return
  station publish --resume                       go on with what an interrupted publish left open
  station publish primes.toml --json             one line of JSON each: published, progress …, results

An experiment file:
  module = \"primes\"                            a bundled name, a path like \"./mine.wasm\", or a CID
  topic = \"compute\"
  [jobs]
  from = [0, 1_000_000]
  to = [3_000_000]
  [pure]
  trust = \"fixed:2\"";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The experiment file (TOML)
    #[arg(required_unless_present = "resume")]
    file: Option<PathBuf>,
    /// Do not wait for the results: print the id and return (needs a running station)
    #[arg(long)]
    detach: bool,
    /// Let the file name modules and inputs outside of its folder: what they hold is published
    #[arg(long)]
    any_path: bool,
    /// Go on with the experiments that an interrupted `station publish` left open
    #[arg(long, conflicts_with_all = ["file", "detach", "any_path"])]
    resume: bool,
}

pub(super) async fn run(home: &Home, args: &Args, output: &Output) -> Result<Exit, Failure> {
    // Read everything first: a typing error should not start a station.
    let body = args.file.as_deref().map(|file| Upload::read(file, args.any_path)).transpose()?;
    let found = Client::find(home).await?;
    if found.is_none() {
        if args.detach {
            let run = home.call("run");
            return Err(Failure::new(format!("--detach needs a running station: start one with `{run}`")).with(Exit::NotRunning));
        }
        // A running station says the same of its own; that there is no network is said below.
        if let (Some(body), Ok(network)) = (&body, home.network()) {
            body.is_of(&network)?;
        }
    }
    if let Some(body) = &body {
        body.judge(output).await?;
    }
    if let Some(client) = found {
        return publish(home, &client, body, (args, Carrier::Station), output).await;
    }
    if args.resume && !any_open(&Source::of(home).await?).await? {
        return Ok(nothing_open(home, output));
    }
    let plan = Plan::of(home)?;
    let mut config = plan.config.clone();
    config.api.set_port(0);
    output.say("no station is running: publishing from here until the experiment is closed");
    let sandbox = start::sandbox(home, None);
    let station = start::requester(home, plan, &sandbox).await?;
    let handle = station.handle();
    let (_, api) = start::api(home, &config, &station).await?;
    let is_over = AtomicBool::new(false);
    let work = async {
        let code = carry(home, body, (args, &is_over), output).await;
        // A station that has stopped already needs no telling.
        let _ = handle.shutdown().await;
        code
    };
    let serve = async { tokio::join!(api, std::future::pending::<()>()) };
    let result = tokio::select! {
        (code, ended) = async { tokio::join!(work, station.run()) } => { ended?; code }
        _ = serve => Err(Failure::new("the API stopped")),
        () = super::run::signal() => Err(interrupted(home, is_over.load(Ordering::Relaxed))),
    };
    home.remove("api.addr");
    result
}

/// What Ctrl-C leaves behind where this process is the station.
fn interrupted(home: &Home, is_over: bool) -> Failure {
    let ended = if is_over { " after the end, of which some stations may not have heard" } else { "" };
    let resume = home.call("publish --resume");
    Failure::new(format!("interrupted{ended}: no station runs here now, and what is open is kept: go on with `{resume}`")).with(Exit::Interrupted)
}

/// Publishes to the station that this process is, and stays until nothing is left to do.
async fn carry(home: &Home, body: Option<Upload>, (args, is_over): (&Args, &AtomicBool), output: &Output) -> Result<Exit, Failure> {
    let client = Client::connect(home).await?;
    let before = open(&client).await?;
    let code = publish(home, &client, body, (args, Carrier::Here), output).await;
    is_over.store(code.is_ok(), Ordering::Relaxed);
    stay(&client, &before, output).await;
    code
}

/// Whether there is anything to go on with.
async fn any_open(source: &Source) -> Result<bool, Failure> {
    Ok(source.experiments().await?.iter().any(|own| !own.closed))
}

fn nothing_open(home: &Home, output: &Output) -> Exit {
    let list = home.call("experiments");
    output.show(&serde_json::json!({ "type": "resumed", "experiments": 0 }), |_| String::new());
    output.say(format!("no experiment of this station is open, so that nothing is left to go on with; `{list}` lists them all"));
    Exit::Done
}

/// Own experiments that are open.
async fn open(client: &Client) -> Result<BTreeSet<String>, Failure> {
    let own: Vec<ExperimentBody> = client.get("/v1/experiments").await?;
    Ok(own.into_iter().filter(|own| !own.closed).map(|own| own.experiment).collect())
}

/// Stays for what other commands handed to this station meanwhile, then a moment. What was open `before` waits for `--resume`.
async fn stay(client: &Client, before: &BTreeSet<String>, output: &Output) {
    loop {
        let mut told = 0;
        let mut tick = tokio::time::interval(LINGER_MIN);
        loop {
            tick.tick().await;
            // A station that does not answer carries nothing.
            let more = open(client).await.map_or(0, |open| open.difference(before).count());
            if more == 0 {
                break;
            }
            if told != more {
                let more = count(more as u64, "experiment");
                output.say(format!("staying for {more} more that another command handed to this station"));
            }
            told = more;
        }
        linger(client, output).await;
        if open(client).await.map_or(true, |open| open.difference(before).count() == 0) {
            return;
        }
    }
}

/// Stays a moment, so that the stations hear of the end and hand over what still runs.
async fn linger(client: &Client, output: &Output) {
    let spinner = output.spinner("telling the stations that it is over");
    let begun = tokio::time::Instant::now();
    let mut tick = tokio::time::interval(LINGER_MIN / 4);
    loop {
        tick.tick().await;
        let own: Vec<ExperimentBody> = client.get("/v1/experiments").await.unwrap_or_default();
        let quiet = own.iter().all(|experiment| experiment.outstanding == 0);
        if begun.elapsed() >= LINGER_MAX || (quiet && begun.elapsed() >= LINGER_MIN) {
            break;
        }
    }
    spinner.finish_and_clear();
}

async fn publish(home: &Home, client: &Client, upload: Option<Upload>, (args, carrier): (&Args, Carrier), output: &Output) -> Result<Exit, Failure> {
    let Some(upload) = upload else { return resume(home, client, carrier, output).await };
    let module = match upload.module {
        Some(bytes) => Some(client.post_bytes::<ContentBody>("/v1/content", bytes).await?),
        None => None,
    };
    let inputs = match &upload.inputs {
        Some((path, kind)) => Some(hand_in(client, (path, *kind), &upload.text, output).await?),
        None => None,
    };
    let body = PublishBody { file: upload.file, module, inputs };
    let published: PublishedBody = client.post("/v1/experiments", &body).await?;
    published.warnings.iter().for_each(|warning| output.say(format!("warning: {}", Line(warning))));
    if args.detach {
        output.show(&Told::Published(&published), |_| published.experiment.clone());
        return Ok(Exit::Done);
    }
    if output.is_json() {
        output.show(&Told::Published(&published), |_| String::new());
    }
    let (name, id) = (Line(&published.name), &published.experiment);
    output.say(format!("published \"{name}\" as {} ({id})", short(id)));
    follow(home, client, id, carrier, output).await
}

/// Hands in a file of inputs, and says what was understood: a column that is taken for something else must not stay unseen.
async fn hand_in(client: &Client, (path, kind): (&Path, FileKind), text: &[String], output: &Output) -> Result<String, Failure> {
    let spinner = output.spinner("reading the inputs");
    let listed = client.post_inputs(path, kind).await;
    spinner.finish_and_clear();
    let listed = listed.map_err(|failure| Failure { message: format!("{}: {}", path.display(), failure.message), ..failure })?;
    let (columns, has_numbers) = columns(&listed.columns, text);
    output.say(format!("{}: {}{columns}", path.display(), count(listed.count, "input")));
    if has_numbers {
        output.say("a column of numbers stays text with text = [\"NAME\"] under [jobs]");
    }
    Ok(listed.inputs)
}

/// The columns of a list in words, where the experiment file says which stay `text`; and whether any is one of numbers.
fn columns(listed: &[(String, String)], text: &[String]) -> (String, bool) {
    let kind = |(name, kind): &(String, String)| if text.contains(name) { "text".to_owned() } else { kind.clone() };
    let told: Vec<String> = listed.iter().map(|column| format!("{} ({})", Line(&column.0), kind(column))).collect();
    let words = if told.is_empty() { String::new() } else { format!(" with the columns {}", told.join(", ")) };
    (words, listed.iter().any(|column| kind(column) != "text"))
}

async fn resume(home: &Home, client: &Client, carrier: Carrier, output: &Output) -> Result<Exit, Failure> {
    let own: Vec<ExperimentBody> = client.get("/v1/experiments").await?;
    let open: Vec<_> = own.iter().filter(|experiment| !experiment.closed).collect();
    if open.is_empty() {
        return Ok(nothing_open(home, output));
    }
    let mut code = Exit::Done;
    for experiment in open {
        output.say(format!("resuming {} {:?}", short(&experiment.experiment), experiment.name));
        let ended = follow(home, client, &experiment.experiment, carrier, output).await?;
        // One without an answer is not made up for by a later one.
        code = if code == Exit::Done { ended } else { code };
    }
    Ok(code)
}

/// An experiment file with what it names.
struct Upload {
    file: String,
    topic: Name,
    limits: Limits,
    module: Option<Vec<u8>>,
    /// Where the module is, where it is a file.
    path: Option<PathBuf>,
    /// The module that is bundled.
    bundled: Option<&'static Bundled>,
    /// The file of inputs, where there is one.
    inputs: Option<(PathBuf, FileKind)>,
    /// Its columns that stay text.
    text: Vec<String>,
}

impl Upload {
    fn read(path: &Path, any_path: bool) -> Result<Self, Failure> {
        let file = files::read_text(path)?;
        let named = |error: &dyn std::fmt::Display| Failure::new(format!("{}: {error}", path.display()));
        let parsed = ExperimentFile::parse(&file).map_err(|error| named(&error))?;
        let bundled = match &parsed.module {
            ModuleRef::Bundled(name) => {
                let bundled = BUNDLED.iter().find(|bundled| bundled.name == name.as_str());
                Some(bundled.ok_or_else(|| named(&prepare::unknown_module(name.as_str())))?)
            }
            ModuleRef::Path(_) | ModuleRef::Cid(_) => None,
        };
        let file_of_module = match &parsed.module {
            ModuleRef::Path(name) => Some(files::named(path, name, any_path).map_err(absent_module)?),
            ModuleRef::Bundled(_) | ModuleRef::Cid(_) => None,
        };
        let module = file_of_module.as_deref().map(module).transpose()?;
        let inputs = parsed.inputs_file().map(|(name, kind)| Ok::<_, Failure>((files::named(path, name, any_path)?, kind))).transpose()?;
        let listed = inputs.as_ref().map(|(path, kind)| files::read_inputs(path, *kind)).transpose()?;
        let text = parsed.text_columns().to_vec();
        // Only to see now what is wrong with it: the station prepares it again.
        let draft = prepare::draft(parsed, Content::raw(&[]), listed).map_err(|error| named(&error))?;
        prepare::check(&draft).map_err(|error| named(&error))?;
        Ok(Self { topic: draft.topic, limits: draft.limits, file, module, path: file_of_module, bundled, inputs, text })
    }

    /// Refuses a module that no station could run, or not within the limits: its experiment would fail everywhere, on the machines of others.
    async fn judge(&self, output: &Output) -> Result<(), Failure> {
        let Some((module, called)) = self.looked_at() else { return Ok(()) };
        let spinner = output.spinner("looking at the module as a station would");
        let inspected = trial::inspect(module.to_vec()).await;
        spinner.finish_and_clear();
        let (refused, needs) = match inspected {
            Ok(Inspection { refused, needs, .. }) => (refused, needs),
            Err(error) => {
                output.say(format!("the module was not looked at before it is published: {error}"));
                return Ok(());
            }
        };
        if let Some(reason) = refused {
            return Err(Failure::new(format!(
                "{called}: no station could run it: {}; look at it with `station module inspect {called}`",
                Line(&reason)
            )));
        }
        let within = needs.map_or(Ok(()), |needs| needs.within(self.limits.memory_bytes, self.limits.fuel));
        within.map_err(|refusal| Failure::new(format!("{called}: no job of it would begin: {}", prepare::short_of(&refusal))))
    }

    /// The module to be looked at, and how it is called. A bundled one runs, and does so within limits that nobody lowered.
    fn looked_at(&self) -> Option<(&[u8], String)> {
        let usual = Limits::default();
        let is_lowered = self.limits.memory_bytes < usual.memory_bytes || self.limits.fuel < usual.fuel;
        match (&self.module, &self.path, self.bundled) {
            (Some(module), Some(path), _) => Some((module, path.display().to_string())),
            (_, _, Some(bundled)) if is_lowered => Some((bundled.bytes, bundled.name.to_owned())),
            _ => None,
        }
    }

    /// That the network has its topic.
    fn is_of(&self, network: &NetworkFile) -> Result<(), Failure> {
        if network.topics.contains(&self.topic) {
            return Ok(());
        }
        let (topic, network, topics) = (self.topic.clone(), network.name.clone(), network.topics.clone());
        Err(HandleError::Topic { topic, network, topics }.into())
    }
}

/// What is not there can be built.
fn absent_module(failure: Failure) -> Failure {
    if !failure.message.contains("No such file") {
        return failure;
    }
    Failure::new(format!("{}; build it with `station module build`", failure.message))
}

/// What every module in WebAssembly's binary format begins with.
const WASM_MAGIC: &[u8] = b"\0asm";

/// A module from disk. What is no module is not published as one: no station could run it, and it may be somebody's letter.
fn module(path: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = read_module(path)?;
    if !bytes.starts_with(WASM_MAGIC) {
        return Err(Failure::new(format!("{}: it is not a WebAssembly module; look at it with `station module inspect`", path.display())));
    }
    Ok(bytes)
}

/// A module from disk, refused where no station could take it.
pub(super) fn read_module(path: &Path) -> Result<Vec<u8>, Failure> {
    files::read(path).map_err(absent_module)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_that_the_file_keeps_text_is_told_as_text() {
        let listed = [("zip", "whole"), ("n", "whole"), ("who", "text")].map(|(name, kind)| (name.to_owned(), kind.to_owned()));
        let text = ["zip".to_owned()];
        assert_eq!(columns(&listed, &text), (" with the columns zip (text), n (whole), who (text)".to_owned(), true));
        assert_eq!(columns(&listed[..1], &text), (" with the columns zip (text)".to_owned(), false));
        assert_eq!(columns(&[], &text), (String::new(), false));
    }
}
