//! [`Metered`]: a behaviour of libp2p behind an account for each peer: gossipsub, and the DHT.
//!
//! Guarantees: what a peer sends is paid for before the behaviour remembers any of it; what is not is refused where its sender waits for an
//! answer, and whoever goes on above its share is named to be let go. Of gossip, messages and control are paid for by their number,
//! messages only pass while their sender may have more that are not accepted, and those of other topics, which gossipsub would keep and
//! tell nobody of, do not pass. Deliberately lacks judgement: of what passes, the station says what was accepted, and its sender gets that
//! back.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::kad;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};
use station_protocol::NodeId;
use station_protocol::accounts::{Charge, MESSAGE, Over};
use station_protocol::call::CALL_BYTES_MAX;

use super::gossip::Gossip;
use super::kad_store::Pointers;
use super::peer_id::node_of;
use crate::ledger::Ledger;

/// Subscriptions in one frame: a peer may be in topics that this station is not in. More are no honest station's.
pub(crate) const SUBSCRIPTIONS_MAX: usize = 128;

pub(crate) struct Metered<B: Toll> {
    pub(crate) inner: B,
    clerk: Clerk,
    /// For the connections whose questions are not paid for.
    refusals: VecDeque<(PeerId, ConnectionId, THandlerInEvent<B>)>,
}

/// Who takes the payment.
pub(crate) struct Clerk {
    ledger: Ledger,
    /// Those to be let go. The swarm polls after each event, so that there is one at most.
    over: VecDeque<PeerId>,
}

/// What the behaviour says, or that a peer is to be let go.
#[derive(Debug)]
pub(crate) enum Said<E> {
    Inner(E),
    Over(PeerId),
}

/// A behaviour whose peers pay.
pub(crate) trait Toll: NetworkBehaviour {
    /// What a connection with `node` brought, as far as it is paid for.
    fn paid(&self, peer: PeerId, node: NodeId, brought: THandlerOutEvent<Self>, clerk: &mut Clerk) -> Option<THandlerOutEvent<Self>>;

    /// What its connection is told where it is not paid for.
    fn refusal(brought: &THandlerOutEvent<Self>) -> Option<THandlerInEvent<Self>>;
}

impl Clerk {
    /// Whether `amount` is paid. Whoever is over for long is named.
    fn takes(&mut self, peer: PeerId, node: NodeId, charge: Charge, amount: u64) -> bool {
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

/// What a connection brings. Neither behaviour names its type.
type Gossiped = THandlerOutEvent<Gossip>;
type Looked = THandlerOutEvent<kad::Behaviour<Pointers>>;
/// What it is told.
type Refused = THandlerInEvent<kad::Behaviour<Pointers>>;

impl Toll for Gossip {
    fn paid(&self, peer: PeerId, node: NodeId, brought: Gossiped, clerk: &mut Clerk) -> Option<Gossiped> {
        let Gossiped::Message { mut rpc, invalid_messages } = brought else { return Some(brought) };
        let control = rpc.control_msgs.len() + rpc.subscriptions.len();
        let bytes: usize = rpc.messages.iter().map(|message| message.data.len()).sum();
        let messages = (rpc.messages.len() + invalid_messages.len()).max(bytes / CALL_BYTES_MAX);
        // A frame without anything in it costs as much as one with one message.
        let units = ((messages + control) as u64).max(1);
        if !clerk.takes(peer, node, Charge::Gossip, units) || rpc.subscriptions.len() > SUBSCRIPTIONS_MAX {
            return None;
        }
        let all = rpc.messages.len() as u64;
        rpc.messages.retain(|message| self.topics().any(|topic| *topic == message.topic));
        let own = rpc.messages.len() as u64;
        if all > own {
            clerk.takes(peer, node, Charge::NotAccepted, (all - own) * MESSAGE);
        }
        if own > 0 && !clerk.ledger.could_pay(node, Charge::NotAccepted, own * MESSAGE) {
            clerk.takes(peer, node, Charge::NotAccepted, own * MESSAGE);
            rpc.messages.clear();
        }
        Some(Gossiped::Message { rpc, invalid_messages })
    }

    fn refusal(_: &Gossiped) -> Option<THandlerInEvent<Self>> {
        None
    }
}

impl Toll for kad::Behaviour<Pointers> {
    fn paid(&self, peer: PeerId, node: NodeId, brought: Looked, clerk: &mut Clerk) -> Option<Looked> {
        let asks = matches!(
            brought,
            Looked::FindNodeReq { .. }
                | Looked::GetProvidersReq { .. }
                | Looked::AddProvider { .. }
                | Looked::GetRecord { .. }
                | Looked::PutRecord { .. }
        );
        (!asks || clerk.takes(peer, node, Charge::Questions, 1)).then_some(brought)
    }

    /// That this station knows nobody. Without an answer its stream would wait as long as the connection lasts, and with 32 such no more
    /// would be counted; libp2p's own `Reset` wakes no stream that waits.
    fn refusal(brought: &Looked) -> Option<THandlerInEvent<Self>> {
        match brought {
            Looked::FindNodeReq { request_id, .. }
            | Looked::GetProvidersReq { request_id, .. }
            | Looked::GetRecord { request_id, .. }
            | Looked::PutRecord { request_id, .. } => Some(Refused::FindNodeRes { closer_peers: Vec::new(), request_id: *request_id }),
            _ => None,
        }
    }
}

impl<B: Toll> Metered<B> {
    pub(crate) fn new(inner: B, ledger: Ledger) -> Self {
        Self { inner, clerk: Clerk { ledger, over: VecDeque::new() }, refusals: VecDeque::new() }
    }
}

impl<B: Toll> NetworkBehaviour for Metered<B> {
    type ConnectionHandler = B::ConnectionHandler;
    type ToSwarm = Said<B::ToSwarm>;

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

    fn on_connection_handler_event(&mut self, peer: PeerId, connection: ConnectionId, brought: THandlerOutEvent<Self>) {
        let Ok(node) = node_of(&peer) else { return };
        let refusal = B::refusal(&brought);
        match self.inner.paid(peer, node, brought, &mut self.clerk) {
            Some(paid) => self.inner.on_connection_handler_event(peer, connection, paid),
            None => self.refusals.extend(refusal.map(|refusal| (peer, connection, refusal))),
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        if let Some(peer) = self.clerk.over.pop_front() {
            return Poll::Ready(ToSwarm::GenerateEvent(Said::Over(peer)));
        }
        if let Some((peer_id, connection, event)) = self.refusals.pop_front() {
            return Poll::Ready(ToSwarm::NotifyHandler { peer_id, handler: NotifyHandler::One(connection), event });
        }
        self.inner.poll(context).map(|said| said.map_out(Said::Inner))
    }
}
