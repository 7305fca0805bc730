//! The table of established connections.
//!
//! Guarantees: knows for each connection where its other end is. Deliberately lacks anything that outlives a connection.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use libp2p::PeerId;
use libp2p::swarm::ConnectionId;
use station_protocol::NodeId;
use station_protocol::bounded::Text;
use tokio::sync::Semaphore;

use super::config::{CAR_STREAMS_MAX, Reach};
use super::events::Remote;
use super::peer_id;

#[derive(Debug)]
pub(crate) struct Peers {
    connected: BTreeMap<NodeId, Peer>,
    /// Incoming `car` streams of all peers together.
    pub(crate) car: Arc<Semaphore>,
}

#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) connections: HashMap<ConnectionId, Remote>,
    /// Incoming `car` streams of this peer.
    pub(crate) car: Arc<Semaphore>,
    /// What it says that it runs, once it was identified.
    software: Text<SOFTWARE_BYTES_MAX>,
}

/// What is kept of the name of a peer's software.
pub const SOFTWARE_BYTES_MAX: usize = 64;

impl Default for Peers {
    fn default() -> Self {
        Self { connected: BTreeMap::new(), car: Arc::new(Semaphore::new(CAR_STREAMS_MAX.0)) }
    }
}

impl Peers {
    pub(crate) fn opened(&mut self, node: NodeId, connection: ConnectionId, remote: Remote) {
        let new = || Peer { connections: HashMap::new(), car: Arc::new(Semaphore::new(CAR_STREAMS_MAX.1)), software: Text::default() };
        self.connected.entry(node).or_insert_with(new).connections.insert(connection, remote);
    }

    /// Whether that was the last connection with `node`.
    pub(crate) fn closed(&mut self, node: NodeId, connection: ConnectionId) -> bool {
        let Some(peer) = self.connected.get_mut(&node) else { return false };
        peer.connections.remove(&connection);
        let last = peer.connections.is_empty();
        if last {
            self.connected.remove(&node);
        }
        last
    }

    pub(crate) fn is_connected(&self, node: NodeId) -> bool {
        self.connected.contains_key(&node)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.connected.is_empty()
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.connected.keys().copied()
    }

    pub(crate) fn get(&self, node: NodeId) -> Option<&Peer> {
        self.connected.get(&node)
    }

    /// `node` says what it runs.
    pub(crate) fn runs(&mut self, node: NodeId, software: &str) {
        if let Some(peer) = self.connected.get_mut(&node) {
            peer.software = Text::cut(software);
        }
    }

    /// What `node` says that it runs; empty before it said so.
    pub(crate) fn software(&self, node: NodeId) -> Text<SOFTWARE_BYTES_MAX> {
        self.connected.get(&node).map(|peer| peer.software.clone()).unwrap_or_default()
    }

    /// Whether `node` fetches content from here now.
    pub(crate) fn is_fetching(&self, node: NodeId) -> bool {
        self.connected.get(&node).is_some_and(|peer| peer.car.available_permits() < CAR_STREAMS_MAX.1)
    }

    /// Incoming `car` streams of all peers in the cluster of `node`.
    pub(crate) fn car_streams_near(&self, node: NodeId, reach: Reach) -> usize {
        let cluster = |node: NodeId| self.best(node).map(|remote| remote.cluster(node, reach));
        let own = cluster(node);
        let near = self.connected.iter().filter(|(other, _)| cluster(**other) == own);
        near.map(|(_, peer)| CAR_STREAMS_MAX.1 - peer.car.available_permits()).sum()
    }

    pub(crate) fn remote(&self, node: NodeId, connection: ConnectionId) -> Option<Remote> {
        self.connected.get(&node)?.connections.get(&connection).copied()
    }

    /// The best of the peer's connections: a direct one if there is any.
    pub(crate) fn best(&self, node: NodeId) -> Option<Remote> {
        let mut remotes = self.connected.get(&node)?.connections.values();
        let first = *remotes.next()?;
        Some(remotes.copied().chain([first]).find(|remote| remote.relay.is_none()).unwrap_or(first))
    }

    /// Whether some connection of the peer is relayed: libp2p chooses which one a stream takes.
    pub(crate) fn may_be_relayed(&self, node: NodeId) -> bool {
        self.connected.get(&node).is_some_and(|peer| peer.connections.values().any(|remote| remote.relay.is_some()))
    }

    /// The IP of a directly connected peer.
    pub(crate) fn ip(&self, peer: &PeerId) -> Option<IpAddr> {
        let node = peer_id::node_of(peer).ok()?;
        self.connected.get(&node)?.connections.values().find(|remote| remote.relay.is_none()).map(|remote| remote.ip)
    }
}
