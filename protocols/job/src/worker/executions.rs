//! [`Executions`]: what runs here, and how much memory the jobs of each requester may have.
//!
//! Guarantees: what an experiment needs to know of all that runs is kept as sums, so that an event costs no walk over all that runs for each
//! Call that is open. Deliberately lacks the choice of what runs.

#[cfg(test)]
use std::cell::Cell;
use std::collections::BTreeMap;

use super::Near;
use crate::bounded::Text;
use crate::durable::Ticket;
use crate::experiment::ExperimentId;
use crate::identity::NodeId;
use crate::receipt::LeaseNumber;
use crate::time::Time;
use crate::work::MESSAGE_BYTES_MAX;

/// An execution the driver has not ended yet.
#[derive(Clone, Debug)]
pub(super) struct Running {
    pub(super) experiment: ExperimentId,
    pub(super) requester: NodeId,
    pub(super) lease: LeaseNumber,
    /// What the guest may have of memory.
    pub(super) memory_bytes: u64,
    pub(super) started: Time,
    /// Where its requester was then.
    pub(super) near: Near,
    /// What its guest said last of how far it is.
    pub(super) said: Option<Saying>,
    /// Whether its requester has not heard that.
    untold: bool,
    /// Told to stop: its slot is taken until the driver says it ended.
    pub(super) stopped: bool,
}

/// A guest's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saying {
    pub permille: u32,
    pub message: Text<MESSAGE_BYTES_MAX>,
}

/// Executions the driver has not ended yet, also those whose lease is gone.
#[derive(Debug, Default)]
pub(super) struct Executions {
    running: BTreeMap<Ticket, Running>,
    memory: BTreeMap<NodeId, u64>,
    memory_all: u64,
    /// Those that were told to stop.
    stopping: usize,
    /// How many were looked at, one by one.
    #[cfg(test)]
    looked: Cell<usize>,
}

impl Running {
    pub(super) fn new(experiment: ExperimentId, requester: NodeId, lease: LeaseNumber, memory_bytes: u64, started: Time, near: Near) -> Self {
        Self { experiment, requester, lease, memory_bytes, started, near, said: None, untold: false, stopped: false }
    }
}

impl Executions {
    pub(super) fn insert(&mut self, execution: Ticket, running: Running) {
        let memory = self.memory.entry(running.requester).or_default();
        *memory = memory.saturating_add(running.memory_bytes);
        self.memory_all = self.memory_all.saturating_add(running.memory_bytes);
        self.running.insert(execution, running);
    }

    pub(super) fn remove(&mut self, execution: Ticket) -> Option<Running> {
        let running = self.running.remove(&execution)?;
        self.stopping -= usize::from(running.stopped);
        self.memory_all = self.memory_all.saturating_sub(running.memory_bytes);
        if let Some(memory) = self.memory.get_mut(&running.requester) {
            *memory = memory.saturating_sub(running.memory_bytes);
            if *memory == 0 {
                self.memory.remove(&running.requester);
            }
        }
        Some(running)
    }

    /// What its guest says, if it still runs: the experiment and its requester.
    pub(super) fn says(&mut self, execution: Ticket, saying: Saying) -> Option<ExperimentId> {
        let running = self.running.get_mut(&execution).filter(|running| !running.stopped)?;
        running.said = Some(saying);
        running.untold = true;
        Some(running.experiment)
    }

    /// What its guest said since this was asked last.
    pub(super) fn news_of(&mut self, execution: Ticket) -> Option<Saying> {
        let running = self.running.get_mut(&execution)?;
        std::mem::take(&mut running.untold).then(|| running.said.clone())?
    }

    pub(super) fn get(&self, execution: Ticket) -> Option<&Running> {
        self.running.get(&execution)
    }

    /// It is to stop. Whether that is news.
    pub(super) fn stop(&mut self, execution: Ticket) -> bool {
        let news = self.running.get_mut(&execution).is_some_and(|running| !std::mem::replace(&mut running.stopped, true));
        self.stopping += usize::from(news);
        news
    }

    /// Whether one that was told to stop has not ended.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping > 0
    }

    pub(super) fn len(&self) -> usize {
        self.running.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Ticket, &Running)> {
        self.running.iter().map(|(execution, running)| {
            self.is_looked_at();
            (*execution, running)
        })
    }

    /// One of them is looked at: tests count that.
    pub(super) fn is_looked_at(&self) {
        #[cfg(test)]
        self.looked.set(self.looked.get() + 1);
    }

    /// What all may have of memory.
    pub(super) fn memory(&self) -> u64 {
        self.memory_all
    }

    /// What those of others than `requester` may have.
    pub(super) fn memory_of_others(&self, requester: &NodeId) -> u64 {
        self.memory_all.saturating_sub(self.memory.get(requester).copied().unwrap_or(0))
    }

    #[cfg(test)]
    pub(super) fn looked(&self) -> usize {
        self.looked.get()
    }
}
