//! macOS and other Unix systems: a process of its own with few descriptors, and no layer.
//!
//! Guarantees: a worker keeps no descriptor but the socket (3) and `/dev/null` (0, 1, 2), writes no file or core, and ends soon after its
//! parent; a run worker starts no process where its user is not root. Deliberately lacks a word about isolation beyond that, because
//! nothing here keeps a worker that has broken out from its user's files, and limits on memory and processor time, which no process can
//! set for another here: the guest's memory is bounded by its job, and the parent's clock ends it.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

use super::Socket;
use crate::isolation::{Layers, Purpose};

/// Where the socket ends up; the parent hands it over as standard input.
const SOCKET: i32 = 3;
/// Descriptors 0 to 3, and spares.
const DESCRIPTORS: libc::rlim_t = 8;
/// How often a worker looks whether its parent lives: no signal says so here.
const PARENT_EVERY: Duration = Duration::from_secs(1);

/// This very program, under the name it was started by.
pub(crate) fn own_program() -> PathBuf {
    std::env::current_exe().unwrap_or_default()
}

/// `None` when the process was not started by us or the system refuses; it must not go on then.
#[expect(unsafe_code, reason = "descriptor numbers and process ids are system calls without a safe wrapper in std")]
pub(crate) fn shut_in(_: Layers, purpose: Purpose) -> Option<(Socket, Layers)> {
    super::unix::ignore_what_is_the_parents()?;
    std::env::set_current_dir("/").ok()?;
    let null = OpenOptions::new().read(true).write(true).open("/dev/null").ok()?;
    // SAFETY: dup2 and close name descriptors that nothing in this process uses yet: it has one thread, which has only just entered main.
    // The descriptor 3 made here is owned by nobody else. The other calls take numbers.
    let (socket, parent) = unsafe {
        let ok = |result: libc::c_int| (result >= 0).then_some(());
        super::unix::is_socket(0)?;
        // `null` may itself be 3; it is copied away before 3 is overwritten.
        ok(libc::dup2(null.as_raw_fd(), 1))?;
        ok(libc::dup2(null.as_raw_fd(), 2))?;
        std::mem::forget(null);
        ok(libc::dup2(0, SOCKET))?;
        ok(libc::dup2(1, 0))?;
        for descriptor in SOCKET + 1..libc::getdtablesize() {
            // It fails where there is none.
            libc::close(descriptor);
        }
        (Socket::from_raw_fd(SOCKET), libc::getppid())
    };
    limits(purpose)?;
    std::thread::Builder::new().name("station-parent".into()).spawn(move || follow(parent)).ok()?;
    Some((socket, Layers::default()))
}

/// Ends this process when its parent is another.
#[expect(unsafe_code, reason = "the parent's id is a system call without a safe wrapper that sees it change")]
fn follow(parent: libc::pid_t) {
    // SAFETY: it takes and changes nothing.
    while unsafe { libc::getppid() } == parent {
        std::thread::sleep(PARENT_EVERY);
    }
    std::process::exit(crate::worker::EXIT_FAILED);
}

/// No layer holds, so there is nothing to close.
pub(crate) fn forbid_new_code(held: Layers) -> Layers {
    held
}

/// Nothing: see above.
pub(crate) fn limit(_: &Child, _: u64, _: u64) -> io::Result<()> {
    Ok(())
}

/// Limits that hold for the whole life of a worker.
#[expect(unsafe_code, reason = "resource limits are a system call without a safe wrapper in std")]
fn limits(purpose: Purpose) -> Option<()> {
    let always = [(libc::RLIMIT_CORE, 0), (libc::RLIMIT_FSIZE, 0), (libc::RLIMIT_NOFILE, DESCRIPTORS)];
    // The user's processes are counted together, so this means no more of them by this one; the compiler's threads are none.
    let own = (purpose == Purpose::Run).then_some((libc::RLIMIT_NPROC, 0));
    always.into_iter().chain(own).try_for_each(|(resource, most)| {
        let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
        // SAFETY: the pointer is to a local of the type that the call reads.
        (unsafe { libc::setrlimit(resource, &raw const limit) } == 0).then_some(())
    })
}
