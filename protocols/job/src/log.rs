//! The Log: a content-addressed, append-only record of one experiment, from which anyone recomputes each verdict.
//!
//! Pages (≤ [`PAGE_BYTES_MAX`]) are DAG-CBOR blobs of [`Entry`]s; [`Root`] names them and opens the selection secret; a Closed
//! Call names the root. Deliberately lacks reading and writing: pages move through the driver as blobs.

use std::collections::{BTreeMap, BTreeSet};

use cid::Cid;
use serde::{Deserialize, Serialize};

use crate::bounded::{Bytes, List};
use crate::content::{cid_of, sha256};
use crate::experiment::{Experiment, ExperimentId, Labels};
use crate::identity::{Hash32, NodeId, Signed};
use crate::quorum;
use crate::receipt::{INLINE_BYTES_MAX, LeaseNumber, Receipt};
use crate::verdict::{Decision, JobVerdict};
use crate::work::INPUT_BYTES_MAX;

/// A page is written when its entries reach this: small enough for a relayed `car`, large enough that 10⁶ jobs make few pages. A
/// page is larger only when its single entry is: a job with hundreds of receipts, whose outputs then stand in blobs of their own.
pub const PAGE_BYTES_MAX: usize = 256 << 10;
/// Most pages a root names directly: 10⁶ jobs of three 300-byte receipts need about 4,000.
pub const PAGES_MAX: usize = 1 << 16;
/// Largest encoded root: 2¹⁶ CIDs of 41 bytes and the rest.
pub const ROOT_BYTES_MAX: usize = 4 << 20;

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
}

/// A receipt as held by the requester, with what was declared about its station.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldReceipt {
    pub receipt: Signed<Receipt>,
    /// The cluster the requester put the station in.
    pub cluster: crate::cluster::Cluster,
    /// The labels of its claim.
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

/// What a Log that holds together says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Jobs with a verdict other than expired.
    pub settled: u64,
    pub expired: u64,
    pub receipts: u64,
    pub late: u64,
}

/// Why a Log does not hold together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    #[error("the experiment's signature does not match")]
    ExperimentSignature,
    #[error("it was decided by rules {0}, this version knows {RULES}")]
    Rules(u32),
    #[error("the secret does not open the experiment's commitment")]
    Secret,
    #[error("{found} pages were given, the root names {named}")]
    Pages { named: usize, found: usize },
    #[error("page {0} belongs to another experiment or place")]
    Page(u64),
    #[error("job {0} has two verdicts, or is none of the experiment")]
    Job(u64),
    #[error("receipt of lease {0}: its signature, job, experiment or profile does not match, or it stands twice")]
    Receipt(LeaseNumber),
    #[error("the verdict on job {0} is not what its receipts say")]
    Verdict(u64),
    #[error("the root counts {settled} settled and {expired} expired jobs; its pages do not")]
    Counts { settled: u64, expired: u64 },
}

/// Recomputes every verdict of a closed Log. `blob` finds outputs that stand outside the pages; a verdict that needs one which is
/// missing does not verify. The caller has checked the CIDs of root and pages when it fetched them.
pub fn verify<'a>(
    root: &Root,
    pages: impl IntoIterator<Item = &'a Page>,
    mut blob: impl FnMut(&Cid) -> Option<Vec<u8>>,
) -> Result<Summary, LogError> {
    let experiment = &root.experiment.body;
    let ours = root.experiment.author == experiment.requester && root.experiment.verify(&experiment.network).is_ok();
    if !ours {
        return Err(LogError::ExperimentSignature);
    }
    if root.rules != RULES {
        return Err(LogError::Rules(root.rules));
    }
    if sha256(&[&root.secret.0]) != experiment.commitment.0 {
        return Err(LogError::Secret);
    }
    let (id, mut summary, mut found) = (experiment.id(), Summary::default(), 0);
    let (mut jobs, mut leases) = (BTreeSet::new(), BTreeSet::new());
    for (number, page) in (0_u64..).zip(pages) {
        if page.experiment != id || page.number != number {
            return Err(LogError::Page(number));
        }
        found += 1;
        for entry in &page.entries {
            let receipts = match entry {
                Entry::Settled(job) => &job.receipts[..],
                Entry::Late(held) => std::slice::from_ref(&**held),
            };
            for held in receipts {
                let body = &held.receipt.body;
                let matches = body.experiment == id && body.profile == experiment.profile && held.receipt.author == body.node;
                if !matches || !leases.insert(body.lease) || held.receipt.verify(&experiment.network).is_err() {
                    return Err(LogError::Receipt(body.lease));
                }
            }
            match entry {
                Entry::Late(_) => summary.late += 1,
                Entry::Settled(job) => {
                    let index = job.verdict.index;
                    if index >= experiment.jobs.count || !jobs.insert(index) {
                        return Err(LogError::Job(index));
                    }
                    verify_job(experiment, job, &mut blob)?;
                    summary.receipts += job.receipts.len() as u64;
                    summary.settled += u64::from(!matches!(job.verdict.decision, Decision::Expired { .. }));
                }
            }
        }
    }
    summary.expired = experiment.jobs.count.saturating_sub(summary.settled);
    if found != root.pages.len() {
        return Err(LogError::Pages { named: root.pages.len(), found });
    }
    if (root.settled, root.expired) != (summary.settled, summary.expired) {
        return Err(LogError::Counts { settled: root.settled, expired: root.expired });
    }
    Ok(summary)
}

fn verify_job(experiment: &Experiment, job: &SettledJob, blob: &mut impl FnMut(&Cid) -> Option<Vec<u8>>) -> Result<(), LogError> {
    let index = job.verdict.index;
    if let Some(other) = job.receipts.iter().find(|held| held.receipt.body.index != index) {
        return Err(LogError::Receipt(other.receipt.body.lease));
    }
    let receipts = with_outputs(job, blob);
    if quorum::is_due(&experiment.class, &receipts, &job.verdict.decision) { Ok(()) } else { Err(LogError::Verdict(index)) }
}

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
            let bytes = blob(&content.cid).filter(|bytes| cid_of(content.cid.codec(), bytes) == content.cid)?;
            Bytes::new(bytes).ok()
        });
    }
    receipts
}
