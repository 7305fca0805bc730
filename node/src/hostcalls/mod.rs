//! What a guest may ask of the host: [`Broker`] answers one execution's host calls between the steps of its sandbox.
//!
//! Guarantees: nothing is contacted that the experiment did not need and the [`Gate`] does not permit at that moment; handles,
//! operations, targets, bytes of both ways, connections, progress and checkpoints are bounded; each request that was made or refused is in the
//! transcript, those that the guest did not wait for too. Operations advance only while the broker is polled: await
//! [`Broker::drive`] beside the sandbox's step, so that times are those of the network and not of the guest. Deliberately lacks
//! tasks of its own, so that dropping it ends everything it began.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{AbortHandle, Abortable, BoxFuture};
use futures::stream::{FuturesUnordered, StreamExt};
use station_protocol::bounded::{List, Text};
use station_protocol::capability::Capability;
use station_protocol::hostcall::{
    CHECKPOINT_BYTES_MAX, FetchError, FetchHead, FetchRequest, HANDLES_MAX, HTTP_FETCH, Method, READ_BYTES_MAX, Record, Transcript, errno,
    frame_result,
};
use station_protocol::worker::{Execution, Saying};
use station_sandbox::{HostCall, Reply};
use tokio::time::Instant;

use crate::outside::http::{Fetched, Fetcher};
use crate::outside::politeness::Politeness;
use crate::outside::request::user_agent;
use crate::outside::tls::Tls;
use crate::outside::trouble::Trouble;
use crate::outside::vicinity::Vicinity;

mod grant;

use grant::{Grant, Job};

/// What the station says to each host call: the operator's policy, the counted network, and the day's budget.
pub trait Gate: Send + Sync + 'static {
    /// Whether the policy lets `job` use `capability` on `host` (lower case, no brackets) and `port` now. The needs of the
    /// experiment are checked beside it.
    fn permits(&self, job: &Execution, capability: Capability, host: &str, port: u16) -> bool;
    /// Requests a day that the policy gives this target; none where it does not say.
    fn per_day(&self, job: &Execution, capability: Capability, host: &str, port: u16) -> Option<u64>;
    /// The counted size N of the topic `job` came on.
    fn stations(&self, job: &Execution) -> u64;
    /// Takes up to `wanted` bytes from what the operator lets pass per day, in and out; how many there were.
    fn take_bytes(&self, wanted: u64) -> BoxFuture<'_, u64>;
    /// Bytes that were taken and did not pass.
    fn give_back(&self, bytes: u64);
    /// Makes room for bytes to come, so that taking them need not wait for the disk.
    fn expect_bytes(&self) -> BoxFuture<'_, ()>;
    /// Whether that budget is used up.
    fn is_spent(&self) -> bool;
    /// A request of `job` for `url` came to its end, or was refused: for the operator's ledger.
    fn contacted(&self, job: &Execution, url: &str, bytes: u64, error: Option<FetchError>);
    /// So many bytes went in and out at the sockets of `job`, all in all.
    fn moved(&self, job: &Execution, in_bytes: u64, out_bytes: u64);
}

/// What a broker needs beside the execution.
#[derive(Clone)]
pub struct BrokerConfig {
    pub gate: Arc<dyn Gate>,
    pub vicinity: Arc<Vicinity>,
    pub tls: Tls,
    pub politeness: Arc<Politeness>,
}

impl std::fmt::Debug for BrokerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BrokerConfig")
    }
}

/// Hears what a guest says of how far it is.
pub type Hear = Box<dyn Fn(&Saying) + Send + Sync>;

/// What the sandbox takes of a guest's words fits the wire.
const _: () = assert!(station_sandbox::MESSAGE_BYTES_MAX == station_protocol::work::MESSAGE_BYTES_MAX);

/// Between two progress reports that are kept: a person sees no more.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

type Operation = BoxFuture<'static, (u32, Option<Fetched>)>;

enum Handle {
    /// Kept for the transcript should it never end.
    Running { asked: Asked, abort: AbortHandle, grant: Arc<Grant> },
    /// `grant` keeps the bytes counted as in memory.
    Ready { bytes: Vec<u8>, at: usize, _grant: Arc<Grant> },
}

/// What was asked for, as far as a record needs it.
#[derive(Clone)]
struct Asked {
    method: Method,
    url: String,
}

/// The host side of one execution.
pub struct Broker {
    job: Arc<Job>,
    fetcher: Arc<Fetcher>,
    running: FuturesUnordered<Operation>,
    handles: BTreeMap<u32, Handle>,
    last_handle: u32,
    /// When the execution's wall clock ends: no wait goes beyond.
    ends: Instant,
    records: Vec<Record>,
    progress: Option<Saying>,
    hear: Option<Hear>,
    progress_at: Option<Instant>,
    checkpoint: Option<Vec<u8>>,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").field("handles", &self.handles.len()).field("records", &self.records.len()).finish_non_exhaustive()
    }
}

impl Broker {
    /// A broker for `execution`, whose wall clock begins now.
    #[must_use]
    pub fn new(config: BrokerConfig, execution: &Execution) -> Self {
        let agent = user_agent(&execution.contact, &execution.experiment.to_string());
        Self {
            fetcher: Arc::new(Fetcher::new(config.vicinity, config.tls, &agent)),
            job: Arc::new(Job::new(execution.clone(), config.gate, config.politeness)),
            running: FuturesUnordered::new(),
            handles: BTreeMap::new(),
            last_handle: 0,
            ends: Instant::now() + Duration::from_millis(execution.limits.wall_ms),
            records: Vec::new(),
            progress: None,
            hear: None,
            progress_at: None,
            checkpoint: None,
        }
    }

    /// The same, and `hear` is told what the guest says of how far it is, ten times a second at most.
    #[must_use]
    pub fn heard_by(mut self, hear: Hear) -> Self {
        self.hear = Some(hear);
        self
    }

    /// Answers one host call. Only `Wait` takes time.
    pub async fn answer(&mut self, call: HostCall) -> Reply {
        match call {
            HostCall::Submit { op, request } => number(self.submit(&op, &request)),
            HostCall::Wait { handles, timeout_ms } => number(self.wait(&handles, timeout_ms).await),
            HostCall::Read { handle, max } => self.read(handle, max),
            HostCall::Close { handle } => number(self.close(handle)),
            HostCall::Progress { permille, message } => {
                self.note_progress(permille, &message);
                Reply::Number(0)
            }
            HostCall::Checkpoint { bytes } => {
                if bytes.len() > CHECKPOINT_BYTES_MAX {
                    return Reply::Number(-errno::DQUOT);
                }
                self.checkpoint = Some(bytes);
                Reply::Number(0)
            }
        }
    }

    /// Advances the operations for as long as it is polled; loses nothing when dropped.
    pub async fn drive(&mut self) -> Infallible {
        loop {
            match self.running.next().await {
                Some((handle, fetched)) => self.ended(handle, fetched),
                None => std::future::pending().await,
            }
        }
    }

    /// What the guest last said of its progress.
    #[must_use]
    pub fn progress(&self) -> Option<&Saying> {
        self.progress.as_ref()
    }

    /// What the guest last kept, for partial results.
    #[must_use]
    pub fn checkpoint(&self) -> Option<&[u8]> {
        self.checkpoint.as_deref()
    }

    /// Ends what still runs. The transcript's canonical bytes; none when nothing was asked for.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.end();
        Transcript { records: List::first(std::mem::take(&mut self.records)) }.encode()
    }

    fn end(&mut self) {
        for (_, handle) in std::mem::take(&mut self.handles) {
            if let Handle::Running { asked, .. } = handle {
                self.record(record_of(&asked, FetchError::Cancelled.into()));
            }
        }
    }

    /// What happened, for the receipt and for the operator's ledger.
    fn record(&mut self, record: Record) {
        self.job.contacted(&record);
        self.records.push(record);
    }

    fn submit(&mut self, op: &str, request: &[u8]) -> Result<i32, i32> {
        if op != HTTP_FETCH {
            return Err(errno::NOSYS);
        }
        if self.handles.len() >= HANDLES_MAX {
            return Err(errno::MFILE);
        }
        if !self.job.count_op() {
            return Err(errno::DQUOT);
        }
        self.last_handle += 1;
        let handle = self.last_handle;
        let grant = Arc::new(Grant::new(self.job.clone()));
        match FetchRequest::decode(request) {
            Ok(request) => {
                let asked = Asked { method: request.method, url: request.url.to_string() };
                let (abort, registration) = AbortHandle::new_pair();
                let (fetcher, permit) = (self.fetcher.clone(), grant.clone());
                let fetch = async move { fetcher.fetch(&request, permit.as_ref()).await };
                let fetch = Abortable::new(fetch, registration);
                self.running.push(Box::pin(async move { (handle, fetch.await.ok()) }));
                self.handles.insert(handle, Handle::Running { asked, abort, grant });
            }
            Err(error) => {
                tracing::debug!(%error, "a guest's request is not one");
                let why = Trouble::new(FetchError::BadRequest, format_args!("the request is not one: {error}"));
                let head = FetchHead { error: Some(why.error), detail: why.why.clone(), ..FetchHead::default() };
                self.record(record_of(&Asked { method: Method::Get, url: String::new() }, why));
                self.handles.insert(handle, Handle::Ready { bytes: frame_result(&head, &[]), at: 0, _grant: grant });
            }
        }
        i32::try_from(handle).map_err(|_| errno::DQUOT)
    }

    async fn wait(&mut self, handles: &[u32], timeout_ms: u32) -> Result<i32, i32> {
        if handles.is_empty() || handles.len() > HANDLES_MAX {
            return Err(errno::INVAL);
        }
        if handles.iter().any(|handle| !self.handles.contains_key(handle)) {
            return Err(errno::BADF);
        }
        let until = self.ends.min(Instant::now() + Duration::from_millis(timeout_ms.into()));
        // Also when nothing is waited for: what is there already must be seen before the answer says "none".
        while let Ok(Some((handle, fetched))) = tokio::time::timeout(Duration::ZERO, self.running.next()).await {
            self.ended(handle, fetched);
        }
        loop {
            let ready = handles.iter().position(|handle| matches!(self.handles.get(handle), Some(Handle::Ready { .. })));
            if let Some(position) = ready {
                return i32::try_from(position).map_err(|_| errno::INVAL);
            }
            match tokio::time::timeout_at(until, self.running.next()).await {
                Ok(Some((handle, fetched))) => self.ended(handle, fetched),
                Ok(None) | Err(_) => return Err(errno::TIMEDOUT),
            }
        }
    }

    fn read(&mut self, handle: u32, max: u32) -> Reply {
        match self.handles.get_mut(&handle) {
            None => Reply::Number(-errno::BADF),
            Some(Handle::Running { .. }) => Reply::Number(-errno::AGAIN),
            Some(Handle::Ready { .. }) if max == 0 => Reply::Number(-errno::INVAL),
            Some(Handle::Ready { bytes, at, .. }) => {
                let end = bytes.len().min(at.saturating_add(READ_BYTES_MAX.min(max as usize)));
                let piece = bytes[*at..end].to_vec();
                *at = end;
                Reply::Bytes(piece)
            }
        }
    }

    fn close(&mut self, handle: u32) -> Result<i32, i32> {
        match self.handles.remove(&handle).ok_or(errno::BADF)? {
            Handle::Running { asked, abort, .. } => {
                abort.abort();
                self.record(record_of(&asked, FetchError::Cancelled.into()));
            }
            Handle::Ready { .. } => {}
        }
        Ok(0)
    }

    fn note_progress(&mut self, permille: u32, message: &str) {
        let now = Instant::now();
        if self.progress_at.is_some_and(|last| now.duration_since(last) < PROGRESS_INTERVAL) {
            return;
        }
        self.progress_at = Some(now);
        let progress = Saying { permille: permille.min(1_000), message: Text::cut(message) };
        if let Some(hear) = &self.hear {
            hear(&progress);
        }
        self.progress = Some(progress);
    }

    fn ended(&mut self, handle: u32, fetched: Option<Fetched>) {
        let Some(fetched) = fetched else { return };
        if let Some(Handle::Running { grant, .. }) = self.handles.remove(&handle) {
            let bytes = frame_result(&fetched.head, &fetched.body);
            fetched.records.into_iter().for_each(|record| self.record(record));
            self.handles.insert(handle, Handle::Ready { bytes, at: 0, _grant: grant });
        }
    }
}

/// An execution that is stopped made requests all the same.
impl Drop for Broker {
    fn drop(&mut self) {
        self.end();
    }
}

fn number(answer: Result<i32, i32>) -> Reply {
    Reply::Number(answer.unwrap_or_else(|errno| -errno))
}

/// A record of something that sent nothing, or whose answer nobody saw.
fn record_of(asked: &Asked, Trouble { error, why }: Trouble) -> Record {
    Record {
        op: Text::cut(HTTP_FETCH),
        method: asked.method,
        url: Text::cut(&asked.url),
        error: Some(error),
        detail: why,
        status: None,
        ip: None,
        reused: false,
        dns_us: None,
        connect_us: None,
        tls_us: None,
        ttfb_us: None,
        total_us: None,
        bytes: 0,
        body_sha256: None,
    }
}

#[cfg(test)]
mod tests;
