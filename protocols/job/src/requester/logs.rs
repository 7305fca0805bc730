//! [`Logs`]: the ends of guests' logs that stations bring beside their receipts, for the researcher's eyes.
//!
//! Guarantees: bounded for each job and each experiment; failures find room where chatty successes took theirs; nothing that is compared,
//! certified or put into the Log knows of them; nobody else may fetch them ([`super::is_for_others`]). Deliberately lacks the texts: they
//! are blobs in the store.

use std::collections::BTreeMap;

use cid::Cid;

use super::context::Context;
use super::records::{LogRecord, Tag, numbered};
use crate::codec;
use crate::content::Content;
use crate::experiment::ExperimentId;
use crate::receipt::LeaseNumber;

/// Logs kept of one experiment: a MiB.
pub(super) const LOGS_MAX: usize = 256;
/// Of them those of executions that gave an answer.
const ANSWERS_MAX: usize = 64;
/// Logs kept of one job.
const PER_JOB_MAX: usize = 4;
/// Of them those of executions that gave an answer.
const ANSWERS_PER_JOB_MAX: usize = 1;

/// What is kept of one experiment.
#[derive(Clone, Debug, Default)]
pub(super) struct Logs(BTreeMap<LeaseNumber, (u64, Cid)>);

impl Logs {
    /// Keeps `log` of an execution of job `index`, if there is room for it.
    pub(super) fn keep(&mut self, cx: &mut Context, id: &ExperimentId, lease: LeaseNumber, index: u64, is_answer: bool, log: Vec<u8>) {
        let (all, per_job) = if is_answer { (ANSWERS_MAX, ANSWERS_PER_JOB_MAX) } else { (LOGS_MAX, PER_JOB_MAX) };
        let of_job = self.0.values().filter(|(of, _)| *of == index).count();
        if self.0.len() >= all || of_job >= per_job {
            return;
        }
        let cid = Content::raw(&log).cid;
        let record = numbered(Tag::Log, id, lease);
        cx.put(record.clone(), codec::encode(&LogRecord { index, log: cid }));
        cx.bring(record, cid, log);
        self.0.insert(lease, (index, cid));
    }

    /// One that a record tells of.
    pub(super) fn restore(&mut self, lease: LeaseNumber, record: &LogRecord) {
        self.0.insert(lease, (record.index, record.log));
    }

    /// Lets all go.
    pub(super) fn forget(&self, cx: &mut Context, id: &ExperimentId) {
        self.0.keys().for_each(|lease| cx.delete(numbered(Tag::Log, id, *lease)));
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// By lease.
    pub(super) fn all(&self) -> BTreeMap<LeaseNumber, Cid> {
        self.0.iter().map(|(lease, (_, cid))| (*lease, *cid)).collect()
    }
}
