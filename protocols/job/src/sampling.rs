//! Hash fractions: who is sampled for an experiment, and the network-wide cap per target.
//!
//! Guarantees: pure arithmetic over sha2-256; products saturate; `u64::MAX` is everybody. Deliberately not a defence: a key can be
//! ground until it is sampled, so nothing but load depends on it.

use crate::content::sha256;
use crate::experiment::ExperimentId;
use crate::identity::NodeId;

/// `be64(sha256(label ‖ 0 ‖ parts…))`: a fraction of 2⁶⁴.
#[must_use]
pub fn fraction(label: &str, parts: &[&[u8]]) -> u64 {
    let mut all: Vec<&[u8]> = vec![label.as_bytes(), &[0]];
    all.extend_from_slice(parts);
    let hash = sha256(&all);
    u64::from_be_bytes(hash[..8].try_into().expect("a sha2-256 digest has 32 bytes"))
}

/// Whether `node` may claim `experiment` under `claim_below`.
#[must_use]
pub fn is_sampled(experiment: &ExperimentId, node: &NodeId, claim_below: u64) -> bool {
    fraction("station/claim/1", &[&experiment.to_bytes(), &node.0]) <= claim_below
}

/// `numerator / denominator` as a fraction of 2⁶⁴, at most all.
#[must_use]
pub fn ratio(numerator: u64, denominator: u64) -> u64 {
    if denominator == 0 || numerator >= denominator {
        return u64::MAX;
    }
    u64::try_from((u128::from(numerator) << 64) / u128::from(denominator)).unwrap_or(u64::MAX)
}

/// How many of `count` an even fraction `below` of 2⁶⁴ is, rounded up.
#[must_use]
pub fn share(below: u64, count: u64) -> u64 {
    if below == u64::MAX {
        return count;
    }
    u64::try_from((u128::from(below) * u128::from(count)).div_ceil(1 << 64)).unwrap_or(u64::MAX)
}

/// Requests a day that the whole network may send to one target unless the target says less.
pub const TARGET_CAP_PER_DAY: u64 = 86_400;
/// Requests a day that one station sends to one target unless its policy says otherwise.
pub const TARGET_QUOTA_PER_DAY: u64 = 100;

/// Whether `node` may contact `target` (a registrable domain, or the /24 or /48 of a literal) on UTC `day`, when the network has
/// `stations` members that each send up to `quota` requests and the target takes `cap`.
#[must_use]
pub fn may_contact(target: &str, day: u64, node: &NodeId, cap: u64, stations: u64, quota: u64) -> bool {
    let below = ratio(cap, stations.max(1).saturating_mul(quota.max(1)));
    below == u64::MAX || fraction("target", &[target.as_bytes(), &[0], &day.to_be_bytes(), &node.0]) < below
}
