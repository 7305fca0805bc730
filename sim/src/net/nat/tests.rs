use std::collections::BTreeSet;

use station_protocol::human::Span;

use super::*;

const WAN: &str = "45.0.1.1";

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn at(s: u64) -> Nanos {
    Nanos::from_millis(1_000 * s)
}

fn udp(from: &str, to: &str) -> Packet {
    Packet { protocol: Protocol::Udp, from: addr(from), to: addr(to) }
}

fn boxed(behaviour: Behaviour) -> NatBox {
    NatBox::new(behaviour, WAN.parse().unwrap(), Luck::new(7, "nat", "test"))
}

/// The mapping test of RFC 5780, 4.3: from one socket to A:1, then A':1, then A':2.
fn measured_mapping(nat: &mut NatBox) -> Depends {
    let seen: Vec<SocketAddr> =
        ["46.0.0.1:1000", "46.0.0.2:1000", "46.0.0.2:2000"].iter().map(|to| nat.outbound(udp("10.0.0.2:4710", to), at(0)).unwrap().from).collect();
    match (seen[0] == seen[1], seen[1] == seen[2]) {
        (true, true) => Depends::Nothing,
        (false, true) => Depends::Address,
        _ => Depends::AddressAndPort,
    }
}

/// The filtering test of RFC 5780, 4.4: after writing to A:1, answers from another address, and from another port of A.
fn measured_filtering(nat: &mut NatBox) -> Depends {
    let mapped = nat.outbound(udp("10.0.0.2:4711", "46.0.0.1:1000"), at(0)).unwrap().from.to_string();
    let mut passes = |from: &str| nat.inbound(udp(from, &mapped), at(1)).map(|packet| packet.to) == Ok(addr("10.0.0.2:4711"));
    assert!(passes("46.0.0.1:1000"), "an answer always passes");
    match (passes("46.0.0.2:2000"), passes("46.0.0.1:2000")) {
        (true, _) => Depends::Nothing,
        (false, true) => Depends::Address,
        (false, false) => Depends::AddressAndPort,
    }
}

#[test]
fn each_of_the_nine_classes_measures_as_what_it_is() {
    for mapping in Depends::ALL {
        for filtering in Depends::ALL {
            for ports in [Ports::Preserved, Ports::Sequential, Ports::Random] {
                let mut nat = boxed(Behaviour { ports, ..Behaviour::new(mapping, filtering) });
                assert_eq!((measured_mapping(&mut nat), measured_filtering(&mut nat)), (mapping, filtering), "{ports:?}");
            }
        }
    }
}

#[test]
fn ports_are_preserved_counted_or_drawn() {
    let ports = |rule| {
        let mut nat = boxed(Behaviour { ports: rule, ..Behaviour::new(Depends::AddressAndPort, Depends::AddressAndPort) });
        (1..=20).map(|n| nat.outbound(udp("10.0.0.2:4710", &format!("46.0.0.{n}:1")), at(0)).unwrap().from.port()).collect::<Vec<_>>()
    };
    let preserved = ports(Ports::Preserved);
    assert_eq!(preserved[..3], [4_710, 4_711, 4_712], "the next one when it is taken");
    let sequential = ports(Ports::Sequential);
    assert!(sequential.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1).max(1_024)), "{sequential:?}");
    let random: BTreeSet<u16> = ports(Ports::Random).into_iter().collect();
    assert!(random.len() == 20 && random.iter().zip(random.iter().skip(1)).filter(|(a, b)| *b - *a < 10).count() < 3, "{random:?}");
}

#[test]
fn two_hosts_behind_one_box_never_share_a_port() {
    let mut nat = boxed(Behaviour::new(Depends::Nothing, Depends::Nothing));
    let first = nat.outbound(udp("10.0.0.2:4710", "46.0.0.1:1"), at(0)).unwrap().from;
    let second = nat.outbound(udp("10.0.0.3:4710", "46.0.0.1:1"), at(0)).unwrap().from;
    assert_ne!(first, second);
    let to = |mapped: SocketAddr, nat: &mut NatBox| nat.inbound(udp("46.0.0.1:1", &mapped.to_string()), at(0)).unwrap().to;
    assert_eq!(to(first, &mut nat), addr("10.0.0.2:4710"));
    assert_eq!(to(second, &mut nat), addr("10.0.0.3:4710"));
    // TCP has ports of its own.
    let tcp = Packet { protocol: Protocol::Tcp, ..udp("10.0.0.3:4710", "46.0.0.1:1") };
    assert_eq!(nat.outbound(tcp, at(0)).unwrap().from.port(), 4_710);
}

#[test]
fn a_mapping_ends_after_its_time_unless_something_goes_out() {
    let mut nat = boxed(Behaviour::new(Depends::Nothing, Depends::Nothing));
    let out = udp("10.0.0.2:4710", "46.0.0.1:1");
    let mapped = nat.outbound(out, at(0)).unwrap().from.to_string();
    let back = udp("46.0.0.9:9", &mapped);
    assert!(nat.inbound(back, at(119)).is_ok());
    assert_eq!(nat.inbound(back, at(120)), Err(Dropped::NoMapping), "what comes in refreshes nothing");
    nat.outbound(out, at(200)).unwrap();
    nat.outbound(out, at(300)).unwrap();
    assert!(nat.inbound(back, at(419)).is_ok(), "what goes out does");
    // Another host may have the port afterwards.
    assert_eq!(nat.outbound(udp("10.0.0.3:4710", "46.0.0.1:1"), at(500)).unwrap().from.port(), 4_710);
    assert_eq!(nat.mappings(), 1);
    let tcp = Packet { protocol: Protocol::Tcp, ..out };
    nat.outbound(tcp, at(0)).unwrap();
    let tcp_back = Packet { protocol: Protocol::Tcp, ..back };
    assert!(nat.inbound(tcp_back, at(7_439)).is_ok());
    assert!(nat.inbound(tcp_back, at(7_440)).is_err());
}

#[test]
fn permission_of_one_remote_end_ends_while_the_mapping_lives() {
    let mut nat = boxed(Behaviour::new(Depends::Nothing, Depends::AddressAndPort));
    let mapped = nat.outbound(udp("10.0.0.2:4710", "46.0.0.1:1"), at(0)).unwrap().from.to_string();
    nat.outbound(udp("10.0.0.2:4710", "46.0.0.2:1"), at(100)).unwrap();
    assert_eq!(nat.inbound(udp("46.0.0.1:1", &mapped), at(121)), Err(Dropped::Filtered));
    assert!(nat.inbound(udp("46.0.0.2:1", &mapped), at(121)).is_ok());
}

#[test]
fn what_nobody_asked_for_is_dropped_silently_or_reset() {
    let silent = Behaviour::new(Depends::Nothing, Depends::AddressAndPort);
    let packet = |protocol| Packet { protocol, ..udp("46.0.0.1:1", "45.0.1.1:4710") };
    assert_eq!(boxed(silent).inbound(packet(Protocol::Tcp), at(0)), Err(Dropped::NoMapping));
    let hostile = Behaviour { unsolicited: Unsolicited::Reset, ..silent };
    assert_eq!(boxed(hostile).inbound(packet(Protocol::Tcp), at(0)), Err(Dropped::Reset));
    assert_eq!(boxed(hostile).inbound(packet(Protocol::Udp), at(0)), Err(Dropped::NoMapping));
}

#[test]
fn the_table_is_bounded_and_makes_room_when_mappings_end() {
    let mut nat = boxed(Behaviour { udp_timeout: Span(10_000), ..Behaviour::new(Depends::AddressAndPort, Depends::AddressAndPort) });
    let out = |n: usize| udp("10.0.0.2:4710", &format!("46.0.{}.{}:1", n / 250, n % 250));
    for n in 0..MAPPINGS_MAX {
        assert!(nat.outbound(out(n), at(0)).is_ok());
    }
    assert_eq!(nat.outbound(out(MAPPINGS_MAX), at(5)), Err(Dropped::Full));
    assert!(nat.outbound(out(MAPPINGS_MAX), at(10)).is_ok());
    assert_eq!(nat.mappings(), 1);
    // Remote ends of one mapping are bounded too.
    let mut open = boxed(Behaviour::new(Depends::Nothing, Depends::AddressAndPort));
    for n in 0..2 * REMOTES_MAX {
        open.outbound(out(n), at(n as u64 / 100)).unwrap();
    }
    assert_eq!(open.mappings.values().map(|mapping| mapping.remotes.len()).collect::<Vec<_>>(), [REMOTES_MAX]);
}

#[test]
fn a_wall_lets_in_only_what_answers() {
    let mut wall = Wall::new(true, Unsolicited::Dropped);
    assert_eq!(wall.inbound(udp("46.0.0.1:1", "45.0.2.1:4710"), at(0)), Err(Dropped::Filtered));
    wall.outbound(udp("45.0.2.1:4710", "46.0.0.1:1"), at(0)).unwrap();
    assert!(wall.inbound(udp("46.0.0.1:1", "45.0.2.1:4710"), at(1)).is_ok());
    assert_eq!(wall.inbound(udp("46.0.0.1:2", "45.0.2.1:4710"), at(1)), Err(Dropped::Filtered));
    assert_eq!(wall.inbound(udp("46.0.0.1:1", "45.0.2.1:4710"), at(121)), Err(Dropped::Filtered));
    let mut strict = Wall::new(false, Unsolicited::Dropped);
    assert_eq!(strict.outbound(udp("45.0.2.1:4710", "46.0.0.1:1"), at(0)), Err(Dropped::Forbidden));
    assert!(strict.outbound(udp("45.0.2.1:4710", "46.0.0.1:53"), at(0)).is_ok());
}
