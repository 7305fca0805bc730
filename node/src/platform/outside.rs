//! The real [`Outside`]: the system's resolver, TCP, and this machine's interfaces.
//!
//! Guarantees: `connect` goes to exactly the address it is given. Deliberately lacks every rule: which addresses a guest may
//! contact is decided above, in `outside::address`.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};

use futures::future::BoxFuture;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ResolveHosts, ResolverOpts};
use if_addrs::IfAddr;
use tokio::net::TcpStream;

use crate::outside::vicinity::Interface;
use crate::outside::{Outside, ResolveError, Stream};

/// Answers that the resolver remembers: more names than its jobs ask in a minute. An answer may be 64 KiB with thousands of addresses, so
/// that all of them take some 40 MB at the worst.
const ANSWERS_CACHED_MAX: u64 = 64;

/// The world as this machine sees it.
pub struct RealOutside {
    /// None when the machine's resolver configuration cannot be read: then only addresses can be contacted.
    resolver: Option<TokioResolver>,
    exempt: BTreeSet<SocketAddr>,
}

impl std::fmt::Debug for RealOutside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RealOutside").field("exempt", &self.exempt).finish_non_exhaustive()
    }
}

impl RealOutside {
    /// The world with `exempt` as the only loopback or private sockets that may be reached. A station that serves others has none.
    #[must_use]
    pub fn new(exempt: BTreeSet<SocketAddr>) -> Self {
        let resolver = TokioResolver::builder_tokio().and_then(|mut builder| {
            modest(builder.options_mut());
            builder.build()
        });
        if let Err(error) = &resolver {
            tracing::warn!(%error, "no resolver: names cannot be looked up");
        }
        Self { resolver: resolver.ok(), exempt }
    }
}

/// The options of a resolver that strangers have questions for.
fn modest(options: &mut ResolverOpts) {
    // The machine's own table of hosts says nothing of the world, and may name what only the operator should reach.
    options.use_hosts_file = ResolveHosts::Never;
    options.cache_size = ANSWERS_CACHED_MAX;
}

impl Outside for RealOutside {
    fn resolve(&self, name: String) -> BoxFuture<'static, Result<Vec<IpAddr>, ResolveError>> {
        let resolver = self.resolver.clone();
        Box::pin(async move {
            let resolver = resolver.ok_or(ResolveError::NoAnswer)?;
            // The final dot keeps the machine's search domains out: a guest's name means the same on every station.
            let found = resolver.lookup_ip(format!("{name}.")).await;
            let found = found.map_err(|error| if error.is_no_records_found() { ResolveError::NoSuchName } else { ResolveError::NoAnswer })?;
            Ok(found.iter().collect())
        })
    }

    fn connect(&self, to: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Stream>>> {
        Box::pin(async move {
            let stream = TcpStream::connect(to).await?;
            // A request is one small write: waiting to fill a segment would be timed as the server's slowness.
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }

    fn interfaces(&self) -> io::Result<Vec<Interface>> {
        let prefix = |addr: &IfAddr| match addr {
            IfAddr::V4(v4) => v4.prefixlen,
            IfAddr::V6(v6) => v6.prefixlen,
        };
        Ok(if_addrs::get_if_addrs()?.iter().map(|interface| Interface { ip: interface.ip(), prefix: prefix(&interface.addr) }).collect())
    }

    fn is_exempt(&self, to: SocketAddr) -> bool {
        self.exempt.contains(&to)
    }

    fn has_exempt(&self) -> bool {
        !self.exempt.is_empty()
    }
}

#[cfg(test)]
mod tests;
