//! [`FileReader`]: blocks in, the bytes of a file out, in order. [`assemble`] does it for blocks that are all there, [`assemble_owned`] for
//! those that are not needed afterwards, [`check`] without keeping anything.
//!
//! Guarantees: every size a node declares for itself and for its children is the size that came, so a file is exactly as long as
//! its root says; at most `max_bytes` come out; children of no bytes are not visited, and what is read of blocks, repeated ones too,
//! stays within [`dag_bytes_max`], so few blocks cannot make much work.
//! Deliberately lacks hashing: the blocks were verified before.

use std::collections::BTreeMap;

use cid::Cid;

use super::node::{FileNode, NodeError};
use crate::block::{BlockError, DAG_PB, RAW, decode_dag_pb, inline_bytes};
use crate::verifier::dag_bytes_max;
use crate::walk::{DEPTH_MAX, LINKS_MAX};

/// Why blocks are not a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    #[error(transparent)]
    Block(#[from] BlockError),
    #[error("{cid}: {reason}")]
    Node { cid: Box<Cid>, reason: NodeError },
    #[error("{cid} has {links} links and {sizes} sizes for them")]
    SizesMissing { cid: Box<Cid>, links: usize, sizes: usize },
    #[error("{cid} has a link with a name, which a file has not")]
    NamedLink { cid: Cid },
    #[error("{cid} is declared as {declared} bytes and has {found}")]
    SizeMismatch { cid: Box<Cid>, declared: u64, found: u64 },
    #[error("a file of more than the {max} bytes allowed")]
    TooLarge { max: u64 },
    #[error("its blocks, each as often as it is linked, have more than the {max} bytes allowed")]
    TooMuchWork { max: u64 },
    #[error("links deeper than {DEPTH_MAX}")]
    TooDeep,
    #[error("more than {LINKS_MAX} links waiting")]
    TooManyLinks,
    #[error("the block {cid} is missing")]
    Missing { cid: Cid },
}

#[derive(Clone, Copy, Debug)]
struct Part {
    cid: Cid,
    /// What the parent says; nobody says it of the root.
    declared: Option<u64>,
    depth: usize,
}

/// Ask [`FileReader::wants`], give the block to [`FileReader::supply`], append what it returns; until nothing is wanted.
#[derive(Debug)]
pub struct FileReader {
    stack: Vec<Part>,
    emitted: u64,
    /// Bytes of all blocks supplied: a sender may link to one large node a million times and send it once.
    read: u64,
    max_bytes: u64,
}

impl FileReader {
    /// The file under `root`, of at most `max_bytes`.
    #[must_use]
    pub fn new(root: Cid, max_bytes: u64) -> Self {
        Self { stack: vec![Part { cid: root, declared: None, depth: 0 }], emitted: 0, read: 0, max_bytes }
    }

    /// The block to supply next (for an identity CID that is its own digest); `None` when the file is whole.
    #[must_use]
    pub fn wants(&self) -> Option<&Cid> {
        self.stack.last().map(|part| &part.cid)
    }

    /// The bytes that the wanted block contributes before its children.
    pub fn supply(&mut self, block: &[u8]) -> Result<Vec<u8>, FileError> {
        let Some(part) = self.stack.pop() else { return Ok(Vec::new()) };
        let max = dag_bytes_max(self.max_bytes);
        self.read = self.read.saturating_add(block.len() as u64);
        if self.read > max {
            return Err(FileError::TooMuchWork { max });
        }
        let bytes = match part.cid.codec() {
            RAW => {
                self.check_size(&part, block.len() as u64)?;
                block.to_vec()
            }
            DAG_PB => self.enter(&part, block)?,
            codec => return Err(BlockError::CodecRefused { codec }.into()),
        };
        self.emitted += bytes.len() as u64;
        Ok(bytes)
    }

    fn enter(&mut self, part: &Part, block: &[u8]) -> Result<Vec<u8>, FileError> {
        let cid = part.cid;
        let node = decode_dag_pb(&cid, block)?;
        let file = FileNode::decode(node.data.as_deref().unwrap_or_default()).map_err(|reason| FileError::Node { cid: Box::new(cid), reason })?;
        if file.block_bytes.len() != node.links.len() {
            return Err(FileError::SizesMissing { cid: Box::new(cid), links: node.links.len(), sizes: file.block_bytes.len() });
        }
        if node.links.iter().any(|link| link.name.as_ref().is_some_and(|name| !name.is_empty())) {
            return Err(FileError::NamedLink { cid });
        }
        // Saturation cannot hide a lie: no file has u64::MAX bytes within `max_bytes`.
        let total = file.block_bytes.iter().fold(file.data.len() as u64, |sum, bytes| sum.saturating_add(*bytes));
        if file.file_bytes != total {
            return Err(FileError::SizeMismatch { cid: Box::new(cid), declared: file.file_bytes, found: total });
        }
        self.check_size(part, total)?;
        if part.depth >= DEPTH_MAX && !node.links.is_empty() {
            return Err(FileError::TooDeep);
        }
        if self.stack.len() + node.links.len() > LINKS_MAX {
            return Err(FileError::TooManyLinks);
        }
        let children = node.links.iter().zip(&file.block_bytes).rev().filter(|(_, bytes)| **bytes > 0);
        self.stack.extend(children.map(|(link, bytes)| Part { cid: link.cid, declared: Some(*bytes), depth: part.depth + 1 }));
        Ok(file.data)
    }

    /// Sizes are judged where they are declared, so that nothing is emitted of a file that is too large.
    fn check_size(&self, part: &Part, found: u64) -> Result<(), FileError> {
        match part.declared {
            Some(declared) if declared != found => Err(FileError::SizeMismatch { cid: Box::new(part.cid), declared, found }),
            _ if self.emitted.saturating_add(found) > self.max_bytes => Err(FileError::TooLarge { max: self.max_bytes }),
            _ => Ok(()),
        }
    }
}

/// The bytes of the file under `root`, of at most `max_bytes`, from blocks that were verified before.
pub fn assemble(root: &Cid, blocks: &[(Cid, Vec<u8>)], max_bytes: u64) -> Result<Vec<u8>, FileError> {
    let blocks: BTreeMap<&Cid, &[u8]> = blocks.iter().map(|(cid, bytes)| (cid, bytes.as_slice())).collect();
    let mut reader = FileReader::new(*root, max_bytes);
    let mut file = Vec::new();
    while let Some(cid) = reader.wants().copied() {
        let block = inline_bytes(&cid).or_else(|| blocks.get(&cid).copied()).ok_or(FileError::Missing { cid })?;
        file.extend(reader.supply(block)?);
    }
    Ok(file)
}

/// How often each block of a file is used, and how long the file is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Uses {
    times: BTreeMap<Cid, u64>,
    bytes: u64,
}

fn uses(root: &Cid, blocks: &[(Cid, Vec<u8>)], max_bytes: u64) -> Result<Uses, FileError> {
    let blocks: BTreeMap<&Cid, &[u8]> = blocks.iter().map(|(cid, bytes)| (cid, bytes.as_slice())).collect();
    let mut reader = FileReader::new(*root, max_bytes);
    let mut uses = Uses { times: BTreeMap::new(), bytes: 0 };
    while let Some(cid) = reader.wants().copied() {
        let block = inline_bytes(&cid).or_else(|| blocks.get(&cid).copied()).ok_or(FileError::Missing { cid })?;
        uses.bytes += reader.supply(block)?.len() as u64;
        *uses.times.entry(cid).or_default() += 1;
    }
    Ok(uses)
}

/// How long the file under `root` is, if the blocks make one of at most `max_bytes`. Never more of it is in memory than one block's part.
pub fn check(root: &Cid, blocks: &[(Cid, Vec<u8>)], max_bytes: u64) -> Result<u64, FileError> {
    uses(root, blocks, max_bytes).map(|uses| uses.bytes)
}

/// As [`assemble`], of blocks that are given away: each is let go with its last use, so that the file is in memory once and not twice.
pub fn assemble_owned(root: &Cid, blocks: Vec<(Cid, Vec<u8>)>, max_bytes: u64) -> Result<Vec<u8>, FileError> {
    let mut uses = uses(root, &blocks, max_bytes)?;
    let mut blocks: BTreeMap<Cid, Vec<u8>> = blocks.into_iter().filter(|(cid, _)| uses.times.contains_key(cid)).collect();
    let mut reader = FileReader::new(*root, max_bytes);
    let mut file = Vec::with_capacity(usize::try_from(uses.bytes).unwrap_or(0));
    while let Some(cid) = reader.wants().copied() {
        if let Some(left) = uses.times.get_mut(&cid) {
            *left -= 1;
        }
        if let Some(inline) = inline_bytes(&cid) {
            file.extend(reader.supply(inline)?);
        } else if uses.times.get(&cid) == Some(&0) {
            let block = blocks.remove(&cid).ok_or(FileError::Missing { cid })?;
            file.extend(reader.supply(&block)?);
        } else {
            file.extend(reader.supply(blocks.get(&cid).ok_or(FileError::Missing { cid })?)?);
        }
    }
    Ok(file)
}

/// The bytes that a node says its file has; `None` where it is no file's node. For [`crate::fuzz`].
pub(crate) fn declared_bytes(cid: &Cid, block: &[u8]) -> Option<u64> {
    let node = decode_dag_pb(cid, block).ok()?;
    FileNode::decode(node.data.as_deref().unwrap_or_default()).ok().map(|file| file.file_bytes)
}
