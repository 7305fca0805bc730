//! What a stranger reads who means no harm: blocks over `car`, and with them the whole Log of a closed experiment.
//!
//! Guarantees: every block was hashed and is the one that was asked for; what is asked for follows from PROTOCOL.md alone. Deliberately lacks
//! verdicts: whoever has the blocks recomputes them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use futures::AsyncReadExt as _;
use libp2p::PeerId;

use crate::cbor::{self, Value};
use crate::key::{cid, cid_text, sha256};
use crate::peer::Stranger;

/// Largest block.
const BLOCK_MAX: u64 = 2 << 20;

/// Blocks by the bytes of their CIDs.
pub type Blocks = BTreeMap<Vec<u8>, Vec<u8>>;

fn wrong(what: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_string())
}

/// A varint, and what follows it.
fn varint(bytes: &[u8]) -> io::Result<(usize, &[u8])> {
    let end = bytes.iter().position(|byte| byte & 0x80 == 0).ok_or_else(|| wrong("a length that does not end"))?;
    let value = bytes[..=end].iter().rev().fold(0, |sum, byte| sum << 7 | usize::from(byte & 0x7f));
    Ok((value, &bytes[end + 1..]))
}

impl Stranger {
    /// All blocks that come for `root`, each hashed.
    pub async fn fetch(&self, peer: PeerId, root: &[u8]) -> io::Result<Blocks> {
        let (status, mut stream) = self.ask_car(peer, root, 17 << 20).await?;
        if status != 0 {
            return Err(wrong(format!("{} is refused with {status}", cid_text(root))));
        }
        let mut car = Vec::new();
        stream.read_to_end(&mut car).await?;
        let (length, rest) = varint(&car)?;
        let mut rest = rest.get(length..).ok_or_else(|| wrong("a header that ends early"))?;
        let mut blocks = Blocks::new();
        while !rest.is_empty() {
            let (length, after) = varint(rest)?;
            let section = after.get(..length).ok_or_else(|| wrong("a section that ends early"))?;
            rest = &after[length..];
            let (name, block) = section.split_at_checked(36).ok_or_else(|| wrong("a section without a CID"))?;
            if block.len() as u64 > BLOCK_MAX || name[4..] != sha256(&[block]) {
                return Err(wrong(format!("{} has other bytes", cid_text(name))));
            }
            blocks.insert(name.to_vec(), block.to_vec());
        }
        if blocks.contains_key(root) { Ok(blocks) } else { Err(wrong(format!("{} did not come", cid_text(root)))) }
    }

    /// The one block `name` as a value.
    async fn value(&self, peer: PeerId, name: &[u8], into: &mut Blocks) -> io::Result<Value> {
        let came = self.fetch(peer, name).await?;
        if came.len() != 1 {
            return Err(wrong(format!("{} blocks came for {}", came.len(), cid_text(name))));
        }
        let value = cbor::decode(&came[name]).ok_or_else(|| wrong(format!("{} is no DAG-CBOR", cid_text(name))))?;
        into.extend(came);
        Ok(value)
    }

    /// The whole Log under `log`: its root, the jobs, every page, and what receipts name that stands in no page. The module has a root of its
    /// own: its bytes come too.
    pub async fn fetch_log(&self, peer: PeerId, log: &[u8]) -> io::Result<Blocks> {
        let mut blocks = Blocks::new();
        let root = self.value(peer, log, &mut blocks).await?;
        let experiment = root.get("experiment").and_then(|signed| signed.get("body")).ok_or_else(|| wrong("a root without experiment"))?;
        let named = |value: Option<&Value>| value.and_then(Value::as_bytes).map(<[u8]>::to_vec).ok_or_else(|| wrong("no CID where one must be"));
        let jobs = named(experiment.get("jobs").and_then(|jobs| jobs.get("root")))?;
        for row in self.value(peer, &jobs, &mut blocks).await?.items() {
            let list = row.items().iter().find(|item| matches!(item, Value::Link(_)));
            self.value(peer, &named(list)?, &mut blocks).await?;
        }
        let mut elsewhere = BTreeSet::new();
        for page in root.get("pages").map(Value::items).unwrap_or_default() {
            let page = self.value(peer, &named(Some(page))?, &mut blocks).await?;
            for entry in page.get("entries").map(Value::items).unwrap_or_default() {
                elsewhere.extend(not_in(entry));
            }
        }
        for name in elsewhere {
            blocks.extend(self.fetch(peer, &name).await?);
        }
        blocks.extend(self.fetch(peer, &named(experiment.get("module").and_then(|module| module.get("cid")))?).await?);
        Ok(blocks)
    }
}

/// What the receipts of an entry name and that stands beside none of them.
fn not_in(entry: &Value) -> BTreeSet<Vec<u8>> {
    let late = entry.get("late").map(std::slice::from_ref);
    let settled = entry.get("settled").and_then(|job| job.get("receipts")).map(Value::items);
    let (mut named, mut beside) = (BTreeSet::new(), BTreeSet::new());
    for held in late.or(settled).unwrap_or_default() {
        let body = held.get("receipt").and_then(|receipt| receipt.get("body"));
        for part in ["output", "transcript"] {
            named.extend(body.and_then(|body| body.get(part)?.get("cid")?.as_bytes()).map(<[u8]>::to_vec));
            beside.extend(held.get(part).and_then(Value::as_bytes).map(|bytes| cid(crate::messages::RAW, bytes)));
        }
    }
    named.difference(&beside).cloned().collect()
}
