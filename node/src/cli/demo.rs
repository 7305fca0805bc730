//! `station demo`: eight stations, three gateways, one experiment, one table. Ends by itself and leaves nothing running.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::ProgressBar;
use serde_json::Value;
use station_protocol::bounded::Name;
use station_protocol::experiment::file::ExperimentFile;
use station_protocol::requester;
use tokio::sync::broadcast::error::RecvError;

use super::output::{Exit, Failure, Output};
use crate::demo::gateway::{Behaviour, Gateway};
use crate::demo::real::GatewayUrl;
use crate::demo::{Mesh, MeshPlan};
use crate::library::BUNDLED;
use crate::numbers::count;
use crate::prepare;
use crate::printable::Line;
use crate::results::{Results, html, table};
use crate::station::{Handle, Note};

/// The promise: the demo ends within a minute.
const DEADLINE: Duration = Duration::from_secs(50);
/// Executions per gateway and CID.
const REPLICATION: u32 = 3;
/// The file the gateways serve: large enough that throughput means something, small enough for one block.
const FILE_BYTES: usize = 256 << 10;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Measure these gateways instead of local ones, like https://ipfs.io; separate with commas or repeat
    #[arg(long, value_delimiter = ',', value_name = "URL")]
    gateways: Vec<String>,
    /// How many stations to start
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u8).range(3..=32))]
    stations: u8,
    /// Where to write the HTML report
    #[arg(long, value_name = "FILE", default_value = "station-demo.html")]
    report: PathBuf,
}

/// What is measured: local gateways that end with the demo, or somebody's.
struct Targets {
    /// Label for people → URL.
    urls: Vec<(String, String)>,
    cids: Vec<String>,
    _running: Vec<Gateway>,
    exempt: BTreeSet<std::net::SocketAddr>,
}

/// What is left to the stations to tell each other goodbye: their results are in.
const GOODBYE: Duration = Duration::from_secs(1);
/// How often the temporary folder is removed again while something is still put into it, and how long after.
const REMOVALS: u32 = 10;
const REMOVE_AGAIN: Duration = Duration::from_millis(50);

pub(super) async fn run(args: &Args, output: &Output) -> Result<Exit, Failure> {
    let targets = if args.gateways.is_empty() { local().await? } else { real(&args.gateways)? };
    let report = Report::open(&args.report)?;
    let dir = tempfile::Builder::new().prefix("station-demo-").tempdir().map_err(|error| Failure::new(format!("no temporary folder: {error}")))?;
    // From the first moment on: what is interrupted cleans up. Whatever runs ends with the future that is dropped.
    let measured = tokio::select! {
        measured = measured(args, &targets, dir.path(), output) => measured,
        () = super::run::signal() => Err(Failure::new("interrupted").with(Exit::Interrupted)),
    };
    remove(dir, output).await;
    let results = measured?;
    let named = named(&results, &targets);
    output.paint(&results, |_| format!("\n{}", table::render(&named, output.colour(), output.width())));
    let asked = asked(&results);
    asked.unasked.iter().for_each(|line| output.say(line));
    report.write(&html::render(&named, html::Check::Gone))?;
    output.say(format!("\n{}; the report with charts: {}", signed(&results, args.stations), args.report.display()));
    if asked.gateways == 0 {
        output.say("no gateway was asked");
        return Ok(Exit::Unanswered);
    }
    Ok(super::show::verdict_code(&results))
}

/// The experiment's results, from a mesh that begins and ends here.
async fn measured(args: &Args, targets: &Targets, dir: &Path, output: &Output) -> Result<Results, Failure> {
    let policy = policy(targets)?;
    output.say(format!("Starting {} stations on this machine. Each has a key, a store and this policy:\n\n{policy}", args.stations));
    for (label, url) in &targets.urls {
        output.say(format!("gateway {url}  {label}"));
    }
    let plan = MeshPlan {
        stations: usize::from(args.stations),
        topic: Name::new("ipfs-gateways")?,
        policy,
        exempt: targets.exempt.clone(),
        capacity: 2,
        program: None,
    };
    let spinner = output.spinner("stations are finding each other");
    let mesh = Mesh::start(&plan, dir).await?;
    spinner.finish_and_clear();
    let results = tokio::time::timeout(DEADLINE, measure(&mesh, targets, output)).await;
    mesh.end(GOODBYE).await;
    results.unwrap_or_else(|_| Err(Failure::new(format!("the demo did not end within {} s", DEADLINE.as_secs()))))
}

/// Removes the stations' homes, which those that end may still write into for a moment.
async fn remove(dir: tempfile::TempDir, output: &Output) {
    let path = dir.keep();
    for _ in 0..REMOVALS {
        match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => tokio::time::sleep(REMOVE_AGAIN).await,
            _ => return,
        }
    }
    output.say(format!("could not remove {}: remove it when nothing of the demo runs any more", path.display()));
}

/// The file for the report, found writable before anything is measured.
struct Report<'a> {
    path: &'a Path,
    /// Whether it was made for this, so that nothing empty is left behind.
    is_new: bool,
}

impl<'a> Report<'a> {
    fn open(path: &'a Path) -> Result<Self, Failure> {
        let is_new = !path.exists();
        let opened = std::fs::OpenOptions::new().create(true).append(true).open(path);
        opened.map_err(|error| {
            Failure::new(format!("the report cannot be written to {}: {error}; name another place with --report", path.display()))
        })?;
        Ok(Self { path, is_new })
    }

    fn write(mut self, page: &str) -> Result<(), Failure> {
        self.is_new = false;
        std::fs::write(self.path, page).map_err(|error| Failure::new(format!("{}: {error}", self.path.display())))
    }
}

impl Drop for Report<'_> {
    fn drop(&mut self) {
        if self.is_new {
            // Somebody may have removed it already.
            let _ = std::fs::remove_file(self.path);
        }
    }
}

/// How many of the stations signed something, each counted once, and how much they signed.
fn signed(results: &Results, stations: u8) -> String {
    let executions = || results.rows.iter().flat_map(|row| &row.executions);
    let signers: BTreeSet<&str> = executions().map(|execution| execution.node.as_str()).collect();
    format!("{} of {} signed {}", signers.len(), count(stations.into(), "station"), count(executions().count() as u64, "receipt"))
}

/// Which gateways were asked at all.
struct Asked {
    gateways: usize,
    /// The others, with the reason that their stations gave.
    unasked: Vec<String>,
}

fn asked(results: &Results) -> Asked {
    let mut asked = Asked { gateways: 0, unasked: Vec::new() };
    for row in &results.rows {
        let outputs = || row.executions.iter().map(crate::results::ExecutionRow::value);
        let is_unasked = |output: &Value| matches!(output["verdict"].as_str(), None | Some("refused_by_host" | "bad_input"));
        if outputs().any(|output| !is_unasked(output)) {
            asked.gateways += 1;
            continue;
        }
        let why = outputs().find_map(|output| output["raw"]["detail"].as_str()).unwrap_or("no station said why");
        let input = row.input["gateway"].as_str().unwrap_or_default();
        asked.unasked.push(format!("not asked: {}: {}", Line(input), Line(why)));
    }
    asked
}

async fn local() -> Result<Targets, Failure> {
    let bytes: Vec<u8> = (0..FILE_BYTES).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let file = station_car::unixfs::build(&bytes);
    let (mut urls, mut running, mut exempt) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (label, behaviour) in [("good", Behaviour::Good), ("slow", Behaviour::Slow), ("lies about bytes", Behaviour::Lying)] {
        let gateway = Gateway::start(behaviour, file.blocks.clone()).await.map_err(|error| Failure::new(format!("a local gateway: {error}")))?;
        urls.push((label.to_owned(), gateway.url()));
        exempt.insert(gateway.addr());
        running.push(gateway);
    }
    Ok(Targets { urls, cids: vec![file.root.to_string()], _running: running, exempt })
}

/// Real gateways are asked for the test file of the public gateway checker, a raw block that many nodes keep.
fn real(written: &[String]) -> Result<Targets, Failure> {
    let cids = vec!["bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4".to_owned()];
    let mut urls: Vec<(String, String)> = Vec::new();
    for text in written.iter().filter(|text| !text.trim().is_empty()) {
        let url = GatewayUrl::parse(text).map_err(|refused| Failure::new(refused.to_string()).with(Exit::Usage))?.to_string();
        if urls.iter().all(|(_, other)| *other != url) {
            urls.push((String::new(), url));
        }
    }
    if urls.is_empty() {
        return Err(Failure::new("--gateways names no gateway: write it like --gateways https://ipfs.io").with(Exit::Usage));
    }
    Ok(Targets { urls, cids, _running: Vec::new(), exempt: BTreeSet::new() })
}

/// The policy every station of the demo has: this module may fetch from these hosts, and nothing else.
fn policy(targets: &Targets) -> Result<String, Failure> {
    let hosts = targets.urls.iter().map(|(_, url)| host_and_port(url)).collect::<Result<Vec<_>, _>>()?;
    let list = hosts.iter().map(|host| format!("{host:?}")).collect::<Vec<_>>().join(", ");
    Ok(format!("[budget]\ncpu = \"2 cores\"\n\n[[allow]]\nmodule = \"gateway-check\"\ncapability = \"http\"\ntargets = [{list}]\n"))
}

fn host_and_port(url: &str) -> Result<String, Failure> {
    let parsed = url::Url::parse(url).map_err(|error| Failure::new(format!("{url:?} is not a URL: {error}")))?;
    let host = parsed.host_str().ok_or_else(|| Failure::new(format!("{url:?} has no host")))?;
    Ok(parsed.port_or_known_default().map_or(host.to_owned(), |port| format!("{host}:{port}")))
}

/// The experiment file, as a researcher would write it.
fn experiment(targets: &Targets) -> Result<String, Failure> {
    let quoted = |items: &[String]| items.iter().map(|item| format!("{item:?}")).collect::<Vec<_>>().join(", ");
    let urls: Vec<String> = targets.urls.iter().map(|(_, url)| url.clone()).collect();
    let hosts = targets.urls.iter().map(|(_, url)| host_and_port(url)).collect::<Result<Vec<_>, _>>()?;
    let mut text = String::new();
    write!(
        text,
        "name = \"gateways in the demo\"\ntopic = \"ipfs-gateways\"\nmodule = \"gateway-check\"\ncontact = \"https://station.invalid/demo\"\n\
         [jobs]\ngateway = [{}]\ncid = [{}]\n\
         [measurement]\nstations = {REPLICATION}\nspread = \"network\"\nexact = [\"verdict\", \"body_sha256\"]\nreport = [\"ttfb_ms\", \"ttfb_warm_ms\", \"throughput_kbps\"]\n\
         [run]\ndeadline = \"45s\"\n[limits]\nwall = \"20s\"\n[needs]\nhttp = [{}]\n",
        quoted(&urls),
        quoted(&targets.cids),
        quoted(&hosts),
    )
    .expect("writing to a String does not fail");
    Ok(text)
}

async fn measure(mesh: &Mesh, targets: &Targets, output: &Output) -> Result<Results, Failure> {
    let handle = mesh.handles().last().ok_or_else(|| Failure::new("the mesh is empty"))?;
    let module = BUNDLED.iter().find(|module| module.name == "gateway-check").expect("gateway-check is bundled");
    let content = handle.library().keep(module.bytes).await?;
    let draft = prepare::draft(ExperimentFile::parse(&experiment(targets)?)?, content, None)?;
    let executions = draft.jobs.count() * u64::from(REPLICATION);
    let notes = handle.notes();
    let id = handle.publish(draft).await?;
    output.say(format!("\npublished {id}\nthrough   {}", handle.identity().node));
    let bar = output.bar(executions, "receipts");
    follow(handle, notes, &bar).await?;
    bar.finish_and_clear();
    let view = handle.view(id).await?;
    Ok(handle.results(&view).await?)
}

/// Moves the bar until the experiment is closed.
async fn follow(handle: &Handle, mut notes: tokio::sync::broadcast::Receiver<Note>, bar: &ProgressBar) -> Result<(), Failure> {
    loop {
        match notes.recv().await {
            Ok(Note::Requester(requester::Note::Held { node, index, .. })) => {
                bar.inc(1);
                bar.set_message(format!("job {index} by {node:?}"));
            }
            Ok(Note::Requester(requester::Note::Settled { settled, jobs, .. })) => {
                bar.set_message(format!("{settled} of {} settled", count(jobs, "job")));
            }
            Ok(Note::Requester(requester::Note::Closed { .. })) => return Ok(()),
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return Err(Failure::new(format!("station {} stopped", handle.identity().node))),
        }
    }
}

/// The same results for people, with each local gateway's behaviour beside what the job's input has.
fn named(results: &Results, targets: &Targets) -> Results {
    let mut named = results.clone();
    for row in &mut named.rows {
        let url = row.input.get("gateway").and_then(Value::as_str).unwrap_or_default();
        let label = targets.urls.iter().find(|(label, own)| own == url && !label.is_empty()).map(|(label, _)| label.clone());
        if let (Some(label), Value::Object(input)) = (label, &mut row.input) {
            input.insert("local gateway".to_owned(), Value::String(label));
        }
    }
    named
}

#[cfg(test)]
mod tests;
