//! Content by CID over a byte stream: [`Provider`] serves what is on its [`Shelf`], [`fetch`] brings a DAG here and verifies it while
//! it arrives, [`assemble`] and [`file`] make whole bytes of blocks, [`check`] and [`is_here`] only see whether they could.
//!
//! ```text
//! asker → provider   varint length, then DAG-CBOR {root: CID, scope: "all", max_bytes: u64}, at most 256 bytes
//! provider → asker   one byte: 0 a CAR follows, 1 not found, 2 too large, 3 over rate, 4 the request is malformed
//!                    after 0: a CARv1 in depth-first order, each block once; then the end of the stream
//! ```
//!
//! Files are followed, other content is one block: a root of DAG-CBOR or raw bytes comes alone, whatever links stand in it.
//! Guarantees: only roots that were put on the shelf are served; nothing unverified is returned; both sides give up on a peer that
//! stalls or crawls. Deliberately lacks paths and ranges, and any choice of whom to ask.

mod fetch;
#[doc(hidden)]
pub mod fuzz;
mod pace;
mod quota;
mod serve;
mod shelf;
mod wire;

use cid::Cid;
use station_car::block::inline_bytes;
use station_car::unixfs::{self, FileError, FileReader};
use station_protocol::Content;

pub use fetch::{COMPILING_BYTES_MAX, FETCH_BYTES_MAX, FetchFailure, MODULES_BYTES_MAX, OUTPUTS_BYTES_MAX, fetch};
pub use pace::{GRACE, IDLE, MIN_BYTES_PER_SECOND, Slow};
pub use quota::{Bounds, OverRate, Quota};
pub use serve::{Provider, RELAYED_CAR_BYTES_MAX, ServeFailure, Served};
pub use shelf::{SHELF_MAX, Shelf, ShelfFull};
pub use wire::{REQUEST_BYTES_MAX, Refusal, Request, Scope};

use crate::store::{Store, StoreError};

/// The bytes of the file `content` from blocks that were verified before; exactly as many as it says. Lets go each block that it has used.
pub fn assemble(content: &Content, blocks: Vec<(Cid, Vec<u8>)>) -> Result<Vec<u8>, FileError> {
    let bytes = unixfs::assemble_owned(&content.cid, blocks, content.bytes)?;
    is_whole(content, bytes.len() as u64).map(|()| bytes)
}

/// Whether these blocks, verified before, make the file `content`.
pub fn check(content: &Content, blocks: &[(Cid, Vec<u8>)]) -> Result<(), FileError> {
    is_whole(content, unixfs::check(&content.cid, blocks, content.bytes)?)
}

fn is_whole(content: &Content, found: u64) -> Result<(), FileError> {
    if found == content.bytes { Ok(()) } else { Err(FileError::SizeMismatch { cid: Box::new(content.cid), declared: content.bytes, found }) }
}

/// Whether [`file`] would find it.
pub async fn is_here(store: &dyn Store, content: &Content) -> Result<bool, StoreError> {
    let mut reader = FileReader::new(content.cid, content.bytes);
    let mut bytes = 0;
    while let Some(cid) = reader.wants().copied() {
        let block = match inline_bytes(&cid) {
            Some(inline) => Some(inline.to_vec()),
            None => store.blob(cid).await?,
        };
        let Some(part) = block.and_then(|block| reader.supply(&block).ok()) else {
            let cached = store.cached(content.cid).await?;
            return Ok(cached.is_some_and(|blocks| check(content, &blocks).is_ok()));
        };
        bytes += part.len() as u64;
    }
    Ok(bytes == content.bytes)
}

/// How long the file under `root` is, if all its blocks are durable in `store` and make one that may be a module.
pub async fn length(store: &dyn Store, root: Cid) -> Result<Option<u64>, StoreError> {
    let mut reader = FileReader::new(root, FETCH_BYTES_MAX);
    let mut bytes = 0;
    while let Some(cid) = reader.wants().copied() {
        let block = match inline_bytes(&cid) {
            Some(inline) => Some(inline.to_vec()),
            None => store.blob(cid).await?,
        };
        let Some(part) = block.and_then(|block| reader.supply(&block).ok()) else { return Ok(None) };
        bytes += part.len() as u64;
    }
    Ok(Some(bytes))
}

/// The bytes of the file `content`, if all its blocks are durable in `store`, or the whole of it is cached, and make exactly such a
/// file.
pub async fn file(store: &dyn Store, content: &Content) -> Result<Option<Vec<u8>>, StoreError> {
    let mut reader = FileReader::new(content.cid, content.bytes);
    let mut bytes: Vec<u8> = Vec::new();
    while let Some(cid) = reader.wants().copied() {
        let block = match inline_bytes(&cid) {
            Some(inline) => Some(inline.to_vec()),
            None => store.blob(cid).await?,
        };
        let Some(part) = block.and_then(|block| reader.supply(&block).ok()) else {
            drop(bytes);
            let cached = store.cached(content.cid).await?;
            return Ok(cached.and_then(|blocks| assemble(content, blocks).ok()));
        };
        bytes.extend(part);
    }
    Ok((bytes.len() as u64 == content.bytes).then_some(bytes))
}

/// The blocks of the file `content`, as [`file`] finds it.
pub async fn blocks(store: &dyn Store, content: &Content) -> Result<Option<Vec<(Cid, Vec<u8>)>>, StoreError> {
    let mut reader = FileReader::new(content.cid, content.bytes);
    let mut blocks = Vec::new();
    while let Some(cid) = reader.wants().copied() {
        let inline = inline_bytes(&cid).map(<[u8]>::to_vec);
        let block = match &inline {
            Some(_) => inline.clone(),
            None => store.blob(cid).await?,
        };
        let Some(block) = block.filter(|block| reader.supply(block).is_ok()) else {
            let cached = store.cached(content.cid).await?;
            return Ok(cached.filter(|blocks| check(content, blocks).is_ok()));
        };
        if inline.is_none() {
            blocks.push((cid, block));
        }
    }
    Ok(Some(blocks))
}

#[cfg(test)]
mod tests;
