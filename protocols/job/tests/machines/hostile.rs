//! Strangers with free keys beside the honest: a lying requester and a lying peer, who say anything that can be said.
//!
//! The requester gives more leases than it was asked for, names deadlines without end and huge modules, never holds a receipt (or one, to
//! be known), moves, contradicts itself and pushes leases in Acks. The peer tells ground records and Calls that name others' addresses,
//! asks about topics that nobody has, claims with big labels and delivers what nobody leased. Guarantees: whatever they say is signed by
//! their own keys, so that only what honest machines believe can hurt. Deliberately lacks connections to break: those are the world's.

use std::collections::BTreeMap;

use station_protocol::address::Address;
use station_protocol::bounded::{Bytes, List, Text};
use station_protocol::call::{self, CALL_VALID_MS_MAX, Call, CallState};
use station_protocol::census::PeerRecord;
use station_protocol::cluster::Cluster;
use station_protocol::content::{DAG_CBOR, cid_of};
use station_protocol::experiment::{Class, DEADLINE_MS_MAX, Experiment, ExperimentId, JobsRef, Labels, MODULE_BYTES_MAX, Trust};
use station_protocol::identity::Hash32;
use station_protocol::limits::{LIMITS_MAX, Limits};
use station_protocol::receipt::{Isolation, Outcome, Receipt};
use station_protocol::requester::{self, Peer};
use station_protocol::work::{
    Ack, Claim, ClaimRefused, Decline, DeclineReason, Deliver, Delivery, Lease, Leases, Progress, ReceiptRefused, Refusal, Request, Response,
    ReturnReason, Said,
};
use station_protocol::worker::{self, SendFailure, Via};
use station_protocol::{Content, NodeId, Signed, SigningKey, Time};

use crate::luck::Luck;
use crate::station::{name, network, topic};
use crate::world::{Happening, World};

/// Keys they use: some more than once, so that they have a history.
const KEYS: u8 = 6;
/// Until when they go on after the world healed: honest work must come to its end beside them.
const GOES_ON_MS: u64 = 60_000;

pub(crate) struct Hostile {
    keys: Vec<SigningKey>,
    /// What they published, to be published again, otherwise, or closed.
    experiments: BTreeMap<ExperimentId, (usize, Signed<Experiment>)>,
    /// Whose receipts each holds now and then, to be known.
    friendly: bool,
}

impl Hostile {
    pub(crate) fn new(luck: &mut Luck) -> Self {
        let keys = (0..KEYS).map(|number| SigningKey::from_bytes(&[201 + number; 32])).collect();
        Self { keys, experiments: BTreeMap::new(), friendly: luck.chance(300) }
    }

    pub(crate) fn index(&self, node: &NodeId) -> Option<usize> {
        self.keys.iter().position(|key| key.node() == *node)
    }
}

fn count(luck: &mut Luck, most: u64) -> u64 {
    match luck.below(4) {
        0 => 0,
        1 => most,
        _ => luck.below(most + 1),
    }
}

/// Zero, everything, or something between.
fn number(luck: &mut Luck, most: u64) -> u64 {
    match luck.below(4) {
        0 => 0,
        1 => u64::MAX - luck.below(3),
        _ => luck.below(most + 1),
    }
}

fn leases(luck: &mut Luck, experiment: ExperimentId, node: NodeId, asked: u64) -> Leases {
    // What was asked for as often as what was not.
    let many = if luck.chance(500) { asked.min(32) } else { count(luck, 32) };
    let first = if luck.chance(900) { luck.below(400) } else { number(luck, 100) };
    let lease = |position: u64, duration_ms: u64| Lease { index: position, input: Bytes::new(vec![0xa0]).expect("small"), duration_ms };
    let duration_ms = if luck.chance(500) { luck.between(1_000, 60_000) } else { number(luck, 100_000) };
    Leases { experiment, node, first, leases: List::first((0..many).map(|position| lease(position, duration_ms))) }
}

impl World {
    fn hostile_key(&self, number: usize) -> SigningKey {
        self.hostile.as_ref().expect("they are there").keys[number].clone()
    }

    fn some_key(&mut self) -> (usize, SigningKey) {
        let number = self.luck.index(usize::from(KEYS));
        (number, self.hostile_key(number))
    }

    /// One of them does something, and comes back.
    pub(crate) fn hostile_step(&mut self) {
        if self.healed_at.is_some_and(|healed| healed.plus(GOES_ON_MS) < self.now) {
            return;
        }
        let ms = self.luck.between(20, 3_000);
        self.after(ms, Happening::Hostile);
        let victim = self.luck.index(self.stations.len());
        if !self.stations[victim].up || self.stations[victim].stalled_until > self.now {
            return;
        }
        let (number, key) = self.some_key();
        match self.luck.below(10) {
            0..4 => self.publishes(victim, number),
            4 => {
                let topics = if self.luck.chance(700) { vec![topic()] } else { vec![name("elsewhere"), topic()] };
                self.hand_worker(victim, worker::Event::Connected { node: key.node(), topics });
            }
            5 => self.hand_worker(victim, worker::Event::Disconnected { node: key.node() }),
            6 => {
                let asked = if self.luck.chance(500) { topic() } else { name(&format!("invented-{}", self.luck.below(1_000_000))) };
                let have = List::default();
                let request = if self.luck.chance(500) {
                    Request::Calls { topic: asked, have }
                } else {
                    Request::Peers { topic: asked, have: List::default() }
                };
                let ask = self.ticket();
                self.hand_worker(victim, worker::Event::Asked { ask, from: key.node(), request });
            }
            7 => {
                let by = Cluster::V4([46, 1, u8::try_from(self.luck.below(200)).expect("small")]);
                let ip = std::net::Ipv4Addr::new(46, 2, u8::try_from(self.luck.below(200)).expect("small"), 1);
                self.hand_worker(victim, worker::Event::Seen { by, ip: ip.into() });
            }
            _ => self.claims_or_delivers(victim, &key),
        }
    }

    fn experiment_of(&mut self, number: usize, key: &SigningKey) -> Signed<Experiment> {
        let hostile = self.hostile.as_ref().expect("they are there");
        let own: Vec<_> = hostile.experiments.values().filter(|(of, _)| *of == number).map(|(_, experiment)| experiment.clone()).collect();
        if !own.is_empty() && self.luck.chance(700) {
            return own[self.luck.index(own.len())].clone();
        }
        let deadline = match self.luck.below(5) {
            0 => Time(u64::MAX),
            1 => self.now.plus(DEADLINE_MS_MAX),
            _ => self.now.plus(self.luck.between(1_000, 200_000)),
        };
        let bytes = if self.luck.chance(200) { MODULE_BYTES_MAX + self.luck.below(2) } else { 6 };
        let most = self.luck.chance(200);
        let body = Experiment {
            requester: key.node(),
            network: network(),
            topic: topic(),
            name: Text::cut(&format!("hostile {}", self.luck.below(1_000_000))),
            module: Content { bytes, ..Content::raw(b"module") },
            profile: name("station-wasm-1"),
            needs: BTreeMap::new(),
            limits: if most { LIMITS_MAX } else { Limits::default() },
            class: Class::Pure(Trust::Fixed(1)),
            jobs: JobsRef { root: cid_of(DAG_CBOR, b"jobs"), count: u64::MAX, target: None },
            labels: Labels::new(),
            deadline,
            contact: Text::cut(""),
            commitment: Hash32([7; 32]),
            input: station_protocol::experiment::InputForm::DagCbor,
            output: station_protocol::experiment::OutputForm::DagCbor,
            previous: None,
        };
        key.sign(&network(), body)
    }

    fn call_of(&mut self, number: usize) -> Signed<Call> {
        let key = self.hostile_key(number);
        let experiment = self.experiment_of(number, &key);
        let victims: Vec<std::net::IpAddr> = self.stations.iter().flat_map(|station| station.at.iter().map(Address::ip)).collect();
        let mut at = Vec::new();
        for _ in 0..self.luck.below(9) {
            let ip = if self.luck.chance(500) { victims[self.luck.index(victims.len())] } else { std::net::Ipv4Addr::new(46, 3, 4, 5).into() };
            let port = 1 + self.luck.below(60_000);
            at.push(Address::parse(&format!("/ip4/{ip}/tcp/{port}/p2p/{}", key.node())).expect("an address"));
        }
        let nbf = self.now.minus(self.luck.below(20_000));
        let log = cid_of(DAG_CBOR, b"log");
        let body = Call {
            experiment,
            seq: self.luck.below(5),
            state: if self.luck.chance(100) { CallState::Closed { log } } else { CallState::Open },
            claim_below: if self.luck.chance(800) { u64::MAX } else { self.luck.below(u64::MAX) },
            wanted: u32::try_from(self.luck.below(9)).expect("small"),
            at: List::first(at),
            nbf,
            exp: nbf.plus(CALL_VALID_MS_MAX),
        };
        key.sign(&network(), body)
    }

    fn publishes(&mut self, victim: usize, number: usize) {
        let call = self.call_of(number);
        let body = &call.body.experiment.body;
        let allowed = body.deadline <= call.body.nbf.plus(DEADLINE_MS_MAX) && body.module.bytes <= MODULE_BYTES_MAX;
        assert_eq!(call::check_decoded(&call, &network(), &topic()).is_ok(), allowed, "the border knows the bounds");
        if !allowed {
            return;
        }
        let hostile = self.hostile.as_mut().expect("they are there");
        hostile.experiments.insert(call.body.id(), (number, call.body.experiment.clone()));
        let (_, from) = self.some_key();
        let ticket = self.ticket();
        self.hand_worker(victim, worker::Event::CallHeard { call: Box::new(call), via: Via::Gossip { from: from.node(), near: None, ticket } });
    }

    /// A question of an honest station to one of them: `None` where it never answers.
    pub(crate) fn hostile_answer(&mut self, from: usize, number: usize, request: &Request) -> Option<Result<Response, SendFailure>> {
        let key = self.hostile_key(number);
        let node = self.stations[from].node;
        match self.luck.below(12) {
            0 => return None,
            1 => return Some(Err(SendFailure::NoAnswer)),
            2 => return Some(Err(SendFailure::Unreachable)),
            3 => return Some(Err(SendFailure::WrongNode)),
            4 => return Some(Ok(Response::Unserved)),
            5 => return Some(Ok(Response::Noted)),
            _ => {}
        }
        let (id, free, named) = match request {
            Request::Calls { .. } => return Some(Ok(self.tells_calls())),
            Request::Peers { .. } => return Some(Ok(self.tells_records())),
            Request::Claim(claim) => (claim.experiment, claim.free, Vec::new()),
            Request::Deliver(deliver) => {
                (deliver.experiment, deliver.free, deliver.receipts.iter().map(|delivery| delivery.receipt.body.lease).collect())
            }
            Request::Decline(_) | Request::Progress(_) | Request::Status { .. } => return Some(Ok(Response::Noted)),
        };
        let luck = &mut self.luck;
        let response = match luck.below(8) {
            0 => Response::Wait { ms: u32::MAX },
            1 => {
                let reason = [ClaimRefused::Enough, ClaimRefused::Busy, ClaimRefused::Closed, ClaimRefused::NotSampled][luck.index(4)];
                Response::Refused(key.sign(&network(), Refusal { experiment: id, node, reason, seq: number_of(luck) }))
            }
            2..5 => Response::Leases(key.sign(&network(), leases(luck, id, node, free.into()))),
            _ => self.acks(&key, id, node, free, &named),
        };
        Some(Ok(response))
    }

    fn acks(&mut self, key: &SigningKey, id: ExperimentId, node: NodeId, free: u32, named: &[u64]) -> Response {
        let friendly = self.hostile.as_ref().is_some_and(|hostile| hostile.friendly) && self.luck.chance(300);
        let luck = &mut self.luck;
        // Receipts that were never delivered are worth nothing.
        let held: Vec<u64> =
            if friendly { named.to_vec() } else { vec![number_of(luck)].into_iter().filter(|lease| !named.contains(lease)).collect() };
        let ack = Ack {
            experiment: id,
            node,
            held: List::first(held),
            refused: List::first(named.iter().copied().filter(|_| luck.chance(100)).map(|lease| (lease, ReceiptRefused::Output))),
            again_ms: u32::try_from(luck.below(u64::from(u32::MAX))).expect("it is small"),
            verdicts: List::default(),
            cursor: number_of(luck),
            leases: luck.chance(700).then(|| leases(luck, id, node, free.into())),
            no_more: luck.chance(50).then_some(ClaimRefused::Busy),
        };
        if friendly && !named.is_empty() {
            self.model.acquainted(node, key.node());
        }
        Response::Acked(Box::new(key.sign(&network(), ack)))
    }

    fn tells_calls(&mut self) -> Response {
        let count = count(&mut self.luck, 12);
        let calls: Vec<Signed<Call>> = (0..count)
            .map(|_| {
                let (number, _) = self.some_key();
                let call = self.call_of(number);
                if call::check_decoded(&call, &network(), &topic()).is_ok() {
                    let hostile = self.hostile.as_mut().expect("they are there");
                    hostile.experiments.insert(call.body.id(), (number, call.body.experiment.clone()));
                }
                call
            })
            .collect();
        Response::Calls { calls: List::first(calls) }
    }

    /// Records of keys without end, each in a network of its own or all in one.
    fn tells_records(&mut self) -> Response {
        let one_network = self.luck.chance(500);
        let count = count(&mut self.luck, 20);
        let records: Vec<Signed<PeerRecord>> = (0..count)
            .map(|_| {
                let mut secret = self.luck.seed();
                secret[0] = 250;
                let key = SigningKey::from_bytes(&secret);
                let net = if one_network { 1 } else { self.luck.below(250) };
                let text = format!("/ip4/46.4.{net}.{}/tcp/1/p2p/{}", 1 + self.luck.below(200), key.node());
                let at = if self.luck.chance(900) { List::first([Address::parse(&text).expect("an address")]) } else { List::default() };
                let made = if self.luck.chance(900) { self.now } else { Time(number_of(&mut self.luck)) };
                key.sign(&network(), PeerRecord { node: key.node(), topic: topic(), at, made })
            })
            .collect();
        Response::Peers { time: Time(0), records: List::first(records) }
    }

    /// What a lying peer says to a requester.
    fn claims_or_delivers(&mut self, victim: usize, key: &SigningKey) {
        let known: Vec<ExperimentId> = self.model.known.keys().copied().collect();
        let experiment = if known.is_empty() || self.luck.chance(100) { cid_of(DAG_CBOR, b"nothing") } else { known[self.luck.index(known.len())] };
        let label = |label: u64| (name(&format!("{label:0>64}")), List::first((0..16).map(|value| name(&format!("{value:0>64}")))));
        let many = self.luck.chance(500);
        let request = match self.luck.below(5) {
            0..2 => Request::Claim(Claim {
                experiment,
                capacity: u32::MAX,
                free: if self.luck.chance(500) { 0 } else { u32::MAX },
                holding: List::first((0..self.luck.below(256)).map(|lease| lease * 3)),
                profiles: List::first([name("station-wasm-1")]),
                isolation: Isolation::Full,
                labels: Labels::of((0..u64::from(many)).map(label)).expect("as large as labels get"),
                policy: Hash32([1; 32]),
            }),
            2 => Request::Decline(Decline { experiment, reason: DeclineReason::Target }),
            3 => Request::Progress(Progress { experiment, said: List::first((0..64).map(|lease| said(lease * 2))) }),
            _ => Request::Deliver(Deliver {
                experiment,
                receipts: List::first((0..self.luck.below(4)).map(|lease| self.false_receipt(experiment, lease * 5, key))),
                holding: List::first([number_of(&mut self.luck)]),
                free: u32::MAX,
                cursor: number_of(&mut self.luck),
                returned: List::first((0..self.luck.below(20)).map(|lease| (lease, ReturnReason::Drain))),
            }),
        };
        let ask = self.ticket();
        let from = Peer { node: key.node(), cluster: Cluster::V4([46, 9, 9]), is_relayed: false };
        self.hand_requester(victim, requester::Event::Asked { ask, from, request });
    }

    /// For a lease that somebody else has, or nobody, with the signature of another network.
    fn false_receipt(&self, experiment: ExperimentId, lease: u64, key: &SigningKey) -> Delivery {
        let receipt = Receipt {
            experiment,
            index: lease,
            lease,
            node: key.node(),
            profile: name("station-wasm-1"),
            isolation: Isolation::Full,
            outcome: Outcome::Completed,
            output: Some(Content::raw(b"false")),
            transcript: None,
            fuel: u64::MAX,
            started_ms: u64::MAX,
            duration_ms: u64::MAX,
            software: Text::cut("hostile"),
        };
        Delivery {
            receipt: key.sign(&name("elsewhere"), receipt),
            output: Some(Bytes::new(b"false".to_vec()).expect("small")),
            transcript: None,
            log: None,
        }
    }
}

/// What the guest of `lease` is said to say.
fn said(lease: u64) -> Said {
    Said { lease, permille: u32::MAX, message: Text::cut(&"m".repeat(256)) }
}

fn number_of(luck: &mut Luck) -> u64 {
    number(luck, 400)
}
