//! The tables without a swarm: addresses, dialling, standing, topics, back-off.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use libp2p::multiaddr::Protocol;
use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use station_protocol::accounts::Charge;
use station_protocol::address::Address;
use station_protocol::bounded::List;
use station_protocol::cluster::Cluster;
use station_protocol::work::At;
use station_protocol::{NodeId, PeerAction};
use tokio::time::Instant;

use super::super::bootstrap::Backoff;
use super::super::config::{Reach, TOPIC_PEERS_CHOSEN, TOPIC_PEERS_HELD, TOPIC_PEERS_LOW, WAITING_MAX};
use super::super::dialing::Dialing;
use super::super::peer_id::{NotANode, node_of, peer_of};
use super::super::standing::{Consequence, PEERS_MAX, Standing};
use super::super::topics::Topics;
use super::super::{addresses, reach};
use super::{multiaddr, name, node};
use crate::ledger::Ledger;

fn at(ips: &[&str]) -> At {
    List::first(ips.iter().map(|ip| Address::parse(&format!("/ip4/{ip}/tcp/1/p2p/{}", node(2))).expect("an address")))
}

#[test]
fn node_ids_and_peer_ids_are_the_same_key() {
    assert_eq!(node_of(&peer_of(node(7))), Ok(node(7)));
    assert_eq!(peer_of(node(7)).to_string(), node(7).to_string());
}

#[test]
fn weak_keys_and_other_kinds_of_key_are_no_nodes() {
    let small_order = [
        [0; 32],
        std::array::from_fn(|i| u8::from(i == 0)),
        std::array::from_fn(|i| {
            if i == 0 {
                0xec
            } else if i == 31 {
                0x7f
            } else {
                0xff
            }
        }),
    ];
    for key in small_order {
        assert_eq!(node_of(&peer_of(NodeId(key))), Err(NotANode::WeakKey), "{key:02x?}");
    }
    assert_eq!(
        node_of(&PeerId::from_bytes(&[0x12, 0x20].into_iter().chain([5; 32]).collect::<Vec<u8>>()).expect("a hashed id")),
        Err(NotANode::OtherKey)
    );
}

#[test]
fn global_addresses_are_announced_first_and_private_ones_only_alone() {
    let relayed = format!("/ip4/198.51.100.7/tcp/4001/p2p/{}/p2p-circuit", node(9));
    let known =
        ["/ip4/127.0.0.1/tcp/1", "/ip4/192.168.1.5/tcp/1", &relayed, "/ip4/203.0.113.9/udp/4001/quic-v1", "/ip4/0.0.0.0/tcp/1"].map(multiaddr);
    let texts = |known: &[Multiaddr], reach| -> Vec<String> {
        addresses::announce(node(1), known, reach).iter().map(|address| address.to_string().replace(&node(1).to_string(), "me")).collect()
    };
    assert_eq!(texts(&known, Reach::Global), ["/ip4/203.0.113.9/udp/4001/quic-v1/p2p/me".to_owned(), format!("{relayed}/p2p/me")]);
    assert_eq!(texts(&known[..2], Reach::Global), ["/ip4/192.168.1.5/tcp/1/p2p/me"]);
    assert_eq!(texts(&known[..1], Reach::Global), ["/ip4/127.0.0.1/tcp/1/p2p/me"], "there is nothing else");
    assert_eq!(texts(&known[..2], Reach::Any).len(), 2);
}

#[test]
fn at_most_two_direct_ips_are_announced() {
    let known: Vec<Multiaddr> = (1..6).map(|last| multiaddr(&format!("/ip4/203.0.113.{last}/tcp/1"))).collect();
    assert_eq!(addresses::announce(node(1), &known, Reach::Global).len(), 2);
}

#[test]
fn the_other_end_of_a_circuit_is_its_relay() {
    let relay = peer_of(node(9));
    let circuit = multiaddr(&format!("/ip4/198.51.100.7/tcp/4001/p2p/{relay}/p2p-circuit"));
    let source = multiaddr(&format!("/p2p/{}", node(3)));
    let incoming = addresses::remote(Some(&circuit), &source, |_| None).expect("known");
    assert_eq!((incoming.ip.to_string().as_str(), incoming.relay), ("198.51.100.7", Some(node(9))));
    let named = multiaddr(&format!("/dns4/relay.example/tcp/1/p2p/{relay}/p2p-circuit/p2p/{}", node(3)));
    assert_eq!(addresses::remote(None, &named, |_| None), None);
    let known = addresses::remote(None, &named, |peer| (*peer == relay).then_some([192, 0, 2, 1].into())).expect("the relay is connected");
    assert_eq!(known.relay, Some(node(9)));
    assert_eq!(addresses::remote(None, &multiaddr("/memory/1"), |_| None), None, "from nowhere");
}

/// Counts what reaches it.
struct Dialled(Vec<Multiaddr>);

impl libp2p::core::Transport for Dialled {
    type Output = ();
    type Error = std::io::Error;
    type ListenerUpgrade = std::future::Ready<Result<(), std::io::Error>>;
    type Dial = std::future::Ready<Result<(), std::io::Error>>;

    fn listen_on(
        &mut self,
        _: libp2p::core::transport::ListenerId,
        address: Multiaddr,
    ) -> Result<(), libp2p::core::transport::TransportError<std::io::Error>> {
        Err(libp2p::core::transport::TransportError::MultiaddrNotSupported(address))
    }

    fn remove_listener(&mut self, _: libp2p::core::transport::ListenerId) -> bool {
        false
    }

    fn dial(
        &mut self,
        address: Multiaddr,
        _: libp2p::core::transport::DialOpts,
    ) -> Result<Self::Dial, libp2p::core::transport::TransportError<std::io::Error>> {
        self.0.push(address);
        Ok(std::future::ready(Ok(())))
    }

    fn poll(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<libp2p::core::transport::TransportEvent<Self::ListenerUpgrade, std::io::Error>> {
        std::task::Poll::Pending
    }
}

#[test]
fn names_and_private_addresses_are_dialled_only_where_the_operator_named_them() {
    use libp2p::core::Transport;
    use libp2p::core::transport::{DialOpts, PortUse};
    let named = multiaddr(&format!("/dns4/boot.example/tcp/4001/p2p/{}", node(1)));
    let options = DialOpts { role: libp2p::core::Endpoint::Dialer, port_use: PortUse::Reuse };
    let dials = |reach, text: &str| {
        reach::Reached::new(Dialled(Vec::new()), reach, [named.clone()], Ledger::new(reach, [])).dial(multiaddr(text), options).is_ok()
    };
    for text in ["/dns4/boot.example/tcp/4001", "/ip4/45.0.113.9/tcp/1", "/ip6/2606:4700::1/udp/1/quic-v1"] {
        assert!(dials(Reach::Global, text), "{text}");
    }
    // What comes after a named address is where TCP would go.
    for tail in ["ip4/10.0.0.1/tcp/22", "ip4/127.0.0.1/tcp/22/p2p/12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X"] {
        let behind = format!("{named}/{tail}");
        assert!(!dials(Reach::Global, &behind) && !dials(Reach::Any, &behind), "{behind}");
    }
    assert!(dials(Reach::Global, &named.to_string()), "with its peer id");
    let strangers =
        ["/dns4/other.example/tcp/4001", "/dns4/boot.example/tcp/22", "/dnsaddr/boot.example", "/ip4/0.0.0.0/tcp/1", "/ip4/224.0.0.1/tcp/1"];
    for text in strangers {
        assert!(!dials(Reach::Global, text) && !dials(Reach::Any, text), "{text}");
    }
    for text in ["/ip4/192.168.1.1/tcp/80", "/ip4/127.0.0.1/tcp/1", "/ip4/169.254.169.254/tcp/80", "/ip6/::1/tcp/1"] {
        assert!(!dials(Reach::Global, text) && dials(Reach::Any, text), "{text}");
    }
}

/// The socket that libp2p-tcp connects to: by its own rule, which begins at the end and ignores what stands before.
fn dialled_by_tcp(mut address: Multiaddr) -> Option<SocketAddr> {
    let mut port = None;
    while let Some(part) = address.pop() {
        match (part, port) {
            (Protocol::Ip4(ip), Some(port)) => return Some(SocketAddr::new(ip.into(), port)),
            (Protocol::Ip6(ip), Some(port)) => return Some(SocketAddr::new(ip.into(), port)),
            (Protocol::Tcp(number), None) => port = Some(number),
            (Protocol::P2p(_), _) => {}
            _ => return None,
        }
    }
    None
}

fn part() -> impl Strategy<Value = Protocol<'static>> {
    let ip = prop_oneof![
        Just(IpAddr::from([45, 0, 113, 9])),
        Just(IpAddr::from([127, 0, 0, 1])),
        Just(IpAddr::from([192, 168, 1, 1])),
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(IpAddr::from),
    ];
    prop_oneof![
        6 => ip.prop_map(|ip| match ip {
            IpAddr::V4(ip) => Protocol::Ip4(ip),
            IpAddr::V6(ip) => Protocol::Ip6(ip),
        }),
        6 => (0u16..3).prop_map(Protocol::Tcp),
        2 => (0u16..3).prop_map(Protocol::Udp),
        1 => Just(Protocol::QuicV1),
        1 => Just(Protocol::P2pCircuit),
        2 => (1u8..4).prop_map(|number| Protocol::P2p(peer_of(node(number)))),
        1 => Just(Protocol::Dns4("localhost".into())),
        1 => Just(Protocol::Dnsaddr("example.org".into())),
        1 => Just(Protocol::Ws("/".into())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_096, failure_persistence: None, rng_seed: RngSeed::Fixed(3), ..ProptestConfig::default() })]
    #[test]
    fn what_may_be_dialled_leads_to_a_socket_that_may(parts in prop::collection::vec(part(), 1..6), lan in any::<bool>()) {
        let reach = if lan { Reach::Any } else { Reach::Global };
        let address: Multiaddr = parts.into_iter().collect();
        if reach::Reached::new(Dialled(Vec::new()), reach, [], Ledger::new(reach, [])).may_dial(&address) {
            let names = |part: &Protocol<'_>| matches!(part, Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_) | Protocol::Dnsaddr(_));
            prop_assert!(!address.iter().any(|part| names(&part)), "{}", address);
            let endpoint = addresses::endpoint_of(&address).expect("what is dialled has one");
            prop_assert!(endpoint.is_dialable(reach), "{}", address);
            if let Some(socket) = dialled_by_tcp(address.clone()) {
                prop_assert_eq!(socket, endpoint.socket());
            }
        }
    }
}

#[test]
fn the_tricks_with_two_ips_and_with_names_are_not_dialled() {
    let id = node(5);
    let tricks = [
        format!("/ip4/8.8.8.8/tcp/1/ip4/127.0.0.1/tcp/47999/p2p/{id}"),
        format!("/ip4/9.9.9.9/tcp/1/dns4/localhost/tcp/4001/p2p/{id}"),
        format!("/ip4/9.9.9.9/tcp/1/p2p/{id}/ip4/10.0.0.1/tcp/22"),
        "/ip4/9.9.9.9/tcp/0".to_owned(),
        "/ip4/100.64.0.1/tcp/80".to_owned(),
        "/ip6/64:ff9b::a00:1/tcp/80".to_owned(),
        "/ip6/::ffff:7f00:1/tcp/80".to_owned(),
    ];
    for trick in &tricks {
        let reached = reach::Reached::new(Dialled(Vec::new()), Reach::Global, [], Ledger::new(Reach::Global, []));
        assert!(!reached.may_dial(&multiaddr(trick)), "{trick}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_machine_is_dialled_no_more_often_than_its_share_whoever_names_it() {
    let reached = reach::Reached::new(Dialled(Vec::new()), Reach::Global, [], Ledger::new(Reach::Global, []));
    let dials = |host: u8, ports: std::ops::Range<u16>| {
        ports.filter(|port| reached.may_dial(&multiaddr(&format!("/ip4/45.0.113.{host}/tcp/{port}")))).count()
    };
    let share = (Charge::Knocks.payer(), Charge::Knocks.cluster());
    assert_eq!(dials(9, 1..1_000) as u64, share.0.burst);
    assert_eq!((10..250).map(|host| dials(host, 1..10)).sum::<usize>() as u64, share.1.burst - share.0.burst, "and its network all together");
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(dials(9, 1..1_000) as u64, share.0.per_minute);
}

fn socket(ip: [u8; 4], port: u16) -> SocketAddr {
    SocketAddr::from((ip, port))
}

#[test]
fn a_socket_where_a_dial_failed_is_left_alone_for_ten_minutes_and_no_other_of_its_machine() {
    let now = Instant::now();
    let mut dialing = Dialing::<()>::default();
    dialing.mute(socket([203, 0, 113, 1], 1), now);
    dialing.mute(socket([203, 0, 113, 2], 99), now);
    dialing.mute(socket([127, 0, 0, 1], 1), now);
    let wanted = at(&["203.0.113.1", "203.0.113.2", "127.0.0.1"]);
    assert_eq!(dialing.unmuted(&wanted, now), at(&["203.0.113.2", "127.0.0.1"]), "what is shared by all is never muted");
    assert_eq!(dialing.unmuted(&wanted, now + Duration::from_secs(600)), wanted);
    dialing.connected(node(2), [203, 0, 113, 1].into(), now);
    assert_eq!(dialing.unmuted(&wanted, now), wanted, "somebody answered there");
}

#[test]
fn an_ip_where_somebody_proved_a_key_lately_is_muted_for_nobodys_word() {
    let now = Instant::now();
    let mut dialing = Dialing::<()>::default();
    dialing.connected(node(2), [203, 0, 113, 1].into(), now);
    let wanted = at(&["203.0.113.1"]);
    dialing.mute(socket([203, 0, 113, 1], 1), now + Duration::from_secs(3_599));
    assert_eq!(dialing.unmuted(&wanted, now + Duration::from_secs(3_599)), wanted);
    dialing.mute(socket([203, 0, 113, 1], 1), now + Duration::from_secs(3_600));
    assert!(dialing.unmuted(&wanted, now + Duration::from_secs(3_600)).is_empty(), "nobody was there for long");
}

#[test]
fn muted_sockets_and_proved_addresses_are_bounded_and_the_oldest_are_forgotten() {
    let start = Instant::now();
    let at = |number: usize| start + Duration::from_millis(number as u64);
    let ip = |number: usize| [46, u8::try_from(number / 62_500).expect("small"), u8::try_from(number / 250 % 250).expect("small"), 1];
    let mut dialing = Dialing::<()>::default();
    for number in 0..5_000 {
        dialing.mute(socket(ip(number * 250), 1), at(number));
        dialing.mute(socket([46, 100, 1, 1], u16::try_from(number + 1).expect("a port")), at(number));
        dialing.connected(node(2), [47, ip(number * 250)[1], ip(number * 250)[2], 1].into(), at(number));
    }
    assert_eq!(dialing.bounded(), (4_096, 1_024));
    let newest = at_of(&format!("/ip4/46.100.1.1/tcp/5000/p2p/{}", node(2)));
    assert!(dialing.unmuted(&newest, at(5_000)).is_empty(), "the newest is remembered");
}

fn at_of(text: &str) -> At {
    List::first([Address::parse(text).expect("an address")])
}

#[test]
fn what_waits_for_a_dial_is_told_once_and_is_bounded() {
    let (ours, other) = (ConnectionId::new_unchecked(1), ConnectionId::new_unchecked(2));
    let mut dialing = Dialing::default();
    assert_eq!(dialing.join(node(2), 0), Err(0), "nothing under way");
    dialing.began(node(2), ours, Some(1));
    assert_eq!(dialing.join(node(2), 2), Ok(()));
    assert!(dialing.failed(node(2), other).is_empty(), "another dial's failure is not this one's");
    assert_eq!(dialing.failed(node(2), ours), [1, 2]);
    assert!(dialing.failed(node(2), ours).is_empty());
    dialing.began(node(2), ours, Some(0));
    for waiting in 1..WAITING_MAX {
        assert_eq!(dialing.join(node(2), waiting), Ok(()));
    }
    assert!(!dialing.has_room());
    assert_eq!(dialing.join(node(2), 9), Err(9));
    assert_eq!(dialing.connected(node(2), [203, 0, 113, 1].into(), Instant::now()).len(), WAITING_MAX);
    assert!(dialing.has_room());
}

fn acts_until_let_go(action: PeerAction) -> usize {
    let (mut standing, now) = (Standing::default(), Instant::now());
    for _ in 0..100 {
        standing.report(node(2), PeerAction::Useful, now);
    }
    (1..=1_000).find(|_| standing.report(node(2), action, now) == Consequence::LetGo).expect("let go in the end")
}

#[test]
fn a_peer_is_let_go_by_the_weight_of_what_it_did_whatever_it_did_before() {
    assert_eq!(acts_until_let_go(PeerAction::Tolerable), 48);
    assert_eq!(acts_until_let_go(PeerAction::Annoying), 10);
    assert_eq!(acts_until_let_go(PeerAction::Invalid), 5);
    assert_eq!(acts_until_let_go(PeerAction::Proven), 1);
}

#[test]
fn rare_slips_are_forgotten_and_a_let_go_peer_may_return_after_an_hour() {
    let (mut standing, mut now) = (Standing::default(), Instant::now());
    for _ in 0..100 {
        assert!(matches!(standing.report(node(2), PeerAction::Invalid, now), Consequence::Score(_)));
        now += Duration::from_secs(600);
    }
    standing.report(node(3), PeerAction::Proven, now);
    assert_eq!(standing.next_deadline(), Some(now + Duration::from_secs(3_600)));
    assert!(standing.forgiven(now + Duration::from_secs(3_599)).is_empty());
    assert_eq!(standing.forgiven(now + Duration::from_secs(3_600)), [node(3)]);
    assert_eq!(standing.next_deadline(), None);
}

#[test]
fn the_door_is_shut_to_no_more_peers_than_are_remembered() {
    let (mut standing, now) = (Standing::default(), Instant::now());
    let key = |number: usize| NodeId(std::array::from_fn(|at| number.to_be_bytes().get(at).copied().unwrap_or(0)));
    let mut shut = std::collections::BTreeSet::new();
    for number in 0..3 * PEERS_MAX {
        let now = now + Duration::from_millis(number as u64);
        assert_eq!(standing.report(key(number), PeerAction::Proven, now), Consequence::LetGo);
        shut.insert(key(number));
        for back in standing.forgiven(now) {
            assert!(shut.remove(&back), "let back once");
        }
        assert!(shut.len() <= PEERS_MAX);
    }
    standing.report(key(3 * PEERS_MAX - 1), PeerAction::Useful, now + Duration::from_secs(60));
    for back in standing.forgiven(now + Duration::from_secs(2 * 3_600)) {
        shut.remove(&back);
    }
    assert!(shut.is_empty(), "everybody may come back");
}

fn id(number: usize) -> NodeId {
    NodeId([u8::try_from(number).expect("small"); 32])
}

#[test]
fn a_bounded_number_of_topic_peers_is_held_and_one_that_leaves_makes_room() {
    let (mut topics, start) = (Topics::new(0), Instant::now());
    assert!(topics.want_more() && topics.has_room());
    (0..TOPIC_PEERS_LOW).for_each(|number| topics.expect(id(200 + number)));
    assert!(topics.want_more() && !topics.has_room(), "as many as are wanted are being dialled");
    topics.missed(&id(200));
    assert!(topics.has_room());
    (0..TOPIC_PEERS_LOW).for_each(|number| assert_eq!(topics.gone(id(200 + number)), (false, None)));
    for number in 0..TOPIC_PEERS_HELD {
        topics.expect(id(number));
        assert_eq!(topics.joined(id(number), name("t"), start), (vec![name("t")], true));
    }
    assert!(!topics.want_more() && !topics.has_room());
    assert_eq!(topics.joined(id(90), name("t"), start), (vec![name("t")], false), "known, but may idle out");
    assert_eq!(topics.joined(id(90), name("u"), start + Duration::from_secs(9)), (vec![name("t"), name("u")], false));
    assert_eq!(topics.left(id(90), &name("t")), [name("u")]);
    // A guest has stayed long enough after a minute; one that is held stays.
    let minute = start + Duration::from_secs(60);
    assert_eq!(topics.next_look(), Some(minute));
    let mut look = |now| topics.crowd(now, |_| None, |_| true);
    assert_eq!((look(minute - Duration::from_millis(1)), look(minute)), (None, Some((vec![id(90)], 1))));
    assert_eq!(topics.next_look(), Some(minute + Duration::from_secs(10)), "unless it was kept");
    assert_eq!(topics.gone(id(0)), (true, Some(id(90))));
    assert_eq!(topics.next_look(), None);
    assert_eq!(topics.gone(id(1)), (true, None));
    assert_eq!(topics.gone(id(77)), (false, None));
}

#[test]
fn a_station_surrounded_by_those_who_dialled_it_dials_some_itself() {
    let (mut topics, start) = (Topics::new(0), Instant::now());
    (0..2 * TOPIC_PEERS_LOW).for_each(|number| _ = topics.joined(id(number), name("t"), start));
    assert!(topics.want_more() && topics.has_room(), "they may all be of one attacker");
    for number in 100..100 + TOPIC_PEERS_CHOSEN {
        assert!(topics.has_room());
        topics.expect(id(number));
    }
    assert!(topics.want_more() && !topics.has_room());
    (100..100 + TOPIC_PEERS_CHOSEN).for_each(|number| _ = topics.joined(id(number), name("t"), start));
    assert!(!topics.want_more());
    topics.gone(id(100));
    assert!(topics.want_more() && topics.has_room(), "one that leaves is replaced");
}

#[test]
fn where_there_are_too_many_guests_crowds_of_one_network_go_first_and_then_the_last_to_come() {
    const GUESTS: usize = 20;
    let (mut topics, start) = (Topics::new(GUESTS), Instant::now());
    let at = |second: usize| start + Duration::from_secs(second as u64);
    let kept = TOPIC_PEERS_HELD + GUESTS;
    // The first three guests share a network, and so do two others.
    let crowds = |node: NodeId| match usize::from(node.0[0]) {
        12..=14 => Some(Cluster::V4([45, 0, 250])),
        20 | 21 => Some(Cluster::V4([45, 0, 251])),
        _ => Some(Cluster::Own(node)),
    };
    (0..kept).for_each(|number| _ = topics.joined(id(number), name("t"), at(number)));
    assert_eq!((topics.len(), topics.next_look(), topics.crowd(at(9_999), crowds, |_| true)), (kept, None, None));
    (kept..kept + 6).for_each(|number| _ = topics.joined(id(number), name("t"), at(number)));
    let first = at(TOPIC_PEERS_HELD + 60);
    assert_eq!(topics.next_look(), Some(first));
    assert_eq!(topics.crowd(first, crowds, |_| true), Some((vec![id(12)], 6)), "the others have not stayed long enough");
    let (order, too_many) = topics.crowd(at(9_999), crowds, |node| node != id(37)).expect("too many");
    assert_eq!((too_many, &order[..6]), (6, &[id(14), id(21), id(13), id(36), id(35), id(34)][..]), "37 may not go");
    // More may stay while an experiment of its own invites more.
    topics.keep_guests(GUESTS + 6);
    assert_eq!((topics.next_look(), topics.crowd(at(30_000), crowds, |_| true)), (None, None));
}

#[test]
fn bootstrap_is_dialled_ever_more_rarely() {
    let start = Instant::now();
    let (mut backoff, mut now, mut waits) = (Backoff::dial(0), start, Vec::new());
    backoff.restart(now);
    for _ in 0..10 {
        assert!(backoff.due(now) && !backoff.due(now));
        let next = backoff.next().expect("again");
        waits.push((next - now).as_secs());
        now = next;
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
    backoff.stop();
    assert!(!backoff.due(now + Duration::from_secs(1_000)));
}

#[test]
fn a_bootstrap_node_of_another_network_is_dialled_ever_more_rarely_too() {
    let (mut backoff, mut now, mut waits) = (Backoff::dial(0), Instant::now(), Vec::new());
    backoff.restart(now);
    for _ in 0..8 {
        assert!(backoff.due(now));
        // It is connected, says that it is of another network, and is let go.
        backoff.stop();
        backoff.go_on(now);
        backoff.ensure(now);
        let next = backoff.next().expect("again");
        waits.push((next - now).as_secs());
        now = next;
    }
    assert!(waits.windows(2).all(|pair| pair[0] <= pair[1]) && waits.ends_with(&[60, 60]), "{waits:?}");
}

#[test]
fn nobody_is_everybodys_first_choice() {
    let id = |number: u8| NodeId([number; 32]);
    let mut chosen = BTreeMap::new();
    for own in 0..100 {
        let first = (100..120).map(id).min_by_key(|node| super::super::lookup::order(&id(own), node)).expect("twenty");
        *chosen.entry(first).or_insert(0) += 1;
    }
    let most = chosen.values().max().copied().unwrap_or(0);
    // Five each on average; twenty would be seven standard deviations.
    assert!(chosen.len() >= 10 && most < 20, "{chosen:?}");
}

#[test]
fn half_of_the_places_for_strangers_are_kept_free_of_guests_however_many_there_are() {
    let config = super::config(&["t"]);
    for inbound in [config.inbound_max(), 144, 576] {
        assert_eq!(TOPIC_PEERS_HELD + config.guests_kept(inbound), inbound as usize / 2);
    }
    assert_eq!(super::dht_server().guests_kept(512), 0, "everybody asks a bootstrap node once");
}
