//! [`Capability`]: a host-call family, and the [`TargetPattern`]s it is granted for.
//!
//! Guarantees: a pattern is parsed once, has one text, and matching is total. Deliberately lacks addresses: whether the address behind a name may
//! be contacted is the node's address table, applied to every resolution.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};

use crate::bounded::List;

#[cfg(test)]
mod tests;

/// A family of host calls. Unknown families in an experiment make it one this station cannot serve, not a malformed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Capability {
    /// `http.fetch`.
    Http,
}

impl FromStr for Capability {
    type Err = UnknownCapability;
    fn from_str(text: &str) -> Result<Self, UnknownCapability> {
        match text {
            "http" => Ok(Self::Http),
            _ => Err(UnknownCapability(text.chars().take(80).collect())),
        }
    }
}

/// The text is not a capability that this version knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a capability: write http")]
pub struct UnknownCapability(pub String);

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
        })
    }
}

/// Most patterns per capability: an experiment with more targets names their domain, and a Call must fit 4 KiB.
pub const PATTERNS_MAX: usize = 32;

/// What an experiment needs: capabilities with the targets it will use them on. Nothing else is granted.
pub type Needs = BTreeMap<Capability, List<TargetPattern, PATTERNS_MAX>>;

/// A host, `*.domain`, or `*`, with an optional port: `*.ipfs.io:443`, `127.0.0.1:8080`, `[2001:db8::1]`.
///
/// `*.d` matches names below `d`, not `d` itself. Without a port every port that the capability allows matches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TargetPattern {
    host: HostPattern,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum HostPattern {
    Any,
    Exactly(String),
    Below(String),
}

/// The hosts that a pattern names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hosts<'a> {
    Any,
    /// This name or address.
    Exactly(&'a str),
    /// All names below this domain.
    Below(&'a str),
}

/// The text is not a target pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a target: write a host, *.domain or *, and perhaps :port")]
pub struct PatternError(pub String);

/// Longest host name by DNS.
const HOST_BYTES_MAX: usize = 253;

impl TargetPattern {
    /// A pattern as people write it in files and commands, where hosts are the same in either case. The wire has one spelling, which
    /// [`FromStr`] reads.
    pub fn written(text: &str) -> Result<Self, PatternError> {
        text.to_ascii_lowercase().parse()
    }

    /// Whether `host` (lower case, without brackets) on `port` is covered.
    #[must_use]
    pub fn covers(&self, host: &str, port: u16) -> bool {
        self.port.is_none_or(|own| own == port) && self.host.covers(host)
    }

    #[must_use]
    pub fn hosts(&self) -> Hosts<'_> {
        match &self.host {
            HostPattern::Any => Hosts::Any,
            HostPattern::Exactly(host) => Hosts::Exactly(host),
            HostPattern::Below(domain) => Hosts::Below(domain),
        }
    }

    /// Nothing where every port is meant that the capability allows.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whether everything that `other` covers is covered by `self`.
    #[must_use]
    pub fn includes(&self, other: &Self) -> bool {
        (self.port.is_none() || self.port == other.port) && self.host.includes(&other.host)
    }

    /// What `self` allows of `need`, where it allows all of its hosts: a need that names no port gets the port allowed.
    #[must_use]
    pub fn narrow(&self, need: &Self) -> Option<Self> {
        let port = match (self.port, need.port) {
            (None, port) | (port, None) => port,
            (Some(own), Some(port)) => (own == port).then_some(Some(own))?,
        };
        self.host.includes(&need.host).then(|| Self { host: need.host.clone(), port })
    }
}

impl HostPattern {
    fn covers(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(own) => own == host,
            Self::Below(domain) => is_below(host, domain),
        }
    }

    fn includes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (_, Self::Any) | (Self::Exactly(_), Self::Below(_)) => false,
            (_, Self::Exactly(host)) => self.covers(host),
            (Self::Below(own), Self::Below(domain)) => own == domain || is_below(domain, own),
        }
    }
}

fn is_below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
}

impl FromStr for TargetPattern {
    type Err = PatternError;
    fn from_str(text: &str) -> Result<Self, PatternError> {
        let bad = || PatternError(text.chars().take(80).collect());
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or_else(bad)?;
                let address: std::net::Ipv6Addr = host.parse().map_err(|_| bad())?;
                let port = if after.is_empty() { None } else { Some(after.strip_prefix(':').ok_or_else(bad)?) };
                (HostPattern::Exactly(address.to_string()), port)
            }
            None => {
                let (host, port) = text.rsplit_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
                let host = match (host, host.strip_prefix("*.")) {
                    ("*", _) => HostPattern::Any,
                    (_, Some(domain)) if is_name(domain) => HostPattern::Below(domain.to_owned()),
                    (_, None) if is_name(host) => HostPattern::Exactly(host.to_owned()),
                    _ => return Err(bad()),
                };
                (host, port)
            }
        };
        let number = |port: &str| port.parse::<u16>().ok().filter(|number| *number > 0 && number.to_string() == port);
        let port = port.map(|port| number(port).ok_or_else(bad)).transpose()?;
        Ok(Self { host, port })
    }
}

/// A DNS name or IPv4 address as a connection would name it: lower case, no dot at either end.
fn is_name(host: &str) -> bool {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'_');
    !host.is_empty() && host.len() <= HOST_BYTES_MAX && host.bytes().all(good) && !host.starts_with('.') && !host.ends_with('.')
}

impl fmt::Display for TargetPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            HostPattern::Any => f.write_str("*")?,
            HostPattern::Below(domain) => write!(f, "*.{domain}")?,
            HostPattern::Exactly(host) if host.contains(':') => write!(f, "[{host}]")?,
            HostPattern::Exactly(host) => f.write_str(host)?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl Serialize for TargetPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A pattern in a file, as [`TargetPattern::written`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written(pub(crate) TargetPattern);

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        TargetPattern::written(&String::deserialize(deserializer)?).map(Self).map_err(de::Error::custom)
    }
}

/// The `[needs]` of a file.
pub(crate) fn written_needs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Needs, D::Error> {
    let written = BTreeMap::<Capability, List<Written, PATTERNS_MAX>>::deserialize(deserializer)?;
    Ok(written
        .into_iter()
        .map(|(capability, targets)| (capability, List::first(targets.into_vec().into_iter().map(|Written(target)| target))))
        .collect())
}

/// The targets of one rule in a file.
pub(crate) fn written_targets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<TargetPattern>, D::Error> {
    Ok(Vec::<Written>::deserialize(deserializer)?.into_iter().map(|Written(target)| target).collect())
}

impl<'de> Deserialize<'de> for TargetPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
