//! The frames of a CARv1: a header, then sections of a length, a CID and the bytes of a block. The hash is the callers' to check.
//!
//! Guarantees: a length is judged before anything is kept for it, the CID of a section is known before its bytes are waited for,
//! and an end in the middle of anything is [`CarError::Truncated`]. Deliberately lacks tolerance for padding and for CARv2.

use cid::Cid;

use crate::block::{BLOCK_BYTES_MAX, BlockError, check_hash, inline_bytes};
use crate::header;
use crate::varint::{self, VarintError};

/// Largest header: room for [`ROOTS_MAX`] roots of the longest CIDs and more, and nothing to allocate for.
pub const HEADER_BYTES_MAX: usize = 8 << 10;
/// Most roots: ours have one; some exporters name a handful.
pub const ROOTS_MAX: usize = 16;
/// Longest CID looked for at the front of a section: four varints of which three are short, and a digest of 64 bytes.
pub(crate) const CID_BYTES_MAX: usize = 130;
/// Largest section: a block with its CID.
pub const SECTION_BYTES_MAX: usize = BLOCK_BYTES_MAX + CID_BYTES_MAX;

/// Why bytes are not a CARv1 of believable blocks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CarError {
    #[error("the stream ends in the middle")]
    Truncated,
    #[error("a length is {0}")]
    Length(#[from] VarintError),
    #[error("the header has {bytes} bytes, more than {HEADER_BYTES_MAX}, or none")]
    HeaderSize { bytes: u64 },
    #[error("the header is malformed: {reason}")]
    HeaderMalformed { reason: String },
    #[error("CAR version {version} is not accepted; version 1 is")]
    VersionRefused { version: u64 },
    #[error("{roots} roots are more than {ROOTS_MAX}")]
    TooManyRoots { roots: usize },
    #[error("a section without a CID")]
    EmptySection,
    #[error("a section of {bytes} bytes is more than {SECTION_BYTES_MAX}")]
    SectionTooLarge { bytes: u64 },
    #[error("a section does not begin with a CID")]
    CidMalformed,
    #[error("a section with the identity CID {cid}, whose bytes belong in the CID alone")]
    IdentitySection { cid: Cid },
    #[error(transparent)]
    Block(#[from] BlockError),
}

/// What comes next in the stream.
pub(crate) enum Head {
    /// Not known before more bytes are pushed.
    More,
    /// A block of `bytes` bytes that says it is `cid`.
    Section { cid: Cid, bytes: usize },
    /// The stream ended between two sections.
    End,
}

#[derive(Debug, Default)]
pub(crate) struct Sections {
    /// What was pushed and not taken; everything before `taken` is spent.
    buffer: Vec<u8>,
    taken: usize,
    /// The section whose CID was read and whose bytes were not.
    open: Option<(Cid, usize)>,
    ended: bool,
}

impl Sections {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// No more bytes will come.
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    /// Bytes pushed and not taken.
    pub(crate) fn left(&self) -> usize {
        self.buffer.len() - self.taken
    }

    pub(crate) fn header(&mut self) -> Result<Option<Vec<Cid>>, CarError> {
        let Some((bytes, prefix)) = varint::decode(self.rest())? else { return self.wait() };
        let length = usize::try_from(bytes).ok().filter(|length| (1..=HEADER_BYTES_MAX).contains(length)).ok_or(CarError::HeaderSize { bytes })?;
        let Some(header) = self.rest().get(prefix..prefix + length) else { return self.wait() };
        let roots = header::decode(header)?;
        self.taken += prefix + length;
        Ok(Some(roots))
    }

    pub(crate) fn head(&mut self) -> Result<Head, CarError> {
        if let Some((cid, bytes)) = self.open {
            return Ok(Head::Section { cid, bytes });
        }
        if self.ended && self.left() == 0 {
            return Ok(Head::End);
        }
        let Some((bytes, prefix)) = varint::decode(self.rest())? else { return self.wait().map(|none| none.unwrap_or(Head::More)) };
        let length = usize::try_from(bytes).ok().filter(|length| *length <= SECTION_BYTES_MAX).ok_or(CarError::SectionTooLarge { bytes })?;
        if length == 0 {
            return Err(CarError::EmptySection);
        }
        let Some(front) = self.rest().get(prefix..prefix + length.min(CID_BYTES_MAX)) else {
            return self.wait().map(|none| none.unwrap_or(Head::More));
        };
        let mut unread = front;
        let cid = Cid::read_bytes(&mut unread).map_err(|_| CarError::CidMalformed)?;
        let cid_bytes = front.len() - unread.len();
        check_hash(&cid)?;
        if inline_bytes(&cid).is_some() {
            return Err(CarError::IdentitySection { cid });
        }
        if length - cid_bytes > BLOCK_BYTES_MAX {
            return Err(CarError::SectionTooLarge { bytes });
        }
        self.taken += prefix + cid_bytes;
        self.open = Some((cid, length - cid_bytes));
        Ok(Head::Section { cid, bytes: length - cid_bytes })
    }

    /// The bytes of the section that [`Self::head`] told of, once all are there. Not yet verified.
    pub(crate) fn body(&mut self) -> Result<Option<Vec<u8>>, CarError> {
        let Some((_, length)) = self.open else { return Ok(None) };
        let Some(body) = self.rest().get(..length) else { return self.wait() };
        let body = body.to_vec();
        self.taken += length;
        self.open = None;
        Ok(Some(body))
    }

    fn rest(&self) -> &[u8] {
        &self.buffer[self.taken..]
    }

    /// Too few bytes are there: that is a matter of time, unless the stream has ended.
    fn wait<T>(&self) -> Result<Option<T>, CarError> {
        if self.ended { Err(CarError::Truncated) } else { Ok(None) }
    }
}
