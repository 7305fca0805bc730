//! [`Quota`]: how many transfers go on at once, as a pure machine.
//!
//! Guarantees: at most so many transfers in all, per peer and per cluster, and some of the places are kept for those with whom work goes
//! on. Deliberately lacks bytes, which the accounts of strangers count while they are written, and queues: who is refused asks again or
//! asks somebody else.

use std::collections::BTreeMap;

use station_protocol::NodeId;
use station_protocol::cluster::Cluster;

/// Bounds of one direction of service.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Transfers at once, in all, per peer and per cluster.
    pub transfers: usize,
    pub transfers_per_peer: usize,
    pub transfers_per_cluster: usize,
    /// Of all, those that only peers with a lease or a history may have.
    pub kept_for_work: usize,
}

impl Default for Bounds {
    /// Each transfer holds a block of up to 1 MiB twice. Three networks of strangers together leave a quarter for those who work.
    fn default() -> Self {
        Self { transfers: 24, transfers_per_peer: 4, transfers_per_cluster: 6, kept_for_work: 6 }
    }
}

/// Which bound refused a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverRate {
    #[error("too many transfers at once")]
    Transfers,
    #[error("too many transfers at once for one peer")]
    PeerTransfers,
    #[error("too many transfers at once for one network")]
    ClusterTransfers,
    #[error("too many bytes lately")]
    Bytes,
}

#[derive(Debug)]
pub struct Quota {
    bounds: Bounds,
    transfers: usize,
    peers: BTreeMap<NodeId, usize>,
    clusters: BTreeMap<Cluster, usize>,
}

impl Quota {
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, transfers: 0, peers: BTreeMap::new(), clusters: BTreeMap::new() }
    }

    /// Begins a transfer to `peer`, with whom work goes on or not; after `Ok` the caller owes an [`Quota::end`] with the same cluster.
    pub fn begin(&mut self, peer: NodeId, cluster: Option<Cluster>, works: bool) -> Result<(), OverRate> {
        let bounds = self.bounds;
        let places = if works { bounds.transfers } else { bounds.transfers.saturating_sub(bounds.kept_for_work) };
        if self.transfers >= places {
            return Err(OverRate::Transfers);
        }
        if self.peers.get(&peer).is_some_and(|count| *count >= bounds.transfers_per_peer) {
            return Err(OverRate::PeerTransfers);
        }
        if cluster.and_then(|cluster| self.clusters.get(&cluster)).is_some_and(|count| *count >= bounds.transfers_per_cluster) {
            return Err(OverRate::ClusterTransfers);
        }
        self.transfers += 1;
        *self.peers.entry(peer).or_default() += 1;
        if let Some(cluster) = cluster {
            *self.clusters.entry(cluster).or_default() += 1;
        }
        Ok(())
    }

    /// A transfer to `peer` ended, well or not.
    pub fn end(&mut self, peer: &NodeId, cluster: Option<Cluster>) {
        self.transfers = self.transfers.saturating_sub(1);
        less(&mut self.peers, peer);
        if let Some(cluster) = cluster {
            less(&mut self.clusters, &cluster);
        }
    }
}

fn less<K: Ord>(counts: &mut BTreeMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}
