//! Probes: stations of the sample that are asked at the address of their record, so that more of the count is believed, and so that a
//! station hears of more than its neighbours let it.
//!
//! Guarantees: while all that is told is believed, one is probed in three minutes and no more; a probe is dialled out of the same budgets
//! as everything that strangers name. Deliberately lacks a message of its own: the question for peers is asked in any case.

use super::machine::Sent;
use super::{Effect, SendFailure, Worker};
use crate::accounts::{Acquaintance, Payer};
use crate::bounded::Name;
use crate::census::{Census, PeerRecord};
use crate::identity::NodeId;
use crate::time::Time;
use crate::work::{At, Request, Response};

impl Worker {
    /// When the next probe of any topic is due.
    pub(super) fn probe_deadline(&self) -> Option<Time> {
        self.census.iter().filter_map(|(topic, census)| census.probe_at(self.peers.met(topic))).min()
    }

    /// Probes where it is time to.
    pub(super) fn probe_due(&mut self, now: Time) {
        let due = |(topic, census): (&Name, &Census)| census.probe_at(self.peers.met(topic)).filter(|at| *at <= now).map(|_| topic.clone());
        let topics: Vec<Name> = self.census.iter().filter_map(due).collect();
        for topic in topics {
            // Who told a record is forgotten, so that all probes together have what one stranger has.
            let _ = self.probe(&topic, self.node, now);
        }
    }

    /// Reaches one random station of the sample that is not connected, out of the share of `purse`. Whether that could pay, or there is
    /// nobody to reach.
    pub(super) fn probe(&mut self, topic: &Name, purse: NodeId, now: Time) -> bool {
        let Some(census) = self.census.get(topic) else { return true };
        let have = census.tags();
        let mut others: Vec<PeerRecord> =
            census.records().filter(|record| !self.is_here(&record.body.node)).map(|record| record.body.clone()).collect();
        let index = self.random_up_to((others.len() as u64).saturating_sub(1));
        if let Some(census) = self.census.get_mut(topic) {
            census.probing(now);
        }
        if others.is_empty() {
            return true;
        }
        let record = others.swap_remove(usize::try_from(index).unwrap_or(0));
        let reach = self.config.reach;
        let dialable = record.at.into_iter().filter(|address| address.endpoint().is_dialable(reach));
        let payer = Payer::node(purse, None, Acquaintance::Stranger);
        let Ok(at) = self.dials.pay(&payer, dialable, now) else { return false };
        let send = self.ticket();
        let to = record.node;
        self.sends.insert(send, Sent::Probe { to, topic: topic.clone(), at: at.clone() });
        self.act(Effect::Send { send, to, at, request: Request::Peers { topic: topic.clone(), have } });
        true
    }

    pub(super) fn probe_answered(&mut self, to: NodeId, topic: &Name, at: &At, answer: Result<Response, SendFailure>, now: Time) {
        self.probed(&to, topic, answer.is_ok(), now);
        match answer {
            Err(SendFailure::NoAnswer | SendFailure::TooLarge) => {}
            Err(_) => at.iter().for_each(|address| self.dials.mute(address, now)),
            answer => self.peers_answered(to, topic, answer, now),
        }
    }

    /// `node` was reached where the sample says, or was not.
    pub(super) fn probed(&mut self, node: &NodeId, topic: &Name, reached: bool, now: Time) {
        let met = self.peers.met(topic);
        self.count_anew(topic, now, |census| {
            if census.record(node).is_some() {
                census.probed(reached, met);
            }
        });
    }
}
