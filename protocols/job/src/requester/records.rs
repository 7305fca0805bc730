//! The Requester's records: their keys, and what each of them holds and owns.
//!
//! | key (tag ‖ experiment ‖ number or node) | value | lives |
//! |---|---|---|
//! | `E` | experiment, secret, jobs | until closed |
//! | `B` | nothing; owns the blocks of the module and of the jobs | until forgotten |
//! | `S` | seq of the newest Call, its claim_below, the last addresses | until closed |
//! | `L` | next lease number | until closed |
//! | `N` ‖ node | cluster, labels, capacity of a station that has leases; of its receipts the last power of two | until closed |
//! | `J` ‖ index | leases outstanding and lost of an open job | until settled |
//! | `F` ‖ lease | nothing; owns what was fetched of a receipt that is not held yet | until held or lost, or the restart |
//! | `H` ‖ lease | a held receipt; owns its large parts | until its page |
//! | `G` ‖ lease | the job, and the CID of the end of a guest's log, which it owns | until forgotten |
//! | `T` ‖ ordinal | a verdict | until its page |
//! | `P` ‖ number | a page's CID, and which jobs and leases are in it; owns the page and the large parts of its receipts | until forgotten |
//! | `C` | the closed experiment; owns the root of its Log | until forgotten: [`super::CLOSED_MAX`] are kept |

use cid::Cid;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::ranges::Ranges;
use crate::call::Call;
use crate::cluster::Cluster;
use crate::codec;
use crate::durable::{Key, RECORD_BYTES_MAX, RestoreError};
use crate::experiment::{Experiment, ExperimentId, Labels};
use crate::identity::{Hash32, NodeId, Signed};
use crate::jobs::Jobs;
use crate::log::Lost;
use crate::receipt::LeaseNumber;
use crate::time::Time;
use crate::verdict::JobVerdict;
use crate::work::At;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    Experiment,
    Blocks,
    Seq,
    NextLease,
    Node,
    Job,
    Fetched,
    Held,
    Log,
    Verdict,
    Page,
    Closed,
}

impl Tag {
    const ALL: [(Self, u8); 12] = [
        (Self::Experiment, b'E'),
        (Self::Blocks, b'B'),
        (Self::Seq, b'S'),
        (Self::NextLease, b'L'),
        (Self::Node, b'N'),
        (Self::Job, b'J'),
        (Self::Fetched, b'F'),
        (Self::Held, b'H'),
        (Self::Log, b'G'),
        (Self::Verdict, b'T'),
        (Self::Page, b'P'),
        (Self::Closed, b'C'),
    ];

    fn byte(self) -> u8 {
        Self::ALL.iter().find(|(tag, _)| *tag == self).map_or(0, |(_, byte)| *byte)
    }

    fn of(byte: u8) -> Option<Self> {
        Self::ALL.iter().find(|(_, own)| *own == byte).map(|(tag, _)| *tag)
    }
}

/// Whether others may fetch the blobs that the record under `key` owns. A guest's log is for the researcher's eyes alone.
#[must_use]
pub fn is_for_others(key: &Key) -> bool {
    key.0.first().is_none_or(|byte| *byte != Tag::Log.byte())
}

pub(super) fn key(tag: Tag, id: &ExperimentId, rest: &[u8]) -> Key {
    let id = id.to_bytes();
    let mut bytes = Vec::with_capacity(1 + id.len() + rest.len());
    bytes.push(tag.byte());
    bytes.extend_from_slice(&id);
    bytes.extend_from_slice(rest);
    Key(bytes)
}

pub(super) fn numbered(tag: Tag, id: &ExperimentId, number: u64) -> Key {
    key(tag, id, &number.to_be_bytes())
}

/// What a key of ours names.
pub(super) fn parse(key: &Key) -> Result<(Tag, ExperimentId, Vec<u8>), RestoreError> {
    let bad = || RestoreError { key: shown(key), reason: "not a key of the requester".to_owned() };
    let (first, mut rest) = key.0.split_first().ok_or_else(bad)?;
    let tag = Tag::of(*first).ok_or_else(bad)?;
    let id = Cid::read_bytes(&mut rest).map_err(|_| bad())?;
    Ok((tag, id, rest.to_vec()))
}

pub(super) fn number(key: &Key, rest: &[u8]) -> Result<u64, RestoreError> {
    let bytes = rest.try_into().map_err(|_| RestoreError { key: shown(key), reason: "its number is not 8 bytes".to_owned() })?;
    Ok(u64::from_be_bytes(bytes))
}

pub(super) fn read<T: DeserializeOwned + Serialize>(key: &Key, value: &[u8]) -> Result<T, RestoreError> {
    codec::decode(value, RECORD_BYTES_MAX).map_err(|error| RestoreError { key: shown(key), reason: error.to_string() })
}

fn shown(key: &Key) -> String {
    key.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExperimentRecord {
    pub(super) experiment: Signed<Experiment>,
    pub(super) secret: Hash32,
    pub(super) published: Time,
    pub(super) jobs: Jobs,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) at_once: Option<u32>,
}

/// The same for writing: the jobs may be large.
#[derive(Serialize)]
pub(super) struct ExperimentRef<'a> {
    pub(super) experiment: &'a Signed<Experiment>,
    pub(super) secret: Hash32,
    pub(super) published: Time,
    pub(super) jobs: &'a Jobs,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) at_once: Option<u32>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeqRecord {
    pub(super) seq: u64,
    pub(super) claim_below: u64,
    /// Where this station was last.
    #[serde(default, skip_serializing_if = "no_addresses")]
    pub(super) at: At,
}

fn no_addresses(at: &At) -> bool {
    at.is_empty()
}

fn is_zero<T: Default + PartialEq>(number: &T) -> bool {
    *number == T::default()
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NodeRecord {
    pub(super) cluster: Cluster,
    pub(super) labels: Labels,
    pub(super) capacity: u32,
    /// Receipts of it that were held when it was written: pages that are written keep no count of them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) held: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JobRecord {
    /// With when each lease was dealt.
    pub(super) outstanding: Vec<(LeaseNumber, NodeId, Cluster, Time)>,
    pub(super) lost: Vec<(LeaseNumber, NodeId, Lost)>,
    /// All that were lost, also those that the Log does not name.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) lost_all: u32,
    /// How often each cluster lost it.
    pub(super) losses: Vec<(Cluster, u32)>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogRecord {
    pub(super) index: u64,
    pub(super) log: Cid,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VerdictRecord {
    pub(super) verdict: JobVerdict,
    /// The held receipts it was decided from.
    pub(super) receipts: Vec<LeaseNumber>,
    pub(super) lost: Vec<(LeaseNumber, NodeId, Lost)>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PageRecord {
    pub(super) cid: Cid,
    pub(super) settled: Ranges,
    pub(super) held: Ranges,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClosedRecord {
    pub(super) call: Signed<Call>,
    pub(super) pages: Vec<Cid>,
    pub(super) settled: u64,
    pub(super) held: Ranges,
    pub(super) published: Time,
    pub(super) at: Time,
}
