//! A small mesh in one process: stations with keys, stores and a policy of their own over loopback TCP and QUIC, and the gateways
//! they measure. `station demo` shows it; the benchmark and the end-to-end tests build on [`Mesh`].
//!
//! Guarantees: everything is a real station; nothing listens beyond loopback; dropping the mesh ends it. Deliberately lacks any
//! short cut between the stations.

pub mod gateway;
pub mod real;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use libp2p::Multiaddr;
use station_protocol::bounded::Name;
use station_protocol::policy::Policy;
use station_sandbox::Sandbox;
use tokio::task::JoinSet;

use crate::config::{Config, NetworkFile};
use crate::library::bundled_names;
use crate::platform::home::{Home, entropy};
use crate::platform::start::{self, Plan, StartError};
use crate::station::{Handle, HandleError, StationError};

/// How a mesh is made.
#[derive(Clone, Debug)]
pub struct MeshPlan {
    pub stations: usize,
    pub topic: Name,
    /// The policy of every station, as its file would be.
    pub policy: String,
    /// Loopback sockets that guests may reach.
    pub exempt: BTreeSet<SocketAddr>,
    /// Jobs at the same time per station.
    pub capacity: u32,
    /// The program whose `main` begins with `station_sandbox::worker_entry`, where it is not the running one.
    pub program: Option<PathBuf>,
}

/// Why a mesh does not come up.
#[derive(Debug, thiserror::Error)]
pub enum MeshError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Handle(#[from] HandleError),
    #[error("the mesh's policy: {0}")]
    Policy(#[from] station_protocol::policy::PolicyError),
    #[error("the stations did not find each other within {0} s")]
    NotJoined(u64),
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// Running stations.
#[derive(Debug)]
pub struct Mesh {
    handles: Vec<Handle>,
    running: JoinSet<Result<(), StationError>>,
}

/// How long stations may take to find each other on one machine.
const JOIN_S: u64 = 20;

impl Mesh {
    /// Starts the stations with homes below `dir`; the first is everybody's bootstrap. Resolves when all have found each other.
    pub async fn start(plan: &MeshPlan, dir: &Path) -> Result<Self, MeshError> {
        let policy = Policy::parse(&plan.policy, &bundled_names())?;
        let tag: String = entropy()[..4].iter().map(|byte| format!("{byte:02x}")).collect();
        let name = Name::new(format!("mesh-{tag}")).expect("hexadecimal is a name");
        let sandbox = start::sandbox(&Home::new(dir.to_owned()), plan.program.clone());
        let mut mesh = Self { handles: Vec::new(), running: JoinSet::new() };
        let mut bootstrap: Vec<Multiaddr> = Vec::new();
        for number in 0..plan.stations {
            let network = NetworkFile { name: name.clone(), lan: true, bootstrap: bootstrap.clone(), topics: vec![plan.topic.clone()] };
            let mut policy = policy.clone();
            policy.roles.dht_server = number == 0;
            mesh.add(plan, network, policy, &dir.join(format!("station-{number}")), number, &sandbox).await?;
            if number == 0 {
                bootstrap = mesh.listening(0).await?;
            }
        }
        mesh.joined().await?;
        Ok(mesh)
    }

    /// The stations, in the order they were started.
    #[must_use]
    pub fn handles(&self) -> &[Handle] {
        &self.handles
    }

    /// Stops all stations and waits for them.
    pub async fn stop(mut self) {
        for handle in &self.handles {
            // One that has stopped already is what we want.
            let _ = handle.shutdown().await;
        }
        while self.running.join_next().await.is_some() {}
    }

    /// The same, but stations that have something left to deliver after `patience` are ended with it: for a mesh whose results are in.
    pub async fn end(self, patience: std::time::Duration) {
        // Dropped when the time is over, and what is dropped ends.
        let _ = tokio::time::timeout(patience, self.stop()).await;
    }

    async fn add(
        &mut self,
        plan: &MeshPlan,
        network: NetworkFile,
        policy: Policy,
        dir: &Path,
        number: usize,
        sandbox: &Sandbox,
    ) -> Result<(), MeshError> {
        let home = Home::new(dir.to_owned());
        home.init().map_err(StartError::from)?;
        let loopback = |text: &str| text.parse::<Multiaddr>().expect("our own addresses parse");
        let (tcp, quic) = (loopback("/ip4/127.0.0.1/tcp/0"), loopback("/ip4/127.0.0.1/udp/0/quic-v1"));
        // The first listens on both; the others alternate, so that both transports carry the mesh.
        let listen = match number {
            0 => vec![tcp, quic],
            odd if odd % 2 == 1 => vec![tcp],
            _ => vec![quic],
        };
        let config = Config { listen, capacity: plan.capacity, ..Config::default() };
        let secret = home.key().map_err(StartError::from)?;
        let station = start::station(&home, Plan { config, network, policy, secret, exempt: plan.exempt.clone() }, sandbox).await?;
        self.handles.push(station.handle());
        self.running.spawn(station.run());
        Ok(())
    }

    /// The addresses of station `number`, once it listens.
    async fn listening(&self, number: usize) -> Result<Vec<Multiaddr>, MeshError> {
        self.until(|| async {
            let addresses = self.handles[number].status().await?.addresses;
            Ok((!addresses.is_empty()).then(|| addresses.iter().filter_map(|address| address.to_string().parse().ok()).collect()))
        })
        .await
    }

    /// Waits until every station counts all of them.
    async fn joined(&self) -> Result<(), MeshError> {
        self.until(|| async {
            for handle in &self.handles {
                let status = handle.status().await?;
                if status.topics.iter().any(|(_, count)| *count < self.handles.len() as u64) {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
        .await
    }

    async fn until<T, F: Future<Output = Result<Option<T>, MeshError>>>(&self, mut ready: impl FnMut() -> F) -> Result<T, MeshError> {
        let give_up = tokio::time::Instant::now() + std::time::Duration::from_secs(JOIN_S);
        let mut tick = tokio::time::interval(std::time::Duration::from_millis(50));
        loop {
            tick.tick().await;
            if let Some(value) = ready().await? {
                return Ok(value);
            }
            if tokio::time::Instant::now() > give_up {
                return Err(MeshError::NotJoined(JOIN_S));
            }
        }
    }
}
