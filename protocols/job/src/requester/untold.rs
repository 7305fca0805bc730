//! [`Untold`]: verdicts that stations had not heard when their experiment was closed.
//!
//! Guarantees: whoever asks within ten minutes of the end hears what it has not heard, `expired` too, and its cursor never passes a verdict
//! that was not told; memory is bounded, for one experiment and for all. Deliberately lacks the disk: after a restart they are to be found in
//! the Log alone, which the closed Call names.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::Peer;
use super::run::Claimant;
use crate::bounded::List;
use crate::call::CALL_VALID_MS_MAX;
use crate::codec;
use crate::identity::NodeId;
use crate::time::Time;
use crate::verdict::JobVerdict;
use crate::work::{ACK_VERDICTS_MAX, RELAYED_BYTES_MAX};

/// How long they are told after the end: as long as the last open Call may still be around.
pub(super) const UNTOLD_MS: u64 = CALL_VALID_MS_MAX;
/// Bytes of one closed experiment's, by their encoding; what does not fit is in the Log.
const UNTOLD_BYTES_MAX: usize = 4 << 20;
/// The same of all closed experiments: those of the oldest go first.
pub(super) const UNTOLD_BYTES_ALL_MAX: usize = 32 << 20;
/// Bytes of verdicts in one Ack, a quarter of a frame.
pub(super) const VERDICT_BYTES_MAX: usize = 512 << 10;
/// What an entry takes beside its verdict.
const ENTRY_BYTES: usize = 64;

/// Numbered in the requester's durable order.
pub(super) type Unread = VecDeque<(u64, Arc<JobVerdict>)>;

#[derive(Debug, Default)]
pub(super) struct Untold {
    unread: BTreeMap<NodeId, Unread>,
    bytes: usize,
}

impl Untold {
    /// What `claimants` have not read: of each station the oldest first, as far as there is room.
    pub(super) fn of(claimants: BTreeMap<NodeId, Claimant>) -> Self {
        let mut untold = Self::default();
        // Each verdict is in memory once, whoever waits for it.
        let mut counted: BTreeMap<u64, usize> = BTreeMap::new();
        for (node, claimant) in claimants {
            let mut kept = Unread::new();
            for (ordinal, verdict) in claimant.unread {
                let verdict_bytes = if counted.contains_key(&ordinal) { 0 } else { codec::encode(&*verdict).len() };
                if untold.bytes + verdict_bytes + ENTRY_BYTES > UNTOLD_BYTES_MAX {
                    break;
                }
                counted.insert(ordinal, verdict_bytes);
                untold.bytes += verdict_bytes + ENTRY_BYTES;
                kept.push_back((ordinal, verdict));
            }
            if !kept.is_empty() {
                untold.unread.insert(node, kept);
            }
        }
        untold
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Verdicts for `from`, which has read all below `cursor`, and the cursor after them. Where there are none the cursor stays: what this
    /// process cannot tell is nothing that was told.
    pub(super) fn tell(&mut self, from: Peer, cursor: u64) -> (List<JobVerdict, ACK_VERDICTS_MAX>, u64) {
        let Some(unread) = self.unread.get_mut(&from.node) else { return (List::default(), cursor) };
        let last = unread.back().map_or(cursor, |(ordinal, _)| ordinal + 1);
        tell(unread, from, cursor, last.max(cursor))
    }

    /// Ends what was told for long enough at this time of the world.
    pub(super) fn expire(&mut self, closed_at: Time, world: Time) {
        if self.bytes > 0 && world.since(closed_at) > UNTOLD_MS {
            *self = Self::default();
        }
    }
}

/// Verdicts of `unread` from `cursor` on, and the cursor after them; `last` where nothing is left. One that fits no answer is to be found in
/// the Log.
pub(super) fn tell(unread: &mut Unread, from: Peer, cursor: u64, last: u64) -> (List<JobVerdict, ACK_VERDICTS_MAX>, u64) {
    while unread.front().is_some_and(|(ordinal, _)| *ordinal < cursor) {
        unread.pop_front();
    }
    let most = if from.is_relayed { RELAYED_BYTES_MAX / 4 } else { VERDICT_BYTES_MAX };
    let (mut verdicts, mut bytes, mut after) = (Vec::new(), 0, last);
    for (ordinal, verdict) in unread.iter() {
        let more = codec::encode(&**verdict).len();
        if more > most {
            continue;
        }
        bytes += more;
        if verdicts.len() == ACK_VERDICTS_MAX || bytes > most {
            after = *ordinal;
            break;
        }
        verdicts.push((**verdict).clone());
    }
    (List::first(verdicts), after)
}
