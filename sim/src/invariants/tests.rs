use station_protocol::SigningKey;
use station_protocol::bounded::List;
use station_protocol::receipt::Outcome;
use station_protocol::verdict::Canonical;
use station_protocol::verdict::Decision;

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
        watch.introduce(node(number), Identity { operator, cluster: Cluster::Own(node(number.min(4))), honest, works: true });
    }
    watch.published(experiment(), |_| Some(said(b"true")));
    watch
}

fn held(number: u8, lease: LeaseNumber, index: u64) -> Note {
    Note::Held { experiment: experiment(), node: node(number), lease, index }
}

fn settled(index: u64, output: &[u8], certificate: &[LeaseNumber]) -> Note {
    settled_against(index, output, certificate, &[])
}

fn settled_against(index: u64, output: &[u8], certificate: &[LeaseNumber], against: &[LeaseNumber]) -> Note {
    let canonical = Canonical { outcome: Outcome::Completed, output: Some(said(output)), fuel: 1 };
    let (certificate, against) = (List::first(certificate.iter().copied()), List::first(against.iter().copied()));
    let decision = Decision::Agreed { canonical, certificate, against };
    Note::Settled { experiment: experiment(), verdict: JobVerdict { index, decision }, settled: 1, jobs: 9 }
}

fn broken(watch: &Watch) -> Vec<Invariant> {
    watch.violations().iter().map(|violation| violation.invariant).collect()
}

#[test]
fn that_a_requester_of_bad_conduct_settles_twice_is_no_fault_of_the_network() {
    let mut watch = watch(0);
    watch.excuse(experiment());
    watch.note(6, &settled(7, b"true", &[]));
    watch.note(8, &settled(7, b"true", &[]));
    assert_eq!(broken(&watch), []);
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
fn what_lies_came_to_is_counted_by_operator() {
    // One liar of five: its lie is against a true verdict.
    let mut found = watch(1);
    for (number, lease) in [(1, 0), (2, 1), (5, 2)] {
        found.note(5 + lease, &held(number, lease, 7));
    }
    found.note(90, &settled_against(7, b"true", &[0, 1], &[2]));
    let lies = found.lies()["ring"];
    assert_eq!((lies.told, lies.accepted, lies.accused, lies.detected_ms()), (1, 0, 0, Some(83)));
    // Three of five: theirs is the verdict, and the honest receipt stands against it.
    let mut believed = watch(3);
    for (number, lease) in [(1, 0), (3, 1), (4, 2)] {
        believed.note(5, &held(number, lease, 7));
    }
    believed.note(90, &settled_against(7, b"a lie", &[1, 2], &[0]));
    let lies = believed.lies()["ring"];
    assert_eq!((lies.told, lies.accepted, lies.accused, lies.detected_ms()), (2, 2, 1, None));
    assert!(!believed.lies().contains_key("home"));
}

#[test]
fn a_second_receipt_for_one_lease_is_a_lie_that_was_found() {
    let mut watch = watch(1);
    watch.note(5, &held(5, 2, 7));
    let reason = ReceiptRefused::Contradiction;
    watch.note(25, &Note::ReceiptRefused { experiment: experiment(), node: node(5), lease: 2, reason });
    let lies = watch.lies()["ring"];
    assert_eq!((lies.told, lies.detected_ms()), (1, Some(20)));
}

/// Two operators ask for an experiment of 60 seats: home from ten clusters, ring with ten stations, which are `clusters` clusters.
fn crowd(clusters: u8, ring_seats: u64) -> Watch {
    let mut watch = Watch::default();
    for number in 1..=20 {
        let (operator, cluster) = if number <= 10 { ("home", number) } else { ("ring", 11 + number % clusters) };
        let identity = Identity { operator: operator.to_owned(), cluster: Cluster::V4([45, 0, cluster]), honest: number <= 10, works: true };
        watch.introduce(node(number), identity);
        watch.note(1, &Note::Claimed { experiment: experiment(), node: node(number) });
    }
    for lease in 0..60_u64 {
        let number = if lease < ring_seats { 11 + lease % 10 } else { 1 + lease % 10 };
        watch.note(5, &held(u8::try_from(number).expect("few"), lease, lease));
    }
    watch.judge_parts(9);
    watch
}

#[test]
fn seats_follow_clusters_and_not_stations() {
    // Ten of the ring's stations in one cluster are one of eleven: 5 or 6 of 60 seats are fair, half of them are not.
    assert_eq!(crowd(1, 6).count(), 0);
    assert_eq!(broken(&crowd(1, 30)), [Invariant::SeatsByCluster]);
    // In ten clusters of their own they are half of all.
    assert_eq!(crowd(10, 30).count(), 0);
    let parts = crowd(1, 30).parts();
    let ring = parts["ring"];
    assert_eq!((ring.seats, ring.of_seats, ring.clusters, ring.of_clusters), (30, 60, 1, 11));
    assert!((ring.fair - 60.0 / 11.0).abs() < 1e-9, "{ring:?}");
    assert!(parts["home"].excess().is_none());
}

#[test]
fn a_cluster_that_is_in_every_sample_has_more_than_its_share_even_where_it_gets_few_seats() {
    for everywhere in [true, false] {
        let mut watch = Watch::default();
        for number in 1..=41 {
            let (operator, honest) = if number == 41 { ("ring", false) } else { ("home", true) };
            watch.introduce(node(number), Identity { operator: operator.to_owned(), cluster: Cluster::V4([45, 0, number]), honest, works: true });
        }
        // Four of forty are asked for each of ten experiments.
        for experiment in 0..10_u8 {
            let id = Content::raw(&[experiment]).cid;
            let honest = (0..4).map(|place| 1 + 4 * experiment + place);
            for number in honest.chain((everywhere || experiment == 0).then_some(41)) {
                watch.note(5, &Note::Claimed { experiment: id, node: node(number) });
            }
        }
        watch.judge_parts(9);
        assert_eq!(watch.parts()["ring"].let_in, if everywhere { 10 } else { 1 });
        assert_eq!(watch.count(), u64::from(everywhere));
    }
}

#[test]
fn who_keeps_the_rules_and_is_quick_is_not_judged() {
    for honest in [true, false] {
        let mut watch = Watch::default();
        for number in 1..=200 {
            let operator = if number <= 10 { "near" } else { "home" }.to_owned();
            let identity = Identity { operator, cluster: Cluster::V4([45, 0, number]), honest: honest || number > 10, works: true };
            watch.introduce(node(number), identity);
        }
        // Ten near ones have four seats each, twenty others have one.
        for lease in 0..60_u8 {
            watch.note(5, &held(if lease < 40 { 1 + lease % 10 } else { lease }, lease.into(), lease.into()));
        }
        watch.judge_parts(9);
        assert!(watch.parts()["near"].excess().is_some());
        assert_eq!(watch.count(), u64::from(!honest));
    }
}

#[test]
fn a_queue_above_its_bound_is_seen_and_the_fullest_is_remembered() {
    let mut watch = watch(0);
    for len in [3, 9, 8] {
        watch.gauge(5, "home-1", &Gauge::new("outbox entries", len, 9));
    }
    assert_eq!(watch.count(), 0);
    assert_eq!(watch.fullest().map(|gauge| gauge.len).collect::<Vec<_>>(), [9]);
    watch.gauge(6, "home-2", &Gauge::new("outbox entries", 10, 9));
    assert_eq!(broken(&watch), [Invariant::BoundedQueues]);
}

#[test]
fn violations_beyond_the_bound_are_counted_and_not_kept() {
    let mut watch = watch(0);
    for _ in 0..150 {
        watch.note(6, &settled(7, b"true", &[]));
    }
    assert_eq!((watch.violations().len(), watch.count()), (KEPT_MAX, 149));
}
