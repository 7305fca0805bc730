//! Publishing an experiment, and keeping its Call alive: renewal, widening, addresses.
//!
//! Guarantees: a seq is durable before it is sent; a Call never exceeds 4 KiB; no two Calls of one experiment have the same bytes.
//! Deliberately lacks gossip itself.

use std::collections::{BTreeMap, BTreeSet};

use cid::Cid;

use super::context::Context;
use super::logs::Logs;
use super::losers::Losers;
use super::overdue::Typical;
use super::records::{ExperimentRef, SeqRecord, Tag, key};
use super::run::{Claimant, OpenPage, Run, Window, attempts_max};
use super::{Draft, Effect, Explanation, Note, PublishError};
use crate::bounded::List;
use crate::call::{CALL_BYTES_MAX, CALL_VALID_MS_MAX, Call, CallState};
use crate::census::PROVED_MIN;
use crate::codec;
use crate::content::sha256;
use crate::experiment::{Class, Experiment, JobsRef, Trust};
use crate::identity::{Hash32, Signed};
use crate::sampling;
use crate::time::{MINUTE, SECOND, Time};
use crate::work::At;

/// Room that a Call keeps for addresses: two short ones, without which nobody finds the requester.
const ADDRESS_ROOM: usize = 256;
/// First pause between two Calls; doubled each time.
pub(super) const RENEW_MS_MIN: u64 = 2 * SECOND;
/// Longest pause: below the 10 min a Call is valid.
pub(super) const RENEW_MS_MAX: u64 = 8 * MINUTE;
/// Pause before the sample is widened when too few claimed.
pub(super) const WIDEN_MS: u64 = 2 * SECOND;
/// How much wider each time.
pub(super) const WIDEN_BY: u64 = 4;
/// Jobs a claimant should have before more claimants are wanted: one batch.
pub(super) const EXECUTIONS_PER_CLAIMANT: u64 = 32;
/// More claimants than this only cost the requester connections.
pub(super) const WANTED_MAX: u64 = 256;
/// A cluster without leases that was not heard from for so long does not count as a claimant.
const ACTIVE_MS: u64 = 2 * MINUTE;
/// How long a claimant without leases is worked with: jobs wait for the caps of their targets, and a bare claim holds no place for ever.
const WAITING_MS: u64 = 5 * MINUTE;

/// The experiment that a draft makes, or why not. `module`: blocks of its module that are in the store.
pub(super) fn publish(cx: &mut Context, draft: Draft, module: Vec<Cid>, now: Time) -> Result<Run, PublishError> {
    match &draft.class {
        Class::Pure(Trust::Fixed(_)) | Class::Measurement(_) => {}
        Class::Pure(_) => return Err(PublishError::TrustNotImplemented),
        Class::SelfVerifying { .. } => return Err(PublishError::SelfVerifyingNotImplemented),
    }
    let secret = Hash32(cx.secret(&codec::encode(&(now, draft.jobs.root()))));
    let experiment = Experiment {
        requester: cx.key.node(),
        network: cx.config.network.clone(),
        topic: draft.topic,
        name: draft.name,
        module: draft.module,
        profile: draft.profile,
        needs: draft.needs,
        limits: draft.limits,
        class: draft.class,
        jobs: JobsRef { root: draft.jobs.root(), count: draft.jobs.count(), target: draft.target },
        labels: draft.labels,
        deadline: cx.world(now).plus(draft.deadline_ms),
        contact: draft.contact,
        commitment: Hash32(sha256(&[&secret.0])),
        input: draft.input,
        output: draft.output,
        previous: draft.previous,
    };
    experiment.check_called(cx.world(now))?;
    let (executions, most) = (experiment.class.executions(), attempts_max(&experiment));
    if executions > most {
        return Err(PublishError::TooManyReceipts { executions, most });
    }
    let experiment = cx.key.sign(&cx.config.network, experiment);
    check_size(cx, &experiment)?;
    let blocks = key(Tag::Blocks, &experiment.body.id(), &[]);
    cx.put(blocks.clone(), Vec::new());
    for cid in module {
        cx.own(blocks.clone(), cid);
    }
    for (cid, bytes) in draft.jobs.blobs() {
        cx.bring(blocks.clone(), cid, bytes);
    }
    let mut run = Run::new(cx, experiment, secret, draft.jobs, draft.at_once, now);
    let record = ExperimentRef { experiment: &run.experiment, secret, published: run.published, jobs: &run.jobs, at_once: run.at_once };
    cx.put(key(Tag::Experiment, &run.id, &[]), codec::encode(&record));
    run.claim_below = first_sample(run.wanted(), run.stations(cx).unwrap_or(1));
    run.call_out(cx, now);
    Ok(run)
}

/// Of few stations everybody is asked: a count that nobody proved makes an experiment wait for no one.
fn first_sample(wanted: u64, stations: u64) -> u64 {
    if stations <= 2 * PROVED_MIN { u64::MAX } else { sampling::ratio(wanted.saturating_mul(WIDEN_BY), stations) }
}

/// Refuses an experiment whose closed Call would not fit; a closed Call is the largest.
fn check_size(cx: &Context, experiment: &Signed<Experiment>) -> Result<(), PublishError> {
    let body = &experiment.body;
    let state = CallState::Closed { log: body.jobs.root };
    let call = Call {
        experiment: experiment.clone(),
        seq: u64::MAX,
        state,
        claim_below: u64::MAX,
        wanted: u32::MAX,
        at: List::default(),
        nbf: Time(u64::MAX),
        exp: Time(u64::MAX),
    };
    let bytes = codec::encode(&cx.key.sign(&cx.config.network, call)).len() + ADDRESS_ROOM;
    if bytes <= CALL_BYTES_MAX {
        return Ok(());
    }
    let fields = [
        ("needs", codec::encode(&body.needs).len()),
        ("where.labels", codec::encode(&body.labels).len()),
        ("class", codec::encode(&body.class).len()),
        ("contact", body.contact.len()),
        ("name", body.name.len()),
    ];
    let (field, field_bytes) = fields.into_iter().max_by_key(|(_, bytes)| *bytes).unwrap_or(("needs", 0));
    Err(PublishError::TooLarge { bytes, field, field_bytes })
}

impl Run {
    /// An experiment of which nothing has happened. Its Call is made by [`Run::call_out`].
    pub(super) fn new(
        cx: &Context,
        experiment: Signed<Experiment>,
        secret: Hash32,
        jobs: crate::jobs::Jobs,
        at_once: Option<u32>,
        now: Time,
    ) -> Self {
        let call = Call {
            experiment: experiment.clone(),
            seq: 0,
            state: CallState::Open,
            claim_below: u64::MAX,
            wanted: 1,
            at: List::default(),
            nbf: cx.world(now),
            exp: cx.world(now).plus(CALL_VALID_MS_MAX),
        };
        Self {
            id: experiment.body.id(),
            attempts_max: attempts_max(&experiment.body),
            call: cx.key.sign(&cx.config.network, call),
            experiment,
            secret,
            jobs,
            published: cx.world(now),
            at_once,
            seq: 0,
            claim_below: u64::MAX,
            at: At::default(),
            renew_at: now,
            renew_after_ms: RENEW_MS_MIN,
            widen_at: now.plus(WIDEN_MS),
            turned_away: false,
            explanation: Explanation::default(),
            decliners: BTreeMap::new(),
            claimants: BTreeMap::new(),
            losers: Losers::default(),
            window: Window::Unopened,
            fresh: 0,
            open: BTreeMap::new(),
            hungry: BTreeSet::new(),
            next_lease: 0,
            dealing_since: None,
            leases: BTreeMap::new(),
            ends: BTreeSet::new(),
            silent: BTreeSet::new(),
            typical: Typical::default(),
            proved_at: Time(0),
            held_bytes: 0,
            logs: Logs::default(),
            settled: super::ranges::Ranges::default(),
            held: super::ranges::Ranges::default(),
            page: OpenPage::default(),
            pages: Vec::new(),
        }
    }

    pub(super) fn stations(&self, cx: &Context) -> Option<u64> {
        cx.counted(&self.experiment.body.topic)
    }

    /// Distinct claiming clusters that are enough now.
    pub(super) fn wanted(&self) -> u64 {
        let one_job = self.hungry.first().and_then(|index| self.open.get(index)).map(|job| job.lacking);
        let least = u64::from(one_job.unwrap_or_else(|| self.experiment.body.class.executions())).max(1);
        self.unleased().div_ceil(EXECUTIONS_PER_CLAIMANT).min(WANTED_MAX).max(least)
    }

    /// Clusters that claimed, and work or were heard from lately.
    pub(super) fn active_clusters(&self, now: Time) -> u64 {
        let collected = match &self.window {
            Window::Collecting { claims, .. } => Some(claims.values()),
            _ => None,
        };
        let all = self.claimants.values().chain(collected.into_iter().flatten());
        all.filter(|claimant| claimant.is_active(now)).map(|claimant| claimant.cluster).collect::<BTreeSet<_>>().len() as u64
    }

    /// Whether those who claimed cannot end the next job: they ran it already, or lost it too often.
    pub(super) fn lacks_others(&self, now: Time) -> bool {
        let Some(index) = self.hungry.first().copied().or_else(|| self.first_overdue(now)) else { return false };
        let missing = self.open.get(&index).map_or(0, |job| job.missing(self.attempts_max)).max(1);
        let able = self.claimants.iter().filter(|(node, claimant)| claimant.is_active(now) && self.could_run(index, **node));
        let clusters: BTreeSet<_> = able.map(|(_, claimant)| claimant.cluster).collect();
        (clusters.len() as u64) < u64::from(missing)
    }

    /// A Call with the next seq, durable and then gossiped. The next one comes after the pause that is due. Before this process knows its
    /// addresses those of the last Call stand in it: without any, nobody would find the way.
    pub(super) fn call_out(&mut self, cx: &mut Context, now: Time) {
        self.seq += 1;
        self.turned_away = false;
        if !cx.at.is_empty() {
            self.at = cx.at.clone();
        }
        let wanted = u32::try_from(self.wanted()).unwrap_or(u32::MAX);
        self.call = call(cx, &self.experiment, self.seq, &CallState::Open, (self.claim_below, wanted), &self.at, now);
        let record = SeqRecord { seq: self.seq, claim_below: self.claim_below, at: self.at.clone() };
        cx.put(key(Tag::Seq, &self.id, &[]), codec::encode(&record));
        let stations = self.stations(cx).unwrap_or(1);
        self.explanation.stations = stations;
        self.explanation.sampled = sampling::share(self.claim_below, stations);
        cx.then(Effect::Gossip(Box::new(self.call.clone())));
        cx.note(Note::Called { experiment: self.id, seq: self.seq, claim_below: self.claim_below });
        self.renew_at = now.plus(self.renew_after_ms);
        if let Window::Drawn { not_drawn } = &mut self.window {
            not_drawn.clear();
        }
    }

    /// Whether a new Call could bring claims: the sample can grow, or somebody waits for a higher seq.
    pub(super) fn may_widen(&self) -> bool {
        self.claim_below < u64::MAX || self.turned_away
    }

    /// Renews and widens as far as it is time to.
    pub(super) fn keep_calling(&mut self, cx: &mut Context, now: Time) {
        if now >= self.widen_at {
            self.widen_at = now.plus(WIDEN_MS);
            if self.may_widen() && (self.active_clusters(now) < self.wanted() || self.lacks_others(now)) {
                self.claim_below = self.claim_below.saturating_mul(WIDEN_BY).max(1);
                self.call_out(cx, now);
                return;
            }
        }
        if now >= self.renew_at {
            self.renew_after_ms = (2 * self.renew_after_ms).min(RENEW_MS_MAX);
            self.call_out(cx, now);
        }
    }
}

impl Claimant {
    /// Whether it is to be counted on.
    pub(super) fn is_active(&self, now: Time) -> bool {
        !self.outstanding.is_empty() || now.since(self.seen) <= ACTIVE_MS
    }

    /// Whether it asks for more, and is as new or has had something to do as lately as one that is waited for.
    pub(super) fn is_waiting(&self, now: Time) -> bool {
        now.since(self.seen) <= ACTIVE_MS && now.since(self.busy) <= WAITING_MS
    }
}

/// A signed Call with as many of the addresses as fit.
pub(super) fn call(
    cx: &Context,
    experiment: &Signed<Experiment>,
    seq: u64,
    state: &CallState,
    (claim_below, wanted): (u64, u32),
    at: &At,
    now: Time,
) -> Signed<Call> {
    let mut addresses = at.clone().into_vec();
    loop {
        let body = Call {
            experiment: experiment.clone(),
            seq,
            state: state.clone(),
            claim_below,
            wanted,
            at: List::first(addresses.clone()),
            nbf: cx.world(now),
            exp: cx.world(now).plus(CALL_VALID_MS_MAX),
        };
        let signed = cx.key.sign(&cx.config.network, body);
        if codec::encode(&signed).len() <= CALL_BYTES_MAX || addresses.pop().is_none() {
            return signed;
        }
    }
}
