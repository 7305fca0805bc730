//! Ground ids: keys searched for until a Call's sample includes them.
//!
//! The sample is load control and no defence (protocol.md): hashes are cheap. What must hold is that more sampled keys give an
//! attacker no more seats than it has clusters. Guarantees: the keys depend on the seed alone. Deliberately lacks a search among
//! clusters: addresses are what an attacker has to buy.

use station_protocol::content::sha256;
use station_protocol::experiment::ExperimentId;
use station_protocol::{SigningKey, sampling};

/// Keys tried for one that is sampled: the smallest share a Call of a thousand stations starts with needs a few hundred.
const TRIES_MAX: u64 = 1 << 20;

/// A secret whose node is sampled for `experiment` at `claim_below`, and how many keys were tried; none when the share is too small.
#[must_use]
pub fn grind(experiment: &ExperimentId, claim_below: u64, seed: u64) -> Option<([u8; 32], u64)> {
    (0..TRIES_MAX).find_map(|attempt| {
        let secret = sha256(&[b"station-sim/grind", &seed.to_be_bytes(), &attempt.to_be_bytes()]);
        let node = SigningKey::from_bytes(&secret).node();
        sampling::is_sampled(experiment, &node, claim_below).then_some((secret, attempt + 1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ground_key_is_sampled_and_takes_about_as_many_tries_as_the_share_is_small() {
        let experiment = station_protocol::Content::raw(b"experiment").cid;
        let below = u64::MAX / 50;
        let mut tried = 0;
        for seed in 0..40 {
            let (secret, tries) = grind(&experiment, below, seed).expect("one in fifty");
            assert!(sampling::is_sampled(&experiment, &SigningKey::from_bytes(&secret).node(), below));
            tried += tries;
        }
        // 40 × 50 tries, with a standard deviation of about 310.
        assert!((800..3_600).contains(&tried), "{tried}");
        assert_eq!(grind(&experiment, below, 7), grind(&experiment, below, 7));
    }
}
