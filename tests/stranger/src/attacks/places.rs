//! Places that are taken and never used: connections of many keys of one network, and handshakes that do not end.

use std::time::Duration;

use crate::cbor::{list, map, one, text};
use crate::halves::{self, Half};
use crate::peer::Stranger;

use crate::world::{TOPIC, World, attacker_ip, honest_ip};

/// Who came in while places were held.
#[derive(Clone, Copy, Debug, Default)]
pub struct Held {
    /// Keys that tried, and those that had a place at the end.
    pub keys: usize,
    pub places: usize,
    /// Honest newcomers, each with an address of its own, and those who got no answer to their first question.
    pub honest: u64,
    pub refused: u64,
}

/// `keys` of one /24 connect, subscribe and hold a request that they never finish; meanwhile `honest` newcomers come one after the other.
pub async fn hold_places(world: &World, keys: u64, honest: u8) -> Held {
    let mut strangers = Vec::new();
    for number in 0..keys {
        let ip = attacker_ip(u8::try_from(number % 250).unwrap_or(0));
        let stranger = Stranger::new(world.key("holder", number), ip).await;
        strangers.push(stranger);
    }
    let holding = strangers.iter().map(|stranger| async move {
        if stranger.dial(&world.address, world.peer).await.is_err() {
            return None;
        }
        let gossip = stranger.gossip(world.peer, TOPIC).await.ok()?;
        let half = stranger.ask_by_halves(world.peer, 1_000, b"half").await.ok()?;
        Some((gossip, half))
    });
    let held = futures::future::join_all(holding).await;
    let (honest, refused) = newcomers(world, honest).await;
    let places = strangers.iter().filter(|stranger| stranger.open_connections() > 0).count();
    drop(held);
    Held { keys: strangers.len(), places, honest, refused }
}

/// `sockets` connections of one /24 that stop in the middle of a handshake, and are begun again as soon as they are let go; meanwhile
/// `honest` newcomers come.
pub async fn hold_handshakes(world: &World, sockets: u64, honest: u8) -> Held {
    let to = world.socket();
    let mut tasks = tokio::task::JoinSet::new();
    let (tried, mut begun) = tokio::sync::mpsc::unbounded_channel();
    for number in 0..sockets {
        let mut tried = Some(tried.clone());
        let from = attacker_ip(u8::try_from(number % 250).unwrap_or(0));
        let half = [Half::Silent, Half::Multistream, Half::Noise][usize::try_from(number % 3).unwrap_or(0)];
        tasks.spawn(async move {
            loop {
                let stream = halves::begin(from, to, half).await;
                // Once each: begun, or refused already.
                drop(tried.take());
                if let Ok(stream) = stream {
                    halves::until_let_go(stream).await;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
    }
    // Each of them has begun once when the first honest one comes: then nobody holds the other end.
    drop(tried);
    let nothing: Option<()> = begun.recv().await;
    assert!(nothing.is_none(), "nobody sends anything");
    let (honest, refused) = newcomers(world, honest).await;
    Held { keys: usize::try_from(sockets).unwrap_or(usize::MAX), places: tasks.len(), honest, refused }
}

/// Honest newcomers, one after the other: how many came, and how many got no answer.
pub async fn newcomers(world: &World, count: u8) -> (u64, u64) {
    let mut refused = 0;
    for number in 0..count {
        let newcomer = Stranger::new(world.key("newcomer", u64::from(number)), honest_ip(100 + number)).await;
        refused += u64::from(!is_answered(world, &newcomer).await);
    }
    (u64::from(count), refused)
}

/// Whether a newcomer is let in and its question answered; honest ones try three times.
async fn is_answered(world: &World, newcomer: &Stranger) -> bool {
    for _ in 0..3 {
        if newcomer.dial(&world.address, world.peer).await.is_ok() {
            let asked = one("calls", map([("topic", text(TOPIC)), ("have", list([]))]));
            if newcomer.ask(world.peer, &asked).await.is_ok() {
                return true;
            }
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    false
}
