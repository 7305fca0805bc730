//! Tally of one job's receipts → decision. A pure function of the receipts, so that anyone with the Log recomputes it.
//!
//! Guarantees: a decision never rests on two receipts of one node or one cluster (the one with the lower lease counts); outcomes
//! that depend on the machine never count; a failure is no answer and stands before none; the order in which receipts came does not
//! matter. Deliberately lacks weights: only `fixed:N` and the measurement class are decided here. Outputs above [`INLINE_BYTES_MAX`] are not decoded: their fields are absent.

use std::collections::{BTreeMap, BTreeSet};

use crate::bounded::{Bytes, List, Name, Text};
use crate::codec;
use crate::content::{DAG_CBOR, cid_of};
use crate::experiment::{Class, Experiment, Measurement, OutputForm, Trust};
use crate::log::HeldReceipt;
use crate::receipt::Outcome;
use crate::verdict::{Canonical, Decision, EXACT_BYTES_MAX, Group, Leases, Stratum, VERDICT_EXACT_BYTES_MAX};

/// Why a job ends although its receipts do not decide it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Every execution that is allowed was tried.
    Exhausted,
    /// The deadline or a cancellation came.
    Expired,
}

/// What of an experiment decides: how results are compared, and what they promise to be. A class alone is one of DAG-CBOR.
#[derive(Clone, Copy, Debug)]
pub struct Rule<'a> {
    pub class: &'a Class,
    pub output: OutputForm,
}

impl<'a> From<&'a Class> for Rule<'a> {
    fn from(class: &'a Class) -> Self {
        Self { class, output: OutputForm::DagCbor }
    }
}

impl<'a> From<&'a Experiment> for Rule<'a> {
    fn from(experiment: &'a Experiment) -> Self {
        Self { class: &experiment.class, output: experiment.output }
    }
}

/// The decision that `receipts` carry, if they carry one.
#[must_use]
pub fn decide<'a>(rule: impl Into<Rule<'a>>, receipts: &[HeldReceipt]) -> Option<Decision> {
    let Rule { class, output } = rule.into();
    match class {
        Class::Pure(Trust::Fixed(count)) => agreed(usize::from(*count), receipts),
        Class::Measurement(measurement) => (usable(receipts).len() >= measurement.stations as usize).then(|| measured(measurement, output, receipts)),
        // Credibility voting and verifier modules: the requester refuses to publish these.
        Class::Pure(_) | Class::SelfVerifying { .. } => None,
    }
}

/// The decision when no more receipts will come.
#[must_use]
pub fn conclude<'a>(rule: impl Into<Rule<'a>>, receipts: &[HeldReceipt], end: End) -> Decision {
    let rule = rule.into();
    if let Some(decision) = decide(rule, receipts) {
        return decision;
    }
    match (rule.class, end) {
        (Class::Measurement(measurement), End::Exhausted) => measured(measurement, rule.output, receipts),
        (Class::Measurement(measurement), End::Expired) if !usable(receipts).is_empty() => measured(measurement, rule.output, receipts),
        (_, End::Exhausted) => Decision::Undecided { groups: groups_of(receipts), receipts: leases(receipts.iter()) },
        (_, End::Expired) => Decision::Expired { receipts: leases(receipts.iter()) },
    }
}

/// Whether `decision` is what the rules say of `receipts`: for those who verify a Log.
#[must_use]
pub fn is_due<'a>(rule: impl Into<Rule<'a>>, receipts: &[HeldReceipt], decision: &Decision) -> bool {
    let rule = rule.into();
    match decide(rule, receipts) {
        Some(due) => due == *decision,
        None => [End::Exhausted, End::Expired].into_iter().any(|end| conclude(rule, receipts, end) == *decision),
    }
}

/// Executions that are still lacking when none is under way.
#[must_use]
pub fn lacking(class: &Class, receipts: &[HeldReceipt]) -> u32 {
    match class {
        Class::Pure(Trust::Fixed(count)) => {
            let largest = tally(receipts).values().map(Vec::len).max().unwrap_or(0);
            u32::from(*count).saturating_sub(u32::try_from(largest).unwrap_or(u32::MAX))
        }
        Class::Measurement(measurement) => measurement.stations.saturating_sub(u32::try_from(usable(receipts).len()).unwrap_or(u32::MAX)),
        Class::Pure(_) | Class::SelfVerifying { .. } => 0,
    }
}

/// The receipts that may count, by ascending lease: comparable outcomes, one per node and cluster.
#[must_use]
pub fn usable(receipts: &[HeldReceipt]) -> Vec<&HeldReceipt> {
    let mut sorted: Vec<&HeldReceipt> = receipts.iter().filter(|held| held.receipt.body.outcome.is_comparable()).collect();
    sorted.sort_by_key(|held| held.receipt.body.lease);
    let (mut nodes, mut clusters) = (BTreeSet::new(), BTreeSet::new());
    sorted.retain(|held| !nodes.contains(&held.receipt.body.node) && clusters.insert(held.cluster) && nodes.insert(held.receipt.body.node));
    sorted
}

fn tally(receipts: &[HeldReceipt]) -> BTreeMap<Canonical, Vec<&HeldReceipt>> {
    let mut groups: BTreeMap<Canonical, Vec<&HeldReceipt>> = BTreeMap::new();
    for held in usable(receipts) {
        let body = &held.receipt.body;
        let canonical = Canonical { outcome: body.outcome.clone(), output: body.output.clone(), fuel: body.fuel };
        groups.entry(canonical).or_default().push(held);
    }
    groups
}

fn groups_of(receipts: &[HeldReceipt]) -> u32 {
    u32::try_from(tally(receipts).len()).unwrap_or(u32::MAX)
}

fn leases<'a>(receipts: impl Iterator<Item = &'a HeldReceipt>) -> Leases {
    let mut numbers: Vec<u64> = receipts.map(|held| held.receipt.body.lease).collect();
    numbers.sort_unstable();
    List::first(numbers)
}

/// `count` equal receipts decide a pure job. With one group at `count` no other can be larger in a machine that stops there; in a
/// Log made by somebody else the largest group wins, the smaller value on a tie.
fn agreed(count: usize, receipts: &[HeldReceipt]) -> Option<Decision> {
    let groups = tally(receipts);
    let (canonical, members) = groups.iter().rev().max_by_key(|(_, members)| members.len())?;
    if members.len() < count.max(1) {
        return None;
    }
    let against = groups.iter().filter(|(other, _)| *other != canonical).flat_map(|(_, others)| others.iter().copied());
    let (certificate, against) = (leases(members.iter().copied()), leases(against));
    let canonical = canonical.clone();
    Some(if canonical.outcome.is_answer() {
        Decision::Agreed { canonical, certificate, against }
    } else {
        Decision::Failed { canonical, certificate, against }
    })
}

type Exact = BTreeMap<Text<64>, Bytes<EXACT_BYTES_MAX>>;
/// Receipts by what they say.
type Groups<'a> = BTreeMap<(Outcome, Exact), Vec<&'a HeldReceipt>>;

fn measured(measurement: &Measurement, form: OutputForm, receipts: &[HeldReceipt]) -> Decision {
    let counted = usable(receipts);
    let mut strata: BTreeMap<Option<Name>, Groups<'_>> = BTreeMap::new();
    for held in &counted {
        let key = (held.receipt.body.outcome.clone(), exact(measurement, form, held));
        strata.entry(held.labels.region().cloned()).or_default().entry(key).or_default().push(held);
    }
    let mut strata: Vec<_> = strata.into_iter().collect();
    // Stable: equal ones stay in the order of their names. Labels cost nothing and clusters do: a stratum is kept for its clusters.
    strata.sort_by_key(|(_, groups)| std::cmp::Reverse(clusters_of(groups)));
    let mut left = VERDICT_EXACT_BYTES_MAX;
    let strata = strata.into_iter().map(|(region, groups)| stratum(region, groups, &mut left));
    let named: BTreeSet<u64> = counted.iter().map(|held| held.receipt.body.lease).collect();
    let unusable = leases(receipts.iter().filter(|held| !named.contains(&held.receipt.body.lease)));
    Decision::Measured { strata: List::first(strata), unusable }
}

/// Each usable receipt is of a cluster of its own.
fn clusters_of(groups: &Groups<'_>) -> usize {
    groups.values().map(Vec::len).sum()
}

fn stratum(region: Option<Name>, groups: Groups<'_>, left: &mut usize) -> Stratum {
    let clusters = clusters_of(&groups);
    let mut groups: Vec<Group> =
        groups.into_iter().map(|((outcome, exact), members)| Group { outcome, exact, receipts: leases(members.into_iter()) }).collect();
    // Stable: equal ones stay in the order of their values, so that everybody writes the same verdict. However many failed, they do not
    // stand before an answer.
    groups.sort_by_key(|group| std::cmp::Reverse((group.outcome.is_answer(), group.receipts.len())));
    let certified = groups.first().is_some_and(|first| first.outcome.is_answer() && 2 * first.receipts.len() > clusters);
    let kept = groups.into_iter().filter(|group| {
        let rest = left.checked_sub(codec::encode(&group.exact).len());
        *left = rest.unwrap_or(*left);
        rest.is_some()
    });
    Stratum { region, groups: List::first(kept), certified }
}

/// The `exact` fields of the output, each as canonical DAG-CBOR, or as the CID of that when it is long.
fn exact(measurement: &Measurement, form: OutputForm, held: &HeldReceipt) -> Exact {
    let Some(output) = &held.output else { return Exact::new() };
    let fields = form.fields(output);
    measurement
        .exact
        .iter()
        .filter_map(|name| {
            let value = codec::encode(fields.get(name.as_str())?);
            let short = Bytes::new(value).or_else(|_| {
                let value = codec::encode(&fields[name.as_str()]);
                Bytes::new(codec::encode(&cid_of(DAG_CBOR, &value)))
            });
            Some((name.clone(), short.ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests;
