//! [`Lines`]: all access lines of a run, and when bytes that leave here now arrive there.
//!
//! Guarantees: bytes queue at the sender's uplink and at the receiver's downlink; a fault acts while it is there and leaves nothing
//! behind; each sender has luck of its own. Deliberately lacks the order of a connection's bytes: `link::Stream` keeps it.

use std::collections::BTreeMap;

use super::NodeIndex;
use crate::luck::Luck;
use crate::net::Nanos;
use crate::net::line::Line;
use crate::net::link::{Stream, Tcp, Way};
use crate::net::region::{Region, latency};
use crate::scenario::units::{Jitter, Rate, Share};

/// From whom to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path {
    pub from: NodeIndex,
    pub to: NodeIndex,
}

/// One station's way to everybody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    pub region: Region,
    pub up: Rate,
    pub down: Rate,
    /// One way, to the region's network.
    pub last_mile: Nanos,
}

/// What all ways have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Climate {
    /// One way between any two stations, instead of the regions' table.
    pub latency: Option<Nanos>,
    pub jitter: Jitter,
    pub loss: Share,
    pub tcp: Tcp,
}

/// Some of the stations, by their numbers.
pub type Members = Vec<bool>;

/// What a fault does to ways while it lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disturbance {
    /// Nothing gets from the first to the second.
    Cut { from: Members, to: Members },
    /// In place of the climate's loss, from and to them.
    Loss { who: Members, share: Share },
    /// On top of every latency, from and to them.
    Latency { who: Members, add: Nanos },
}

#[derive(Debug)]
struct State {
    access: Access,
    up: Line,
    down: Line,
    luck: Luck,
    sent: u64,
    received: u64,
}

/// All of them.
#[derive(Debug)]
pub struct Lines {
    states: Vec<State>,
    climate: Climate,
    faults: BTreeMap<usize, Disturbance>,
}

impl Lines {
    /// The lines of all stations by number, in the run `seed`.
    #[must_use]
    pub fn new(accesses: impl IntoIterator<Item = Access>, climate: Climate, seed: u64) -> Self {
        let state = |(number, access): (usize, Access)| State {
            access,
            up: Line::new(access.up.0),
            down: Line::new(access.down.0),
            luck: Luck::new(seed, "wires", &number.to_string()),
            sent: 0,
            received: 0,
        };
        Self { states: accesses.into_iter().enumerate().map(state).collect(), climate, faults: BTreeMap::new() }
    }

    /// The fault `number` begins.
    pub fn disturb(&mut self, number: usize, disturbance: Disturbance) {
        self.faults.insert(number, disturbance);
    }

    /// The fault `number` ends.
    pub fn calm(&mut self, number: usize) {
        self.faults.remove(&number);
    }

    #[must_use]
    pub fn tcp(&self) -> Tcp {
        self.climate.tcp
    }

    pub(super) fn traffic(&self, node: NodeIndex) -> (u64, u64) {
        let state = &self.states[node as usize];
        (state.sent, state.received)
    }

    /// When the last of `bytes` on `stream` arrives; `None` while the way is cut.
    pub(super) fn carry(&mut self, path: Path, stream: &mut Stream, bytes: u64, now: Nanos) -> Option<Nanos> {
        let way = self.way(path)?;
        let Ok([from, to]) = self.states.get_disjoint_mut([path.from as usize, path.to as usize]) else { return Some(now) };
        from.sent += bytes;
        to.received += bytes;
        Some(stream.send(now, bytes, &way, &mut from.up, &mut to.down, &mut from.luck).arrived)
    }

    /// When a datagram of `bytes` arrives; `None` when it is lost or the way is cut.
    pub(super) fn datagram(&mut self, path: Path, bytes: u64, now: Nanos) -> Option<Nanos> {
        let way = self.way(path);
        let Ok([from, to]) = self.states.get_disjoint_mut([path.from as usize, path.to as usize]) else { return Some(now) };
        from.sent += bytes;
        let arrived = way?.datagram(now, bytes, &mut from.up, &mut to.down, &mut from.luck)?;
        to.received += bytes;
        Some(arrived)
    }

    /// When a segment without data arrives that belongs to no stream; `None` while the way is cut.
    pub(super) fn signal(&mut self, path: Path, now: Nanos) -> Option<Nanos> {
        let way = self.way(path)?;
        Some(way.opening(now, &mut self.states[path.from as usize].luck))
    }

    /// The way as it is now; `None` while it is cut.
    fn way(&self, Path { from, to }: Path) -> Option<Way> {
        let (a, b) = (&self.states[from as usize].access, &self.states[to as usize].access);
        let mut way = Way {
            latency: self.climate.latency.unwrap_or_else(|| a.last_mile + latency(a.region, b.region) + b.last_mile),
            jitter: self.climate.jitter,
            loss: self.climate.loss,
        };
        let (from, to) = (from as usize, to as usize);
        for fault in self.faults.values() {
            match fault {
                Disturbance::Cut { from: side, to: other } if side[from] && other[to] => return None,
                Disturbance::Loss { who, share } if who[from] || who[to] => way.loss = *share,
                Disturbance::Latency { who, add } if who[from] || who[to] => way.latency += *add,
                _ => {}
            }
        }
        Some(way)
    }
}
