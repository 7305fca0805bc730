//! [`Block`]s, their hashes and their links; and [`Dag`], a root with the blocks under it.
//!
//! Guarantees: only sha2-256 with its whole digest is believed, and identity CIDs whose bytes are in the CID itself; everything
//! else is refused by name. Deliberately lacks other hashes: a weak one would let a stranger choose what a CID means.

use cid::Cid;
use ipld_core::serde::ExtractLinks;
use ipld_dagpb::PbNode;
use multihash::Multihash;
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// Multicodec of raw bytes.
pub const RAW: u64 = 0x55;
/// Multicodec of dag-pb (UnixFS).
pub const DAG_PB: u64 = 0x70;
/// Multicodec of DAG-CBOR.
pub const DAG_CBOR: u64 = 0x71;
/// Multihash code of sha2-256.
pub const SHA2_256: u64 = 0x12;
/// Multihash code of identity: the digest is the content.
pub const IDENTITY: u64 = 0x00;
/// Bytes of a sha2-256 digest; a shorter one is refused, because it would be easier to forge.
pub const SHA2_256_BYTES: u8 = 32;
/// Largest block: what the trustless gateway specification tells clients to accept.
pub const BLOCK_BYTES_MAX: usize = 2 << 20;

/// Bytes and the CID they hash to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub cid: Cid,
    pub bytes: Vec<u8>,
}

/// A root and the blocks under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dag {
    pub root: Cid,
    /// Each once, in the order of their CIDs.
    pub blocks: Vec<(Cid, Vec<u8>)>,
}

impl Dag {
    /// Bytes of all blocks, each counted once.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.blocks.iter().map(|(_, bytes)| bytes.len() as u64).sum()
    }
}

/// Why a block is not believed or not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    #[error("hash function {code:#x} with {digest_bytes} digest bytes is not accepted; sha2-256 with 32 is")]
    HashRefused { code: u64, digest_bytes: u8 },
    #[error("the bytes do not hash to {cid}")]
    HashMismatch { cid: Cid },
    #[error("codec {codec:#x} is not accepted; raw, dag-pb and dag-cbor are")]
    CodecRefused { codec: u64 },
    #[error("{bytes} bytes are more than a block may have")]
    TooLarge { bytes: usize },
    #[error("{cid} is not what its codec says: {reason}")]
    Malformed { cid: Box<Cid>, reason: String },
}

/// The CIDv1 of `bytes` under `codec` with sha2-256.
///
/// # Panics
/// Never: a sha2-256 digest fits a 64-byte multihash.
#[must_use]
pub fn cid_of(codec: u64, bytes: &[u8]) -> Cid {
    let hash = Multihash::wrap(SHA2_256, &Sha256::digest(bytes)).expect("32 bytes fit a multihash of 64");
    Cid::new_v1(codec, hash)
}

/// The content of an identity CID, which travels in the CID itself.
#[must_use]
pub fn inline_bytes(cid: &Cid) -> Option<&[u8]> {
    (cid.hash().code() == IDENTITY).then(|| cid.hash().digest())
}

/// Checks that `bytes` are what `cid` names.
pub fn verify(cid: &Cid, bytes: &[u8]) -> Result<(), BlockError> {
    if bytes.len() > BLOCK_BYTES_MAX {
        return Err(BlockError::TooLarge { bytes: bytes.len() });
    }
    check_hash(cid)?;
    let same = match inline_bytes(cid) {
        Some(inline) => inline == bytes,
        None => Sha256::digest(bytes).as_slice() == cid.hash().digest(),
    };
    if same { Ok(()) } else { Err(BlockError::HashMismatch { cid: *cid }) }
}

/// The links of `bytes` in the order a depth-first walk takes them, read as the codec of `cid`. `bytes` must be verified before.
pub fn links(cid: &Cid, bytes: &[u8]) -> Result<Vec<Cid>, BlockError> {
    match cid.codec() {
        RAW => Ok(Vec::new()),
        DAG_PB => Ok(decode_dag_pb(cid, bytes)?.links.into_iter().map(|link| link.cid).collect()),
        DAG_CBOR => {
            let mut decoder = serde_ipld_dagcbor::de::Deserializer::from_slice(bytes);
            let found = ExtractLinks::deserialize(&mut decoder).and_then(|found| decoder.end().map(|()| found));
            found.map(ExtractLinks::into_vec).map_err(|error| BlockError::Malformed { cid: Box::new(*cid), reason: error.to_string() })
        }
        codec => Err(BlockError::CodecRefused { codec }),
    }
}

/// Refuses a CID whose hash proves nothing to us.
pub(crate) fn check_hash(cid: &Cid) -> Result<(), BlockError> {
    let (code, digest_bytes) = (cid.hash().code(), cid.hash().size());
    match code {
        SHA2_256 if digest_bytes == SHA2_256_BYTES => Ok(()),
        IDENTITY => Ok(()),
        _ => Err(BlockError::HashRefused { code, digest_bytes }),
    }
}

/// Whether two CIDs name the same bytes read the same way: versions may differ, codec and hash may not.
pub(crate) fn same_block(a: &Cid, b: &Cid) -> bool {
    a.codec() == b.codec() && a.hash() == b.hash()
}

pub(crate) fn decode_dag_pb(cid: &Cid, bytes: &[u8]) -> Result<PbNode, BlockError> {
    PbNode::from_bytes(bytes.to_vec().into()).map_err(|error| BlockError::Malformed { cid: Box::new(*cid), reason: error.to_string() })
}
