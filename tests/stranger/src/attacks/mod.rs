//! What a stranger does to a station, one file for each kind of harm: [`leases`], [`census`], [`addresses`], [`calls`], [`floods`],
//! [`labels`], [`content`], [`places`] and [`modules`].
//!
//! Guarantees: each attack ends by itself and says what it did and what it came to, in figures that a test bounds and a benchmark prints.
//! Deliberately lacks verdicts: what is too much is said where an attack is played.

pub mod addresses;
pub mod calls;
pub mod census;
pub mod content;
pub mod floods;
pub mod labels;
pub mod leases;
pub mod modules;
pub mod places;

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use crate::cbor::Value;
use crate::conduct::{Answer, Service, say};
use crate::key::Key;
use crate::now_ms;
use crate::peer::Stranger;
use crate::protobuf;
use libp2p::{PeerId, Stream};

use crate::world::{TOPIC, World};

/// A stranger that plays a station: a topic peer that answers what it is asked, as it likes.
#[derive(Debug)]
pub struct Liar {
    pub stranger: Stranger,
    gossip: Option<Stream>,
    services: Vec<Service>,
}

impl Liar {
    /// Listens at `ip` and answers there; knows nobody yet.
    pub async fn new(key: Key, ip: IpAddr, answer: impl Fn(PeerId, &Value) -> Answer + Send + Sync + 'static) -> Self {
        let stranger = Stranger::new(key, ip).await;
        let services = vec![stranger.hear_gossip(), stranger.serve_work(answer)];
        Self { stranger, gossip: None, services }
    }

    /// One more pretence.
    #[must_use]
    pub fn and(mut self, service: impl FnOnce(&Stranger) -> Service) -> Self {
        self.services.push(service(&self.stranger));
        self
    }

    /// Connects to the target and subscribes.
    ///
    /// # Panics
    /// When the target does not take it.
    #[must_use]
    pub async fn join(self, world: &World) -> Self {
        self.stranger.dial(&world.address, world.peer).await.expect("the target takes a connection");
        self.subscribe(world).await.expect("gossip is spoken")
    }

    /// Subscribes where it is connected.
    #[must_use]
    pub async fn subscribe(self, world: &World) -> Option<Self> {
        self.subscribe_at(world.peer).await
    }

    /// The same at another station than the target.
    #[must_use]
    pub async fn subscribe_at(mut self, peer: PeerId) -> Option<Self> {
        self.gossip = Some(self.stranger.gossip(peer, TOPIC).await.ok()?);
        Some(self)
    }

    /// Tells the target a Call, its own or another's. Whether it could.
    pub async fn tell(&mut self, call: &Value) -> bool {
        self.tell_on(TOPIC, call).await
    }

    /// The same on another topic.
    pub async fn tell_on(&mut self, topic: &str, call: &Value) -> bool {
        let topic = self.stranger.gossip_topic(topic);
        let Some(gossip) = &mut self.gossip else { return false };
        say(gossip, &protobuf::publish(&topic, [call.encode().as_slice()])).await.is_ok()
    }
}

/// What an attacker saw, by name.
pub type Seen = crate::conduct::Tally;

/// A bundled module's bytes, from its file.
///
/// # Panics
/// When the repository lacks it.
#[must_use]
pub fn bundled(name: &str) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace's folder");
    std::fs::read(root.join("modules/dist").join(format!("{name}.wasm"))).expect("a bundled module")
}

/// Every `every` for as long as `lasting` or until `look` says that it is enough.
pub async fn watch(lasting: Duration, every: Duration, mut look: impl AsyncFnMut() -> bool) {
    let mut tick = tokio::time::interval(every);
    let watching = async {
        loop {
            tick.tick().await;
            if look().await {
                return;
            }
        }
    };
    // Both ends are well.
    let _ = tokio::time::timeout(lasting, watching).await;
}

/// The answer to a question for Calls or peers that says nothing.
#[must_use]
pub fn knows_nothing() -> Answer {
    Answer::Say(crate::cbor::text("unserved"))
}

/// Today, as counts of a topic have it.
#[must_use]
pub fn today() -> u64 {
    now_ms() / 86_400_000
}
