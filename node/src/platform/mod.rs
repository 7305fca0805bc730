//! The only room with sockets, disk and threads: what the composition root hands to the station on a real machine.
//!
//! Deliberately lacks any rule. The simulator has a room of its own in this one's place.

pub mod outside;
pub mod store;
pub mod transport;
