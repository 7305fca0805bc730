//! [`Fault`]: what befalls whom, and when.
//!
//! Guarantees: a fault that ends undoes all it did. Deliberately lacks churn: its absences are crashes and starts.

use super::index;
use crate::net::Nanos;
use crate::net::fabric::{Disturbance, Members, NodeIndex};
use crate::scenario::Scenario;
use crate::scenario::fault::{Disk, Kind, Who};
use crate::scenario::plan::{Station, victims};
use crate::scenario::units::Share;

#[derive(Clone, Debug)]
pub struct Fault {
    pub at_ms: u64,
    pub what: What,
}

#[derive(Clone, Debug)]
pub enum What {
    /// Begins for the wires, under this number.
    Disturb(usize, Disturbance),
    /// Ends for the wires.
    Calm(usize),
    /// The processes die; their disks lose what they had not promised, or keep everything.
    Crash { stations: Vec<NodeIndex>, disk: Disk },
    /// They start again from their disks.
    Start { stations: Vec<NodeIndex> },
    /// The processes stand still while the world goes on, or go on.
    Pause { stations: Vec<NodeIndex>, paused: bool },
    /// Their operators pause them, or have them go on. Who is down then is not asked.
    Rest { stations: Vec<NodeIndex>, resting: bool },
    /// The wall clocks are so far ahead from now on; a running station counts on from the time of its start.
    Skew { stations: Vec<NodeIndex>, by_ms: i64 },
}

impl What {
    /// For the trace and the report.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Disturb(..) => "disturb",
            Self::Calm(_) => "calm",
            Self::Crash { .. } => "crash",
            Self::Start { .. } => "start",
            Self::Pause { paused: true, .. } => "pause",
            Self::Pause { paused: false, .. } => "resume",
            Self::Rest { resting: true, .. } => "rest",
            Self::Rest { resting: false, .. } => "work",
            Self::Skew { .. } => "skew",
        }
    }
}

/// What begins and what ends with a fault.
pub(super) fn effects(scenario: &Scenario, drawn: &[Station], kind: &Kind, first: usize, purpose: &str) -> (Vec<What>, Vec<What>) {
    let some = |who: &[Who]| -> Members { drawn.iter().map(|station| who.iter().any(|who| station.is(who))).collect() };
    let drawn_of = |who: &Who, share: Share| victims(scenario, drawn, who, share, purpose);
    let numbers = |who: &Who, share: Share| drawn_of(who, share).into_iter().map(index).collect::<Vec<_>>();
    let all = vec![true; drawn.len()];
    match kind {
        Kind::Partition(partition) => {
            let from = some(&partition.from);
            let to = if partition.to.is_empty() { from.iter().map(|is| !is).collect() } else { some(&partition.to) };
            let mut begin = vec![What::Disturb(first, Disturbance::Cut { from: from.clone(), to: to.clone() })];
            if !partition.one_way {
                begin.push(What::Disturb(first + 1, Disturbance::Cut { from: to, to: from }));
            }
            (begin, vec![What::Calm(first), What::Calm(first + 1)])
        }
        Kind::Loss(loss) => {
            let who = some(std::slice::from_ref(&loss.who));
            (vec![What::Disturb(first, Disturbance::Loss { who, share: loss.share })], vec![What::Calm(first)])
        }
        Kind::Latency(latency) => {
            let (who, add) = (some(std::slice::from_ref(&latency.who)), Nanos::from_millis(latency.add.0));
            (vec![What::Disturb(first, Disturbance::Latency { who, add })], vec![What::Calm(first)])
        }
        Kind::Crash(crash) => {
            let stations = numbers(&crash.who, crash.share);
            (vec![What::Crash { stations: stations.clone(), disk: crash.disk }], vec![What::Start { stations }])
        }
        Kind::Pause(paused) => {
            let stations = numbers(&paused.who, paused.share);
            (vec![What::Pause { stations: stations.clone(), paused: true }], vec![What::Pause { stations, paused: false }])
        }
        Kind::Rest(resting) => {
            let stations = numbers(&resting.who, resting.share);
            (vec![What::Rest { stations: stations.clone(), resting: true }], vec![What::Rest { stations, resting: false }])
        }
        Kind::Skew(skew) => {
            let (stations, by) = (numbers(&skew.who, skew.share), i64::try_from(skew.by.0).unwrap_or(i64::MAX));
            let by_ms = if skew.back { -by } else { by };
            (vec![What::Skew { stations: stations.clone(), by_ms }], vec![What::Skew { stations, by_ms: 0 }])
        }
        Kind::Unplug(unplugged) => {
            let gone = drawn_of(&unplugged.who, unplugged.share);
            let who: Members = (0..drawn.len()).map(|number| gone.contains(&number)).collect();
            let out = Disturbance::Cut { from: who.clone(), to: all.clone() };
            let back = Disturbance::Cut { from: all, to: who };
            (vec![What::Disturb(first, out), What::Disturb(first + 1, back)], vec![What::Calm(first), What::Calm(first + 1)])
        }
    }
}
