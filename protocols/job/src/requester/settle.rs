//! Verdicts, pages of the Log, and the end of an experiment.
//!
//! Guarantees: a job is settled once and leaves memory with its page; verdict, page and root are durable before they are told;
//! every job ends in a verdict or is counted as expired. Deliberately lacks any way back: later receipts are later entries.

use std::collections::BTreeSet;
use std::sync::Arc;

use cid::Cid;

use super::context::Context;
use super::deal::OPEN_JOBS_MAX;
use super::open::{RENEW_MS_MIN, call};
use super::records::{ClosedRecord, PageRecord, Tag, VerdictRecord, key, numbered};
use super::run::{Closed, OpenJob, OpenPage, Run};
use super::untold::Untold;
use super::{Effect, Note};
use crate::bounded::{Bytes, List};
use crate::call::{CALL_VALID_MS_MAX, CLOCK_TOLERANCE_MS, Call, CallState};
use crate::codec;
use crate::content::{DAG_CBOR, cid_of};
use crate::experiment::ExperimentId;
use crate::identity::Signed;
use crate::jobs::BLOCK_BYTES_MAX;
use crate::log::{Entry, HeldReceipt, PAGE_BYTES_MAX, PAGES_MAX, Page, ROOT_BYTES_MAX, RULES, Root, SettledJob};
use crate::quorum::{self, End};
use crate::time::{SECOND, Time};
use crate::verdict::{Decision, JobVerdict};
use crate::work::DELIVERIES_MAX;

/// Unread verdicts kept per station; who reads more slowly finds them in the Log.
pub(super) const UNREAD_MAX: usize = 256;
/// Room in a page for its head.
const PAGE_HEAD_BYTES: usize = 256;
/// An entry above this keeps its outputs in blobs of their own, so that a page stays a page.
const ENTRY_BYTES_MAX: usize = PAGE_BYTES_MAX / 2;
/// Pages of the root that are kept for what is open: each open job and each receipt of one delivery is an entry, which may fill a page. A
/// Log with more pages than its root names would have lost the last of them.
pub(super) const PAGES_KEPT: usize = OPEN_JOBS_MAX + DELIVERIES_MAX + 2;
/// How long a closed experiment goes on being called, for those who missed it.
pub(super) const CLOSING_MS: u64 = 30 * SECOND;

impl Run {
    /// Settles job `index` if its receipts decide it or nothing more can; else says whether it lacks executions.
    pub(super) fn progress(&mut self, cx: &mut Context, index: u64) {
        let attempts_max = self.attempts_max;
        let Some(job) = self.open.get(&index) else { return };
        let decision = if job.lacking == 0 { quorum::decide(&self.experiment.body, &job.receipts) } else { None };
        if let Some(decision) = decision {
            return self.settle(cx, index, decision);
        }
        if job.missing(attempts_max) > 0 {
            self.hungry.insert(index);
            return self.watch(index);
        }
        self.hungry.remove(&index);
        if job.outstanding.is_empty() {
            let decision = quorum::conclude(&self.experiment.body, &job.receipts, End::Exhausted);
            return self.settle(cx, index, decision);
        }
        self.watch(index);
    }

    fn settle(&mut self, cx: &mut Context, index: u64, decision: Decision) {
        let Some(job) = self.open.remove(&index) else { return };
        self.hungry.remove(&index);
        let OpenJob { mut receipts, lost, silent, .. } = job;
        silent.map(|silent| self.silent.remove(&silent));
        self.held_bytes = self.held_bytes.saturating_sub(receipts.iter().map(|held| codec::encode(held).len()).sum());
        receipts.sort_by_key(|held| held.receipt.body.lease);
        let verdict = JobVerdict { index, decision };
        let leases = receipts.iter().map(|held| held.receipt.body.lease).collect();
        let record = VerdictRecord { verdict: verdict.clone(), receipts: leases, lost: lost.clone() };
        cx.delete(numbered(Tag::Job, &self.id, index));
        cx.put(numbered(Tag::Verdict, &self.id, self.settled.len()), codec::encode(&record));
        self.decided(cx, verdict.clone(), receipts, lost);
        cx.note(Note::Settled { experiment: self.id, verdict, settled: self.settled.len(), jobs: self.jobs.count() });
    }

    /// Enters a verdict that is, or becomes with this event, durable.
    pub(super) fn decided(
        &mut self,
        cx: &mut Context,
        verdict: JobVerdict,
        receipts: Vec<HeldReceipt>,
        lost: Vec<(u64, crate::identity::NodeId, crate::log::Lost)>,
    ) {
        let ordinal = self.settled.len();
        let shared = Arc::new(verdict.clone());
        for held in &receipts {
            if let Some(claimant) = self.claimants.get_mut(&held.receipt.body.node) {
                if claimant.unread.len() == UNREAD_MAX {
                    claimant.unread.pop_front();
                }
                claimant.unread.push_back((ordinal, Arc::clone(&shared)));
            }
        }
        let index = verdict.index;
        self.settled.insert(index);
        let input = self.jobs.input(index).and_then(|input| Bytes::new(input).ok()).unwrap_or_default();
        self.enter(cx, Entry::Settled(Box::new(SettledJob { verdict, input, receipts, lost })));
        self.page.settled.insert(index);
        self.page.ordinals.push(ordinal);
    }

    /// Adds an entry to the page being filled; a full page becomes a blob first.
    pub(super) fn enter(&mut self, cx: &mut Context, mut entry: Entry) {
        if let Entry::Settled(job) = &mut entry {
            once_each(&mut job.receipts);
            if codec::encode(&**job).len() > ENTRY_BYTES_MAX {
                outputs_to_blobs(cx, &self.id, &mut job.receipts);
            }
        }
        let bytes = codec::encode(&entry).len();
        if !self.page.entries.is_empty() && self.page.bytes + bytes + PAGE_HEAD_BYTES > PAGE_BYTES_MAX {
            self.write_page(cx);
        }
        self.page.bytes += bytes;
        match &entry {
            Entry::Settled(job) => job.receipts.iter().for_each(|held| _ = self.page.held.insert(held.receipt.body.lease)),
            Entry::Late(held) => _ = self.page.held.insert(held.receipt.body.lease),
        }
        self.page.entries.push(entry);
    }

    fn write_page(&mut self, cx: &mut Context) {
        let OpenPage { entries, settled, held, ordinals, .. } = std::mem::take(&mut self.page);
        if entries.is_empty() {
            return;
        }
        let number = self.pages.len() as u64;
        let parts: BTreeSet<Cid> = entries.iter().flat_map(stored_parts).collect();
        let bytes = codec::encode(&Page { experiment: self.id, number, entries });
        // By the bounds of receipts, labels and verdicts: what could not be read back would take all results of the experiment with it.
        assert!(bytes.len() <= BLOCK_BYTES_MAX, "page {number} of the Log takes {} bytes", bytes.len());
        let cid = cid_of(DAG_CBOR, &bytes);
        let page = numbered(Tag::Page, &self.id, number);
        cx.bring(page.clone(), cid, bytes);
        parts.into_iter().for_each(|part| cx.own(page.clone(), part));
        for ordinal in ordinals {
            cx.delete(numbered(Tag::Verdict, &self.id, ordinal));
        }
        for lease in held.iter().flat_map(|(start, end)| start..end) {
            cx.delete(numbered(Tag::Held, &self.id, lease));
        }
        cx.put(page, codec::encode(&PageRecord { cid, settled, held }));
        self.pages.push(cid);
    }

    /// When the experiment ends at the latest, in the world's time: work under way has the clock tolerance.
    pub(super) fn closes_at(&self) -> Time {
        let deadline = self.experiment.body.deadline;
        if self.leases.is_empty() { deadline } else { deadline.plus(CLOCK_TOLERANCE_MS) }
    }

    /// Whether nothing more will happen, at this time of the world.
    pub(super) fn is_over(&self, world: Time) -> bool {
        self.settled.len() >= self.jobs.count() || world >= self.closes_at() || self.pages.len() + PAGES_KEPT >= PAGES_MAX
    }

    /// Expires what is open, writes the last page and the root, and says Closed.
    pub(super) fn close(mut self, cx: &mut Context, now: Time) -> Closed {
        let numbers: Vec<u64> = self.leases.keys().copied().collect();
        for number in numbers {
            if let Some(ticket) = self.leases.remove(&number).and_then(|leased| leased.named).and_then(|named| named.fetch) {
                cx.fetches.remove(&ticket);
            }
            cx.delete(numbered(Tag::Fetched, &self.id, number));
        }
        let decided = self.settled.len();
        let mut measured = 0;
        for index in self.open.keys().copied().collect::<Vec<_>>() {
            cx.delete(numbered(Tag::Job, &self.id, index));
            let Some(job) = self.open.get(&index).filter(|job| !job.receipts.is_empty()) else { continue };
            let decision = quorum::conclude(&self.experiment.body, &job.receipts, End::Expired);
            measured += u64::from(!matches!(decision, Decision::Expired { .. }));
            self.settle(cx, index, decision);
        }
        self.write_page(cx);
        let settled = decided + measured;
        let root = Root {
            experiment: self.experiment.clone(),
            pages: List::first(self.pages.iter().copied()),
            secret: self.secret,
            rules: RULES,
            settled,
            expired: self.jobs.count().saturating_sub(settled),
        };
        let bytes = codec::encode(&root);
        assert!(bytes.len() <= ROOT_BYTES_MAX, "the root of the Log takes {} bytes", bytes.len());
        let log = cid_of(DAG_CBOR, &bytes);
        let closed = key(Tag::Closed, &self.id, &[]);
        cx.bring(closed.clone(), log, bytes);
        self.forget_records(cx);
        let old = Call { state: CallState::Closed { log }, claim_below: self.claim_below, seq: self.seq, ..self.call.body.clone() };
        let call = call_after(cx, &old, now);
        let record = ClosedRecord { call, pages: self.pages, settled, held: self.held, published: self.published, at: cx.world(now) };
        cx.put(closed, codec::encode(&record));
        cx.then(Effect::Gossip(Box::new(record.call.clone())));
        cx.note(Note::Closed { experiment: self.id, log });
        let untold = Untold::of(self.claimants);
        let renew_at = Some(now.plus(RENEW_MS_MIN));
        Closed { record, log, logs: self.logs, renew_at, renew_after_ms: RENEW_MS_MIN, explanation: self.explanation, untold }
    }

    /// What Closed replaces. Verdicts and receipts went with the last page; pages and blocks keep their owners.
    fn forget_records(&self, cx: &mut Context) {
        for tag in [Tag::Experiment, Tag::Seq, Tag::NextLease] {
            cx.delete(key(tag, &self.id, &[]));
        }
        for node in self.claimants.keys() {
            cx.delete(key(Tag::Node, &self.id, &node.0));
        }
    }
}

impl Closed {
    /// Lets go everything recorded of it, and with that its Log, its module and its jobs.
    pub(super) fn forget(self, cx: &mut Context) {
        let id = self.record.call.body.id();
        for tag in [Tag::Closed, Tag::Blocks] {
            cx.delete(key(tag, &id, &[]));
        }
        for number in 0..self.record.pages.len() as u64 {
            cx.delete(numbered(Tag::Page, &id, number));
        }
        self.logs.forget(cx, &id);
    }

    /// Whether at this time of the world the last Open Call may still be around, so that saying where the Log is found is worth a Call.
    pub(super) fn is_missed(&self, world: Time) -> bool {
        world.since(self.record.at) <= CALL_VALID_MS_MAX
    }

    /// Says once more that it is closed, while that is useful.
    pub(super) fn keep_calling(&mut self, cx: &mut Context, now: Time) {
        let Some(at) = self.renew_at.filter(|at| *at <= now) else { return };
        if cx.world(at).since(self.record.at) > CLOSING_MS {
            self.renew_at = None;
            return;
        }
        self.call_again(cx, now);
    }

    /// Gossips with the next seq, if the last Open Call may still be around.
    pub(super) fn call_again(&mut self, cx: &mut Context, now: Time) {
        if !self.is_missed(cx.world(now)) {
            self.renew_at = None;
            return;
        }
        self.record.call = call_after(cx, &self.record.call.body, now);
        cx.put(key(Tag::Closed, &self.record.call.body.id(), &[]), codec::encode(&self.record));
        cx.then(Effect::Gossip(Box::new(self.record.call.clone())));
        self.renew_after_ms *= 2;
        self.renew_at = Some(now.plus(self.renew_after_ms));
    }
}

/// The next Call of a closed experiment. Before this process knows its addresses those of the last Call stand in it: without any, nobody
/// would find the Log.
fn call_after(cx: &Context, old: &Call, now: Time) -> Signed<Call> {
    let at = if cx.at.is_empty() { &old.at } else { &cx.at };
    call(cx, &old.experiment, old.seq + 1, &old.state, (old.claim_below, old.wanted), at, now)
}

/// Equal outputs stand in an entry once.
fn once_each(receipts: &mut [HeldReceipt]) {
    let mut seen = BTreeSet::new();
    for held in receipts {
        let repeats = held.receipt.body.output.as_ref().is_some_and(|output| held.output.is_some() && !seen.insert(output.cid));
        if repeats {
            held.output = None;
        }
    }
}

/// What is still inline becomes blobs that the receipts' records own until the page does.
pub(super) fn outputs_to_blobs(cx: &mut Context, id: &ExperimentId, receipts: &mut [HeldReceipt]) {
    for held in receipts {
        let body = &held.receipt.body;
        let owner = numbered(Tag::Held, id, body.lease);
        for (content, bytes) in [(&body.output, held.output.take()), (&body.transcript, held.transcript.take())] {
            if let (Some(content), Some(bytes)) = (content, bytes) {
                cx.bring(owner.clone(), content.cid, bytes.into_vec());
            }
        }
    }
}

/// Outputs and transcripts of an entry that are blobs of their own.
fn stored_parts(entry: &Entry) -> Vec<Cid> {
    let receipts = match entry {
        Entry::Settled(job) => &job.receipts[..],
        Entry::Late(held) => std::slice::from_ref(&**held),
    };
    let output = |held: &HeldReceipt| held.receipt.body.output.as_ref().map(|content| content.cid);
    let inline: BTreeSet<Cid> = receipts.iter().filter(|held| held.output.is_some()).filter_map(output).collect();
    let outputs = receipts.iter().filter_map(output).filter(|cid| !inline.contains(cid));
    let absent = receipts.iter().filter(|held| held.transcript.is_none());
    let transcripts = absent.filter_map(|held| held.receipt.body.transcript.as_ref()).map(|content| content.cid);
    outputs.chain(transcripts).collect()
}
