//! The end of a case: everything came to rest, and the Logs say what was seen.

use std::collections::BTreeSet;

use station_protocol::call::CLOCK_TOLERANCE_MS;
use station_protocol::content::{DAG_CBOR, cid_of};
use station_protocol::durable::Ticket;
use station_protocol::experiment::ExperimentId;
use station_protocol::log::{self, Entry, Page, ROOT_BYTES_MAX, Root, SettledJob};
use station_protocol::receipt::{LeaseNumber, Outcome};
use station_protocol::requester::{self, Peer};
use station_protocol::verdict::Decision;
use station_protocol::work::{Claim, Request, Response};
use station_protocol::{Time, codec};

use crate::model::{Granted, Known, Model};
use crate::station::Conduct;
use crate::world::World;

/// From the last deadline until nothing is left to deliver: the longest pause between two attempts, and a margin.
const REST_MS: u64 = 150_000;
/// What a few short jobs need at most in a healed world, pauses and leases of before included.
const ENOUGH_MS: u64 = 100_000;
/// How many of the Calls and Leases that leave are held against a machine that knows only the disk, in a thousand.
const SHADOWED: u64 = 60;

impl World {
    /// A machine that begins from the disk as it is now takes nothing back that was just sent.
    pub(crate) fn shadow(&mut self, station: usize) {
        if !self.luck.chance(SHADOWED) {
            return;
        }
        let seed = self.luck.seed();
        let mut machine = self.stations[station].shadow(seed, self.now);
        for action in std::iter::from_fn(|| machine.poll()) {
            let (station_protocol::durable::Action::Commit(commit), known) = (action, &self.model.known) else { continue };
            for effect in commit.then {
                if let requester::Effect::Gossip(call) = effect
                    && let Some(known) = known.get(&call.body.id())
                {
                    assert!(known.calls.keys().all(|seq| *seq < call.body.seq), "a machine from this disk would use seq {} again", call.body.seq);
                }
            }
        }
        let now = self.stations[station].clock(self.now);
        for experiment in machine.experiments().collect::<Vec<_>>() {
            for other in &self.stations {
                let claim = Claim {
                    experiment,
                    capacity: 1,
                    free: 1,
                    holding: station_protocol::bounded::List::default(),
                    profiles: station_protocol::bounded::List::first(other.config.profiles.iter().cloned()),
                    isolation: other.config.isolation,
                    labels: other.config.labels.clone(),
                    policy: other.config.policy.hash(),
                };
                let from = Peer { node: other.node, cluster: other.cluster, is_relayed: false };
                machine.handle(requester::Event::Asked { ask: Ticket(0), from, request: Request::Claim(claim) }, now);
                for action in std::iter::from_fn(|| machine.poll()) {
                    let station_protocol::durable::Action::Commit(commit) = action else { continue };
                    for effect in commit.then {
                        if let requester::Effect::Answer { response: Response::Leases(leases), .. } = effect {
                            self.model.agrees(other.node, &leases.body);
                        }
                    }
                }
            }
        }
    }

    /// Lets the healed world come to rest, and judges it.
    pub(crate) fn finish(mut self) -> u64 {
        while self.closing_at().is_none_or(|at| self.now <= at) && !(self.healed_at.is_some() && self.is_at_rest()) {
            let next = self.now.plus(5_000);
            self.pass_until(next);
        }
        for id in self.model.known.keys().copied().collect::<Vec<_>>() {
            self.assert_closed(&id);
        }
        let rest = self.now.plus(REST_MS);
        while !self.is_at_rest() {
            assert!(self.now < rest, "receipts are still on their way, or jobs run, long after the end: {:#?}", self.restless());
            let next = self.now.plus(5_000);
            self.pass_until(next);
        }
        for id in self.model.known.keys().copied().collect::<Vec<_>>() {
            self.judge_log(&id);
        }
        for station in self.stations.iter().filter(|_| self.hostile.is_none()) {
            let outbox = station.worker_disk.records.keys().filter(|key| key.0.first() == Some(&b'o')).count();
            assert_eq!((outbox, station.worker.provided().count()), (0, 0), "receipts are left on a worker's disk");
            let closed = station.requester_disk.records.keys().all(|key| matches!(key.0.first(), Some(b'C' | b'B' | b'P' | b'G')));
            assert!(closed, "records of a closed experiment are left on its requester's disk");
        }
        self.model.settled
    }

    /// When everything must be closed, once nothing goes wrong any more.
    fn closing_at(&self) -> Option<Time> {
        let healed = self.healed_at?.plus(CLOCK_TOLERANCE_MS);
        let deadlines = self.model.known.values().map(|known| known.experiment.deadline.plus(CLOCK_TOLERANCE_MS));
        Some(deadlines.fold(healed, Time::max))
    }

    fn is_at_rest(&self) -> bool {
        let closed = |id: &ExperimentId| self.log_of(id).is_some();
        let idle = |station: &crate::station::Station| {
            let waits = !station.worker_disk.waiting.is_empty() || !station.requester_disk.waiting.is_empty();
            !waits && self.honest_work(station) == 0
        };
        !self.model.known.is_empty() && self.model.known.keys().all(closed) && self.stations.iter().all(idle)
    }

    /// Receipts and executions of this station that are for stations.
    fn honest_work(&self, station: &crate::station::Station) -> usize {
        let honest = station.worker.summaries().filter(|summary| self.index(&summary.requester).is_some());
        honest.map(|summary| summary.outbox + summary.running).sum()
    }

    /// What is not at rest.
    fn restless(&self) -> Vec<String> {
        let of = |(number, station): (usize, &crate::station::Station)| {
            let worker = &station.worker;
            let waiting = (station.worker_disk.waiting.len(), station.requester_disk.waiting.len());
            let summaries: Vec<_> = worker.summaries().collect();
            let (running, outbox, conduct) = (worker.running(), worker.outbox_len(), station.conduct);
            format!("{number} {conduct:?}: {running} run, {outbox} to deliver, {waiting:?} wait for the disk: {summaries:?}")
        };
        self.stations.iter().enumerate().map(of).collect()
    }

    fn log_of(&self, id: &ExperimentId) -> Option<cid::Cid> {
        let requester = self.index(&self.model.known[id].experiment.requester)?;
        self.stations[requester].requester.view(id)?.status.log
    }

    fn assert_closed(&self, id: &ExperimentId) {
        let late_ms = self.now.since(self.model.known[id].experiment.deadline);
        assert!(self.log_of(id).is_some(), "an experiment is open {late_ms} ms after its deadline: {:#?}", self.restless());
    }

    fn judge_log(&self, id: &ExperimentId) {
        let known = &self.model.known[id];
        let station = self.index(&known.experiment.requester).expect("a station");
        let blobs = &self.stations[station].blobs.files;
        let read = |cid: &cid::Cid| {
            let bytes = blobs.get(cid).expect("the Log is durable");
            assert_eq!(cid_of(DAG_CBOR, bytes), *cid);
            bytes
        };
        let log = self.log_of(id).expect("closed");
        let root: Root = codec::decode(read(&log), ROOT_BYTES_MAX).expect("a root");
        let pages: Vec<Page> = root.pages.iter().map(|cid| codec::decode(read(cid), ROOT_BYTES_MAX).expect("a page")).collect();
        let summary = log::verify(&root, &pages, |cid| blobs.get(cid).cloned(), None).expect("a Log that holds together");
        assert_eq!(summary.settled + summary.expired, known.experiment.jobs.count);
        let (mut decided, mut jobs, mut in_log) = (0, BTreeSet::new(), BTreeSet::new());
        for entry in pages.iter().flat_map(|page| &page.entries) {
            let receipts = match entry {
                Entry::Late(held) => std::slice::from_ref(&**held),
                Entry::Settled(job) => {
                    assert!(jobs.insert(job.verdict.index), "job {} is settled twice in the Log", job.verdict.index);
                    decided += u64::from(!matches!(job.verdict.decision, Decision::Expired { .. }));
                    self.judge_job(known, job);
                    &job.receipts
                }
            };
            for held in receipts {
                let lease = held.receipt.body.lease;
                let granted = &known.leases[&lease];
                assert!(in_log.insert(lease), "lease {lease} stands twice in the Log");
                assert_eq!(granted.receipt.as_ref(), Some(&held.receipt), "the Log has another receipt than was delivered");
                assert!(granted.arrived.is_some_and(|at| at <= granted.ends), "lease {lease} is in the Log although it had ended");
            }
        }
        assert!(root.expired == 0 || !self.had_every_chance(known), "{} jobs expired that nothing hindered", root.expired);
        assert_eq!((decided, known.experiment.jobs.count - decided), (root.settled, root.expired), "the root counts otherwise");
        let held: BTreeSet<LeaseNumber> = known.leases.iter().filter(|(_, granted)| granted.held).map(|(lease, _)| *lease).collect();
        assert!(held.is_subset(&in_log), "receipts that were said to be held are not in the Log");
        assert!(known.verdicts.keys().all(|index| jobs.contains(index)), "a verdict that was told is not in the Log");
    }

    /// Whether nothing excuses a job without a verdict: long enough without faults, enough honest stations, and no lease that came to nothing.
    fn had_every_chance(&self, known: &Known) -> bool {
        let others = self.stations.iter().filter(|station| station.node != known.experiment.requester && station.conduct == Conduct::Honest);
        let honest: BTreeSet<_> = others.map(|station| station.cluster).collect();
        let calm_ms = self.healed_at.map_or(0, |healed| known.experiment.deadline.since(healed));
        let in_vain = |granted: &Granted| granted.receipt.as_ref().is_some_and(|receipt| receipt.body.outcome != Outcome::Completed);
        let fruitless = known.leases.values().any(|granted| granted.lost || granted.given_back || in_vain(granted));
        !self.meddled && !fruitless && calm_ms > ENOUGH_MS && honest.len() >= known.experiment.class.executions() as usize
    }

    fn judge_job(&self, known: &Known, job: &SettledJob) {
        let index = job.verdict.index;
        if let Some(told) = known.verdicts.get(&index) {
            assert_eq!(*told, job.verdict, "the Log says something else of job {index} than was told");
        }
        let lost: BTreeSet<LeaseNumber> = job.lost.iter().map(|(lease, ..)| *lease).collect();
        assert!(job.receipts.iter().all(|held| !lost.contains(&held.receipt.body.lease)), "a lost lease of job {index} has a receipt");
        let votes: Vec<LeaseNumber> = match &job.verdict.decision {
            Decision::Agreed { certificate, against, .. } | Decision::Failed { certificate, against, .. } => {
                let wanted = Model::agreement(&known.experiment).expect("only pure jobs are agreed on");
                assert!(certificate.len() >= wanted, "{} receipts were enough for job {index}", certificate.len());
                let says = |lease: &LeaseNumber| {
                    let receipt = &known.leases[lease].receipt.as_ref().expect("a receipt").body;
                    (receipt.outcome.clone(), receipt.output.clone(), receipt.fuel)
                };
                let said: BTreeSet<_> = certificate.iter().map(says).collect();
                assert_eq!(said.len(), 1, "the certificate of job {index} disagrees with itself");
                certificate.iter().chain(against.iter()).copied().collect()
            }
            Decision::Measured { strata, .. } => {
                strata.iter().flat_map(|stratum| stratum.groups.iter()).flat_map(|group| group.receipts.iter().copied()).collect()
            }
            _ => return,
        };
        let nodes: BTreeSet<_> = votes.iter().map(|lease| known.leases[lease].node).collect();
        let clusters: BTreeSet<_> = nodes.iter().map(|node| self.model.clusters[node]).collect();
        assert_eq!((nodes.len(), clusters.len()), (votes.len(), votes.len()), "two votes of one node or cluster on job {index}");
    }
}
