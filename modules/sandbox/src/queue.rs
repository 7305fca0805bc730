//! [`Queue`]: which module is compiled next, by which of the threads that wait, and for how long while others wait.
//!
//! [`lanes`] has the rules; this is the threads that keep to them. Guarantees: what nobody waits for any more is not begun, and ended where
//! it runs; whatever a compile comes to, what it took is settled with the account of who caused it; bounded. Deliberately lacks threads of
//! its own: the caller whose turn it is does the work, and who cannot pay is sent away.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::cache::{Known, Name};
use crate::compiler::CompileError;
use crate::process::Killer;

pub mod lanes;

use lanes::{Asker, Lanes, Purse, Stage, Waiter};

/// One wish for a module's machine code. Ending it, from any thread, lets the thread go that waits for it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Wish {
    queue: Arc<Queue>,
    waiter: Waiter,
    ended: Arc<AtomicBool>,
}

impl Wish {
    /// Nobody waits any more. A compile that nobody else waits for ends with it.
    pub fn end(&self) {
        // Under the lock, so that a thread that is about to wait sees it.
        let mut lanes = self.queue.lock();
        self.ended.store(true, Ordering::Relaxed);
        lanes.end(self.waiter.number);
        self.queue.look(&mut lanes);
        self.queue.changed.notify_all();
    }

    /// Who pays for it.
    pub(crate) fn purse(&self) -> &Arc<dyn Purse> {
        &self.waiter.purse
    }

    fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }
}

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct Queue {
    lanes: Mutex<Lanes<Name, Slot>>,
    changed: Condvar,
    begun: AtomicU64,
    numbers: AtomicU64,
    start: Instant,
}

/// What the threads have of a module.
#[derive(Debug, Default)]
struct Slot {
    /// Of the compile that runs.
    killer: Option<Killer>,
    made: Option<Known>,
}

impl Default for Queue {
    fn default() -> Self {
        Self::over(Lanes::default())
    }
}

impl Queue {
    fn over(lanes: Lanes<Name, Slot>) -> Self {
        let (begun, numbers) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { lanes: Mutex::new(lanes), changed: Condvar::new(), begun, numbers, start: Instant::now() }
    }

    pub(crate) fn wish(self: &Arc<Self>, asker: Asker, purse: Arc<dyn Purse>) -> Wish {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        Wish { queue: self.clone(), waiter: Waiter { number, asker, purse }, ended: Arc::default() }
    }

    /// Compiles begun since the queue was made.
    pub(crate) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Threads that wait or compile.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().waiting()
    }

    /// What `make` gives for this module, made here or by whoever asked before. Blocks.
    pub(crate) fn get(&self, name: Name, bytes: usize, wish: &Wish, make: impl Fn(&Killer) -> Known) -> Known {
        let mut lanes = self.lock();
        lanes.enter(name, bytes, wish.waiter.clone(), self.now()).map_err(|_| CompileError::Busy)?;
        loop {
            let stage = lanes.stage(name);
            let over = match stage {
                _ if wish.is_ended() => Some(Err(CompileError::Ended)),
                Some(Stage::Done) => lanes.slot(name).and_then(|slot| slot.made.clone()),
                Some(Stage::Refused) | None => Some(Err(CompileError::Unpaid)),
                Some(Stage::Waiting | Stage::Running) => None,
            };
            if let Some(known) = over {
                lanes.leave(name, wish.waiter.number);
                self.changed.notify_all();
                return known;
            }
            let again = self.look(&mut lanes);
            if !lanes.begin(name, self.now()) {
                // It may have been refused just now.
                if lanes.stage(name) != Some(Stage::Refused) {
                    lanes = self.wait(lanes, again);
                }
                continue;
            }
            let killer = Killer::new();
            if let Some(slot) = lanes.slot(name) {
                slot.killer = Some(killer.clone());
            }
            // Those who wait now wait for the end of its quantum.
            self.changed.notify_all();
            drop(lanes);
            self.begun.fetch_add(1, Ordering::Relaxed);
            let made = make(&killer);
            lanes = self.lock();
            // Ended by us: whoever came meanwhile still waits for it.
            let for_good = !(killer.is_ended() && matches!(made, Err(CompileError::Failed(_))));
            if let Some(slot) = lanes.slot(name) {
                (slot.killer, slot.made) = (None, for_good.then_some(made));
            }
            lanes.ended(name, for_good, self.now());
            self.changed.notify_all();
        }
    }

    /// Does what the rules say, and says when to look again.
    fn look(&self, lanes: &mut Lanes<Name, Slot>) -> Option<Duration> {
        let look = lanes.look(self.now());
        for name in look.end {
            if let Some(Slot { killer: Some(killer), .. }) = lanes.slot(name) {
                killer.kill();
            }
        }
        if look.changed {
            self.changed.notify_all();
        }
        look.again
    }

    /// Waits for a change, or for so long.
    fn wait<'a>(&'a self, lanes: MutexGuard<'a, Lanes<Name, Slot>>, again: Option<Duration>) -> MutexGuard<'a, Lanes<Name, Slot>> {
        let waited = match again {
            Some(again) => self.changed.wait_timeout(lanes, again).map(|waited| waited.0).map_err(|poisoned| poisoned.into_inner().0),
            None => self.changed.wait(lanes).map_err(PoisonError::into_inner),
        };
        waited.unwrap_or_else(|lanes| lanes)
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, Lanes<Name, Slot>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
