//! Neighbours: who is connected, what they are asked, and what they are told.
//!
//! Guarantees: a new connection is asked for Calls and peers at once, so that a late joiner hears open Calls; later one random
//! topic peer a minute; one station of the sample that is not connected is reached every three; a neighbour gets two answers of each
//! kind per topic in 30 s, the second for one that has just restarted. Deliberately lacks dialling: it names peers worth a dial, and the driver decides; who is introduced to whom is
//! in `introductions`.

use std::collections::{BTreeMap, BTreeSet};

use super::calls::Source;
use super::introductions::Introductions;
use super::machine::Sent;
use super::{Effect, SendFailure, Worker};
use crate::address::Address;
use crate::bounded::{List, Name};
use crate::call::{self, CLOCK_TOLERANCE_MS};
use crate::census::{Census, PeerRecord, RecordRefused};
use crate::cluster::Cluster;
use crate::content::sha256;
use crate::durable::Ticket;
use crate::gauge::Gauge;
use crate::identity::{NodeId, Signed};
use crate::peer_action::PeerAction;
use crate::time::{HOUR, MINUTE, SECOND, Time};
use crate::work::{At, INTRODUCED_MAX, Request, Response};

/// How often one random topic peer is asked for Calls.
const CALLS_EVERY_MS: u64 = MINUTE;
/// How soon somebody else is asked when an answer did not come.
const CALLS_AGAIN_MS: u64 = 5 * SECOND;
/// How often one random topic peer is asked for peers.
const PEERS_EVERY_MS: u64 = 3 * MINUTE;
/// The same while topic peers are few: as often as one neighbour answers, for the next question may fall to it again. Who is asked knows
/// others without a dial, and the DHT's servers are spared.
const PEERS_SOON_MS: u64 = ANSWER_EVERY_MS;
/// How often one random station of the sample that is not connected is reached: its question for peers makes it a neighbour for a while, and
/// a new neighbour is asked for Calls. Those who surround a station in silence cannot choose it.
pub(super) const OUTSIDE_EVERY_MS: u64 = 3 * MINUTE;
/// How soon after the loss of a topic peer: those that end together are one loss.
const PEERS_LOST_MS: u64 = 2 * SECOND;
/// How often this station's own record is made anew: half of a record's life.
pub(super) const OWN_RECORD_MS: u64 = HOUR;
/// In such a time one neighbour gets two answers of one kind for one topic: whoever restarts asks anew, and must not take a refusal for
/// nothing to tell.
pub(super) const ANSWER_EVERY_MS: u64 = 30 * SECOND;
/// Connections remembered: above the limits of connections of a bootstrap node.
const CONNECTED_MAX: usize = 2_048;
/// Answers remembered, so that a neighbour is not served too often by reconnecting.
const ANSWERED_MAX: usize = 4_096;
/// Topic peers with which a station has enough and looks for no more.
const TOPIC_PEERS_ENOUGH: usize = 12;
/// Peers of one answer that are worth a dial, and of one /24 or /48.
const NEIGHBOURS_MAX: usize = 4;
const NEIGHBOURS_PER_CLUSTER_MAX: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Calls,
    Peers,
    /// Of somebody who is not connected.
    Outside,
}

#[derive(Debug, Default)]
pub(super) struct Peers {
    connected: BTreeMap<NodeId, BTreeSet<Name>>,
    /// What each of them was asked about when it was new in a topic: whoever leaves a topic and comes again must not buy two questions.
    asked: BTreeMap<NodeId, BTreeSet<Name>>,
    /// When the random question of each kind and topic is due.
    due: BTreeMap<(Name, Kind), Time>,
    /// Which neighbour was answered what, when for the last time, and when before that.
    answered: BTreeMap<(NodeId, Name, Kind), (Time, Option<Time>)>,
    pub(super) introductions: Introductions,
    own_record_at: Option<Time>,
    /// When the newest own record was made: the next one must be later, or nobody takes it.
    own_made: Time,
}

impl Peers {
    pub(super) fn is_connected(&self, node: &NodeId) -> bool {
        self.connected.contains_key(node)
    }

    pub(super) fn gauges(&self) -> [Gauge; 2] {
        let answered = Gauge::new("answers remembered", self.answered.len(), ANSWERED_MAX);
        [Gauge::new("connected peers", self.connected.len(), CONNECTED_MAX), answered]
    }

    /// How many others of `topic` are connected.
    pub(super) fn met(&self, topic: &Name) -> usize {
        self.connected.values().filter(|topics| topics.contains(topic)).count()
    }

    fn on(&self, topic: &Name) -> Vec<NodeId> {
        self.connected.iter().filter(|(_, topics)| topics.contains(topic)).map(|(node, _)| *node).collect()
    }

    /// Whether `from` may have an answer now; remembers that it got one.
    fn may_answer(&mut self, from: NodeId, topic: &Name, kind: Kind, now: Time) -> bool {
        let key = (from, topic.clone(), kind);
        let known = self.answered.get(&key).copied();
        if known.and_then(|(_, before)| before).is_some_and(|before| now.since(before) < ANSWER_EVERY_MS) {
            return false;
        }
        if known.is_none() && self.answered.len() >= ANSWERED_MAX {
            self.forget_answered(now);
            if self.answered.len() >= ANSWERED_MAX {
                return false;
            }
        }
        self.answered.insert(key, (now, known.map(|(last, _)| last)));
        true
    }

    fn forget_answered(&mut self, now: Time) {
        self.answered.retain(|_, (last, _)| now.since(*last) < ANSWER_EVERY_MS);
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        let questions = if self.connected.is_empty() { None } else { self.due.values().min().copied() };
        questions.into_iter().chain(self.own_record_at).min()
    }
}

impl Worker {
    /// A neighbour is there, or takes part in more topics than before.
    pub(super) fn connected(&mut self, node: NodeId, topics: Vec<Name>, now: Time) {
        let ours: BTreeSet<Name> = topics.into_iter().filter(|topic| self.config.topics.contains(topic)).collect();
        if self.peers.connected.len() >= CONNECTED_MAX && !self.peers.connected.contains_key(&node) {
            self.note(super::Note::Overflow { what: "connected peers" });
            return;
        }
        let known = self.peers.connected.insert(node, ours.clone()).unwrap_or_default();
        self.dials.unmute(&node);
        for work in self.works.values_mut().filter(|work| work.requester() == node) {
            work.dial_at = Time(0);
            if !work.claimed {
                // What others wait for so that not all dial at once.
                work.ask_at = work.ask_at.min(now);
            }
        }
        for topic in ours.symmetric_difference(&known) {
            self.count_anew(topic, now, |_| {});
        }
        for topic in ours.difference(&known) {
            if self.peers.asked.entry(node).or_default().insert(topic.clone()) {
                self.ask_calls(node, topic);
                self.ask_peers_of(node, topic);
            }
            self.peers.due.entry((topic.clone(), Kind::Calls)).or_insert(now.plus(CALLS_EVERY_MS));
            let peers_after = if self.knows_too_few(topic) { PEERS_SOON_MS } else { PEERS_EVERY_MS };
            self.peers.due.entry((topic.clone(), Kind::Peers)).or_insert(now.plus(peers_after));
            self.peers.due.entry((topic.clone(), Kind::Outside)).or_insert(now.plus(OUTSIDE_EVERY_MS));
        }
    }

    /// The last connection with `node` ended. Where that leaves few, others are asked for more.
    pub(super) fn disconnected(&mut self, node: &NodeId, now: Time) {
        self.peers.introductions.gone(node);
        self.peers.asked.remove(node);
        for topic in self.peers.connected.remove(node).into_iter().flatten() {
            self.count_anew(&topic, now, |_| {});
            if self.has_few_peers(&topic)
                && let Some(due) = self.peers.due.get_mut(&(topic, Kind::Peers))
            {
                *due = now.plus(PEERS_LOST_MS).min(*due);
            }
        }
    }

    /// Whether this station has fewer topic peers than it wants and than there are.
    fn has_few_peers(&self, topic: &Name) -> bool {
        let (peers, known) = (self.peers.met(topic), self.census.get(topic).map_or(1, Census::known));
        peers < TOPIC_PEERS_ENOUGH && peers + 1 < known
    }

    /// Whether more stations are connected than records are known: a neighbour that answered this key a moment ago, before a restart, tells
    /// it nothing at once.
    fn knows_too_few(&self, topic: &Name) -> bool {
        self.census.get(topic).is_some_and(|census| !census.is_full() && census.known() < self.peers.met(topic) + 1)
    }

    fn ask_calls(&mut self, to: NodeId, topic: &Name) {
        let send = self.ticket();
        self.sends.insert(send, Sent::Calls { to, topic: topic.clone() });
        let request = Request::Calls { topic: topic.clone(), have: self.calls.have(topic) };
        self.act(Effect::Send { send, to, at: At::default(), request });
    }

    /// The random question comes sooner than planned.
    fn ask_again(&mut self, topic: &Name, kind: Kind, at: Time) {
        if let Some(due) = self.peers.due.get_mut(&(topic.clone(), kind)) {
            *due = at.min(*due);
        }
    }

    /// Neighbours may have Calls that this station took for too early or too late.
    pub(super) fn ask_calls_soon(&mut self, now: Time) {
        for ((_, kind), due) in &mut self.peers.due {
            if *kind == Kind::Calls {
                *due = now.min(*due);
            }
        }
    }

    fn ask_peers_of(&mut self, to: NodeId, topic: &Name) {
        let send = self.ticket();
        self.sends.insert(send, Sent::Peers { to, topic: topic.clone() });
        let have = self.census.get(topic).map(Census::tags).unwrap_or_default();
        self.act(Effect::Send { send, to, at: At::default(), request: Request::Peers { topic: topic.clone(), have } });
    }

    /// The random questions that are due, and this station's own record.
    pub(super) fn ask_peers(&mut self, now: Time) {
        if self.peers.own_record_at.is_none_or(|at| at <= now) {
            self.renew_records(now);
        }
        self.probe_due(now);
        let due: Vec<(Name, Kind)> = self.peers.due.iter().filter(|(_, at)| **at <= now).map(|(key, _)| key.clone()).collect();
        for (topic, kind) in due {
            let candidates = self.peers.on(&topic);
            let every = match kind {
                Kind::Calls => CALLS_EVERY_MS,
                Kind::Peers if self.has_few_peers(&topic) || self.knows_too_few(&topic) => PEERS_SOON_MS,
                Kind::Peers => PEERS_EVERY_MS,
                Kind::Outside => OUTSIDE_EVERY_MS,
            };
            self.peers.due.insert((topic.clone(), kind), now.plus(every));
            match kind {
                Kind::Calls => self.any_of(&candidates).into_iter().for_each(|to| self.ask_calls(to, &topic)),
                Kind::Peers => self.any_of(&candidates).into_iter().for_each(|to| self.ask_peers_of(to, &topic)),
                Kind::Outside => self.look_outside(&topic, now),
            }
        }
    }

    /// Each topic has a purse of its own for this, so that none keeps another from it. Where it is empty the next try is soon.
    fn look_outside(&mut self, topic: &Name, now: Time) {
        let purse = NodeId(sha256(&[b"outside", topic.as_str().as_bytes()]));
        if !self.probe(topic, purse, now)
            && let Some(due) = self.peers.due.get_mut(&(topic.clone(), Kind::Outside))
        {
            *due = now.plus(PEERS_SOON_MS);
        }
    }

    fn any_of(&mut self, candidates: &[NodeId]) -> Option<NodeId> {
        let last = candidates.len().checked_sub(1)?;
        candidates.get(usize::try_from(self.random_up_to(last as u64)).unwrap_or(0)).copied()
    }

    /// Signs this station's own records anew.
    pub(super) fn renew_records(&mut self, now: Time) {
        self.peers.own_record_at = Some(now.plus(OWN_RECORD_MS));
        let world = self.world(now);
        // Later than the one before, or nobody takes it; but where the clock was set back that one was taken for dated in the future.
        let made = if self.peers.own_made > world.plus(CLOCK_TOLERANCE_MS) { world } else { world.max(self.peers.own_made.plus(1)) };
        self.peers.own_made = made;
        let direct_and_relayed = List::first(self.addresses.iter().filter(|address| address.node() == self.node).cloned());
        for topic in self.config.topics.clone() {
            let record = PeerRecord { node: self.node, topic: topic.clone(), at: direct_and_relayed.clone(), made };
            let record = self.key.sign(&self.config.network, record);
            self.peers.introductions.renewed(record.clone());
            self.count_anew(&topic, now, |census| {
                // Refused only when the topic is so large that this station is not in the sample.
                let _ = census.offer(&record, world);
            });
        }
    }

    /// Changes a census and tells the driver when the count changed.
    pub(super) fn count_anew(&mut self, topic: &Name, now: Time, change: impl FnOnce(&mut Census)) {
        let (met, world) = (self.peers.met(topic), self.world(now));
        let Some(census) = self.census.get_mut(topic) else { return };
        census.sweep(world);
        change(census);
        let stations = census.count(met);
        if self.counted.insert(topic.clone(), stations) != Some(stations) {
            self.act(Effect::Counted { topic: topic.clone(), stations });
        }
    }

    pub(super) fn sweep_peers(&mut self, now: Time) {
        for topic in self.config.topics.clone() {
            self.count_anew(&topic, now, |_| {});
        }
        self.peers.forget_answered(now);
    }

    /// A neighbour's question.
    pub(super) fn asked(&mut self, ask: Ticket, from: NodeId, request: Request, now: Time) {
        let response = match request {
            Request::Calls { topic, have } if self.config.topics.contains(&topic) && self.peers.may_answer(from, &topic, Kind::Calls, now) => {
                Response::Calls { calls: self.calls.newer(&topic, &have, self.world(now)) }
            }
            Request::Peers { topic, have } if self.config.topics.contains(&topic) && self.peers.may_answer(from, &topic, Kind::Peers, now) => {
                self.known_peers(from, &topic, &have, now)
            }
            _ => Response::Unserved,
        };
        self.act(Effect::Answer { ask, response });
    }

    /// What a neighbour told of Calls. It was paid for where it came in, as far as it came.
    pub(super) fn calls_answered(&mut self, from: NodeId, topic: &Name, answer: Result<Response, SendFailure>, now: Time) {
        let calls = match answer {
            Ok(Response::Calls { calls }) => calls,
            Ok(Response::Unserved) => {
                self.ask_again(topic, Kind::Calls, now.plus(ANSWER_EVERY_MS));
                return;
            }
            Err(_) => {
                self.ask_again(topic, Kind::Calls, now.plus(CALLS_AGAIN_MS));
                return;
            }
            Ok(_) => {
                self.act(Effect::Report { node: from, action: PeerAction::Invalid });
                return;
            }
        };
        for call in calls {
            if call.body.experiment.body.topic != *topic {
                self.act(Effect::Report { node: from, action: PeerAction::Invalid });
                return;
            }
            // The rest is told again to whoever asks again.
            if !self.is_within_quota(&call, from, None, now) {
                return;
            }
            if call::check_decoded(&call, &self.config.network, topic).is_err() {
                self.act(Effect::Report { node: from, action: PeerAction::Invalid });
                return;
            }
            self.take_call(call, Source::Asked, Some(from), now);
        }
    }

    /// The same of peers.
    pub(super) fn peers_answered(&mut self, from: NodeId, topic: &Name, answer: Result<Response, SendFailure>, now: Time) {
        let records = match answer {
            Ok(Response::Peers { records, time }) => {
                if self.peers.is_connected(&from) {
                    self.act(Effect::PeerTime { node: from, time });
                }
                records.into_vec()
            }
            // It says nothing of whom it knows.
            Ok(Response::Unserved) => return self.ask_again(topic, Kind::Peers, now.plus(ANSWER_EVERY_MS)),
            Err(_) => return,
            Ok(_) => {
                self.act(Effect::Report { node: from, action: PeerAction::Invalid });
                return;
            }
        };
        let wants = self.peers.on(topic).len() < TOPIC_PEERS_ENOUGH;
        let (mut invalid, mut sampled, mut introduced) = (false, Vec::new(), Vec::new());
        let world = self.world(now);
        self.count_anew(topic, now, |census| {
            for record in records {
                match census.offer(&record, world) {
                    Ok(()) => {}
                    Err(RecordRefused::NotSmallest) if introduced.len() < INTRODUCED_MAX => match census.vouch(&record, world) {
                        Ok(()) => introduced.push(record),
                        Err(refused) => invalid |= refused.is_invalid(),
                    },
                    Err(refused) => invalid |= refused.is_invalid(),
                }
            }
            // What was known was not told again, and the sample vouches for it.
            let worth = |record: &&Signed<PeerRecord>| wants || record.body.node == from;
            sampled.extend(census.records().filter(worth).cloned());
        });
        if invalid {
            self.act(Effect::Report { node: from, action: PeerAction::Invalid });
            return;
        }
        if self.peers.is_connected(&from)
            && let Some(own) = sampled.iter().chain(&introduced).find(|record| record.body.node == from)
        {
            self.peers.introductions.told(own.clone());
        }
        if wants {
            self.name_neighbours(from, topic, [introduced, sampled], now);
        }
    }

    /// Of the peers an answer names, those worth a dial: from the first list, then from the second.
    fn name_neighbours(&mut self, from: NodeId, topic: &Name, lists: [Vec<Signed<PeerRecord>>; 2], now: Time) {
        let mut clusters: BTreeMap<Cluster, usize> = BTreeMap::new();
        let mut peers: Vec<(NodeId, At)> = Vec::new();
        let payer = self.payer(from);
        let [mut first, mut second] = lists;
        while peers.len() < NEIGHBOURS_MAX {
            let list = if first.is_empty() { &mut second } else { &mut first };
            let Some(last) = list.len().checked_sub(1) else { break };
            let index = self.random_up_to(last as u64);
            let record = list.swap_remove(usize::try_from(index).unwrap_or(0)).body;
            let dialable: Vec<Address> = record.at.iter().filter(|address| address.endpoint().is_dialable(self.config.reach)).cloned().collect();
            let Some(address) = dialable.first() else { continue };
            let seats = clusters.entry(Cluster::of_address(address, self.config.reach)).or_default();
            if self.is_here(&record.node) || *seats >= NEIGHBOURS_PER_CLUSTER_MAX {
                continue;
            }
            let Ok(at) = self.dials.pay(&payer, dialable, now) else { continue };
            *seats += 1;
            peers.push((record.node, at));
        }
        if !peers.is_empty() {
            self.act(Effect::Neighbours { topic: topic.clone(), peers });
        }
    }
}
