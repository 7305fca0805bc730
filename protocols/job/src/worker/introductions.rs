//! Introductions: records of neighbours that the sample has no room for.
//!
//! The sample that counts a topic is the same 256 stations for everybody: if only they could be met, they would carry the mesh of a
//! large topic alone. So an answer also names its author and some of its neighbours. Guarantees: a record is told only while its
//! station is a neighbour, as its station told it. Deliberately lacks trust: whoever is introduced is worth a dial, no more.

use std::collections::{BTreeMap, BTreeSet};

use super::Worker;
use crate::bounded::{List, Name};
use crate::census::{PeerRecord, RecordTag};
use crate::identity::{NodeId, Signed};
use crate::time::Time;
use crate::work::{INTRODUCED_MAX, Response};

#[derive(Debug, Default)]
pub(super) struct Introductions {
    own: BTreeMap<Name, Signed<PeerRecord>>,
    /// What neighbours say of themselves; no more of them than connections.
    neighbours: BTreeMap<(NodeId, Name), Signed<PeerRecord>>,
}

impl Introductions {
    /// This station's own record was made anew.
    pub(super) fn renewed(&mut self, own: Signed<PeerRecord>) {
        self.own.insert(own.body.topic.clone(), own);
    }

    /// A connected neighbour told its own record, which was found right.
    pub(super) fn told(&mut self, record: Signed<PeerRecord>) {
        let key = (record.body.node, record.body.topic.clone());
        if self.neighbours.get(&key).is_none_or(|known| known.body.made < record.body.made) {
            self.neighbours.insert(key, record);
        }
    }

    /// A neighbour is one no longer.
    pub(super) fn gone(&mut self, node: &NodeId) {
        self.neighbours.retain(|(neighbour, _), _| neighbour != node);
    }
}

impl Worker {
    /// The answer to a question for peers: the sample, this station and some of its neighbours, but for what the asker has.
    pub(super) fn known_peers(&mut self, from: NodeId, topic: &Name, have: &[RecordTag], now: Time) -> Response {
        let world = self.world(now);
        let Some(census) = self.census.get(topic) else { return Response::Unserved };
        let have: BTreeSet<RecordTag> = have.iter().copied().collect();
        let is_asked = |record: &&Signed<PeerRecord>| !have.contains(&RecordTag::of(record));
        let is_new =
            |record: &&Signed<PeerRecord>| is_asked(record) && census.record(&record.body.node).is_none() && census.is_current(record, world);
        let introductions = &self.peers.introductions;
        let own: Vec<Signed<PeerRecord>> = introductions.own.get(topic).filter(is_new).cloned().into_iter().collect();
        let is_other = |record: &&Signed<PeerRecord>| record.body.topic == *topic && record.body.node != from;
        let mut others: Vec<Signed<PeerRecord>> = introductions.neighbours.values().filter(is_other).filter(is_new).cloned().collect();
        let sample: Vec<Signed<PeerRecord>> = census.records().filter(is_asked).cloned().collect();
        while own.len() + others.len() > INTRODUCED_MAX {
            let index = self.random_up_to(others.len() as u64 - 1);
            others.swap_remove(usize::try_from(index).unwrap_or(0));
        }
        Response::Peers { records: List::first(own.into_iter().chain(others).chain(sample)), time: world }
    }
}
