//! What guests say of how far they are, on its way to their requester.
//!
//! Guarantees: a requester hears of an experiment at most once in [`EVERY_MS`], and only over a connection that there is; what came later
//! takes the place of what came before; no claim and no delivery waits for an answer; nothing of it is kept on disk. Deliberately lacks any
//! meaning: a guest may say what it likes.

use super::Worker;
use super::executions::Saying;
use super::work::Work;
use crate::bounded::List;
use crate::durable::Ticket;
use crate::experiment::ExperimentId;
use crate::time::{SECOND, Time};
use crate::work::{Progress, Request, Said};

/// How often a requester hears of one experiment: as often as a person looks.
pub(super) const EVERY_MS: u64 = 10 * SECOND;

impl Worker {
    /// A guest said how far it is. Whether there is something to tell that there was not before.
    pub(super) fn said(&mut self, execution: Ticket, saying: Saying) -> bool {
        let Some(id) = self.executions.says(execution, saying) else { return false };
        self.works.get_mut(&id).is_some_and(|work| !std::mem::replace(&mut work.untold, true))
    }

    /// When the requester of `work` may hear what guests said, if they said anything new and it is connected: nobody is dialled for it.
    pub(super) fn tells_at(&self, work: &Work) -> Option<Time> {
        (work.untold && self.is_here(&work.requester())).then_some(work.tell_at)
    }

    /// Tells the requester of `id` what its guests said last, the newest leases first where there are too many.
    pub(super) fn tell_progress(&mut self, id: ExperimentId, now: Time) {
        let Some(work) = self.works.get_mut(&id) else { return };
        (work.tell_at, work.untold) = (now.plus(EVERY_MS), false);
        let (requester, at) = (work.requester(), work.call.body.at.clone());
        let executions = &mut self.executions;
        let said = work.running_leases().rev().filter_map(|(lease, execution)| {
            let Saying { permille, message } = executions.news_of(execution)?;
            Some(Said { lease, permille, message })
        });
        let said: List<Said, _> = List::first(said);
        if !said.is_empty() {
            self.mention(requester, at, Request::Progress(Progress { experiment: id, said }));
        }
    }
}
