//! A Requester on a disk that can lose what is not durable, and stations that answer as the tests tell them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use cid::Cid;
use ipld_core::ipld::Ipld;

use crate::address::Reach;
use crate::bounded::{Bytes, List, Name, Text};
use crate::call::Call;
use crate::cluster::Cluster;
use crate::content::Content;
use crate::durable::{Commit, Key, Owners, Ticket};
use crate::experiment::{Class, ExperimentId, Labels, Measurement, Spread, Trust};
use crate::identity::{Hash32, Signed, SigningKey};
use crate::jobs::Jobs;
use crate::limits::Limits;
use crate::log::{Page, ROOT_BYTES_MAX, Root};
use crate::receipt::{Isolation, LeaseNumber, Outcome, Receipt};
use crate::requester::{Action, Config, Draft, Effect, Event, Note, Peer, PublishError, Requester};
use crate::time::Time;
use crate::work::{Ack, Claim, Deliver, Delivery, Lease, Request, Response, ReturnReason};

pub(super) const START: Time = Time(1_800_000_000_000);

pub(super) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(super) fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

pub(super) fn peer(number: u8) -> Peer {
    seen(number, [45, 0, number, 1], None)
}

/// The same station at another address of a public network, directly or as `relay` stands there.
pub(super) fn seen(number: u8, ip: [u8; 4], relay: Option<u8>) -> Peer {
    let (node, relay) = (key(number).node(), relay.map(|relay| key(relay).node()));
    Peer { node, cluster: Cluster::of(node, IpAddr::from(ip), relay, Reach::Global), is_relayed: relay.is_some() }
}

pub(super) fn draft(class: Class, jobs: i128) -> Draft {
    Draft {
        name: Text::cut("test"),
        topic: name("topic"),
        module: Content::raw(b"module"),
        profile: name("station-wasm-1"),
        needs: BTreeMap::new(),
        limits: Limits::default(),
        class,
        labels: Labels::new(),
        contact: Text::cut("mailto:a@example.org"),
        deadline_ms: 3_600_000,
        jobs: Jobs::explicit((0..jobs).map(Ipld::Integer).collect()).unwrap(),
        target: None,
        input: crate::experiment::InputForm::DagCbor,
        output: crate::experiment::OutputForm::DagCbor,
        previous: None,
        at_once: None,
    }
}

pub(super) fn fixed(count: u16) -> Class {
    Class::Pure(Trust::Fixed(count))
}

pub(super) fn measurement(stations: u32) -> Class {
    let exact = List::first([Text::cut("verdict")]);
    Class::Measurement(Measurement { stations, spread: Spread::Network, exact, report: List::default() })
}

pub(super) struct World {
    pub(super) machine: Requester,
    pub(super) now: Time,
    pub(super) disk: BTreeMap<Key, Vec<u8>>,
    pub(super) blobs: BTreeMap<Cid, Vec<u8>>,
    owners: Owners<Key>,
    /// Commits not yet durable.
    pub(super) waiting: Vec<Commit<Effect>>,
    /// Whether the disk takes Commits at once.
    pub(super) prompt: bool,
    pub(super) effects: Vec<Effect>,
    asks: u64,
}

impl World {
    pub(super) fn new() -> Self {
        let machine = Requester::restore(Config { network: name("test") }, key(200), [7; 32], std::iter::empty(), START).unwrap();
        Self {
            machine,
            now: START,
            disk: BTreeMap::new(),
            blobs: BTreeMap::new(),
            owners: Owners::default(),
            waiting: Vec::new(),
            prompt: true,
            effects: Vec::new(),
            asks: 0,
        }
    }

    pub(super) fn handle(&mut self, event: Event) {
        self.machine.handle(event, self.now);
        self.drain();
    }

    pub(super) fn drain(&mut self) {
        while let Some(action) = self.machine.poll() {
            match action {
                Action::Do(effect) => self.effects.push(effect),
                Action::Commit(commit) => self.waiting.push(commit),
            }
        }
        if self.prompt {
            self.sync();
        }
    }

    /// Makes every waiting Commit durable, in order, and performs its effects.
    pub(super) fn sync(&mut self) {
        for commit in std::mem::take(&mut self.waiting) {
            let effects = self.write(commit);
            self.effects.extend(effects);
        }
    }

    /// Makes one Commit durable; its effects are the caller's.
    pub(super) fn write(&mut self, commit: Commit<Effect>) -> Vec<Effect> {
        self.blobs.extend(commit.blobs);
        self.disk.extend(commit.puts);
        for (owner, cid) in commit.owns {
            assert!(self.blobs.contains_key(&cid), "a record owns a blob that is not here");
            self.owners.own(owner, cid);
        }
        for key in commit.deletes {
            self.disk.remove(&key);
            self.owners.release(&key).iter().for_each(|cid| _ = self.blobs.remove(cid));
        }
        commit.then
    }

    /// The blobs that others may fetch.
    pub(super) fn for_others(&self) -> Vec<Cid> {
        self.owners.of(crate::requester::is_for_others)
    }

    /// Records of closed experiments beside the closed one and those that own its blobs and logs.
    pub(super) fn left_behind(&self) -> usize {
        self.disk.keys().filter(|key| !matches!(key.0[0], b'C' | b'B' | b'P' | b'G')).count()
    }

    /// The process dies: Commits that wait are lost, and a new machine reads the disk.
    pub(super) fn crash(&mut self) {
        self.waiting.clear();
        let records = self.disk.clone().into_iter();
        self.machine = Requester::restore(Config { network: name("test") }, key(200), [8; 32], records, self.now).unwrap();
        self.drain();
    }

    /// Moves time to the next deadlines until `until`.
    pub(super) fn pass(&mut self, ms: u64) {
        let until = self.now.plus(ms);
        while let Some(next) = self.machine.next_deadline().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            self.handle(Event::Tick);
        }
        self.now = until;
        self.handle(Event::Tick);
    }

    pub(super) fn try_publish(&mut self, draft: Draft) -> Result<ExperimentId, PublishError> {
        self.handle(Event::Publish { publish: Ticket(0), draft: Box::new(draft), module: Vec::new() });
        let published = self.effects.iter().rev().find_map(|effect| match effect {
            Effect::Published { result, .. } => Some(result.clone()),
            _ => None,
        });
        published.unwrap()
    }

    pub(super) fn publish(&mut self, draft: Draft) -> ExperimentId {
        self.try_publish(draft).unwrap()
    }

    pub(super) fn ask(&mut self, from: Peer, request: Request) -> Response {
        self.asks += 1;
        let ask = Ticket(self.asks);
        self.handle(Event::Asked { ask, from, request });
        self.answer_to(ask).unwrap()
    }

    pub(super) fn answer_to(&self, asked: Ticket) -> Option<Response> {
        self.effects.iter().find_map(|effect| match effect {
            Effect::Answer { ask, response } if *ask == asked => Some(response.clone()),
            _ => None,
        })
    }

    pub(super) fn claim(&mut self, id: ExperimentId, station: u8, holding: &[LeaseNumber]) -> Response {
        self.ask(peer(station), Request::Claim(claim(id, holding)))
    }

    /// The leases that `station` gets by claiming.
    pub(super) fn leases(&mut self, id: ExperimentId, station: u8) -> Vec<(LeaseNumber, Lease)> {
        match self.claim(id, station, &[]) {
            Response::Leases(leases) => numbered(leases.body),
            other => panic!("no leases but {other:?}"),
        }
    }

    pub(super) fn deliver(&mut self, id: ExperimentId, station: u8, receipts: Vec<Delivery>) -> Ack {
        self.deliver_all(id, station, receipts, &[], &[])
    }

    pub(super) fn deliver_all(
        &mut self,
        id: ExperimentId,
        station: u8,
        receipts: Vec<Delivery>,
        holding: &[LeaseNumber],
        returned: &[LeaseNumber],
    ) -> Ack {
        let deliver = Deliver {
            experiment: id,
            receipts: List::new(receipts).unwrap(),
            holding: List::first(holding.iter().copied()),
            free: 4,
            cursor: 0,
            returned: List::first(returned.iter().map(|lease| (*lease, ReturnReason::Drain))),
        };
        match self.ask(peer(station), Request::Deliver(deliver)) {
            Response::Acked(ack) => ack.body,
            other => panic!("no Ack but {other:?}"),
        }
    }

    pub(super) fn calls(&self) -> Vec<Signed<Call>> {
        let call = |effect: &Effect| match effect {
            Effect::Gossip(call) => Some((**call).clone()),
            _ => None,
        };
        self.effects.iter().filter_map(call).collect()
    }

    pub(super) fn settled(&self) -> Vec<u64> {
        let settled = |effect: &Effect| match effect {
            Effect::Note(Note::Settled { verdict, .. }) => Some(verdict.index),
            _ => None,
        };
        self.effects.iter().filter_map(settled).collect()
    }

    /// Root and pages of a closed Log, from the blobs.
    pub(super) fn log(&self, id: &ExperimentId) -> (Root, Vec<Page>) {
        let log = self.machine.view(id).unwrap().status.log.unwrap();
        let root: Root = crate::codec::decode(&self.blobs[&log], ROOT_BYTES_MAX).unwrap();
        let page = |cid: &Cid| crate::codec::decode(&self.blobs[cid], ROOT_BYTES_MAX).unwrap();
        let pages = root.pages.iter().map(page).collect();
        (root, pages)
    }

    /// Works as `stations` until the experiment is closed.
    pub(super) fn run_all(&mut self, id: ExperimentId, stations: &[u8]) {
        let mut hands: BTreeMap<u8, Vec<(LeaseNumber, Lease)>> = BTreeMap::new();
        let mut gone = BTreeSet::new();
        while gone.len() < stations.len() {
            for station in stations {
                let hand = hands.entry(*station).or_default();
                if hand.is_empty() {
                    match self.claim(id, *station, &[]) {
                        Response::Leases(leases) => *hand = numbered(leases.body),
                        Response::Wait { .. } => continue,
                        Response::Refused(_) => _ = gone.insert(*station),
                        other => panic!("{other:?}"),
                    }
                }
                let receipts = std::mem::take(hand).into_iter().map(|(number, lease)| delivery(id, *station, number, lease.index, b"out"));
                let ack = self.deliver(id, *station, receipts.collect());
                assert!(ack.refused.is_empty(), "{:?}", ack.refused);
                *hands.entry(*station).or_default() = ack.leases.map(numbered).unwrap_or_default();
                assert_eq!(ack.node, peer(*station).node);
            }
        }
    }
}

pub(super) fn numbered(leases: crate::work::Leases) -> Vec<(LeaseNumber, Lease)> {
    (leases.first..).zip(leases.leases).collect()
}

pub(super) fn claim(id: ExperimentId, holding: &[LeaseNumber]) -> Claim {
    Claim {
        experiment: id,
        capacity: 4,
        free: 4,
        holding: List::first(holding.iter().copied()),
        profiles: List::first([name("station-wasm-1")]),
        isolation: Isolation::Full,
        labels: Labels::new(),
        policy: Hash32::default(),
    }
}

pub(super) fn receipt(id: ExperimentId, station: u8, lease: LeaseNumber, index: u64, output: &[u8]) -> Receipt {
    Receipt {
        experiment: id,
        index,
        lease,
        node: key(station).node(),
        profile: name("station-wasm-1"),
        isolation: Isolation::Full,
        outcome: Outcome::Completed,
        output: Some(Content::raw(output)),
        transcript: None,
        fuel: 7,
        started_ms: 0,
        duration_ms: 3,
        software: Text::cut("test"),
    }
}

/// A good delivery with its output inline.
pub(super) fn delivery(id: ExperimentId, station: u8, lease: LeaseNumber, index: u64, output: &[u8]) -> Delivery {
    signed(station, receipt(id, station, lease, index, output), Some(output))
}

pub(super) fn signed(station: u8, receipt: Receipt, output: Option<&[u8]>) -> Delivery {
    let output = output.map(|output| Bytes::new(output.to_vec()).unwrap());
    Delivery { receipt: key(station).sign(&name("test"), receipt), output, transcript: None, log: None }
}
