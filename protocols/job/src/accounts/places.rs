//! [`Places`]: who may hold how many of a station's connections, and who goes when there are too many.
//!
//! Guarantees: of one machine and of one network there are never more connections and handshakes than their limits; when all places
//! for those who come are taken, one of the network that holds the most goes, the newest first, whatever it does; nobody goes for
//! somebody whose network would then hold as many; who comes first does not go for strangers. Deliberately lacks sockets: it names
//! whom to refuse and whom to close.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Host, SHARED_HOST_TIMES};
use crate::cluster::is_private;
use crate::time::Time;

/// Connections and handshakes of one machine at once (an IPv4 address or a /64): a household behind a router, and a second try of each.
pub const HOST_PLACES_MAX: usize = 8;
/// Of one /24 or /48: two such households, or a small provider's machines. A quarter of the places of a plain station.
pub const NETWORK_PLACES_MAX: usize = 16;
/// Of those who come through the relays of one machine, or of one network: half of what a relay carries.
pub const RELAYED_PLACES_MAX: usize = 32;

/// A /24, or a /48. Private ones too: where they connect at all, they are as near to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Network {
    V4([u8; 3]),
    V6([u8; 6]),
}

impl Network {
    fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
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
}

/// How somebody comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Direct,
    /// Through a relay at the IP that is given.
    Relayed,
}

/// How a connection came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// This station dialled: it has no place of those for who come.
    ByUs,
    ByStranger,
    /// By somebody who comes first: a bootstrap node, or who has a history of work with this station.
    ByAcquaintance,
}

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPlace {
    #[error("too many connections of one machine")]
    Host,
    #[error("too many connections of one network")]
    Network,
    #[error("no place is free, and no network has more than the one that asks")]
    All,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    host: Host,
    network: Network,
    way: Way,
    /// `None` while its handshake goes on.
    opened: Option<Opened>,
    since: Time,
}

/// The places of a station, by whatever names a connection.
#[derive(Clone, Debug)]
pub struct Places<Id> {
    taken: BTreeMap<Id, Place>,
    /// For those who come.
    inbound_max: usize,
    /// The same, or as many as were there when it fell and have stayed since.
    ceiling: usize,
}

impl<Id: Copy + Ord> Places<Id> {
    /// With room for so many who come.
    #[must_use]
    pub fn new(inbound_max: usize) -> Self {
        Self { taken: BTreeMap::new(), inbound_max, ceiling: inbound_max }
    }

    /// Room for so many who come, from now on. Where more are there, nobody is sent away for it: the places go with those who leave.
    pub fn resize(&mut self, inbound_max: usize) {
        self.inbound_max = inbound_max;
        self.ceiling = inbound_max.max(self.inbound());
    }

    /// The most that can be there now.
    #[must_use]
    pub fn ceiling(&self) -> usize {
        self.ceiling
    }

    /// Somebody at `ip` begins a handshake.
    pub fn begin(&mut self, id: Id, ip: IpAddr, way: Way, now: Time) -> Result<(), NoPlace> {
        let place = Place { host: Host::of(ip), network: Network::of(ip), way, opened: None, since: now };
        self.may_take(&place, is_private(ip))?;
        self.taken.insert(id, place);
        Ok(())
    }

    /// The connection stands. Names one to be closed in its place where there are too many.
    pub fn open(&mut self, id: Id, ip: IpAddr, way: Way, opened: Opened, now: Time) -> Result<Option<Id>, NoPlace> {
        let place = Place { host: Host::of(ip), network: Network::of(ip), way, opened: Some(opened), since: now };
        // It has no second place beside that of its handshake.
        self.taken.remove(&id);
        if opened == Opened::ByStranger {
            self.may_take(&place, is_private(ip))?;
        }
        let full = opened != Opened::ByUs && self.inbound() >= self.inbound_max;
        let goes = if full { Some(self.who_goes(&place).ok_or(NoPlace::All)?) } else { None };
        if let Some(goes) = goes {
            self.taken.remove(&goes);
        }
        self.taken.insert(id, place);
        Ok(goes)
    }

    /// A handshake failed, or a connection ended.
    pub fn close(&mut self, id: &Id) {
        self.taken.remove(id);
        self.ceiling = self.inbound_max.max(self.ceiling.min(self.inbound()));
    }

    /// Places for those who come that are taken.
    #[must_use]
    pub fn inbound(&self) -> usize {
        self.inbounds().count()
    }

    fn inbounds(&self) -> impl Iterator<Item = (&Id, &Place)> {
        self.taken.iter().filter(|(_, place)| place.opened.is_some_and(|opened| opened != Opened::ByUs))
    }

    fn may_take(&self, new: &Place, private: bool) -> Result<(), NoPlace> {
        let times = if private { usize::try_from(SHARED_HOST_TIMES).unwrap_or(1) } else { 1 };
        let (host_max, network_max) = match new.way {
            Way::Direct => (HOST_PLACES_MAX, NETWORK_PLACES_MAX),
            Way::Relayed => (RELAYED_PLACES_MAX, RELAYED_PLACES_MAX),
        };
        // What this station dialled is its own choice, and fills nobody's share.
        let theirs = || self.taken.values().filter(|place| place.way == new.way && place.opened != Some(Opened::ByUs));
        if theirs().filter(|place| place.host == new.host).count() >= host_max * times {
            return Err(NoPlace::Host);
        }
        if theirs().filter(|place| place.network == new.network).count() >= network_max * times {
            return Err(NoPlace::Network);
        }
        Ok(())
    }

    /// Who makes room for `new`: the newest stranger of the network that holds the most.
    fn who_goes(&self, new: &Place) -> Option<Id> {
        let strangers = || self.inbounds().filter(|(_, place)| place.opened == Some(Opened::ByStranger));
        let mut held = BTreeMap::<Network, usize>::new();
        for (_, place) in strangers() {
            *held.entry(place.network).or_default() += 1;
        }
        let (network, most) = held.iter().map(|(network, count)| (*network, *count)).max_by_key(|(_, count)| *count)?;
        let own = held.get(&new.network).copied().unwrap_or(0);
        if new.opened == Some(Opened::ByStranger) && most <= own + 1 {
            return None;
        }
        strangers().filter(|(_, place)| place.network == network).max_by_key(|(_, place)| place.since).map(|(id, _)| *id)
    }
}

#[cfg(test)]
mod tests;
