//! The rules of Station: every message, and the two machines that decide what to say next.
//!
//! Read in this order: [`time`], [`identity`], [`codec`], [`bounded`] (the alphabet); [`experiment`], [`call`], [`work`], [`receipt`],
//! [`verdict`], [`log`] (the words); [`accounts`], [`sampling`], [`census`], [`cluster`], [`lease`], [`quorum`], [`policy`], [`activity`] (leaf algorithms);
//! [`worker`] and [`requester`] (the machines).
//!
//! A machine has four verbs: `restore` it from its records, `handle` an event at a time, `poll` actions until there are none,
//! and ask for the `next_deadline`. The node and the simulator drive the same machines.
//!
//! Deliberately absent: clocks, entropy, IO, tokio, libp2p, wasmer, hash maps. Time is an argument, luck is a seed, and what a
//! remote sends is never a reason to panic.

pub mod accounts;
pub mod activity;
pub mod address;
#[cfg(test)]
pub(crate) mod arbitrary;
pub mod bounded;
pub mod call;
pub mod capability;
pub mod census;
pub mod clock;
pub mod cluster;
pub mod codec;
pub mod content;
pub mod durable;
pub mod experiment;
#[doc(hidden)]
pub mod fuzz;
pub mod gauge;
pub mod hostcall;
pub mod human;
pub mod identity;
pub mod jobs;
pub mod labels;
pub mod lease;
pub mod limits;
pub mod log;
pub mod mutants;
pub mod peer_action;
pub mod policy;
pub mod quorum;
pub mod receipt;
pub mod requester;
pub mod sampling;
pub mod time;
pub mod verdict;
pub mod work;
pub mod worker;

pub use content::Content;
pub use experiment::{Experiment, ExperimentId};
pub use identity::{NodeId, Signed, SigningKey};
pub use peer_action::PeerAction;
pub use time::Time;
