//! The simulator's transport: `/ip4/…/tcp/…` and `/ip6/…/tcp/…` over the [`Fabric`], as the node expects it below its relay client.
//!
//! Guarantees: a dial takes the round trip it would take, is refused where the machine is there and the port is closed, and times out
//! where nobody is; a connection has the addresses of both ends. Deliberately lacks DNS names, QUIC, and an opinion about keys: noise
//! (full) or the plaintext handshake (fast) is libp2p's own.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

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
use super::fabric::{Accept, Arriving, Fabric, NodeIndex, lock};
use crate::det::trace::Kind;
use crate::scenario::Fidelity;

#[cfg(test)]
mod tests;

/// Linux gives up after six retransmissions of the first segment.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(127);
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
    ip: IpAddr,
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
        f.debug_struct("SimTransport").field("node", &self.host.node).field("ip", &self.host.ip).finish_non_exhaustive()
    }
}

/// What a station gets: authenticated and multiplexed connections from `ip`.
pub fn build(
    fabric: &Arc<Fabric>,
    node: NodeIndex,
    ip: IpAddr,
    keypair: &Keypair,
    fidelity: Fidelity,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, noise::Error> {
    let wires = SimTransport::new(fabric, node, ip).upgrade(Version::V1Lazy);
    Ok(match fidelity {
        Fidelity::Full => wires
            .authenticate(noise::Config::new(keypair)?)
            .multiplex(yamux::Config::default())
            .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)))
            .boxed(),
        Fidelity::Fast => wires
            .authenticate(plaintext::Config::new(keypair))
            .multiplex(yamux::Config::default())
            .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)))
            .boxed(),
    })
}

impl SimTransport {
    /// The sockets of `node`, whose machine has the address `ip`.
    #[must_use]
    pub fn new(fabric: &Arc<Fabric>, node: NodeIndex, ip: IpAddr) -> Self {
        fabric.settle(ip, node);
        let host = Host { fabric: fabric.clone(), node, ip, ports: AtomicU16::new(EPHEMERAL), inner: Mutex::default() };
        Self { host: Arc::new(host) }
    }
}

impl Drop for SimTransport {
    fn drop(&mut self) {
        let inner = std::mem::take(&mut *lock(&self.host.inner));
        for at in inner.listeners.keys() {
            self.host.fabric.close(*at);
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
    /// The port a dial leaves from: the listening one when it may be shared, so that others see where we can be reached.
    fn source(&self, port_use: PortUse) -> SocketAddr {
        let listening = lock(&self.inner).listeners.keys().next().copied();
        match listening {
            Some(at) if port_use == PortUse::Reuse => at,
            _ => {
                let port = self.ports.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |port| Some(port.checked_add(1).unwrap_or(EPHEMERAL)));
                SocketAddr::new(self.ip, port.unwrap_or(EPHEMERAL))
            }
        }
    }

    /// A handshake with `to`: half a round trip to find out, half to tell.
    async fn connect(self: Arc<Self>, from: SocketAddr, to: SocketAddr) -> io::Result<Wire> {
        let fabric = &self.fabric;
        let Some(home) = fabric.home(to.ip()) else { return Err(timed_out().await) };
        fabric.event(self.node, Kind::Dialled, u64::from(home));
        let Some(there) = fabric.signal(self.node, home) else { return Err(timed_out().await) };
        until(fabric, there).await;
        let Some(socket) = fabric.socket(to) else {
            let Some(back) = fabric.signal(home, self.node) else { return Err(timed_out().await) };
            until(fabric, back).await;
            return Err(io::ErrorKind::ConnectionRefused.into());
        };
        let (node, accept) = socket;
        let [out, back] = fabric.pipes(self.node, node);
        let (ours, theirs) = (Wire::new(fabric, &out, &back), Wire::new(fabric, &back, &out));
        let Some(answered) = fabric.signal(node, self.node) else { return Err(timed_out().await) };
        let accepted = accept.accept(Arriving { stream: theirs, from, at: to });
        if accepted {
            fabric.event(node, Kind::Accepted, u64::from(self.node));
        }
        until(fabric, answered).await;
        if accepted { Ok(ours) } else { Err(io::ErrorKind::ConnectionRefused.into()) }
    }
}

async fn until(fabric: &Fabric, at_ms: u64) {
    tokio::time::sleep(Duration::from_millis(at_ms.saturating_sub(fabric.now_ms()))).await;
}

async fn timed_out() -> io::Error {
    tokio::time::sleep(CONNECT_TIMEOUT).await;
    io::ErrorKind::TimedOut.into()
}

impl Transport for SimTransport {
    type Output = Wire;
    type Error = io::Error;
    type ListenerUpgrade = Ready<io::Result<Wire>>;
    type Dial = BoxFuture<'static, io::Result<Wire>>;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<io::Error>> {
        let Some(at) = socket_of(&address) else { return Err(TransportError::MultiaddrNotSupported(address)) };
        let at = if at.ip().is_unspecified() { SocketAddr::new(self.host.ip, at.port()) } else { at };
        if at.ip() != self.host.ip {
            return Err(TransportError::Other(io::ErrorKind::AddrNotAvailable.into()));
        }
        if !self.host.fabric.listen(at, self.host.node, self.host.clone()) {
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
        self.host.fabric.close(at);
        true
    }

    fn dial(&mut self, address: Multiaddr, options: DialOpts) -> Result<Self::Dial, TransportError<io::Error>> {
        let Some(to) = socket_of(&address).filter(|to| to.port() != 0 && !to.ip().is_unspecified()) else {
            return Err(TransportError::MultiaddrNotSupported(address));
        };
        let host = self.host.clone();
        let port_use = options.port_use;
        Ok(async move {
            let from = host.source(port_use);
            host.connect(from, to).await
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
