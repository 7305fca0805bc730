//! [`Packed`]: one block that is a DAG-CBOR list, with the place of each item in it.
//!
//! Guarantees: the block is the canonical encoding of its items. Deliberately lacks decoded values: a million inputs must not
//! become a million trees.

use cid::Cid;
use ipld_core::ipld::Ipld;

use crate::codec::{self, DecodeError};
use crate::content::{DAG_CBOR, cid_of};

use super::EXPLICIT_BYTES_MAX;

/// Longest head of a CBOR item: the type and a 64-bit length.
pub(super) const HEAD_BYTES_MAX: usize = 9;

pub(super) const TEXT: u8 = 3;
pub(super) const LIST: u8 = 4;
pub(super) const MAP: u8 = 5;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packed {
    block: Vec<u8>,
    /// Where each item begins, and at the end where the last one ends. 32 bits: blocks are far below 4 GiB.
    bounds: Vec<u32>,
}

impl Packed {
    /// The list of `items`, each the canonical encoding of a value.
    pub(super) fn new(items: &[Vec<u8>]) -> Self {
        let mut block = head(LIST, items.len() as u64);
        let mut bounds = Vec::with_capacity(items.len() + 1);
        bounds.push(place(block.len()));
        for item in items {
            block.extend_from_slice(item);
            bounds.push(place(block.len()));
        }
        Self { block, bounds }
    }

    /// `block` taken apart.
    pub(super) fn read(block: Vec<u8>) -> Result<Self, DecodeError> {
        // One typed decode proves the canonical form of everything inside; the walk below only finds the bounds.
        let items: Vec<Ipld> = codec::decode(&block, EXPLICIT_BYTES_MAX)?;
        let mut at = head(LIST, items.len() as u64).len();
        let mut bounds = Vec::with_capacity(items.len() + 1);
        bounds.push(place(at));
        for _ in &items {
            at = codec::skip(&block, at, codec::DEPTH_MAX)?;
            bounds.push(place(at));
        }
        Ok(Self { block, bounds })
    }

    pub(super) fn count(&self) -> u64 {
        self.bounds.len() as u64 - 1
    }

    pub(super) fn get(&self, position: u64) -> Option<&[u8]> {
        let position = usize::try_from(position).ok()?;
        let (from, to) = (*self.bounds.get(position)?, *self.bounds.get(position.checked_add(1)?)?);
        self.block.get(from as usize..to as usize)
    }

    pub(super) fn longest(&self) -> usize {
        self.bounds.windows(2).map(|pair| (pair[1] - pair[0]) as usize).max().unwrap_or(0)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.block
    }

    pub(super) fn cid(&self) -> Cid {
        cid_of(DAG_CBOR, &self.block)
    }
}

fn place(at: usize) -> u32 {
    u32::try_from(at).expect("blocks are bounded far below 4 GiB")
}

/// The shortest head of a CBOR item of type `major`.
pub(super) fn head(major: u8, argument: u64) -> Vec<u8> {
    let first = |info: u8| major << 5 | info;
    let be = argument.to_be_bytes();
    match argument {
        0..=23 => vec![first(be[7])],
        24..=0xff => vec![first(24), be[7]],
        0x100..=0xffff => vec![first(25), be[6], be[7]],
        0x1_0000..=0xffff_ffff => [&[first(26)], &be[4..]].concat(),
        _ => [&[first(27)], &be[..]].concat(),
    }
}
