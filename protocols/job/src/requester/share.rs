//! Shares: what the stations of one cluster get together.
//!
//! Keys cost nothing and clusters do. Guarantees: while there is not work enough for everybody, several stations of one cluster have no
//! more leases at once than one of them would, and no more seats than clusters have on average so far, those that were asked and are on
//! their way among them, for the first of twenty is there before most; work that no other cluster takes is theirs. Deliberately lacks a
//! rule for a station that is alone in its cluster: it may be as fast as it is.

use std::collections::BTreeMap;

use super::claim::WINDOW_STATIONS;
use super::context::Context;
use super::run::{Claimant, Run};
use crate::cluster::Cluster;
use crate::identity::NodeId;
use crate::mutants::{Mutant, is_planted};
use crate::sampling;
use crate::time::Time;
use crate::work::LEASES_MAX;

/// How long the others have left work lying before a cluster of several may have more than its share of it: each of them asked meanwhile,
/// for an idle station waits a second at most.
const LEFT_LYING_MS: u64 = 2_000;
/// How long after the first lease those who were asked may still come: a Call is everywhere within a second, and a dial and a claim take
/// another.
const COMING_MS: u64 = 2_000;

/// What the stations of one cluster have.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    stations: u64,
    held: u64,
    outstanding: u64,
    dealt: Time,
}

impl Share {
    fn and(self, claimant: &Claimant) -> Self {
        Self {
            stations: self.stations + 1,
            held: self.held + claimant.held,
            outstanding: self.outstanding + claimant.outstanding.len() as u64,
            dealt: self.dealt.max(claimant.dealt),
        }
    }

    fn seats(&self) -> u64 {
        self.held + self.outstanding
    }
}

impl Run {
    /// Leases that the stations of `node`'s cluster may still have together; none when they need not share.
    pub(super) fn left_to_cluster(&self, cx: &Context, node: NodeId, now: Time) -> Option<u64> {
        let claimant = self.claimants.get(&node)?;
        let is_plenty = self.unleased() > (LEASES_MAX * self.claimants.len()) as u64;
        if matches!(claimant.cluster, Cluster::Own(_)) || is_plenty || is_planted(Mutant::ClusterHasManySeats) {
            return None;
        }
        let mut shares: BTreeMap<Cluster, Share> = BTreeMap::new();
        for other in self.claimants.values().filter(|other| other.is_active(now)) {
            let share = shares.entry(other.cluster).or_default();
            *share = share.and(other);
        }
        let own = shares.remove(&claimant.cluster).filter(|own| own.stations > 1)?;
        // None ahead: another of them is idle when one delivers.
        let at_once = if own.held == 0 { 1 } else { (2 * own.held).min(u64::from(claimant.capacity.max(1))) }.saturating_sub(own.outstanding);
        let Some(dealt) = shares.values().map(|share| share.dealt).max() else { return Some(at_once) };
        if now.since(dealt) > LEFT_LYING_MS {
            return Some(at_once);
        }
        let all: u64 = shares.values().map(Share::seats).sum();
        let others = (shares.len() as u64).max(self.coming(cx, now));
        Some(at_once.min((all / others + 1).saturating_sub(own.seats())))
    }

    /// How many were asked, as long as they may still be on their way; none where so few are that all are wanted.
    fn coming(&self, cx: &Context, now: Time) -> u64 {
        let is_early = self.dealing_since.is_none_or(|since| now.since(since) <= COMING_MS);
        let stations = self.stations(cx).filter(|stations| is_early && *stations >= WINDOW_STATIONS);
        stations.map_or(0, |stations| sampling::share(self.claim_below, stations))
    }
}
