//! [`Reached`]: the transport with a rule on what may be dialled, whoever asks.
//!
//! Guarantees: a DNS name is resolved only when it is one of the bootstrap addresses; everything else is dialled only when it is an
//! address by the protocol's grammar, so that the socket that was judged is the socket that is dialled, whatever a peer, the DHT,
//! identify or hole punching says; no machine and no network is dialled more often than its share. Deliberately lacks listening rules.

use std::collections::HashSet;
use std::pin::Pin;
use std::task::{Context, Poll};

use libp2p::Multiaddr;
use libp2p::core::Transport;
use libp2p::core::transport::{DialOpts, ListenerId, TransportError, TransportEvent};
use libp2p::multiaddr::Protocol;
use station_protocol::accounts::Charge;
use station_protocol::address::Route;

use super::addresses::route_of;
use super::config::Reach;
use crate::ledger::Ledger;

#[derive(Debug)]
pub(crate) struct Reached<T> {
    inner: T,
    reach: Reach,
    /// Exempt, without their peer ids.
    named: HashSet<Multiaddr>,
    ledger: Ledger,
}

impl<T> Reached<T> {
    pub(crate) fn new(inner: T, reach: Reach, named: impl IntoIterator<Item = Multiaddr>, ledger: Ledger) -> Self {
        Self { inner, reach, named: named.into_iter().map(|address| bare(&address)).collect(), ledger }
    }

    pub(crate) fn may_dial(&self, address: &Multiaddr) -> bool {
        if self.is_named(address) {
            return true;
        }
        // A circuit is dialled by the relay's client, and its relay here.
        let Some(Route { endpoint, relay: None, node }) = route_of(address) else { return false };
        // Strangers that name the machine of somebody known must not keep this station from him.
        let is_met_anyway = node.is_some_and(|node| self.ledger.comes_first(&node));
        endpoint.is_dialable(self.reach) && (is_met_anyway || self.ledger.charge_host(endpoint.ip(), Charge::Knocks, 1).is_ok())
    }

    /// Whether the operator named it: with or without a peer id at its end, and nothing after that, which is where TCP would go.
    fn is_named(&self, address: &Multiaddr) -> bool {
        let parts = address.iter().count();
        let bare = bare(address);
        let rest = parts - bare.iter().count();
        rest <= 1 && self.named.contains(&bare)
    }
}

/// The address up to the first peer id.
pub(crate) fn bare(address: &Multiaddr) -> Multiaddr {
    address.iter().take_while(|part| !matches!(part, Protocol::P2p(_))).collect()
}

impl<T: Transport + Unpin> Transport for Reached<T> {
    type Output = T::Output;
    type Error = T::Error;
    type ListenerUpgrade = T::ListenerUpgrade;
    type Dial = T::Dial;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<Self::Error>> {
        self.inner.listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner.remove_listener(id)
    }

    fn dial(&mut self, address: Multiaddr, options: DialOpts) -> Result<Self::Dial, TransportError<Self::Error>> {
        if self.may_dial(&address) { self.inner.dial(address, options) } else { Err(TransportError::MultiaddrNotSupported(address)) }
    }

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<TransportEvent<Self::ListenerUpgrade, Self::Error>> {
        Pin::new(&mut self.inner).poll(context)
    }
}
