//! One budget for a stranger, whatever door it comes by.

use std::sync::Arc;

use libp2p::core::Transport;
use libp2p::gossipsub::{self, IdentTopic, MessageId};
use libp2p::request_response::{self, Message};
use libp2p::swarm::{ConnectionId, SwarmEvent};
use station_protocol::accounts::Charge;
use station_protocol::address::Address;
use station_protocol::bounded::List;
use station_protocol::census::PeerRecord;
use station_protocol::durable::Ticket;
use station_protocol::time::{MINUTE, Time};
use station_protocol::work::{At, PEERS_MAX, Request, Response};
use station_protocol::{NodeId, SigningKey};

use super::super::behaviour::BehaviourEvent;
use super::super::codec::Frame;
use super::super::handle::FAILED_DIAL_COSTS;
use super::super::metered::Said;
use super::super::peer_id::{keypair, peer_of};
use super::super::{Command, Event, Network};
use super::flooding::figure;
use super::silent::Silence;
use super::{Lab, Reach, TokioTasks, bytes, call, config, name, node, secret};

/// A station in a world where nobody ever answers, and no time passes.
pub(super) fn alone(reach: Reach) -> Network {
    alone_in(reach, &["t"])
}

/// The same in these topics.
pub(super) fn alone_in(reach: Reach, topics: &[&str]) -> Network {
    let config = super::NetworkConfig { reach, listen: Vec::new(), ..config(topics) };
    Network::new(config, &keypair(secret(1)), Silence::new(&Arc::new(())).boxed(), TokioTasks).expect("a network")
}

/// What came of everything that was told so far.
pub(super) fn events(network: &mut Network) -> Vec<Event> {
    std::mem::take(&mut network.events).into()
}

/// `from` answers a question of this station.
fn answers(network: &mut Network, from: NodeId, answer: Response) -> Response {
    let question = Request::Peers { topic: name("t"), have: List::default() };
    network.request(Ticket(1), from, question);
    let request_id = *network.sends.iter().find(|(_, (_, to))| *to == from).expect("it was asked").0;
    let message = Message::Response { request_id, response: Frame::own(answer) };
    let connection_id = ConnectionId::new_unchecked(1);
    let event = request_response::Event::Message { peer: peer_of(from), connection_id, message };
    network.handle(SwarmEvent::Behaviour(BehaviourEvent::Work(event)));
    let answer = events(network).into_iter().find_map(|event| if let Event::Answered { answer, .. } = event { Some(answer) } else { None });
    answer.expect("one answer").expect("it came")
}

/// How many records come of as many as an answer holds.
fn records(network: &mut Network, from: NodeId) -> usize {
    let key = SigningKey::from_bytes(&secret(200));
    let record = key.sign(&name("lab"), PeerRecord { node: key.node(), topic: name("t"), at: List::default(), made: Time(MINUTE) });
    match answers(network, from, Response::Peers { time: Time(0), records: List::first(std::iter::repeat_n(record, PEERS_MAX)) }) {
        Response::Peers { records, .. } => records.len(),
        other => panic!("{other:?}"),
    }
}

/// The same of Calls.
fn calls(network: &mut Network, from: NodeId) -> usize {
    match answers(network, from, Response::Calls { calls: List::first(std::iter::repeat_n(call(60, 1), 32)) }) {
        Response::Calls { calls } => calls.len(),
        other => panic!("{other:?}"),
    }
}

/// Whether a Call that `from` forwards on gossip is looked at.
pub(super) fn is_heard(network: &mut Network, from: NodeId, seq: u64) -> bool {
    let topic = IdentTopic::new(network.config.topic_text(&name("t"))).hash();
    let message = gossipsub::Message { source: None, data: bytes(&call(60, seq)), sequence_number: None, topic };
    let message_id = MessageId::from(seq.to_be_bytes().to_vec());
    let event = gossipsub::Event::Message { propagation_source: peer_of(from), message_id, message };
    network.handle(SwarmEvent::Behaviour(BehaviourEvent::Gossip(Said::Inner(event))));
    events(network).iter().any(|event| matches!(event, Event::Call { .. }))
}

#[tokio::test(start_paused = true)]
async fn signatures_in_answers_and_on_gossip_come_out_of_one_budget() {
    let mut network = alone(Reach::Global);
    let share = Charge::Signatures.payer().burst;
    let told: usize = (0..10).map(|_| records(&mut network, node(2))).sum();
    assert_eq!(told as u64, share);
    assert!(!is_heard(&mut network, node(2), 1), "it has nothing left for gossip");
    assert_eq!(calls(&mut network, node(2)), 0, "nor for other answers");
    assert!(is_heard(&mut network, node(3), 2), "who told nothing is heard");
    assert_eq!(figure(&network, Charge::Signatures).charged, share + 2);
    assert!(figure(&network, Charge::Signatures).refused > 0);
    assert_eq!(
        figure(&network, Charge::Records).charged,
        share + 7,
        "each of the answers that were cut paid for one more, which it could not pay to verify"
    );
}

#[tokio::test(start_paused = true)]
async fn of_calls_in_answers_only_as_many_come_as_are_paid_for() {
    let mut network = alone(Reach::Global);
    let told: usize = (0..10).map(|_| calls(&mut network, node(2))).sum();
    assert_eq!(told as u64, Charge::Calls.payer().burst);
    assert_eq!(figure(&network, Charge::Calls).charged, Charge::Calls.payer().burst);
    assert!(is_heard(&mut network, node(2), 1), "a neighbour that told much forwards what is new all the same");
}

fn at(host: u8, port: u16) -> At {
    let text = format!("/ip4/45.7.{host}.1/tcp/{port}/p2p/{}", node(9));
    List::first([Address::parse(&text).expect("an address")])
}

#[tokio::test(start_paused = true)]
async fn dials_of_one_node_come_out_of_one_budget_whoever_wants_them() {
    let mut network = alone(Reach::Global);
    for number in 0..60_u8 {
        // As a requester, as a neighbour, and for content.
        match number % 3 {
            0 => {
                let request = Request::Peers { topic: name("t"), have: List::default() };
                network.perform(Command::Send { send: Ticket(1), to: node(9), at: at(number, 1), request });
            }
            1 => network.perform(Command::Neighbours { topic: name("t"), peers: vec![(node(9), at(number, 1))] }),
            _ => drop(network.open_car(node(9), &at(number, 1))),
        }
        // As if it had ended.
        network.dialing = super::super::dialing::Dialing::default();
    }
    assert_eq!(figure(&network, Charge::Dials).charged, Charge::Dials.payer().burst);
    assert_eq!(figure(&network, Charge::Knocks).charged, Charge::Dials.payer().burst, "each of them knocked once");
}

#[tokio::test]
async fn who_named_an_address_where_nobody_is_pays_for_more_than_the_dial() {
    let mut lab = Lab::new(vec![config(&["t"]), config(&["t"])]).await;
    lab.introduce(0, 1).await;
    // Bound and not listening: whoever knocks is refused, and no other program can take the port meanwhile.
    let held = tokio::net::TcpSocket::new_v4().expect("a socket");
    held.bind(std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, 0))).expect("loopback");
    let dead = format!("/ip4/127.0.0.1/tcp/{}/p2p/{}", held.local_addr().expect("bound").port(), node(9));
    let dead: At = List::first([Address::parse(&dead).expect("an address")]);
    let before = figure(&lab.stations[0], Charge::Dials).charged;
    let request = Request::Peers { topic: name("t"), have: List::default() };
    lab.stations[0].perform(Command::Send { send: Ticket(7), to: node(9), at: dead, request });
    lab.until(|_, _, event| matches!(event, Event::Answered { send: Ticket(7), .. }).then_some(())).await;
    assert_eq!(figure(&lab.stations[0], Charge::Dials).charged - before, 1 + FAILED_DIAL_COSTS);
}

#[tokio::test]
async fn receipts_are_paid_for_before_they_are_handed_on_and_what_is_held_is_given_back() {
    let mut lab = Lab::new(vec![config(&["t"]), config(&["t"])]).await;
    lab.introduce(0, 1).await;
    let spent = |lab: &Lab| figure(&lab.stations[1], Charge::Signatures).charged;
    let before = spent(&lab);
    lab.stations[0].perform(Command::Send { send: Ticket(7), to: node(2), at: At::default(), request: super::working::two_receipts() });
    let ask = lab.until(|_, _, event| if let Event::Asked { ask, .. } = event { Some(ask) } else { None }).await;
    assert_eq!(spent(&lab), before + 2);
    let ack = super::working::held(1);
    lab.stations[1].perform(Command::Answer { ask, response: ack });
    assert_eq!(spent(&lab), before + 1, "one of them was held");
}
