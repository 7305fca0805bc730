//! The door of the swarm: a behaviour that refuses peers which cannot be stations or have been let go, and holds the connections
//! of chosen neighbours open.
//!
//! Guarantees: no connection with a weak or foreign key, or with a peer whose standing is spent, is established; a held connection
//! does not idle out. Deliberately lacks the choice of whom to hold: `topics.rs` makes it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::convert::Infallible;
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::DeniedUpgrade;
use libp2p::swarm::handler::{ConnectionEvent, ConnectionHandlerEvent};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler, SubstreamProtocol, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};

use super::peer_id;

/// The peer was let go for its standing.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the peer was let go")]
struct LetGo;

#[derive(Debug, Default)]
pub(crate) struct Gate {
    connections: HashMap<PeerId, HashSet<ConnectionId>>,
    held: HashSet<PeerId>,
    refused: HashSet<PeerId>,
    notices: VecDeque<(PeerId, ConnectionId, bool)>,
}

impl Gate {
    /// Keeps the connections with `peer` open, or lets them idle out.
    pub(crate) fn hold(&mut self, peer: PeerId, held: bool) {
        let changed = if held { self.held.insert(peer) } else { self.held.remove(&peer) };
        if changed {
            let ids = self.connections.get(&peer).into_iter().flatten();
            self.notices.extend(ids.map(|id| (peer, *id, held)));
        }
    }

    /// Refuses connections with `peer`, or accepts them again. Existing ones are the caller's to close.
    pub(crate) fn refuse(&mut self, peer: PeerId, refused: bool) {
        if refused {
            self.refused.insert(peer);
        } else {
            self.refused.remove(&peer);
        }
    }

    fn admit(&self, peer: &PeerId) -> Result<Holder, ConnectionDenied> {
        peer_id::node_of(peer).map_err(ConnectionDenied::new)?;
        if self.refused.contains(peer) {
            return Err(ConnectionDenied::new(LetGo));
        }
        Ok(Holder { held: self.held.contains(peer) })
    }
}

impl NetworkBehaviour for Gate {
    type ConnectionHandler = Holder;
    type ToSwarm = Infallible;

    fn handle_pending_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: Option<PeerId>,
        _: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        peer.map_or(Ok(()), |peer| self.admit(&peer).map(drop))?;
        Ok(Vec::new())
    }

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.admit(&peer)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.admit(&peer)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(new) => {
                self.connections.entry(new.peer_id).or_default().insert(new.connection_id);
                // Held since the handler was made: say it again, it costs nothing.
                if self.held.contains(&new.peer_id) {
                    self.notices.push_back((new.peer_id, new.connection_id, true));
                }
            }
            FromSwarm::ConnectionClosed(old) => {
                if let Some(ids) = self.connections.get_mut(&old.peer_id) {
                    ids.remove(&old.connection_id);
                    if ids.is_empty() {
                        self.connections.remove(&old.peer_id);
                    }
                }
                self.notices.retain(|(_, id, _)| *id != old.connection_id);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        // The swarm is polled by whoever called `hold`, right after: no waker is needed.
        match self.notices.pop_front() {
            Some((peer_id, id, held)) => Poll::Ready(ToSwarm::NotifyHandler { peer_id, handler: NotifyHandler::One(id), event: held }),
            None => Poll::Pending,
        }
    }
}

/// Per connection: whether it is held.
#[derive(Debug)]
pub(crate) struct Holder {
    held: bool,
}

impl ConnectionHandler for Holder {
    type FromBehaviour = bool;
    type ToBehaviour = Infallible;
    type InboundProtocol = DeniedUpgrade;
    type OutboundProtocol = DeniedUpgrade;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<DeniedUpgrade, ()> {
        SubstreamProtocol::new(DeniedUpgrade, ())
    }

    fn connection_keep_alive(&self) -> bool {
        self.held
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<DeniedUpgrade, (), Infallible>> {
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, held: bool) {
        self.held = held;
    }

    fn on_connection_event(&mut self, _: ConnectionEvent<'_, DeniedUpgrade, DeniedUpgrade, (), ()>) {}
}
