//! Random events in random order: whatever remotes, disk and clock do, the promises of the machine hold.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
enum Step {
    Pass(u64),
    Hear {
        lab: usize,
        seq: u64,
        closed: bool,
        everybody: bool,
    },
    /// The oldest question is answered.
    Answer {
        kind: u8,
        first: u64,
        count: u64,
        duration_ms: u64,
    },
    Fetched(bool),
    Finish {
        ok: bool,
        bytes: usize,
    },
    Stopped,
    Meet(u8),
    Part(u8),
    Ask(u8),
    HoldDisk(bool),
    Room(bool),
    /// For so long, or without an end.
    Pause(Option<u64>),
    Resume,
    Crash,
    Drain,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..20_000_u64).prop_map(Step::Pass),
        4 => (0..6_usize, 0..6_u64, prop::bool::weighted(0.1), any::<bool>())
            .prop_map(|(lab, seq, closed, everybody)| Step::Hear { lab, seq, closed, everybody }),
        10 => (0..9_u8, 0..40_u64, 0..8_u64, 0..30_000_u64)
            .prop_map(|(kind, first, count, duration_ms)| Step::Answer { kind, first, count, duration_ms }),
        5 => any::<bool>().prop_map(Step::Fetched),
        8 => (prop::bool::weighted(0.9), 0..120_000_usize).prop_map(|(ok, bytes)| Step::Finish { ok, bytes }),
        2 => Just(Step::Stopped),
        1 => (0..4_u8).prop_map(Step::Meet),
        1 => (0..4_u8).prop_map(Step::Part),
        1 => (0..4_u8).prop_map(Step::Ask),
        2 => any::<bool>().prop_map(Step::HoldDisk),
        1 => any::<bool>().prop_map(Step::Room),
        1 => prop::option::of(0..120_000_u64).prop_map(Step::Pause),
        2 => Just(Step::Resume),
        1 => Just(Step::Crash),
        1 => prop::bool::weighted(0.05).prop_map(|drain| if drain { Step::Drain } else { Step::Pass(1) }),
    ]
}

/// What a test keeps beside the station to judge it.
struct World {
    station: Station,
    labs: Vec<Lab>,
    running: VecDeque<Ticket>,
    /// Receipts that left, by experiment and lease.
    left: BTreeMap<(ExperimentId, u64), Signed<crate::receipt::Receipt>>,
    /// Unanswered questions.
    open: VecDeque<Out>,
    /// Those of them of which another copy was answered.
    forgotten: BTreeSet<Ticket>,
}

impl World {
    fn new() -> Self {
        let labs = (0..6).map(|lab| Lab::new(REQUESTER + lab / 2, &format!("lab {lab}"))).collect();
        Self {
            station: Station::new(config()),
            labs,
            running: VecDeque::new(),
            left: BTreeMap::new(),
            open: VecDeque::new(),
            forgotten: BTreeSet::new(),
        }
    }

    fn lab(&self, id: &ExperimentId) -> &Lab {
        self.labs.iter().find(|lab| lab.id == *id).expect("only known experiments are asked for")
    }

    fn apply(&mut self, step: Step) {
        let now = self.station.now;
        match step {
            Step::Pass(ms) => self.station.pass(ms),
            Step::Hear { lab, seq, closed, everybody } => {
                let log = Content::raw(b"log").cid;
                let call = self.labs[lab].call_with(seq, now, |call| {
                    call.claim_below = if everybody { u64::MAX } else { u64::MAX / 2 };
                    call.state = if closed { CallState::Closed { log } } else { CallState::Open };
                    call.at = List::default();
                });
                self.station.hear(call);
            }
            Step::Answer { kind, first, count, duration_ms } => self.answer(kind, first, count, duration_ms),
            Step::Fetched(ok) => {
                if let Some((fetch, _)) = self.station.fetches.pop_front() {
                    let result = if ok { Ok(()) } else { Err(FetchFailure::NotFound) };
                    self.station.handle(Event::Fetched { fetch, result });
                }
            }
            Step::Finish { ok, bytes } => {
                if let Some(execution) = self.running.pop_front() {
                    let report =
                        Report { outcome: Outcome::Completed, output: vec![1; bytes], transcript: vec![], log: vec![], fuel: 1, duration_ms: 1 };
                    let report = if ok { Ok(report) } else { Err(StationFailure::Sandbox) };
                    self.station.handle(Event::Finished { execution, report });
                }
            }
            Step::Stopped => {
                if let Some(execution) = self.station.stopped.pop() {
                    self.running.retain(|running| *running != execution);
                    self.station.handle(Event::Finished { execution, report: Err(StationFailure::Stopped) });
                }
            }
            Step::Meet(node) => self.station.handle(Event::Connected { node: key(50 + node).node(), topics: vec![name("topic")] }),
            Step::Part(node) => self.station.handle(Event::Disconnected { node: key(50 + node).node() }),
            Step::Ask(node) => {
                let request = Request::Calls { topic: name("topic"), have: List::default() };
                self.station.handle(Event::Asked { ask: Ticket(0), from: key(50 + node).node(), request });
            }
            Step::HoldDisk(true) => self.station.disk_held = true,
            Step::HoldDisk(false) => self.station.release_disk(),
            Step::Room(enough) => self.station.handle(Event::Room(enough)),
            Step::Pause(ms) => self.station.handle(Event::Pause { until: ms.map(|ms| now.plus(ms)) }),
            Step::Resume => self.station.handle(Event::Resume),
            Step::Drain => self.station.handle(Event::Drain),
            Step::Crash => {
                let disk = std::mem::take(&mut self.station.disk);
                self.station = Station::restored(config(), disk, now.minus(1_000));
                self.running.clear();
                self.open.clear();
                self.forgotten.clear();
            }
        }
        self.judge();
    }

    fn answer(&mut self, kind: u8, first: u64, count: u64, duration_ms: u64) {
        let Some(out) = self.open.pop_front() else { return };
        let id = match &out.request {
            Request::Claim(claim) => claim.experiment,
            Request::Deliver(deliver) => deliver.experiment,
            _ => {
                self.station.fail(out.send, SendFailure::NoAnswer);
                return;
            }
        };
        let lab = self.lab(&id).clone();
        let named: Vec<u64> = match &out.request {
            Request::Deliver(deliver) => deliver.receipts.iter().map(|delivery| delivery.receipt.body.lease).collect(),
            _ => Vec::new(),
        };
        let asked = match &out.request {
            Request::Claim(claim) => claim.free,
            Request::Deliver(deliver) => deliver.free,
            _ => 0,
        };
        // The last kind gives as many as it likes.
        let count = if kind == 8 { count } else { count.min(asked.into()) };
        let batch = lab.batch(first, count, duration_ms);
        let answer = match kind {
            0 => Err(SendFailure::NoAnswer),
            1 => Err(SendFailure::Unreachable),
            2 => Ok(Response::Wait { ms: u32::MAX }),
            3 => Ok(lab.refusal(ClaimRefused::Enough, first)),
            4 => Ok(Response::Noted),
            5 => Ok(lab.leases(u64::MAX - 2, count, duration_ms)),
            6 => Ok(lab.leases(first, count, duration_ms)),
            _ => Ok(lab.ack_with(|ack| {
                ack.held = List::first(named.into_iter().take(usize::try_from(count).unwrap_or(0)));
                ack.again_ms = 0;
                ack.cursor = first;
                ack.leases = Some(batch);
            })),
        };
        if answer.is_ok() && !self.forgotten.remove(&out.send) {
            self.forgotten.extend(self.open.iter().filter(|copy| copy.to == out.to && is_work(copy)).map(|copy| copy.send));
        }
        self.station.handle(Event::Answered { send: out.send, answer, near: None });
    }

    /// The promises.
    fn judge(&mut self) {
        let station = &mut self.station;
        for (execution, _) in station.started.drain(..) {
            self.running.push_back(execution);
        }
        assert!(station.worker.running() <= 2, "never more run than there are slots");
        for out in station.sent.drain(..) {
            if let Request::Deliver(deliver) = &out.request {
                for delivery in &deliver.receipts {
                    let body = &delivery.receipt.body;
                    assert!(station.disk.values().any(|value| contains(value, &delivery.receipt.signature.0)), "a receipt left that is not durable");
                    let before = self.left.insert((body.experiment, body.lease), delivery.receipt.clone());
                    assert!(before.is_none_or(|before| before == delivery.receipt), "two receipts for one lease");
                }
            }
            self.open.push_back(out);
        }
        let mut questions: BTreeMap<NodeId, Vec<&Request>> = BTreeMap::new();
        for out in self.open.iter().filter(|out| is_work(out) && !self.forgotten.contains(&out.send)) {
            questions.entry(out.to).or_default().push(&out.request);
        }
        for copies in questions.values() {
            assert!(copies.len() <= 2 && copies.iter().all(|copy| *copy == copies[0]), "one question per requester, in two copies at most");
        }
        for work in station.worker.works.values() {
            assert!(work.leases.len() <= crate::work::HOLDING_MAX && work.returned.len() <= crate::work::HOLDING_MAX);
            assert!(work.first_expiry().is_none_or(|at| at > station.now), "a lease is kept past its end");
        }
        assert!(station.worker.outbox_len() <= super::super::outbox::OUTBOX_MAX);
        assert!(station.worker.next_deadline().is_some_and(|at| at > station.now), "the deadline never lies in the past");
    }
}

fn is_work(out: &Out) -> bool {
    matches!(out.request, Request::Claim(_) | Request::Deliver(_))
}

fn contains(value: &[u8], part: &[u8]) -> bool {
    value.windows(part.len()).any(|window| window == part)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(0x5747_4154), ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_promises_of_the_worker_hold(steps in prop::collection::vec(step(), 1..150)) {
        let mut world = World::new();
        for step in steps {
            world.apply(step);
        }
    }
}
