//! Who gets in at the gate.

use std::task::Poll;

use futures::task::{Context, noop_waker_ref};
use libp2p::Multiaddr;
use libp2p::swarm::behaviour::ListenFailure;
use libp2p::swarm::{CloseConnection, ConnectionId, FromSwarm, ListenError, NetworkBehaviour, ToSwarm};
use station_protocol::NodeId;
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

#[test]
fn whoever_writes_anothers_address_into_datagrams_does_not_use_up_its_places() {
    let mut gate = gate(64);
    let quic = multiaddr("/ip4/45.0.1.1/udp/4001/quic-v1");
    let begun = (0..1_000).filter(|id| begins(&mut gate, *id, &quic)).count();
    assert_eq!(begun, 64, "a number of their own");
    assert!(begins(&mut gate, 2_000, &from(1, 1)), "over TCP the same machine comes in");
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
    let share = station_protocol::accounts::Charge::Connections.payer();
    assert!((share.burst..=share.burst + share.per_minute).contains(&(in_and_out as u64)), "{in_and_out}");
}
