//! [`Jobs`]: an experiment's inputs, by index.
//!
//! ```text
//!  product   root = [[key, list CID, count], …]   list  = [value, …]    one block per key, keys in bytewise order
//!  explicit  root = [[chunk CID, count], …]       chunk = [input, …]    ≤ 1,024 inputs and ≤ 256 KiB per block
//! ```
//!
//! Guarantees: a product is never materialised: an index is a number whose digits are positions in the lists, the last key varying
//! fastest. Every input fits a lease, nests within what a decoder accepts, and has one canonical encoding (no NaN, no infinity).
//! Deliberately lacks fetching: [`Jobs::read`] asks its caller for each block and checks that it is the right one.

use std::collections::BTreeMap;

use cid::Cid;
use ipld_core::ipld::Ipld;
use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};

use crate::bounded::Text;
use crate::codec::{self, DecodeError};
use crate::content::{DAG_CBOR, SHA2_256, cid_of};
use crate::work::INPUT_BYTES_MAX;

mod packed;
#[cfg(test)]
mod tests;

use packed::Packed;

/// Most jobs in a product: two receipts for each would already be a terabyte of Log.
pub const PRODUCT_MAX: u64 = 1_000_000_000;
/// Most explicit inputs: their root must stay one block (10⁷ inputs make about 10⁴ chunks).
pub const EXPLICIT_MAX: u64 = 10_000_000;
/// Most bytes of explicit inputs in all: they stay in the requester's memory.
pub const EXPLICIT_BYTES_MAX: usize = 256 << 20;
/// Largest list of a product, and largest root: one block, the largest that IPFS nodes exchange.
pub const BLOCK_BYTES_MAX: usize = 2 << 20;
/// Most keys in a product: a table a person can still read.
pub const KEYS_MAX: usize = 32;
/// Most explicit inputs in one chunk.
pub const CHUNK_INPUTS_MAX: usize = 1_024;
/// Largest chunk: small enough for a relayed `car`.
pub const CHUNK_BYTES_MAX: usize = 256 << 10;

/// Why inputs are not jobs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JobsError {
    #[error("there are no inputs: give at least one")]
    Empty,
    #[error("the list {0:?} is empty, so there is nothing to multiply: give it a value or remove it")]
    EmptyList(String),
    #[error("{count} keys are more than {KEYS_MAX}: put what belongs together into one value")]
    TooManyKeys { count: usize },
    #[error("the lists multiply to more than {PRODUCT_MAX} jobs: shorten one")]
    ProductTooLarge,
    #[error("{count} inputs are more than {EXPLICIT_MAX}: publish several experiments")]
    TooMany { count: u64 },
    #[error("the inputs take more than {EXPLICIT_BYTES_MAX} bytes together: publish several experiments, or put what all jobs share into the module")]
    TooManyBytes,
    #[error("the list {key:?} takes more than {BLOCK_BYTES_MAX} bytes: use a file of inputs")]
    ListTooLarge { key: String },
    #[error(
        "input {index} takes {bytes} bytes, more than {INPUT_BYTES_MAX}: split it over more jobs, put what all jobs share into the module, or let a measurement fetch it from a host in [needs]"
    )]
    InputTooLarge { index: u64, bytes: usize },
    #[error("{place} has no canonical form: {reason}")]
    NotEncodable { place: String, reason: String },
    #[error("block {0} is missing")]
    Missing(Cid),
    #[error("block {0} is not what its name says")]
    WrongBlock(Cid),
    #[error("a block of the jobs cannot be read: {0}")]
    Decode(#[from] DecodeError),
}

/// All inputs of one experiment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Jobs(Shape);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    Product {
        lists: Vec<(Text<64>, Packed)>,
        count: u64,
    },
    /// `firsts`: the index of each chunk's first input.
    Explicit {
        chunks: Vec<Packed>,
        firsts: Vec<u64>,
        count: u64,
    },
}

impl Jobs {
    /// Every combination of one value per key.
    pub fn product(lists: BTreeMap<Text<64>, Vec<Ipld>>) -> Result<Self, JobsError> {
        let mut packed = Vec::with_capacity(lists.len());
        for (key, values) in lists {
            let mut list = Vec::with_capacity(values.len());
            for (position, value) in values.iter().enumerate() {
                list.push(encoded(value, || format!("value {position} of {key:?}"))?);
            }
            packed.push((key, Packed::new(&list)));
        }
        Self::of_lists(packed)
    }

    /// These inputs in this order.
    pub fn explicit(inputs: Vec<Ipld>) -> Result<Self, JobsError> {
        let mut builder = Builder::default();
        inputs.into_iter().try_for_each(|input| builder.push(&input))?;
        builder.finish()
    }

    /// How many jobs there are; at least one.
    #[must_use]
    pub fn count(&self) -> u64 {
        match &self.0 {
            Shape::Product { count, .. } | Shape::Explicit { count, .. } => *count,
        }
    }

    /// Bytes of the blocks under the root.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.blocks().map(|block| block.bytes().len() as u64).sum()
    }

    /// The canonical DAG-CBOR of job `index`'s input; none from [`Jobs::count`] on.
    #[must_use]
    pub fn input(&self, index: u64) -> Option<Vec<u8>> {
        match &self.0 {
            Shape::Product { .. } => {
                let mut entries: Vec<(&str, &[u8])> = self.digits(index)?.collect();
                // Canonical maps are ordered by key length first.
                entries.sort_by_key(|(key, _)| (key.len(), *key));
                let mut bytes = packed::head(packed::MAP, entries.len() as u64);
                for (key, value) in entries {
                    bytes.extend(packed::head(packed::TEXT, key.len() as u64));
                    bytes.extend_from_slice(key.as_bytes());
                    bytes.extend_from_slice(value);
                }
                Some(bytes)
            }
            Shape::Explicit { chunks, firsts, .. } => {
                let chunk = firsts.partition_point(|first| *first <= index).checked_sub(1)?;
                Some(chunks[chunk].get(index - firsts[chunk])?.to_vec())
            }
        }
    }

    /// What job `index`'s input says under `key`, if that is text.
    #[must_use]
    pub fn target(&self, index: u64, key: &str) -> Option<String> {
        let value = match &self.0 {
            Shape::Product { .. } => {
                let (_, value) = self.digits(index)?.find(|(own, _)| *own == key)?;
                codec::decode::<Ipld>(value, INPUT_BYTES_MAX).ok()?
            }
            Shape::Explicit { .. } => match codec::decode::<Ipld>(&self.input(index)?, INPUT_BYTES_MAX).ok()? {
                Ipld::Map(mut map) => map.remove(key)?,
                _ => return None,
            },
        };
        match value {
            Ipld::String(text) => Some(text),
            _ => None,
        }
    }

    /// The CID that an experiment's `jobs.root` names.
    #[must_use]
    pub fn root(&self) -> Cid {
        cid_of(DAG_CBOR, &self.root_bytes())
    }

    /// Every block under the root, the root first.
    #[must_use]
    pub fn blobs(&self) -> Vec<(Cid, Vec<u8>)> {
        let root = self.root_bytes();
        let mut blobs = vec![(cid_of(DAG_CBOR, &root), root)];
        blobs.extend(self.blocks().map(|block| (block.cid(), block.bytes().to_vec())));
        blobs
    }

    /// How many blocks [`Self::blobs`] has.
    #[must_use]
    pub fn block_count(&self) -> usize {
        1 + self.blocks().count()
    }

    /// The jobs under `root`, from blocks that `block` brings; each is checked against its CID.
    pub fn read(root: &Cid, mut block: impl FnMut(&Cid) -> Option<Vec<u8>>) -> Result<Self, JobsError> {
        let mut checked = |cid: &Cid| {
            let bytes = block(cid).ok_or(JobsError::Missing(*cid))?;
            let known = cid.hash().code() == SHA2_256 && cid_of(DAG_CBOR, &bytes) == *cid;
            if known { Ok(bytes) } else { Err(JobsError::WrongBlock(*cid)) }
        };
        let bytes = checked(root)?;
        let rows = codec::decode(&bytes, BLOCK_BYTES_MAX).map(Root::Product);
        match rows.or_else(|_| codec::decode(&bytes, BLOCK_BYTES_MAX).map(Root::Explicit))? {
            Root::Product(rows) => {
                let mut lists = Vec::new();
                for (key, cid, count) in rows {
                    let list = Packed::read(checked(&cid)?)?;
                    if list.count() != count {
                        return Err(JobsError::WrongBlock(cid));
                    }
                    lists.push((key, list));
                }
                Self::of_lists(lists)
            }
            Root::Explicit(rows) => {
                let mut chunks = Vec::new();
                for (cid, count) in rows {
                    let chunk = Packed::read(checked(&cid)?)?;
                    if chunk.count() != count {
                        return Err(JobsError::WrongBlock(cid));
                    }
                    chunks.push(chunk);
                }
                Self::of_chunks(chunks)
            }
        }
    }

    /// The blocks that the root of the jobs, which is `bytes`, names. None where it is no root.
    #[must_use]
    pub fn parts(bytes: &[u8]) -> Vec<Cid> {
        let rows = codec::decode(bytes, BLOCK_BYTES_MAX).map(Root::Product);
        match rows.or_else(|_| codec::decode(bytes, BLOCK_BYTES_MAX).map(Root::Explicit)) {
            Ok(Root::Product(rows)) => rows.into_iter().map(|(_, cid, _)| cid).collect(),
            Ok(Root::Explicit(rows)) => rows.into_iter().map(|(cid, _)| cid).collect(),
            Err(_) => Vec::new(),
        }
    }

    /// Each key with the value of job `index`, in key order; none when there is no such job.
    fn digits(&self, index: u64) -> Option<impl Iterator<Item = (&str, &[u8])>> {
        let Shape::Product { lists, count } = &self.0 else { return None };
        if index >= *count {
            return None;
        }
        let mut left = *count;
        let mut rest = index;
        Some(lists.iter().filter_map(move |(key, list)| {
            left /= list.count();
            let position = rest / left;
            rest %= left;
            Some((key.as_str(), list.get(position)?))
        }))
    }

    fn blocks(&self) -> Box<dyn Iterator<Item = &Packed> + '_> {
        match &self.0 {
            Shape::Product { lists, .. } => Box::new(lists.iter().map(|(_, list)| list)),
            Shape::Explicit { chunks, .. } => Box::new(chunks.iter()),
        }
    }

    fn root_bytes(&self) -> Vec<u8> {
        codec::encode(&match &self.0 {
            Shape::Product { lists, .. } => Root::Product(lists.iter().map(|(key, list)| (key.clone(), list.cid(), list.count())).collect()),
            Shape::Explicit { chunks, .. } => Root::Explicit(chunks.iter().map(|chunk| (chunk.cid(), chunk.count())).collect()),
        })
    }

    /// A product of lists whose values are canonical; every other rule is checked here.
    fn of_lists(lists: Vec<(Text<64>, Packed)>) -> Result<Self, JobsError> {
        if lists.is_empty() {
            return Err(JobsError::Empty);
        }
        if lists.len() > KEYS_MAX {
            return Err(JobsError::TooManyKeys { count: lists.len() });
        }
        if !lists.is_sorted_by(|(one, _), (next, _)| one < next) {
            return Err(JobsError::Decode(DecodeError::NotCanonical));
        }
        let (mut count, mut bytes) = (1u64, packed::HEAD_BYTES_MAX);
        for (key, list) in &lists {
            if list.count() == 0 {
                return Err(JobsError::EmptyList(key.to_string()));
            }
            if list.bytes().len() > BLOCK_BYTES_MAX {
                return Err(JobsError::ListTooLarge { key: key.to_string() });
            }
            count = count.checked_mul(list.count()).filter(|count| *count <= PRODUCT_MAX).ok_or(JobsError::ProductTooLarge)?;
            bytes += packed::HEAD_BYTES_MAX + key.len() + list.longest();
        }
        if bytes > INPUT_BYTES_MAX {
            return Err(JobsError::InputTooLarge { index: 0, bytes });
        }
        Ok(Self(Shape::Product { lists, count }))
    }

    fn of_chunks(chunks: Vec<Packed>) -> Result<Self, JobsError> {
        let mut count = 0;
        let mut firsts = Vec::with_capacity(chunks.len());
        for chunk in &chunks {
            firsts.push(count);
            count += chunk.count();
        }
        let bytes: usize = chunks.iter().map(|chunk| chunk.bytes().len()).sum();
        if count == 0 || chunks.iter().any(|chunk| chunk.count() == 0) {
            return Err(JobsError::Empty);
        }
        if count > EXPLICIT_MAX {
            return Err(JobsError::TooMany { count });
        }
        if bytes > EXPLICIT_BYTES_MAX || chunks.iter().any(|chunk| chunk.bytes().len() > CHUNK_BYTES_MAX) {
            return Err(JobsError::TooManyBytes);
        }
        if let Some(bytes) = chunks.iter().map(Packed::longest).find(|longest| *longest > INPUT_BYTES_MAX) {
            return Err(JobsError::InputTooLarge { index: 0, bytes });
        }
        Ok(Self(Shape::Explicit { chunks, firsts, count }))
    }
}

/// Explicit inputs that come one after the other: only their encodings are in memory.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    chunks: Vec<Packed>,
    /// Of the chunk that is being filled.
    chunk: Vec<Vec<u8>>,
    chunk_bytes: usize,
    count: u64,
    bytes: usize,
}

impl Builder {
    /// The next input.
    pub fn push(&mut self, input: &Ipld) -> Result<(), JobsError> {
        let index = self.count;
        let input = encoded(input, || format!("input {index}"))?;
        if input.len() > INPUT_BYTES_MAX {
            return Err(JobsError::InputTooLarge { index, bytes: input.len() });
        }
        self.count += 1;
        self.bytes += input.len();
        if self.count > EXPLICIT_MAX {
            return Err(JobsError::TooMany { count: self.count });
        }
        if self.bytes > EXPLICIT_BYTES_MAX {
            return Err(JobsError::TooManyBytes);
        }
        if self.chunk.len() == CHUNK_INPUTS_MAX || self.chunk_bytes + input.len() + packed::HEAD_BYTES_MAX > CHUNK_BYTES_MAX {
            self.close_chunk();
        }
        self.chunk_bytes += input.len();
        self.chunk.push(input);
        Ok(())
    }

    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn finish(mut self) -> Result<Jobs, JobsError> {
        self.close_chunk();
        Jobs::of_chunks(self.chunks)
    }

    /// The same inputs, each as `change` makes it. A chunk is changed at a time, and the old one goes.
    pub fn changed(mut self, change: impl Fn(Ipld) -> Ipld) -> Result<Self, JobsError> {
        self.close_chunk();
        let mut builder = Self::default();
        for chunk in self.chunks {
            for position in 0..chunk.count() {
                let input = chunk.get(position).unwrap_or_default();
                builder.push(&change(codec::decode(input, INPUT_BYTES_MAX)?))?;
            }
        }
        Ok(builder)
    }

    fn close_chunk(&mut self) {
        if !self.chunk.is_empty() {
            self.chunks.push(Packed::new(&std::mem::take(&mut self.chunk)));
            self.chunk_bytes = 0;
        }
    }
}

/// What the root block says. The two forms differ in the length of their rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum Root {
    Product(Vec<(Text<64>, Cid, u64)>),
    Explicit(Vec<(Cid, u64)>),
}

/// In our own records: the root's rows with the blocks in place of their CIDs.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Record {
    Product(Vec<(Text<64>, serde_bytes::ByteBuf)>),
    Explicit(Vec<serde_bytes::ByteBuf>),
}

impl Serialize for Shape {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let block = |packed: &Packed| serde_bytes::ByteBuf::from(packed.bytes());
        match self {
            Self::Product { lists, .. } => Record::Product(lists.iter().map(|(key, list)| (key.clone(), block(list))).collect()),
            Self::Explicit { chunks, .. } => Record::Explicit(chunks.iter().map(block).collect()),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let jobs = match Record::deserialize(deserializer)? {
            Record::Product(rows) => rows
                .into_iter()
                .map(|(key, block)| Ok((key, Packed::read(block.into_vec())?)))
                .collect::<Result<_, DecodeError>>()
                .map_err(JobsError::from)
                .and_then(Jobs::of_lists),
            Record::Explicit(blocks) => blocks
                .into_iter()
                .map(|block| Packed::read(block.into_vec()))
                .collect::<Result<_, DecodeError>>()
                .map_err(JobsError::from)
                .and_then(Jobs::of_chunks),
        };
        jobs.map(|jobs| jobs.0).map_err(de::Error::custom)
    }
}

/// The canonical bytes of `value`, refused when there are none or when they nest deeper than a decoder accepts.
fn encoded(value: &Ipld, place: impl Fn() -> String) -> Result<Vec<u8>, JobsError> {
    let refused = |reason: String| JobsError::NotEncodable { place: place(), reason };
    if has_infinite(value) {
        return Err(refused("NaN and infinity are no numbers that a job may have: write a finite one, or text in quotes".to_owned()));
    }
    let bytes = codec::try_encode(value).map_err(&refused)?;
    // A value may become part of a map, and an input part of a chunk: one level is theirs.
    codec::skip(&bytes, 0, codec::DEPTH_MAX - 1).map_err(|error| refused(error.to_string()))?;
    Ok(bytes)
}

/// Whether a number somewhere in it is NaN or infinite.
fn has_infinite(value: &Ipld) -> bool {
    match value {
        Ipld::Float(number) => !number.is_finite(),
        Ipld::List(items) => items.iter().any(has_infinite),
        Ipld::Map(map) => map.values().any(has_infinite),
        _ => false,
    }
}
