//! The simulator's transport: `/ip4/…/tcp/…` and `/ip6/…/tcp/…` over the [`Fabric`], as the node expects it below its relay client.
//!
//! Guarantees: a connection has the addresses of both ends, as boxes on the way show them; [`dial`] is the way there. Deliberately
//! lacks DNS names, QUIC, and an opinion about keys: noise (full) or the plaintext handshake (fast) is libp2p's own.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use futures::future::{BoxFuture, Ready, ready};
use futures::{AsyncRead, AsyncWrite, FutureExt};
use libp2p::core::Transport;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{Boxed, DialOpts, ListenerId, PortUse, TransportError, TransportEvent};
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId, noise, plaintext, yamux};

use super::fabric::pipe::Pipe;
use super::fabric::{Accept, Arriving, Fabric, NodeIndex, Place, lock};
use super::nat::routes::NetworkId;
use crate::scenario::Fidelity;
use counted::Counting;

pub mod counted;
mod dial;
#[cfg(test)]
mod tests;

/// The first port that the system hands out by itself.
const EPHEMERAL: u16 = 32_768;
/// Connections that wait to be accepted, as with `listen`'s usual backlog.
const BACKLOG_MAX: usize = 1_024;

/// One end of a connection.
pub struct Wire {
    fabric: Arc<Fabric>,
    out: Arc<Pipe>,
    back: Arc<Pipe>,
}

/// One machine's sockets: listening ones by address, and what arrived at them.
struct Host {
    fabric: Arc<Fabric>,
    node: NodeIndex,
    /// One per family of addresses at most.
    places: Vec<Place>,
    ports: AtomicU16,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    listeners: BTreeMap<SocketAddr, ListenerId>,
    news: VecDeque<TransportEvent<Ready<io::Result<Wire>>, io::Error>>,
    waker: Option<Waker>,
}

/// The sockets of one station. Dropping it closes what listens.
pub struct SimTransport {
    host: Arc<Host>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("out", &self.out).finish_non_exhaustive()
    }
}

impl fmt::Debug for SimTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimTransport").field("node", &self.host.node).field("places", &self.host.places).finish_non_exhaustive()
    }
}

/// What a station gets: authenticated and multiplexed connections from its `places`.
pub fn build(
    fabric: &Arc<Fabric>,
    node: NodeIndex,
    places: &[Place],
    keypair: &Keypair,
    fidelity: Fidelity,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, noise::Error> {
    let counts = fabric.counts().clone();
    let wires = SimTransport::new(fabric, node, places).upgrade(Version::V1Lazy);
    Ok(match fidelity {
        Fidelity::Full => wires
            .authenticate(noise::Config::new(keypair)?)
            .multiplex(yamux::Config::default())
            .map(move |(peer, muxer), _| (peer, StreamMuxerBox::new(Counting::new(muxer, counts))))
            .boxed(),
        Fidelity::Fast => wires
            .authenticate(plaintext::Config::new(keypair))
            .multiplex(yamux::Config::default())
            .map(move |(peer, muxer), _| (peer, StreamMuxerBox::new(Counting::new(muxer, counts))))
            .boxed(),
    })
}

impl SimTransport {
    /// The sockets of `node`, whose machine has these addresses.
    #[must_use]
    pub fn new(fabric: &Arc<Fabric>, node: NodeIndex, places: &[Place]) -> Self {
        let host = Host { fabric: fabric.clone(), node, places: places.to_vec(), ports: AtomicU16::new(EPHEMERAL), inner: Mutex::default() };
        Self { host: Arc::new(host) }
    }
}

impl Drop for SimTransport {
    fn drop(&mut self) {
        let inner = std::mem::take(&mut *lock(&self.host.inner));
        for at in inner.listeners.keys() {
            self.host.close(*at);
        }
    }
}

impl Accept for Host {
    fn accept(&self, arriving: Arriving) -> bool {
        let mut inner = lock(&self.inner);
        let Some(listener_id) = inner.listeners.get(&arriving.at).copied().filter(|_| inner.news.len() < BACKLOG_MAX) else { return false };
        inner.news.push_back(TransportEvent::Incoming {
            listener_id,
            local_addr: multiaddr(arriving.at),
            send_back_addr: multiaddr(arriving.from),
            upgrade: ready(Ok(arriving.stream)),
        });
        let waker = inner.waker.take();
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }
}

impl Host {
    /// The network in which it has an address of the same family.
    fn network(&self, ip: IpAddr) -> Option<NetworkId> {
        self.place(ip).map(|place| place.network)
    }

    fn place(&self, like: IpAddr) -> Option<Place> {
        self.places.iter().find(|place| place.ip.is_ipv4() == like.is_ipv4()).copied()
    }

    fn ephemeral(&self) -> u16 {
        self.ports.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |port| Some(port.checked_add(1).unwrap_or(EPHEMERAL))).unwrap_or(EPHEMERAL)
    }

    /// What a dial to `to` leaves from: the listening port when it may be shared, so that others see where we can be reached.
    fn source(&self, to: SocketAddr, port_use: PortUse) -> io::Result<SocketAddr> {
        let Some(place) = self.place(to.ip()) else { return Err(io::ErrorKind::NetworkUnreachable.into()) };
        let listening = lock(&self.inner).listeners.keys().find(|at| at.ip() == place.ip).copied();
        Ok(match listening {
            Some(at) if port_use == PortUse::Reuse => at,
            _ => SocketAddr::new(place.ip, self.ephemeral()),
        })
    }

    fn close(&self, at: SocketAddr) {
        if let Some(network) = self.network(at.ip()) {
            self.fabric.close(network, at);
        }
    }
}

impl Transport for SimTransport {
    type Output = Wire;
    type Error = io::Error;
    type ListenerUpgrade = Ready<io::Result<Wire>>;
    type Dial = BoxFuture<'static, io::Result<Wire>>;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<io::Error>> {
        let Some(at) = socket_of(&address) else { return Err(TransportError::MultiaddrNotSupported(address)) };
        let place = self.host.place(at.ip()).filter(|place| at.ip().is_unspecified() || at.ip() == place.ip);
        let Some(Place { network, ip }) = place else { return Err(TransportError::Other(io::ErrorKind::AddrNotAvailable.into())) };
        let at = SocketAddr::new(ip, at.port());
        if !self.host.fabric.listen(network, at, self.host.node, self.host.clone()) {
            return Err(TransportError::Other(io::ErrorKind::AddrInUse.into()));
        }
        let mut inner = lock(&self.host.inner);
        inner.listeners.insert(at, id);
        inner.news.push_back(TransportEvent::NewAddress { listener_id: id, listen_addr: multiaddr(at) });
        let waker = inner.waker.take();
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        let mut inner = lock(&self.host.inner);
        let Some(at) = inner.listeners.iter().find(|(_, known)| **known == id).map(|(at, _)| *at) else { return false };
        inner.listeners.remove(&at);
        inner.news.push_back(TransportEvent::AddressExpired { listener_id: id, listen_addr: multiaddr(at) });
        inner.news.push_back(TransportEvent::ListenerClosed { listener_id: id, reason: Ok(()) });
        drop(inner);
        self.host.close(at);
        true
    }

    fn dial(&mut self, address: Multiaddr, options: DialOpts) -> Result<Self::Dial, TransportError<io::Error>> {
        let Some(to) = socket_of(&address).filter(|to| to.port() != 0 && !to.ip().is_unspecified()) else {
            return Err(TransportError::MultiaddrNotSupported(address));
        };
        let host = self.host.clone();
        let port_use = options.port_use;
        Ok(async move {
            let from = host.source(to, port_use)?;
            dial::connect(host, from, to).await
        }
        .boxed())
    }

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<TransportEvent<Self::ListenerUpgrade, io::Error>> {
        let mut inner = lock(&self.host.inner);
        if let Some(news) = inner.news.pop_front() {
            return Poll::Ready(news);
        }
        let old = inner.waker.replace(context.waker().clone());
        drop(inner);
        drop(old);
        Poll::Pending
    }
}

impl Wire {
    fn new(fabric: &Arc<Fabric>, out: &Arc<Pipe>, back: &Arc<Pipe>) -> Self {
        Self { fabric: fabric.clone(), out: out.clone(), back: back.clone() }
    }
}

impl Drop for Wire {
    /// As when the system closes the socket of a process that ended.
    fn drop(&mut self) {
        self.out.finish(&self.fabric);
        self.back.abandon(&self.fabric);
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        self.back.poll_read(&self.fabric, context, into).map(Ok)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.out.poll_write(&self.fabric, context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.out.finish(&self.fabric);
        Poll::Ready(Ok(()))
    }
}

/// `/ip4/…/tcp/…`, with or without a peer at its end.
fn socket_of(address: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = address.iter();
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => IpAddr::V4(ip),
        Protocol::Ip6(ip) => IpAddr::V6(ip),
        _ => return None,
    };
    let Protocol::Tcp(port) = parts.next()? else { return None };
    parts.all(|part| matches!(part, Protocol::P2p(_))).then_some(SocketAddr::new(ip, port))
}

fn multiaddr(at: SocketAddr) -> Multiaddr {
    Multiaddr::from(at.ip()).with(Protocol::Tcp(at.port()))
}
