//! The few WASI error numbers that hosts answer with, and how a host call's result is read.

/// Not ready yet.
pub const AGAIN: i32 = 6;
/// No such handle.
pub const BADF: i32 = 8;
/// The request is malformed.
pub const INVAL: i32 = 28;
/// This host does not know the operation.
pub const NOSYS: i32 = 52;
/// The operation was not granted.
pub const PERM: i32 = 63;
/// Nothing became ready in time.
pub const TIMEDOUT: i32 = 73;

/// Host calls answer a number ≥ 0, or an error number negated.
pub(crate) fn check(result: i32) -> Result<u32, i32> {
    u32::try_from(result).map_err(|_| result.saturating_neg())
}
