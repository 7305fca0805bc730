//! CAR streams and UnixFS files, verified while they arrive.
//!
//! Three layers, each usable alone: [`Reader`] turns the bytes of a CARv1 into blocks whose hash was checked; [`Verifier`] also
//! knows which DAG was asked for and releases only the blocks that come next in it; [`unixfs`] turns blocks into the bytes of a
//! file and back. [`Writer`] makes a CARv1 of a DAG in the order the verifier expects.
//!
//! Guarantees: no byte of a block is released before its hash is known; success means that the whole DAG came; every size a
//! sender declares is checked before anything is allocated for it; no bytes make it panic.
//!
//! Deliberately absent: IO, clocks, hash maps, and (for now) paths, byte ranges, sharded directories and CARv2.

pub mod block;
#[doc(hidden)]
pub mod fuzz;
mod header;
mod reader;
mod sections;
pub mod unixfs;
pub mod varint;
mod verifier;
mod walk;
mod writer;

pub use block::{Block, Dag};
pub use reader::{Event, Reader};
pub use sections::{CarError, HEADER_BYTES_MAX, ROOTS_MAX, SECTION_BYTES_MAX};
pub use verifier::{Progress, Verifier, dag_bytes_max};
pub use walk::{DEPTH_MAX, DagError, LINKS_MAX, SEEN_MAX};
pub use writer::{Writer, car};

#[cfg(test)]
mod tests;
