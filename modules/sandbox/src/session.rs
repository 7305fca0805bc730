//! [`Session`]: one run worker and the jobs it serves one after the other.
//!
//! Guarantees: the wall limit is kept here, not by the worker; a worker that breaks a rule, dies or is late is killed and reaped, and
//! that is an outcome of the job with all its fuel charged; a worker whose native stack or own memory ended is our failure and no
//! outcome; the next job gets a new worker. What a worker says before it is asked
//! answers nothing. Deliberately lacks threads: the caller
//! blocks for the length of a step.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use station_protocol::receipt::Outcome;

use crate::artefact::Artefact;
use crate::compiler::CompileLimit;
use crate::frame::{self, ENVELOPE_BYTES, FromWorker, Start, ToWorker, Turn};
use crate::job::{CHECKPOINT_BYTES_MAX, Done, HostCall, LOG_BYTES_MAX, Load, REQUEST_BYTES_MAX, Reply, Step};
use crate::process::{Killer, Until};
use crate::sandbox::SandboxError;
use crate::spawner::Spawner;
use crate::system::{self, Channel};
use crate::worker::{EXIT_NATIVE_STACK, EXIT_OUT_OF_MEMORY, RUN};

/// How long a worker may take to map its artefact: the largest takes well under a second.
const OPEN_WITHIN: Duration = Duration::from_secs(20);

/// One sandboxed process. Dropping it kills and reaps the process.
pub struct Session {
    spawner: Arc<Spawner>,
    artefact: Artefact,
    killer: Killer,
    state: State,
    turns: ChaCha8Rng,
}

enum State {
    /// The last worker ended; the next job starts one.
    Gone,
    Idle(Channel),
    /// The worker waits for the answer to a call.
    Asking(Channel, Run),
}

/// What the parent has to know of a running job.
#[derive(Clone, Copy)]
struct Run {
    /// Of the frame that the worker has to answer.
    turn: Turn,
    deadline: Instant,
    fuel: u64,
    output_bytes: u64,
    asked: Asked,
}

/// The bound on the answer to the call that waits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Nothing,
    Number,
    Bytes(u32),
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("killer", &self.killer).finish_non_exhaustive()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.killer.kill();
        self.killer.reap();
    }
}

impl Session {
    pub(crate) fn open(spawner: Arc<Spawner>, artefact: Artefact) -> Result<Self, SandboxError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| SandboxError::Open(io::Error::other(error.to_string())))?;
        let turns = ChaCha8Rng::from_seed(seed);
        let mut session = Self { spawner, artefact, killer: Killer::new(), state: State::Gone, turns };
        session.state = State::Idle(session.worker()?);
        Ok(session)
    }

    /// A handle that ends this session from any thread.
    #[must_use]
    pub fn killer(&self) -> Killer {
        self.killer.clone()
    }

    /// Runs a job up to its first host call or its end.
    pub fn start(&mut self, load: Load) -> Result<Step, SandboxError> {
        let kept = match std::mem::replace(&mut self.state, State::Gone) {
            State::Gone => None,
            State::Idle(channel) => Some(channel),
            asking @ State::Asking(..) => {
                self.state = asking;
                return Err(SandboxError::OutOfOrder);
            }
        };
        let wall = Duration::from_millis(load.wall_ms);
        let (fuel, output_bytes) = (load.fuel, load.output_bytes);
        let memory_bytes = load.memory_bytes;
        // The parent's clock comes first.
        let cpu_seconds = load.wall_ms.div_ceil(1_000) + 2;
        let turn = self.turn();
        let run = |now: Instant| Run { turn, deadline: now + wall, fuel, output_bytes, asked: Asked::Nothing };
        let start = Start { input: load.input, fuel, memory_bytes: load.memory_bytes, output_bytes, seed: load.pure };
        let start = ToWorker::Start(turn, start);
        if let Some(mut channel) = kept {
            let run = run(Instant::now());
            let limited = self.killer.limit(memory_bytes, cpu_seconds);
            match limited.and_then(|()| frame::write(&mut Until { channel: &mut channel, deadline: run.deadline }, &start)) {
                Ok(()) => return self.next(channel, run),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return self.failed(&error, run),
                // The worker died between two jobs, or may not get more memory than for the last: not this job's doing.
                Err(_) => drop(self.killer.reap()),
            }
        }
        let mut channel = self.worker()?;
        let run = run(Instant::now());
        let limited = self.killer.limit(memory_bytes, cpu_seconds);
        match limited.and_then(|()| frame::write(&mut Until { channel: &mut channel, deadline: run.deadline }, &start)) {
            Ok(()) => self.next(channel, run),
            Err(error) => self.failed(&error, run),
        }
    }

    /// Answers the last call and runs on to the next one or the end.
    pub fn step(&mut self, reply: Reply) -> Result<Step, SandboxError> {
        let (mut channel, run) = match std::mem::replace(&mut self.state, State::Gone) {
            State::Asking(channel, run) => (channel, run),
            other => {
                self.state = other;
                return Err(SandboxError::OutOfOrder);
            }
        };
        let fits = match (&reply, run.asked) {
            (Reply::Number(_), _) => true,
            (Reply::Bytes(bytes), Asked::Bytes(max)) => bytes.len() <= max as usize,
            (Reply::Bytes(_), _) => false,
        };
        if !fits {
            self.state = State::Asking(channel, run);
            return Err(SandboxError::OutOfOrder);
        }
        let run = Run { turn: self.turn(), ..run };
        match frame::write(&mut Until { channel: &mut channel, deadline: run.deadline }, &ToWorker::Reply(run.turn, reply)) {
            Ok(()) => self.next(channel, run),
            Err(error) => self.failed(&error, run),
        }
    }

    fn turn(&mut self) -> Turn {
        Turn(self.turns.next_u64())
    }

    /// A new worker that has mapped the artefact.
    fn worker(&self) -> Result<Channel, SandboxError> {
        if self.killer.is_ended() {
            return Err(SandboxError::Ended);
        }
        let (child, mut channel) = self.spawner.start(RUN).map_err(SandboxError::Start)?;
        self.killer.hold(child).map_err(|_| SandboxError::Ended)?;
        let mut until = Until { channel: &mut channel, deadline: Instant::now() + OPEN_WITHIN };
        let ready = frame::write(&mut until, &ToWorker::Open(self.artefact.bytes.to_vec())).and_then(|()| frame::read(&mut until, ENVELOPE_BYTES));
        match ready {
            // Receipts name the level that was measured.
            Ok(FromWorker::Ready(held)) if held.level() >= self.spawner.promised() => Ok(channel),
            Ok(FromWorker::Ready(held)) => Err(self.unready(io::Error::other(format!("the worker is less shut in than others: {held:?}")))),
            Ok(_) => Err(self.unready(io::ErrorKind::InvalidData.into())),
            Err(error) => Err(self.unready(error)),
        }
    }

    fn unready(&self, error: io::Error) -> SandboxError {
        self.killer.reap();
        SandboxError::Open(error)
    }

    /// Reads what the guest did next.
    fn next(&mut self, mut channel: Channel, run: Run) -> Result<Step, SandboxError> {
        let largest = (run.output_bytes as usize + LOG_BYTES_MAX).max(CHECKPOINT_BYTES_MAX).max(REQUEST_BYTES_MAX);
        match frame::read_one(Until { channel: &mut channel, deadline: run.deadline }, largest + ENVELOPE_BYTES) {
            Ok(FromWorker::Call(turn, call)) if turn == run.turn && call.is_bounded() => {
                let asked = if let HostCall::Read { max, .. } = call { Asked::Bytes(max) } else { Asked::Number };
                self.state = State::Asking(channel, Run { asked, ..run });
                Ok(Step::Call(call))
            }
            Ok(FromWorker::Done(turn, done)) if turn == run.turn && is_believable(&done, run) => {
                self.state = State::Idle(channel);
                self.artefact.used(done.fuel);
                Ok(Step::Done(done))
            }
            Ok(_) => self.failed(&io::ErrorKind::InvalidData.into(), run),
            Err(error) => self.failed(&error, run),
        }
    }

    /// The worker is late, dead or broke a rule.
    fn failed(&mut self, error: &io::Error, run: Run) -> Result<Step, SandboxError> {
        self.state = State::Gone;
        let status = self.killer.reap();
        let outcome = if error.kind() == io::ErrorKind::TimedOut {
            Outcome::TimedOut
        } else {
            match status.and_then(|status| status.code()) {
                Some(EXIT_OUT_OF_MEMORY) => Outcome::OutOfMemory,
                Some(EXIT_NATIVE_STACK) => return Err(SandboxError::NativeStack),
                // The worker's own allocations abort it, and nothing else does: it exits where it panics. The guest's memory grows by other means.
                _ if status.and_then(system::ended) == Some(CompileLimit::Memory) => return Err(SandboxError::Memory),
                _ => Outcome::Killed,
            }
        };
        self.artefact.used(run.fuel);
        Ok(Step::Done(Done::unreported(outcome, run.fuel)))
    }
}

/// Whether a worker may say this of its job.
fn is_believable(done: &Done, run: Run) -> bool {
    let may_say = match done.outcome {
        Outcome::Completed
        | Outcome::Exited(_)
        | Outcome::Trapped(_)
        | Outcome::OutOfFuel
        | Outcome::OutputTooLarge
        | Outcome::BadModule
        | Outcome::StackOverflow => true,
        // The parent's words.
        _ => false,
    };
    may_say && done.fuel <= run.fuel && done.output.len() as u64 <= run.output_bytes && done.log.len() <= LOG_BYTES_MAX
}
