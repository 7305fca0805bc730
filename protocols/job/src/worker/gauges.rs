//! How full the Worker is, and that it is never fuller than it may be.

use super::Worker;
use super::calls::CALLS_PER_TOPIC_MAX;
use super::machine::SWEEP_MS;
use super::outbox::{HISTORY_MAX, OUTBOX_BYTES_MAX, OUTBOX_MAX, RECORDED_MAX};
use crate::gauge::Gauge;
use crate::time::Time;

/// Experiments known: each has a Call that is kept, leases or receipts, or lease numbers that are not to be run again.
pub(super) const fn works_max(topics: usize) -> usize {
    CALLS_PER_TOPIC_MAX * topics + 2 * OUTBOX_MAX + RECORDED_MAX
}

impl Worker {
    /// Everything whose bound is a number of its own.
    #[must_use]
    pub fn gauges(&self) -> Vec<Gauge> {
        let calls = self.config.topics.iter().map(|topic| self.calls.count(topic)).max().unwrap_or(0);
        let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        let mut gauges = vec![
            Gauge::new("calls of a topic", calls, CALLS_PER_TOPIC_MAX),
            Gauge::new("experiments of others", self.works.len(), works_max(self.config.topics.len())),
            Gauge::new("outbox entries", self.outbox_entries, OUTBOX_MAX),
            Gauge::new("outbox bytes", bytes(self.outbox_bytes), bytes(OUTBOX_BYTES_MAX)),
            Gauge::new("known requesters", self.history.len(), HISTORY_MAX),
        ];
        gauges.push(self.calls.rates());
        gauges.extend(self.dials.gauges());
        gauges.extend(self.peers.gauges());
        gauges
    }

    /// What holds after every event, whatever remotes say: a machine for which it does not is not to go on.
    pub(super) fn assert_bounds(&self, now: Time) {
        assert!(self.works.len() <= works_max(self.config.topics.len()), "experiments are bounded");
        assert!(self.outbox_entries <= OUTBOX_MAX, "the outbox is bounded");
        assert!(self.outbox_bytes <= OUTBOX_BYTES_MAX, "the bytes of the outbox are bounded");
        assert!(self.history.len() <= HISTORY_MAX, "known requesters are bounded");
        assert!(self.executions.len() <= self.most_slots as usize, "never more run than there are slots");
        assert!(self.deadline.is_some_and(|at| at > now && at <= now.plus(SWEEP_MS)), "the clock is needed soon");
    }
}
