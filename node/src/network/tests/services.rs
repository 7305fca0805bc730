//! Floods of what a peer may ask of identify, ping and the DHT.

use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::{Multiaddr, StreamProtocol};
use station_protocol::accounts::Charge;
use station_protocol::bounded::List;
use station_protocol::work::Request;
use tokio::task::JoinHandle;

use super::super::Event;
use super::super::peer_id::{keypair, peer_of};
use super::flooding::{FLOODER, field, figure, until_let_go};
use super::working::{WORK, drive, raw_peer};
use super::{Lab, NetworkConfig, config, dht_server, name, node, secret};

const KAD: StreamProtocol = StreamProtocol::new("/station/lab/1/kad");
const PUSH: StreamProtocol = StreamProtocol::new("/ipfs/id/push/1.0.0");
const IDENTIFY: StreamProtocol = StreamProtocol::new("/ipfs/id/1.0.0");
const PING: StreamProtocol = StreamProtocol::new("/ipfs/ping/1.0.0");

/// More than any share.
const MANY: u64 = 100_000;

/// A peer connected to the station, which opens streams there.
async fn connected(lab: &Lab) -> libp2p_stream::Control {
    let (mut swarm, _) = raw_peer(FLOODER).await;
    swarm.dial(lab.at[0][0].to_string().parse::<Multiaddr>().expect("a multiaddr")).expect("dials");
    let control = swarm.behaviour().new_control();
    drive(swarm);
    control
}

/// Writes frames as fast as the station takes them, until it has enough of them: how many.
async fn flood(lab: &Lab, protocol: StreamProtocol, frame: impl Fn(u64) -> Vec<u8> + Send + 'static) -> JoinHandle<u64> {
    let mut control = connected(lab).await;
    tokio::spawn(async move {
        let mut number = 0;
        while number < MANY {
            let Ok(stream) = control.open_stream(peer_of(node(1)), protocol.clone()).await else { return number };
            let (mut reader, mut writer) = stream.split();
            let read = tokio::spawn(async move { while reader.read(&mut [0; 1 << 10]).await.is_ok_and(|bytes| bytes > 0) {} });
            while number < MANY && writer.write_all(&frame(number)).await.is_ok() && writer.flush().await.is_ok() {
                number += 1;
            }
            read.abort();
        }
        number
    })
}

/// What so many streams cost on which one frame is written and something, or the end, is read; then a question over `work`.
async fn cost(station: NetworkConfig, protocol: StreamProtocol, streams: u64, frame: &[u8]) -> u64 {
    let mut lab = Lab::new(vec![station]).await;
    let (mut control, frame) = (connected(&lab).await, frame.to_vec());
    // Who said nothing when it was asked is not listened to later.
    let mut asked = control.accept(IDENTIFY).expect("taken once");
    let before = figure(&lab.stations[0], Charge::Questions).charged;
    tokio::spawn(async move {
        let (_, mut question) = asked.next().await.expect("the station asks");
        question.write_all(&identity()).await.expect("writes");
        question.close().await.expect("closes");
        let _ = question.read(&mut [0]).await;
        for _ in 0..streams {
            let mut stream = control.open_stream(peer_of(node(1)), protocol.clone()).await.expect("the station speaks it");
            stream.write_all(&frame).await.expect("writes");
            stream.flush().await.expect("writes");
            let _ = stream.read(&mut [0]).await;
        }
        // Behind all of them on the same connection: when it is here, they were.
        let question = station_protocol::codec::encode(&Request::Peers { topic: name("t"), have: List::default() });
        let length = u32::try_from(question.len()).expect("short").to_be_bytes();
        let mut stream = control.open_stream(peer_of(node(1)), WORK).await.expect("the station speaks work");
        stream.write_all(&[&length[..], &question].concat()).await.expect("writes");
        stream.flush().await.expect("writes");
        let _ = stream.read(&mut [0]).await;
    });
    lab.until(|_, _, event| matches!(event, Event::Asked { .. }).then_some(())).await;
    figure(&lab.stations[0], Charge::Questions).charged - before - 1
}

/// What the flooder says of itself.
fn identity() -> Vec<u8> {
    let key = keypair(secret(FLOODER)).public().encode_protobuf();
    frame([field(1, &key), field(5, b"/station/lab/1"), field(6, b"flooder/1")].concat())
}

/// A frame behind its length.
fn frame(body: Vec<u8>) -> Vec<u8> {
    [vec![u8::try_from(body.len()).expect("short")], body].concat()
}

/// A message of the DHT about a key of its own.
fn about(kind: u8, number: u64) -> Vec<u8> {
    // A multihash of 32 bytes.
    let key = [&[0x12, 32][..], &[0; 24], &number.to_be_bytes()].concat();
    [&[8, kind][..], &field(2, &key)].concat()
}

/// Pings on forty streams at a time, a burst before each look at the answers, until the station has enough of it: how many.
async fn ping(lab: &Lab) -> JoinHandle<u64> {
    let control = connected(lab).await;
    let one = move |mut control: libp2p_stream::Control| async move {
        let mut number = 0;
        while let Ok(mut stream) = control.open_stream(peer_of(node(1)), PING).await {
            while stream.write_all(&[7; 32 * 64]).await.is_ok() && stream.flush().await.is_ok() {
                number += 64;
                if stream.read_exact(&mut [0; 32 * 64]).await.is_err() {
                    break;
                }
            }
        }
        number
    };
    tokio::spawn(async move { futures::future::join_all((0..40).map(|_| one(control.clone()))).await.into_iter().sum() })
}

async fn is_let_go(server: bool, protocol: StreamProtocol, frame: impl Fn(u64) -> Vec<u8> + Send + 'static) -> Lab {
    let mut lab = Lab::new(vec![if server { dht_server() } else { config(&["t"]) }]).await;
    let flood = flood(&lab, protocol, frame).await;
    assert!(until_let_go(&mut lab, flood).await < MANY);
    assert!(figure(&lab.stations[0], Charge::Questions).let_go > 0);
    lab
}

#[tokio::test]
async fn who_asks_the_dht_pays_for_each_question() {
    for kind in [3, 4] {
        assert_eq!(cost(dht_server(), KAD, 30, &frame(about(kind, 7))).await, 31, "and what it says of itself when it is asked");
    }
}

#[tokio::test]
async fn whoever_cannot_pay_for_a_question_of_the_dht_is_answered_that_nobody_is_known() {
    let mut lab = Lab::new(vec![dht_server()]).await;
    let (mut control, ledger) = (connected(&lab).await, lab.stations[0].ledger().clone());
    ledger.owe(node(FLOODER), Charge::Questions, 2 * Charge::Questions.payer().burst);
    // More than a connection may have open.
    let mut asked = tokio::spawn(async move {
        for number in 0..40 {
            let mut stream = control.open_stream(peer_of(node(1)), KAD).await.expect("the station speaks it");
            stream.write_all(&frame(about(4, number))).await.expect("writes");
            stream.flush().await.expect("writes");
            stream.read_exact(&mut [0]).await.expect("an answer");
        }
    });
    loop {
        tokio::select! {
            _ = lab.step() => {}
            done = &mut asked => break done.expect("no panic"),
        }
    }
    assert!(figure(&lab.stations[0], Charge::Questions).refused > 0);
}

#[tokio::test]
async fn a_peer_that_says_of_ever_more_content_that_it_has_it_is_let_go_and_keeps_its_share_of_pointers() {
    let provider = [field(1, &peer_of(node(FLOODER)).to_bytes()), field(2, &[4, 45, 66, 6, 1, 6, 18, 102])].concat();
    let mut lab = is_let_go(true, KAD, move |number| frame([about(2, number), field(9, &provider)].concat())).await;
    let kept = lab.stations[0].swarm.behaviour_mut().kad.inner.store_mut().len();
    assert!(kept > 0 && kept <= super::super::kad_store::PER_PEER_MAX, "{kept}");
}

#[tokio::test]
async fn a_peer_that_pings_again_and_again_is_let_go() {
    let mut lab = Lab::new(vec![config(&["t"])]).await;
    let flood = ping(&lab).await;
    until_let_go(&mut lab, flood).await;
    assert!(figure(&lab.stations[0], Charge::Questions).let_go > 0);
}

#[tokio::test]
async fn who_says_again_and_again_who_it_is_pays_for_each_time() {
    // The first time it is asked.
    assert_eq!(cost(config(&["t"]), PUSH, 30, &identity()).await, 31);
}

#[tokio::test]
async fn who_says_who_it_is_at_more_length_than_is_read_pays_for_each_time() {
    // A frame of 16 KiB is announced, four times as long as one may be.
    assert_eq!(cost(config(&["t"]), PUSH, 30, &[0x80, 0x80, 1]).await, 31);
}

#[tokio::test]
async fn who_asks_again_and_again_who_this_station_is_pays_for_each_time() {
    assert_eq!(cost(config(&["t"]), IDENTIFY, 30, b"").await, 31);
}

#[tokio::test]
async fn a_ping_is_answered_with_its_bytes() {
    let mut lab = Lab::new(vec![config(&["t"])]).await;
    let (mut swarm, _) = raw_peer(FLOODER).await;
    swarm.dial(lab.at[0][0].to_string().parse::<Multiaddr>().expect("a multiaddr")).expect("dials");
    let mut control = swarm.behaviour().new_control();
    drive(swarm);
    let mut pings = tokio::spawn(async move {
        let mut stream = control.open_stream(peer_of(node(1)), PING).await.expect("the station speaks ping");
        for number in 1..=3 {
            stream.write_all(&[number; 32]).await.expect("writes");
            stream.flush().await.expect("writes");
            let mut pong = [0; 32];
            stream.read_exact(&mut pong).await.expect("reads");
            assert_eq!(pong, [number; 32]);
        }
    });
    loop {
        tokio::select! {
            _ = lab.step() => {}
            done = &mut pings => break done.expect("no panic"),
        }
    }
}
