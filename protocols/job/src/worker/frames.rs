//! [`Frames`]: how much one request to a requester may carry.
//!
//! What a Call says of the way is a guess: who names direct addresses may have come here through a relay. Guarantees: where a request was too
//! large for the way, or an answer came through a relay, the next are small enough for a relay; after a while without such a sign they may
//! be large again. Deliberately lacks the connections themselves.

use std::collections::BTreeMap;

use crate::identity::NodeId;
use crate::time::{MINUTE, Time};
use crate::work::{At, RELAYED_BYTES_MAX, REQUEST_BYTES_MAX};

/// How long requests stay small after a sign of a relay. To find out costs one request that is not sent.
const NARROW_MS: u64 = 10 * MINUTE;

#[derive(Debug, Default)]
pub(super) struct Frames {
    /// Until when the way to a requester counts as one through a relay.
    narrow: BTreeMap<NodeId, Time>,
}

impl Frames {
    /// The way to `requester` leads through a relay. Whether that is news.
    pub(super) fn narrows(&mut self, requester: NodeId, now: Time) -> bool {
        self.narrow.insert(requester, now.plus(NARROW_MS)).is_none_or(|until| until <= now)
    }

    /// The largest frame to `requester`, whose Call names `at`.
    pub(super) fn bytes_max(&self, requester: &NodeId, at: &At, now: Time) -> usize {
        let is_narrow = self.narrow.get(requester).is_some_and(|until| *until > now);
        let is_named_so = !at.is_empty() && at.iter().all(|address| address.relay().is_some());
        if is_narrow || is_named_so { RELAYED_BYTES_MAX } else { REQUEST_BYTES_MAX }
    }

    /// Forgets those of whom there is nothing here, and what is over.
    pub(super) fn sweep(&mut self, now: Time, is_here: impl Fn(&NodeId) -> bool) {
        self.narrow.retain(|requester, until| *until > now && is_here(requester));
    }
}
