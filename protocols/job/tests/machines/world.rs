//! The world: stations, one clock, and what happens when.
//!
//! Everything that happens is in one queue ordered by time. A machine is handed an event, its actions are polled, `Do` effects are
//! performed at once and `then` effects when the disk has taken their Commit; performing an effect never re-enters a machine, it
//! only puts something into the queue.

use std::collections::{BTreeMap, BTreeSet};

use station_protocol::call::Call;
use station_protocol::durable::{Action, Ticket};
use station_protocol::requester::{self, Draft};
use station_protocol::work::{Request, Response};
use station_protocol::worker::{self, SendFailure};
use station_protocol::{Signed, Time};

use crate::faults::{Fault, Weather};
use crate::hostile::Hostile;
use crate::luck::Luck;
use crate::model::Model;
use crate::station::{Asker, Side, Station, topic};

pub(crate) const START: Time = Time(1_800_000_000_000);
/// More than any case needs: above it the machines talk without end.
const HAPPENINGS_MAX: u64 = 1_000_000;

pub(crate) enum Happening {
    Tick(usize, Side),
    /// The disk has taken what waited.
    Disk(usize, Side),
    ToWorker(usize, worker::Event),
    ToRequester(usize, requester::Event),
    Request {
        from: Asker,
        to: usize,
        request: Request,
    },
    Reply {
        to: usize,
        send: Ticket,
        answer: Result<Response, SendFailure>,
        /// Given to the machine although it was given an answer before.
        repeated: bool,
    },
    Gossip {
        from: usize,
        to: usize,
        call: Box<Signed<Call>>,
    },
    /// An execution comes to its end, if it was not stopped before.
    Says(usize, Ticket),
    End(usize, Ticket),
    Fault(Fault),
    /// A stranger does something.
    Hostile,
}

pub(crate) struct World {
    pub(crate) now: Time,
    pub(crate) luck: Luck,
    pub(crate) weather: Weather,
    pub(crate) stations: Vec<Station>,
    pub(crate) model: Model,
    /// Connected pairs, the smaller number first.
    pub(crate) links: BTreeSet<(usize, usize)>,
    /// Pairs that cannot reach each other.
    pub(crate) cut: BTreeSet<(usize, usize)>,
    /// What each publishing station publishes.
    pub(crate) drafts: BTreeMap<usize, Draft>,
    /// What the world says is counted, instead of the stations' own count.
    pub(crate) counted: Option<u64>,
    /// What the workers noted, when a test wants to know.
    pub(crate) notes: Option<Vec<(Time, usize, worker::Note)>>,
    /// The next Leases to this station are lost, and when they were.
    pub(crate) lose_leases_to: Option<usize>,
    pub(crate) lost_at: Option<Time>,
    /// Whether such a loss is noticed by the one who asked.
    pub(crate) loss_breaks: bool,
    /// Since when nothing goes wrong.
    pub(crate) healed_at: Option<Time>,
    /// Strangers that say anything.
    pub(crate) hostile: Option<Hostile>,
    /// Somebody cancelled or drained.
    pub(crate) meddled: bool,
    queue: BTreeMap<(Time, u64), (Option<u64>, Happening)>,
    happened: u64,
    tickets: u64,
}

impl World {
    pub(crate) fn new(stations: Vec<Station>, luck: Luck, weather: Weather) -> Self {
        let mut world = Self {
            now: START,
            luck,
            weather,
            model: Model::new(stations.iter().map(|station| (station.node, station.cluster)).collect()),
            stations,
            links: BTreeSet::new(),
            cut: BTreeSet::new(),
            drafts: BTreeMap::new(),
            counted: None,
            notes: None,
            lose_leases_to: None,
            lost_at: None,
            loss_breaks: false,
            healed_at: None,
            hostile: None,
            meddled: false,
            queue: BTreeMap::new(),
            happened: 0,
            tickets: 0,
        };
        for station in 0..world.stations.len() {
            world.start(station);
        }
        world
    }

    pub(crate) fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    /// Something happens in `ms`, whatever becomes of any station.
    pub(crate) fn after(&mut self, ms: u64, happening: Happening) {
        self.happened += 1;
        self.queue.insert((self.now.plus(ms), self.happened), (None, happening));
    }

    /// Something happens to `station` in `ms`, unless it dies before.
    pub(crate) fn after_in(&mut self, station: usize, ms: u64, happening: Happening) {
        self.happened += 1;
        let life = self.stations[station].life;
        self.queue.insert((self.now.plus(ms), self.happened), (Some(life), happening));
    }

    /// Lets everything happen until `until`.
    pub(crate) fn pass_until(&mut self, until: Time) {
        while self.step(until) {}
        self.now = self.now.max(until);
    }

    /// The next happening, if it is not later than `until`.
    pub(crate) fn step(&mut self, until: Time) -> bool {
        let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= until) else { return false };
        let ((at, number), (life, happening)) = entry.remove_entry();
        assert!(number < HAPPENINGS_MAX, "the world does not come to rest");
        self.now = self.now.max(at);
        if let Some(station) = happening.station() {
            let own = &self.stations[station];
            if own.stalled_until > self.now && !matches!(happening, Happening::Disk(..)) {
                self.queue.insert((own.stalled_until, number), (life, happening));
                return true;
            }
            if !own.up || life.is_some_and(|life| life != own.life) {
                return true;
            }
        }
        self.happen(happening);
        true
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Tick(station, side) => self.tick(station, side),
            Happening::Disk(station, side) => self.disk(station, side),
            Happening::ToWorker(station, event) => self.hand_worker(station, event),
            Happening::ToRequester(station, event) => self.hand_requester(station, event),
            Happening::Request { from, to, request } => self.request(from, to, request),
            Happening::Reply { to, send, answer, repeated } => self.reply(to, send, answer, repeated),
            Happening::Gossip { from, to, call } => self.gossiped(from, to, call),
            Happening::Says(station, execution) => self.says(station, execution),
            Happening::End(station, execution) => self.end(station, execution),
            Happening::Fault(fault) => self.fault(fault),
            Happening::Hostile => self.hostile_step(),
        }
    }

    fn tick(&mut self, station: usize, side: Side) {
        let now = self.now;
        let own = &mut self.stations[station];
        own.ticks[side as usize] = None;
        if own.deadline(side).is_none_or(|at| at > now) {
            return self.plan_tick(station, side);
        }
        match side {
            Side::Worker => self.hand_worker(station, worker::Event::Tick),
            Side::Requester => self.hand_requester(station, requester::Event::Tick),
        }
        assert!(self.stations[station].deadline(side).is_none_or(|at| at > now), "after a tick the deadline of the {side:?} is not later");
    }

    pub(crate) fn hand_worker(&mut self, station: usize, event: worker::Event) {
        let own = &mut self.stations[station];
        let now = own.clock(self.now);
        own.worker.handle(event, now);
        self.drain_worker(station);
        self.model.bounds(&self.stations[station]);
    }

    fn drain_worker(&mut self, station: usize) {
        while let Some(action) = self.stations[station].worker.poll() {
            match action {
                Action::Do(effect) => self.perform_worker(station, effect),
                Action::Commit(commit) if self.stations[station].worker_disk.passes(&commit) => {
                    commit.then.into_iter().for_each(|effect| self.perform_worker(station, effect));
                }
                Action::Commit(commit) => self.stations[station].worker_disk.waiting.push_back(commit),
            }
        }
        self.plan(station, Side::Worker);
    }

    pub(crate) fn hand_requester(&mut self, station: usize, event: requester::Event) {
        let own = &mut self.stations[station];
        let now = own.clock(self.now);
        own.requester.handle(event, now);
        self.drain_requester(station);
        self.model.bounds(&self.stations[station]);
    }

    fn drain_requester(&mut self, station: usize) {
        while let Some(action) = self.stations[station].requester.poll() {
            match action {
                Action::Do(effect) => self.perform_requester(station, effect),
                Action::Commit(commit) if self.stations[station].requester_disk.passes(&commit) => {
                    commit.then.into_iter().for_each(|effect| self.perform_requester(station, effect));
                }
                Action::Commit(commit) => self.stations[station].requester_disk.waiting.push_back(commit),
            }
        }
        self.plan(station, Side::Requester);
    }

    /// Sees to it that the disk and the clock come back to the machine.
    fn plan(&mut self, station: usize, side: Side) {
        let own = &mut self.stations[station];
        let (busy, waits) = match side {
            Side::Worker => (&mut own.worker_disk.busy, !own.worker_disk.waiting.is_empty()),
            Side::Requester => (&mut own.requester_disk.busy, !own.requester_disk.waiting.is_empty()),
        };
        if waits && !std::mem::replace(busy, true) {
            let ms = self.weather.disk_ms;
            let ms = self.luck.between(1, ms);
            self.after_in(station, ms, Happening::Disk(station, side));
        }
        self.plan_tick(station, side);
    }

    fn plan_tick(&mut self, station: usize, side: Side) {
        let own = &mut self.stations[station];
        let Some(at) = own.deadline(side) else { return };
        let planned = &mut own.ticks[side as usize];
        if planned.is_none_or(|planned| at < planned) {
            *planned = Some(at);
            let ms = at.since(self.now);
            self.after_in(station, ms, Happening::Tick(station, side));
        }
    }

    fn disk(&mut self, station: usize, side: Side) {
        let own = &mut self.stations[station];
        let waiting = match side {
            Side::Worker => own.worker_disk.waiting.len(),
            Side::Requester => own.requester_disk.waiting.len(),
        };
        let count = if self.luck.chance(500) { waiting } else { 1 + self.luck.index(waiting) };
        let dies = self.luck.chance(self.weather.disk_crash);
        if dies && self.luck.chance(300) {
            return self.crash(station);
        }
        match side {
            Side::Worker => {
                let own = &mut self.stations[station];
                own.worker_disk.busy = false;
                let effects = own.worker_disk.write(count, side, &mut own.blobs);
                let performed = if dies { self.luck.index(effects.len() + 1) } else { effects.len() };
                effects.into_iter().take(performed).for_each(|effect| self.perform_worker(station, effect));
            }
            Side::Requester => {
                let own = &mut self.stations[station];
                own.requester_disk.busy = false;
                let effects = own.requester_disk.write(count, side, &mut own.blobs);
                let performed = if dies { self.luck.index(effects.len() + 1) } else { effects.len() };
                effects.into_iter().take(performed).for_each(|effect| self.perform_requester(station, effect));
            }
        }
        crate::blobs::assert_kept(&self.stations[station]);
        if dies {
            return self.crash(station);
        }
        self.plan(station, side);
    }

    /// The station dies: what is not durable and what is in memory is gone.
    pub(crate) fn crash(&mut self, station: usize) {
        let own = &mut self.stations[station];
        own.up = false;
        own.life += 1;
        own.worker_disk.lose_power(&mut self.luck, &mut own.blobs);
        own.requester_disk.lose_power(&mut self.luck, &mut own.blobs);
        own.askers.clear();
        own.asked.clear();
        own.executions.clear();
        own.seen.clear();
        self.model.died(&self.stations[station]);
        let gone: Vec<(usize, usize)> = self.links.iter().copied().filter(|(a, b)| *a == station || *b == station).collect();
        for (a, b) in gone {
            self.disconnect(a, b);
        }
        let ms = self.luck.between(1, 20_000);
        self.after(ms, Happening::Fault(Fault::Restart(station)));
    }

    /// The station begins, or begins again, from its disks.
    pub(crate) fn start(&mut self, station: usize) {
        let seeds = [self.luck.seed(), self.luck.seed()];
        let ahead_ms = self.luck.below(self.weather.skew_ms + 1);
        let now = self.now;
        let own = &mut self.stations[station];
        own.ahead_ms = ahead_ms;
        crate::blobs::begin(own);
        own.restore(seeds, now);
        self.model.restarted(own, now);
        let at = own.at.clone();
        self.drain_worker(station);
        self.drain_requester(station);
        self.hand_worker(station, worker::Event::Addresses(at.clone()));
        self.hand_requester(station, requester::Event::Addresses(at));
    }

    /// Two stations have a connection, if they can.
    pub(crate) fn connect(&mut self, a: usize, b: usize) {
        let pair = (a.min(b), a.max(b));
        let possible = a != b && self.stations[a].up && self.stations[b].up && !self.cut.contains(&pair);
        if !possible || !self.links.insert(pair) {
            return;
        }
        for (own, other) in [(a, b), (b, a)] {
            let event = worker::Event::Connected { node: self.stations[other].node, topics: vec![topic()] };
            self.after_in(own, 0, Happening::ToWorker(own, event));
        }
    }

    pub(crate) fn disconnect(&mut self, a: usize, b: usize) {
        if !self.links.remove(&(a.min(b), a.max(b))) {
            return;
        }
        for (own, other) in [(a, b), (b, a)] {
            let event = worker::Event::Disconnected { node: self.stations[other].node };
            self.after_in(own, 0, Happening::ToWorker(own, event));
            // What was asked over the connection is not answered any more; most drivers notice at once.
            let open: Vec<Ticket> = self.stations[own].asked.iter().filter(|(_, asked)| asked.to == other).map(|(send, _)| *send).collect();
            for send in open {
                if self.luck.chance(700) {
                    let answer = Err(SendFailure::NoAnswer);
                    self.after_in(own, 0, Happening::Reply { to: own, send, answer, repeated: false });
                }
            }
        }
    }

    pub(crate) fn index(&self, node: &station_protocol::NodeId) -> Option<usize> {
        self.stations.iter().position(|station| station.node == *node)
    }
}

impl Happening {
    /// Whom it happens to.
    fn station(&self) -> Option<usize> {
        match self {
            Self::Tick(station, _)
            | Self::Disk(station, _)
            | Self::ToWorker(station, _)
            | Self::ToRequester(station, _)
            | Self::Says(station, _)
            | Self::End(station, _) => Some(*station),
            Self::Reply { to, .. } | Self::Gossip { to, .. } => Some(*to),
            // One who is not there still costs the asker its answer.
            Self::Request { .. } | Self::Fault(_) | Self::Hostile => None,
        }
    }
}
