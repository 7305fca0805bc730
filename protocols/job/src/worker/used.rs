//! [`Used`]: the lease numbers of one experiment that this station has run.
//!
//! Guarantees: what was run is never run again, also when it is no longer remembered one by one; memory is bounded. Deliberately lacks the
//! leases themselves.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::receipt::LeaseNumber;

/// Lease numbers known to be used, per experiment: above it the smallest are forgotten, and everything at or below them is refused.
pub(super) const USED_MAX: usize = 1_024;

/// Numbers that were run to a receipt: a second receipt for one of them would be proof E1 against this station.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Used {
    /// Everything below is refused.
    floor: LeaseNumber,
    above: BTreeSet<LeaseNumber>,
}

impl Used {
    pub(super) fn contains(&self, lease: LeaseNumber) -> bool {
        lease < self.floor || self.above.contains(&lease)
    }

    pub(super) fn insert(&mut self, lease: LeaseNumber) {
        if lease < self.floor {
            return;
        }
        self.above.insert(lease);
        while self.above.len() > USED_MAX || self.above.contains(&self.floor) {
            if let Some(first) = self.above.pop_first() {
                self.floor = first.saturating_add(1);
            }
        }
    }
}
