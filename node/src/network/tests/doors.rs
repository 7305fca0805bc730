//! Who gets in at the gate.

use std::task::Poll;

use futures::task::{Context, noop_waker_ref};
use libp2p::Multiaddr;
use libp2p::swarm::behaviour::ListenFailure;
use libp2p::swarm::{CloseConnection, ConnectionId, FromSwarm, ListenError, NetworkBehaviour, ToSwarm};
use station_protocol::NodeId;
use station_protocol::accounts::Charge;
use station_protocol::accounts::places::{HOST_PLACES_MAX, NETWORK_PLACES_MAX};

use super::super::config::Reach;
use super::super::gate::Gate;
use super::super::peer_id::peer_of;
use super::{multiaddr, node};
use crate::ledger::Ledger;

fn gate(places: usize) -> Gate {
    Gate::new(Ledger::new(Reach::Global, []), places)
}

fn from(network: u8, host: u8) -> Multiaddr {
    multiaddr(&format!("/ip4/45.0.{network}.{host}/tcp/4001"))
}

fn begins(gate: &mut Gate, id: usize, theirs: &Multiaddr) -> bool {
    gate.handle_pending_inbound_connection(ConnectionId::new_unchecked(id), &multiaddr("/ip4/45.9.9.9/tcp/1"), theirs).is_ok()
}

fn comes(gate: &mut Gate, id: usize, who: NodeId, theirs: &Multiaddr) -> bool {
    let ours = multiaddr("/ip4/45.9.9.9/tcp/1");
    begins(gate, id, theirs) && gate.handle_established_inbound_connection(ConnectionId::new_unchecked(id), peer_of(who), &ours, theirs).is_ok()
}

/// Whom the gate has closed.
fn closed(gate: &mut Gate) -> Option<(libp2p::PeerId, ConnectionId)> {
    match gate.poll(&mut Context::from_waker(noop_waker_ref())) {
        Poll::Ready(ToSwarm::CloseConnection { peer_id, connection: CloseConnection::One(id) }) => Some((peer_id, id)),
        _ => None,
    }
}

#[test]
fn a_machine_that_begins_handshakes_and_says_nothing_has_eight_places_and_gets_them_back() {
    let mut gate = gate(64);
    let begun = (0..20).filter(|id| begins(&mut gate, *id, &from(1, 1))).count();
    assert_eq!(begun, HOST_PLACES_MAX);
    let (ours, theirs) = (multiaddr("/ip4/45.9.9.9/tcp/1"), from(1, 1));
    gate.on_swarm_event(FromSwarm::ListenFailure(ListenFailure {
        local_addr: &ours,
        send_back_addr: &theirs,
        error: &ListenError::Aborted,
        connection_id: ConnectionId::new_unchecked(0),
        peer_id: None,
    }));
    assert!(begins(&mut gate, 100, &from(1, 1)));
}

/// From `port` of a machine, by a datagram's word.
fn datagram(network: u8, host: u8, port: usize) -> Multiaddr {
    multiaddr(&format!("/ip4/45.0.{network}.{host}/udp/{port}/quic-v1"))
}

#[test]
fn whoever_writes_anothers_address_into_datagrams_does_not_use_up_its_places() {
    let mut gate = gate(64);
    let begun = (0..1_000).filter(|id| begins(&mut gate, *id, &datagram(1, 1, 4001))).count();
    assert_eq!(begun, HOST_PLACES_MAX, "of a machine");
    assert!(begins(&mut gate, 2_000, &from(1, 1)), "over TCP the same machine comes in");
}

#[test]
fn a_network_that_begins_handshakes_over_quic_and_says_nothing_shuts_out_no_other() {
    let mut gate = gate(64);
    let begun = (0..100).filter(|id| begins(&mut gate, *id, &datagram(1, u8::try_from(*id).expect("small"), 4001))).count();
    assert_eq!(begun, NETWORK_PLACES_MAX);
    for id in 2_000..2_000 + HOST_PLACES_MAX {
        assert!(begins(&mut gate, id, &datagram(2, 1, id)), "another network");
    }
    // It failed, and its place is free.
    gate.on_swarm_event(FromSwarm::ListenFailure(ListenFailure {
        local_addr: &multiaddr("/ip4/45.9.9.9/udp/1/quic-v1"),
        send_back_addr: &datagram(1, 0, 4001),
        error: &ListenError::Aborted,
        connection_id: ConnectionId::new_unchecked(0),
        peer_id: None,
    }));
    assert!(begins(&mut gate, 3_000, &datagram(1, 20, 4001)));
    assert!(!begins(&mut gate, 3_001, &datagram(1, 20, 4001)));
}

#[test]
fn all_handshakes_over_quic_have_a_number_of_their_own() {
    let mut gate = gate(64);
    let anywhere = |id: usize| datagram(u8::try_from(id / 250).expect("small"), u8::try_from(id % 250).expect("small"), 4001);
    let apart = |id: usize| if id < 300 { datagram(u8::try_from(id % 200).expect("small"), 1, 4001) } else { anywhere(id) };
    assert_eq!((0..1_000).filter(|id| begins(&mut gate, *id, &apart(*id))).count(), 64);
    // No socket has this port, but a datagram may say so.
    assert!(!begins(&mut gate, 2_000, &datagram(230, 1, 0)));
}

#[test]
fn handshakes_that_fail_are_paid_for_by_their_machine() {
    let mut gate = gate(64);
    let mut begun = 0;
    for id in 0..1_000 {
        begun += u64::from(begins(&mut gate, id, &from(1, 1)));
        gate.on_swarm_event(FromSwarm::ListenFailure(ListenFailure {
            local_addr: &multiaddr("/ip4/45.9.9.9/tcp/1"),
            send_back_addr: &from(1, 1),
            error: &ListenError::Aborted,
            connection_id: ConnectionId::new_unchecked(id),
            peer_id: None,
        }));
    }
    let share = Charge::Handshakes.payer();
    assert!((share.burst..=share.burst + share.per_minute).contains(&begun), "{begun}");
}

#[test]
fn who_was_let_go_is_refused_and_who_comes_first_gets_in_where_strangers_do_not() {
    let ledger = Ledger::new(Reach::Global, [node(40)]);
    let mut gate = Gate::new(ledger, 2);
    gate.refuse(peer_of(node(1)), true);
    assert!(!comes(&mut gate, 0, node(1), &from(1, 1)));
    gate.refuse(peer_of(node(1)), false);
    assert!(comes(&mut gate, 1, node(1), &from(1, 1)) && comes(&mut gate, 2, node(2), &from(2, 1)));
    assert!(!comes(&mut gate, 3, node(3), &from(3, 1)), "its network would have as many as any");
    assert!(comes(&mut gate, 4, node(40), &from(4, 1)), "the operator named it");
    assert!(closed(&mut gate).is_some());
}

#[test]
fn handshakes_over_quic_that_end_are_paid_for_by_the_machine_that_is_named() {
    let mut gate = gate(64);
    let mut begun = 0;
    for id in 0..1_000 {
        begun += u64::from(begins(&mut gate, id, &datagram(1, 1, 4001)));
        gate.on_swarm_event(FromSwarm::ListenFailure(ListenFailure {
            local_addr: &multiaddr("/ip4/45.9.9.9/udp/1/quic-v1"),
            send_back_addr: &datagram(1, 1, 4001),
            error: &ListenError::Aborted,
            connection_id: ConnectionId::new_unchecked(id),
            peer_id: None,
        }));
    }
    let share = Charge::Unproved.payer();
    assert!((share.burst..=share.burst + share.per_minute).contains(&begun), "{begun}");
    assert!(begins(&mut gate, 2_000, &from(1, 1)), "and not out of what it has over TCP");
}

#[test]
fn one_network_cannot_keep_others_out() {
    let mut gate = gate(20);
    let keys: Vec<NodeId> = (1..=30).map(node).collect();
    let in_first = (0..30).filter(|id| comes(&mut gate, *id, keys[*id], &from(1, u8::try_from(*id).expect("small") + 1))).count();
    assert_eq!(in_first, NETWORK_PLACES_MAX);
    for id in 100..104 {
        assert!(comes(&mut gate, id, keys[id - 80], &from(u8::try_from(id).expect("small"), 1)));
    }
    assert_eq!(closed(&mut gate), None, "there was room for all");
    assert!(comes(&mut gate, 200, keys[29], &from(200, 1)), "one from elsewhere gets in");
    assert_eq!(closed(&mut gate), Some((peer_of(keys[15]), ConnectionId::new_unchecked(15))), "the newest of the largest network goes for it");
    assert_eq!(gate.inbound().0, 20);
}

#[test]
fn a_key_that_comes_again_and_again_is_refused() {
    let mut gate = gate(64);
    let mut in_and_out = 0;
    for id in 0..1_000 {
        in_and_out += usize::from(comes(&mut gate, id, node(1), &from(u8::try_from(id % 200).expect("small"), 1)));
        let (ours, theirs) = (multiaddr("/ip4/45.9.9.9/tcp/1"), from(1, 1));
        gate.on_swarm_event(FromSwarm::ListenFailure(ListenFailure {
            local_addr: &ours,
            send_back_addr: &theirs,
            error: &ListenError::Aborted,
            connection_id: ConnectionId::new_unchecked(id),
            peer_id: Some(peer_of(node(1))),
        }));
    }
    let share = Charge::Connections.payer();
    assert!((share.burst..=share.burst + share.per_minute).contains(&(in_and_out as u64)), "{in_and_out}");
}
