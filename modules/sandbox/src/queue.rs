//! [`Queue`]: which module is compiled next, by which of the threads that wait, and for how long while others wait.
//!
//! There are two lanes with one compile worker each. Every module begins in the quick lane. One that takes longer than [`QUANTUM`] while
//! others wait goes on in the long lane; where that is taken, it ends and begins anew there when its turn comes. So a small module waits
//! for one quantum at most, whatever strangers have sent before it.
//!
//! Guarantees: a module is compiled once however many wait for it; what nobody waits for any more is not begun, and ended where it runs;
//! at most [`WAITING_MAX`] threads wait in all and [`WAITING_PER_ASKER_MAX`] for one asker. Deliberately lacks threads of its own: the
//! caller whose turn it is does the work.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::cache::{Known, Name};
use crate::compiler::CompileError;
use crate::process::Killer;

/// How long a compile keeps others of the quick lane waiting: twice what most modules need.
const QUANTUM: Duration = Duration::from_secs(1);
/// Threads that wait at a time: each has its module of up to 16 MiB.
const WAITING_MAX: usize = 32;
/// The same for one asker: a requester's experiments have one module each, and a few run at a time.
const WAITING_PER_ASKER_MAX: usize = 4;
/// How much later than its arrival a module is due, for each KiB: a small one overtakes large ones, but not for ever.
const DELAY_PER_KIB: Duration = Duration::from_millis(10);
/// The same for each module of the same asker that is there already.
const DELAY_PER_OWN: Duration = Duration::from_secs(2);

/// Whoever asks for machine code, as far as the queue tells askers apart: a requester's key.
pub type Asker = [u8; 32];

/// One wish for a module's machine code. Ending it, from any thread, lets the thread go that waits for it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Wish {
    queue: Arc<Queue>,
    asker: Asker,
    ended: Arc<AtomicBool>,
}

impl Wish {
    /// Nobody waits any more. A compile that nobody else waits for ends with it.
    pub fn end(&self) {
        // Under the lock, so that a thread that is about to wait sees it.
        let mut state = self.queue.lock();
        self.ended.store(true, Ordering::Relaxed);
        state.drop_unwanted();
        self.queue.changed.notify_all();
    }

    fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }
}

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    begun: AtomicU64,
    quantum: Duration,
}

impl Default for Queue {
    fn default() -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), begun: AtomicU64::new(0), quantum: QUANTUM }
    }
}

#[derive(Debug, Default)]
struct State {
    entries: Vec<Entry>,
}

/// A module that somebody waits for.
#[derive(Debug)]
struct Entry {
    name: Name,
    asker: Asker,
    /// Who waits: `true` inside where that ended.
    wishes: Vec<Arc<AtomicBool>>,
    due: Instant,
    lane: Lane,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lane {
    Quick,
    Long,
}

#[derive(Debug)]
enum Phase {
    Waiting,
    Running { since: Instant, killer: Killer, makes_way: bool },
    Done(Known),
}

impl Queue {
    pub(crate) fn wish(self: &Arc<Self>, asker: Asker) -> Wish {
        Wish { queue: self.clone(), asker, ended: Arc::default() }
    }

    /// Compiles begun since the queue was made.
    pub(crate) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Threads that wait or compile.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().entries.iter().map(|entry| entry.wishes.len()).sum()
    }

    /// What `make` gives for this module, made here or by whoever asked before. Blocks.
    pub(crate) fn get(&self, name: Name, bytes: usize, wish: &Wish, make: impl Fn(&Killer) -> Known) -> Known {
        let mut state = self.lock();
        state.enter(name, bytes, wish)?;
        loop {
            if wish.is_ended() {
                state.leave(name, wish);
                self.changed.notify_all();
                return Err(CompileError::Ended);
            }
            if let Phase::Done(known) = &state.entry(name).phase {
                let known = known.clone();
                state.leave(name, wish);
                return known;
            }
            if !state.is_next(name) {
                state = self.wait(state);
                continue;
            }
            let killer = Killer::new();
            state.entry(name).phase = Phase::Running { since: Instant::now(), killer: killer.clone(), makes_way: false };
            // Those who wait now wait for the end of its quantum.
            self.changed.notify_all();
            drop(state);
            self.begun.fetch_add(1, Ordering::Relaxed);
            let made = make(&killer);
            state = self.lock();
            state.entry(name).end(made);
            self.changed.notify_all();
        }
    }

    /// Waits for a change, or for the end of a quantum.
    fn wait<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let left = state.make_way(self.quantum, Instant::now());
        if left == Some(Duration::ZERO) {
            self.changed.notify_all();
        }
        let waited = match left {
            Some(left) => self.changed.wait_timeout(state, left).map(|waited| waited.0).map_err(|poisoned| poisoned.into_inner().0),
            None => self.changed.wait(state).map_err(PoisonError::into_inner),
        };
        waited.unwrap_or_else(|state| state)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn enter(&mut self, name: Name, bytes: usize, wish: &Wish) -> Result<(), CompileError> {
        if self.entries.iter().map(|entry| entry.wishes.len()).sum::<usize>() >= WAITING_MAX {
            return Err(CompileError::Busy);
        }
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.name == name) {
            entry.wishes.push(wish.ended.clone());
            return Ok(());
        }
        let own = self.entries.iter().filter(|entry| entry.asker == wish.asker).count();
        if own >= WAITING_PER_ASKER_MAX {
            return Err(CompileError::Busy);
        }
        let count = |of: usize| u32::try_from(of).unwrap_or(u32::MAX);
        let due = Instant::now() + DELAY_PER_KIB.saturating_mul(count(bytes >> 10)) + DELAY_PER_OWN.saturating_mul(count(own));
        self.entries.push(Entry { name, asker: wish.asker, wishes: vec![wish.ended.clone()], due, lane: Lane::Quick, phase: Phase::Waiting });
        Ok(())
    }

    /// Of a module that the calling thread entered: it stays until that thread leaves.
    fn entry(&mut self, name: Name) -> &mut Entry {
        self.entries.iter_mut().find(|entry| entry.name == name).expect("an entry stays while somebody waits for it")
    }

    /// One waits less. The entry stays while it runs: its thread is among those who wait.
    fn leave(&mut self, name: Name, wish: &Wish) {
        let entry = self.entry(name);
        if let Some(at) = entry.wishes.iter().position(|ended| Arc::ptr_eq(ended, &wish.ended)) {
            entry.wishes.swap_remove(at);
        }
        self.entries.retain(|entry| !entry.wishes.is_empty());
    }

    /// Ends compiles that nobody waits for.
    fn drop_unwanted(&mut self) {
        for entry in &self.entries {
            if let Phase::Running { killer, .. } = &entry.phase
                && !entry.is_wanted()
            {
                killer.kill();
            }
        }
    }

    fn running(&self, lane: Lane) -> Option<usize> {
        self.entries.iter().position(|entry| entry.lane == lane && matches!(entry.phase, Phase::Running { .. }))
    }

    /// Whether this module's turn has come: its lane is free, and it is due before the others there.
    fn is_next(&self, name: Name) -> bool {
        let Some(own) = self.entries.iter().find(|entry| entry.name == name) else { return false };
        let waits = |entry: &&Entry| entry.lane == own.lane && matches!(entry.phase, Phase::Waiting) && entry.is_wanted();
        matches!(own.phase, Phase::Waiting)
            && self.running(own.lane).is_none()
            && self.entries.iter().filter(waits).min_by_key(|entry| entry.due).is_some_and(|first| first.name == name)
    }

    /// Lets those behind a long compile go on. The time until it must make way, where somebody waits for that.
    fn make_way(&mut self, quantum: Duration, now: Instant) -> Option<Duration> {
        let quick = self.running(Lane::Quick)?;
        self.entries.iter().find(|entry| entry.lane == Lane::Quick && matches!(entry.phase, Phase::Waiting))?;
        let long_is_free = self.running(Lane::Long).is_none();
        let entry = &mut self.entries[quick];
        let Phase::Running { since, killer, makes_way } = &mut entry.phase else { return None };
        let left = quantum.saturating_sub(now.saturating_duration_since(*since));
        if !left.is_zero() {
            return Some(left);
        }
        if long_is_free {
            entry.lane = Lane::Long;
            // Whoever is next looks again at once.
            return Some(Duration::ZERO);
        }
        *makes_way = true;
        killer.kill();
        None
    }
}

impl Entry {
    fn is_wanted(&self) -> bool {
        self.wishes.iter().any(|ended| !ended.load(Ordering::Relaxed))
    }

    /// The compile ended: for good, or to begin anew where it keeps nobody waiting.
    fn end(&mut self, made: Known) {
        let (killed, made_way) = match &self.phase {
            Phase::Running { killer, makes_way, .. } => (killer.is_ended(), *makes_way),
            Phase::Waiting | Phase::Done(_) => (false, false),
        };
        if made_way {
            self.lane = Lane::Long;
        }
        self.phase = match made {
            // Ended by us: whoever came meanwhile still waits for it.
            Err(CompileError::Failed(_)) if killed => Phase::Waiting,
            made => Phase::Done(made),
        };
    }
}

#[cfg(test)]
mod tests;
