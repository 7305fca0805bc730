//! How a NAT box behaves, and the boxes people have at home, by name.
//!
//! Guarantees: mapping and filtering are chosen independently, as RFC 4787 describes them. Deliberately lacks shares: how many homes
//! have which box is a scenario's statement, not ours.

use serde::{Deserialize, Serialize};
use station_protocol::human::Span;

/// On what of the remote end a mapping, or the permission to come in, depends (RFC 4787, sections 4.1 and 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Depends {
    /// Endpoint-independent.
    Nothing,
    Address,
    AddressAndPort,
}

impl Depends {
    pub const ALL: [Self; 3] = [Self::Nothing, Self::Address, Self::AddressAndPort];
}

/// Which external port a new mapping gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ports {
    /// The internal one when it is free, else the one after the last that was given out.
    Preserved,
    /// One after the other, starting at a random one.
    Sequential,
    Random,
}

/// What becomes of a packet that nobody asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unsolicited {
    /// Silence.
    #[default]
    Dropped,
    /// TCP: a reset goes back, which ends a simultaneous open that came too early. Datagrams: silence.
    Reset,
}

/// A NAT box.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Behaviour {
    pub mapping: Depends,
    pub filtering: Depends,
    #[serde(default = "preserved")]
    pub ports: Ports,
    /// Whether two hosts behind the box reach each other through its external address.
    #[serde(default)]
    pub hairpin: bool,
    #[serde(default)]
    pub unsolicited: Unsolicited,
    /// A datagram mapping ends so long after the last packet that went out (RFC 4787, REQ-5 and REQ-6).
    #[serde(default = "udp_timeout")]
    pub udp_timeout: Span,
    /// A connection ends so long after its last packet that went out (RFC 5382, REQ-5).
    #[serde(default = "tcp_timeout")]
    pub tcp_timeout: Span,
}

const fn preserved() -> Ports {
    Ports::Preserved
}

/// RFC 4787, REQ-5: not less than two minutes.
const fn udp_timeout() -> Span {
    Span(120_000)
}

/// RFC 5382, REQ-5: not less than 2 hours 4 minutes.
const fn tcp_timeout() -> Span {
    Span(7_440_000)
}

impl Behaviour {
    /// This mapping and filtering, ports preserved, no hairpin, silent, the RFCs' least time-outs.
    #[must_use]
    pub const fn new(mapping: Depends, filtering: Depends) -> Self {
        Self {
            mapping,
            filtering,
            ports: Ports::Preserved,
            hairpin: false,
            unsolicited: Unsolicited::Dropped,
            udp_timeout: udp_timeout(),
            tcp_timeout: tcp_timeout(),
        }
    }
}

/// What stands between a station and the internet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NatKind {
    /// A public address.
    #[default]
    None,
    FullCone,
    AddressRestricted,
    PortRestricted,
    /// Mapping per remote address.
    AddressDependent,
    /// Mapping per remote address and port, ports counted up.
    SymmetricSequential,
    /// Mapping per remote address and port, ports at random.
    Symmetric,
    /// A port-restricted box at home behind a port-restricted one of the provider, which several homes share.
    Cgnat,
    /// A port-restricted box at home behind a symmetric one of the provider.
    CgnatSymmetric,
}

impl NatKind {
    pub const ALL: [Self; 9] = [
        Self::None,
        Self::FullCone,
        Self::AddressRestricted,
        Self::PortRestricted,
        Self::AddressDependent,
        Self::SymmetricSequential,
        Self::Symmetric,
        Self::Cgnat,
        Self::CgnatSymmetric,
    ];

    /// As it is written in scenarios.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::FullCone => "full_cone",
            Self::AddressRestricted => "address_restricted",
            Self::PortRestricted => "port_restricted",
            Self::AddressDependent => "address_dependent",
            Self::SymmetricSequential => "symmetric_sequential",
            Self::Symmetric => "symmetric",
            Self::Cgnat => "cgnat",
            Self::CgnatSymmetric => "cgnat_symmetric",
        }
    }

    /// The boxes from the station outwards: none, the one at home, or the one at home and the provider's.
    #[must_use]
    pub fn boxes(self) -> Vec<Behaviour> {
        use Depends::{Address, AddressAndPort, Nothing};
        let port_restricted = Behaviour::new(Nothing, AddressAndPort);
        let symmetric = Behaviour { ports: Ports::Random, ..Behaviour::new(AddressAndPort, AddressAndPort) };
        match self {
            Self::None => vec![],
            Self::FullCone => vec![Behaviour::new(Nothing, Nothing)],
            Self::AddressRestricted => vec![Behaviour::new(Nothing, Address)],
            Self::PortRestricted => vec![port_restricted],
            Self::AddressDependent => vec![Behaviour { ports: Ports::Random, ..Behaviour::new(Address, AddressAndPort) }],
            Self::SymmetricSequential => vec![Behaviour { ports: Ports::Sequential, ..symmetric }],
            Self::Symmetric => vec![symmetric],
            Self::Cgnat => vec![port_restricted, port_restricted],
            Self::CgnatSymmetric => vec![port_restricted, symmetric],
        }
    }
}
