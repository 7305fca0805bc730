//! How many connections there may be at once: handshakes, connections of each direction, and of one peer.
//!
//! Guarantees: a connection above a number is refused; what has ended leaves nothing behind, whatever number of keys come and go. Deliberately
//! lacks places by machine and network, which are the gate's. (`libp2p-connection-limits` 0.7 has the same numbers, and keeps an entry for
//! each key that was ever connected.)

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm, dummy};
use libp2p::{Multiaddr, PeerId};

use super::config::{INBOUND_MAX, OUTBOUND_MAX, PER_PEER_MAX};

/// Handshakes under way at once: of others, and this station's own. Those of others are bounded per machine and network too, at the gate;
/// an honest one is over within a second, and a silent one holds its place for ten.
pub(crate) const PENDING_MAX: (usize, usize) = (256, 64);
/// Connections above those that the gate lets in: of those that lose their place for another, while they close.
const CLOSING_MAX: u32 = 16;

/// Of what there are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TooMany {
    #[error("too many handshakes at once")]
    Handshakes,
    #[error("too many dials at once")]
    Dials,
    #[error("too many connections that others opened")]
    Incoming,
    #[error("too many connections that this station opened")]
    Outgoing,
    #[error("too many connections with one peer")]
    OfPeer,
}

#[derive(Debug)]
pub(crate) struct Limits {
    inbound_max: u32,
    handshakes: HashSet<ConnectionId>,
    dials: HashSet<ConnectionId>,
    incoming: HashSet<ConnectionId>,
    outgoing: HashSet<ConnectionId>,
    /// Only of those that are connected.
    of_peer: HashMap<PeerId, u32>,
}

impl Limits {
    /// With room for so many connections that others open.
    pub(crate) fn new(inbound_max: u32) -> Self {
        let none = HashSet::new;
        Self { inbound_max, handshakes: none(), dials: none(), incoming: none(), outgoing: none(), of_peer: HashMap::new() }
    }

    /// Room for so many, from now on.
    pub(crate) fn resize(&mut self, inbound_max: u32) {
        self.inbound_max = inbound_max;
    }

    /// Entries of all tables.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.handshakes.len() + self.dials.len() + self.incoming.len() + self.outgoing.len() + self.of_peer.len()
    }

    fn one_more(
        &self,
        peer: &PeerId,
        of: &HashSet<ConnectionId>,
        most: u32,
        too_many: TooMany,
    ) -> Result<dummy::ConnectionHandler, ConnectionDenied> {
        if of.len() >= most as usize {
            return Err(ConnectionDenied::new(too_many));
        }
        if self.of_peer.get(peer).is_some_and(|connections| *connections >= PER_PEER_MAX) {
            return Err(ConnectionDenied::new(TooMany::OfPeer));
        }
        Ok(dummy::ConnectionHandler)
    }
}

impl NetworkBehaviour for Limits {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(&mut self, id: ConnectionId, _: &Multiaddr, _: &Multiaddr) -> Result<(), ConnectionDenied> {
        if self.handshakes.len() >= PENDING_MAX.0 {
            return Err(ConnectionDenied::new(TooMany::Handshakes));
        }
        self.handshakes.insert(id);
        Ok(())
    }

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.handshakes.remove(&id);
        self.one_more(&peer, &self.incoming, self.inbound_max.max(INBOUND_MAX) + CLOSING_MAX, TooMany::Incoming)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        id: ConnectionId,
        _: Option<PeerId>,
        _: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        if self.dials.len() >= PENDING_MAX.1 {
            return Err(ConnectionDenied::new(TooMany::Dials));
        }
        self.dials.insert(id);
        Ok(Vec::new())
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.dials.remove(&id);
        self.one_more(&peer, &self.outgoing, OUTBOUND_MAX, TooMany::Outgoing)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(new) => {
                if new.endpoint.is_dialer() { &mut self.outgoing } else { &mut self.incoming }.insert(new.connection_id);
                *self.of_peer.entry(new.peer_id).or_default() += 1;
            }
            FromSwarm::ConnectionClosed(old) => {
                self.outgoing.remove(&old.connection_id);
                self.incoming.remove(&old.connection_id);
                if let Some(connections) = self.of_peer.get_mut(&old.peer_id) {
                    *connections = connections.saturating_sub(1);
                    if *connections == 0 {
                        self.of_peer.remove(&old.peer_id);
                    }
                }
            }
            FromSwarm::DialFailure(failed) => _ = self.dials.remove(&failed.connection_id),
            FromSwarm::ListenFailure(failed) => _ = self.handshakes.remove(&failed.connection_id),
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}
