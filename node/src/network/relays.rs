//! [`Relays`]: through whom this station is reached while nobody can dial it.
//!
//! Guarantees: at most [`HELD`] relays are asked at a time, of different clusters, so that one party's trouble is not the end; one that
//! refused or was lost is asked again, ever more rarely; what is known is bounded. Deliberately lacks the swarm: it says whom to ask and
//! is told what came of it. Whether anybody can dial this station is not tried: one without a global address is behind something.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use libp2p::Multiaddr;
use libp2p::core::transport::ListenerId;
use station_protocol::NodeId;
use station_protocol::cluster::Cluster;
use tokio::time::Instant;

use super::addresses::ip_of;
use super::lookup::order;

/// Relays asked for a place: with two, one may go.
pub(crate) const HELD: usize = 2;
/// Relays known: what a few bootstrap nodes and neighbours offer. More are not remembered.
const KNOWN_MAX: usize = 16;
/// How long a relay that refused is left alone, at first and at most. A place lasts an hour, so that one may become free at any time.
const AGAIN: Duration = Duration::from_secs(10);
const AGAIN_MAX: Duration = Duration::from_secs(600);

#[derive(Debug)]
pub(crate) struct Relays {
    own: NodeId,
    needed: bool,
    known: BTreeMap<NodeId, Known>,
    /// No more than [`HELD`].
    asked: Vec<(ListenerId, NodeId)>,
}

#[derive(Debug)]
struct Known {
    address: Multiaddr,
    cluster: Cluster,
    /// How long it is left alone after the next refusal.
    wait: Duration,
    not_before: Option<Instant>,
}

impl Relays {
    pub(crate) fn new(own: NodeId) -> Self {
        Self { own, needed: false, known: BTreeMap::new(), asked: Vec::new() }
    }

    /// `node` serves as a relay at `address`.
    pub(crate) fn offered(&mut self, node: NodeId, address: Multiaddr, cluster: Cluster) {
        if node != self.own && (self.known.len() < KNOWN_MAX || self.known.contains_key(&node)) {
            let new = Known { address: address.clone(), cluster, wait: AGAIN, not_before: None };
            let known = self.known.entry(node).or_insert(new);
            (known.address, known.cluster) = (address, cluster);
        }
    }

    /// Whether relays are needed. Where they are not any more, the places to give back.
    pub(crate) fn need(&mut self, needed: bool) -> Vec<ListenerId> {
        self.needed = needed;
        if needed { Vec::new() } else { std::mem::take(&mut self.asked).into_iter().map(|(listener, _)| listener).collect() }
    }

    /// Whom to ask now. [`Self::asked`] or [`Self::refused`] must follow.
    pub(crate) fn next(&self, now: Instant) -> Option<(NodeId, Multiaddr)> {
        let due = self.open().filter(|(_, known)| known.not_before.is_none_or(|at| at <= now));
        due.min_by_key(|(node, _)| order(&self.own, node)).map(|(node, known)| (*node, known.address.clone()))
    }

    /// `node` was asked by this listener.
    pub(crate) fn asked(&mut self, node: NodeId, listener: ListenerId) {
        self.asked.push((listener, node));
    }

    /// `node` gave a place.
    pub(crate) fn accepted(&mut self, node: NodeId) {
        if let Some(known) = self.known.get_mut(&node) {
            known.wait = AGAIN;
        }
    }

    /// `node` could not be asked.
    pub(crate) fn refused(&mut self, node: NodeId, now: Instant) {
        if let Some(known) = self.known.get_mut(&node) {
            known.not_before = Some(now + known.wait);
            known.wait = (known.wait * 2).min(AGAIN_MAX);
        }
    }

    /// The place that this listener asked for was refused or is lost. Whether it was a relay's.
    pub(crate) fn closed(&mut self, listener: ListenerId, now: Instant) -> bool {
        let Some(place) = self.asked.iter().position(|(asked, _)| *asked == listener) else { return false };
        let (_, node) = self.asked.swap_remove(place);
        self.refused(node, now);
        true
    }

    /// When somebody may be asked again.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.open().filter_map(|(_, known)| known.not_before).min()
    }

    /// Those who may be asked beside those who are, if more are needed.
    fn open(&self) -> impl Iterator<Item = (&NodeId, &Known)> {
        let wants = self.needed && self.asked.len() < HELD;
        let clusters: Vec<Cluster> = self.asked.iter().filter_map(|(_, node)| Some(self.known.get(node)?.cluster)).collect();
        // Who was asked is of its own cluster.
        self.known.iter().filter(move |(_, known)| wants && !clusters.contains(&known.cluster))
    }
}

/// Of the addresses that a relay says it has, one at the IP where it is met. Others would be dialled by whoever looks for this station,
/// on the relay's word alone.
pub(crate) fn confirmed(claimed: &[Multiaddr], ip: IpAddr) -> Option<&Multiaddr> {
    claimed.iter().find(|address| ip_of(address) == Some(ip))
}

/// What a relay carries for others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelayFigures {
    /// Places given, now and at most.
    pub places: usize,
    pub places_max: usize,
    /// Circuits carried, now and at most.
    pub circuits: usize,
    pub circuits_max: usize,
}

#[cfg(test)]
mod tests;
