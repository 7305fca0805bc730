//! A worker process as its parent sees it: who may kill it, who reaps it, and a channel with a deadline.
//!
//! Guarantees: a process id is used only while the process is not reaped, so a kill never meets a stranger. Deliberately lacks
//! what is said: `frame`; and what differs between systems: `system`.

use std::fmt;
use std::io::{self, Read, Write};
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::system::{self, Channel, Process};

/// Ends a session from any thread, for good. Cheap to clone; using it twice is harmless.
#[derive(Clone)]
pub struct Killer(Arc<Mutex<Slot>>);

#[derive(Default)]
struct Slot {
    child: Option<Process>,
    ended: bool,
}

impl fmt::Debug for Killer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Killer").field("process", &self.process()).finish()
    }
}

impl Killer {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    /// Kills the worker and keeps its session from starting another.
    pub fn kill(&self) {
        let mut slot = self.lock();
        slot.ended = true;
        if let Some(child) = &mut slot.child {
            // It fails only when the process is gone.
            let _ = child.kill();
        }
    }

    /// The process id of the worker that now serves the session.
    #[must_use]
    pub fn process(&self) -> Option<u32> {
        self.lock().child.as_ref().map(Process::id)
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.lock().ended
    }

    /// Takes charge of a child.
    pub(crate) fn hold(&self, mut child: Process) -> io::Result<()> {
        let mut slot = self.lock();
        if slot.ended {
            let _ = child.kill();
            child.wait()?;
            return Err(io::Error::other("the session was ended"));
        }
        slot.child = Some(child);
        Ok(())
    }

    /// Ends and reaps the child. How it ended, if there was one: a kill does not change the status of a process that already exits.
    pub(crate) fn reap(&self) -> Option<ExitStatus> {
        let mut child = self.lock().child.take()?;
        let _ = child.kill();
        child.wait().ok()
    }

    /// Sets what the worker may use from now on: see `system`.
    pub(crate) fn limit(&self, memory_bytes: u64, cpu_seconds: u64) -> io::Result<()> {
        system::limit(self.lock().child.as_ref().ok_or(io::ErrorKind::NotFound)?, memory_bytes, cpu_seconds)
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A channel that gives up at a moment. Errors of kind `TimedOut` mean that moment and nothing else.
pub(crate) struct Until<'a> {
    pub(crate) channel: &'a mut Channel,
    pub(crate) deadline: Instant,
}

impl Read for Until<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.channel.read(buffer, self.deadline)
    }
}

impl Write for Until<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.channel.write(buffer, self.deadline)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
