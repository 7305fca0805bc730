//! Which addresses, names and ports a guest may contact: the table that keeps a volunteer's own network out of reach.
//!
//! Guarantees: an address is allowed only if it is global unicast and in no special-purpose range; addresses that carry an IPv4
//! address inside (mapped, translated, tunnelled) are refused whatever they carry; of a name every candidate must be allowed.
//! Deliberately lacks configuration: the only way around a rule is a socket the builder of the `Outside` named.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use station_protocol::hostcall::FetchError;
use url::{Host, Url};

use super::Outside;

/// Why an address may not be contacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressRefused {
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
    Special,
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
    #[error("it is one of this machine's own")]
    Own,
    #[error("the name belongs to a local network")]
    LocalName,
    #[error("the port is not one for the web")]
    Port,
}

/// Refused IPv4 ranges (IANA special-purpose registry, and clouds' habits).
const V4: [(Ipv4Addr, u32, AddressRefused); 18] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, AddressRefused::ThisNetwork),
    (Ipv4Addr::new(10, 0, 0, 0), 8, AddressRefused::Private),
    (Ipv4Addr::new(100, 64, 0, 0), 10, AddressRefused::Shared),
    (Ipv4Addr::new(127, 0, 0, 0), 8, AddressRefused::Loopback),
    (Ipv4Addr::new(169, 254, 0, 0), 16, AddressRefused::LinkLocal),
    (Ipv4Addr::new(172, 16, 0, 0), 12, AddressRefused::Private),
    (Ipv4Addr::new(192, 0, 0, 0), 24, AddressRefused::Special),
    (Ipv4Addr::new(192, 0, 2, 0), 24, AddressRefused::Documentation),
    (Ipv4Addr::new(192, 31, 196, 0), 24, AddressRefused::Special),
    (Ipv4Addr::new(192, 52, 193, 0), 24, AddressRefused::Special),
    (Ipv4Addr::new(192, 88, 99, 0), 24, AddressRefused::Special),
    (Ipv4Addr::new(192, 168, 0, 0), 16, AddressRefused::Private),
    (Ipv4Addr::new(192, 175, 48, 0), 24, AddressRefused::Special),
    (Ipv4Addr::new(198, 18, 0, 0), 15, AddressRefused::Benchmark),
    (Ipv4Addr::new(198, 51, 100, 0), 24, AddressRefused::Documentation),
    (Ipv4Addr::new(203, 0, 113, 0), 24, AddressRefused::Documentation),
    (Ipv4Addr::new(224, 0, 0, 0), 4, AddressRefused::Multicast),
    (Ipv4Addr::new(240, 0, 0, 0), 4, AddressRefused::Reserved),
];

/// Refused IPv6 ranges, by first match; what is left outside of 2000::/3 is refused too.
const V6: [(Ipv6Addr, u32, AddressRefused); 13] = [
    (Ipv6Addr::UNSPECIFIED, 128, AddressRefused::ThisNetwork),
    (Ipv6Addr::LOCALHOST, 128, AddressRefused::Loopback),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 0), 96, AddressRefused::Translated),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96, AddressRefused::Translated),
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96, AddressRefused::Translated),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48, AddressRefused::Translated),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, AddressRefused::Special),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, AddressRefused::Documentation),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, AddressRefused::Translated),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, AddressRefused::Documentation),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, AddressRefused::Private),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, AddressRefused::LinkLocal),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, AddressRefused::Multicast),
];

/// Whether a guest may contact `ip`. Of an address that carries an IPv4 address, the reason is the inner one's where it has one.
pub fn judge(ip: IpAddr) -> Result<(), AddressRefused> {
    match ip {
        IpAddr::V4(v4) => judge_v4(v4),
        IpAddr::V6(v6) => match V6.iter().find(|(net, prefix, _)| v6.to_bits() >> (128 - prefix) == net.to_bits() >> (128 - prefix)) {
            Some((_, _, reason)) => Err(carried(v6).and_then(|inner| judge_v4(inner).err()).unwrap_or(*reason)),
            None if v6.to_bits() >> 125 == 1 => Ok(()),
            None => Err(AddressRefused::NotGlobal),
        },
    }
}

fn judge_v4(ip: Ipv4Addr) -> Result<(), AddressRefused> {
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

/// Endings of names that belong to a local network or leave the DNS.
const LOCAL_ENDINGS: [&str; 7] = [".local", ".localhost", ".localdomain", ".internal", ".lan", ".home.arpa", ".onion"];

/// Whether a guest may have `name` (lower case) resolved.
pub fn judge_name(name: &str) -> Result<(), AddressRefused> {
    let local = !name.contains('.') || name.is_empty() || LOCAL_ENDINGS.iter().any(|ending| name.ends_with(ending) || name == &ending[1..]);
    if local { Err(AddressRefused::LocalName) } else { Ok(()) }
}

/// Ports on which the web is served; everything else speaks protocols that HTTP text might disturb.
const WEB_PORTS: [u16; 4] = [80, 443, 8080, 8443];

/// Whether a guest may use `port` for HTTP.
pub fn judge_port(port: u16) -> Result<(), AddressRefused> {
    if WEB_PORTS.contains(&port) { Ok(()) } else { Err(AddressRefused::Port) }
}

/// Scheme, host and port of a URL in the `url` crate's canonical form: `0x7f.1` and `2130706433` are 127.0.0.1 here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub https: bool,
    /// Lower case, without brackets or a final dot.
    pub host: String,
    /// When the host is an address.
    pub literal: Option<IpAddr>,
    pub port: u16,
}

impl Origin {
    /// The origin of an `http` or `https` URL without user or password.
    pub fn of(url: &Url) -> Result<Self, FetchError> {
        let https = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(FetchError::BadRequest),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(FetchError::BadRequest);
        }
        let (host, literal) = match url.host().ok_or(FetchError::BadRequest)? {
            Host::Domain(name) => (name.strip_suffix('.').unwrap_or(name).to_owned(), None),
            Host::Ipv4(ip) => (ip.to_string(), Some(ip.into())),
            Host::Ipv6(ip) => (ip.to_string(), Some(ip.into())),
        };
        let port = url.port_or_known_default().filter(|port| *port > 0).ok_or(FetchError::BadRequest)?;
        Ok(Self { https, host, literal, port })
    }

    /// The URL of its root.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.https { "https" } else { "http" };
        match self.literal {
            Some(IpAddr::V6(ip)) => format!("{scheme}://[{ip}]:{}/", self.port),
            _ => format!("{scheme}://{}:{}/", self.host, self.port),
        }
    }
}

/// Addresses tried at most; a name with more is served by any of the first.
pub const CANDIDATES_MAX: usize = 4;

/// Where an origin is, every candidate judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// At least one, to be tried in order.
    pub sockets: Vec<SocketAddr>,
    /// Whether the builder of the `Outside` named them all.
    pub exempt: bool,
}

/// Resolves `origin` once and judges every candidate: one that is refused refuses the whole name.
pub async fn locate(outside: &dyn Outside, origin: &Origin) -> Result<Located, FetchError> {
    let name = if origin.literal.is_some() { Ok(()) } else { judge_name(&origin.host) };
    let form = name.and(judge_port(origin.port));
    if let Err(reason) = form
        && !outside.has_exempt()
    {
        return Err(refused(origin, reason));
    }
    let ips = match origin.literal {
        Some(ip) => vec![ip],
        None => outside.resolve(origin.host.clone()).await.map_err(|_| FetchError::Dns)?,
    };
    if ips.is_empty() {
        return Err(FetchError::Dns);
    }
    let own = outside.interfaces();
    let mut located = Located { sockets: Vec::new(), exempt: true };
    for ip in ips {
        let socket = SocketAddr::new(ip, origin.port);
        if !outside.is_exempt(socket) {
            located.exempt = false;
            let not_own = if own.iter().any(|own| own.to_canonical() == ip.to_canonical()) { Err(AddressRefused::Own) } else { Ok(()) };
            form.and(judge(ip)).and(not_own).map_err(|reason| refused(origin, reason))?;
        }
        located.sockets.push(socket);
    }
    located.sockets.truncate(CANDIDATES_MAX);
    Ok(located)
}

fn refused(origin: &Origin, reason: AddressRefused) -> FetchError {
    tracing::debug!(host = %origin.host, port = origin.port, %reason, "a guest may not contact this");
    FetchError::RefusedAddress
}

#[cfg(test)]
mod tests;
