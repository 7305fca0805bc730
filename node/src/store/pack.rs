//! A whole DAG as one file: a CAR, so that what is read back is checked against the root's CID, block by block.

use cid::Cid;
use station_car::{Dag, DagError, Progress, Verifier, car};

/// The file; none when a block is missing, or when what came is no DAG.
pub(crate) fn pack(dag: &Dag) -> Option<Vec<u8>> {
    car(dag).ok().flatten()
}

/// The blocks of the DAG under `root`, each once.
pub(crate) fn unpack(root: Cid, bytes: &[u8]) -> Result<Vec<(Cid, Vec<u8>)>, DagError> {
    let mut verifier = Verifier::new(root, bytes.len() as u64)?;
    verifier.push(bytes);
    verifier.end();
    let mut blocks = Vec::new();
    loop {
        match verifier.poll()? {
            Progress::Block(block) => blocks.push((block.cid, block.bytes)),
            Progress::Complete => return Ok(blocks),
            Progress::More => unreachable!("the bytes were ended"),
        }
    }
}
