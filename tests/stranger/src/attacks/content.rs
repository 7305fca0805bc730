//! Content that lies or is asked for in bad faith: files of one leaf many times, requests that are broken off, outputs that are somebody
//! else's module.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::cbor::{Value, one};
use crate::conduct::{Answer, car, many_of_one, question};
use crate::key::{cid, cid_text, node_of};
use crate::messages::{Offer, RAW, leases};
use crate::now_ms;
use crate::peer::Stranger;
use futures::AsyncReadExt as _;
use libp2p::PeerId;

use super::{Liar, Seen, knows_nothing, modules, watch};
use crate::process::until;
use crate::watch as process;
use crate::world::{TOPIC, World, attacker_ip, honest_ip};

/// The codec of a file's node.
const DAG_PB: u8 = 0x70;

/// What came of a module that is one leaf many times.
#[derive(Clone, Debug, Default)]
pub struct Bombed {
    /// What the target says about the experiment, if it kept it.
    pub standing: Option<String>,
    /// Claims of it: the target would do the work.
    pub claims: u64,
    pub sent_bytes: u64,
    pub declared_bytes: u64,
    pub before_mb: f64,
    pub peak_mb: f64,
}

/// Experiments of `keys` requesters whose module is declared to be `links` MiB and is one leaf of a MiB.
pub async fn bomb(world: &World, links: usize, keys: u64, lasting: Duration) -> Bombed {
    let leaf = vec![0x11; 1 << 20];
    let (node, declared_bytes) = many_of_one(&leaf, links);
    let root = cid(DAG_PB, &node);
    let served = car(&root, &[(root.clone(), node), (cid(RAW, &leaf), leaf)]);
    let before_mb = process::resident_mb(world.process());
    process::forget_peak(world.process());
    let (claims, mut liars, mut ids) = (Arc::new(AtomicU64::new(0)), Vec::new(), Vec::new());
    for number in 0..keys {
        let key = world.key("bomb", number);
        let (counted, signer) = (claims.clone(), key.clone());
        let answer = move |from: PeerId, asked: &Value| match question(asked) {
            Some(("claim", body)) => {
                counted.fetch_add(1, Ordering::Relaxed);
                let experiment = body.get("experiment").and_then(Value::as_bytes).unwrap_or_default();
                Answer::Say(one("leases", signer.sign("leases/1", &leases(experiment, &node_of(&from), 1, 8, 30_000))))
            }
            _ => knows_nothing(),
        };
        let liar = Liar::new(key.clone(), attacker_ip(30), answer).await;
        let mut offer = Offer::new(TOPIC, &world.profile, b"", vec![liar.stranger.at()], now_ms());
        (offer.module, offer.jobs) = ((root.clone(), declared_bytes), 8);
        let bytes = served.clone();
        let mut liar = liar.and(|stranger| stranger.serve_car(bytes)).join(world).await;
        liar.tell(&offer.call(&key)).await;
        ids.push(cid_text(&offer.id(&key)));
        liars.push(liar);
    }
    let mut standing = None;
    watch(lasting, Duration::from_millis(200), async || {
        standing = world.standing(&ids[0]).await.or(standing.take());
        false
    })
    .await;
    Bombed {
        standing,
        claims: claims.load(Ordering::Relaxed),
        sent_bytes: served.len() as u64,
        declared_bytes,
        before_mb,
        peak_mb: process::peak_mb(world.process()),
    }
}

/// How honest fetches fared.
#[derive(Clone, Debug, Default)]
pub struct Starved {
    /// Requests that were broken off.
    pub broken_off: u64,
    /// Honest newcomers that wanted the content, and those that got it whole.
    pub honest: u64,
    pub served: u64,
    /// What those heard that did not: the provider's first byte, 254 where it broke off, 255 where there was no connection.
    pub refusals: Vec<u8>,
}

/// The target publishes a module of `bytes`. `keys` of one network ask for it over and over and hang up at once, while `honest` newcomers
/// want it whole.
///
/// # Panics
/// When the target cannot publish.
pub async fn break_off(world: &World, bytes: usize, keys: u64, honest: u8) -> Starved {
    let module = modules::idle(1, bytes);
    let root = publish_module(world, &module).await;
    let (stop, broken_off) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut asking = Vec::new();
    for number in 0..keys {
        let stranger = world.stranger(world.key("break-off", number), attacker_ip(40 + u8::try_from(number % 100).unwrap_or(0))).await;
        let (stop, broken_off, root, peer) = (stop.clone(), broken_off.clone(), root.clone(), world.peer);
        asking.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) && stranger.open_connections() > 0 {
                if stranger.ask_car(peer, &root, 64 << 20).await.is_ok_and(|(status, _)| status == 0) {
                    broken_off.fetch_add(1, Ordering::Relaxed);
                }
                tokio::task::yield_now().await;
            }
        }));
    }
    // The attack is under way.
    watch(Duration::from_secs(2), Duration::from_millis(50), async || broken_off.load(Ordering::Relaxed) > 50).await;
    let (mut served, mut refusals) = (0, Vec::new());
    for number in 0..honest {
        let newcomer = Stranger::new(world.key("fetcher", u64::from(number)), honest_ip(150 + number)).await;
        match newcomer.dial(&world.address, world.peer).await {
            Ok(()) => served += u64::from(gets(world, &newcomer, &root, module.len(), &mut refusals).await),
            Err(_) => refusals.push(255),
        }
    }
    stop.store(true, Ordering::Relaxed);
    asking.iter().for_each(tokio::task::JoinHandle::abort);
    Starved { broken_off: broken_off.load(Ordering::Relaxed), honest: u64::from(honest), served, refusals }
}

/// The target publishes an experiment with this module that nobody will finish: the CID of the module's only block, or of its root.
///
/// # Panics
/// When the target cannot publish.
pub async fn publish_module(world: &World, module: &[u8]) -> Vec<u8> {
    std::fs::write(world.target.dir().join("victim.wasm"), module).expect("the home is writable");
    let file = "name = \"victim\"\ntopic = \"tests\"\nmodule = \"./victim.wasm\"\ncontact = \"mailto:v@example.org\"\n[jobs]\nn = [1]\n[pure]\ntrust = \"fixed:5\"\n[run]\ndeadline = \"10m\"\n";
    world.target.write("victim.toml", file);
    let path = world.target.dir().join("victim.toml");
    world.target.ask(&["publish", "--detach", path.to_str().expect("UTF-8")]).await;
    let inspected = world.target.ask(&["module", "inspect", world.target.dir().join("victim.wasm").to_str().expect("UTF-8")]).await;
    bytes_of(inspected["cid"].as_str().expect("a CID"))
}

/// The bytes of a CID as people write it.
fn bytes_of(text: &str) -> Vec<u8> {
    let text = text.strip_prefix('b').expect("base32");
    let (mut out, mut bits, mut value) = (Vec::new(), 0, 0_u32);
    for digit in text.bytes() {
        let digit = if digit.is_ascii_lowercase() { digit - b'a' } else { digit - b'2' + 26 };
        value = value << 5 | u32::from(digit);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from(value >> bits & 255).unwrap_or(0));
        }
    }
    out
}

/// Whether the target serves all of it; honest ones try six times.
async fn gets(world: &World, asker: &Stranger, root: &[u8], bytes: usize, refusals: &mut Vec<u8>) -> bool {
    for _ in 0..6 {
        match asker.ask_car(world.peer, root, bytes as u64 + bytes as u64 / 64 + (64 << 10)).await {
            Ok((0, mut stream)) => {
                let mut all = Vec::new();
                if stream.read_to_end(&mut all).await.is_ok() && all.len() >= bytes {
                    return true;
                }
                refusals.push(254);
            }
            Ok((refusal, _)) => refusals.push(refusal),
            Err(_) => refusals.push(255),
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    false
}

/// What became of a victim's module.
#[derive(Clone, Debug, Default)]
pub struct Robbed {
    /// Receipts that were delivered, and held or refused.
    pub delivered: u64,
    /// Whether the module is still served after the attack, and was before.
    pub before: bool,
    pub after: bool,
}

/// The target publishes a module of 80 KB; a stranger's experiment prints these bytes there, and the receipt is then held, so that the
/// target needs its output no longer.
///
/// # Panics
/// When the target cannot publish.
pub async fn rob(world: &World) -> Robbed {
    let module = modules::idle(2, 80_000);
    let root = publish_module(world, &module).await;
    let reader = world.stranger(world.key("reader", 0), honest_ip(200)).await;
    let before = gets(world, &reader, &root, module.len(), &mut Vec::new()).await;
    let (seen, key) = (Seen::default(), world.key("robber", 0));
    let (mut liar, offer) = modules::requester(world, key.clone(), 31, modules::printing(&module), 20_000, true, seen.clone()).await;
    liar.tell(&offer.call(&key)).await;
    watch(Duration::from_secs(15), Duration::from_millis(100), async || delivered(&seen) > 0).await;
    // Its receipts have left the target.
    until("an empty outbox", || async { (world.status().await["outbox"] == 0).then_some(()) }).await;
    Robbed { delivered: delivered(&seen), before, after: gets(world, &reader, &root, module.len(), &mut Vec::new()).await }
}

fn delivered(seen: &Seen) -> u64 {
    seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get("deliver").copied().unwrap_or(0)
}
