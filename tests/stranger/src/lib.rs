//! A foreign peer that means harm, and what it does to real stations.
//!
//! ```text
//! cbor, key, messages     DAG-CBOR, signatures and every message, by hand from PROTOCOL.md
//! protobuf                gossipsub's, identify's and the DHT's frames, by hand
//! peer                    a swarm without behaviours: streams are opened and taken, and what is said on them is the attacker's affair
//! line                    a connection whose multiplexer is spoken by hand
//! conduct                 what a peer says to a station that asks: identify, gossip's streams, work, car, kad
//! halves                  connections that begin and never go on
//! attacks                 the harms, one file for each kind
//! reading                 blocks over car, and whole Logs, by one who means no harm
//! process, world, alone   real stations as processes, an honest one beside a target, in a network of their own
//! watch                   what a process costs, and who knocks at doors
//! ```
//!
//! Guarantees: nothing here uses a line of the station, its protocol crate or its codecs (the manifest names no crate of the workspace), so
//! that a mistake in them is not made twice; a station is known by its command line and its sockets alone. Deliberately lacks manners: no
//! back-off, no bounds, no rules.

pub mod alone;
pub mod attacks;
pub mod cbor;
pub mod conduct;
pub mod halves;
pub mod key;
pub mod line;
pub mod messages;
pub mod peer;
pub mod process;
pub mod protobuf;
pub mod reading;
pub mod watch;
pub mod world;

/// The clock that messages are dated by.
///
/// # Panics
/// When the machine's clock stands before 1970.
#[must_use]
pub fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
