//! Modules that are dear to compile, and who serves them.
//!
//! Guarantees: no two are the same, so that no station has one compiled already; whoever asks for one gets it at once, as a requester that
//! means well would serve it. Deliberately lacks real modules: a station of the simulator costs them by what they say.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use libp2p::StreamProtocol;
use station_node::content::{Provider, Served};
use station_node::ledger::Ledger;
use station_node::network::peer_id;
use station_node::store::MemoryStore;
use station_protocol::address::Reach;
use station_protocol::content::Content;

use super::Attacker;
use crate::world::engine::compiler;

/// From the start to the one experiment of a key: by then the swarm is in the meshes.
pub(super) const AFTER: Duration = Duration::from_secs(2);

/// What is served.
#[derive(Clone, Debug)]
pub(super) struct Modules(Provider);

impl Default for Modules {
    fn default() -> Self {
        Self(Provider::new(Arc::new(MemoryStore::default()), Ledger::new(Reach::Global, [])))
    }
}

impl Modules {
    /// One more module that takes `compile_ms`: its number follows from the key of whoever publishes it and from the round.
    pub(super) fn another(&self, compile_ms: u64, secret: &[u8; 32], round: u64) -> Content {
        let [a, b, c, d, ..] = *secret;
        let number = u64::from(u32::from_be_bytes([a, b, c, d])) << 32 | round;
        let bytes = compiler::module(compile_ms, number);
        let dag = station_car::unixfs::build(&bytes);
        let content = Content { cid: dag.root, bytes: bytes.len() as u64 };
        // A full shelf is one that has served enough.
        let _ = self.0.shelf().put_held(dag);
        content
    }
}

impl Attacker {
    /// Answers what stations ask in the `car` protocol.
    pub(super) fn accept_fetching(&mut self) {
        let Ok(protocol) = StreamProtocol::try_from_owned(format!("/station/{}/1/car", self.plan.network)) else { return };
        let Ok(mut incoming) = self.swarm.behaviour().stream.new_control().accept(protocol) else { return };
        let (tasks, modules, deeds) = (self.tasks.clone(), self.modules.clone(), self.deeds.clone());
        self.tasks.spawn(async move {
            while let Some((peer, stream)) = incoming.next().await {
                let (modules, deeds) = (modules.clone(), deeds.clone());
                tasks.spawn(async move {
                    let Ok(node) = peer_id::node_of(&peer) else { return };
                    if let Ok(Served::Sent { .. }) = modules.0.answer(stream, node, false, true).await {
                        deeds.lock().unwrap_or_else(std::sync::PoisonError::into_inner).modules += 1;
                    }
                });
            }
        });
    }
}
