//! Notes → tracing: one event, one line, the experiment as a field. The rules themselves log nothing.

use station_protocol::{requester, worker};

use super::handle::Note;

/// Logs `note`: what an operator or researcher wants to see at `info`, the rest at `debug`.
pub(super) fn narrate(note: &Note) {
    match note {
        Note::Worker(note) => worker(note),
        Note::Requester(note) => requester(note),
    }
}

fn worker(note: &worker::Note) {
    use worker::Note as N;
    match note {
        N::Heard { experiment, seq, requester } => tracing::debug!(%experiment, seq, %requester, "heard a call"),
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
        N::Overflow { what } => tracing::warn!(what, "a bound was reached; the oldest was dropped"),
    }
}

fn requester(note: &requester::Note) {
    use requester::Note as N;
    match note {
        N::Called { experiment, seq, claim_below } => tracing::debug!(%experiment, seq, claim_below, "called"),
        N::Claimed { experiment, node } => tracing::debug!(%experiment, %node, "claimed by"),
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
