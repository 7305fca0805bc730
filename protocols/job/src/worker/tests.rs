//! Tests of the machine, driven by hand: a station, its clock, a disk that may lose its last Commits, and remotes that say
//! whatever a test wants.

use std::collections::{BTreeMap, VecDeque};

use super::*;
use crate::address::{Address, Reach};
use crate::bounded::{Bytes, List};
use crate::call::{Call, CallState};
use crate::content::{Content, cid_of};
use crate::durable::{Commit, Key, Owners, Ticket};
use crate::experiment::{Class, Experiment, JobsRef, Trust};
use crate::identity::{Hash32, SigningKey};
use crate::time::{HOUR, MINUTE, SECOND, Time};
use crate::work::{Ack, Claim, Deliver, Lease, Leases, Refusal};

mod answers;
mod bounds;
mod calls;
mod claims;
mod clock;
mod cost;
mod deliver;
mod dials;
mod document;
mod modules;
mod neighbours;
mod probes;
mod progress;
mod random;
mod rest;
mod run;
mod schedule;
mod strangers;
mod told;
mod way;

const START: Time = Time(1_800_000_000_000);

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

/// The station under test, and a requester that it meets.
const STATION: u8 = 1;
const REQUESTER: u8 = 2;

fn address(node: NodeId, ip: &str) -> Address {
    Address::parse(&format!("/ip4/{ip}/tcp/4001/p2p/{node}")).expect("an address")
}

fn config() -> Config {
    Config {
        network: name("test"),
        reach: Reach::Any,
        topics: vec![name("topic")],
        policy: Policy::default(),
        labels: Labels::new(),
        isolation: Isolation::ProcessOnly,
        profiles: vec![name("station-wasm-1")],
        capacity: 2,
        software: Text::cut("station/test"),
        anchor: false,
    }
}

fn experiment(requester: u8, tag: &str) -> Experiment {
    Experiment {
        requester: key(requester).node(),
        network: name("test"),
        topic: name("topic"),
        name: Text::cut(tag),
        module: Content::raw(b"module"),
        profile: name("station-wasm-1"),
        needs: Needs::new(),
        limits: Limits::default(),
        class: Class::Pure(Trust::Fixed(3)),
        jobs: JobsRef { root: cid_of(crate::content::DAG_CBOR, b"jobs"), count: 100, target: None },
        labels: Labels::new(),
        deadline: START.plus(HOUR),
        contact: Text::cut("mailto:lab@example.org"),
        commitment: Hash32([7; 32]),
        input: crate::experiment::InputForm::DagCbor,
        output: crate::experiment::OutputForm::DagCbor,
        previous: None,
    }
}

/// A requester's side, as far as a test needs one.
#[derive(Clone)]
struct Lab {
    key: SigningKey,
    experiment: Signed<Experiment>,
    id: ExperimentId,
}

impl Lab {
    fn new(requester: u8, tag: &str) -> Self {
        Self::of(experiment(requester, tag), requester)
    }

    fn of(body: Experiment, requester: u8) -> Self {
        let key = key(requester);
        let id = body.id();
        Self { experiment: key.sign(&name("test"), body), key, id }
    }

    /// Each requester is in a network of its own.
    fn ip(&self) -> String {
        let [a, b, ..] = self.key.node().0;
        format!("198.{a}.{b}.7")
    }

    fn call_with(&self, seq: u64, now: Time, change: impl FnOnce(&mut Call)) -> Signed<Call> {
        let mut call = Call {
            experiment: self.experiment.clone(),
            seq,
            state: CallState::Open,
            claim_below: u64::MAX,
            wanted: 8,
            at: List::first([address(self.key.node(), &self.ip())]),
            nbf: now,
            exp: now.plus(10 * MINUTE),
        };
        change(&mut call);
        self.key.sign(&name("test"), call)
    }

    fn call(&self, seq: u64, now: Time) -> Signed<Call> {
        self.call_with(seq, now, |_| {})
    }

    fn batch(&self, first: u64, count: u64, duration_ms: u64) -> Leases {
        let lease = |position: u64| Lease { index: first.wrapping_add(position), input: Bytes::new(vec![0xa0]).expect("small"), duration_ms };
        Leases { experiment: self.id, node: key(STATION).node(), first, leases: List::first((0..count).map(lease)) }
    }

    fn leases(&self, first: u64, count: u64, duration_ms: u64) -> Response {
        Response::Leases(self.key.sign(&name("test"), self.batch(first, count, duration_ms)))
    }

    fn refusal(&self, reason: ClaimRefused, seq: u64) -> Response {
        let body = Refusal { experiment: self.id, node: key(STATION).node(), reason, seq };
        Response::Refused(self.key.sign(&name("test"), body))
    }

    fn ack_with(&self, change: impl FnOnce(&mut Ack)) -> Response {
        let mut ack = Ack {
            experiment: self.id,
            node: key(STATION).node(),
            held: List::default(),
            refused: List::default(),
            again_ms: 1_000,
            verdicts: List::default(),
            cursor: 0,
            leases: None,
            no_more: None,
        };
        change(&mut ack);
        Response::Acked(Box::new(self.key.sign(&name("test"), ack)))
    }

    fn holds(&self, leases: &[u64]) -> Response {
        self.ack_with(|ack| ack.held = List::first(leases.iter().copied()))
    }
}

/// What left the machine and was performed, in order.
#[derive(Debug)]
struct Out {
    send: Ticket,
    to: NodeId,
    at: At,
    request: Request,
}

struct Station {
    worker: Worker,
    now: Time,
    disk: BTreeMap<Key, Vec<u8>>,
    blobs: BTreeMap<Cid, Vec<u8>>,
    owners: Owners<Key>,
    sent: VecDeque<Out>,
    started: VecDeque<(Ticket, Execution)>,
    stopped: Vec<Ticket>,
    fetches: VecDeque<(Ticket, Content)>,
    others: Vec<Effect>,
    /// Commits that are not durable yet, when the disk is held.
    waiting: VecDeque<Commit<Effect>>,
    disk_held: bool,
}

impl Station {
    fn new(config: Config) -> Self {
        Self::restored(config, BTreeMap::new(), START)
    }

    fn restored(config: Config, disk: BTreeMap<Key, Vec<u8>>, now: Time) -> Self {
        let worker = Worker::restore(config, key(STATION), [9; 32], disk.clone().into_iter(), now).expect("our own records");
        let mut station = Self {
            worker,
            now,
            disk,
            blobs: BTreeMap::new(),
            owners: Owners::default(),
            sent: VecDeque::new(),
            started: VecDeque::new(),
            stopped: Vec::new(),
            fetches: VecDeque::new(),
            others: Vec::new(),
            waiting: VecDeque::new(),
            disk_held: false,
        };
        station.drain();
        station
    }

    fn handle(&mut self, event: Event) {
        self.worker.handle(event, self.now);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(action) = self.worker.poll() {
            match action {
                Action::Do(effect) => self.perform(effect),
                Action::Commit(commit) if self.disk_held => self.waiting.push_back(commit),
                Action::Commit(commit) => self.make_durable(commit),
            }
        }
    }

    fn make_durable(&mut self, commit: Commit<Effect>) {
        self.blobs.extend(commit.blobs);
        self.disk.extend(commit.puts);
        commit.owns.into_iter().for_each(|(owner, cid)| self.owners.own(owner, cid));
        for key in &commit.deletes {
            self.disk.remove(key);
            self.owners.release(key).iter().for_each(|cid| _ = self.blobs.remove(cid));
        }
        for effect in commit.then {
            self.perform(effect);
        }
    }

    fn release_disk(&mut self) {
        self.disk_held = false;
        while let Some(commit) = self.waiting.pop_front() {
            self.make_durable(commit);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Send { send, .. } if !self.worker.awaits(send) => {}
            Effect::Send { send, to, at, request } => self.sent.push_back(Out { send, to, at, request }),
            Effect::Start { execution, job } => self.started.push_back((execution, *job)),
            Effect::Stop { execution } => self.stopped.push(execution),
            Effect::Fetch { fetch, content, .. } => self.fetches.push_back((fetch, content)),
            other => self.others.push(other),
        }
    }

    /// Lets time pass, ticking at every deadline on the way.
    fn pass(&mut self, ms: u64) {
        let end = self.now.plus(ms);
        while let Some(deadline) = self.worker.next_deadline().filter(|deadline| *deadline <= end) {
            self.now = deadline;
            self.handle(Event::Tick);
        }
        self.now = end;
        self.handle(Event::Tick);
    }

    fn hear(&mut self, call: Signed<Call>) {
        self.hear_from(call, key(200).node());
    }

    fn hear_from(&mut self, call: Signed<Call>, from: NodeId) {
        self.hear_near(call, from, None);
    }

    fn hear_near(&mut self, call: Signed<Call>, from: NodeId, near: Option<Cluster>) {
        self.handle(Event::CallHeard { call: Box::new(call), via: Via::Gossip { from, near, ticket: Ticket(0) } });
    }

    fn answer(&mut self, send: Ticket, response: Response) {
        self.handle(Event::Answered { send, answer: Ok(response), near: None });
    }

    /// The same from a requester in the network `near`.
    fn answer_near(&mut self, near: Cluster, send: Ticket, response: Response) {
        self.handle(Event::Answered { send, answer: Ok(response), near: Some(Near { cluster: near, is_relayed: false }) });
    }

    fn fail(&mut self, send: Ticket, failure: SendFailure) {
        self.handle(Event::Answered { send, answer: Err(failure), near: None });
    }

    fn claim(&mut self) -> (Ticket, Claim) {
        match self.sent.pop_front() {
            Some(Out { send, request: Request::Claim(claim), .. }) => (send, claim),
            other => panic!("expected a Claim, found {other:?}"),
        }
    }

    fn deliver(&mut self) -> (Ticket, Deliver) {
        match self.sent.pop_front() {
            Some(Out { send, request: Request::Deliver(deliver), .. }) => (send, deliver),
            other => panic!("expected a Deliver, found {other:?}"),
        }
    }

    fn fetched(&mut self) {
        let (fetch, _) = self.fetches.pop_front().expect("a fetch");
        self.handle(Event::Fetched { fetch, result: Ok(()) });
    }

    fn finish(&mut self) {
        self.finish_with(b"output".to_vec());
    }

    fn finish_with(&mut self, output: Vec<u8>) {
        let (execution, _) = self.started.pop_front().expect("an execution");
        let report = Report { outcome: Outcome::Completed, output, transcript: Vec::new(), log: Vec::new(), fuel: 5, duration_ms: 3 };
        self.handle(Event::Finished { execution, report: Ok(report) });
    }

    /// The last verdict on a Call from gossip.
    fn judged(&self) -> Admission {
        let judged = |effect: &Effect| if let Effect::Judge { admission, .. } = effect { Some(*admission) } else { None };
        self.others.iter().rev().find_map(judged).expect("every gossiped Call is judged")
    }

    fn notes(&self) -> Vec<&Note> {
        self.others.iter().filter_map(|effect| if let Effect::Note(note) = effect { Some(note) } else { None }).collect()
    }

    fn reports(&self) -> Vec<(NodeId, PeerAction)> {
        self.others.iter().filter_map(|effect| if let Effect::Report { node, action } = effect { Some((*node, *action)) } else { None }).collect()
    }

    /// A station that has `count` leases of `lab` and the module, so that executions began.
    fn with_leases(config: Config, lab: &Lab, count: u64, duration_ms: u64) -> Self {
        let mut station = Self::new(config);
        station.hear(lab.call(1, station.now));
        let (send, _) = station.claim();
        station.answer(send, lab.leases(0, count, duration_ms));
        station.fetched();
        station
    }

    /// The same with more leases than slots, from 1 on, of a requester that held the receipt of lease 0.
    fn with_more_leases(config: Config, lab: &Lab, count: u64, duration_ms: u64) -> Self {
        let mut station = Self::with_leases(config, lab, 1, HOUR);
        station.finish();
        let (send, deliver) = station.deliver();
        assert!(u64::from(deliver.free) >= count, "it asks ahead for what ends at once");
        let more = lab.ack_with(|ack| {
            ack.held = List::first([0]);
            ack.leases = Some(lab.batch(1, count, duration_ms));
        });
        station.answer(send, more);
        station
    }
}
