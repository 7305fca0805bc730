use super::*;

fn node(number: u8) -> NodeId {
    NodeId([number; 32])
}

fn of(number: u8, ip: &str) -> Cluster {
    Cluster::of(node(number), ip.parse().unwrap(), None)
}

#[test]
fn a_slash_24_and_a_slash_48_share_a_seat() {
    assert_eq!(of(1, "198.51.100.1"), of(2, "198.51.100.200"));
    assert_ne!(of(1, "198.51.100.1"), of(2, "198.51.101.1"));
    assert_eq!(of(1, "2001:db8:1:2::1"), of(2, "2001:db8:1:ffff::9"));
    assert_ne!(of(1, "2001:db8:1::1"), of(2, "2001:db8:2::1"));
}

#[test]
fn a_mapped_address_is_the_address_it_maps() {
    assert_eq!(of(1, "::ffff:198.51.100.1"), of(2, "198.51.100.2"));
}

#[test]
fn private_and_loopback_peers_are_each_their_own() {
    for ip in ["127.0.0.1", "10.1.2.3", "192.168.1.1", "169.254.1.1", "::1", "fd00::1", "fe80::1"] {
        assert_ne!(of(1, ip), of(2, ip), "{ip}");
    }
}

#[test]
fn relayed_peers_share_the_seat_of_their_relay() {
    let relayed = |number, relay| Cluster::of(node(number), "127.0.0.1".parse().unwrap(), Some(node(relay)));
    assert_eq!(relayed(1, 9), relayed(2, 9));
    assert_ne!(relayed(1, 9), relayed(1, 8));
}
