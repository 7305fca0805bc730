//! The one thread that starts workers, and the few run workers it keeps ready.
//!
//! Guarantees: workers get an empty environment, `/` as folder, their end of the channel and nothing else. They ask the kernel to die
//! with the *thread* that started them, so that thread lives as long as the sandbox. A worker that was started ahead has shut itself in,
//! waits for its artefact, and is handed out once; there are at most [`POOL_WORKERS`] of them, none before the first session and none
//! long after the last, and they end with the spawner. Deliberately lacks waiting for workers that were handed out: `process` reaps.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use station_protocol::receipt::Isolation;

use crate::frame::{self, ENVELOPE_BYTES, FromWorker};
use crate::process::{Killer, Until};
use crate::system::{self, Channel, Process};
use crate::worker::{PROBE, RUN, WORKER_ARGUMENT};

/// How long a worker may take to say how well it is shut in: a few milliseconds, unless the machine is very busy.
const PROBE_WITHIN: Duration = Duration::from_secs(20);
/// Run workers kept ready: a small station opens one session at a time, and a second one covers the time in which the first is replaced.
pub(crate) const POOL_WORKERS: usize = 2;
/// How long they are kept after the last session was opened: a station without work has no children.
const POOL_IDLE: Duration = Duration::from_secs(60);

type Started = io::Result<(Process, Channel)>;

enum Request {
    Start {
        kind: &'static str,
        to: mpsc::Sender<Started>,
    },
    /// Fill up, and say which processes are ready.
    Ready(mpsc::Sender<Vec<u32>>),
}

/// Starts workers of one program. Dropping it waits for its thread, which ends the workers that were kept ready; the kernel ends any
/// other that is left.
pub(crate) struct Spawner {
    requests: Option<mpsc::Sender<Request>>,
    thread: Option<JoinHandle<()>>,
    measured: OnceLock<Isolation>,
}

impl Drop for Spawner {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // A panic there was a bug, and was shown there.
            let _ = thread.join();
        }
    }
}

impl Spawner {
    pub(crate) fn new(program: PathBuf) -> io::Result<Self> {
        // Workers start in `/`, where a relative path would name something else.
        let program = std::path::absolute(program)?;
        let (requests, receiver) = mpsc::channel::<Request>();
        let serving = move || Serving { program, pool: VecDeque::new(), wanted: 0 }.serve(&receiver);
        let thread = std::thread::Builder::new().name("station-workers".into()).spawn(serving)?;
        Ok(Self { requests: Some(requests), thread: Some(thread), measured: OnceLock::new() })
    }

    /// The level that a worker said it reached, asked once.
    pub(crate) fn isolation(&self) -> Isolation {
        *self.measured.get_or_init(|| self.probe().unwrap_or(Isolation::ProcessOnly))
    }

    /// The level that was asked for, if it was: no worker may be below it.
    pub(crate) fn promised(&self) -> Isolation {
        self.measured.get().copied().unwrap_or(Isolation::ProcessOnly)
    }

    fn probe(&self) -> io::Result<Isolation> {
        let (child, mut channel) = self.start(PROBE)?;
        let killer = Killer::new();
        killer.hold(child)?;
        let said = frame::read(&mut Until { channel: &mut channel, deadline: Instant::now() + PROBE_WITHIN }, ENVELOPE_BYTES);
        killer.reap();
        match said? {
            FromWorker::Ready(held) => Ok(held.level()),
            FromWorker::Call(..) | FromWorker::Done(..) => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// A worker and the socket to it: one that is ready, where that is the kind, or a new one.
    pub(crate) fn start(&self, kind: &'static str) -> Started {
        self.ask(|to| Request::Start { kind, to })?
    }

    /// Process ids of the workers that are ready, once there are as many as there shall be.
    pub(crate) fn ready(&self) -> io::Result<Vec<u32>> {
        self.ask(Request::Ready)
    }

    fn ask<T>(&self, request: impl FnOnce(mpsc::Sender<T>) -> Request) -> io::Result<T> {
        let gone = || io::Error::other("the thread that starts workers is gone");
        let (to, answer) = mpsc::channel();
        self.requests.as_ref().ok_or_else(gone)?.send(request(to)).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())
    }
}

/// What the thread owns.
struct Serving {
    program: PathBuf,
    pool: VecDeque<(Process, Channel)>,
    /// How many should be ready.
    wanted: usize,
}

impl Serving {
    fn serve(mut self, requests: &mpsc::Receiver<Request>) {
        loop {
            // Whoever waits comes first; the pool is filled between requests.
            let request = if self.pool.len() < self.wanted {
                requests.try_recv().map_err(|error| error == mpsc::TryRecvError::Disconnected)
            } else if self.wanted > 0 {
                requests.recv_timeout(POOL_IDLE).map_err(|error| error == mpsc::RecvTimeoutError::Disconnected)
            } else {
                requests.recv().map_err(|_| true)
            };
            match request {
                Ok(Request::Start { kind, to }) => {
                    let started = if kind == RUN { self.run_worker() } else { start(&self.program, kind) };
                    // Whoever asked may have gone: then the worker is ended like any other that lost its owner.
                    if let Err(mpsc::SendError(Ok(worker))) = to.send(started) {
                        end(worker);
                    }
                }
                Ok(Request::Ready(to)) => {
                    while self.pool.len() < self.wanted {
                        self.prepare();
                    }
                    // Whoever asked may have gone.
                    let _ = to.send(self.pool.iter().map(|worker| worker.0.id()).collect());
                }
                Err(true) => break,
                Err(false) if self.pool.len() < self.wanted => self.prepare(),
                Err(false) => {
                    self.wanted = 0;
                    self.pool.drain(..).for_each(end);
                }
            }
        }
        self.pool.drain(..).for_each(end);
    }

    /// One that is ready and alive, or a new one.
    fn run_worker(&mut self) -> Started {
        self.wanted = POOL_WORKERS;
        while let Some((mut child, channel)) = self.pool.pop_front() {
            // The machine may have ended it meanwhile; asking is what reaps it then.
            if matches!(child.try_wait(), Ok(None)) {
                return Ok((child, channel));
            }
        }
        start(&self.program, RUN)
    }

    /// Starts one ahead. Where the system refuses, whoever needs a worker is told so when it asks.
    fn prepare(&mut self) {
        match start(&self.program, RUN) {
            Ok(worker) => self.pool.push_back(worker),
            Err(_) => self.wanted = self.pool.len(),
        }
    }
}

fn end((mut child, _channel): (Process, Channel)) {
    // It fails only when the process is gone; then there is only something to reap.
    let _ = child.kill();
    let _ = child.wait();
}

fn start(program: &Path, kind: &str) -> Started {
    let mut command = Command::new(program);
    command.args([WORKER_ARGUMENT, kind]).env_clear().current_dir("/").stdout(Stdio::null()).stderr(Stdio::null());
    system::start(command)
}
