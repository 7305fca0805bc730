//! [`Cluster`]: stations that one party could easily own together; one seat per cluster in any vote.
//!
//! /24 of a direct IPv4 connection, /48 of IPv6; relayed peers share the relay's; private and loopback peers are each their own
//! when the requester is on that network. Deliberately lacks AS numbers: they need a database that ages.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::identity::NodeId;

/// Equal clusters share one seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Cluster {
    /// The first three bytes of an IPv4 address.
    V4([u8; 3]),
    /// The first six bytes of an IPv6 address.
    V6([u8; 6]),
    /// Behind this relay.
    Relay(NodeId),
    /// A peer on a private or loopback network that the requester is on too.
    Own(NodeId),
}

impl Cluster {
    /// The cluster of `node` seen over a connection whose remote end is `ip`, or which goes through `relay`.
    #[must_use]
    pub fn of(node: NodeId, ip: IpAddr, relay: Option<NodeId>) -> Self {
        if let Some(relay) = relay {
            return Self::Relay(relay);
        }
        match ip.to_canonical() {
            ip if is_private(ip) => Self::Own(node),
            IpAddr::V4(v4) => {
                let [a, b, c, _] = v4.octets();
                Self::V4([a, b, c])
            }
            IpAddr::V6(v6) => {
                let [a, b, c, d, e, f, ..] = v6.octets();
                Self::V6([a, b, c, d, e, f])
            }
        }
    }

    /// The cluster behind `address`.
    #[must_use]
    pub fn of_address(address: &Address) -> Self {
        Self::of(address.node(), address.ip(), address.relay())
    }
}

/// Loopback, private, link-local and unique-local addresses: one can only see them from the same network.
#[must_use]
pub fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests;
