//! [`Routes`]: networks behind boxes behind networks, and where a packet gets to.
//!
//! ```text
//! host 10.0.0.2 ─ home box 100.64.0.7 ─ provider's box 45.0.3.1 ─ the internet ─ 45.0.9.1 wall ─ host 45.0.9.1
//! ```
//!
//! Guarantees: a packet passes every box on its way, in order; two hosts of one network reach each other without its box. Deliberately
//! lacks routers: within a network everybody is one step away.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::kind::{Behaviour, Unsolicited};
use super::{Dropped, NatBox, Packet, Wall};
use crate::luck::Luck;
use crate::net::Nanos;

#[cfg(test)]
mod tests;

/// A network: the internet, or what lies behind a NAT box.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NetworkId(u32);

/// Something between two networks, or between a network and some of its hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GateId(u32);

impl NetworkId {
    pub const INTERNET: Self = Self(0);
}

/// Where a packet got to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Routed {
    /// The host with the address `packet.to.ip()` in `network`, which sees this packet.
    Reached { network: NetworkId, packet: Packet },
    /// `gate`: who dropped it; none: there is no such address.
    Lost { gate: Option<GateId>, why: Dropped },
}

#[derive(Clone, Debug)]
enum Gate {
    Nat { outer: NetworkId, inner: NetworkId, nat: Box<NatBox> },
    Wall { wall: Wall },
}

#[derive(Clone, Copy, Debug)]
enum Hop {
    Host,
    /// A host with a firewall of its own.
    Walled(GateId),
    /// A NAT box's external address.
    Box(GateId),
}

#[derive(Clone, Debug, Default)]
struct Network {
    hops: BTreeMap<IpAddr, Hop>,
    /// The box that leads out; the internet has none.
    exit: Option<GateId>,
}

/// All networks.
#[derive(Clone, Debug)]
pub struct Routes {
    networks: Vec<Network>,
    gates: Vec<Gate>,
    seed: u64,
}

/// More than any home is behind: it only ends a loop that a wrong plan could make.
const BOXES_IN_A_ROW_MAX: usize = 16;

impl Routes {
    /// The internet without hosts.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { networks: vec![Network::default()], gates: Vec::new(), seed }
    }

    /// A host in `network`.
    pub fn host(&mut self, network: NetworkId, ip: IpAddr) {
        self.networks[network.0 as usize].hops.insert(ip, Hop::Host);
    }

    /// A host in `network` behind a firewall of its own.
    pub fn walled(&mut self, network: NetworkId, ip: IpAddr, udp: bool, unsolicited: Unsolicited) -> GateId {
        let gate = self.gate(Gate::Wall { wall: Wall::new(udp, unsolicited) });
        self.networks[network.0 as usize].hops.insert(ip, Hop::Walled(gate));
        gate
    }

    /// A NAT box in `outer` with the address `external`: the network behind it, and the box.
    pub fn nat(&mut self, outer: NetworkId, external: IpAddr, behaviour: Behaviour) -> (NetworkId, GateId) {
        let inner = NetworkId(u32::try_from(self.networks.len()).unwrap_or(u32::MAX));
        let luck = Luck::new(self.seed, "nat", &format!("{}/{external}", outer.0));
        let gate = self.gate(Gate::Nat { outer, inner, nat: Box::new(NatBox::new(behaviour, external, luck)) });
        self.networks.push(Network { hops: BTreeMap::new(), exit: Some(gate) });
        self.networks[outer.0 as usize].hops.insert(external, Hop::Box(gate));
        (inner, gate)
    }

    fn gate(&mut self, gate: Gate) -> GateId {
        self.gates.push(gate);
        GateId(u32::try_from(self.gates.len() - 1).unwrap_or(u32::MAX))
    }

    /// Sends `packet` from the host with its `from` address in `network`, where the way takes no time.
    pub fn send(&mut self, network: NetworkId, packet: Packet, now: Nanos) -> Routed {
        match self.leave(network, packet, now) {
            Ok((network, packet)) => self.enter(network, packet, now),
            Err((gate, why)) => Routed::Lost { gate, why },
        }
    }

    /// `packet` leaves the host with its `from` address in `network`: the network in which it goes on its way, and as that network sees
    /// it; or who dropped it.
    pub fn leave(&mut self, mut network: NetworkId, mut packet: Packet, now: Nanos) -> Result<(NetworkId, Packet), (Option<GateId>, Dropped)> {
        if let Some(Hop::Walled(gate)) = self.hop(network, packet.from.ip()) {
            packet = self.pass(gate, |gate| gate.outbound(packet, now))?;
        }
        // Up, until the network has the address.
        for _ in 0..BOXES_IN_A_ROW_MAX {
            let Some(exit) = self.networks[network.0 as usize].exit else { break };
            if self.hop(network, packet.to.ip()).is_some() {
                break;
            }
            if self.external(exit) == Some(packet.to.ip()) {
                packet = self.pass(exit, |gate| gate.hairpin(packet, now))?;
                break;
            }
            packet = self.pass(exit, |gate| gate.outbound(packet, now))?;
            network = self.outer(exit).unwrap_or(NetworkId::INTERNET);
        }
        Ok((network, packet))
    }

    /// `packet` is at the end of its way in `network`.
    pub fn enter(&mut self, network: NetworkId, packet: Packet, now: Nanos) -> Routed {
        self.descend(network, packet, now).unwrap_or_else(|(gate, why)| Routed::Lost { gate, why })
    }

    /// Down, until a host has it.
    fn descend(&mut self, mut network: NetworkId, mut packet: Packet, now: Nanos) -> Result<Routed, (Option<GateId>, Dropped)> {
        for _ in 0..BOXES_IN_A_ROW_MAX {
            match self.hop(network, packet.to.ip()) {
                None => return Err((None, Dropped::NoRoute)),
                Some(Hop::Host) => return Ok(Routed::Reached { network, packet }),
                Some(Hop::Walled(gate)) => {
                    packet = self.pass(gate, |gate| gate.inbound(packet, now))?;
                    return Ok(Routed::Reached { network, packet });
                }
                Some(Hop::Box(gate)) => {
                    packet = self.pass(gate, |gate| gate.inbound(packet, now))?;
                    network = self.inner(gate).unwrap_or(NetworkId::INTERNET);
                }
            }
        }
        Err((None, Dropped::NoRoute))
    }

    fn hop(&self, network: NetworkId, ip: IpAddr) -> Option<Hop> {
        self.networks[network.0 as usize].hops.get(&ip).copied()
    }

    fn pass(&mut self, gate: GateId, step: impl FnOnce(&mut Gate) -> Result<Packet, Dropped>) -> Result<Packet, (Option<GateId>, Dropped)> {
        step(&mut self.gates[gate.0 as usize]).map_err(|why| (Some(gate), why))
    }

    fn external(&self, gate: GateId) -> Option<IpAddr> {
        match &self.gates[gate.0 as usize] {
            Gate::Nat { nat, .. } => Some(nat.external()),
            Gate::Wall { .. } => None,
        }
    }

    fn outer(&self, gate: GateId) -> Option<NetworkId> {
        match &self.gates[gate.0 as usize] {
            Gate::Nat { outer, .. } => Some(*outer),
            Gate::Wall { .. } => None,
        }
    }

    fn inner(&self, gate: GateId) -> Option<NetworkId> {
        match &self.gates[gate.0 as usize] {
            Gate::Nat { inner, .. } => Some(*inner),
            Gate::Wall { .. } => None,
        }
    }
}

impl Gate {
    fn outbound(&mut self, packet: Packet, now: Nanos) -> Result<Packet, Dropped> {
        match self {
            Self::Nat { nat, .. } => nat.outbound(packet, now),
            Self::Wall { wall } => wall.outbound(packet, now),
        }
    }

    fn inbound(&mut self, packet: Packet, now: Nanos) -> Result<Packet, Dropped> {
        match self {
            Self::Nat { nat, .. } => nat.inbound(packet, now),
            Self::Wall { wall } => wall.inbound(packet, now),
        }
    }

    fn hairpin(&mut self, packet: Packet, now: Nanos) -> Result<Packet, Dropped> {
        match self {
            Self::Nat { nat, .. } => nat.hairpin(packet, now),
            Self::Wall { .. } => Err(Dropped::NoHairpin),
        }
    }
}
