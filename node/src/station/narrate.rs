//! [`Narrator`]: notes → tracing. A span per experiment of others from its first Call to its end, one per execution inside it from
//! start to finish, and one line per event. The rules themselves log nothing.
//!
//! Guarantees: as many spans as the machines have experiments and executions; a lost note leaves a span that the bound takes.

use std::collections::BTreeMap;

use station_protocol::receipt::LeaseNumber;
use station_protocol::{ExperimentId, NodeId, requester, worker};
use tracing::Span;

use super::handle::Note;

/// Spans open at once, of either kind: the Calls a station keeps per topic. Above it the first goes.
const SPANS_MAX: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct Narrator {
    /// Whose it is, beside its span: a line names who caused it, so that nobody writes the log faster than it is read (`cli/log.rs`).
    experiments: BTreeMap<ExperimentId, (NodeId, Span)>,
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
                self.experiments.entry(*experiment).or_insert_with(|| (*requester, tracing::info_span!("experiment", id = %experiment, %requester)));
            }
            N::Started { experiment, lease, index } => {
                bound(&mut self.executions);
                let parent = self.experiments.get(experiment).and_then(|(_, span)| span.id());
                self.executions.insert((*experiment, *lease), tracing::info_span!(parent: parent, "execution", lease, index));
            }
            _ => {}
        }
        let requester = self.requester(note);
        match note {
            N::Started { experiment, lease, .. } | N::Returned { experiment, lease, .. } | N::Finished { experiment, lease, .. } => {
                let key = (*experiment, *lease);
                let span = if matches!(note, N::Started { .. }) { self.executions.get(&key).cloned() } else { self.executions.remove(&key) };
                span.unwrap_or_else(Span::none).in_scope(|| worker(note, requester));
            }
            N::Closed { experiment, .. } => {
                let span = self.experiments.get_mut(experiment).map_or_else(Span::none, |(_, span)| std::mem::replace(span, Span::none()));
                span.in_scope(|| worker(note, requester));
            }
            _ => worker(note, requester),
        }
    }

    /// Whose experiment a note is about, as far as it was heard in this life.
    fn requester(&self, note: &worker::Note) -> Option<NodeId> {
        use worker::Note as N;
        match note {
            N::Heard { requester, .. } | N::Claimed { requester, .. } | N::Contradicted { requester, .. } | N::Untimely { requester, .. } => {
                Some(*requester)
            }
            N::NotSampled { experiment }
            | N::Declined { experiment, .. }
            | N::Refused { experiment, .. }
            | N::Unreachable { experiment, .. }
            | N::Leased { experiment, .. }
            | N::Started { experiment, .. }
            | N::Finished { experiment, .. }
            | N::Returned { experiment, .. }
            | N::Held { experiment, .. }
            | N::ReceiptRefused { experiment, .. }
            | N::Closed { experiment, .. } => self.experiments.get(experiment).map(|(requester, _)| *requester),
            N::Rests(_) | N::Overflow { .. } => None,
        }
    }
}

fn bound<K: Ord, V>(spans: &mut BTreeMap<K, V>) {
    if spans.len() >= SPANS_MAX {
        spans.pop_first();
    }
}

fn worker(note: &worker::Note, requester: Option<NodeId>) {
    use worker::Note as N;
    let requester = requester.map(tracing::field::display);
    match note {
        N::Heard { experiment, seq, .. } => tracing::debug!(%experiment, seq, requester, "heard a call"),
        N::Untimely { experiment, ahead_ms, .. } => tracing::debug!(%experiment, requester, ahead_ms, "ignored a call of another time"),
        N::NotSampled { experiment } => tracing::debug!(%experiment, "not sampled"),
        N::Declined { experiment, reason } => tracing::info!(%experiment, requester, ?reason, "declined by policy"),
        N::Claimed { experiment, .. } => tracing::debug!(%experiment, requester, "claimed"),
        N::Refused { experiment, reason } => tracing::info!(%experiment, requester, ?reason, "claim refused"),
        N::Unreachable { experiment, failure } => tracing::info!(%experiment, requester, ?failure, "requester not reached"),
        N::Leased { experiment, leases } => tracing::debug!(%experiment, leases, "leased"),
        N::Started { experiment, lease, index } => tracing::debug!(%experiment, lease, index, "started"),
        N::Finished { experiment, lease, index, outcome, fuel, duration_ms } => {
            tracing::info!(%experiment, requester, lease, index, ?outcome, fuel, duration_ms, "ran a job");
        }
        N::Returned { experiment, lease, reason } => tracing::info!(%experiment, requester, lease, ?reason, "returned a lease"),
        N::Held { experiment, lease } => tracing::debug!(%experiment, lease, "receipt held"),
        N::ReceiptRefused { experiment, lease, reason } => tracing::warn!(%experiment, requester, lease, ?reason, "receipt refused"),
        N::Closed { experiment, log } => tracing::info!(%experiment, requester, %log, "experiment closed"),
        N::Contradicted { experiment, seq, .. } => tracing::warn!(%experiment, requester, seq, "two calls under one number"),
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
