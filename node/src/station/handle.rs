//! [`Handle`]: how the API, the command line and tests talk to a running station.
//!
//! Guarantees: bounded queues both ways; a slow listener loses old notes, never the station's time. Deliberately lacks anything
//! that a script could not ask over the HTTP API too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use cid::Cid;
use station_protocol::accounts::{Charge, Figure};
use station_protocol::bounded::Name;
use station_protocol::clock::Apart;
use station_protocol::experiment::{ExperimentId, Labels};
use station_protocol::gauge::Gauge;
use station_protocol::jobs::{Jobs, JobsError};
use station_protocol::log::{self, Entry, LogError, Page};
use station_protocol::policy::Policy;
use station_protocol::receipt::Isolation;
use station_protocol::requester::{Draft, PublishError, View};
use station_protocol::work::At;
use station_protocol::worker::{Rest, Summary};
use station_protocol::{NodeId, Time, requester, worker};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::config::{Config, NetworkFile};
use crate::content::SHELF_MAX;
use crate::library::Library;
use crate::network::knocks::Bootstrap;
use crate::network::relays::RelayFigures;
use crate::network::{DhtFigures, GossipFigures, Path};
use crate::on_disk::OnDisk;
use crate::operator::Host;
use crate::results::Results;
use crate::store::{ROOM_BYTES_MIN, Store, StoreError};

mod settled;

pub use settled::results;

/// Commands waiting for the event loop: people and scripts on this machine, hence few.
pub(super) const COMMANDS_WAITING_MAX: usize = 64;
/// Notes kept for a listener that does not keep up: a few seconds of a busy station.
pub const NOTES_KEPT: usize = 8_192;

/// Something a machine noted. Shown, never acted upon.
#[derive(Clone, Debug)]
pub enum Note {
    Worker(worker::Note),
    Requester(requester::Note),
    /// This station reached another through a relay.
    Relayed(NodeId),
}

/// What never changes while a station runs.
#[derive(Clone, Debug)]
pub struct Identity {
    pub node: NodeId,
    pub network: Name,
    pub topics: Vec<Name>,
    pub isolation: Isolation,
    pub labels: Labels,
    /// The settings and the network file as they are in force: from the start to the end.
    pub config: Config,
    pub network_file: NetworkFile,
    /// Processors to offer to others.
    pub processors: usize,
    /// When the station started, by its own time.
    pub started: Time,
}

impl Identity {
    /// Jobs at the same time under this policy.
    #[must_use]
    pub fn capacity(&self, policy: &Policy) -> u32 {
        self.config.capacity_on(self.processors, policy.budget.cpu)
    }
}

/// What a station is doing now.
#[derive(Clone, Debug, Default)]
pub struct Status {
    pub connected: Vec<NodeId>,
    /// How its clock differs from that of most peers, where it does.
    pub clock: Option<Apart>,
    pub addresses: At,
    pub gossip: GossipFigures,
    pub dht: DhtFigures,
    /// Nothing where this station is no relay.
    pub relay: RelayFigures,
    pub topics: Vec<(Name, u64)>,
    /// Why this machine can run nothing, where that was found.
    pub unfit: Option<String>,
    pub running: usize,
    /// Executions at the same time at most, and the memory that those which run may have.
    pub slots: (u32, u64),
    /// Why nothing new is taken, if so.
    pub rest: Option<Rest>,
    /// Everybody who is connected, topic peers or not.
    pub paths: Vec<Path>,
    /// Direct connections that others opened since the start.
    pub reached: u64,
    /// What came of dialling each bootstrap address.
    pub bootstraps: Vec<Bootstrap>,
    pub outbox: usize,
    /// Experiments of others, as this station sees them.
    pub calls: Vec<Summary>,
    pub own: Vec<ExperimentId>,
    /// What strangers were charged and refused since the start, kind by kind.
    pub accounts: Vec<(Charge, Figure)>,
    /// How full everything is that has a bound.
    pub bounds: Vec<Gauge>,
}

/// Who is around on a topic, as this station sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Around {
    /// Stations that are connected, whatever their topics.
    pub peers: u64,
    /// Those of them that take part in the topic.
    pub connected: u64,
    /// The topic's counted size, this station included: more than are connected.
    pub counted: u64,
}

/// Why the station did not do what it was told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandleError {
    #[error("the station has stopped")]
    Stopped,
    #[error("the experiment is not published: {0}")]
    Publish(#[from] PublishError),
    #[error("{topic} is not a topic of the network {network}; it has {}: write one of them as topic", topics.iter().map(Name::as_str).collect::<Vec<_>>().join(", "))]
    Topic { topic: Name, network: Name, topics: Vec<Name> },
    #[error("the disk is nearly full: free some, or raise `disk` in station.toml, and publish again")]
    NoRoom,
    #[error(
        "this station serves {SHELF_MAX} blocks already, so that nobody could fetch the module: publish when receipts are delivered and old \
         experiments are forgotten, or from another station"
    )]
    ShelfFull,
    #[error("this station has published no experiment {0}; `station experiments` lists those it has")]
    Unknown(ExperimentId),
    #[error("experiment {experiment} is of the requester {requester}: ask its station, which alone has the results and the Log")]
    Foreign { experiment: ExperimentId, requester: NodeId },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("block {0} of the Log is not in the store")]
    Page(Cid),
    #[error("{0} is here and has other bytes than its name says: the disk or somebody changed it; put its file back from a copy")]
    Damaged(Cid),
    #[error("experiment {0} is still open; its Log is whole once it is closed")]
    Open(ExperimentId),
    #[error("the Log does not hold together: {0}")]
    Log(#[from] LogError),
}

pub(super) enum Command {
    /// With the blocks of its module that are in the store.
    Publish(Box<Draft>, Vec<Cid>, oneshot::Sender<Result<ExperimentId, HandleError>>),
    Cancel(ExperimentId),
    View(ExperimentId, oneshot::Sender<Option<View>>),
    Around(Name, oneshot::Sender<Around>),
    Status(oneshot::Sender<Status>),
    Gauges(oneshot::Sender<Vec<Gauge>>),
    /// With the executions at the same time that follow from it.
    Policy(Box<Policy>, u32),
    /// Until then, by the world's time, or for good; answered once it holds over a restart.
    Pause(Option<Time>, oneshot::Sender<()>),
    Resume(oneshot::Sender<()>),
    OnBattery(bool),
    /// Why this machine can run nothing; none: it can.
    Unfit(Option<String>),
    Shutdown,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) notes: broadcast::Sender<Note>,
    pub(super) identity: Arc<Identity>,
    pub(super) library: Library,
    pub(super) store: Arc<dyn Store>,
    pub(super) host: Host,
    pub(super) files: Arc<Mutex<OnDisk>>,
    pub(super) memory_bytes: fn() -> Option<u64>,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").field("identity", &self.identity).finish_non_exhaustive()
    }
}

impl Handle {
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    #[must_use]
    pub fn library(&self) -> &Library {
        &self.library
    }

    /// What the machines note from now on.
    #[must_use]
    pub fn notes(&self) -> broadcast::Receiver<Note> {
        self.notes.subscribe()
    }

    /// Publishes; resolves once the experiment is durable.
    pub async fn publish(&self, draft: Draft) -> Result<ExperimentId, HandleError> {
        let Identity { network, topics, .. } = &*self.identity;
        if !topics.contains(&draft.topic) {
            return Err(HandleError::Topic { topic: draft.topic, network: network.clone(), topics: topics.clone() });
        }
        // The jobs are written twice: as blocks for others, and in the experiment's own record.
        if self.store.room().await? < ROOM_BYTES_MIN + 2 * draft.jobs.bytes() {
            return Err(HandleError::NoRoom);
        }
        let module = self.library.hold(&draft.module).await?;
        self.ask(|reply| Command::Publish(Box::new(draft), module, reply)).await?
    }

    /// Closes an experiment of this station now.
    pub async fn cancel(&self, experiment: ExperimentId) -> Result<(), HandleError> {
        self.tell(Command::Cancel(experiment)).await
    }

    /// An experiment of this station as it stands.
    pub async fn view(&self, experiment: ExperimentId) -> Result<View, HandleError> {
        match self.ask(|reply| Command::View(experiment, reply)).await? {
            Some(view) => Ok(view),
            None => Err(self.unknown(experiment).await?),
        }
    }

    /// Why there is no view of `experiment`: it is somebody else's, or never heard of.
    async fn unknown(&self, experiment: ExperimentId) -> Result<HandleError, HandleError> {
        let calls = self.status().await?.calls;
        let foreign = calls.iter().find(|call| call.experiment == experiment).map(|call| call.requester);
        Ok(foreign.map_or(HandleError::Unknown(experiment), |requester| HandleError::Foreign { experiment, requester }))
    }

    /// Who is around on `topic`.
    pub async fn around(&self, topic: Name) -> Result<Around, HandleError> {
        self.ask(|reply| Command::Around(topic, reply)).await
    }

    pub async fn status(&self) -> Result<Status, HandleError> {
        self.ask(Command::Status).await
    }

    /// How full everything is that has a bound.
    pub async fn gauges(&self) -> Result<Vec<Gauge>, HandleError> {
        self.ask(Command::Gauges).await
    }

    /// In force for the next host call of what runs, too.
    pub async fn set_policy(&self, policy: Policy) -> Result<(), HandleError> {
        let capacity = self.identity.capacity(&policy);
        self.tell(Command::Policy(Box::new(policy), capacity)).await
    }

    /// Takes nothing new until then, by the world's time, or until it is resumed; resolves once that holds over a restart.
    pub async fn pause(&self, until: Option<Time>) -> Result<(), HandleError> {
        self.ask(|reply| Command::Pause(until, reply)).await
    }

    /// Ends a pause, if there is one.
    pub async fn resume(&self) -> Result<(), HandleError> {
        self.ask(Command::Resume).await
    }

    /// Whether the machine runs on battery now.
    pub async fn on_battery(&self, on_battery: bool) -> Result<(), HandleError> {
        self.tell(Command::OnBattery(on_battery)).await
    }

    /// The operator's say and ledger.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Whether what stands in the operator's files is in force, as whoever watches them said last.
    #[must_use]
    pub fn files(&self) -> OnDisk {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says what stands in the operator's files now.
    pub fn tell_files(&self, tell: impl FnOnce(&mut OnDisk)) {
        tell(&mut self.files.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// What the station's process has of memory, in bytes, where the system tells.
    #[must_use]
    pub fn memory_bytes(&self) -> Option<u64> {
        (self.memory_bytes)()
    }

    /// Bytes that the store may still write.
    pub async fn room(&self) -> Result<u64, HandleError> {
        Ok(self.store.room().await?)
    }

    /// Why this machine can run nothing; none: it can. A station that cannot takes no work, and its status says so.
    pub async fn unfit(&self, why: Option<String>) -> Result<(), HandleError> {
        self.tell(Command::Unfit(why)).await
    }

    /// Finishes what runs, delivers what there is, and ends the station.
    pub async fn shutdown(&self) -> Result<(), HandleError> {
        self.tell(Command::Shutdown).await
    }

    /// What became of the jobs of an experiment, as far as it is known.
    pub async fn results(&self, view: &View) -> Result<Results, HandleError> {
        results(&*self.store, view).await
    }

    /// Hashes every byte of a closed experiment's Log that is here, checks every signature, and recomputes every verdict.
    pub async fn verify(&self, experiment: ExperimentId) -> Result<log::Summary, HandleError> {
        verified(&*self.store, &self.view(experiment).await?).await
    }

    async fn tell(&self, command: Command) -> Result<(), HandleError> {
        self.commands.send(command).await.map_err(|_| HandleError::Stopped)
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, HandleError> {
        let (reply, answer) = oneshot::channel();
        self.tell(command(reply)).await?;
        answer.await.map_err(|_| HandleError::Stopped)
    }
}

/// Hashes every byte of a closed experiment's Log that is in `store`, checks every signature, and recomputes every verdict.
pub async fn verified(store: &dyn Store, view: &View) -> Result<log::Summary, HandleError> {
    let cid = view.status.log.ok_or(HandleError::Open(view.call.body.id()))?;
    let root = log::Root::read(&cid, &block(store, cid).await?)?;
    root.is_closed_by(&view.call, &cid)?;
    let jobs = jobs(store, &root.experiment.body.jobs.root).await?;
    let mut verifier = log::Verifier::new(&root, jobs.as_ref())?;
    for cid in &root.pages {
        let page = Page::read(cid, &block(store, *cid).await?)?;
        let elsewhere: BTreeSet<Cid> = page.entries.iter().flat_map(Entry::elsewhere).collect();
        let blobs = blobs(store, elsewhere.clone()).await?;
        let missing: Vec<Cid> = elsewhere.into_iter().filter(|cid| !blobs.contains_key(cid)).collect();
        are_whole(store, missing).await?;
        verifier.page(&page, |cid| blobs.get(cid).cloned())?;
    }
    Ok(verifier.finish()?)
}

/// A part of the Log, from our own store.
async fn block(store: &dyn Store, cid: Cid) -> Result<Vec<u8>, HandleError> {
    if let Some(block) = store.blob(cid).await? {
        return Ok(block);
    }
    are_whole(store, vec![cid]).await?;
    Err(HandleError::Page(cid))
}

/// Those of `cids` that are here.
async fn blobs(store: &dyn Store, cids: BTreeSet<Cid>) -> Result<BTreeMap<Cid, Vec<u8>>, StoreError> {
    let mut blobs = BTreeMap::new();
    for cid in cids {
        if let Some(bytes) = store.blob(cid).await? {
            blobs.insert(cid, bytes);
        }
    }
    Ok(blobs)
}

/// That none of `missing` is here with other bytes.
async fn are_whole(store: &dyn Store, missing: Vec<Cid>) -> Result<(), HandleError> {
    for cid in missing {
        if store.is_damaged(cid).await? {
            return Err(HandleError::Damaged(cid));
        }
    }
    Ok(())
}

/// The jobs under `root`, where all of their blocks are here.
async fn jobs(store: &dyn Store, root: &Cid) -> Result<Option<Jobs>, HandleError> {
    let mut blocks = blobs(store, BTreeSet::from([*root])).await?;
    let parts: BTreeSet<Cid> = blocks.get(root).map(|bytes| Jobs::parts(bytes).into_iter().collect()).unwrap_or_default();
    blocks.extend(blobs(store, parts.clone()).await?);
    let missing: Vec<Cid> = parts.into_iter().chain([*root]).filter(|cid| !blocks.contains_key(cid)).collect();
    are_whole(store, missing).await?;
    match Jobs::read(root, |cid| blocks.get(cid).cloned()) {
        Ok(jobs) => Ok(Some(jobs)),
        Err(JobsError::Missing(_)) => Ok(None),
        Err(_) => Err(log::LogError::Jobs.into()),
    }
}

#[cfg(test)]
mod tests;
