//! Luck: one seeded stream per purpose and name, so that a station added, or a fault removed, changes nobody else's luck.
//!
//! Guarantees: integers only; the same seed, purpose and name give the same stream on every machine. Two arms of a comparison with
//! the same seed share every stream that both have (common random numbers). Deliberately lacks a global source.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

/// A stream of luck.
#[derive(Clone, Debug)]
pub struct Luck(ChaCha8Rng);

impl Luck {
    /// The stream of `name` for `purpose` ("jitter", "churn" …) in the run with `seed`.
    #[must_use]
    pub fn new(seed: u64, purpose: &str, name: &str) -> Self {
        let mut hash = Sha256::new();
        for part in [b"station-sim".as_slice(), purpose.as_bytes(), name.as_bytes()] {
            hash.update(part);
            hash.update([0]);
        }
        hash.update(seed.to_be_bytes());
        Self(ChaCha8Rng::from_seed(hash.finalize().into()))
    }

    /// Uniform over all of `u64`.
    pub fn draw(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform from 0 to `bound`, which is excluded; 0 when there is nothing to choose.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The product's upper half. Its bias is below bound / 2⁶⁴, far under what any run could show.
        ((u128::from(self.draw()) * u128::from(bound)) >> 64) as u64
    }

    /// True with a probability of `millionths`.
    pub fn happens(&mut self, millionths: u32) -> bool {
        millionths > 0 && self.below(1_000_000) < u64::from(millionths)
    }

    /// The index of one of `weights`, each as likely as its part of their sum; none when the sum is zero.
    pub fn pick(&mut self, weights: &[u64]) -> Option<usize> {
        let mut left = self.below(weights.iter().sum());
        weights.iter().position(|weight| {
            let hit = left < *weight;
            left = left.saturating_sub(*weight);
            hit
        })
    }

    /// An exponentially distributed number with mean `mean`, by von Neumann's comparison of uniform numbers: no logarithm, whose last
    /// digit differs between machines. At most 64 × `mean`, which it would exceed once in 10²⁷ draws.
    pub fn exponential(&mut self, mean: u64) -> u64 {
        for whole in 0..64 {
            let first = self.draw();
            let (mut last, mut falling) = (first, 1_u32);
            loop {
                let next = self.draw();
                if next >= last {
                    break;
                }
                (last, falling) = (next, falling + 1);
            }
            // A run of odd length is accepted: then `first` has the density e⁻ˣ on [0, 1).
            if falling % 2 == 1 {
                return mean.saturating_mul(whole).saturating_add(((u128::from(first) * u128::from(mean)) >> 64) as u64);
            }
        }
        mean.saturating_mul(64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_depends_on_its_seed_its_purpose_and_its_name_alone() {
        let first = |seed, purpose, name| Luck::new(seed, purpose, name).draw();
        assert_eq!(first(1, "jitter", "a"), first(1, "jitter", "a"));
        assert_ne!(first(1, "jitter", "a"), first(2, "jitter", "a"));
        assert_ne!(first(1, "jitter", "a"), first(1, "churn", "a"));
        assert_ne!(first(1, "jitter", "a"), first(1, "jitter", "b"));
    }

    #[test]
    fn the_exponential_numbers_have_the_mean_and_the_median_they_should() {
        let mut luck = Luck::new(7, "test", "");
        let mut numbers: Vec<u64> = (0..20_000).map(|_| luck.exponential(10_000)).collect();
        numbers.sort_unstable();
        let mean = numbers.iter().sum::<u64>() / 20_000;
        // Five standard errors: 10,000 / √20,000 = 71 for the mean, about the same for the median ln 2 × 10,000.
        assert!((9_650..10_350).contains(&mean), "{mean}");
        assert!((6_580..7_280).contains(&numbers[10_000]), "{}", numbers[10_000]);
    }

    #[test]
    fn something_happens_as_often_as_it_should_and_never_at_zero() {
        let mut luck = Luck::new(7, "test", "");
        let hits = (0..20_000).filter(|_| luck.happens(300_000)).count();
        assert!((5_670..6_330).contains(&hits), "{hits}");
        assert!(!(0..1_000).any(|_| luck.happens(0)));
        assert!((0..1_000).all(|_| luck.happens(1_000_000)));
    }

    #[test]
    fn a_weighted_choice_never_takes_what_weighs_nothing() {
        let mut luck = Luck::new(7, "test", "");
        let picks: Vec<_> = (0..1_000).filter_map(|_| luck.pick(&[0, 3, 0, 1])).collect();
        assert_eq!(picks.len(), 1_000);
        assert!(picks.iter().all(|pick| [1, 3].contains(pick)));
        let threes = picks.iter().filter(|pick| **pick == 1).count();
        assert!((680..820).contains(&threes), "{threes}");
        assert_eq!(luck.pick(&[0, 0]), None);
    }
}
