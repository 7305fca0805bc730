//! [`Nowhere`]: the world outside the mesh, where nothing is.
//!
//! Guarantees: no name resolves and no address answers. Deliberately lacks servers: modelled jobs make no host calls.

use std::io;
use std::net::{IpAddr, SocketAddr};

use futures::FutureExt;
use futures::future::BoxFuture;
use station_node::outside::{Outside, ResolveError, Stream};

#[derive(Clone, Copy, Debug)]
pub struct Nowhere {
    pub own: IpAddr,
}

impl Outside for Nowhere {
    fn resolve(&self, _: String) -> BoxFuture<'static, Result<Vec<IpAddr>, ResolveError>> {
        async { Err(ResolveError::NoSuchName) }.boxed()
    }

    fn connect(&self, _: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Stream>>> {
        async { Err(io::ErrorKind::HostUnreachable.into()) }.boxed()
    }

    fn interfaces(&self) -> Vec<IpAddr> {
        vec![self.own]
    }

    fn is_exempt(&self, _: SocketAddr) -> bool {
        false
    }

    fn has_exempt(&self) -> bool {
        false
    }
}
