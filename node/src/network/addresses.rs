//! This station's own addresses as others should read them, and what an address says about the other end.
//!
//! Guarantees: what is announced is IP literals ending in the own node id, best first, at most two direct IPs; loopback only where
//! there is nothing else or the network is a private one. Deliberately lacks any test of reachability.

use std::net::IpAddr;

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use station_protocol::NodeId;
use station_protocol::address::{Address, Endpoint, Route, Transport};
use station_protocol::cluster::is_private;
use station_protocol::work::At;

use super::config::Reach;
use super::events::Remote;
use super::peer_id;

/// Distinct IPs of direct addresses: one per family.
const DIRECT_IPS_MAX: usize = 2;

/// What `address` is by the protocol's grammar, if it is anything: what a transport would make of other addresses is not asked.
pub(crate) fn route_of(address: &Multiaddr) -> Option<Route> {
    address.to_string().parse().ok()
}

/// The socket that an address leads to: its relay's, where it has one.
pub(crate) fn endpoint_of(address: &Multiaddr) -> Option<Endpoint> {
    Some(route_of(address)?.endpoint)
}

/// The IP of that socket.
pub(crate) fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    Some(endpoint_of(address)?.ip())
}

/// The socket as libp2p writes it, and nothing else.
pub(crate) fn multiaddr_of(endpoint: Endpoint) -> Multiaddr {
    let transport = match endpoint.transport() {
        Transport::Tcp => Multiaddr::empty().with(Protocol::Tcp(endpoint.port())),
        Transport::QuicV1 => Multiaddr::empty().with(Protocol::Udp(endpoint.port())).with(Protocol::QuicV1),
    };
    Multiaddr::from(endpoint.ip()).into_iter().chain(&transport).collect()
}

/// The station that a bootstrap address names.
pub(crate) fn node_of_address(address: &Multiaddr) -> Option<NodeId> {
    match address.iter().last()? {
        Protocol::P2p(peer) => peer_id::node_of(&peer).ok(),
        _ => None,
    }
}

/// The relay that an address goes through.
pub(crate) fn relay_of(address: &Multiaddr) -> Option<PeerId> {
    let mut last = None;
    for part in address {
        match part {
            Protocol::P2p(peer) => last = Some(peer),
            Protocol::P2pCircuit => return last,
            _ => {}
        }
    }
    None
}

pub(crate) fn is_relayed(address: &Multiaddr) -> bool {
    address.iter().any(|part| matches!(part, Protocol::P2pCircuit))
}

/// Where the other end of a connection is. `ours` and `theirs` are the local and remote addresses: of an incoming circuit only the
/// local one names the relay. `relay_ip` knows the IPs of connected relays.
pub(crate) fn remote(ours: Option<&Multiaddr>, theirs: &Multiaddr, relay_ip: impl Fn(&PeerId) -> Option<IpAddr>) -> Option<Remote> {
    let circuit = [Some(theirs), ours].into_iter().flatten().find(|address| is_relayed(address));
    let Some(circuit) = circuit else { return Some(Remote { ip: ip_of(theirs)?, relay: None }) };
    let relay = relay_of(circuit)?;
    let ip = ip_of(circuit).or_else(|| relay_ip(&relay))?;
    Some(Remote { ip, relay: Some(peer_id::node_of(&relay).ok()?) })
}

/// Whether a stranger may make a station dial `ip`.
pub(crate) fn is_dialable(ip: IpAddr, reach: Reach) -> bool {
    reach.allows(ip)
}

/// What this station tells others, out of all addresses it knows of itself.
pub(crate) fn announce<'a>(own: NodeId, known: impl IntoIterator<Item = &'a Multiaddr>, reach: Reach) -> At {
    let mut ranked: Vec<(u8, Address)> = Vec::new();
    for address in known {
        let parsed = complete(address, own).and_then(|text| Address::parse(&text).ok());
        let Some(parsed) = parsed.filter(|parsed| parsed.node() == own) else { continue };
        let rank = rank(&parsed);
        if rank < u8::MAX && !ranked.iter().any(|(_, other)| *other == parsed) {
            ranked.push((rank, parsed));
        }
    }
    ranked.sort();
    // Private addresses mean nothing to those who hear of them from afar.
    let best = ranked.first().map_or(0, |(rank, _)| *rank);
    let worst = if reach == Reach::Any { u8::MAX } else { best.max(1) };
    let mut ips: Vec<IpAddr> = Vec::new();
    At::first(ranked.into_iter().filter(|(rank, _)| *rank <= worst).map(|(_, address)| address).filter(|address| {
        if address.relay().is_some() || ips.contains(&address.ip()) {
            return true;
        }
        ips.push(address.ip());
        ips.len() <= DIRECT_IPS_MAX
    }))
}

/// Global, relayed, private, loopback; `MAX` is of no use to anybody.
fn rank(address: &Address) -> u8 {
    let ip = address.ip().to_canonical();
    match () {
        // What nobody dials, however near: nobody is told.
        () if !Reach::Any.allows(ip) => u8::MAX,
        () if address.relay().is_some() => 1,
        () if ip.is_loopback() => 3,
        () if is_private(ip) => 2,
        () => 0,
    }
}

fn complete(address: &Multiaddr, own: NodeId) -> Option<String> {
    address.clone().with_p2p(peer_id::peer_of(own)).ok().map(|address| address.to_string())
}

/// The addresses of an `At` for the swarm.
pub(crate) fn multiaddrs(at: &At) -> Vec<Multiaddr> {
    at.iter().filter_map(|address| address.to_string().parse().ok()).collect()
}

/// What libp2p knows of a peer, as an `At`.
pub(crate) fn at_of(node: NodeId, addresses: &[Multiaddr], reach: Reach) -> At {
    let texts = addresses.iter().filter_map(|address| complete(address, node));
    At::first(texts.filter_map(|text| Address::parse(&text).ok()).filter(|address| address.node() == node && is_dialable(address.ip(), reach)))
}
