//! Which connected peers take part in which of this station's topics, and whose connections are held.
//!
//! Guarantees: at most [`TOPIC_PEERS_HELD`] peers are held; a peer is a topic peer from its first subscription to its last
//! connection; whoever is not held is a guest, known by when it came, and where there are too many those who came first are named to
//! go. Deliberately lacks libp2p's swarm: it returns what to do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use station_protocol::NodeId;
use station_protocol::bounded::Name;
use tokio::time::Instant;

use super::config::{TOPIC_PEERS_HELD, TOPIC_PEERS_LOW};

/// How long any guest may stay: time to be told of others and to dial them, and for some work. Gossip's streams would keep the connection
/// for ever, and the last to come would find the door shut.
const GUEST_STAYS: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(crate) struct Topics {
    members: BTreeMap<NodeId, BTreeSet<Name>>,
    held: BTreeSet<NodeId>,
    /// Guests that may stay as long as they like.
    guests_kept: usize,
    /// Topic peers that are not held, and since when they have been there.
    guests: BTreeMap<NodeId, Instant>,
    /// Dialled, and not yet heard to be in a topic.
    expected: BTreeSet<NodeId>,
}

impl Topics {
    pub(crate) fn new(guests_kept: usize) -> Self {
        Self { guests_kept, ..Self::default() }
    }

    /// So many guests may stay from now on.
    pub(crate) fn keep_guests(&mut self, guests_kept: usize) {
        self.guests_kept = guests_kept;
    }

    /// `node` subscribed to `topic`. Returns all its topics, and whether its connection is now to be held.
    pub(crate) fn joined(&mut self, node: NodeId, topic: Name, now: Instant) -> (Vec<Name>, bool) {
        let topics = self.members.entry(node).or_default();
        topics.insert(topic);
        self.expected.remove(&node);
        let topics = topics.iter().cloned().collect();
        let hold = self.held.len() < TOPIC_PEERS_HELD && self.held.insert(node);
        if !self.held.contains(&node) {
            self.guests.entry(node).or_insert(now);
        }
        (topics, hold)
    }

    /// `node` left `topic`. Returns what it is still in.
    pub(crate) fn left(&mut self, node: NodeId, topic: &Name) -> Vec<Name> {
        let Some(topics) = self.members.get_mut(&node) else { return Vec::new() };
        topics.remove(topic);
        topics.iter().cloned().collect()
    }

    /// The last connection with `node` ended. Whether it was a topic peer, and who is held in its place.
    pub(crate) fn gone(&mut self, node: NodeId) -> (bool, Option<NodeId>) {
        self.expected.remove(&node);
        self.guests.remove(&node);
        let known = self.members.remove(&node).is_some();
        let released = self.held.remove(&node);
        let next = if released { self.members.keys().find(|other| !self.held.contains(other)).copied() } else { None };
        if let Some(next) = next {
            self.held.insert(next);
            self.guests.remove(&next);
        }
        (known, next)
    }

    /// Whether more topic peers should be looked for.
    pub(crate) fn want_more(&self) -> bool {
        self.members.len() < TOPIC_PEERS_LOW
    }

    /// Whether one more topic peer should be dialled: those under way count, because one search finds twenty at once.
    pub(crate) fn has_room(&self) -> bool {
        self.members.len() + self.expected.len() < TOPIC_PEERS_LOW
    }

    /// `node` is being dialled to be a topic peer.
    pub(crate) fn expect(&mut self, node: NodeId) {
        self.expected.insert(node);
    }

    /// The dial of `node` came to nothing.
    pub(crate) fn missed(&mut self, node: &NodeId) {
        self.expected.remove(node);
    }

    /// Guests that have stayed long enough, the first to come, as many as there are too many. Each is named once and then again after as
    /// long.
    pub(crate) fn overstayed(&mut self, now: Instant) -> Vec<NodeId> {
        let mut over: Vec<(Instant, NodeId)> = self.guests.iter().map(|(node, since)| (*since, *node)).collect();
        over.sort_unstable();
        over.truncate(self.guests.len().saturating_sub(self.guests_kept));
        over.retain(|(since, _)| *since + GUEST_STAYS <= now);
        self.guests.extend(over.iter().map(|(_, node)| (*node, now)));
        over.into_iter().map(|(_, node)| node).collect()
    }

    /// When the next guest has stayed long enough, if there are too many.
    pub(crate) fn next_overstay(&self) -> Option<Instant> {
        let first = self.guests.values().min().filter(|_| self.guests.len() > self.guests_kept);
        first.map(|since| *since + GUEST_STAYS)
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }
}
