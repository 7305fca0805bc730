//! The one thread that starts workers.
//!
//! Guarantees: workers get an empty environment, `/` as folder, a socket as standard input and nothing else. They ask the kernel to die
//! with the *thread* that started them, so that thread lives as long as the sandbox. Deliberately lacks waiting: `process` reaps.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};

use station_protocol::receipt::Isolation;

use crate::frame::{self, ENVELOPE_BYTES, FromWorker};
use crate::process::{Killer, Until};
use crate::worker::{PROBE, WORKER_ARGUMENT};

/// How long a worker may take to say how well it is shut in: a few milliseconds, unless the machine is very busy.
const PROBE_WITHIN: Duration = Duration::from_secs(20);

type Started = io::Result<(Child, UnixStream)>;

struct Request {
    kind: &'static str,
    to: mpsc::Sender<Started>,
}

/// Starts workers of one program. Dropping it ends its thread, and with it every worker that is left.
pub(crate) struct Spawner {
    requests: mpsc::Sender<Request>,
    measured: OnceLock<Isolation>,
}

impl Spawner {
    pub(crate) fn new(program: PathBuf) -> io::Result<Self> {
        // Workers start in `/`, where a relative path would name something else.
        let program = std::path::absolute(program)?;
        let (requests, receiver) = mpsc::channel::<Request>();
        std::thread::Builder::new().name("station-workers".into()).spawn(move || {
            for request in receiver {
                // Whoever asked may have gone: then the child is ended like any other that lost its owner.
                if let Err(mpsc::SendError(Ok((mut child, _)))) = request.to.send(start(&program, request.kind)) {
                    let _ = child.kill();
                    let _ = child.wait();
                }
            }
        })?;
        Ok(Self { requests, measured: OnceLock::new() })
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
        let (child, socket) = self.start(PROBE)?;
        let killer = Killer::new();
        killer.hold(child)?;
        let said = frame::read(&mut Until { socket: &socket, deadline: Instant::now() + PROBE_WITHIN }, ENVELOPE_BYTES);
        killer.reap();
        match said? {
            FromWorker::Ready(held) => Ok(held.level()),
            FromWorker::Call(_) | FromWorker::Done(_) => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// A new worker and the socket to it.
    pub(crate) fn start(&self, kind: &'static str) -> Started {
        let (to, answer) = mpsc::channel();
        let gone = || io::Error::other("the thread that starts workers is gone");
        self.requests.send(Request { kind, to }).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?
    }
}

fn start(program: &Path, kind: &str) -> Started {
    let (ours, theirs) = UnixStream::pair()?;
    let child = Command::new(program)
        .args([WORKER_ARGUMENT, kind])
        .env_clear()
        .current_dir("/")
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    Ok((child, ours))
}
