//! UnixFS files: [`build`] makes the blocks of one, [`FileReader`], [`assemble`] and [`assemble_owned`] make its bytes again.
//!
//! Guarantees: files are built by the profile `unixfs-v1-2025` of IPIP-499, so that any IPFS implementation gives the same CID.
//! Deliberately lacks directories, symbolic links, modes and times.

mod build;
mod file;
mod node;

pub use build::{CHUNK_BYTES, LINKS_PER_NODE, build};
pub(crate) use file::declared_bytes;
pub use file::{FileError, FileReader, assemble, assemble_owned, check};
pub use node::NodeError;

#[cfg(test)]
mod tests;
