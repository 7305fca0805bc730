//! Which addresses, names and ports a guest may contact: the rules that keep a volunteer's own network out of reach.
//!
//! Guarantees: an address is allowed only if the table of special-purpose addresses, which is the protocol's, has nothing against it;
//! of a name every candidate must be allowed.
//! Deliberately lacks configuration: the only way around a rule is a socket the builder of the `Outside` named.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use station_protocol::address::special::{self, SpecialUse};
use station_protocol::capability::{Hosts, TargetPattern};
use station_protocol::hostcall::FetchError;
use url::{Host, Url};

use super::trouble::Trouble;
use super::vicinity::Vicinity;

/// Why an address may not be contacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressRefused {
    #[error(transparent)]
    Special(#[from] SpecialUse),
    #[error("it belongs to this machine, its links, its home or its router")]
    Own,
    #[error("it may be this machine's own: the interfaces cannot be listed")]
    Unlisted,
    #[error("the name belongs to a local network")]
    LocalName,
    #[error("the port is none of 80, 443, 8080 and 8443")]
    Port,
}

/// Whether a guest may contact `ip`.
pub fn judge(ip: IpAddr) -> Result<(), AddressRefused> {
    Ok(special::judge(ip)?)
}

/// Endings of names that belong to a local network or leave the DNS.
const LOCAL_ENDINGS: [&str; 7] = [".local", ".localhost", ".localdomain", ".internal", ".lan", ".home.arpa", ".onion"];

/// Whether a guest may have `name` (lower case) resolved.
pub fn judge_name(name: &str) -> Result<(), AddressRefused> {
    let local = !name.contains('.') || name.is_empty() || LOCAL_ENDINGS.iter().any(|ending| name.ends_with(ending) || name == &ending[1..]);
    if local { Err(AddressRefused::LocalName) } else { Ok(()) }
}

/// Ports on which the web is served; everything else speaks protocols that HTTP text might disturb.
pub const WEB_PORTS: [u16; 4] = [80, 443, 8080, 8443];

/// Whether a guest may use `port` for HTTP.
pub fn judge_port(port: u16) -> Result<(), AddressRefused> {
    if WEB_PORTS.contains(&port) { Ok(()) } else { Err(AddressRefused::Port) }
}

/// How much of the internet a target pattern covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breadth {
    /// A host, or the hosts of a domain.
    Narrow,
    /// Every public host, or every one of a top-level domain.
    Wide,
}

/// Whether anything that `pattern` covers can ever be contacted, and how much that is.
pub fn judge_pattern(pattern: &TargetPattern) -> Result<Breadth, AddressRefused> {
    pattern.port().map_or(Ok(()), judge_port)?;
    match pattern.hosts() {
        Hosts::Any => Ok(Breadth::Wide),
        Hosts::Exactly(host) => host.parse().map_or_else(|_| judge_name(host), judge).map(|()| Breadth::Narrow),
        Hosts::Below(domain) => {
            judge_name(&format!("any.{domain}"))?;
            Ok(if domain.contains('.') { Breadth::Narrow } else { Breadth::Wide })
        }
    }
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

/// Addresses of a name that are looked at: no server has more, and an answer may have thousands. What is beyond is not contacted.
pub const ADDRESSES_MAX: usize = 64;
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

/// Judges what can be judged of `origin` before anybody is asked anything: its name or address, and its port. Whether its socket is one
/// that the builder of the `Outside` named, as far as that can be known of a name.
pub fn judge_form(vicinity: &Vicinity, origin: &Origin) -> Result<bool, Trouble> {
    let exempt = origin.literal.is_some_and(|ip| vicinity.outside().is_exempt(SocketAddr::new(ip, origin.port)));
    if exempt {
        return Ok(true);
    }
    let form = match origin.literal {
        Some(ip) => judge(ip).and_then(|()| vicinity.judge([ip])),
        None if vicinity.outside().has_exempt() => return Ok(false),
        None => judge_name(&origin.host),
    };
    form.and(judge_port(origin.port)).map_err(|reason| refused(origin, reason)).map(|()| false)
}

/// Resolves `origin` once and judges every candidate: one that is refused refuses the whole name.
pub async fn locate(vicinity: &Vicinity, origin: &Origin, within: Duration) -> Result<Located, Trouble> {
    judge_form(vicinity, origin)?;
    let outside = vicinity.outside();
    let name = if origin.literal.is_some() { Ok(()) } else { judge_name(&origin.host) };
    let form = name.and(judge_port(origin.port));
    let mut ips = match origin.literal {
        Some(ip) => vec![ip],
        None => outside.resolve(origin.host.clone(), within).await?,
    };
    ips.truncate(ADDRESSES_MAX);
    if ips.is_empty() {
        return Err(Trouble::new(FetchError::Dns, "the name has no address"));
    }
    let mut sockets: Vec<SocketAddr> = ips.into_iter().map(|ip| SocketAddr::new(ip, origin.port)).collect();
    let strange = || sockets.iter().filter(|socket| !outside.is_exempt(**socket)).map(SocketAddr::ip);
    let exempt = strange().next().is_none();
    if !exempt {
        let each = form.and_then(|()| strange().try_for_each(judge));
        each.and_then(|()| vicinity.judge(strange())).map_err(|reason| refused(origin, reason))?;
    }
    sockets.truncate(CANDIDATES_MAX);
    Ok(Located { sockets, exempt })
}

fn refused(origin: &Origin, reason: AddressRefused) -> Trouble {
    tracing::debug!(host = %origin.host, port = origin.port, %reason, "a guest may not contact this");
    Trouble::new(FetchError::RefusedAddress, reason)
}

#[cfg(test)]
mod tests;
