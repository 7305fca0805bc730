//! What peers say and do, told to a station without a world: what it keeps of that, and what it costs.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use libp2p::core::Transport;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{DialOpts, ListenerId, TransportError, TransportEvent};
use libp2p::request_response::InboundFailure;
use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId, identify};
use station_protocol::accounts::{Charge, MESSAGE, over_quota};
use station_protocol::address::Address;
use station_protocol::bounded::List;
use station_protocol::content::{RAW, cid_of};
use station_protocol::durable::Ticket;
use station_protocol::work::{At, Request};
use station_protocol::worker::Admission;
use station_protocol::{NodeId, PeerAction};

use super::super::config::{FINDS_MAX, JUDGEMENTS_MAX, Reach};
use super::super::events::Remote;
use super::super::peer_id::{keypair, peer_of};
use super::super::{Command, Event, Network};
use super::budgets::{alone, alone_in, events, is_heard};
use super::flooding::figure;
use super::{Lab, TokioTasks, config, multiaddr, name, node, secret};

/// Nobody is anywhere; counts who is looked for.
struct Deserted(Arc<AtomicUsize>);

impl Transport for Deserted {
    type Output = (PeerId, StreamMuxerBox);
    type Error = std::io::Error;
    type ListenerUpgrade = std::future::Ready<Result<Self::Output, Self::Error>>;
    type Dial = std::future::Ready<Result<Self::Output, Self::Error>>;

    fn listen_on(&mut self, _: ListenerId, address: Multiaddr) -> Result<(), TransportError<Self::Error>> {
        Err(TransportError::MultiaddrNotSupported(address))
    }

    fn remove_listener(&mut self, _: ListenerId) -> bool {
        false
    }

    fn dial(&mut self, _: Multiaddr, _: DialOpts) -> Result<Self::Dial, TransportError<Self::Error>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(std::future::ready(Err(std::io::ErrorKind::ConnectionRefused.into())))
    }

    fn poll(self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<TransportEvent<Self::ListenerUpgrade, Self::Error>> {
        Poll::Pending
    }
}

/// A station where nobody is, which is connected to somebody or not, and how often it dials.
fn deserted(online: bool) -> (Network, Arc<AtomicUsize>) {
    let dials = Arc::new(AtomicUsize::new(0));
    let config = super::NetworkConfig { reach: Reach::Global, listen: Vec::new(), ..config(&["t"]) };
    let mut network = Network::new(config, &keypair(secret(1)), Deserted(dials.clone()).boxed(), TokioTasks).expect("a network");
    if online {
        network.peers.opened(node(3), ConnectionId::new_unchecked(usize::MAX), Remote { ip: IpAddr::from([45, 1, 1, 1]), relay: None });
    }
    (network, dials)
}

/// `node(9)` is asked at that address; nobody is there.
async fn ask_at(network: &mut Network, ip: &str) {
    let at: At = List::first([Address::parse(&format!("/ip4/{ip}/tcp/4001/p2p/{}", node(9))).expect("an address")]);
    let request = Request::Peers { topic: name("t"), have: List::default() };
    network.perform(Command::Send { send: Ticket(1), to: node(9), at, request });
    loop {
        if let Event::Answered { answer, .. } = network.next().await {
            assert!(answer.is_err());
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn where_nobody_was_a_station_does_not_look_again_soon() {
    let (mut network, dials) = deserted(true);
    for _ in 0..3 {
        ask_at(&mut network, "45.9.9.9").await;
    }
    assert_eq!(dials.load(Ordering::Relaxed), 1);
    ask_at(&mut network, "45.9.8.9").await;
    assert_eq!(dials.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_station_that_is_offline_itself_mutes_and_charges_nobody_for_it() {
    let (mut network, dials) = deserted(false);
    for _ in 0..3 {
        ask_at(&mut network, "45.9.9.9").await;
    }
    assert_eq!((dials.load(Ordering::Relaxed), figure(&network, Charge::Dials).charged), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn an_address_that_must_not_be_dialled_says_nothing_about_who_is_there() {
    let (mut network, dials) = deserted(true);
    ask_at(&mut network, "192.168.1.1").await;
    assert_eq!((dials.load(Ordering::Relaxed), figure(&network, Charge::Dials).charged), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn calls_that_await_judgement_are_bounded_and_the_oldest_are_forgotten() {
    let mut network = alone(Reach::Global);
    for seq in 0..JUDGEMENTS_MAX as u64 + 20 {
        assert!(is_heard(&mut network, node(u8::try_from(100 + seq % 20).expect("small")), seq));
    }
    assert_eq!(network.judgements.len(), JUDGEMENTS_MAX);
}

#[tokio::test(start_paused = true)]
async fn a_call_over_a_quota_costs_less_than_a_message_where_there_are_many_topics() {
    let topics = ["t", "a", "b", "c", "d", "e", "f", "g"];
    for (count, cost) in [(1, MESSAGE), (8, over_quota(8))] {
        let mut network = alone_in(Reach::Global, &topics[..count]);
        assert!(is_heard(&mut network, node(2), 1));
        let ticket = *network.judgements.keys().next().expect("it awaits judgement");
        network.perform(Command::Judge { ticket, admission: Admission::Ignore });
        assert_eq!(figure(&network, Charge::NotAccepted).charged, cost);
    }
}

#[tokio::test(start_paused = true)]
async fn searches_are_bounded_and_one_too_many_finds_nothing_at_once() {
    let mut network = alone(Reach::Global);
    for find in 0..FINDS_MAX as u64 + 3 {
        network.perform(Command::FindProviders { find: Ticket(find), cid: cid_of(RAW, &find.to_be_bytes()) });
    }
    assert_eq!(network.finds.len(), FINDS_MAX);
    assert_eq!(events(&mut network).iter().filter(|event| matches!(event, Event::Providers { .. })).count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_question_that_never_comes_whole_costs_what_a_whole_one_does_and_who_trickles_is_told() {
    let mut network = alone(Reach::Global);
    let mut fails = |kind: std::io::ErrorKind| {
        network.question_failed(&peer_of(node(2)), &InboundFailure::Io(kind.into()));
        let told = events(&mut network).iter().any(|event| matches!(event, Event::Misbehaved { action: PeerAction::Annoying, .. }));
        (figure(&network, Charge::Questions).charged, told)
    };
    assert_eq!(fails(std::io::ErrorKind::UnexpectedEof), (1, false));
    assert_eq!(fails(std::io::ErrorKind::TimedOut), (2, true));
}

#[tokio::test(start_paused = true)]
async fn misconduct_takes_away_what_work_gave() {
    let mut network = alone(Reach::Global);
    for (action, first) in [(PeerAction::Useful, true), (PeerAction::Annoying, true), (PeerAction::Invalid, false)] {
        network.report(node(2), action);
        assert_eq!(network.ledger.comes_first(&node(2)), first, "{action:?}");
    }
}

/// A peer says that it serves the DHT at these addresses.
fn identified(network: &mut Network, who: NodeId, at: Vec<Multiaddr>) {
    let info = identify::Info {
        public_key: keypair(secret(7)).public(),
        protocol_version: "/station/lab/1".to_owned(),
        agent_version: "test".to_owned(),
        listen_addrs: at,
        protocols: vec![network.config.protocol("kad")],
        observed_addr: multiaddr("/ip4/45.1.1.1/tcp/1"),
        signed_peer_record: None,
    };
    network.on_identified(peer_of(who), &info);
}

#[tokio::test(start_paused = true)]
async fn of_one_network_only_so_many_servers_enter_the_table_with_so_many_addresses() {
    let mut network = alone(Reach::Global);
    let known = |network: &mut Network| -> Vec<usize> {
        let kad = &mut network.swarm.behaviour_mut().kad.inner;
        kad.kbuckets().flat_map(|bucket| bucket.iter().map(|entry| entry.node.value.len()).collect::<Vec<_>>()).collect()
    };
    for number in 10..60 {
        identified(&mut network, node(number), vec![multiaddr(&format!("/ip4/45.7.7.{number}/tcp/1"))]);
    }
    assert!(known(&mut network).len() <= 3, "{:?}", known(&mut network));
    let mut network = alone(Reach::Global);
    identified(&mut network, node(10), (1..100).map(|host| multiaddr(&format!("/ip4/45.{host}.7.1/tcp/1"))).collect());
    assert_eq!(known(&mut network), [8]);
}

#[tokio::test]
async fn streams_of_content_are_questions_and_one_network_has_six() {
    // On a public network everybody at private addresses is one network.
    let public = super::NetworkConfig { reach: Reach::Global, ..config(&["t"]) };
    let mut lab = Lab::new(vec![public, config(&["t"]), config(&["t"])]).await;
    let mut held = Vec::new();
    for from in [1, 2] {
        let at = lab.at[0].clone();
        let to = lab.stations[0].own();
        for _ in 0..super::super::config::CAR_STREAMS_MAX.1 {
            let opened = lab.stations[from].open_car(to, &at);
            tokio::spawn(async move {
                use futures::{AsyncReadExt, AsyncWriteExt};
                let mut car = opened.await.expect("opens");
                let _ = car.stream.write_all(b"x").await;
                let _ = car.stream.flush().await;
                let _ = car.stream.read(&mut [0]).await;
            });
        }
        let wanted = [0, 4, 2][from];
        let before = held.len();
        while held.len() < before + wanted {
            held.push(lab.until(|_, _, event| if let Event::Stream { stream, .. } = event { Some(stream) } else { None }).await);
        }
    }
    // A question behind the last stream on the same connection: when it is here, no further stream can be on its way unseen.
    let request = Request::Peers { topic: name("t"), have: List::default() };
    lab.stations[2].perform(Command::Send { send: Ticket(7), to: node(1), at: At::default(), request });
    let more = lab
        .until(|_, _, event| match event {
            Event::Stream { .. } => Some(true),
            Event::Asked { .. } => Some(false),
            _ => None,
        })
        .await;
    assert!(!more);
    assert!(figure(&lab.stations[0], Charge::Questions).charged > 8, "each stream, refused ones too, and the question");
}
