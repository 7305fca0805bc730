//! [`Capability`]: a host-call family, and the [`TargetPattern`]s it is granted for.
//!
//! Guarantees: a pattern is parsed once and matching is total. Deliberately lacks addresses: whether the address behind a name may
//! be contacted is the node's address table, applied to every resolution.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};

/// A family of host calls. Unknown families in an experiment make it one this station cannot serve, not a malformed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Capability {
    /// `http.fetch`.
    Http,
}

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
pub type Needs = BTreeMap<Capability, crate::bounded::List<TargetPattern, PATTERNS_MAX>>;

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

/// The text is not a target pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a target: write a host, *.domain or *, and perhaps :port")]
pub struct PatternError(pub String);

/// Longest host name by DNS.
const HOST_BYTES_MAX: usize = 253;

impl TargetPattern {
    /// Whether `host` (lower case, without brackets) on `port` is covered.
    #[must_use]
    pub fn covers(&self, host: &str, port: u16) -> bool {
        self.port.is_none_or(|own| own == port)
            && match &self.host {
                HostPattern::Any => true,
                HostPattern::Exactly(own) => own == host,
                HostPattern::Below(domain) => host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
            }
    }

    /// Whether everything that `other` covers is covered by `self`.
    #[must_use]
    pub fn includes(&self, other: &Self) -> bool {
        let ports = self.port.is_none() || self.port == other.port;
        ports
            && match (&self.host, &other.host) {
                (HostPattern::Any, _) => true,
                (_, HostPattern::Any) => false,
                (HostPattern::Exactly(own), HostPattern::Exactly(host)) => own == host,
                (HostPattern::Exactly(_), HostPattern::Below(_)) => false,
                (HostPattern::Below(own), HostPattern::Exactly(host)) => {
                    host.strip_suffix(own.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
                }
                (HostPattern::Below(own), HostPattern::Below(domain)) => {
                    own == domain || domain.strip_suffix(own.as_str()).is_some_and(|rest| rest.ends_with('.'))
                }
            }
    }
}

impl FromStr for TargetPattern {
    type Err = PatternError;
    fn from_str(text: &str) -> Result<Self, PatternError> {
        let bad = || PatternError(text.chars().take(80).collect());
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or_else(bad)?;
                host.parse::<std::net::Ipv6Addr>().map_err(|_| bad())?;
                (host, after.strip_prefix(':').or(if after.is_empty() { None } else { return Err(bad()) }))
            }
            None => match text.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = port.map(|port| port.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(bad)).transpose()?;
        let name_is_good = |name: &str| {
            !name.is_empty()
                && name.len() <= HOST_BYTES_MAX
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'_' | b':'))
                && !name.starts_with('.')
        };
        let host = match host {
            "*" => HostPattern::Any,
            _ => match host.strip_prefix("*.") {
                Some(domain) if name_is_good(domain) => HostPattern::Below(domain.to_owned()),
                None if name_is_good(host) => HostPattern::Exactly(host.to_owned()),
                _ => return Err(bad()),
            },
        };
        Ok(Self { host, port })
    }
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

impl<'de> Deserialize<'de> for TargetPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}
