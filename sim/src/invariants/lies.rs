//! [`Lies`]: what the lies of one operator came to.
//!
//! Guarantees: a lie is a receipt that says what no honest engine does, or a second receipt for one lease; it counts when it stands in a
//! verdict or is refused. Deliberately lacks lies about jobs that were never settled: nobody saw them.

/// Counted over all stations of one operator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lies {
    pub told: u64,
    /// Those in the certificate of a wrong verdict.
    pub accepted: u64,
    /// Receipts of honest stations that stood against such a verdict.
    pub accused: u64,
    first_ms: Option<u64>,
    found_ms: Option<u64>,
}

impl Lies {
    pub(super) fn told(&mut self, at_ms: u64, found_ms: Option<u64>) {
        self.told += 1;
        self.first_ms = Some(self.first_ms.map_or(at_ms, |first| first.min(at_ms)));
        self.found_ms = [self.found_ms, found_ms].into_iter().flatten().min();
    }

    /// From the first lie to the first proof of one.
    #[must_use]
    pub fn detected_ms(&self) -> Option<u64> {
        Some(self.found_ms?.saturating_sub(self.first_ms?))
    }
}
