//! Modules made to harm: slow to compile, or printing what somebody else has.

use std::fmt::Write as _;
use std::time::Duration;

use crate::cbor::{Value, one};
use crate::conduct::{Answer, car, question, tally};
use crate::key::{Key, node_of};
use crate::messages::{Offer, ack, leases};
use crate::now_ms;
use libp2p::PeerId;

use super::{Liar, knows_nothing};
use crate::world::{TOPIC, World, attacker_ip};

/// A module that prints `bytes`.
///
/// # Panics
/// Never: it is right.
#[must_use]
pub fn printing(bytes: &[u8]) -> Vec<u8> {
    let pages = bytes.len() / 65_536 + 2;
    let text = format!(
        "(module (import \"wasi_snapshot_preview1\" \"fd_write\" (func $write (param i32 i32 i32 i32) (result i32)))
           (memory (export \"memory\") {pages}) (data (i32.const 64) \"{}\")
           (func (export \"_start\") (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const {}))
             (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))",
        escaped(bytes),
        bytes.len()
    );
    wat::parse_str(text).expect("a module")
}

/// A module that does nothing and is `bytes` long or a little more, unlike that of any other `number`.
///
/// # Panics
/// Never: it is right.
#[must_use]
pub fn idle(number: u64, bytes: usize) -> Vec<u8> {
    let filling: Vec<u8> = (0..bytes as u64 / 32 + 1).flat_map(|at| crate::key::sha256(&[&number.to_be_bytes(), &at.to_be_bytes()])).collect();
    let pages = filling.len() / 65_536 + 1;
    let text = format!("(module (memory (export \"memory\") {pages}) (data (i32.const 0) \"{}\") (func (export \"_start\")))", escaped(&filling));
    wat::parse_str(text).expect("a module")
}

/// A module of eight functions of 5,000 loops each, unlike that of any other `number`: small to send, and seconds of compiling.
///
/// # Panics
/// Never: it is right.
#[must_use]
pub fn slow_to_compile(number: u64) -> Vec<u8> {
    let mut text = format!("(module (memory (export \"memory\") 1) (global $unlike (mut i64) (i64.const {number})) ");
    for function in 0..8 {
        let _ = write!(text, "(func $f{function} ");
        (0..5_000).for_each(|_| text.push_str("(loop) "));
        text.push_str(") ");
    }
    text.push_str("(func (export \"_start\")))");
    wat::parse_str(text).expect("a module")
}

fn escaped(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "\\{byte:02x}");
        text
    })
}

/// A requester that deals one lease, serves its module and then holds what comes, or refuses it.
///
/// `seen` counts `claim` and `deliver`.
pub async fn requester(world: &World, key: Key, ip: u8, module: Vec<u8>, duration_ms: u64, holds: bool, seen: super::Seen) -> (Liar, Offer) {
    let signer = key.clone();
    let answer = move |from: PeerId, asked: &Value| {
        let Some((kind, body)) = question(asked) else { return Answer::Reset };
        let experiment = body.get("experiment").and_then(Value::as_bytes).unwrap_or_default().to_vec();
        let node = node_of(&from);
        match kind {
            "claim" => {
                tally(&seen, kind);
                Answer::Say(one("leases", signer.sign("leases/1", &leases(&experiment, &node, 1, 1, duration_ms))))
            }
            "deliver" => {
                let receipts = body.get("receipts").map_or(0, |receipts| receipts.items().len());
                (0..receipts).for_each(|_| _ = tally(&seen, kind));
                let held: &[u64] = if holds && receipts > 0 { &[1] } else { &[] };
                Answer::Say(one("acked", signer.sign("ack/1", &ack(&experiment, &node, held, None))))
            }
            _ => knows_nothing(),
        }
    };
    let liar = Liar::new(key, attacker_ip(ip), answer).await;
    let mut offer = Offer::new(TOPIC, &world.profile, &module, vec![liar.stranger.at()], now_ms());
    offer.deadline_ms = now_ms() + 60_000;
    let served = car(&offer.module.0, &[(offer.module.0.clone(), module)]);
    (liar.and(|stranger| stranger.serve_car(served)).join(world).await, offer)
}

/// `keys` requesters, each with a module that is slow to compile and one lease of a second. Gives the requesters, which work until they are
/// dropped, and what they saw.
pub async fn hog_the_compiler(world: &World, keys: u64) -> (Vec<Liar>, super::Seen) {
    let seen = super::Seen::default();
    let mut liars = Vec::new();
    for number in 0..keys {
        let key = world.key("hog", number);
        let ip = 10 + u8::try_from(number % 200).unwrap_or(0);
        let (mut liar, offer) = requester(world, key.clone(), ip, slow_to_compile(number), 1_000, true, seen.clone()).await;
        liar.tell(&offer.call(&key)).await;
        liars.push(liar);
    }
    super::watch(Duration::from_secs(5), Duration::from_millis(50), async || {
        let counts = seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        counts.get("claim").copied().unwrap_or(0) >= keys
    })
    .await;
    (liars, seen)
}
