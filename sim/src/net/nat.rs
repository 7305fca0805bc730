//! NAT boxes and firewalls, as RFC 4787 (datagrams) and RFC 5382 (TCP) describe them; [`routes`] puts them between networks.
//!
//! ```text
//! host ── outbound(packet) ─► box ─► packet with the box's address, or why not
//! host ◄─ inbound(packet)  ── box ◄─ packet to the box's address
//! ```
//!
//! Guarantees: mapping and filtering are independent of each other; a mapping lives until its time-out after the last packet that went
//! out (what comes in refreshes nothing, the RFC's strictest choice); tables are bounded. Deliberately lacks ICMP, fragments and port
//! forwarding protocols.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::Nanos;
use crate::luck::Luck;

pub mod kind;
pub mod routes;
#[cfg(test)]
mod tests;

use kind::{Behaviour, Depends, Ports, Unsolicited};

/// Most mappings of one box: a port each, and what home routers keep.
pub const MAPPINGS_MAX: usize = 16_384;
/// Most remote ends remembered for one mapping; the one unused longest goes.
pub const REMOTES_MAX: usize = 1_024;
/// External ports that are given out: those that need no privileges.
const PORTS: std::ops::RangeInclusive<u16> = 1_024..=65_535;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    Udp,
    Tcp,
}

/// As much of a packet as boxes look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    pub protocol: Protocol,
    pub from: SocketAddr,
    pub to: SocketAddr,
}

/// Why a box let a packet go no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dropped {
    /// Nothing inside has this external port.
    NoMapping,
    /// The mapping is there, this remote end may not use it.
    Filtered,
    /// The same, and a reset goes back (TCP).
    Reset,
    /// Two hosts behind one box, which does not turn packets round.
    NoHairpin,
    /// The box has no room or no port for one more mapping.
    Full,
    /// The firewall lets no such packet out.
    Forbidden,
    /// No network has this address.
    NoRoute,
}

/// What of the remote end a mapping is for.
type Scope = (Option<IpAddr>, Option<u16>);
type Key = (Protocol, SocketAddr, Scope);

#[derive(Clone, Debug)]
struct Mapping {
    port: u16,
    /// Remote ends that were written to, and when last.
    remotes: BTreeMap<SocketAddr, Nanos>,
    last_out: Nanos,
}

/// A NAT box with one external address.
#[derive(Clone, Debug)]
pub struct NatBox {
    behaviour: Behaviour,
    external: IpAddr,
    mappings: BTreeMap<Key, Mapping>,
    ports: BTreeMap<(Protocol, u16), Key>,
    next_port: u16,
    luck: Luck,
}

impl NatBox {
    /// A box that the world knows as `external`.
    #[must_use]
    pub fn new(behaviour: Behaviour, external: IpAddr, mut luck: Luck) -> Self {
        let next_port = port(luck.draw());
        Self { behaviour, external, mappings: BTreeMap::new(), ports: BTreeMap::new(), next_port, luck }
    }

    #[must_use]
    pub const fn external(&self) -> IpAddr {
        self.external
    }

    /// Mappings in the table, those that ended but were not cleared yet included.
    #[must_use]
    pub fn mappings(&self) -> usize {
        self.mappings.len()
    }

    /// A packet from inside: as the outside sees it.
    pub fn outbound(&mut self, packet: Packet, now: Nanos) -> Result<Packet, Dropped> {
        let key = (packet.protocol, packet.from, self.scope(packet.to));
        let timeout = self.timeout(packet.protocol);
        if self.mappings.get(&key).is_some_and(|mapping| mapping.last_out + timeout <= now) {
            self.remove(&key);
        }
        if !self.mappings.contains_key(&key) {
            if self.mappings.len() >= MAPPINGS_MAX {
                self.clear(now);
            }
            if self.mappings.len() >= MAPPINGS_MAX {
                return Err(Dropped::Full);
            }
            let port = self.free_port(packet.protocol, packet.from.port(), now).ok_or(Dropped::Full)?;
            self.ports.insert((packet.protocol, port), key);
            self.mappings.insert(key, Mapping { port, remotes: BTreeMap::new(), last_out: now });
        }
        let Some(mapping) = self.mappings.get_mut(&key) else { return Err(Dropped::Full) };
        mapping.last_out = now;
        if mapping.remotes.len() >= REMOTES_MAX && !mapping.remotes.contains_key(&packet.to) {
            let oldest = mapping.remotes.iter().min_by_key(|(_, last)| **last).map(|(remote, _)| *remote);
            oldest.map(|remote| mapping.remotes.remove(&remote));
        }
        mapping.remotes.insert(packet.to, now);
        Ok(Packet { from: SocketAddr::new(self.external, mapping.port), ..packet })
    }

    /// A packet from outside to the box's address: as the host inside sees it.
    pub fn inbound(&mut self, packet: Packet, now: Nanos) -> Result<Packet, Dropped> {
        let timeout = self.timeout(packet.protocol);
        let unsolicited = |otherwise| match (self.behaviour.unsolicited, packet.protocol) {
            (Unsolicited::Reset, Protocol::Tcp) => Dropped::Reset,
            _ => otherwise,
        };
        let Some((key, mapping)) = self.ports.get(&(packet.protocol, packet.to.port())).and_then(|key| Some((key, self.mappings.get(key)?))) else {
            return Err(unsolicited(Dropped::NoMapping));
        };
        if mapping.last_out + timeout <= now {
            return Err(unsolicited(Dropped::NoMapping));
        }
        let known = |remote: &SocketAddr| mapping.remotes.get(remote).is_some_and(|last| *last + timeout > now);
        let passes = match self.behaviour.filtering {
            Depends::Nothing => true,
            Depends::Address => mapping.remotes.iter().any(|(remote, last)| remote.ip() == packet.from.ip() && *last + timeout > now),
            Depends::AddressAndPort => known(&packet.from),
        };
        if passes { Ok(Packet { to: key.1, ..packet }) } else { Err(unsolicited(Dropped::Filtered)) }
    }

    /// A packet from inside to the box's own address: as the other host inside sees it, from the first one's external address
    /// (RFC 4787, REQ-9).
    pub fn hairpin(&mut self, packet: Packet, now: Nanos) -> Result<Packet, Dropped> {
        if !self.behaviour.hairpin {
            return Err(Dropped::NoHairpin);
        }
        let translated = self.outbound(packet, now)?;
        self.inbound(translated, now)
    }

    fn scope(&self, to: SocketAddr) -> Scope {
        match self.behaviour.mapping {
            Depends::Nothing => (None, None),
            Depends::Address => (Some(to.ip()), None),
            Depends::AddressAndPort => (Some(to.ip()), Some(to.port())),
        }
    }

    fn timeout(&self, protocol: Protocol) -> Nanos {
        let span = match protocol {
            Protocol::Udp => self.behaviour.udp_timeout,
            Protocol::Tcp => self.behaviour.tcp_timeout,
        };
        Nanos::from_millis(span.0)
    }

    fn free_port(&mut self, protocol: Protocol, wished: u16, now: Nanos) -> Option<u16> {
        let first = match self.behaviour.ports {
            Ports::Preserved if PORTS.contains(&wished) && self.is_free(protocol, wished, now) => wished,
            Ports::Preserved | Ports::Sequential => self.next_port,
            Ports::Random => port(self.luck.draw()),
        };
        let found = (first..=*PORTS.end()).chain(*PORTS.start()..first).find(|port| self.is_free(protocol, *port, now))?;
        self.next_port = if found == *PORTS.end() { *PORTS.start() } else { found + 1 };
        if let Some(key) = self.ports.get(&(protocol, found)).copied() {
            self.remove(&key);
        }
        Some(found)
    }

    /// Unused, or used by a mapping that has ended.
    fn is_free(&self, protocol: Protocol, port: u16, now: Nanos) -> bool {
        let timeout = self.timeout(protocol);
        let mapping = self.ports.get(&(protocol, port)).and_then(|key| self.mappings.get(key));
        mapping.is_none_or(|mapping| mapping.last_out + timeout <= now)
    }

    fn clear(&mut self, now: Nanos) {
        let (udp, tcp) = (self.timeout(Protocol::Udp), self.timeout(Protocol::Tcp));
        let timeout = |protocol| if protocol == Protocol::Udp { udp } else { tcp };
        let over: Vec<Key> = self.mappings.iter().filter(|(key, mapping)| mapping.last_out + timeout(key.0) <= now).map(|(key, _)| *key).collect();
        for key in over {
            self.remove(&key);
        }
    }

    fn remove(&mut self, key: &Key) {
        if let Some(mapping) = self.mappings.remove(key) {
            self.ports.remove(&(key.0, mapping.port));
        }
    }
}

/// One of [`PORTS`].
fn port(draw: u64) -> u16 {
    let count = u64::from(PORTS.end() - PORTS.start()) + 1;
    PORTS.start() + u16::try_from(draw % count).unwrap_or(0)
}

/// A stateful firewall: it changes no address. What goes out lets in what answers it.
#[derive(Clone, Debug)]
pub struct Wall {
    /// Whether datagrams may leave (DNS always may).
    udp: bool,
    unsolicited: Unsolicited,
    sessions: BTreeMap<(Protocol, SocketAddr, SocketAddr), Nanos>,
}

/// The port that a firewall without datagrams lets out.
const DNS_PORT: u16 = 53;

impl Wall {
    #[must_use]
    pub const fn new(udp: bool, unsolicited: Unsolicited) -> Self {
        Self { udp, unsolicited, sessions: BTreeMap::new() }
    }

    pub fn outbound(&mut self, packet: Packet, now: Nanos) -> Result<Packet, Dropped> {
        if packet.protocol == Protocol::Udp && !self.udp && packet.to.port() != DNS_PORT {
            return Err(Dropped::Forbidden);
        }
        let session = (packet.protocol, packet.from, packet.to);
        if self.sessions.len() >= MAPPINGS_MAX && !self.sessions.contains_key(&session) {
            self.sessions.retain(|(protocol, ..), last| *last + Self::timeout(*protocol) > now);
            if self.sessions.len() >= MAPPINGS_MAX {
                return Err(Dropped::Full);
            }
        }
        self.sessions.insert(session, now);
        Ok(packet)
    }

    pub fn inbound(&mut self, packet: Packet, now: Nanos) -> Result<Packet, Dropped> {
        let session = (packet.protocol, packet.to, packet.from);
        match (self.sessions.get(&session), self.unsolicited, packet.protocol) {
            (Some(last), ..) if *last + Self::timeout(packet.protocol) > now => Ok(packet),
            (_, Unsolicited::Reset, Protocol::Tcp) => Err(Dropped::Reset),
            _ => Err(Dropped::Filtered),
        }
    }

    /// As boxes have them.
    fn timeout(protocol: Protocol) -> Nanos {
        let Behaviour { udp_timeout, tcp_timeout, .. } = Behaviour::new(Depends::Nothing, Depends::Nothing);
        Nanos::from_millis(if protocol == Protocol::Udp { udp_timeout.0 } else { tcp_timeout.0 })
    }
}
