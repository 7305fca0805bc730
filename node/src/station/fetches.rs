//! [`Fetches`]: brings content here for the machines, and serves content to others.
//!
//! A fetch asks, in order: what is here already, the station that named the content, then providers that the network knows.
//! Guarantees: nothing unverified enters the store; bounded in number, time and memory; few fetches look into the store at once, so that
//! what else this station reads does not wait behind many. Deliberately lacks gateways on the open web: that is an outside contact, which
//! the policy has no rule for yet.

use std::sync::Arc;
use std::time::Duration;

use cid::Cid;
use futures::future::BoxFuture;
use station_car::Dag;
use station_protocol::durable::{BLOB_BYTES_MAX, Ticket};
use station_protocol::gauge::Gauge;
use station_protocol::work::At;
use station_protocol::worker::FetchFailure;
use station_protocol::{Content, NodeId};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::content::{self, Provider};
use crate::ledger::Ledger;
use crate::library::Library;
use crate::network::{CarStream, OpenFailure};
use crate::store::Store;
use crate::tasks::Tasks;

/// A fetch takes no longer; then the lease is returned.
pub(super) const FETCH: Duration = Duration::from_secs(60);
/// Providers asked beside the one that named the content.
const PROVIDERS_MAX: usize = 3;
/// Fetches that look into the store at once: all that this station reads for itself waits in one lane, in order.
const READS_MAX: usize = 2;
/// Events waiting for the loop: two per fetch at most.
const WAITING_MAX: usize = 256;

/// For whom a fetch is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asker {
    Worker(Ticket),
    Requester(Ticket),
}

/// What the event loop hears from fetches: an end, or something only the loop can do.
pub(super) enum Fetched {
    /// A module that `requester` named is here, unless the store has just let it go.
    Module {
        fetch: Ticket,
        requester: NodeId,
        module: Content,
    },
    NoModule {
        fetch: Ticket,
        failure: FetchFailure,
    },
    Requester {
        fetch: Ticket,
        result: Result<Vec<u8>, FetchFailure>,
    },
    OpenCar {
        to: NodeId,
        at: At,
        reply: oneshot::Sender<Opening>,
    },
    FindProviders {
        cid: Cid,
        reply: oneshot::Sender<Vec<(NodeId, At)>>,
    },
}

/// A stream being opened.
pub(super) type Opening = BoxFuture<'static, Result<CarStream, OpenFailure>>;

pub(super) struct Fetches {
    rooms: Rooms,
    tasks: Tasks,
    provider: Provider,
    events: mpsc::Receiver<Fetched>,
}

#[derive(Clone)]
struct Rooms {
    library: Library,
    store: Arc<dyn Store>,
    events: mpsc::Sender<Fetched>,
    /// Looks into the store.
    reads: Arc<Semaphore>,
    /// KiB of content that may arrive at once, by what was said of it: for each machine its own.
    modules: Arc<Semaphore>,
    outputs: Arc<Semaphore>,
}

impl Fetches {
    pub(super) fn new(library: Library, store: Arc<dyn Store>, ledger: Ledger, tasks: Tasks) -> Self {
        let (sender, events) = mpsc::channel(WAITING_MAX);
        let provider = Provider::new(store.clone(), ledger);
        let room = |bytes: usize| Arc::new(Semaphore::new(bytes >> 10));
        let (modules, outputs) = (room(content::MODULES_BYTES_MAX), room(content::OUTPUTS_BYTES_MAX));
        let reads = Arc::new(Semaphore::new(READS_MAX));
        Self { rooms: Rooms { library, store, events: sender, reads, modules, outputs }, tasks, provider, events }
    }

    /// Begins to bring `content` here; `named_by` is asked first.
    pub(super) fn begin(&self, asker: Asker, content: Content, named_by: NodeId, at: At) {
        let rooms = self.rooms.clone();
        self.tasks.spawn(async move {
            let result = tokio::time::timeout(FETCH, rooms.bring(asker, &content, named_by, at)).await.unwrap_or(Err(FetchFailure::TimedOut));
            let event = match asker {
                Asker::Worker(fetch) => match result {
                    Ok(_) => Fetched::Module { fetch, requester: named_by, module: content },
                    Err(failure) => Fetched::NoModule { fetch, failure },
                },
                Asker::Requester(fetch) => Fetched::Requester { fetch, result: result.map(Option::unwrap_or_default) },
            };
            // The loop is gone only when the station is.
            let _ = rooms.events.send(event).await;
        });
    }

    /// Answers a request for content on `stream`. Work goes on with `from`, or it is a stranger to the machines.
    pub(super) fn serve(&self, stream: CarStream, from: NodeId, works: bool) {
        let provider = self.provider.clone();
        // The stream counts against the network's limits for as long as it lives.
        self.tasks.spawn(async move {
            let mut stream = stream;
            let relayed = stream.relayed;
            provider.serve(&mut stream.stream, from, relayed, works).await;
        });
    }

    /// Content that others may fetch from here: bundled, or durable in the store.
    pub(super) fn provide(&self, content: &Content) {
        let shelf = self.provider.shelf();
        let put = match self.rooms.library.bundled(&content.cid) {
            Some(bytes) => shelf.put_held(station_car::unixfs::build(bytes)),
            None => shelf.put_stored(content.cid, content.bytes),
        };
        if put.is_err() {
            tracing::warn!(what = "content to provide", cid = %content.cid, "too much is provided already; this is not");
        }
    }

    /// Blocks that are durable in the store, whatever their sizes.
    pub(super) fn provide_blocks(&self, blocks: impl IntoIterator<Item = Cid>) {
        let shelf = self.provider.shelf();
        let left_out = blocks.into_iter().filter(|cid| shelf.put_stored(*cid, BLOB_BYTES_MAX as u64).is_err()).count();
        if left_out > 0 {
            tracing::warn!(left_out, "too much is provided already; so many blocks are not");
        }
    }

    /// How many roots others may fetch.
    pub(super) fn gauge(&self) -> Gauge {
        self.provider.shelf().gauge()
    }

    /// Content that is here no more.
    pub(super) fn withdraw(&self, cid: &Cid) {
        self.provider.shelf().take(cid);
    }

    /// The next thing the loop must know or do. Cancel-safe.
    pub(super) async fn next(&mut self) -> Fetched {
        self.events.recv().await.expect("Fetches keeps a sender itself")
    }
}

impl Rooms {
    /// The bytes for the Requester; a module is only brought here, and put together when it is compiled.
    async fn bring(&self, asker: Asker, content: &Content, named_by: NodeId, at: At) -> Result<Option<Vec<u8>>, FetchFailure> {
        // Refused before anything is asked for: the size is the word of whoever named the content.
        if content.bytes > content::FETCH_BYTES_MAX || self.library.contradicts(content) {
            return Err(FetchFailure::Mismatch);
        }
        let room = u32::try_from(content.bytes.div_ceil(1 << 10)).map_err(|_| FetchFailure::Mismatch)?;
        // Modules are used again; an output that a receipt names is kept by who asked for it.
        let (memory, again) = match asker {
            Asker::Worker(_) => (&self.modules, true),
            Asker::Requester(_) => (&self.outputs, false),
        };
        let _room = memory.acquire_many(room).await;
        let here = {
            let _read = self.reads.acquire().await;
            match asker {
                Asker::Worker(_) => self.library.has(content).await.map(|here| here.then_some(None)),
                Asker::Requester(_) => self.library.file(content).await.map(|bytes| bytes.map(Some)),
            }
        };
        if let Ok(Some(bytes)) = here {
            return Ok(bytes);
        }
        let first = self.from(content, named_by, at, again).await;
        if first.is_ok() {
            return first;
        }
        let (reply, providers) = oneshot::channel();
        let _ = self.events.send(Fetched::FindProviders { cid: content.cid, reply }).await;
        for (node, at) in providers.await.unwrap_or_default().into_iter().filter(|(node, _)| *node != named_by).take(PROVIDERS_MAX) {
            if let Ok(bytes) = self.from(content, node, at, again).await {
                return Ok(bytes);
            }
        }
        first
    }

    async fn from(&self, content: &Content, node: NodeId, at: At, again: bool) -> Result<Option<Vec<u8>>, FetchFailure> {
        let (reply, opening) = oneshot::channel();
        let _ = self.events.send(Fetched::OpenCar { to: node, at, reply }).await;
        let opening = opening.await.map_err(|_| FetchFailure::NotFound)?;
        let stream = opening.await.map_err(|_| FetchFailure::NotFound)?;
        let blocks = content::fetch(stream.stream, &content.cid, content.bytes).await?;
        if !again {
            return content::assemble(content, blocks).map(Some).map_err(|_| FetchFailure::Mismatch);
        }
        content::check(content, &blocks).map_err(|_| FetchFailure::Mismatch)?;
        if let Err(error) = self.store.cache(Dag { root: content.cid, blocks }).await {
            // Whoever compiles it finds that it is not here, and it is fetched another time.
            tracing::warn!(from = %node, %error, "content could not be cached");
        }
        Ok(None)
    }
}
