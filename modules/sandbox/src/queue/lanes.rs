//! [`Lanes`]: which module is compiled next, on whose account, and which compile ends. The rules of the queue, without its threads.
//!
//! There are two lanes with one compile worker each. Every module begins in the quick lane. One that takes longer than a quantum while
//! others wait goes on in the long lane; where that is taken, it ends and begins anew there when its turn comes. Whoever the station worked
//! with before goes first: a compile of somebody unknown makes way for theirs at once, in both lanes. After [`UNKNOWN_STRIDE`] of them in a lane
//! comes one of the others there, and that one is let be. Among those whom the station knows, and among those whom it does not, whoever has more of
//! its share left goes first, and one who has used much makes way at once too: so that a network full of hogs waits for itself.
//!
//! Guarantees: pure, time is an argument; a module is compiled once however many wait for it; a compile begins only after one of
//! those who wait for it has paid, whom the station knows before others, and where nobody can pay it is refused; what it really took is settled when it ends, also when it was ended; an
//! unknown requester has one compile at a time, so that a second one begins after the first is settled; bounded. Deliberately lacks doing:
//! the caller compiles, sleeps and kills; and waiting for money: who was refused comes again.

use std::sync::Arc;
use std::time::Duration;

use station_protocol::accounts::{Charge, KNOWN_TIMES};
use station_protocol::worker::UNKNOWN_STRIDE;

/// How long a compile keeps others of the quick lane waiting: twice what most modules need.
pub(super) const QUANTUM: Duration = Duration::from_secs(1);
/// Those that wait at a time: each has its module of up to 16 MiB.
pub(super) const WAITING_MAX: usize = 32;
/// The same for one asker: a requester's experiments have one module each, and a few run at a time.
pub(super) const WAITING_PER_ASKER_MAX: usize = 4;
/// Of them those that the station does not know: the others find a place however many come.
const STRANGERS_WAITING_MAX: usize = WAITING_MAX / 4 * 3;
/// Into so many steps a share is divided: whoever could pay more of them, of a share of its own size, goes before others.
const SHARE_STEPS: u64 = 6;
/// By so many steps somebody must have more left for a running compile to make way: less is what one compile of its own takes.
const STEPS: u64 = 2;
/// How much later than its arrival a module is due, for each KiB: a small one overtakes large ones, but not for ever.
const DELAY_PER_KIB: Duration = Duration::from_millis(10);
/// The same for each module of the same asker that is there already.
const DELAY_PER_OWN: Duration = Duration::from_secs(2);
/// What starting a compile worker takes, whatever it compiles.
const DEPOSIT_MS: u64 = 50;

/// Whoever asks for machine code, as far as the queue tells askers apart: a requester's key.
pub type Asker = [u8; 32];

/// The account of an asker: milliseconds of compiling.
pub trait Purse: std::fmt::Debug + Send + Sync {
    /// Whether work with this asker was held before.
    fn is_known(&self) -> bool;
    /// Whether it could pay so much now.
    fn could_pay(&self, ms: u64) -> bool;
    /// Pays before a compile begins; `false`: it cannot, and that is counted.
    fn pay(&self, ms: u64) -> bool;
    /// Of what was paid for a compile: so long it really took.
    fn settle(&self, paid_ms: u64, took_ms: u64);
}

/// Of whoever compiles for himself: it pays everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Own;

impl Purse for Own {
    fn is_known(&self) -> bool {
        true
    }

    fn could_pay(&self, _: u64) -> bool {
        true
    }

    fn pay(&self, _: u64) -> bool {
        true
    }

    fn settle(&self, _: u64, _: u64) {}
}

/// What is paid before a module of so many bytes is compiled. Cranelift makes about a MiB a second; what it does not know beforehand is
/// settled afterwards.
#[must_use]
pub fn deposit_ms(bytes: usize) -> u64 {
    DEPOSIT_MS + (bytes as u64).div_ceil(1 << 10)
}

/// As many wait as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Somebody who waits.
#[derive(Clone, Debug)]
pub struct Waiter {
    /// Nobody else who waits has this number.
    pub number: u64,
    pub asker: Asker,
    pub purse: Arc<dyn Purse>,
}

/// What is to be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look<N> {
    /// Compiles to end.
    pub end: Vec<N>,
    /// Somebody else's turn may have come: all who wait look again.
    pub changed: bool,
    /// When to look again at the latest, if time changes anything.
    pub again: Option<Duration>,
}

/// Modules by name; each has a `S` of the caller's.
#[derive(Debug)]
pub struct Lanes<N, S> {
    entries: Vec<Entry<N, S>>,
    quantum: Duration,
    /// How often somebody known passed somebody unknown since the last turn of those, in each lane.
    passed: [u64; 2],
}

/// A module that somebody waits for.
#[derive(Debug)]
struct Entry<N, S> {
    name: N,
    bytes: usize,
    asker: Asker,
    /// With `true` where it does not wait any more.
    waiters: Vec<(Waiter, bool)>,
    due: Duration,
    lane: Lane,
    phase: Phase,
    /// The number of whoever pays for it, as of the last look.
    payer: u64,
    /// Whether its payer has another compile running, which is not settled.
    has_one: bool,
    /// How many steps of its payer's share are used: see [`SHARE_STEPS`].
    used: u64,
    slot: S,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lane {
    Quick,
    Long,
}

#[derive(Debug)]
enum Phase {
    Waiting,
    Running {
        since: Duration,
        payer: Waiter,
        makes_way: bool,
        /// It is of somebody unknown, after many of those who are known: they do not end it.
        is_owed: bool,
    },
    Done,
    /// Nobody who waits for it can pay.
    Refused,
}

/// Where a module is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Waiting,
    Running,
    Done,
    Refused,
}

impl<N, S> Default for Lanes<N, S> {
    fn default() -> Self {
        Self { entries: Vec::new(), quantum: QUANTUM, passed: [0; 2] }
    }
}

impl<N: Copy + PartialEq, S: Default> Lanes<N, S> {
    /// With another quantum than the product's: for tests.
    #[cfg(test)]
    pub(super) fn with_quantum(quantum: Duration) -> Self {
        Self { quantum, ..Self::default() }
    }

    /// Those who wait, those whose module is compiled among them.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.entries.iter().filter(|entry| !matches!(entry.phase, Phase::Refused)).map(|entry| entry.waiters.len()).sum()
    }

    /// `waiter` waits for a module of so many bytes.
    pub fn enter(&mut self, name: N, bytes: usize, waiter: Waiter, now: Duration) -> Result<(), Full> {
        let strangers = || self.entries.iter().flat_map(|entry| &entry.waiters).filter(|(waiter, _)| !waiter.purse.is_known()).count();
        let is_full = self.waiting() >= WAITING_MAX || (!waiter.purse.is_known() && strangers() >= STRANGERS_WAITING_MAX);
        if is_full && !self.takes_place(&waiter) {
            return Err(Full);
        }
        let is_open = |entry: &&mut Entry<N, S>| entry.name == name && !matches!(entry.phase, Phase::Refused);
        if let Some(entry) = self.entries.iter_mut().find(is_open) {
            entry.waiters.push((waiter, false));
            return Ok(());
        }
        let own = self.entries.iter().filter(|entry| entry.asker == waiter.asker).count();
        // One that is refused goes first, so that a name is there once.
        if own >= WAITING_PER_ASKER_MAX || self.entries.iter().any(|entry| entry.name == name) {
            return Err(Full);
        }
        let count = |of: usize| u32::try_from(of).unwrap_or(u32::MAX);
        let late = DELAY_PER_KIB.saturating_mul(count(bytes >> 10)) + DELAY_PER_OWN.saturating_mul(count(own));
        self.entries.push(Entry {
            name,
            bytes,
            asker: waiter.asker,
            payer: waiter.number,
            waiters: vec![(waiter, false)],
            due: now.saturating_add(late),
            lane: Lane::Quick,
            phase: Phase::Waiting,
            has_one: false,
            used: 0,
            slot: S::default(),
        });
        Ok(())
    }

    /// Who has this number does not wait any more, and is about to leave.
    pub fn end(&mut self, number: u64) {
        let waiters = self.entries.iter_mut().flat_map(|entry| &mut entry.waiters);
        waiters.filter(|(waiter, _)| waiter.number == number).for_each(|(_, ended)| *ended = true);
    }

    /// One waits less. A module that nobody waits for is forgotten.
    pub fn leave(&mut self, name: N, number: u64) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.name == name) {
            entry.waiters.retain(|(waiter, _)| waiter.number != number);
        }
        self.forget();
    }

    /// The caller's own of a module that somebody waits for.
    pub fn slot(&mut self, name: N) -> Option<&mut S> {
        self.entries.iter_mut().find(|entry| entry.name == name).map(|entry| &mut entry.slot)
    }

    /// Where a module is; nothing of one that nobody waits for.
    #[must_use]
    pub fn stage(&self, name: N) -> Option<Stage> {
        self.entries.iter().find(|entry| entry.name == name).map(|entry| match entry.phase {
            Phase::Waiting => Stage::Waiting,
            Phase::Running { .. } => Stage::Running,
            Phase::Done => Stage::Done,
            Phase::Refused => Stage::Refused,
        })
    }

    /// What is to be done now: after every change, and when the time of the last look comes.
    pub fn look(&mut self, now: Duration) -> Look<N> {
        let mut look = Look { end: Vec::new(), changed: self.look_who_pays(), again: None };
        let unwanted = |entry: &&Entry<N, S>| matches!(entry.phase, Phase::Running { .. }) && !entry.is_wanted();
        look.end.extend(self.entries.iter().filter(unwanted).map(|entry| entry.name));
        self.make_way(now, &mut look);
        look
    }

    /// Begins this module's compile and pays for it, if its turn has come: its lane is free, and it goes before the others there.
    pub fn begin(&mut self, name: N, now: Duration) -> bool {
        let Some(own) = self.entries.iter().position(|entry| entry.name == name) else { return false };
        let lane = self.entries[own].lane;
        let (next, is_owed) = self.next(lane);
        if self.running(lane).is_some() || next != Some(own) {
            return false;
        }
        let entry = &mut self.entries[own];
        let Some(payer) = entry.payer().cloned() else { return false };
        if !payer.purse.pay(deposit_ms(entry.bytes)) {
            entry.phase = Phase::Refused;
            return false;
        }
        entry.phase = Phase::Running { since: now, payer, makes_way: false, is_owed };
        self.count(own);
        true
    }

    /// A compile ended: for good, or to begin anew where somebody still waits for it.
    pub fn ended(&mut self, name: N, for_good: bool, now: Duration) {
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.name == name) else { return };
        if let Phase::Running { since, payer, makes_way, is_owed } = &entry.phase {
            let took = now.saturating_sub(*since);
            // One that somebody known ended had no turn.
            if (for_good || *is_owed) && !payer.purse.is_known() && !entry.is_known() {
                self.passed[entry.lane as usize] = 0;
            }
            payer.purse.settle(deposit_ms(entry.bytes), u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
            if *makes_way {
                entry.lane = Lane::Long;
            }
        }
        entry.phase = if for_good { Phase::Done } else { Phase::Waiting };
        self.forget();
    }

    /// What nobody waits for and nobody compiles.
    fn forget(&mut self) {
        self.entries.retain(|entry| !entry.waiters.is_empty() || matches!(entry.phase, Phase::Running { .. }));
    }

    fn running(&self, lane: Lane) -> Option<usize> {
        self.entries.iter().position(|entry| entry.lane == lane && matches!(entry.phase, Phase::Running { .. }))
    }

    /// Counts that the compile `at` runs in its lane, if it passes somebody unknown there.
    fn count(&mut self, at: usize) {
        let lane = self.entries[at].lane;
        if self.entries[at].is_known() && self.first(lane, false).is_some() {
            self.passed[lane as usize] += 1;
        }
    }

    /// Says who pays, refuses where nobody can, keeps back those of whom a compile runs, and sees what everybody has left. Whether anybody
    /// was refused.
    fn look_who_pays(&mut self) -> bool {
        let running: Vec<Asker> = self.entries.iter().filter_map(Entry::paid_by).collect();
        let mut refused = false;
        for entry in &mut self.entries {
            let Some((payer, has_one)) = entry.choose(&running) else { continue };
            let deposit = deposit_ms(entry.bytes);
            let (number, used) = (payer.number, used(&*payer.purse));
            if matches!(entry.phase, Phase::Waiting) && !has_one && !payer.purse.could_pay(deposit) {
                // Counts the refusal.
                let _ = payer.purse.pay(deposit);
                entry.phase = Phase::Refused;
                refused = true;
            }
            (entry.payer, entry.has_one, entry.used) = (number, has_one, used);
        }
        refused
    }

    /// Whether somebody new has so much more left than one who waits that it takes its place.
    fn takes_place(&mut self, new: &Waiter) -> bool {
        self.look_who_pays();
        let waiting = self.entries.iter_mut().filter(|entry| matches!(entry.phase, Phase::Waiting) && !entry.is_known());
        let Some(last) = waiting.max_by_key(|entry| (entry.used, entry.due)) else { return false };
        let takes = new.purse.is_known() || used(&*new.purse) < last.used;
        if takes {
            last.phase = Phase::Refused;
        }
        takes
    }

    /// Who begins next in this lane, and whether that is somebody unknown after many who are known.
    fn next(&self, lane: Lane) -> (Option<usize>, bool) {
        let (known, unknown) = (self.first(lane, true), self.first(lane, false));
        let is_owed = unknown.is_some() && self.passed[lane as usize] >= UNKNOWN_STRIDE;
        (if is_owed { unknown } else { known.or(unknown) }, is_owed)
    }

    /// Who is due first of those that the station knows, or does not, and that wait for nothing but their turn in this lane.
    fn first(&self, lane: Lane, known: bool) -> Option<usize> {
        let ready = |entry: &Entry<N, S>| entry.lane == lane && entry.is_ready() && entry.is_known() == known;
        let ready = self.entries.iter().enumerate().filter(|(_, entry)| ready(entry));
        ready.min_by_key(|(_, entry)| (entry.used, entry.due)).map(|(at, _)| at)
    }

    /// Lets those go on who wait behind a long compile, or behind one of somebody who comes after them.
    fn make_way(&mut self, now: Duration, look: &mut Look<N>) {
        let (quick, long) = (self.running(Lane::Quick), self.running(Lane::Long));
        let yields = |at: Option<usize>, to: Option<usize>| at.zip(to).is_some_and(|(at, to)| self.entries[at].yields_to(&self.entries[to]));
        let mut long_ends = yields(long, self.next(Lane::Long).0);
        let mut quick_ends = false;
        if let (Some(at), Some(next)) = (quick, self.next(Lane::Quick).0)
            && let Phase::Running { since, .. } = &self.entries[at].phase
        {
            let left = if yields(quick, Some(next)) { Duration::ZERO } else { self.quantum.saturating_sub(now.saturating_sub(*since)) };
            quick_ends = left.is_zero();
            look.again = Some(left).filter(|left| !left.is_zero());
            long_ends |= quick_ends && yields(long, quick);
        }
        // Who waited for the long lane too often has its turn there before anybody comes from the quick one.
        let is_taken = long.is_some() || self.next(Lane::Long).1;
        for at in [quick.filter(|_| quick_ends && !long_ends), long.filter(|_| long_ends)].into_iter().flatten() {
            if Some(at) == quick && !is_taken {
                self.promote(at);
                look.changed = true;
            } else if let Phase::Running { makes_way, .. } = &mut self.entries[at].phase {
                *makes_way = true;
                look.end.push(self.entries[at].name);
            }
        }
    }

    /// A compile goes on in the long lane, which is free. One of somebody unknown begins a turn there like any other.
    fn promote(&mut self, at: usize) {
        let is_known = self.entries[at].is_known();
        let owed_there = !is_known && self.passed[Lane::Long as usize] >= UNKNOWN_STRIDE;
        let entry = &mut self.entries[at];
        if let Phase::Running { is_owed, .. } = &mut entry.phase
            && std::mem::replace(is_owed, owed_there)
        {
            self.passed[Lane::Quick as usize] = 0;
        }
        entry.lane = Lane::Long;
        self.count(at);
    }
}

/// How many steps of its share whoever pays from `purse` has used.
fn used(purse: &dyn Purse) -> u64 {
    let times = if purse.is_known() { KNOWN_TIMES } else { 1 };
    let step = Charge::CompileMs.payer().burst.saturating_mul(times) / SHARE_STEPS;
    (0..SHARE_STEPS).find(|used| purse.could_pay(step * (SHARE_STEPS - used))).unwrap_or(SHARE_STEPS)
}

impl<N, S> Entry<N, S> {
    fn wanted_by(&self) -> impl Iterator<Item = &Waiter> {
        self.waiters.iter().filter(|(_, ended)| !ended).map(|(waiter, _)| waiter)
    }

    /// Who pays for it: whoever can, those whom the station knows first, and of others who has no compile running; and whether its payer has.
    fn choose(&self, running: &[Asker]) -> Option<(&Waiter, bool)> {
        // It is paid already: only what its payer has left is asked.
        let running = if matches!(self.phase, Phase::Waiting) { running } else { &[] };
        let has_one = |waiter: &Waiter| !waiter.purse.is_known() && running.contains(&waiter.asker);
        let deposit = deposit_ms(self.bytes);
        let rank = |waiter: &&Waiter| match () {
            () if has_one(waiter) => 2,
            () if !waiter.purse.could_pay(deposit) => 3,
            () => u8::from(!waiter.purse.is_known()),
        };
        let payer = self.wanted_by().min_by_key(rank)?;
        Some((payer, has_one(payer)))
    }

    /// Who pays for it, as of the last look.
    fn payer(&self) -> Option<&Waiter> {
        self.wanted_by().find(|waiter| waiter.number == self.payer).or_else(|| self.wanted_by().next())
    }

    fn is_wanted(&self) -> bool {
        self.wanted_by().next().is_some()
    }

    /// Whether it waits for nothing but its turn.
    fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Waiting) && self.is_wanted() && !self.has_one
    }

    fn is_known(&self) -> bool {
        self.wanted_by().any(|waiter| waiter.purse.is_known())
    }

    /// Whether it runs, and ends for the sake of one that waits.
    fn yields_to(&self, other: &Self) -> bool {
        let comes_after = if self.is_known() == other.is_known() { self.used >= other.used + STEPS } else { other.is_known() };
        matches!(self.phase, Phase::Running { is_owed: false, .. }) && comes_after
    }

    fn paid_by(&self) -> Option<Asker> {
        if let Phase::Running { payer, .. } = &self.phase { Some(payer.asker) } else { None }
    }
}

#[cfg(test)]
mod tests;
