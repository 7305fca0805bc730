//! [`PeerAction`]: what a peer did that moves its score, as a value the machines emit and the node's reputation consumes.
//!
//! Guarantees: few, ordered by severity. Deliberately lacks results that merely differ: a measurement is never a fault.

use serde::{Deserialize, Serialize};

/// Ordered from harmless to proof of bad faith.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PeerAction {
    /// A receipt was held, a verdict reached: about as good as it gets.
    Useful,
    /// Slow, late, unreachable: about 50 of these and the peer is let go for a while.
    Tolerable,
    /// Over a quota, an answer to nothing: about 10.
    Annoying,
    /// A message no honest station of this version sends: about 5.
    Invalid,
    /// Two contradicting signed statements (E1, E3): once.
    Proven,
}
