//! [`Losers`]: clusters that lost leases, and until when their newcomers wait.
//!
//! Keys cost nothing, so that a pause for the key that lost a lease is none. Guarantees: what one key of a cluster loses, the keys of that
//! cluster which have proved nothing wait for; who had a receipt held waits for its own losses only; memory is bounded. Deliberately lacks
//! jobs: what a cluster lost of one job stands with the job.

use std::collections::BTreeMap;

use super::deal::pause_ms;
use super::run::Claimant;
use crate::cluster::Cluster;
use crate::time::Time;

/// Clusters remembered: as many as may have claimants. The one whose pause ends first is forgotten first.
const LOSERS_MAX: usize = 2_048;

#[derive(Debug, Default)]
pub(super) struct Losers(BTreeMap<Cluster, (u32, Time)>);

impl Losers {
    /// A lease of `cluster` ended without a receipt.
    pub(super) fn lost(&mut self, cluster: Cluster, now: Time) {
        if self.0.len() >= LOSERS_MAX && !self.0.contains_key(&cluster) {
            let first = self.0.iter().min_by_key(|(_, (_, until))| *until).map(|(cluster, _)| *cluster);
            first.map(|first| self.0.remove(&first));
        }
        let (losses, until) = self.0.entry(cluster).or_default();
        *losses = losses.saturating_add(1);
        *until = now.plus(pause_ms(*losses));
        assert!(self.0.len() <= LOSERS_MAX, "clusters that lost are bounded");
    }

    /// A receipt of `cluster` is held.
    pub(super) fn delivered(&mut self, cluster: Cluster) {
        self.0.remove(&cluster);
    }

    /// Until when a newcomer waits for what others of its cluster lost.
    pub(super) fn paused_until(&self, claimant: &Claimant) -> Time {
        let paused = self.0.get(&claimant.cluster).filter(|_| claimant.held == 0);
        paused.map_or(Time(0), |(_, until)| *until)
    }
}
