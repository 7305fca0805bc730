//! Receipts on their way: durable first, then delivered until the requester holds or refuses them.
//!
//! Records: `o` ‖ experiment ‖ 0 ‖ lease → [`OutboxRecord`]; `c` ‖ experiment → [`CallRecord`], kept while the experiment has
//! entries and for as long as a lease number could be misused, also after the end; `p` ‖ node → held receipts; `r` → the operator's pause, see `rest`.
//!
//! Guarantees: no receipt leaves before its Commit is durable (every Deliver is a `then`); an entry ends with held, refused, a Closed
//! Call, deadline + 7 days, or where strangers keep more than their half with that of them who has the most; every bound below holds. Deliberately lacks leases: the requester re-sends what is not in `holding`.

use std::collections::{BTreeMap, BTreeSet};

use cid::Cid;
use serde::{Deserialize, Serialize};

use super::guest_log::end_of_log;
use super::machine::{Asked, Sent, Standing};
use super::rest::PAUSE_BYTES_MAX;
use super::used::Used;
use super::work::Work;
use super::{Effect, Note, Report, Worker};
use crate::bounded::{Bytes, List};
use crate::call::{Call, CallState};
use crate::codec;
use crate::content::Content;
use crate::durable::{Commit, Key, RestoreError};
use crate::experiment::ExperimentId;
use crate::identity::{NodeId, Signed};
use crate::peer_action::PeerAction;
use crate::receipt::{INLINE_BYTES_MAX, LOG_BYTES_MAX, LeaseNumber, Outcome, RECEIPT_BYTES_MAX, Receipt};
use crate::time::{DAY, Time};
use crate::work::{Ack, DELIVERIES_MAX, Deliver, Delivery, HOLDING_MAX, RELAYED_BYTES_MAX, ReceiptRefused, Request, WAIT_MS};

/// Receipts waiting for their requesters, all together.
pub(super) const OUTBOX_MAX: usize = 4_096;
/// Bytes of output and transcript they hold.
pub(super) const OUTBOX_BYTES_MAX: u64 = 1 << 30;
/// Receipts and leases of one requester that never held one: what a stranger may make this station keep.
pub const OUTBOX_UNKNOWN_MAX: usize = 64;
/// Receipts and leases of all that never held one, and their bytes: half is for those that did, and they may have all of it.
pub(super) const OUTBOX_STRANGERS_MAX: usize = OUTBOX_MAX / 2;
pub(super) const OUTBOX_STRANGERS_BYTES_MAX: u64 = OUTBOX_BYTES_MAX / 2;
/// Receipts and leases of one requester that did: one that never answers again must leave room for others.
pub(super) const OUTBOX_KNOWN_MAX: usize = OUTBOX_MAX / 4;
/// How long after the deadline a receipt is kept: a researcher's machine may be off for a week.
const KEPT_AFTER_DEADLINE_MS: u64 = 7 * DAY;
/// Frame bytes left for everything in a Deliver but its receipts: 256 lease numbers twice, with reasons.
pub(super) const DELIVER_OVERHEAD_BYTES: usize = 12 << 10;
/// Output and transcript up to this travel beside the receipt, over a relay too; above it they are blobs, to be fetched by CID. A
/// record cannot be fetched, so that the decision is made once, before the way is known.
const INLINE_HERE_BYTES_MAX: usize = RELAYED_BYTES_MAX - DELIVER_OVERHEAD_BYTES - RECEIPT_BYTES_MAX;
/// Largest encoded outbox record.
const RECORD_BYTES_MAX: usize = INLINE_BYTES_MAX + (8 << 10);
/// Largest encoded record of a Call with its used lease numbers.
const CALL_RECORD_BYTES_MAX: usize = 64 << 10;
/// Experiments without entries whose used lease numbers are remembered; strangers' go first, and those whose deadline is first.
pub(super) const RECORDED_MAX: usize = 1_024;
/// Requesters remembered as known; those with the fewest held receipts go first.
pub(super) const HISTORY_MAX: usize = 4_096;

/// A receipt that its requester does not hold yet.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    delivery: Delivery,
    /// Encoded size of the delivery.
    frame_bytes: usize,
    /// Output and transcript.
    bytes: u64,
    pub(super) next_at: Time,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OutboxRecord {
    delivery: Delivery,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CallRecord {
    call: Signed<Call>,
    used: Used,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PeerHistory {
    held: u64,
}

/// Whose receipts were held: a requester that held one is known.
#[derive(Debug, Default)]
pub(super) struct History {
    held: BTreeMap<NodeId, u64>,
}

impl History {
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn knows(&self, node: &NodeId) -> bool {
        self.held.contains_key(node)
    }
}

fn outbox_key(experiment: &ExperimentId, lease: LeaseNumber) -> Key {
    let mut key = vec![b'o'];
    key.extend_from_slice(&experiment.to_bytes());
    key.push(0);
    key.extend_from_slice(&lease.to_be_bytes());
    Key(key)
}

fn call_key(experiment: &ExperimentId) -> Key {
    let mut key = vec![b'c'];
    key.extend_from_slice(&experiment.to_bytes());
    Key(key)
}

fn peer_key(node: &NodeId) -> Key {
    let mut key = vec![b'p'];
    key.extend_from_slice(&node.0);
    Key(key)
}

/// Reads every record into `worker`.
pub(super) fn restore(worker: &mut Worker, records: impl Iterator<Item = (Key, Vec<u8>)>, now: Time) -> Result<(), RestoreError> {
    let mut entries: Vec<Delivery> = Vec::new();
    for (key, value) in records {
        let bad = |reason: String| RestoreError { key: key.0.iter().map(|byte| format!("{byte:02x}")).collect(), reason };
        match key.0.split_first() {
            Some((b'o', _)) => {
                let record: OutboxRecord = codec::decode(&value, RECORD_BYTES_MAX).map_err(|error| bad(error.to_string()))?;
                entries.push(record.delivery);
            }
            Some((b'c', _)) => {
                let record: CallRecord = codec::decode(&value, CALL_RECORD_BYTES_MAX).map_err(|error| bad(error.to_string()))?;
                let id = record.call.body.id();
                let mut work = Work::new(record.call, false, now);
                work.used = record.used;
                work.recorded = true;
                let is_open = work.call.body.state == CallState::Open;
                work.standing = if is_open { Standing::NotSampled } else { Standing::Closed };
                worker.works.insert(id, work);
            }
            Some((b'p', node)) => {
                let node: [u8; 32] = node.try_into().map_err(|_| bad("its key is not a node".to_owned()))?;
                let record: PeerHistory = codec::decode(&value, 64).map_err(|error| bad(error.to_string()))?;
                worker.history.held.insert(NodeId(node), record.held);
            }
            Some((b'r', [])) => {
                worker.resting.pause = Some(codec::decode(&value, PAUSE_BYTES_MAX).map_err(|error| bad(error.to_string()))?);
            }
            _ => return Err(bad("no record of this machine begins so".to_owned())),
        }
    }
    for delivery in entries {
        let (id, lease) = (delivery.receipt.body.experiment, delivery.receipt.body.lease);
        if !worker.works.contains_key(&id) {
            let key = outbox_key(&id, lease).0.iter().map(|byte| format!("{byte:02x}")).collect();
            return Err(RestoreError { key, reason: "its Call is missing".to_owned() });
        }
        worker.insert_entry(id, lease, delivery, now);
    }
    Ok(())
}

impl Work {
    /// When the first entry or returned lease may be sent.
    pub(super) fn first_delivery(&self) -> Option<Time> {
        if !self.returned.is_empty() {
            return Some(self.return_at);
        }
        self.outbox.values().map(|entry| entry.next_at).min()
    }

    pub(super) fn has_delivery(&self, now: Time) -> bool {
        self.first_delivery().is_some_and(|at| at <= now)
    }

    /// Nothing that waits is offered again before `at`.
    pub(super) fn put_off_deliveries(&mut self, at: Time) {
        self.return_at = self.return_at.max(at);
        for entry in self.outbox.values_mut() {
            entry.next_at = entry.next_at.max(at);
        }
    }
}

fn contents(receipt: &Receipt) -> impl Iterator<Item = &Content> {
    receipt.output.iter().chain(&receipt.transcript)
}

/// What of `delivery` is fetched by CID.
fn blobs(delivery: &Delivery) -> impl Iterator<Item = Cid> + '_ {
    let beside = delivery.output.is_some() || delivery.transcript.is_some();
    contents(&delivery.receipt.body).filter(move |_| !beside).map(|content| content.cid)
}

impl Worker {
    fn insert_entry(&mut self, id: ExperimentId, lease: LeaseNumber, delivery: Delivery, now: Time) {
        let Some(work) = self.works.get_mut(&id) else { return };
        let bytes = contents(&delivery.receipt.body).map(|content| content.bytes).fold(0, u64::saturating_add);
        let frame_bytes = codec::encode(&delivery).len();
        work.used.insert(lease);
        work.outbox.insert(lease, Entry { delivery, frame_bytes, bytes, next_at: now });
        work.outbox_bytes = work.outbox_bytes.saturating_add(bytes);
        self.outbox_entries += 1;
        self.outbox_bytes = self.outbox_bytes.saturating_add(bytes);
    }

    /// Signs what an execution gave and makes it durable.
    pub(super) fn keep_receipt(&mut self, id: ExperimentId, lease: LeaseNumber, index: u64, started_ms: u64, report: Report, now: Time) {
        let Some(work) = self.works.get(&id) else { return };
        let requester = work.requester();
        let has_output = report.outcome == Outcome::Completed || !report.output.is_empty();
        let receipt = Receipt {
            experiment: id,
            index,
            lease,
            node: self.node,
            profile: work.call.body.experiment.body.profile.clone(),
            isolation: self.config.isolation,
            outcome: report.outcome.clone(),
            output: has_output.then(|| Content::raw(&report.output)),
            transcript: (!report.transcript.is_empty()).then(|| Content::raw(&report.transcript)),
            fuel: report.fuel,
            started_ms,
            duration_ms: report.duration_ms,
            software: self.config.software.clone(),
        };
        self.keep_slot(requester, now);
        let note = Note::Finished { experiment: id, lease, index, outcome: report.outcome, fuel: report.fuel, duration_ms: report.duration_ms };
        let mut commit = Commit::default();
        let (output_content, transcript_content) = (receipt.output.clone(), receipt.transcript.clone());
        let receipt = self.key.sign(&self.config.network, receipt);
        let mut delivery = Delivery { receipt, output: None, transcript: None, log: None };
        if report.output.len() + report.transcript.len() <= INLINE_HERE_BYTES_MAX {
            delivery.log = end_of_log(&report.log, INLINE_HERE_BYTES_MAX - report.output.len() - report.transcript.len());
            delivery.output = output_content.and_then(|_| Bytes::new(report.output).ok());
            delivery.transcript = transcript_content.and_then(|_| Bytes::new(report.transcript).ok());
        } else {
            delivery.log = end_of_log(&report.log, LOG_BYTES_MAX);
            for (content, bytes) in [(output_content, report.output), (transcript_content, report.transcript)] {
                if let Some(content) = content {
                    commit.bring(outbox_key(&id, lease), content.cid, bytes);
                }
            }
        }
        let record = codec::encode(&OutboxRecord { delivery: delivery.clone() });
        assert!(record.len() <= RECORD_BYTES_MAX, "an outbox record of {} bytes could not be read back", record.len());
        commit.puts.push((outbox_key(&id, lease), record));
        self.insert_entry(id, lease, delivery, now);
        if !self.works.get(&id).is_none_or(|work| work.recorded) {
            commit.puts.extend(self.call_record(id));
        }
        commit.then.push(Effect::Note(note));
        self.commit(commit);
    }

    /// The record of the newest Call and the lease numbers that were used.
    fn call_record(&mut self, id: ExperimentId) -> Option<(Key, Vec<u8>)> {
        let work = self.works.get_mut(&id)?;
        work.recorded = true;
        let record = codec::encode(&CallRecord { call: work.call.clone(), used: work.used.clone() });
        assert!(record.len() <= CALL_RECORD_BYTES_MAX, "a Call's record of {} bytes could not be read back", record.len());
        Some((call_key(&id), record))
    }

    /// Writes the newest Call beside the entries of its experiment.
    pub(super) fn keep_call(&mut self, id: ExperimentId) {
        let puts = self.call_record(id).into_iter().collect();
        self.commit(Commit { puts, ..Commit::default() });
    }

    /// Takes an entry out, adding what must leave the disk to `commit`.
    fn remove_entry(&mut self, id: ExperimentId, lease: LeaseNumber, commit: &mut Commit<Effect>) -> bool {
        let Some(work) = self.works.get_mut(&id) else { return false };
        let Some(entry) = work.outbox.remove(&lease) else { return false };
        work.outbox_bytes = work.outbox_bytes.saturating_sub(entry.bytes);
        self.outbox_entries -= 1;
        self.outbox_bytes = self.outbox_bytes.saturating_sub(entry.bytes);
        commit.deletes.push(outbox_key(&id, lease));
        true
    }

    /// Blobs that requesters may still fetch.
    pub fn provided(&self) -> impl Iterator<Item = Cid> + use<> {
        let entries = self.works.values().flat_map(|work| work.outbox.values());
        let provided: BTreeSet<Cid> = entries.flat_map(|entry| blobs(&entry.delivery)).collect();
        provided.into_iter()
    }

    /// Drops receipts until all bounds hold: of the stranger that has the most, so that a newcomer with few gets through; of the others only
    /// where there are none, which takes strangers that became known while they had work here.
    pub(super) fn bound_outbox(&mut self) {
        let mut commit = Commit::default();
        let mut dropped = BTreeSet::new();
        while let Some(id) = self.load.is_over().then(|| self.largest_share()).flatten() {
            let Some(lease) = self.works.get(&id).and_then(|work| work.outbox.keys().next().copied()) else { break };
            let requester = self.works[&id].requester();
            let bytes = self.works[&id].outbox[&lease].bytes;
            self.remove_entry(id, lease, &mut commit);
            dropped.insert(id);
            self.load.dropped(&requester, bytes, self.is_known(&requester));
        }
        if !dropped.is_empty() {
            commit.puts.extend(dropped.into_iter().filter_map(|id| self.call_record(id)));
            self.commit(commit);
            self.note(Note::Overflow { what: "outbox" });
        }
    }

    /// An experiment with receipts, of the stranger with the most, or of the requester where there is no stranger.
    fn largest_share(&self) -> Option<ExperimentId> {
        let kept = self.works.iter().filter(|(_, work)| !work.outbox.is_empty());
        let share = |work: &Work| (!self.is_known(&work.requester()), self.load.kept_of(&work.requester()), work.outbox.len());
        kept.max_by_key(|(_, work)| share(work)).map(|(id, _)| *id)
    }

    /// Whether `node` held a receipt of this station, or is it.
    pub(super) fn is_known(&self, node: &NodeId) -> bool {
        *node == self.node || self.history.knows(node)
    }

    /// Takes all entries of `id` out.
    fn remove_entries(&mut self, id: ExperimentId, commit: &mut Commit<Effect>) {
        let leases: Vec<LeaseNumber> = self.works.get(&id).into_iter().flat_map(|work| work.outbox.keys().copied()).collect();
        for lease in leases {
            self.remove_entry(id, lease, commit);
        }
    }

    /// Nobody wants the receipts of `id` any more. Its used numbers stay recorded, for its requester may come back with an older disk.
    pub(super) fn end_outbox(&mut self, id: ExperimentId) {
        let mut commit = Commit::default();
        self.remove_entries(id, &mut commit);
        if !commit.deletes.is_empty() {
            commit.puts.extend(self.call_record(id));
            self.commit(commit);
        }
    }

    /// Deletes everything recorded of `id`.
    pub(super) fn drop_outbox(&mut self, id: ExperimentId) {
        let mut commit = Commit::default();
        self.remove_entries(id, &mut commit);
        let Some(work) = self.works.get_mut(&id) else { return };
        if std::mem::take(&mut work.recorded) {
            commit.deletes.push(call_key(&id));
            self.commit(commit);
        }
    }

    /// Ends what is recorded of experiments whose deadline is a week past.
    pub(super) fn expire_outbox(&mut self, now: Time) {
        let world = self.world(now);
        let over = |work: &Work| work.recorded && work.call.body.deadline().plus(KEPT_AFTER_DEADLINE_MS) < world;
        let ids: Vec<ExperimentId> = self.works.iter().filter(|(_, work)| over(work)).map(|(id, _)| *id).collect();
        for id in ids {
            self.drop_outbox(id);
        }
        let mut ended: Vec<(bool, Time, ExperimentId)> = self
            .works
            .iter()
            .filter(|(_, work)| work.recorded && work.outbox.is_empty() && work.leases.is_empty())
            .map(|(id, work)| (self.is_known(&work.requester()), work.call.body.deadline(), *id))
            .collect();
        ended.sort();
        let surplus = ended.len().saturating_sub(RECORDED_MAX);
        for (.., id) in ended.into_iter().take(surplus) {
            self.drop_outbox(id);
        }
    }

    /// Sends what is due of `id`: as many receipts as fit, what it holds, what it gives back, and how much more it would take.
    pub(super) fn deliver(&mut self, id: ExperimentId, now: Time) {
        let Some(work) = self.works.get(&id) else { return };
        let requester = work.requester();
        let at = match self.way(&id, work.call.body.at.clone(), now) {
            Ok(at) => at,
            Err(until) => {
                self.works.entry(id).and_modify(|work| work.dial_at = until);
                return;
            }
        };
        let Some(work) = self.works.get(&id) else { return };
        let mut room = self.frames.bytes_max(&requester, &at, now) - DELIVER_OVERHEAD_BYTES;
        let mut receipts: Vec<Delivery> = Vec::new();
        for entry in work.outbox.values().filter(|entry| entry.next_at <= now) {
            if receipts.len() >= DELIVERIES_MAX || entry.frame_bytes > room {
                break;
            }
            room -= entry.frame_bytes;
            receipts.push(entry.delivery.clone());
        }
        let named: BTreeSet<LeaseNumber> = receipts.iter().map(|delivery| delivery.receipt.body.lease).collect();
        let returned = work.returned.len().min(HOLDING_MAX);
        let free = self.appetite(work, now);
        let deliver = Deliver {
            experiment: id,
            receipts: List::first(receipts),
            holding: work.holding(),
            free,
            cursor: work.cursor,
            returned: List::first(work.returned.iter().copied()),
        };
        let asked = Asked { experiment: id, to: requester, at: at.clone(), free };
        let send = self.ask(requester, at, Request::Deliver(deliver), Sent::Deliver { asked, receipts: named, returned }, now);
        if let Some(work) = self.works.get_mut(&id) {
            work.last_sent = Some(send);
        }
    }

    /// The answer to a Deliver that named `receipts` and the first `returned` of the returned leases.
    pub(super) fn acked(&mut self, asked: &Asked, receipts: &BTreeSet<LeaseNumber>, returned: usize, ack: Signed<Ack>, now: Time) {
        let (id, to) = (asked.experiment, asked.to);
        let is_ours = ack.author == to && ack.body.experiment == id && ack.body.node == self.node;
        let leases_ours = ack.body.leases.as_ref().is_none_or(|leases| leases.experiment == id);
        if !is_ours || !leases_ours || ack.verify(&self.config.network).is_err() {
            self.invalid(asked, now);
            return;
        }
        let ack = ack.body;
        let Some(work) = self.works.get_mut(&id) else { return };
        let again = now.plus(u64::from(ack.again_ms.clamp(*WAIT_MS.start(), *WAIT_MS.end())));
        work.failures = 0;
        work.returned.drain(..returned.min(work.returned.len()));
        // A requester that counts its verdicts backwards would have this station read them for ever.
        work.cursor = work.cursor.max(ack.cursor);
        work.ask_at = again;
        for lease in receipts {
            if let Some(entry) = work.outbox.get_mut(lease) {
                entry.next_at = again;
            }
        }
        self.end_entries(id, to, receipts, &ack);
        let over_leased = ack.leases.is_some_and(|leases| !self.take_leases(leases, asked, now));
        if over_leased {
            self.invalid(asked, now);
        }
        if let Some(reason) = ack.no_more {
            let seq = self.works.get(&id).map_or(0, |work| work.call.body.seq);
            self.no_more(id, reason, seq, now);
        }
    }

    /// Ends the entries that an Ack names, of those that were delivered.
    fn end_entries(&mut self, id: ExperimentId, requester: NodeId, receipts: &BTreeSet<LeaseNumber>, ack: &Ack) {
        let mut commit = Commit::default();
        let mut held = 0;
        for lease in ack.held.iter().filter(|lease| receipts.contains(lease)) {
            if self.remove_entry(id, *lease, &mut commit) {
                held += 1;
                commit.then.push(Effect::Note(Note::Held { experiment: id, lease: *lease }));
            }
        }
        let refused: &[(LeaseNumber, ReceiptRefused)] = &ack.refused;
        for (lease, reason) in refused.iter().filter(|(lease, _)| receipts.contains(lease)) {
            if self.remove_entry(id, *lease, &mut commit) {
                commit.then.push(Effect::Note(Note::ReceiptRefused { experiment: id, lease: *lease, reason: *reason }));
            }
        }
        if held > 0 {
            commit.then.push(Effect::Report { node: requester, action: PeerAction::Useful });
            self.remember(requester, held, &mut commit);
        }
        if !commit.deletes.is_empty() {
            // What leaves the outbox is from here on known as used by this record alone.
            commit.puts.extend(self.call_record(id));
            self.commit(commit);
        }
    }

    fn remember(&mut self, requester: NodeId, held: u64, commit: &mut Commit<Effect>) {
        let all = &mut self.history.held;
        if all.len() >= HISTORY_MAX
            && !all.contains_key(&requester)
            && let Some(least) = all.iter().min_by_key(|(_, held)| **held).map(|(node, _)| *node)
        {
            all.remove(&least);
            commit.deletes.push(peer_key(&least));
        }
        let count = all.entry(requester).or_default();
        let first = *count == 0;
        *count = count.saturating_add(held);
        // The number only orders who is forgotten first, so that a new power of two is news enough for the disk.
        if first || count.ilog2() != (*count - held).max(1).ilog2() {
            commit.puts.push((peer_key(&requester), codec::encode(&PeerHistory { held: *count })));
        }
    }
}
