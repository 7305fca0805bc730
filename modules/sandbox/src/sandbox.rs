//! [`Sandbox`]: compiles modules and opens sessions, both in child processes.
//!
//! Guarantees: two compile workers at a time for modules that somebody waits for, as `queue` decides, and one more for code that is made
//! better in the background, for somebody whom the station knows; a compile ends when nobody waits for it any more; both kinds of code are kept, the better one is handed out. Deliberately lacks a way to take machine code from anywhere else, and changing the code of a session that is open.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use station_protocol::receipt::Isolation;

use crate::artefact::{Artefact, Tier, Wanted};
use crate::cache::{Cache, Key};
use crate::check::{self, MODULE_BYTES_MAX};
use crate::compiler::{self, Bounds, CompileError};
use crate::process::Killer;
use crate::queue::lanes::{Asker, Own, Purse, deposit_ms};
use crate::queue::{Queue, Wish};
use crate::session::Session;
use crate::spawner::Spawner;
use crate::system;

/// How to run workers.
#[derive(Clone, Debug)]
pub struct Config {
    /// The program that becomes a worker: it calls [`crate::worker_entry`] first in `main`.
    pub program: PathBuf,
    /// Where artefacts are kept between runs of the program. `None`: only in memory.
    pub cache_dir: Option<PathBuf>,
}

impl Default for Config {
    /// This very program, on Linux even when its file was replaced meanwhile; no cache on disk.
    fn default() -> Self {
        Self { program: system::own_program(), cache_dir: None }
    }
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
    /// The meter's stack did not bound the real one for this module: a mistake of ours, and no outcome of the job.
    #[error("the guest's frames need more native stack than their weights stand for")]
    NativeStack,
    /// Nor is this: the job's own memory was within its limit.
    #[error("the worker needed more memory than is set aside beside a job's own")]
    Memory,
}

/// Compiles and runs modules in child processes. Cheap to clone.
#[derive(Clone)]
pub struct Sandbox(Arc<Inner>);

struct Inner {
    spawner: Arc<Spawner>,
    cache: Arc<Cache>,
    bounds: Bounds,
    queue: Arc<Queue>,
    background: Mutex<Option<Background>>,
}

/// The thread that makes a module's code better.
struct Background {
    killer: Killer,
    thread: JoinHandle<()>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(background) = self.background.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            background.killer.kill();
            // A panic there was a bug, and was shown there.
            let _ = background.thread.join();
        }
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").finish_non_exhaustive()
    }
}

impl Sandbox {
    /// # Panics
    ///
    /// When the system cannot start a thread, or the program's path is empty.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self::bounded(config, Bounds::default())
    }

    /// With other limits on compiling than the product's: so that tests reach them in less time.
    #[doc(hidden)]
    #[must_use]
    pub fn with_compile_limits(config: Config, memory_bytes: u64, cpu_seconds: u64) -> Self {
        Self::bounded(config, Bounds { memory_bytes, cpu_seconds, cpu_seconds_per_mib: 0, ..Bounds::default() })
    }

    /// With less room for machine code than in the product: for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn with_artefact_limit(config: Config, artefact_bytes: usize) -> Self {
        let bounds = Bounds::default();
        Self::bounded(config, Bounds { artefact_bytes: artefact_bytes.min(bounds.artefact_bytes), ..bounds })
    }

    fn bounded(config: Config, bounds: Bounds) -> Self {
        let spawner = Arc::new(Spawner::new(config.program).expect("a thread for starting workers"));
        let cache = Arc::new(Cache::new(config.cache_dir));
        Self(Arc::new(Inner { spawner, cache, bounds, queue: Arc::default(), background: Mutex::new(None) }))
    }

    /// A wish of this asker's, for [`Sandbox::compile_for`]. `purse` is charged with what compiling takes.
    #[must_use]
    pub fn wish(&self, asker: Asker, purse: Arc<dyn Purse>) -> Wish {
        self.0.queue.wish(asker, purse)
    }

    /// Of nobody else's.
    fn own_wish(&self) -> Wish {
        self.wish(Asker::default(), Arc::new(Own))
    }

    /// The module's machine code, for somebody who waits as long as it takes.
    pub fn compile(&self, module: &[u8]) -> Result<Artefact, CompileError> {
        self.compile_for(module, &self.own_wish())
    }

    /// The module's machine code, from the cache or a compile worker: baseline code at first, better code once jobs have used it enough
    /// and it is made, or where the baseline code is larger than a station keeps. Blocks, may wait for other modules, and ends when the wish does. A compile is paid from the wish's purse.
    pub fn compile_for(&self, module: &[u8], wish: &Wish) -> Result<Artefact, CompileError> {
        let key = key(module)?;
        if let Some(known) = self.known(module, &key, wish.purse()) {
            return known;
        }
        self.0.queue.get(key.name(Tier::Baseline), module.len(), wish, |killer| {
            self.known(module, &key, wish.purse()).unwrap_or_else(|| self.compile_anew(module, &key, Wanted::Any, killer))
        })
    }

    /// Code of exactly this tier: for tests and measurements.
    #[doc(hidden)]
    pub fn compile_at(&self, module: &[u8], tier: Tier) -> Result<Artefact, CompileError> {
        let name = key(module)?.name(tier);
        self.0.queue.get(name, module.len(), &self.own_wish(), |killer| {
            self.0.cache.get(&name).unwrap_or_else(|| self.compile_anew(module, &Key::new(module), Wanted::Exactly(tier), killer))
        })
    }

    /// Compiles begun, and threads that wait for one: for tests and measurements.
    #[doc(hidden)]
    #[must_use]
    pub fn compiles(&self) -> (u64, usize) {
        (self.0.queue.begun(), self.0.queue.waiting())
    }

    /// Waits for the code that is being made better, if any is: for tests.
    #[doc(hidden)]
    pub fn wait_for_background(&self) {
        if let Some(background) = self.background().take() {
            // A panic there was a bug, and was shown there.
            let _ = background.thread.join();
        }
    }

    /// Process ids of the run workers that wait for a session: for tests and measurements.
    #[doc(hidden)]
    #[must_use]
    pub fn idle_workers(&self) -> Vec<u32> {
        self.0.spawner.ready().unwrap_or_default()
    }

    /// How well workers are shut in on this machine: what one of them says, started for this once. Blocks the first time. A session whose
    /// worker then reaches less does not open.
    #[must_use]
    pub fn isolation(&self) -> Isolation {
        self.0.spawner.isolation()
    }

    /// A run worker for jobs of this artefact: one that waits already, or a new one. Blocks until it has mapped it.
    pub fn open(&self, artefact: &Artefact) -> Result<Session, SandboxError> {
        Session::open(self.0.spawner.clone(), artefact.clone())
    }

    fn known(&self, module: &[u8], key: &Key, purse: &Arc<dyn Purse>) -> Option<Result<Artefact, CompileError>> {
        if let Some(Ok(better)) = self.0.cache.get(&key.name(Tier::Optimised)) {
            return Some(Ok(better));
        }
        let known = self.0.cache.get(&key.name(Tier::Baseline))?;
        if let Ok(artefact) = &known
            && artefact.is_hot()
        {
            self.optimise(module, key, artefact, purse);
        }
        Some(known)
    }

    fn compile_anew(&self, module: &[u8], key: &Key, wanted: Wanted, killer: &Killer) -> Result<Artefact, CompileError> {
        let made = compiler::compile(&self.0.spawner, killer, self.0.bounds, module, wanted);
        // A refusal is of the tier that was tried first: that is the one asked for next time.
        let tier = made.as_ref().map_or(wanted.tiers()[0], Artefact::tier);
        self.0.cache.put(key.name(tier), &made);
        made
    }

    /// Has better code made, for those whom the station knows: it takes no turn of the queue's, so that nobody unknown may have it. Not while
    /// that is done for another module, and not where `purse` cannot pay: it then comes when it is asked for again.
    fn optimise(&self, module: &[u8], key: &Key, artefact: &Artefact, purse: &Arc<dyn Purse>) {
        let mut slot = self.background();
        let deposit = deposit_ms(module.len());
        // Asked before, so that nobody is said to be refused what it did not ask for.
        let may = purse.is_known() && purse.could_pay(deposit);
        if !may || slot.as_ref().is_some_and(|background| !background.thread.is_finished()) || !purse.pay(deposit) {
            return;
        }
        let killer = Killer::new();
        let (spawner, cache, bounds, own) = (self.0.spawner.clone(), self.0.cache.clone(), self.0.bounds, killer.clone());
        let (module, name, own_purse) = (module.to_vec(), key.name(Tier::Optimised), purse.clone());
        let make = move || {
            let begun = Instant::now();
            cache.put(name, &compiler::compile(&spawner, &own, bounds, &module, Wanted::Exactly(Tier::Optimised)));
            own_purse.settle(deposit, u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX));
        };
        match std::thread::Builder::new().name("station-compile".into()).spawn(make) {
            Ok(thread) => {
                artefact.cool();
                *slot = Some(Background { killer, thread });
            }
            // The module keeps the code it has, and nothing was done for what was paid.
            Err(_) => purse.settle(deposit, 0),
        }
    }

    fn background(&self) -> std::sync::MutexGuard<'_, Option<Background>> {
        self.0.background.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(module: &[u8]) -> Result<Key, CompileError> {
    if module.len() > MODULE_BYTES_MAX {
        return Err(CompileError::BadModule(check::too_large(module).to_string()));
    }
    Ok(Key::new(module))
}
