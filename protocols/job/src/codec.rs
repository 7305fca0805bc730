//! DAG-CBOR in and out: the only file that names the CBOR crate.
//!
//! Guarantees: [`decode`] is total. It checks the size, then the nesting depth, then the typed shape with unknown fields denied,
//! then that re-encoding gives the same bytes, so that a value has exactly one encoding (order of keys, duplicate keys, long
//! integers and trailing bytes are all caught there). Deliberately lacks streaming: every message is small and bounded.

use serde::Serialize;
use serde::de::DeserializeOwned;

#[cfg(test)]
mod tests;

/// Deepest nesting of lists, maps and tags in any message: ours need 12 (a test); a decoder must not recurse further on a stranger's word.
pub const DEPTH_MAX: usize = 16;

/// Why bytes are not a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("{bytes} bytes are more than the {max} allowed for this message")]
    TooLarge { bytes: usize, max: usize },
    #[error("nested deeper than {DEPTH_MAX}")]
    TooDeep,
    #[error("ends in the middle of a value")]
    Truncated,
    #[error("not well-formed CBOR at byte {0}")]
    Malformed(usize),
    #[error("not the expected message: {0}")]
    Shape(String),
    #[error("not in canonical form")]
    NotCanonical,
}

/// The canonical bytes of `value`.
///
/// # Panics
/// When `value` holds something DAG-CBOR cannot say (a NaN): our own types never do.
#[must_use]
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    serde_ipld_dagcbor::to_vec(value).expect("our own types have an encoding")
}

/// The value whose canonical encoding `bytes` are, if they are at most `max` bytes.
pub fn decode<T: DeserializeOwned + Serialize>(bytes: &[u8], max: usize) -> Result<T, DecodeError> {
    if bytes.len() > max {
        return Err(DecodeError::TooLarge { bytes: bytes.len(), max });
    }
    check_depth(bytes)?;
    let value: T = serde_ipld_dagcbor::from_slice(bytes).map_err(|error| {
        DecodeError::Shape(match error {
            // The crate would show it as Rust code.
            serde_ipld_dagcbor::DecodeError::Msg(words) => words,
            other => other.to_string(),
        })
    })?;
    if serde_ipld_dagcbor::to_vec(&value).is_ok_and(|again| again == bytes) { Ok(value) } else { Err(DecodeError::NotCanonical) }
}

/// The canonical bytes of a value that came from outside; the text says why it has none.
pub fn try_encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, String> {
    serde_ipld_dagcbor::to_vec(value).map_err(|error| match error {
        serde_ipld_dagcbor::EncodeError::Msg(words) => words,
        other @ serde_ipld_dagcbor::EncodeError::Write(_) => other.to_string(),
    })
}

/// Whether `bytes` are one item and nothing after it.
fn check_depth(bytes: &[u8]) -> Result<(), DecodeError> {
    if skip(bytes, 0, DEPTH_MAX)? == bytes.len() { Ok(()) } else { Err(DecodeError::NotCanonical) }
}

/// Where the item that begins `at` ends. Walks the structure without building anything and without recursion: each open container
/// is a count of items still owed, and at most `depth` containers are open at a time.
pub(crate) fn skip(bytes: &[u8], at: usize, depth: usize) -> Result<usize, DecodeError> {
    let mut open: Vec<u64> = vec![1];
    let mut at = at;
    while let Some(owed) = open.last_mut() {
        if *owed == 0 {
            open.pop();
            continue;
        }
        *owed -= 1;
        let (head, argument) = read_head(bytes, at)?;
        at += head.bytes;
        let children = match head.major {
            2 | 3 => {
                let left = bytes.len() - at;
                at += usize::try_from(argument).ok().filter(|length| *length <= left).ok_or(DecodeError::Truncated)?;
                0
            }
            4 => argument,
            5 => argument.saturating_mul(2),
            6 => 1,
            _ => 0,
        };
        if children > 0 {
            if open.len() > depth {
                return Err(DecodeError::TooDeep);
            }
            open.push(children);
        }
    }
    Ok(at)
}

struct Head {
    major: u8,
    bytes: usize,
}

fn read_head(bytes: &[u8], at: usize) -> Result<(Head, u64), DecodeError> {
    let first = *bytes.get(at).ok_or(DecodeError::Truncated)?;
    let (major, info) = (first >> 5, first & 0x1f);
    let extra = match info {
        0..=23 => return Ok((Head { major, bytes: 1 }, u64::from(info))),
        24 => 1,
        25 => 2,
        26 => 4,
        27 => 8,
        _ => return Err(DecodeError::Malformed(at)),
    };
    let tail = bytes.get(at + 1..at + 1 + extra).ok_or(DecodeError::Truncated)?;
    let argument = tail.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    Ok((Head { major, bytes: 1 + extra }, argument))
}
