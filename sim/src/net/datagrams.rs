//! [`Datagrams`]: a machine's socket for datagrams, as programs that punch holes need it.
//!
//! ```text
//! send_to ─► near boxes (now) ─► uplink, latency, loss, downlink ─► far boxes (at the arrival) ─► inbox ─► recv_from
//! ```
//!
//! Guarantees: a datagram arrives whole, later or never; it may overtake another; boxes translate, remember and filter it as their
//! kinds do, those on the far side when it gets there, so that who opens a way meanwhile is reached. Bounded: what does not fit into
//! the inbox is dropped. Deliberately lacks fragments (what is longer than a packet is refused), ICMP, time to live, and duplicates.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use super::fabric::{Fabric, NodeIndex, Place, lock};

#[cfg(test)]
mod tests;

/// The longest: Ethernet's 1,500 bytes less the headers of IPv6 and UDP, which any way carries unbroken (QUIC sends no more either).
pub const DATAGRAM_BYTES_MAX: usize = 1_452;
/// Bytes that wait to be received: Linux's default (`net.core.rmem_default`).
pub const INBOX_BYTES_MAX: usize = 212_992;
/// What each datagram takes of it beside its bytes, so that empty ones end too.
const OVERHEAD_BYTES: usize = 256;

/// A socket. Dropping it closes it.
pub struct Datagrams {
    fabric: Arc<Fabric>,
    node: NodeIndex,
    place: Place,
    at: SocketAddr,
    inbox: Arc<Inbox>,
}

/// What arrived and was not received yet.
#[derive(Debug, Default)]
pub(super) struct Inbox(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    datagrams: VecDeque<(Vec<u8>, SocketAddr)>,
    bytes: usize,
    reader: Option<Waker>,
}

impl Inbox {
    /// One more, from `from`; dropped where there is no room.
    pub(super) fn put(&self, bytes: Vec<u8>, from: SocketAddr) {
        let mut waiting = lock(&self.0);
        let takes = bytes.len() + OVERHEAD_BYTES;
        if waiting.bytes + takes > INBOX_BYTES_MAX {
            return;
        }
        waiting.bytes += takes;
        waiting.datagrams.push_back((bytes, from));
        let reader = waiting.reader.take();
        drop(waiting);
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    fn poll_take(&self, context: &Context<'_>) -> Poll<(Vec<u8>, SocketAddr)> {
        let mut waiting = lock(&self.0);
        if let Some(datagram) = waiting.datagrams.pop_front() {
            waiting.bytes -= datagram.0.len() + OVERHEAD_BYTES;
            return Poll::Ready(datagram);
        }
        let old = waiting.reader.replace(context.waker().clone());
        drop(waiting);
        drop(old);
        Poll::Pending
    }
}

impl std::fmt::Debug for Datagrams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Datagrams").field("node", &self.node).field("at", &self.at).finish_non_exhaustive()
    }
}

impl Datagrams {
    /// A socket of the machine of `node` at `place`, one of those that [`Fabric::attach`] gave; port 0 is any that is free.
    ///
    /// # Errors
    ///
    /// When the port is taken, or all are.
    pub fn bind(fabric: &Arc<Fabric>, node: NodeIndex, place: Place, port: u16) -> io::Result<Self> {
        let (at, inbox) = fabric.bind(place, port).ok_or(io::ErrorKind::AddrInUse)?;
        Ok(Self { fabric: fabric.clone(), node, place, at, inbox })
    }

    /// The machine's own address and the socket's port. Others may see another one.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.at
    }

    /// Sends `bytes` on their way. Nobody hears whether they arrive.
    ///
    /// # Errors
    ///
    /// When they are longer than [`DATAGRAM_BYTES_MAX`], or `to` is of another family of addresses.
    pub fn send_to(&self, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        if bytes.len() > DATAGRAM_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{} bytes are more than {DATAGRAM_BYTES_MAX}", bytes.len())));
        }
        if to.is_ipv4() != self.at.is_ipv4() {
            return Err(io::ErrorKind::NetworkUnreachable.into());
        }
        self.fabric.send(self.node, self.place.network, self.at, to, bytes);
        Ok(())
    }

    /// The next datagram, and from where it seems to come.
    pub fn poll_recv_from(&self, context: &Context<'_>) -> Poll<(Vec<u8>, SocketAddr)> {
        self.inbox.poll_take(context)
    }

    /// The same, awaited.
    pub async fn recv_from(&self) -> (Vec<u8>, SocketAddr) {
        poll_fn(|context| self.poll_recv_from(context)).await
    }
}

impl Drop for Datagrams {
    fn drop(&mut self) {
        self.fabric.unbind(self.place.network, self.at);
    }
}
