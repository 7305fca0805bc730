//! The trace: a hash over everything that happened, in order, with a checkpoint per virtual second.
//!
//! Guarantees: two runs have the same hash when the same happened at the same times in the same order; checkpoints name the first
//! second in which two runs differ. Deliberately lacks the events themselves: a run of an hour has 10⁹ of them.

use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use station_protocol::content::sha256;

/// What happened at a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Started = 1,
    Crashed,
    Paused,
    Dialled,
    Accepted,
    Wrote,
    Read,
    Ended,
    Note,
    Fault,
    Ran,
    /// A request reached a host of the internet.
    Asked,
}

/// The hash as it stood at the end of a virtual second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checkpoint {
    pub second: u64,
    pub events: u64,
    pub hash: String,
}

#[derive(Debug, Default)]
struct State {
    lane: u64,
    events: u64,
    chain: [u8; 32],
    second: u64,
    checkpoints: Vec<Checkpoint>,
}

/// One per run; shared by everything that makes things happen.
#[derive(Debug, Default)]
pub struct Trace {
    state: Mutex<State>,
}

impl Trace {
    /// `kind` happened at `node` at `now_ms`, with `content`.
    pub fn event(&self, now_ms: u64, node: u32, kind: Kind, content: u64) {
        let mut state = self.lock();
        while state.second < now_ms / 1_000 {
            state.close_second();
        }
        state.events += 1;
        let head = now_ms ^ (u64::from(node) << 40) ^ ((kind as u64) << 32);
        state.lane = mix(mix(state.lane, head), content);
    }

    /// The hash of the whole run up to `now_ms`.
    #[must_use]
    pub fn hash(&self, now_ms: u64) -> String {
        let mut state = self.lock();
        while state.second < now_ms / 1_000 {
            state.close_second();
        }
        hex(&state.link()[..16])
    }

    #[must_use]
    pub fn events(&self) -> u64 {
        self.lock().events
    }

    #[must_use]
    pub fn checkpoints(&self) -> Vec<Checkpoint> {
        self.lock().checkpoints.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn link(&self) -> [u8; 32] {
        sha256(&[&self.chain, &self.second.to_be_bytes(), &self.events.to_be_bytes(), &self.lane.to_be_bytes()])
    }

    fn close_second(&mut self) {
        self.chain = self.link();
        self.checkpoints.push(Checkpoint { second: self.second, events: self.events, hash: hex(&self.chain[..16]) });
        self.second += 1;
    }
}

/// A fast hash of bytes, for content of events. Not for adversaries: all of a run's bytes come from its own program.
#[must_use]
pub fn content(bytes: &[u8]) -> u64 {
    let (chunks, rest) = bytes.as_chunks::<8>();
    let lane = chunks.iter().fold(bytes.len() as u64, |lane, chunk| mix(lane, u64::from_le_bytes(*chunk)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(lane, u64::from_le_bytes(last))
}

/// One round: the high and the low half of a product with an odd constant.
fn mix(lane: u64, word: u64) -> u64 {
    let product = u128::from(lane ^ word ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93;
    (product as u64).rotate_left(23) ^ (product >> 64) as u64 ^ word.wrapping_mul(0xa076_1d64_78bd_642f)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
