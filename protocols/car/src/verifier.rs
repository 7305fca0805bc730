//! [`Verifier`]: CARv1 bytes in, the blocks of one DAG out, in depth-first order.
//!
//! Guarantees: a block is released only whole, hashed, and when it was next; [`Progress::Complete`] comes only when no link of the
//! DAG is left open. A block that comes a second time is checked and not released again; a sender may also leave it out
//! (`dups=y` and `dups=n`). Deliberately lacks other orders, paths and ranges.

use cid::Cid;

use crate::block::{Block, same_block, verify};
use crate::sections::{CarError, Head, Sections};
use crate::walk::{DagError, Walk};

/// What the bytes so far amount to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing new before more bytes are pushed.
    More,
    Block(Block),
    /// The whole DAG was released. What still comes is counted and not looked at.
    Complete,
}

/// Push bytes in pieces of any size and poll after each until `More` or `Complete`.
#[derive(Debug)]
pub struct Verifier {
    root: Cid,
    max_bytes: u64,
    sections: Sections,
    walk: Walk,
    header_read: bool,
    complete: bool,
    /// Bytes of all blocks so far, repeated ones too.
    bytes: u64,
    trailing_bytes: u64,
    failed: Option<DagError>,
}

impl Verifier {
    /// Expects the whole DAG under `root` in blocks of at most `max_bytes` together (see [`dag_bytes_max`]).
    pub fn new(root: Cid, max_bytes: u64) -> Result<Self, DagError> {
        Ok(Self::of(root, Walk::new(root)?, max_bytes))
    }

    /// Expects the one block under `root`, of at most `max_bytes`, and follows no link in it.
    pub fn alone(root: Cid, max_bytes: u64) -> Result<Self, DagError> {
        Ok(Self::of(root, Walk::alone(root)?, max_bytes))
    }

    fn of(root: Cid, walk: Walk, max_bytes: u64) -> Self {
        Self { root, max_bytes, sections: Sections::default(), walk, header_read: false, complete: false, bytes: 0, trailing_bytes: 0, failed: None }
    }

    /// Takes the next bytes. They are kept until polled.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.complete {
            self.trailing_bytes = self.trailing_bytes.saturating_add(bytes.len() as u64);
        } else {
            self.sections.push(bytes);
        }
    }

    /// No more bytes will come; poll for what is left.
    pub fn end(&mut self) {
        self.sections.end();
    }

    /// The next step. After an error only that error comes.
    pub fn poll(&mut self) -> Result<Progress, DagError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let next = self.advance();
        self.failed = next.as_ref().err().cloned();
        next
    }

    /// Bytes that came after the DAG was complete: a careless sender or a hostile one, but no harm to what was released.
    #[must_use]
    pub fn trailing_bytes(&self) -> u64 {
        if self.complete { self.trailing_bytes.saturating_add(self.sections.left() as u64) } else { 0 }
    }

    fn advance(&mut self) -> Result<Progress, DagError> {
        if !self.header_read {
            let Some(roots) = self.sections.header()? else { return Ok(Progress::More) };
            // Roots prove nothing and may be left out; a sender that names others is answering another question.
            if !roots.is_empty() && !roots.iter().any(|root| same_block(root, &self.root)) {
                return Err(DagError::BadRoots { root: self.root });
            }
            self.header_read = true;
        }
        loop {
            self.complete = self.walk.is_complete();
            if self.complete {
                return Ok(Progress::Complete);
            }
            let (found, length) = match self.sections.head()? {
                Head::More => return Ok(Progress::More),
                Head::End => return Err(CarError::Truncated.into()),
                Head::Section { cid, bytes } => (cid, bytes),
            };
            // Both checks come before the block's bytes: a wrong or oversized block is not waited for.
            let expected = self.match_next(&found)?;
            if self.bytes + length as u64 > self.max_bytes {
                return Err(DagError::TooLarge { max: self.max_bytes });
            }
            let Some(bytes) = self.sections.body()? else { return Ok(Progress::More) };
            verify(&expected, &bytes)?;
            self.bytes += length as u64;
            if self.walk.enter(&bytes)? {
                return Ok(Progress::Block(Block { cid: expected, bytes }));
            }
        }
    }

    /// The link that `found` answers: the next one, or a later one if all between were there before.
    fn match_next(&mut self, found: &Cid) -> Result<Cid, DagError> {
        while let Some((next, seen)) = self.walk.next() {
            if same_block(&next, found) {
                return Ok(next);
            }
            if !seen {
                return Err(DagError::Unexpected { expected: Box::new(next), found: Box::new(*found) });
            }
            self.walk.skip();
        }
        unreachable!("a walk that is not complete has a link that was not seen")
    }
}

/// The most bytes the blocks of a file of `content_bytes` may have together.
///
/// Nodes above the leaves add about 54 bytes per leaf; a 64th of the content pays for that down to leaves of 4 KiB, and the
/// constant for nodes of small files.
#[must_use]
pub fn dag_bytes_max(content_bytes: u64) -> u64 {
    content_bytes.saturating_add(content_bytes / 64).saturating_add(64 << 10)
}
