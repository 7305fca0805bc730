//! [`Member`]: one station of a plan, and how it keeps to the rules.
//!
//! Guarantees: its policy is read as its node would read it; every kind of misconduct that a scenario can name is one here; a station
//! that is two at once has its other half in the same network. Deliberately lacks luck: `scenario::plan` drew it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use station_node::config::Config;
use station_node::library::bundled_names;
use station_node::network::GossipConfig;
use station_protocol::NodeId;
use station_protocol::address::Reach;
use station_protocol::cluster::Cluster;
use station_protocol::human::Cores;
use station_protocol::policy::Policy;

use super::attack::{self, How};
use super::{PlanError, index};
use crate::actors::engine::{self, Board};
use crate::invariants::Identity;
use crate::net::Nanos;
use crate::net::fabric::{Access, Attachment, NodeIndex};
use crate::scenario::group::{Byzantine, Role};
use crate::scenario::plan::{Origin, Station};
use crate::scenario::units::Share;
use crate::scenario::work::Misconduct;
use crate::scenario::{Gossip, Scenario};
use crate::world::engine::FUEL_PER_MS;

/// One station.
#[derive(Clone, Debug)]
pub struct Member {
    pub name: String,
    pub attachment: Attachment,
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
    /// The station whose key it shares: both are one to the network.
    pub twin_of: Option<NodeIndex>,
}

impl Member {
    /// Who it is, as only the world knows; `node` is its key.
    #[must_use]
    pub fn identity(&self, node: NodeId) -> Identity {
        Identity {
            operator: self.operator().to_owned(),
            cluster: Cluster::of(node, self.attachment.public, None, Reach::Global),
            honest: matches!(self.conduct, Conduct::Honest),
            works: self.works && !matches!(self.conduct, Conduct::Attacks { .. }),
        }
    }

    /// Its group, or whoever runs it.
    #[must_use]
    pub fn operator(&self) -> &str {
        self.name.rsplit_once('-').map_or(self.name.as_str(), |(group, _)| group)
    }

    /// The other half of a station that is two at once; none for the others.
    fn twin(&self, of: NodeIndex) -> Option<Self> {
        let conduct = match &self.conduct {
            Conduct::Equivocates(rate) => Conduct::Cheats(engine::Conduct::WrongResult, *rate),
            Conduct::Contradicts => Conduct::Contradicts,
            _ => return None,
        };
        let Attachment { public, ipv6, .. } = self.attachment;
        let attachment = Attachment { public: neighbour(public), ipv6: ipv6.map(neighbour), ..self.attachment.clone() };
        Some(Self { attachment, conduct, twin_of: Some(of), bootstrap: false, ..self.clone() })
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
    /// It publishes jobs that run until their limit on time, and is as honest as others in all else.
    Endless,
    /// It has a twin with the same key, which says something else on this share of the jobs.
    Equivocates(Share),
    /// It has a twin with the same key, which goes on from a copy of its disk after each publication.
    Contradicts,
    /// At each Call it starts again with a key that the Call's sample includes.
    Grinds,
    /// It is no station but an attacker of the mesh, which dials these.
    Attacks {
        how: How,
        targets: Vec<NodeIndex>,
    },
}

impl Conduct {
    /// As scenarios and reports name it; of an attacker, what it does.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Honest => "honest",
            Self::Cheats(engine::Conduct::WrongResult, _) => "wrong_result",
            Self::Cheats(engine::Conduct::Collude { .. }, _) => "collude",
            Self::Cheats(engine::Conduct::Lazy, _) => "lazy",
            Self::Cheats(engine::Conduct::Copy(_), _) => "copy",
            Self::Cheats(engine::Conduct::Withhold, _) => "withhold",
            Self::Cheats(engine::Conduct::Late(_), _) => "late",
            Self::NeverSettles => "refuse_to_settle",
            Self::Endless => "endless",
            Self::Equivocates(_) => "equivocate",
            Self::Contradicts => "contradict",
            Self::Grinds => "grind",
            Self::Attacks { how, .. } => how.name(),
        }
    }
}

/// All stations of a scenario, in the order in which they were drawn; then the twins of those that have one.
pub(super) fn members(scenario: &Scenario, drawn: &[Station]) -> Result<Vec<Member>, PlanError> {
    let mut boards = BTreeMap::new();
    let mut members = drawn.iter().map(|station| member(scenario, drawn, station, &mut boards)).collect::<Result<Vec<_>, _>>()?;
    let twins: Vec<Member> = members.iter().enumerate().filter_map(|(number, member)| member.twin(index(number))).collect();
    members.extend(twins);
    Ok(members)
}

/// Another host of the same /24 or /48, where no scenario has a station.
fn neighbour(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => IpAddr::V4((u32::from(ip) | 0xff).into()),
        IpAddr::V6(ip) => IpAddr::V6((u128::from(ip) | 0xffff).into()),
    }
}

fn member(scenario: &Scenario, drawn: &[Station], station: &Station, boards: &mut BTreeMap<String, Board>) -> Result<Member, PlanError> {
    let attachment =
        Attachment { public: station.public, ipv6: station.ipv6, nat: station.nat.clone(), boxes: station.boxes.clone(), firewall: station.firewall };
    if station.roles.contains(&Role::Bootstrap) && !attachment.is_open() {
        return Err(PlanError::Hidden(station.name.clone()));
    }
    let (policy, labels) = match &station.origin {
        Origin::Group { group, .. } => (scenario.groups[*group].policy.clone(), scenario.groups[*group].labels.clone()),
        Origin::Requester { .. } => (None, BTreeMap::new()),
    };
    let conduct = match attack::of(scenario, drawn, station) {
        Some((how, targets)) => Conduct::Attacks { how, targets },
        None => conduct(&station.origin, boards),
    };
    // Who is there before everybody else does not wait for its group's time.
    let is_first = matches!(conduct, Conduct::Attacks { how: How::ColdBoot, .. });
    let text = policy.map_or_else(String::new, |table| table.to_string());
    let mut policy = Policy::parse(&text, &bundled_names()).map_err(|error| PlanError::Policy { station: station.name.clone(), error })?;
    let has = |role| station.roles.contains(&role);
    (policy.roles.relay, policy.roles.dht_server, policy.roles.autonat) = (has(Role::Relay), has(Role::DhtServer), has(Role::Autonat));
    policy.budget.cpu = Cores(policy.budget.cpu.0.max(station.capacity.saturating_mul(1_000)));
    Ok(Member {
        name: station.name.clone(),
        attachment,
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
        starts_ms: if is_first { 0 } else { station.starts.0 },
        twin_of: None,
    })
}

/// How a station that is one keeps to the rules.
fn conduct(origin: &Origin, boards: &mut BTreeMap<String, Board>) -> Conduct {
    use engine::Conduct as E;
    let (group, byzantine) = match origin {
        Origin::Requester { byzantine: Some(Misconduct::RefuseToSettle {}), .. } => return Conduct::NeverSettles,
        Origin::Requester { byzantine: Some(Misconduct::Contradict {}), .. } => return Conduct::Contradicts,
        Origin::Requester { byzantine: Some(Misconduct::Endless {}), .. } => return Conduct::Endless,
        Origin::Group { name, byzantine: Some(byzantine), .. } => (name, byzantine),
        Origin::Group { .. } | Origin::Requester { .. } => return Conduct::Honest,
    };
    match byzantine {
        Byzantine::WrongResult { rate } => Conduct::Cheats(E::WrongResult, *rate),
        Byzantine::Lazy { rate } => Conduct::Cheats(E::Lazy, *rate),
        Byzantine::Copy { rate } => Conduct::Cheats(E::Copy(boards.entry(group.clone()).or_default().clone()), *rate),
        Byzantine::Collude { clique, rate } => Conduct::Cheats(E::Collude { group: clique.to_string() }, *rate),
        Byzantine::Withhold { rate } => Conduct::Cheats(E::Withhold, *rate),
        Byzantine::Late { by, rate } => Conduct::Cheats(E::Late(Duration::from_millis(by.0)), *rate),
        Byzantine::Equivocate { rate } => Conduct::Equivocates(*rate),
        Byzantine::Grind {} => Conduct::Grinds,
        Byzantine::Sybil {}
        | Byzantine::Eclipse { .. }
        | Byzantine::Censor { .. }
        | Byzantine::IhaveSpam { .. }
        | Byzantine::ColdBoot {}
        | Byzantine::CovertFlash { .. }
        | Byzantine::Nonsense { .. }
        | Byzantine::LyingRequester { .. }
        | Byzantine::GroundCensus { .. }
        | Byzantine::CompileHogs { .. }
        | Byzantine::AddressWeapons { .. }
        | Byzantine::FlipSignatures {} => unreachable!("attackers of the mesh are no stations: `attack::of` has them"),
    }
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
