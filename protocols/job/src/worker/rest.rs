//! Why a station takes no work although it runs: its operator paused it, the hours, the battery, the machine, the disk.
//!
//! Guarantees: a pause is durable before the operator hears of it, survives restarts, and ends by itself where it has an end; who rests by
//! the operator's wish gives back what has not begun and lets what runs run. Deliberately lacks the clock, the battery, the trial of
//! the machine and the disk: they are told. Pauses and hours are of the world's time.

use serde::{Deserialize, Serialize};

use super::{Effect, Event, Note, Worker};
use crate::durable::{Commit, Key};
use crate::human::Hours;
use crate::time::Time;
use crate::work::ReturnReason;

/// Largest record of a pause.
pub(super) const PAUSE_BYTES_MAX: usize = 64;

/// Why nothing new is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// It finishes what it runs and ends.
    Draining,
    /// Its operator paused it, until then or until they resume it.
    Paused { until: Option<Time> },
    /// The hours of the policy begin then.
    Hours { from: Time },
    /// The machine runs on battery, and the policy does not work on it.
    Battery,
    /// This machine can run nothing, or that is not known yet.
    Unfit,
    /// The disk has no room for what work brings.
    Disk,
}

impl Rest {
    /// Whether the operator wants the machine quiet: what has not begun is given back. A disk may have room again in a
    /// moment, and a machine is tried out at each start.
    fn is_wished(self) -> bool {
        !matches!(self, Self::Unfit | Self::Disk)
    }
}

/// The record of a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pause {
    pub(super) until: Option<Time>,
}

/// What was told, and what follows from it now.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Resting {
    pub(super) draining: bool,
    pub(super) pause: Option<Pause>,
    on_battery: bool,
    unfit: bool,
    disk_full: bool,
    /// As of the last event.
    now: Option<Rest>,
}

/// The record's name in the Worker's table.
pub(super) fn pause_key() -> Key {
    Key(vec![b'r'])
}

impl Worker {
    /// Why nothing new is taken now, if so.
    #[must_use]
    pub fn rest(&self) -> Option<Rest> {
        self.resting.now
    }

    pub(super) fn rested(&mut self, event: &Event) {
        match event {
            Event::Pause { until } => {
                let pause = Pause { until: *until };
                self.resting.pause = Some(pause);
                self.commit(Commit { puts: vec![(pause_key(), crate::codec::encode(&pause))], ..Commit::default() });
            }
            Event::Resume => self.end_pause(),
            Event::OnBattery(on_battery) => self.resting.on_battery = *on_battery,
            Event::Fit(is_fit) => self.resting.unfit = !is_fit,
            Event::Room(enough) => self.resting.disk_full = !enough,
            Event::Drain => self.resting.draining = true,
            _ => {}
        }
    }

    fn end_pause(&mut self) {
        if self.resting.pause.take().is_some() {
            self.commit(Commit { deletes: vec![pause_key()], ..Commit::default() });
        }
    }

    /// What follows at `now` from what was told; what has not begun is given back where the operator wants the machine quiet.
    pub(super) fn look_at_rest(&mut self, now: Time) {
        let world = self.world(now);
        if self.resting.pause.is_some_and(|pause| pause.until.is_some_and(|until| until <= world)) {
            self.end_pause();
        }
        let rest = self.rest_at(world);
        if rest != std::mem::replace(&mut self.resting.now, rest) {
            self.act(Effect::Note(Note::Rests(rest)));
        }
        if self.gives_back() {
            let queued = self.works.iter().filter(|(_, work)| work.leases.len() > work.running());
            for id in queued.map(|(id, _)| *id).collect::<Vec<_>>() {
                self.return_queued(id, ReturnReason::Drain);
            }
        }
    }

    /// Whether what has not begun is given back.
    pub(super) fn gives_back(&self) -> bool {
        self.resting.draining || self.resting.now.is_some_and(Rest::is_wished)
    }

    fn rest_at(&self, world: Time) -> Option<Rest> {
        let budget = &self.config.policy.budget;
        if self.resting.draining {
            return Some(Rest::Draining);
        }
        if let Some(Pause { until }) = self.resting.pause {
            return Some(Rest::Paused { until });
        }
        if !budget.hours.contain(world) {
            return Some(Rest::Hours { from: budget.hours.change_after(world).unwrap_or(world) });
        }
        if self.resting.on_battery && !budget.on_battery {
            return Some(Rest::Battery);
        }
        if self.resting.unfit {
            return Some(Rest::Unfit);
        }
        self.resting.disk_full.then_some(Rest::Disk)
    }

    /// When that changes by the clock alone.
    pub(super) fn rest_deadline(&self, now: Time) -> Option<Time> {
        let hours: Hours = self.config.policy.budget.hours;
        let pause = self.resting.pause.and_then(|pause| pause.until);
        pause.into_iter().chain(hours.change_after(self.world(now))).min().map(|at| self.shift.ours(at))
    }
}
