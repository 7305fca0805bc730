//! What the event loop shows of itself: notes, gauges, views of experiments, the status.

use station_protocol::bounded::Name;
use station_protocol::gauge::Gauge;
use station_protocol::worker;

use super::Driver;
use crate::station::handle::{Around, Note, Status};

impl Driver {
    pub(super) fn note(&mut self, note: Note) {
        if let Note::Worker(worker::Note::Declined { reason, .. }) = &note {
            self.host.declined(*reason);
        }
        self.narrator.tell(&note);
        // Nobody may be listening.
        let _ = self.notes.send(note);
    }

    pub(super) fn gauges(&self) -> Vec<Gauge> {
        let of_rules = self.worker.gauges().into_iter().chain(self.requester.gauges());
        of_rules.chain(self.network.gauges()).chain([self.commits.gauge(), self.fetches.gauge(), self.host.gauge()]).collect()
    }

    /// Answers with the views of which everything can be read from the disk.
    pub(super) fn show_views(&mut self) {
        while self.views.front().is_some_and(|(given, ..)| self.commits.are_durable(*given)) {
            let Some((_, reply, view)) = self.views.pop_front() else { break };
            // Whoever asked has gone if the reply cannot be sent.
            let _ = reply.send(view);
        }
        while self.told.front().is_some_and(|(given, _)| self.commits.are_durable(*given)) {
            // The same.
            let _ = self.told.pop_front().map(|(_, reply)| reply.send(()));
        }
    }

    pub(super) fn around(&self, topic: &Name) -> Around {
        let connected = self.worker.met(topic);
        // What its people read speaks of no fewer than are here; what is decided by the count does not follow them.
        Around { peers: self.connected.len() as u64, connected, counted: self.worker.counted(topic).max(connected + 1) }
    }

    pub(super) fn status(&self) -> Status {
        let network = self.network.snapshot();
        Status {
            connected: self.connected.iter().copied().collect(),
            clock: self.clocks.apart(self.clock.shift()),
            addresses: self.addresses.clone(),
            gossip: network.gossip,
            dht: network.dht,
            relay: network.relay,
            topics: self.topics.iter().map(|topic| (topic.clone(), self.worker.counted(topic))).collect(),
            unfit: self.unfit.clone(),
            running: self.executor.running(),
            slots: self.worker.slots(),
            rest: self.worker.rest(),
            paths: self.network.paths(),
            reached: network.reached,
            bootstraps: self.network.bootstraps(),
            outbox: self.worker.outbox_len(),
            calls: self.worker.summaries().collect(),
            own: self.requester.experiments().collect(),
            accounts: self.network.ledger().figures(),
            bounds: self.gauges(),
        }
    }
}
