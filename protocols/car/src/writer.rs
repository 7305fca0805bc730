//! [`Writer`]: the CARv1 of a DAG in depth-first order, each block once (`order=dfs`, `dups=n`).
//!
//! Guarantees: what it writes, [`crate::Verifier`] accepts; a block that does not hash to its CID is refused, not written.
//! Deliberately lacks storage: it says which block it wants next, and takes its bytes.

use std::collections::BTreeMap;

use cid::Cid;

use crate::block::{Dag, verify};
use crate::header;
use crate::varint;
use crate::walk::{DagError, Walk};

/// Ask [`Writer::wants`], give the block to [`Writer::supply`], send what it returns; until nothing is wanted.
#[derive(Debug)]
pub struct Writer {
    root: Cid,
    walk: Walk,
}

impl Writer {
    pub fn new(root: Cid) -> Result<Self, DagError> {
        Ok(Self { root, walk: Walk::new(root)? })
    }

    /// The CAR of the one block under `root`, whatever it links to.
    pub fn alone(root: Cid) -> Result<Self, DagError> {
        Ok(Self { root, walk: Walk::alone(root)? })
    }

    /// The first bytes of the CAR.
    #[must_use]
    pub fn header(&self) -> Vec<u8> {
        let header = header::encode(&[self.root]);
        let mut out = Vec::with_capacity(header.len() + varint::BYTES_MAX);
        varint::encode(header.len() as u64, &mut out);
        out.extend(header);
        out
    }

    /// The block to supply next; `None` when the CAR is whole.
    pub fn wants(&mut self) -> Option<Cid> {
        while let Some((next, seen)) = self.walk.next() {
            if !seen {
                return Some(next);
            }
            self.walk.skip();
        }
        None
    }

    /// The section of the wanted block.
    pub fn supply(&mut self, bytes: &[u8]) -> Result<Vec<u8>, DagError> {
        let Some(cid) = self.wants() else { return Ok(Vec::new()) };
        verify(&cid, bytes)?;
        self.walk.enter(bytes)?;
        Ok(section(&cid, bytes))
    }
}

/// The CARv1 of `dag` in one piece; `None` when a block under its root is not among its blocks.
pub fn car(dag: &Dag) -> Result<Option<Vec<u8>>, DagError> {
    let blocks: BTreeMap<&Cid, &Vec<u8>> = dag.blocks.iter().map(|(cid, bytes)| (cid, bytes)).collect();
    let mut writer = Writer::new(dag.root)?;
    let mut out = writer.header();
    while let Some(cid) = writer.wants() {
        let Some(bytes) = blocks.get(&cid) else { return Ok(None) };
        out.extend(writer.supply(bytes)?);
    }
    Ok(Some(out))
}

fn section(cid: &Cid, bytes: &[u8]) -> Vec<u8> {
    let cid = cid.to_bytes();
    let mut out = Vec::with_capacity(varint::BYTES_MAX + cid.len() + bytes.len());
    varint::encode((cid.len() + bytes.len()) as u64, &mut out);
    out.extend(cid);
    out.extend_from_slice(bytes);
    out
}
