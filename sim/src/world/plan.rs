//! [`Plan`]: a run as the world performs it, every choice made: stations with addresses and lines, work and faults with times.
//!
//! Guarantees: one scenario and one seed are one plan; what the world cannot perform is refused by name, never left out in silence.
//! Deliberately lacks luck: `scenario::plan` and `scenario::churn` draw it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use station_node::config::Config;
use station_node::library::bundled_names;
use station_node::network::GossipConfig;
use station_protocol::NodeId;
use station_protocol::cluster::Cluster;
use station_protocol::experiment::Trust;
use station_protocol::human::Cores;
use station_protocol::policy::{Policy, PolicyError};

use crate::actors::engine::{self, Board};
use crate::invariants::Identity;
use crate::metrics::FaultSpan;
use crate::net::Nanos;
use crate::net::fabric::{Access, Climate, Disturbance, Members, NodeIndex};
use crate::scenario::check::{After, Check, Goal, Invariant};
use crate::scenario::churn::absences;
use crate::scenario::fault::{Disk, Kind, Who};
use crate::scenario::group::{Byzantine, Firewall, Role};
use crate::scenario::plan::{Origin, Station, stations, victims};
use crate::scenario::units::Share;
use crate::scenario::work::{Class, Misconduct};
use crate::scenario::{self, Fidelity, Gossip, Scenario};

/// Fuel that the reference machine burns in a millisecond.
const FUEL_PER_MS: u64 = 1_000_000;
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
    pub climate: Climate,
    pub stations: Vec<Member>,
    pub commit_ms: u64,
    pub work: Vec<Work>,
    pub faults: Vec<Fault>,
    /// What must have come true.
    pub goals: Vec<Due>,
    /// What must hold all the time, of what the world watches.
    pub invariants: Vec<Invariant>,
    /// Checks that the scenario asks for and this world does not perform.
    pub unchecked: Vec<String>,
    /// When what befell, for the report.
    pub spans: Vec<FaultSpan>,
}

/// A goal and the moment by which it must be reached; without one it is judged at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    pub goal: Goal,
    pub by_ms: Option<u64>,
}

/// One station.
#[derive(Clone, Debug)]
pub struct Member {
    pub name: String,
    pub ip: IpAddr,
    pub access: Access,
    /// Its policy says what it does for others.
    pub policy: Policy,
    /// All but where it listens.
    pub config: Config,
    /// Whether newcomers dial it first.
    pub bootstrap: bool,
    /// Whether it works for others.
    pub works: bool,
    pub conduct: Conduct,
    /// Fuel that its processor burns in a millisecond.
    pub fuel_per_ms: u64,
    pub starts_ms: u64,
}

impl Member {
    /// Who it is, as only the world knows; `node` is its key.
    #[must_use]
    pub fn identity(&self, node: NodeId) -> Identity {
        let operator = self.name.rsplit_once('-').map_or(self.name.as_str(), |(group, _)| group);
        Identity { operator: operator.to_owned(), cluster: Cluster::of(node, self.ip, None), honest: matches!(self.conduct, Conduct::Honest) }
    }
}

/// How a station keeps to the rules.
#[derive(Clone, Debug)]
pub enum Conduct {
    Honest,
    /// It works, and cheats on this share of its jobs.
    Cheats(engine::Conduct, Share),
    /// It publishes, takes receipts and never says that it holds them.
    NeverSettles,
}

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

#[derive(Clone, Debug)]
pub struct Fault {
    pub at_ms: u64,
    pub what: What,
}

#[derive(Clone, Debug)]
pub enum What {
    /// Begins for the wires, under this number.
    Disturb(usize, Disturbance),
    /// Ends for the wires.
    Calm(usize),
    /// The processes die; their disks lose what they had not promised, or keep everything.
    Crash { stations: Vec<NodeIndex>, disk: Disk },
    /// They start again from their disks.
    Start { stations: Vec<NodeIndex> },
    /// The processes stand still while the world goes on, or go on.
    Pause { stations: Vec<NodeIndex>, paused: bool },
    /// The wall clocks are so far ahead from now on; a running station counts on from the time of its start.
    Skew { stations: Vec<NodeIndex>, by_ms: i64 },
}

impl What {
    /// For the trace and the report.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Disturb(..) => "disturb",
            Self::Calm(_) => "calm",
            Self::Crash { .. } => "crash",
            Self::Start { .. } => "start",
            Self::Pause { paused: true, .. } => "pause",
            Self::Pause { paused: false, .. } => "resume",
            Self::Skew { .. } => "skew",
        }
    }
}

/// Why a scenario is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    #[error("{station} needs {what}, which this world does not have yet")]
    Missing { station: String, what: &'static str },
    #[error("the policy of {station}: {error}")]
    Policy { station: String, error: PolicyError },
}

impl Plan {
    /// The plan of `scenario` with the seed that stands in it.
    pub fn of(scenario: &Scenario, name: &str) -> Result<Self, PlanError> {
        let drawn = stations(scenario);
        let mut boards = BTreeMap::new();
        let members = drawn.iter().map(|station| member(scenario, station, &mut boards)).collect::<Result<_, _>>()?;
        let mut plan = Self {
            name: name.to_owned(),
            duration_ms: scenario.run.duration.0,
            warmup_ms: scenario.run.warmup.0,
            fidelity: scenario.run.fidelity,
            climate: Climate {
                latency: scenario.network.latency.map(|span| Nanos::from_millis(span.0)),
                jitter: scenario.network.jitter,
                loss: scenario.network.loss,
                tcp: scenario.network.tcp,
            },
            stations: members,
            commit_ms: COMMIT_MS,
            work: work(scenario, &drawn)?,
            faults: Vec::new(),
            goals: scenario.checks.iter().filter_map(|check| due(scenario, check)).collect(),
            invariants: scenario.checks.iter().filter_map(watched).collect(),
            unchecked: scenario
                .checks
                .iter()
                .filter(|check| due(scenario, check).is_none() && watched(check).is_none())
                .map(|check| format!("{check:?}"))
                .collect(),
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
            let (begin, end) = effects(scenario, drawn, &fault.kind, first, &format!("fault {number}"));
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

/// The goals that this world judges: bounds at the end of the run, verdicts at any moment.
fn due(scenario: &Scenario, check: &Check) -> Option<Due> {
    match check {
        Check::Eventually { goal, within: None, .. } => Some(Due { goal: goal.clone(), by_ms: None }),
        Check::Eventually { goal: Goal::EveryJobSettles, within: Some(within), after } => {
            let from_ms = if *after == After::Heal { scenario.heals().0 } else { 0 };
            Some(Due { goal: Goal::EveryJobSettles, by_ms: Some(from_ms.saturating_add(within.0)) })
        }
        Check::Eventually { goal: Goal::Bound(_), within: Some(_), .. } | Check::Always(_) => None,
    }
}

/// An invariant that is checked against every note.
fn watched(check: &Check) -> Option<Invariant> {
    use Invariant as I;
    match check {
        Check::Always(invariant) => {
            Some(*invariant).filter(|invariant| matches!(invariant, I::NoJobSettledTwice | I::NoAcceptedWrongResult | I::NoCreditAfterExpiry))
        }
        Check::Eventually { .. } => None,
    }
}

fn span(fault: &scenario::fault::Fault) -> FaultSpan {
    FaultSpan { from_ms: fault.at.0, until_ms: fault.lasts.map(|lasts| fault.at.0 + lasts.0), what: fault.name().to_owned() }
}

/// What begins and what ends with a fault.
fn effects(scenario: &Scenario, drawn: &[Station], kind: &Kind, first: usize, purpose: &str) -> (Vec<What>, Vec<What>) {
    let some = |who: &[Who]| -> Members { drawn.iter().map(|station| who.iter().any(|who| station.is(who))).collect() };
    let drawn_of = |who: &Who, share: Share| victims(scenario, drawn, who, share, purpose);
    let numbers = |who: &Who, share: Share| drawn_of(who, share).into_iter().map(index).collect::<Vec<_>>();
    let all = vec![true; drawn.len()];
    match kind {
        Kind::Partition(partition) => {
            let from = some(&partition.from);
            let to = if partition.to.is_empty() { from.iter().map(|is| !is).collect() } else { some(&partition.to) };
            let mut begin = vec![What::Disturb(first, Disturbance::Cut { from: from.clone(), to: to.clone() })];
            if !partition.one_way {
                begin.push(What::Disturb(first + 1, Disturbance::Cut { from: to, to: from }));
            }
            (begin, vec![What::Calm(first), What::Calm(first + 1)])
        }
        Kind::Loss(loss) => {
            let who = some(std::slice::from_ref(&loss.who));
            (vec![What::Disturb(first, Disturbance::Loss { who, share: loss.share })], vec![What::Calm(first)])
        }
        Kind::Latency(latency) => {
            let (who, add) = (some(std::slice::from_ref(&latency.who)), Nanos::from_millis(latency.add.0));
            (vec![What::Disturb(first, Disturbance::Latency { who, add })], vec![What::Calm(first)])
        }
        Kind::Crash(crash) => {
            let stations = numbers(&crash.who, crash.share);
            (vec![What::Crash { stations: stations.clone(), disk: crash.disk }], vec![What::Start { stations }])
        }
        Kind::Pause(paused) => {
            let stations = numbers(&paused.who, paused.share);
            (vec![What::Pause { stations: stations.clone(), paused: true }], vec![What::Pause { stations, paused: false }])
        }
        Kind::Skew(skew) => {
            let (stations, by) = (numbers(&skew.who, skew.share), i64::try_from(skew.by.0).unwrap_or(i64::MAX));
            let by_ms = if skew.back { -by } else { by };
            (vec![What::Skew { stations: stations.clone(), by_ms }], vec![What::Skew { stations, by_ms: 0 }])
        }
        Kind::Unplug(unplugged) => {
            let gone = drawn_of(&unplugged.who, unplugged.share);
            let who: Members = (0..drawn.len()).map(|number| gone.contains(&number)).collect();
            let out = Disturbance::Cut { from: who.clone(), to: all.clone() };
            let back = Disturbance::Cut { from: all, to: who };
            (vec![What::Disturb(first, out), What::Disturb(first + 1, back)], vec![What::Calm(first), What::Calm(first + 1)])
        }
    }
}

fn member(scenario: &Scenario, station: &Station, boards: &mut BTreeMap<String, Board>) -> Result<Member, PlanError> {
    let missing = |what| PlanError::Missing { station: station.name.clone(), what };
    if !station.boxes.is_empty() || station.firewall != Firewall::None {
        return Err(missing("a NAT box or a firewall"));
    }
    let (policy, labels) = match &station.origin {
        Origin::Group { group, .. } => (scenario.groups[*group].policy.clone(), scenario.groups[*group].labels.clone()),
        Origin::Requester { .. } => (None, BTreeMap::new()),
    };
    let conduct = conduct(&station.origin, boards).map_err(missing)?;
    let text = policy.map_or_else(String::new, |table| table.to_string());
    let mut policy = Policy::parse(&text, &bundled_names()).map_err(|error| PlanError::Policy { station: station.name.clone(), error })?;
    let has = |role| station.roles.contains(&role);
    (policy.roles.relay, policy.roles.dht_server, policy.roles.autonat) = (has(Role::Relay), has(Role::DhtServer), has(Role::Autonat));
    policy.budget.cpu = Cores(policy.budget.cpu.0.max(station.capacity.saturating_mul(1_000)));
    Ok(Member {
        name: station.name.clone(),
        ip: station.public,
        access: Access { region: station.region, up: station.up, down: station.down, last_mile: Nanos::from_millis(station.last_mile.0) },
        policy,
        config: Config {
            capacity: station.capacity,
            anchor: has(Role::Anchor),
            labels,
            listen: Vec::new(),
            gossip: gossip(&scenario.gossip),
            ..Config::default()
        },
        bootstrap: has(Role::Bootstrap),
        works: station.capacity > 0,
        conduct,
        fuel_per_ms: station.cpu.of(FUEL_PER_MS).max(1),
        starts_ms: station.starts.0,
    })
}

/// What the world has for a kind of misconduct.
fn conduct(origin: &Origin, boards: &mut BTreeMap<String, Board>) -> Result<Conduct, &'static str> {
    use engine::Conduct as E;
    let (group, byzantine) = match origin {
        Origin::Requester { byzantine: Some(Misconduct::RefuseToSettle {}), .. } => return Ok(Conduct::NeverSettles),
        Origin::Requester { byzantine: Some(_), .. } => return Err("a requester's misconduct other than refuse_to_settle"),
        Origin::Group { name, byzantine: Some(byzantine), .. } => (name, byzantine),
        Origin::Group { .. } | Origin::Requester { .. } => return Ok(Conduct::Honest),
    };
    Ok(match byzantine {
        Byzantine::WrongResult { rate } => Conduct::Cheats(E::WrongResult, *rate),
        Byzantine::Lazy { rate } => Conduct::Cheats(E::Lazy, *rate),
        Byzantine::Copy { rate } => Conduct::Cheats(E::Copy(boards.entry(group.clone()).or_default().clone()), *rate),
        Byzantine::Collude { clique, rate } => Conduct::Cheats(E::Collude { group: clique.to_string() }, *rate),
        Byzantine::Withhold { rate } => Conduct::Cheats(E::Withhold, *rate),
        Byzantine::Late { by, rate } => Conduct::Cheats(E::Late(Duration::from_millis(by.0)), *rate),
        _ => return Err("misconduct in the mesh, twins or ground keys"),
    })
}

/// What the scenario says, and the node's own defaults for the rest.
fn gossip(changed: &Gossip) -> GossipConfig {
    let own = GossipConfig::default();
    let or = |changed: Option<u32>, own: usize| changed.map_or(own, |value| value as usize);
    GossipConfig {
        mesh_n: or(changed.mesh_n, own.mesh_n),
        mesh_n_low: or(changed.mesh_n_low, own.mesh_n_low),
        mesh_n_high: or(changed.mesh_n_high, own.mesh_n_high),
        mesh_outbound_min: or(changed.mesh_outbound_min, own.mesh_outbound_min),
        gossip_lazy: or(changed.gossip_lazy, own.gossip_lazy),
        gossip_factor_permille: changed.gossip_factor.map_or(own.gossip_factor_permille, |share| share.get() / 1_000),
        heartbeat: changed.heartbeat.map_or(own.heartbeat, |span| Duration::from_millis(span.0)),
        flood_publish: changed.flood_publish.unwrap_or(own.flood_publish),
    }
}

fn work(scenario: &Scenario, drawn: &[Station]) -> Result<Vec<Work>, PlanError> {
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

fn index(place: usize) -> NodeIndex {
    NodeIndex::try_from(place).unwrap_or(NodeIndex::MAX)
}
