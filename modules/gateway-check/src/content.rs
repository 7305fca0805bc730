//! The block a CID names, and whether bytes are it.

use std::fmt::Write as _;

use cid::Cid;
use sha2::{Digest as _, Sha256};

/// Multihash code of sha2-256.
const SHA2_256: u64 = 0x12;
/// Multihash code of "the hash is the content".
const IDENTITY: u64 = 0x00;

/// Largest block that implementations exchange.
pub(crate) const BLOCK_BYTES_MAX: u64 = 2 << 20;

/// A CID whose block can be verified here.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    cid: Cid,
    hash: Hash,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hash {
    Sha2256,
    Identity,
}

impl Wanted {
    /// Nothing, if the hash is another than sha2-256 or identity.
    pub(crate) fn new(cid: Cid) -> Option<Self> {
        let hash = match (cid.hash().code(), cid.hash().size()) {
            (SHA2_256, 32) => Hash::Sha2256,
            (IDENTITY, _) => Hash::Identity,
            _ => return None,
        };
        Some(Self { cid, hash })
    }

    /// Whether `bytes` are the block.
    pub(crate) fn is(&self, bytes: &[u8]) -> bool {
        match self.hash {
            Hash::Sha2256 => Sha256::digest(bytes).as_slice() == self.cid.hash().digest(),
            Hash::Identity => bytes == self.cid.hash().digest(),
        }
    }

    /// Whether `other` names the same block: version 0 and version 1 of a CID do.
    pub(crate) fn names_the_same(&self, other: &Cid) -> bool {
        self.cid.codec() == other.codec() && self.cid.hash() == other.hash()
    }

    /// An identity CID holds its block, and CARs leave such blocks out.
    pub(crate) fn inline(&self) -> Option<&[u8]> {
        (self.hash == Hash::Identity).then(|| self.cid.hash().digest())
    }
}

/// sha2-256 of `bytes` in lower-case hex.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
