//! [`Fabric`]: the wires between all stations of a run, and what travels on them.
//!
//! ```text
//!  stream.write ─► Lines (queue at the uplink, latency, loss, queue at the downlink) ─► Pipe (bytes with arrival times)
//!                                                                                         │
//!  stream.read ◄──────────────── pump wakes the reader at the arrival ◄──────── due ◄─────┘
//! ```
//!
//! Guarantees: bytes of a connection arrive in order or not at all; a writer waits when too much is unread; the same calls at the same
//! times give the same arrivals. Deliberately lacks what is said on a connection: `transport` listens and dials, [`datagrams`] sends
//! without one.
//!
//! [`datagrams`]: super::datagrams

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use futures::channel::oneshot;
use tokio::time::{Instant, sleep_until};

use crate::det::trace::{Kind, Trace, content};
use crate::metrics::Dials;
use crate::net::Nanos;
use crate::net::datagrams::Inbox;
use crate::net::link::Stream;
use crate::net::nat::Packet;
use crate::net::nat::routes::NetworkId;
use crate::net::transport::counted::Counts;

mod lines;
pub(super) mod pipe;
mod places;
#[cfg(test)]
mod tests;

pub use lines::{Access, Climate, Disturbance, Lines, Members, Path};
use pipe::Pipe;
use places::Places;
pub use places::{Attachment, Place};
pub(super) use places::{Dialling, Knock};

/// A station of the run, by its place in the scenario. It stays the same over crashes and restarts.
pub type NodeIndex = u32;

/// The furthest timer: beyond any run.
const FAR: Duration = Duration::from_secs(1 << 30);
const NS_PER_MS: u64 = 1_000_000;

/// What a connection attempt meets on the other side.
pub(super) struct Arriving {
    pub(super) stream: super::transport::Wire,
    /// Whom the acceptor sees.
    pub(super) from: SocketAddr,
    pub(super) at: SocketAddr,
}

/// Where connections to a listening socket go.
pub(super) trait Accept: Send + Sync {
    /// Takes the connection, or refuses it: the port is closed.
    fn accept(&self, arriving: Arriving) -> bool;
}

/// All wires of a run.
pub struct Fabric {
    trace: Arc<Trace>,
    start: Instant,
    lines: Mutex<Lines>,
    places: Mutex<Places>,
    counts: Arc<Counts>,
    due: Mutex<Due>,
    /// Pipes with bytes that a partition holds.
    held: Mutex<Vec<Arc<Pipe>>>,
}

#[derive(Default)]
struct Due {
    heap: BinaryHeap<Reverse<Entry>>,
    next: u64,
    /// The pump's, and the time for which it is armed.
    pump: Option<Waker>,
    armed_ms: u64,
}

struct Entry {
    at_ms: u64,
    number: u64,
    what: Arrival,
}

/// What is on its way.
enum Arrival {
    Bytes(Arc<Pipe>),
    Datagram(Box<Datagram>),
}

/// A datagram between the sender's boxes and the receiver's.
struct Datagram {
    to: NodeIndex,
    network: NetworkId,
    packet: Packet,
    bytes: Vec<u8>,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at_ms, self.number).cmp(&(other.at_ms, other.number))
    }
}

impl fmt::Debug for Fabric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fabric").field("lines", &self.lines).finish_non_exhaustive()
    }
}

impl Fabric {
    /// Wires that are `lines`, with boxes whose luck is that of `seed`. Must be called within the run's runtime.
    #[must_use]
    pub fn new(lines: Lines, seed: u64, trace: Arc<Trace>) -> Arc<Self> {
        Arc::new(Self {
            trace,
            start: Instant::now(),
            lines: Mutex::new(lines),
            places: Mutex::new(Places::new(seed)),
            counts: Arc::default(),
            due: Mutex::default(),
            held: Mutex::default(),
        })
    }

    /// The machine of `node`, whether anything listens there or not: its addresses, the IPv4 one first.
    pub fn attach(&self, node: NodeIndex, attachment: &Attachment) -> Vec<Place> {
        lock(&self.places).attach(node, attachment)
    }

    /// Bytes by protocol.
    #[must_use]
    pub fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    /// `from` reached `to` through a relay: a dial of its own, whose wires are the relay's.
    pub fn relayed(&self, from: NodeIndex, to: NodeIndex) {
        lock(&self.places).relayed(from, to);
    }

    /// How dials went, by the boxes of both sides.
    #[must_use]
    pub fn dials(&self) -> Vec<Dials> {
        lock(&self.places).dials()
    }

    /// Changes what the wires are like, and sends on what was held by what is no longer cut.
    pub fn change(&self, change: impl FnOnce(&mut Lines)) {
        change(&mut lock(&self.lines));
        // A pipe that another fault still cuts asks to be held again: the list must not be locked meanwhile.
        let held = std::mem::take(&mut *lock(&self.held));
        for pipe in held {
            pipe.release(self);
        }
    }

    /// Bytes that `node` sent and received.
    #[must_use]
    pub fn traffic(&self, node: NodeIndex) -> (u64, u64) {
        lock(&self.lines).traffic(node)
    }

    /// Wakes readers when their bytes arrive, until the run ends.
    pub async fn pump(self: Arc<Self>) {
        let mut timer = pin!(sleep_until(self.start + FAR));
        poll_fn(|context| -> Poll<()> {
            loop {
                let now = self.now_ms();
                let arrived = self.take_due(now, context.waker());
                for arrival in arrived {
                    match arrival {
                        Arrival::Bytes(pipe) => pipe.arrive(),
                        Arrival::Datagram(datagram) => self.land(*datagram),
                    }
                }
                let next = lock(&self.due).armed_ms;
                timer.as_mut().reset(self.start + if next == u64::MAX { FAR } else { Duration::from_millis(next) });
                if timer.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await;
    }

    /// Milliseconds since the start.
    pub(super) fn now_ms(&self) -> u64 {
        self.now_ns() / NS_PER_MS
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// When `bytes` that `stream` sends now arrive, in ms, rounded up; `None` while the way is cut.
    pub(super) fn carry(&self, path: Path, stream: &mut Stream, bytes: usize) -> Option<u64> {
        let arrival = lock(&self.lines).carry(path, stream, bytes as u64, Nanos(self.now_ns()))?;
        Some(arrival.0.div_ceil(NS_PER_MS))
    }

    /// When a segment without data that is sent now arrives, in ms, rounded up; `None` while the way is cut.
    pub(super) fn signal(&self, from: NodeIndex, to: NodeIndex) -> Option<u64> {
        let arrival = lock(&self.lines).signal(Path { from, to }, Nanos(self.now_ns()))?;
        Some(arrival.0.div_ceil(NS_PER_MS))
    }

    /// A connection from `from` to `to` and back.
    pub(super) fn pipes(&self, from: NodeIndex, to: NodeIndex) -> [Arc<Pipe>; 2] {
        let tcp = lock(&self.lines).tcp();
        [Pipe::new(Path { from, to }, tcp), Pipe::new(Path { from: to, to: from }, tcp)]
    }

    /// The pipe has bytes that arrive at `at_ms`, and its reader waits.
    pub(super) fn schedule(&self, at_ms: u64, pipe: Arc<Pipe>) {
        self.expect(at_ms, Arrival::Bytes(pipe));
    }

    fn expect(&self, at_ms: u64, what: Arrival) {
        let mut due = lock(&self.due);
        due.next += 1;
        let number = due.next;
        due.heap.push(Reverse(Entry { at_ms, number, what }));
        let waker = if at_ms < due.armed_ms { due.pump.take() } else { None };
        drop(due);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// A socket for datagrams; none where the port is taken.
    pub(super) fn bind(&self, place: Place, port: u16) -> Option<(SocketAddr, Arc<Inbox>)> {
        lock(&self.places).bind(place, port)
    }

    pub(super) fn unbind(&self, network: NetworkId, at: SocketAddr) {
        lock(&self.places).unbind(network, at);
    }

    /// `node` sends `bytes` from the socket `from` in `network`. They get there or not. Boxes on the near side see them now, those on the
    /// far side when they arrive: what opens a way meanwhile is open.
    pub(super) fn send(&self, node: NodeIndex, network: NetworkId, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let now = Nanos(self.now_ns());
        let Some((network, packet, to)) = lock(&self.places).leave(network, from, to, now) else { return };
        let on_the_wire = (bytes.len() + header_bytes(packet.to)) as u64;
        let Some(arrival) = lock(&self.lines).datagram(Path { from: node, to }, on_the_wire, now) else { return };
        self.expect(arrival.0.div_ceil(NS_PER_MS), Arrival::Datagram(Box::new(Datagram { to, network, packet, bytes: bytes.to_vec() })));
    }

    /// It is before the receiver's boxes.
    fn land(&self, Datagram { to, network, packet, bytes }: Datagram) {
        let Some((inbox, packet)) = lock(&self.places).enter(network, packet, Nanos(self.now_ns())) else { return };
        self.event(to, Kind::Datagram, content(&bytes));
        inbox.put(bytes, packet.from);
    }

    pub(super) fn hold(&self, pipe: Arc<Pipe>) {
        lock(&self.held).push(pipe);
    }

    pub(super) fn event(&self, node: NodeIndex, kind: Kind, content: u64) {
        self.trace.event(self.now_ms(), node, kind, content);
    }

    pub(super) fn listen(&self, network: NetworkId, at: SocketAddr, node: NodeIndex, accept: Arc<dyn Accept>) -> bool {
        lock(&self.places).listen(network, at, (node, accept))
    }

    pub(super) fn close(&self, network: NetworkId, at: SocketAddr) {
        let closed = lock(&self.places).close(network, at);
        drop(closed);
    }

    pub(super) fn socket(&self, network: NetworkId, at: SocketAddr) -> Option<(NodeIndex, Arc<dyn Accept>)> {
        lock(&self.places).socket(network, at)
    }

    pub(super) fn knock(&self, dialling: Dialling) -> Knock {
        let now = Nanos(self.now_ns());
        lock(&self.places).knock(dialling, now)
    }

    /// `node` dials until [`Self::end`]; none when it does so already from this port.
    pub(super) fn begin(&self, node: NodeIndex, dialling: Dialling) -> Option<oneshot::Receiver<super::transport::Wire>> {
        lock(&self.places).begin(node, dialling)
    }

    pub(super) fn end(&self, dialling: &Dialling) {
        let over = lock(&self.places).end(dialling);
        drop(over);
    }

    /// Who dials `own` while it is dialled.
    pub(super) fn meet(&self, own: &Dialling, other: &Dialling) -> Option<(NodeIndex, oneshot::Sender<super::transport::Wire>)> {
        lock(&self.places).meet(own, other)
    }

    pub(super) fn connected(&self, node: NodeIndex, to: SocketAddr, punched: bool) {
        lock(&self.places).connected(node, to, punched);
    }

    /// What has arrived by `now`, in the order in which it was sent; arms the pump for the next.
    fn take_due(&self, now: u64, waker: &Waker) -> Vec<Arrival> {
        let mut due = lock(&self.due);
        let mut arrived = Vec::new();
        while due.heap.peek().is_some_and(|Reverse(entry)| entry.at_ms <= now) {
            arrived.extend(due.heap.pop().map(|Reverse(entry)| entry.what));
        }
        due.armed_ms = due.heap.peek().map_or(u64::MAX, |Reverse(entry)| entry.at_ms);
        let old = due.pump.replace(waker.clone());
        drop(due);
        drop(old);
        arrived
    }
}

/// What an IP and a UDP header take.
fn header_bytes(to: SocketAddr) -> usize {
    if to.is_ipv4() { 28 } else { 48 }
}

/// There is one thread, so nobody ever panicked while holding it elsewhere.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
