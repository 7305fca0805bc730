//! Which lease runs next, and how many more to ask for.
//!
//! Guarantees: executions are chosen as [`super::turns`] says; never more run than there are slots and memory; a stranger's module that
//! is not here yet, or not compiled, keeps no work of others away; strangers stand in line for a slot that others have, and being asked
//! costs one's place in it. Deliberately lacks weights by what a requester's history is worth: one receipt held makes it known.

use std::collections::{BTreeMap, BTreeSet};

use super::machine::Standing;
use super::outbox::{OUTBOX_BYTES_MAX, OUTBOX_KNOWN_MAX, OUTBOX_MAX, OUTBOX_STRANGERS_BYTES_MAX, OUTBOX_STRANGERS_MAX, OUTBOX_UNKNOWN_MAX};
use super::questions::Question;
use super::turns::Candidate;
use super::way::Seats;
use super::work::Work;
use super::{Near, Worker};
use crate::content::Content;
use crate::durable::Ticket;
use crate::identity::NodeId;
use crate::time::{SECOND, Time};

/// Short executions are asked for ahead, as many as fit this: the way to a requester and its disk, a few times over.
const AHEAD_MS: u64 = SECOND;
/// Most executions asked for beyond the slots: twice what one answer carries.
const AHEAD_MAX: u64 = 64;
/// How long a slot is kept for the next lease of a requester with a history: a delivery and its answer, and a slow disk at the other end.
pub(super) const KEPT_MS: u64 = SECOND;

/// A slot that is kept for a requester.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    since: Time,
    /// Its lease did not come in time.
    in_vain: bool,
}

/// Leases and receipts, and their bytes at most.
#[derive(Clone, Copy, Debug, Default)]
struct Weight {
    leases: usize,
    receipts: usize,
    /// Of leases, if each gives as much as it may; of receipts, what they have.
    leased_bytes: u64,
    kept_bytes: u64,
}

impl Weight {
    fn add(&mut self, other: Self) {
        self.leases += other.leases;
        self.receipts += other.receipts;
        self.leased_bytes = self.leased_bytes.saturating_add(other.leased_bytes);
        self.kept_bytes = self.kept_bytes.saturating_add(other.kept_bytes);
    }

    fn all(&self) -> usize {
        self.leases + self.receipts
    }

    fn bytes(&self) -> u64 {
        self.leased_bytes.saturating_add(self.kept_bytes)
    }
}

/// What the station has taken on, counted once per event.
#[derive(Debug, Default)]
pub(super) struct Load {
    known: Weight,
    strangers: Weight,
    /// Leases, of strangers only where the module is here.
    at_hand: usize,
    /// Whose they are: a requester has one turn however many experiments it has, and a network however many requesters.
    sharing: BTreeSet<NodeId>,
    /// The networks of the strangers among them, and of the known requesters.
    strangers_networks: BTreeSet<Near>,
    known_networks: BTreeSet<Near>,
    /// Experiments of known requesters among them.
    known_sharing: usize,
    /// Leases and receipts of each requester.
    kept: BTreeMap<NodeId, usize>,
    /// Strangers among them.
    shares: usize,
    /// Where the stranger stands in line that is to be asked next.
    next_place: Time,
    seats: Seats,
}

impl Load {
    pub(super) fn kept_of(&self, requester: &NodeId) -> usize {
        self.kept.get(requester).copied().unwrap_or(0)
    }

    /// A receipt was dropped.
    pub(super) fn dropped(&mut self, requester: &NodeId, bytes: u64, known: bool) {
        let side = if known { &mut self.known } else { &mut self.strangers };
        side.receipts = side.receipts.saturating_sub(1);
        side.kept_bytes = side.kept_bytes.saturating_sub(bytes);
        if let Some(kept) = self.kept.get_mut(requester) {
            *kept = kept.saturating_sub(1);
        }
    }

    /// Whether more receipts are kept than there is room for.
    pub(super) fn is_over(&self) -> bool {
        let receipts = self.known.receipts + self.strangers.receipts;
        let bytes = self.known.kept_bytes.saturating_add(self.strangers.kept_bytes);
        self.strangers.receipts > OUTBOX_STRANGERS_MAX
            || self.strangers.kept_bytes > OUTBOX_STRANGERS_BYTES_MAX
            || receipts > OUTBOX_MAX
            || bytes > OUTBOX_BYTES_MAX
    }
}

impl Worker {
    /// Counts what the station has taken on.
    pub(super) fn weigh(&mut self, now: Time) {
        let mut load = Load::default();
        for work in self.works.values().filter(|work| !work.leases.is_empty() || !work.outbox.is_empty()) {
            let weight = Weight {
                leases: work.leases.len(),
                receipts: work.outbox.len(),
                leased_bytes: work.receipt_bytes().saturating_mul(work.leases.len() as u64),
                kept_bytes: work.outbox_bytes,
            };
            let known = self.is_known(&work.requester());
            let side = if known { &mut load.known } else { &mut load.strangers };
            side.add(weight);
            let at_hand = if is_at_hand(work, known, now) { work.leases.len() } else { 0 };
            load.known_sharing += usize::from(at_hand > 0 && known);
            load.at_hand += at_hand;
            if at_hand > 0 {
                let network = self.turns.network(&work.requester());
                load.sharing.insert(work.requester());
                let networks = if known { &mut load.known_networks } else { &mut load.strangers_networks };
                networks.insert(network);
            }
            *load.kept.entry(work.requester()).or_default() += weight.all();
        }
        load.shares = load.kept.keys().filter(|node| !self.is_known(node)).count();
        load.seats = self.seats();
        self.load = load;
        self.load.next_place = self.next_place(now);
    }

    /// The first place in line of the strangers who could be asked now and of whom nothing waits here. None may be asked while another was
    /// asked a moment ago: its lease is for the same slot.
    fn next_place(&self, now: Time) -> Time {
        let is_stranger = |requester: &NodeId| !self.is_known(requester);
        if self.in_flight.iter().any(|(requester, question)| question.is_fresh_claim() && is_stranger(requester)) {
            return Time(0);
        }
        let could = |work: &&Work| {
            let since = work.ask_at.max(work.send_at).max(work.dial_at).max(work.rest_until);
            let is_open = work.heard && work.standing == Standing::Open && since <= now;
            let requester = work.requester();
            let is_taken = || self.has_its_turn(&requester) || self.in_flight.contains_key(&requester);
            is_open && is_stranger(&requester) && !is_taken() && self.may_take_more(work)
        };
        let places = self.works.values().filter(could).map(|work| self.turns.place(&work.requester(), work.wall_ms()));
        places.min().unwrap_or(Time(u64::MAX))
    }

    /// Whether leases of this stranger, or of other strangers in its network, run or could.
    fn has_its_turn(&self, requester: &NodeId) -> bool {
        self.load.sharing.contains(requester) || self.turns.networks(requester).iter().any(|network| self.load.strangers_networks.contains(network))
    }

    /// How many more receipts this station would keep for the requester of `work`. Strangers share their half evenly when it is full: what
    /// then comes of one with few drops what is kept for one with many. What strangers keep never counts against who is known.
    pub(super) fn room(&self, work: &Work) -> usize {
        let requester = work.requester();
        let kept = self.load.kept_of(&requester);
        let by_bytes = |most: u64, taken: u64| usize::try_from(most.saturating_sub(taken) / work.receipt_bytes().max(1)).unwrap_or(usize::MAX);
        if self.is_known(&requester) {
            let left = OUTBOX_MAX.saturating_sub(self.load.known.all()).min(by_bytes(OUTBOX_BYTES_MAX, self.load.known.bytes()));
            return if requester == self.node { left } else { left.min(OUTBOX_KNOWN_MAX.saturating_sub(kept)) };
        }
        let even = OUTBOX_STRANGERS_MAX / (self.load.shares + usize::from(kept == 0)).max(1);
        let left = OUTBOX_STRANGERS_MAX.saturating_sub(self.load.strangers.all()).max(even.saturating_sub(kept));
        let bytes = by_bytes(OUTBOX_STRANGERS_BYTES_MAX, self.load.strangers.bytes());
        left.min(OUTBOX_UNKNOWN_MAX.saturating_sub(kept)).min(bytes)
    }

    /// Starts what may begin, up to the station's slots and the operator's budget of memory. A job that must wait for memory lets
    /// smaller ones pass, until others make way for it; alone it always fits, or the policy would have declined it. Where it is the turn of a
    /// requester whose next lease is on its way, a slot is kept for that.
    pub(super) fn start_ready(&mut self, now: Time) {
        if self.is_reserved(now) {
            return;
        }
        let mut expected = self.expected(now);
        self.kept.retain(|requester, _| expected.contains_key(requester));
        self.lapse(now, &mut expected);
        let mut free = (self.config.capacity as usize).saturating_sub(self.executions.len());
        while free > 0 {
            let waiting = self.candidates(&expected, now);
            let Some(chosen) = self.turns.next(&waiting).filter(|_| waiting.iter().any(|candidate| candidate.ready)) else { return };
            free -= 1;
            if !chosen.ready {
                self.kept.entry(chosen.requester).or_insert(Kept { since: now, in_vain: false });
                expected.remove(&chosen.requester);
                continue;
            }
            let kept = self.kept.remove(&chosen.requester).filter(|kept| !kept.in_vain && waiting.len() > 1);
            self.turns.take(chosen, kept.map_or(0, |kept| now.since(kept.since)));
            self.start_one(chosen.requester, now);
        }
    }

    /// No slot is kept any longer for those whose leases did not come in time, and they pay for it once.
    fn lapse(&mut self, now: Time, expected: &mut BTreeMap<NodeId, Candidate>) {
        for (requester, kept) in self.kept.iter_mut().filter(|(_, kept)| kept.since.plus(KEPT_MS) <= now) {
            if let Some(candidate) = expected.remove(requester)
                && !std::mem::replace(&mut kept.in_vain, true)
            {
                self.turns.kept_in_vain(candidate.requester, candidate.known, KEPT_MS);
            }
        }
    }

    /// When the first slot is kept no longer.
    pub(super) fn kept_deadline(&self, now: Time) -> Option<Time> {
        self.kept.values().map(|kept| kept.since.plus(KEPT_MS)).filter(|at| *at > now).min()
    }

    /// Requesters whose lease may be here in a moment. Of who is known: it is or will be asked for now, or comes with what its last job's end is
    /// answered with. Of a stranger, where a job has just made way: it is asked for, or waits for its module; at other times modules that are long on
    /// their way would keep others' work away.
    fn expected(&mut self, now: Time) -> BTreeMap<NodeId, Candidate> {
        self.ended.retain(|_, until| *until > now);
        let made_way = now.since(self.made_way_at) <= KEPT_MS;
        let mut expected: BTreeMap<NodeId, Candidate> = BTreeMap::new();
        for work in self.works.values().filter(|work| work.standing == Standing::Open && self.fits(work)) {
            let candidate = Candidate { ready: false, ..self.candidate(work) };
            let requester = candidate.requester;
            let is_claimed = self.in_flight.get(&requester).is_some_and(Question::is_fresh_claim);
            let is_open = work.heard && work.rest_until <= now && work.leases.is_empty();
            let could_ask =
                || !self.in_flight.contains_key(&requester) && work.ask_at.max(work.send_at).max(work.dial_at) <= now && self.may_take_more(work);
            let is_next = if candidate.known {
                is_open && (is_claimed || could_ask() || self.ended.contains_key(&requester))
            } else {
                made_way && (work.awaits_module() || (is_open && is_claimed))
            };
            if is_next {
                let known = expected.entry(requester).or_insert(candidate);
                known.wall_ms = known.wall_ms.min(candidate.wall_ms);
            }
        }
        expected
    }

    /// Requesters with a lease that could run, and of the `expected` the others.
    fn candidates(&self, expected: &BTreeMap<NodeId, Candidate>, now: Time) -> Vec<Candidate> {
        let left = self.memory_left();
        let mut waiting: BTreeMap<NodeId, Candidate> = BTreeMap::new();
        for work in self.works.values().filter(|work| work.ready(now).is_some() && work.memory_bytes() <= left) {
            let candidate = self.candidate(work);
            let known = waiting.entry(candidate.requester).or_insert(candidate);
            known.wall_ms = known.wall_ms.min(candidate.wall_ms);
        }
        for (requester, candidate) in expected {
            waiting.entry(*requester).or_insert(*candidate);
        }
        waiting.into_values().collect()
    }

    /// The requester of `work`, which is ready.
    pub(super) fn candidate(&self, work: &Work) -> Candidate {
        let requester = work.requester();
        Candidate { requester, known: self.is_known(&requester), wall_ms: work.wall_ms(), ready: true }
    }

    pub(super) fn memory_left(&self) -> u64 {
        self.config.policy.budget.memory.0.saturating_sub(self.executions.memory())
    }

    /// Of one requester's experiments the one with the fewest running goes first, and of those the one with the shortest limit on time.
    fn start_one(&mut self, requester: NodeId, now: Time) {
        let left = self.memory_left();
        let of_requester = self.works.iter().filter(|(_, work)| work.requester() == requester && work.memory_bytes() <= left);
        let next = of_requester.filter_map(|(id, work)| work.ready(now).map(|lease| (work.running(), work.wall_ms(), *id, lease))).min();
        if let Some((.., id, lease)) = next {
            self.start(id, lease, now);
        }
    }

    /// An execution of `requester` ended: the next lease of who is known comes with the answer to its receipt.
    pub(super) fn keep_slot(&mut self, requester: NodeId, now: Time) {
        if self.is_known(&requester) {
            self.ended.insert(requester, now.plus(KEPT_MS));
        }
    }

    /// How many executions of one experiment this station would take on beyond what it holds.
    pub(super) fn appetite(&self, work: &Work, now: Time) -> u32 {
        if work.standing != Standing::Open || work.rest_until > now || !self.may_take_more(work) {
            return 0;
        }
        let slots = u64::from(self.config.capacity);
        let here = work.leases.len() as u64;
        let known = self.is_known(&work.requester());
        let counted = if is_at_hand(work, known, now) { here } else { 0 };
        let elsewhere = (self.load.at_hand as u64).saturating_sub(counted);
        let free_slots = if self.fits(work) { slots.saturating_sub(elsewhere) } else { 0 };
        // Who has nothing here may hold one lease although the slots are taken, so that long jobs cannot shut the others out: it waits its
        // turn. Among strangers that is a network, which would fill all places with its keys otherwise.
        let opens = self.seat_opens(&self.load.seats, work, now).is_none_or(|at| at <= now);
        let (requester, places) = (work.requester(), slots.saturating_mul(2));
        let may_wait = if known {
            // However many keys one network has, another's requester finds a place.
            let networks = &self.load.known_networks;
            let is_new = !networks.contains(&self.turns.network(&requester)) && (networks.len() as u64) < places;
            opens && (is_new || (self.load.known_sharing as u64) < places)
        } else {
            opens
                && !self.has_its_turn(&requester)
                && (self.load.sharing.len() as u64) < places
                && self.turns.place(&requester, work.wall_ms()) <= self.load.next_place
        };
        let fair = u64::from(here == 0 && may_wait);
        let room = free_slots.max(fair);
        let ahead = if room == 0 { 0 } else { work.ahead(slots, AHEAD_MS).min(AHEAD_MAX) };
        let free = room.saturating_add(ahead).saturating_sub(here).min(self.room(work) as u64);
        u32::try_from(free).unwrap_or(u32::MAX)
    }

    /// Whose module a fetch is for, as long as a lease waits for it: a module that no lease waits for need not be compiled.
    #[must_use]
    pub fn awaits_module(&self, fetch: Ticket) -> Option<(NodeId, Content)> {
        let work = self.works.get(self.fetches.get(&fetch)?)?;
        (!work.leases.is_empty()).then(|| (work.requester(), work.call.body.experiment.body.module.clone()))
    }

    /// Whether this station worked with `node` before, and it was held; or is it.
    #[must_use]
    pub fn knows(&self, node: &NodeId) -> bool {
        self.is_known(node)
    }
}

/// Whether leases of `work` run, or could; of a known requester also whether they could as soon as the module is here.
fn is_at_hand(work: &Work, known: bool, now: Time) -> bool {
    (known && now >= work.way_until) || work.ready(now).is_some() || work.running() > 0
}
