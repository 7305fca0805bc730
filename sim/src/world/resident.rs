//! [`Resident`]: one station of the run over all its lives: its machine, its disk, its process.
//!
//! Guarantees: what runs above the seams is the node's own [`Station`], or an attacker of the mesh in its place; a crash loses what the disk had not promised, and nothing of
//! the process goes on; a restart has the same key, disk and address. Deliberately lacks decisions: the world says when.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use station_node::config::{Config, NetworkFile};
use station_node::engine::Engine;
use station_node::network::peer_id::keypair;
use station_node::station::{Handle, Note, Parts, Station, StationError};
use station_node::store::{MemoryStore, Store};
use station_node::tasks::{Task, Tasks};
use station_protocol::bounded::Name;
use station_protocol::content::sha256;
use station_protocol::receipt::Isolation;
use station_protocol::{NodeId, SigningKey};
use tokio::sync::broadcast::error::RecvError;

use super::engine::CostEngine;
use super::engine::stepped::{Helper, SteppedEngine};
use super::internet::Internet;
use super::ledger::Ledger;
use super::outside::Door;
use super::plan::{Conduct, Member};
use super::storage::Watched;
use crate::actors::engine::Dishonest;
use crate::actors::mesh::{self, Attacker, Deeds};
use crate::actors::requester::Unsettling;
use crate::det::trace::Kind;
use crate::det::watchdog::Watchdog;
use crate::det::{clock, trace::Trace};
use crate::net::fabric::{Fabric, NodeIndex, Place};
use crate::net::transport;
use crate::scenario::Fidelity;
use crate::scenario::fault::Disk;

/// Where every station listens.
pub const PORT: u16 = 4_710;
/// Notes kept for the ledger, which takes them within the same instant.
const NOTES_KEPT: usize = 64;
/// More than any capacity in a scenario: the capacity decides.
pub const PROCESSORS: usize = 256;

/// What all residents share.
#[derive(Clone, Debug)]
pub struct Surroundings {
    pub fabric: Arc<Fabric>,
    pub trace: Arc<Trace>,
    pub watchdog: Arc<Watchdog>,
    pub ledger: Arc<Ledger>,
    pub internet: Arc<Internet>,
    /// The sandbox, where jobs are not modelled.
    pub stepped: Option<Arc<Helper>>,
    pub fidelity: Fidelity,
    pub seed: u64,
}

#[derive(Debug)]
pub struct Resident {
    number: NodeIndex,
    member: Member,
    /// The addresses of its machine.
    places: Vec<Place>,
    secret: [u8; 32],
    network: NetworkFile,
    around: Surroundings,
    store: MemoryStore,
    gate: Arc<Gate>,
    lives: u32,
    skew_ms: i64,
    process: Option<Process>,
    /// What it did to the mesh in lives that are over.
    deeds: Deeds,
}

/// What an attacker of the mesh does, and where those listen whom it does it to.
#[derive(Clone, Debug)]
pub struct Assault {
    pub strategy: mesh::Strategy,
    pub targets: Vec<Multiaddr>,
}

/// A running station, or attacker.
#[derive(Debug)]
struct Process {
    kind: Kindred,
    tasks: Tasks,
    main: tokio::task::AbortHandle,
}

#[derive(Debug)]
enum Kindred {
    Station(Handle),
    Attacker(Arc<Mutex<Deeds>>),
}

impl Drop for Process {
    fn drop(&mut self) {
        self.main.abort();
        self.tasks.close();
    }
}

/// Lets a process's tasks run, or keeps them standing.
#[derive(Debug, Default)]
struct Gate {
    paused: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

/// A task that belongs to a station.
struct Tagged {
    node: NodeIndex,
    gate: Arc<Gate>,
    watchdog: Arc<Watchdog>,
    task: Task,
}

impl Future for Tagged {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.gate.stands(context) {
            return Poll::Pending;
        }
        self.watchdog.polled(self.node);
        self.task.as_mut().poll(context)
    }
}

impl Gate {
    fn stands(&self, context: &Context<'_>) -> bool {
        let paused = self.paused.load(Ordering::Relaxed);
        if paused {
            self.waiting().push(context.waker().clone());
        }
        paused
    }

    fn set(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
        let waiting = std::mem::take(&mut *self.waiting());
        waiting.into_iter().for_each(Waker::wake);
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Waker>> {
        self.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The Ed25519 seed of station `number`.
#[must_use]
pub fn secret(seed: u64, number: NodeIndex) -> [u8; 32] {
    sha256(&[b"station-sim\0key\0", &seed.to_be_bytes(), &number.to_be_bytes()])
}

/// Where station `number` can be dialled.
#[must_use]
pub fn address(seed: u64, number: NodeIndex, member: &Member) -> Multiaddr {
    let peer = keypair(secret(seed, member.twin_of.unwrap_or(number))).public().to_peer_id();
    Multiaddr::from(member.attachment.public).with(Protocol::Tcp(PORT)).with(Protocol::P2p(peer))
}

impl Resident {
    #[must_use]
    pub fn new(number: NodeIndex, member: Member, network: NetworkFile, commit_ms: u64, around: Surroundings) -> Self {
        let places = around.fabric.attach(number, &member.attachment);
        let store = MemoryStore::new(Duration::from_millis(commit_ms));
        let secret = secret(around.seed, member.twin_of.unwrap_or(number));
        Self {
            number,
            member,
            places,
            secret,
            network,
            around,
            store,
            gate: Arc::default(),
            lives: 0,
            skew_ms: 0,
            process: None,
            deeds: Deeds::default(),
        }
    }

    /// Its name in the network, in every life but those of a station whose key is ground.
    #[must_use]
    pub fn node(&self) -> NodeId {
        SigningKey::from_bytes(&self.secret).node()
    }

    /// Whether it keeps to the rules.
    #[must_use]
    pub fn is_honest(&self) -> bool {
        matches!(self.member.conduct, Conduct::Honest)
    }

    #[must_use]
    pub fn member(&self) -> &Member {
        &self.member
    }

    /// The running station, if it runs and is one.
    #[must_use]
    pub fn handle(&self) -> Option<&Handle> {
        match &self.process.as_ref()?.kind {
            Kindred::Station(handle) => Some(handle),
            Kindred::Attacker(_) => None,
        }
    }

    /// What it did to the mesh, over all its lives.
    #[must_use]
    pub fn deeds(&self) -> Deeds {
        match self.process.as_ref().map(|process| &process.kind) {
            Some(Kindred::Attacker(deeds)) => self.deeds.and(*deeds.lock().unwrap_or_else(std::sync::PoisonError::into_inner)),
            Some(Kindred::Station(_)) | None => self.deeds,
        }
    }

    /// Another key from the next life on, with an empty disk, and whom it dials first then.
    pub fn begin_anew(&mut self, secret: [u8; 32], bootstrap: Vec<Multiaddr>, commit_ms: u64) {
        self.crash(Disk::LoseUnsynced);
        (self.secret, self.network.bootstrap) = (secret, bootstrap);
        self.store = MemoryStore::new(Duration::from_millis(commit_ms));
    }

    /// It crashes, and its disk is two: one for its own next life, one for its twin's.
    pub fn split(&mut self, twin: &mut Self) {
        self.crash(Disk::LoseUnsynced);
        twin.crash(Disk::LoseUnsynced);
        (twin.store, self.store) = (self.store.crash(), self.store.crash());
    }

    /// Attacks the mesh, unless it does.
    pub fn attack(&mut self, assault: &Assault) -> Result<(), StationError> {
        if self.process.is_some() {
            return Ok(());
        }
        let (tasks, wrap) = self.begin();
        let plan = mesh::Plan {
            network: self.network.name.clone(),
            topics: self.network.topics.clone(),
            listen: self.listening().swap_remove(0),
            secret: self.secret,
            targets: assault.targets.clone(),
            strategy: assault.strategy.clone(),
        };
        let failed = |error: &dyn std::fmt::Display| StationError::Network(station_node::network::NetworkError::Gossip(error.to_string()));
        let attacker = Attacker::new(&keypair(self.secret), self.transport()?, tasks.clone(), plan).map_err(|error| failed(&error))?;
        let deeds = attacker.deeds();
        let main = tokio::spawn(wrap(Box::pin(attacker.run()))).abort_handle();
        self.process = Some(Process { kind: Kindred::Attacker(deeds), tasks, main });
        Ok(())
    }

    /// A new life's tasks, each of which belongs to this station.
    fn begin(&mut self) -> (Tasks, impl Fn(Task) -> Task + Clone + use<>) {
        self.gate = Arc::default();
        let (number, gate, watchdog) = (self.number, self.gate.clone(), self.around.watchdog.clone());
        let wrap = move |task| -> Task { Box::pin(Tagged { node: number, gate: gate.clone(), watchdog: watchdog.clone(), task }) };
        self.lives += 1;
        self.around.trace.event(clock::now_ms(), number, Kind::Started, u64::from(self.lives));
        (Tasks::wrapping(wrap.clone()), wrap)
    }

    /// Starts the station, unless it runs.
    pub async fn start(&mut self) -> Result<(), StationError> {
        if self.process.is_some() {
            return Ok(());
        }
        let (number, (tasks, wrap)) = (self.number, self.begin());
        let (config, parts) = (self.config(), self.parts(tasks.clone())?);
        let mut starting = pin!(Station::start(&config, &self.network, self.member.policy.clone(), parts));
        let skew = self.skew_ms;
        let station = poll_fn(|context| clock::with_skew(skew, || starting.as_mut().poll(context))).await?;
        let handle = station.handle();
        self.around.ledger.started(number);
        tokio::spawn(listen(number, handle.clone(), self.around.clone()));
        let ledger = self.around.ledger.clone();
        let main = wrap(Box::pin(async move {
            // The skew of its start, as long as it runs.
            let mut running = pin!(station.run());
            if let Err(error) = poll_fn(|context| clock::with_skew(skew, || running.as_mut().poll(context))).await {
                ledger.failed(number, &error.to_string());
            }
        }));
        let main = tokio::spawn(main).abort_handle();
        self.process = Some(Process { kind: Kindred::Station(handle), tasks, main });
        Ok(())
    }

    /// The process dies at once; the disk loses what it had not promised, or keeps everything.
    pub fn crash(&mut self, disk: Disk) {
        self.deeds = self.deeds();
        if self.process.take().is_some() {
            self.around.ledger.stopped(self.number);
            if disk == Disk::LoseUnsynced {
                self.store = self.store.crash();
            }
            self.around.trace.event(clock::now_ms(), self.number, Kind::Crashed, u64::from(self.lives));
        }
    }

    /// The process stands still, or goes on. Its sockets take what arrives all the while.
    pub fn pause(&self, paused: bool) {
        self.around.trace.event(clock::now_ms(), self.number, Kind::Paused, u64::from(paused));
        self.gate.set(paused);
    }

    /// Its operator says `station pause` or `station resume`.
    pub fn rest(&self, resting: bool) {
        if let Some(handle) = self.handle().cloned() {
            // A station that ends meanwhile needs no telling.
            tokio::spawn(async move { if resting { handle.pause(None).await } else { handle.resume().await } });
        }
    }

    /// The wall clock is so far ahead from now on. A running station counts on from the time of its start.
    pub fn skew(&mut self, ms: i64) {
        self.skew_ms = ms;
    }

    fn config(&self) -> Config {
        Config { listen: self.listening(), ..self.member.config.clone() }
    }

    fn listening(&self) -> Vec<Multiaddr> {
        self.places.iter().map(|place| Multiaddr::from(place.ip).with(Protocol::Tcp(PORT))).collect()
    }

    fn transport(&self) -> Result<Boxed<(PeerId, StreamMuxerBox)>, StationError> {
        let keypair = keypair(self.secret);
        transport::build(&self.around.fabric, self.number, &self.places, &keypair, self.around.fidelity)
            .map_err(|error| station_node::network::NetworkError::Key(error.to_string()).into())
    }

    fn disk(&self) -> Arc<dyn Store> {
        let ledger = self.around.ledger.clone();
        let honest = Arc::new(Watched { disk: Arc::new(self.store.clone()), node: self.node(), ledger });
        if matches!(self.member.conduct, Conduct::NeverSettles) { Arc::new(Unsettling(honest)) } else { honest }
    }

    fn engine(&self) -> Arc<dyn Engine> {
        let fuel_per_ms = self.member.fuel_per_ms;
        let honest: Arc<dyn Engine> = match &self.around.stepped {
            Some(helper) => Arc::new(SteppedEngine { helper: helper.clone(), fuel_per_ms }),
            None => Arc::new(CostEngine::new(fuel_per_ms)),
        };
        let Conduct::Cheats(conduct, rate) = &self.member.conduct else { return honest };
        let seed = sha256(&[b"station-sim\0cheat\0", &self.around.seed.to_be_bytes(), &self.number.to_be_bytes()]);
        Arc::new(Dishonest::new(honest, conduct.clone(), *rate, seed))
    }

    fn parts(&self, tasks: Tasks) -> Result<Parts, StationError> {
        self.around.ledger.allowed(self.number, self.node(), self.member.policy.clone());
        Ok(Parts {
            secret: self.secret,
            seed: sha256(&[b"station-sim\0luck\0", &self.around.seed.to_be_bytes(), &self.number.to_be_bytes(), &self.lives.to_be_bytes()]),
            transport: self.transport()?,
            store: self.disk(),
            engine: self.engine(),
            outside: Arc::new(Door::new(self.around.internet.clone(), self.number, self.node(), &self.places, self.member.access)),
            isolation: Isolation::Full,
            profiles: vec![Name::new(station_sandbox::PROFILE).expect("the profile's name is a name")],
            processors: if self.member.works { PROCESSORS } else { 0 },
            tasks,
            notes_kept: NOTES_KEPT,
            memory_bytes: || None,
        })
    }
}

/// Takes down what the station notes, until it ends.
async fn listen(number: NodeIndex, handle: Handle, around: Surroundings) {
    let mut notes = handle.notes();
    drop(handle);
    loop {
        match notes.recv().await {
            Ok(note) => {
                let words = format!("{note:?}");
                let content = crate::det::trace::content(words.as_bytes());
                around.trace.told(clock::now_ms(), number, Kind::Note, content, || words);
                around.ledger.note(number, clock::now_ms(), &note);
                if let Note::Relayed(to) = note
                    && let Some(to) = around.ledger.number_of(to)
                {
                    around.fabric.relayed(number, to);
                }
            }
            Err(RecvError::Lagged(lost)) => around.ledger.lost(lost),
            Err(RecvError::Closed) => return,
        }
    }
}
