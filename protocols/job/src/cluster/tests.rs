use super::*;

fn node(number: u8) -> NodeId {
    NodeId([number; 32])
}

fn of(number: u8, ip: &str, reach: Reach) -> Cluster {
    Cluster::of(node(number), ip.parse().unwrap(), None, reach)
}

#[test]
fn a_slash_24_and_a_slash_48_share_a_seat() {
    for reach in [Reach::Any, Reach::Global] {
        assert_eq!(of(1, "45.51.100.1", reach), of(2, "45.51.100.200", reach));
        assert_ne!(of(1, "45.51.100.1", reach), of(2, "45.51.101.1", reach));
        assert_eq!(of(1, "2a00:db8:1:2::1", reach), of(2, "2a00:db8:1:ffff::9", reach));
        assert_ne!(of(1, "2a00:db8:1::1", reach), of(2, "2a00:db8:2::1", reach));
    }
}

#[test]
fn a_mapped_address_is_the_address_it_maps() {
    for reach in [Reach::Any, Reach::Global] {
        assert_eq!(of(1, "::ffff:45.51.100.1", reach), of(2, "45.51.100.2", reach));
        assert_eq!(of(1, "::ffff:10.0.0.1", reach), of(1, "10.0.0.1", reach));
        assert!(is_private("::ffff:10.0.0.1".parse().unwrap()));
    }
}

const PRIVATE: [&str; 7] = ["127.0.0.1", "10.1.2.3", "192.168.1.1", "169.254.1.1", "::1", "fd00::1", "fe80::1"];

#[test]
fn private_and_loopback_peers_are_each_their_own_on_a_local_network() {
    for ip in PRIVATE {
        assert_eq!(of(1, ip, Reach::Any), Cluster::Own(node(1)), "{ip}");
        assert!(is_private(ip.parse().unwrap()), "{ip}");
    }
}

#[test]
fn addresses_that_anybody_can_have_are_one_cluster_on_a_public_network() {
    for ip in PRIVATE.into_iter().chain([
        "0.0.0.0",
        "::",
        "100.64.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "240.0.0.1",
        "64:ff9b::102:304",
        "2002:102:304::1",
        "2001::1",
    ]) {
        assert_eq!(of(1, ip, Reach::Global), Cluster::Private, "{ip}");
    }
}

#[test]
fn who_comes_through_a_relay_is_where_the_relay_is_whatever_its_key() {
    let relayed = |number, ip: &str, relay, reach| Cluster::of(node(number), ip.parse().unwrap(), Some(node(relay)), reach);
    for reach in [Reach::Any, Reach::Global] {
        assert_eq!(relayed(1, "45.51.100.1", 9, reach), relayed(2, "45.51.100.1", 8, reach));
        assert_eq!(relayed(1, "45.51.100.1", 9, reach), of(3, "45.51.100.77", reach));
        assert_ne!(relayed(1, "45.51.100.1", 9, reach), relayed(1, "45.51.101.1", 9, reach));
    }
    // On a local network they share the relay's own seat.
    assert_eq!(relayed(1, "10.0.0.1", 9, Reach::Any), relayed(2, "10.0.0.1", 9, Reach::Any));
    assert_eq!(relayed(1, "10.0.0.1", 9, Reach::Any), of(9, "10.0.0.1", Reach::Any));
}
