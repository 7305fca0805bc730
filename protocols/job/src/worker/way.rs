//! Which jobs make way for others that wait for their slot or their memory, and when.
//!
//! Guarantees: a job makes way after a minute, and after twice as long each time, so that it ends some day; a stranger's for who has a history
//! always after a minute, and the other way round after four at least, for a history costs one receipt. Memory that was freed for a job is taken
//! by no other. Deliberately lacks pauses: a job that makes way begins anew.

use super::work::Work;
use super::{Near, Worker};
use crate::durable::Ticket;
use crate::experiment::ExperimentId;
use crate::identity::NodeId;
use crate::time::{MINUTE, SECOND, Time};
use crate::work::ReturnReason;

/// No job makes way earlier: a job of a millisecond must not end others'.
const MAKES_WAY_AFTER_MS: u64 = MINUTE;
/// How often that time is doubled for who waits without a history: to an hour and four minutes, longer than any job.
const MAKES_WAY_DOUBLINGS: u32 = 6;
/// A job of a requester with a history makes way later for one without: after four minutes, and then as often doubled to the same hour.
const KNOWN_MAKES_WAY_AFTER_MS: u64 = 4 * MINUTE;
const KNOWN_MAKES_WAY_DOUBLINGS: u32 = 4;
/// A job that has run for so long may go on for much longer: behind it short leases end before their turn.
const LONG_MS: u64 = 5 * SECOND;

impl Worker {
    /// Whether memory is being freed for one experiment, so that nobody else may begin. Once it is free, that begins.
    pub(super) fn is_reserved(&mut self, now: Time) -> bool {
        let Some(id) = self.reserved else { return false };
        let Some((work, lease)) = self.works.get(&id).and_then(|work| Some((work, work.ready()?))) else {
            self.reserved = None;
            return false;
        };
        if work.memory_bytes() > self.memory_left() {
            // Those who make way end in a moment.
            let waits = self.executions.values().any(|running| running.stopped);
            self.reserved = self.reserved.filter(|_| waits);
            return waits;
        }
        let candidate = self.candidate(work);
        self.reserved = None;
        self.turns.take(candidate, 0);
        self.start(id, lease, now);
        false
    }

    /// Whether `work` would find a slot and memory if nothing else came: what its own requester runs takes no memory from it.
    pub(super) fn fits(&self, work: &Work) -> bool {
        let requester = work.requester();
        let is_other = |running: &&super::work::Running| self.works.get(&running.experiment).is_none_or(|work| work.requester() != requester);
        let taken: u64 = self.executions.values().filter(is_other).map(|running| running.memory_bytes).sum();
        self.config.policy.budget.memory.0.saturating_sub(taken) >= work.memory_bytes()
    }

    /// How long a job of `work` runs before it makes way for one of `other`; of nobody in particular, for whoever has to wait longest.
    fn quantum_ms(&self, work: &Work, other: Option<&NodeId>) -> u64 {
        let is_known = |other: &NodeId| self.is_known(other);
        let after = |first_ms: u64, doublings: u32| first_ms << work.made_way.min(doublings);
        match (is_known(&work.requester()), other.is_some_and(is_known)) {
            (false, true) => MAKES_WAY_AFTER_MS,
            (true, false) => after(KNOWN_MAKES_WAY_AFTER_MS, KNOWN_MAKES_WAY_DOUBLINGS),
            _ => after(MAKES_WAY_AFTER_MS, MAKES_WAY_DOUBLINGS),
        }
    }

    /// Where `waiting` waits for a slot or for memory: which jobs of others make way for it, and when.
    fn makes_way_for(&self, waiting: &Work) -> Option<(Time, Vec<Ticket>)> {
        let (requester, left) = (waiting.requester(), self.memory_left());
        let lacks_slot = self.executions.len() >= self.config.capacity as usize;
        let mut lacking = waiting.memory_bytes().saturating_sub(left);
        if !lacks_slot && lacking == 0 {
            return None;
        }
        let ends = self.executions.iter().filter_map(|(execution, running)| {
            let work = self.works.get(&running.experiment).filter(|work| work.requester() != requester)?;
            Some((running.started.plus(self.quantum_ms(work, Some(&requester))), *execution, running.memory_bytes))
        });
        let mut ends: Vec<(Time, Ticket, u64)> = ends.collect();
        ends.sort_unstable();
        let mut ended = Vec::new();
        for (at, execution, memory_bytes) in ends {
            ended.push(execution);
            lacking = lacking.saturating_sub(memory_bytes);
            if lacking == 0 {
                return Some((at, ended));
            }
        }
        None
    }

    /// What makes way next, when, and for which experiment. Nothing does while a job that was told to stop has not ended.
    fn makes_way(&self) -> Option<(Time, Vec<Ticket>, ExperimentId)> {
        if self.executions.values().any(|running| running.stopped) {
            return None;
        }
        let waiting = self.works.iter().filter(|(_, work)| work.ready().is_some());
        let ways = waiting.filter_map(|(id, work)| {
            let order = self.turns.order(&self.candidate(work));
            self.makes_way_for(work).map(|(at, ended)| (at, order, ended, *id))
        });
        ways.min().map(|(at, _, ended, id)| (at, ended, id))
    }

    /// When something makes way next.
    pub(super) fn way_deadline(&self) -> Option<Time> {
        self.makes_way().map(|(at, ..)| at)
    }

    /// Where long jobs of others have what `work` needs: when the first of them ends or makes way. Before that a stranger is not asked for a
    /// lease that would wait, for it might end before its turn.
    pub(super) fn seat_opens(&self, work: &Work, now: Time) -> Option<Time> {
        if self.executions.len() < self.config.capacity as usize && self.fits(work) {
            return None;
        }
        let (requester, mut first) = (work.requester(), None);
        for running in self.executions.values() {
            let theirs = self.works.get(&running.experiment)?;
            // One that ends leaves its slot in a moment.
            if running.stopped || now < running.started.plus(LONG_MS) {
                return None;
            }
            let over = running.started.plus(self.quantum_ms(theirs, Some(&requester)).min(theirs.wall_ms()));
            first = Some(first.map_or(over, |first: Time| first.min(over)));
        }
        first
    }

    /// When what others may wait for changes next.
    pub(super) fn seat_deadline(&self, now: Time) -> Option<Time> {
        let known = self.works.values().map(Work::requester).find(|requester| self.is_known(requester));
        let changes = self.executions.values().filter_map(|running| {
            let work = self.works.get(&running.experiment)?;
            let over = [None, known.as_ref()].map(|other| self.quantum_ms(work, other).min(work.wall_ms()));
            Some([LONG_MS, over[0], over[1]].map(|ms| running.started.plus(ms)))
        });
        changes.flatten().filter(|at| *at > now).min()
    }

    /// Gives back leases that cannot be done in their time, behind long jobs of others: that is no loss and was no turn, and who gave them is
    /// asked again.
    pub(super) fn give_back_what_waits(&mut self, now: Time) {
        let is_hopeless = |work: &Work| {
            let opens = self.seat_opens(work, now).filter(|at| *at > now);
            work.running() == 0 && opens.is_some_and(|opens| work.first_expiry().is_some_and(|end| end < opens.plus(work.wall_ms())))
        };
        let held = self.works.iter().filter(|(_, work)| !work.leases.is_empty() && is_hopeless(work));
        for (id, requester) in held.map(|(id, work)| (*id, work.requester())).collect::<Vec<_>>() {
            self.return_queued(id, ReturnReason::MadeWay);
            self.turns.had_none(&requester);
        }
    }

    /// Ends what has to make way. Memory that is freed is kept for whom it was freed.
    pub(super) fn make_way(&mut self, now: Time) {
        let Some((_, ended, id)) = self.makes_way().filter(|(at, ..)| *at <= now) else { return };
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
