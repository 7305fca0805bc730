//! The composition root on a real machine: from a home folder to a running station with its API.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use libp2p::Multiaddr;
use station_protocol::bounded::Name;
use station_sandbox::Sandbox;

use super::engine::ProcessEngine;
use super::home::{Home, HomeError, entropy};
use super::outside::RealOutside;
use super::store::{Bounds, RedbStore};
use super::{damage, listen, ports, transport};
use crate::config::{Config, NetworkFile};
use crate::station::{NOTES_KEPT, Parts, Station, StationError};
use crate::store::StoreError;
use crate::tasks::Tasks;
use station_protocol::policy::Policy;

/// Why a station does not start from its home.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Station(#[from] StationError),
    #[error("{0}")]
    Damaged(String),
    #[error("the transport: {0}")]
    Transport(String),
    #[error("cannot listen on {address}: {error}; set another `listen` in station.toml")]
    Port { address: Multiaddr, error: std::io::Error },
    #[error("the API cannot listen on {addr}: {error}; set another `api` in station.toml")]
    Api { addr: SocketAddr, error: std::io::Error },
}

/// Everything that differs between a station of an operator and one of the demo or a test.
#[derive(Debug)]
pub struct Plan {
    pub config: Config,
    pub network: NetworkFile,
    pub policy: Policy,
    pub secret: [u8; 32],
    /// Loopback or private sockets that guests may reach: none for an operator.
    pub exempt: BTreeSet<SocketAddr>,
}

impl Plan {
    /// What the home's files say.
    pub fn of(home: &Home) -> Result<Self, HomeError> {
        // The key first: where there is no station, nothing else is missed.
        home.key()?;
        Self::on(home, home.network()?)
    }

    /// The same on a network that is not the home's yet.
    pub fn on(home: &Home, network: NetworkFile) -> Result<Self, HomeError> {
        Ok(Self { secret: home.key()?, config: home.config()?, network, policy: home.policy()?, exempt: BTreeSet::new() })
    }
}

/// A sandbox that keeps compiled modules in the home, with workers of `program` or of this very program; stations of one process may
/// share it.
#[must_use]
pub fn sandbox(home: &Home, program: Option<PathBuf>) -> Sandbox {
    // Without its folder the sandbox compiles each module anew.
    let _ = home.private_folder("engine");
    let own = station_sandbox::Config::default();
    Sandbox::new(station_sandbox::Config { cache_dir: Some(home.path("engine")), program: program.unwrap_or(own.program) })
}

/// A station from its home's store and `plan`.
pub async fn station(home: &Home, plan: Plan, sandbox: &Sandbox) -> Result<Station, StartError> {
    compose(home, plan, sandbox, std::thread::available_parallelism().map_or(1, std::num::NonZero::get)).await
}

/// A station that publishes and runs nothing for others.
pub async fn requester(home: &Home, plan: Plan, sandbox: &Sandbox) -> Result<Station, StartError> {
    compose(home, plan, sandbox, 0).await
}

async fn compose(home: &Home, plan: Plan, sandbox: &Sandbox, processors: usize) -> Result<Station, StartError> {
    let store = RedbStore::open(&home.private_folder("store")?, Bounds::of(plan.config.disk.0)).await;
    let store = store.map_err(|error| damage::of_store(home, &error).map_or(StartError::Store(error), StartError::Damaged))?;
    // After the home is known to be free: of a station that runs from it the ports are taken too.
    ports::probe(&plan.config.listen).map_err(|(address, error)| StartError::Port { address, error })?;
    let parts = Parts {
        secret: plan.secret,
        seed: entropy(),
        transport: transport::build(&crate::network::peer_id::keypair(plan.secret)).map_err(|error| StartError::Transport(error.to_string()))?,
        store: Arc::new(store),
        engine: Arc::new(ProcessEngine::new(sandbox.clone())),
        outside: Arc::new(RealOutside::new(plan.exempt)),
        isolation: sandbox.isolation(),
        profiles: vec![Name::new(station_sandbox::PROFILE).expect("the profile's name is a name")],
        processors,
        tasks: Tasks::new(),
        notes_kept: NOTES_KEPT,
        memory_bytes: super::load::memory_bytes,
    };
    Station::start(&plan.config, &plan.network, plan.policy, parts).await.map_err(|error| unreadable(home, error))
}

/// A station that does not start because of what is in its store says so as one whose store does not open.
fn unreadable(home: &Home, error: StationError) -> StartError {
    let damaged = match &error {
        StationError::Store(error) => damage::of_store(home, error),
        StationError::Restore(error) => Some(damage::of(home, &error.to_string())),
        StationError::Network(_) | StationError::Labels(_) => None,
    };
    damaged.map_or(StartError::Station(error), StartError::Damaged)
}

/// Serves the API of `station` and leaves its address and token in the home; the future ends when it is dropped.
pub async fn api(home: &Home, config: &Config, station: &Station) -> Result<(SocketAddr, impl Future<Output = ()> + Send + 'static), StartError> {
    let token = home.new_token()?;
    let router = crate::api::router(station.handle(), &token, home.spelling());
    let (addr, server) = listen::serve(config.api, router).await.map_err(|error| StartError::Api { addr: config.api, error })?;
    home.write("api.addr", &addr.to_string())?;
    Ok((addr, server))
}
