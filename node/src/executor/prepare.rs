//! Compiling a module before any job of it takes one of the station's slots.
//!
//! Guarantees: whoever cannot pay for the compile waits here, with neither slot, nor thread, nor bytes of the module; the modules that are
//! being compiled have a bound together, and get room in the order in which they come; strangers' ones never take the room of those that the
//! station worked with; what nobody waits for any more ends; a module that is not here is said not to be. Deliberately lacks why a module cannot be compiled: opening a session for it says that.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cid::Cid;
use station_protocol::Content;
use station_protocol::durable::Ticket;
use station_protocol::identity::NodeId;
use station_protocol::worker::FetchFailure;
use station_sandbox::deposit_ms;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::{Executor, Rooms};
use crate::content::COMPILING_BYTES_MAX;
use crate::engine::{Asker, EngineError};

/// How often somebody who cannot pay is looked at again.
const WAIT: Duration = Duration::from_millis(500);
/// KiB of modules that wait for the compiler or are in it, for strangers and for the others each.
const ROOM_KIB: usize = COMPILING_BYTES_MAX >> 10;
/// Modules remembered as compiled: as many as the sandbox keeps in memory, a few times over.
const COMPILED_MAX: usize = 64;
/// Ends waiting for the event loop; more of them wait in their tasks.
const PREPARED_WAITING_MAX: usize = 256;

/// A module that is ready for jobs, or why it is not.
type Prepared = (Ticket, Result<(), FetchFailure>);

/// Modules on their way through the compiler.
pub(super) struct Preparing {
    running: BTreeMap<Ticket, CancellationToken>,
    yard: Yard,
    ended: mpsc::Receiver<Prepared>,
    report: mpsc::Sender<Prepared>,
}

impl Default for Preparing {
    fn default() -> Self {
        let (report, ended) = mpsc::channel(PREPARED_WAITING_MAX);
        Self { running: BTreeMap::new(), yard: Yard::default(), ended, report }
    }
}

/// What preparations share; cheap to clone.
#[derive(Clone)]
struct Yard {
    strangers: Arc<Semaphore>,
    others: Arc<Semaphore>,
    /// Compiled before, so that it costs nothing now as far as anybody knows; the last one last.
    compiled: Arc<Mutex<VecDeque<Cid>>>,
}

impl Default for Yard {
    fn default() -> Self {
        let room = || Arc::new(Semaphore::new(ROOM_KIB));
        Self { strangers: room(), others: room(), compiled: Arc::default() }
    }
}

impl Executor {
    /// Begins to compile a module of `requester`; the end comes from [`Executor::next`].
    pub fn prepare(&mut self, ticket: Ticket, requester: NodeId, module: Content) {
        let stop = CancellationToken::new();
        self.preparing.running.insert(ticket, stop.clone());
        let (rooms, yard, report) = (self.rooms.clone(), self.preparing.yard.clone(), self.preparing.report.clone());
        self.tasks.spawn(async move {
            let result = tokio::select! {
                () = stop.cancelled() => Err(FetchFailure::Unwanted),
                result = rooms.prepare(&yard, requester, &module) => result,
            };
            // The receiver is gone only when the station is.
            let _ = report.send((ticket, result)).await;
        });
    }

    /// Ends the preparations that nobody waits for.
    pub fn end_preparing(&self, is_awaited: impl Fn(Ticket) -> bool) {
        self.preparing.running.iter().filter(|(ticket, _)| !is_awaited(**ticket)).for_each(|(_, stop)| stop.cancel());
    }
}

impl Preparing {
    /// The next module that came to its end. Cancel-safe.
    pub(super) async fn next(&mut self) -> Prepared {
        let ended = self.ended.recv().await.expect("this keeps a sender itself");
        self.running.remove(&ended.0);
        ended
    }
}

impl Rooms {
    /// Returns when the module is compiled, or is found to be none that can be, or not to be here.
    async fn prepare(&self, yard: &Yard, requester: NodeId, module: &Content) -> Result<(), FetchFailure> {
        let asker = self.asker(requester);
        loop {
            if !yard.is_compiled(&module.cid) {
                afford(&asker, deposit_ms(usize::try_from(module.bytes).unwrap_or(usize::MAX))).await;
            }
            let room = yard.room(&asker, module).await;
            let Ok(Some(bytes)) = self.library.file(module).await else { return Err(FetchFailure::NotFound) };
            let result = self.engine.prepare(asker.clone(), module.cid, bytes).await;
            drop(room);
            match result {
                Err(EngineError::NotNow(reason)) => {
                    tracing::debug!(%requester, module = %module.cid, reason, "a compile is put off");
                    yard.forget(&module.cid);
                    tokio::time::sleep(WAIT).await;
                }
                Ok(()) => {
                    yard.remember(module.cid);
                    return Ok(());
                }
                // Opening a session for it finds that too, and says so.
                Err(_) => return Ok(()),
            }
        }
    }
}

/// Waits until `asker` could pay so much. That it could not is counted once.
async fn afford(asker: &Asker, ms: u64) {
    if asker.purse.could_pay(ms) {
        return;
    }
    let _ = asker.purse.pay(ms);
    tracing::debug!(requester = %asker.requester, ms, "over its share of compiling: it waits");
    while !asker.purse.could_pay(ms) {
        tokio::time::sleep(WAIT).await;
    }
}

impl Yard {
    /// Room for the module, in the order in which it is asked for: small ones pass no large one for ever.
    async fn room(&self, asker: &Asker, module: &Content) -> OwnedSemaphorePermit {
        // No more than there is, so that the wait ends whatever was said of the size.
        let kib = module.bytes.div_ceil(1 << 10).min(ROOM_KIB as u64);
        let room = if asker.purse.is_known() { &self.others } else { &self.strangers };
        room.clone().acquire_many_owned(u32::try_from(kib).unwrap_or(u32::MAX)).await.expect("this room is never closed")
    }

    fn is_compiled(&self, cid: &Cid) -> bool {
        self.lock().contains(cid)
    }

    fn remember(&self, cid: Cid) {
        let mut compiled = self.lock();
        compiled.retain(|known| *known != cid);
        compiled.push_back(cid);
        if compiled.len() > COMPILED_MAX {
            compiled.pop_front();
        }
    }

    fn forget(&self, cid: &Cid) {
        self.lock().retain(|known| known != cid);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Cid>> {
        self.compiled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
