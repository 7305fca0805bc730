//! [`Work`]: what is published, when and by whom.
//!
//! Guarantees: what the world cannot do is refused by name. Deliberately lacks the experiments themselves: `works` makes them.

use cid::Cid;
use station_protocol::bounded::{List, Name};
use station_protocol::capability::PATTERNS_MAX;
use station_protocol::experiment::{Labels, Trust};
use station_protocol::limits::LIMITS_MAX;

use super::{PlanError, index};
use crate::net::fabric::NodeIndex;
use crate::scenario::fault::Who;
use crate::scenario::plan::Station;
use crate::scenario::work::{self, Class, Misconduct};
use crate::scenario::{Engine, Scenario};
use crate::world::internet::site::Site;

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
    pub kind: Kind,
    /// Labels a station must carry.
    pub labels: Labels,
    pub deadline_ms: u64,
    /// The longest that one execution may take.
    pub wall_ms: u64,
}

#[derive(Clone, Debug)]
pub enum Kind {
    /// One job burns so much, and its output takes so many bytes. Each experiment has a module that takes `compile_ms`, or all the same one.
    Pure { trust: Trust, fuel: u64, output_bytes: u64, compile_ms: Option<u64> },
    /// So many executions of each job; each job asks one of the targets.
    Measurement { stations: u32, targets: Vec<Target> },
}

/// A host of the simulated internet, and the content that is asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub host: String,
    pub cid: Cid,
}

pub(super) fn work(scenario: &Scenario, drawn: &[Station], sites: &[Site]) -> Result<Vec<Work>, PlanError> {
    let mut all = Vec::new();
    for work in &scenario.works {
        let missing = |what| PlanError::Missing { station: work.requester.to_string(), what };
        let requesters = drawn.iter().enumerate().filter(|(_, station)| station.is(&Who::Requester(work.requester.clone())));
        let kind = match work.class {
            Class::Pure(trust) => {
                Kind::Pure { trust, fuel: fuel(scenario, work), output_bytes: work.output.0, compile_ms: work.compile.map(|span| span.0) }
            }
            Class::Measurement { stations } => Kind::Measurement { stations, targets: targets(&work.targets, sites) },
        };
        if work.compile.is_some() && scenario.run.engine != Engine::Model {
            return Err(missing("modules that only the model compiles"));
        }
        if work.targets.len() > PATTERNS_MAX {
            return Err(missing("a measurement of more targets than an experiment can name"));
        }
        all.push(Work {
            first_ms: work.at.0,
            every_ms: work.every.0,
            count: work.count,
            requesters: requesters.map(|(number, _)| index(number)).collect(),
            one_of_them: false,
            jobs: work.jobs,
            kind,
            labels: labels(work.labels.iter()).ok_or_else(|| missing("more labels, or values of one, than an experiment can name"))?,
            deadline_ms: work.deadline.0,
            wall_ms: work.wall.0,
        });
    }
    Ok(all)
}

/// What one job burns: of an endless requester as much as any limit allows, more than its limit on time lets it.
fn fuel(scenario: &Scenario, work: &work::Work) -> u64 {
    let endless = scenario.requesters.iter().any(|requester| requester.name == work.requester && requester.byzantine == Some(Misconduct::Endless {}));
    if endless { LIMITS_MAX.fuel } else { work.fuel }
}

fn targets(names: &[Name], sites: &[Site]) -> Vec<Target> {
    let known = |name: &Name| sites.iter().find(|site| site.name == name.as_str());
    names.iter().filter_map(known).map(|site| Target { host: site.name.clone(), cid: site.cid() }).collect()
}

/// None when a label has more than [`LABEL_VALUES_MAX`] values.
fn labels<'a>(all: impl Iterator<Item = (&'a Name, &'a Vec<Name>)>) -> Option<Labels> {
    let of = |(label, values): (&Name, &Vec<Name>)| Some((label.clone(), List::new(values.clone()).ok()?));
    Labels::of(all.map(of).collect::<Option<Vec<_>>>()?).ok()
}
