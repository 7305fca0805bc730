//! [`Address`]: a multiaddr as text, understood as far as the rules need it.
//!
//! Guarantees: holds an IP literal (`/ip4/…` or `/ip6/…`) and ends in a node id or its relay circuit, or it cannot be built.
//! Deliberately lacks DNS names and every transport's meaning: libp2p parses the rest.

use std::net::IpAddr;

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize};

use crate::identity::NodeId;

/// Longest address in bytes: a relayed QUIC v1 IPv6 address with two peer ids is 190.
pub const ADDRESS_BYTES_MAX: usize = 256;

/// Why text is not an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("longer than {ADDRESS_BYTES_MAX} bytes")]
    TooLong,
    #[error("does not begin with /ip4/ or /ip6/ and an address")]
    NoIp,
    #[error("does not end in /p2p/<node id>")]
    NoNode,
}

/// A multiaddr of a station: `/ip4/192.0.2.1/udp/4001/quic-v1/p2p/12D3…` or `…/p2p/<relay>/p2p-circuit/p2p/12D3…`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
pub struct Address {
    text: String,
    ip: IpAddr,
    node: NodeId,
    relay: Option<NodeId>,
}

impl Address {
    /// Parses `text`.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.len() > ADDRESS_BYTES_MAX {
            return Err(AddressError::TooLong);
        }
        let mut parts = text.split('/').skip(1);
        let ip = match (parts.next(), parts.next()) {
            (Some("ip4"), Some(ip)) => ip.parse().ok().map(IpAddr::V4),
            (Some("ip6"), Some(ip)) => ip.parse().ok().map(IpAddr::V6),
            _ => None,
        }
        .ok_or(AddressError::NoIp)?;
        let (before, node) = text.rsplit_once("/p2p/").ok_or(AddressError::NoNode)?;
        let node = node.parse().map_err(|_| AddressError::NoNode)?;
        let relay = match before.strip_suffix("/p2p-circuit") {
            None => None,
            Some(relayed) => {
                let (_, relay) = relayed.rsplit_once("/p2p/").ok_or(AddressError::NoNode)?;
                Some(relay.parse().map_err(|_| AddressError::NoNode)?)
            }
        };
        Ok(Self { text: text.to_owned(), ip, node, relay })
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The IP literal it begins with: the relay's when relayed.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.ip
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
        address.text
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
