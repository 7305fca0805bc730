//! One compile worker from the parent's side: a module goes in, an artefact or the reason against it comes out.
//!
//! Guarantees: the worker has limits on memory, processor time and wall time, and a module that does not compile within them is told so
//! by the limit's name; whatever the worker says or does, it is reaped before the answer is given. Deliberately lacks a cache.

use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::artefact::{ARTEFACT_BYTES_MAX, Artefact, Wanted};
use crate::engine;
use crate::frame::{self, CompileReport, CompileRequest, ENVELOPE_BYTES, Made};
use crate::isolation::Layers;
use crate::process::{Killer, Until};
use crate::spawner::Spawner;
use crate::system;
use crate::worker::{COMPILE, EXIT_OUT_OF_MEMORY, REASON_BYTES_MAX};

/// Memory of a compile worker beside its headroom: a module of 16 MiB needs well under half of it.
const COMPILE_MEMORY_BYTES: u64 = 704 << 20;

/// Compiling did not end in an artefact.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// The module's fault: every station of this profile says so.
    #[error("{0}")]
    BadModule(String),
    /// The module's fault too, but where the limit bites differs between machines.
    #[error("compiling it takes more than {0}")]
    TooCostly(CompileLimit),
    /// Ours.
    #[error("compiling failed: {0}")]
    Failed(String),
    /// Ours too: as many wait as may.
    #[error("too many modules wait for being compiled")]
    Busy,
    /// Nobody's: it is asked for again later.
    #[error("the account of whoever asked for it cannot pay for the compile now")]
    Unpaid,
    /// Whoever asked does not wait any more.
    #[error("the compile was ended")]
    Ended,
}

/// What compiling may not use more of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileLimit {
    #[error("the processor time a station gives it")]
    ProcessorTime,
    #[error("the time a station gives it")]
    WallTime,
    /// Heap or stack.
    #[error("the memory a station gives it")]
    Memory,
    /// How much there is differs between kinds of processors.
    #[error("the {} MiB of machine code that a station keeps of a module", ARTEFACT_BYTES_MAX >> 20)]
    MachineCode,
}

/// Limits of a compile worker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) memory_bytes: u64,
    pub(crate) cpu_seconds: u64,
    /// On top, for each MiB of the module.
    pub(crate) cpu_seconds_per_mib: u64,
    /// Machine code that comes of it, at most [`ARTEFACT_BYTES_MAX`].
    pub(crate) artefact_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { memory_bytes: COMPILE_MEMORY_BYTES, cpu_seconds: 10, cpu_seconds_per_mib: 4, artefact_bytes: ARTEFACT_BYTES_MAX }
    }
}

impl Bounds {
    /// Processor time a compile worker may use: several times what Cranelift needs on a slow machine (about 1.2 MiB/s on a good one), also
    /// when it is built without optimisation.
    fn seconds(self, module_bytes: usize) -> u64 {
        self.cpu_seconds + self.cpu_seconds_per_mib * (module_bytes as u64).div_ceil(1 << 20)
    }
}

/// Compiles in a worker of its own. The killer ends it from any thread.
pub(crate) fn compile(spawner: &Spawner, killer: &Killer, bounds: Bounds, module: &[u8], wanted: Wanted) -> Result<Artefact, CompileError> {
    if let Some(why) = engine::ABSENT {
        return Err(CompileError::Failed(why.into()));
    }
    let failed = |error: &io::Error| CompileError::Failed(error.to_string());
    let (child, mut channel) = spawner.start(COMPILE).map_err(|error| failed(&error))?;
    killer.hold(child).map_err(|error| failed(&error))?;
    let seconds = bounds.seconds(module.len());
    // Twice the processor time: the machine may be busy with other things.
    let deadline = Instant::now() + Duration::from_secs(2 * seconds);
    let mut until = Until { channel: &mut channel, deadline };
    let report = begin(spawner, killer, &mut until)
        .and_then(|()| killer.limit(bounds.memory_bytes, seconds))
        .and_then(|()| frame::write(&mut until, &CompileRequest { module: module.to_vec(), wanted, artefact_bytes: bounds.artefact_bytes as u64 }))
        .and_then(|()| frame::read(&mut until, ARTEFACT_BYTES_MAX + ENVELOPE_BYTES));
    let status = killer.reap();
    match report {
        Ok(CompileReport::Artefact(Made { bytes, tier, needs })) if bytes.len() <= bounds.artefact_bytes && wanted.tiers().contains(&tier) => {
            Ok(Artefact::new(Arc::from(bytes), tier, needs))
        }
        Ok(CompileReport::TooMuchCode) => Err(CompileError::TooCostly(CompileLimit::MachineCode)),
        Ok(CompileReport::NotCompiled(reason)) if reason.len() <= REASON_BYTES_MAX => Err(CompileError::Failed(reason)),
        Ok(CompileReport::BadModule(reason)) if reason.len() <= REASON_BYTES_MAX => Err(CompileError::BadModule(reason)),
        Ok(_) => Err(CompileError::Failed("the compile worker broke the rules".into())),
        Err(error) => Err(exceeded(&error, status).map_or_else(
            || {
                let status = status.map_or_else(String::new, |status| format!(" ({status})"));
                CompileError::Failed(format!("the compile worker did not report: {error}{status}"))
            },
            CompileError::TooCostly,
        )),
    }
}

/// The worker says how well it is shut in before it gets anything.
fn begin(spawner: &Spawner, killer: &Killer, until: &mut Until<'_>) -> io::Result<()> {
    let held = frame::read::<Layers>(until, ENVELOPE_BYTES)?;
    if killer.is_ended() {
        return Err(io::Error::other("the sandbox was ended"));
    }
    if held.level() >= spawner.promised() { Ok(()) } else { Err(io::Error::other(format!("it is less shut in than others: {held:?}"))) }
}

/// The limit that ended a worker, if one did.
fn exceeded(error: &io::Error, status: Option<ExitStatus>) -> Option<CompileLimit> {
    if error.kind() == io::ErrorKind::TimedOut {
        return Some(CompileLimit::WallTime);
    }
    let status = status?;
    if status.code() == Some(EXIT_OUT_OF_MEMORY) { Some(CompileLimit::Memory) } else { system::ended(status) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn the_parents_clock_and_the_workers_own_word_come_before_how_the_system_ended_it() {
        use std::os::unix::process::ExitStatusExt;
        let closed = io::Error::from(io::ErrorKind::UnexpectedEof);
        let ended = |status| exceeded(&closed, Some(ExitStatus::from_raw(status)));
        assert_eq!(ended(EXIT_OUT_OF_MEMORY << 8), Some(CompileLimit::Memory));
        assert_eq!((ended(libc::SIGXCPU), ended(libc::SIGKILL)), (Some(CompileLimit::ProcessorTime), None));
        assert_eq!(exceeded(&io::ErrorKind::TimedOut.into(), Some(ExitStatus::from_raw(libc::SIGKILL))), Some(CompileLimit::WallTime));
    }

    #[test]
    fn larger_modules_get_more_time() {
        let bounds = Bounds::default();
        assert_eq!([0, 1, 1 << 20, (1 << 20) + 1, 16 << 20].map(|bytes| bounds.seconds(bytes)), [10, 14, 14, 18, 74]);
    }
}
