//! [`Compiler`]: one station's compiler, modelled: how long a module takes, who waits for whom, and who pays.
//!
//! Guarantees: the rules are those of the sandbox itself ([`Lanes`]), with virtual time; a module that was compiled is not compiled again;
//! whoever does not wait any more ends a compile that nobody else waits for. Deliberately lacks compiling, and the better code that the
//! sandbox makes in the background.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cid::Cid;
use station_node::engine::{Asker, EngineError};
use station_sandbox::lanes::{Lanes, Stage, Waiter};
use tokio::sync::Notify;
use tokio::time::Instant;

/// How the bytes of a module begin that says what it takes.
const STATES: &str = "station-sim/compile";
/// Bytes that the reference machine compiles in a millisecond: about 1.2 MiB a second.
const BYTES_PER_MS: u64 = 1_258;
/// Artefacts that a station keeps: those of a simulated run are small, so that the number is what bounds them.
const KEPT_MAX: usize = 1_024;

/// A module that takes `ms` on the reference machine, unlike that of any other `number`.
#[must_use]
pub fn module(ms: u64, number: u64) -> Vec<u8> {
    format!("{STATES} {ms} {number}").into_bytes()
}

/// What a module takes on the reference machine: what it says, or what its size implies.
#[must_use]
pub fn takes_ms(module: &[u8]) -> u64 {
    let stated = std::str::from_utf8(module).ok().and_then(|text| text.strip_prefix(STATES)?.split_whitespace().next()?.parse().ok());
    stated.unwrap_or_else(|| (module.len() as u64).div_ceil(BYTES_PER_MS))
}

/// Cheap to clone; clones are the same compiler.
#[derive(Clone, Debug)]
pub struct Compiler {
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
    start: Instant,
}

#[derive(Debug, Default)]
struct State {
    lanes: Lanes<Cid, Arc<Notify>>,
    numbers: u64,
    kept: BTreeSet<Cid>,
    /// The same, the oldest first.
    order: VecDeque<Cid>,
}

/// What whoever waits does next.
enum Next {
    Returns(Result<(), EngineError>),
    Compiles(Arc<Notify>),
    Waits(Option<Duration>),
}

impl Default for Compiler {
    fn default() -> Self {
        Self { state: Arc::default(), changed: Arc::default(), start: Instant::now() }
    }
}

impl Compiler {
    /// Returns when the module is compiled, which takes `ms` of this station, or when it is not compiled now.
    pub async fn compile(&self, asker: Asker, cid: Cid, bytes: usize, ms: u64) -> Result<(), EngineError> {
        let mut place = match self.enter(asker, cid, bytes) {
            Some(place) => place?,
            None => return Ok(()),
        };
        loop {
            // Before the look, so that no change between the two is missed.
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            match self.next(&place) {
                Next::Returns(result) => return result,
                Next::Waits(None) => changed.await,
                Next::Waits(Some(again)) => {
                    tokio::select! {
                        biased;
                        () = changed => {}
                        () = tokio::time::sleep(again) => {}
                    }
                }
                Next::Compiles(ends) => {
                    place.compiles = true;
                    let whole = tokio::select! {
                        biased;
                        () = ends.notified() => false,
                        () = tokio::time::sleep(Duration::from_millis(ms)) => true,
                    };
                    place.compiles = false;
                    self.ended(cid, whole);
                }
            }
        }
    }

    /// A place among those who wait; nothing where the module is compiled already.
    fn enter(&self, asker: Asker, cid: Cid, bytes: usize) -> Option<Result<Place, EngineError>> {
        let mut state = self.lock();
        if state.kept.contains(&cid) {
            return None;
        }
        state.numbers += 1;
        let number = state.numbers;
        let waiter = Waiter { number, asker: asker.requester.0, purse: asker.purse };
        let entered = state.lanes.enter(cid, bytes, waiter, self.start.elapsed());
        let place = || Place { compiler: self.clone(), cid, number, compiles: false };
        Some(entered.map(|()| place()).map_err(|_| EngineError::NotNow("too many wait".into())))
    }

    fn next(&self, place: &Place) -> Next {
        let mut state = self.lock();
        match state.lanes.stage(place.cid) {
            Some(Stage::Done) => return Next::Returns(Ok(())),
            Some(Stage::Refused) | None => return Next::Returns(Err(EngineError::NotNow("nobody pays".into()))),
            Some(Stage::Waiting | Stage::Running) => {}
        }
        let now = self.start.elapsed();
        let again = self.look(&mut state);
        if state.lanes.begin(place.cid, now) {
            self.changed.notify_waiters();
            // A notice that came too late for the last compile is none for this one.
            let ends = Arc::new(Notify::new());
            if let Some(slot) = state.lanes.slot(place.cid) {
                *slot = ends.clone();
            }
            return Next::Compiles(ends);
        }
        let refused = state.lanes.stage(place.cid) == Some(Stage::Refused);
        if refused { Next::Returns(Err(EngineError::NotNow("nobody pays".into()))) } else { Next::Waits(again) }
    }

    /// Does what the rules say, and says when to look again.
    fn look(&self, state: &mut State) -> Option<Duration> {
        let look = state.lanes.look(self.start.elapsed());
        for cid in look.end {
            if let Some(ends) = state.lanes.slot(cid) {
                ends.notify_one();
            }
        }
        if look.changed {
            self.changed.notify_waiters();
        }
        look.again
    }

    fn ended(&self, cid: Cid, whole: bool) {
        let mut state = self.lock();
        state.lanes.ended(cid, whole, self.start.elapsed());
        if whole && state.kept.insert(cid) {
            state.order.push_back(cid);
            if state.order.len() > KEPT_MAX
                && let Some(oldest) = state.order.pop_front()
            {
                state.kept.remove(&oldest);
            }
        }
        self.changed.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who waits, until it is dropped.
struct Place {
    compiler: Compiler,
    cid: Cid,
    number: u64,
    /// Its compile runs here.
    compiles: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.compiler.lock();
        let now = self.compiler.start.elapsed();
        if self.compiles {
            state.lanes.ended(self.cid, false, now);
        }
        state.lanes.leave(self.cid, self.number);
        self.compiler.look(&mut state);
        self.compiler.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
