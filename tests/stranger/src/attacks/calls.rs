//! Calls of keys that nobody knows, told by keys that nobody knows, so that those of honest newcomers find no room.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use libp2p::{Multiaddr, PeerId};

use super::{Liar, knows_nothing, watch};
use crate::key::cid_text;
use crate::messages::Offer;
use crate::now_ms;
use crate::process::Home;
use crate::world::{TOPIC, World, attacker_ip, honest_ip, honest_socket};

/// Calls that one key tells before the next key comes: what a newcomer may tell at once.
const TOLD: u64 = 8;
/// Between two honest Calls: what a neighbour may forward whatever others do.
const HONEST_EVERY: Duration = Duration::from_secs(8);

/// Whose Calls were kept.
#[derive(Clone, Copy, Debug, Default)]
pub struct Drowned {
    pub attackers_calls: u64,
    pub attackers_keys: u64,
    /// Connections that were refused or ended.
    pub refused: u64,
    pub honest: u64,
    pub kept: u64,
}

/// Key after key comes from one /24, tells a few Calls and goes; meanwhile one steady neighbour tells an honest newcomer's Call every eight
/// seconds.
pub async fn drown(world: &World, lasting: Duration) -> Drowned {
    let mut friend = Liar::new(world.key("steady", 0), honest_ip(91), |_, _| knows_nothing()).await.join(world).await;
    let (keys, calls, refused) = (Arc::new(AtomicU64::new(0)), AtomicU64::new(0), AtomicU64::new(0));
    let begun = Instant::now();
    let attack = async {
        while begun.elapsed() < lasting {
            let number = keys.fetch_add(1, Ordering::Relaxed);
            let ip = attacker_ip(u8::try_from(number % 250).unwrap_or(0));
            let liar = Liar::new(world.key("drowner", number), ip, |_, _| knows_nothing()).await;
            if liar.stranger.dial(&world.address, world.peer).await.is_err() {
                refused.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
            let Some(mut liar) = liar.subscribe(world).await else {
                refused.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            for call in 0..TOLD {
                let author = world.key("drowned", number << 8 | call);
                calls.fetch_add(u64::from(liar.tell(&offer(world, &author.peer().to_string()).call(&author)).await), Ordering::Relaxed);
            }
            // What was written is read before the connection goes.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let mut told = Vec::new();
    let honest = async {
        for number in 0.. {
            let author = world.key("newcomer's", number);
            let offer = offer(world, &author.peer().to_string());
            friend.tell(&offer.call(&author)).await;
            told.push(cid_text(&offer.id(&author)));
            tokio::time::sleep(HONEST_EVERY).await;
        }
    };
    tokio::select! {
        () = attack => {}
        () = honest => {}
    }
    let status = world.status().await;
    let known = status["calls"].as_array().cloned().unwrap_or_default();
    let kept = told.iter().filter(|id| known.iter().any(|call| call["experiment"] == **id)).count();
    Drowned {
        attackers_calls: calls.into_inner(),
        attackers_keys: keys.load(Ordering::Relaxed),
        refused: refused.into_inner(),
        honest: told.len() as u64,
        kept: kept as u64,
    }
}

/// What became of two honest neighbours.
#[derive(Clone, Copy, Debug, Default)]
pub struct Turned {
    /// Calls that were told to one of them, who told the other those that it took.
    pub calls: u64,
    /// How often both were looked at, and how often they were connected.
    pub looks: u64,
    pub connected: u64,
}

/// Honest neighbours turned against each other: `friend` runs beside the target and is told, by `keys` of one /24, a rightly signed Call of
/// a new author a second in every topic. What it takes it forwards, and the target can only take a part of that.
///
/// # Panics
/// When the friend has no id, or takes no connection.
pub async fn turn_neighbours(world: &World, friend: &Home, number: u8, keys: u64, lasting: Duration) -> Turned {
    let at = honest_socket(number);
    let address: Multiaddr = format!("/ip4/{}/tcp/{}", at.ip(), at.port()).parse().expect("an address");
    let node = friend.ask(&["id"]).await["node"].as_str().expect("a node id").to_owned();
    let peer: PeerId = node.parse().expect("a peer id");
    let mut liars = Vec::new();
    for number in 0..keys {
        let ip = attacker_ip(70 + u8::try_from(number % 100).unwrap_or(0));
        let liar = Liar::new(world.key("turner", number), ip, |_, _| knows_nothing()).await;
        liar.stranger.dial(&address, peer).await.expect("the friend takes a connection");
        liars.push(liar.subscribe_at(peer).await.expect("gossip is spoken"));
    }
    let mut turned = Turned::default();
    watch(lasting, Duration::from_secs(1), async || {
        for (place, topic) in world.topics.iter().enumerate() {
            let author = world.key("turned", turned.calls);
            let offer = Offer { topic: topic.clone(), ..offer(world, &author.peer().to_string()) };
            let which = place % liars.len();
            turned.calls += u64::from(liars[which].tell_on(topic, &offer.call(&author)).await);
        }
        let connected = world.status().await["connected"].to_string().contains(&node);
        turned.looks += 1;
        turned.connected += u64::from(connected);
        false
    })
    .await;
    turned
}

/// An experiment whose requester is at an address of its own, where nobody answers.
fn offer(world: &World, peer: &str) -> Offer {
    let place = peer.bytes().fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    let at = format!("/ip4/45.90.{place}.1/tcp/9/p2p/{peer}");
    Offer::new(TOPIC, &world.profile, b"no module", vec![at], now_ms())
}
