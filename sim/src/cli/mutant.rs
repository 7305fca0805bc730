//! `--mutant`: a planted bug, where the program was built with the feature `mutants`; elsewhere the option does not exist.
//!
//! Guarantees: this is the only place of the simulator that plants one. Deliberately lacks rules: `station_protocol::mutants` has the
//! bugs.

use clap::Args;

/// The bug that a run has, if any.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(super) struct Mutant {
    /// Plant this bug in every station.
    #[cfg(feature = "mutants")]
    #[arg(long = "mutant", value_enum, value_name = "BUG")]
    planted: Option<Planted>,
}

#[cfg(feature = "mutants")]
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
enum Planted {
    /// A receipt counts although its lease had expired.
    ExpiredLeaseCounts,
    /// One cluster gets more than one seat of a job.
    ClusterHasManySeats,
    /// Whom a Call asks depends on keys, which cost nothing.
    SampledByKey,
}

#[cfg(feature = "mutants")]
impl Mutant {
    /// Plants it in this process.
    pub(super) fn plant(self) {
        use station_protocol::mutants::{Mutant as Bug, plant};
        plant(self.planted.map(|planted| match planted {
            Planted::ExpiredLeaseCounts => Bug::ExpiredLeaseCounts,
            Planted::ClusterHasManySeats => Bug::ClusterHasManySeats,
            Planted::SampledByKey => Bug::SampledByKey,
        }));
    }

    /// The same bug for another process.
    pub(super) fn arguments(self) -> Vec<String> {
        let name = |planted: Planted| clap::ValueEnum::to_possible_value(&planted).map(|value| value.get_name().to_owned());
        self.planted.and_then(name).map(|name| vec!["--mutant".to_owned(), name]).unwrap_or_default()
    }
}

#[cfg(not(feature = "mutants"))]
impl Mutant {
    pub(super) const fn plant(self) {}

    pub(super) const fn arguments(self) -> Vec<String> {
        Vec::new()
    }
}
