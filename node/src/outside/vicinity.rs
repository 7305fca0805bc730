//! [`Vicinity`]: what lies around a station, where its guests may not go though the addresses are global: its own machine, the links
//! that it is on, its home's IPv6 network, and the address by which the world sees its router.
//!
//! Guarantees: interfaces are listed anew for every judgement, so that a machine that moved is judged where it is; where they cannot be
//! listed nothing may be contacted; what peers say counts by their clusters, one word each, and a place that more than half of them see
//! is believed; what was once believed is refused for a day more, so that outvoting it later opens nothing. Deliberately lacks other routers: one on
//! a link is refused with it, and what lies beyond is the provider's.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use station_protocol::Time;
use station_protocol::cluster::Cluster;
use station_protocol::time::DAY;

use super::Outside;
use super::address::AddressRefused;

/// One address of an interface, and how many of its first bits all on the link share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interface {
    pub ip: IpAddr,
    pub prefix: u8,
}

/// Bits that all addresses of one home share in IPv6: providers give a /56 (RIPE-690), and the other links in it are the operator's too.
const HOME_BITS: u32 = 56;
/// The shortest prefixes that a link has. What claims less was set without a mask, and says only that the neighbours are near.
const LINK_BITS_MIN: (u32, u32) = (8, 32);
/// What is taken in place of such a prefix in IPv4.
const NEAR_BITS: u32 = 24;
/// Witnesses remembered per family of addresses: about as many as a station has neighbours.
const WITNESSES_MAX: usize = 16;
/// Places believed and remembered per family: a line that gets another address every hour has fewer within a day.
const PLACES_MAX: usize = 32;

/// The world, and what of it is too near.
pub struct Vicinity {
    outside: Arc<dyn Outside>,
    seen: Mutex<[Seen; 2]>,
}

impl std::fmt::Debug for Vicinity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vicinity").field("seen", &self.seen).finish_non_exhaustive()
    }
}

impl Vicinity {
    #[must_use]
    pub fn new(outside: Arc<dyn Outside>) -> Arc<Self> {
        Arc::new(Self { outside, seen: Mutex::default() })
    }

    #[must_use]
    pub fn outside(&self) -> &dyn Outside {
        self.outside.as_ref()
    }

    /// A peer in the cluster `by` sees this station at `ip`.
    pub fn seen(&self, by: Cluster, ip: IpAddr, now: Time) {
        self.of(ip, |seen, ip| seen.hear(by, ip, now));
    }

    /// The operator says that this station, or its router, is at `ip`.
    pub fn announced(&self, ip: IpAddr) {
        self.of(ip, |seen, ip| seen.announced.push(ip));
    }

    /// Whether none of `ips` is of this station's surroundings.
    pub fn judge(&self, ips: impl IntoIterator<Item = IpAddr>) -> Result<(), AddressRefused> {
        let interfaces = self.outside.interfaces().map_err(|error| {
            tracing::warn!(%error, "the interfaces cannot be listed: guests may contact nobody");
            AddressRefused::Unlisted
        })?;
        let is_near =
            |ip: IpAddr| interfaces.iter().any(|interface| interface.is_near(ip.to_canonical())) || self.of(ip, |seen, ip| seen.is_near(ip));
        if ips.into_iter().any(is_near) { Err(AddressRefused::Own) } else { Ok(()) }
    }

    fn of<T>(&self, ip: IpAddr, look: impl FnOnce(&mut Seen, IpAddr) -> T) -> T {
        let ip = ip.to_canonical();
        look(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner)[usize::from(ip.is_ipv6())], ip)
    }
}

impl Interface {
    fn is_near(self, ip: IpAddr) -> bool {
        let prefix = u32::from(self.prefix);
        match (self.ip.to_canonical(), ip) {
            (IpAddr::V4(own), IpAddr::V4(ip)) => share_v4(own, ip, if prefix < LINK_BITS_MIN.0 { NEAR_BITS } else { prefix }),
            (IpAddr::V6(own), IpAddr::V6(ip)) => share_v6(own, ip, if prefix < LINK_BITS_MIN.1 { HOME_BITS } else { prefix.min(HOME_BITS) }),
            _ => false,
        }
    }
}

fn share_v4(one: Ipv4Addr, other: Ipv4Addr, bits: u32) -> bool {
    (one.to_bits() ^ other.to_bits()).leading_zeros() >= bits
}

fn share_v6(one: Ipv6Addr, other: Ipv6Addr, bits: u32) -> bool {
    (one.to_bits() ^ other.to_bits()).leading_zeros() >= bits
}

/// Where others see this station, in one family of addresses.
#[derive(Debug, Default)]
struct Seen {
    /// The witness's cluster and what it sees, the newest last.
    witnesses: VecDeque<(Cluster, IpAddr)>,
    /// What was believed, and until when it is refused; the newest last.
    believed: VecDeque<(IpAddr, Time)>,
    announced: Vec<IpAddr>,
}

impl Seen {
    fn hear(&mut self, by: Cluster, ip: IpAddr, now: Time) {
        self.witnesses.retain(|(other, _)| *other != by);
        if self.witnesses.len() >= WITNESSES_MAX {
            self.witnesses.pop_front();
        }
        self.witnesses.push_back((by, ip));
        // More than half: with fewer, one network that lies to all stations would keep them all from measuring whom it names.
        let votes = self.witnesses.iter().filter(|(_, other)| *other == ip).count();
        if 2 * votes <= self.witnesses.len() {
            return;
        }
        let place = ip;
        self.believed.retain(|(ip, until)| *ip != place && *until > now);
        if self.believed.len() >= PLACES_MAX {
            self.believed.pop_front();
        }
        self.believed.push_back((place, now.plus(DAY)));
    }

    fn is_near(&self, ip: IpAddr) -> bool {
        // The newest is where the station is, however long ago that was said.
        self.believed.iter().map(|(place, _)| place).chain(&self.announced).any(|place| match (place, ip) {
            (IpAddr::V4(place), IpAddr::V4(ip)) => *place == ip,
            (IpAddr::V6(place), IpAddr::V6(ip)) => share_v6(*place, ip, HOME_BITS),
            _ => false,
        })
    }
}

#[cfg(test)]
mod tests;
