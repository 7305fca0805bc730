//! Resource limits of a worker process.
//!
//! Guarantees: hard limits are the soft ones, so that a worker cannot raise them. Deliberately lacks the limits of a job, which its
//! parent sets (`process`), and a limit on address space: each memory reserves 8 GiB of it without using them.

use crate::isolation::Purpose;

/// Beside the guest's memory: our code, tables, stack, an artefact of 64 MiB with its copy, input and output.
pub(crate) const HEADROOM_BYTES: u64 = 320 << 20;
/// The most memory a job may ask for: see the protocol's limits.
const JOB_MEMORY_BYTES_MAX: u64 = 4 << 30;
/// The most memory any worker may have.
pub(crate) const DATA_BYTES_MAX: u64 = HEADROOM_BYTES + JOB_MEMORY_BYTES_MAX;
/// Descriptors 0 to 3, and a spare that the standard library opens for entropy on old systems.
const DESCRIPTORS: u64 = 8;

/// Limits that hold for the whole life of a worker.
pub(super) fn forever(purpose: Purpose) -> Option<()> {
    // The compiler has threads, which count.
    if purpose == Purpose::Run {
        set(libc::RLIMIT_NPROC, 0, 0)?;
    }
    set(libc::RLIMIT_CORE, 0, 0)?;
    set(libc::RLIMIT_FSIZE, 0, 0)?;
    set(libc::RLIMIT_NOFILE, DESCRIPTORS, DESCRIPTORS)?;
    set(libc::RLIMIT_DATA, DATA_BYTES_MAX, DATA_BYTES_MAX)
}

#[expect(unsafe_code, reason = "resource limits are a system call without a safe wrapper in std")]
fn set(resource: libc::__rlimit_resource_t, soft: u64, hard: u64) -> Option<()> {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: the pointer is to a local of the type that the call reads.
    (unsafe { libc::setrlimit(resource, &raw const limit) } == 0).then_some(())
}
