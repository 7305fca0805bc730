//! How much memory a worker may have, where the system keeps such a limit.

/// Beside the guest's memory: our code, the guest's native stack (`engine::STACK_BYTES`), an artefact of 64 MiB with its copy, input and
/// output.
const HEADROOM_BYTES: u64 = 352 << 20;
/// The most memory a job may ask for: see the protocol's limits.
const JOB_MEMORY_BYTES_MAX: u64 = 4 << 30;
/// The most memory any worker may have.
pub(super) const WORKER_BYTES_MAX: u64 = HEADROOM_BYTES + JOB_MEMORY_BYTES_MAX;

/// Memory of a worker that may use this much beside its headroom.
pub(super) fn worker_bytes(memory_bytes: u64) -> u64 {
    HEADROOM_BYTES.saturating_add(memory_bytes).min(WORKER_BYTES_MAX)
}
