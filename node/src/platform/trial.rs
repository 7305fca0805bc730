//! Runs one module once on this machine: what `station module inspect` and `run` show its author.
//!
//! Host calls are answered with «no such operation», so a module that measures runs its own error path here, and what it asked for is told;
//! [`super::granted`] answers them.

use std::time::Instant;

use serde::Serialize;
use station_protocol::experiment::OutputForm;
use station_protocol::hostcall::{FetchRequest, HTTP_FETCH};
use station_protocol::limits::Limits;
use station_protocol::receipt::Outcome;
use station_sandbox::{CompileError, Done, HostCall, Load, Needs, PROFILE, Refusal, Reply, Sandbox, Step};

use crate::api::types::SayingBody;
use crate::library::BUNDLED;
use crate::outside::address::Origin;
use crate::prepare::short_of;
use crate::printable::Line;
use crate::results::{Output, RequestsRead, outcome_word};

/// WASI's ENOSYS: the errno of an operation this host does not have.
const ENOSYS: i32 = 52;

/// Why a trial did not happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrialError {
    #[error("the module is not one that {PROFILE} runs: {0}")]
    BadModule(String),
    #[error("no run of it would begin: {}", short_of(.0))]
    Short(Refusal),
    #[error("the sandbox failed: {0}")]
    Sandbox(String),
}

/// What a station would say of a module before running it.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    pub cid: String,
    pub bytes: usize,
    pub profile: &'static str,
    /// Why it is refused, if it is.
    pub refused: Option<String>,
    /// What a job of it takes before its first operator, where it is not refused.
    pub needs: Option<Needs>,
    /// The functions that it imports, and what it may ask of a station with them; none where it is refused.
    pub imports: Vec<String>,
    pub asks: Vec<&'static str>,
}

/// What the imports of a module let it ask of a station. The rest of the calls only serve these.
fn asks(imports: &[String]) -> Vec<&'static str> {
    let known = [("station_v1.submit", HTTP_FETCH), ("station_v1.progress", "progress"), ("station_v1.checkpoint", "checkpoint")];
    known.into_iter().filter(|(import, _)| imports.iter().any(|own| own == import)).map(|(_, asks)| asks).collect()
}

/// How far the guest says it is, where that is what a host call says: a stranger's words.
#[must_use]
pub(super) fn said_by(call: &HostCall) -> Option<SayingBody> {
    let HostCall::Progress { permille, message } = call else { return None };
    Some(SayingBody { permille: (*permille).min(1_000), message: message.clone() })
}

/// How one run ended.
#[derive(Clone, Debug, Serialize)]
pub struct Trial {
    pub outcome: String,
    /// Whether the guest came to its end.
    #[serde(skip)]
    pub completed: bool,
    /// What standard output is in the form that was promised.
    #[serde(flatten)]
    pub output: Output,
    pub output_bytes: u64,
    pub output_form: OutputForm,
    /// Standard output as it came.
    #[serde(skip)]
    pub written: Vec<u8>,
    pub log: String,
    pub fuel: u64,
    pub duration_ms: u64,
    /// The last that it said of its progress.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<SayingBody>,
    /// What it was given.
    pub limits: Limits,
    /// The host's record of what it asked for, where it was granted something and asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<RequestsRead>,
    /// Targets that it asked for and nobody granted, as a grant names them: the first few, each once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ungranted: Vec<String>,
}

/// Ungranted targets that are told.
const UNGRANTED_MAX: usize = 4;

/// Notes what a grant would name, where there is anything to name.
pub(super) fn note_ungranted(ungranted: &mut Vec<String>, url: &str) {
    let Some(origin) = url::Url::parse(url).ok().and_then(|url| Origin::of(&url).ok()) else { return };
    let host = if origin.host.contains(':') { format!("[{}]", origin.host) } else { origin.host };
    let target = format!("{host}:{}", origin.port);
    if ungranted.len() < UNGRANTED_MAX && !ungranted.contains(&target) {
        ungranted.push(target);
    }
}

impl Trial {
    pub(super) fn of(done: Done, form: OutputForm, limits: Limits, duration_ms: u64) -> Self {
        Self {
            completed: matches!(done.outcome, Outcome::Completed),
            outcome: outcome_word(&done.outcome),
            output: Output::read(form, &done.output),
            output_bytes: done.output.len() as u64,
            output_form: form,
            written: done.output,
            log: String::from_utf8_lossy(&done.log).into_owned(),
            fuel: done.fuel,
            duration_ms,
            progress: None,
            limits,
            requests: None,
            ungranted: Vec::new(),
        }
    }
}

/// How a module is run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Standard input.
    pub stdin: Vec<u8>,
    pub form: OutputForm,
    pub limits: Limits,
    pub pure: bool,
}

/// Runs the bundled no-op for real, the shortest proof that workers start, compile and answer. Err: this machine can run nothing, and what
/// to look at.
pub async fn noop(sandbox: Sandbox) -> Result<Trial, String> {
    let noop = BUNDLED.iter().find(|module| module.name == "noop").expect("noop is bundled");
    // An empty map.
    let plan = Plan { stdin: vec![0xa0], form: OutputForm::DagCbor, limits: Limits::default(), pure: true };
    judged(run_in(sandbox, noop.bytes.to_vec(), plan).await)
}

/// What a trial of the no-op says of this machine.
pub(crate) fn judged(trial: Result<Trial, TrialError>) -> Result<Trial, String> {
    let next = "look at the limits of this shell, service or container (`ulimit -a`, above all `ulimit -v`), then try `station doctor`";
    match trial {
        Ok(trial) if trial.completed => Ok(trial),
        Ok(trial) => Err(format!("this machine can run no module: a no-op ended as {}; {next}", trial.outcome)),
        Err(error) => Err(format!("this machine can run no module: {error}; {next}")),
    }
}

/// Checks and compiles `module` as a station would.
pub async fn inspect(module: Vec<u8>) -> Result<Inspection, TrialError> {
    blocking(move || {
        let (refused, needs) = match Sandbox::new(station_sandbox::Config::default()).compile(&module) {
            Ok(artefact) => (None, Some(artefact.needs())),
            Err(CompileError::BadModule(reason)) => (Some(reason.to_string()), None),
            Err(error @ CompileError::TooCostly(_)) => (Some(error.to_string()), None),
            Err(error) => return Err(TrialError::Sandbox(error.to_string())),
        };
        // What is refused says nothing of itself that holds.
        let imports = station_sandbox::look(&module).map(|sight| sight.imports).ok().filter(|_| refused.is_none()).unwrap_or_default();
        let (cid, asks) = (station_car::unixfs::build(&module).root.to_string(), asks(&imports));
        Ok(Inspection { cid, bytes: module.len(), profile: PROFILE, refused, needs, imports, asks })
    })
    .await
}

/// Runs `module` once.
pub async fn run(module: Vec<u8>, plan: Plan) -> Result<Trial, TrialError> {
    run_in(Sandbox::new(station_sandbox::Config::default()), module, plan).await
}

async fn run_in(sandbox: Sandbox, module: Vec<u8>, plan: Plan) -> Result<Trial, TrialError> {
    blocking(move || {
        let Plan { stdin, form, limits, pure } = plan;
        let artefact = sandbox.compile(&module).map_err(|error| match error {
            // A sentence of one line: the module chose the names in it.
            CompileError::BadModule(reason) => TrialError::BadModule(Line(&reason.to_string()).to_string()),
            error @ CompileError::TooCostly(_) => TrialError::BadModule(error.to_string()),
            error => TrialError::Sandbox(error.to_string()),
        })?;
        artefact.needs().within(limits.memory_bytes, limits.fuel).map_err(TrialError::Short)?;
        let failed = |error: station_sandbox::SandboxError| TrialError::Sandbox(error.to_string());
        let mut session = sandbox.open(&artefact).map_err(failed)?;
        let begun = Instant::now();
        let Limits { fuel, memory_bytes, wall_ms, output_bytes, .. } = limits;
        let (input, mut progress, mut ungranted) = (stdin, None, Vec::new());
        let mut step = session.start(Load { input, fuel, memory_bytes, wall_ms, output_bytes, pure: pure.then_some([0; 32]) }).map_err(failed)?;
        let done = loop {
            match step {
                Step::Done(done) => break done,
                Step::Call(call) => {
                    progress = said_by(&call).or(progress);
                    if let HostCall::Submit { op, request } = &call
                        && op == HTTP_FETCH
                        && let Ok(request) = FetchRequest::decode(request)
                    {
                        note_ungranted(&mut ungranted, &request.url);
                    }
                    step = session.step(answer(&call)).map_err(failed)?;
                }
            }
        };
        let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(Trial { progress, ungranted, ..Trial::of(done, form, limits, duration_ms) })
    })
    .await
}

fn answer(call: &HostCall) -> Reply {
    match call {
        HostCall::Progress { .. } | HostCall::Checkpoint { .. } => Reply::Number(0),
        _ => Reply::Number(-ENOSYS),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, TrialError> + Send + 'static) -> Result<T, TrialError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| TrialError::Sandbox(error.to_string()))?
}

#[cfg(test)]
mod tests;
