//! [`Reached`]: the transport with a rule on what may be dialled, whoever asks.
//!
//! Guarantees: a DNS name is resolved only when it is one of the bootstrap addresses; on a global network nothing private is dialled,
//! whatever a peer, the DHT or identify says. Deliberately lacks listening rules.

use std::collections::HashSet;
use std::pin::Pin;
use std::task::{Context, Poll};

use libp2p::Multiaddr;
use libp2p::core::Transport;
use libp2p::core::transport::{DialOpts, ListenerId, TransportError, TransportEvent};
use libp2p::multiaddr::Protocol;

use super::addresses::{ip_of, is_dialable};
use super::config::Reach;

#[derive(Debug)]
pub(crate) struct Reached<T> {
    inner: T,
    reach: Reach,
    /// Exempt, without their peer ids.
    named: HashSet<Multiaddr>,
}

impl<T> Reached<T> {
    pub(crate) fn new(inner: T, reach: Reach, named: impl IntoIterator<Item = Multiaddr>) -> Self {
        Self { inner, reach, named: named.into_iter().map(|address| bare(&address)).collect() }
    }

    fn may_dial(&self, address: &Multiaddr) -> bool {
        match ip_of(address) {
            Some(ip) if is_dialable(ip, self.reach) => true,
            _ => self.named.contains(&bare(address)),
        }
    }
}

/// The address up to the first peer id.
fn bare(address: &Multiaddr) -> Multiaddr {
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
