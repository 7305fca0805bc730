use station_protocol::SigningKey;
use station_protocol::bounded::List;
use station_protocol::receipt::Outcome;

use super::*;

fn node(number: u8) -> NodeId {
    SigningKey::from_bytes(&[number; 32]).node()
}

fn experiment() -> ExperimentId {
    Content::raw(b"experiment").cid
}

fn said(output: &[u8]) -> Content {
    Content::raw(output)
}

/// Stations 1 to 5, each in its own cluster but 4 and 5, who share one; the last `liars` are not honest. The truth is `true`.
fn watch(liars: u8) -> Watch {
    let mut watch = Watch::default();
    for number in 1..=5 {
        let honest = number <= 5 - liars;
        let operator = if honest { "home" } else { "ring" }.to_owned();
        watch.introduce(node(number), Identity { operator, cluster: Cluster::Own(node(number.min(4))), honest });
    }
    watch.published(experiment(), |_| Some(said(b"true")));
    watch
}

fn held(number: u8, lease: LeaseNumber, index: u64) -> Note {
    Note::Held { experiment: experiment(), node: node(number), lease, index }
}

fn settled(index: u64, output: &[u8], certificate: &[LeaseNumber]) -> Note {
    let canonical = Canonical { outcome: Outcome::Completed, output: Some(said(output)), fuel: 1 };
    let decision = Decision::Agreed { canonical, certificate: List::first(certificate.iter().copied()), against: List::default() };
    Note::Settled { experiment: experiment(), verdict: JobVerdict { index, decision }, settled: 1, jobs: 9 }
}

fn broken(watch: &Watch) -> Vec<Invariant> {
    watch.violations().iter().map(|violation| violation.invariant).collect()
}

#[test]
fn an_ordinary_job_breaks_nothing() {
    let mut watch = watch(0);
    for (number, lease) in [(1, 0), (2, 1), (3, 2)] {
        watch.note(5, &held(number, lease, 7));
    }
    watch.note(6, &settled(7, b"true", &[0, 1, 2]));
    assert_eq!((watch.count(), watch.damage()), (0, &Damage::default()));
}

#[test]
fn a_second_verdict_on_a_job_is_seen() {
    let mut watch = watch(0);
    watch.note(6, &settled(7, b"true", &[]));
    watch.note(7, &settled(8, b"true", &[]));
    watch.note(8, &settled(7, b"true", &[]));
    assert_eq!(broken(&watch), [Invariant::NoJobSettledTwice]);
}

#[test]
fn a_receipt_that_counts_after_its_lease_ended_is_seen() {
    let mut watch = watch(0);
    watch.note(5, &Note::Expired { experiment: experiment(), node: node(1), lease: 3 });
    watch.note(6, &held(1, 4, 7));
    assert_eq!(watch.count(), 0);
    watch.note(7, &held(1, 3, 7));
    assert_eq!(broken(&watch), [Invariant::NoCreditAfterExpiry]);
}

#[test]
fn a_lie_is_a_violation_where_most_were_honest_and_damage_elsewhere() {
    let mut honest = watch(1);
    for (number, lease) in [(1, 0), (2, 1), (5, 2)] {
        honest.note(5, &held(number, lease, 7));
    }
    honest.note(6, &settled(7, b"a lie", &[2]));
    assert_eq!(broken(&honest), [Invariant::NoAcceptedWrongResult]);
    let mut ring = watch(3);
    for (number, lease) in [(1, 0), (3, 1), (4, 2)] {
        ring.note(5, &held(number, lease, 7));
    }
    ring.note(6, &settled(7, b"a lie", &[1, 2]));
    assert_eq!(ring.count(), 0);
    assert_eq!((ring.damage().wrong_verdicts, ring.damage().wrong_despite_honest_majority, ring.damage().dishonest_receipts), (1, 0, 2));
}

#[test]
fn two_seats_of_one_node_or_one_cluster_in_a_certificate_are_seen() {
    for (first, second) in [(1, 1), (4, 5)] {
        let mut watch = watch(0);
        watch.note(5, &held(first, 0, 7));
        watch.note(5, &held(second, 1, 7));
        watch.note(6, &settled(7, b"true", &[0, 1]));
        assert_eq!(broken(&watch), [Invariant::SeatsByCluster]);
    }
}

#[test]
fn an_operator_with_more_seats_than_clusters_is_seen() {
    // Ring: stations 4 and 5 in one cluster, of four clusters in all.
    let mut fair = watch(2);
    for lease in 0..4 {
        fair.note(5, &held([1, 2, 3, 5][lease], lease as u64, lease as u64));
    }
    assert_eq!(fair.parts()["ring"], Part { seats: 1, clusters: 1 });
    fair.judge_parts(9, "ring", 10);
    assert_eq!(fair.count(), 0);
    for lease in 4..10 {
        fair.note(5, &held(4, lease, lease));
    }
    fair.judge_parts(9, "ring", 10);
    assert_eq!(broken(&fair), [Invariant::SeatsByCluster]);
}

#[test]
fn violations_beyond_the_bound_are_counted_and_not_kept() {
    let mut watch = watch(0);
    for _ in 0..150 {
        watch.note(6, &settled(7, b"true", &[]));
    }
    assert_eq!((watch.violations().len(), watch.count()), (KEPT_MAX, 149));
}
