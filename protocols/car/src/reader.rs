//! [`Reader`]: CARv1 bytes in, verified blocks out, in whatever order they come.
//!
//! Guarantees: each block hashes to its CID. Deliberately lacks completeness: a CAR that ends between two sections is a whole CAR
//! to this type; [`crate::Verifier`] knows which DAG was asked for.

use cid::Cid;

use crate::block::{Block, verify};
use crate::sections::{CarError, Head, Sections};

/// What a CAR tells, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The roots it names, which prove nothing. Once, first.
    Header(Vec<Cid>),
    Block(Block),
    /// It ended between two sections. Last.
    End,
}

/// Push bytes in pieces of any size and poll after each until `None`.
#[derive(Debug, Default)]
pub struct Reader {
    sections: Sections,
    header_read: bool,
    failed: Option<CarError>,
}

impl Reader {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes. They are kept until polled, so a caller that never polls pays with its own memory.
    pub fn push(&mut self, bytes: &[u8]) {
        self.sections.push(bytes);
    }

    /// No more bytes will come; poll for what is left.
    pub fn end(&mut self) {
        self.sections.end();
    }

    /// The next event, or `None` until more is pushed. After an error only that error comes.
    pub fn poll(&mut self) -> Result<Option<Event>, CarError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let next = self.advance();
        self.failed = next.as_ref().err().cloned();
        next
    }

    fn advance(&mut self) -> Result<Option<Event>, CarError> {
        if !self.header_read {
            let roots = self.sections.header()?;
            self.header_read = roots.is_some();
            return Ok(roots.map(Event::Header));
        }
        match self.sections.head()? {
            Head::More => Ok(None),
            Head::End => Ok(Some(Event::End)),
            Head::Section { cid, .. } => {
                let Some(bytes) = self.sections.body()? else { return Ok(None) };
                verify(&cid, &bytes)?;
                Ok(Some(Event::Block(Block { cid, bytes })))
            }
        }
    }
}
