//! A station of the world: both machines on their disks, and what the world knows of it.

use std::collections::{BTreeMap, BTreeSet};

use station_protocol::address::{Address, Reach};
use station_protocol::bounded::{List, Name, Text};
use station_protocol::cluster::Cluster;
use station_protocol::durable::Ticket;
use station_protocol::experiment::{ExperimentId, Labels};
use station_protocol::policy::Policy;
use station_protocol::receipt::Isolation;
use station_protocol::requester::{self, Requester};
use station_protocol::work::{At, Request};
use station_protocol::worker::{self, Execution, Worker};
use station_protocol::{NodeId, SigningKey, Time};

use crate::blobs::Blobs;
use crate::disk::Disk;

/// What a station does with the jobs it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conduct {
    Honest,
    /// Says something else than the others; liars agree with each other.
    Liar,
    /// Takes leases and never ends an execution by itself.
    Silent,
}

/// Which of a station's two machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Worker,
    Requester,
}

/// A question that waits for this station's answer.
#[derive(Clone, Copy)]
pub(crate) struct Asker {
    pub(crate) station: usize,
    pub(crate) life: u64,
    pub(crate) send: Ticket,
}

/// A question of this station's that waits for an answer.
pub(crate) struct Asked {
    pub(crate) to: usize,
    /// A Claim or a Deliver of which no copy was answered: one of those at a time per pair.
    pub(crate) work: Option<Request>,
}

pub(crate) struct Station {
    pub(crate) key: SigningKey,
    pub(crate) node: NodeId,
    pub(crate) cluster: Cluster,
    pub(crate) at: At,
    pub(crate) conduct: Conduct,
    pub(crate) config: worker::Config,
    pub(crate) up: bool,
    /// How often it began anew.
    pub(crate) life: u64,
    /// How far its wall clock is ahead of the world's.
    pub(crate) ahead_ms: u64,
    pub(crate) stalled_until: Time,
    pub(crate) worker: Worker,
    pub(crate) requester: Requester,
    pub(crate) worker_disk: Disk<worker::Effect>,
    pub(crate) requester_disk: Disk<requester::Effect>,
    /// One store for both.
    pub(crate) blobs: Blobs,
    pub(crate) askers: BTreeMap<Ticket, Asker>,
    pub(crate) asked: BTreeMap<Ticket, Asked>,
    pub(crate) executions: BTreeMap<Ticket, Execution>,
    pub(crate) seen: BTreeSet<(ExperimentId, u64)>,
    /// When the world next ticks each machine.
    pub(crate) ticks: [Option<Time>; 2],
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

/// The network that every station of a world is on.
pub(crate) fn network() -> Name {
    name("test")
}

pub(crate) fn topic() -> Name {
    name("topic")
}

fn key_of(number: usize) -> SigningKey {
    SigningKey::from_bytes(&[u8::try_from(number).expect("a small world") + 1; 32])
}

pub(crate) fn address(node: NodeId, [a, b, c, d]: [u8; 4]) -> Address {
    Address::parse(&format!("/ip4/{a}.{b}.{c}.{d}/tcp/4001/p2p/{node}")).expect("an address")
}

/// The network number decides the cluster; stations with the same one share a seat.
pub(crate) fn new(number: usize, net: u8, conduct: Conduct, capacity: u32, anchor: bool, researchers: usize, now: Time) -> Station {
    let key = key_of(number);
    let node = key.node();
    let host = u8::try_from(number).expect("a small world");
    let address = address(node, [198, 51, net, host + 1]);
    let allow = |number| format!("[[allow]]\nrequester = \"{}\"\ncapability = \"http\"\ntargets = [\"*\"]\n", key_of(number).node());
    let policy: String = (0..researchers).map(allow).collect();
    let config = worker::Config {
        network: network(),
        reach: Reach::Any,
        topics: vec![topic()],
        policy: Policy::parse(&policy, &BTreeMap::new()).expect("a policy"),
        labels: Labels::new(),
        isolation: Isolation::Full,
        profiles: vec![name("station-wasm-1")],
        capacity,
        software: Text::cut("test"),
        anchor,
    };
    let (worker, requester) = machines(&config, &key, [[0; 32]; 2], &Disk::new(), &Disk::new(), now);
    Station {
        node,
        cluster: Cluster::of_address(&address, Reach::Any),
        at: List::first([address]),
        key,
        conduct,
        config,
        up: false,
        life: 0,
        ahead_ms: 0,
        stalled_until: now,
        worker,
        requester,
        worker_disk: Disk::new(),
        requester_disk: Disk::new(),
        blobs: Blobs::default(),
        askers: BTreeMap::new(),
        asked: BTreeMap::new(),
        executions: BTreeMap::new(),
        seen: BTreeSet::new(),
        ticks: [None; 2],
    }
}

fn machines(
    config: &worker::Config,
    key: &SigningKey,
    seeds: [[u8; 32]; 2],
    worker_disk: &Disk<worker::Effect>,
    requester_disk: &Disk<requester::Effect>,
    now: Time,
) -> (Worker, Requester) {
    let worker = Worker::restore(config.clone(), key.clone(), seeds[0], worker_disk.records.clone().into_iter(), now);
    let config = requester::Config { network: config.network.clone() };
    let requester = Requester::restore(config, key.clone(), seeds[1], requester_disk.records.clone().into_iter(), now);
    (worker.expect("its own records"), requester.expect("its own records"))
}

impl Station {
    /// What its clock says when the world's says `now`.
    pub(crate) fn clock(&self, now: Time) -> Time {
        now.plus(self.ahead_ms)
    }

    /// Both machines from what is durable.
    pub(crate) fn restore(&mut self, seeds: [[u8; 32]; 2], now: Time) {
        let now = self.clock(now);
        (self.worker, self.requester) = machines(&self.config, &self.key, seeds, &self.worker_disk, &self.requester_disk, now);
        self.up = true;
        self.ticks = [None; 2];
    }

    /// A Requester that has what is durable now and nothing else.
    pub(crate) fn shadow(&self, seed: [u8; 32], now: Time) -> Requester {
        let config = requester::Config { network: self.config.network.clone() };
        let records = self.requester_disk.records.clone().into_iter();
        Requester::restore(config, self.key.clone(), seed, records, self.clock(now)).expect("its own records")
    }

    pub(crate) fn deadline(&self, side: Side) -> Option<Time> {
        let local = match side {
            Side::Worker => self.worker.next_deadline(),
            Side::Requester => self.requester.next_deadline(),
        };
        local.map(|at| at.minus(self.ahead_ms))
    }
}
