//! What each of two, and of many, sees of a station. Addresses are data here; nothing is dialled.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;
use crate::SigningKey;

const REACH: Reach = Reach::Any;

fn node() -> NodeId {
    SigningKey::from_bytes(&[1; 32]).node()
}

fn ip(net: u8) -> IpAddr {
    Ipv4Addr::new(198, 51, net, 7).into()
}

fn witness(number: u8) -> Cluster {
    Cluster::V4([203, 0, number])
}

fn place(whereabouts: &Whereabouts) -> Option<Cluster> {
    whereabouts.at(ip(0), node(), REACH)
}

#[test]
fn what_most_clusters_say_is_believed_and_each_has_one_word() {
    let mut whereabouts = Whereabouts::default();
    assert_eq!(place(&whereabouts), None);
    assert!(whereabouts.seen(witness(1), ip(100), node(), REACH));
    assert_eq!(place(&whereabouts), Some(Cluster::V4([198, 51, 100])));
    assert!(!whereabouts.seen(witness(2), ip(100), node(), REACH));
    for _ in 0..10 {
        assert!(!whereabouts.seen(witness(3), ip(66), node(), REACH), "one of three, however often it says so");
    }
}

#[test]
fn after_a_move_the_first_half_of_the_peers_is_believed() {
    let mut whereabouts = Whereabouts::default();
    for number in 0..100 {
        whereabouts.seen(witness(number), ip(1), node(), REACH);
    }
    let told = (100..).position(|number| whereabouts.seen(witness(number), ip(2), node(), REACH));
    assert_eq!(told, Some(WITNESSES_MAX / 2 - 1), "of two that as many say the newer one");
    assert!(whereabouts.v4.0.len() <= WITNESSES_MAX);
}

#[test]
fn families_are_seen_apart_and_private_addresses_say_nothing() {
    let mut whereabouts = Whereabouts::default();
    let v6: IpAddr = Ipv6Addr::new(0x2001, 0xdb8, 5, 6, 0, 0, 0, 1).into();
    assert!(!whereabouts.seen(witness(1), Ipv4Addr::new(10, 0, 0, 1).into(), node(), REACH));
    assert!(whereabouts.seen(witness(1), v6, node(), REACH));
    assert_eq!(place(&whereabouts), None);
    assert_eq!(whereabouts.at(v6, node(), REACH), Some(Cluster::V6([0x20, 1, 0xd, 0xb8, 0, 5])));
    assert!(whereabouts.anywhere().eq(whereabouts.at(v6, node(), REACH)));
    assert_eq!(whereabouts.at(Ipv4Addr::LOCALHOST.into(), node(), REACH), Some(Cluster::Own(node())));
    // An IPv4 address written as IPv6 is one.
    assert!(whereabouts.seen(witness(1), Ipv4Addr::new(198, 51, 100, 7).to_ipv6_mapped().into(), node(), REACH));
    assert_eq!(place(&whereabouts), Some(Cluster::V4([198, 51, 100])));
}
