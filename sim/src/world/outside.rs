//! [`Door`]: one station's way out of the mesh, to the simulated internet.
//!
//! Guarantees: a name resolves and a connection opens after the way there and back; what nobody serves, nobody answers. Deliberately
//! lacks every rule: which addresses a guest may contact is decided above, in the node.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use station_node::outside::vicinity::Interface;
use station_node::outside::{Outside, ResolveError, Stream};
use station_protocol::NodeId;
use tokio::time::sleep;

use super::internet::server::{Downlink, WINDOW_BYTES, Wire, serve};
use super::internet::{Asker, Internet};
use crate::net::fabric::{Access, NodeIndex, Place};
use crate::scenario::work::Conduct;

/// Where a host listens: without TLS, whose certificates nobody would believe.
const PORT: u16 = 80;

#[derive(Clone, Debug)]
pub struct Door {
    pub internet: Arc<Internet>,
    pub asker: Asker,
    /// Its machine's addresses.
    pub own: Vec<IpAddr>,
    pub access: Access,
    pub downlink: Arc<Downlink>,
}

impl Door {
    /// The way out of the station `number`, whose key is that of `node`. Must be called within the run's runtime.
    #[must_use]
    pub fn new(internet: Arc<Internet>, number: NodeIndex, node: NodeId, places: &[Place], access: Access) -> Self {
        let downlink = Arc::new(Downlink::new(access.down.0));
        Self { internet, asker: Asker { number, node }, own: places.iter().map(|place| place.ip).collect(), access, downlink }
    }
}

impl Outside for Door {
    fn resolve(&self, name: String, _: Duration) -> BoxFuture<'static, Result<Vec<IpAddr>, ResolveError>> {
        let door = self.clone();
        async move {
            // The resolver is the provider's, in the station's own region.
            sleep(2 * door.internet.way(door.access.region, door.access.last_mile, door.access.region)).await;
            door.internet.named(&name).map(|ip| vec![ip]).ok_or(ResolveError::NoSuchName)
        }
        .boxed()
    }

    fn connect(&self, to: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Stream>>> {
        let door = self.clone();
        async move {
            let Some((place, site)) = door.internet.at(to.ip()) else { return Err(io::ErrorKind::HostUnreachable.into()) };
            let one_way = door.internet.way(door.access.region, door.access.last_mile, site.region);
            sleep(2 * one_way).await;
            if to.port() != PORT || matches!(site.conduct, Conduct::Refuses {}) {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            let (here, there) = tokio::io::duplex(WINDOW_BYTES);
            tokio::spawn(serve(Wire { internet: door.internet, place, asker: door.asker, one_way, downlink: door.downlink }, there));
            Ok(Box::new(here) as Box<dyn Stream>)
        }
        .boxed()
    }

    fn interfaces(&self) -> io::Result<Vec<Interface>> {
        Ok(self.own.iter().map(|ip| Interface { ip: *ip, prefix: if ip.is_ipv4() { 32 } else { 128 } }).collect())
    }

    fn is_exempt(&self, _: SocketAddr) -> bool {
        false
    }

    fn has_exempt(&self) -> bool {
        false
    }
}
