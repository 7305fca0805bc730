//! Which connected peers take part in which of this station's topics, and whose connections are held.
//!
//! Guarantees: at most [`TOPIC_PEERS_HELD`] peers are held; a peer is a topic peer from its first subscription to its last
//! connection; whoever is not held is a guest, known by when it came, and where there are too many some are named to go. Deliberately
//! lacks libp2p's swarm: it returns what to do.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use station_protocol::NodeId;
use station_protocol::bounded::Name;
use station_protocol::cluster::Cluster;
use tokio::time::Instant;

use super::config::{TOPIC_PEERS_CHOSEN, TOPIC_PEERS_HELD, TOPIC_PEERS_LOW};

/// How long any guest may stay: time to be told of others and to dial them, and for some work. Gossip's streams would keep the connection
/// for ever, and the last to come would find the door shut.
const GUEST_STAYS: Duration = Duration::from_secs(60);
/// How often guests are looked at while there are too many: those let go the last time are gone by then.
const LOOK_EVERY: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(crate) struct Topics {
    members: BTreeMap<NodeId, BTreeSet<Name>>,
    held: BTreeSet<NodeId>,
    /// Guests that may stay as long as they like.
    guests_kept: usize,
    /// Topic peers that are not held, and since when they have been there.
    guests: BTreeMap<NodeId, Instant>,
    looked_at: Option<Instant>,
    /// Dialled, and not yet heard to be in a topic.
    expected: BTreeSet<NodeId>,
    /// Topic peers that this station dialled.
    chosen: BTreeSet<NodeId>,
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
        if self.expected.remove(&node) {
            self.chosen.insert(node);
        }
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
        self.chosen.remove(&node);
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
        self.members.len() < TOPIC_PEERS_LOW || self.chosen.len() < TOPIC_PEERS_CHOSEN
    }

    /// Whether one more topic peer should be dialled: those under way count, because one search finds twenty at once.
    pub(crate) fn has_room(&self) -> bool {
        let coming = self.expected.len();
        self.members.len() + coming < TOPIC_PEERS_LOW || self.chosen.len() + coming < TOPIC_PEERS_CHOSEN
    }

    /// `node` is being dialled to be a topic peer.
    pub(crate) fn expect(&mut self, node: NodeId) {
        self.expected.insert(node);
    }

    /// The dial of `node` came to nothing.
    pub(crate) fn missed(&mut self, node: &NodeId) {
        self.expected.remove(node);
    }

    /// Where there are too many guests: those that have stayed long enough and `may_go`, in the order in which they should, and how many
    /// are too many. First those of the clusters with the most guests, and among equals the last to come: who has been there for long is
    /// the least likely to be one of a crowd that came to push others out.
    pub(crate) fn crowd(
        &mut self,
        now: Instant,
        cluster: impl Fn(NodeId) -> Option<Cluster>,
        may_go: impl Fn(NodeId) -> bool,
    ) -> Option<(Vec<NodeId>, usize)> {
        self.next_look().filter(|at| *at <= now)?;
        let too_many = self.guests.len() - self.guests_kept;
        self.looked_at = Some(now);
        let mut clusters = BTreeMap::<Option<Cluster>, Vec<(Instant, NodeId)>>::new();
        for (node, since) in &self.guests {
            clusters.entry(cluster(*node)).or_default().push((*since, *node));
        }
        let mut order = Vec::new();
        for mut guests in clusters.into_values() {
            guests.sort_unstable();
            // So many of its cluster would be left if it went after those that came later.
            let ranked = guests.into_iter().enumerate().map(|(left, (since, node))| (left, since, node));
            order.extend(ranked.filter(|(_, since, node)| *since + GUEST_STAYS <= now && may_go(*node)));
        }
        order.sort_unstable();
        Some((order.into_iter().rev().map(|(_, _, node)| node).collect(), too_many))
    }

    /// When to look next whether guests should go, if there are too many.
    pub(crate) fn next_look(&self) -> Option<Instant> {
        let first = self.guests.values().min().filter(|_| self.guests.len() > self.guests_kept)?;
        let due = *first + GUEST_STAYS;
        Some(self.looked_at.map_or(due, |last| due.max(last + LOOK_EVERY)))
    }

    /// Whether `node` is in a topic of this station's.
    pub(crate) fn knows(&self, node: &NodeId) -> bool {
        self.members.contains_key(node)
    }

    /// Whether this station dialled `node` to be its neighbour.
    pub(crate) fn is_chosen(&self, node: &NodeId) -> bool {
        self.chosen.contains(node)
    }

    /// Whether any neighbour is here that this station dialled to be one.
    pub(crate) fn has_chosen(&self) -> bool {
        !self.chosen.is_empty()
    }

    pub(crate) fn guests(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.guests.keys().copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }
}
