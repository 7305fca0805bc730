//! A disk: what is durable, what waits to be, and what a loss of power leaves.

use std::collections::{BTreeMap, VecDeque};

use station_protocol::durable::{Commit, Key};

use crate::blobs::Blobs;
use crate::luck::Luck;
use crate::station::Side;

pub(crate) struct Disk<E> {
    pub(crate) records: BTreeMap<Key, Vec<u8>>,
    pub(crate) waiting: VecDeque<Commit<E>>,
    /// A transaction is under way.
    pub(crate) busy: bool,
}

impl<E> Disk<E> {
    pub(crate) fn new() -> Self {
        Self { records: BTreeMap::new(), waiting: VecDeque::new(), busy: false }
    }

    /// Whether a Commit may be performed without the disk: it brings nothing, and nothing waits before it.
    pub(crate) fn passes(&self, commit: &Commit<E>) -> bool {
        commit.is_empty() && self.waiting.is_empty() && !self.busy
    }

    /// Makes the first `count` Commits durable in one transaction; their effects are the caller's.
    pub(crate) fn write(&mut self, count: usize, side: Side, blobs: &mut Blobs) -> Vec<E> {
        let mut effects = Vec::new();
        for commit in self.waiting.drain(..count.min(self.waiting.len())) {
            blobs.write(side, commit.blobs, commit.owns, &commit.deletes);
            self.records.extend(commit.puts);
            for key in &commit.deletes {
                self.records.remove(key);
            }
            effects.extend(commit.then);
        }
        effects
    }

    /// What waits is lost, but for files that may have been renamed before their transaction.
    pub(crate) fn lose_power(&mut self, luck: &mut Luck, blobs: &mut Blobs) {
        for commit in self.waiting.drain(..) {
            if luck.chance(500) {
                blobs.files.extend(commit.blobs);
            }
        }
        self.busy = false;
    }

    /// Whether any record or file of the station has `part` in it.
    pub(crate) fn holds(&self, part: &[u8], blobs: &Blobs) -> bool {
        self.records.values().chain(blobs.files.values()).any(|value| contains(value, part))
    }
}

fn contains(value: &[u8], part: &[u8]) -> bool {
    let Some(first) = part.first() else { return true };
    let mut rest = value;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        if rest[at..].starts_with(part) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}
