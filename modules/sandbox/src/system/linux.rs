//! Linux: a worker shuts itself in before it reads its first byte; its parent sets the limits that depend on the job.
//!
//! Guarantees: a worker keeps no descriptor but the socket (3) and `/dev/null` (0, 1, 2), dies with its parent, gains no privileges,
//! cannot be traced, writes no file or core, starts no process, and has the layers of `isolation` that this system allows. Hard limits
//! are the soft ones, so that a worker cannot raise them. Deliberately lacks a limit on address space: each memory reserves 8 GiB of it
//! without using them.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::path::PathBuf;
use std::process::Child;

use super::Socket;
use super::memory::{WORKER_BYTES_MAX, worker_bytes};
use crate::isolation::{self, Layers, Purpose};

/// Where the socket ends up; the parent hands it over as standard input.
const SOCKET: i32 = 3;
/// Descriptors 0 to 3, and a spare that the standard library opens for entropy on old systems.
const DESCRIPTORS: u64 = 8;

/// This very program, even when its file was replaced meanwhile.
pub(crate) fn own_program() -> PathBuf {
    PathBuf::from("/proc/self/exe")
}

/// `None` when the process was not started by us or the system refuses; it must not go on then.
#[expect(unsafe_code, reason = "process attributes and descriptor numbers are system calls without a safe wrapper in std")]
pub(crate) fn shut_in(wanted: Layers, purpose: Purpose) -> Option<(Socket, Layers)> {
    super::unix::ignore_what_is_the_parents()?;
    std::env::set_current_dir("/").ok()?;
    let null = OpenOptions::new().read(true).write(true).open("/dev/null").ok()?;
    // SAFETY: prctl with these operations takes numbers only. dup2 and close_range name descriptors that nothing in this process uses
    // yet: it has one thread, which has only just entered main. The descriptor 3 made here is owned by nobody else.
    unsafe {
        let ok = |result: libc::c_int| (result >= 0).then_some(());
        super::unix::is_socket(0)?;
        // `null` may itself be 3; it is copied away before 3 is overwritten.
        ok(libc::dup2(null.as_raw_fd(), 1))?;
        ok(libc::dup2(null.as_raw_fd(), 2))?;
        std::mem::forget(null);
        ok(libc::dup2(0, SOCKET))?;
        ok(libc::dup2(1, 0))?;
        ok(libc::syscall(libc::SYS_close_range, 4_u32, u32::MAX, 0_u32) as libc::c_int)?;
        // Before the attributes that follow: new credentials take them back.
        let detached = isolation::detach(wanted);
        ok(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
        ok(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
        ok(libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0))?;
        limits(purpose)?;
        let held = isolation::enter(wanted, purpose, detached);
        Some((Socket::from_raw_fd(SOCKET), held))
    }
}

/// From here on asking for executable memory kills the process, as does changing the filter.
pub(crate) fn forbid_new_code(held: Layers) -> Layers {
    isolation::forbid_new_code(held)
}

/// Sets what a worker may use from now on, beside its headroom: bytes of memory, and seconds of processor time on top of what it has
/// used. The hard limit on memory follows, so a worker cannot undo it; where it may not be raised again, that is an error.
pub(crate) fn limit(worker: &Child, memory_bytes: u64, cpu_seconds: u64) -> io::Result<()> {
    let process = libc::pid_t::try_from(worker.id()).map_err(io::Error::other)?;
    let data = worker_bytes(memory_bytes);
    set(process, libc::RLIMIT_DATA, data, data)?;
    // The hard one would keep the next job from getting its share; this one only helps the clock.
    set(process, libc::RLIMIT_CPU, used_seconds(process)?.saturating_add(cpu_seconds), libc::RLIM_INFINITY)
}

/// Limits that hold for the whole life of a worker.
fn limits(purpose: Purpose) -> Option<()> {
    let own = |resource, most| set(0, resource, most, most).ok();
    // The compiler has threads, which count.
    if purpose == Purpose::Run {
        own(libc::RLIMIT_NPROC, 0)?;
    }
    own(libc::RLIMIT_CORE, 0)?;
    own(libc::RLIMIT_FSIZE, 0)?;
    own(libc::RLIMIT_NOFILE, DESCRIPTORS)?;
    own(libc::RLIMIT_DATA, WORKER_BYTES_MAX)
}

/// Sets a limit of a process that is not reaped; 0 is this one.
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
