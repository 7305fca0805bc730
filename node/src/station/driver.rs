//! The event loop: takes what happened, shows it to a machine, performs what the machine says.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use cid::Cid;
use station_protocol::bounded::Name;
use station_protocol::call::{Call, CallState};
use station_protocol::clock::Witnesses;
use station_protocol::cluster::Cluster;
use station_protocol::durable::{Action, Commit, Ticket};
use station_protocol::requester::{self, Requester, View};
use station_protocol::work::{At, Request};
use station_protocol::worker::{self, Via, Worker};
use station_protocol::{Content, ExperimentId, NodeId, codec};
use tokio::sync::{broadcast, mpsc, oneshot};

use super::StationError;
use super::commits::Commits;
use super::fetches::{Asker, Fetched, Fetches};
use super::handle::{Command, Handle, HandleError, Note};
use super::narrate::Narrator;
use super::room::Room;
use crate::clock::Clock;
use crate::engine::Engine;
use crate::executor::{Executor, Happened};
use crate::network::{self, Network};
use crate::operator::Host;
use crate::store::{Gone, Store, Table};
use crate::tasks::Tasks;

mod provide;
mod shown;

/// How often idle sessions and bookkeeping are looked at.
const HOUSEKEEPING: Duration = Duration::from_secs(1);
/// How long a station that is shutting down may take to deliver what it has.
const DRAIN: Duration = Duration::from_secs(10);
/// Stations that a Call asks for each claimant it wants: they may all come.
const ASKED_PER_SEAT: u32 = 4;
/// Inbound connections added for own experiments, however many there are.
const MORE_INBOUND_MAX: u32 = 512;
/// Tickets of questions to oneself begin here; the network counts from zero and never gets as far.
const OWN_TICKETS: u64 = 1 << 62;

/// What either machine wants done, or what its Commit means for those who fetch from here.
enum Effect {
    /// A blob is durable: it may be asked for.
    Provide(Cid, u64),
    Worker(worker::Effect),
    Requester(requester::Effect),
}

pub(super) struct Driver {
    worker: Worker,
    requester: Requester,
    network: Network,
    executor: Executor,
    fetches: Fetches,
    host: Host,
    commits: Commits<Effect>,
    room: Room,
    /// Why this machine can run nothing.
    unfit: Option<String>,
    store: Arc<dyn Store>,
    tasks: Tasks,
    clock: Clock,
    inbox: mpsc::Receiver<Command>,
    notes: broadcast::Sender<Note>,
    narrator: Narrator,
    node: NodeId,
    topics: Vec<Name>,
    /// Questions to oneself: the Requester's ticket → the Worker's.
    own_asks: BTreeMap<Ticket, Ticket>,
    next_own: u64,
    /// Searches for providers under way; each ends, so there are as many as fetches.
    searching: BTreeMap<Ticket, oneshot::Sender<Vec<(NodeId, At)>>>,
    /// Own open experiments and how many claimants they want.
    inviting: BTreeMap<ExperimentId, u32>,
    publishing: BTreeMap<Ticket, oneshot::Sender<Result<ExperimentId, HandleError>>>,
    /// Views that name what is not durable yet, and after how many Commits all of it is.
    views: VecDeque<(u64, oneshot::Sender<Option<View>>, Option<View>)>,
    /// Who waits until so many Commits are durable.
    told: VecDeque<(u64, oneshot::Sender<()>)>,
    connected: BTreeSet<NodeId>,
    /// What the clocks of connected peers say.
    clocks: Witnesses,
    addresses: At,
    draining: Option<tokio::time::Instant>,
}

impl Driver {
    #[expect(clippy::too_many_arguments, reason = "the one place where everything that Station::start made comes together")]
    pub(super) fn new(
        (worker, requester): (Worker, Requester),
        network: Network,
        engine: Arc<dyn Engine>,
        host: Host,
        clock: Clock,
        tasks: Tasks,
        inbox: mpsc::Receiver<Command>,
        handle: &Handle,
    ) -> Self {
        let executor = Executor::new(engine, handle.library.clone(), host.clone(), network.ledger().clone(), tasks.clone());
        let fetches = Fetches::new(handle.library.clone(), handle.store.clone(), network.ledger().clone(), tasks.clone());
        Self {
            worker,
            requester,
            network,
            executor,
            fetches,
            host,
            commits: Commits::default(),
            room: Room::new(handle.store.clone()),
            unfit: None,
            store: handle.store.clone(),
            tasks,
            clock,
            inbox,
            notes: handle.notes.clone(),
            narrator: Narrator::default(),
            node: handle.identity.node,
            topics: handle.identity.topics.clone(),
            own_asks: BTreeMap::new(),
            next_own: OWN_TICKETS,
            searching: BTreeMap::new(),
            inviting: BTreeMap::new(),
            publishing: BTreeMap::new(),
            views: VecDeque::new(),
            told: VecDeque::new(),
            connected: BTreeSet::new(),
            clocks: Witnesses::default(),
            addresses: At::default(),
            draining: None,
        }
    }

    pub(super) async fn run(&mut self) -> Result<(), StationError> {
        let mut housekeeping = tokio::time::interval(HOUSEKEEPING);
        self.provide_restored().await?;
        self.settle();
        loop {
            let deadline = self.deadline();
            tokio::select! {
                event = self.network.next(), if !self.commits.is_congested() => self.on_network(event),
                durable = self.commits.durable() => self.on_durable(durable?),
                happened = self.executor.next() => self.on_happened(happened),
                fetched = self.fetches.next() => self.on_fetched(fetched),
                command = self.inbox.recv() => self.on_command(command.unwrap_or(Command::Shutdown)),
                () = tokio::time::sleep_until(deadline) => self.on_deadline(),
                room = self.room.changed() => self.on_room(room?),
                _ = housekeeping.tick() => {
                    self.look_at_the_clock();
                    self.executor.reap();
                    self.room.ask();
                    self.write_ledger();
                }
            }
            self.settle();
            self.executor.end_preparing(|fetch| self.worker.awaits_module(fetch).is_some());
            if self.is_drained() {
                if let Some(batch) = self.room.is_enough().then(|| self.host.unwritten(true)).flatten() {
                    self.store.commit(batch).await?;
                }
                return Ok(());
            }
        }
    }

    /// The ledger goes to the disk seldom, and not where there is no room: it may be lost, and nothing waits for it.
    fn write_ledger(&self) {
        if let Some(batch) = self.room.is_enough().then(|| self.host.unwritten(false)).flatten() {
            let written = self.store.commit(batch);
            self.tasks.spawn(async move {
                if let Err(error) = written.await {
                    tracing::error!(%error, "the ledger of activity is not durable");
                }
            });
        }
    }

    /// Drains both machines, and starts the next transaction if something waits for the disk.
    fn settle(&mut self) {
        loop {
            if let Some(action) = self.worker.poll() {
                self.act(Table::Worker, action, Effect::Worker);
            } else if let Some(action) = self.requester.poll() {
                self.act(Table::Requester, action, Effect::Requester);
            } else {
                break;
            }
        }
        if let Some(batch) = self.commits.next_batch() {
            let transaction = self.store.commit(batch);
            self.commits.started(transaction);
        }
    }

    fn act<E>(&mut self, table: Table, action: Action<E>, wrap: fn(E) -> Effect) {
        match action {
            Action::Do(effect) => self.perform(wrap(effect)),
            Action::Commit(commit) => {
                let provide: Vec<Effect> = commit.brought(provide::is_for_others(table)).map(|(cid, bytes)| Effect::Provide(cid, bytes)).collect();
                let Commit { blobs, owns, puts, deletes, then } = commit;
                let then = provide.into_iter().chain(then.into_iter().map(wrap)).collect();
                self.commits.push(table, Commit { blobs, owns, puts, deletes, then });
            }
        }
    }

    fn on_durable(&mut self, (effects, gone): (Vec<Effect>, Gone)) {
        for effect in effects {
            self.perform(effect);
        }
        for cid in gone {
            self.fetches.withdraw(&cid);
        }
        self.show_views();
    }

    fn deadline(&self) -> tokio::time::Instant {
        let far = self.clock.now().plus(station_protocol::time::HOUR);
        let next = [self.worker.next_deadline(), self.requester.next_deadline()].into_iter().flatten().min().unwrap_or(far);
        let next = self.clock.instant(next);
        self.draining.map_or(next, |drained| next.min(drained))
    }

    fn on_deadline(&mut self) {
        let now = self.clock.now();
        self.worker.handle(worker::Event::Tick, now);
        self.requester.handle(requester::Event::Tick, now);
    }

    /// A machine that slept, or whose clock was set, has another time than it had: messages say the new one from here on.
    fn look_at_the_clock(&mut self) {
        let Some(by_ms) = self.clock.look() else { return };
        tracing::warn!(by_s = by_ms / 1_000, "the machine slept, or its clock was set: its new time is taken");
        let (shift, now) = (self.clock.shift(), self.clock.now());
        self.worker.handle(worker::Event::Clock(shift), now);
        self.requester.handle(requester::Event::Clock(shift), now);
    }

    fn is_drained(&self) -> bool {
        self.draining.is_some_and(|until| {
            let quiet = self.executor.running() == 0 && self.commits.is_idle() && self.worker.is_drained();
            quiet || tokio::time::Instant::now() >= until
        })
    }

    fn on_network(&mut self, event: network::Event) {
        use network::Event as N;
        let now = self.clock.now();
        match event {
            N::Call { call, from, near, ticket } => {
                self.worker.handle(worker::Event::CallHeard { call, via: Via::Gossip { from, near, ticket } }, now);
            }
            N::Asked { ask, from, request, .. } if matches!(request, Request::Calls { .. } | Request::Peers { .. }) => {
                self.worker.handle(worker::Event::Asked { ask, from, request }, now);
            }
            N::Asked { ask, from, remote, request } => {
                let from = requester::Peer { node: from, cluster: remote.cluster(from, self.network.reach()), is_relayed: remote.relay.is_some() };
                self.requester.handle(requester::Event::Asked { ask, from, request }, now);
            }
            N::Answered { send, answer, near } => self.worker.handle(worker::Event::Answered { send, answer, near }, now),
            N::Connected { node, topics } => {
                self.connected.insert(node);
                self.worker.handle(worker::Event::Connected { node, topics }, now);
            }
            N::Disconnected { node } => {
                self.connected.remove(&node);
                self.clocks.gone(&node);
                self.worker.handle(worker::Event::Disconnected { node }, now);
            }
            N::Addresses(addresses) => {
                self.addresses = addresses.clone();
                self.worker.handle(worker::Event::Addresses(addresses.clone()), now);
                self.requester.handle(requester::Event::Addresses(addresses), now);
            }
            N::Crowded { guests, too_many } => {
                let idle = guests.into_iter().filter(|node| !self.requester.works_with(node, now) && !self.worker.works_for(node));
                idle.take(too_many).for_each(|node| self.network.perform(network::Command::LetGo(node)));
            }
            N::Seen { by, ip } => {
                self.host.seen(by, ip);
                self.worker.handle(worker::Event::Seen { by, ip }, now);
            }
            N::Stream { from, stream, .. } => {
                let works = self.requester.works_with(&from, now) || self.worker.works_for(&from);
                self.fetches.serve(stream, from, works);
            }
            N::Providers { find, providers } => {
                if let Some(reply) = self.searching.remove(&find) {
                    // Whoever searched has gone if the reply cannot be sent.
                    drop(reply.send(providers));
                }
            }
            N::Relayed { node } => self.note(Note::Relayed(node)),
            N::Misbehaved { node, action } => tracing::debug!(%node, ?action, "misbehaved"),
            N::Listening(address) => tracing::info!(%address, "listening"),
        }
    }

    fn on_room(&mut self, enough: bool) {
        match enough {
            true => tracing::info!("the disk has room again: work is taken"),
            false => tracing::warn!("the disk is nearly full: no work is taken until there is room, or `disk` in station.toml is raised"),
        }
        self.worker.handle(worker::Event::Room(enough), self.clock.now());
    }

    fn on_fetched(&mut self, fetched: Fetched) {
        let now = self.clock.now();
        match fetched {
            Fetched::Module { fetch, requester, module } => {
                self.acquaint(requester);
                self.executor.prepare(fetch, requester, module);
            }
            Fetched::NoModule { fetch, failure } => self.worker.handle(worker::Event::Fetched { fetch, result: Err(failure) }, now),
            Fetched::Requester { fetch, result } => self.requester.handle(requester::Event::Fetched { fetch, result }, now),
            Fetched::OpenCar { to, at, reply } => drop(reply.send(self.network.open_car(to, &at))),
            Fetched::FindProviders { cid, reply } => {
                let find = self.own_ticket();
                self.searching.insert(find, reply);
                self.network.perform(network::Command::FindProviders { find, cid });
            }
        }
    }

    /// A module is here for jobs once it is compiled.
    fn on_happened(&mut self, happened: Happened) {
        let event = match happened {
            Happened::Said(execution, saying) => worker::Event::Said { execution, saying },
            Happened::Execution((execution, report)) => worker::Event::Finished { execution, report },
            Happened::Module { fetch, result } => worker::Event::Fetched { fetch, result },
        };
        self.worker.handle(event, self.clock.now());
    }

    /// Whom the rules know of earlier lives has its share of this one too.
    fn acquaint(&self, requester: NodeId) {
        if self.worker.knows(&requester) {
            self.network.ledger().remembers(requester);
        }
    }

    fn on_command(&mut self, command: Command) {
        let now = self.clock.now();
        match command {
            Command::Publish(draft, module, reply) => self.publish(draft, module, reply),
            Command::Cancel(experiment) => self.requester.handle(requester::Event::Cancel { experiment }, now),
            Command::View(experiment, reply) => {
                self.views.push_back((self.commits.given(), reply, self.requester.view(&experiment)));
                self.show_views();
            }
            // Whoever asked has gone if the reply cannot be sent.
            Command::Around(topic, reply) => drop(reply.send(self.around(&topic))),
            Command::Status(reply) => drop(reply.send(self.status())),
            Command::Gauges(reply) => drop(reply.send(self.gauges())),
            Command::Policy(policy, capacity) => {
                self.host.set_policy((*policy).clone());
                self.worker.handle(worker::Event::PolicyChanged { policy, capacity }, now);
            }
            Command::Unfit(why) => {
                self.worker.handle(worker::Event::Fit(why.is_none()), now);
                self.unfit = why;
            }
            Command::Pause(until, reply) => self.rest(worker::Event::Pause { until }, reply),
            Command::Resume(reply) => self.rest(worker::Event::Resume, reply),
            Command::OnBattery(on_battery) => self.worker.handle(worker::Event::OnBattery(on_battery), now),
            Command::Shutdown => {
                self.draining.get_or_insert(tokio::time::Instant::now() + DRAIN);
                self.worker.handle(worker::Event::Drain, now);
            }
        }
    }

    /// Whoever asked hears of it once it holds over a restart.
    fn rest(&mut self, event: worker::Event, reply: oneshot::Sender<()>) {
        self.worker.handle(event, self.clock.now());
        self.settle();
        self.told.push_back((self.commits.given(), reply));
        self.show_views();
    }

    fn own_ticket(&mut self) -> Ticket {
        self.next_own += 1;
        Ticket(self.next_own)
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Provide(cid, bytes) => self.fetches.provide(&Content { cid, bytes }),
            Effect::Worker(effect) => self.perform_worker(effect),
            Effect::Requester(effect) => self.perform_requester(effect),
        }
    }

    fn perform_worker(&mut self, effect: worker::Effect) {
        use worker::Effect as E;
        match effect {
            E::Judge { ticket, admission } => self.network.perform(network::Command::Judge { ticket, admission }),
            E::Send { send, .. } if !self.worker.awaits(send) => {}
            E::Send { send, to, request, .. } if to == self.node => {
                let ask = self.own_ticket();
                self.own_asks.insert(ask, send);
                let from = requester::Peer { node: to, cluster: Cluster::Own(to), is_relayed: false };
                self.requester.handle(requester::Event::Asked { ask, from, request }, self.clock.now());
            }
            E::Send { send, to, at, request } => self.network.perform(network::Command::Send { send, to, at, request }),
            E::Answer { ask, response } => self.network.perform(network::Command::Answer { ask, response }),
            E::Fetch { fetch, content, requester, at } => self.fetches.begin(Asker::Worker(fetch), content, requester, at),
            E::Start { execution, job } => self.executor.start(execution, *job),
            E::Stop { execution } => self.executor.stop(execution),
            E::Counted { topic, stations } => {
                let largest = self.topics.iter().map(|topic| self.worker.counted(topic)).max();
                self.host.counted(largest.unwrap_or(stations));
                self.requester.handle(requester::Event::Counted { topic, stations }, self.clock.now());
            }
            E::Neighbours { topic, peers } => self.network.perform(network::Command::Neighbours { topic, peers }),
            E::Report { node, action } => self.network.perform(network::Command::Report { node, action }),
            E::PeerTime { node, time } => {
                // Where a peer is seen nowhere its word cannot be weighed.
                if let Some(near) = self.network.ledger().cluster(&node) {
                    self.clocks.told(node, near, self.clock.now(), time);
                }
            }
            E::Note(note) => self.note(Note::Worker(note)),
        }
    }

    fn perform_requester(&mut self, effect: requester::Effect) {
        use requester::Effect as E;
        match effect {
            E::Published { publish, result } => {
                result.iter().for_each(|id| self.provide_module(id));
                if let Some(reply) = self.publishing.remove(&publish) {
                    drop(reply.send(result.map_err(HandleError::from)));
                }
            }
            E::Gossip(call) => {
                self.make_room(&call.body);
                let topic = call.body.experiment.body.topic.clone();
                self.network.perform(network::Command::Publish { topic, bytes: codec::encode(&*call) });
                self.worker.handle(worker::Event::CallHeard { call, via: Via::Own }, self.clock.now());
            }
            E::Answer { ask, response } => match self.own_asks.remove(&ask) {
                Some(send) => self.worker.handle(worker::Event::Answered { send, answer: Ok(response), near: None }, self.clock.now()),
                None => self.network.perform(network::Command::Answer { ask, response }),
            },
            E::Fetch { fetch, content, from } => self.fetch_output(fetch, content, from),
            E::Report { node, action } => self.network.perform(network::Command::Report { node, action }),
            E::Note(note) => self.note(Note::Requester(note)),
        }
    }

    /// Inbound connections for those whom the open Calls invite.
    fn make_room(&mut self, call: &Call) {
        match call.state {
            CallState::Open => self.inviting.insert(call.id(), call.wanted),
            CallState::Closed { .. } => self.inviting.remove(&call.id()),
        };
        let more_inbound = self.inviting.values().fold(0, |sum: u32, wanted| sum.saturating_add(wanted.saturating_mul(ASKED_PER_SEAT)));
        self.network.perform(network::Command::SetContactLimits { more_inbound: more_inbound.min(MORE_INBOUND_MAX) });
    }

    fn fetch_output(&mut self, fetch: Ticket, content: Content, from: NodeId) {
        self.fetches.begin(Asker::Requester(fetch), content, from, At::default());
    }
}
