//! What a status page asks of the machine: [`Summary`] of each experiment, and how full its slots are.
//!
//! Deliberately lacks words: the node makes sentences of these values.

use cid::Cid;

use super::Worker;
use super::executions::{Executions, Saying};
use super::machine::Standing;
use super::work::Work;
use crate::bounded::{Name, Text};
use crate::capability::{Capability, Needs, TargetPattern};
use crate::experiment::ExperimentId;
use crate::identity::NodeId;
use crate::limits::Limits;
use crate::policy::Policy;
use crate::work::{ClaimRefused, DeclineReason};

/// One experiment, for the status page.
#[derive(Clone, Debug)]
pub struct Summary {
    pub experiment: ExperimentId,
    pub name: Text<64>,
    pub requester: NodeId,
    pub topic: Name,
    pub module: Cid,
    pub needs: Needs,
    pub limits: Limits,
    /// What of its needs no rule of the policy allows, where it was declined for that.
    pub lacks: Vec<(Capability, TargetPattern)>,
    /// The highest heard.
    pub seq: u64,
    pub standing: Standing,
    /// Whether any lease was asked for.
    pub claimed: bool,
    pub running: usize,
    /// What guests that run said last of how far they are: strangers' words.
    pub said: Vec<Saying>,
    /// Leases that wait for a slot or for the module.
    pub queued: usize,
    /// Receipts not yet held by the requester.
    pub outbox: usize,
}

impl Work {
    pub(super) fn summary(&self, experiment: ExperimentId, policy: &Policy, executions: &Executions) -> Summary {
        let body = &self.call.body.experiment.body;
        let running = self.running();
        let is_lacking = matches!(self.standing, Standing::Declined(DeclineReason::Capability | DeclineReason::Target));
        Summary {
            experiment,
            name: body.name.clone(),
            requester: self.requester(),
            topic: body.topic.clone(),
            module: body.module.cid,
            needs: body.needs.clone(),
            limits: body.limits.clone(),
            lacks: if is_lacking { policy.lacking(body) } else { Vec::new() },
            seq: self.call.body.seq,
            standing: self.standing,
            claimed: self.claimed,
            running,
            said: self.running_leases().filter_map(|(_, execution)| executions.get(execution)?.said.clone()).collect(),
            queued: self.leases.len() - running,
            outbox: self.outbox.len(),
        }
    }
}

impl Worker {
    /// All experiments known, in the order of their ids, but those that ended and of which the numbers alone are remembered.
    pub fn summaries(&self) -> impl Iterator<Item = Summary> + '_ {
        let is_over = |work: &Work| matches!(work.standing, Standing::Closed | Standing::Final(ClaimRefused::Closed));
        self.works
            .iter()
            .filter(move |(_, work)| work.heard || !is_over(work))
            .map(|(id, work)| work.summary(*id, &self.config.policy, &self.executions))
    }

    /// Executions at the same time, and what those that run may have of memory.
    #[must_use]
    pub fn slots(&self) -> (u32, u64) {
        (self.config.capacity, self.executions.memory())
    }
}
