//! Neighbours that send more than any honest one, and honest ones that are mistaken for none of them.

use futures::AsyncWriteExt;
use libp2p::{Multiaddr, StreamProtocol};
use station_protocol::accounts::{Charge, Figure, MESSAGE};
use station_protocol::worker::Admission;
use tokio::task::JoinHandle;

use super::super::peer_id::peer_of;
use super::super::{Command, Event, Network};
use super::working::{drive, raw_peer};
use super::{HANG, Lab, bytes, call, config, name, node};

const MESHSUB: StreamProtocol = StreamProtocol::new("/meshsub/1.1.0");
const TOPIC: &str = "/station/lab/1/calls/t";
/// The flooder's key.
pub(super) const FLOODER: u8 = 9;

pub(super) fn figure(station: &Network, charge: Charge) -> Figure {
    station.ledger().figures().into_iter().find(|(kind, _)| *kind == charge).map(|(_, figure)| figure).expect("all kinds are there")
}

/// Writes frames into a stream of gossip, from a peer that reads nothing, until the station has enough of them: how many.
async fn write(lab: &Lab, mut frame: impl FnMut(u64) -> Vec<u8> + Send + 'static, frames: u64) -> JoinHandle<u64> {
    let (mut swarm, _) = raw_peer(FLOODER).await;
    swarm.dial(lab.at[0][0].to_string().parse::<Multiaddr>().expect("a multiaddr")).expect("dials");
    let mut control = swarm.behaviour().new_control();
    drive(swarm);
    tokio::spawn(async move {
        let mut stream = control.open_stream(peer_of(node(1)), MESHSUB).await.expect("the station speaks gossipsub");
        for number in 0..frames {
            let body = frame(number);
            let framed = [&[u8::try_from(body.len()).expect("one byte of length") | 0x80, 1][..], &body].concat();
            let framed = if body.len() < 128 { [&[u8::try_from(body.len()).expect("short")], &body[..]].concat() } else { framed };
            if stream.write_all(&framed).await.is_err() || stream.flush().await.is_err() {
                return number;
            }
        }
        frames
    })
}

/// Drives the station until it lets the flooder go and the flooder knows. How many frames that took.
pub(super) async fn until_let_go(lab: &mut Lab, flood: JoinHandle<u64>) -> u64 {
    let (mut flood, mut let_go) = (flood, false);
    loop {
        tokio::select! {
            (_, event) = lab.step() => let_go |= matches!(event, Event::Misbehaved { node: who, .. } if who == node(FLOODER)),
            frames = &mut flood => {
                assert!(let_go, "it was let go, and did not end by itself");
                return frames.expect("no panic");
            }
        }
    }
}

/// A field of a protobuf message that has bytes.
pub(super) fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    assert!(bytes.len() < 128, "one byte of length");
    [&[number << 3 | 2, u8::try_from(bytes.len()).expect("short")], bytes].concat()
}

#[tokio::test]
async fn a_neighbour_that_sends_a_hundred_thousand_unknown_messages_is_let_go_after_its_share() {
    let mut lab = Lab::new(vec![config(&["t"])]).await;
    // A byte string in CBOR: well-formed, and no message of this version.
    let message = |number: u64| field(2, &[field(2, &[&[0x48][..], &number.to_be_bytes()].concat()), field(4, TOPIC.as_bytes())].concat());
    let flood = write(&lab, message, 100_000).await;
    let sent = until_let_go(&mut lab, flood).await;
    assert!(sent < 100_000);
    let station = &lab.stations[0];
    let share = Charge::NotAccepted.payer();
    let most = (share.burst + share.per_minute * HANG.as_secs() / 60) / MESSAGE;
    assert!(station.messages <= most, "{} messages were remembered", station.messages);
    assert!(figure(station, Charge::NotAccepted).refused > 0 && figure(station, Charge::NotAccepted).let_go > 0);
    assert!(station.gauges().iter().all(|gauge| !gauge.is_exceeded()), "{:?}", station.gauges());
}

#[tokio::test]
async fn messages_of_topics_that_this_station_is_not_in_are_paid_for_and_not_kept() {
    let mut lab = Lab::new(vec![config(&["t"])]).await;
    let message = field(2, &[field(2, b"something"), field(4, b"a topic of nobody")].concat());
    let flood = write(&lab, move |_| message.clone(), 100_000).await;
    until_let_go(&mut lab, flood).await;
    assert_eq!(lab.stations[0].messages, 0);
    assert!(figure(&lab.stations[0], Charge::NotAccepted).let_go > 0);
}

#[tokio::test]
async fn a_peer_that_grafts_itself_again_and_again_is_let_go() {
    let mut lab = Lab::new(vec![config(&["t"])]).await;
    let graft = field(3, &field(3, &field(1, TOPIC.as_bytes())));
    let flood = write(&lab, move |_| graft.clone(), 100_000).await;
    until_let_go(&mut lab, flood).await;
    assert!(figure(&lab.stations[0], Charge::Gossip).let_go > 0);
}

#[tokio::test]
async fn a_peer_that_subscribes_again_and_again_is_let_go_and_its_topics_are_not_kept() {
    let mut lab = Lab::new(vec![config(&["t"])]).await;
    let subscription = |topic: &str, on: u8| field(1, &[&[8, on][..], &field(2, topic.as_bytes())].concat());
    let both = move |number: u64| [subscription(TOPIC, u8::from(number.is_multiple_of(2))), subscription(&format!("topic {number}"), 1)].concat();
    let flood = write(&lab, both, 100_000).await;
    until_let_go(&mut lab, flood).await;
    let gossip = &lab.stations[0].swarm.behaviour().gossip.inner;
    assert!(gossip.all_peers().all(|(_, topics)| topics.len() <= 1));
    assert!(figure(&lab.stations[0], Charge::Gossip).let_go > 0);
}

#[tokio::test]
async fn a_neighbour_that_forwards_what_others_made_is_not_let_go_for_it() {
    let mut lab = Lab::new(vec![config(&["t"]), config(&["t"])]).await;
    lab.introduce(0, 1).await;
    // As many Calls as gather while its link stalls, all over this station's quota; then three times as many that are accepted.
    for (calls, admission) in [(100, Admission::Ignore), (300, Admission::Accept)] {
        for seq in 1..=calls {
            let author = u8::try_from(20 + seq % 50).expect("small");
            let message = call(author, seq + if admission == Admission::Accept { 1_000 } else { 0 });
            lab.stations[0].perform(Command::Publish { topic: name("t"), bytes: bytes(&message) });
            lab.until(|lab, index, event| match event {
                Event::Call { call, ticket, from, .. } if index == 1 => {
                    assert_eq!((*call, from), (message.clone(), node(1)));
                    lab.stations[1].perform(Command::Judge { ticket, admission });
                    Some(())
                }
                Event::Misbehaved { .. } | Event::Disconnected { .. } => panic!("let go at {seq}: {event:?}"),
                _ => None,
            })
            .await;
        }
    }
    let figure = figure(&lab.stations[1], Charge::NotAccepted);
    assert_eq!((figure.refused, figure.let_go), (0, 0));
}
