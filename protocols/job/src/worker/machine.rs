//! The machine itself: its state, the four verbs, and what the status page asks.
//!
//! Guarantees: every event ends in [`Worker::settle`], which expires, starts, delivers and claims whatever is due, so that no
//! handler has to remember the others. Deliberately lacks the rules themselves: they stand in the files beside.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::calls::Calls;
use super::dials::Dials;
use super::executions::Executions;
use super::frames::Frames;
use super::gauges::works_max;
use super::outbox::{self, History};
use super::peers::Peers;
use super::questions::Question;
use super::rest::Resting;
use super::schedule::{Kept, Load};
use super::turns::Turns;
use super::whereabouts::Whereabouts;
use super::work::Work;
use super::{Action, Config, Effect, Event, Note};
use crate::bounded::Name;
use crate::census::Census;
use crate::clock::Shift;
use crate::durable::{Commit, Key, RestoreError, Ticket};
use crate::experiment::ExperimentId;
use crate::identity::{NodeId, SigningKey};
use crate::time::{SECOND, Time};
use crate::work::{At, ClaimRefused, DeclineReason};

/// How often expired Calls, outbox entries and peer records are swept: late by a little is harmless, every event would be dear.
pub(super) const SWEEP_MS: u64 = 10 * SECOND;

/// Where an experiment stands at this station, for `station why`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may ask for leases when its time comes.
    Open,
    /// Policy, engine or labels say no.
    Declined(DeclineReason),
    /// The hash of where it is seen is above `claim_below`: a wider Call may reach it.
    NotSampled,
    /// The requester said no; asked again after a higher `seq` than this.
    Refused { reason: ClaimRefused, seq: u64 },
    /// The requester said no for good.
    Final(ClaimRefused),
    /// The deadline has passed.
    Late,
    /// Closed by its requester.
    Closed,
}

/// What an answer belongs to.
#[derive(Clone, Debug)]
pub(super) enum Sent {
    Calls {
        to: NodeId,
        topic: Name,
    },
    Peers {
        to: NodeId,
        topic: Name,
    },
    /// The same question to a station of the sample, to see whether it is where its record says.
    Probe {
        to: NodeId,
        topic: Name,
        at: At,
    },
    Claim(Asked),
    Decline {
        requester: NodeId,
    },
    /// What guests said. Nothing waits for its answer.
    Progress,
    Deliver {
        asked: Asked,
        receipts: BTreeSet<u64>,
        returned: usize,
    },
}

/// A question about one experiment.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) experiment: ExperimentId,
    pub(super) to: NodeId,
    /// Where it was dialled, if it was.
    pub(super) at: At,
    /// How many leases it asked for.
    pub(super) free: u32,
}

/// The machine of a station that runs other people's jobs.
#[derive(Debug)]
pub struct Worker {
    pub(super) config: Config,
    pub(super) key: SigningKey,
    pub(super) node: NodeId,
    pub(super) rng: ChaCha8Rng,
    actions: VecDeque<Action>,
    tickets: u64,
    pub(super) resting: Resting,
    /// The most executions at the same time that there were ever room for.
    pub(super) most_slots: u32,
    pub(super) addresses: At,
    pub(super) whereabouts: Whereabouts,
    pub(super) calls: Calls,
    /// Experiments whose Call is kept, or that still have something in the outbox.
    pub(super) works: BTreeMap<ExperimentId, Work>,
    pub(super) executions: Executions,
    pub(super) fetches: BTreeMap<Ticket, ExperimentId>,
    pub(super) sends: BTreeMap<Ticket, Sent>,
    /// What each requester was asked: one question at a time.
    pub(super) in_flight: BTreeMap<NodeId, Question>,
    pub(super) history: History,
    pub(super) outbox_entries: usize,
    pub(super) outbox_bytes: u64,
    pub(super) turns: Turns,
    /// Until when the next lease is awaited of who has a history and whose job has ended.
    pub(super) ended: BTreeMap<NodeId, Time>,
    /// When the last job ended that was told to stop.
    pub(super) made_way_at: Time,
    /// Since when a slot is kept idle for a requester whose turn it is.
    pub(super) kept: BTreeMap<NodeId, Kept>,
    /// For whom memory is being freed.
    pub(super) reserved: Option<ExperimentId>,
    pub(super) load: Load,
    pub(super) peers: Peers,
    pub(super) census: BTreeMap<Name, Census>,
    /// What the driver was last told of each topic's size.
    pub(super) counted: BTreeMap<Name, u64>,
    pub(super) dials: Dials,
    pub(super) frames: Frames,
    /// How far the world's time is ahead of what the driver hands in.
    pub(super) shift: Shift,
    sweep_at: Time,
    pub(super) deadline: Option<Time>,
}

impl Worker {
    /// A machine from its records; none make a new one. Receipts in the outbox are delivered again.
    pub fn restore(
        config: Config,
        key: SigningKey,
        seed: [u8; 32],
        records: impl Iterator<Item = (Key, Vec<u8>)>,
        now: Time,
    ) -> Result<Self, RestoreError> {
        let census = |topic: &Name| Census::new(&config.network, topic, key.node(), config.reach);
        let census = config.topics.iter().map(|topic| (topic.clone(), census(topic))).collect();
        let mut worker = Self {
            node: key.node(),
            rng: ChaCha8Rng::from_seed(seed),
            actions: VecDeque::new(),
            tickets: 0,
            resting: Resting::default(),
            most_slots: config.capacity,
            addresses: At::default(),
            whereabouts: Whereabouts::default(),
            calls: Calls::default(),
            works: BTreeMap::new(),
            executions: Executions::default(),
            fetches: BTreeMap::new(),
            sends: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            history: History::default(),
            outbox_entries: 0,
            outbox_bytes: 0,
            turns: Turns::default(),
            ended: BTreeMap::new(),
            made_way_at: Time(0),
            kept: BTreeMap::new(),
            reserved: None,
            load: Load::default(),
            peers: Peers::default(),
            census,
            counted: BTreeMap::new(),
            dials: Dials::default(),
            frames: Frames::default(),
            shift: Shift::default(),
            sweep_at: now.plus(SWEEP_MS),
            deadline: None,
            config,
            key,
        };
        outbox::restore(&mut worker, records, now)?;
        worker.renew_records(now);
        worker.settle(now);
        Ok(worker)
    }

    /// Takes one event. Drain [`Self::poll`] afterwards.
    pub fn handle(&mut self, event: Event, now: Time) {
        match event {
            Event::CallHeard { call, via } => self.call_heard(*call, via, now),
            Event::Asked { ask, from, request } => self.asked(ask, from, request, now),
            Event::Answered { send, answer, near } => self.answered(send, answer, near, now),
            Event::Fetched { fetch, result } => self.fetched(fetch, result, now),
            // A guest may speak ten times a second: what changes nothing costs no look at all that is open.
            Event::Said { execution, saying } => {
                if !self.said(execution, saying) {
                    return;
                }
            }
            Event::Tick => {}
            Event::Finished { execution, report } => self.finished(execution, report, now),
            Event::Connected { node, topics } => self.connected(node, topics, now),
            Event::Disconnected { node } => self.disconnected(&node, now),
            Event::Seen { by, ip } => self.seen(by, ip, now),
            Event::Addresses(at) => {
                if at != self.addresses {
                    self.addresses = at;
                    self.renew_records(now);
                }
            }
            Event::PolicyChanged { policy, capacity } => {
                (self.config.policy, self.config.capacity) = (*policy, capacity);
                self.most_slots = self.most_slots.max(capacity);
                self.judge_all(now);
            }
            Event::Clock(shift) => self.clock_stepped(shift, now),
            rest @ (Event::Pause { .. } | Event::Resume | Event::OnBattery(_) | Event::Room(_) | Event::Fit(_) | Event::Drain) => self.rested(&rest),
        }
        self.settle(now);
    }

    /// The next thing to do; drain until `None` after every [`Self::handle`].
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Whether a `Send` is still worth sending. A question's second copy may wait for the disk while the first is answered: one that
    /// nobody awaits any more must not be sent.
    #[must_use]
    pub fn awaits(&self, send: Ticket) -> bool {
        self.sends.contains_key(&send)
    }

    /// Whether this station has leases of `requester`, or receipts that it has not taken: a connection with it must not be ended.
    #[must_use]
    pub fn works_for(&self, requester: &NodeId) -> bool {
        self.works.values().filter(|work| work.requester() == *requester).any(|work| !work.leases.is_empty() || !work.outbox.is_empty())
    }

    /// When to send [`Event::Tick`] at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.deadline
    }

    /// Why this station does what it does with one experiment.
    #[must_use]
    pub fn standing(&self, experiment: &ExperimentId) -> Option<Standing> {
        self.works.get(experiment).map(|work| work.standing)
    }

    /// Executions that run now.
    #[must_use]
    pub fn running(&self) -> usize {
        self.executions.len()
    }

    /// Receipts not yet held by their requesters.
    #[must_use]
    pub fn outbox_len(&self) -> usize {
        self.outbox_entries
    }

    /// The counted size of a topic, this station included.
    #[must_use]
    pub fn counted(&self, topic: &Name) -> u64 {
        self.census.get(topic).map_or(1, |census| census.count(self.peers.met(topic)))
    }

    /// Stations of a topic that are connected now.
    #[must_use]
    pub fn met(&self, topic: &Name) -> u64 {
        self.peers.met(topic) as u64
    }

    /// Whether a drain has come to its end: nothing runs and nothing waits to be told.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.resting.draining && self.executions.is_empty() && self.outbox_entries == 0 && self.works.values().all(|work| work.returned.is_empty())
    }

    /// Does whatever is due now, and sets the next deadline.
    fn settle(&mut self, now: Time) {
        if now >= self.sweep_at {
            self.sweep_at = now.plus(SWEEP_MS);
            self.sweep(now);
        }
        self.look_at_rest(now);
        self.expire_leases(now);
        self.start_ready(now);
        self.make_way(now);
        self.give_back_what_waits(now);
        self.weigh(now);
        self.bound_outbox();
        self.bound_works();
        self.repeat_questions(now);
        self.send_due(now);
        self.ask_peers(now);
        self.deadline = Some(self.soonest(now));
        self.assert_bounds(now);
    }

    /// Forgets experiments of which no Call is kept where there are more than may be: strangers' first, and those with the least to lose.
    fn bound_works(&mut self) {
        while self.works.len() > works_max(self.config.topics.len()) {
            let unheard = self.works.iter().filter(|(_, work)| !work.heard && work.leases.is_empty());
            let least = unheard.min_by_key(|(_, work)| (self.is_known(&work.requester()), work.outbox.len(), work.call.body.deadline()));
            let Some(id) = least.map(|(id, _)| *id) else { return };
            self.drop_outbox(id);
            self.works.remove(&id);
            self.note(Note::Overflow { what: "experiments" });
        }
    }

    /// The world's time, as messages and records say it, when the station's own is `now`.
    pub(super) fn world(&self, now: Time) -> Time {
        self.shift.theirs(now)
    }

    /// What the world's time decides is judged anew; leases and whatever is waited for go by the station's own.
    fn clock_stepped(&mut self, shift: Shift, now: Time) {
        self.shift = shift;
        // What seemed to be over may not be.
        self.works.values_mut().filter(|work| work.standing == Standing::Late).for_each(|work| work.standing = Standing::NotSampled);
        self.sweep(now);
        self.renew_records(now);
        self.ask_calls_soon(now);
    }

    fn sweep(&mut self, now: Time) {
        self.dials.sweep(now);
        let gone = self.calls.expire(self.world(now));
        for id in gone {
            if let Some(work) = self.works.get_mut(&id) {
                work.heard = false;
            }
        }
        self.judge_all(now);
        self.expire_outbox(now);
        self.works.retain(|_, work| !work.is_idle());
        let here: BTreeSet<NodeId> = self.works.values().map(Work::requester).collect();
        self.turns.retain(|requester| here.contains(requester));
        self.frames.sweep(now, |requester| here.contains(requester));
        self.sweep_peers(now);
    }

    fn soonest(&self, now: Time) -> Time {
        let works = self.works.values().filter_map(|work| self.work_deadline(work, now));
        let soonest = works
            .chain(self.peers.deadline())
            .chain(self.again_deadline())
            .chain(self.probe_deadline())
            .chain(self.way_deadline(now))
            .chain(self.kept_deadline(now))
            .chain(self.seat_deadline(now))
            .chain(self.rest_deadline(now))
            .fold(self.sweep_at, Time::min);
        // Whatever is due already was either done just now or waits for an event, not for the clock.
        soonest.max(now.plus(1))
    }

    pub(super) fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    /// An effect that is right after a crash at any moment.
    pub(super) fn act(&mut self, effect: Effect) {
        self.actions.push_back(Action::Do(effect));
    }

    pub(super) fn note(&mut self, note: Note) {
        self.act(Effect::Note(note));
    }

    pub(super) fn commit(&mut self, commit: Commit<Effect>) {
        self.actions.push_back(Action::Commit(commit));
    }

    /// An effect that must wait until everything committed before is durable.
    pub(super) fn act_when_durable(&mut self, effect: Effect) {
        match self.actions.back_mut() {
            Some(Action::Commit(commit)) => commit.then.push(effect),
            _ => self.commit(Commit { then: vec![effect], ..Commit::default() }),
        }
    }

    /// Even in `0..=max`, near enough for waiting times.
    pub(super) fn random_up_to(&mut self, max: u64) -> u64 {
        match max.checked_add(1) {
            Some(bound) => self.rng.next_u64() % bound,
            None => self.rng.next_u64(),
        }
    }
}
