//! Reads a CARv1 that must hold exactly one block.
//!
//! Guarantees: total on any bytes; no block is believed before its hash was compared. Deliberately lacks everything that more than
//! one block needs: `station-car` is the reader for whole DAGs.

use std::io::Cursor;

use cid::Cid;
use serde::Deserialize;

use crate::content::Wanted;

/// Longest varint that can state a length here: ten bytes hold any u64.
const VARINT_BYTES_MAX: usize = 10;

/// Why a CAR is not the one expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CarError {
    /// It ends inside a section, or before the block.
    #[error("the CAR ends early")]
    Truncated,
    /// It is no CAR, or its block is not the one asked for.
    #[error("{0}")]
    Wrong(&'static str),
    /// The block is there, but more follows: `dag-scope=block` was not honoured.
    #[error("the CAR holds more than the block asked for")]
    More,
}

/// The header of version 1. Roots are not compared: gateways differ in what they write there.
#[derive(Deserialize)]
struct Header {
    version: u64,
    #[serde(rename = "roots")]
    _roots: Vec<Cid>,
}

/// The bytes of the wanted block, verified.
pub(crate) fn only_block<'a>(wanted: &'a Wanted, car: &'a [u8]) -> Result<&'a [u8], CarError> {
    let mut rest = car;
    let header = section(&mut rest)?;
    match station_sdk::decode::<Header>(header) {
        Ok(Header { version: 1, .. }) => {}
        Ok(_) => return Err(CarError::Wrong("the CAR is not version 1")),
        Err(_) => return Err(CarError::Wrong("the CAR header is malformed")),
    }
    if rest.is_empty() {
        return wanted.inline().ok_or(CarError::Truncated);
    }
    let mut block = Cursor::new(section(&mut rest)?);
    let cid = Cid::read_bytes(&mut block).map_err(|_| CarError::Wrong("a CID in the CAR is malformed"))?;
    let bytes = usize::try_from(block.position()).ok().and_then(|at| block.into_inner().get(at..)).unwrap_or_default();
    if !wanted.names_the_same(&cid) {
        return Err(CarError::Wrong("the CAR holds another block than the one asked for"));
    }
    if !wanted.is(bytes) {
        return Err(CarError::Wrong("the block in the CAR is not that of its CID"));
    }
    if rest.is_empty() { Ok(bytes) } else { Err(CarError::More) }
}

/// Takes `varint length | bytes` from the front of `rest`.
fn section<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], CarError> {
    let length = varint(rest)?;
    let length = usize::try_from(length).map_err(|_| CarError::Truncated)?;
    if length == 0 {
        return Err(CarError::Wrong("the CAR has an empty section"));
    }
    let (section, after) = rest.split_at_checked(length).ok_or(CarError::Truncated)?;
    *rest = after;
    Ok(section)
}

fn varint(rest: &mut &[u8]) -> Result<u64, CarError> {
    let mut value = 0_u64;
    for place in 0..VARINT_BYTES_MAX {
        let (byte, after) = rest.split_first().ok_or(CarError::Truncated)?;
        *rest = after;
        let bits = u64::from(byte & 0x7f);
        let shift = 7 * place as u32;
        if bits.checked_shl(shift).is_none_or(|shifted| shifted >> shift != bits) {
            break;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(CarError::Wrong("a length in the CAR is malformed"))
}
