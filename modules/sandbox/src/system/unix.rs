//! Starting a worker with a socket pair, and how the end of one is named: the same on every Unix.
//!
//! Guarantees: reading and writing end at the deadline however slowly the other end drips; an error of kind `TimedOut` means that
//! moment and nothing else. A worker is in a process group of its own and ignores what asks programs to end: Ctrl-C in a terminal, and
//! whoever signals all processes of a service, ask the parent, which ends its workers when it will. Deliberately lacks limits and layers, which differ: `linux`, `macos`.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use super::left;
use crate::compiler::CompileLimit;

/// Below this a wait is as long as what is left; the kernel's own clock is not finer.
const LAST_WAIT: Duration = Duration::from_millis(4);

/// A worker's end: a plain blocking stream.
pub(crate) type Socket = UnixStream;
/// A worker's process.
pub(crate) type Process = Child;

/// The parent's end: a stream that gives up at a moment.
pub(crate) struct Channel {
    socket: UnixStream,
    reading: Wait,
    writing: Wait,
}

/// Both ends.
pub(crate) fn pair() -> io::Result<(Channel, Socket)> {
    let (socket, theirs) = UnixStream::pair()?;
    Ok((Channel { socket, reading: Wait::default(), writing: Wait::default() }, theirs))
}

/// Starts a worker that finds its end as standard input.
pub(crate) fn start(mut command: Command) -> io::Result<(Process, Channel)> {
    let (ours, theirs) = pair()?;
    // A group of its own, so that a signal to the terminal's group meets no worker.
    let child = command.stdin(OwnedFd::from(theirs)).process_group(0).spawn()?;
    Ok((child, ours))
}

/// What asks a program to end and is the parent's to hear. Some send it to each process of a service and not to a group.
const THE_PARENTS: [libc::c_int; 4] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT];

/// From here on this process ends when its parent or the kernel says so. `None` where the system refuses.
#[expect(unsafe_code, reason = "ignoring a signal is a system call without a safe wrapper in std")]
pub(super) fn ignore_what_is_the_parents() -> Option<()> {
    // SAFETY: no handler is installed; the calls take numbers.
    THE_PARENTS.iter().try_for_each(|signal| (unsafe { libc::signal(*signal, libc::SIG_IGN) } != libc::SIG_ERR).then_some(()))
}

impl Channel {
    pub(crate) fn read(&mut self, buffer: &mut [u8], deadline: Instant) -> io::Result<usize> {
        loop {
            self.reading.fit(left(deadline)?, |wait| self.socket.set_read_timeout(Some(wait)))?;
            match self.socket.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
        }
    }

    pub(crate) fn write(&mut self, buffer: &[u8], deadline: Instant) -> io::Result<usize> {
        loop {
            self.writing.fit(left(deadline)?, |wait| self.socket.set_write_timeout(Some(wait)))?;
            match self.socket.write(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
        }
    }
}

/// How long one call of the kernel waits. Changing that is a call of its own, so it is changed only when it does not fit: a wait of half
/// of what is left fits for half of the time, and a job of any number of steps changes it a few times.
#[derive(Default)]
struct Wait(Option<Duration>);

impl Wait {
    /// Waits no longer than `left`, and not so much shorter that the caller would go round for nothing.
    fn fit(&mut self, left: Duration, set: impl FnOnce(Duration) -> io::Result<()>) -> io::Result<()> {
        if self.0.is_some_and(|wait| wait <= left && wait >= left / 8) {
            return Ok(());
        }
        let wait = if left > LAST_WAIT { left / 2 } else { left };
        // Unknown while it is being changed.
        self.0 = None;
        set(wait)?;
        self.0 = Some(wait);
        Ok(())
    }
}

/// The limit that ended a compile worker, if one did.
pub(crate) fn ended(status: ExitStatus) -> Option<CompileLimit> {
    match status.signal() {
        Some(libc::SIGXCPU) => Some(CompileLimit::ProcessorTime),
        // An allocation that fails and a stack that ends both abort.
        Some(libc::SIGABRT) => Some(CompileLimit::Memory),
        _ => None,
    }
}

/// Whether a descriptor is a socket: somebody who types the hidden argument has none.
#[expect(unsafe_code, reason = "asking for a socket's type is a system call without a safe wrapper in std")]
pub(super) fn is_socket(descriptor: i32) -> Option<()> {
    let mut kind: libc::c_int = 0;
    let mut length = libc::socklen_t::try_from(size_of::<libc::c_int>()).ok()?;
    // SAFETY: both pointers are to locals of the sizes that the call is told.
    let result = unsafe { libc::getsockopt(descriptor, libc::SOL_SOCKET, libc::SO_TYPE, (&raw mut kind).cast(), &raw mut length) };
    (result == 0 && kind == libc::SOCK_STREAM).then_some(())
}

/// Files made with these options are for their owner.
pub(crate) fn owner_only(options: &mut OpenOptions) -> &mut OpenOptions {
    options.mode(0o600)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_worker_has_the_name_of_its_limit() {
        let of = |status| ended(ExitStatus::from_raw(status));
        assert_eq!(of(libc::SIGXCPU), Some(CompileLimit::ProcessorTime));
        assert_eq!(of(libc::SIGABRT), Some(CompileLimit::Memory));
        // A filter that was broken, the system's own killer, a panic and a quiet end are nobody's limit.
        assert_eq!([libc::SIGSYS, libc::SIGKILL, 101 << 8, 0].map(of), [None; 4]);
    }

    /// The waits that were set while this much time was left, one after the other.
    fn set(lefts: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let (mut wait, mut set) = (Wait::default(), Vec::new());
        for left in lefts {
            let left = Duration::from_millis(left);
            wait.fit(left, |wait| {
                set.push(u64::try_from(wait.as_millis()).unwrap());
                Ok(())
            })
            .unwrap();
            assert!(wait.0.is_some_and(|wait| wait <= left), "it never waits beyond the deadline");
        }
        set
    }

    #[test]
    fn many_steps_of_a_job_set_the_time_out_a_few_times() {
        assert_eq!(set((1..=60_000).rev()).len(), 16);
        // The next job has more time: a wait that was right for the end of the last one would wake it again and again.
        assert_eq!(set([60_000, 40, 60_000]), [30_000, 20, 30_000]);
        assert_eq!(set([4, 3, 3, 2, 1]), [4, 3, 2, 1]);
    }

    #[test]
    fn reading_and_writing_end_at_the_deadline() {
        let (mut ours, theirs) = pair().unwrap();
        let soon = || Instant::now() + Duration::from_millis(20);
        let begun = Instant::now();
        assert_eq!(ours.read(&mut [0], soon()).unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() >= Duration::from_millis(20));
        let error = loop {
            match ours.write(&[0; 1 << 16], soon()) {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(theirs);
        assert_ne!(ours.write(&[0], soon()).unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
