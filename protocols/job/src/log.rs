//! The Log: a content-addressed, append-only record of one experiment, from which anyone recomputes each verdict.
//!
//! Pages (≤ [`PAGE_BYTES_MAX`]) are DAG-CBOR blobs of [`Entry`]s; [`Root`] names them and opens the selection secret; a Closed
//! Call names the root. Deliberately lacks reading and writing: pages move through the driver as blobs.

use cid::Cid;
use serde::{Deserialize, Serialize};

use crate::bounded::{Bytes, List};
use crate::experiment::{Experiment, ExperimentId, Labels};
use crate::identity::{Hash32, NodeId, Signed};
use crate::receipt::{INLINE_BYTES_MAX, LeaseNumber, Receipt};
use crate::verdict::JobVerdict;
use crate::work::INPUT_BYTES_MAX;

/// A page is written when its entries reach this: small enough for a relayed `car`, large enough that 10⁶ jobs make few pages.
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
