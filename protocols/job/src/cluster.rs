//! [`Cluster`]: stations that one party could easily own together; one seat per cluster in any vote.
//!
//! Guarantees: a cluster follows from an IP address that the connection proves, never from a key, for keys cost nothing. It is the /24 of
//! an IPv4 address or the /48 of an IPv6 address; whoever comes through a relay is at the relay's address, in one seat with everybody
//! there. An address that anybody can have proves no place: on a public network all of those are one cluster. Deliberately lacks AS
//! numbers: they need a database that ages.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::address::{Address, Reach};
use crate::identity::NodeId;

/// Equal clusters share one seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Cluster {
    /// The first three bytes of an IPv4 address.
    V4([u8; 3]),
    /// The first six bytes of an IPv6 address.
    V6([u8; 6]),
    /// Everybody who is seen at an address that is not global, on a network where stations are: behind a proxy or a container's bridge
    /// every stranger comes from one such address.
    Private,
    /// A station, or a relay with all behind it, on the one local network that the requester is on too; and the requester itself.
    Own(NodeId),
}

impl Cluster {
    /// The cluster of `node` seen over a connection whose remote end is `ip`: its own, or that of `relay`, which it comes through.
    #[must_use]
    pub fn of(node: NodeId, ip: IpAddr, relay: Option<NodeId>, reach: Reach) -> Self {
        match (ip.to_canonical(), reach) {
            (ip, Reach::Global) if !Reach::Global.allows(ip) => Self::Private,
            (ip, Reach::Any) if is_private(ip) => Self::Own(relay.unwrap_or(node)),
            (IpAddr::V4(v4), _) => {
                let [a, b, c, _] = v4.octets();
                Self::V4([a, b, c])
            }
            (IpAddr::V6(v6), _) => {
                let [a, b, c, d, e, f, ..] = v6.octets();
                Self::V6([a, b, c, d, e, f])
            }
        }
    }

    /// The cluster behind `address`.
    #[must_use]
    pub fn of_address(address: &Address, reach: Reach) -> Self {
        Self::of(address.node(), address.ip(), address.relay(), reach)
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
