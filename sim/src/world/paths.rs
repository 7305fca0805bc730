//! [`Paths`]: over how many stations each Call came.
//!
//! Guarantees: a station's first telling counts; memory is bounded by [`CALLS_MAX`] Calls. Deliberately lacks copies that came later:
//! gossip's own figures count those.

use std::collections::BTreeMap;

use station_protocol::NodeId;
use station_protocol::experiment::ExperimentId;

/// Calls that are followed: enough for quantiles; a run of ten thousand stations tells each ten thousand times.
const CALLS_MAX: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Paths {
    /// Of each Call, how far away from its requester each station was.
    calls: BTreeMap<(ExperimentId, u64), BTreeMap<NodeId, u32>>,
}

impl Paths {
    /// `to` first heard the Call from its neighbour `from`.
    pub(super) fn heard(&mut self, call: (ExperimentId, u64), requester: NodeId, from: NodeId, to: NodeId) {
        if self.calls.len() >= CALLS_MAX && !self.calls.contains_key(&call) {
            return;
        }
        let hops = self.calls.entry(call).or_default();
        // Whoever told it without having heard it in this run has it from an earlier life: its distance is not known.
        let before = if from == requester { Some(0) } else { hops.get(&from).copied() };
        if let Some(before) = before {
            hops.insert(to, before + 1);
        }
    }

    /// Hops → how often a Call came over so many.
    pub(super) fn hops(&self) -> BTreeMap<u32, u64> {
        let mut counts = BTreeMap::new();
        for hops in self.calls.values().flat_map(BTreeMap::values) {
            *counts.entry(*hops).or_default() += 1;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_counts_the_stations_that_it_came_over() {
        let node = |number| NodeId([number; 32]);
        let call = (station_protocol::Content::raw(b"call").cid, 1);
        let mut paths = Paths::default();
        for (from, to) in [(1, 2), (2, 3), (1, 4), (3, 5), (9, 6)] {
            paths.heard(call, node(1), node(from), node(to));
        }
        assert_eq!(paths.hops(), BTreeMap::from([(1, 2), (2, 1), (3, 1)]));
    }
}
