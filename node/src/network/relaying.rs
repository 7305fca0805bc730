//! Relays in the swarm: whom this station asks for a place, and what it carries for others where its operator made it a relay.
//!
//! Guarantees: a place is asked for only while this station has no address that anybody could dial. Deliberately lacks the choice of a
//! relay, which is [`super::relays`]'s, and punching, which is libp2p's.

use libp2p::core::transport::ListenerId;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId, relay};
use station_protocol::cluster::Cluster;
use tokio::time::Instant;
use tracing::debug;

use super::config::Reach;
use super::peer_id::{node_of, peer_of};
use super::relays::confirmed;
use super::{Network, addresses};

impl Network {
    /// A peer that offers to relay said where it listens.
    pub(super) fn relay_offered(&mut self, peer: PeerId, direct: &[Multiaddr]) {
        let (Ok(node), Some(ip)) = (node_of(&peer), self.peers.ip(&peer)) else { return };
        let Some(address) = confirmed(direct, ip) else { return };
        self.relays.offered(node, address.clone(), Cluster::of(node, ip, None, self.config.reach));
        self.ask_relays(Instant::now());
    }

    /// The addresses of this station are others than before.
    pub(super) fn need_relays(&mut self) {
        let is_direct = |address: &Multiaddr| {
            !addresses::is_relayed(address) && addresses::ip_of(address).is_some_and(|ip| addresses::is_dialable(ip, self.config.reach))
        };
        // On a network of one room private addresses can be dialled; who listens nowhere does not want to be.
        let is_reached = self.swarm.external_addresses().chain(self.swarm.listeners()).any(is_direct);
        let wishes = self.config.use_relays && self.config.reach == Reach::Global && !self.config.listen.is_empty();
        for listener in self.relays.need(wishes && !is_reached) {
            self.swarm.remove_listener(listener);
        }
        self.ask_relays(Instant::now());
    }

    /// Asks those who are to be asked now.
    pub(super) fn ask_relays(&mut self, now: Instant) {
        while let Some((node, address)) = self.relays.next(now) {
            match self.swarm.listen_on(address.with(Protocol::P2p(peer_of(node))).with(Protocol::P2pCircuit)) {
                Ok(listener) => self.relays.asked(node, listener),
                Err(error) => {
                    debug!(?node, %error, "the relay cannot be asked");
                    self.relays.refused(node, now);
                }
            }
        }
    }

    /// A listener has ended; the places of relays are listeners too.
    pub(super) fn relay_lost(&mut self, listener: ListenerId) {
        let now = Instant::now();
        if self.relays.closed(listener, now) {
            self.ask_relays(now);
        }
    }

    pub(super) fn on_relay_client(&mut self, event: &relay::client::Event) {
        if let relay::client::Event::ReservationReqAccepted { relay_peer_id, .. } = event
            && let Ok(node) = node_of(relay_peer_id)
        {
            self.relays.accepted(node);
        }
    }

    /// This station relays for others.
    pub(super) fn on_relay(&mut self, event: &relay::Event) {
        match event {
            relay::Event::ReservationReqAccepted { src_peer_id, .. } => _ = self.clients.insert(*src_peer_id),
            relay::Event::ReservationClosed { src_peer_id } | relay::Event::ReservationTimedOut { src_peer_id } => {
                self.clients.remove(src_peer_id);
            }
            relay::Event::CircuitReqAccepted { src_peer_id, .. } => *self.circuits.entry(*src_peer_id).or_default() += 1,
            relay::Event::CircuitClosed { src_peer_id, .. } => {
                if let Some(count) = self.circuits.get_mut(src_peer_id) {
                    *count -= 1;
                    if *count == 0 {
                        self.circuits.remove(src_peer_id);
                    }
                }
            }
            _ => {}
        }
        let figures = &mut self.carried;
        (figures.places, figures.circuits) = (self.clients.len(), self.circuits.values().sum());
        figures.places_max = figures.places_max.max(figures.places);
        figures.circuits_max = figures.circuits_max.max(figures.circuits);
    }
}
