//! Lying requesters: leases that nobody asked for, receipts that are never held, work that is never ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::cbor::{Value, one};
use crate::conduct::{Answer, car, question};
use crate::key::{Key, cid_text, node_of};
use crate::messages::{Offer, ack, leases};
use crate::now_ms;
use libp2p::PeerId;

use super::{Liar, bundled, knows_nothing, watch};
use crate::watch::Knocks;
use crate::world::{TOPIC, World, attacker_ip};

/// Leases of one answer: the most that the protocol lets one have.
const PUSHED: u64 = 32;
/// Largest experiment: every pushed lease is of another job.
const JOBS: u64 = 1_000_000;

/// What came of leases that nobody asked for.
#[derive(Clone, Debug, Default)]
pub struct OverLeased {
    /// Claims and deliveries that were answered with leases.
    pub answers: u64,
    pub leases: u64,
    /// The most receipts that the target kept at a time.
    pub outbox_most: u64,
    /// What the target made of an experiment that ends in 500 million years, if it kept it.
    pub far_deadline: Option<String>,
    pub was_let_go: bool,
}

/// One key whose experiments offer work for ever: each claim and each delivery is answered with 32 leases, whatever was asked, and no
/// receipt is ever held.
pub async fn over_lease(world: &World, lasting: Duration) -> OverLeased {
    let key = world.key("over-lease", 0);
    let answers = Arc::new(AtomicU64::new(0));
    let module = bundled("noop");
    let liar = Liar::new(key.clone(), attacker_ip(1), pushing(key.clone(), answers.clone(), 10_000)).await;
    let mut offer = Offer::new(TOPIC, &world.profile, &module, vec![liar.stranger.at()], now_ms());
    offer.jobs = JOBS;
    let served = car(&offer.module.0, &[(offer.module.0.clone(), module)]);
    let mut liar = liar.and(|stranger| stranger.serve_car(served)).join(world).await;
    let far = Offer { deadline_ms: u64::MAX, name: "for ever".to_owned(), ..offer.clone() };
    liar.tell(&far.call(&key)).await;
    liar.tell(&offer.call(&key)).await;
    let mut outbox_most = 0;
    watch(lasting, Duration::from_millis(300), async || {
        outbox_most = outbox(world).await.max(outbox_most);
        false
    })
    .await;
    let answers = answers.load(Ordering::Relaxed);
    OverLeased {
        answers,
        leases: answers * PUSHED,
        outbox_most,
        far_deadline: world.standing(&cid_text(&far.id(&key))).await,
        was_let_go: liar.stranger.was_let_go() > 0,
    }
}

async fn outbox(world: &World) -> u64 {
    world.status().await["outbox"].as_u64().unwrap_or(u64::MAX)
}

/// Answers with leases and never with `held`.
fn pushing(key: Key, answers: Arc<AtomicU64>, duration_ms: u64) -> impl Fn(PeerId, &Value) -> Answer + Send + Sync {
    move |from, asked| {
        let Some((kind, body)) = question(asked) else { return Answer::Reset };
        if kind != "claim" && kind != "deliver" {
            return knows_nothing();
        }
        let Some(experiment) = body.get("experiment").and_then(Value::as_bytes) else { return Answer::Reset };
        let first = 1 + PUSHED * answers.fetch_add(1, Ordering::Relaxed);
        let node = node_of(&from);
        let more = leases(experiment, &node, first, PUSHED, duration_ms);
        Answer::Say(match kind {
            "claim" => one("leases", key.sign("leases/1", &more)),
            _ => one("acked", key.sign("ack/1", &ack(experiment, &node, &[], Some(more)))),
        })
    }
}

/// What came of leases that ended before they began.
#[derive(Clone, Debug, Default)]
pub struct Returned {
    /// Experiments that were given up by their requesters.
    pub experiments: u64,
    /// Whether the target claimed any.
    pub claims: u64,
    /// Knocks at the address of a requester that has gone, all together and in the last half of the time.
    pub knocks: usize,
    pub late_knocks: usize,
    /// How many of them the target still knows in the end, although all their deadlines have passed.
    pub remembered: usize,
}

/// Experiments of a moment, each claimed and answered with a lease of no time at all; then the requester is gone, and where it was is
/// somebody else's door.
pub async fn leave_returned_leases(world: &World, experiments: u64, lasting: Duration) -> Returned {
    let door = Knocks::listen().await;
    let mut ids = Vec::new();
    let claims = Arc::new(AtomicU64::new(0));
    for number in 0..experiments {
        let key = world.key("returned", number);
        let (counted, signer) = (claims.clone(), key.clone());
        let answer = move |from: PeerId, asked: &Value| match question(asked) {
            Some(("claim", body)) => {
                counted.fetch_add(1, Ordering::Relaxed);
                let experiment = body.get("experiment").and_then(Value::as_bytes).unwrap_or_default();
                Answer::Say(one("leases", signer.sign("leases/1", &leases(experiment, &node_of(&from), 1, 1, 0))))
            }
            Some(("deliver", _)) => Answer::Silence,
            _ => knows_nothing(),
        };
        let mut liar = Liar::new(key.clone(), attacker_ip(2), answer).await.join(world).await;
        let door = format!("/ip4/{}/tcp/{}/p2p/{}", attacker_ip(3), door.port(), key.peer());
        let mut offer = Offer::new(TOPIC, &world.profile, &bundled("noop"), vec![door], now_ms());
        (offer.exp_ms, offer.deadline_ms) = (offer.nbf_ms + 4_000, offer.nbf_ms + 1_500);
        ids.push(cid_text(&offer.id(&key)));
        liar.tell(&offer.call(&key)).await;
        let before = claims.load(Ordering::Relaxed);
        watch(Duration::from_secs(2), Duration::from_millis(50), async || claims.load(Ordering::Relaxed) > before).await;
    }
    tokio::time::sleep(lasting / 2).await;
    let early = door.heard().len();
    tokio::time::sleep(lasting / 2).await;
    let knocks = door.heard().len();
    let status = world.status().await;
    let known = status["calls"].as_array().cloned().unwrap_or_default();
    let remembered = known.iter().filter(|call| ids.iter().any(|id| call["experiment"] == *id)).count();
    Returned { experiments, claims: claims.load(Ordering::Relaxed), knocks, late_knocks: knocks - early, remembered }
}
