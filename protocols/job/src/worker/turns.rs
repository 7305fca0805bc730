//! [`Turns`]: whose job runs next, and who stands where in line.
//!
//! Guarantees: networks of requesters with a history take turns, and within each its requesters do; all strangers together weigh a tenth of
//! one network. Of strangers goes first whose network had its turn the longest ago, and for whom it counts as longer ago the shorter a job may
//! be, so that nobody is passed for longer than its own job may take, whatever comes later. A limit on time is enforced, so that a short one is
//! no lie. More keys in one network bring no more turns: the connection proves the network, and what a Call names counts only against its author
//! until then. Deliberately lacks anything else that a remote says.

use std::collections::{BTreeMap, BTreeSet};

use super::Near;
use crate::identity::NodeId;
use crate::time::{SECOND, Time};

/// Turns of a known requester for one of all unknown requesters together; the compiler's too.
pub const UNKNOWN_STRIDE: u64 = 10;
/// A slot kept idle for so long, while others waited, is a turn.
pub(super) const KEPT_TURN_MS: u64 = SECOND / 10;

/// A stranger's job counts as so many turns for each second that it ran, one of who is known as one: turns are time.
const TURNS_PER_S: u64 = UNKNOWN_STRIDE;

/// Where somebody stands: whose is smaller goes first.
pub(super) type Order = (u64, u64, Time);

/// Who shares one turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Party {
    Known(Near),
    Unknown,
}

/// Where a requester is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// Its Call says so.
    Named(Vec<Near>),
    /// The connection over which it answered does.
    Proven(Near),
}

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

/// When somebody had the last turn, or came; and when the one before.
#[derive(Clone, Copy, Debug)]
struct Turn {
    last: Time,
    before: Time,
}

impl Turn {
    fn had(turn: Option<&Self>, now: Time) -> Self {
        Self { last: now, before: turn.map_or(now, |turn| turn.last) }
    }
}

/// Stride scheduling: who has the smallest pass goes next and moves on by a stride.
#[derive(Debug)]
struct Strides<K> {
    now: u64,
    passes: BTreeMap<K, u64>,
}

impl<K> Default for Strides<K> {
    fn default() -> Self {
        Self { now: 0, passes: BTreeMap::new() }
    }
}

impl<K: Ord + Copy> Strides<K> {
    fn pass(&self, key: &K) -> u64 {
        self.passes.get(key).copied().unwrap_or(0).max(self.now)
    }

    fn pays(&mut self, key: K, turns: u64) {
        let pass = self.pass(&key);
        self.passes.insert(key, pass.saturating_add(turns));
    }

    /// It is its turn.
    fn take(&mut self, key: K, turns: u64) {
        self.now = self.pass(&key);
        self.pays(key, turns);
        let now = self.now;
        self.passes.retain(|_, pass| *pass > now);
    }
}

/// Who had which turns.
#[derive(Debug, Default)]
pub(super) struct Turns {
    parties: Strides<Party>,
    /// The turns of each network among its requesters with a history.
    within: BTreeMap<Near, Strides<NodeId>>,
    /// The last turns of requesters and of networks, for the line of strangers.
    of_requesters: BTreeMap<NodeId, Turn>,
    of_networks: BTreeMap<Near, Turn>,
    places: BTreeMap<NodeId, Place>,
}

impl Turns {
    /// Whose turn it is. Of strangers who stands first in line.
    pub(super) fn next(&self, waiting: &[Candidate]) -> Option<Candidate> {
        waiting.iter().copied().min_by_key(|candidate| self.order(candidate))
    }

    /// Whose is smaller goes first: the pass of its network, its own within that, and its place in line.
    pub(super) fn order(&self, candidate: &Candidate) -> Order {
        let Candidate { requester, known, wall_ms, .. } = candidate;
        let party = self.party(requester, *known);
        let own = match party {
            Party::Known(network) => self.within.get(&network).map_or(0, |within| within.pass(requester)),
            Party::Unknown => 0,
        };
        (self.parties.pass(&party), own, self.place(requester, *wall_ms))
    }

    fn party(&self, requester: &NodeId, known: bool) -> Party {
        if known { Party::Known(self.network(requester)) } else { Party::Unknown }
    }

    /// The network of `requester` as far as it is proven; before that it is one of its own.
    pub(super) fn network(&self, requester: &NodeId) -> Near {
        match self.places.get(requester) {
            Some(Place::Proven(network)) => *network,
            Some(Place::Named(_)) | None => Near::own(*requester),
        }
    }

    /// The networks in which `requester` may be: one where it is proven, else those that its Call names.
    pub(super) fn networks(&self, requester: &NodeId) -> &[Near] {
        match self.places.get(requester) {
            Some(Place::Proven(network)) => std::slice::from_ref(network),
            Some(Place::Named(named)) => named,
            None => &[],
        }
    }

    /// Where it stands in line with a job that may take so long: earlier goes first. Who never came stands behind all.
    pub(super) fn place(&self, requester: &NodeId, wall_ms: u64) -> Time {
        let Some(own) = self.of_requesters.get(requester) else { return Time(u64::MAX) };
        let of_networks = self.networks(requester).iter().filter_map(|network| self.of_networks.get(network));
        of_networks.map(|turn| turn.last).fold(own.last, Time::max).plus(wall_ms)
    }

    /// A Call of it is heard, which says where it is: with the first it comes.
    pub(super) fn arrives(&mut self, requester: NodeId, named: Vec<Near>, now: Time) {
        self.of_requesters.entry(requester).or_insert(Turn { last: now, before: now });
        let place = self.places.entry(requester).or_insert(Place::Named(Vec::new()));
        if let Place::Named(known) = place {
            *known = named;
        }
    }

    /// It answered from this network. The turn that it had was the network's.
    pub(super) fn is_at(&mut self, requester: NodeId, network: Near) {
        let Some(own) = self.of_requesters.get(&requester).copied() else { return };
        self.places.insert(requester, Place::Proven(network));
        let turn = self.of_networks.entry(network).or_insert(own);
        if own.last > turn.last {
            *turn = Turn::had(Some(turn), own.last);
        }
    }

    /// It has its turn now, or comes to its end: whatever it made of it.
    pub(super) fn had_turn(&mut self, requester: NodeId, now: Time) {
        self.of_requesters.insert(requester, Turn::had(self.of_requesters.get(&requester), now));
        if let Some(Place::Proven(network)) = self.places.get(&requester) {
            self.of_networks.insert(*network, Turn::had(self.of_networks.get(network), now));
        }
    }

    /// What it was given could not run: its turn is as long ago as before.
    pub(super) fn had_none(&mut self, requester: &NodeId) {
        let network = self.network(requester);
        let Some(own) = self.of_requesters.get_mut(requester) else { return };
        let had = std::mem::replace(&mut own.last, own.before);
        // Another of its network may have had one since.
        if let Some(turn) = self.of_networks.get_mut(&network).filter(|turn| turn.last == had) {
            turn.last = turn.before;
        }
    }

    /// Forgets those of whom there is nothing here: if they come again they are newcomers.
    pub(super) fn retain(&mut self, is_here: impl Fn(&NodeId) -> bool) {
        self.of_requesters.retain(|requester, _| is_here(requester));
        self.places.retain(|requester, _| is_here(requester));
        let proven = |place: &Place| if let Place::Proven(network) = place { Some(*network) } else { None };
        let networks: BTreeSet<Near> = self.places.values().filter_map(proven).collect();
        self.of_networks.retain(|network, _| networks.contains(network));
        self.within.retain(|network, _| networks.contains(network));
    }

    /// A job ran for so long, which began when its requester was in `network`.
    pub(super) fn ran(&mut self, requester: NodeId, network: Near, known: bool, ran_ms: u64) {
        let (party, turns_per_s) = if known { (Party::Known(network), 1) } else { (Party::Unknown, TURNS_PER_S) };
        self.pays(requester, party, turns_per_s.saturating_mul(ran_ms / SECOND));
    }

    /// A slot was kept idle for so long, and nothing came.
    pub(super) fn kept_in_vain(&mut self, requester: NodeId, known: bool, kept_ms: u64) {
        self.pays(requester, self.party(&requester, known), kept_ms / KEPT_TURN_MS);
    }

    fn pays(&mut self, requester: NodeId, party: Party, turns: u64) {
        self.parties.pays(party, turns);
        if let Party::Known(network) = party {
            self.within.entry(network).or_default().pays(requester, turns);
        }
    }

    /// It has its turn, for which a slot was kept idle for `kept_ms`.
    pub(super) fn take(&mut self, chosen: Candidate, kept_ms: u64) {
        let stride = if chosen.known { 1 } else { UNKNOWN_STRIDE };
        let turns = stride + kept_ms / KEPT_TURN_MS;
        let party = self.party(&chosen.requester, chosen.known);
        self.parties.take(party, turns);
        if let Party::Known(network) = party {
            self.within.entry(network).or_default().take(chosen.requester, turns);
        }
    }
}

#[cfg(test)]
mod tests;
