//! The station: sockets, disk and sandbox around the rules of `station-protocol`. Translates; decides nothing.
//!
//! Rooms: [`station`] (the one event loop), [`executor`] (leases → sandbox → reports), [`hostcalls`] (what a guest may ask of the
//! host), [`outside`] (the way to the world, and the address table), [`network`] (libp2p), [`content`] (CAR in and out),
//! [`store`] (records and blobs), [`config`], [`api`] (loopback HTTP), [`results`] (tables and reports), [`page`] (pages and charts,
//! the simulator's too), [`cli`], and
//! [`platform`], the only room with sockets, disk and threads.
//!
//! Deliberately absent: decisions about the protocol, and any way to reach a socket, file or clock other than through the seams.

pub mod api;
pub mod cli;
pub mod clock;
pub mod config;
pub mod content;
pub mod demo;
pub mod engine;
pub mod executor;
pub mod hostcalls;
pub mod ledger;
pub mod library;
pub mod network;
pub mod numbers;
pub mod on_disk;
pub mod operator;
pub mod outside;
pub mod page;
pub mod platform;
pub mod prepare;
pub mod printable;
pub mod results;
mod sparing;
pub mod spelling;
pub mod station;
pub mod store;
pub mod tasks;
