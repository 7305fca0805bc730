//! The real [`Outside`]: the system's resolver, TCP, and this machine's interfaces.
//!
//! Guarantees: `connect` goes to exactly the address it is given. Deliberately lacks every rule: which addresses a guest may
//! contact is decided above, in `outside::address`.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use if_addrs::IfAddr;
use tokio::net::TcpStream;

use super::names::{Names, System};
use crate::outside::vicinity::Interface;
use crate::outside::{Outside, ResolveError, Stream};

/// The world as this machine sees it.
pub struct RealOutside {
    names: Arc<Names>,
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
        Self { names: Arc::new(Names::new(System)), exempt }
    }
}

impl Outside for RealOutside {
    fn resolve(&self, name: String, within: Duration) -> BoxFuture<'static, Result<Vec<IpAddr>, ResolveError>> {
        let names = self.names.clone();
        Box::pin(async move { names.addresses(&name, within).await })
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
