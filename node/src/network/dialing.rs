//! Who is being dialled, what waits for it, and which sockets are left alone for a while.
//!
//! Guarantees: what waits for a connection is told once, with the connection or with the reason; a socket where a dial failed or where
//! somebody else answered is not dialled again for 10 min on a stranger's word; everything is bounded. Deliberately lacks the swarm:
//! it is told what happened and returns what to do.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use libp2p::swarm::ConnectionId;
use station_protocol::NodeId;
use station_protocol::cluster::is_private;
use station_protocol::work::At;
use station_protocol::worker::SendFailure;
use tokio::time::Instant;

use super::config::WAITING_MAX;

/// So that a list of addresses in a Call cannot make a network knock at one machine again and again.
const MUTED: Duration = Duration::from_secs(600);
/// Muted sockets remembered; when full, the one that ends first is forgotten.
const MUTED_MAX: usize = 4_096;
/// An IP where somebody proved a key so lately is muted for nobody's word: a stranger could name a port of it that is closed.
const PROVED: Duration = Duration::from_secs(3_600);
/// Such IPs remembered; when full, the one that is the longest ago is forgotten.
const PROVED_MAX: usize = 1_024;

/// Generic in what waits, so that it can be tested without a swarm.
#[derive(Debug)]
pub(crate) struct Dialing<W> {
    waiting: BTreeMap<NodeId, Attempt<W>>,
    muted: BTreeMap<SocketAddr, Instant>,
    proved: BTreeMap<IpAddr, Instant>,
    total: usize,
}

#[derive(Debug)]
struct Attempt<W> {
    connection: ConnectionId,
    waiting: Vec<W>,
}

impl<W> Default for Dialing<W> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), muted: BTreeMap::new(), proved: BTreeMap::new(), total: 0 }
    }
}

impl<W> Dialing<W> {
    /// The addresses of `at` that may be dialled now. Private IPs are never muted: on such a network everybody shares a few.
    pub(crate) fn unmuted(&self, at: &At, now: Instant) -> At {
        At::first(at.iter().filter(|address| self.muted.get(&address.endpoint().socket()).is_none_or(|until| *until <= now)).cloned())
    }

    /// Lets `what` wait for the attempt under way, or gives it back when there is none or no room.
    pub(crate) fn join(&mut self, node: NodeId, what: W) -> Result<(), W> {
        match self.waiting.get_mut(&node) {
            Some(attempt) if self.total < WAITING_MAX => {
                attempt.waiting.push(what);
                self.total += 1;
                Ok(())
            }
            _ => Err(what),
        }
    }

    pub(crate) fn is_dialing(&self, node: NodeId) -> bool {
        self.waiting.contains_key(&node)
    }

    /// Muted sockets and proved addresses that are remembered.
    #[cfg(test)]
    pub(crate) fn bounded(&self) -> (usize, usize) {
        (self.muted.len(), self.proved.len())
    }

    /// What waits for connections.
    pub(crate) fn waiting(&self) -> usize {
        self.total
    }

    pub(crate) fn has_room(&self) -> bool {
        self.total < WAITING_MAX
    }

    /// A dial of `node` began.
    pub(crate) fn began(&mut self, node: NodeId, connection: ConnectionId, what: Option<W>) {
        self.total += usize::from(what.is_some());
        self.waiting.insert(node, Attempt { connection, waiting: what.into_iter().collect() });
    }

    /// A connection with `node` exists: what waited for it.
    pub(crate) fn connected(&mut self, node: NodeId, ip: IpAddr, now: Instant) -> Vec<W> {
        if self.proved.len() >= PROVED_MAX && !self.proved.contains_key(&ip) {
            let oldest = self.proved.iter().min_by_key(|(_, at)| **at).map(|(ip, _)| *ip);
            oldest.map(|ip| self.proved.remove(&ip));
        }
        self.proved.insert(ip, now);
        self.muted.retain(|socket, _| socket.ip() != ip);
        self.take(node)
    }

    /// The dial `connection` failed: what waited for it, if it was ours.
    pub(crate) fn failed(&mut self, node: NodeId, connection: ConnectionId) -> Vec<W> {
        if self.waiting.get(&node).is_some_and(|attempt| attempt.connection == connection) { self.take(node) } else { Vec::new() }
    }

    /// Nobody, or somebody else, answered at `socket`.
    pub(crate) fn mute(&mut self, socket: SocketAddr, now: Instant) {
        if is_private(socket.ip()) || self.proved.get(&socket.ip()).is_some_and(|at| *at + PROVED > now) {
            return;
        }
        if self.muted.len() >= MUTED_MAX && !self.muted.contains_key(&socket) {
            let first = self.muted.iter().min_by_key(|(_, until)| **until).map(|(socket, _)| *socket);
            first.map(|socket| self.muted.remove(&socket));
        }
        self.muted.insert(socket, now + MUTED);
    }

    fn take(&mut self, node: NodeId) -> Vec<W> {
        let waiting = self.waiting.remove(&node).map(|attempt| attempt.waiting).unwrap_or_default();
        self.total -= waiting.len();
        waiting
    }
}

/// What a failed dial is to the rules.
pub(crate) fn failure(error: &libp2p::swarm::DialError) -> SendFailure {
    match error {
        libp2p::swarm::DialError::WrongPeerId { .. } => SendFailure::WrongNode,
        _ => SendFailure::Unreachable,
    }
}
