//! How many connections there may be, and what is left of those that were.

use libp2p::core::{ConnectedPoint, Endpoint, transport::PortUse};
use libp2p::swarm::behaviour::{ConnectionClosed, ConnectionEstablished};
use libp2p::swarm::{ConnectionId, FromSwarm, NetworkBehaviour};
use libp2p::{Multiaddr, PeerId};
use station_protocol::address::Reach;

use super::super::config::{OUTBOUND_MAX, PER_PEER_MAX};
use super::super::limits::{Limits, PENDING_MAX};
use super::super::peer_id::{keypair, peer_of};
use super::super::{addresses, reach};
use super::{multiaddr, node, secret};
use crate::ledger::Ledger;

fn place() -> Multiaddr {
    multiaddr("/ip4/45.1.1.1/tcp/1")
}

fn endpoint() -> ConnectedPoint {
    ConnectedPoint::Listener { local_addr: place(), send_back_addr: place() }
}

fn comes(limits: &mut Limits, number: usize, peer: PeerId) -> bool {
    let id = ConnectionId::new_unchecked(number);
    let is_let_in = limits.handle_pending_inbound_connection(id, &place(), &place()).is_ok()
        && limits.handle_established_inbound_connection(id, peer, &place(), &place()).is_ok();
    if is_let_in {
        let (endpoint, failed) = (endpoint(), []);
        let new = ConnectionEstablished { peer_id: peer, connection_id: id, endpoint: &endpoint, failed_addresses: &failed, other_established: 0 };
        limits.on_swarm_event(FromSwarm::ConnectionEstablished(new));
    }
    is_let_in
}

fn goes(limits: &mut Limits, number: usize, peer: PeerId) {
    let endpoint = endpoint();
    let old = ConnectionClosed {
        peer_id: peer,
        connection_id: ConnectionId::new_unchecked(number),
        endpoint: &endpoint,
        cause: None,
        remaining_established: 0,
    };
    limits.on_swarm_event(FromSwarm::ConnectionClosed(old));
}

/// A key for each number.
fn peer(number: usize) -> PeerId {
    let mut bytes = secret(1);
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    keypair(bytes).public().to_peer_id()
}

#[test]
fn any_number_of_keys_that_came_and_went_leaves_nothing_behind() {
    let mut limits = Limits::new(64);
    for number in 0..300 {
        assert!(comes(&mut limits, number, peer(number)));
        goes(&mut limits, number, peer(number));
    }
    assert_eq!(limits.len(), 0);
}

#[test]
fn one_peer_and_all_together_have_so_many_connections_and_each_that_ends_makes_room() {
    let mut limits = Limits::new(64);
    let come = |limits: &mut Limits, ids: std::ops::Range<usize>, of: &dyn Fn(usize) -> PeerId| ids.filter(|id| comes(limits, *id, of(*id))).count();
    assert_eq!(come(&mut limits, 0..10, &|_| peer(1)), PER_PEER_MAX as usize);
    goes(&mut limits, 0, peer(1));
    assert_eq!(come(&mut limits, 10..20, &|_| peer(1)), 1);
    let most = 64 + 16 - PER_PEER_MAX as usize;
    assert_eq!(come(&mut limits, 100..300, &peer), most);
    limits.resize(70);
    assert_eq!(come(&mut limits, 300..400, &peer), 6);
}

#[test]
fn handshakes_dials_and_own_connections_are_bounded() {
    let mut limits = Limits::new(64);
    let begun =
        (0..1_000).filter(|id| limits.handle_pending_inbound_connection(ConnectionId::new_unchecked(*id), &place(), &place()).is_ok()).count();
    let dial =
        |limits: &mut Limits, id| limits.handle_pending_outbound_connection(ConnectionId::new_unchecked(id), None, &[], Endpoint::Dialer).is_ok();
    let dialled = (0..1_000).filter(|id| dial(&mut limits, *id)).count();
    assert_eq!((begun, dialled), PENDING_MAX);
    let mut limits = Limits::new(64);
    let mut opened = 0;
    for number in 0..200 {
        let id = ConnectionId::new_unchecked(number);
        assert!(dial(&mut limits, number));
        if limits.handle_established_outbound_connection(id, peer(number), &place(), Endpoint::Dialer, PortUse::New).is_ok() {
            opened += 1;
            let endpoint = ConnectedPoint::Dialer { address: place(), role_override: Endpoint::Dialer, port_use: PortUse::New };
            let new =
                ConnectionEstablished { peer_id: peer(number), connection_id: id, endpoint: &endpoint, failed_addresses: &[], other_established: 0 };
            limits.on_swarm_event(FromSwarm::ConnectionEstablished(new));
        }
    }
    assert_eq!(opened, OUTBOUND_MAX);
}

#[tokio::test(start_paused = true)]
async fn strangers_that_name_the_machine_of_somebody_known_do_not_keep_this_station_from_him() {
    let ledger = Ledger::new(Reach::Global, []);
    ledger.knows(node(2), true);
    let reached = reach::Reached::new(libp2p::core::transport::dummy::DummyTransport::<()>::new(), Reach::Global, [], ledger);
    let at = |who: u8| multiaddr(&format!("/ip4/45.0.113.7/tcp/4001/p2p/{}", peer_of(node(who))));
    let knocks = (0..100).filter(|_| reached.may_dial(&at(9))).count();
    assert!(knocks < 20, "{knocks}");
    assert!(reached.may_dial(&at(2)));
    assert!(addresses::node_of_address(&at(2)).is_some());
}
