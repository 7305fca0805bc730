//! Lying workers: claims with labels of a megabyte, receipts with times that overflow, and results that nobody can read afterwards.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::cbor::{Value, list, map, one, text};
use crate::conduct::question;
use crate::key::{Key, cid, cid_text};
use crate::messages::{DAG_CBOR, claim, deliver, delivery, labels};
use crate::peer::Stranger;
use libp2p::PeerId;

use super::watch;
use crate::process::until;
use crate::watch as process;
use crate::world::{TOPIC, World};

/// How a claim's labels are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Labels {
    /// A megabyte, in every claim.
    Huge,
    /// None in the first claim, a megabyte in the next.
    HugeLater,
    /// As many as the protocol lets one have.
    Most,
}

/// What three lying workers came to.
#[derive(Clone, Debug, Default)]
pub struct Labelled {
    pub claims: u64,
    pub leases: u64,
    pub held: u64,
    /// Exit codes of `station results` and `station verify` afterwards, and what they said.
    pub results: i32,
    pub verify: i32,
    pub said: String,
    pub before_mb: f64,
    pub after_mb: f64,
}

/// An address in a /24 that only this key has, for seats go by networks.
fn own_network(number: u8) -> IpAddr {
    Ipv4Addr::new(45, 70, number, 1).into()
}

/// The target publishes an experiment that three must agree on; three strangers do all of it, with labels like these, and say that it took
/// them `duration_ms`.
///
/// # Panics
/// When the target cannot publish.
pub async fn work_with(world: &World, kind: Labels, duration_ms: u64, lasting: Duration) -> Labelled {
    let file = "name = \"victim\"\ntopic = \"tests\"\nmodule = \"noop\"\ncontact = \"mailto:v@example.org\"\n[jobs]\nn = [1, 2]\n[pure]\ntrust = \"fixed:3\"\n[run]\ndeadline = \"1m\"\n";
    world.target.write("victim.toml", file);
    let path = world.target.dir().join("victim.toml");
    let published = world.target.ask(&["publish", "--detach", path.to_str().expect("UTF-8")]).await;
    let id = published["experiment"].as_str().expect("an id").to_owned();
    let mut done = Labelled { before_mb: process::resident_mb(world.process()), ..Labelled::default() };
    let mut workers = Vec::new();
    for number in 0..3 {
        let key = world.key("labels", number);
        workers.push(world.stranger(key, own_network(u8::try_from(number).unwrap_or(0))).await);
    }
    let experiment = until("the target's Call", || async { experiment_of(&workers[0], world.peer, &id).await }).await;
    let mut round = 0;
    watch(lasting, Duration::from_millis(200), async || {
        let labelled = match kind {
            Labels::Most => labels(2, 15),
            Labels::HugeLater if round == 0 => map([]),
            Labels::Huge | Labels::HugeLater => labels(918, 16),
        };
        round += 1;
        for worker in &workers {
            let free = u64::from(kind != Labels::HugeLater || round > 1) * 8;
            done.claims += 1;
            let Ok(answer) = worker.ask(world.peer, &claim(&experiment, &world.profile, free, labelled.clone())).await else { continue };
            let receipts = receipts(&worker.key, &experiment, &world.profile, &answer, duration_ms);
            done.leases += receipts.len() as u64;
            if receipts.is_empty() {
                continue;
            }
            let Ok(acked) = worker.ask(world.peer, &deliver(&experiment, receipts, 0)).await else { continue };
            let held = acked.get("acked").and_then(|acked| acked.get("body")).and_then(|ack| ack.get("held"));
            done.held += held.map_or(0, |held| held.items().len() as u64);
        }
        done.held >= 6 || workers.iter().all(|worker| worker.open_connections() == 0)
    })
    .await;
    done.after_mb = process::resident_mb(world.process());
    // An experiment that is closed can be verified; cancelled, if the strangers did not get that far.
    let _ = world.target.try_ask(&["cancel", &id]).await;
    let read = until("the experiment's end", || async {
        let verified = world.target.try_ask(&["verify", &id]).await;
        (!verified.1.to_string().contains("still open")).then_some(verified)
    })
    .await;
    let results = world.target.try_ask(&["results", &id]).await;
    (done.results, done.verify) = (results.0, read.0);
    done.said = format!("{} {}", results.1, read.1);
    done
}

/// The experiment whose Call the target tells, by the id that people write.
async fn experiment_of(asker: &Stranger, peer: PeerId, id: &str) -> Option<Vec<u8>> {
    let answer = asker.ask(peer, &one("calls", map([("topic", text(TOPIC)), ("have", list([]))]))).await.ok()?;
    let (_, body) = question(&answer)?;
    let experiments = body.get("calls")?.items().iter().filter_map(|call| call.get("body")?.get("experiment")?.get("body"));
    experiments.map(|experiment| cid(DAG_CBOR, &experiment.encode())).find(|experiment| cid_text(experiment) == id)
}

/// A receipt for each lease of an answer.
fn receipts(key: &Key, experiment: &[u8], profile: &str, answer: &Value, duration_ms: u64) -> Vec<Value> {
    let Some(leases) = answer.get("leases").and_then(|signed| signed.get("body")) else { return Vec::new() };
    let first = leases.get("first").and_then(Value::as_uint).unwrap_or(0);
    let items = leases.get("leases").map_or(&[][..], Value::items);
    let receipt = |(number, lease): (u64, &Value)| {
        let index = lease.get("index").and_then(Value::as_uint).unwrap_or(0);
        delivery(key, experiment, index, number, profile, &[0xa0], duration_ms)
    };
    (first..).zip(items).map(receipt).collect()
}
