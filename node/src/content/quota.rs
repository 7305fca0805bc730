//! [`Quota`]: how much is served to whom at once, as a pure machine.
//!
//! Guarantees: at most so many transfers in all and per peer, and on average at most so many bytes per second in all and per peer.
//! Deliberately lacks queues: who is refused asks again or asks somebody else.

use std::collections::BTreeMap;

use station_protocol::NodeId;

/// Bounds of one direction of service.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Transfers at once, in all and per peer.
    pub transfers: usize,
    pub transfers_per_peer: usize,
    /// Average over time, in all and per peer.
    pub bytes_per_second: u64,
    pub bytes_per_second_per_peer: u64,
    /// Seconds of rate that may be used at once after a quiet time.
    pub burst_seconds: u64,
    /// Peers remembered: one that is idle and has its whole burst again is forgotten first.
    pub peers: usize,
}

impl Default for Rates {
    /// A home line of 100 Mbit/s stays usable, 64 stations can fetch a module of a few MiB within a minute, and one alone gets it at once.
    fn default() -> Self {
        Self { transfers: 32, transfers_per_peer: 4, bytes_per_second: 8 << 20, bytes_per_second_per_peer: 2 << 20, burst_seconds: 32, peers: 1_024 }
    }
}

/// Which bound refused a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverRate {
    #[error("too many transfers at once")]
    Transfers,
    #[error("too many transfers at once for one peer")]
    PeerTransfers,
    #[error("too many bytes lately")]
    Bytes,
    #[error("too many bytes lately for one peer")]
    PeerBytes,
    #[error("too many peers")]
    Peers,
}

/// A level that rises with time and falls by what is served. It may fall below zero, so that content larger than the burst can be
/// served at all; then it takes the longer to rise.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    level: i64,
    at_ms: u64,
}

#[derive(Clone, Copy, Debug)]
struct Peer {
    transfers: usize,
    bucket: Bucket,
}

#[derive(Debug)]
pub struct Quota {
    rates: Rates,
    transfers: usize,
    bucket: Bucket,
    peers: BTreeMap<NodeId, Peer>,
}

impl Quota {
    #[must_use]
    pub fn new(rates: Rates) -> Self {
        let bucket = Bucket { level: full(rates.bytes_per_second, &rates), at_ms: 0 };
        Self { rates, transfers: 0, bucket, peers: BTreeMap::new() }
    }

    /// Begins a transfer of `bytes` to `peer`; after `Ok` the caller owes an [`Quota::end`]. `now_ms` never runs backwards.
    pub fn begin(&mut self, peer: NodeId, bytes: u64, now_ms: u64) -> Result<(), OverRate> {
        let rates = self.rates;
        if self.transfers >= rates.transfers {
            return Err(OverRate::Transfers);
        }
        self.bucket.rise(rates.bytes_per_second, &rates, now_ms);
        if self.bucket.level <= 0 {
            return Err(OverRate::Bytes);
        }
        if !self.peers.contains_key(&peer) && self.peers.len() >= rates.peers {
            self.forget(now_ms);
            if self.peers.len() >= rates.peers {
                return Err(OverRate::Peers);
            }
        }
        let fresh = Peer { transfers: 0, bucket: Bucket { level: full(rates.bytes_per_second_per_peer, &rates), at_ms: now_ms } };
        let known = self.peers.entry(peer).or_insert(fresh);
        if known.transfers >= rates.transfers_per_peer {
            return Err(OverRate::PeerTransfers);
        }
        known.bucket.rise(rates.bytes_per_second_per_peer, &rates, now_ms);
        if known.bucket.level <= 0 {
            return Err(OverRate::PeerBytes);
        }
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        known.transfers += 1;
        known.bucket.level = known.bucket.level.saturating_sub(bytes);
        self.transfers += 1;
        self.bucket.level = self.bucket.level.saturating_sub(bytes);
        Ok(())
    }

    /// A transfer to `peer` ended, well or not.
    pub fn end(&mut self, peer: &NodeId) {
        self.transfers = self.transfers.saturating_sub(1);
        if let Some(known) = self.peers.get_mut(peer) {
            known.transfers = known.transfers.saturating_sub(1);
        }
    }

    /// Peers that nothing is remembered of but that they were here.
    fn forget(&mut self, now_ms: u64) {
        let rates = self.rates;
        self.peers.retain(|_, peer| {
            peer.bucket.rise(rates.bytes_per_second_per_peer, &rates, now_ms);
            peer.transfers > 0 || peer.bucket.level < full(rates.bytes_per_second_per_peer, &rates)
        });
    }
}

impl Bucket {
    fn rise(&mut self, bytes_per_second: u64, rates: &Rates, now_ms: u64) {
        let risen = bytes_per_second.saturating_mul(now_ms.saturating_sub(self.at_ms)) / 1_000;
        // Milliseconds that bought no whole byte are kept for the next time.
        if risen > 0 {
            self.level = self.level.saturating_add(i64::try_from(risen).unwrap_or(i64::MAX)).min(full(bytes_per_second, rates));
            self.at_ms = now_ms;
        }
    }
}

fn full(bytes_per_second: u64, rates: &Rates) -> i64 {
    i64::try_from(bytes_per_second.saturating_mul(rates.burst_seconds)).unwrap_or(i64::MAX)
}
