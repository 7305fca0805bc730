//! What everybody may know from what was sent: a naive model that only watches, and objects.

use std::collections::{BTreeMap, BTreeSet};

use station_protocol::call::{self, Call, CallState};
use station_protocol::cluster::Cluster;
use station_protocol::durable::Ticket;
use station_protocol::experiment::{Class, Experiment, ExperimentId};
use station_protocol::lease::{GRACE_MS, longest_ms};
use station_protocol::receipt::{LeaseNumber, Receipt};
use station_protocol::requester::Note;
use station_protocol::verdict::JobVerdict;
use station_protocol::work::{Ack, Deliver, HOLDING_MAX, Leases, Request, Response};
use station_protocol::worker::OUTBOX_UNKNOWN_MAX;
use station_protocol::{NodeId, Signed, Time, codec};

use crate::station::{Station, network, topic};

/// Receipts a station keeps for its requesters.
const OUTBOX_MAX: usize = 4_096;

/// A lease, as those who watch the wire know it.
pub(crate) struct Granted {
    pub(crate) node: NodeId,
    pub(crate) index: u64,
    /// In the world's time: a Deliver that first names it later must not count.
    pub(crate) ends: Time,
    pub(crate) receipt: Option<Signed<Receipt>>,
    pub(crate) arrived: Option<Time>,
    /// The requester said that it ended without a receipt.
    pub(crate) lost: bool,
    pub(crate) held: bool,
    /// Its station offered it back.
    pub(crate) given_back: bool,
}

pub(crate) struct Known {
    pub(crate) experiment: Experiment,
    pub(crate) calls: BTreeMap<u64, Call>,
    pub(crate) leases: BTreeMap<LeaseNumber, Granted>,
    pub(crate) noted: BTreeSet<u64>,
    pub(crate) verdicts: BTreeMap<u64, JobVerdict>,
}

pub(crate) struct Model {
    /// Who is who, and in which cluster.
    pub(crate) clusters: BTreeMap<NodeId, Cluster>,
    pub(crate) known: BTreeMap<ExperimentId, Known>,
    /// Calls that wait for their gossip verdict.
    pub(crate) judging: BTreeMap<(usize, Ticket), (usize, Signed<Call>)>,
    /// Which worker knows which requester: a receipt was held.
    acquainted: BTreeSet<(NodeId, NodeId)>,
    pub(crate) settled: u64,
}

impl Model {
    pub(crate) fn new(clusters: BTreeMap<NodeId, Cluster>) -> Self {
        Self { clusters, known: BTreeMap::new(), judging: BTreeMap::new(), acquainted: BTreeSet::new(), settled: 0 }
    }

    /// A requester gossips a Call: a stranger would take it, and its seq never had another body.
    pub(crate) fn gossips(&mut self, from: &Station, call: &Signed<Call>) {
        let id = call.body.id();
        if call.body.seq % 4 == 1 {
            call::check_decoded(call, &network(), &topic()).expect("a Call that strangers take");
        }
        let known = self.known.entry(id).or_insert_with(|| Known {
            experiment: call.body.experiment.body.clone(),
            calls: BTreeMap::new(),
            leases: BTreeMap::new(),
            noted: BTreeSet::new(),
            verdicts: BTreeMap::new(),
        });
        assert_eq!(call.author, from.node);
        let newest = known.calls.last_key_value().map_or(0, |(seq, _)| *seq);
        assert!(call.body.seq > newest, "seq {} was used before", call.body.seq);
        known.calls.insert(call.body.seq, call.body.clone());
    }

    /// A worker asks: what it shows must be durable, and never twice different.
    pub(crate) fn sends(&mut self, from: &Station, to: NodeId, request: &Request) {
        let Request::Deliver(deliver) = request else { return };
        let known = self.known.get_mut(&deliver.experiment).expect("only what was called is delivered");
        assert_eq!(known.experiment.requester, to);
        let ended = known.calls.values().any(|call| matches!(call.state, CallState::Closed { .. }));
        for (lease, _) in &*deliver.returned {
            known.leases.get_mut(lease).expect("only leases are given back").given_back = true;
        }
        for delivery in &deliver.receipts {
            let (receipt, lease) = (&delivery.receipt, delivery.receipt.body.lease);
            let granted = known.leases.get_mut(&lease).expect("only leases are run");
            // One transaction may take the receipt, what sends it, and the end of its experiment, which deletes it. The second copy of
            // a question may leave after the first was answered and the record is gone.
            let ended = ended || granted.receipt.is_some();
            assert!(ended || from.worker_disk.holds(&receipt.signature.0, &from.blobs), "a receipt left that is not durable");
            let contents = receipt.body.output.iter().zip([&delivery.output]).chain(receipt.body.transcript.iter().zip([&delivery.transcript]));
            for (content, inline) in contents {
                assert!(ended || inline.is_some() || from.blobs.files.contains_key(&content.cid), "an output was promised that is not durable");
            }
            assert_eq!((granted.node, granted.index), (from.node, receipt.body.index), "a receipt for another's lease");
            let first = granted.receipt.get_or_insert_with(|| receipt.clone());
            assert_eq!(first, receipt, "E1: two different receipts for lease {lease}");
        }
    }

    /// A Deliver reaches its requester.
    pub(crate) fn arrives(&mut self, deliver: &Deliver, now: Time) {
        let Some(known) = self.known.get_mut(&deliver.experiment) else { return };
        for delivery in &deliver.receipts {
            if let Some(granted) = known.leases.get_mut(&delivery.receipt.body.lease) {
                granted.arrived.get_or_insert(now);
            }
        }
    }

    /// A requester answers `to`.
    pub(crate) fn answers(&mut self, from: &Station, to: NodeId, response: &Response, now: Time) {
        match response {
            Response::Leases(leases) => self.grants(to, &leases.body, now),
            Response::Acked(ack) => self.acks(from, to, &ack.body, now),
            _ => {}
        }
    }

    /// Numbers and jobs never change their meaning, and nothing held is asked for again.
    pub(crate) fn agrees(&self, to: NodeId, leases: &Leases) {
        let known = &self.known[&leases.experiment];
        assert_eq!(leases.node, to);
        for (number, lease) in (leases.first..).zip(leases.leases.iter()) {
            assert!(lease.index < known.experiment.jobs.count);
            if let Some(granted) = known.leases.get(&number) {
                assert_eq!((granted.node, granted.index), (to, lease.index), "lease {number} was used twice");
                assert!(!granted.held, "lease {number} is held and asked for again");
                assert!(!granted.lost, "lease {number} ended and is given again");
            }
        }
    }

    fn grants(&mut self, to: NodeId, leases: &Leases, now: Time) {
        self.agrees(to, leases);
        let known = self.known.get_mut(&leases.experiment).expect("only what was called is leased");
        for (number, lease) in (leases.first..).zip(leases.leases.iter()) {
            // The requester counted from when it decided, which is not later than now.
            let ends = now.plus(lease.duration_ms + GRACE_MS);
            let new = Granted { node: to, index: lease.index, ends, receipt: None, arrived: None, lost: false, held: false, given_back: false };
            let granted = known.leases.entry(number).or_insert(new);
            granted.ends = granted.ends.max(ends);
        }
    }

    fn acks(&mut self, from: &Station, to: NodeId, ack: &Ack, now: Time) {
        if let Some(leases) = &ack.leases {
            self.grants(to, leases, now);
        }
        let Some(known) = self.known.get_mut(&ack.experiment) else { return };
        for lease in &*ack.held {
            let granted = known.leases.get_mut(lease).expect("only leases are held");
            assert_eq!(granted.node, to);
            let receipt = granted.receipt.as_ref().expect("only receipts are held");
            if !std::mem::replace(&mut granted.held, true) {
                assert!(from.requester_disk.holds(&receipt.signature.0, &from.blobs), "lease {lease} is said to be held and is not durable");
                assert!(granted.arrived.is_some_and(|at| at <= granted.ends), "lease {lease} counts although it had ended");
                assert!(!granted.lost, "lease {lease} ended without a receipt and is held");
            }
            self.acquainted.insert((to, from.node));
        }
        for (lease, reason) in &*ack.refused {
            let held = known.leases.get(lease).is_some_and(|granted| granted.held);
            assert!(!held, "lease {lease} was held and is refused: {reason:?}");
        }
        for verdict in &*ack.verdicts {
            assert!(from.requester_disk.holds(&codec::encode(verdict), &from.blobs), "a verdict was told that is not durable");
            let first = known.verdicts.entry(verdict.index).or_insert_with(|| verdict.clone());
            assert_eq!(first, verdict, "two verdicts on job {}", verdict.index);
        }
    }

    pub(crate) fn noted(&mut self, note: &Note) {
        match note {
            Note::Expired { experiment, lease, .. } => {
                if let Some(granted) = self.known.get_mut(experiment).and_then(|known| known.leases.get_mut(lease)) {
                    assert!(!granted.held, "lease {lease} was held and expires");
                    granted.lost = true;
                }
            }
            Note::Settled { experiment, verdict, .. } => {
                let known = self.known.get_mut(experiment).expect("only what was called is settled");
                assert!(known.noted.insert(verdict.index), "job {} was settled twice", verdict.index);
                let first = known.verdicts.entry(verdict.index).or_insert_with(|| verdict.clone());
                assert_eq!(first, verdict, "two verdicts on job {}", verdict.index);
                self.settled += 1;
            }
            _ => {}
        }
    }

    /// What a requester had not made durable when it died never arrived.
    pub(crate) fn died(&mut self, station: &Station) {
        for known in self.known.values_mut().filter(|known| known.experiment.requester == station.node) {
            for granted in known.leases.values_mut().filter(|granted| !granted.held && granted.arrived.is_some()) {
                let durable = granted.receipt.as_ref().is_some_and(|receipt| station.requester_disk.holds(&receipt.signature.0, &station.blobs));
                if !durable {
                    granted.arrived = None;
                }
            }
        }
    }

    /// Leases that have not ended begin anew with their requester.
    pub(crate) fn restarted(&mut self, station: &Station, now: Time) {
        for known in self.known.values_mut().filter(|known| known.experiment.requester == station.node) {
            let anew = longest_ms(known.experiment.module.bytes, known.experiment.limits.wall_ms) + GRACE_MS;
            for granted in known.leases.values_mut().filter(|granted| !granted.lost && granted.arrived.is_none()) {
                granted.ends = granted.ends.max(now.plus(anew));
            }
        }
    }

    /// A stranger held a receipt of `station`.
    pub(crate) fn acquainted(&mut self, station: NodeId, stranger: NodeId) {
        self.acquainted.insert((station, stranger));
    }

    /// Every queue that can be seen is in its bound, the clock is needed soon, and every file that a live record names is there.
    pub(crate) fn bounds(&self, station: &Station) {
        let worker = &station.worker;
        for gauge in worker.gauges() {
            assert!(!gauge.is_exceeded(), "{} {} of {}", gauge.len, gauge.what, gauge.max);
        }
        let disk = &station.worker_disk;
        let on_its_way = |cid: &cid::Cid| disk.waiting.iter().any(|commit| commit.blobs.iter().any(|(blob, _)| blob == cid));
        assert!(
            worker.provided().all(|cid| station.blobs.files.contains_key(&cid) || on_its_way(&cid)),
            "a live record names a file that is not there"
        );
        assert!(worker.running() <= station.config.capacity as usize, "more run than there are slots");
        assert!(worker.outbox_len() <= OUTBOX_MAX);
        let mut kept: BTreeMap<NodeId, usize> = BTreeMap::new();
        for summary in worker.summaries() {
            assert!(summary.running + summary.queued <= HOLDING_MAX);
            *kept.entry(summary.requester).or_default() += summary.running + summary.queued + summary.outbox;
        }
        for (requester, kept) in kept {
            let known = requester == station.node || self.acquainted.contains(&(station.node, requester));
            assert!(known || kept <= OUTBOX_UNKNOWN_MAX, "{kept} receipts and leases of a stranger");
        }
    }

    /// Executions that a job of the class wants, where they must agree.
    pub(crate) fn agreement(experiment: &Experiment) -> Option<usize> {
        matches!(experiment.class, Class::Pure(_)).then(|| experiment.class.executions() as usize)
    }
}
