use std::net::SocketAddr;

use super::*;
use crate::net::nat::Protocol;
use crate::net::nat::kind::{Depends, NatKind};

const SERVER: &str = "46.0.0.1:3478";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn now(ms: u64) -> Nanos {
    Nanos::from_millis(ms)
}

/// A host somewhere, with the socket it punches from.
#[derive(Clone, Copy)]
struct Peer {
    network: NetworkId,
    socket: SocketAddr,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Home {
    Boxes(NatKind),
    Firewall,
}

/// `name` 1 or 2 tells the two peers' addresses apart.
fn settle(routes: &mut Routes, home: Home, name: u8) -> Peer {
    let public = ip(&format!("45.0.{name}.1"));
    let private = ip(&format!("10.{name}.0.2"));
    let (network, host) = match home {
        Home::Firewall => {
            routes.walled(NetworkId::INTERNET, public, true, Unsolicited::Dropped);
            (NetworkId::INTERNET, public)
        }
        Home::Boxes(kind) => match kind.boxes().as_slice() {
            [] => (NetworkId::INTERNET, public),
            [home] => (routes.nat(NetworkId::INTERNET, public, *home).0, private),
            [home, provider, ..] => {
                let street = routes.nat(NetworkId::INTERNET, public, *provider).0;
                (routes.nat(street, ip(&format!("100.64.{name}.7")), *home).0, private)
            }
        },
    };
    if home != Home::Firewall {
        routes.host(network, host);
    }
    Peer { network, socket: SocketAddr::new(host, 4_710) }
}

fn send(routes: &mut Routes, from: Peer, to: SocketAddr, at: u64) -> Routed {
    routes.send(from.network, Packet { protocol: Protocol::Udp, from: from.socket, to }, now(at))
}

fn seen(routed: Routed) -> Option<SocketAddr> {
    match routed {
        Routed::Reached { packet, .. } => Some(packet.from),
        Routed::Lost { .. } => None,
    }
}

/// Hole punching as ICE does it: each learns its address from a server, sends to the other's, answers whatever arrives to where it came
/// from. True when a packet has gone each way.
fn punches(a: Home, b: Home) -> bool {
    let mut routes = Routes::new(7);
    routes.host(NetworkId::INTERNET, ip("46.0.0.1"));
    let server: SocketAddr = SERVER.parse().unwrap();
    let (a, b) = (settle(&mut routes, a, 1), settle(&mut routes, b, 2));
    let at_a = seen(send(&mut routes, a, server, 0)).unwrap();
    let at_b = seen(send(&mut routes, b, server, 0)).unwrap();
    for round in 1..4 {
        let mut answered = |from: Peer, to: Peer, target: SocketAddr| {
            // The source that the receiver sees is the way back.
            let source = seen(send(&mut routes, from, target, 10 * round))?;
            seen(send(&mut routes, to, source, 10 * round + 1))
        };
        if answered(a, b, at_b).is_some() || answered(b, a, at_a).is_some() {
            return true;
        }
    }
    false
}

#[test]
fn the_pairs_that_can_punch_are_those_of_the_matrix() {
    use NatKind::{AddressRestricted, Cgnat, CgnatSymmetric, FullCone, None, PortRestricted, Symmetric, SymmetricSequential};
    let homes = [
        Home::Boxes(None),
        Home::Firewall,
        Home::Boxes(FullCone),
        Home::Boxes(AddressRestricted),
        Home::Boxes(PortRestricted),
        Home::Boxes(Cgnat),
        Home::Boxes(SymmetricSequential),
        Home::Boxes(Symmetric),
        Home::Boxes(CgnatSymmetric),
    ];
    let is_hard = |home: Home| matches!(home, Home::Boxes(SymmetricSequential | Symmetric | CgnatSymmetric));
    // A symmetric side's own packet must be let in by the other: by its address at most.
    let is_open = |home: Home| matches!(home, Home::Boxes(None | FullCone | AddressRestricted));
    for a in homes {
        for b in homes {
            let expected = match (is_hard(a), is_hard(b)) {
                (false, false) => true,
                (true, false) => is_open(b),
                (false, true) => is_open(a),
                (true, true) => false,
            };
            assert_eq!(punches(a, b), expected, "{a:?} and {b:?}");
        }
    }
}

#[test]
fn a_stack_of_boxes_is_as_strict_as_its_strictest() {
    let mut routes = Routes::new(7);
    routes.host(NetworkId::INTERNET, ip("46.0.0.1"));
    routes.host(NetworkId::INTERNET, ip("46.0.0.2"));
    let street = routes.nat(NetworkId::INTERNET, ip("45.0.1.1"), Behaviour::new(Depends::Nothing, Depends::Nothing)).0;
    let home = routes.nat(street, ip("100.64.0.7"), Behaviour::new(Depends::Nothing, Depends::AddressAndPort)).0;
    routes.host(home, ip("10.0.0.2"));
    let inside = Peer { network: home, socket: "10.0.0.2:4710".parse().unwrap() };
    let mapped = seen(send(&mut routes, inside, SERVER.parse().unwrap(), 0)).unwrap();
    assert_eq!(mapped.ip(), ip("45.0.1.1"), "the internet sees the provider's address");
    let server = Peer { network: NetworkId::INTERNET, socket: SERVER.parse().unwrap() };
    let Routed::Reached { network, packet } = send(&mut routes, server, mapped, 1) else { panic!("the answer passes") };
    assert_eq!((network, packet.to), (home, inside.socket));
    let stranger = Peer { network: NetworkId::INTERNET, socket: "46.0.0.2:1".parse().unwrap() };
    // The provider's box lets everybody in, the one at home does not.
    assert_eq!(send(&mut routes, stranger, mapped, 1), Routed::Lost { gate: Some(GateId(1)), why: Dropped::Filtered });
}

#[test]
fn two_hosts_behind_one_box_need_its_hairpin_or_their_own_network() {
    for hairpin in [false, true] {
        let mut routes = Routes::new(7);
        routes.host(NetworkId::INTERNET, ip("46.0.0.1"));
        let home = routes.nat(NetworkId::INTERNET, ip("45.0.1.1"), Behaviour { hairpin, ..Behaviour::new(Depends::Nothing, Depends::Nothing) }).0;
        let peers = ["10.0.0.2:4710", "10.0.0.3:4711"].map(|socket| Peer { network: home, socket: socket.parse().unwrap() });
        for peer in peers {
            routes.host(home, peer.socket.ip());
        }
        let mapped = peers.map(|peer| seen(send(&mut routes, peer, SERVER.parse().unwrap(), 0)).unwrap());
        let turned = send(&mut routes, peers[0], mapped[1], 1);
        if hairpin {
            let Routed::Reached { packet, .. } = turned else { panic!("it turns packets round") };
            assert_eq!((packet.from, packet.to), (mapped[0], peers[1].socket), "from the external address (REQ-9)");
        } else {
            assert_eq!(turned, Routed::Lost { gate: Some(GateId(0)), why: Dropped::NoHairpin });
        }
        // In their own network no box is in the way.
        assert_eq!(seen(send(&mut routes, peers[0], peers[1].socket, 1)), Some(peers[0].socket));
    }
}

#[test]
fn two_homes_behind_one_providers_box_reach_each_other_only_through_its_hairpin() {
    let pair = |hairpin| {
        let mut routes = Routes::new(7);
        routes.host(NetworkId::INTERNET, ip("46.0.0.1"));
        let open = Behaviour::new(Depends::Nothing, Depends::Nothing);
        let street = routes.nat(NetworkId::INTERNET, ip("45.0.1.1"), Behaviour { hairpin, ..open }).0;
        let peers = [7, 8].map(|n| {
            let home = routes.nat(street, ip(&format!("100.64.0.{n}")), open).0;
            routes.host(home, ip(&format!("10.0.{n}.2")));
            Peer { network: home, socket: SocketAddr::new(ip(&format!("10.0.{n}.2")), 4_710) }
        });
        let mapped = peers.map(|peer| seen(send(&mut routes, peer, SERVER.parse().unwrap(), 0)).unwrap());
        assert_ne!(mapped[0], mapped[1], "they share the provider's address, not its ports");
        seen(send(&mut routes, peers[0], mapped[1], 1)).is_some()
    };
    assert!(!pair(false) && pair(true));
}

#[test]
fn an_address_nobody_has_leads_nowhere() {
    let mut routes = Routes::new(7);
    let peer = settle(&mut routes, Home::Boxes(NatKind::PortRestricted), 1);
    assert_eq!(send(&mut routes, peer, "46.0.0.9:1".parse().unwrap(), 0), Routed::Lost { gate: None, why: Dropped::NoRoute });
}
