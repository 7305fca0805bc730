//! The operating system, as far as starting, bounding, shutting in and ending workers needs it: one small interface, one room for each
//! family of systems, chosen when the program is built.
//!
//! | | Linux | other Unix | Windows |
//! |---|---|---|---|
//! | `start`, `pair`, [`Channel`], [`Socket`] | a socket pair | the same | two pipes, with a thread each (`pipes`) |
//! | Ctrl-C and whoever asks all processes to end | not heard: a group of its own, and ignored | the same | a group of its own |
//! | `shut_in` | limits, attributes, the layers of `isolation` | limits and descriptors, no layer | no layer |
//! | `limit` | memory and processor time | nothing: the parent's clock alone | memory and processor time |
//! | `ended` | signals | the same | exit codes |
//!
//! Guarantees: what a system does not do is not claimed: without a layer the level is process-only, whatever was wanted. Deliberately
//! lacks what is said over a channel: `frame`; and when a worker ends: `session`, `compiler`.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(all(unix, not(target_os = "linux")))]
mod macos;
#[cfg(any(target_os = "linux", windows))]
mod memory;
#[cfg(any(windows, test))]
mod pipes;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(target_os = "linux")]
pub(crate) use linux::{forbid_new_code, limit, own_program, shut_in};
#[cfg(all(unix, not(target_os = "linux")))]
pub(crate) use macos::{forbid_new_code, limit, own_program, shut_in};
#[cfg(unix)]
pub(crate) use unix::{Channel, Process, Socket, ended, owner_only, pair, start};
#[cfg(windows)]
pub(crate) use windows::{Channel, Process, Socket, ended, forbid_new_code, limit, own_program, owner_only, shut_in, start};

use std::io;
use std::time::{Duration, Instant};

/// Time to a moment; an error of kind `TimedOut` from then on.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}
