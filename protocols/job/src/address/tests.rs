//! The grammar against the rules of those who dial, and the table.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::special::SpecialUse;
use super::*;
use crate::identity::SigningKey;

fn node(seed: u8) -> NodeId {
    SigningKey::from_bytes(&[seed; 32]).node()
}

/// The rule of libp2p-tcp 0.45: IP and port are popped from the end, whatever stands before them.
fn dialled_by_tcp(text: &str) -> Option<SocketAddr> {
    let mut port = None;
    let mut parts: Vec<&str> = text.split('/').skip(1).collect();
    while let Some(value) = parts.pop() {
        // Protocols without a value stand alone.
        if matches!(value, "quic-v1" | "p2p-circuit") {
            return None;
        }
        match (parts.pop()?, port) {
            ("ip4" | "ip6", port) => return Some(SocketAddr::new(value.parse().ok()?, port?)),
            ("tcp", None) => port = Some(value.parse().ok()?),
            ("p2p", _) => {}
            _ => return None,
        }
    }
    None
}

/// The rule of libp2p-quic 0.13: IP, port and version stand at the beginning, and after them nothing but peer ids.
fn dialled_by_quic(text: &str) -> Option<SocketAddr> {
    let parts: Vec<&str> = text.split('/').skip(1).collect();
    let [family, ip, "udp", port, "quic-v1", rest @ ..] = parts.as_slice() else { return None };
    let known = matches!(*family, "ip4" | "ip6") && rest.chunks(2).all(|pair| pair.first() == Some(&"p2p"));
    known.then(|| Some(SocketAddr::new(ip.parse().ok()?, port.parse().ok()?)))?
}

/// What is dialled when the text is: of a circuit, what stands before it.
fn dialled(text: &str) -> Option<SocketAddr> {
    let first = text.rsplit_once("/p2p-circuit").map_or(text, |(relay, _)| relay);
    dialled_by_tcp(first).or_else(|| dialled_by_quic(first))
}

/// Pieces from which well-formed, overlong, doubled and bent addresses are made.
fn piece() -> impl Strategy<Value = String> {
    let fixed = [
        "/ip4/8.8.8.8",
        "/ip4/127.0.0.1",
        "/ip4/08.8.8.8",
        "/ip4/8.8.8",
        "/ip6/2606:4700::1",
        "/ip6/::1",
        "/ip6/0:0:0:0:0:0:0:1",
        "/ip6/2606:4700:0::1",
        "/ip6/2606:4700::A",
        "/ip6/::ffff:8.8.8.8",
        "/ip6zone/eth0",
        "/dns4/localhost",
        "/dns/a.example",
        "/dnsaddr/a.example",
        "/tcp/4001",
        "/tcp/04001",
        "/tcp/+1",
        "/tcp/0",
        "/tcp/65536",
        "/udp/4001",
        "/udp/4001/quic-v1",
        "/udp/0/quic-v1",
        "/udp/4001/quic",
        "/quic-v1",
        "/p2p-circuit",
        "/ws",
        "/tls",
        "/unix/a",
        "/memory/1",
        "/",
        "",
        " ",
        "//",
        "/p2p",
        "/ip4",
    ];
    prop_oneof![4 => select(fixed.to_vec()).prop_map(str::to_owned), 1 => (1u8..4).prop_map(|seed| format!("/p2p/{}", node(seed)))]
}

/// An address as it should be, in parts.
fn good() -> impl Strategy<Value = Vec<String>> {
    let ip = prop_oneof![
        any::<[u8; 4]>().prop_map(|ip| format!("/ip4/{}", std::net::Ipv4Addr::from(ip))),
        any::<u128>().prop_map(|ip| format!("/ip6/{}", std::net::Ipv6Addr::from(ip)))
    ];
    let transport = prop_oneof![(1u16..).prop_map(|port| format!("/tcp/{port}")), (1u16..).prop_map(|port| format!("/udp/{port}/quic-v1"))];
    let relay = prop_oneof![Just(None), (1u8..4).prop_map(|seed| Some(format!("/p2p/{}/p2p-circuit", node(seed))))];
    (ip, transport, relay, 1u8..4).prop_map(|(ip, transport, relay, seed)| {
        [Some(ip), Some(transport), relay, Some(format!("/p2p/{}", node(seed)))].into_iter().flatten().collect()
    })
}

/// Good parts with others put in, taken out or doubled.
fn text() -> impl Strategy<Value = String> {
    let bent = (good(), vec((any::<prop::sample::Index>(), piece(), 0u8..3), 0..3)).prop_map(|(mut parts, changes)| {
        for (place, piece, change) in changes {
            match (change, parts.is_empty()) {
                (0, _) => parts.insert(place.index(parts.len() + 1), piece),
                (1, false) => drop(parts.remove(place.index(parts.len()))),
                (_, false) => {
                    let at = place.index(parts.len());
                    parts[at] = piece;
                }
                (_, true) => {}
            }
        }
        parts.concat()
    });
    prop_oneof![3 => bent, 1 => vec(piece(), 0..7).prop_map(|parts| parts.concat())]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_096, ..ProptestConfig::default() })]

    #[test]
    fn what_parses_is_dialled_at_its_endpoint_and_has_no_other_spelling(text in text()) {
        if let Ok(route) = text.parse::<Route>() {
            prop_assert_eq!(dialled(&text), Some(route.endpoint.socket()), "{}", &text);
            prop_assert_eq!(route.to_string(), text.clone());
            prop_assert_eq!(Address::parse(&text).is_ok(), route.node.is_some());
        }
        if let Ok(address) = Address::parse(&text) {
            prop_assert_eq!(Address::parse(&address.to_string()), Ok(address.clone()));
            prop_assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn every_good_address_parses(parts in good()) {
        let text = parts.concat();
        let address = Address::parse(&text);
        let carries = text.contains("/ip6/::ffff:");
        prop_assert!(address.is_ok() || carries, "{}: {:?}", text, address);
    }
}

#[test]
fn a_second_ip_a_name_or_another_spelling_is_no_address() {
    let node = node(1);
    for (before, error) in [
        ("/ip4/8.8.8.8/tcp/1/ip4/127.0.0.1/tcp/47999", AddressError::Rest),
        ("/ip4/9.9.9.9/tcp/1/dns4/localhost/tcp/1", AddressError::Rest),
        ("/dns4/localhost/tcp/1", AddressError::NoIp),
        ("/ip4/8.8.8.8/tcp/1/ws", AddressError::Rest),
        ("/ip4/8.8.8.8/udp/1/quic", AddressError::NoTransport),
        ("/ip4/8.8.8.8/udp/1", AddressError::NoTransport),
        ("/ip4/8.8.8.8/tcp/0", AddressError::NoTransport),
        ("/ip4/8.8.8.8/tcp/01", AddressError::NoTransport),
        ("/ip6/2606:4700:0:0::1/tcp/1", AddressError::NoIp),
        ("/ip6/::ffff:8.8.8.8/tcp/1", AddressError::Mapped),
        ("ip4/8.8.8.8/tcp/1", AddressError::NoIp),
        ("x/ip4/8.8.8.8/tcp/1", AddressError::NoIp),
        ("/ip4/8.8.8.8/tcp/1/", AddressError::Rest),
        ("/ip4/8.8.8.8/tcp/1/p2p-circuit", AddressError::Rest),
    ] {
        assert_eq!(Address::parse(&format!("{before}/p2p/{node}")), Err(error), "{before}");
    }
    let good = format!("/ip4/8.8.8.8/tcp/1/p2p/{node}");
    assert_eq!(Address::parse(&format!("{good}/p2p/{node}")), Err(AddressError::Rest));
    assert_eq!(Address::parse(&format!("{good}/")), Err(AddressError::Rest));
    assert_eq!(Address::parse("/ip4/8.8.8.8/tcp/1"), Err(AddressError::NoNode));
    assert_eq!(Address::parse(&format!("/{}", "a".repeat(ADDRESS_BYTES_MAX))), Err(AddressError::TooLong));
}

#[test]
fn the_longest_address_fits() {
    let relay = node(1);
    let text = format!("/ip6/2606:4700:4700:1111:1111:1111:1111:1111/udp/65535/quic-v1/p2p/{relay}/p2p-circuit/p2p/{relay}");
    assert!(text.len() <= 190, "{}", text.len());
    assert_eq!(Address::parse(&text).map(|address| address.to_string()), Ok(text));
}

#[test]
fn an_endpoint_is_an_address_without_anybody() {
    assert_eq!("/ip4/8.8.8.8/udp/1/quic-v1".parse::<Endpoint>().map(|endpoint| endpoint.socket().to_string()), Ok("8.8.8.8:1".to_owned()));
    assert_eq!(format!("/ip4/8.8.8.8/tcp/1/p2p/{}", node(1)).parse::<Endpoint>(), Err(AddressError::Rest));
}

#[test]
fn a_stranger_may_name_the_public_internet_and_in_one_room_the_room() {
    for ip in ["127.0.0.1", "10.0.0.1", "100.64.0.1", "169.254.1.1", "192.0.2.1", "198.18.0.1", "::1", "fd00::1", "fe80::1", "2001:db8::1"] {
        assert!(!Reach::Global.allows(ip.parse().unwrap()) && Reach::Any.allows(ip.parse().unwrap()), "{ip}");
    }
    for ip in [
        "0.0.0.0",
        "0.1.2.3",
        "192.0.0.8",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "ff02::1",
        "2002:7f00:1::",
        "::ffff:127.0.0.1",
        "64:ff9b::10.0.0.1",
    ] {
        assert!(!Reach::Global.allows(ip.parse().unwrap()) && !Reach::Any.allows(ip.parse().unwrap()), "{ip}");
    }
    let public: Endpoint = "/ip6/2606:4700::1/tcp/1".parse().unwrap();
    assert!(public.is_dialable(Reach::Global) && public.is_dialable(Reach::Any));
}

#[test]
fn the_first_and_last_address_of_each_refused_range_is_refused_and_its_neighbours_are_not() {
    use SpecialUse as R;
    let rows: &[(&str, Result<(), R>)] = &[
        ("0.0.0.0", Err(R::ThisNetwork)),
        ("0.255.255.255", Err(R::ThisNetwork)),
        ("1.0.0.0", Ok(())),
        ("9.255.255.255", Ok(())),
        ("10.0.0.0", Err(R::Private)),
        ("10.255.255.255", Err(R::Private)),
        ("11.0.0.0", Ok(())),
        ("100.63.255.255", Ok(())),
        ("100.64.0.0", Err(R::Shared)),
        ("100.100.100.200", Err(R::Shared)),
        ("100.127.255.255", Err(R::Shared)),
        ("100.128.0.0", Ok(())),
        ("126.255.255.255", Ok(())),
        ("127.0.0.1", Err(R::Loopback)),
        ("127.255.255.255", Err(R::Loopback)),
        ("128.0.0.0", Ok(())),
        ("169.253.255.255", Ok(())),
        ("169.254.169.254", Err(R::LinkLocal)),
        ("169.255.0.0", Ok(())),
        ("172.15.255.255", Ok(())),
        ("172.16.0.0", Err(R::Private)),
        ("172.31.255.255", Err(R::Private)),
        ("172.32.0.0", Ok(())),
        ("192.0.0.170", Err(R::Protocol)),
        ("192.0.1.0", Ok(())),
        ("192.0.2.1", Err(R::Documentation)),
        ("192.31.196.1", Err(R::Protocol)),
        ("192.52.193.1", Err(R::Protocol)),
        ("192.88.99.1", Err(R::Protocol)),
        ("192.167.255.255", Ok(())),
        ("192.168.0.0", Err(R::Private)),
        ("192.169.0.0", Ok(())),
        ("192.175.48.1", Err(R::Protocol)),
        ("198.17.255.255", Ok(())),
        ("198.18.0.0", Err(R::Benchmark)),
        ("198.19.255.255", Err(R::Benchmark)),
        ("198.20.0.0", Ok(())),
        ("198.51.100.1", Err(R::Documentation)),
        ("203.0.113.1", Err(R::Documentation)),
        ("223.255.255.255", Ok(())),
        ("224.0.0.1", Err(R::Multicast)),
        ("239.255.255.255", Err(R::Multicast)),
        ("240.0.0.1", Err(R::Reserved)),
        ("255.255.255.255", Err(R::Reserved)),
        ("8.8.8.8", Ok(())),
        ("::", Err(R::ThisNetwork)),
        ("::1", Err(R::Loopback)),
        ("::127.0.0.1", Err(R::Loopback)),
        ("::8.8.8.8", Err(R::Translated)),
        ("::ffff:127.0.0.1", Err(R::Loopback)),
        ("::ffff:8.8.8.8", Err(R::Translated)),
        ("64:ff9b::10.0.0.1", Err(R::Private)),
        ("64:ff9b::8.8.8.8", Err(R::Translated)),
        ("64:ff9b:1::8.8.8.8", Err(R::Translated)),
        ("2001::1", Err(R::Reserved)),
        ("2001:0:0:0:0:0:80ff:fffe", Err(R::Loopback)),
        ("2001:1ff::1", Err(R::Protocol)),
        ("2001:200::1", Ok(())),
        ("2001:db8::1", Err(R::Documentation)),
        ("2001:db9::1", Ok(())),
        ("2002:7f00:1::", Err(R::Loopback)),
        ("2002:808:808::", Err(R::Translated)),
        ("2003::1", Ok(())),
        ("2620:4f:8000::1", Err(R::Protocol)),
        ("2620:4f:8001::1", Ok(())),
        ("3fff::1", Err(R::Documentation)),
        ("3fff:1000::1", Ok(())),
        ("1fff::1", Err(R::NotGlobal)),
        ("4000::1", Err(R::NotGlobal)),
        ("fd00:ec2::254", Err(R::Private)),
        ("fc00::1", Err(R::Private)),
        ("fe80::1", Err(R::LinkLocal)),
        ("fec0::1", Err(R::NotGlobal)),
        ("ff02::1", Err(R::Multicast)),
        ("2606:4700:4700::1111", Ok(())),
    ];
    for (ip, verdict) in rows {
        assert_eq!(special::judge(ip.parse().unwrap()), *verdict, "{ip}");
    }
}
