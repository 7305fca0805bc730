//! The stations of a scenario, one by one: what luck decided for each.
//!
//! Guarantees: a station's luck depends on the seed and its name alone, so that a group added changes no other group's stations; every
//! station has an address of its own that looks public (rules about private addresses apply to it as in life). Deliberately lacks
//! faults and work: those name groups.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use station_protocol::human::Span;

use super::fault::Who;
use super::group::{Byzantine, Firewall, NatMix, Place, Role};
use super::units::{Rate, Share};
use super::work::Misconduct;
use super::{Network, Scenario};
use crate::luck::Luck;
use crate::net::nat::kind::{Behaviour, NatKind};
use crate::net::region::Region;

#[cfg(test)]
mod tests;

/// One station.
#[derive(Clone, Debug, PartialEq)]
pub struct Station {
    /// `home-17`: its group and number; also its luck.
    pub name: String,
    pub origin: Origin,
    pub region: Region,
    pub up: Rate,
    pub down: Rate,
    pub last_mile: Span,
    /// The name of the boxes it is behind, and they, from the station outwards. Without boxes its address is public.
    pub nat: String,
    pub boxes: Vec<Behaviour>,
    pub firewall: Firewall,
    /// Its public address, or that of its outermost box.
    pub public: IpAddr,
    /// Its IPv6 address, if it has one.
    pub ipv6: Option<IpAddr>,
    pub roles: Vec<Role>,
    /// When it starts.
    pub starts: Span,
    pub cpu: Share,
    pub capacity: u32,
}

/// Which table it stands in, by its place there.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    Group { group: usize, name: String, byzantine: Option<Byzantine> },
    Requester { requester: usize, name: String, byzantine: Option<Misconduct> },
}

impl Station {
    /// Whether `who` names it.
    #[must_use]
    pub fn is(&self, who: &Who) -> bool {
        match (who, &self.origin) {
            (Who::Everyone, _) => true,
            (Who::Group(wanted), Origin::Group { name, .. }) | (Who::Requester(wanted), Origin::Requester { name, .. }) => wanted.as_str() == name,
            (Who::Region(region), _) => self.region == *region,
            (Who::Role(role), _) => self.roles.contains(role),
            (Who::Group(_), Origin::Requester { .. }) | (Who::Requester(_), Origin::Group { .. }) => false,
        }
    }
}

/// The places of the stations that `who` names, of which luck leaves `share`: at least one, unless the share is none.
#[must_use]
pub fn victims(scenario: &Scenario, stations: &[Station], who: &Who, share: Share, purpose: &str) -> Vec<usize> {
    let mut drawn: Vec<(u64, usize)> = stations
        .iter()
        .enumerate()
        .filter(|(_, station)| station.is(who))
        .map(|(index, station)| (Luck::new(scenario.run.seed, purpose, &station.name).draw(), index))
        .collect();
    drawn.sort_unstable();
    let count = usize::try_from(share.of(drawn.len() as u64)).unwrap_or(usize::MAX).max(usize::from(share != Share::NONE));
    let mut victims: Vec<usize> = drawn.into_iter().take(count).map(|(_, index)| index).collect();
    victims.sort_unstable();
    victims
}

/// All stations: groups in the order of the file, then requesters.
#[must_use]
pub fn stations(scenario: &Scenario) -> Vec<Station> {
    let mut stations = Vec::new();
    let mut subnet = 0;
    for (index, group) in scenario.groups.iter().enumerate() {
        let mut region = Region::Europe;
        for number in 0..group.count {
            let name = format!("{}-{number}", group.name);
            let mut luck = Luck::new(scenario.run.seed, "station", &name);
            let (own, (nat, boxes)) = (place(&scenario.network, group.region, &mut luck), boxes(scenario, &group.nat, &mut luck));
            let joins = group.join.at.0 + group.join.within.0 * u64::from(number) / u64::from(group.count.max(1));
            let host = number % group.per_subnet.max(1);
            if host == 0 {
                // A subnet is in one place.
                (subnet, region) = (subnet + 1, own);
            }
            stations.push(Station {
                origin: Origin::Group { group: index, name: group.name.to_string(), byzantine: group.byzantine.clone() },
                region,
                up: group.up,
                down: group.down,
                last_mile: group.last_mile,
                nat,
                boxes,
                firewall: group.firewall,
                public: address(subnet, host),
                ipv6: luck.happens(scenario.network.ipv6.get()).then(|| address_v6(subnet, host)),
                roles: group.roles.iter().copied().collect(),
                starts: Span(joins),
                cpu: group.cpu,
                capacity: group.capacity,
                name,
            });
        }
    }
    for (index, requester) in scenario.requesters.iter().enumerate() {
        for number in 0..requester.keys {
            let name = format!("{}-{number}", requester.name);
            let mut luck = Luck::new(scenario.run.seed, "station", &name);
            subnet += 1;
            stations.push(Station {
                origin: Origin::Requester { requester: index, name: requester.name.to_string(), byzantine: requester.byzantine.clone() },
                region: place(&scenario.network, requester.region, &mut luck),
                up: requester.up,
                down: requester.down,
                last_mile: Span(2),
                nat: NatKind::None.name().into(),
                boxes: Vec::new(),
                firewall: Firewall::None,
                public: address(subnet, 0),
                ipv6: luck.happens(scenario.network.ipv6.get()).then(|| address_v6(subnet, 0)),
                roles: Vec::new(),
                starts: Span(0),
                cpu: Share::ALL,
                capacity: 0,
                name,
            });
        }
    }
    stations
}

/// Where `place` is, if luck has to say.
pub(crate) fn place(network: &Network, place: Place, luck: &mut Luck) -> Region {
    let (regions, weights): (Vec<Region>, Vec<u64>) = network.regions.iter().map(|(region, weight)| (*region, u64::from(*weight))).unzip();
    // The draw is made in any case: a region written instead of "weighted" changes nothing else about the station.
    let drawn = luck.pick(&weights).and_then(|index| regions.get(index).copied()).unwrap_or(Region::Europe);
    match place {
        Place::Weighted => drawn,
        Place::In(region) => region,
    }
}

fn boxes(scenario: &Scenario, mix: &NatMix, luck: &mut Luck) -> (String, Vec<Behaviour>) {
    let weights: Vec<u64> = mix.0.values().map(|share| u64::from(share.get())).collect();
    let name = luck.pick(&weights).and_then(|index| mix.0.keys().nth(index));
    let Some(name) = name else { return (NatKind::None.name().into(), Vec::new()) };
    let builtin = NatKind::ALL.into_iter().find(|kind| kind.name() == name.as_str()).map(NatKind::boxes);
    (name.to_string(), scenario.nat.get(name).cloned().or(builtin).unwrap_or_default())
}

/// Hosts of one /24 that are used.
pub const HOSTS_PER_SUBNET_MAX: u32 = 200;

/// `45.0.0.0` and up, a /24 for each subnet: they look like anybody's. With 16,000 subnets more than 45/8 the next eights follow.
fn address(subnet: u32, host: u32) -> IpAddr {
    let [_, high, middle, low] = subnet.to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(45 + high, middle, low, u8::try_from(host % HOSTS_PER_SUBNET_MAX).unwrap_or(0) + 1))
}

/// `2a00:…`, a /48 for each subnet.
fn address_v6(subnet: u32, host: u32) -> IpAddr {
    let [high, low] = [subnet >> 16, subnet & 0xffff].map(|part| u16::try_from(part).unwrap_or(0));
    IpAddr::V6(Ipv6Addr::new(0x2a00, high, low, 0, 0, 0, 0, u16::try_from(host).unwrap_or(0) + 1))
}
