//! Whether a Log holds together: every byte of it that can be checked is.
//!
//! Guarantees: [`verify_closed`] begins at the Call by which the requester closed the experiment, and believes nothing that does not follow
//! from it by a hash or a station's signature. Hashed are the root, pages, inputs, and outputs and transcripts wherever they stand; checked
//! are all signatures; recomputed is every verdict. Deliberately lacks what no Log can prove: in which cluster the requester saw a station,
//! what labels that claimed, whom it asked and refused, how a lease without a receipt ended, and whether it left receipts out.

use std::collections::BTreeSet;

use cid::Cid;

use super::{Entry, HeldReceipt, Page, ROOT_BYTES_MAX, RULES, Root, SettledJob, with_outputs};
use crate::bounded::Bytes;
use crate::call::{CALL_BYTES_MAX, Call, CallState};
use crate::codec;
use crate::content::{Content, DAG_CBOR, cid_of, sha256};
use crate::experiment::ExperimentId;
use crate::identity::Signed;
use crate::jobs::{BLOCK_BYTES_MAX, Jobs, JobsError};
use crate::quorum;
use crate::receipt::{INLINE_BYTES_MAX, LeaseNumber};
use crate::verdict::Decision;

/// What a Log that holds together says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Jobs with a verdict other than expired.
    pub settled: u64,
    pub expired: u64,
    pub receipts: u64,
    pub late: u64,
    /// Outputs and transcripts that receipts name and that are not at hand. No verdict needed them.
    pub absent: u64,
    /// Whether inputs were compared with the jobs of the experiment.
    pub inputs: bool,
}

/// What no Log proves, in plain words: all of it is its requester's word.
pub const UNPROVED: [&str; 6] = [
    "in which network the requester saw a station",
    "what labels a station claimed",
    "when the requester dealt a lease and when its receipt came",
    "whom the requester asked and refused",
    "how a lease without a receipt ended",
    "that no receipt was left out",
];

/// Why a Log does not hold together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    #[error("the Call is not the one by which the experiment's requester closed it with this Log")]
    Call,
    #[error("block {0} is not at hand")]
    Missing(Cid),
    #[error("block {0} has other bytes than its name says, or is not what it should be")]
    Block(Cid),
    #[error("the experiment's signature does not match")]
    ExperimentSignature,
    #[error("it was decided by rules {0}, this version knows {RULES}")]
    Rules(u32),
    #[error("the secret does not open the experiment's commitment")]
    Secret,
    #[error("the jobs at hand are not those of the experiment")]
    Jobs,
    #[error("{found} pages were given, the root names {named}")]
    Pages { named: usize, found: usize },
    #[error("page {0} belongs to another experiment or place")]
    Page(u64),
    #[error("job {0} has two verdicts, or is none of the experiment")]
    Job(u64),
    #[error("job {0} has another input in the Log than in the experiment")]
    Input(u64),
    #[error("receipt of lease {0}: its signature, job, experiment or profile does not match, or it stands twice")]
    Receipt(LeaseNumber),
    #[error("the output or transcript of lease {0} is not the one that its receipt names")]
    Output(LeaseNumber),
    #[error("lease {0} is both lost and has a receipt, or is lost twice")]
    Lost(LeaseNumber),
    #[error("the verdict on job {0} is not what its receipts say")]
    Verdict(u64),
    #[error("the root counts {settled} settled and {expired} expired jobs; its pages do not")]
    Counts { settled: u64, expired: u64 },
}

/// Verifies a closed Log from the Call that closed it, in its encoding, and the blocks that `blob` brings. Inputs are compared where the
/// blocks of the jobs are among them.
pub fn verify_closed(call: &[u8], mut blob: impl FnMut(&Cid) -> Option<Vec<u8>>) -> Result<Summary, LogError> {
    let call: Signed<Call> = codec::decode(call, CALL_BYTES_MAX).map_err(|_| LogError::Call)?;
    let CallState::Closed { log } = call.body.state else { return Err(LogError::Call) };
    let root = Root::read(&log, &blob(&log).ok_or(LogError::Missing(log))?)?;
    root.is_closed_by(&call, &log)?;
    let jobs = match Jobs::read(&root.experiment.body.jobs.root, &mut blob) {
        Ok(jobs) => Some(jobs),
        Err(JobsError::Missing(_)) => None,
        Err(_) => return Err(LogError::Jobs),
    };
    let mut verifier = Verifier::new(&root, jobs.as_ref())?;
    for cid in &root.pages {
        let bytes = blob(cid).ok_or(LogError::Missing(*cid))?;
        verifier.page(&Page::read(cid, &bytes)?, &mut blob)?;
    }
    verifier.finish()
}

/// Recomputes every verdict of a closed Log whose root and pages were read by their CIDs. `blob` finds outputs that stand outside the pages;
/// a verdict that needs one which is missing does not verify.
pub fn verify<'a>(
    root: &Root,
    pages: impl IntoIterator<Item = &'a Page>,
    mut blob: impl FnMut(&Cid) -> Option<Vec<u8>>,
    jobs: Option<&Jobs>,
) -> Result<Summary, LogError> {
    let mut verifier = Verifier::new(root, jobs)?;
    for page in pages {
        verifier.page(page, &mut blob)?;
    }
    verifier.finish()
}

fn is_block(cid: &Cid, bytes: &[u8]) -> Result<(), LogError> {
    if cid_of(DAG_CBOR, bytes) == *cid { Ok(()) } else { Err(LogError::Block(*cid)) }
}

impl Page {
    /// The page that `bytes` are, if `cid` is their name.
    pub fn read(cid: &Cid, bytes: &[u8]) -> Result<Self, LogError> {
        is_block(cid, bytes)?;
        codec::decode(bytes, BLOCK_BYTES_MAX).map_err(|_| LogError::Block(*cid))
    }
}

impl Root {
    /// The root that `bytes` are, if `log` is their name.
    pub fn read(log: &Cid, bytes: &[u8]) -> Result<Self, LogError> {
        is_block(log, bytes)?;
        codec::decode(bytes, ROOT_BYTES_MAX).map_err(|_| LogError::Block(*log))
    }

    /// Whether the experiment's requester closed it by `call`, which names this root as `log`.
    pub fn is_closed_by(&self, call: &Signed<Call>, log: &Cid) -> Result<(), LogError> {
        let (body, experiment) = (&call.body, &self.experiment.body);
        let names = body.state == CallState::Closed { log: *log } && body.experiment == self.experiment;
        let signed = call.author == experiment.requester && call.verify(&experiment.network).is_ok();
        if names && signed { Ok(()) } else { Err(LogError::Call) }
    }
}

/// Takes the pages of a Log one after the other, so that no more than one and its outputs need be in memory.
#[derive(Debug)]
pub struct Verifier<'a> {
    root: &'a Root,
    id: ExperimentId,
    jobs: Option<&'a Jobs>,
    found: u64,
    summary: Summary,
    /// Jobs with a verdict.
    decided: BTreeSet<u64>,
    /// Leases that have a receipt, and those that were lost.
    leases: BTreeSet<LeaseNumber>,
    lost: BTreeSet<LeaseNumber>,
}

impl<'a> Verifier<'a> {
    /// `jobs` are the experiment's, where they are at hand.
    pub fn new(root: &'a Root, jobs: Option<&'a Jobs>) -> Result<Self, LogError> {
        let experiment = &root.experiment.body;
        if root.experiment.author != experiment.requester || root.experiment.verify(&experiment.network).is_err() {
            return Err(LogError::ExperimentSignature);
        }
        if root.rules != RULES {
            return Err(LogError::Rules(root.rules));
        }
        if sha256(&[&root.secret.0]) != experiment.commitment.0 {
            return Err(LogError::Secret);
        }
        if jobs.is_some_and(|jobs| jobs.root() != experiment.jobs.root || jobs.count() != experiment.jobs.count) {
            return Err(LogError::Jobs);
        }
        let summary = Summary { inputs: jobs.is_some(), ..Summary::default() };
        let (decided, leases, lost) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        Ok(Self { root, id: experiment.id(), jobs, found: 0, summary, decided, leases, lost })
    }

    /// The next page, and `blob` for what its receipts name and does not stand in it.
    pub fn page(&mut self, page: &Page, mut blob: impl FnMut(&Cid) -> Option<Vec<u8>>) -> Result<(), LogError> {
        if page.experiment != self.id || page.number != self.found {
            return Err(LogError::Page(self.found));
        }
        self.found += 1;
        for entry in &page.entries {
            self.receipts(entry.receipts(), &mut blob)?;
            match entry {
                Entry::Late(_) => self.summary.late += 1,
                Entry::Settled(job) => self.job(job, &mut blob)?,
            }
        }
        Ok(())
    }

    /// What all pages together say.
    pub fn finish(mut self) -> Result<Summary, LogError> {
        let found = usize::try_from(self.found).unwrap_or(usize::MAX);
        if found != self.root.pages.len() {
            return Err(LogError::Pages { named: self.root.pages.len(), found });
        }
        if let Some(twice) = self.lost.intersection(&self.leases).next() {
            return Err(LogError::Lost(*twice));
        }
        self.summary.expired = self.root.experiment.body.jobs.count.saturating_sub(self.summary.settled);
        let Root { settled, expired, .. } = *self.root;
        if (settled, expired) != (self.summary.settled, self.summary.expired) {
            return Err(LogError::Counts { settled, expired });
        }
        Ok(self.summary)
    }

    /// The receipts of one entry, and every output and transcript that is at hand.
    fn receipts(&mut self, receipts: &[HeldReceipt], blob: &mut impl FnMut(&Cid) -> Option<Vec<u8>>) -> Result<(), LogError> {
        let experiment = &self.root.experiment.body;
        let mut inline = BTreeSet::new();
        for held in receipts {
            let body = &held.receipt.body;
            let matches = body.experiment == self.id && body.profile == experiment.profile && held.receipt.author == body.node;
            if !matches || !self.leases.insert(body.lease) || held.receipt.verify(&experiment.network).is_err() {
                return Err(LogError::Receipt(body.lease));
            }
            for part in parts(held) {
                match part {
                    (Some(content), Some(bytes)) if content.is(bytes) => _ = inline.insert(content.cid),
                    (_, None) => {}
                    (_, Some(_)) => return Err(LogError::Output(body.lease)),
                }
            }
        }
        for held in receipts {
            let elsewhere = parts(held).into_iter().filter(|(_, bytes)| bytes.is_none()).filter_map(|(content, _)| content);
            // An entry holds equal outputs once.
            for content in elsewhere.filter(|content| !inline.contains(&content.cid)) {
                match blob(&content.cid) {
                    Some(bytes) if content.is(&bytes) => {}
                    Some(_) => return Err(LogError::Output(held.receipt.body.lease)),
                    None => self.summary.absent += 1,
                }
            }
        }
        Ok(())
    }

    fn job(&mut self, job: &SettledJob, blob: &mut impl FnMut(&Cid) -> Option<Vec<u8>>) -> Result<(), LogError> {
        let (experiment, index) = (&self.root.experiment.body, job.verdict.index);
        if index >= experiment.jobs.count || !self.decided.insert(index) {
            return Err(LogError::Job(index));
        }
        if self.jobs.is_some_and(|jobs| jobs.input(index).as_deref() != Some(&*job.input)) {
            return Err(LogError::Input(index));
        }
        if let Some(other) = job.receipts.iter().find(|held| held.receipt.body.index != index) {
            return Err(LogError::Receipt(other.receipt.body.lease));
        }
        if let Some((twice, _, _)) = job.lost.iter().find(|(lease, _, _)| !self.lost.insert(*lease)) {
            return Err(LogError::Lost(*twice));
        }
        if !quorum::is_due(experiment, &with_outputs(job, blob), &job.verdict.decision) {
            return Err(LogError::Verdict(index));
        }
        self.summary.receipts += job.receipts.len() as u64;
        self.summary.settled += u64::from(!matches!(job.verdict.decision, Decision::Expired { .. }));
        Ok(())
    }
}

/// What a receipt names, with what stands beside it.
fn parts(held: &HeldReceipt) -> [(Option<&Content>, Option<&Bytes<INLINE_BYTES_MAX>>); 2] {
    let body = &held.receipt.body;
    [(body.output.as_ref(), held.output.as_ref()), (body.transcript.as_ref(), held.transcript.as_ref())]
}
