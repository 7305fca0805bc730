//! What stations say that guests say of how far they are.
//!
//! Guarantees: only who has a lease that has not ended is heard, and of a lease the last only. Deliberately lacks any effect: nothing rests on it,
//! and nothing of it is kept on disk.

use super::context::Context;
use super::run::Run;
use crate::bounded::Text;
use crate::identity::NodeId;
use crate::receipt::LeaseNumber;
use crate::time::Time;
use crate::work::{MESSAGE_BYTES_MAX, Said};

/// How many of an experiment are shown: more than a person reads.
pub const SAID_MAX: usize = 64;

/// A guest's words, which prove nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    pub lease: LeaseNumber,
    /// Which job.
    pub index: u64,
    pub node: NodeId,
    /// At most 1,000.
    pub permille: u32,
    pub message: Text<MESSAGE_BYTES_MAX>,
    /// When this requester heard it.
    pub at: Time,
}

impl Run {
    /// `node` says what the guests of its leases said.
    pub(super) fn hear_progress(&mut self, cx: &Context, node: NodeId, said: &[Said], now: Time) {
        let at = cx.world(now);
        for Said { lease, permille, message } in said {
            if let Some(leased) = self.leases.get_mut(lease).filter(|leased| leased.node == node) {
                let (index, permille, message) = (leased.index, (*permille).min(1_000), message.clone());
                leased.said = Some(Box::new(Heard { lease: *lease, index, node, permille, message, at }));
            }
        }
    }

    /// What guests that run said last, of the newest leases.
    pub(super) fn said(&self) -> Vec<Heard> {
        self.leases.values().rev().filter_map(|leased| leased.said.as_deref().cloned()).take(SAID_MAX).collect()
    }
}
