//! `station module build|inspect|run`: from source to a module one has seen running, without a network.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command as Process;

use station_protocol::bounded::{List, Text};
use station_protocol::capability::{Capability, Needs, PATTERNS_MAX, TargetPattern, UnknownCapability};
use station_protocol::codec;
use station_protocol::experiment::file::{ExperimentFile, FileError};
use station_protocol::experiment::{Class, InputForm, OutputForm, from_json};
use station_protocol::hostcall::HTTP_FETCH;
use station_protocol::human::{Size, Span};
use station_protocol::limits::{LIMITS_MAX, Limits};
use station_sandbox::{LOG_BYTES_MAX, Refusal};

use super::files;
use super::output::{Exit, Failure, Output};
use super::publish::read_module;
use crate::library::BUNDLED;
use crate::numbers::count;
use crate::outside::address::judge_pattern;
use crate::platform::granted::{self, Granted};
use crate::platform::trial::{self, Inspection, Plan, Trial, TrialError};
use crate::prepare;
use crate::printable::Line;
use crate::results::{self, RequestRow};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Build a Rust module for wasm32-wasip1 with the installed toolchain
    Build {
        /// The module's folder
        #[arg(default_value = ".")]
        dir: PathBuf,
    },
    /// Check a module as a station would, and say what it needs
    Inspect {
        /// A .wasm file or a bundled module's name
        module: String,
    },
    /// Run a module once in the sandbox, without a network, or with what --grant lets it ask
    Run(Box<RunArgs>),
}

#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    /// A .wasm file or a bundled module's name
    module: String,
    /// The job's input as JSON [default: {}, or the experiment's first job]
    #[arg(long, value_name = "JSON")]
    input: Option<String>,
    /// A file that the guest gets on standard input as it is; `-` is this program's own
    #[arg(long, value_name = "FILE", conflicts_with = "input")]
    stdin: Option<PathBuf>,
    /// An experiment file: its limits, its forms of input and output, whether it is pure, and its first job
    #[arg(long, value_name = "FILE")]
    experiment: Option<PathBuf>,
    /// Fuel [default: 1000000000, or the experiment's]
    #[arg(long, value_name = "N")]
    fuel: Option<u64>,
    /// Most memory [default: 64MiB, or the experiment's]
    #[arg(long, value_name = "SIZE")]
    memory: Option<Size>,
    /// Longest time [default: 60s, or the experiment's]
    #[arg(long, value_name = "TIME")]
    wall: Option<Span>,
    /// Most output [default: 64KiB, or the experiment's]
    #[arg(long, value_name = "SIZE")]
    output: Option<Size>,
    /// Print the output as the guest wrote it, and everything else on standard error
    #[arg(long)]
    raw: bool,
    /// Run it as a pure job: no clock, no entropy
    #[arg(long)]
    pure: bool,
    /// Answer its host calls from this machine, as a station would, for these targets: `--grant http dweb.link:443`, as often as there are targets
    #[arg(long, num_args = 2, value_names = ["CAPABILITY", "TARGET"], conflicts_with = "pure")]
    grant: Vec<String>,
    /// Let the experiment file name inputs outside of its folder
    #[arg(long, requires = "experiment")]
    any_path: bool,
}

pub(super) async fn run(command: &Command, output: &Output) -> Result<Exit, Failure> {
    match command {
        Command::Build { dir } => build(dir, output),
        Command::Inspect { module } => inspect(module, output).await,
        Command::Run(args) => trial(args, output).await,
    }
}

/// A folder of which cargo could build something: it looks into those above, too.
fn has_manifest(dir: &Path) -> Result<(), Failure> {
    let whole = std::fs::canonicalize(dir).map_err(|error| Failure::new(format!("{}: {error}", dir.display())))?;
    if whole.ancestors().any(|folder| folder.join("Cargo.toml").is_file()) {
        return Ok(());
    }
    let next = "name the folder of a module in Rust, like `station module build my-module`";
    Err(Failure::new(format!("{}: neither it nor a folder above it has a Cargo.toml: {next}", dir.display())))
}

fn build(dir: &Path, output: &Output) -> Result<Exit, Failure> {
    has_manifest(dir)?;
    let spinner = output.spinner("building for wasm32-wasip1");
    let mut build = Process::new("cargo");
    build.args(["build", "--release", "--target", "wasm32-wasip1", "--message-format=json-render-diagnostics"]).current_dir(dir);
    let built = build.stderr(std::process::Stdio::inherit()).output();
    spinner.finish_and_clear();
    let built = built.map_err(|error| Failure::new(format!("cargo does not start: {error}")))?;
    if !built.status.success() {
        return Err(Failure::new(
            "the build failed; `rustup target add wasm32-wasip1` adds the target where rustup has it, modules/build.sh shows how to do without",
        ));
    }
    let messages = String::from_utf8_lossy(&built.stdout).into_owned();
    let modules: Vec<String> = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|message| message["executable"].as_str().map(str::to_owned))
        .collect();
    output.show(&serde_json::json!({ "modules": modules }), |_| modules.join("\n"));
    Ok(Exit::Done)
}

fn bytes(module: &str) -> Result<Vec<u8>, Failure> {
    let path = Path::new(module);
    let is_word = path.file_name().is_some_and(|name| name == module) && path.extension().is_none();
    match BUNDLED.iter().find(|bundled| bundled.name == module) {
        Some(bundled) => Ok(bundled.bytes.to_vec()),
        None if is_word && !path.exists() => Err(Failure::new(if module.parse::<cid::Cid>().is_ok() {
            format!("{module} is a CID, and no station is asked here: give the path of a .wasm file, or one of {}", prepare::bundled())
        } else {
            prepare::unknown_module(module)
        })),
        None => read_module(path),
    }
}

async fn inspect(module: &str, output: &Output) -> Result<Exit, Failure> {
    let bytes = bytes(module)?;
    let report = trial::inspect(bytes).await?;
    output.show(&report, judgement);
    Ok(if report.refused.is_some() { Exit::Failed } else { Exit::Done })
}

/// What a station would say, in words. The module's author chose the names in a refusal.
fn judgement(report: &Inspection) -> String {
    let verdict = Line(report.refused.as_deref().unwrap_or("runs on this profile"));
    let needs = report.needs.map(|needs| format!("needs    {} of memory and {} of fuel before it runs\n", mebibytes(needs.memory_bytes), needs.fuel));
    let needs = needs.unwrap_or_default();
    // What is refused asks nothing.
    let asks = if report.refused.is_none() { format!("asks     {}\n", asks(&report.asks)) } else { String::new() };
    format!("cid      {}\nbytes    {}\nprofile  {}\nverdict  {verdict}\n{needs}{asks}", report.cid, report.bytes, report.profile)
}

/// As a run that would have too little says it: in MiB with two places at most, cut.
fn mebibytes(bytes: u64) -> String {
    let hundredths = (u128::from(bytes) * 100) >> 20;
    let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    format!("{} MiB", text.trim_end_matches('0').trim_end_matches('.'))
}

/// What a module may ask a station for, and whether an experiment of it can be pure.
fn asks(asks: &[&str]) -> String {
    match asks {
        [] => "nothing: it can be pure".to_owned(),
        asks if asks.contains(&HTTP_FETCH) => asks.join(", "),
        asks => format!("{}: it can be pure", asks.join(", ")),
    }
}

async fn trial(args: &RunArgs, output: &Output) -> Result<Exit, Failure> {
    if args.raw && output.is_json() {
        return Err(Failure::new("--raw and --json both say what standard output gets: keep one of them").with(Exit::Usage));
    }
    let (plan, contact) = plan(args)?;
    let module = bytes(&args.module)?;
    let trial = match needs(args, plan.pure)? {
        Some(needs) => granted::run(module, plan, Granted { needs, contact: contact.unwrap_or_else(|| Text::cut("an author at work")) }).await,
        None => trial::run(module, plan).await,
    };
    let trial = trial.map_err(|error| refused(&error))?;
    if args.raw {
        output.say(words(&trial, false));
        output.bytes(&trial.written);
    } else {
        output.show(&trial, |trial| words(trial, true));
    }
    let is_good = trial.outcome == "completed" && trial.output.instead().is_none();
    Ok(if is_good { Exit::Done } else { Exit::Failed })
}

/// Why nothing was run, with the option that raises a limit which is too low.
fn refused(error: &TrialError) -> Failure {
    let option = match error {
        TrialError::Short(Refusal::FuelAtStart { .. }) => ", or give more with --fuel",
        TrialError::Short(_) => ", or give more with --memory",
        TrialError::BadModule(_) | TrialError::Sandbox(_) => "",
    };
    Failure::new(format!("{error}{option}"))
}

/// What the arguments ask for: an experiment's values, and those that stand beside it.
fn plan(args: &RunArgs) -> Result<(Plan, Option<Text<128>>), Failure> {
    let experiment = args.experiment.as_deref().map(|file| Asked::read(file, args)).transpose()?.unwrap_or_default();
    let mut limits = experiment.limits;
    limits.fuel = args.fuel.unwrap_or(limits.fuel);
    limits.memory_bytes = args.memory.map_or(limits.memory_bytes, |size| size.0);
    limits.wall_ms = args.wall.map_or(limits.wall_ms, |span| span.0);
    limits.output_bytes = args.output.map_or(limits.output_bytes, |size| size.0);
    limits.check().map_err(|error| Failure::new(error.to_string()).with(Exit::Usage))?;
    let stdin = match (&args.stdin, &args.input) {
        (Some(file), _) => files::read_stdin(file)?,
        (None, Some(json)) => experiment.input.stdin(encoded(json)?),
        (None, None) => experiment.first.map_or_else(|| encoded("{}"), Ok).map(|input| experiment.input.stdin(input))?,
    };
    Ok((Plan { stdin, form: experiment.output, limits, pure: args.pure || experiment.pure }, experiment.contact))
}

/// What is granted, if anything is. Only what a station could contact is taken.
fn needs(args: &RunArgs, pure: bool) -> Result<Option<Needs>, Failure> {
    if args.grant.is_empty() {
        return Ok(None);
    }
    if pure {
        return Err(Failure::new("the experiment is pure, and a pure job asks nobody: take --grant away, or say [measurement]").with(Exit::Usage));
    }
    let mut needs: BTreeMap<Capability, Vec<TargetPattern>> = BTreeMap::new();
    for pair in args.grant.chunks(2) {
        let [capability, target] = pair else { continue };
        let capability: Capability = capability.parse().map_err(|error: UnknownCapability| Failure::new(error.to_string()).with(Exit::Usage))?;
        let target = TargetPattern::written(target).map_err(|error| Failure::new(error.to_string()).with(Exit::Usage))?;
        judge_pattern(&target).map_err(|reason| Failure::new(format!("{target} can never be contacted, for {reason}")).with(Exit::Usage))?;
        needs.entry(capability).or_default().push(target);
    }
    let listed = |(capability, targets)| Some((capability, List::new(targets).ok()?));
    let needs: Option<Needs> = needs.into_iter().map(listed).collect();
    needs.map(Some).ok_or_else(|| Failure::new(format!("at most {PATTERNS_MAX} targets can be granted")).with(Exit::Usage))
}

/// JSON as a job's input is encoded.
fn encoded(json: &str) -> Result<Vec<u8>, Failure> {
    let value = from_json(json.as_bytes()).map_err(|(at, reason)| Failure::new(format!("--input is not JSON: {reason} at byte {at}")))?;
    Ok(codec::encode(&value))
}

/// What an experiment file says of one run.
#[derive(Default)]
struct Asked {
    limits: Limits,
    input: InputForm,
    output: OutputForm,
    pure: bool,
    /// Its first job's input.
    first: Option<Vec<u8>>,
    contact: Option<Text<128>>,
}

impl Asked {
    fn read(path: &Path, args: &RunArgs) -> Result<Self, Failure> {
        let named = |error: FileError| Failure::new(format!("{}: {error}", path.display()));
        let file = ExperimentFile::parse(&files::read_text(path)?).map_err(named)?;
        let needs_input = args.input.is_none() && args.stdin.is_none();
        let first = if needs_input {
            let listed = file.inputs_file().map(|(name, kind)| files::read_inputs(&files::named(path, name, args.any_path)?, kind)).transpose()?;
            file.jobs(listed).map_err(named)?.input(0)
        } else {
            None
        };
        Ok(Self {
            limits: file.limits.clone(),
            input: file.input,
            output: file.output,
            pure: matches!(file.class, Class::Pure(_)),
            first,
            contact: Some(file.contact.clone()),
        })
    }
}

/// Characters of the end of a guest's log that are shown: a screen or two.
const LOG_CHARS_MAX: usize = 4_096;
/// The same of an output; `--raw` and `--json` have all of it.
const OUTPUT_CHARS_MAX: usize = 4_096;

/// A run in words. Each line that the guest wrote begins with whose it is, so that none passes for a line of the station.
fn words(trial: &Trial, with_output: bool) -> String {
    let mut text = format!("outcome  {}\n", trial.outcome);
    text.extend(limit(trial).map(|limit| format!("limit    {limit}\n")));
    text.extend(grants(trial).map(|grants| format!("grant    {grants}\n")));
    text.push_str(&format!("fuel     {}\ntime     {} ms\n", fuel(trial), trial.duration_ms));
    let left_out = trial.log.chars().count().saturating_sub(LOG_CHARS_MAX);
    if left_out > 0 || trial.log.len() >= LOG_BYTES_MAX {
        text.push_str("log      … (only the end of it)\n");
    }
    let shown: String = trial.log.chars().skip(left_out).collect();
    text.extend(shown.lines().map(|line| format!("log      {}\n", Line(line))));
    text.extend(trial.progress.iter().map(|said| format!("progress {} %: {}\n", percent(said.permille), Line(&said.message))));
    text.extend(trial.requests.iter().flat_map(|asked| &asked.records).map(|record| format!("asked    {}\n", request(record))));
    let form = match &trial.output {
        results::Output::Value(_) => trial.output_form.name().to_owned(),
        results::Output::Raw(raw) => raw.reason.clone(),
        results::Output::Elsewhere(_) => String::new(),
    };
    // What never came to its end promised no form, and of what is too large nothing is kept.
    if !trial.completed && trial.output_bytes == 0 {
        text.push_str("output   none is kept\n");
        return text;
    }
    text.push_str(&format!("form     {}, {}\n", count(trial.output_bytes, "byte"), Line(&form)));
    if matches!(trial.output, results::Output::Raw(_)) && trial.output_form == OutputForm::DagCbor && trial.outcome == "completed" {
        text.push_str("         if that is what it is to write, say output = \"text\", \"json\" or \"bytes\" in the experiment file\n");
    }
    if with_output {
        let value = trial.output.instead().unwrap_or_else(|| trial.output.value().to_string());
        let length = value.chars().count();
        let begin: String = value.chars().take(OUTPUT_CHARS_MAX).collect();
        let rest = if length > OUTPUT_CHARS_MAX { format!("… ({length} characters; --raw prints all)") } else { String::new() };
        text.push_str(&format!("output   {}{rest}\n", Line(&begin)));
    }
    text
}

/// Of a thousand, as people say it: `70`, `70.5`.
fn percent(permille: u32) -> String {
    let (whole, tenth) = (permille / 10, permille % 10);
    if tenth == 0 { whole.to_string() } else { format!("{whole}.{tenth}") }
}

/// A request in a line: what came of it, from where and how soon. A guest chose the URL.
fn request(record: &RequestRow) -> String {
    let came = match (&record.error, record.status) {
        (Some(error), _) => record.detail.as_ref().map_or_else(|| error.clone(), |detail| format!("{error}: {detail}")),
        (None, Some(status)) => format!("{status}, {}", count(record.body_bytes, "byte")),
        (None, None) => String::new(),
    };
    let ip = record.ip.as_ref().map_or(String::new(), |ip| format!(", from {ip}"));
    let total = record.total_us.map_or(String::new(), |us| format!(", {} ms", us / 1_000));
    Line(&format!("{} {} {came}{ip}{total}", record.method, record.url)).to_string()
}

/// The fuel used. A guest that was ended from outside cannot tell; a receipt names all that it was given.
fn fuel(trial: &Trial) -> String {
    match trial.outcome.as_str() {
        "timed_out" | "killed" => format!("not known, at most {}", trial.limits.fuel),
        _ => format!("{} of {}", trial.fuel, trial.limits.fuel),
    }
}

/// Whether a guest ended itself: what it is refused it is not ended for.
fn is_failure(outcome: &str) -> bool {
    ["trapped", "exited"].contains(&outcome.split(':').next().unwrap_or_default())
}

/// What the libraries of languages write where they get no memory: Rust, C++, Python, Go and C.
const NO_MEMORY: [&str; 6] = ["memory allocation of", "bad_alloc", "memoryerror", "out of memory", "cannot allocate memory", "not enough memory"];

fn says_no_memory(log: &str) -> bool {
    let log = log.to_lowercase();
    NO_MEMORY.iter().any(|words| log.contains(words))
}

/// What it asked for without a grant, and the options that grant it.
fn grants(trial: &Trial) -> Option<String> {
    let options: Vec<String> = trial.ungranted.iter().map(|target| format!("--grant http {}", Line(target))).collect();
    (!options.is_empty()).then(|| format!("it asked for what nothing grants here: add {}", options.join(" ")))
}

/// Which limit ended it, how much that was, and how to have more.
fn limit(trial: &Trial) -> Option<String> {
    let Limits { fuel, memory_bytes, wall_ms, output_bytes, .. } = trial.limits;
    let (ended, option, key, most) = match trial.outcome.as_str() {
        "out_of_fuel" => (format!("{fuel} of fuel were used up"), "--fuel", "fuel", LIMITS_MAX.fuel.to_string()),
        "output_too_large" => {
            (format!("the output is larger than {}", Size(output_bytes)), "--output", "output", Size(LIMITS_MAX.output_bytes).to_string())
        }
        "timed_out" => (format!("it took longer than {}", Span(wall_ms)), "--wall", "wall", Span(LIMITS_MAX.wall_ms).to_string()),
        "bad_module" => {
            let ended = format!("it had {} of memory; a module that needs more to begin with is refused as it starts", Size(memory_bytes));
            (ended, "--memory", "memory", Size(LIMITS_MAX.memory_bytes).to_string())
        }
        "out_of_memory" => {
            let next = "free some, or ask for less with --memory";
            return Some(format!("out of memory: this machine had none left to give within the {} that it may have: {next}", Size(memory_bytes)));
        }
        outcome if is_failure(outcome) && says_no_memory(&trial.log) => {
            let ended = format!("out of memory, by its log: more than {} is refused to the guest", Size(memory_bytes));
            (ended, "--memory", "memory", Size(LIMITS_MAX.memory_bytes).to_string())
        }
        _ => return None,
    };
    Some(format!("{ended}: give more with {option}; an experiment may ask for up to {most} with [limits] {key}"))
}

#[cfg(test)]
mod tests;
