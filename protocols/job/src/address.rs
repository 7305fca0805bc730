//! [`Address`]: where a station can be dialled, in the one spelling that every part of a station reads alike.
//!
//! ```text
//! (/ip4/A | /ip6/A) (/tcp/P | /udp/P/quic-v1) [/p2p/RELAY/p2p-circuit] [/p2p/NODE]
//! ```
//!
//! Guarantees: whatever parses has one IP, one port above zero and one transport, and a transport that dials the text connects to that
//! socket and no other; text that would be written otherwise is refused, so that two spellings are never two addresses.
//! [`Endpoint::is_dialable`] says what may be dialled on a stranger's word. Deliberately lacks DNS names and every other transport.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::str::FromStr;

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize};

use crate::identity::NodeId;

pub mod special;
#[cfg(test)]
mod tests;

/// Longest address in bytes: a relayed QUIC v1 IPv6 address with two peer ids is 190.
pub const ADDRESS_BYTES_MAX: usize = 256;

/// Why text is not an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("longer than {ADDRESS_BYTES_MAX} bytes")]
    TooLong,
    #[error("does not begin with /ip4/ or /ip6/ and an address in its usual spelling")]
    NoIp,
    #[error("spells an IPv4 address as IPv6")]
    Mapped,
    #[error("has no /tcp/<port> or /udp/<port>/quic-v1 after its IP, with a port above 0")]
    NoTransport,
    #[error("does not end in /p2p/<node id>")]
    NoNode,
    #[error("has more parts than an address has")]
    Rest,
}

/// Which addresses a station may dial on a stranger's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Globally routable ones only, so that nobody makes stations knock at doors inside their own homes.
    Global,
    /// Private and loopback ones too: a network of one room, the demo, tests, the simulator.
    Any,
}

impl Reach {
    /// Whether a stranger may make a station dial `ip`.
    #[must_use]
    pub fn allows(self, ip: IpAddr) -> bool {
        match self {
            Self::Global => special::judge(ip).is_ok(),
            Self::Any => special::may_share_a_room(ip),
        }
    }
}

/// How the other end is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    Tcp,
    QuicV1,
}

/// The socket that is dialled: an IP, a port above zero, a transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    ip: IpAddr,
    port: NonZeroU16,
    transport: Transport,
}

impl Endpoint {
    /// Refuses port 0, which no machine listens on, and an IPv4 address spelt as IPv6.
    pub fn new(ip: IpAddr, port: u16, transport: Transport) -> Result<Self, AddressError> {
        if ip.to_canonical() != ip {
            return Err(AddressError::Mapped);
        }
        let port = NonZeroU16::new(port).ok_or(AddressError::NoTransport)?;
        Ok(Self { ip, port, transport })
    }

    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.ip
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.get()
    }

    #[must_use]
    pub fn transport(&self) -> Transport {
        self.transport
    }

    #[must_use]
    pub fn socket(&self) -> SocketAddr {
        SocketAddr::new(self.ip, self.port())
    }

    /// Whether a stranger may make a station dial this.
    #[must_use]
    pub fn is_dialable(&self, reach: Reach) -> bool {
        reach.allows(self.ip)
    }

    /// Takes an endpoint from the front of `parts`.
    fn take<'a>(parts: &mut impl Iterator<Item = &'a str>) -> Result<Self, AddressError> {
        let ip = match (parts.next(), parts.next()) {
            (Some("ip4"), Some(ip)) => canonical(ip).map(IpAddr::V4),
            (Some("ip6"), Some(ip)) => canonical(ip).map(IpAddr::V6),
            _ => None,
        };
        let ip = ip.ok_or(AddressError::NoIp)?;
        let (protocol, port) = (parts.next(), parts.next().and_then(canonical).ok_or(AddressError::NoTransport)?);
        let transport = match protocol {
            Some("tcp") => Transport::Tcp,
            Some("udp") if parts.next() == Some("quic-v1") => Transport::QuicV1,
            _ => return Err(AddressError::NoTransport),
        };
        Self::new(ip, port, transport)
    }
}

/// A value whose usual spelling `text` is.
fn canonical<T: FromStr + fmt::Display>(text: &str) -> Option<T> {
    text.parse().ok().filter(|value: &T| value.to_string() == text)
}

impl FromStr for Endpoint {
    type Err = AddressError;
    /// Text with an endpoint and nothing else.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        match Route::from_str(text)? {
            Route { endpoint, relay: None, node: None } => Ok(endpoint),
            _ => Err(AddressError::Rest),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip {
            IpAddr::V4(ip) => write!(f, "/ip4/{ip}")?,
            IpAddr::V6(ip) => write!(f, "/ip6/{ip}")?,
        }
        match self.transport {
            Transport::Tcp => write!(f, "/tcp/{}", self.port),
            Transport::QuicV1 => write!(f, "/udp/{}/quic-v1", self.port),
        }
    }
}

/// The whole grammar: what libp2p may say of a peer, whose node it sometimes leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Route {
    /// The relay's, when relayed.
    pub endpoint: Endpoint,
    pub relay: Option<NodeId>,
    pub node: Option<NodeId>,
}

impl FromStr for Route {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.len() > ADDRESS_BYTES_MAX {
            return Err(AddressError::TooLong);
        }
        let mut parts = text.split('/');
        if parts.next() != Some("") {
            return Err(AddressError::NoIp);
        }
        let endpoint = Endpoint::take(&mut parts)?;
        let mut node = None;
        let mut relay = None;
        while let Some(part) = parts.next() {
            match part {
                "p2p" if node.is_none() => node = Some(parts.next().and_then(canonical).ok_or(AddressError::NoNode)?),
                "p2p-circuit" if relay.is_none() => relay = Some(node.take().ok_or(AddressError::Rest)?),
                _ => return Err(AddressError::Rest),
            }
        }
        Ok(Self { endpoint, relay, node })
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.endpoint.fmt(f)?;
        if let Some(relay) = self.relay {
            write!(f, "/p2p/{relay}/p2p-circuit")?;
        }
        self.node.map_or(Ok(()), |node| write!(f, "/p2p/{node}"))
    }
}

/// Where a station can be dialled: `/ip4/192.0.2.1/udp/4001/quic-v1/p2p/12D3…` or `…/p2p/<relay>/p2p-circuit/p2p/12D3…`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "String")]
pub struct Address {
    endpoint: Endpoint,
    relay: Option<NodeId>,
    node: NodeId,
}

impl Address {
    /// Of `node` at `endpoint`, which is the relay's where there is one.
    #[must_use]
    pub fn new(endpoint: Endpoint, relay: Option<NodeId>, node: NodeId) -> Self {
        Self { endpoint, relay, node }
    }

    /// Parses `text`: a [`Route`] that names its node.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let Route { endpoint, relay, node } = text.parse()?;
        Ok(Self { endpoint, relay, node: node.ok_or(AddressError::NoNode)? })
    }

    /// The socket that is dialled: the relay's when relayed.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    /// The IP that is dialled: the relay's when relayed.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.endpoint.ip
    }

    /// The station it leads to.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// The relay it goes through, if it does.
    #[must_use]
    pub fn relay(&self) -> Option<NodeId> {
        self.relay
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Route { endpoint: self.endpoint, relay: self.relay, node: Some(self.node) }.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
