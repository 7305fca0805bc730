//! The header of a CARv1: `{ roots, version: 1 }` in DAG-CBOR.
//!
//! Guarantees: bounded before decoding, unknown fields refused. Deliberately lacks trust in the roots: what was asked for is the
//! caller's knowledge.

use cid::Cid;
use serde::{Deserialize, Serialize};

use crate::sections::{CarError, ROOTS_MAX};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    // A CARv2 begins with a header of this shape that has a version and nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    roots: Option<Vec<Cid>>,
    version: u64,
}

/// The roots a header names.
pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<Cid>, CarError> {
    let header: Header = serde_ipld_dagcbor::from_slice(bytes).map_err(|error| CarError::HeaderMalformed { reason: error.to_string() })?;
    if header.version != 1 {
        return Err(CarError::VersionRefused { version: header.version });
    }
    let roots = header.roots.ok_or_else(|| CarError::HeaderMalformed { reason: "it names no list of roots".to_owned() })?;
    if roots.len() > ROOTS_MAX {
        return Err(CarError::TooManyRoots { roots: roots.len() });
    }
    Ok(roots)
}

/// The bytes of a header without their length.
pub(crate) fn encode(roots: &[Cid]) -> Vec<u8> {
    serde_ipld_dagcbor::to_vec(&Header { roots: Some(roots.to_vec()), version: 1 }).expect("CIDs and a number have an encoding")
}
