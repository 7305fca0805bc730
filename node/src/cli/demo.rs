//! `station demo`: eight stations, three gateways, one experiment, one table. Ends by itself and leaves nothing running.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use indicatif::ProgressBar;
use station_protocol::bounded::Name;
use station_protocol::experiment::file::ExperimentFile;
use station_protocol::requester;
use tokio::sync::broadcast::error::RecvError;

use super::output::{Exit, Failure, Output};
use crate::demo::gateway::{Behaviour, Gateway};
use crate::demo::{Mesh, MeshPlan};
use crate::library::BUNDLED;
use crate::prepare;
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
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(3..=32))]
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

pub(super) async fn run(args: &Args, output: &Output) -> Result<Exit, Failure> {
    let targets = if args.gateways.is_empty() { local().await? } else { real(&args.gateways) };
    let policy = policy(&targets)?;
    output.say(format!("Starting {} stations on this machine. Each has a key, a store and this policy:\n\n{policy}", args.stations));
    for (label, url) in &targets.urls {
        output.say(format!("gateway {url}  {label}"));
    }
    let dir = tempfile::Builder::new().prefix("station-demo-").tempdir().map_err(|error| Failure::new(format!("no temporary folder: {error}")))?;
    let plan = MeshPlan {
        stations: usize::from(args.stations),
        topic: Name::new("ipfs-gateways")?,
        policy,
        exempt: targets.exempt.clone(),
        capacity: 2,
        program: None,
    };
    let spinner = output.spinner("stations are finding each other");
    let mesh = Mesh::start(&plan, dir.path()).await?;
    spinner.finish_and_clear();
    let results = tokio::select! {
        results = tokio::time::timeout(DEADLINE, measure(&mesh, &targets, output)) => results.unwrap_or_else(|_| Err(Failure::new(format!("the demo did not end within {} s", DEADLINE.as_secs())))),
        () = super::run::signal() => Err(Failure::new("interrupted").with(Exit::Interrupted)),
    };
    mesh.stop().await;
    let results = named(&results?, &targets);
    std::fs::write(&args.report, html::render(&results, html::Check::Gone))
        .map_err(|error| Failure::new(format!("{}: {error}", args.report.display())))?;
    output.paint(&results, |results| format!("\n{}", table::render(results, output.colour(), output.width())));
    let executions = || results.rows.iter().flat_map(|row| &row.executions);
    let signers: BTreeSet<&str> = executions().map(|execution| execution.node.as_str()).collect();
    output.say(format!(
        "\n{} of {} stations signed {} receipts; the report with charts: {}",
        signers.len(),
        args.stations,
        executions().count(),
        args.report.display()
    ));
    Ok(super::show::verdict_code(&results))
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
fn real(urls: &[String]) -> Targets {
    let cids = vec!["bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4".to_owned()];
    Targets { urls: urls.iter().map(|url| (String::new(), url.clone())).collect(), cids, _running: Vec::new(), exempt: BTreeSet::new() }
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
    let settled = handle.settled(&view).await?;
    Ok(Results::of(&view, &settled, &handle.logs(&view).await?))
}

/// Moves the bar until the experiment is closed.
async fn follow(handle: &Handle, mut notes: tokio::sync::broadcast::Receiver<Note>, bar: &ProgressBar) -> Result<(), Failure> {
    loop {
        match notes.recv().await {
            Ok(Note::Requester(requester::Note::Held { node, index, .. })) => {
                bar.inc(1);
                bar.set_message(format!("job {index} by {node:?}"));
            }
            Ok(Note::Requester(requester::Note::Settled { settled, jobs, .. })) => bar.set_message(format!("{settled} of {jobs} jobs settled")),
            Ok(Note::Requester(requester::Note::Closed { .. })) => return Ok(()),
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return Err(Failure::new(format!("station {} stopped", handle.identity().node))),
        }
    }
}

/// The same results with each local gateway's behaviour beside its URL.
fn named(results: &Results, targets: &Targets) -> Results {
    let mut named = results.clone();
    for row in &mut named.rows {
        let url = row.input.get("gateway").and_then(serde_json::Value::as_str).unwrap_or_default();
        let label = targets.urls.iter().find(|(_, own)| own == url).map_or("", |(label, _)| label.as_str());
        row.input = serde_json::json!({ "gateway": format!("{url} {label}").trim_end() });
    }
    named
}

#[cfg(test)]
mod tests;
