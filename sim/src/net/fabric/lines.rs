//! [`Lines`]: when bytes that leave here now arrive there.
//!
//! Guarantees: integer nanoseconds, O(1) per call; bytes queue at the sender's uplink and at the receiver's downlink; a cut holds in
//! one direction. Deliberately lacks the order of a connection's bytes: the pipe keeps it.

use std::collections::BTreeSet;

use super::NodeIndex;
use crate::luck::Luck;

/// Bytes of one segment: Ethernet's 1,500 less the headers.
const SEGMENT_BYTES: u64 = 1_448;
/// Headers of a segment, counted against the rate.
const HEADER_BYTES: u64 = 52;
/// Linux's shortest wait before it sends again.
const RETRANSMIT_MIN_NS: u64 = 200_000_000;
/// Losses of one segment in a row that still matter: each doubles the wait, so six make 12 s.
const RETRANSMITS_MAX: u32 = 6;
const NS_PER_S: u64 = 1_000_000_000;
const MILLION: u64 = 1_000_000;

/// From whom to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path {
    pub from: NodeIndex,
    pub to: NodeIndex,
}

/// One station's way to everybody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Bits per second.
    pub up: u64,
    pub down: u64,
    /// One way, to the middle of the region.
    pub last_mile_ns: u64,
    pub region: usize,
    /// Millionths of the segments that are lost.
    pub loss: u32,
}

#[derive(Clone, Debug)]
struct State {
    line: Line,
    up_free_ns: u64,
    down_free_ns: u64,
    sent: u64,
    received: u64,
}

/// All of them.
#[derive(Clone, Debug)]
pub struct Lines {
    states: Vec<State>,
    /// One way between the middles of regions, row by row.
    between_ns: Vec<Vec<u64>>,
    /// Up to so many millionths of the latency come on top.
    jitter: u32,
    cut: BTreeSet<Path>,
    luck: Luck,
}

impl Lines {
    /// `lines` by node, between regions that are `between_ns` apart.
    #[must_use]
    pub fn new(lines: Vec<Line>, between_ns: Vec<Vec<u64>>, jitter: u32, luck: Luck) -> Self {
        let states = lines.into_iter().map(|line| State { line, up_free_ns: 0, down_free_ns: 0, sent: 0, received: 0 }).collect();
        Self { states, between_ns, jitter, cut: BTreeSet::new(), luck }
    }

    /// Cuts or mends one direction.
    pub fn cut(&mut self, path: Path, cut: bool) {
        if cut {
            self.cut.insert(path);
        } else {
            self.cut.remove(&path);
        }
    }

    /// Mends everything.
    pub fn mend(&mut self) {
        self.cut.clear();
    }

    /// Changes one station's line; what is queued there already stays queued as it was.
    pub fn set(&mut self, node: NodeIndex, change: impl FnOnce(&mut Line)) {
        change(&mut self.states[node as usize].line);
    }

    pub(super) fn traffic(&self, node: NodeIndex) -> (u64, u64) {
        let state = &self.states[node as usize];
        (state.sent, state.received)
    }

    /// When the last of `bytes` arrives, in ns; `None` while the way is cut.
    pub(super) fn carry(&mut self, path: Path, bytes: u64, now_ns: u64) -> Option<u64> {
        if !self.cut.is_empty() && self.cut.contains(&path) {
            return None;
        }
        let latency = self.latency_ns(path);
        let on_wire = bytes + bytes.div_ceil(SEGMENT_BYTES).max(1) * HEADER_BYTES;
        let jitter = if self.jitter == 0 { 0 } else { self.luck.below(latency * u64::from(self.jitter) / MILLION) };
        let lost = self.lost_ns(path, bytes, latency);
        let from = &mut self.states[path.from as usize];
        from.sent += bytes;
        from.up_free_ns = from.up_free_ns.max(now_ns) + on_wire * 8 * NS_PER_S / from.line.up;
        let there = from.up_free_ns + latency + jitter + lost;
        let to = &mut self.states[path.to as usize];
        to.received += bytes;
        let takes = on_wire * 8 * NS_PER_S / to.line.down;
        // What is late because it was lost does not keep the line busy while it is on its way.
        to.down_free_ns = to.down_free_ns.max(there - lost) + takes;
        Some(to.down_free_ns.max(there))
    }

    fn latency_ns(&self, path: Path) -> u64 {
        let (from, to) = (&self.states[path.from as usize].line, &self.states[path.to as usize].line);
        from.last_mile_ns + self.between_ns[from.region][to.region] + to.last_mile_ns
    }

    /// How much later the last of `bytes` arrives because segments were lost: a loss costs a retransmission, never bytes.
    fn lost_ns(&mut self, path: Path, bytes: u64, latency: u64) -> u64 {
        let (from, to) = (&self.states[path.from as usize].line, &self.states[path.to as usize].line);
        let loss = from.loss.saturating_add(to.loss);
        if loss == 0 {
            return 0;
        }
        let segments = bytes.div_ceil(SEGMENT_BYTES).max(1);
        // Of many segments the worst one decides; above a few it is all but sure that one is lost once.
        let (mut wait, mut late) = (RETRANSMIT_MIN_NS.max(3 * latency), 0);
        let mut chance = u64::from(loss).saturating_mul(segments).min(MILLION);
        for _ in 0..RETRANSMITS_MAX {
            if self.luck.below(MILLION) >= chance {
                break;
            }
            late += wait;
            wait *= 2;
            chance = u64::from(loss);
        }
        late
    }
}
