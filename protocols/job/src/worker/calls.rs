//! The Calls this station keeps, and whether one more is kept, forwarded or dropped.
//!
//! Guarantees: the highest `seq` wins and of one `seq` the first body; every bound below holds; what depends on clock or quota only
//! Ignores. Deliberately lacks Reject: [`crate::call::check`] makes that decision before a Call comes here.

use std::collections::BTreeMap;

use super::{Admission, Effect, Note, Via, Worker};
use crate::accounts;
use crate::bounded::{List, Name};
use crate::call::{CALL_BYTES_MAX, CLOCK_TOLERANCE_MS, Call, CallState};
use crate::clock::Shift;
use crate::cluster::Cluster;
use crate::experiment::ExperimentId;
use crate::gauge::Gauge;
use crate::identity::{NodeId, Signed};
use crate::peer_action::PeerAction;
use crate::time::Time;
use crate::work::{CALLS_MAX, HAVE_MAX};

/// Calls kept per topic: 4 MiB at their largest.
pub(super) const CALLS_PER_TOPIC_MAX: usize = 1_024;
/// Calls kept per author: one researcher must not fill the table. Nothing is kept per address: whoever lies names another's, and only its
/// owner would be shut out. What an address is dialled for is bounded where it is dialled.
pub(super) const CALLS_PER_AUTHOR_MAX: usize = 4;
/// Calls of unknown authors of a topic that anybody may forward: one a second, and so many at once.
pub(super) const UNKNOWN: Rate = Rate { micro_per_ms: 1_000, burst: 8 };
/// Calls of unknown authors of a topic beside those, which only come from neighbours within their own share: what sixteen forward. So a
/// flood by some leaves room for what others say.
pub(super) const UNKNOWN_RESERVED: Rate = Rate { micro_per_ms: UNKNOWN_SHARE.micro_per_ms * 16, burst: 16 };
/// The share of the reserve of one neighbour, or of all neighbours in one network, where that is known, since keys cost nothing: one Call in
/// 8 s, and an experiment's first Calls at once (its publication and its renewals after 2, 4 and 8 s).
pub(super) const UNKNOWN_SHARE: Rate = Rate { micro_per_ms: 125, burst: 4 };
const _: () = assert!(UNKNOWN.micro_per_ms + UNKNOWN_RESERVED.micro_per_ms == accounts::UNKNOWN_CALLS_PER_SECOND * 1_000);
/// Calls that one neighbour may forward, four a second; the burst covers what gathers while a link stalls.
const NEIGHBOUR: Rate = Rate { micro_per_ms: 4_000, burst: 16 };
/// Neighbours whose rate is remembered: more than any station has connections.
const NEIGHBOURS_REMEMBERED_MAX: usize = 1_024;
/// Largest anti-entropy answer.
pub(super) const CALLS_ANSWER_BYTES_MAX: usize = 128 << 10;

/// How fast a bucket fills, and how much it holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    pub(super) micro_per_ms: u64,
    pub(super) burst: u64,
}

/// A token bucket counted in millionths.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    rate: Rate,
    micro: u64,
    at: Time,
}

impl Bucket {
    fn full(rate: Rate, now: Time) -> Self {
        Self { rate, micro: rate.burst * 1_000_000, at: now }
    }

    /// Whether there is a token.
    fn has(&mut self, now: Time) -> bool {
        let gained = now.since(self.at).saturating_mul(self.rate.micro_per_ms);
        self.micro = self.micro.saturating_add(gained).min(self.rate.burst * 1_000_000);
        self.at = now;
        self.micro >= 1_000_000
    }

    /// Takes a token, if there is one.
    fn take(&mut self, now: Time) -> bool {
        let has = self.has(now);
        if has {
            self.micro -= 1_000_000;
        }
        has
    }
}

/// What unknown authors of one topic have left.
#[derive(Clone, Copy, Debug)]
struct Unknown {
    anybodys: Bucket,
    /// For neighbours within their own share.
    reserved: Bucket,
}

impl Unknown {
    fn full(now: Time) -> Self {
        Self { anybodys: Bucket::full(UNKNOWN, now), reserved: Bucket::full(UNKNOWN_RESERVED, now) }
    }
}

/// Whose share of the reserve it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Node(NodeId),
    Network(Cluster),
}

/// One Call with what is known of it.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) call: Signed<Call>,
    /// Whether these bytes came on gossip already.
    gossiped: bool,
    own: bool,
}

#[derive(Debug, Default)]
pub(super) struct Calls {
    kept: BTreeMap<ExperimentId, Kept>,
    unknown: BTreeMap<Name, Unknown>,
    /// What one neighbour may still forward, and of unknown authors' Calls one side, where those are scarce.
    neighbours: BTreeMap<NodeId, Bucket>,
    sides: BTreeMap<Side, Bucket>,
}

/// Where a Call came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Own,
    Gossip,
    /// In an anti-entropy answer.
    Asked,
}

/// What became of a Call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// News: kept, and worth forwarding.
    News,
    /// The same as kept, now heard on gossip for the first time: worth forwarding.
    Repeated,
    /// Nothing new, or no room.
    Nothing,
    /// Of another time than this station's: too early or too late.
    Untimely,
    /// Two bodies of one `seq` that say different things: proof E3 against its author.
    Contradiction,
}

/// The rate of `whose`, which begins whole.
fn bucket<K: Ord + Copy>(rates: &mut BTreeMap<K, Bucket>, whose: K, rate: Rate, now: Time) -> &mut Bucket {
    if rates.len() >= NEIGHBOURS_REMEMBERED_MAX && !rates.contains_key(&whose) {
        rates.pop_first();
    }
    rates.entry(whose).or_insert_with(|| Bucket::full(rate, now))
}

impl Calls {
    /// Whether a neighbour still has room for one more Call that it forwards.
    fn may_forward(&mut self, from: NodeId, now: Time) -> bool {
        bucket(&mut self.neighbours, from, NEIGHBOUR, now).take(now)
    }

    /// Whether, for unknown authors, the topic still has room for one more Call.
    fn within_quota(&mut self, from: NodeId, near: Option<Cluster>, topic: &Name, known_author: bool, now: Time) -> bool {
        if known_author {
            return true;
        }
        let unknown = self.unknown.entry(topic.clone()).or_insert_with(|| Unknown::full(now));
        if unknown.anybodys.take(now) {
            return true;
        }
        let share = bucket(&mut self.sides, near.map_or(Side::Node(from), Side::Network), UNKNOWN_SHARE, now);
        share.has(now) && unknown.reserved.take(now) && share.take(now)
    }

    /// Keeps `call` if the rules allow, with the ids that went to make room.
    fn offer(&mut self, call: &Signed<Call>, source: Source, is_known: impl Fn(&NodeId) -> bool, now: Time) -> (Kind, Vec<ExperimentId>) {
        let id = call.body.id();
        let gossiped = source == Source::Gossip;
        if call.body.nbf > now.plus(CLOCK_TOLERANCE_MS) || call.body.exp.plus(CLOCK_TOLERANCE_MS) <= now {
            return (Kind::Untimely, Vec::new());
        }
        let own = source == Source::Own;
        if let Some(kept) = self.kept.get_mut(&id) {
            if call.body.seq < kept.call.body.seq {
                return (Kind::Nothing, Vec::new());
            }
            if call.body.seq == kept.call.body.seq {
                let kind = match call.body == kept.call.body {
                    false if !call.body.says_as(&kept.call.body) => Kind::Contradiction,
                    // Signed anew after a crash, valid for another time.
                    false => Kind::Nothing,
                    true if gossiped && !std::mem::replace(&mut kept.gossiped, true) => Kind::Repeated,
                    true => Kind::Nothing,
                };
                return (kind, Vec::new());
            }
            let own = own || kept.own;
            *kept = Kept { call: call.clone(), gossiped, own };
            return (Kind::News, Vec::new());
        }
        match self.make_room(call, own, is_known) {
            Some(gone) => {
                self.kept.insert(id, Kept { call: call.clone(), gossiped, own });
                (Kind::News, gone)
            }
            None => (Kind::Nothing, Vec::new()),
        }
    }

    /// Makes room for a new experiment within the bounds: closed ones of the same author go first, then the unknown author whose
    /// Call ends first. `None` when there is no room to be made.
    fn make_room(&mut self, call: &Signed<Call>, own: bool, is_known: impl Fn(&NodeId) -> bool) -> Option<Vec<ExperimentId>> {
        let mut gone = Vec::new();
        let of_author = || self.kept.iter().filter(|(_, kept)| kept.call.author == call.author);
        if !own && of_author().count() >= CALLS_PER_AUTHOR_MAX {
            let closed = of_author().filter(|(_, kept)| matches!(kept.call.body.state, CallState::Closed { .. }));
            gone.push(*closed.min_by_key(|(_, kept)| kept.call.body.exp)?.0);
        }
        let topic = &call.body.experiment.body.topic;
        let on_topic = self.kept.iter().filter(|(id, kept)| kept.call.body.experiment.body.topic == *topic && !gone.contains(id));
        if on_topic.clone().count() >= CALLS_PER_TOPIC_MAX {
            let unknown = on_topic.filter(|(_, kept)| !kept.own && !is_known(&kept.call.author));
            let (id, kept) = unknown.min_by_key(|(_, kept)| kept.call.body.exp)?;
            if !own && !is_known(&call.author) && call.body.exp <= kept.call.body.exp {
                return None;
            }
            gone.push(*id);
        }
        for id in &gone {
            self.kept.remove(id);
        }
        Some(gone)
    }

    /// Drops what ended more than the tolerance ago, and names it.
    pub(super) fn expire(&mut self, now: Time) -> Vec<ExperimentId> {
        let over = |kept: &Kept| kept.call.body.exp.plus(CLOCK_TOLERANCE_MS) <= now;
        let gone: Vec<ExperimentId> = self.kept.iter().filter(|(_, kept)| over(kept)).map(|(id, _)| *id).collect();
        for id in &gone {
            self.kept.remove(id);
        }
        gone
    }

    /// Calls of `topic` that are kept.
    pub(super) fn count(&self, topic: &Name) -> usize {
        self.on(topic).count()
    }

    /// How many neighbours' rates are remembered.
    pub(super) fn rates(&self) -> Gauge {
        Gauge::new("neighbours' rates", self.neighbours.len(), NEIGHBOURS_REMEMBERED_MAX)
    }

    fn on<'a>(&'a self, topic: &'a Name) -> impl Iterator<Item = (&'a ExperimentId, &'a Kept)> {
        self.kept.iter().filter(move |(_, kept)| kept.call.body.experiment.body.topic == *topic)
    }

    /// What this station has of `topic`, to be told in a question.
    pub(super) fn have(&self, topic: &Name) -> List<(ExperimentId, u64), HAVE_MAX> {
        List::first(self.on(topic).map(|(id, kept)| (*id, kept.call.body.seq)))
    }

    /// What a neighbour that has `have` lacks: latest end first, within count and bytes.
    pub(super) fn newer(&self, topic: &Name, have: &[(ExperimentId, u64)], now: Time) -> List<Signed<Call>, CALLS_MAX> {
        let have: BTreeMap<ExperimentId, u64> = have.iter().copied().collect();
        let is_news = |id: &ExperimentId, kept: &Kept| have.get(id).is_none_or(|seq| *seq < kept.call.body.seq) && kept.call.body.exp > now;
        let mut news: Vec<&Kept> = self.on(topic).filter(|(id, kept)| is_news(id, kept)).map(|(_, kept)| kept).collect();
        news.sort_by_key(|kept| std::cmp::Reverse(kept.call.body.exp));
        // Every Call is at most 4 KiB, so that the count keeps the bytes.
        const { assert!(CALLS_MAX * CALL_BYTES_MAX <= CALLS_ANSWER_BYTES_MAX) };
        List::first(news.into_iter().map(|kept| kept.call.clone()))
    }
}

impl Worker {
    /// A Call that passed the stateless check.
    pub(super) fn call_heard(&mut self, call: Signed<Call>, via: Via, now: Time) {
        let (source, quota) = match via {
            Via::Own => (Source::Own, true),
            Via::Gossip { from, near, .. } => {
                let topic = &call.body.experiment.body.topic;
                let is_wanted = self.config.topics.contains(topic) && self.calls.may_forward(from, now);
                (Source::Gossip, is_wanted && self.is_within_quota(&call, from, near, now))
            }
        };
        let from = if let Via::Gossip { from, .. } = via { Some(from) } else { None };
        let kind = if quota { self.take_call(call, source, from, now) } else { Kind::Nothing };
        if let Via::Gossip { ticket, .. } = via {
            let admission = if matches!(kind, Kind::News | Kind::Repeated) { Admission::Accept } else { Admission::Ignore };
            self.act(Effect::Judge { ticket, admission });
        }
    }

    /// Whether for an unknown author its topic has room for `call`: asked before its signatures are, where it was not on gossip. What is told
    /// in an answer takes nothing of what its teller may forward: it was asked for, it is bounded by the answer, and the accounts charge it.
    pub(super) fn is_within_quota(&mut self, call: &Signed<Call>, from: NodeId, near: Option<Cluster>, now: Time) -> bool {
        let known = self.is_known(&call.author);
        self.calls.within_quota(from, near, &call.body.experiment.body.topic, known, now)
    }

    /// A Call that passed the stateless check and the quotas.
    pub(super) fn take_call(&mut self, call: Signed<Call>, source: Source, from: Option<NodeId>, now: Time) -> Kind {
        let id = call.body.id();
        let history = &self.history;
        let (kind, gone) = self.calls.offer(&call, source, |author| history.knows(author), self.world(now));
        for gone in gone {
            self.forget_call(&gone);
        }
        match kind {
            Kind::News => {
                self.note(Note::Heard { experiment: id, seq: call.body.seq, requester: call.author, from });
                self.news(id, call, now);
            }
            Kind::Contradiction => {
                self.act(Effect::Report { node: call.author, action: PeerAction::Proven });
                self.note(Note::Contradicted { experiment: id, seq: call.body.seq, requester: call.author });
            }
            Kind::Untimely => {
                let ahead_ms = Shift::between(self.world(now), call.body.nbf).ms();
                self.note(Note::Untimely { experiment: id, requester: call.author, ahead_ms });
            }
            Kind::Repeated | Kind::Nothing => {}
        }
        kind
    }
}
