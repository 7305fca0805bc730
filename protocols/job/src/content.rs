//! Content by CID: [`Content`] and the hashing of blocks.
//!
//! Guarantees: CIDs made here are CIDv1 with sha2-256. Deliberately lacks UnixFS and CAR: `station-car` reads and writes those.

use cid::Cid;
use multihash::Multihash;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

#[cfg(test)]
mod tests;

/// Multicodec of raw bytes.
pub const RAW: u64 = 0x55;
/// Multicodec of DAG-CBOR.
pub const DAG_CBOR: u64 = 0x71;
/// Multicodec of dag-pb (UnixFS).
pub const DAG_PB: u64 = 0x70;
/// Multihash code of sha2-256.
pub const SHA2_256: u64 = 0x12;

/// A CID with the number of bytes it stands for, so that a station knows what a fetch costs before it begins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    pub cid: Cid,
    pub bytes: u64,
}

impl Content {
    /// `bytes` as one raw block.
    #[must_use]
    pub fn raw(bytes: &[u8]) -> Self {
        Self { cid: cid_of(RAW, bytes), bytes: bytes.len() as u64 }
    }

    /// Whether `bytes` are the one block that it names.
    #[must_use]
    pub fn is(&self, bytes: &[u8]) -> bool {
        let codec = self.cid.codec();
        self.bytes == bytes.len() as u64 && (codec == RAW || codec == DAG_CBOR) && cid_of(codec, bytes) == self.cid
    }
}

/// sha2-256 of `parts` one after the other.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// The CIDv1 of `bytes` under `codec` with sha2-256.
///
/// # Panics
/// Never: a sha2-256 digest fits a 64-byte multihash.
#[must_use]
pub fn cid_of(codec: u64, bytes: &[u8]) -> Cid {
    let hash = Multihash::wrap(SHA2_256, &sha256(&[bytes])).expect("32 bytes fit a multihash of 64");
    Cid::new_v1(codec, hash)
}
