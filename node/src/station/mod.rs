//! [`Station`]: the two machines and everything they act through, in one event loop.
//!
//! ```text
//!   network ─┐                       ┌─► network.perform
//!   reports ─┤                       ├─► executor.start / stop
//!   fetches ─┼─► machine.handle ─► poll ─► Commit ─► store ─► effects ─┤
//!   handle  ─┤        (rules)        └─► Do ───────────────────────────┘
//!   deadline ┘
//! ```
//!
//! Guarantees: one task owns both machines; effects that reveal state run only after their Commit is durable; a store failure ends
//! the station (it recovers from disk at the next start). Deliberately lacks any `if` on protocol state.

mod commits;
mod driver;
mod fetches;
mod handle;
mod narrate;
mod room;

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use station_protocol::bounded::Text;
use station_protocol::durable::RestoreError;
use station_protocol::experiment::EngineProfile;
use station_protocol::policy::Policy;
use station_protocol::receipt::Isolation;
use station_protocol::requester::{self, Requester};
use station_protocol::worker::{self, Worker};
use station_protocol::{SigningKey, Time};
use tokio::sync::{broadcast, mpsc};

use crate::clock::Clock;
use crate::config::{Config, NetworkFile};
use crate::engine::Engine;
use crate::library::Library;
use crate::network::{Network, NetworkConfig, NetworkError, Roles, peer_id};
use crate::on_disk::OnDisk;
use crate::operator::Host;
use crate::outside::Outside;
use crate::store::{Store, StoreError, Table};
use crate::tasks::Tasks;

pub use handle::{Around, Handle, HandleError, Identity, NOTES_KEPT, Note, Status, results, verified};

/// The software that receipts name.
pub const SOFTWARE: &str = concat!("station/", env!("CARGO_PKG_VERSION"));

/// What the composition root brings: everything that is a socket, a disk, a process or luck.
pub struct Parts {
    /// The Ed25519 seed of the station's key.
    pub secret: [u8; 32],
    /// Luck for the machines.
    pub seed: [u8; 32],
    /// Authenticated and multiplexed, below the relay client.
    pub transport: Boxed<(PeerId, StreamMuxerBox)>,
    pub store: Arc<dyn Store>,
    pub engine: Arc<dyn Engine>,
    pub outside: Arc<dyn Outside>,
    pub isolation: Isolation,
    pub profiles: Vec<EngineProfile>,
    /// Processors to offer to others; none for a station that only publishes.
    pub processors: usize,
    /// Everything the station spawns.
    pub tasks: Tasks,
    /// Notes kept for a listener that does not keep up; their room is taken at the start.
    pub notes_kept: usize,
    /// What the station's process has of memory, in bytes, where the system tells.
    pub memory_bytes: fn() -> Option<u64>,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Neither the secret nor the seed belongs into a log.
        f.debug_struct("Parts").field("isolation", &self.isolation).field("processors", &self.processors).finish_non_exhaustive()
    }
}

/// Why a station does not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum StationError {
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Restore(#[from] RestoreError),
    #[error("station.toml: {0}")]
    Labels(String),
}

/// A station that is ready to run.
pub struct Station {
    driver: driver::Driver,
    handle: Handle,
    tasks: Tasks,
}

impl std::fmt::Debug for Station {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Station").field("handle", &self.handle).finish_non_exhaustive()
    }
}

impl Station {
    /// Restores the machines from the store and begins to listen.
    pub async fn start(config: &Config, network: &NetworkFile, policy: Policy, parts: Parts) -> Result<Self, StationError> {
        let (clock, tasks) = (Clock::start(), parts.tasks);
        let key = SigningKey::from_bytes(&parts.secret);
        let labels = config.labels().map_err(StationError::Labels)?;
        let identity = handle::Identity {
            node: key.node(),
            network: network.name.clone(),
            topics: network.topics.clone(),
            isolation: parts.isolation,
            labels: labels.clone(),
            config: config.clone(),
            network_file: network.clone(),
            processors: parts.processors,
            started: clock.now(),
        };
        let capacity = identity.capacity(&policy);
        let worker_config = worker::Config {
            network: network.name.clone(),
            reach: network.reach(),
            topics: network.topics.clone(),
            policy: policy.clone(),
            labels,
            isolation: parts.isolation,
            profiles: parts.profiles.clone(),
            capacity,
            software: Text::cut(SOFTWARE),
            anchor: config.anchor,
        };
        let machines = restore(worker_config, network, &key, parts.seed, &*parts.store, clock.now()).await?;
        let swarm = Network::new(network_config(config, network, &policy), &peer_id::keypair(parts.secret), parts.transport, tasks.clone())?;
        let library = Library::new(parts.store.clone());
        library.forget_earlier().await?;
        let files = Arc::new(Mutex::new(OnDisk::in_force(&policy)));
        let host = Host::new(parts.outside, key.node(), policy, clock.clone(), parts.store.clone(), tasks.clone()).await?;
        config.announce.iter().flat_map(ips).for_each(|ip| host.announced(ip));
        let (commands, inbox) = mpsc::channel(handle::COMMANDS_WAITING_MAX);
        let (notes, _) = broadcast::channel(parts.notes_kept);
        let handle = Handle {
            commands,
            notes,
            identity: Arc::new(identity),
            library,
            store: parts.store,
            host: host.clone(),
            files,
            memory_bytes: parts.memory_bytes,
        };
        let driver = driver::Driver::new(machines, swarm, parts.engine, host, clock, tasks.clone(), inbox, &handle);
        Ok(Self { driver, handle, tasks })
    }

    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Runs until [`Handle::shutdown`] or a failure of the store.
    pub async fn run(mut self) -> Result<(), StationError> {
        let ended = self.driver.run().await;
        self.tasks.close();
        ended
    }
}

/// Both machines as the store left them.
async fn restore(
    config: worker::Config,
    network: &NetworkFile,
    key: &SigningKey,
    seed: [u8; 32],
    store: &dyn Store,
    now: Time,
) -> Result<(Worker, Requester), StationError> {
    let records = store.load(Table::Worker).await?;
    let worker = Worker::restore(config, key.clone(), seed, records.into_iter(), now)?;
    let records = store.load(Table::Requester).await?;
    let config = requester::Config { network: network.name.clone() };
    let seed = station_protocol::content::sha256(&[b"requester", &seed]);
    Ok((worker, Requester::restore(config, key.clone(), seed, records.into_iter(), now)?))
}

/// The addresses that `address` names, a relay's among them: none of them is for guests.
fn ips(address: &Multiaddr) -> impl Iterator<Item = IpAddr> {
    address.iter().filter_map(|part| match part {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(ip.into()),
        _ => None,
    })
}

fn network_config(config: &Config, network: &NetworkFile, policy: &Policy) -> NetworkConfig {
    NetworkConfig {
        bootstrap: network.bootstrap.clone(),
        listen: config.listen.clone(),
        gossip: config.gossip.clone(),
        external: config.announce.clone(),
        use_relays: config.use_relays,
        reach: network.reach(),
        roles: Roles { relay: policy.roles.relay, dht_server: policy.roles.dht_server, bootstrap: policy.roles.dht_server },
        software: SOFTWARE.to_owned(),
        ..NetworkConfig::new(network.name.clone(), network.topics.clone())
    }
}
