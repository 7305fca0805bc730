//! From records back to the machine.
//!
//! Guarantees: what every record's `then` would have said is said again: a Call with the next seq; outstanding leases begin anew and
//! are re-sent when their station asks. Deliberately assumes nothing of the time: a recorded time may be later than now.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::logs::Logs;
use super::machine::Requester;
use super::open::RENEW_MS_MIN;
use super::records::{self, ClosedRecord, ExperimentRecord, JobRecord, LogRecord, NodeRecord, PageRecord, SeqRecord, Tag, VerdictRecord};
use super::run::{Claimant, Closed, Leased, Losses, OpenJob, Run};
use super::untold::Untold;
use super::{Explanation, Peer};
use crate::call::CallState;
use crate::durable::{Key, RestoreError};
use crate::experiment::ExperimentId;
use crate::identity::NodeId;
use crate::lease::{GRACE_MS, longest_ms};
use crate::log::{Entry, HeldReceipt};
use crate::receipt::LeaseNumber;
use crate::time::Time;

/// The records of one experiment.
#[derive(Default)]
struct Found {
    experiment: Option<ExperimentRecord>,
    seq: Option<SeqRecord>,
    next_lease: LeaseNumber,
    nodes: BTreeMap<NodeId, NodeRecord>,
    jobs: BTreeMap<u64, JobRecord>,
    /// Of receipts that died with the process.
    fetched: Vec<Key>,
    held: BTreeMap<LeaseNumber, HeldReceipt>,
    logs: BTreeMap<LeaseNumber, LogRecord>,
    verdicts: BTreeMap<u64, VerdictRecord>,
    pages: BTreeMap<u64, PageRecord>,
    closed: Option<ClosedRecord>,
}

impl Found {
    fn take(&mut self, key: &Key, tag: Tag, rest: &[u8], value: &[u8]) -> Result<(), RestoreError> {
        match tag {
            Tag::Experiment => self.experiment = Some(records::read(key, value)?),
            Tag::Blocks => {}
            Tag::Seq => self.seq = Some(records::read(key, value)?),
            Tag::NextLease => self.next_lease = records::read(key, value)?,
            Tag::Node => {
                let node = rest.try_into().map_err(|_| RestoreError { key: "N".to_owned(), reason: "not a node id".to_owned() })?;
                self.nodes.insert(NodeId(node), records::read(key, value)?);
            }
            Tag::Job => _ = self.jobs.insert(records::number(key, rest)?, records::read(key, value)?),
            Tag::Fetched => self.fetched.push(key.clone()),
            Tag::Held => _ = self.held.insert(records::number(key, rest)?, records::read(key, value)?),
            Tag::Log => _ = self.logs.insert(records::number(key, rest)?, records::read(key, value)?),
            Tag::Verdict => _ = self.verdicts.insert(records::number(key, rest)?, records::read(key, value)?),
            Tag::Page => _ = self.pages.insert(records::number(key, rest)?, records::read(key, value)?),
            Tag::Closed => self.closed = Some(records::read(key, value)?),
        }
        Ok(())
    }
}

impl Requester {
    pub(super) fn read_records(&mut self, records: impl Iterator<Item = (Key, Vec<u8>)>, now: Time) -> Result<(), RestoreError> {
        let mut all: BTreeMap<ExperimentId, Found> = BTreeMap::new();
        for (key, value) in records {
            let (tag, id, rest) = records::parse(&key)?;
            all.entry(id).or_default().take(&key, tag, &rest, &value)?;
        }
        for (id, mut found) in all {
            if let Some(record) = found.closed.take() {
                let mut closed = reopened(id, record)?;
                found.logs.iter().for_each(|(lease, record)| closed.logs.restore(*lease, record));
                closed.call_again(&mut self.cx, now);
                self.closed.insert(id, closed);
                continue;
            }
            let missing = || RestoreError { key: id.to_string(), reason: "it has records but no experiment".to_owned() };
            let record = found.experiment.take().ok_or_else(missing)?;
            let mut run = Run::new(&self.cx, record.experiment, record.secret, record.jobs, record.at_once, now);
            run.published = record.published;
            run.restore(&mut self.cx, found, now);
            run.call_out(&mut self.cx, now);
            self.open.insert(id, run);
        }
        Ok(())
    }
}

fn reopened(id: ExperimentId, record: ClosedRecord) -> Result<Closed, RestoreError> {
    let CallState::Closed { log } = record.call.body.state else {
        return Err(RestoreError { key: id.to_string(), reason: "its last Call is not closed".to_owned() });
    };
    let explanation = Explanation::default();
    Ok(Closed { record, log, logs: Logs::default(), renew_at: None, renew_after_ms: RENEW_MS_MIN, explanation, untold: Untold::default() })
}

impl Run {
    fn restore(&mut self, cx: &mut super::context::Context, mut found: Found, now: Time) {
        if let Some(seq) = found.seq {
            self.seq = seq.seq;
            self.at = seq.at;
            self.claim_below = seq.claim_below;
        }
        self.next_lease = found.next_lease;
        found.logs.iter().for_each(|(lease, record)| self.logs.restore(*lease, record));
        found.fetched.drain(..).for_each(|key| cx.delete(key));
        for (node, record) in found.nodes {
            let from = Peer { node, cluster: record.cluster, is_relayed: false };
            let mut claimant = Claimant::new(from, record.labels, record.capacity, now);
            claimant.recorded = true;
            let without_page = found.held.values().filter(|held| held.receipt.author == node).count() as u64;
            claimant.held = record.held.max(without_page);
            self.claimants.insert(node, claimant);
        }
        self.explanation.claimants = self.claimants.len() as u64;
        found.held.values().for_each(|held| self.explanation.ended(&held.receipt.body.outcome));
        for page in found.pages.into_values() {
            self.settled.absorb(&page.settled);
            self.held.absorb(&page.held);
            self.pages.push(page.cid);
        }
        found.held.keys().for_each(|lease| _ = self.held.insert(*lease));
        for record in found.verdicts.into_values() {
            let receipts = record.receipts.iter().filter_map(|lease| found.held.remove(lease)).collect();
            self.decided(cx, record.verdict, receipts, record.lost);
        }
        for (index, record) in found.jobs {
            self.reopen(index, record, now);
        }
        for held in found.held.into_values() {
            let body = &held.receipt.body;
            match self.open.get_mut(&body.index) {
                Some(job) => {
                    job.nodes.insert(body.node);
                    job.clusters.insert(held.cluster);
                    self.held_bytes += crate::codec::encode(&held).len();
                    job.receipts.push(held);
                }
                None => self.enter(cx, Entry::Late(Box::new(held))),
            }
        }
        for index in self.open.keys().copied().collect::<Vec<_>>() {
            if let Some(job) = self.open.get_mut(&index) {
                job.lacking = crate::quorum::lacking(&self.experiment.body.class, &job.receipts);
            }
            self.progress(cx, index);
        }
        self.fresh = self.settled.next_gap(0);
    }

    /// An open job with its leases, which begin anew: each as the longest that it may have been, for its place in the batch is not recorded.
    fn reopen(&mut self, index: u64, record: JobRecord, now: Time) {
        let body = &self.experiment.body;
        let until = now.plus(longest_ms(body.module.bytes, body.limits.wall_ms) + GRACE_MS);
        let losses = record.losses.into_iter().map(|(cluster, count)| (cluster, Losses { count, ready: Time(0) }));
        let lost_all = u32::try_from(record.lost.len()).unwrap_or(u32::MAX).max(record.lost_all);
        let mut job = OpenJob { lost: record.lost, lost_all, losses: losses.collect(), dealt: now, ..OpenJob::default() };
        for (number, node, cluster, recorded) in record.outstanding {
            job.nodes.insert(node);
            job.clusters.insert(cluster);
            job.outstanding.insert(number);
            let labels = self.claimants.get(&node).map(|claimant| Arc::clone(&claimant.labels)).unwrap_or_default();
            self.leases.insert(number, Leased { index, node, cluster, labels, dealt: now, recorded, until, renewed: false, named: None, said: None });
            self.ends.insert((until, number));
            if let Some(claimant) = self.claimants.get_mut(&node) {
                claimant.outstanding.insert(number);
            }
        }
        self.open.insert(index, job);
    }
}
