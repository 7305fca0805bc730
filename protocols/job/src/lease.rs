//! How long a lease lasts.
//!
//! Guarantees: no arithmetic on remote numbers overflows. Deliberately lacks renewal: a job whose lease ends is dealt anew, and an overdue
//! one before that, while its lease goes on.

use crate::time::SECOND;

/// The requester waits this much longer than the worker, for the way there and back.
pub const GRACE_MS: u64 = 5 * SECOND;
/// Every lease has at least this: the way, the queue, a slow disk.
pub const BASE_MS: u64 = 30 * SECOND;
/// The slowest line a fetch is planned for, bytes per millisecond (64 KiB/s).
pub const FETCH_BYTES_PER_MS: u64 = 65;
/// No lease is longer: a machine that vanished is found out within a day.
pub const LEASE_MS_MAX: u64 = 24 * crate::time::HOUR;

/// `30 s + bytes to fetch ÷ 64 KiB/s + wall × (1 + place in the batch ÷ free)`, in milliseconds.
#[must_use]
pub fn duration_ms(fetch_bytes: u64, wall_ms: u64, place: u64, free: u32) -> u64 {
    let fetch = fetch_bytes / FETCH_BYTES_PER_MS;
    let queue = wall_ms.saturating_mul(place) / u64::from(free.max(1));
    BASE_MS.saturating_add(fetch).saturating_add(wall_ms).saturating_add(queue).min(LEASE_MS_MAX)
}

/// The longest lease that is ever dealt of a job: the last of a batch, for a batch has no more leases than were free.
#[must_use]
pub fn longest_ms(fetch_bytes: u64, wall_ms: u64) -> u64 {
    duration_ms(fetch_bytes, wall_ms, 1, 1)
}

#[cfg(test)]
mod tests;
