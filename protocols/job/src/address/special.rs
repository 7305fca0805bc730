//! The table of special-purpose addresses: what is not a machine on the public internet, and why.
//!
//! Guarantees: an address passes only if it is global unicast and in no special-purpose range; one that carries an IPv4 address inside
//! (mapped, translated, tunnelled) is refused whatever it carries. Deliberately lacks configuration, ports and names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is not one of the public internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecialUse {
    #[error("it means this machine or network")]
    ThisNetwork,
    #[error("it is loopback")]
    Loopback,
    #[error("it is private")]
    Private,
    #[error("it is shared address space of a provider, where clouds keep metadata")]
    Shared,
    #[error("it is link-local")]
    LinkLocal,
    #[error("it is reserved for protocols")]
    Protocol,
    #[error("it is for documentation")]
    Documentation,
    #[error("it is for benchmarks")]
    Benchmark,
    #[error("it is multicast")]
    Multicast,
    #[error("it is reserved")]
    Reserved,
    #[error("it carries an IPv4 address through a tunnel or translator")]
    Translated,
    #[error("it is not global unicast")]
    NotGlobal,
}

/// Refused IPv4 ranges (IANA special-purpose registry, and clouds' habits).
const V4: [(Ipv4Addr, u32, SpecialUse); 18] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, SpecialUse::ThisNetwork),
    (Ipv4Addr::new(10, 0, 0, 0), 8, SpecialUse::Private),
    (Ipv4Addr::new(100, 64, 0, 0), 10, SpecialUse::Shared),
    (Ipv4Addr::new(127, 0, 0, 0), 8, SpecialUse::Loopback),
    (Ipv4Addr::new(169, 254, 0, 0), 16, SpecialUse::LinkLocal),
    (Ipv4Addr::new(172, 16, 0, 0), 12, SpecialUse::Private),
    (Ipv4Addr::new(192, 0, 0, 0), 24, SpecialUse::Protocol),
    (Ipv4Addr::new(192, 0, 2, 0), 24, SpecialUse::Documentation),
    (Ipv4Addr::new(192, 31, 196, 0), 24, SpecialUse::Protocol),
    (Ipv4Addr::new(192, 52, 193, 0), 24, SpecialUse::Protocol),
    (Ipv4Addr::new(192, 88, 99, 0), 24, SpecialUse::Protocol),
    (Ipv4Addr::new(192, 168, 0, 0), 16, SpecialUse::Private),
    (Ipv4Addr::new(192, 175, 48, 0), 24, SpecialUse::Protocol),
    (Ipv4Addr::new(198, 18, 0, 0), 15, SpecialUse::Benchmark),
    (Ipv4Addr::new(198, 51, 100, 0), 24, SpecialUse::Documentation),
    (Ipv4Addr::new(203, 0, 113, 0), 24, SpecialUse::Documentation),
    (Ipv4Addr::new(224, 0, 0, 0), 4, SpecialUse::Multicast),
    (Ipv4Addr::new(240, 0, 0, 0), 4, SpecialUse::Reserved),
];

/// Refused IPv6 ranges, by first match; what is left outside of 2000::/3 is refused too.
const V6: [(Ipv6Addr, u32, SpecialUse); 14] = [
    (Ipv6Addr::UNSPECIFIED, 128, SpecialUse::ThisNetwork),
    (Ipv6Addr::LOCALHOST, 128, SpecialUse::Loopback),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 0), 96, SpecialUse::Translated),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96, SpecialUse::Translated),
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96, SpecialUse::Translated),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48, SpecialUse::Translated),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, SpecialUse::Protocol),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, SpecialUse::Documentation),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, SpecialUse::Translated),
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48, SpecialUse::Protocol),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, SpecialUse::Documentation),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, SpecialUse::Private),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, SpecialUse::LinkLocal),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, SpecialUse::Multicast),
];

/// Whether `ip` is one of the public internet. Of an address that carries an IPv4 address, the reason is the inner one's where it has one.
pub fn judge(ip: IpAddr) -> Result<(), SpecialUse> {
    match ip {
        IpAddr::V4(v4) => judge_v4(v4),
        IpAddr::V6(v6) => match V6.iter().find(|(net, prefix, _)| v6.to_bits() >> (128 - prefix) == net.to_bits() >> (128 - prefix)) {
            Some((_, _, reason)) => Err(carried(v6).and_then(|inner| judge_v4(inner).err()).unwrap_or(*reason)),
            None if v6.to_bits() >> 125 == 1 => Ok(()),
            None => Err(SpecialUse::NotGlobal),
        },
    }
}

/// Whether machines of one room, laboratory or simulator may have `ip`, be it on the public internet or not. None that carries another.
#[must_use]
pub fn may_share_a_room(ip: IpAddr) -> bool {
    use SpecialUse::{Benchmark, Documentation, LinkLocal, Loopback, Private, Shared};
    let carries = matches!(ip, IpAddr::V6(v6) if carried(v6).is_some());
    match judge(ip) {
        Ok(()) => true,
        Err(reason) => !carries && matches!(reason, Loopback | Private | Shared | LinkLocal | Documentation | Benchmark),
    }
}

fn judge_v4(ip: Ipv4Addr) -> Result<(), SpecialUse> {
    let within = |net: Ipv4Addr, prefix: u32| ip.to_bits() >> (32 - prefix) == net.to_bits() >> (32 - prefix);
    V4.iter().find(|(net, prefix, _)| within(*net, *prefix)).map_or(Ok(()), |(_, _, reason)| Err(*reason))
}

/// The IPv4 address inside a mapped, NAT64, 6to4 or Teredo address.
fn carried(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let low = u32::try_from(ip.to_bits() & 0xffff_ffff).ok()?;
    let inner = match ip.segments() {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, ..] => low,
        [0, 0, 0, 0, 0, 0, ..] if low > 1 => low,
        [0x2002, high, next, ..] => u32::from(high) << 16 | u32::from(next),
        [0x2001, 0, ..] => !low,
        _ => return None,
    };
    Some(Ipv4Addr::from_bits(inner))
}
