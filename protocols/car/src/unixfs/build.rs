//! [`build`]: the blocks of a file by the profile `unixfs-v1-2025`: CIDv1, sha2-256, raw leaves, 1 MiB chunks, 1,024 links per node.
//!
//! Guarantees: the same CIDs as other implementations of the profile (fixtures made by one of them). Deliberately lacks streaming:
//! what a station publishes fits in memory.

use std::collections::BTreeMap;

use cid::Cid;
use ipld_dagpb::{PbLink, PbNode};

use super::node::FileNode;
use crate::block::{DAG_PB, Dag, RAW, cid_of};

/// Bytes per leaf in the profile.
pub const CHUNK_BYTES: usize = 1 << 20;
/// Links per node in the profile.
pub const LINKS_PER_NODE: usize = 1_024;

/// The DAG of a file of `bytes`. A file of at most one chunk is one raw block.
#[must_use]
pub fn build(bytes: &[u8]) -> Dag {
    build_with(bytes, CHUNK_BYTES, LINKS_PER_NODE)
}

/// A subtree: what its parent says of it.
struct Child {
    cid: Cid,
    file_bytes: u64,
    tree_bytes: u64,
}

pub(super) fn build_with(bytes: &[u8], chunk_bytes: usize, links_per_node: usize) -> Dag {
    let mut blocks = BTreeMap::new();
    let chunks = if bytes.is_empty() { vec![bytes] } else { bytes.chunks(chunk_bytes).collect() };
    let leaf = |chunk: &[u8]| {
        let cid = cid_of(RAW, chunk);
        blocks.insert(cid, chunk.to_vec());
        Child { cid, file_bytes: chunk.len() as u64, tree_bytes: chunk.len() as u64 }
    };
    let mut layer: Vec<Child> = chunks.into_iter().map(leaf).collect();
    while layer.len() > 1 {
        layer = layer.chunks(links_per_node).map(|children| parent(children, &mut blocks)).collect();
    }
    Dag { root: layer[0].cid, blocks: blocks.into_iter().collect() }
}

fn parent(children: &[Child], blocks: &mut BTreeMap<Cid, Vec<u8>>) -> Child {
    let file_bytes = children.iter().map(|child| child.file_bytes).sum();
    let file = FileNode { data: Vec::new(), file_bytes, block_bytes: children.iter().map(|child| child.file_bytes).collect() };
    let link = |child: &Child| PbLink { cid: child.cid, name: Some(String::new()), size: Some(child.tree_bytes) };
    let bytes = PbNode { links: children.iter().map(link).collect(), data: Some(file.encode().into()) }.into_bytes();
    let below: u64 = children.iter().map(|child| child.tree_bytes).sum();
    let (cid, tree_bytes) = (cid_of(DAG_PB, &bytes), below + bytes.len() as u64);
    blocks.insert(cid, bytes);
    Child { cid, file_bytes, tree_bytes }
}
