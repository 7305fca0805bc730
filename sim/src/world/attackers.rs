//! What the world does for those who attack: it starts swarms, splits stations in two, and gives grinders their keys.
//!
//! Guarantees: an attacker knows what it could know: addresses that anybody can find, and the Calls that one of its own stations
//! heard. Deliberately lacks attackers with better lines or clocks than others.
//!
//! **Grinding.** An experiment's id is known once its first Call is, so that keys are searched for within a Call's life: as soon as one
//! of an operator's stations hears of an experiment, each of its machines that the Call's sample leaves out searches for a key that it
//! includes, and starts again as that station, which dials the requester first. It costs the keys tried, which are counted, and the time until the station is
//! up; what its machines still did for others is lost.

use std::collections::{BTreeMap, BTreeSet};

use station_protocol::address::Reach;
use station_protocol::cluster::Cluster;
use station_protocol::content::sha256;
use station_protocol::experiment::ExperimentId;

use super::outcome::Attackers;
use super::plan::{Conduct, How, Member};
use super::resident::{self, Assault};
use super::{Act, World, works};
use crate::actors::{grind, mesh};
use crate::net::fabric::NodeIndex;

/// How often an operator asks its stations what they heard.
const LOOK_MS: u64 = 100;
/// From a publication to the moment at which its requester goes on as two: the experiment is durable and its first Call is out.
const SPLIT_MS: u64 = 500;
/// From the end of a process to the start of the next one on the same machine.
const RESTART_MS: u64 = 100;

/// Operators whose machines take ground keys.
#[derive(Debug, Default)]
pub(super) struct Grinding {
    machines: BTreeMap<String, Vec<NodeIndex>>,
    seen: BTreeSet<(String, ExperimentId)>,
    /// Keys tried by each.
    tried: BTreeMap<String, u64>,
}

/// Whether the plan's time starts it: a requester's twin begins with what it is a twin of.
pub(super) fn starts_by_itself(member: &Member) -> bool {
    member.twin_of.is_none() || !matches!(member.conduct, Conduct::Contradicts)
}

impl World<'_> {
    /// What `number` does instead of being a station; none when it is one.
    pub(super) fn assault(&self, number: NodeIndex) -> Option<Assault> {
        let Conduct::Attacks { how, targets } = &self.plan.stations[number as usize].conduct else { return None };
        let address = |number: &NodeIndex| resident::address(self.seed, *number, &self.plan.stations[*number as usize]);
        let everything = || mesh::Strategy::Censor { only: BTreeSet::new() };
        let strategy = match how {
            How::Sybil | How::Eclipse | How::ColdBoot => everything(),
            How::Censor { requesters } => {
                mesh::Strategy::Censor { only: requesters.iter().map(|number| self.residents[*number as usize].node()).collect() }
            }
            How::CovertFlash { after } => mesh::Strategy::CovertFlash { after: *after },
            How::FlipSignatures => mesh::Strategy::Flip,
            How::IhaveSpam { per_second } => mesh::Strategy::IhaveSpam { per_second: *per_second },
            How::Flood { every, victims } => {
                let victims = victims.iter().map(|number| self.plan.stations[*number as usize].attachment.public).collect();
                mesh::Strategy::Flood { every: *every, seed: self.key("flood", &[u64::from(number)]), victims }
            }
            How::Nonsense { per_second } => mesh::Strategy::Nonsense { per_second: *per_second },
            How::LyingRequester { every } => {
                let (module, input) = works::forced();
                mesh::Strategy::LyingRequester { every: *every, module, input }
            }
            How::GroundCensus { keys } => mesh::Strategy::GroundCensus { keys: *keys },
            How::CompileHogs { compile_ms, .. } => mesh::Strategy::CompileHogs { compile_ms: *compile_ms, input: works::forced().1 },
        };
        Some(Assault { strategy, targets: targets.iter().map(address).collect() })
    }

    /// Finds the machines whose operators grind keys.
    pub(super) fn find_grinders(&mut self) {
        for (number, member) in (0..).zip(&self.plan.stations).filter(|(_, member)| matches!(member.conduct, Conduct::Grinds)) {
            self.grinding.machines.entry(member.operator().to_owned()).or_default().push(number);
            self.around.ledger.overhear(number);
        }
    }

    /// When the world has to look next at what grinders heard.
    pub(super) fn next_look(&self, now_ms: u64) -> u64 {
        if self.grinding.machines.is_empty() { u64::MAX } else { now_ms / LOOK_MS * LOOK_MS + LOOK_MS }
    }

    /// Gives every machine of an operator that heard of an experiment a key which that experiment's sample includes.
    pub(super) fn grind(&mut self, now_ms: u64) {
        for (listener, experiment, claim_below) in self.around.ledger.overheard() {
            let operator = self.plan.stations[listener as usize].operator().to_owned();
            if !self.grinding.seen.insert((operator.clone(), experiment)) {
                continue;
            }
            let requester = self.around.ledger.requester(&experiment);
            for number in self.grinding.machines.get(&operator).cloned().unwrap_or_default() {
                let (node, public) = (self.residents[number as usize].node(), self.plan.stations[number as usize].attachment.public);
                let cluster = |node| Cluster::of(node, public, None, Reach::Global);
                if grind::is_sampled(&experiment, node, cluster(node), claim_below) {
                    continue;
                }
                let seed = self.key("ground", &[u64::from(number)]);
                let seed = u64::from_be_bytes(seed[..8].try_into().expect("a hash has more than eight bytes"));
                let ground = grind::grind(&experiment, cluster, claim_below, seed);
                *self.grinding.tried.entry(operator.clone()).or_default() += ground.tried;
                // Where no key helps, the machine keeps the one it has.
                let Some(secret) = ground.secret else { continue };
                let plan = self.plan;
                let known = plan.stations.iter().zip(0..).filter(|(member, number)| member.bootstrap || requester == Some(*number));
                // Whom the Call names comes first; the rest is what the network file says.
                let mut bootstrap: Vec<_> =
                    known.map(|(member, number)| (requester != Some(number), resident::address(self.seed, number, member))).collect();
                bootstrap.sort_by_key(|(later, _)| *later);
                let machine = &mut self.residents[number as usize];
                machine.begin_anew(secret, bootstrap.into_iter().map(|(_, address)| address).take(super::BOOTSTRAPS_KNOWN).collect(), plan.commit_ms);
                let (node, identity) = (machine.node(), machine.member().identity(machine.node()));
                self.around.ledger.introduce(number, node, identity);
                self.plan_at(now_ms + RESTART_MS, Act::Start(number));
            }
        }
    }

    /// Whoever takes another key every so often plans the next one when it starts.
    pub(super) fn plan_renewal(&mut self, number: NodeIndex, now_ms: u64) {
        if let Conduct::Attacks { how: How::CompileHogs { every, .. }, .. } = &self.plan.stations[number as usize].conduct {
            self.plan_at(now_ms + u64::try_from(every.as_millis()).unwrap_or(u64::MAX), Act::Renew(number));
        }
    }

    /// The machine goes on under a key that nobody has seen.
    pub(super) fn renew(&mut self, number: NodeIndex, now_ms: u64) {
        let secret = self.key("renewed", &[u64::from(number), now_ms]);
        let (plan, machine) = (self.plan, &mut self.residents[number as usize]);
        machine.begin_anew(secret, Vec::new(), plan.commit_ms);
        let (node, identity) = (machine.node(), machine.member().identity(machine.node()));
        self.around.ledger.introduce(number, node, identity);
        self.plan_at(now_ms + RESTART_MS, Act::Start(number));
    }

    /// A requester that contradicts itself goes on as two soon after it published.
    pub(super) fn plan_split(&mut self, number: NodeIndex, now_ms: u64) {
        if matches!(self.plan.stations[number as usize].conduct, Conduct::Contradicts) {
            self.plan_at(now_ms + SPLIT_MS, Act::Split(number));
        }
    }

    /// Both halves start from the same disk at the same time: what each says next has the same number, and another address.
    pub(super) fn split(&mut self, number: NodeIndex, now_ms: u64) {
        let Some(twin) = self.plan.stations.iter().position(|member| member.twin_of == Some(number)) else { return };
        // Twins stand after all others.
        let (before, after) = self.residents.split_at_mut(twin);
        before[number as usize].split(&mut after[0]);
        self.plan_at(now_ms + RESTART_MS, Act::Start(number));
        self.plan_at(now_ms + RESTART_MS, Act::Start(NodeIndex::try_from(twin).unwrap_or(NodeIndex::MAX)));
    }

    /// Every group that misbehaves, in the order of the plan. Twins are counted with those they are twins of.
    pub(super) fn attackers(&self) -> Vec<Attackers> {
        let mut groups: Vec<Attackers> = Vec::new();
        for (resident, member) in self.residents.iter().zip(&self.plan.stations).filter(|(resident, _)| !resident.is_honest()) {
            let group = member.operator();
            let place = groups.iter().position(|known| known.group == group).unwrap_or_else(|| {
                let keys_tried = self.grinding.tried.get(group).copied();
                groups.push(Attackers { group: group.to_owned(), kind: member.conduct.name(), stations: 0, keys_tried, mesh: None });
                groups.len() - 1
            });
            let known = &mut groups[place];
            known.stations += u64::from(member.twin_of.is_none());
            if matches!(member.conduct, Conduct::Attacks { .. }) {
                known.mesh = Some(known.mesh.unwrap_or_default().and(resident.deeds()));
            }
        }
        groups
    }

    fn key(&self, purpose: &str, numbers: &[u64]) -> [u8; 32] {
        let numbers: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
        sha256(&[b"station-sim\0", purpose.as_bytes(), b"\0", &self.seed.to_be_bytes(), &numbers])
    }
}
