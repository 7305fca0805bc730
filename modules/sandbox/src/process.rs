//! A worker process as its parent sees it: who may kill it, who reaps it, and a socket with a deadline.
//!
//! Guarantees: a process id is used only while the process is not reaped, so a kill never meets a stranger; reading and writing end at
//! the deadline however slowly the other end drips. Deliberately lacks what is said: `frame`.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::worker::limits::{DATA_BYTES_MAX, HEADROOM_BYTES};

/// Ends a session from any thread, for good. Cheap to clone; using it twice is harmless.
#[derive(Clone)]
pub struct Killer(Arc<Mutex<Slot>>);

#[derive(Default)]
struct Slot {
    child: Option<Child>,
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
        self.lock().child.as_ref().map(Child::id)
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.lock().ended
    }

    /// Takes charge of a child.
    pub(crate) fn hold(&self, mut child: Child) -> io::Result<()> {
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

    /// Sets what the worker may use from now on, beside its headroom: bytes of memory, and seconds of processor time on top of what it
    /// has used. The hard limit on memory follows, so a worker cannot undo it; where it may not be raised again, that is an error.
    pub(crate) fn limit(&self, memory_bytes: u64, cpu_seconds: u64) -> io::Result<()> {
        let slot = self.lock();
        let child = slot.child.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let process = libc::pid_t::try_from(child.id()).map_err(io::Error::other)?;
        let data = HEADROOM_BYTES.saturating_add(memory_bytes).min(DATA_BYTES_MAX);
        set(process, libc::RLIMIT_DATA, data, data)?;
        // The hard one would keep the next job from getting its share; this one only helps the clock.
        set(process, libc::RLIMIT_CPU, used_seconds(process)?.saturating_add(cpu_seconds), libc::RLIM_INFINITY)
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sets a limit of a process that is not reaped.
#[expect(unsafe_code, reason = "resource limits are a system call without a safe wrapper in std")]
fn set(process: libc::pid_t, resource: libc::__rlimit_resource_t, soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: the pointer is to a local of the type that the call reads; the old limit is not asked for.
    let result = unsafe { libc::prlimit(process, resource, &raw const limit, std::ptr::null_mut()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Processor time of a process that is not reaped, rounded up.
#[expect(unsafe_code, reason = "the clock of a process is a system call without a safe wrapper in std")]
fn used_seconds(process: libc::pid_t) -> io::Result<u64> {
    let mut clock = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: both pointers are to locals of the types that the calls fill.
    let known = unsafe { libc::clock_getcpuclockid(process, &raw mut clock) == 0 && libc::clock_gettime(clock, &raw mut time) == 0 };
    if known { Ok(u64::try_from(time.tv_sec).unwrap_or(0) + 1) } else { Err(io::ErrorKind::NotFound.into()) }
}

/// A socket that gives up at a moment. Errors of kind `TimedOut` mean that moment and nothing else.
pub(crate) struct Until<'a> {
    pub(crate) socket: &'a UnixStream,
    pub(crate) deadline: Instant,
}

impl Until<'_> {
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

fn late(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock { io::ErrorKind::TimedOut.into() } else { error }
}

impl Read for Until<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(self.left()?)?;
        (&mut &*self.socket).read(buffer).map_err(late)
    }
}

impl Write for Until<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(self.left()?)?;
        (&mut &*self.socket).write(buffer).map_err(late)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
