//! What others may fetch from here: modules, and what the machines' records own, but for what is the researcher's alone.
//!
//! Guarantees: no experiment begins whose module nobody could fetch. Deliberately lacks serving, which is [`crate::content`].

use cid::Cid;
use station_protocol::ExperimentId;
use station_protocol::durable::Key;
use station_protocol::requester::{self, Draft};
use tokio::sync::oneshot;

use super::Driver;
use crate::network;
use crate::station::StationError;
use crate::station::handle::HandleError;
use crate::store::Table;

/// Places on the shelf below which no experiment begins, beside those for its own module and jobs. What runs already brings its outputs.
const PLACES_MIN: usize = 1_024;

/// Which records of `table` own what others may fetch.
pub(super) fn is_for_others(table: Table) -> fn(&Key) -> bool {
    match table {
        Table::Requester => requester::is_for_others,
        Table::Worker | Table::Node | Table::Library => |_| true,
    }
}

impl Driver {
    /// What a restart must not take from those who still fetch it: modules, and all that records of the machines own, which is what was
    /// provided when it was written. Without its outputs and its jobs a Log is not whole.
    pub(super) async fn provide_restored(&mut self) -> Result<(), StationError> {
        for id in self.requester.experiments().collect::<Vec<_>>() {
            let Some(view) = self.requester.view(&id) else { continue };
            self.provide_module(&id);
            self.fetches.provide_blocks(view.pages.into_iter().chain(view.status.log));
        }
        for table in [Table::Worker, Table::Requester] {
            let owned = self.store.owned(table, is_for_others(table)).await?;
            self.fetches.provide_blocks(owned);
        }
        Ok(())
    }

    pub(super) fn provide_module(&mut self, experiment: &ExperimentId) {
        let Some(view) = self.requester.view(experiment) else { return };
        let module = view.call.body.experiment.body.module.clone();
        self.network.perform(network::Command::Provide { cid: module.cid });
        self.fetches.provide(&module);
    }

    /// Publishes `draft`, unless the shelf has no place for what others must fetch of it.
    pub(super) fn publish(&mut self, draft: Box<Draft>, module: Vec<Cid>, reply: oneshot::Sender<Result<ExperimentId, HandleError>>) {
        let shelf = self.fetches.gauge();
        if shelf.max.saturating_sub(shelf.len) < PLACES_MIN + 1 + draft.jobs.block_count() {
            // Whoever asked has gone if the reply cannot be sent.
            drop(reply.send(Err(HandleError::ShelfFull)));
            return;
        }
        let publish = self.own_ticket();
        self.publishing.insert(publish, reply);
        self.requester.handle(requester::Event::Publish { publish, draft, module }, self.clock.now());
    }
}
