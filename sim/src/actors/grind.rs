//! Ground ids: keys searched for until a Call's sample includes them.
//!
//! Hashes are cheap, and a sample that went by keys could be entered at will; it goes by clusters, which an attacker has to buy. What
//! must hold is that keys that are searched for give it no more seats than it has clusters. Guarantees: the keys depend on the seed
//! alone. Deliberately lacks a search among clusters.

use station_protocol::cluster::Cluster;
use station_protocol::content::sha256;
use station_protocol::experiment::ExperimentId;
use station_protocol::{NodeId, SigningKey, sampling};

/// Keys tried for one that is sampled: by its key the smallest share that a Call to a thousand stations starts with, one in eighty, would
/// be found five times in six hundred.
const TRIES_MAX: u64 = 512;

/// What came of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ground {
    /// The secret of a node that is sampled, if there was one.
    pub secret: Option<[u8; 32]>,
    /// Keys tried.
    pub tried: u64,
}

/// Whether `node` on a machine of `cluster` is sampled for `experiment` at `claim_below`.
#[must_use]
pub fn is_sampled(experiment: &ExperimentId, node: NodeId, cluster: Cluster, claim_below: u64) -> bool {
    sampling::is_sampled(experiment, &sampling::sampled_by(node, cluster), claim_below)
}

/// Searches for a key with which a machine of `cluster(node)` is sampled.
#[must_use]
pub fn grind(experiment: &ExperimentId, cluster: impl Fn(NodeId) -> Cluster, claim_below: u64, seed: u64) -> Ground {
    for attempt in 0..TRIES_MAX {
        let secret = sha256(&[b"station-sim/grind", &seed.to_be_bytes(), &attempt.to_be_bytes()]);
        let node = SigningKey::from_bytes(&secret).node();
        if is_sampled(experiment, node, cluster(node), claim_below) {
            return Ground { secret: Some(secret), tried: attempt + 1 };
        }
    }
    Ground { secret: None, tried: TRIES_MAX }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn experiment(number: u8) -> ExperimentId {
        station_protocol::Content::raw(&[number]).cid
    }

    #[test]
    fn where_keys_are_their_own_clusters_a_sampled_one_is_found_in_about_as_many_tries_as_the_share_is_small() {
        let (experiment, below) = (experiment(0), u64::MAX / 50);
        let mut tried = 0;
        for seed in 0..40 {
            let ground = grind(&experiment, Cluster::Own, below, seed);
            let node = SigningKey::from_bytes(&ground.secret.expect("one in fifty")).node();
            assert!(is_sampled(&experiment, node, Cluster::Own(node), below));
            tried += ground.tried;
        }
        // 40 × 50 tries, with a standard deviation of about 310.
        assert!((800..3_600).contains(&tried), "{tried}");
        assert_eq!(grind(&experiment, Cluster::Own, below, 7), grind(&experiment, Cluster::Own, below, 7));
    }

    #[test]
    fn no_key_helps_a_machine_whose_cluster_is_not_sampled() {
        let machine = Cluster::V4([203, 0, 113]);
        let helped = (0..100).filter(|number| grind(&experiment(*number), |_| machine, u64::MAX / 10, 1).secret.is_some());
        let lucky = (0..100).filter(|number| sampling::is_sampled(&experiment(*number), &machine, u64::MAX / 10));
        assert!(helped.eq(lucky));
    }
}
