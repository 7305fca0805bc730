//! `station publish`: hands an experiment to the running station, or becomes a station that only publishes until it is closed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use station_protocol::experiment::file::{ExperimentFile, FileKind, ModuleRef};

use super::client::Client;
use super::files;
use super::output::{Exit, Failure, Output};
use super::show;
use crate::api::types::{ContentBody, ExperimentBody, PublishBody, PublishedBody};
use crate::platform::home::Home;
use crate::platform::start::{self, Plan};
use crate::platform::trial::{self, Inspection};
use crate::printable::Line;

/// How long a closing requester stays at least: gossip is through the mesh by then.
const LINGER_MIN: Duration = Duration::from_secs(1);
/// How long it stays at most, for stations that still run a lease.
const LINGER_MAX: Duration = Duration::from_secs(30);

#[derive(Debug, clap::Args)]
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
    #[arg(long, conflicts_with = "detach")]
    resume: bool,
}

pub(super) async fn run(home: &Home, args: &Args, output: &Output) -> Result<Exit, Failure> {
    // Read everything first: a typing error should not start a station.
    let body = args.file.as_deref().map(|file| Upload::read(file, args.any_path)).transpose()?;
    if let Some((module, path)) = body.as_ref().and_then(|body| body.module.as_ref().zip(body.path.as_deref())) {
        judge(module, path, output).await?;
    }
    if let Some(client) = Client::find(home).await? {
        return publish(&client, body, args, output).await;
    }
    if args.detach {
        return Err(Failure::new("--detach needs a running station: start one with `station run`").with(Exit::NotRunning));
    }
    let plan = Plan::of(home)?;
    let mut config = plan.config.clone();
    config.api.set_port(0);
    output.say("no station is running: publishing from here until the experiment is closed");
    let sandbox = start::sandbox(home, None);
    let station = start::requester(home, plan, &sandbox).await?;
    let handle = station.handle();
    let (_, api) = start::api(home, &config, &station).await?;
    let client = Client::connect(home).await?;
    let work = async {
        let code = publish(&client, body, args, output).await;
        linger(&client, output).await;
        // A station that has stopped already needs no telling.
        let _ = handle.shutdown().await;
        code
    };
    let serve = async { tokio::join!(api, std::future::pending::<()>()) };
    let result = tokio::select! {
        (code, ended) = async { tokio::join!(work, station.run()) } => { ended?; code }
        _ = serve => Err(Failure::new("the API stopped")),
        () = super::run::signal() => Err(Failure::new("interrupted; the experiment is kept: go on with `station publish --resume`").with(Exit::Interrupted)),
    };
    home.remove("api.addr");
    result
}

/// Refuses a module that no station could run: its experiment would fail everywhere, on the machines of others.
async fn judge(module: &[u8], path: &Path, output: &Output) -> Result<(), Failure> {
    let spinner = output.spinner("looking at the module as a station would");
    let inspected = trial::inspect(module.to_vec()).await;
    spinner.finish_and_clear();
    match inspected {
        Ok(Inspection { refused: Some(reason), .. }) => {
            let path = path.display();
            Err(Failure::new(format!("{path}: no station could run it: {}; look at it with `station module inspect {path}`", Line(&reason))))
        }
        Ok(_) => Ok(()),
        Err(error) => {
            output.say(format!("the module was not looked at before it is published: {error}"));
            Ok(())
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

async fn publish(client: &Client, upload: Option<Upload>, args: &Args, output: &Output) -> Result<Exit, Failure> {
    let Some(upload) = upload else { return resume(client, output).await };
    let module = match upload.module {
        Some(bytes) => Some(client.post_bytes::<ContentBody>("/v1/content", bytes).await?),
        None => None,
    };
    let inputs = match &upload.inputs {
        Some((path, kind)) => Some(hand_in(client, path, *kind, output).await?),
        None => None,
    };
    let body = PublishBody { file: upload.file, module, inputs };
    let published: PublishedBody = client.post("/v1/experiments", &body).await?;
    if args.detach {
        output.show(&published, |published| published.experiment.clone());
        return Ok(Exit::Done);
    }
    output.say(format!("published {}", published.experiment));
    show::follow(client, &published.experiment, output).await
}

/// Hands in a file of inputs, and says what was understood: a column that is taken for something else must not stay unseen.
async fn hand_in(client: &Client, path: &Path, kind: FileKind, output: &Output) -> Result<String, Failure> {
    let spinner = output.spinner("reading the inputs");
    let listed = client.post_inputs(path, kind).await;
    spinner.finish_and_clear();
    let listed = listed.map_err(|failure| Failure { message: format!("{}: {}", path.display(), failure.message), ..failure })?;
    let column = |(name, kind): &(String, String)| format!("{} ({kind})", Line(name));
    let columns: Vec<String> = listed.columns.iter().map(column).collect();
    let columns = if columns.is_empty() { String::new() } else { format!(" with the columns {}", columns.join(", ")) };
    output.say(format!("{}: {} inputs{columns}", path.display(), listed.count));
    if listed.columns.iter().any(|(_, kind)| kind != "text") {
        output.say("a column of numbers stays text with text = [\"NAME\"] under [jobs]");
    }
    Ok(listed.inputs)
}

async fn resume(client: &Client, output: &Output) -> Result<Exit, Failure> {
    let own: Vec<ExperimentBody> = client.get("/v1/experiments").await?;
    let open: Vec<_> = own.iter().filter(|experiment| !experiment.closed).collect();
    if open.is_empty() {
        output.say("no experiment is open here");
    }
    let mut code = Exit::Done;
    for experiment in open {
        output.say(format!("resuming {} {:?}", experiment.experiment, experiment.name));
        code = show::follow(client, &experiment.experiment, output).await?;
    }
    Ok(code)
}

/// An experiment file with what it names.
struct Upload {
    file: String,
    module: Option<Vec<u8>>,
    /// Where the module is, where it is a file.
    path: Option<PathBuf>,
    /// The file of inputs, where there is one.
    inputs: Option<(PathBuf, FileKind)>,
}

impl Upload {
    fn read(path: &Path, any_path: bool) -> Result<Self, Failure> {
        let file = files::read_text(path)?;
        let parsed = ExperimentFile::parse(&file).map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
        let file_of_module = match &parsed.module {
            ModuleRef::Path(name) => Some(files::named(path, name, any_path)?),
            ModuleRef::Bundled(_) | ModuleRef::Cid(_) => None,
        };
        let module = file_of_module.as_deref().map(module).transpose()?;
        let inputs = parsed.inputs_file().map(|(name, kind)| Ok::<_, Failure>((files::named(path, name, any_path)?, kind))).transpose()?;
        let listed = inputs.as_ref().map(|(path, kind)| files::read_inputs(path, *kind)).transpose()?;
        // Only to see now what is wrong with them.
        parsed.jobs(listed).map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
        Ok(Self { file, module, path: file_of_module, inputs })
    }
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
    files::read(path).map_err(|failure| Failure::new(format!("{}; build it with `station module build`", failure.message)))
}
