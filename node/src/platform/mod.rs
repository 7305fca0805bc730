//! The only room with sockets, disk and threads: what the composition root hands to the station on a real machine.
//!
//! Deliberately lacks any rule. The simulator has a room of its own in this one's place.

pub mod damage;
pub mod engine;
pub mod granted;
pub mod home;
pub mod knock;
pub mod listen;
pub mod load;
pub(crate) mod names;
pub mod offline;
pub mod outside;
pub mod ports;
pub mod power;
pub mod start;
pub mod store;
pub(crate) mod system;
pub mod transport;
pub mod trial;
pub mod watch;
