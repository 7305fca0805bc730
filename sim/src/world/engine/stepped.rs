//! [`SteppedEngine`]: the real sandbox under a simulation: the bundled modules' own instructions, one step at a time.
//!
//! ```text
//!  station-sim (one thread, virtual time) ── frames over a pipe ─► station-sim-engine (real time, threads) ─► sandbox workers
//! ```
//!
//! The sandbox has threads of its own, and a run may have none; so it lives in a process of its own, and the run stands still while a
//! guest takes its step. Guarantees: output, fuel and host calls are the guest's; a job takes fuel ÷ speed of virtual time; the wall
//! limit counts virtual time. Deliberately lacks a virtual clock for guests of measurements, who see the machine's: a module that
//! looks at it makes runs differ.

use std::io::{self, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cid::Cid;
use futures::FutureExt;
use futures::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use station_node::engine::{Asker, Done, Engine, EngineError, HostCall, Load, Reply, Session, Step};
use station_protocol::codec;
use station_protocol::limits::LIMITS_MAX;
use station_protocol::receipt::Outcome;
use tokio::time::Instant;

#[cfg(test)]
mod tests;

/// The program of the sandbox's process, beside this one: it has the machine's clock and allocator, which workers are measured with.
const PROGRAM: &str = "station-sim-engine";
/// Starting a process and giving it a compiled module.
const OPEN: Duration = Duration::from_millis(5);
/// Largest frame: a module, which stations fetch up to this size.
const FRAME_BYTES_MAX: usize = 64 << 20;

/// What the run asks of the sandbox's process.
#[derive(Debug, Serialize, Deserialize)]
pub enum Ask {
    Open {
        session: u64,
        #[serde(with = "serde_bytes")]
        module: Vec<u8>,
    },
    Start {
        session: u64,
        #[serde(with = "serde_bytes")]
        input: Vec<u8>,
        fuel: u64,
        memory_bytes: u64,
        output_bytes: u64,
        pure: Option<[u8; 32]>,
    },
    Step {
        session: u64,
        reply: Reply,
    },
    Close {
        session: u64,
    },
}

/// What it answers, once for each.
#[derive(Debug, Serialize, Deserialize)]
pub enum Said {
    Nothing,
    Call(HostCall),
    Done(Done),
    BadModule(String),
    TooCostly(Outcome),
    Failed(String),
}

/// Writes one frame: its length, its bytes.
pub fn write<T: Serialize>(to: &mut impl Write, value: &T) -> io::Result<()> {
    let bytes = codec::encode(value);
    let length = u32::try_from(bytes.len()).ok().filter(|length| *length as usize <= FRAME_BYTES_MAX);
    let length = length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the frame is too large"))?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(&bytes)?;
    to.flush()
}

/// Reads one frame.
pub fn read<T: DeserializeOwned + Serialize>(from: &mut impl Read) -> io::Result<T> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > FRAME_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the frame is too large"));
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    codec::decode(&bytes, FRAME_BYTES_MAX).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
}

/// The sandbox's process, shared by all stations of a run. It ends when its input does.
#[derive(Debug, Default)]
pub struct Helper {
    inner: Mutex<Pipes>,
}

#[derive(Debug, Default)]
struct Pipes {
    process: Option<(Child, ChildStdin, ChildStdout)>,
    sessions: u64,
}

impl Helper {
    /// Blocks until the answer is there. The first question starts the process.
    fn ask(&self, ask: &Ask) -> io::Result<Said> {
        let mut inner = self.lock();
        if inner.process.is_none() {
            let program = std::env::current_exe()?.with_file_name(PROGRAM);
            let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
            let pipes = child.stdin.take().zip(child.stdout.take());
            inner.process = pipes.map(|(input, output)| (child, input, output));
        }
        let (_, input, output) = inner.process.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        write(input, ask)?;
        read(output)
    }

    fn number(&self) -> u64 {
        let mut inner = self.lock();
        inner.sessions += 1;
        inner.sessions
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Pipes> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        if let Some((mut child, input, output)) = self.lock().process.take() {
            drop((input, output));
            // It ends by itself; nobody needs to know how.
            let _ = child.wait();
        }
    }
}

/// One station's processor under the real sandbox.
#[derive(Clone, Debug)]
pub struct SteppedEngine {
    pub helper: Arc<Helper>,
    pub fuel_per_ms: u64,
}

impl Engine for SteppedEngine {
    fn open(&self, _: Asker, _: Cid, module: Vec<u8>) -> BoxFuture<'_, Result<Box<dyn Session>, EngineError>> {
        async move {
            let number = self.helper.number();
            let said = self.helper.ask(&Ask::Open { session: number, module }).map_err(|error| failed(&error))?;
            tokio::time::sleep(OPEN).await;
            match said {
                Said::Nothing => Ok(Box::new(SteppedSession { number, engine: self.clone(), ends: Instant::now(), fuel: 0 }) as Box<dyn Session>),
                said => Err(step(said).map_or_else(|error| error, |_| EngineError::Failed("a step before the start".into()))),
            }
        }
        .boxed()
    }
}

struct SteppedSession {
    number: u64,
    engine: SteppedEngine,
    /// When the job's wall limit is reached.
    ends: Instant,
    fuel: u64,
}

impl Session for SteppedSession {
    fn start(&mut self, load: Load) -> BoxFuture<'_, Result<Step, EngineError>> {
        (self.ends, self.fuel) = (Instant::now() + Duration::from_millis(load.wall_ms), load.fuel);
        let Load { input, fuel, memory_bytes, output_bytes, pure, .. } = load;
        self.go(Ask::Start { session: self.number, input, fuel, memory_bytes, output_bytes, pure }).boxed()
    }

    fn step(&mut self, reply: Reply) -> BoxFuture<'_, Result<Step, EngineError>> {
        self.go(Ask::Step { session: self.number, reply }).boxed()
    }
}

impl SteppedSession {
    async fn go(&mut self, ask: Ask) -> Result<Step, EngineError> {
        let late = Step::Done(Done { outcome: Outcome::TimedOut, output: Vec::new(), log: Vec::new(), fuel: self.fuel });
        if Instant::now() >= self.ends {
            return Ok(late);
        }
        let said = self.engine.helper.ask(&ask).map_err(|error| failed(&error))?;
        let step = step(said)?;
        if let Step::Done(done) = &step {
            let burning = Instant::now() + Duration::from_millis(done.fuel.div_ceil(self.engine.fuel_per_ms));
            tokio::time::sleep_until(burning.min(self.ends)).await;
            if burning > self.ends {
                return Ok(late);
            }
        }
        Ok(step)
    }
}

impl Drop for SteppedSession {
    fn drop(&mut self) {
        // Of a process that is gone there is nothing to close.
        let _ = self.engine.helper.ask(&Ask::Close { session: self.number });
    }
}

fn failed(error: &io::Error) -> EngineError {
    EngineError::Failed(format!("the sandbox's process: {error}"))
}

fn step(said: Said) -> Result<Step, EngineError> {
    match said {
        Said::Call(call) => Ok(Step::Call(call)),
        Said::Done(done) => Ok(Step::Done(done)),
        Said::BadModule(reason) => Err(EngineError::BadModule(reason)),
        Said::TooCostly(outcome) => Err(EngineError::TooCostly(outcome)),
        Said::Failed(reason) => Err(EngineError::Failed(reason)),
        Said::Nothing => Err(EngineError::Failed("no step".into())),
    }
}

/// Real time that a worker has for a job: a run's virtual minute can take long, and the limit of virtual time is kept above.
pub const WALL_MS: u64 = LIMITS_MAX.wall_ms;
