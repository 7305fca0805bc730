//! The simulator: the real node, thousands at a time, in one process, one thread and virtual time, reproducible from a seed.
//!
//! ```text
//! scenario (a TOML file) ─► world (stations, faults, work) ─► net (links, NAT boxes, partitions)
//!                              │                                │
//!                              └────────► det (clock, luck, trace hash) ◄┘ ─► report
//! ```
//!
//! Guarantees: the same scenario and seed give the same trace hash in any process; everything above the seams (transport, store,
//! engine, outside) is the node's own code. Deliberately lacks an executor of its own: it is tokio's paused, single-threaded runtime.

pub mod actors;
pub mod cli;
pub mod det;
pub mod invariants;
pub mod luck;
pub mod metrics;
pub mod minimise;
pub mod net;
pub mod report;
pub mod scenario;
pub mod statistics;
pub mod world;
