//! [`Pings`]: libp2p's ping, whose answers are paid for.
//!
//! Guarantees: a connection is pinged every 15 s, so that routers on the way remember it; each ping of a peer's, and each stream for them, is
//! a question that is paid for before it is read; one that is not paid for ends the stream, and whoever goes on is named to be let go.
//! Deliberately lacks round-trip times, which nobody here asks for.

use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use futures::{AsyncReadExt, AsyncWriteExt, FutureExt};
use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::ReadyUpgrade;
use libp2p::swarm::handler::{ConnectionEvent, ConnectionHandlerEvent, FullyNegotiatedInbound};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionId, FromSwarm, NetworkBehaviour, Stream, SubstreamProtocol, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId, StreamProtocol, ping};
use station_protocol::NodeId;
use station_protocol::accounts::Charge;

use super::peer_id::node_of;
use crate::ledger::Ledger;

/// Bytes of a ping.
const PING_BYTES: usize = 32;

/// A peer is to be let go.
#[derive(Debug)]
pub(crate) struct Over(pub(crate) PeerId);

pub(crate) struct Pings {
    /// Makes those that ping.
    inner: ping::Behaviour,
    ledger: Ledger,
    over: VecDeque<Over>,
}

impl Pings {
    pub(crate) fn new(ledger: Ledger) -> Self {
        Self { inner: ping::Behaviour::default(), ledger, over: VecDeque::new() }
    }

    fn paid(&self, peer: PeerId, inner: THandler<ping::Behaviour>) -> Result<Paid, ConnectionDenied> {
        let node = node_of(&peer).map_err(ConnectionDenied::new)?;
        Ok(Paid { inner, node, ledger: self.ledger.clone(), pong: None, is_over: false })
    }
}

impl NetworkBehaviour for Pings {
    type ConnectionHandler = Paid;
    type ToSwarm = Over;

    fn handle_established_inbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let inner = self.inner.handle_established_inbound_connection(id, peer, local, remote)?;
        self.paid(peer, inner)
    }

    fn handle_established_outbound_connection(
        &mut self,
        id: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let inner = self.inner.handle_established_outbound_connection(id, peer, address, role, port)?;
        self.paid(peer, inner)
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(&mut self, peer: PeerId, _: ConnectionId, (): THandlerOutEvent<Self>) {
        self.over.push_back(Over(peer));
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        // The swarm polls after each event of a connection.
        self.over.pop_front().map_or(Poll::Pending, |over| Poll::Ready(ToSwarm::GenerateEvent(over)))
    }
}

/// Pings as libp2p does, and answers for payment.
pub(crate) struct Paid {
    inner: THandler<ping::Behaviour>,
    node: NodeId,
    ledger: Ledger,
    /// The next ping of the peer's, until it is answered.
    pong: Option<BoxFuture<'static, io::Result<Stream>>>,
    is_over: bool,
}

impl Paid {
    /// Awaits one more ping on `stream`, if it is paid for.
    fn await_ping(&mut self, stream: Stream) {
        match self.ledger.charge(self.node, Charge::Questions, 1) {
            Ok(()) => self.pong = Some(answer(stream).boxed()),
            Err(over) => {
                self.pong = None;
                self.is_over |= over.let_go;
            }
        }
    }
}

async fn answer(mut stream: Stream) -> io::Result<Stream> {
    let mut ping = [0; PING_BYTES];
    stream.read_exact(&mut ping).await?;
    stream.write_all(&ping).await?;
    stream.flush().await?;
    Ok(stream)
}

impl ConnectionHandler for Paid {
    type FromBehaviour = std::convert::Infallible;
    type ToBehaviour = ();
    type InboundProtocol = ReadyUpgrade<StreamProtocol>;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol> {
        self.inner.listen_protocol()
    }

    fn on_behaviour_event(&mut self, event: Self::FromBehaviour) {
        match event {}
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, (), ()>> {
        while let Some(pong) = &mut self.pong {
            match pong.poll_unpin(context) {
                Poll::Ready(Ok(stream)) => self.await_ping(stream),
                Poll::Ready(Err(_)) => self.pong = None,
                Poll::Pending => break,
            }
        }
        if std::mem::take(&mut self.is_over) {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(()));
        }
        loop {
            return match self.inner.poll(context) {
                Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol }) => {
                    Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol })
                }
                Poll::Ready(_) => continue,
                Poll::Pending => Poll::Pending,
            };
        }
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Self::InboundProtocol, Self::OutboundProtocol>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol: mut stream, .. }) => {
                stream.ignore_for_keep_alive();
                self.await_ping(stream);
            }
            event => self.inner.on_connection_event(event),
        }
    }
}
