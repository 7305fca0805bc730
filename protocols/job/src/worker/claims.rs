//! Whether to ask for work, when, and what the answer means.
//!
//! Guarantees: nobody is contacted before policy, engine, labels and sampling agreed; one request in flight per requester; every
//! wait that a requester asks for is kept; lost answers are asked for again with back-off. Deliberately lacks the window and the
//! draw: those are the requester's.

use super::dials::FAILURES_MAX;
use super::machine::{Asked, Sent, Standing};
use super::work::Work;
use super::{Effect, Near, Note, SendFailure, Worker};
use crate::accounts::Acquaintance;
use crate::bounded::List;
use crate::call::{CLOCK_TOLERANCE_MS, Call, CallState};
use crate::durable::Ticket;
use crate::experiment::{Experiment, ExperimentId};
use crate::identity::Signed;
use crate::peer_action::PeerAction;
use crate::sampling;
use crate::time::{MINUTE, SECOND, Time};
use crate::work::{Claim, ClaimRefused, Decline, DeclineReason, Leases, Refusal, Request, Response, ReturnReason, WAIT_MS};

/// Dials a second that one Call may cause network-wide.
pub(super) const DIALS_PER_S: u64 = 64;
/// The longest of these waits, however many stations are told of: a count is no proof, and an experiment must begin.
pub(super) const STAGGER_MS_MAX: u64 = MINUTE;
/// How long others get to claim an experiment of this station's own before it does so itself.
const OWN_WAIT_MS: u64 = 10 * SECOND;
/// What `Busy` means as a wait.
const BUSY_MS: u64 = 10 * SECOND;
/// Shortest and longest pause before a lost request is repeated.
pub(super) const BACKOFF_MS: (u64, u64) = (SECOND, 60 * SECOND);
/// When to ask again after leases that were fewer than asked for: there were no more just now.
const MORE_MS: u64 = 250;
/// With how many sampled stations every one of them tells why it declines.
const DECLINES_WANTED: u64 = 16;

impl Worker {
    /// A Call that is new here or has a higher `seq` than the last.
    pub(super) fn news(&mut self, id: ExperimentId, call: Signed<Call>, now: Time) {
        let (requester, own) = (call.author, call.author == self.node);
        let state = call.body.state.clone();
        let is_new = !self.works.contains_key(&id);
        let named = call.body.at.iter().map(|address| Near::of_address(address, self.config.reach)).collect();
        self.turns.arrives(requester, named, now);
        let work = self.works.entry(id).or_insert_with(|| Work::new(call.clone(), true, now));
        if call.body.seq < work.call.body.seq {
            return;
        }
        work.heard = true;
        if let Standing::Refused { seq, .. } = work.standing
            && call.body.seq > seq
        {
            work.standing = Standing::Open;
            work.ask_at = now;
        }
        let newer = call.body.seq > work.call.body.seq;
        if newer && work.failures > 0 {
            work.failures = 0;
            work.send_at = now;
        }
        if newer {
            // It may name other addresses.
            work.dial_at = Time(0);
        }
        work.call = call;
        if newer && self.acquaintance(&requester) == Acquaintance::Known {
            // It may have been away, and is back.
            self.dials.unmute(&requester);
        }
        match state {
            CallState::Closed { log } => self.close(id, log),
            CallState::Open => {
                if newer && !self.works[&id].outbox.is_empty() {
                    self.keep_call(id);
                }
                if is_new {
                    self.works.entry(id).and_modify(|work| work.standing = Standing::NotSampled);
                    if own && !self.config.anchor {
                        self.works.entry(id).and_modify(|work| work.send_at = now.plus(OWN_WAIT_MS));
                    }
                }
                self.judge_again(id, now);
            }
        }
    }

    fn close(&mut self, id: ExperimentId, log: cid::Cid) {
        self.end_experiment(id, Standing::Closed);
        self.note(Note::Closed { experiment: id, log });
    }

    /// Nothing of `id` is wanted any more: stops, and deletes what was to be delivered. The numbers that were run stay recorded.
    pub(super) fn end_experiment(&mut self, id: ExperimentId, standing: Standing) {
        self.stop_all(id, None);
        self.end_outbox(id);
        if let Some(work) = self.works.get_mut(&id) {
            work.standing = standing;
            work.returned.clear();
        }
    }

    /// Its Call made room for another.
    pub(super) fn forget_call(&mut self, id: &ExperimentId) {
        if let Some(work) = self.works.get_mut(id) {
            work.heard = false;
            if work.is_idle() {
                self.works.remove(id);
            }
        }
    }

    pub(super) fn judge_all(&mut self, now: Time) {
        let ids: Vec<ExperimentId> = self.works.keys().copied().collect();
        for id in ids {
            self.judge_again(id, now);
        }
    }

    fn judge(&self, experiment: &Experiment) -> Result<crate::capability::Needs, DeclineReason> {
        if !self.config.profiles.contains(&experiment.profile) {
            return Err(DeclineReason::Profile);
        }
        if !self.config.labels.carry(&experiment.labels) {
            return Err(DeclineReason::Labels);
        }
        self.config.policy.judge(experiment)
    }

    /// Asks policy, engine, labels and sampling where the experiment stands now.
    pub(super) fn judge_again(&mut self, id: ExperimentId, now: Time) {
        let Some(work) = self.works.get(&id) else { return };
        let before = work.standing;
        if matches!(before, Standing::Final(_) | Standing::Closed | Standing::Late) || before == Standing::Declined(DeclineReason::Module) {
            return;
        }
        let call = &work.call.body;
        let body = &call.experiment.body;
        if call.deadline().plus(CLOCK_TOLERANCE_MS) < self.world(now) {
            // What is given back after the end is news to nobody.
            self.works.entry(id).and_modify(|work| {
                work.standing = Standing::Late;
                work.returned.clear();
            });
            return;
        }
        let below = call.claim_below;
        let stations = self.counted(&body.topic);
        let granted = match self.judge(body) {
            Ok(granted) => granted,
            Err(reason) => {
                self.decline(id, reason, sampling::share(below, stations), now);
                return;
            }
        };
        let sampled = self.is_sampled(&id, call);
        let dials = sampling::share(below, stations).saturating_sub(DIALS_PER_S);
        // Whoever is connected dials nobody.
        let stagger_ms = if self.is_here(&work.requester()) { 0 } else { (dials.saturating_mul(SECOND) / DIALS_PER_S).min(STAGGER_MS_MAX) };
        let Some(work) = self.works.get_mut(&id) else { return };
        work.granted = granted;
        if matches!(before, Standing::Refused { .. } | Standing::Open) {
            return;
        }
        if sampled {
            work.standing = Standing::Open;
            let wait = self.random_up_to(stagger_ms);
            self.works.entry(id).and_modify(|work| work.ask_at = now.plus(wait));
        } else {
            work.standing = Standing::NotSampled;
            if !std::mem::replace(&mut work.told_not_sampled, true) {
                self.note(Note::NotSampled { experiment: id });
            }
        }
    }

    /// Policy says no: nothing of it runs on, and the requester hears why where the policy tells.
    fn decline(&mut self, id: ExperimentId, reason: DeclineReason, sampled: u64, now: Time) {
        let Some(work) = self.works.get_mut(&id) else { return };
        let news = work.standing != Standing::Declined(reason);
        work.standing = Standing::Declined(reason);
        if !work.leases.is_empty() {
            self.stop_all(id, Some(ReturnReason::Policy));
        }
        if news {
            self.tell_declined(id, reason, sampled, now);
        }
    }

    /// What is declined is noted, and told to the requester where the policy tells.
    pub(super) fn tell_declined(&mut self, id: ExperimentId, reason: DeclineReason, sampled: u64, now: Time) {
        let Some(work) = self.works.get(&id) else { return };
        let (requester, at) = (work.requester(), work.call.body.at.clone());
        self.note(Note::Declined { experiment: id, reason });
        if !self.config.policy.network.tell_why || self.in_flight.contains_key(&requester) {
            return;
        }
        let drawn = self.random_up_to(sampled.max(1) - 1) < DECLINES_WANTED;
        if !self.is_here(&requester) && !drawn {
            return;
        }
        if let Ok(at) = self.way(&id, at, now) {
            self.tell(requester, at, Request::Decline(Decline { experiment: id, reason }));
        }
    }

    /// Sends whatever is due: deliveries first, then claims, then what guests said; one request in flight per requester, longest unserved first.
    pub(super) fn send_due(&mut self, now: Time) {
        let free = |work: &Work| !self.in_flight.contains_key(&work.requester()) && work.send_at.max(work.dial_at) <= now;
        let mut due: Vec<(Option<Ticket>, ExperimentId)> =
            self.works.iter().filter(|(_, work)| free(work)).map(|(id, work)| (work.last_sent, *id)).collect();
        due.sort();
        for (_, id) in due {
            let Some(work) = self.works.get(&id) else { continue };
            if self.in_flight.contains_key(&work.requester()) {
                continue;
            }
            if work.has_delivery(now) {
                self.deliver(id, now);
            } else if self.wants_more(work, now) {
                self.claim(id, now);
            } else if self.tells_at(work).is_some_and(|at| at <= now) {
                self.tell_progress(id, now);
            }
        }
    }

    fn wants_more(&self, work: &Work, now: Time) -> bool {
        work.heard && work.ask_at <= now && work.standing == Standing::Open && self.appetite(work, now) > 0
    }

    /// Whether the station and the outbox have room for more of this requester.
    pub(super) fn may_take_more(&self, work: &Work) -> bool {
        self.rest().is_none() && self.room(work) > 0
    }

    /// When this experiment needs the clock next.
    pub(super) fn work_deadline(&self, work: &Work, now: Time) -> Option<Time> {
        let begins = Some(work.way_until).filter(|at| *at > now && !work.leases.is_empty());
        let expiry = work.first_expiry().into_iter().chain(begins).min();
        if self.in_flight.contains_key(&work.requester()) {
            return expiry;
        }
        let delivery = work.first_delivery();
        let may_ask = work.heard && self.appetite(work, work.rest_until.max(now)) > 0;
        let ask = may_ask.then_some(work.ask_at.max(work.rest_until));
        let send = delivery.into_iter().chain(ask).chain(self.tells_at(work)).min().map(|at| at.max(work.send_at).max(work.dial_at));
        expiry.into_iter().chain(send).min()
    }

    fn claim(&mut self, id: ExperimentId, now: Time) {
        let Some(work) = self.works.get(&id) else { return };
        let at = self.sampled_at(&id, &work.call.body, &work.call.body.at);
        let at = match self.way(&id, at, now) {
            Ok(at) => at,
            Err(until) => {
                self.works.entry(id).and_modify(|work| work.dial_at = until);
                return;
            }
        };
        let Some(work) = self.works.get(&id) else { return };
        let requester = work.requester();
        let first = !work.claimed;
        let free = self.appetite(work, now);
        let claim = Claim {
            experiment: id,
            capacity: self.config.capacity,
            free,
            holding: work.holding(),
            profiles: List::first(self.config.profiles.iter().cloned()),
            isolation: self.config.isolation,
            labels: self.config.labels.clone(),
            policy: self.config.policy.hash(),
        };
        let asked = Asked { experiment: id, to: requester, at: at.clone(), free };
        self.turns.had_turn(requester, now);
        let send = self.ask(requester, at, Request::Claim(claim), Sent::Claim(asked), now);
        if let Some(work) = self.works.get_mut(&id) {
            work.claimed = true;
            work.last_sent = Some(send);
        }
        if first {
            self.note(Note::Claimed { experiment: id, requester });
        }
    }

    pub(super) fn answered(&mut self, send: Ticket, answer: Result<Response, SendFailure>, near: Option<Near>, now: Time) {
        let Some(sent) = self.sends.remove(&send) else { return };
        if let (Ok(_), Some(near), Sent::Claim(asked) | Sent::Deliver { asked, .. }) = (&answer, near, &sent) {
            self.turns.is_at(asked.to, near);
            if near.is_relayed {
                self.frames.narrows(asked.to, now);
            }
        }
        match sent {
            Sent::Calls { to, topic } => self.calls_answered(to, &topic, answer, now),
            Sent::Peers { to, topic } => self.peers_answered(to, &topic, answer, now),
            Sent::Progress => {}
            Sent::Decline { requester } => {
                self.in_flight.remove(&requester);
            }
            Sent::Probe { to, topic, at } => self.probe_answered(to, &topic, &at, answer, now),
            Sent::Claim(asked) | Sent::Deliver { asked, .. } if !self.settles(&asked.to, send, answer.is_ok()) => {}
            Sent::Claim(asked) => self.claim_answered(&asked, answer, now),
            Sent::Deliver { asked, receipts, returned } => match answer {
                Ok(Response::Acked(ack)) => self.acked(&asked, &receipts, returned, *ack, now),
                // In smaller pieces, and at once: nothing was lost.
                Err(SendFailure::TooLarge) if self.frames.narrows(asked.to, now) => {}
                other => self.claim_answered(&asked, other, now),
            },
        }
    }

    fn claim_answered(&mut self, asked: &Asked, answer: Result<Response, SendFailure>, now: Time) {
        let id = asked.experiment;
        match answer {
            Ok(Response::Leases(leases)) => self.leases_answered(asked, leases, now),
            Ok(Response::Wait { ms }) => {
                let ms = u64::from(ms.clamp(*WAIT_MS.start(), *WAIT_MS.end()));
                if let Some(work) = self.works.get_mut(&id) {
                    work.failures = 0;
                    work.ask_at = now.plus(ms);
                    work.put_off_deliveries(now.plus(ms));
                }
            }
            Ok(Response::Refused(refusal)) => self.refused(asked, &refusal, now),
            Ok(Response::Unserved) => self.lost(id, now),
            Ok(_) => self.invalid(asked, now),
            Err(failure) => {
                self.lost(id, now);
                self.note(Note::Unreachable { experiment: id, failure });
                // What was never sent is no fault of whom it was for.
                if failure != SendFailure::TooLarge {
                    self.act(Effect::Report { node: asked.to, action: PeerAction::Tolerable });
                }
                if matches!(failure, SendFailure::Unreachable | SendFailure::WrongNode) {
                    self.not_found(&id, &asked.at, now);
                }
            }
        }
    }

    /// What came is none of the answers there are.
    pub(super) fn invalid(&mut self, asked: &Asked, now: Time) {
        self.act(Effect::Report { node: asked.to, action: PeerAction::Invalid });
        self.lost(asked.experiment, now);
    }

    fn leases_answered(&mut self, asked: &Asked, leases: Signed<Leases>, now: Time) {
        let id = asked.experiment;
        let is_answer = leases.author == asked.to && leases.body.experiment == id && leases.verify(&self.config.network).is_ok();
        if !is_answer || !self.take_leases(leases.body, asked, now) {
            self.invalid(asked, now);
            return;
        }
        if let Some(work) = self.works.get_mut(&id) {
            work.failures = 0;
            work.ask_at = now.plus(MORE_MS);
        }
    }

    fn refused(&mut self, asked: &Asked, refusal: &Signed<Refusal>, now: Time) {
        let (id, body) = (asked.experiment, &refusal.body);
        let is_ours = refusal.author == asked.to && body.experiment == id && body.node == self.node;
        if !is_ours || refusal.verify(&self.config.network).is_err() {
            self.invalid(asked, now);
            return;
        }
        self.note(Note::Refused { experiment: id, reason: body.reason });
        if let Some(work) = self.works.get_mut(&id) {
            work.failures = 0;
            // Receipts that a refusal leaves open are offered again, but not in a hurry.
            work.put_off_deliveries(now.plus(BUSY_MS));
        }
        self.no_more(id, body.reason, body.seq, now);
    }

    /// The requester said that there will be no more leases.
    pub(super) fn no_more(&mut self, id: ExperimentId, reason: ClaimRefused, seq: u64, now: Time) {
        let Some(work) = self.works.get_mut(&id) else { return };
        if reason == ClaimRefused::Busy {
            work.ask_at = now.plus(BUSY_MS);
        } else if reason == ClaimRefused::Closed {
            self.end_experiment(id, Standing::Final(reason));
        } else if reason.is_final() {
            work.standing = Standing::Final(reason);
        } else if work.standing == Standing::Open {
            work.standing = Standing::Refused { reason, seq };
        }
    }

    /// No usable answer came: the same again after a while, longer each time.
    pub(super) fn lost(&mut self, id: ExperimentId, now: Time) {
        let Some(work) = self.works.get_mut(&id) else { return };
        work.failures = work.failures.saturating_add(1);
        if work.failures >= FAILURES_MAX {
            // Whoever does not listen learns it from the leases' ends.
            work.returned.clear();
        }
        let (least, most) = BACKOFF_MS;
        // Six doublings pass the longest pause.
        let backoff = (least << (work.failures - 1).min(6)).min(most);
        let spread = self.random_up_to(backoff * 2 / 5);
        if let Some(work) = self.works.get_mut(&id) {
            work.send_at = now.plus(backoff * 4 / 5 + spread);
        }
    }
}
