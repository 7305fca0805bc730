//! The process's entropy inside a run: one seeded stream.
//!
//! Guarantees: whoever asks the system for random bytes gets the next ones of the stream. Deliberately lacks streams per node: libp2p
//! draws from one generator per thread.

use std::cell::{Cell, RefCell};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use station_protocol::content::sha256;

thread_local! {
    static STREAM: RefCell<Option<ChaCha8Rng>> = const { RefCell::new(None) };
    static DRAWN: Cell<u64> = const { Cell::new(0) };
}

/// The stream of the run `seed`.
pub(super) fn seed(seed: u64) {
    STREAM.set(Some(ChaCha8Rng::from_seed(sha256(&[b"station-sim\0entropy\0", &seed.to_be_bytes()]))));
    DRAWN.set(0);
}

pub(super) fn release() {
    STREAM.set(None);
}

/// Whether this thread's entropy is a seeded stream.
#[must_use]
pub fn is_seeded() -> bool {
    STREAM.try_with(|stream| stream.try_borrow().is_ok_and(|stream| stream.is_some())).unwrap_or(false)
}

/// Fills `buffer` with the stream's next bytes; leaves it as it is outside of a run.
pub fn fill(buffer: &mut [u8]) {
    STREAM.with_borrow_mut(|stream| {
        if let Some(stream) = stream {
            stream.fill_bytes(buffer);
            DRAWN.set(DRAWN.get() + buffer.len() as u64);
        }
    });
}

/// Bytes drawn since the start of the run.
#[must_use]
pub(super) fn drawn() -> u64 {
    DRAWN.get()
}

/// What the next draw of `N` bytes will be.
pub(super) fn peek<const N: usize>() -> Option<[u8; N]> {
    STREAM.with_borrow(|stream| {
        let mut ahead = stream.clone()?;
        let mut bytes = [0; N];
        ahead.fill_bytes(&mut bytes);
        Some(bytes)
    })
}
