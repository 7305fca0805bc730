//! Claims and deliveries that wait for their answer.
//!
//! A connection that breaks says so, and the question is asked again after a back-off. An answer can also be lost in silence: a
//! requester that restarts behind a relay, a middlebox that forgot the flow. Waiting for the time-out would idle a station for ten
//! seconds, so that a small question without an answer is sent once more, the same, on a stream of its own; whichever answer comes
//! first counts. Both sides are idempotent: leases have numbers, receipts are named by them.
//!
//! Guarantees: one question per requester at a time, beside what guests said, at most two copies of it; it fails only when every copy has. Deliberately
//! lacks a third copy: after that it is the back-off's turn.

use std::collections::BTreeSet;

use super::machine::Sent;
use super::{Effect, Worker};
use crate::codec;
use crate::durable::Ticket;
use crate::identity::NodeId;
use crate::time::{SECOND, Time};
use crate::work::{At, RELAYED_BYTES_MAX, Request};

/// How long an answer may take before the same is asked once more: a requester's disk and two of the longest ways there are take
/// less, and a station idles for less than three seconds.
pub(super) const AGAIN_MS: u64 = 2 * SECOND;
/// Larger questions are not sent twice: a slow uplink may well need those two seconds for them.
pub(super) const AGAIN_BYTES_MAX: usize = RELAYED_BYTES_MAX;

/// A question to one requester.
#[derive(Clone, Debug, Default)]
pub(super) struct Question {
    /// Its copies that were neither answered nor failed.
    copies: BTreeSet<Ticket>,
    again: Option<Again>,
}

/// The second copy, before it is sent.
#[derive(Clone, Debug)]
struct Again {
    at: Time,
    to: At,
    request: Request,
    sent: Sent,
}

impl Question {
    /// Whether it is a claim of a moment ago, that will be made once more if no answer comes.
    pub(super) fn is_fresh_claim(&self) -> bool {
        self.again.as_ref().is_some_and(|again| matches!(again.sent, Sent::Claim(_)))
    }
}

impl Worker {
    /// Asks `requester`, at once or, for what must be durable first, after everything committed so far.
    pub(super) fn ask(&mut self, requester: NodeId, to: At, request: Request, sent: Sent, now: Time) -> Ticket {
        let small = matches!(request, Request::Claim(_)) || codec::encode(&request).len() <= AGAIN_BYTES_MAX;
        let again = small.then(|| Again { at: now.plus(AGAIN_MS), to: to.clone(), request: request.clone(), sent: sent.clone() });
        let send = self.send_copy(requester, to, request, sent);
        self.in_flight.insert(requester, Question { copies: BTreeSet::from([send]), again });
        send
    }

    /// Tells `requester` something that is not worth a second copy.
    pub(super) fn tell(&mut self, requester: NodeId, to: At, request: Request) {
        let send = self.send_copy(requester, to, request, Sent::Decline { requester });
        self.in_flight.insert(requester, Question { copies: BTreeSet::from([send]), again: None });
    }

    /// Tells `requester` what it need not answer: no claim and no delivery waits for it.
    pub(super) fn mention(&mut self, requester: NodeId, to: At, request: Request) {
        self.send_copy(requester, to, request, Sent::Progress);
    }

    fn send_copy(&mut self, requester: NodeId, at: At, request: Request, sent: Sent) -> Ticket {
        let send = self.ticket();
        self.sends.insert(send, sent);
        let waits = matches!(request, Request::Deliver(_));
        let effect = Effect::Send { send, to: requester, at, request };
        if waits {
            self.act_when_durable(effect);
        } else {
            self.act(effect);
        }
        send
    }

    /// Sends the second copies that are due.
    pub(super) fn repeat_questions(&mut self, now: Time) {
        let due = |question: &mut Question| question.again.take_if(|again| again.at <= now);
        let due: Vec<(NodeId, Again)> = self.in_flight.iter_mut().filter_map(|(node, question)| Some((*node, due(question)?))).collect();
        for (requester, Again { to, request, sent, .. }) in due {
            let send = self.send_copy(requester, to, request, sent);
            self.in_flight.entry(requester).or_default().copies.insert(send);
        }
    }

    /// When the first second copy is due.
    pub(super) fn again_deadline(&self) -> Option<Time> {
        self.in_flight.values().filter_map(|question| Some(question.again.as_ref()?.at)).min()
    }

    /// One copy of the question to `requester` was answered, or failed. Whether that settles it: a failure does not while another
    /// copy may still be answered, and what comes after the first answer is ignored.
    pub(super) fn settles(&mut self, requester: &NodeId, send: Ticket, is_answer: bool) -> bool {
        let Some(question) = self.in_flight.get_mut(requester) else { return false };
        question.copies.remove(&send);
        if !is_answer && !question.copies.is_empty() {
            return false;
        }
        for copy in self.in_flight.remove(requester).into_iter().flat_map(|question| question.copies) {
            self.sends.remove(&copy);
        }
        true
    }
}
