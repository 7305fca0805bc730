//! When to dial the bootstrap addresses, and when to search the DHT for topic peers: two back-offs.
//!
//! Guarantees: dials again, ever more rarely, until a bootstrap node is connected; searches again, ever more rarely, while topic peers are
//! few. Deliberately lacks the dialling and the searching.

use std::time::Duration;

use libp2p::{PeerId, identify};
use tokio::time::Instant;

use super::peer_id::node_of;
use super::{Network, addresses};

/// First wait of both.
const FIRST: Duration = Duration::from_secs(1);
/// Longest wait before dialling bootstrap nodes again: an outage of theirs must not become a flood when it ends.
const DIAL_MAX: Duration = Duration::from_secs(60);
/// Longest wait before searching again.
const SEARCH_MAX: Duration = Duration::from_secs(300);

/// A deadline that moves further away each time it is met.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Option<Instant>,
    wait: Duration,
    max: Duration,
    /// Between 0 and 1: spreads stations that lost the same bootstrap node. Fixed per station, so that a run can be repeated.
    spread: f64,
}

impl Backoff {
    pub(crate) fn dial(spread: u8) -> Self {
        Self { next: None, wait: FIRST, max: DIAL_MAX, spread: f64::from(spread) / 255.0 }
    }

    pub(crate) fn search(spread: u8) -> Self {
        Self { max: SEARCH_MAX, ..Self::dial(spread) }
    }

    /// Due at once, and with short waits from then on.
    pub(crate) fn restart(&mut self, now: Instant) {
        self.wait = FIRST;
        self.next = Some(now);
    }

    /// Due no later than after the first wait, without starting over when it is under way.
    pub(crate) fn ensure(&mut self, now: Instant) {
        if self.next.is_none() {
            self.wait = FIRST;
            self.next = Some(now + FIRST.mul_f64(1.0 + self.spread));
        }
    }

    /// What stopped it was none: due again after the wait that it had come to.
    pub(crate) fn go_on(&mut self, now: Instant) {
        if self.next.is_none() {
            self.next = Some(now + self.wait.mul_f64(1.0 + self.spread / 4.0));
            self.wait = (self.wait * 2).min(self.max);
        }
    }

    pub(crate) fn stop(&mut self) {
        self.next = None;
    }

    /// Whether it is due; then the next time is further away.
    pub(crate) fn due(&mut self, now: Instant) -> bool {
        if self.next.is_none_or(|next| next > now) {
            return false;
        }
        self.next = Some(now + self.wait.mul_f64(1.0 + self.spread / 4.0));
        self.wait = (self.wait * 2).min(self.max);
        true
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.next
    }
}

impl Network {
    /// Whom the operator named and who speaks of another network is none to stay with. The others go on being dialled, unless one of them is here.
    pub(super) fn is_of_this_network(&mut self, peer: &PeerId, info: &identify::Info) {
        let Ok(node) = node_of(peer) else { return };
        if !self.ledger.is_bootstrap(&node) {
            return;
        }
        let (own, now) = (format!("/station/{}/1", self.config.network), Instant::now());
        if !self.knocks.identified(node, &info.protocol_version, &own, now) {
            self.bootstrap.stop();
            return;
        }
        if !self.has_bootstrap() {
            self.bootstrap.go_on(now);
        }
        self.let_go(node);
    }

    /// Whether a bootstrap node is connected that is not known to be of another network.
    pub(super) fn has_bootstrap(&self) -> bool {
        let mut named = self.config.bootstrap.iter().filter_map(addresses::node_of_address);
        named.any(|node| self.peers.is_connected(node) && !self.knocks.is_foreign(node))
    }
}
