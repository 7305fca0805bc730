//! [`results`]: what became of an experiment's jobs, read from the store one job after the other.
//!
//! Guarantees: what strangers sent is let go before more of it is read. Of all transcripts one is in memory at a time, and of all outputs
//! those of one job. Deliberately lacks the reading of what they say: that is [`crate::results`].

use std::collections::{BTreeMap, BTreeSet};

use cid::Cid;
use serde::Serialize;
use serde::de::DeserializeOwned;
use station_protocol::codec;
use station_protocol::log::{self, Entry, Page, SettledJob};
use station_protocol::receipt::{INLINE_BYTES_MAX, LeaseNumber};
use station_protocol::requester::View;

use super::{HandleError, blobs};
use crate::results::{Facts, RequestsRead, Results};
use crate::store::{Store, StoreError};

/// What became of the jobs of an experiment: from the pages of its Log and from what no page holds yet.
pub async fn results(store: &dyn Store, view: &View) -> Result<Results, HandleError> {
    let logs = logs(store, view).await?;
    let facts = Facts::of(view, &logs);
    let mut rows = Vec::new();
    each(store, view, |job, requests| rows.push(facts.row(job, requests))).await?;
    Ok(Results::new(&facts, rows))
}

/// Shows the settled jobs, each with its outputs in place and with the requests of those transcripts that are blobs of their own.
async fn each(store: &dyn Store, view: &View, mut show: impl FnMut(&SettledJob, &BTreeMap<LeaseNumber, RequestsRead>)) -> Result<(), HandleError> {
    for cid in &view.pages {
        let page: Page = read(store, *cid).await?;
        for entry in page.entries {
            if let Entry::Settled(job) = entry {
                let job = with_outputs(store, *job).await?;
                show(&job, &requests(store, &job).await?);
            }
        }
    }
    for job in &view.settled {
        let job = with_outputs(store, job.clone()).await?;
        show(&job, &requests(store, &job).await?);
    }
    Ok(())
}

/// The ends of guests' logs that are here, by lease: strangers' words.
async fn logs(store: &dyn Store, view: &View) -> Result<BTreeMap<LeaseNumber, Vec<u8>>, StoreError> {
    let texts = blobs(store, view.logs.values().copied().collect()).await?;
    Ok(view.logs.iter().filter_map(|(lease, cid)| Some((*lease, texts.get(cid)?.clone()))).collect())
}

/// A part of the Log, from our own store.
async fn read<T: Serialize + DeserializeOwned>(store: &dyn Store, cid: Cid) -> Result<T, HandleError> {
    let bytes = store.blob(cid).await?.ok_or(HandleError::Page(cid))?;
    codec::decode(&bytes, bytes.len()).map_err(|_| HandleError::Page(cid))
}

/// `job` with its outputs in place: an entry of the Log holds equal outputs once, and large ones as blobs. The largest stay where they are,
/// because nobody reads them as values.
async fn with_outputs(store: &dyn Store, job: SettledJob) -> Result<SettledJob, StoreError> {
    let outputs = job.receipts.iter().filter(|held| held.output.is_none()).filter_map(|held| held.receipt.body.output.as_ref());
    let outputs: BTreeSet<Cid> = outputs.filter(|content| content.bytes <= INLINE_BYTES_MAX as u64).map(|content| content.cid).collect();
    let blobs = blobs(store, outputs).await?;
    let receipts = log::with_outputs(&job, |cid| blobs.get(cid).cloned());
    Ok(SettledJob { receipts, ..job })
}

/// What the transcripts of `job` say that do not stand in its receipts, by lease. Each is let go once it is read.
async fn requests(store: &dyn Store, job: &SettledJob) -> Result<BTreeMap<LeaseNumber, RequestsRead>, StoreError> {
    let mut requests = BTreeMap::new();
    for held in job.receipts.iter().filter(|held| held.transcript.is_none()) {
        let Some(content) = &held.receipt.body.transcript else { continue };
        let read = store.blob(content.cid).await?.and_then(|bytes| RequestsRead::of(&bytes));
        requests.extend(read.map(|read| (held.receipt.body.lease, read)));
    }
    Ok(requests)
}

#[cfg(test)]
mod tests;
