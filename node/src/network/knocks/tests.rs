use super::*;
use station_protocol::SigningKey;

fn node(number: u8) -> NodeId {
    SigningKey::from_bytes(&[number; 32]).node()
}

fn at(ip: &str, number: u8) -> Multiaddr {
    format!("/ip4/{ip}/tcp/4720/p2p/{}", peer_id::peer_of(node(number))).parse().expect("a multiaddr")
}

fn knocks(addresses: &[Multiaddr]) -> (Knocks, Instant) {
    let now = Instant::now();
    (Knocks::new(addresses, node(9), now), now)
}

fn wrapped(kind: io::ErrorKind) -> DialError {
    let error = io::Error::other(io::Error::other(io::Error::from(kind)));
    DialError::Transport(vec![("/ip4/127.0.0.1/tcp/1".parse().expect("a multiaddr"), TransportError::Other(error))])
}

fn knock(knocks: &Knocks, now: Instant) -> Vec<Knock> {
    knocks.told(now).into_iter().map(|bootstrap| bootstrap.knock).collect()
}

#[test]
fn what_a_failed_dial_says_is_a_word() {
    let cases = [
        (io::ErrorKind::ConnectionRefused, "refused"),
        (io::ErrorKind::TimedOut, "no answer"),
        (io::ErrorKind::NetworkUnreachable, "unreachable"),
        (io::ErrorKind::UnexpectedEof, "answers, and hangs up"),
    ];
    for (kind, says) in cases {
        let (mut knocks, now) = knocks(&[at("127.0.0.1", 1)]);
        let connection = ConnectionId::new_unchecked(1);
        knocks.dials(&at("127.0.0.1", 1), connection, now);
        assert_eq!(knock(&knocks, now), [Knock::Asked]);
        knocks.failed(connection, &wrapped(kind), now);
        assert_eq!(knock(&knocks, now), [Knock::Failed(says.to_owned())]);
    }
}

#[test]
fn a_name_that_leads_nowhere_is_told_from_a_station_that_does_not_answer() {
    let (named, unnamed): (Multiaddr, Multiaddr) =
        ("/dns4/boot.example/tcp/1".parse().expect("an address"), "/ip4/192.0.2.1/tcp/1".parse().expect("one"));
    let of = |address: &Multiaddr, kind| judge(&DialError::Transport(vec![(address.clone(), TransportError::Other(io::Error::new(kind, "why")))]));
    assert_eq!(of(&named, io::ErrorKind::NotFound), Some(Knock::Nowhere { name: "boot.example".to_owned() }));
    assert_eq!(of(&named, io::ErrorKind::ConnectionRefused), Some(Knock::Failed("refused".to_owned())));
    assert!(matches!(of(&unnamed, io::ErrorKind::NotFound), Some(Knock::Failed(_))));
    assert!(Knock::Nowhere { name: "boot.example".to_owned() }.is_bad());
}

#[test]
fn an_error_that_only_shows_the_systems_words_is_read_too() {
    let error = io::Error::other("Transport: Connection refused (os error 111)");
    assert_eq!(reason(&TransportError::Other(error)), "refused");
    assert_eq!(reason(&TransportError::Other(io::Error::other("Timeout has been reached"))), "no answer");
}

#[test]
fn an_own_address_is_no_failure_and_an_unknown_dial_changes_nothing() {
    let (mut knocks, now) = knocks(&[at("127.0.0.1", 9), at("127.0.0.2", 1)]);
    knocks.failed(ConnectionId::new_unchecked(7), &wrapped(io::ErrorKind::ConnectionRefused), now);
    assert_eq!(knock(&knocks, now), [Knock::Own, Knock::Unasked]);
    // Nobody dials it, and whatever came of that would say nothing.
    assert_eq!([at("127.0.0.1", 9), at("127.0.0.2", 1)].map(|address| knocks.is_own(&address)), [true, false]);
    knocks.dials(&at("127.0.0.1", 9), ConnectionId::new_unchecked(8), now);
    knocks.failed(ConnectionId::new_unchecked(8), &wrapped(io::ErrorKind::InvalidData), now);
    assert_eq!(knock(&knocks, now), [Knock::Own, Knock::Unasked]);
}

#[test]
fn a_station_of_another_network_stays_one_until_it_says_otherwise() {
    let (mut knocks, now) = knocks(&[at("127.0.0.1", 1), at("127.0.0.2", 1)]);
    let connection = ConnectionId::new_unchecked(1);
    knocks.connected(node(1), connection, now);
    assert!(knocks.identified(node(1), "/station/my-lab/1", "/station/lost/1", now) && knocks.is_foreign(node(1)));
    knocks.closed(node(1), now);
    knocks.connected(node(1), connection, now);
    assert_eq!(knock(&knocks, now), vec![Knock::OtherNetwork("my-lab".to_owned()); 2], "of both of its addresses");
    assert!(!knocks.identified(node(1), "/station/lost/1", "/station/lost/1", now) && !knocks.is_foreign(node(1)));
    assert_eq!(knock(&knocks, now), vec![Knock::Elsewhere; 2], "it was set up anew");
    knocks.closed(node(1), now);
    assert_eq!(knock(&knocks, now), vec![Knock::Lost; 2]);
    assert!(knocks.identified(node(1), "ipfs/0.1.0", "/station/lost/1", now));
    assert_eq!(knock(&knocks, now), vec![Knock::NoStation; 2]);
}

#[test]
fn a_station_of_this_network_with_another_version_is_told_by_the_version_and_not_by_the_network() {
    let (mut knocks, now) = knocks(&[at("127.0.0.1", 1)]);
    knocks.connected(node(1), ConnectionId::new_unchecked(1), now);
    assert!(knocks.identified(node(1), "/station/my-lab/2", "/station/my-lab/1", now) && knocks.is_foreign(node(1)));
    let [told] = &knock(&knocks, now)[..] else { panic!("one address") };
    assert_eq!(*told, Knock::OtherVersion { speaks: "2".to_owned(), own: "1".to_owned() });
    assert!(told.is_bad());
    assert!(!knocks.identified(node(1), "/station/my-lab/1", "/station/my-lab/1", now));
    assert_eq!(knock(&knocks, now), [Knock::Elsewhere], "it was brought up to date");
    assert!(knocks.identified(node(1), "/station/my-laboratory/1", "/station/my-lab/1", now));
    assert_eq!(knock(&knocks, now), [Knock::OtherNetwork("my-laboratory".to_owned())]);
}

#[test]
fn who_is_of_another_network_is_known_to_be_so_although_its_address_leads_nowhere() {
    let (mut knocks, now) = knocks(&[at("127.0.0.1", 1)]);
    let connection = ConnectionId::new_unchecked(1);
    knocks.dials(&at("127.0.0.1", 1), connection, now);
    knocks.failed(connection, &wrapped(io::ErrorKind::ConnectionRefused), now);
    knocks.connected(node(1), ConnectionId::new_unchecked(2), now);
    assert!(knocks.identified(node(1), "/station/my-lab/1", "/station/lost/1", now));
    assert_eq!(knock(&knocks, now), [Knock::Failed("refused".to_owned())]);
    assert!(knocks.is_foreign(node(1)), "it dialled this station, and does not count as a bootstrap node");
}

#[test]
fn an_address_that_leads_nowhere_is_told_although_its_station_is_connected_over_another() {
    let (good, dead) = (at("127.0.0.1", 1), at("127.0.0.2", 1));
    for connected_first in [true, false] {
        let (mut knocks, now) = knocks(&[good.clone(), dead.clone()]);
        let [to_good, to_dead] = [1, 2].map(ConnectionId::new_unchecked);
        knocks.dials(&good, to_good, now);
        knocks.dials(&dead, to_dead, now);
        if connected_first {
            knocks.connected(node(1), to_good, now);
            assert_eq!(knock(&knocks, now), [Knock::Connected, Knock::Elsewhere]);
        }
        knocks.failed(to_dead, &wrapped(io::ErrorKind::ConnectionRefused), now);
        knocks.connected(node(1), to_good, now);
        let told = knock(&knocks, now);
        assert_eq!(told[1], Knock::Failed("refused".to_owned()), "{told:?}");
        assert_eq!(told[0], Knock::Connected, "{told:?}");
    }
    // It dialled this station: none of its addresses is proved.
    let (mut knocks, now) = knocks(&[good]);
    knocks.connected(node(1), ConnectionId::new_unchecked(9), now);
    assert_eq!(knock(&knocks, now), [Knock::Elsewhere]);
}

#[test]
fn a_place_is_said_shortly() {
    for (address, says) in [
        ("/ip4/127.0.0.1/tcp/4720", "127.0.0.1/4720"),
        ("/ip4/127.0.0.1/udp/4720/quic-v1", "127.0.0.1/4720 by QUIC"),
        ("/dns4/boot.example/tcp/4710", "boot.example/4710"),
    ] {
        assert_eq!(place(&address.parse().expect("a multiaddr")), says);
    }
}
