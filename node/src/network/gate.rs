//! The door of the swarm: a behaviour that refuses peers which cannot be stations or have been let go, keeps the places of those who
//! come, and holds the connections of chosen neighbours open.
//!
//! Guarantees: no connection with a weak or foreign key, or with a peer whose standing is spent, is established; each handshake and
//! each connection is paid for and has a place, or is refused; a network that writes its own address into datagrams shuts no other out of
//! QUIC, and one that writes others' shuts nobody out of TCP; a held connection does not idle out. Deliberately lacks the choice of whom
//! to hold, which `topics.rs` makes, the rules of places, which are the protocol's, and proof of an address before a handshake over QUIC:
//! `libp2p-quic` 0.14 accepts what quinn brings where quinn offers a `retry` (`Listener::poll_next`), so that who writes addresses of many
//! networks can fill its places.

use std::collections::{HashMap, HashSet, VecDeque};
use std::convert::Infallible;
use std::net::IpAddr;
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::DeniedUpgrade;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::handler::{ConnectionEvent, ConnectionHandlerEvent};
use libp2p::swarm::{
    CloseConnection, ConnectionDenied, ConnectionHandler, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler, SubstreamProtocol, THandler,
    THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};
use station_protocol::accounts::places::{NoPlace, Opened, Places, Way};
use station_protocol::accounts::{Charge, Over};

use super::{addresses, peer_id};
use crate::ledger::Ledger;

/// The peer was let go for its standing.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the peer was let go")]
struct LetGo;

/// Handshakes over QUIC at once. libp2p accepts each without quinn's tokens of address validation, so that an address in a datagram is
/// anybody's word: these have places and shares of their own, so that a word uses up nothing of what its owner has over TCP, and this
/// number all together. An honest one lasts a second.
const UNPROVED_MAX: usize = 64;

#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("too many handshakes over QUIC")]
struct TooManyUnproved;

/// A connection is refused because of what its machine, network or key has had already.
#[derive(Clone, Copy, Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Over(#[from] Over),
    #[error(transparent)]
    NoPlace(#[from] NoPlace),
}

#[derive(Debug)]
pub(crate) struct Gate {
    places: Places<ConnectionId>,
    ledger: Ledger,
    /// Handshakes over QUIC. Where they come from is not proved before they end.
    unproved: HashSet<ConnectionId>,
    /// Their places, by where they say that they come from: no network has more than a quarter of [`UNPROVED_MAX`].
    claimed: Places<ConnectionId>,
    /// Whose connections stand or are about to.
    owners: HashMap<ConnectionId, PeerId>,
    /// To be closed for others.
    evicted: VecDeque<ConnectionId>,
    connections: HashMap<PeerId, HashSet<ConnectionId>>,
    held: HashSet<PeerId>,
    refused: HashSet<PeerId>,
    notices: VecDeque<(PeerId, ConnectionId, bool)>,
}

impl Gate {
    /// With places for so many who come.
    pub(crate) fn new(ledger: Ledger, inbound_max: usize) -> Self {
        Self {
            places: Places::new(inbound_max),
            ledger,
            unproved: HashSet::new(),
            claimed: Places::new(0),
            owners: HashMap::new(),
            evicted: VecDeque::new(),
            connections: HashMap::new(),
            held: HashSet::new(),
            refused: HashSet::new(),
            notices: VecDeque::new(),
        }
    }

    /// Places for so many who come, from now on.
    pub(crate) fn resize(&mut self, inbound_max: usize) {
        self.places.resize(inbound_max);
    }

    /// Places that are taken by those who came, and the most that can be.
    pub(crate) fn inbound(&self) -> (usize, usize) {
        (self.places.inbound(), self.places.ceiling())
    }

    /// Whom the door is shut to.
    pub(crate) fn refused(&self) -> usize {
        self.refused.len()
    }

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

    /// A place for a connection with `peer`, in which somebody else may lose his.
    fn seat(&mut self, id: ConnectionId, peer: PeerId, (ours, theirs): (&Multiaddr, &Multiaddr)) -> Result<(), Refused> {
        self.proved(&id);
        // Of those that come from nowhere the network closes the connection.
        let (Some((ip, way)), Ok(node)) = (where_from(ours, theirs), peer_id::node_of(&peer)) else { return Ok(()) };
        self.ledger.charge_at(node, ip, Charge::Connections)?;
        let opened = if self.ledger.comes_first(&node) { Opened::ByAcquaintance } else { Opened::ByStranger };
        if let Some(goes) = self.places.open(id, ip, way, opened, self.ledger.now())? {
            self.evicted.push_back(goes);
        }
        self.owners.insert(id, peer);
        Ok(())
    }

    /// A handshake over QUIC begins, at `ip` by somebody's word, or at what is no place at all.
    fn claims(&mut self, id: ConnectionId, ip: Option<IpAddr>) -> Result<(), ConnectionDenied> {
        if self.unproved.len() >= UNPROVED_MAX {
            return Err(ConnectionDenied::new(TooManyUnproved));
        }
        if let Some(ip) = ip {
            self.ledger.charge_host(ip, Charge::Unproved, 1).map_err(ConnectionDenied::new)?;
            self.claimed.begin(id, ip, Way::Direct, self.ledger.now()).map_err(ConnectionDenied::new)?;
        }
        self.unproved.insert(id);
        Ok(())
    }

    /// It ended, or its address is proved.
    fn proved(&mut self, id: &ConnectionId) {
        self.unproved.remove(id);
        self.claimed.close(id);
    }

    fn left(&mut self, id: ConnectionId) {
        self.proved(&id);
        self.places.close(&id);
        self.owners.remove(&id);
        self.evicted.retain(|evicted| *evicted != id);
    }
}

/// The machine that somebody comes from, or that his relay is.
fn where_from(ours: &Multiaddr, theirs: &Multiaddr) -> Option<(IpAddr, Way)> {
    let way = if [ours, theirs].into_iter().any(addresses::is_relayed) { Way::Relayed } else { Way::Direct };
    let address = if way == Way::Relayed && !addresses::is_relayed(theirs) { ours } else { theirs };
    Some((addresses::ip_of(address)?, way))
}

impl NetworkBehaviour for Gate {
    type ConnectionHandler = Holder;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(&mut self, id: ConnectionId, ours: &Multiaddr, theirs: &Multiaddr) -> Result<(), ConnectionDenied> {
        let place = where_from(ours, theirs);
        // Whoever writes another's address into a datagram must not use up the other's share.
        if theirs.iter().any(|part| matches!(part, Protocol::Udp(_))) && !addresses::is_relayed(ours) {
            return self.claims(id, place.map(|(ip, _)| ip));
        }
        let Some((ip, way)) = place else { return Ok(()) };
        self.ledger.charge_host(ip, Charge::Handshakes, 1).map_err(ConnectionDenied::new)?;
        self.places.begin(id, ip, way, self.ledger.now()).map_err(ConnectionDenied::new)
    }

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
        id: ConnectionId,
        peer: PeerId,
        ours: &Multiaddr,
        theirs: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let holder = self.admit(&peer)?;
        self.seat(id, peer, (ours, theirs)).map_err(ConnectionDenied::new)?;
        Ok(holder)
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
                self.left(old.connection_id);
            }
            FromSwarm::ListenFailure(failed) => self.left(failed.connection_id),
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        // The swarm is polled by whoever called `hold`, right after: no waker is needed.
        while let Some(id) = self.evicted.pop_front() {
            if let Some(peer_id) = self.owners.get(&id).copied() {
                return Poll::Ready(ToSwarm::CloseConnection { peer_id, connection: CloseConnection::One(id) });
            }
        }
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
