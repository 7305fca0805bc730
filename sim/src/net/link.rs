//! What happens to bytes between two stations: the sender's line, the way, the receiver's line.
//!
//! ```text
//! write ─► slow start ─► uplink ─► latency + jitter (+ repairs of lost segments) ─► downlink ─► read
//! ```
//!
//! Guarantees: integers; time and luck are arguments; a stream keeps its order and loses no byte (a lost segment costs one round trip
//! when later segments report it, else a time-out that doubles); nothing arrives before the latency of its way; lines are shared by
//! everything their station sends or receives. Deliberately lacks congestion between stations (the core of the network is never
//! full), retransmitted bytes on the lines, and congestion avoidance: after a loss the window is halved and doubles again.

use station_protocol::human::Span;

use super::Nanos;
use super::line::Line;
use crate::luck::Luck;
use crate::scenario::units::{Jitter, Share};

#[cfg(test)]
mod tests;

/// Largest chunk of a stream: what yamux writes at once, small enough that connections share a line fairly.
pub const CHUNK_BYTES_MAX: u64 = 16 << 10;
/// A segment on the wire: Ethernet's 1,500 bytes less headers with time stamps.
pub const SEGMENT_BYTES: u64 = 1_448;
/// RFC 6928's initial window.
pub const INITIAL_WINDOW_BYTES: u64 = 10 * SEGMENT_BYTES;
/// Largest window: Linux's default limit of a send buffer.
pub const WINDOW_BYTES_MAX: u64 = 4 << 20;
/// What a time-out waits beyond the round trip: Linux's least.
const RTO_ABOVE_RTT: Nanos = Nanos::from_millis(200);
/// A connection's first segment has no round trip to go by: RFC 6298's first time-out.
const SYN_TIMEOUT: Nanos = Nanos::from_millis(1_000);
/// So many segments after a lost one report it (RFC 5681); with fewer only the time-out does.
const DUPLICATES_THAT_REPORT: u64 = 3;
/// Losses of one segment in a row that are drawn: the waits have then doubled to minutes, where the connection's own limits end it.
const LOSSES_MAX: u32 = 8;

/// How streams begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tcp {
    /// The window is always open: the lines alone limit.
    None,
    /// Ten segments at first, doubled per round trip, again from ten after an idle time-out.
    #[default]
    Slowstart,
}

/// The way from one station to another at this moment, faults included. The same both ways unless a fault is one-sided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// One way, last miles included.
    pub latency: Nanos,
    pub jitter: Jitter,
    /// Of every segment or datagram.
    pub loss: Share,
}

/// What became of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// It has left the sender: so much of the send buffer is free again.
    pub sent: Nanos,
    /// The receiver can read it.
    pub arrived: Nanos,
}

impl Way {
    /// The latency with this moment's jitter.
    fn one_way(&self, luck: &mut Luck) -> Nanos {
        let most = match self.jitter {
            Jitter::Share(share) => share.of(self.latency.0),
            Jitter::Span(Span(ms)) => Nanos::from_millis(ms).0,
        };
        // No draw where there is no jitter: switching it on or off leaves other streams of luck alone anyhow.
        if most == 0 { self.latency } else { Nanos(self.latency.0.saturating_add(luck.below(most.saturating_add(1)))) }
    }

    /// There and back without jitter.
    #[must_use]
    pub const fn round_trip(&self) -> Nanos {
        self.latency.times(2)
    }

    /// A datagram of `bytes` sent at `now`: when it arrives, or that it never does. Datagrams may overtake each other.
    pub fn datagram(&self, now: Nanos, bytes: u64, up: &mut Line, down: &mut Line, luck: &mut Luck) -> Option<Nanos> {
        let sent = up.pass(now, now, bytes);
        let at = sent + self.one_way(luck);
        // The luck is drawn before the loss is known, so that a higher loss rate changes no other datagram's delay.
        if luck.happens(self.loss.get()) { None } else { Some(down.pass(now, at, bytes)) }
    }

    /// A segment without data that opens a connection (SYN, or its answer): when it arrives, losses repaired by its time-out.
    pub fn opening(&self, now: Nanos, luck: &mut Luck) -> Nanos {
        let mut wait = SYN_TIMEOUT;
        let mut at = now + self.one_way(luck);
        for _ in 0..LOSSES_MAX {
            if !luck.happens(self.loss.get()) {
                break;
            }
            at += wait;
            wait = wait.times(2);
        }
        at
    }
}

/// One direction of a connection.
#[derive(Clone, Debug)]
pub struct Stream {
    tcp: Tcp,
    window: u64,
    /// When the present round trip began and how much was sent in it.
    round: Nanos,
    in_round: u64,
    last_sent: Nanos,
    last_arrived: Nanos,
}

impl Stream {
    #[must_use]
    pub const fn new(tcp: Tcp) -> Self {
        Self { tcp, window: INITIAL_WINDOW_BYTES, round: Nanos::ZERO, in_round: 0, last_sent: Nanos::ZERO, last_arrived: Nanos::ZERO }
    }

    /// Sends `bytes` (at most [`CHUNK_BYTES_MAX`]; longer writes go chunk by chunk) at `now`.
    ///
    /// # Panics
    ///
    /// When the chunk is too long.
    pub fn send(&mut self, now: Nanos, bytes: u64, way: &Way, up: &mut Line, down: &mut Line, luck: &mut Luck) -> Chunk {
        assert!(bytes <= CHUNK_BYTES_MAX, "a chunk of {bytes} bytes is more than {CHUNK_BYTES_MAX}");
        let open = self.open(now, bytes, way);
        // A stream's bytes leave in order, whatever gaps the line has.
        let sent = up.pass(now, open.max(self.last_sent), bytes).max(self.last_sent);
        self.last_sent = sent;
        let repair = self.repair(bytes, way, luck);
        let at = (sent + way.one_way(luck) + repair).max(self.last_arrived);
        let arrived = down.pass(now, at, bytes).max(self.last_arrived);
        self.last_arrived = arrived;
        Chunk { sent, arrived }
    }

    /// When the window lets `bytes` go.
    fn open(&mut self, now: Nanos, bytes: u64, way: &Way) -> Nanos {
        if self.tcp == Tcp::None {
            return now;
        }
        let now = now.max(self.round);
        let rtt = way.round_trip();
        if now >= self.last_sent + rtt + RTO_ABOVE_RTT {
            // Idle: what was learnt of the way is no longer true (RFC 5681, 4.1).
            (self.window, self.round, self.in_round) = (self.window.min(INITIAL_WINDOW_BYTES), now, 0);
        } else if now >= self.round + rtt {
            self.turn(now);
        }
        if self.in_round >= self.window {
            self.turn(self.round + rtt);
        }
        self.in_round += bytes;
        self.round.max(now)
    }

    /// A new round trip begins: a window that was used up doubles.
    fn turn(&mut self, at: Nanos) {
        if self.in_round >= self.window {
            self.window = (self.window * 2).min(WINDOW_BYTES_MAX);
        }
        (self.round, self.in_round) = (at, 0);
    }

    /// How much later a chunk is whole because segments of it were lost.
    fn repair(&mut self, bytes: u64, way: &Way, luck: &mut Luck) -> Nanos {
        if way.loss == Share::NONE {
            return Nanos::ZERO;
        }
        let segments = bytes.div_ceil(SEGMENT_BYTES);
        let losses = (0..segments).map(|_| (0..LOSSES_MAX).take_while(|_| luck.happens(way.loss.get())).count()).max().unwrap_or(0);
        if losses == 0 {
            return Nanos::ZERO;
        }
        self.window = (self.window / 2).max(2 * SEGMENT_BYTES);
        let (rtt, mut timeout) = (way.round_trip(), way.round_trip() + RTO_ABOVE_RTT);
        let mut repair = if segments > DUPLICATES_THAT_REPORT { rtt } else { timeout };
        for _ in 1..losses {
            repair += timeout;
            timeout = timeout.times(2);
        }
        repair
    }
}
