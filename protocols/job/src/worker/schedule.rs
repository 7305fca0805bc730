//! Which lease runs next, and how many more to ask for.
//!
//! Guarantees: executions are chosen round-robin over requesters with settled history here; all others together weigh a tenth of
//! one of them; never more run than there are slots; a stranger's module that is not here yet, or not compiled, keeps no work of others
//! away; a stranger's job that has run for a minute makes way for one that waits, and then its experiment rests for as long as it ran, and
//! its next job may run twice as long before it makes way for a stranger's; the stranger longest unserved is asked first. Deliberately lacks
//! preemption of those whose receipts were held.

use std::collections::{BTreeMap, BTreeSet};

use super::Worker;
use super::machine::Standing;
use super::outbox::{OUTBOX_BYTES_MAX, OUTBOX_KNOWN_MAX, OUTBOX_MAX, OUTBOX_STRANGERS_BYTES_MAX, OUTBOX_STRANGERS_MAX, OUTBOX_UNKNOWN_MAX};
use super::work::Work;
use crate::content::Content;
use crate::durable::Ticket;
use crate::identity::NodeId;
use crate::time::{MINUTE, SECOND, Time};
use crate::work::ReturnReason;

/// Turns of a known requester for one of all unknown requesters together; the compiler's too.
pub const UNKNOWN_STRIDE: u64 = 10;
/// Short executions are asked for ahead, as many as fit this: the way to a requester and its disk, a few times over.
const AHEAD_MS: u64 = SECOND;
/// Most executions asked for beyond the slots: twice what one answer carries.
const AHEAD_MAX: u64 = 64;
/// No job makes way earlier: a job of a millisecond must not end others'.
const MAKES_WAY_AFTER_MS: u64 = MINUTE;
/// How often that time is doubled for who waits without a history: to an hour and four minutes, longer than any job.
const MAKES_WAY_DOUBLINGS: u32 = 6;
/// A job that has run for so long may go on for much longer: behind it short leases end before their turn.
const LONG_MS: u64 = 5 * SECOND;
/// How long a slot is kept for the next lease of a requester with a history: a delivery and its answer, and a slow disk at the other end.
const KEPT_MS: u64 = SECOND;
/// Requesters whose turn is remembered; the longest unserved go first.
const SERVED_MAX: usize = 1_024;

/// Who shares one turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Party {
    Known(NodeId),
    Unknown,
}

/// A stranger's job that made way has had so many turns more for each second that it ran: strangers weigh a tenth in time too.
const TURNS_PER_S: u64 = UNKNOWN_STRIDE;

/// A requester that waits for a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Candidate {
    requester: NodeId,
    known: bool,
    /// The limit on time of its shortest job that could run.
    wall_ms: u64,
    /// Whether it has a lease that could run; else one is on its way.
    ready: bool,
}

impl Candidate {
    fn party(&self) -> Party {
        if self.known { Party::Known(self.requester) } else { Party::Unknown }
    }
}

/// Stride scheduling: the party with the smallest pass goes next and moves on by its stride.
#[derive(Debug, Default)]
pub(super) struct Turns {
    now: u64,
    passes: BTreeMap<Party, u64>,
    /// When each requester was last served, in turns: orders those within one party.
    served: BTreeMap<NodeId, u64>,
    turn: u64,
}

impl Turns {
    /// Whose turn it is. Of those served as long ago who has the shortest limit on time, which is kept.
    fn next(&self, waiting: &[Candidate]) -> Option<Candidate> {
        waiting.iter().copied().min_by_key(|candidate| (self.pass(candidate), self.served(&candidate.requester), candidate.wall_ms))
    }

    fn pass(&self, candidate: &Candidate) -> u64 {
        self.passes.get(&candidate.party()).copied().unwrap_or(0).max(self.now)
    }

    /// The turn in which a requester was served last, in turns; none is the longest ago.
    fn served(&self, requester: &NodeId) -> u64 {
        self.served.get(requester).copied().unwrap_or(0)
    }

    /// A stranger's job ran for so long while others waited.
    pub(super) fn ran_while_others_waited(&mut self, ran_ms: u64) {
        let pass = self.passes.entry(Party::Unknown).or_insert(self.now);
        *pass = pass.saturating_add(TURNS_PER_S.saturating_mul(ran_ms / SECOND));
    }

    /// It has its turn.
    fn take(&mut self, chosen: Candidate) {
        self.now = self.pass(&chosen);
        let stride = if chosen.known { 1 } else { UNKNOWN_STRIDE };
        self.passes.retain(|_, pass| *pass > self.now);
        self.passes.insert(chosen.party(), self.now.saturating_add(stride));
        self.turn += 1;
        self.served.insert(chosen.requester, self.turn);
        if self.served.len() > SERVED_MAX
            && let Some(oldest) = self.served.iter().min_by_key(|(_, turn)| **turn).map(|(node, _)| *node)
        {
            self.served.remove(&oldest);
        }
    }
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
    /// Whose they are: a requester has one turn however many experiments it has.
    sharing: BTreeSet<NodeId>,
    /// Experiments of known requesters among them.
    known_sharing: usize,
    /// Leases and receipts of each requester.
    kept: BTreeMap<NodeId, usize>,
    /// Strangers among them.
    shares: usize,
    /// The stranger that is to be asked next: the turn in which it was served, and the limit on time of its job.
    unserved: (u64, u64),
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
        let mut load = Load { unserved: self.longest_unserved(now), ..Load::default() };
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
            let at_hand = if known || is_at_hand(work) { work.leases.len() } else { 0 };
            load.known_sharing += usize::from(at_hand > 0 && known);
            load.at_hand += at_hand;
            if at_hand > 0 {
                load.sharing.insert(work.requester());
            }
            *load.kept.entry(work.requester()).or_default() += weight.all();
        }
        load.shares = load.kept.keys().filter(|node| !self.is_known(node)).count();
        self.load = load;
    }

    /// Of the strangers who could be asked now and of whom there is nothing here: when the longest unserved was served, and its limit on time.
    fn longest_unserved(&self, now: Time) -> (u64, u64) {
        let could = |work: &&Work| {
            let since = work.ask_at.max(work.send_at).max(work.dial_at).max(work.rest_until);
            work.heard && work.standing == Standing::Open && work.leases.is_empty() && since <= now
        };
        let open = self.works.values().filter(could).map(|work| (work.requester(), wall_ms(work)));
        // Who is being asked is so for a moment: nobody holds the turn by silence.
        let is_asked_long = |requester: &NodeId| self.in_flight.get(requester).is_some_and(|question| !question.is_fresh());
        let strangers = open.filter(|(requester, _)| !self.is_known(requester) && !is_asked_long(requester));
        strangers.map(|(requester, wall_ms)| (self.turns.served(&requester), wall_ms)).min().unwrap_or((u64::MAX, u64::MAX))
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
    /// smaller ones pass; alone it always fits, or the policy would have declined it. Where it is the turn of a requester whose next lease
    /// is on its way, a slot is kept for that.
    pub(super) fn start_ready(&mut self, now: Time) {
        self.kept.retain(|_, until| *until > now);
        let mut kept: Vec<NodeId> = self.kept.keys().copied().filter(|requester| self.expects_more(requester, now)).collect();
        let mut free = (self.config.capacity as usize).saturating_sub(self.executions.len());
        while free > 0 {
            let waiting = self.candidates(&kept);
            let Some(chosen) = self.turns.next(&waiting) else { return };
            free -= 1;
            if !chosen.ready {
                kept.retain(|requester| *requester != chosen.requester);
                continue;
            }
            self.turns.take(chosen);
            self.start_one(chosen.requester, now);
        }
    }

    /// Requesters with a lease that could run, and of those in `kept` the others.
    fn candidates(&self, kept: &[NodeId]) -> Vec<Candidate> {
        let left = self.memory_left();
        let mut waiting: Vec<Candidate> = Vec::new();
        for work in self.works.values().filter(|work| work.ready().is_some() && work.memory_bytes() <= left) {
            let (requester, wall_ms) = (work.requester(), wall_ms(work));
            match waiting.iter_mut().find(|candidate| candidate.requester == requester) {
                Some(candidate) => candidate.wall_ms = candidate.wall_ms.min(wall_ms),
                None => waiting.push(Candidate { requester, known: self.is_known(&requester), wall_ms, ready: true }),
            }
        }
        let others = kept.iter().filter(|requester| !waiting.iter().any(|candidate| candidate.requester == **requester));
        let others: Vec<Candidate> = others.map(|requester| Candidate { requester: *requester, known: true, wall_ms: 0, ready: false }).collect();
        waiting.extend(others);
        waiting
    }

    fn memory_left(&self) -> u64 {
        let taken: u64 = self.executions.values().map(|running| running.memory_bytes).sum();
        self.config.policy.budget.memory.0.saturating_sub(taken)
    }

    /// Of one requester's experiments the one with the fewest running goes first.
    fn start_one(&mut self, requester: NodeId, now: Time) {
        let left = self.memory_left();
        let of_requester = self.works.iter().filter(|(_, work)| work.requester() == requester && work.memory_bytes() <= left);
        let next = of_requester.filter_map(|(id, work)| work.ready().map(|lease| (work.running(), *id, lease))).min();
        if let Some((_, id, lease)) = next {
            self.start(id, lease, now);
        }
    }

    /// An execution of `requester` ended: who is known and asked for more has its slot for a moment longer, until its next lease is here.
    pub(super) fn keep_slot(&mut self, requester: NodeId, now: Time) {
        if self.is_known(&requester) {
            self.kept.insert(requester, now.plus(KEPT_MS));
        }
    }

    /// Whether more leases of `requester` may be on their way.
    fn expects_more(&self, requester: &NodeId, now: Time) -> bool {
        let mut works = self.works.values().filter(|work| work.requester() == *requester);
        works.any(|work| work.heard && work.standing == Standing::Open && work.rest_until <= now)
    }

    /// The stranger's job that makes way next where all slots are taken, and when: once it has run for a minute, and among strangers for
    /// twice as long each time it made way, so that it ends some day.
    pub(super) fn makes_way(&self) -> Option<(Ticket, Time)> {
        let full = self.executions.len() >= self.config.capacity as usize;
        if !full || self.executions.values().any(|running| running.stopped) {
            return None;
        }
        let waiting: Vec<NodeId> = self.works.values().filter(|work| work.ready().is_some()).map(Work::requester).collect();
        let ends = self.executions.iter().filter_map(|(execution, running)| {
            let work = self.works.get(&running.experiment)?;
            let requester = work.requester();
            let after = |other| if self.is_known(other) { MAKES_WAY_AFTER_MS } else { quantum_ms(work) };
            let after_ms = waiting.iter().filter(|other| **other != requester).map(after).min()?;
            (!self.is_known(&requester)).then(|| (*execution, running.started.plus(after_ms)))
        });
        ends.min_by_key(|(execution, at)| (*at, *execution))
    }

    /// Where long jobs of strangers have all slots: when the first of them has had its time. Before that no other stranger is asked for a
    /// lease that would wait, for it might end before its turn.
    fn seat_opens(&self, now: Time) -> Option<Time> {
        let mut first = None;
        for running in self.executions.values() {
            let work = self.works.get(&running.experiment)?;
            // One that ends leaves its slot in a moment.
            if running.stopped || self.is_known(&work.requester()) || now < running.started.plus(LONG_MS) {
                return None;
            }
            let over = running.started.plus(quantum_ms(work));
            first = Some(first.map_or(over, |first: Time| first.min(over)));
        }
        first.filter(|_| self.executions.len() >= self.config.capacity as usize)
    }

    /// When what strangers may wait for changes next.
    pub(super) fn seat_deadline(&self, now: Time) -> Option<Time> {
        let long = self.executions.values().map(|running| running.started.plus(LONG_MS));
        long.chain(self.seat_opens(now)).filter(|at| *at > now).min()
    }

    /// Gives back what strangers' leases cannot be done in their time, behind long jobs of others: that is no loss, and they are asked again.
    pub(super) fn give_back_what_waits(&mut self, now: Time) {
        let Some(opens) = self.seat_opens(now).filter(|at| *at > now) else { return };
        let is_hopeless = |work: &Work| work.running() == 0 && work.first_expiry().is_some_and(|end| end < opens.plus(wall_ms(work)));
        let strangers = self.works.iter().filter(|(_, work)| !self.is_known(&work.requester()) && is_hopeless(work));
        for id in strangers.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.return_queued(id, ReturnReason::MadeWay);
        }
    }

    /// Ends what has to make way.
    pub(super) fn make_way(&mut self, now: Time) {
        if let Some((execution, _)) = self.makes_way().filter(|(_, at)| *at <= now) {
            self.end_for_others(execution, now);
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
        let counted = if known || is_at_hand(work) { here } else { 0 };
        let elsewhere = (self.load.at_hand as u64).saturating_sub(counted);
        // Who has nothing here may hold one lease although the slots are taken, so that long jobs cannot shut the others out: it waits its
        // turn. Among strangers that is a requester, who would fill all places with its experiments otherwise.
        let may_wait = if known {
            (self.load.known_sharing as u64) < slots.saturating_mul(2)
        } else {
            let (sharing, requester) = (&self.load.sharing, work.requester());
            self.seat_opens(now).is_none_or(|at| at <= now)
                && !sharing.contains(&requester)
                && (sharing.len() as u64) < slots.saturating_mul(2)
                && (self.turns.served(&requester), wall_ms(work)) <= self.load.unserved
        };
        let fair = u64::from(here == 0 && may_wait);
        let room = slots.saturating_sub(elsewhere).max(fair);
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

fn wall_ms(work: &Work) -> u64 {
    work.call.body.experiment.body.limits.wall_ms
}

/// How long a job of a stranger's `work` runs before it makes way for another stranger's.
fn quantum_ms(work: &Work) -> u64 {
    MAKES_WAY_AFTER_MS << work.made_way.min(MAKES_WAY_DOUBLINGS)
}

/// Whether leases of `work` run, or could.
fn is_at_hand(work: &Work) -> bool {
    work.ready().is_some() || work.running() > 0
}
