//! The depth-first walk over a DAG that sender and receiver share: which link comes next, and which were there before.
//!
//! Guarantees: bounded in depth, in links waiting and in blocks remembered. Deliberately lacks the blocks: it keeps links.

use std::collections::BTreeSet;

use cid::Cid;

use crate::block::{BlockError, DAG_CBOR, DAG_PB, RAW, check_hash, inline_bytes, links};
use crate::sections::CarError;

/// Deepest link from the root: files of terabytes have depth 4, our logs 2.
pub const DEPTH_MAX: usize = 32;
/// Most links waiting at once: the links of one block of 2 MiB (about 46,000) and of the wide nodes above it.
pub const LINKS_MAX: usize = 65_536;
/// Most blocks remembered as seen (about 5 MB). A DAG of more may repeat a block only if the sender repeats its bytes.
pub const SEEN_MAX: usize = 65_536;

/// Why a stream is not the DAG that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DagError {
    #[error(transparent)]
    Car(#[from] CarError),
    #[error(transparent)]
    Block(#[from] BlockError),
    #[error("the header names other roots than {root}")]
    BadRoots { root: Cid },
    #[error("{found} came where {expected} was next")]
    Unexpected { expected: Box<Cid>, found: Box<Cid> },
    #[error("more than the {max} bytes allowed")]
    TooLarge { max: u64 },
    #[error("links deeper than {DEPTH_MAX}")]
    TooDeep,
    #[error("more than {LINKS_MAX} links waiting")]
    TooManyLinks,
}

/// A link on the stack and its distance from the root.
#[derive(Clone, Copy, Debug)]
struct Link {
    cid: Cid,
    depth: usize,
}

/// Codec and digest: 40 bytes where a CID takes 96. Only sha2-256 gets this far.
type Seen = (u64, [u8; 32]);

#[derive(Debug)]
pub(crate) struct Walk {
    /// The next link is last.
    stack: Vec<Link>,
    seen: BTreeSet<Seen>,
    /// So many links at the bottom of the stack are known to be seen, so that asking for the end costs no walk over the stack.
    settled: usize,
    /// Whether the root is all there is.
    alone: bool,
}

impl Walk {
    pub(crate) fn new(root: Cid) -> Result<Self, DagError> {
        Self::begin(root, false)
    }

    /// The one block under `root`: its links, if it has any, are data.
    pub(crate) fn alone(root: Cid) -> Result<Self, DagError> {
        Self::begin(root, true)
    }

    fn begin(root: Cid, alone: bool) -> Result<Self, DagError> {
        let mut walk = Self { stack: Vec::new(), seen: BTreeSet::new(), settled: 0, alone };
        walk.expect(&[root], 0)?;
        Ok(walk)
    }

    /// The next link and whether its block was there before.
    pub(crate) fn next(&self) -> Option<(Cid, bool)> {
        self.stack.last().map(|link| (link.cid, self.was_seen(&link.cid)))
    }

    /// Leaves out the next link and all under it: its block was there before.
    pub(crate) fn skip(&mut self) {
        self.stack.pop();
        self.settled = self.settled.min(self.stack.len());
    }

    /// Follows the next link into `bytes`, its verified block. True when the block was not there before.
    pub(crate) fn enter(&mut self, bytes: &[u8]) -> Result<bool, DagError> {
        let Some(Link { cid, depth }) = self.stack.pop() else { return Ok(false) };
        self.settled = self.settled.min(self.stack.len());
        let found = if self.alone { Vec::new() } else { links(&cid, bytes)? };
        let new = match seen_key(&cid) {
            Some(key) if self.seen.len() < SEEN_MAX => self.seen.insert(key),
            Some(key) => !self.seen.contains(&key),
            None => true,
        };
        self.expect(&found, depth + 1)?;
        Ok(new)
    }

    /// True when nothing is waiting that was not there before.
    pub(crate) fn is_complete(&mut self) -> bool {
        while self.stack.get(self.settled).is_some_and(|link| self.was_seen(&link.cid)) {
            self.settled += 1;
        }
        self.settled == self.stack.len()
    }

    /// Puts `links` on the stack so that the first comes next. Identity CIDs bring their bytes with them and are followed at once.
    fn expect(&mut self, links: &[Cid], depth: usize) -> Result<(), DagError> {
        let mut flat = Vec::with_capacity(links.len());
        self.flatten(links, depth, &mut flat)?;
        self.stack.extend(flat.into_iter().rev());
        Ok(())
    }

    fn flatten(&self, found: &[Cid], depth: usize, flat: &mut Vec<Link>) -> Result<(), DagError> {
        if depth > DEPTH_MAX && !found.is_empty() {
            return Err(DagError::TooDeep);
        }
        for cid in found {
            check_hash(cid)?;
            if let Some(inline) = inline_bytes(cid) {
                if !self.alone {
                    self.flatten(&links(cid, inline)?, depth + 1, flat)?;
                }
                continue;
            }
            // A codec we cannot follow is refused before its block is waited for.
            check_codec(cid)?;
            if self.stack.len() + flat.len() >= LINKS_MAX {
                return Err(DagError::TooManyLinks);
            }
            flat.push(Link { cid: *cid, depth });
        }
        Ok(())
    }

    fn was_seen(&self, cid: &Cid) -> bool {
        seen_key(cid).is_some_and(|key| self.seen.contains(&key))
    }
}

fn seen_key(cid: &Cid) -> Option<Seen> {
    cid.hash().digest().try_into().ok().map(|digest| (cid.codec(), digest))
}

fn check_codec(cid: &Cid) -> Result<(), BlockError> {
    match cid.codec() {
        RAW | DAG_PB | DAG_CBOR => Ok(()),
        codec => Err(BlockError::CodecRefused { codec }),
    }
}
