//! Shuts the process in before it reads its first byte.
//!
//! Guarantees: it keeps no descriptor but the socket (3) and `/dev/null` (0, 1, 2), dies with its parent, gains no privileges, cannot be
//! traced, writes no file or core, starts no process, and has the layers of `isolation` that this system allows. Deliberately lacks the
//! memory limit, which depends on the job: `process`.

use std::fs::OpenOptions;
use std::os::fd::{AsRawFd, FromRawFd};

use super::{Socket, limits};
use crate::isolation::{self, Layers, Purpose};

/// Where the socket ends up; the parent hands it over as standard input.
const SOCKET: i32 = 3;

/// `None` when the process was not started by us or the system refuses; it must not go on then.
#[expect(unsafe_code, reason = "process attributes and descriptor numbers are system calls without a safe wrapper in std")]
pub(super) fn shut_in(wanted: Layers, purpose: Purpose) -> Option<(Socket, Layers)> {
    std::env::set_current_dir("/").ok()?;
    let null = OpenOptions::new().read(true).write(true).open("/dev/null").ok()?;
    // SAFETY: prctl with these operations takes numbers only. dup2 and close_range name descriptors that nothing in this process uses
    // yet: it has one thread, which has only just entered main. The descriptor 3 made here is owned by nobody else.
    unsafe {
        let ok = |result: libc::c_int| (result >= 0).then_some(());
        is_socket(0)?;
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
        limits::forever(purpose)?;
        let held = isolation::enter(wanted, purpose, detached);
        Some((Socket::from_raw_fd(SOCKET), held))
    }
}

/// Whether a descriptor is a socket: somebody who types the hidden argument has none.
#[expect(unsafe_code, reason = "asking for a socket's type is a system call without a safe wrapper in std")]
fn is_socket(descriptor: i32) -> Option<()> {
    let mut kind: libc::c_int = 0;
    let mut length = libc::socklen_t::try_from(size_of::<libc::c_int>()).ok()?;
    // SAFETY: both pointers are to locals of the sizes that the call is told.
    let result = unsafe { libc::getsockopt(descriptor, libc::SOL_SOCKET, libc::SO_TYPE, (&raw mut kind).cast(), &raw mut length) };
    (result == 0 && kind == libc::SOCK_STREAM).then_some(())
}
