//! Keys that cost nothing: records of stations that are none, chosen for the smallest hashes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::cbor::{Value, list, one};
use crate::conduct::{Answer, question};
use crate::messages::{census_hash, peer_record};
use crate::now_ms;

use super::{Liar, knows_nothing, today, watch};
use crate::world::{NETWORK, TOPIC, World, attacker_ip};

/// Records that an answer may have.
const TOLD: usize = 256;

/// What ground keys came to.
#[derive(Clone, Debug, Default)]
pub struct Ground {
    pub keys: u64,
    /// How long the search took.
    pub grinding_s: f64,
    /// Questions for peers that were answered with them.
    pub told: u64,
    /// The topic's size as the target says, before and after.
    pub before: u64,
    pub counted_most: u64,
}

/// Where the records say that their stations are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// Nowhere at all.
    Nowhere,
    /// One address of the attacker's /24 each.
    OneNetwork,
    /// Each in another /24, none of which the attacker has.
    ManyNetworks,
}

/// Searches `keys` keys, and answers the target's question for peers with the 256 that make the topic look largest.
pub async fn grind(world: &World, keys: u64, claimed: Claimed, lasting: Duration) -> Ground {
    let begun = std::time::Instant::now();
    let day = today();
    let mut smallest: Vec<(u64, u64)> =
        (0..keys).map(|number| (census_hash(NETWORK, TOPIC, day, &world.key("ground", number).node()), number)).collect();
    smallest.sort_unstable();
    smallest.truncate(TOLD);
    let grinding_s = begun.elapsed().as_secs_f64();
    let made = now_ms();
    let records = smallest.iter().zip(0_u8..=255).map(|((_, number), place)| {
        let key = world.key("ground", *number);
        let at = match claimed {
            Claimed::Nowhere => Vec::new(),
            Claimed::OneNetwork => vec![format!("/ip4/45.66.6.{place}/tcp/4710/p2p/{}", key.peer())],
            Claimed::ManyNetworks => vec![format!("/ip4/45.67.{place}.1/tcp/4710/p2p/{}", key.peer())],
        };
        peer_record(&key, TOPIC, &at, made)
    });
    let answer = one("peers", one("records", list(records)));
    let told = Arc::new(AtomicU64::new(0));
    let counted = told.clone();
    let before = count(world).await;
    let (mut looks, mut tries) = (0, 0);
    let said = move |_, asked: &Value| match question(asked) {
        Some(("peers", _)) => {
            counted.fetch_add(1, Ordering::Relaxed);
            Answer::Say(answer.clone())
        }
        _ => knows_nothing(),
    };
    let (mut counted_most, mut liars) = (before, Vec::new());
    watch(lasting, Duration::from_millis(300), async || {
        // A newcomer is asked once; streams that come together may miss each other here, and then another comes.
        if told.load(Ordering::Relaxed) == 0 {
            let key = world.key("grinder", tries);
            tries += 1;
            let liar = Liar::new(key, attacker_ip(4), said.clone()).await;
            if liar.stranger.dial(&world.address, world.peer).await.is_ok() {
                liars.extend(liar.subscribe(world).await);
            }
            return false;
        }
        counted_most = count(world).await.max(counted_most);
        looks += 1;
        looks > 3
    })
    .await;
    Ground { keys, grinding_s, told: told.load(Ordering::Relaxed), before, counted_most }
}

async fn count(world: &World) -> u64 {
    let status = world.status().await;
    status["topics"][TOPIC].as_u64().or_else(|| status["topics"][TOPIC]["stations"].as_u64()).unwrap_or(u64::MAX)
}
