//! [`Narrator`]: notes → tracing. A span per experiment of others from its first Call to its end, one per execution inside it from
//! start to finish, and one line per event. The rules themselves log nothing.
//!
//! Guarantees: as many spans as the machines have experiments and executions; a lost note leaves a span that the bound takes.

use std::collections::BTreeMap;

use station_protocol::receipt::LeaseNumber;
use station_protocol::{ExperimentId, requester, worker};
use tracing::Span;

use super::handle::Note;

/// Spans open at once, of either kind: the Calls a station keeps per topic. Above it the first goes.
const SPANS_MAX: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct Narrator {
    experiments: BTreeMap<ExperimentId, Span>,
    executions: BTreeMap<(ExperimentId, LeaseNumber), Span>,
}

impl Narrator {
    /// Logs `note`: what an operator or researcher wants to see at `info`, the rest at `debug`.
    pub(super) fn tell(&mut self, note: &Note) {
        use worker::Note as N;
        let note = match note {
            Note::Worker(note) => note,
            Note::Requester(note) => return requester(note),
            Note::Relayed(node) => return tracing::debug!(%node, "reached through a relay"),
        };
        match note {
            N::Heard { experiment, requester, .. } => {
                bound(&mut self.experiments);
                self.experiments.entry(*experiment).or_insert_with(|| tracing::info_span!("experiment", id = %experiment, %requester));
            }
            N::Started { experiment, lease, index } => {
                bound(&mut self.executions);
                let parent = self.experiments.get(experiment).and_then(Span::id);
                self.executions.insert((*experiment, *lease), tracing::info_span!(parent: parent, "execution", lease, index));
            }
            _ => {}
        }
        match note {
            N::Started { experiment, lease, .. } | N::Returned { experiment, lease, .. } | N::Finished { experiment, lease, .. } => {
                let key = (*experiment, *lease);
                let span = if matches!(note, N::Started { .. }) { self.executions.get(&key).cloned() } else { self.executions.remove(&key) };
                span.unwrap_or_else(Span::none).in_scope(|| worker(note));
            }
            N::Closed { experiment, .. } => self.experiments.remove(experiment).unwrap_or_else(Span::none).in_scope(|| worker(note)),
            _ => worker(note),
        }
    }
}

fn bound<K: Ord>(spans: &mut BTreeMap<K, Span>) {
    if spans.len() >= SPANS_MAX {
        spans.pop_first();
    }
}

fn worker(note: &worker::Note) {
    use worker::Note as N;
    match note {
        N::Heard { experiment, seq, requester, .. } => tracing::debug!(%experiment, seq, %requester, "heard a call"),
        N::Untimely { experiment, requester, ahead_ms } => tracing::debug!(%experiment, %requester, ahead_ms, "ignored a call of another time"),
        N::NotSampled { experiment } => tracing::debug!(%experiment, "not sampled"),
        N::Declined { experiment, reason } => tracing::info!(%experiment, ?reason, "declined by policy"),
        N::Claimed { experiment, requester } => tracing::debug!(%experiment, %requester, "claimed"),
        N::Refused { experiment, reason } => tracing::info!(%experiment, ?reason, "claim refused"),
        N::Unreachable { experiment, failure } => tracing::info!(%experiment, ?failure, "requester not reached"),
        N::Leased { experiment, leases } => tracing::debug!(%experiment, leases, "leased"),
        N::Started { experiment, lease, index } => tracing::debug!(%experiment, lease, index, "started"),
        N::Finished { experiment, lease, index, outcome, fuel, duration_ms } => {
            tracing::info!(%experiment, lease, index, ?outcome, fuel, duration_ms, "ran a job");
        }
        N::Returned { experiment, lease, reason } => tracing::info!(%experiment, lease, ?reason, "returned a lease"),
        N::Held { experiment, lease } => tracing::debug!(%experiment, lease, "receipt held"),
        N::ReceiptRefused { experiment, lease, reason } => tracing::warn!(%experiment, lease, ?reason, "receipt refused"),
        N::Closed { experiment, log } => tracing::info!(%experiment, %log, "experiment closed"),
        N::Contradicted { experiment, seq, requester } => tracing::warn!(%experiment, seq, %requester, "two calls under one number"),
        N::Rests(rest) => tracing::info!(?rest, "whether work is taken"),
        N::Overflow { what } => tracing::warn!(what, "a bound was reached; the oldest was dropped"),
    }
}

fn requester(note: &requester::Note) {
    use requester::Note as N;
    match note {
        N::Called { experiment, seq, claim_below } => tracing::debug!(%experiment, seq, claim_below, "called"),
        N::Claimed { experiment, node } => tracing::debug!(%experiment, %node, "claimed by"),
        N::Unplaced { experiment, node } => tracing::warn!(
            %experiment, %node,
            "stations come from a private address on a public network and share one seat: a proxy or container hides where they are"
        ),
        N::Refused { experiment, node, reason } => tracing::debug!(%experiment, %node, ?reason, "refused"),
        N::Declined { experiment, node, reason } => tracing::debug!(%experiment, %node, ?reason, "declined by"),
        N::Leased { experiment, node, leases } => tracing::debug!(%experiment, %node, leases, "leased to"),
        N::Expired { experiment, node, lease } => tracing::info!(%experiment, %node, lease, "lease expired"),
        N::Held { experiment, node, lease, index } => tracing::debug!(%experiment, %node, lease, index, "holding a receipt"),
        N::ReceiptRefused { experiment, node, lease, reason } => tracing::warn!(%experiment, %node, lease, ?reason, "refused a receipt"),
        N::Settled { experiment, verdict, settled, jobs } => tracing::debug!(%experiment, index = verdict.index, settled, jobs, "settled"),
        N::Closed { experiment, log } => tracing::info!(%experiment, %log, "closed"),
    }
}
