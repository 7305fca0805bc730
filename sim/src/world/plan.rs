//! [`Plan`]: a run as the world performs it, every choice made: stations with addresses and lines, work and faults with times.
//!
//! Guarantees: one scenario and one seed are one plan; what the world cannot perform is refused by name, never left out in silence.
//! Deliberately lacks luck: `scenario::plan` and `scenario::churn` draw it.

use station_protocol::human::moment;
use station_protocol::policy::PolicyError;

mod attack;
mod fault;
mod member;
mod work;

pub use attack::How;
pub use fault::{Fault, What};
pub use member::{Conduct, Member};
pub use work::{Kind, Target, Work};

use crate::metrics::FaultSpan;
use crate::net::Nanos;
use crate::net::fabric::{Climate, NodeIndex};
use crate::scenario::check::{After, Check, Goal, Invariant};
use crate::scenario::churn::absences;
use crate::scenario::fault::Disk;
use crate::scenario::plan::{Station, stations};
use crate::scenario::{self, Engine, Fidelity, Scenario};
use crate::world::internet::site::{Site, sites};

/// How long a transaction takes on every disk: a consumer's flash drive.
const COMMIT_MS: u64 = 2;

/// Everything about a run but its seed.
#[derive(Clone, Debug)]
pub struct Plan {
    pub name: String,
    pub duration_ms: u64,
    /// Until then nothing counts towards the figures.
    pub warmup_ms: u64,
    pub fidelity: Fidelity,
    pub engine: Engine,
    pub climate: Climate,
    pub stations: Vec<Member>,
    pub commit_ms: u64,
    pub work: Vec<Work>,
    /// Hosts of the internet.
    pub sites: Vec<Site>,
    /// The wall clock when the run begins, in ms since 1970.
    pub wall_start_ms: u64,
    pub faults: Vec<Fault>,
    /// What must have come true.
    pub goals: Vec<Due>,
    /// What must hold all the time, of what the world watches.
    pub invariants: Vec<Invariant>,
    /// When what befell, for the report.
    pub spans: Vec<FaultSpan>,
}

/// A goal and the moment by which it must be reached; without one it is judged at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    pub goal: Goal,
    pub by_ms: Option<u64>,
}

/// Why a scenario is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    #[error("{station} needs {what}, which this world does not have yet")]
    Missing { station: String, what: &'static str },
    #[error("newcomers dial the bootstrap node {0} first, and a NAT box or a firewall would let nobody through: leave `nat` and `firewall` away")]
    Hidden(String),
    #[error("the policy of {station}: {error}")]
    Policy { station: String, error: PolicyError },
}

impl Plan {
    /// The plan of `scenario` with the seed that stands in it.
    pub fn of(scenario: &Scenario, name: &str) -> Result<Self, PlanError> {
        let drawn = stations(scenario);
        let sites = sites(scenario);
        let mut plan = Self {
            name: name.to_owned(),
            duration_ms: scenario.run.duration.0,
            warmup_ms: scenario.run.warmup.0,
            fidelity: scenario.run.fidelity,
            engine: scenario.run.engine,
            climate: Climate {
                latency: scenario.network.latency.map(|span| Nanos::from_millis(span.0)),
                jitter: scenario.network.jitter,
                loss: scenario.network.loss,
                tcp: scenario.network.tcp,
            },
            stations: member::members(scenario, &drawn)?,
            commit_ms: COMMIT_MS,
            wall_start_ms: moment(&scenario.run.start).map_or(0, |start| start.0),
            work: work::work(scenario, &drawn, &sites)?,
            sites,
            faults: Vec::new(),
            goals: scenario.checks.iter().filter_map(|check| due(scenario, check)).collect(),
            invariants: scenario.checks.iter().filter_map(watched).collect(),
            spans: scenario.faults.iter().map(span).collect(),
        };
        plan.add_faults(scenario, &drawn);
        plan.add_churn(scenario, &drawn);
        Ok(plan)
    }

    fn add_faults(&mut self, scenario: &Scenario, drawn: &[Station]) {
        for (number, fault) in scenario.faults.iter().enumerate() {
            // Two numbers per fault: some are two disturbances.
            let first = 2 * number;
            let (begin, end) = fault::effects(scenario, drawn, &fault.kind, first, &format!("fault {number}"));
            self.faults.extend(begin.into_iter().map(|what| Fault { at_ms: fault.at.0, what }));
            if let Some(lasts) = fault.lasts {
                self.faults.extend(end.into_iter().map(|what| Fault { at_ms: fault.at.0 + lasts.0, what }));
            }
        }
    }

    fn add_churn(&mut self, scenario: &Scenario, drawn: &[Station]) {
        let disk = scenario.churn.as_ref().map_or(Disk::default(), |churn| churn.disk);
        for absence in absences(scenario, drawn) {
            let gone = vec![index(absence.station)];
            self.faults.push(Fault { at_ms: absence.from.0, what: What::Crash { stations: gone.clone(), disk } });
            if let Some(until) = absence.until {
                self.faults.push(Fault { at_ms: until.0, what: What::Start { stations: gone } });
            }
        }
    }
}

/// What must have come true, and by when.
fn due(scenario: &Scenario, check: &Check) -> Option<Due> {
    let Check::Eventually { goal, within, after } = check else { return None };
    let from_ms = if *after == After::Heal { scenario.heals().0 } else { 0 };
    Some(Due { goal: goal.clone(), by_ms: within.map(|within| from_ms.saturating_add(within.0)) })
}

/// What must hold all the time; the world watches all that a scenario can name.
fn watched(check: &Check) -> Option<Invariant> {
    match check {
        Check::Always(invariant) => Some(*invariant),
        Check::Eventually { .. } => None,
    }
}

fn span(fault: &scenario::fault::Fault) -> FaultSpan {
    FaultSpan { from_ms: fault.at.0, until_ms: fault.lasts.map(|lasts| fault.at.0 + lasts.0), what: fault.name().to_owned() }
}

fn index(place: usize) -> NodeIndex {
    NodeIndex::try_from(place).unwrap_or(NodeIndex::MAX)
}
