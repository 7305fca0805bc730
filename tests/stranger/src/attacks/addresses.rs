//! Addresses as weapons: such that read as one machine and lead to another, such that are somebody else's, and such that keep others out.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::cbor::{Value, list, one};
use crate::conduct::{Answer, question};
use crate::key::{Key, cid_text};
use crate::messages::{Offer, peer_record};
use crate::now_ms;
use libp2p::Multiaddr;

use super::{Liar, bundled, knows_nothing, watch};
use crate::watch::Knocks;
use crate::world::{TOPIC, World, attacker_ip};

/// Machines that nobody asked to be knocked at: this one, homes, a carrier's network, a cloud's metadata, odd corners, and a third party.
const DOORS: [&str; 12] = [
    "127.0.0.1",
    "10.0.0.1",
    "172.16.3.4",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "0.0.0.0",
    "192.0.0.8",
    "198.18.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "45.77.0.1",
];
/// Last of the doors: a machine that is public and is not the attacker's.
const THIRD_PARTY: &str = "45.77.0.1";

/// What tricks came to.
#[derive(Clone, Debug, Default)]
pub struct Tricked {
    /// Addresses told, over all ways in.
    pub tricks: u64,
    /// Knocks at doors, and where.
    pub knocks: usize,
    pub doors: Vec<IpAddr>,
    /// Names that were looked up.
    pub lookups: u64,
}

/// Ways of writing an address of the door so that it reads as one of the attacker's.
fn tricks(door: &str, port: u16, peer: &str) -> Vec<String> {
    let own = attacker_ip(50);
    let mut all = vec![
        format!("/ip4/{own}/tcp/1/ip4/{door}/tcp/{port}"),
        format!("/ip4/{own}/udp/1/quic-v1/ip4/{door}/tcp/{port}"),
        format!("/ip4/{own}/ip4/{door}/tcp/{port}"),
        format!("/ip6/2a00:1450::1/tcp/1/ip4/{door}/tcp/{port}"),
        format!("/ip4/{own}/tcp/1/dns4/localhost/tcp/{port}"),
        format!("/ip4/{own}/tcp/1/dnsaddr/example.org/tcp/{port}"),
        format!("/dns4/localhost/tcp/{port}"),
        format!("/ip6/::ffff:{door}/tcp/{port}"),
        format!("/ip6/64:ff9b::{door}/tcp/{port}"),
        format!("/ip4/{own}/tcp/1/p2p/{peer}/ip4/{door}/tcp/{port}"),
        format!("/ip4/{own}/tcp/1/p2p/{peer}/p2p-circuit/ip4/{door}/tcp/{port}"),
    ];
    if door != THIRD_PARTY {
        // A third party's own address is no trick: who reads it dials it, once.
        all.push(format!("/ip4/{door}/tcp/{port}"));
    }
    all
}

/// Tells the target at least `count` tricks in Calls, records, identify and the DHT, and counts who is knocked at.
pub async fn trick(world: &World, count: u64, lasting: Duration) -> Tricked {
    let (door, names) = (Knocks::listen().await, Names::listen().await);
    let mut told = 0;
    let spoken: Vec<String> = DOORS.iter().flat_map(|ip| tricks(ip, door.port(), &world.peer.to_string())).collect();
    let as_bytes =
        |texts: &[String]| texts.iter().filter_map(|text| text.parse::<Multiaddr>().ok()).map(|address| address.to_vec()).collect::<Vec<_>>();
    let mut liars = Vec::new();
    let mut number = 0;
    while told < count {
        let key = world.key("trickster", number);
        let (others, records) = records(world, number, &spoken);
        let said = move |_, asked: &Value| match question(asked) {
            Some(("peers", _)) => Answer::Say(records.clone()),
            _ => knows_nothing(),
        };
        let ip = attacker_ip(50 + u8::try_from(number % 200).unwrap_or(0));
        let kad: Vec<(Vec<u8>, Vec<Vec<u8>>)> = others.iter().map(|other| (other.peer().to_bytes(), as_bytes(&spoken))).collect();
        told += spoken.len() as u64 * (2 + kad.len() as u64);
        let liar = Liar::new(key, ip, said).await;
        let liar = liar.and(|stranger| stranger.serve_identify(&as_bytes(&spoken), &[])).and(|stranger| stranger.serve_kad(kad));
        let mut liar = liar.join(world).await;
        for (author, at) in others.iter().zip(spoken.chunks(8).cycle().skip(usize::try_from(number).unwrap_or(0))) {
            let at = at.iter().map(|at| format!("{at}/p2p/{}", author.peer())).collect();
            liar.tell(&Offer::new(TOPIC, &world.profile, &bundled("noop"), at, now_ms()).call(author)).await;
            told += 8;
        }
        liars.push(liar);
        number += 1;
    }
    tokio::time::sleep(lasting).await;
    let heard = door.heard();
    let mut doors: Vec<IpAddr> = heard.iter().map(std::net::SocketAddr::ip).collect();
    doors.sort();
    doors.dedup();
    Tricked { tricks: told, knocks: heard.len(), doors, lookups: names.asked.load(Ordering::Relaxed) }
}

/// Sixteen keys and an answer with a record of each, four tricks in every one.
fn records(world: &World, number: u64, spoken: &[String]) -> (Vec<Key>, Value) {
    let others: Vec<Key> = (0..16).map(|other| world.key("tricked", number << 8 | other)).collect();
    let made = now_ms();
    let record = |(key, at): (&Key, &[String])| {
        let at: Vec<String> = at.iter().map(|at| format!("{at}/p2p/{}", key.peer())).collect();
        peer_record(key, TOPIC, &at, made)
    };
    let records = list(others.iter().zip(spoken.chunks(4).cycle()).map(record));
    (others, one("peers", one("records", records)))
}

/// Counts questions for names: a DNS server that never answers.
struct Names {
    asked: Arc<AtomicU64>,
    listening: tokio::task::JoinHandle<()>,
}

impl Drop for Names {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Names {
    async fn listen() -> Self {
        let asked = Arc::new(AtomicU64::new(0));
        let counted = asked.clone();
        // Every address is this machine, the configured server's too.
        let socket = tokio::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 53)).await;
        let listening = tokio::spawn(async move {
            let Ok(socket) = socket else { return };
            let mut question = [0; 512];
            while socket.recv(&mut question).await.is_ok() {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { asked, listening }
    }
}

/// Whether a victim's experiment reached the target.
#[derive(Clone, Debug, Default)]
pub struct KeptOut {
    /// Calls that named the victim's address.
    pub calls: u64,
    /// What the target says of the victim's experiment, if it has it.
    pub standing: Option<String>,
    /// Claims of the target that reached the victim.
    pub claims: u64,
}

/// `keys` publish Calls with the victim's IP among their addresses (and a good one of their own, if `also_own`). Then the victim, whom the
/// target does not know, has a Call told.
pub async fn name_the_victim(world: &World, keys: u64, also_own: bool, lasting: Duration) -> KeptOut {
    let victim_ip: IpAddr = Ipv4Addr::new(45, 30, 0, 7).into();
    let mut teller = Liar::new(world.key("teller", 0), attacker_ip(60), |_, _| knows_nothing()).await.join(world).await;
    let attackers_claims = Arc::new(AtomicU64::new(0));
    let mut authors = Vec::new();
    for number in 0..keys {
        let key = world.key("namer", number);
        let author = Liar::new(key.clone(), attacker_ip(61), counting(attackers_claims.clone())).await;
        let mut at = vec![format!("/ip4/{victim_ip}/tcp/1/p2p/{}", key.peer())];
        at.extend(also_own.then(|| author.stranger.at()));
        teller.tell(&Offer::new(TOPIC, &world.profile, &bundled("noop"), at, now_ms()).call(&key)).await;
        authors.push(author);
    }
    // The target has tried them.
    watch(lasting, Duration::from_millis(100), async || also_own && attackers_claims.load(Ordering::Relaxed) >= keys).await;
    newcomer(world, victim_ip, keys).await
}

/// `keys` publish Calls with eight addresses each where nobody is, all different: whoever believes them dials the whole day. Then somebody
/// whom the target does not know has a Call told.
pub async fn name_nobody(world: &World, keys: u64, lasting: Duration) -> KeptOut {
    let mut teller = Liar::new(world.key("teller", 1), attacker_ip(62), |_, _| knows_nothing()).await.join(world).await;
    for number in 0..keys {
        let key = world.key("nobody", number);
        let at = (0..8).map(|place| format!("/ip4/45.{}.{}.{place}/tcp/9/p2p/{}", 80 + (number >> 8), number & 255, key.peer())).collect();
        teller.tell(&Offer::new(TOPIC, &world.profile, &bundled("noop"), at, now_ms()).call(&key)).await;
    }
    tokio::time::sleep(lasting).await;
    newcomer(world, Ipv4Addr::new(45, 31, 0, 7).into(), keys).await
}

/// A requester at `ip` whom the target does not know: its Call is told by a friend, and it waits to be asked for work.
async fn newcomer(world: &World, ip: IpAddr, calls: u64) -> KeptOut {
    let claims = Arc::new(AtomicU64::new(0));
    let key = world.key("victim", u64::from(ip.is_ipv4()));
    let victim = Liar::new(key.clone(), ip, counting(claims.clone())).await;
    let offer = Offer::new(TOPIC, &world.profile, &bundled("noop"), vec![victim.stranger.at()], now_ms());
    let mut friend = Liar::new(world.key("friend", 0), crate::world::honest_ip(90), |_, _| knows_nothing()).await.join(world).await;
    friend.tell(&offer.call(&key)).await;
    let id = cid_text(&offer.id(&key));
    let mut standing = None;
    watch(Duration::from_secs(12), Duration::from_millis(100), async || {
        standing = world.standing(&id).await.or(standing.take());
        claims.load(Ordering::Relaxed) > 0
    })
    .await;
    KeptOut { calls, standing, claims: claims.load(Ordering::Relaxed) }
}

/// Counts claims, and has everybody wait.
fn counting(claims: Arc<AtomicU64>) -> impl Fn(libp2p::PeerId, &Value) -> Answer + Send + Sync {
    move |_, asked| match question(asked) {
        Some(("claim", _)) => {
            claims.fetch_add(1, Ordering::Relaxed);
            Answer::Say(one("wait", one("ms", Value::Uint(60_000))))
        }
        _ => knows_nothing(),
    }
}
