//! [`Sandbox`]: compiles modules and opens sessions, both in child processes.
//!
//! Guarantees: one compile worker at a time; whoever asks for a module that is being compiled waits for that one; a compile worker has
//! limits on memory, processor time and wall time. Deliberately lacks a way to take machine code from anywhere else.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use station_protocol::receipt::Isolation;

use crate::artefact::{ARTEFACT_BYTES_MAX, Artefact};
use crate::cache::{self, Cache};
use crate::check::MODULE_BYTES_MAX;
use crate::frame::{self, CompileReport, CompileRequest, ENVELOPE_BYTES};
use crate::isolation::Layers;
use crate::process::{Killer, Until};
use crate::session::Session;
use crate::spawner::Spawner;
use crate::worker::COMPILE;

/// Memory of a compile worker beside its headroom: a module of 16 MiB needs well under half of it.
const COMPILE_MEMORY_BYTES: u64 = 704 << 20;
/// Longest reason a compile worker may give: it is shown to people.
const REASON_BYTES_MAX: usize = 512;

/// How to run workers.
#[derive(Clone, Debug)]
pub struct Config {
    /// The program that becomes a worker: it calls [`crate::worker_entry`] first in `main`.
    pub program: PathBuf,
    /// Where artefacts are kept between runs of the program. `None`: only in memory.
    pub cache_dir: Option<PathBuf>,
}

impl Default for Config {
    /// This very program, even when its file was replaced meanwhile; no cache on disk.
    fn default() -> Self {
        Self { program: PathBuf::from("/proc/self/exe"), cache_dir: None }
    }
}

/// Compiling did not end in an artefact.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// The module's fault: every station of this profile says so.
    #[error("{0}")]
    BadModule(String),
    /// Ours, or a limit of this machine.
    #[error("compiling failed: {0}")]
    Failed(String),
}

/// The sandbox, not the guest, failed.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("a worker could not be started: {0}")]
    Start(#[source] io::Error),
    #[error("the worker did not become ready: {0}")]
    Open(#[source] io::Error),
    #[error("the session was ended")]
    Ended,
    #[error("start while a job runs, or a reply while none waits")]
    OutOfOrder,
}

/// Compiles and runs modules in child processes. Cheap to clone.
#[derive(Clone)]
pub struct Sandbox(Arc<Inner>);

struct Inner {
    spawner: Arc<Spawner>,
    cache: Cache,
    compiling: Mutex<()>,
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").finish_non_exhaustive()
    }
}

/// Processor time a compile worker may use: several times what Cranelift needs on a slow machine (about 1.2 MiB/s on a good one), also
/// when it is built without optimisation.
pub(crate) fn compile_seconds(module_bytes: usize) -> u64 {
    10 + 4 * (module_bytes as u64).div_ceil(1 << 20)
}

impl Sandbox {
    /// # Panics
    ///
    /// When the system cannot start a thread, or the program's path is empty.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let spawner = Spawner::new(config.program).expect("a thread for starting workers");
        Self(Arc::new(Inner { spawner: Arc::new(spawner), cache: Cache::new(config.cache_dir), compiling: Mutex::new(()) }))
    }

    /// The module's machine code, from the cache or a compile worker. Blocks; may wait for other modules.
    pub fn compile(&self, module: &[u8]) -> Result<Artefact, CompileError> {
        if module.len() > MODULE_BYTES_MAX {
            return Err(CompileError::BadModule(crate::Refusal::TooLarge(module.len()).to_string()));
        }
        let name = cache::name(module);
        if let Some(known) = self.0.cache.get(&name) {
            return known.map_err(CompileError::BadModule);
        }
        let _one = self.0.compiling.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = self.0.cache.get(&name) {
            return known.map_err(CompileError::BadModule);
        }
        let known = self.compile_anew(module)?;
        self.0.cache.put(name, &known);
        known.map_err(CompileError::BadModule)
    }

    /// How well workers are shut in on this machine: what one of them says, started for this once. Blocks the first time. A session whose
    /// worker then reaches less does not open.
    #[must_use]
    pub fn isolation(&self) -> Isolation {
        self.0.spawner.isolation()
    }

    /// Starts a run worker for jobs of this artefact. Blocks until it has mapped it.
    pub fn open(&self, artefact: &Artefact) -> Result<Session, SandboxError> {
        Session::open(self.0.spawner.clone(), artefact.clone())
    }

    fn compile_anew(&self, module: &[u8]) -> Result<cache::Known, CompileError> {
        let (child, socket) = self.0.spawner.start(COMPILE).map_err(|error| CompileError::Failed(error.to_string()))?;
        let killer = Killer::new();
        killer.hold(child).map_err(|error| CompileError::Failed(error.to_string()))?;
        // Twice the processor time: the machine may be busy with other things.
        let deadline = Instant::now() + Duration::from_secs(2 * compile_seconds(module.len()));
        let mut until = Until { socket: &socket, deadline };
        let promised = self.0.spawner.promised();
        let report = frame::read::<Layers>(&mut until, ENVELOPE_BYTES)
            .and_then(
                |held| if held.level() >= promised { Ok(()) } else { Err(io::Error::other(format!("it is less shut in than others: {held:?}"))) },
            )
            .and_then(|()| killer.limit(COMPILE_MEMORY_BYTES, compile_seconds(module.len())))
            .and_then(|()| frame::write(&mut until, &CompileRequest { module: module.to_vec() }))
            .and_then(|()| frame::read(&mut until, ARTEFACT_BYTES_MAX + ENVELOPE_BYTES));
        let status = killer.reap();
        match report {
            Ok(CompileReport::Artefact(bytes)) if bytes.len() <= ARTEFACT_BYTES_MAX => Ok(Ok(Artefact { bytes: bytes.into() })),
            Ok(CompileReport::BadModule(reason)) if reason.len() <= REASON_BYTES_MAX => Ok(Err(reason)),
            Ok(_) => Err(CompileError::Failed("the compile worker broke the rules".into())),
            Err(error) => {
                let status = status.map_or_else(String::new, |status| format!(" ({status})"));
                Err(CompileError::Failed(format!("the compile worker did not report: {error}{status}")))
            }
        }
    }
}
