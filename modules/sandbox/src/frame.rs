//! Frames on the socket between parent and worker: four bytes of length (little-endian), then one DAG-CBOR value.
//!
//! Guarantees: a length above the reader's cap is refused before anything is allocated, and a body that is not exactly one value of
//! the expected type is refused. Deliberately lacks a version: both ends are the same program.

use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::artefact::{Needs, Tier, Wanted};
use crate::isolation::Layers;
use crate::job::{Done, HostCall, Reply};

/// Room for the envelope around the largest payload of a frame.
pub(crate) const ENVELOPE_BYTES: usize = 4 << 10;

/// To a compile worker, once.
#[derive(Serialize, Deserialize)]
pub(crate) struct CompileRequest {
    #[serde(with = "serde_bytes")]
    pub(crate) module: Vec<u8>,
    pub(crate) wanted: Wanted,
    /// Most bytes of machine code.
    pub(crate) artefact_bytes: u64,
}

/// From a compile worker, once, after its [`Layers`].
#[derive(Serialize, Deserialize)]
pub(crate) enum CompileReport {
    Artefact(Made),
    BadModule(String),
    /// There is more machine code than was allowed, on each tier that was tried.
    TooMuchCode,
    /// The compiler has none for a module of the profile, and this is its reason.
    NotCompiled(String),
}

/// Machine code, and what is known of it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Made {
    #[serde(with = "serde_bytes")]
    pub(crate) bytes: Vec<u8>,
    pub(crate) tier: Tier,
    pub(crate) needs: Needs,
}

/// To a run worker.
#[derive(Serialize, Deserialize)]
pub(crate) enum ToWorker {
    /// First, once.
    Open(#[serde(with = "serde_bytes")] Vec<u8>),
    /// Run a job.
    Start(Turn, Start),
    /// Answer the call.
    Reply(Turn, Reply),
}

/// What the parent's frame and the worker's answer to it have in common. The parent draws it, so a worker that speaks before it is asked
/// cannot know it: what it says then is the answer to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Turn(pub(crate) u64);

/// What a worker has to know of a [`crate::Load`]; the parent keeps the clock.
#[derive(Serialize, Deserialize)]
pub(crate) struct Start {
    #[serde(with = "serde_bytes")]
    pub(crate) input: Vec<u8>,
    pub(crate) fuel: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) output_bytes: u64,
    pub(crate) seed: Option<[u8; 32]>,
}

/// From a run worker.
#[derive(Serialize, Deserialize)]
pub(crate) enum FromWorker {
    /// First, once: the artefact is mapped, and these layers hold.
    Ready(Layers),
    Call(Turn, HostCall),
    Done(Turn, Done),
}

/// Encodes and writes in one piece.
pub(crate) fn write<T: Serialize>(to: &mut impl Write, value: &T) -> io::Result<()> {
    let mut bytes = vec![0; 4];
    serde_ipld_dagcbor::to_writer(&mut bytes, value).map_err(io::Error::other)?;
    let length = u32::try_from(bytes.len() - 4).map_err(io::Error::other)?;
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    to.write_all(&bytes)
}

/// Reads one frame of at most `cap` bytes. `InvalidData` where the other end broke the rules.
pub(crate) fn read<T: DeserializeOwned>(from: &mut impl Read, cap: usize) -> io::Result<T> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > cap {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "frame above its cap"));
    }
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    serde_ipld_dagcbor::from_slice(&bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
}

/// The same where the other end may not say more than one frame: with one read where it is short, and `InvalidData` where something
/// follows it.
pub(crate) fn read_one<T: DeserializeOwned>(from: impl Read, cap: usize) -> io::Result<T> {
    let mut buffered = io::BufReader::with_capacity(ENVELOPE_BYTES, from);
    let value = read(&mut buffered, cap)?;
    if buffered.buffer().is_empty() { Ok(value) } else { Err(io::Error::new(io::ErrorKind::InvalidData, "more than one frame")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_above_the_cap_is_refused_before_the_body_is_read() {
        let mut bytes: &[u8] = &[0xff, 0xff, 0xff, 0xff];
        assert_eq!(read::<FromWorker>(&mut bytes, 1 << 20).err().map(|e| e.kind()), Some(io::ErrorKind::InvalidData));
    }

    #[test]
    fn a_frame_with_trailing_bytes_is_refused() {
        let mut bytes = Vec::new();
        write(&mut bytes, &FromWorker::Ready(Layers::default())).unwrap();
        bytes.push(0);
        let length = u32::try_from(bytes.len() - 4).unwrap();
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        assert_eq!(read::<FromWorker>(&mut bytes.as_slice(), 1 << 20).err().map(|e| e.kind()), Some(io::ErrorKind::InvalidData));
    }

    #[test]
    fn a_second_frame_behind_the_first_is_refused() {
        let mut bytes = Vec::new();
        write(&mut bytes, &FromWorker::Ready(Layers::default())).unwrap();
        assert!(read_one::<FromWorker>(bytes.as_slice(), 1 << 20).is_ok());
        bytes.extend_from_within(..);
        assert!(read::<FromWorker>(&mut bytes.as_slice(), 1 << 20).is_ok());
        assert_eq!(read_one::<FromWorker>(bytes.as_slice(), 1 << 20).err().map(|e| e.kind()), Some(io::ErrorKind::InvalidData));
    }

    #[test]
    fn a_list_that_claims_two_to_the_thirty_two_items_is_refused_without_the_memory() {
        // {"Call": [0, {"Wait": {"handles": [2^32 items …
        let mut body = vec![0xa1, 0x64, b'C', b'a', b'l', b'l', 0x82, 0x00, 0xa1, 0x64, b'W', b'a', b'i', b't', 0xa2, 0x67];
        body.extend_from_slice(b"handles");
        body.extend_from_slice(&[0x9b, 0, 0, 0, 1, 0, 0, 0, 0]);
        let mut bytes = u32::try_from(body.len()).unwrap().to_le_bytes().to_vec();
        bytes.extend(body);
        assert!(read::<FromWorker>(&mut bytes.as_slice(), 1 << 20).is_err());
    }
}
