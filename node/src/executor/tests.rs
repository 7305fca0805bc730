//! Executions over an engine that plays what it is told, so that every end a session can have is one that a test chose.

use std::collections::VecDeque;

use cid::Cid;
use station_protocol::address::Reach;
use station_protocol::bounded::{Name, Text};
use station_protocol::content::{Content, DAG_CBOR, cid_of};
use station_protocol::limits::Limits;
use station_protocol::policy::Policy;
use station_protocol::receipt::Trap;
use station_protocol::{NodeId, SigningKey};
use station_sandbox::{Done, HostCall, Reply};

use super::*;
use crate::clock::{Clock, NOON};
use crate::library::BUNDLED;
use crate::outside::fake::Fake;
use crate::store::MemoryStore;

/// What a session does with one job.
enum Play {
    Ends(Outcome),
    /// Calls the host, and ends with the answer as its output.
    Calls(HostCall),
    Hangs,
    Breaks,
    /// Calls the host, and breaks when it is answered.
    BreaksLater,
}

#[derive(Default)]
struct Lab {
    /// What is opened next is refused so; otherwise it opens.
    refusals: VecDeque<EngineError>,
    plays: VecDeque<Play>,
    /// The modules of the sessions opened; a session's place is its number.
    opened: Vec<Cid>,
    alive: usize,
    /// Which session got which load.
    started: Vec<(usize, Load)>,
}

#[derive(Clone, Default)]
struct FakeEngine(Arc<Mutex<Lab>>);

impl FakeEngine {
    fn lab(&self) -> std::sync::MutexGuard<'_, Lab> {
        self.0.lock().expect("no test panicked")
    }

    fn plays(&self, plays: impl IntoIterator<Item = Play>) {
        self.lab().plays.extend(plays);
    }

    /// The session of each job so far.
    fn sessions(&self) -> Vec<usize> {
        self.lab().started.iter().map(|(session, _)| *session).collect()
    }

    /// Waits until `count` jobs have started.
    async fn started(&self, count: usize) {
        while self.lab().started.len() < count {
            tokio::task::yield_now().await;
        }
    }
}

impl Engine for FakeEngine {
    fn open(&self, _: Asker, cid: Cid, _: Vec<u8>) -> BoxFuture<'_, Result<Box<dyn Session>, EngineError>> {
        let mut lab = self.lab();
        if let Some(refusal) = lab.refusals.pop_front() {
            return Box::pin(std::future::ready(Err(refusal)));
        }
        lab.opened.push(cid);
        lab.alive += 1;
        let session = FakeSession { engine: self.clone(), number: lab.opened.len() - 1, breaks: false };
        Box::pin(std::future::ready(Ok(Box::new(session) as Box<dyn Session>)))
    }
}

struct FakeSession {
    engine: FakeEngine,
    number: usize,
    breaks: bool,
}

impl Drop for FakeSession {
    fn drop(&mut self) {
        self.engine.lab().alive -= 1;
    }
}

fn done(outcome: Outcome, output: Vec<u8>) -> Step {
    Step::Done(Done { outcome, output, log: b"said".to_vec(), fuel: 42 })
}

fn broke() -> EngineError {
    EngineError::Failed("the pipe broke".into())
}

impl Session for FakeSession {
    fn start(&mut self, load: Load) -> BoxFuture<'_, Result<Step, EngineError>> {
        let play = {
            let mut lab = self.engine.lab();
            lab.started.push((self.number, load));
            lab.plays.pop_front().expect("the test said what happens")
        };
        match play {
            Play::Ends(outcome) => Box::pin(std::future::ready(Ok(done(outcome, b"out".to_vec())))),
            Play::Calls(call) => Box::pin(std::future::ready(Ok(Step::Call(call)))),
            Play::Hangs => Box::pin(std::future::pending()),
            Play::Breaks => Box::pin(std::future::ready(Err(broke()))),
            Play::BreaksLater => {
                self.breaks = true;
                Box::pin(std::future::ready(Ok(Step::Call(HostCall::Close { handle: 1 }))))
            }
        }
    }

    fn step(&mut self, reply: Reply) -> BoxFuture<'_, Result<Step, EngineError>> {
        let step = if self.breaks { Err(broke()) } else { Ok(done(Outcome::Completed, format!("{reply:?}").into_bytes())) };
        Box::pin(std::future::ready(step))
    }
}

fn job(experiment: &str, index: u64) -> Execution {
    let module = &BUNDLED[0];
    Execution {
        experiment: cid_of(DAG_CBOR, experiment.as_bytes()),
        requester: SigningKey::from_bytes(&[1; 32]).node(),
        contact: Text::cut("mailto:lab@example.org"),
        index,
        module: Content { cid: station_car::unixfs::build(module.bytes).root, bytes: module.bytes.len() as u64 },
        profile: Name::new("station-wasm-2").expect("a name"),
        limits: Limits::default(),
        granted: BTreeMap::default(),
        pure: true,
        input: vec![7],
    }
}

fn node() -> NodeId {
    SigningKey::from_bytes(&[2; 32]).node()
}

async fn executor(engine: &FakeEngine) -> Executor {
    let store = Arc::new(MemoryStore::default());
    let host =
        Host::new(Arc::new(Fake::default()), node(), Policy::default(), Clock::at(NOON), store.clone(), Tasks::new()).await.expect("the disk works");
    Executor::new(Arc::new(engine.clone()), Library::new(store), host, Ledger::new(Reach::Any, []), Tasks::new())
}

async fn finished(executor: &mut Executor) -> Finished {
    match executor.next().await {
        Happened::Execution(finished) => finished,
        other => panic!("only ends are waited for here: {other:?}"),
    }
}

/// Runs one job to its end.
async fn run(executor: &mut Executor, job: Execution) -> Result<Report, StationFailure> {
    let ticket = Ticket(1_000 + job.index);
    executor.start(ticket, job);
    let (ended, result) = finished(executor).await;
    assert_eq!(ended, ticket);
    result
}

fn outcome(result: Result<Report, StationFailure>) -> Outcome {
    result.expect("an outcome").outcome
}

#[tokio::test(start_paused = true)]
async fn a_session_serves_the_next_job_of_its_experiment() {
    let engine = FakeEngine::default();
    engine.plays([Play::Ends(Outcome::Completed), Play::Ends(Outcome::Exited(3)), Play::Ends(Outcome::Completed)]);
    let mut executor = executor(&engine).await;
    for index in 0..3 {
        run(&mut executor, job("one", index)).await.expect("an outcome");
    }
    assert_eq!(engine.sessions(), [0, 0, 0]);
    assert_eq!(engine.lab().opened, [job("one", 0).module.cid]);
}

#[tokio::test(start_paused = true)]
async fn a_session_never_serves_another_experiment_of_the_same_module() {
    let engine = FakeEngine::default();
    engine.plays([Play::Ends(Outcome::Completed), Play::Ends(Outcome::Completed), Play::Ends(Outcome::Completed)]);
    let mut executor = executor(&engine).await;
    for experiment in ["one", "two", "one"] {
        run(&mut executor, job(experiment, 0)).await.expect("an outcome");
    }
    assert_eq!(engine.sessions(), [0, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_guest_did_not_end_by_itself_is_never_used_again() {
    let ends = [
        Outcome::Trapped(Trap::Unreachable),
        Outcome::OutOfFuel,
        Outcome::OutputTooLarge,
        Outcome::StackOverflow,
        Outcome::OutOfMemory,
        Outcome::TimedOut,
        Outcome::Killed,
    ];
    for end in ends {
        let engine = FakeEngine::default();
        engine.plays([Play::Ends(end.clone()), Play::Ends(Outcome::Completed)]);
        let mut executor = executor(&engine).await;
        assert_eq!(outcome(run(&mut executor, job("one", 0)).await), end);
        assert_eq!(engine.lab().alive, 0, "its process is gone: {end:?}");
        assert_eq!(outcome(run(&mut executor, job("one", 1)).await), Outcome::Completed);
        assert_eq!(engine.sessions(), [0, 1], "{end:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn jobs_at_the_same_time_have_sessions_of_their_own() {
    let engine = FakeEngine::default();
    engine.plays([Play::Hangs, Play::Hangs]);
    let mut executor = executor(&engine).await;
    executor.start(Ticket(1), job("one", 0));
    executor.start(Ticket(2), job("one", 1));
    engine.started(2).await;
    assert_eq!((executor.running(), engine.sessions()), (2, vec![0, 1]));
}

#[tokio::test(start_paused = true)]
async fn a_stopped_execution_is_reported_as_stopped_and_its_session_dies() {
    let engine = FakeEngine::default();
    engine.plays([Play::Hangs, Play::Ends(Outcome::Completed)]);
    let mut executor = executor(&engine).await;
    executor.stop(Ticket(7));
    executor.start(Ticket(7), job("one", 0));
    engine.started(1).await;
    executor.stop(Ticket(8));
    assert_eq!(executor.running(), 1, "stopping what does not run stops nothing");
    executor.stop(Ticket(7));
    let (ticket, result) = finished(&mut executor).await;
    assert_eq!((ticket, result.expect_err("stopped"), executor.running()), (Ticket(7), StationFailure::Stopped, 0));
    assert_eq!(engine.lab().alive, 0);
    run(&mut executor, job("one", 1)).await.expect("an outcome");
    assert_eq!(engine.sessions(), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn an_idle_session_is_kept_for_its_time_and_then_ended() {
    let engine = FakeEngine::default();
    engine.plays([Play::Ends(Outcome::Completed), Play::Ends(Outcome::Completed)]);
    let mut executor = executor(&engine).await;
    run(&mut executor, job("one", 0)).await.expect("an outcome");
    tokio::time::advance(SESSION_IDLE - Duration::from_millis(1)).await;
    executor.reap();
    assert_eq!(engine.lab().alive, 1);
    tokio::time::advance(Duration::from_millis(1)).await;
    executor.reap();
    assert_eq!(engine.lab().alive, 0);
    run(&mut executor, job("one", 1)).await.expect("an outcome");
    assert_eq!(engine.sessions(), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_running_session_is_not_reaped() {
    let engine = FakeEngine::default();
    engine.plays([Play::Hangs]);
    let mut executor = executor(&engine).await;
    executor.start(Ticket(1), job("one", 0));
    engine.started(1).await;
    tokio::time::advance(10 * SESSION_IDLE).await;
    executor.reap();
    assert_eq!((engine.lab().alive, executor.running()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_module_that_no_station_runs_or_compiles_is_an_outcome_and_not_a_failure() {
    let engine = FakeEngine::default();
    let refusals = [EngineError::BadModule("it imports the moon".into()), EngineError::TooCostly(Outcome::TimedOut)];
    engine.lab().refusals.extend(refusals);
    let mut executor = executor(&engine).await;
    for expected in [Outcome::BadModule, Outcome::TimedOut] {
        let report = run(&mut executor, job("one", 0)).await.expect("an outcome");
        assert_eq!((report.outcome, report.fuel, report.output.len()), (expected, 0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_sandbox_that_fails_returns_the_lease_and_its_session_is_not_used_again() {
    let engine = FakeEngine::default();
    engine.lab().refusals.push_back(EngineError::Failed("no processes left".into()));
    engine.plays([Play::Breaks, Play::BreaksLater, Play::Ends(Outcome::Completed)]);
    let mut executor = executor(&engine).await;
    for index in 0..3 {
        assert_eq!(run(&mut executor, job("one", index)).await.expect_err("our own failure"), StationFailure::Sandbox);
        assert_eq!(engine.lab().alive, 0);
    }
    assert_eq!(outcome(run(&mut executor, job("one", 3)).await), Outcome::Completed);
    assert_eq!(engine.sessions(), [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_module_that_is_not_compiled_now_is_no_failure_of_the_sandbox() {
    let engine = FakeEngine::default();
    engine.lab().refusals.push_back(EngineError::NotNow("nobody pays".into()));
    let mut executor = executor(&engine).await;
    assert_eq!(run(&mut executor, job("one", 0)).await.expect_err("it waits"), StationFailure::NotNow);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_outgrows_the_sandbox_is_no_outcome_and_has_its_own_word() {
    let engine = FakeEngine::default();
    engine.lab().refusals.push_back(EngineError::Outgrown("of native stack".into()));
    let mut executor = executor(&engine).await;
    assert_eq!(run(&mut executor, job("one", 0)).await.expect_err("our own failure"), StationFailure::Outgrown);
}

#[tokio::test(start_paused = true)]
async fn a_module_that_is_no_longer_here_returns_the_lease_before_anything_opens() {
    let engine = FakeEngine::default();
    let mut executor = executor(&engine).await;
    let mut gone = job("one", 0);
    gone.module = Content { cid: station_car::unixfs::build(&[1; 100]).root, bytes: 100 };
    assert_eq!(run(&mut executor, gone).await.expect_err("our own failure"), StationFailure::Sandbox);
    assert!(engine.lab().opened.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_host_call_is_answered_and_the_report_has_what_the_guest_made_of_it() {
    let engine = FakeEngine::default();
    engine.plays([Play::Calls(HostCall::Submit { op: "no.such".into(), request: Vec::new() })]);
    let mut executor = executor(&engine).await;
    let report = run(&mut executor, job("one", 0)).await.expect("an outcome");
    let expected = format!("{:?}", Reply::Number(-station_protocol::hostcall::errno::NOSYS)).into_bytes();
    assert_eq!((report.outcome, report.output, report.fuel, report.transcript.len()), (Outcome::Completed, expected, 42, 0));
}

#[tokio::test(start_paused = true)]
async fn a_guest_gets_the_jobs_limits_and_a_seed_only_where_it_is_pure() {
    let engine = FakeEngine::default();
    engine.plays((0..4).map(|_| Play::Ends(Outcome::Completed)));
    let mut executor = executor(&engine).await;
    let limits = Limits { fuel: 11, memory_bytes: 12, wall_ms: 13, output_bytes: 14, in_bytes: 15 };
    for job in [job("one", 0), job("one", 1), job("two", 0)] {
        run(&mut executor, Execution { limits: limits.clone(), ..job }).await.expect("an outcome");
    }
    run(&mut executor, Execution { pure: false, ..job("one", 0) }).await.expect("an outcome");
    let lab = engine.lab();
    let load = &lab.started[0].1;
    assert_eq!((&load.input[..], load.fuel, load.memory_bytes, load.wall_ms, load.output_bytes), (&[7][..], 11, 12, 13, 14));
    let seeds: Vec<_> = lab.started.iter().map(|(_, load)| load.pure).collect();
    assert!(seeds[..3].iter().all(Option::is_some) && seeds[3].is_none());
    assert!(seeds[0] != seeds[1] && seeds[0] != seeds[2], "each job has its own");
}

#[tokio::test]
async fn what_a_guest_says_of_how_far_it_is_comes_before_its_end() {
    let engine = FakeEngine::default();
    let mut executor = executor(&engine).await;
    engine.plays([Play::Calls(HostCall::Progress { permille: 2_000, message: "nearly".to_owned() })]);
    executor.start(Ticket(7), job("progress", 1));
    let mut said = Vec::new();
    loop {
        match executor.next().await {
            Happened::Said(ticket, saying) => said.push((ticket, saying)),
            Happened::Execution((ticket, result)) => break assert_eq!((ticket, result.is_ok()), (Ticket(7), true)),
            other => panic!("only a job is begun here: {other:?}"),
        }
        if said.len() > 1 {
            break;
        }
    }
    said.extend(std::iter::from_fn(|| executor.said.try_recv().ok()));
    assert_eq!(said, [(Ticket(7), Saying { permille: 1_000, message: Text::cut("nearly") })]);
}
