//! Namespaces: a worker's view of the system without network, neighbours and files.
//!
//! Guarantees: after [`enter`] the process has no network device that is up, no System V objects of others, and a root without files
//! in it. Deliberately lacks a PID namespace, which begins with a child, and workers have none: signals are landlock's and seccomp's
//! business.

/// A directory that is always there and never has a file of others in it: the descriptors of whoever asks.
const EMPTY: &std::ffi::CStr = c"/proc/self/fdinfo";

/// Whether the process is on its own now. Some systems do not let ordinary users do this.
#[expect(unsafe_code, reason = "unshare and chroot are system calls without a safe wrapper for this in std")]
pub(super) fn enter() -> bool {
    let all = libc::CLONE_NEWUSER | libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS | libc::CLONE_NEWNS;
    // SAFETY: unshare takes flags, chroot a terminated string that lives as long as the program. The process has one thread.
    unsafe { libc::unshare(all) == 0 && libc::chroot(EMPTY.as_ptr()) == 0 && libc::chdir(c"/".as_ptr()) == 0 }
}

/// Gives up every capability, for good: no-new-privileges is already set.
#[expect(unsafe_code, reason = "capset is a system call without a wrapper in std or libc")]
pub(super) fn drop_capabilities() -> bool {
    /// `_LINUX_CAPABILITY_VERSION_3`: 64 capabilities in two words of each set.
    const VERSION: u32 = 0x2008_0522;
    let header: [u32; 2] = [VERSION, 0];
    let none = [0_u32; 6];
    // SAFETY: the header is a version and a process id (0: this one), the data two times three words, as that version has it.
    unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) == 0 }
}
