//! Planted bugs, for the simulator's own tests: a search over seeds must find each of them.
//!
//! Guarantees: without the feature `mutants` nothing here can be planted, and [`is_planted`] is a constant that the compiler removes.
//! The feature is enabled by `cargo test -p station-sim --features mutants` and by nothing else; it is the one feature that changes
//! behaviour. Deliberately lacks bugs in the arithmetic of leaf files: their own tests find those.

/// A bug in the rules of leases and claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// A lease that ended gives its job back, but its number is not forgotten: a late receipt is held after all.
    ExpiredLeaseCounts,
    /// Stations of one cluster are as good as stations of many: a job is dealt to any number of them, and none shares with the others.
    ClusterHasManySeats,
    /// A Call's sample goes by keys, as if they were not to be had for nothing.
    SampledByKey,
}

#[cfg(feature = "mutants")]
mod planted {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::Mutant;

    /// None, or the number of the planted mutant and one.
    static PLANTED: AtomicU8 = AtomicU8::new(0);

    /// Plants `mutant` in every machine of this process, or takes it out.
    pub fn plant(mutant: Option<Mutant>) {
        PLANTED.store(mutant.map_or(0, |mutant| mutant as u8 + 1), Ordering::Relaxed);
    }

    /// Whether the rules are to go wrong here.
    #[must_use]
    pub fn is_planted(mutant: Mutant) -> bool {
        PLANTED.load(Ordering::Relaxed) == mutant as u8 + 1
    }
}

#[cfg(feature = "mutants")]
pub use planted::{is_planted, plant};

/// Never: the feature is off.
#[cfg(not(feature = "mutants"))]
#[must_use]
pub(crate) const fn is_planted(_: Mutant) -> bool {
    false
}
