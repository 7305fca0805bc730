//! How full the Requester is.

use super::Requester;
use super::claim::CLAIMANTS_MAX;
use super::deal::OPEN_JOBS_MAX;
use super::deliver::FETCHES_MAX;
use super::machine::{CLOSED_MAX, OPEN_MAX};
use crate::gauge::Gauge;

impl Requester {
    /// Everything whose bound is a number of its own; of what each experiment has, the fullest.
    #[must_use]
    pub fn gauges(&self) -> Vec<Gauge> {
        let claimants = self.open.values().map(|run| run.claimants.len()).max().unwrap_or(0);
        let jobs = self.open.values().map(|run| run.open.len()).max().unwrap_or(0);
        vec![
            Gauge::new("open experiments", self.open.len(), OPEN_MAX),
            Gauge::new("closed experiments", self.closed.len(), CLOSED_MAX),
            Gauge::new("claimants of an experiment", claimants, CLAIMANTS_MAX),
            Gauge::new("open jobs of an experiment", jobs, OPEN_JOBS_MAX),
            Gauge::new("outputs being fetched", self.cx.fetches.len(), FETCHES_MAX),
        ]
    }
}
