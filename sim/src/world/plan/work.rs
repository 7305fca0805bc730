//! [`Work`]: what is published, when and by whom.
//!
//! Guarantees: a kind of work that the world cannot do is refused by name. Deliberately lacks the experiments themselves: `works` makes
//! them.

use station_protocol::experiment::Trust;

use super::{PlanError, index};
use crate::net::fabric::NodeIndex;
use crate::scenario::Scenario;
use crate::scenario::fault::Who;
use crate::scenario::plan::Station;
use crate::scenario::work::Class;

/// Experiments, published one after the other by stations that take turns.
#[derive(Clone, Debug)]
pub struct Work {
    pub first_ms: u64,
    pub every_ms: u64,
    pub count: u32,
    /// Each of them publishes, at each time.
    pub requesters: Vec<NodeIndex>,
    /// One of them, drawn, publishes instead.
    pub one_of_them: bool,
    pub jobs: u32,
    pub trust: Trust,
    pub deadline_ms: u64,
    /// What one job burns.
    pub fuel: u64,
    /// The longest that one execution may take.
    pub wall_ms: u64,
}

pub(super) fn work(scenario: &Scenario, drawn: &[Station]) -> Result<Vec<Work>, PlanError> {
    let mut all = Vec::new();
    for work in &scenario.works {
        let missing = |what| PlanError::Missing { station: work.requester.to_string(), what };
        let Class::Pure(trust) = work.class else { return Err(missing("measurements")) };
        if !work.labels.is_empty() {
            return Err(missing("labels in its work"));
        }
        let requesters = drawn.iter().enumerate().filter(|(_, station)| station.is(&Who::Requester(work.requester.clone())));
        all.push(Work {
            first_ms: work.at.0,
            every_ms: work.every.0,
            count: work.count,
            requesters: requesters.map(|(number, _)| index(number)).collect(),
            one_of_them: false,
            jobs: work.jobs,
            trust,
            deadline_ms: work.deadline.0,
            fuel: work.fuel,
            wall_ms: work.wall.0,
        });
    }
    Ok(all)
}
