//! A million jobs through one Requester machine and real Worker machines, signed receipts and all; only the engine is a stub that
//! returns at once, and the disk one that forgets.

use std::collections::{BTreeMap, VecDeque};

use station_protocol::address::Reach;
use station_protocol::bounded::{Name, Text};
use station_protocol::capability::Needs;
use station_protocol::cluster::Cluster;
use station_protocol::durable::{Action, Ticket};
use station_protocol::experiment::{Class, Labels, Trust};
use station_protocol::jobs::Jobs;
use station_protocol::limits::Limits;
use station_protocol::policy::Policy;
use station_protocol::receipt::{Isolation, Outcome};
use station_protocol::requester::{self, Draft, Requester};
use station_protocol::work::At;
use station_protocol::worker::{self, Report, Via, Worker};
use station_protocol::{Content, SigningKey, Time};

const WORKERS: u8 = 4;
const CAPACITY: u32 = 16;

enum Event {
    Worker(usize, Box<worker::Event>),
    Requester(Box<requester::Event>),
}

struct World {
    workers: Vec<Worker>,
    requester: Requester,
    events: VecDeque<Event>,
    /// The Requester's question → who asked, and the number of the question there.
    asks: BTreeMap<Ticket, (usize, Ticket)>,
    next: u64,
    now: Time,
    peers: Vec<requester::Peer>,
    closed: bool,
}

/// The most megabytes that were resident.
pub(crate) fn million_jobs(short: bool) -> f64 {
    let side = if short { 317 } else { 1_000 };
    let mut world = World::new();
    let list = (0..side).map(ipld_core::ipld::Ipld::Integer).collect::<Vec<_>>();
    let text = |text: &str| Text::new(text).expect("short");
    let jobs = Jobs::product(BTreeMap::from([(text("a"), list.clone()), (text("b"), list)])).expect("a square");
    let draft = Draft {
        name: text("a million"),
        topic: Name::new("bench").expect("a name"),
        module: Content::raw(b"stub"),
        profile: profile(),
        needs: Needs::new(),
        limits: Limits::default(),
        class: Class::Pure(Trust::Fixed(1)),
        labels: Labels::new(),
        contact: Text::cut("bench"),
        deadline_ms: 10 * station_protocol::time::DAY,
        jobs,
        target: None,
        input: station_protocol::experiment::InputForm::DagCbor,
        output: station_protocol::experiment::OutputForm::DagCbor,
        previous: None,
        at_once: None,
    };
    world.events.push_back(Event::Requester(Box::new(requester::Event::Publish { publish: Ticket(0), draft: Box::new(draft), module: Vec::new() })));
    world.run();
    resident_mb()
}

fn profile() -> Name {
    Name::new("station-wasm-2").expect("a name")
}

impl World {
    fn new() -> Self {
        let now = Time(1_800_000_000_000);
        let (network, topic) = (Name::new("bench").expect("a name"), Name::new("bench").expect("a name"));
        let key = |n: u8| SigningKey::from_bytes(&[n; 32]);
        let requester = Requester::restore(requester::Config { network: network.clone() }, key(100), [100; 32], std::iter::empty(), now);
        let config = worker::Config {
            network,
            reach: Reach::Global,
            topics: vec![topic],
            policy: Policy::default(),
            labels: Labels::new(),
            isolation: Isolation::Full,
            profiles: vec![profile()],
            capacity: CAPACITY,
            software: Text::cut("bench"),
            anchor: false,
        };
        let worker = |n: u8| Worker::restore(config.clone(), key(n), [n; 32], std::iter::empty(), now).expect("nothing to restore");
        let peers = (1..=WORKERS).map(|n| requester::Peer { node: key(n).node(), cluster: Cluster::V4([45, 0, n]), is_relayed: false }).collect();
        let mut world = Self {
            workers: (1..=WORKERS).map(worker).collect(),
            requester: requester.expect("nothing to restore"),
            events: VecDeque::new(),
            asks: BTreeMap::new(),
            next: 0,
            now,
            peers,
            closed: false,
        };
        let address = station_protocol::address::Address::parse(&format!("/ip4/192.0.2.1/tcp/1/p2p/{}", key(100).node())).expect("an address");
        world.requester.handle(requester::Event::Addresses(At::first([address])), now);
        world
    }

    fn run(&mut self) {
        while !self.closed {
            self.drain();
            match self.events.pop_front() {
                Some(Event::Worker(worker, event)) => self.workers[worker].handle(*event, self.now),
                Some(Event::Requester(event)) => self.requester.handle(*event, self.now),
                None => self.wait(),
            }
        }
    }

    /// Nothing happens now: time passes until somebody has something to do.
    fn wait(&mut self) {
        let deadlines = self.workers.iter().filter_map(Worker::next_deadline).chain(self.requester.next_deadline());
        self.now = deadlines.min().expect("an open experiment has a deadline").max(self.now.plus(1));
        for worker in 0..self.workers.len() {
            self.events.push_back(Event::Worker(worker, Box::new(worker::Event::Tick)));
        }
        self.events.push_back(Event::Requester(Box::new(requester::Event::Tick)));
    }

    fn drain(&mut self) {
        for worker in 0..self.workers.len() {
            while let Some(action) = self.workers[worker].poll() {
                for effect in effects(action) {
                    self.perform_worker(worker, effect);
                }
            }
        }
        while let Some(action) = self.requester.poll() {
            for effect in effects(action) {
                self.perform_requester(effect);
            }
        }
    }

    fn perform_worker(&mut self, worker: usize, effect: worker::Effect) {
        use worker::Effect as E;
        match effect {
            E::Send { send, request, .. } => {
                self.next += 1;
                let ask = Ticket(self.next);
                self.asks.insert(ask, (worker, send));
                self.events.push_back(Event::Requester(Box::new(requester::Event::Asked { ask, from: self.peers[worker], request })));
            }
            E::Fetch { fetch, .. } => self.events.push_back(Event::Worker(worker, Box::new(worker::Event::Fetched { fetch, result: Ok(()) }))),
            E::Start { execution, .. } => {
                let report =
                    Report { outcome: Outcome::Completed, output: vec![0xa0], transcript: Vec::new(), log: Vec::new(), fuel: 1, duration_ms: 0 };
                self.events.push_back(Event::Worker(worker, Box::new(worker::Event::Finished { execution, report: Ok(report) })));
            }
            E::Judge { .. }
            | E::Answer { .. }
            | E::Stop { .. }
            | E::Counted { .. }
            | E::Neighbours { .. }
            | E::Report { .. }
            | E::PeerTime { .. }
            | E::Note(_) => {}
        }
    }

    fn perform_requester(&mut self, effect: requester::Effect) {
        use requester::Effect as E;
        match effect {
            E::Published { result, .. } => drop(result.expect("published")),
            E::Gossip(call) => {
                for (worker, peer) in self.peers.iter().enumerate() {
                    let via = Via::Gossip { from: peer.node, near: Some(peer.cluster), ticket: Ticket(0) };
                    self.events.push_back(Event::Worker(worker, Box::new(worker::Event::CallHeard { call: call.clone(), via })));
                }
            }
            E::Answer { ask, response } => {
                if let Some((worker, send)) = self.asks.remove(&ask) {
                    self.events.push_back(Event::Worker(worker, Box::new(worker::Event::Answered { send, answer: Ok(response), near: None })));
                }
            }
            E::Note(requester::Note::Closed { .. }) => self.closed = true,
            E::Fetch { .. } | E::Report { .. } | E::Note(_) => {}
        }
    }
}

/// A disk that is always fast and never asked again.
fn effects<E>(action: Action<E>) -> Vec<E> {
    match action {
        Action::Do(effect) => vec![effect],
        Action::Commit(commit) => commit.then,
    }
}

#[expect(clippy::cast_precision_loss, reason = "pages of memory")]
fn resident_mb() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes = text.lines().find(|line| line.starts_with("VmHWM:")).and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.map_or(f64::NAN, |kilobytes| kilobytes as f64 / 1_024.0)
}
