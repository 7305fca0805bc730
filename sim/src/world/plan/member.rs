//! [`Member`]: one station of a plan, and how it keeps to the rules.
//!
//! Guarantees: its policy is read as its node would read it; misconduct that the world does not have is refused by name. Deliberately
//! lacks luck: `scenario::plan` drew it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use station_node::config::Config;
use station_node::library::bundled_names;
use station_node::network::GossipConfig;
use station_protocol::NodeId;
use station_protocol::cluster::Cluster;
use station_protocol::human::Cores;
use station_protocol::policy::Policy;

use super::PlanError;
use crate::actors::engine::{self, Board};
use crate::invariants::Identity;
use crate::net::Nanos;
use crate::net::fabric::Access;
use crate::scenario::group::{Byzantine, Firewall, Role};
use crate::scenario::plan::{Origin, Station};
use crate::scenario::units::Share;
use crate::scenario::work::Misconduct;
use crate::scenario::{Gossip, Scenario};

/// Fuel that the reference machine burns in a millisecond.
const FUEL_PER_MS: u64 = 1_000_000;

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

pub(super) fn member(scenario: &Scenario, station: &Station, boards: &mut BTreeMap<String, Board>) -> Result<Member, PlanError> {
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
