//! The Log: a content-addressed, append-only record of one experiment, from which anyone recomputes each verdict.
//!
//! Pages (≤ [`PAGE_BYTES_MAX`]) are DAG-CBOR blobs of [`Entry`]s; [`Root`] names them and opens the selection secret; a Closed
//! Call names the root. [`verify`] checks all of it that can be checked: see there for what cannot. Deliberately lacks reading and writing:
//! pages move through the driver as blobs.

use std::collections::BTreeMap;

use cid::Cid;
use serde::{Deserialize, Serialize};

use crate::bounded::{Bytes, List};

use crate::experiment::{Experiment, ExperimentId, Labels};
use crate::identity::{Hash32, NodeId, Signed};
use crate::jobs::BLOCK_BYTES_MAX;
use crate::receipt::{INLINE_BYTES_MAX, LeaseNumber, Receipt};
use crate::time::Time;
use crate::verdict::JobVerdict;
use crate::work::INPUT_BYTES_MAX;

mod verify;

pub use verify::{LogError, Summary, UNPROVED, Verifier, verify, verify_closed};

/// A page is written when its entries reach this: small enough for a relayed `car`, large enough that 10⁶ jobs make few pages. A
/// page is larger only when its single entry is: a job with hundreds of receipts, whose outputs then stand in blobs of their own.
pub const PAGE_BYTES_MAX: usize = 256 << 10;
/// Most pages a root names: their CIDs of 41 bytes and the experiment fit one block. 10⁶ jobs of three 300-byte receipts need about 4,000;
/// an experiment that would need more is closed before, and what is unsettled expires.
pub const PAGES_MAX: usize = 50_000;
/// Largest encoded root: one block, for nobody reads more back.
pub const ROOT_BYTES_MAX: usize = BLOCK_BYTES_MAX;
/// Largest held receipt without output, transcript and the labels that its experiment asks for: 650 bytes of signed receipt, its cluster, a
/// region.
pub const HELD_RECEIPT_BYTES_MAX: usize = 896;
/// Receipts of one job in the Log, outputs and transcripts apart. With a verdict of at most 320 KiB, the input and 1,000 lost leases an
/// entry then fits one block.
pub const JOB_RECEIPTS_BYTES_MAX: usize = 1_280 << 10;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    pub experiment: ExperimentId,
    /// Counted from zero.
    pub number: u64,
    pub entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Entry {
    /// A job with everything its verdict was decided from.
    Settled(Box<SettledJob>),
    /// A receipt that came after its job was settled: held, not decided from.
    Late(Box<HeldReceipt>),
}

impl Entry {
    /// Every receipt that stands in it.
    #[must_use]
    pub fn receipts(&self) -> &[HeldReceipt] {
        match self {
            Self::Settled(job) => &job.receipts,
            Self::Late(held) => std::slice::from_ref(held),
        }
    }

    /// What receipts in it name and does not stand in it: outputs and transcripts that are blobs of their own, or an equal one beside.
    pub fn elsewhere(&self) -> impl Iterator<Item = Cid> + '_ {
        self.receipts().iter().flat_map(|held| {
            let body = &held.receipt.body;
            let output = body.output.as_ref().filter(|_| held.output.is_none());
            let transcript = body.transcript.as_ref().filter(|_| held.transcript.is_none());
            output.into_iter().chain(transcript).map(|content| content.cid)
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettledJob {
    pub verdict: JobVerdict,
    pub input: Bytes<INPUT_BYTES_MAX>,
    pub receipts: Vec<HeldReceipt>,
    /// Leases of this job that ended without a receipt: the station, and how it ended.
    pub lost: Vec<(LeaseNumber, NodeId, Lost)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lost {
    Expired,
    Returned,
    /// For the job of another requester, which waited at that station.
    MadeWay,
}

/// A receipt as held by the requester, with what was declared about its station.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldReceipt {
    pub receipt: Signed<Receipt>,
    /// The cluster the requester put the station in.
    pub cluster: crate::cluster::Cluster,
    /// When the requester dealt the lease, and when the receipt first came, by its clock.
    pub dealt: Time,
    pub came: Time,
    /// Of the labels of its first claim those that the experiment asks for, and its region.
    pub labels: Labels,
    /// Inline when small; else under the receipt's CID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Bytes<INLINE_BYTES_MAX>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript: Option<Bytes<INLINE_BYTES_MAX>>,
}

/// The root of a closed Log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Root {
    pub experiment: Signed<Experiment>,
    pub pages: List<Cid, PAGES_MAX>,
    /// Opens the experiment's `commitment`.
    pub secret: Hash32,
    /// Version of the rules that decided.
    pub rules: u32,
    pub settled: u64,
    pub expired: u64,
}

/// The rule version that this crate implements.
pub const RULES: u32 = 1;

/// The receipts of a settled job with their outputs in place: an entry holds equal outputs once, and large ones stand in blobs.
/// Outputs above [`INLINE_BYTES_MAX`] stay out: no verdict looks into them.
pub fn with_outputs(job: &SettledJob, mut blob: impl FnMut(&Cid) -> Option<Vec<u8>>) -> Vec<HeldReceipt> {
    let mut outputs: BTreeMap<Cid, Bytes<INLINE_BYTES_MAX>> = BTreeMap::new();
    for held in &job.receipts {
        if let (Some(content), Some(output)) = (&held.receipt.body.output, &held.output) {
            outputs.insert(content.cid, output.clone());
        }
    }
    let mut receipts = job.receipts.clone();
    for held in &mut receipts {
        let Some(content) = held.receipt.body.output.as_ref().filter(|content| content.bytes <= INLINE_BYTES_MAX as u64) else { continue };
        if held.output.is_some() {
            continue;
        }
        let known = outputs.get(&content.cid).cloned();
        held.output = known.or_else(|| {
            let bytes = blob(&content.cid).filter(|bytes| content.is(bytes))?;
            Bytes::new(bytes).ok()
        });
    }
    receipts
}
