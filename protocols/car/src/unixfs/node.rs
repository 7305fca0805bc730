//! The UnixFS message inside a dag-pb node: type, inline bytes, sizes.
//!
//! Guarantees: total, and bounded by the block it reads. Fields it has no use for (hash type, fanout, mode, time) are stepped
//! over by their wire type. Deliberately lacks every type but files: others are refused with their number.

use crate::varint;

/// Types of UnixFS nodes that are files: bytes under their old name, and files.
pub(crate) const TYPE_RAW: u64 = 0;
pub(crate) const TYPE_FILE: u64 = 2;

/// Why bytes are not the UnixFS message of a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    #[error("not a UnixFS message")]
    Malformed,
    #[error("UnixFS type {0} is not a file")]
    NotAFile(u64),
}

/// What a file's node says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FileNode {
    pub(crate) data: Vec<u8>,
    /// Absent means 0.
    pub(crate) file_bytes: u64,
    pub(crate) block_bytes: Vec<u64>,
}

impl FileNode {
    pub(crate) fn decode(message: &[u8]) -> Result<Self, NodeError> {
        let (mut node, mut kind, mut rest) = (Self::default(), None, message);
        while !rest.is_empty() {
            let tag = take_varint(&mut rest)?;
            match (tag >> 3, tag & 7) {
                (1, 0) => kind = Some(take_varint(&mut rest)?),
                (2, 2) => node.data = take_bytes(&mut rest)?.to_vec(),
                (3, 0) => node.file_bytes = take_varint(&mut rest)?,
                (4, 0) => node.block_bytes.push(take_varint(&mut rest)?),
                (4, 2) => {
                    let mut packed = take_bytes(&mut rest)?;
                    while !packed.is_empty() {
                        node.block_bytes.push(take_varint(&mut packed)?);
                    }
                }
                (1..=4, _) => return Err(NodeError::Malformed),
                (_, 0) => drop(take_varint(&mut rest)?),
                (_, 2) => drop(take_bytes(&mut rest)?),
                (_, 5) => rest = rest.get(4..).ok_or(NodeError::Malformed)?,
                (_, 1) => rest = rest.get(8..).ok_or(NodeError::Malformed)?,
                _ => return Err(NodeError::Malformed),
            }
        }
        match kind {
            Some(TYPE_FILE | TYPE_RAW) => Ok(node),
            Some(other) => Err(NodeError::NotAFile(other)),
            None => Err(NodeError::Malformed),
        }
    }

    /// The message of a file without inline bytes, in the field order of other implementations.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![1 << 3, TYPE_FILE as u8];
        out.push(3 << 3);
        varint::encode(self.file_bytes, &mut out);
        for bytes in &self.block_bytes {
            out.push(4 << 3);
            varint::encode(*bytes, &mut out);
        }
        out
    }
}

fn take_varint(rest: &mut &[u8]) -> Result<u64, NodeError> {
    let (value, length) = varint::decode(rest).ok().flatten().ok_or(NodeError::Malformed)?;
    *rest = &rest[length..];
    Ok(value)
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], NodeError> {
    let length = usize::try_from(take_varint(rest)?).map_err(|_| NodeError::Malformed)?;
    let (bytes, after) = rest.split_at_checked(length).ok_or(NodeError::Malformed)?;
    *rest = after;
    Ok(bytes)
}
