//! The trace: a hash over everything that happened, in order, with a checkpoint per virtual second.
//!
//! Guarantees: two runs have the same hash when the same happened at the same times in the same order; checkpoints name the first
//! second in which two runs differ. Deliberately lacks the events themselves but those of one [`Window`]: a run of an hour has 10⁹.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use station_protocol::content::sha256;

/// Events kept of a window: about a minute of a hundred stations.
const SEEN_MAX: usize = 1 << 20;

/// What happened at a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
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
    /// A datagram reached a socket.
    Datagram,
}

/// The hash as it stood at the end of a virtual second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checkpoint {
    pub second: u64,
    pub events: u64,
    pub hash: String,
}

/// What is kept in full: events from one moment to before another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    pub from_ms: u64,
    pub until_ms: u64,
    /// Of these nodes; empty: of all.
    pub nodes: BTreeSet<u32>,
}

/// One event of the window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    pub at_ms: u64,
    pub node: u32,
    pub kind: Kind,
    /// A hash of what it was, or a number that says it.
    pub content: u64,
    /// In words, where there are any.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub what: String,
}

#[derive(Debug, Default)]
struct State {
    lane: u64,
    events: u64,
    chain: [u8; 32],
    second: u64,
    checkpoints: Vec<Checkpoint>,
    window: Option<Window>,
    seen: Vec<Seen>,
}

/// One per run; shared by everything that makes things happen.
#[derive(Debug, Default)]
pub struct Trace {
    state: Mutex<State>,
}

impl Trace {
    /// A trace that also keeps what it sees through `window`. The hash is the same with and without.
    #[must_use]
    pub fn watching(window: Option<Window>) -> Self {
        Self { state: Mutex::new(State { window, ..State::default() }) }
    }

    /// `kind` happened at `node` at `now_ms`, with `content`.
    pub fn event(&self, now_ms: u64, node: u32, kind: Kind, content: u64) {
        self.told(now_ms, node, kind, content, String::new);
    }

    /// As [`Self::event`], with words for whoever looks through the window.
    pub fn told(&self, now_ms: u64, node: u32, kind: Kind, content: u64, what: impl FnOnce() -> String) {
        let mut state = self.lock();
        while state.second < now_ms / 1_000 {
            state.close_second();
        }
        state.events += 1;
        let head = now_ms ^ (u64::from(node) << 40) ^ ((kind as u64) << 32);
        state.lane = mix(mix(state.lane, head), content);
        if state.window.as_ref().is_some_and(|window| window.shows(now_ms, node)) && state.seen.len() < SEEN_MAX {
            state.seen.push(Seen { at_ms: now_ms, node, kind, content, what: what() });
        }
    }

    /// What was seen through the window, in the order in which it happened.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.lock().seen)
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

impl Window {
    fn shows(&self, now_ms: u64, node: u32) -> bool {
        (self.from_ms..self.until_ms).contains(&now_ms) && (self.nodes.is_empty() || self.nodes.contains(&node))
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
