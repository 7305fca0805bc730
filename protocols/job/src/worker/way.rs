//! Which jobs make way for others that wait for their slot or their memory, and when.
//!
//! Guarantees: a job makes way after a minute, and after twice as long each time, so that it ends some day; a stranger's for who has a history
//! always after a minute, and the other way round after four at least, for a history costs one receipt. Memory that was freed for a job is taken
//! by no other. Deliberately lacks pauses: a job that makes way begins anew.

use std::cell::LazyCell;

use super::turns::Order;
use super::work::Work;
use super::{Near, Worker};
use crate::durable::Ticket;
use crate::experiment::ExperimentId;
use crate::identity::NodeId;
use crate::time::{MINUTE, SECOND, Time};

/// No job makes way earlier: a job of a millisecond must not end others'.
pub(super) const MAKES_WAY_AFTER_MS: u64 = MINUTE;
/// How often that time is doubled for who waits without a history: to an hour and four minutes, longer than any job.
pub(super) const MAKES_WAY_DOUBLINGS: u32 = 6;
/// A job of a requester with a history makes way later for one without: after four minutes, and then as often doubled to the same hour.
pub(super) const KNOWN_MAKES_WAY_AFTER_MS: u64 = 4 * MINUTE;
pub(super) const KNOWN_MAKES_WAY_DOUBLINGS: u32 = 4;
/// A job that has run for so long may go on for much longer: behind it short leases end before their turn.
pub(super) const LONG_MS: u64 = 5 * SECOND;

/// When long jobs that have all slots leave one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seats {
    /// From when on all that run are long ones.
    long_from: Time,
    /// When the first of them ends or makes way: for a requester with a history, and for a stranger. None where one ends in a moment.
    known: Option<Time>,
    strangers: Option<Time>,
}

/// A job that runs, by when it makes way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct End {
    at: Time,
    execution: Ticket,
    memory_bytes: u64,
    requester: NodeId,
}

impl Worker {
    /// Whether memory is being freed for one experiment, so that nobody else may begin. Once it is free, that begins.
    pub(super) fn is_reserved(&mut self, now: Time) -> bool {
        let Some(id) = self.reserved else { return false };
        let Some((work, lease)) = self.works.get(&id).and_then(|work| Some((work, work.ready(now)?))) else {
            self.reserved = None;
            return false;
        };
        if work.memory_bytes() > self.memory_left() {
            // Those who make way end in a moment.
            let waits = self.executions.is_stopping();
            self.reserved = self.reserved.filter(|_| waits);
            return waits;
        }
        let candidate = self.candidate(work);
        self.reserved = None;
        // There may be fewer slots than there were.
        if self.executions.len() >= self.config.capacity as usize {
            return false;
        }
        self.turns.take(candidate, 0);
        self.start(id, lease, now);
        false
    }

    /// Whether `work` would find a slot and memory if nothing else came: what its own requester runs takes no memory from it.
    pub(super) fn fits(&self, work: &Work) -> bool {
        let taken = self.executions.memory_of_others(&work.requester());
        self.config.policy.budget.memory.0.saturating_sub(taken) >= work.memory_bytes()
    }

    /// How long a job of `work` runs before it makes way for one of another requester, who is known or a stranger.
    fn quantum_ms(&self, work: &Work, for_known: bool) -> u64 {
        let after = |first_ms: u64, doublings: u32| first_ms << work.made_way.min(doublings);
        match (self.is_known(&work.requester()), for_known) {
            (false, true) => MAKES_WAY_AFTER_MS,
            (true, false) => after(KNOWN_MAKES_WAY_AFTER_MS, KNOWN_MAKES_WAY_DOUBLINGS),
            _ => after(MAKES_WAY_AFTER_MS, MAKES_WAY_DOUBLINGS),
        }
    }

    /// What runs, for one who is known or for a stranger, by when it makes way.
    fn ends(&self, for_known: bool) -> Vec<End> {
        let ends = self.executions.iter().filter_map(|(execution, running)| {
            let work = self.works.get(&running.experiment)?;
            let at = running.started.plus(self.quantum_ms(work, for_known));
            Some(End { at, execution, memory_bytes: running.memory_bytes, requester: work.requester() })
        });
        let mut ends: Vec<End> = ends.collect();
        ends.sort_unstable();
        ends
    }

    /// Which of what ends makes way for `waiting`, and when, if not later than `by`.
    fn makes_way_for(&self, waiting: &Work, ends: &[End], by: Time) -> Option<(Time, Vec<Ticket>)> {
        let requester = waiting.requester();
        let mut lacking = waiting.memory_bytes().saturating_sub(self.memory_left());
        let mut ended = Vec::new();
        for end in ends.iter().take_while(|end| end.at <= by) {
            self.executions.is_looked_at();
            if end.requester == requester {
                continue;
            }
            ended.push(end.execution);
            lacking = lacking.saturating_sub(end.memory_bytes);
            if lacking == 0 {
                return Some((end.at, ended));
            }
        }
        None
    }

    /// What makes way next, when, and for which experiment. Nothing does while a job that was told to stop has not ended.
    ///
    /// What runs is put in order twice at most, and each experiment that waits looks at no more of it than makes way before the first found so
    /// far: at worst at all that run, where its own requester runs them or it lacks memory.
    fn makes_way(&self, now: Time) -> Option<(Time, Vec<Ticket>, ExperimentId)> {
        let slots = self.config.capacity as usize;
        // Where there are fewer slots than there were, what ends leaves none.
        if self.executions.is_stopping() || self.executions.len() > slots {
            return None;
        }
        let (lacks_slot, left) = (self.executions.len() == slots, self.memory_left());
        let waits = |work: &Work| (lacks_slot || work.memory_bytes() > left) && work.ready(now).is_some();
        let (for_known, for_strangers) = (LazyCell::new(|| self.ends(true)), LazyCell::new(|| self.ends(false)));
        let mut first: Option<(Time, Order, Vec<Ticket>, ExperimentId)> = None;
        for (id, work) in self.works.iter().filter(|(_, work)| waits(work)) {
            let candidate = self.candidate(work);
            let ends: &[End] = if candidate.known { &for_known } else { &for_strangers };
            let by = first.as_ref().map_or(Time(u64::MAX), |(at, ..)| *at);
            let Some((at, ended)) = self.makes_way_for(work, ends, by) else { continue };
            let way = (at, self.turns.order(&candidate), ended, *id);
            if first.as_ref().is_none_or(|first| way < *first) {
                first = Some(way);
            }
        }
        first.map(|(at, _, ended, id)| (at, ended, id))
    }

    /// When something makes way next.
    pub(super) fn way_deadline(&self, now: Time) -> Option<Time> {
        self.makes_way(now).map(|(at, ..)| at)
    }

    /// What all that runs says of the slots, looked at once for all that may wait.
    pub(super) fn seats(&self) -> Seats {
        let mut seats = Seats::default();
        for (_, running) in self.executions.iter() {
            // One that ends leaves its slot in a moment.
            let Some(theirs) = self.works.get(&running.experiment).filter(|_| !running.stopped) else { return Seats::default() };
            let over = |for_known: bool| running.started.plus(self.quantum_ms(theirs, for_known).min(theirs.wall_ms()));
            seats.long_from = seats.long_from.max(running.started.plus(LONG_MS));
            for (first, over) in [(&mut seats.known, over(true)), (&mut seats.strangers, over(false))] {
                *first = Some(first.map_or(over, |first| first.min(over)));
            }
        }
        seats
    }

    /// Where long jobs of others have what `work` needs: when the first of them ends or makes way. Before that a stranger is not asked for a
    /// lease that would wait, for it might end before its turn.
    pub(super) fn seat_opens(&self, seats: &Seats, work: &Work, now: Time) -> Option<Time> {
        if self.executions.len() < self.config.capacity as usize && self.fits(work) {
            return None;
        }
        let first = if self.is_known(&work.requester()) { seats.known } else { seats.strangers };
        first.filter(|_| now >= seats.long_from)
    }

    /// When what others may wait for changes next.
    pub(super) fn seat_deadline(&self, now: Time) -> Option<Time> {
        let has_known = self.works.values().any(|work| self.is_known(&work.requester()));
        let changes = self.executions.iter().filter_map(|(_, running)| {
            let work = self.works.get(&running.experiment)?;
            let over = [false, has_known].map(|for_known| self.quantum_ms(work, for_known).min(work.wall_ms()));
            Some([LONG_MS, over[0], over[1]].map(|ms| running.started.plus(ms)))
        });
        changes.flatten().filter(|at| *at > now).min()
    }

    /// Gives back leases that cannot be done in their time, behind long jobs of others: that is no loss and was no turn, and who gave them is
    /// asked again.
    pub(super) fn give_back_what_waits(&mut self, now: Time) {
        let seats = self.seats();
        let opens = |work: &Work| self.seat_opens(&seats, work, now).filter(|at| *at > now);
        let is_hopeless = |work: &Work, opens: &Time| work.first_expiry().is_some_and(|end| end < opens.plus(work.wall_ms()));
        let held = self.works.iter().filter(|(_, work)| !work.leases.is_empty() && work.running() == 0);
        let behind = held.filter_map(|(id, work)| Some((*id, work.requester(), opens(work).filter(|opens| is_hopeless(work, opens))?)));
        for (id, requester, opens) in behind.collect::<Vec<_>>() {
            if self.return_hopeless(id, opens) == 0 {
                self.turns.had_none(&requester);
            }
        }
    }

    /// Ends what has to make way. Memory that is freed is kept for whom it was freed.
    pub(super) fn make_way(&mut self, now: Time) {
        let Some((_, ended, id)) = self.makes_way(now).filter(|(at, ..)| *at <= now) else { return };
        if self.works.get(&id).is_some_and(|work| work.memory_bytes() > self.memory_left()) {
            self.reserved = Some(id);
        }
        for execution in ended {
            self.end_for_others(execution, now);
        }
    }

    /// A job of `requester` ran for so long.
    pub(super) fn ran(&mut self, requester: NodeId, near: Near, ran_ms: u64) {
        self.turns.ran(requester, near, self.is_known(&requester), ran_ms);
    }
}
