//! What all experiments of a [`super::Requester`] share while one event is handled: key, addresses, and the actions collected.
//!
//! Guarantees: one event becomes at most one Commit, so that what changed together is durable together. Deliberately lacks state of
//! any one experiment.

use std::collections::BTreeMap;

use cid::Cid;

use super::{Action, Config, Effect, Note};
use crate::bounded::Name;
use crate::clock::Shift;
use crate::cluster::Cluster;
use crate::content::sha256;
use crate::durable::{Commit, Key, RECORD_BYTES_MAX, Ticket};
use crate::experiment::ExperimentId;
use crate::identity::{NodeId, SigningKey};
use crate::peer_action::PeerAction;
use crate::receipt::LeaseNumber;
use crate::time::Time;
use crate::work::{At, Response};

/// An output or transcript that is on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fetching {
    pub(super) experiment: ExperimentId,
    pub(super) lease: LeaseNumber,
    /// Where it comes from.
    pub(super) cluster: Cluster,
}

#[derive(Debug)]
pub(super) struct Context {
    pub(super) config: Config,
    pub(super) key: SigningKey,
    seed: [u8; 32],
    drawn: u64,
    pub(super) at: At,
    /// How far the world's time is ahead of what the driver hands in.
    pub(super) shift: Shift,
    pub(super) stations: BTreeMap<Name, u64>,
    /// Bytes of receipts that all open experiments held when this event came.
    pub(super) held_bytes: usize,
    pub(super) fetches: BTreeMap<Ticket, Fetching>,
    next_ticket: u64,
    /// Of one key the last word counts: a value, or none for a delete.
    records: BTreeMap<Key, Option<Vec<u8>>>,
    commit: Commit<Effect>,
    acts: Vec<Effect>,
}

impl Context {
    pub(super) fn new(config: Config, key: SigningKey, seed: [u8; 32]) -> Self {
        Self {
            config,
            key,
            seed,
            drawn: 0,
            at: At::default(),
            shift: Shift::default(),
            stations: BTreeMap::new(),
            held_bytes: 0,
            fetches: BTreeMap::new(),
            next_ticket: 0,
            records: BTreeMap::new(),
            commit: Commit::default(),
            acts: Vec::new(),
        }
    }

    /// The world's time, as messages and records say it, when the station's own is `now`.
    pub(super) fn world(&self, now: Time) -> Time {
        self.shift.theirs(now)
    }

    /// 32 bytes that nobody can know; `salt` keeps two runs with one seed apart.
    pub(super) fn secret(&mut self, salt: &[u8]) -> [u8; 32] {
        self.drawn += 1;
        sha256(&[b"station/secret", &self.seed, &self.drawn.to_be_bytes(), salt])
    }

    pub(super) fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    /// Stations of `topic`, when they were counted.
    pub(super) fn counted(&self, topic: &Name) -> Option<u64> {
        self.stations.get(topic).copied()
    }

    pub(super) fn put(&mut self, key: Key, value: Vec<u8>) {
        assert!(value.len() <= RECORD_BYTES_MAX, "a record of {} bytes could not be read back", value.len());
        self.records.insert(key, Some(value));
    }

    pub(super) fn delete(&mut self, key: Key) {
        self.records.insert(key, None);
    }

    /// Brings a blob that the record under `owner` owns.
    pub(super) fn bring(&mut self, owner: Key, cid: Cid, bytes: Vec<u8>) {
        self.commit.bring(owner, cid, bytes);
    }

    /// The record under `owner` owns a blob that is here: another record owns it too, or it comes with this event.
    pub(super) fn own(&mut self, owner: Key, cid: Cid) {
        self.commit.owns.push((owner, cid));
    }

    /// Performed once everything this event changed is durable.
    pub(super) fn then(&mut self, effect: Effect) {
        self.commit.then.push(effect);
    }

    /// Performed at once: right after a crash at any moment.
    pub(super) fn act(&mut self, effect: Effect) {
        self.acts.push(effect);
    }

    pub(super) fn note(&mut self, note: Note) {
        self.then(Effect::Note(note));
    }

    pub(super) fn answer(&mut self, ask: Ticket, response: Response) {
        self.then(Effect::Answer { ask, response });
    }

    pub(super) fn report(&mut self, node: NodeId, action: PeerAction) {
        self.act(Effect::Report { node, action });
    }

    /// The actions of the event that was handled.
    pub(super) fn flush(&mut self) -> impl Iterator<Item = Action> + use<> {
        let mut commit = std::mem::take(&mut self.commit);
        for (key, value) in std::mem::take(&mut self.records) {
            match value {
                Some(value) => commit.puts.push((key, value)),
                None => commit.deletes.push(key),
            }
        }
        let empty = commit.is_empty() && commit.then.is_empty();
        let acts = std::mem::take(&mut self.acts);
        acts.into_iter().map(Action::Do).chain((!empty).then_some(Action::Commit(commit)))
    }
}
