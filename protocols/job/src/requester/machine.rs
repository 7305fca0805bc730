//! [`Requester`]: events in, actions out.
//!
//! Guarantees: see [`super`]. Each event first ends what ran out of time, then is handled, then becomes at most one Commit.
//! Deliberately lacks rules of its own: the files beside it have them.

use std::collections::{BTreeMap, VecDeque};

use cid::Cid;

use super::claim::refuse;
use super::context::Context;
use super::deliver::FETCHES_MAX;
use super::run::{Closed, Run, Window};
use super::untold::{UNTOLD_BYTES_ALL_MAX, Untold};
use super::{Action, Config, Draft, Effect, Event, Note, Peer, PublishError, View, open};
use crate::bounded::List;
use crate::durable::{RestoreError, Ticket};
use crate::experiment::ExperimentId;
use crate::identity::{NodeId, SigningKey};
use crate::log::Entry;
use crate::time::Time;
use crate::work::{Ack, ClaimRefused, Deliver, ReceiptRefused, Request, Response, Status};

/// Experiments open at the same time: each holds up to 64 MiB of receipts, and its Call costs every neighbour.
pub const OPEN_MAX: usize = 64;
/// Closed experiments that still answer Status and late deliveries.
pub const CLOSED_MAX: usize = 1_024;
/// Topics whose size is remembered before those without an experiment here are forgotten.
const TOPICS_MAX: usize = 256;

/// All experiments of one station, from publication to Closed.
#[derive(Debug)]
pub struct Requester {
    pub(super) cx: Context,
    pub(super) open: BTreeMap<ExperimentId, Run>,
    pub(super) closed: BTreeMap<ExperimentId, Closed>,
    pub(super) actions: VecDeque<Action>,
}

impl Requester {
    /// A machine that goes on where `records` stop; none make a new one. `seed` must be fresh entropy.
    pub fn restore(
        config: Config,
        key: SigningKey,
        seed: [u8; 32],
        records: impl Iterator<Item = (crate::durable::Key, Vec<u8>)>,
        now: Time,
    ) -> Result<Self, RestoreError> {
        let mut machine = Self { cx: Context::new(config, key, seed), open: BTreeMap::new(), closed: BTreeMap::new(), actions: VecDeque::new() };
        machine.read_records(records, now)?;
        machine.finish(now);
        Ok(machine)
    }

    pub fn handle(&mut self, event: Event, now: Time) {
        self.cx.held_bytes = self.open.values().map(|run| run.held_bytes).sum();
        self.due(now);
        match event {
            Event::Publish { publish, draft, module } => self.publish(publish, *draft, module, now),
            Event::Cancel { experiment } => self.close(experiment, now),
            Event::Asked { ask, from, request } => self.asked(ask, from, request, now),
            Event::Fetched { fetch, result } => {
                let of = self.cx.fetches.remove(&fetch);
                if let Some((run, lease)) = of.and_then(|of| Some((self.open.get_mut(&of.experiment)?, of.lease))) {
                    run.fetched(&mut self.cx, lease, result, now);
                }
            }
            Event::Counted { topic, stations } => {
                if self.cx.stations.len() >= TOPICS_MAX {
                    self.cx.stations.retain(|known, _| self.open.values().any(|run| run.experiment.body.topic == *known));
                }
                self.cx.stations.insert(topic, stations.max(1));
            }
            Event::Addresses(at) => {
                if self.cx.at != at {
                    self.cx.at = at;
                    for run in self.open.values_mut() {
                        run.call_out(&mut self.cx, now);
                    }
                    let world = self.cx.world(now);
                    for closed in self.closed.values_mut().filter(|closed| closed.is_missed(world)) {
                        closed.call_again(&mut self.cx, now);
                    }
                }
            }
            Event::Clock(shift) => {
                self.cx.shift = shift;
                // The last Calls may be of a time that others take for the future, or for over.
                self.open.values_mut().filter(|run| !run.is_over(shift.theirs(now))).for_each(|run| run.call_out(&mut self.cx, now));
            }
            Event::Tick => {}
        }
        self.finish(now);
    }

    /// The next action; drain until `None` after every `handle` and after `restore`.
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to send [`Event::Tick`] if nothing else happens before.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        let open = self.open.values().map(|run| run.next_deadline(self.cx.shift));
        let closed = self.closed.values().filter_map(|closed| closed.renew_at);
        open.chain(closed).min()
    }

    /// Whether `node` has leases of an open experiment, or waits for its next: a connection with it must not be ended, for it may not find
    /// its way back in. A claim alone counts for five minutes.
    #[must_use]
    pub fn works_with(&self, node: &NodeId, now: Time) -> bool {
        let mut claimants = self.open.values().filter_map(|run| run.claimants.get(node));
        claimants.any(|claimant| !claimant.outstanding.is_empty() || claimant.is_waiting(now))
    }

    /// Every experiment known here, open or closed.
    pub fn experiments(&self) -> impl Iterator<Item = ExperimentId> + '_ {
        self.open.keys().chain(self.closed.keys()).copied()
    }

    /// One experiment as it stands.
    #[must_use]
    pub fn view(&self, id: &ExperimentId) -> Option<View> {
        let status = self.status(id)?;
        if let Some(closed) = self.closed.get(id) {
            let record = &closed.record;
            let (pages, explanation) = (record.pages.clone(), closed.explanation.clone());
            let (published, closed_at, logs) = (record.published, Some(record.at), closed.logs.all());
            return Some(View {
                call: record.call.clone(),
                status,
                explanation,
                published,
                closed: closed_at,
                said: Vec::new(),
                logs,
                pages,
                settled: Vec::new(),
            });
        }
        let run = self.open.get(id)?;
        let settled = run.page.entries.iter().filter_map(|entry| match entry {
            Entry::Settled(job) => Some((**job).clone()),
            Entry::Late(_) => None,
        });
        let (pages, explanation) = (run.pages.clone(), run.explained());
        Some(View {
            call: run.call.clone(),
            status,
            explanation,
            published: run.published,
            closed: None,
            said: run.said(),
            logs: run.logs.all(),
            pages,
            settled: settled.collect(),
        })
    }

    fn due(&mut self, now: Time) {
        let over: Vec<ExperimentId> = self
            .open
            .iter_mut()
            .filter_map(|(id, run)| {
                run.expire(&mut self.cx, now);
                if matches!(&run.window, Window::Collecting { closes, .. } if *closes <= now) {
                    run.close_window(&mut self.cx, now);
                }
                let over = run.is_over(self.cx.world(now));
                if !over {
                    run.keep_calling(&mut self.cx, now);
                }
                over.then_some(*id)
            })
            .collect();
        for id in over {
            self.close(id, now);
        }
        for closed in self.closed.values_mut() {
            closed.keep_calling(&mut self.cx, now);
            closed.untold.expire(closed.record.at, self.cx.world(now));
        }
    }

    /// Closes what the event brought to its end, and hands out its actions.
    fn finish(&mut self, now: Time) {
        let over: Vec<ExperimentId> = self.open.iter().filter(|(_, run)| run.is_over(self.cx.world(now))).map(|(id, _)| *id).collect();
        for id in over {
            self.close(id, now);
        }
        self.actions.extend(self.cx.flush());
        self.assert_bounds();
    }

    /// What holds after every event, whatever others say.
    fn assert_bounds(&self) {
        assert!(self.open.len() <= OPEN_MAX && self.closed.len() <= CLOSED_MAX, "more experiments than fit");
        assert!(self.cx.fetches.len() <= FETCHES_MAX && self.cx.stations.len() <= TOPICS_MAX, "more fetches or topics than fit");
        self.open.values().for_each(Run::assert_bounds);
    }

    fn close(&mut self, id: ExperimentId, now: Time) {
        let Some(run) = self.open.remove(&id) else { return };
        if self.closed.len() >= CLOSED_MAX {
            let oldest = self.closed.iter().min_by_key(|(_, closed)| closed.record.at).map(|(id, _)| *id);
            if let Some(closed) = oldest.and_then(|oldest| self.closed.remove(&oldest)) {
                closed.forget(&mut self.cx);
            }
        }
        let closed = run.close(&mut self.cx, now);
        self.closed.insert(id, closed);
        self.bound_untold();
    }

    /// Of all that stations have not heard after the end, that of the experiments closed first goes.
    fn bound_untold(&mut self) {
        let mut bytes: usize = self.closed.values().map(|closed| closed.untold.bytes()).sum();
        while bytes > UNTOLD_BYTES_ALL_MAX {
            let telling = self.closed.values_mut().filter(|closed| closed.untold.bytes() > 0);
            let Some(oldest) = telling.min_by_key(|closed| closed.record.at) else { return };
            bytes -= oldest.untold.bytes();
            oldest.untold = Untold::default();
        }
    }

    fn publish(&mut self, publish: Ticket, draft: Draft, module: Vec<Cid>, now: Time) {
        let result = if self.open.len() >= OPEN_MAX {
            Err(PublishError::TooManyOpen(self.open.len()))
        } else {
            open::publish(&mut self.cx, draft, module, now)
        };
        let result = result.map(|run| {
            let id = run.id;
            self.open.insert(id, run);
            id
        });
        self.cx.then(Effect::Published { publish, result });
    }

    fn asked(&mut self, ask: Ticket, from: Peer, request: Request, now: Time) {
        match request {
            Request::Claim(claim) => match self.open.get_mut(&claim.experiment) {
                Some(run) => run.claim(&mut self.cx, ask, from, &claim, now),
                None => {
                    let closed = self.closed.get(&claim.experiment).map(|closed| closed.record.call.body.seq);
                    let reason = if closed.is_some() { ClaimRefused::Closed } else { ClaimRefused::Unknown };
                    refuse(&mut self.cx, ask, claim.experiment, from.node, reason, closed.unwrap_or(0));
                }
            },
            Request::Decline(decline) => {
                if let Some(run) = self.open.get_mut(&decline.experiment) {
                    run.declined(from.node, decline.reason);
                    self.cx.note(Note::Declined { experiment: decline.experiment, node: from.node, reason: decline.reason });
                }
                self.cx.act(Effect::Answer { ask, response: Response::Noted });
            }
            Request::Progress(progress) => {
                if let Some(run) = self.open.get_mut(&progress.experiment) {
                    run.hear_progress(&self.cx, from.node, &progress.said, now);
                }
                self.cx.act(Effect::Answer { ask, response: Response::Noted });
            }
            Request::Deliver(deliver) => match self.open.get_mut(&deliver.experiment) {
                Some(run) => run.deliver(&mut self.cx, ask, from, &deliver, now),
                None => self.deliver_closed(ask, from, &deliver),
            },
            Request::Status { experiment } => {
                let response = self.status(&experiment).map_or(Response::Unserved, Response::Status);
                self.cx.answer(ask, response);
            }
            Request::Calls { .. } | Request::Peers { .. } => self.cx.act(Effect::Answer { ask, response: Response::Unserved }),
        }
    }

    /// What was held stays held; the rest came too late, or belongs to nobody here.
    fn deliver_closed(&mut self, ask: Ticket, from: Peer, deliver: &Deliver) {
        let mut closed = self.closed.get_mut(&deliver.experiment);
        let (verdicts, cursor) = match &mut closed {
            Some(closed) => closed.untold.tell(from, deliver.cursor),
            None => (List::default(), deliver.cursor),
        };
        let record = closed.as_ref().map(|closed| &closed.record);
        let (mut held, mut refused) = (Vec::new(), Vec::new());
        for lease in deliver.receipts.iter().map(|delivery| delivery.receipt.body.lease) {
            match record {
                Some(record) if record.held.contains(lease) => held.push(lease),
                Some(_) => refused.push((lease, ReceiptRefused::Closed)),
                None => refused.push((lease, ReceiptRefused::NoLease)),
            }
        }
        let no_more = Some(if record.is_some() { ClaimRefused::Closed } else { ClaimRefused::Unknown });
        let ack = Ack {
            experiment: deliver.experiment,
            node: from.node,
            held: List::first(held),
            refused: List::first(refused),
            again_ms: *crate::work::WAIT_MS.end(),
            verdicts,
            cursor,
            leases: None,
            no_more,
        };
        let signed = self.cx.key.sign(&self.cx.config.network, ack);
        self.cx.answer(ask, Response::Acked(Box::new(signed)));
    }

    fn status(&self, id: &ExperimentId) -> Option<Status> {
        if let Some(closed) = self.closed.get(id) {
            let record = &closed.record;
            return Some(Status {
                experiment: *id,
                jobs: record.call.body.experiment.body.jobs.count,
                settled: record.settled,
                held: record.held.len(),
                outstanding: 0,
                claimants: u32::try_from(closed.explanation.claimants).unwrap_or(u32::MAX),
                pages: record.pages.len() as u64,
                log: Some(closed.log),
            });
        }
        let run = self.open.get(id)?;
        Some(Status {
            experiment: *id,
            jobs: run.jobs.count(),
            settled: run.settled.len(),
            held: run.held.len(),
            outstanding: run.leases.len() as u64,
            claimants: u32::try_from(run.claimants.len()).unwrap_or(u32::MAX),
            pages: run.pages.len() as u64,
            log: None,
        })
    }
}
