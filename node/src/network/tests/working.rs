//! Requests, answers and content streams between stations, and what a peer that does not keep to the protocol gets.

use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use ipld_core::ipld::Ipld;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, StreamProtocol, Swarm};
use station_protocol::accounts::Charge;
use station_protocol::address::Address;
use station_protocol::bounded::{Bytes, List, Text};
use station_protocol::codec::{self, encode};
use station_protocol::content::{RAW, cid_of};
use station_protocol::durable::Ticket;
use station_protocol::receipt::{Isolation, Outcome, Receipt};
use station_protocol::work::{Ack, At, Deliver, Delivery, REQUEST_BYTES_MAX, Request, Response};
use station_protocol::worker::SendFailure;
use station_protocol::{PeerAction, SigningKey};

use super::super::config::{CAR_STREAMS_MAX, Roles};
use super::super::peer_id::{keypair, peer_of};
use super::super::{Command, Event};
use super::{HANG, Lab, TokioTasks, config, loopback, name, node, secret};
use crate::platform::transport;

pub(super) const WORK: StreamProtocol = StreamProtocol::new("/station/lab/1/work");

fn peers_question() -> Request {
    Request::Peers { topic: name("t"), have: List::default() }
}

fn send(lab: &mut Lab, from: usize, to: station_protocol::NodeId, at: At) -> Ticket {
    let send = Ticket(7);
    lab.stations[from].perform(Command::Send { send, to, at, request: peers_question() });
    send
}

async fn answer(lab: &mut Lab, at: usize) -> Result<Response, SendFailure> {
    lab.until(|_, index, event| match event {
        Event::Answered { send, answer, .. } if index == at => {
            assert_eq!(send, Ticket(7));
            Some(answer)
        }
        _ => None,
    })
    .await
}

/// A libp2p peer that speaks only raw streams: what it says is up to the test.
pub(super) async fn raw_peer(number: u8) -> (Swarm<libp2p_stream::Behaviour>, Multiaddr) {
    let key = keypair(secret(number));
    let config = libp2p::swarm::Config::with_executor(TokioTasks).with_idle_connection_timeout(HANG);
    let mut swarm = Swarm::new(transport::tcp(&key).expect("a transport"), libp2p_stream::Behaviour::new(), key.public().to_peer_id(), config);
    swarm.listen_on(loopback()).expect("loopback");
    let address = loop {
        if let libp2p::swarm::SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            break address;
        }
    };
    (swarm, address)
}

pub(super) fn drive(mut swarm: Swarm<libp2p_stream::Behaviour>) {
    tokio::spawn(async move {
        loop {
            swarm.select_next_some().await;
        }
    });
}

/// Sends `frame` as a request from a raw peer to station 0; what the station then reports of it.
async fn misconduct(frame: Vec<u8>) -> PeerAction {
    let mut lab = Lab::new(vec![config(&["t"])]).await;
    let (mut swarm, _) = raw_peer(9).await;
    let address: Multiaddr = lab.at[0][0].to_string().parse().expect("a multiaddr");
    swarm.dial(address).expect("dials");
    let mut control = swarm.behaviour().new_control();
    drive(swarm);
    tokio::spawn(async move {
        let mut stream = control.open_stream(peer_of(node(1)), WORK).await.expect("the station speaks work");
        let _ = stream.write_all(&frame).await;
        let _ = stream.flush().await;
        let _ = stream.read(&mut [0]).await;
    });
    lab.until(|_, _, event| match event {
        Event::Misbehaved { node: who, action } => {
            assert_eq!(who, node(9));
            Some(action)
        }
        Event::Asked { .. } => panic!("a broken frame became a request"),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn a_request_is_answered_over_a_new_connection() {
    let mut lab = Lab::new(vec![config(&["t"]), config(&["t"])]).await;
    let at = lab.at[1].clone();
    send(&mut lab, 0, node(2), at);
    let answer = lab
        .until(|lab, index, event| match event {
            Event::Asked { ask, from, remote, request } => {
                assert_eq!((index, from, request), (1, node(1), peers_question()));
                assert!(remote.ip.is_loopback() && remote.relay.is_none());
                lab.stations[1].perform(Command::Answer { ask, response: Response::Unserved });
                None
            }
            Event::Answered { answer, .. } => Some(answer),
            _ => None,
        })
        .await;
    assert_eq!(answer, Ok(Response::Unserved));
}

#[tokio::test]
async fn a_station_listens_on_quic_and_tcp_and_is_reached_over_quic() {
    let mut lab = Lab::new(Vec::new()).await;
    for _ in 0..2 {
        let quic = Multiaddr::from(std::net::Ipv4Addr::LOCALHOST).with(Protocol::Udp(0)).with(Protocol::QuicV1);
        let both = super::NetworkConfig { listen: vec![quic, loopback()], ..config(&["t"]) };
        lab.add_over(both, |key| transport::build(key).expect("a transport")).await;
    }
    let quic = |lab: &Lab| lab.at[1].iter().find(|address| address.to_string().contains("/quic-v1/")).cloned();
    let tcp = |lab: &Lab| lab.at[1].iter().any(|address| address.to_string().contains("/tcp/"));
    while quic(&lab).is_none() || !tcp(&lab) {
        lab.step().await;
    }
    let at = List::first(quic(&lab));
    send(&mut lab, 0, node(2), at);
    let from = lab.until(|_, index, event| if let Event::Asked { from, .. } = event { Some((index, from)) } else { None }).await;
    assert_eq!(from, (1, node(1)));
}

#[tokio::test]
async fn nobody_at_the_address_is_unreachable() {
    let mut lab = Lab::new(vec![config(&["t"])]).await;
    // Bound and not listening: whoever knocks is refused, and no other program can take the port meanwhile.
    let held = tokio::net::TcpSocket::new_v4().expect("a socket");
    held.bind(std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, 0))).expect("loopback");
    let port = held.local_addr().expect("bound").port();
    let address = Address::parse(&format!("/ip4/127.0.0.1/tcp/{port}/p2p/{}", node(2))).expect("an address");
    send(&mut lab, 0, node(2), List::first([address]));
    assert_eq!(answer(&mut lab, 0).await, Err(SendFailure::Unreachable));
    send(&mut lab, 0, node(3), At::default());
    assert_eq!(answer(&mut lab, 0).await, Err(SendFailure::Unreachable), "without any address");
}

#[tokio::test]
async fn another_key_at_the_address_is_the_wrong_node() {
    let mut lab = Lab::new(vec![config(&["t"]), config(&["t"])]).await;
    let there = lab.at[1][0].to_string().replace(&node(2).to_string(), &node(5).to_string());
    send(&mut lab, 0, node(5), List::first([Address::parse(&there).expect("an address")]));
    assert_eq!(answer(&mut lab, 0).await, Err(SendFailure::WrongNode));
}

#[tokio::test]
async fn a_request_frame_above_the_bound_is_refused_before_its_body() {
    let announced = u32::try_from(REQUEST_BYTES_MAX + 1).expect("fits").to_be_bytes().to_vec();
    assert_eq!(misconduct(announced).await, PeerAction::Invalid);
}

#[tokio::test]
async fn a_request_that_cannot_be_decoded_is_reported() {
    assert_eq!(misconduct(vec![0, 0, 0, 2, 0xff, 0xff]).await, PeerAction::Invalid);
}

/// A request that no version before this knows, or that this one has otherwise.
fn later_requests() -> Vec<Vec<u8>> {
    let map = |key: &str, value: Ipld| codec::encode(&Ipld::Map([(key.to_owned(), value)].into()));
    let claim = Ipld::Map([("experiment".to_owned(), Ipld::Null), ("more".to_owned(), Ipld::Integer(1))].into());
    vec![map("subscribe", Ipld::Map([].into())), map("claim", claim), codec::encode("unheard-of"), codec::encode(&7_u64)]
}

#[tokio::test]
async fn a_request_of_a_later_version_is_not_served_and_nobody_is_let_go_for_it() {
    let mut lab = Lab::new(vec![config(&["t"])]).await;
    let (mut swarm, _) = raw_peer(9).await;
    let address: Multiaddr = lab.at[0][0].to_string().parse().expect("a multiaddr");
    swarm.dial(address).expect("dials");
    let mut control = swarm.behaviour().new_control();
    drive(swarm);
    let asking = async move {
        let mut answers = Vec::new();
        for body in later_requests().into_iter().cycle().take(12) {
            let mut stream = control.open_stream(peer_of(node(1)), WORK).await.expect("the station still speaks work");
            let frame = [&u32::try_from(body.len()).expect("short").to_be_bytes()[..], &body].concat();
            stream.write_all(&frame).await.expect("written");
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.expect("an answer");
            answers.push(codec::decode::<Response>(&answer[4..], 64).expect("a response"));
        }
        answers
    };
    let mut asking = Box::pin(tokio::spawn(asking));
    let answers = loop {
        tokio::select! {
            answers = &mut asking => break answers.expect("it ends"),
            (_, event) = lab.step() => assert!(!matches!(event, Event::Misbehaved { .. } | Event::Asked { .. }), "{event:?}"),
        }
    };
    assert_eq!(answers, vec![Response::Unserved; 12]);
}

#[tokio::test]
async fn an_answer_that_cannot_be_decoded_is_no_answer_and_reported() {
    let mut lab = Lab::new(vec![config(&["t"])]).await;
    let (swarm, address) = raw_peer(9).await;
    let mut incoming = swarm.behaviour().new_control().accept(WORK).expect("registered once");
    drive(swarm);
    tokio::spawn(async move {
        let (_, mut stream) = incoming.next().await.expect("the station asks");
        let _ = stream.write_all(&[0, 0, 0, 2, 0xff, 0xff]).await;
        let _ = stream.close().await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let at = Address::parse(&address.with(Protocol::P2p(peer_of(node(9)))).to_string()).expect("an address");
    send(&mut lab, 0, node(9), List::first([at]));
    let mut reported = None;
    let answer = lab
        .until(|_, _, event| match event {
            Event::Misbehaved { node, action } => {
                reported = Some((node, action));
                None
            }
            Event::Answered { answer, .. } => Some(answer),
            _ => None,
        })
        .await;
    assert_eq!(answer, Err(SendFailure::NoAnswer));
    assert_eq!(reported, Some((node(9), PeerAction::Invalid)));
}

#[tokio::test]
async fn a_peer_with_a_proven_fault_is_disconnected_and_refused() {
    let mut lab = Lab::new(vec![config(&["t"]), config(&["t"])]).await;
    lab.introduce(1, 0).await;
    lab.stations[0].perform(Command::Report { node: node(2), action: PeerAction::Proven });
    lab.until(|_, index, event| matches!(event, Event::Disconnected { node: who } if index == 0 && who == node(2)).then_some(())).await;
    let at = lab.at[1].clone();
    send(&mut lab, 0, node(2), at);
    assert_eq!(answer(&mut lab, 0).await, Err(SendFailure::Unreachable));
}

#[tokio::test]
async fn a_car_stream_carries_bytes_both_ways() {
    let mut lab = Lab::new(vec![config(&["t"]), config(&["t"])]).await;
    let at = lab.at[1].clone();
    let opened = lab.stations[0].open_car(node(2), &at);
    let told = tokio::spawn(async move {
        let mut car = opened.await.expect("opens");
        assert!(!car.relayed);
        car.stream.write_all(b"cid?").await.expect("writes");
        car.stream.close().await.expect("closes");
        let mut answer = Vec::new();
        car.stream.read_to_end(&mut answer).await.expect("reads");
        answer
    });
    let (place, mut car) =
        lab.until(|_, index, event| if let Event::Stream { from, stream, .. } = event { Some(((index, from), stream)) } else { None }).await;
    assert_eq!(place, (1, node(1)));
    let served = tokio::spawn(async move {
        let mut question = Vec::new();
        car.stream.read_to_end(&mut question).await.expect("reads");
        car.stream.write_all(&question).await.expect("writes");
        car.stream.close().await.expect("closes");
    });
    let both = async { (told.await.expect("no panic"), served.await.expect("no panic")) };
    tokio::pin!(both);
    let answer = loop {
        tokio::select! {
            (answer, ()) = &mut both => break answer,
            _ = lab.step() => {}
        }
    };
    assert_eq!(answer, b"cid?");
}

#[tokio::test]
async fn one_peer_gets_only_so_many_car_streams_at_once() {
    let mut lab = Lab::new(vec![config(&["t"]), config(&["t"])]).await;
    lab.introduce(0, 1).await;
    let streams = CAR_STREAMS_MAX.1 + 1;
    for _ in 0..streams {
        let at = lab.at[1].clone();
        let opened = lab.stations[0].open_car(node(2), &at);
        tokio::spawn(async move {
            let mut car = opened.await.expect("opens");
            let _ = car.stream.write_all(b"x").await;
            let _ = car.stream.flush().await;
            let _ = car.stream.read(&mut [0]).await;
        });
    }
    let mut held = Vec::new();
    while held.len() < CAR_STREAMS_MAX.1 {
        let stream = lab.until(|_, _, event| if let Event::Stream { stream, .. } = event { Some(stream) } else { None }).await;
        held.push(stream);
    }
    // A question behind the last stream on the same connection: when it is here, no further stream can be on its way unseen.
    send(&mut lab, 0, node(2), At::default());
    let more = lab
        .until(|_, _, event| match event {
            Event::Stream { .. } => Some(true),
            Event::Asked { .. } => Some(false),
            _ => None,
        })
        .await;
    assert!(!more);
    assert_eq!(lab.stations[1].peers.get(node(1)).expect("connected").car.available_permits(), 0);
    drop(held);
    assert_eq!(lab.stations[1].peers.get(node(1)).expect("connected").car.available_permits(), CAR_STREAMS_MAX.1);
}

/// A Deliver of two outputs of 40 KiB: fine over a direct connection.
fn large_deliver() -> Deliver {
    let key = SigningKey::from_bytes(&secret(3));
    let receipt = |lease| Receipt {
        experiment: cid_of(RAW, b"experiment"),
        index: 0,
        lease,
        node: key.node(),
        profile: name("station-wasm-2"),
        isolation: Isolation::Full,
        outcome: Outcome::Completed,
        output: None,
        transcript: None,
        fuel: 1,
        started_ms: 1,
        duration_ms: 1,
        software: Text::new("test").expect("short"),
    };
    let delivery = |lease| Delivery {
        receipt: key.sign(&name("lab"), receipt(lease)),
        output: Some(Bytes::new(vec![7; 40 << 10]).expect("within the bound")),
        transcript: None,
        log: None,
    };
    let receipts = List::first([delivery(1), delivery(2)]);
    Deliver { experiment: cid_of(RAW, b"experiment"), receipts, holding: List::default(), free: 1, cursor: 0, returned: List::default() }
}

/// Two receipts, delivered at once.
pub(super) fn two_receipts() -> Request {
    Request::Deliver(large_deliver())
}

/// The answer that holds the receipt of that lease.
pub(super) fn held(lease: u64) -> Response {
    let ack = Ack {
        experiment: cid_of(RAW, b"experiment"),
        node: node(1),
        held: List::first([lease]),
        refused: List::default(),
        again_ms: 1,
        verdicts: List::default(),
        cursor: 0,
        leases: None,
        no_more: None,
    };
    Response::Acked(Box::new(SigningKey::from_bytes(&secret(2)).sign(&name("lab"), ack)))
}

#[tokio::test]
async fn a_request_too_large_for_a_relay_passes_a_direct_connection() {
    let mut lab = Lab::new(vec![config(&["t"]), config(&["t"])]).await;
    let at = lab.at[1].clone();
    let sent = Request::Deliver(large_deliver());
    lab.stations[0].perform(Command::Send { send: Ticket(7), to: node(2), at, request: sent.clone() });
    let before = super::flooding::figure(&lab.stations[1], Charge::Questions).charged;
    let request = lab.until(|_, _, event| if let Event::Asked { request, .. } = event { Some(request) } else { None }).await;
    assert_eq!(request, sent);
    let paid = super::flooding::figure(&lab.stations[1], Charge::Questions).charged - before;
    assert!(paid > (encode(&sent).len() >> 14) as u64, "it costs as much as several: {paid}");
}

#[tokio::test]
async fn a_relayed_request_names_its_relay_and_a_large_one_is_refused() {
    let relay = super::NetworkConfig { roles: Roles { relay: true, ..Roles::default() }, ..config(&[]) };
    let mut lab = Lab::new(vec![relay]).await;
    let circuit: Multiaddr = lab.at[0][0].to_string().parse().expect("a multiaddr");
    let mut hidden = config(&["t"]);
    hidden.listen = vec![circuit.with(Protocol::P2pCircuit)];
    lab.add(hidden).await;
    lab.add(config(&["t"])).await;
    let at = List::first(lab.at[1].iter().filter(|address| address.relay() == Some(node(1))).cloned());
    assert!(!at.is_empty(), "the hidden station announces its circuit: {:?}", lab.at[1]);
    send(&mut lab, 2, node(2), at);
    let remote = lab
        .until(|lab, index, event| match event {
            Event::Asked { ask, remote, from, .. } => {
                assert_eq!((index, from), (1, node(3)));
                lab.stations[1].perform(Command::Answer { ask, response: Response::Unserved });
                Some(remote)
            }
            _ => None,
        })
        .await;
    assert_eq!(remote.relay, Some(node(1)));
    assert!(remote.ip.is_loopback(), "the relay's address");
    assert_eq!(answer(&mut lab, 2).await, Ok(Response::Unserved));
    let large = Request::Deliver(large_deliver());
    assert!(encode(&large).len() > station_protocol::work::RELAYED_BYTES_MAX);
    lab.stations[2].perform(Command::Send { send: Ticket(7), to: node(2), at: At::default(), request: large });
    assert_eq!(answer(&mut lab, 2).await, Err(SendFailure::TooLarge));
}
