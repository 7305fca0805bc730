//! [`Whereabouts`]: in which cluster others see this station.
//!
//! A Call's sample goes by clusters, and behind a NAT a station does not know its own address. Its peers do. Guarantees: each cluster
//! of witnesses has one word, its last; what most of the newest [`WITNESSES_MAX`] say is believed. Deliberately lacks proof: who is
//! misled claims where it is not asked and is refused, or stays away.

use std::collections::VecDeque;
use std::net::IpAddr;

use super::Worker;
use crate::address::{Address, Reach};
use crate::bounded::List;
use crate::call::Call;
use crate::cluster::Cluster;
use crate::experiment::ExperimentId;
use crate::identity::NodeId;
use crate::sampling;
use crate::time::Time;
use crate::work::At;

/// Witnesses remembered per family of addresses: about as many as a station has neighbours, so that after a move the first half of them
/// to be met again carries the vote.
const WITNESSES_MAX: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Whereabouts {
    v4: Witnesses,
    v6: Witnesses,
}

/// The witness's cluster and what it sees, the newest last.
#[derive(Debug, Default)]
struct Witnesses(VecDeque<(Cluster, Cluster)>);

impl Whereabouts {
    /// A peer in the cluster `by` sees the station at `ip`. Whether another place is believed now.
    pub(super) fn seen(&mut self, by: Cluster, ip: IpAddr, node: NodeId, reach: Reach) -> bool {
        let seen = Cluster::of(node, ip, None, reach);
        if matches!(seen, Cluster::Private | Cluster::Own(_)) {
            return false;
        }
        let witnesses = if ip.to_canonical().is_ipv4() { &mut self.v4 } else { &mut self.v6 };
        let before = witnesses.place();
        witnesses.hear(by, seen);
        witnesses.place() != before
    }

    /// Where whoever is at `ip` sees `node`, this station, when it comes from there.
    fn at(&self, ip: IpAddr, node: NodeId, reach: Reach) -> Option<Cluster> {
        match Cluster::of(node, ip, None, reach) {
            local @ (Cluster::Private | Cluster::Own(_)) => Some(local),
            Cluster::V4(_) => self.v4.place(),
            Cluster::V6(_) => self.v6.place(),
        }
    }

    /// Everywhere it may be seen by whoever was found in other ways than by an address.
    fn anywhere(&self) -> impl Iterator<Item = Cluster> {
        self.v4.place().into_iter().chain(self.v6.place())
    }
}

impl Witnesses {
    fn hear(&mut self, by: Cluster, seen: Cluster) {
        self.0.retain(|(other, _)| *other != by);
        if self.0.len() >= WITNESSES_MAX {
            self.0.pop_front();
        }
        self.0.push_back((by, seen));
    }

    /// What most say; of two that as many say the one that was said last.
    fn place(&self) -> Option<Cluster> {
        let votes = |seen: &Cluster| self.0.iter().filter(|(_, other)| other == seen).count();
        self.0.iter().map(|(_, seen)| seen).max_by_key(|seen| votes(seen)).copied()
    }
}

impl Worker {
    /// A peer in the cluster `by` sees this station at `ip`.
    pub(super) fn seen(&mut self, by: Cluster, ip: IpAddr, now: Time) {
        if self.whereabouts.seen(by, ip, self.node, self.config.reach) {
            self.judge_all(now);
        }
    }

    /// Whether the sample of `call` includes this station, at one of its addresses at least. Its own experiments are always its own.
    pub(super) fn is_sampled(&self, id: &ExperimentId, call: &Call) -> bool {
        let body = &call.experiment.body;
        if body.requester == self.node || call.claim_below == u64::MAX {
            return true;
        }
        if call.at.is_empty() {
            return self.whereabouts.anywhere().any(|cluster| self.includes(id, call, cluster));
        }
        call.at.iter().any(|address| self.is_sampled_at(id, call, address))
    }

    /// Those addresses of `at` where this station is seen as one that the sample of `call` includes. Elsewhere it would be refused.
    pub(super) fn sampled_at(&self, id: &ExperimentId, call: &Call, at: &At) -> At {
        if call.claim_below == u64::MAX {
            at.clone()
        } else {
            List::first(at.iter().filter(|address| self.is_sampled_at(id, call, address)).cloned())
        }
    }

    /// A relay is only the way to begin: what counts is where the requester sees this station once they are connected directly, over the
    /// same family of addresses.
    fn is_sampled_at(&self, id: &ExperimentId, call: &Call, address: &Address) -> bool {
        self.whereabouts.at(address.ip(), self.node, self.config.reach).is_some_and(|cluster| self.includes(id, call, cluster))
    }

    fn includes(&self, id: &ExperimentId, call: &Call, cluster: Cluster) -> bool {
        sampling::is_sampled(id, &sampling::sampled_by(self.node, cluster), call.claim_below)
    }
}

#[cfg(test)]
mod tests;
