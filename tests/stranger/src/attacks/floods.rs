//! Floods of one connection: gossip that means nothing, Calls beyond every quota, subscriptions, announcements, questions, records,
//! receipts with bad signatures, and frames of the multiplexer.
//!
//! Guarantees: the attacker sends as fast as the target reads, until it is let go or the time is over. Deliberately lacks many machines: what
//! one connection can do is the question.

mod frames;
mod services;

use std::time::{Duration, Instant};

use futures::StreamExt as _;

use crate::cbor::{Value, list, map, one, text};
use crate::conduct::{Answer, nonsense, question, say};
use crate::key::{Key, cid, sha256};
use crate::messages::{DAG_CBOR, Offer, claim, deliver, delivery, labels, peer_record};
use crate::now_ms;
use crate::peer::Stranger;
use crate::protobuf::{self, Control};

use super::{Liar, knows_nothing};
use crate::watch;
use crate::world::{TOPIC, World, attacker_ip};

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flood {
    /// Nine bytes of CBOR that are no message of any version, ten in a frame.
    Nonsense,
    /// The same, hundreds in a frame.
    Heaps,
    /// Rightly signed Calls, each of a key of its own.
    Calls,
    /// Subscriptions to topics that nobody has.
    Subscriptions,
    /// Names of messages that nobody has.
    Announcements,
    /// Copies of messages wanted again and again, by names that nobody has.
    Wants,
    /// Names of messages that it does not want.
    Refusals,
    /// Wishes to be in the mesh, again and again.
    Grafts,
    /// Frames of gossip that are announced as long as they may be and never end, a stream for each.
    Windows,
    /// Identify said anew, each time with a hundred addresses and protocols.
    Pushes,
    /// Questions over identify who the target is.
    Identities,
    /// Pings as fast as they are answered.
    Pings,
    /// Announcements to the DHT of content that nobody has.
    Providers,
    /// Questions to the DHT.
    Lookups,
    /// Questions over `work`, each for another topic or experiment.
    Questions,
    /// Claims with as many labels as a frame holds, for an experiment that nobody has.
    Claims,
    /// Deliveries of 64 receipts with bad signatures.
    Receipts,
    /// Answers to the target's questions: 272 good records of new keys each, by one key after the other.
    Records,
    /// Frames of `work` that stop halfway, as many as there may be.
    Halves,
    /// Streams of the multiplexer that end as they begin.
    Streams,
    /// The multiplexer's own pings.
    Echoes,
    /// Windows of streams that nobody has.
    Updates,
}

/// All of them.
pub const FLOODS: [Flood; 22] = [
    Flood::Nonsense,
    Flood::Heaps,
    Flood::Calls,
    Flood::Subscriptions,
    Flood::Announcements,
    Flood::Wants,
    Flood::Refusals,
    Flood::Grafts,
    Flood::Windows,
    Flood::Pushes,
    Flood::Identities,
    Flood::Pings,
    Flood::Providers,
    Flood::Lookups,
    Flood::Questions,
    Flood::Claims,
    Flood::Receipts,
    Flood::Records,
    Flood::Halves,
    Flood::Streams,
    Flood::Echoes,
    Flood::Updates,
];

/// A stream that takes nothing for so long is given up.
const STALLED: Duration = Duration::from_secs(1);

/// Those of what every libp2p peer serves: none of them is gossip or `work`.
pub const SERVICES: [Flood; 5] = [Flood::Pushes, Flood::Identities, Flood::Pings, Flood::Providers, Flood::Lookups];

/// Those of the multiplexer, which no protocol above it sees.
pub const FRAMES: [Flood; 3] = [Flood::Streams, Flood::Echoes, Flood::Updates];

/// What a flood cost both.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flooded {
    /// Frames, questions or connections that the attacker got rid of, and their bytes.
    pub sent: u64,
    pub bytes: u64,
    pub lasted_s: f64,
    /// Connections that the target ended.
    pub let_go: u64,
    /// Times that a connection was refused.
    pub refused: u64,
    /// The target's memory before, and the most while it lasted.
    pub before_mb: f64,
    pub peak_mb: f64,
    /// Seconds of processor that the target spent.
    pub processor_s: f64,
}

/// Floods the target for as long as `lasting`, with a new key after each time that it is let go, if `again`; else only once.
pub async fn flood(world: &World, flood: Flood, lasting: Duration, again: bool) -> Flooded {
    let process = world.process();
    watch::forget_peak(process);
    let (before_mb, processor, begun) = (watch::resident_mb(process), watch::processor_seconds(process), Instant::now());
    let mut done = Flooded { before_mb, ..Flooded::default() };
    let mut number = 0;
    while begun.elapsed() < lasting {
        let left = lasting.saturating_sub(begun.elapsed());
        // The time being over is no failure of the target's.
        let ended = tokio::time::timeout(left, one_key(world, flood, number, &mut done)).await;
        if ended.is_err() {
            break;
        }
        number += 1;
        if !again && done.let_go > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    done.lasted_s = begun.elapsed().as_secs_f64();
    done.peak_mb = watch::peak_mb(process);
    done.processor_s = watch::processor_seconds(process) - processor;
    done
}

/// One key's flood, until it is let go.
async fn one_key(world: &World, flood: Flood, number: u64, done: &mut Flooded) {
    let key = world.key("flood", number);
    let ip = attacker_ip(u8::try_from(number % 250).unwrap_or(0));
    if FRAMES.contains(&flood) {
        return frames::flood(world, &key, ip, flood, done).await;
    }
    let liar = Liar::new(key, ip, move |_, asked| match question(asked) {
        Some(("peers", _)) if flood == Flood::Records => records(number),
        _ => knows_nothing(),
    })
    .await;
    // Who said nothing when it was asked who it is, is not listened to when it says so later.
    let liar = if flood == Flood::Pushes { liar.and(|stranger| stranger.serve_identify(&[], &[])) } else { liar };
    let stranger = &liar.stranger;
    if stranger.dial(&world.address, world.peer).await.is_err() {
        done.refused += 1;
        return;
    }
    match flood {
        Flood::Questions | Flood::Claims | Flood::Receipts => ask(world, stranger, flood, number, done).await,
        Flood::Records => be_asked(world, stranger, done).await,
        Flood::Halves => halves(world, stranger, done).await,
        Flood::Windows => windows(world, stranger, done).await,
        Flood::Pushes | Flood::Identities | Flood::Pings | Flood::Providers | Flood::Lookups => {
            services::flood(world, stranger, flood, number, done).await;
        }
        _ => gossip(world, stranger, flood, number, done).await,
    }
    // A stream that ends tells it before the swarm does.
    tokio::time::sleep(Duration::from_millis(50)).await;
    done.let_go += u64::from(stranger.was_let_go() > 0);
}

async fn gossip(world: &World, stranger: &Stranger, flood: Flood, number: u64, done: &mut Flooded) {
    let topic = stranger.gossip_topic(TOPIC);
    let Ok(mut stream) = stranger.gossip(world.peer, TOPIC).await else { return };
    for round in 0.. {
        let unique = |at: u64| number << 40 | round << 10 | at;
        let frame = match flood {
            Flood::Nonsense | Flood::Heaps => {
                let count = if flood == Flood::Heaps { 480 } else { 10 };
                let messages: Vec<[u8; 9]> = (0..count).map(|at| nonsense(unique(at))).collect();
                protobuf::publish(&topic, messages.iter().map(<[u8; 9]>::as_slice))
            }
            Flood::Calls => {
                let calls: Vec<Vec<u8>> = (0..16).map(|at| call_of(world, unique(at))).collect();
                protobuf::publish(&topic, calls.iter().map(Vec::as_slice))
            }
            Flood::Subscriptions => {
                let topics: Vec<String> = (0..120).map(|at| stranger.gossip_topic(&format!("t{}", unique(at)))).collect();
                protobuf::subscriptions(topics.iter().map(String::as_str))
            }
            Flood::Announcements => control(&topic, Control::IHave, unique),
            Flood::Refusals => control(&topic, Control::IDontWant, unique),
            Flood::Grafts => (0..100).flat_map(|_| protobuf::control(&topic, Control::Graft, &[])).collect(),
            _ => control(&topic, Control::IWant, unique),
        };
        // Nobody reads it any more, or it ended.
        if !matches!(tokio::time::timeout(STALLED, say(&mut stream, &frame)).await, Ok(Ok(()))) {
            return;
        }
        done.sent += 1;
        done.bytes += frame.len() as u64;
    }
}

fn control(topic: &str, kind: Control, unique: impl Fn(u64) -> u64) -> Vec<u8> {
    let ids: Vec<[u8; 32]> = (0..200).map(|at| sha256(&[b"id", &unique(at).to_be_bytes()])).collect();
    protobuf::control(topic, kind, &ids)
}

fn call_of(world: &World, number: u64) -> Vec<u8> {
    let key = world.key("caller", number);
    let at = format!("/ip4/45.68.{}.{}/tcp/1/p2p/{}", number >> 8 & 255, number & 255, key.peer());
    Offer::new(TOPIC, &world.profile, b"no module", vec![at], now_ms()).call(&key).encode()
}

/// Sixteen questions at once, as many as a connection may have.
async fn ask(world: &World, stranger: &Stranger, flood: Flood, number: u64, done: &mut Flooded) {
    for round in 0.. {
        let question = |at: u64| {
            let unique = number << 40 | round << 10 | at;
            let experiment = cid(DAG_CBOR, &unique.to_be_bytes());
            match flood {
                Flood::Claims => claim(&experiment, &world.profile, 1, labels(900, 16)),
                Flood::Receipts => bad_receipts(&stranger.key, &experiment, &world.profile),
                _ if at.is_multiple_of(2) => one("peers", map([("topic", text(&format!("t{unique}"))), ("have", list([]))])),
                _ => one("status", map([("experiment", Value::Link(experiment))])),
            }
        };
        let questions: Vec<Value> = (0..16).map(question).collect();
        let asked = questions.iter().map(|question| async { (question.encode().len(), stranger.ask(world.peer, question).await) });
        let mut asked = futures::stream::iter(asked).buffer_unordered(16);
        while let Some((bytes, _)) = asked.next().await {
            done.sent += 1;
            done.bytes += bytes as u64;
        }
        if stranger.open_connections() == 0 {
            return;
        }
    }
}

fn bad_receipts(key: &Key, experiment: &[u8], profile: &str) -> Value {
    let receipt = |lease| {
        let mut delivery = delivery(key, experiment, lease, lease, profile, b"x", 1);
        if let Value::Map(fields) = &mut delivery
            && let Some((_, Value::Map(receipt))) = fields.iter_mut().find(|(name, _)| name == "receipt")
            && let Some((_, signature)) = receipt.iter_mut().find(|(name, _)| name == "signature")
        {
            *signature = Value::Bytes(vec![1; 64]);
        }
        delivery
    };
    // One encoding does for all: what counts is what the target does with it.
    deliver(experiment, (0..64).map(receipt).collect(), 0)
}

/// Records of 272 new keys.
fn records(number: u64) -> Answer {
    let made = now_ms();
    let record = |at: u64| {
        let key = Key::numbered(crate::world::NETWORK, "record", number << 10 | at);
        peer_record(&key, TOPIC, &[format!("/ip4/45.69.{}.{}/tcp/1/p2p/{}", number & 255, at & 255, key.peer())], made)
    };
    Answer::Say(one("peers", one("records", list((0..272).map(record)))))
}

/// Subscribes, is asked, answers, and makes room for the next key.
async fn be_asked(world: &World, stranger: &Stranger, done: &mut Flooded) {
    let Ok(stream) = stranger.gossip(world.peer, TOPIC).await else { return };
    done.sent += 1;
    done.bytes += 272 * 250;
    // Long enough for a question and its answer.
    tokio::time::sleep(Duration::from_millis(200)).await;
    drop(stream);
}

/// Gossip's streams with 60 KiB of a frame that never ends.
async fn windows(world: &World, stranger: &Stranger, done: &mut Flooded) {
    let mut half = Vec::new();
    protobuf::varint(64 << 10, &mut half);
    half.resize(60 << 10, 0);
    let mut held = Vec::new();
    while stranger.open_connections() > 0 {
        match stranger.open(world.peer, "/meshsub/1.1.0").await {
            Ok(mut stream) => {
                done.bytes += half.len() as u64;
                if say(&mut stream, &half).await.is_ok() {
                    held.push(stream);
                }
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
        done.sent += 1;
        if held.len() > 1_000 {
            held.clear();
        }
    }
}

/// Streams that announce a megabyte each and send a half of it.
async fn halves(world: &World, stranger: &Stranger, done: &mut Flooded) {
    let half = vec![0x80; 512 << 10];
    let mut held = Vec::new();
    while stranger.open_connections() > 0 {
        match stranger.ask_by_halves(world.peer, 1 << 20, &half).await {
            Ok(stream) => held.push(stream),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
        done.sent += 1;
        done.bytes += half.len() as u64;
        if held.len() > 64 {
            held.remove(0);
        }
    }
}
