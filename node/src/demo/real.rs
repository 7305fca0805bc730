//! [`GatewayUrl`]: a gateway as people write it, judged before anybody publishes a measurement of it.
//!
//! Guarantees: what passes here is what gateway-check takes as its `gateway`, and stations can ever contact; what does not is told why and
//! what to write. Deliberately lacks the network: whether somebody answers there is measured.

use std::fmt;

use url::Url;

use crate::outside::address::{AddressRefused, Origin, WEB_PORTS, judge, judge_name, judge_port};

/// `https://host[:port]` or `http://host[:port]`, in lower case and without a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayUrl {
    url: String,
    origin: Origin,
}

/// Why a text is no gateway that can be measured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GatewayRefused {
    #[error("{0:?} is no gateway's URL: write it like https://ipfs.io")]
    NoUrl(String),
    #[error("{0:?} has a path, a query or a user, and a gateway is measured by its host: write {1}")]
    More(String, String),
    #[error("{0:?} cannot be measured: stations contact only the ports {ports}", ports = ports())]
    Port(String),
    #[error("{0:?} cannot be measured: {1}. Stations contact public addresses only; for local gateways run the demo without --gateways")]
    Address(String, AddressRefused),
}

/// The ports that can be contacted, as people list them.
#[must_use]
pub fn ports() -> String {
    WEB_PORTS.map(|port| port.to_string()).join(", ")
}

impl GatewayUrl {
    /// Reads what somebody wrote; blanks around it and a final slash are nothing.
    pub fn parse(text: &str) -> Result<Self, GatewayRefused> {
        let text = text.trim();
        let no_url = || GatewayRefused::NoUrl(text.to_owned());
        let parsed = Url::parse(text).map_err(|_| no_url())?;
        let mut bare = parsed.clone();
        let has_user = !parsed.username().is_empty() || parsed.password().is_some();
        if has_user && (bare.set_username("").is_err() || bare.set_password(None).is_err()) {
            return Err(no_url());
        }
        let origin = Origin::of(&bare).map_err(|_| no_url())?;
        let url = bare[..url::Position::AfterPort].to_owned();
        if has_user || parsed.path() != "/" || parsed.query().is_some() || parsed.fragment().is_some() {
            return Err(GatewayRefused::More(text.to_owned(), url));
        }
        judge_port(origin.port).map_err(|_| GatewayRefused::Port(text.to_owned()))?;
        let form = origin.literal.map_or_else(|| judge_name(&origin.host), judge);
        form.map_err(|reason| GatewayRefused::Address(text.to_owned(), reason))?;
        Ok(Self { url, origin })
    }

    /// `host:port`, as policies and needs name it.
    #[must_use]
    pub fn target(&self) -> String {
        let Origin { host, port, literal, .. } = &self.origin;
        if literal.is_some_and(|ip| ip.is_ipv6()) { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

impl fmt::Display for GatewayUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

#[cfg(test)]
mod tests;
