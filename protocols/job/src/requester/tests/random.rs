//! Random events against a naive model: stations that answer in any order or never, a disk that loses what is not durable, crashes
//! before, between and after every Commit and its effects.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::run::{LOST_MAX, VAIN_MAX};
use super::world::*;
use crate::bounded::List;
use crate::cluster::Cluster;
use crate::content::Content;
use crate::durable::Ticket;
use crate::experiment::{Class, ExperimentId, Labels};
use crate::identity::NodeId;
use crate::jobs::BLOCK_BYTES_MAX;
use crate::lease::GRACE_MS;
use crate::log::{self, Entry};
use crate::receipt::{INLINE_BYTES_MAX, LeaseNumber, Outcome, Receipt};
use crate::requester::{Effect, Event, Note};
use crate::time::{SECOND, Time};
use crate::work::{Claim, Deliver, Delivery, Lease, ReceiptRefused, Request, Response, ReturnReason};

/// Stations in a case: more than any job wants, with two behind one /24.
const STATIONS: u8 = 6;
/// Keys of liars beside them, in two networks.
const LIARS: std::ops::RangeInclusive<u8> = 20..=51;

#[derive(Clone, Debug)]
enum Step {
    Claim(u8),
    /// Delivers up to so many of what the station holds; the byte says what the receipts say.
    Deliver(u8, usize, u8),
    /// Delivers again what was delivered before.
    Repeat(u8),
    Return(u8),
    /// The station forgets the leases it has.
    Forget(u8),
    Pass(u64),
    /// A key of the liars does what no honest station does.
    Lie(u8, Lie),
    /// The disk takes the next Commits.
    Sync(usize),
    /// The disk takes so many Commits, then the process dies before their effects.
    Crash(usize),
}

#[derive(Clone, Copy, Debug)]
enum Lie {
    /// Claims with as large labels as there are, others each time.
    Claim(u8),
    /// Delivers an output that it never serves.
    Unserved,
    /// Delivers with an output that is not the one that its receipt names.
    Forged,
    /// Delivers as large an output as stands beside a receipt, and says that it took for ever.
    Huge,
    /// Delivers twice, each time something else.
    Contradiction,
    /// Delivers receipts of others, and of leases that nobody has.
    Replay,
    /// Returns everything that is outstanding, its own or not, and numbers that never were.
    Return,
}

fn lie() -> impl Strategy<Value = Lie> {
    prop_oneof![
        4 => any::<u8>().prop_map(Lie::Claim),
        1 => Just(Lie::Unserved),
        1 => Just(Lie::Forged),
        1 => Just(Lie::Huge),
        1 => Just(Lie::Contradiction),
        1 => Just(Lie::Replay),
        1 => Just(Lie::Return),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (LIARS, lie()).prop_map(|(key, lie)| Step::Lie(key, lie)),
        6 => (1..=STATIONS).prop_map(Step::Claim),
        6 => (1..=STATIONS, 1..5_usize, 0..12_u8).prop_map(|(station, most, says)| Step::Deliver(station, most, says)),
        1 => (1..=STATIONS).prop_map(Step::Repeat),
        1 => (1..=STATIONS).prop_map(Step::Return),
        1 => (1..=STATIONS).prop_map(Step::Forget),
        2 => prop_oneof![0..3 * SECOND, Just(40 * SECOND), Just(110 * SECOND)].prop_map(Step::Pass),
        8 => (0..6_usize).prop_map(Step::Sync),
        1 => (0..4_usize).prop_map(Step::Crash),
    ]
}

/// What everybody may know from what was sent.
#[derive(Default)]
struct Model {
    hands: BTreeMap<u8, BTreeMap<LeaseNumber, Lease>>,
    delivered: BTreeMap<u8, Vec<Delivery>>,
    asked: BTreeMap<Ticket, (u8, Vec<LeaseNumber>)>,
    /// To whom a number was granted, for which job, and until when it may be delivered.
    granted: BTreeMap<LeaseNumber, (u8, u64, Time)>,
    /// When a receipt was first handed over.
    handed: BTreeMap<LeaseNumber, Time>,
    held: BTreeSet<LeaseNumber>,
    settled: BTreeSet<u64>,
    seq: u64,
    tickets: u64,
}

struct Case {
    world: World,
    model: Model,
    id: ExperimentId,
}

impl Case {
    fn new(class: Class, jobs: i128) -> Self {
        let mut world = World::new();
        let id = world.publish(draft(class, jobs));
        world.prompt = false;
        let mut case = Self { world, model: Model { tickets: 1_000, ..Model::default() }, id };
        case.observe();
        case
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Claim(station) => {
                let holding: Vec<_> = self.model.hands.entry(station).or_default().keys().copied().collect();
                self.ask(station, Request::Claim(claim(self.id, &holding)), vec![]);
            }
            Step::Deliver(station, most, says) => {
                let hand = self.model.hands.entry(station).or_default();
                let numbers: Vec<_> = hand.keys().copied().take(most).collect();
                let leases: Vec<_> = numbers.iter().filter_map(|number| Some((*number, hand.remove(number)?))).collect();
                let receipts: Vec<Delivery> = leases.iter().map(|(number, lease)| self.says(station, *number, lease.index, says)).collect();
                self.model.delivered.entry(station).or_default().extend(receipts.clone());
                self.deliver(station, receipts, &[]);
            }
            Step::Repeat(station) => {
                let receipts = self.model.delivered.get(&station).map(|all| all.iter().rev().take(8).cloned().collect());
                self.deliver(station, receipts.unwrap_or_default(), &[]);
            }
            Step::Return(station) => {
                let hand = std::mem::take(self.model.hands.entry(station).or_default());
                let numbers: Vec<_> = hand.into_keys().collect();
                self.deliver(station, vec![], &numbers);
            }
            Step::Lie(key, lie) => self.lie(key, lie),
            Step::Forget(station) => self.model.hands.entry(station).or_default().clear(),
            Step::Pass(ms) => self.world.pass(ms),
            Step::Sync(count) => {
                let count = count.min(self.world.waiting.len());
                for commit in self.world.waiting.drain(..count).collect::<Vec<_>>() {
                    let effects = self.world.write(commit);
                    self.world.effects.extend(effects);
                }
            }
            Step::Crash(count) => {
                let count = count.min(self.world.waiting.len());
                for commit in self.world.waiting.drain(..count).collect::<Vec<_>>() {
                    self.world.write(commit);
                }
                self.model.asked.clear();
                self.observe();
                self.world.crash();
                let anew = self.world.now.plus(crate::lease::LEASE_MS_MAX);
                self.model.granted.values_mut().for_each(|(_, _, until)| *until = (*until).max(anew));
            }
        }
        self.observe();
    }

    /// What a station says of a job: mostly the truth.
    fn says(&self, station: u8, number: LeaseNumber, index: u64, says: u8) -> Delivery {
        let mut body = receipt(self.id, station, number, index, b"true");
        match says {
            0 => return delivery(self.id, station, number, index, b"false"),
            1 => body.outcome = Outcome::TimedOut,
            2 => return signed(station, body, None),
            3 => body.fuel = 8,
            4 => body.index += 1,
            _ => {}
        }
        signed(station, body, Some(b"true"))
    }

    fn lie(&mut self, key: u8, lie: Lie) {
        let hand = std::mem::take(self.model.hands.entry(key).or_default());
        let own = hand.iter().map(|(number, lease)| (*number, lease.index)).collect::<Vec<_>>();
        let each = |says: &dyn Fn(LeaseNumber, u64) -> Delivery| own.iter().map(|(number, index)| says(*number, *index)).collect::<Vec<_>>();
        let huge = vec![key; INLINE_BYTES_MAX];
        let receipts = match lie {
            Lie::Claim(value) => {
                self.model.hands.insert(key, hand);
                let long = (0..15).map(|label| (name(&format!("l{label}{value}")), List::first([name(&"v".repeat(64))])));
                let labels = Labels::of(long.chain([(name("region"), List::first([name(&format!("r{value}"))]))])).unwrap();
                let holding: Vec<_> = own.iter().map(|(number, _)| *number).collect();
                let claim = Claim { labels, free: u32::MAX, capacity: u32::MAX, ..claim(self.id, &holding) };
                return self.ask(key, Request::Claim(claim), vec![]);
            }
            Lie::Unserved => each(&|number, index| {
                let mut body = receipt(self.id, key, number, index, b"");
                body.output = Some(Content::raw(&vec![key; 70_000]));
                signed(key, body, None)
            }),
            Lie::Forged => each(&|number, index| signed(key, receipt(self.id, key, number, index, b"true"), Some(b"forged"))),
            Lie::Huge => each(&|number, index| {
                let body = Receipt { duration_ms: u64::MAX, fuel: u64::MAX, ..receipt(self.id, key, number, index, &huge) };
                signed(key, body, Some(&huge))
            }),
            Lie::Contradiction => {
                [b"one", b"two"].iter().flat_map(|says| each(&|number, index| delivery(self.id, key, number, index, *says))).collect()
            }
            Lie::Replay => {
                let others = self.model.delivered.values().flatten().rev().take(8).cloned();
                let nobodys = [0, 1, 7, u64::MAX].into_iter().map(|number| delivery(self.id, key, number, u64::MAX, b"none"));
                others.chain(nobodys).collect()
            }
            Lie::Return => {
                let numbers: Vec<_> = self.model.granted.keys().copied().take(64).chain([u64::MAX]).collect();
                return self.deliver(key, vec![], &numbers);
            }
        };
        self.deliver(key, receipts, &[]);
    }

    fn deliver(&mut self, station: u8, receipts: Vec<Delivery>, returned: &[LeaseNumber]) {
        let named = receipts.iter().map(|delivery| delivery.receipt.body.lease).collect::<Vec<_>>();
        for number in &named {
            // What somebody else says of it is no delivery.
            if self.model.granted.get(number).is_some_and(|(owner, _, _)| *owner == station) {
                let now = self.world.now;
                self.model.handed.entry(*number).or_insert(now);
            }
        }
        let holding = self.model.hands.entry(station).or_default().keys().copied();
        let deliver = Deliver {
            experiment: self.id,
            receipts: List::first(receipts),
            holding: List::first(holding),
            free: 4,
            cursor: 0,
            returned: List::first(returned.iter().map(|number| (*number, ReturnReason::Drain))),
        };
        self.ask(station, Request::Deliver(deliver), named);
    }

    fn ask(&mut self, station: u8, request: Request, named: Vec<LeaseNumber>) {
        self.model.tickets += 1;
        let ask = Ticket(self.model.tickets);
        self.model.asked.insert(ask, (station, named));
        let mut from = peer(station);
        if station == STATIONS {
            from.cluster = peer(1).cluster;
        } else if LIARS.contains(&station) {
            from.cluster = Cluster::V4([46, 0, station % 2]);
        }
        self.world.handle(Event::Asked { ask, from, request });
    }

    /// Whatever strangers do, this is all that it may cost.
    fn within_bounds(&self) {
        for gauge in self.world.machine.gauges() {
            assert!(!gauge.is_exceeded(), "{gauge:?}");
        }
        let Some(run) = self.world.machine.open.get(&self.id) else { return };
        for claimant in run.claimants.values() {
            assert!(claimant.labels.text_bytes() <= 80 && claimant.outstanding.len() <= crate::work::HOLDING_MAX && claimant.unread.len() <= 256);
        }
        for job in run.open.values() {
            assert!(job.lost.len() <= LOST_MAX && job.attempts() <= run.attempts_max);
            assert!(job.receipts.len() + job.outstanding.len() <= run.attempts_max as usize + VAIN_MAX);
            assert_eq!(job.clusters.len(), job.nodes.len(), "one seat each");
        }
        assert!(run.next_deadline(crate::clock::Shift::default()) <= self.world.now.plus(crate::time::DAY), "it looks again within a day");
    }

    /// Checks every effect that was performed.
    fn observe(&mut self) {
        self.within_bounds();
        for effect in std::mem::take(&mut self.world.effects) {
            match effect {
                Effect::Gossip(call) => {
                    assert!(call.body.seq > self.model.seq, "a seq was used twice");
                    self.model.seq = call.body.seq;
                }
                Effect::Note(Note::Settled { verdict, .. }) => assert!(self.model.settled.insert(verdict.index), "settled twice"),
                Effect::Answer { ask, response } => self.answered(ask, response),
                _ => {}
            }
        }
    }

    fn answered(&mut self, ask: Ticket, response: Response) {
        let Some((station, _)) = self.model.asked.remove(&ask) else { return };
        match response {
            Response::Leases(leases) => self.granted(station, leases.body),
            Response::Acked(ack) => {
                for number in &ack.body.held {
                    let (_, _, until) = self.model.granted[number];
                    assert!(self.model.handed[number] <= until, "held although its lease had ended");
                    self.model.held.insert(*number);
                }
                for (number, reason) in &ack.body.refused {
                    // A station of this model may run a lease twice and say something else: that is proof, not loss.
                    let is_own = self.model.granted.get(number).is_some_and(|(owner, _, _)| *owner == station);
                    let lost = is_own && self.model.held.contains(number) && *reason != ReceiptRefused::Contradiction;
                    assert!(!lost, "lease {number} was held and then refused");
                }
                if let Some(leases) = ack.body.leases {
                    self.granted(station, leases);
                }
            }
            _ => {}
        }
    }

    fn granted(&mut self, station: u8, leases: crate::work::Leases) {
        for (number, lease) in numbered(leases) {
            // The requester counted from when it decided, which is not later than now.
            let until = self.world.now.plus(lease.duration_ms + GRACE_MS);
            let (node, index, ends) = self.model.granted.entry(number).or_insert((station, lease.index, until));
            assert_eq!((*node, *index), (station, lease.index), "a lease number was used twice");
            *ends = (*ends).max(until);
            self.model.hands.entry(station).or_default().insert(number, lease);
        }
    }

    /// Lets time pass to the end, and checks the Log.
    fn finish(mut self, jobs: u64) {
        self.step(&Step::Sync(usize::MAX));
        self.step(&Step::Crash(0));
        self.world.prompt = true;
        self.world.sync();
        self.world.pass(3_600_000 + 60 * SECOND);
        self.observe();
        let (root, pages) = self.world.log(&self.id);
        assert!(root.pages.iter().all(|cid| self.world.blobs[cid].len() <= BLOCK_BYTES_MAX), "a page cannot be read back");
        let blobs = &self.world.blobs;
        let summary = log::verify(&root, &pages, |cid| blobs.get(cid).cloned(), None).unwrap();
        assert_eq!(summary.settled + summary.expired, jobs);
        let mut in_log = BTreeSet::new();
        for entry in pages.iter().flat_map(|page| &page.entries) {
            match entry {
                Entry::Late(held) => _ = in_log.insert(held.receipt.body.lease),
                Entry::Settled(job) => {
                    in_log.extend(job.receipts.iter().map(|held| held.receipt.body.lease));
                    one_seat_each(job);
                }
            }
        }
        assert!(self.model.held.is_subset(&in_log), "a receipt that was said to be held is not in the Log");
        assert_eq!(self.world.left_behind(), 0, "records are left behind");
    }
}

fn one_seat_each(job: &log::SettledJob) {
    let Some((_, certificate, against)) = job.verdict.decision.agreement() else { return };
    let counted: Vec<_> =
        job.receipts.iter().filter(|held| certificate.iter().chain(against).any(|lease| *lease == held.receipt.body.lease)).collect();
    let nodes: BTreeSet<NodeId> = counted.iter().map(|held| held.receipt.body.node).collect();
    let clusters: BTreeSet<_> = counted.iter().map(|held| held.cluster).collect();
    assert_eq!((nodes.len(), clusters.len()), (counted.len(), counted.len()), "two receipts of one node or cluster");
}

fn check(class: Class, jobs: u8, steps: Vec<Step>) {
    let mut case = Case::new(class, i128::from(jobs));
    for step in steps {
        case.step(&step);
    }
    case.finish(u64::from(jobs));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn agreement_survives_any_order_of_events_and_crashes(count in 1..4_u16, jobs in 1..12_u8, steps in prop::collection::vec(step(), 0..120)) {
        check(fixed(count), jobs, steps);
    }

    #[test]
    fn measurements_survive_any_order_of_events_and_crashes(count in 1..5_u32, jobs in 1..12_u8, steps in prop::collection::vec(step(), 0..120)) {
        check(measurement(count), jobs, steps);
    }
}

/// `STATION_CASES` asks for the long form; the short form ends within seconds.
fn cases() -> u32 {
    std::env::var("STATION_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(64)
}
