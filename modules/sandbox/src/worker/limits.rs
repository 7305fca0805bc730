//! Resource limits of a worker process.
//!
//! Guarantees: limits only ever shrink what the process may use, except that a run worker's soft limits follow its present job below
//! hard ones. Deliberately lacks a limit on address space: each memory reserves 8 GiB of it without using them.

/// Beside the guest's memory: our code, tables, stack, an artefact of 64 MiB with its copy, input and output.
const HEADROOM_BYTES: u64 = 320 << 20;
/// The most memory a job may ask for: see the protocol's limits.
const JOB_MEMORY_BYTES_MAX: u64 = 4 << 30;
/// Descriptors 0 to 3, and a spare that the standard library opens for entropy on old systems.
const DESCRIPTORS: u64 = 8;

/// Limits that hold for the whole life of a worker.
pub(super) fn forever() -> Option<()> {
    set(libc::RLIMIT_CORE, 0, 0)?;
    set(libc::RLIMIT_FSIZE, 0, 0)?;
    set(libc::RLIMIT_NOFILE, DESCRIPTORS, DESCRIPTORS)?;
    let most = HEADROOM_BYTES + JOB_MEMORY_BYTES_MAX;
    set(libc::RLIMIT_DATA, most, most)
}

/// Limits of a compile worker.
pub(super) fn compile(memory_bytes: u64, cpu_seconds: u64) -> Option<()> {
    set(libc::RLIMIT_DATA, memory_bytes, memory_bytes)?;
    set(libc::RLIMIT_CPU, cpu_seconds, cpu_seconds)
}

/// Limits of one job: memory, and processor time on top of what the process has used for jobs before.
pub(super) fn job(memory_bytes: u64, cpu_seconds: u64) -> Option<()> {
    let most = HEADROOM_BYTES + JOB_MEMORY_BYTES_MAX;
    set(libc::RLIMIT_DATA, HEADROOM_BYTES.saturating_add(memory_bytes).min(most), most)?;
    set(libc::RLIMIT_CPU, used_seconds().saturating_add(cpu_seconds), libc::RLIM_INFINITY)
}

#[expect(unsafe_code, reason = "resource limits are a system call without a safe wrapper in std")]
fn set(resource: libc::__rlimit_resource_t, soft: u64, hard: u64) -> Option<()> {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: the pointer is to a local of the type that the call reads.
    (unsafe { libc::setrlimit(resource, &raw const limit) } == 0).then_some(())
}

/// Processor time of this process, rounded up.
#[expect(unsafe_code, reason = "the process clock is a system call without a safe wrapper in std")]
fn used_seconds() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a local of the type that the call fills.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    u64::try_from(time.tv_sec).unwrap_or(0) + 1
}
