//! [`Executor`]: from the Worker's `Start` to its `Finished`, through a sandbox session and the host-call broker.
//!
//! Guarantees: one session (process) serves jobs of one experiment only, one at a time; a session whose guest did not end by
//! itself is never used again; what a stopped execution does is not reported; a module is compiled before any job of it takes a slot
//! ([`prepare`]). Deliberately lacks any judgement of outcomes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use station_protocol::content::sha256;
use station_protocol::durable::Ticket;
use station_protocol::experiment::ExperimentId;
use station_protocol::identity::NodeId;
use station_protocol::receipt::Outcome;
use station_protocol::worker::{Execution, FetchFailure, Report, Saying, StationFailure};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::engine::{Asker, Done, Engine, EngineError, Load, Session, Step};
use crate::hostcalls::{Broker, Hear};
use crate::ledger::Ledger;
use crate::library::Library;
use crate::operator::Host;
use crate::tasks::Tasks;

mod prepare;

use prepare::Preparing;

/// How long a session waits for the next job of its experiment: longer than a round trip to the requester, short enough that an
/// idle station keeps no processes.
pub const SESSION_IDLE: Duration = Duration::from_secs(3);
/// Reports waiting for the event loop: at least one per execution that can run.
const REPORTS_WAITING_MAX: usize = 1_024;

/// What guests said waiting for the event loop: what does not fit is not told, and the guest says the next thing soon.
const SAID_WAITING_MAX: usize = 256;

/// What an execution gave.
pub type Finished = (Ticket, Result<Report, StationFailure>);

/// What happened to what was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// It came to its end.
    Execution(Finished),
    /// The guest of an execution says how far it is.
    Said(Ticket, Saying),
    /// A module is ready for jobs; or it is not here, or nobody waited for it any more.
    Module { fetch: Ticket, result: Result<(), FetchFailure> },
}

/// Runs executions as tasks.
pub struct Executor {
    rooms: Rooms,
    tasks: Tasks,
    running: BTreeMap<Ticket, CancellationToken>,
    preparing: Preparing,
    finished: mpsc::Receiver<Finished>,
    report: mpsc::Sender<Finished>,
    said: mpsc::Receiver<(Ticket, Saying)>,
    say: mpsc::Sender<(Ticket, Saying)>,
}

/// What an execution task needs; cheap to clone.
#[derive(Clone)]
struct Rooms {
    engine: Arc<dyn Engine>,
    library: Library,
    host: Host,
    ledger: Ledger,
    idle: Arc<Mutex<BTreeMap<ExperimentId, Vec<IdleSession>>>>,
}

struct IdleSession {
    session: Box<dyn Session>,
    since: Instant,
}

impl std::fmt::Debug for Executor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Executor").field("running", &self.running.len()).finish_non_exhaustive()
    }
}

impl Executor {
    #[must_use]
    pub fn new(engine: Arc<dyn Engine>, library: Library, host: Host, ledger: Ledger, tasks: Tasks) -> Self {
        let (report, finished) = mpsc::channel(REPORTS_WAITING_MAX);
        let (say, said) = mpsc::channel(SAID_WAITING_MAX);
        let rooms = Rooms { engine, library, host, ledger, idle: Arc::default() };
        Self { rooms, tasks, running: BTreeMap::new(), preparing: Preparing::default(), finished, report, said, say }
    }

    /// Begins `job`; its end comes from [`Executor::next`].
    pub fn start(&mut self, ticket: Ticket, job: Execution) {
        let stop = CancellationToken::new();
        self.running.insert(ticket, stop.clone());
        let (rooms, report, say) = (self.rooms.clone(), self.report.clone(), self.say.clone());
        let hear = Box::new(move |saying: &Saying| drop(say.try_send((ticket, saying.clone()))));
        self.tasks.spawn(async move {
            let (begun, cpu_ms) = (Instant::now(), OnceLock::new());
            let result = tokio::select! {
                () = stop.cancelled() => Err(StationFailure::Stopped),
                result = rooms.run(&job, hear, &cpu_ms) => result,
            };
            rooms.host.ran(&job, &result, cpu_ms.get().copied(), millis(begun));
            // The receiver is gone only when the station is.
            let _ = report.send((ticket, result)).await;
        });
    }

    /// Ends an execution; its session dies with it.
    pub fn stop(&mut self, ticket: Ticket) {
        if let Some(stop) = self.running.get(&ticket) {
            stop.cancel();
        }
    }

    /// The next thing that happened. Cancel-safe.
    pub async fn next(&mut self) -> Happened {
        tokio::select! {
            finished = self.finished.recv() => {
                let finished = finished.expect("the executor keeps a sender itself");
                self.running.remove(&finished.0);
                Happened::Execution(finished)
            }
            said = self.said.recv() => {
                let (ticket, saying) = said.expect("the executor keeps a sender itself");
                Happened::Said(ticket, saying)
            }
            (fetch, result) = self.preparing.next() => Happened::Module { fetch, result },
        }
    }

    /// Ends sessions that have had nothing to do for [`SESSION_IDLE`].
    pub fn reap(&self) {
        let now = Instant::now();
        let mut idle = self.rooms.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|_, sessions| {
            sessions.retain(|idle| now.duration_since(idle.since) < SESSION_IDLE);
            !sessions.is_empty()
        });
    }

    #[must_use]
    pub fn running(&self) -> usize {
        self.running.len()
    }
}

impl Rooms {
    /// Tells the processor time that the job took, where the system does.
    async fn run(&self, job: &Execution, hear: Hear, cpu_ms: &OnceLock<u64>) -> Result<Report, StationFailure> {
        let begun = Instant::now();
        let mut session = match self.session(job).await {
            Ok(session) => session,
            Err(EngineError::BadModule(reason)) => {
                tracing::info!(experiment = %job.experiment, requester = %job.requester, reason, "module refused by the engine");
                return Ok(Report {
                    outcome: Outcome::BadModule,
                    output: Vec::new(),
                    transcript: Vec::new(),
                    log: Vec::new(),
                    fuel: 0,
                    duration_ms: millis(begun),
                });
            }
            Err(EngineError::TooCostly(outcome)) => {
                tracing::info!(experiment = %job.experiment, requester = %job.requester, ?outcome, "the module takes too much to compile");
                return Ok(Report { outcome, output: Vec::new(), transcript: Vec::new(), log: Vec::new(), fuel: 0, duration_ms: millis(begun) });
            }
            Err(error) => return Err(failed(job, &error)),
        };
        let begun = Instant::now();
        let cpu_before = session.cpu();
        let mut broker = self.host.broker(job).heard_by(hear);
        let done = play(session.as_mut(), load(job), &mut broker).await.map_err(|error| failed(job, &error))?;
        // A worker that died between two jobs was replaced, and with it the clock.
        if let (Some((first, before)), Some((last, after))) = (cpu_before, session.cpu())
            && first == last
        {
            let _ = cpu_ms.set(after.saturating_sub(before));
        }
        if !done.log.is_empty() {
            tracing::debug!(experiment = %job.experiment, index = job.index, log = %String::from_utf8_lossy(&done.log), "guest log");
        }
        let report = Report {
            outcome: done.outcome,
            output: done.output,
            transcript: broker.finish(),
            log: done.log,
            fuel: done.fuel,
            duration_ms: millis(begun),
        };
        if matches!(report.outcome, Outcome::Completed | Outcome::Exited(_)) {
            self.keep(job.experiment, session);
        }
        Ok(report)
    }

    async fn session(&self, job: &Execution) -> Result<Box<dyn Session>, EngineError> {
        let waiting = self.idle.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&job.experiment).and_then(Vec::pop);
        if let Some(idle) = waiting {
            return Ok(idle.session);
        }
        let module = self.library.file(&job.module).await.map_err(|error| EngineError::Failed(error.to_string()))?;
        let module = module.ok_or_else(|| EngineError::Failed(format!("module {} is no longer in the store", job.module.cid)))?;
        self.engine.open(self.asker(job.requester), job.module.cid, module).await
    }

    fn asker(&self, requester: NodeId) -> Asker {
        Asker { requester, purse: self.ledger.purse(requester) }
    }

    fn keep(&self, experiment: ExperimentId, session: Box<dyn Session>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.entry(experiment).or_default().push(IdleSession { session, since: Instant::now() });
    }
}

/// One job from its start to its end: the sandbox's steps, and between them what the broker answers.
///
/// # Errors
/// When the sandbox failed.
pub(crate) async fn play(session: &mut dyn Session, load: Load, broker: &mut Broker) -> Result<Done, EngineError> {
    let mut step = beside(broker, session.start(load)).await?;
    loop {
        step = match step {
            Step::Done(done) => return Ok(done),
            Step::Call(call) => {
                let reply = broker.answer(call).await;
                beside(broker, session.step(reply)).await?
            }
        };
    }
}

/// The sandbox's next step, while the operations that the guest began go on.
async fn beside(broker: &mut Broker, step: BoxFuture<'_, Result<Step, EngineError>>) -> Result<Step, EngineError> {
    tokio::select! {
        step = step => step,
        never = broker.drive() => match never {},
    }
}

fn load(job: &Execution) -> Load {
    let seed = || sha256(&[b"station/pure/1\0", &job.experiment.to_bytes(), &job.index.to_be_bytes()]);
    Load {
        input: job.input.clone(),
        fuel: job.limits.fuel,
        memory_bytes: job.limits.memory_bytes,
        wall_ms: job.limits.wall_ms,
        output_bytes: job.limits.output_bytes,
        pure: job.pure.then(seed),
    }
}

fn failed(job: &Execution, error: &EngineError) -> StationFailure {
    if let EngineError::NotNow(reason) = error {
        tracing::debug!(experiment = %job.experiment, index = job.index, reason, "the lease waits for its module");
        return StationFailure::NotNow;
    }
    tracing::warn!(experiment = %job.experiment, requester = %job.requester, index = job.index, %error, "the lease is returned");
    if let EngineError::Outgrown(_) = error { StationFailure::Outgrown } else { StationFailure::Sandbox }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
