//! [`ProcessEngine`]: the engine of a real machine, worker processes behind a thread per session.
//!
//! Guarantees: the async side never waits for a process, only for a channel; dropping a session kills its process at once, whatever its
//! thread is doing, and dropping one that is not open yet ends its wait for the compiler; a module that is being compiled is compiled once
//! however many sessions ask. Deliberately lacks a pool of threads:
//! sessions are few, and each lives as long as its process.

use std::sync::mpsc;

use cid::Cid;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use station_protocol::receipt::Outcome;
use station_sandbox::{Artefact, CompileError, CompileLimit, Killer, Load, Reply, Sandbox, SandboxError, Step, Wish};
use tokio::sync::oneshot;

use crate::engine::{Asker, Engine, EngineError, Session};

/// Runs modules in worker processes.
#[derive(Clone, Debug)]
pub struct ProcessEngine {
    sandbox: Sandbox,
}

impl ProcessEngine {
    /// The sandbox may be shared with others: each module is compiled once for all of them.
    #[must_use]
    pub fn new(sandbox: Sandbox) -> Self {
        Self { sandbox }
    }
}

impl Engine for ProcessEngine {
    fn prepare(&self, asker: Asker, cid: Cid, module: Vec<u8>) -> BoxFuture<'_, Result<(), EngineError>> {
        async move {
            let (done, answer) = oneshot::channel();
            let sandbox = self.sandbox.clone();
            let waiting = Waiting(sandbox.wish(asker.requester.0, asker.purse));
            let wish = waiting.0.clone();
            // Whoever asked may have gone; then nobody wants to know.
            thread(format!("compile {cid}"), move || drop(done.send(compile(&sandbox, &module, &wish).map(drop))))?;
            answer.await.map_err(|_| gone())?
        }
        .boxed()
    }

    fn open(&self, asker: Asker, cid: Cid, module: Vec<u8>) -> BoxFuture<'_, Result<Box<dyn Session>, EngineError>> {
        async move {
            let (opened, answer) = oneshot::channel();
            let sandbox = self.sandbox.clone();
            let waiting = Waiting(sandbox.wish(asker.requester.0, asker.purse));
            let wish = waiting.0.clone();
            thread(format!("session {cid}"), move || serve(&sandbox, &module, &wish, opened))?;
            let (requests, killer) = answer.await.map_err(|_| gone())??;
            Ok(Box::new(ProcessSession { requests, killer }) as Box<dyn Session>)
        }
        .boxed()
    }
}

/// Ends the wish for machine code with the future that waits for it.
struct Waiting(Wish);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// What the thread answers to each request.
type Answer = Result<Step, EngineError>;

enum Request {
    Start(Load, oneshot::Sender<Answer>),
    Step(Reply, oneshot::Sender<Answer>),
}

/// The async end of a session.
struct ProcessSession {
    requests: mpsc::Sender<Request>,
    killer: Killer,
}

impl Session for ProcessSession {
    fn start(&mut self, load: Load) -> BoxFuture<'_, Answer> {
        self.ask(|to| Request::Start(load, to))
    }

    fn step(&mut self, reply: Reply) -> BoxFuture<'_, Answer> {
        self.ask(|to| Request::Step(reply, to))
    }

    fn cpu(&self) -> Option<(u32, u64)> {
        let process = self.killer.process()?;
        Some((process, super::load::cpu_ms(process)?))
    }
}

impl ProcessSession {
    fn ask(&self, request: impl FnOnce(oneshot::Sender<Answer>) -> Request) -> BoxFuture<'_, Answer> {
        let (to, answer) = oneshot::channel();
        let sent = self.requests.send(request(to));
        async move {
            sent.map_err(|_| gone())?;
            answer.await.map_err(|_| gone())?
        }
        .boxed()
    }
}

impl Drop for ProcessSession {
    /// The thread may be in the middle of a step: killing the process ends it, and the closed channel then ends the thread.
    fn drop(&mut self) {
        self.killer.kill();
    }
}

fn gone() -> EngineError {
    EngineError::Failed("the session's thread is gone".into())
}

fn failed(error: &SandboxError) -> EngineError {
    match error {
        SandboxError::NativeStack | SandboxError::Memory => EngineError::Outgrown(error.to_string()),
        SandboxError::Start(_) | SandboxError::Open(_) | SandboxError::Ended | SandboxError::OutOfOrder => EngineError::Failed(error.to_string()),
    }
}

/// Thread names are cut by the system to 15 bytes; the whole text is for panics.
fn thread(name: String, body: impl FnOnce() + Send + 'static) -> Result<(), EngineError> {
    match std::thread::Builder::new().name(name).spawn(body) {
        Ok(_detached) => Ok(()),
        Err(error) => Err(EngineError::Failed(format!("a thread for the session: {error}"))),
    }
}

type Opened = Result<(mpsc::Sender<Request>, Killer), EngineError>;

/// The life of a session's thread: compile, open, then one request after the other until the async end is dropped.
fn serve(sandbox: &Sandbox, module: &[u8], wish: &Wish, opened: oneshot::Sender<Opened>) {
    let session = compile(sandbox, module, wish).and_then(|artefact| sandbox.open(&artefact).map_err(|error| failed(&error)));
    let mut session = match session {
        Ok(session) => session,
        Err(error) => {
            // Whoever asked may have gone; then nobody wants to know.
            let _ = opened.send(Err(error));
            return;
        }
    };
    let (requests, receiver) = mpsc::channel();
    if opened.send(Ok((requests, session.killer()))).is_err() {
        return;
    }
    for request in receiver {
        let (answer, to) = match request {
            Request::Start(load, to) => (session.start(load), to),
            Request::Step(reply, to) => (session.step(reply), to),
        };
        let _ = to.send(answer.map_err(|error| failed(&error)));
    }
}

fn compile(sandbox: &Sandbox, module: &[u8], wish: &Wish) -> Result<Artefact, EngineError> {
    sandbox.compile_for(module, wish).map_err(|error| match error {
        CompileError::BadModule(reason) => EngineError::BadModule(reason),
        CompileError::TooCostly(limit) => EngineError::TooCostly(match limit {
            CompileLimit::ProcessorTime | CompileLimit::WallTime => Outcome::TimedOut,
            CompileLimit::Memory | CompileLimit::MachineCode => Outcome::OutOfMemory,
        }),
        error @ (CompileError::Busy | CompileError::Unpaid) => EngineError::NotNow(error.to_string()),
        error @ (CompileError::Failed(_) | CompileError::Ended) => EngineError::Failed(error.to_string()),
    })
}
