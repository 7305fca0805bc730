//! One experiment at this station: its leases, the module they need, and the executions.
//!
//! ```text
//!  lease ─► Queued ─► Running ─► receipt ─► outbox
//!             │          ├ not compiled and not now ─► Queued
//!             │          └ expired, station failed ─► returned
//!             └ expired, fetch failed, drain, policy ─► returned
//! ```
//!
//! Guarantees: fetches only after a lease, once per experiment; starts nothing after its lease ended and signs nothing for it; one
//! lease number is run to a receipt at most once. Deliberately lacks asking and delivering.

use std::collections::BTreeMap;

use super::executions::Running;
use super::machine::{Asked, Standing};
use super::outbox::Entry;
use super::used::Used;
use super::{Effect, Execution, FetchFailure, Note, Report, StationFailure, Worker};
use crate::bounded::List;
use crate::call::Call;
use crate::capability::Needs;
use crate::durable::Ticket;
use crate::experiment::{Class, ExperimentId};
use crate::hostcall::TRANSCRIPT_BYTES_MAX;
use crate::identity::{NodeId, Signed};
use crate::lease::LEASE_MS_MAX;
use crate::limits::LIMITS_MAX;
use crate::receipt::LeaseNumber;
use crate::time::{SECOND, Time};
use crate::work::{DeclineReason, HOLDING_MAX, Lease, Leases, ReturnReason};

/// How long an experiment is left alone whose module could not be had or whose sandbox failed: what restarts is back by then.
const REST_MS: u64 = 30 * SECOND;

/// A lease that is not finished.
#[derive(Clone, Debug)]
pub(super) struct Held {
    index: u64,
    input: Vec<u8>,
    received: Time,
    expires: Time,
    running: Option<Ticket>,
}

#[cfg(test)]
impl Held {
    /// The same lease, were it this long.
    pub(super) fn lasting(self, ms: u64) -> Self {
        Self { expires: self.received.plus(ms), ..self }
    }
}

/// Whether the module is in the station's store, and compiled: only the lease that waits for it has it made ready, so one that no lease
/// waits for any more is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Module {
    Absent,
    Fetching,
    Here,
}

#[derive(Clone, Debug)]
pub(super) struct Work {
    /// The newest heard.
    pub(super) call: Signed<Call>,
    /// Whether the Call is still kept; without it and without an outbox the experiment is forgotten.
    pub(super) heard: bool,
    pub(super) standing: Standing,
    pub(super) granted: Needs,
    /// Not asked for leases before this.
    pub(super) ask_at: Time,
    /// Not dialled before this: its addresses led nowhere. Ends with a connection or a newer Call.
    pub(super) dial_at: Time,
    /// Takes no leases before this: the module could not be had, or the sandbox failed.
    pub(super) rest_until: Time,
    /// Nothing of it begins before this: a job of it made way for another's after it had run for so long.
    pub(super) way_until: Time,
    /// How often a job of it made way for another's.
    pub(super) made_way: u32,
    /// Nothing at all is sent before this: the requester said Wait, or did not answer.
    pub(super) send_at: Time,
    pub(super) claimed: bool,
    pub(super) told_not_sampled: bool,
    /// The last claim or delivery: of one requester's experiments the longest unserved goes first.
    pub(super) last_sent: Option<Ticket>,
    /// Requests lost in a row.
    pub(super) failures: u32,
    pub(super) leases: BTreeMap<LeaseNumber, Held>,
    pub(super) used: Used,
    module: Module,
    pub(super) returned: Vec<(LeaseNumber, ReturnReason)>,
    pub(super) outbox: BTreeMap<LeaseNumber, Entry>,
    /// Outputs and transcripts of it.
    pub(super) outbox_bytes: u64,
    pub(super) cursor: u64,
    /// Returned leases are not offered again before this.
    pub(super) return_at: Time,
    /// Whether the store has a record of the Call and the used numbers.
    pub(super) recorded: bool,
    /// Moving mean of how long one execution takes, once there was one.
    mean_ms: Option<u64>,
    /// Its guests said something that the requester has not heard.
    pub(super) untold: bool,
    /// The requester hears of it no sooner.
    pub(super) tell_at: Time,
}

impl Work {
    pub(super) fn new(call: Signed<Call>, heard: bool, now: Time) -> Self {
        Self {
            call,
            heard,
            standing: Standing::Open,
            granted: Needs::new(),
            ask_at: now,
            dial_at: Time(0),
            rest_until: Time(0),
            way_until: Time(0),
            made_way: 0,
            send_at: Time(0),
            claimed: false,
            told_not_sampled: false,
            last_sent: None,
            failures: 0,
            leases: BTreeMap::new(),
            used: Used::default(),
            module: Module::Absent,
            returned: Vec::new(),
            outbox: BTreeMap::new(),
            outbox_bytes: 0,
            cursor: 0,
            return_at: Time(0),
            recorded: false,
            mean_ms: None,
            untold: false,
            tell_at: Time(0),
        }
    }

    pub(super) fn requester(&self) -> NodeId {
        self.call.author
    }

    /// Output and transcript of one of its receipts at most.
    pub(super) fn receipt_bytes(&self) -> u64 {
        let body = &self.call.body.experiment.body;
        let transcript = if body.needs.is_empty() { 0 } else { TRANSCRIPT_BYTES_MAX as u64 };
        body.limits.output_bytes.min(LIMITS_MAX.output_bytes).saturating_add(transcript)
    }

    /// The longest that one of its executions may take.
    pub(super) fn wall_ms(&self) -> u64 {
        self.call.body.experiment.body.limits.wall_ms
    }

    /// What one of its executions may have of memory.
    pub(super) fn memory_bytes(&self) -> u64 {
        self.call.body.experiment.body.limits.memory_bytes
    }

    /// Nothing is left to do and nobody asks for it any more.
    pub(super) fn is_idle(&self) -> bool {
        !self.heard && self.leases.is_empty() && !self.recorded && self.returned.is_empty()
    }

    /// Unfinished leases, for the requester to re-send those that are missing.
    pub(super) fn holding(&self) -> List<LeaseNumber, HOLDING_MAX> {
        List::first(self.leases.keys().copied())
    }

    /// Leases whose executions have begun.
    pub(super) fn running_leases(&self) -> impl DoubleEndedIterator<Item = (LeaseNumber, Ticket)> {
        self.leases.iter().filter_map(|(lease, held)| Some((*lease, held.running?)))
    }

    pub(super) fn running(&self) -> usize {
        self.leases.values().filter(|held| held.running.is_some()).count()
    }

    /// Whether it has leases and only its module is missing.
    pub(super) fn awaits_module(&self) -> bool {
        self.module == Module::Fetching && !self.leases.is_empty()
    }

    /// The first lease that may begin.
    pub(super) fn ready(&self, now: Time) -> Option<LeaseNumber> {
        if self.module != Module::Here || now < self.way_until {
            return None;
        }
        self.leases.iter().find(|(_, held)| held.running.is_none()).map(|(lease, _)| *lease)
    }

    /// How many more executions than slots this station may hold so that short ones do not wait for the way to the requester:
    /// as many as it ends in `ahead_ms`.
    pub(super) fn ahead(&self, slots: u64, ahead_ms: u64) -> u64 {
        self.mean_ms.map_or(0, |mean| slots.saturating_mul(ahead_ms) / mean.max(1))
    }

    /// When the first lease ends.
    pub(super) fn first_expiry(&self) -> Option<Time> {
        self.leases.values().map(|held| held.expires).min()
    }

    /// Why nothing of it begins any more, if so.
    fn unwanted(&self, gives_back: bool) -> Option<ReturnReason> {
        match self.standing {
            Standing::Declined(_) => Some(ReturnReason::Policy),
            _ => gives_back.then_some(ReturnReason::Drain),
        }
    }

    fn give_back(&mut self, lease: LeaseNumber, reason: ReturnReason) -> bool {
        let room = self.returned.len() < HOLDING_MAX;
        if room {
            self.returned.push((lease, reason));
        }
        room
    }

    fn learn_duration(&mut self, ms: u64) {
        self.mean_ms = Some(self.mean_ms.map_or(ms, |mean| (mean.saturating_mul(7).saturating_add(ms)) / 8));
    }
}

impl Worker {
    /// Leases whose signature, or the signature of the Ack around them, was checked: at most as many as were asked for, and as there is
    /// room for now. `false` when no honest requester would have sent them; none is taken then.
    pub(super) fn take_leases(&mut self, leases: Leases, asked: &Asked, now: Time) -> bool {
        let id = leases.experiment;
        let Some(work) = self.works.get(&id) else { return true };
        if leases.node != self.node || leases.first.checked_add(leases.leases.len() as u64).is_none() {
            return false;
        }
        let first = leases.first;
        let is_new = |(number, _): &(LeaseNumber, Lease)| !work.leases.contains_key(number) && !work.used.contains(*number);
        let fresh: Vec<(LeaseNumber, Lease)> =
            leases.leases.into_iter().enumerate().map(|(position, lease)| (first + position as u64, lease)).filter(is_new).collect();
        if fresh.len() > asked.free as usize {
            return false;
        }
        if work.standing == Standing::Closed {
            return true;
        }
        self.weigh(now);
        let gives_back = self.gives_back();
        let room = self.works.get(&id).map_or(0, |work| self.room(work));
        let Some(work) = self.works.get_mut(&id) else { return true };
        let mut taken = 0;
        let mut overflow = false;
        for (number, lease) in fresh {
            if work.leases.len() >= HOLDING_MAX || taken >= room {
                overflow = true;
                break;
            }
            work.returned.retain(|(returned, _)| *returned != number);
            let expires = now.plus(lease.duration_ms.min(LEASE_MS_MAX));
            work.leases.insert(number, Held { index: lease.index, input: lease.input.into_vec(), received: now, expires, running: None });
            taken += 1;
        }
        if let Some(reason) = work.unwanted(gives_back) {
            self.return_queued(id, reason);
            return true;
        }
        if overflow {
            self.note(Note::Overflow { what: "leases of one experiment" });
        }
        if taken > 0 {
            self.note(Note::Leased { experiment: id, leases: taken });
            self.fetch_module(id, now);
        }
        true
    }

    /// Brings the module, unless it is here or on its way. The gate is asked again: the policy may have changed since the claim.
    fn fetch_module(&mut self, id: ExperimentId, now: Time) {
        let fetch = self.ticket();
        let Some(work) = self.works.get_mut(&id) else { return };
        if work.module != Module::Absent {
            return;
        }
        let experiment = &work.call.body.experiment.body;
        if self.config.policy.judge(experiment).is_err() {
            self.judge_again(id, now);
            return;
        }
        work.module = Module::Fetching;
        let effect = Effect::Fetch { fetch, content: experiment.module.clone(), requester: work.requester(), at: work.call.body.at.clone() };
        self.fetches.insert(fetch, id);
        self.act(effect);
    }

    pub(super) fn fetched(&mut self, fetch: Ticket, result: Result<(), FetchFailure>, now: Time) {
        let Some(id) = self.fetches.remove(&fetch) else { return };
        let Some(work) = self.works.get_mut(&id) else { return };
        work.module = Module::Absent;
        let failure = match result {
            Ok(()) if !work.leases.is_empty() => {
                work.module = Module::Here;
                return;
            }
            // No lease waits for it: the next one has it made ready, on its own account.
            Ok(()) => return,
            Err(FetchFailure::Unwanted) => return self.prepare_again(id, now),
            Err(failure) => failure,
        };
        if failure == FetchFailure::Mismatch {
            work.standing = Standing::Declined(DeclineReason::Module);
            // Whom it asked for leases it tells for certain.
            self.tell_declined(id, DeclineReason::Module, 1, now);
        } else if work.leases.is_empty() {
            return;
        }
        if let Some(work) = self.works.get_mut(&id) {
            work.rest_until = now.plus(REST_MS);
        }
        self.return_queued(id, ReturnReason::FetchFailed);
    }

    /// Has the module made ready anew, if leases wait for it.
    fn prepare_again(&mut self, id: ExperimentId, now: Time) {
        let Some(work) = self.works.get_mut(&id) else { return };
        if work.module == Module::Here {
            work.module = Module::Absent;
        }
        if !work.leases.is_empty() {
            self.fetch_module(id, now);
        }
    }

    /// Gives back every lease of `id` that does not run.
    pub(super) fn return_queued(&mut self, id: ExperimentId, reason: ReturnReason) {
        let Some(work) = self.works.get_mut(&id) else { return };
        let queued: Vec<LeaseNumber> = work.leases.iter().filter(|(_, held)| held.running.is_none()).map(|(lease, _)| *lease).collect();
        for lease in queued {
            self.return_lease(id, lease, reason);
        }
    }

    /// Gives back every lease of `id` that waits and would end before it is done, were it to begin at `opens`. How many are left.
    pub(super) fn return_hopeless(&mut self, id: ExperimentId, opens: Time) -> usize {
        let Some(work) = self.works.get(&id) else { return 0 };
        let is_hopeless = |held: &Held| held.running.is_none() && held.expires < opens.plus(work.wall_ms());
        let hopeless: Vec<LeaseNumber> = work.leases.iter().filter(|(_, held)| is_hopeless(held)).map(|(lease, _)| *lease).collect();
        for lease in hopeless {
            self.return_lease(id, lease, ReturnReason::MadeWay);
        }
        self.works.get(&id).map_or(0, |work| work.leases.len())
    }

    fn return_lease(&mut self, id: ExperimentId, lease: LeaseNumber, reason: ReturnReason) {
        let Some(work) = self.works.get_mut(&id) else { return };
        if work.leases.remove(&lease).is_none() {
            return;
        }
        // When full the requester learns it from the lease's end instead.
        let noted = work.give_back(lease, reason);
        self.note(Note::Returned { experiment: id, lease, reason });
        if !noted {
            self.note(Note::Overflow { what: "returned leases" });
        }
    }

    /// Stops every execution of `id` and forgets its leases, giving them back for `reason` where there is one.
    pub(super) fn stop_all(&mut self, id: ExperimentId, reason: Option<ReturnReason>) {
        let running: Vec<Ticket> = self.executions.iter().filter(|(_, running)| running.experiment == id).map(|(ticket, _)| ticket).collect();
        for ticket in running {
            self.stop(ticket);
        }
        let Some(work) = self.works.get_mut(&id) else { return };
        let leases: Vec<LeaseNumber> = work.leases.keys().copied().collect();
        for lease in leases {
            match reason {
                Some(reason) => self.return_lease(id, lease, reason),
                None => {
                    if let Some(work) = self.works.get_mut(&id) {
                        work.leases.remove(&lease);
                    }
                }
            }
        }
    }

    /// Another's job needs the slot of `execution`, whose experiment rests for as long as it ran. Of what waits it gives back what cannot be
    /// done after that.
    pub(super) fn end_for_others(&mut self, execution: Ticket, now: Time) {
        let Some(running) = self.executions.get(execution) else { return };
        let (id, lease, ran_ms) = (running.experiment, running.lease, now.since(running.started));
        self.stop(execution);
        let rests_until = now.plus(ran_ms);
        if let Some(work) = self.works.get_mut(&id) {
            (work.rest_until, work.way_until, work.made_way) = (rests_until, rests_until, work.made_way.saturating_add(1));
        }
        self.return_lease(id, lease, ReturnReason::MadeWay);
        self.return_hopeless(id, rests_until);
    }

    fn stop(&mut self, execution: Ticket) {
        if self.executions.stop(execution) {
            self.act(Effect::Stop { execution });
        }
    }

    pub(super) fn expire_leases(&mut self, now: Time) {
        let mut over: Vec<(ExperimentId, LeaseNumber, Option<Ticket>)> = Vec::new();
        for (id, work) in &self.works {
            over.extend(work.leases.iter().filter(|(_, held)| held.expires <= now).map(|(lease, held)| (*id, *lease, held.running)));
        }
        for (id, lease, running) in over {
            match (running, self.works.get(&id)) {
                (Some(ticket), _) => self.stop(ticket),
                // Others' jobs had the slots: that is no loss of the station's, and was no turn.
                (None, Some(work)) if work.module == Module::Here => {
                    let requester = work.requester();
                    self.turns.had_none(&requester);
                    self.return_lease(id, lease, ReturnReason::MadeWay);
                    continue;
                }
                _ => {}
            }
            self.return_lease(id, lease, ReturnReason::Expired);
        }
    }

    pub(super) fn start(&mut self, id: ExperimentId, lease: LeaseNumber, now: Time) {
        let execution = self.ticket();
        let Some(work) = self.works.get_mut(&id) else { return };
        let requester = work.requester();
        let granted = work.granted.clone();
        let Some(held) = work.leases.get_mut(&lease) else { return };
        held.running = Some(execution);
        let body = &work.call.body.experiment.body;
        let index = held.index;
        let job = Execution {
            experiment: id,
            requester,
            contact: body.contact.clone(),
            index,
            module: body.module.clone(),
            profile: body.profile.clone(),
            limits: body.limits.clone(),
            granted,
            pure: matches!(body.class, Class::Pure(_)),
            input: body.input.stdin(held.input.clone()),
        };
        let memory_bytes = body.limits.memory_bytes;
        self.turns.had_turn(requester, now);
        let near = self.turns.network(&requester);
        self.executions.insert(execution, Running::new(id, requester, lease, memory_bytes, now, near));
        self.act(Effect::Start { execution, job: Box::new(job) });
        self.note(Note::Started { experiment: id, lease, index });
    }

    pub(super) fn finished(&mut self, execution: Ticket, report: Result<Report, StationFailure>, now: Time) {
        let Some(running) = self.executions.remove(execution) else { return };
        let (id, lease, gives_back) = (running.experiment, running.lease, self.gives_back());
        let Some(requester) = self.works.get(&id).map(Work::requester) else { return };
        if running.stopped {
            self.made_way_at = now;
        }
        self.turns.had_turn(requester, now);
        self.ran(requester, running.near, now.since(running.started));
        let Some(work) = self.works.get_mut(&id) else { return };
        // A lease that was stopped and came again is another one: only the execution that holds it may finish it.
        let Some(held) = work.leases.get(&lease).filter(|held| held.running == Some(execution)) else { return };
        if held.expires <= now {
            self.return_lease(id, lease, ReturnReason::Expired);
            return;
        }
        match report {
            Ok(report) => {
                let (index, started_ms) = (held.index, running.started.since(held.received));
                work.leases.remove(&lease);
                work.used.insert(lease);
                work.learn_duration(now.since(running.started));
                self.keep_receipt(id, lease, index, started_ms, report, now);
            }
            Err(StationFailure::Outgrown) => self.return_lease(id, lease, ReturnReason::Outgrown),
            Err(StationFailure::TargetBusy) => self.return_lease(id, lease, ReturnReason::TargetBusy),
            // Who cannot pay waits, with its leases.
            Err(StationFailure::NotNow) => match work.unwanted(gives_back) {
                Some(reason) => self.return_lease(id, lease, reason),
                None => {
                    if let Some(held) = work.leases.get_mut(&lease) {
                        held.running = None;
                    }
                    self.prepare_again(id, now);
                }
            },
            Err(StationFailure::Sandbox | StationFailure::Stopped) => {
                // A sandbox that fails would fail again at once: leave the experiment alone for a while.
                work.rest_until = now.plus(REST_MS);
                self.return_lease(id, lease, ReturnReason::StationFailed);
                // Its module may be what is not here any more.
                self.prepare_again(id, now);
            }
        }
    }
}
