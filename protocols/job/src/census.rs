//! The size of a topic, counted from signed peer records rather than looked up.
//!
//! `Peers` answers carry the records with the smallest hash; merged, they spread like gossip, and the largest hash of a full
//! sample tells how many there must be. Deliberately not proof: inflating the count with ground keys makes the network more cautious.

use serde::{Deserialize, Serialize};

use crate::address::Address;
use crate::bounded::{List, Name};
use crate::identity::{Body, NodeId};
use crate::time::Time;

/// Most addresses in a record.
pub const RECORD_ADDRESSES_MAX: usize = 4;
/// Records older than this are dropped: a station renews its own every hour.
pub const RECORD_AGE_MS_MAX: u64 = 2 * crate::time::HOUR;

/// A station's statement that it takes part in a topic, and where it listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerRecord {
    pub node: NodeId,
    pub topic: Name,
    pub at: List<Address, RECORD_ADDRESSES_MAX>,
    /// When it was made; of one node the latest counts.
    pub made: Time,
}

impl Body for PeerRecord {
    const KIND: &'static str = "peer/1";
}
