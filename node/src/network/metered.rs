//! [`Metered`]: gossipsub behind an account for each neighbour.
//!
//! Guarantees: what a neighbour sends is paid for before gossipsub remembers any of it: messages and control by their number, and
//! messages only while it may have more that are not accepted; whoever goes on above its share is named to be let go. Messages of other
//! topics, which gossipsub would keep and tell nobody of, do not reach it. Deliberately lacks judgement: of what passes, the station
//! says what was accepted, and gets that back.

use std::collections::{HashSet, VecDeque};
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::gossipsub::{self, TopicHash};
use libp2p::swarm::{ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm};
use libp2p::{Multiaddr, PeerId};
use station_protocol::NodeId;
use station_protocol::accounts::{Charge, Over};
use station_protocol::call::CALL_BYTES_MAX;

use super::gossip::Gossip;
use super::peer_id::node_of;
use crate::ledger::Ledger;

/// Subscriptions in one frame: a peer may be in topics that this station is not in. More are no honest station's.
pub(crate) const SUBSCRIPTIONS_MAX: usize = 128;

pub(crate) struct Metered {
    pub(crate) inner: Gossip,
    ledger: Ledger,
    topics: HashSet<TopicHash>,
    /// Those to be let go. The swarm polls after each frame, so that there is one at most.
    over: VecDeque<PeerId>,
}

/// What gossipsub says, or that a neighbour is to be let go.
#[derive(Debug)]
pub(crate) enum Said {
    Gossip(gossipsub::Event),
    Over(PeerId),
}

/// What a connection brings. Gossipsub does not name the type.
type Brought = THandlerOutEvent<Gossip>;

impl Metered {
    pub(crate) fn new(inner: Gossip, ledger: Ledger) -> Self {
        let topics = inner.topics().cloned().collect();
        Self { inner, ledger, topics, over: VecDeque::new() }
    }

    /// Whether `amount` is paid. Whoever is over for long is named.
    fn pays(&mut self, peer: PeerId, node: NodeId, charge: Charge, amount: u64) -> bool {
        match self.ledger.charge(node, charge, amount) {
            Ok(()) => true,
            Err(Over { let_go, .. }) => {
                if let_go {
                    self.over.push_back(peer);
                }
                false
            }
        }
    }
}

impl NetworkBehaviour for Metered {
    type ConnectionHandler = <Gossip as NetworkBehaviour>::ConnectionHandler;
    type ToSwarm = Said;

    fn handle_pending_inbound_connection(&mut self, id: ConnectionId, local: &Multiaddr, remote: &Multiaddr) -> Result<(), ConnectionDenied> {
        self.inner.handle_pending_inbound_connection(id, local, remote)
    }

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner.handle_established_inbound_connection(id, peer, local, remote)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        role: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        self.inner.handle_pending_outbound_connection(id, peer, addresses, role)
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner.handle_established_outbound_connection(id, peer, address, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        self.inner.on_swarm_event(event);
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, connection: ConnectionId, event: Brought) {
        let event = match event {
            Brought::Message { mut rpc, invalid_messages } => {
                let Ok(node) = node_of(&peer) else { return };
                let control = rpc.control_msgs.len() + rpc.subscriptions.len();
                let bytes: usize = rpc.messages.iter().map(|message| message.data.len()).sum();
                let messages = (rpc.messages.len() + invalid_messages.len()).max(bytes / CALL_BYTES_MAX);
                let units = (messages + control) as u64;
                // A frame without anything in it costs as much as one with one message.
                if !self.pays(peer, node, Charge::Gossip, units.max(1)) || rpc.subscriptions.len() > SUBSCRIPTIONS_MAX {
                    return;
                }
                let all = rpc.messages.len() as u64;
                rpc.messages.retain(|message| self.topics.contains(&message.topic));
                let foreign = all - rpc.messages.len() as u64;
                if foreign > 0 {
                    self.pays(peer, node, Charge::NotAccepted, foreign);
                }
                let own = rpc.messages.len() as u64;
                if own > 0 && !self.ledger.could_pay(node, Charge::NotAccepted, own) {
                    self.pays(peer, node, Charge::NotAccepted, own);
                    rpc.messages.clear();
                }
                Brought::Message { rpc, invalid_messages }
            }
            other => other,
        };
        self.inner.on_connection_handler_event(peer, connection, event);
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<ToSwarm<Said, THandlerInEvent<Self>>> {
        if let Some(peer) = self.over.pop_front() {
            return Poll::Ready(ToSwarm::GenerateEvent(Said::Over(peer)));
        }
        self.inner.poll(context).map(|said| said.map_out(Said::Gossip))
    }
}
