//! How full the Worker is.

use super::Worker;
use super::calls::CALLS_PER_TOPIC_MAX;
use super::machine::MUTED_MAX;
use super::outbox::{HISTORY_MAX, OUTBOX_BYTES_MAX, OUTBOX_MAX};
use crate::gauge::Gauge;

impl Worker {
    /// Everything whose bound is a number of its own.
    #[must_use]
    pub fn gauges(&self) -> Vec<Gauge> {
        let calls = self.config.topics.iter().map(|topic| self.calls.count(topic)).max().unwrap_or(0);
        // Each experiment has a Call that is kept, or something in the outbox.
        let experiments = CALLS_PER_TOPIC_MAX * self.config.topics.len() + OUTBOX_MAX;
        let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        let mut gauges = vec![
            Gauge::new("calls of a topic", calls, CALLS_PER_TOPIC_MAX),
            Gauge::new("experiments of others", self.works.len(), experiments),
            Gauge::new("outbox entries", self.outbox_entries, OUTBOX_MAX),
            Gauge::new("outbox bytes", bytes(self.outbox_bytes), bytes(OUTBOX_BYTES_MAX)),
            Gauge::new("known requesters", self.history.len(), HISTORY_MAX),
            Gauge::new("muted addresses", self.muted.len(), MUTED_MAX),
        ];
        gauges.push(self.calls.rates());
        gauges.extend(self.peers.gauges());
        gauges
    }
}
