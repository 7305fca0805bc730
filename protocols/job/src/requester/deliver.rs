//! Deliveries: which receipts are held, which never will be, which wait for their output.
//!
//! Guarantees: idempotent by lease number; `held` is said only with, or after, the Commit that makes receipt and verified output
//! durable; a receipt counts only if it was named before its lease ended. Deliberately lacks opinions on results.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::claim::wait_ms;
use super::context::{Context, Fetching};
use super::records::{Tag, numbered};
use super::run::{Named, Part, Run};
use super::settle::outputs_to_blobs;
use super::untold::tell;
use super::{Effect, Note, Peer};
use crate::bounded::{Bytes, List};
use crate::cluster::Cluster;
use crate::codec;
use crate::content::Content;
use crate::durable::Ticket;
use crate::experiment::Class;
use crate::hostcall::TRANSCRIPT_BYTES_MAX;
use crate::identity::NodeId;
use crate::lease::LEASE_MS_MAX;
use crate::log::{Entry, HeldReceipt, Lost};
use crate::peer_action::PeerAction;
use crate::receipt::{INLINE_BYTES_MAX, LeaseNumber};
use crate::time::{MINUTE, SECOND, Time};
use crate::verdict::JobVerdict;
use crate::work::{ACK_VERDICTS_MAX, Ack, Deliver, Delivery, ReceiptRefused, Response, ReturnReason};
use crate::worker::FetchFailure;

/// How long an output may take after its receipt.
const OUTPUT_MS: u64 = 5 * MINUTE;
/// When a receipt that waits for its output is to be delivered again.
const PENDING_MS: u64 = SECOND;
/// Fetches of outputs at the same time, all experiments together.
pub(super) const FETCHES_MAX: usize = 64;
/// Of them for one cluster: stations that serve nothing hold no more.
const FETCHES_PER_CLUSTER_MAX: usize = 8;
/// The last ones are for clusters that have none, so that those who deliver seldom need not wait for those who deliver much.
const FETCHES_KEPT: usize = 16;

/// What becomes of one delivered receipt.
enum Judgement {
    Held,
    Pending,
    Refused(ReceiptRefused),
}

impl Run {
    pub(super) fn deliver(&mut self, cx: &mut Context, ask: Ticket, from: Peer, deliver: &Deliver, now: Time) {
        let (mut held, mut refused, mut pending) = (Vec::new(), Vec::new(), false);
        if let Some(claimant) = self.claimants.get_mut(&from.node) {
            claimant.seen = now;
            claimant.is_relayed = from.is_relayed;
        }
        for delivery in &deliver.receipts {
            let lease = delivery.receipt.body.lease;
            match self.judge(cx, from, delivery, now) {
                Judgement::Held => held.push(lease),
                Judgement::Pending => pending = true,
                Judgement::Refused(reason) => {
                    refused.push((lease, reason));
                    cx.note(Note::ReceiptRefused { experiment: self.id, node: from.node, lease, reason });
                    // Where one is forged the others are not worth the work; honest ones among them come again.
                    if reason == ReceiptRefused::Signature {
                        break;
                    }
                }
            }
        }
        self.give_back(cx, from.node, &deliver.returned, now);
        let (leases, no_more) = match self.leases_for(cx, from.node, deliver.free, &deliver.holding, now) {
            Ok(leases) => (Some(leases), None),
            Err(reason) => (None, reason),
        };
        let again_ms = if leases.is_some() || pending { wait_ms(PENDING_MS) } else { self.idle_ms(from.node, now) };
        let (verdicts, cursor) = self.unread(from, deliver.cursor);
        let ack = Ack {
            experiment: self.id,
            node: from.node,
            held: List::first(held),
            refused: List::first(refused),
            again_ms,
            verdicts,
            cursor,
            leases,
            no_more,
        };
        let signed = cx.key.sign(&cx.config.network, ack);
        cx.answer(ask, Response::Acked(Box::new(signed)));
    }

    /// Ends the leases that `node` gives back. What one Deliver brings is one loss of the station and of its cluster, however many leases it had
    /// ahead: one event made them all hopeless.
    fn give_back(&mut self, cx: &mut Context, node: NodeId, returned: &[(LeaseNumber, ReturnReason)], now: Time) {
        let mut clusters = BTreeSet::new();
        let mut ways = Vec::new();
        for (number, reason) in returned {
            let Some(leased) = self.leases.get(number).filter(|leased| leased.node == node && leased.named.is_none()) else { continue };
            let how = if *reason == ReturnReason::MadeWay { Lost::MadeWay } else { Lost::Returned };
            clusters.insert(leased.cluster);
            if !ways.contains(&how) {
                ways.push(how);
            }
            self.end_lease(cx, *number, how, now);
        }
        clusters.into_iter().for_each(|cluster| self.losers.lost(cluster, now));
        ways.into_iter().for_each(|how| self.pause(node, how, now));
    }

    /// Every receipt was paid for where it came in. One that answers a lease is verified; a forged one ends that lease.
    fn judge(&mut self, cx: &mut Context, from: Peer, delivery: &Delivery, now: Time) -> Judgement {
        let (receipt, number) = (&delivery.receipt, delivery.receipt.body.lease);
        if self.held.contains(number) {
            return match self.held_receipt(receipt.body.index, number) {
                Some(held) if !held.receipt.body.says_as(&receipt.body) => contradicts(cx, from, held.receipt.author, delivery),
                _ => Judgement::Held,
            };
        }
        let Some(leased) = self.leases.get(&number).filter(|leased| leased.node == from.node) else {
            let known = number < self.next_lease && !self.leases.contains_key(&number);
            return Judgement::Refused(if known { ReceiptRefused::Late } else { ReceiptRefused::NoLease });
        };
        if let Some(named) = &leased.named {
            if !named.receipt.body.says_as(&receipt.body) {
                return contradicts(cx, from, leased.node, delivery);
            }
            self.fetch(cx, number);
            return Judgement::Pending;
        }
        let index = leased.index;
        match check(cx, &self.experiment.body, self.id, from.node, index, delivery) {
            Ok((output, transcript)) => {
                let named = Named { receipt: receipt.clone(), came: cx.world(now), output, transcript, log: delivery.log.clone(), fetch: None };
                self.name(cx, number, named, now)
            }
            Err(reason) => {
                cx.report(from.node, PeerAction::Invalid);
                self.lose(cx, number, Lost::Returned, now);
                Judgement::Refused(reason)
            }
        }
    }

    /// A held receipt for job `index` that no page has taken away yet.
    fn held_receipt(&self, index: u64, number: LeaseNumber) -> Option<&HeldReceipt> {
        let of = |held: &&HeldReceipt| held.receipt.body.lease == number;
        if let Some(held) = self.open.get(&index).and_then(|job| job.receipts.iter().find(of)) {
            return Some(held);
        }
        if !self.page.held.contains(number) {
            return None;
        }
        self.page.entries.iter().find_map(|entry| match entry {
            Entry::Settled(job) => job.receipts.iter().find(of),
            Entry::Late(held) => Some(&**held).filter(of),
        })
    }

    /// A good receipt: held if its output is here, else its output has five minutes.
    fn name(&mut self, cx: &mut Context, number: LeaseNumber, named: Named, now: Time) -> Judgement {
        let complete = !matches!(named.output, Part::Missing) && !matches!(named.transcript, Part::Missing);
        if complete {
            self.hold(cx, number, named, now);
            return Judgement::Held;
        }
        if let Some(leased) = self.leases.get_mut(&number) {
            self.ends.remove(&(leased.until, number));
            leased.until = now.plus(OUTPUT_MS);
            self.ends.insert((leased.until, number));
            leased.named = Some(Box::new(named));
        }
        self.fetch(cx, number);
        Judgement::Pending
    }

    /// Asks for what a named receipt still misses, unless that is under way.
    fn fetch(&mut self, cx: &mut Context, number: LeaseNumber) {
        let Some(leased) = self.leases.get_mut(&number) else { return };
        let Some(named) = leased.named.as_mut().filter(|named| named.fetch.is_none()) else { return };
        if !has_slot(cx, leased.cluster) {
            return;
        }
        let body = &named.receipt.body;
        let missing = if matches!(named.output, Part::Missing) { body.output.clone() } else { body.transcript.clone() };
        let Some(content) = missing else { return };
        let ticket = cx.ticket();
        named.fetch = Some(ticket);
        cx.fetches.insert(ticket, Fetching { experiment: self.id, lease: number, cluster: leased.cluster });
        cx.act(Effect::Fetch { fetch: ticket, content, from: leased.node });
    }

    /// The bytes that were asked for came, or did not.
    pub(super) fn fetched(&mut self, cx: &mut Context, number: LeaseNumber, result: Result<Vec<u8>, FetchFailure>, now: Time) {
        let Some(leased) = self.leases.get_mut(&number) else { return };
        let Some(mut named) = leased.named.take() else { return };
        named.fetch = None;
        let body = &named.receipt.body;
        let of_output = matches!(named.output, Part::Missing);
        let content = if of_output { body.output.clone() } else { body.transcript.clone() };
        let (cid, here) = match (result, content) {
            (Ok(bytes), Some(content)) if content.is(&bytes) => (content.cid, bytes),
            (Ok(_), _) | (Err(FetchFailure::Mismatch), _) => {
                let node = leased.node;
                cx.report(node, PeerAction::Invalid);
                cx.note(Note::ReceiptRefused { experiment: self.id, node, lease: number, reason: ReceiptRefused::Output });
                return self.lose(cx, number, Lost::Returned, now);
            }
            // The next delivery of the receipt asks again, until its five minutes are over.
            (Err(_), _) => {
                cx.report(leased.node, PeerAction::Tolerable);
                leased.named = Some(named);
                return;
            }
        };
        let part = if here.len() <= INLINE_BYTES_MAX {
            Bytes::new(here).map_or(Part::Stored, Part::Here)
        } else {
            // Until the receipt is held it belongs to a record of its own, which ends with the lease or the process.
            let fetched = numbered(Tag::Fetched, &self.id, number);
            cx.put(fetched.clone(), Vec::new());
            cx.bring(fetched, cid, here);
            Part::Stored
        };
        if of_output {
            named.output = part;
        } else {
            named.transcript = part;
        }
        self.name(cx, number, *named, now);
    }

    /// Receipt and output are complete: durable with this event.
    fn hold(&mut self, cx: &mut Context, number: LeaseNumber, named: Named, now: Time) {
        let Some(leased) = self.leases.remove(&number) else { return };
        self.ends.remove(&(leased.until, number));
        self.typical.took(now.since(leased.dealt));
        let (stored, fetched) = (numbered(Tag::Held, &self.id, number), numbered(Tag::Fetched, &self.id, number));
        let body = &named.receipt.body;
        for (part, content) in [(&named.output, &body.output), (&named.transcript, &body.transcript)] {
            if let (Part::Stored, Some(content)) = (part, content) {
                cx.own(stored.clone(), content.cid);
                cx.delete(fetched.clone());
            }
        }
        let labels = Arc::unwrap_or_clone(leased.labels);
        let inline = |part: Part| match part {
            Part::Here(bytes) => Some(bytes),
            Part::None | Part::Missing | Part::Stored => None,
        };
        let (output, transcript) = (inline(named.output), inline(named.transcript));
        let mut held =
            HeldReceipt { receipt: named.receipt, cluster: leased.cluster, dealt: leased.recorded, came: named.came, labels, output, transcript };
        // No pure verdict looks into an output: where memory is full of them they stand in blobs.
        if self.is_full_of_receipts(cx) && matches!(self.experiment.body.class, Class::Pure(_)) {
            outputs_to_blobs(cx, &self.id, std::slice::from_mut(&mut held));
        }
        if let Some(log) = named.log {
            let is_answer = held.receipt.body.outcome.is_answer();
            self.logs.keep(cx, &self.id, number, leased.index, is_answer, log.into_vec());
        }
        let record = codec::encode(&held);
        let bytes = record.len();
        cx.put(numbered(Tag::Held, &self.id, number), record);
        self.held.insert(number);
        self.explanation.ended(&held.receipt.body.outcome);
        cx.note(Note::Held { experiment: self.id, node: leased.node, lease: number, index: leased.index });
        cx.report(leased.node, PeerAction::Useful);
        self.losers.delivered(leased.cluster);
        if let Some(claimant) = self.claimants.get_mut(&leased.node) {
            claimant.outstanding.remove(&number);
            claimant.held += 1;
            claimant.recorded &= !claimant.held.is_power_of_two();
            claimant.busy = now;
            (claimant.losses, claimant.made_way) = (0, 0);
            claimant.paused_until = Time(0);
            // What a station says it took is believed no further than the longest lease.
            claimant.execution_ms = (3 * claimant.execution_ms + held.receipt.body.duration_ms.min(LEASE_MS_MAX)) / 4;
        }
        self.record_node(cx, leased.node);
        match self.open.get_mut(&leased.index) {
            Some(job) => {
                job.outstanding.remove(&number);
                job.receipts.push(held);
                job.lacking = crate::quorum::lacking(&self.experiment.body.class, &job.receipts);
                self.held_bytes += bytes;
                self.record_job(cx, leased.index);
                self.progress(cx, leased.index);
            }
            None => self.enter(cx, Entry::Late(Box::new(held))),
        }
    }

    /// Verdicts the station has not read, and the cursor after them.
    fn unread(&mut self, from: Peer, cursor: u64) -> (List<JobVerdict, ACK_VERDICTS_MAX>, u64) {
        let last = self.settled.len();
        match self.claimants.get_mut(&from.node) {
            Some(claimant) => tell(&mut claimant.unread, from, cursor, last),
            None => (List::default(), last),
        }
    }
}

/// A second, different receipt for a lease: proof against its author when both are signed by it.
fn contradicts(cx: &mut Context, from: Peer, author: NodeId, delivery: &Delivery) -> Judgement {
    let is_theirs = delivery.receipt.author == author && author == from.node;
    if !is_theirs || delivery.receipt.verify(&cx.config.network).is_err() {
        cx.report(from.node, PeerAction::Invalid);
        return Judgement::Refused(ReceiptRefused::Signature);
    }
    cx.report(author, PeerAction::Proven);
    Judgement::Refused(ReceiptRefused::Contradiction)
}

/// The stateless rules for a receipt of `from` for job `index`, and where its output and transcript are.
fn check(
    cx: &Context,
    experiment: &crate::experiment::Experiment,
    id: cid::Cid,
    from: NodeId,
    index: u64,
    delivery: &Delivery,
) -> Result<(Part, Part), ReceiptRefused> {
    let body = &delivery.receipt.body;
    if body.node != from || delivery.receipt.author != from || delivery.receipt.verify(&cx.config.network).is_err() {
        return Err(ReceiptRefused::Signature);
    }
    if body.experiment != id || body.index != index || body.profile != experiment.profile {
        return Err(ReceiptRefused::Mismatch);
    }
    let output = part(body.output.as_ref(), delivery.output.as_ref(), experiment.limits.output_bytes)?;
    let transcript = part(body.transcript.as_ref(), delivery.transcript.as_ref(), TRANSCRIPT_BYTES_MAX as u64)?;
    Ok((output, transcript))
}

fn part(content: Option<&Content>, inline: Option<&Bytes<INLINE_BYTES_MAX>>, max: u64) -> Result<Part, ReceiptRefused> {
    match (content, inline) {
        (None, None) => Ok(Part::None),
        (Some(content), _) if content.bytes > max => Err(ReceiptRefused::Output),
        (Some(content), Some(bytes)) if content.is(bytes) => Ok(Part::Here(bytes.clone())),
        (Some(content), None) if content.is(&[]) => Ok(Part::Here(Bytes::default())),
        (Some(_), None) => Ok(Part::Missing),
        (_, Some(_)) => Err(ReceiptRefused::Output),
    }
}

/// Whether another fetch from `cluster` may begin.
fn has_slot(cx: &Context, cluster: Cluster) -> bool {
    let free = FETCHES_MAX.saturating_sub(cx.fetches.len());
    let own = cx.fetches.values().filter(|fetching| fetching.cluster == cluster).count();
    free > 0 && (own == 0 || (own < FETCHES_PER_CLUSTER_MAX && free > FETCHES_KEPT))
}
