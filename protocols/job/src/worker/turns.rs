//! [`Turns`]: whose job runs next, and who stands where in line.
//!
//! Guarantees: requesters with a history take turns, all others together weigh a tenth of one of them; of strangers goes first whose turn was
//! the longest ago, and for whom it counts as longer ago the shorter a job may be, so that nobody is passed for longer than its own job may
//! take, whatever comes later. A limit on time is enforced, so that a short one is no lie. Deliberately lacks anything else that a remote says.

use std::collections::BTreeMap;

use crate::identity::NodeId;
use crate::time::{SECOND, Time};

/// Turns of a known requester for one of all unknown requesters together; the compiler's too.
pub const UNKNOWN_STRIDE: u64 = 10;
/// A slot kept idle for so long, while others waited, is a turn.
const KEPT_TURN_MS: u64 = SECOND / 10;

/// Who shares one turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Party {
    Known(NodeId),
    Unknown,
}

/// A stranger's job counts as so many turns for each second that it ran, one of who is known as one: turns are time.
const TURNS_PER_S: u64 = UNKNOWN_STRIDE;

/// A requester that waits for a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) requester: NodeId,
    pub(super) known: bool,
    /// The limit on time of its shortest job that could run.
    pub(super) wall_ms: u64,
    /// Whether it has a lease that could run; else one is on its way.
    pub(super) ready: bool,
}

impl Candidate {
    pub(super) fn party(&self) -> Party {
        if self.known { Party::Known(self.requester) } else { Party::Unknown }
    }
}

/// Stride scheduling: the party with the smallest pass goes next and moves on by its stride.
#[derive(Debug, Default)]
pub(super) struct Turns {
    now: u64,
    passes: BTreeMap<Party, u64>,
    /// When each requester had its turn last, or came; and when before.
    since: BTreeMap<NodeId, (Time, Time)>,
}

impl Turns {
    /// Whose turn it is. Of strangers who stands first in line.
    pub(super) fn next(&self, waiting: &[Candidate]) -> Option<Candidate> {
        waiting.iter().copied().min_by_key(|candidate| self.order(candidate))
    }

    /// Whose is smaller goes first.
    pub(super) fn order(&self, candidate: &Candidate) -> (u64, Time) {
        (self.pass(candidate), self.place(&candidate.requester, candidate.wall_ms))
    }

    fn pass(&self, candidate: &Candidate) -> u64 {
        self.passes.get(&candidate.party()).copied().unwrap_or(0).max(self.now)
    }

    /// Where it stands in line with a job that may take so long: earlier goes first. Who never came stands behind all.
    pub(super) fn place(&self, requester: &NodeId, wall_ms: u64) -> Time {
        self.since.get(requester).map_or(Time(u64::MAX), |(since, _)| since.plus(wall_ms))
    }

    /// A Call of it is heard: with the first it comes.
    pub(super) fn arrives(&mut self, requester: NodeId, now: Time) {
        self.since.entry(requester).or_insert((now, now));
    }

    /// It has its turn now, or comes to its end: whatever it made of it.
    pub(super) fn had_turn(&mut self, requester: NodeId, now: Time) {
        let before = self.since.get(&requester).map_or(now, |(since, _)| *since);
        self.since.insert(requester, (now, before));
    }

    /// What it was given could not run: its turn is as long ago as before.
    pub(super) fn had_none(&mut self, requester: &NodeId) {
        if let Some((since, before)) = self.since.get_mut(requester) {
            *since = *before;
        }
    }

    /// Forgets those of whom there is nothing here: if they come again they are newcomers.
    pub(super) fn retain(&mut self, is_here: impl Fn(&NodeId) -> bool) {
        self.since.retain(|requester, _| is_here(requester));
    }

    /// A job ran for so long.
    pub(super) fn ran(&mut self, party: Party, ran_ms: u64) {
        let turns_per_s = if party == Party::Unknown { TURNS_PER_S } else { 1 };
        self.pays(party, turns_per_s.saturating_mul(ran_ms / SECOND));
    }

    /// A slot was kept idle for so long, and nothing came.
    pub(super) fn kept_in_vain(&mut self, party: Party, kept_ms: u64) {
        self.pays(party, kept_ms / KEPT_TURN_MS);
    }

    fn pays(&mut self, party: Party, turns: u64) {
        let now = self.now;
        let pass = self.passes.entry(party).or_insert(now);
        *pass = (*pass).max(now).saturating_add(turns);
    }

    /// It has its turn, for which a slot was kept idle for `kept_ms`.
    pub(super) fn take(&mut self, chosen: Candidate, kept_ms: u64) {
        self.now = self.pass(&chosen);
        let stride = if chosen.known { 1 } else { UNKNOWN_STRIDE };
        self.passes.retain(|_, pass| *pass > self.now);
        self.passes.insert(chosen.party(), self.now.saturating_add(stride).saturating_add(kept_ms / KEPT_TURN_MS));
    }
}

#[cfg(test)]
mod tests;
