use std::collections::BTreeMap;

use super::*;
use crate::Time;
use crate::bounded::Text;
use crate::capability::Capability;
use crate::cluster::Cluster;
use crate::content::Content;
use crate::experiment::{Labels, Spread};
use crate::identity::SigningKey;

use crate::receipt::{Isolation, Receipt, Trap};
use crate::verdict::STRATA_MAX;

fn held(lease: u64, node: u8, cluster: u8, outcome: Outcome, output: &[u8], region: Option<&str>) -> HeldReceipt {
    let key = SigningKey::from_bytes(&[node; 32]);
    let receipt = Receipt {
        experiment: crate::content::cid_of(DAG_CBOR, b"an experiment"),
        index: 0,
        lease,
        node: key.node(),
        profile: Name::new("station-wasm-1").unwrap(),
        isolation: Isolation::Full,
        outcome,
        output: Some(Content::raw(output)),
        transcript: None,
        fuel: 7,
        started_ms: 0,
        duration_ms: 1,
        software: Text::cut("test"),
    };
    let labels = region.map(|region| (Name::new("region").unwrap(), List::first([Name::new(region).unwrap()])));
    HeldReceipt {
        receipt: key.sign(&Name::new("test").unwrap(), receipt),
        cluster: Cluster::V4([10, 0, cluster]),
        dealt: Time(0),
        came: Time(0),
        labels: Labels::of(labels).unwrap(),
        output: Some(Bytes::new(output.to_vec()).unwrap()),
        transcript: None,
    }
}

fn map(fields: &[(&str, &str)]) -> Vec<u8> {
    codec::encode(&fields.iter().copied().collect::<BTreeMap<_, _>>())
}

fn fixed(count: u16) -> Class {
    Class::Pure(Trust::Fixed(count))
}

fn measurement(stations: u32) -> Class {
    let exact = List::first([Text::cut("verdict")]);
    Class::Measurement(Measurement { stations, spread: Spread::Network, exact, report: List::default() })
}

#[test]
fn three_equal_receipts_of_three_clusters_agree_and_two_do_not() {
    let receipts: Vec<_> = (0..3).map(|n| held(n, n as u8, n as u8, Outcome::Completed, b"x", None)).collect();
    assert_eq!(decide(&fixed(3), &receipts[..2]), None);
    assert_eq!(lacking(&fixed(3), &receipts[..2]), 1);
    let Some(Decision::Agreed { certificate, against, .. }) = decide(&fixed(3), &receipts) else { panic!("no agreement") };
    assert_eq!((certificate.to_vec(), against.to_vec()), (vec![0, 1, 2], vec![]));
}

#[test]
fn two_receipts_of_one_cluster_or_one_node_count_once() {
    let of_cluster = [held(0, 1, 9, Outcome::Completed, b"x", None), held(1, 2, 9, Outcome::Completed, b"x", None)];
    let of_node = [held(0, 1, 8, Outcome::Completed, b"x", None), held(1, 1, 9, Outcome::Completed, b"x", None)];
    for receipts in [of_cluster, of_node] {
        assert_eq!(decide(&fixed(2), &receipts), None);
        assert_eq!(lacking(&fixed(2), &receipts), 1);
    }
}

#[test]
fn outcomes_that_depend_on_the_machine_never_count() {
    for outcome in [Outcome::TimedOut, Outcome::OutOfMemory, Outcome::Killed] {
        let receipts: Vec<_> = (0..3).map(|n| held(n, n as u8, n as u8, outcome.clone(), b"", None)).collect();
        assert_eq!(decide(&fixed(2), &receipts), None);
        assert_eq!(lacking(&fixed(2), &receipts), 2);
    }
}

#[test]
fn a_counted_stack_overflow_is_agreed_on_as_a_failure_like_any_other_end_of_the_guest() {
    let overflowed = |n: u64| held(n, n as u8, n as u8, Outcome::StackOverflow, b"", None);
    let Some(Decision::Failed { certificate, .. }) = decide(&fixed(2), &[overflowed(0), overflowed(1)]) else { panic!("no agreement") };
    assert_eq!(certificate.to_vec(), vec![0, 1]);
    let completed = held(1, 1, 1, Outcome::Completed, b"", None);
    assert_eq!(decide(&fixed(2), &[overflowed(0), completed]), None);
}

#[test]
fn a_dissenter_is_named_against_and_the_order_of_receipts_does_not_matter() {
    let mut receipts = vec![
        held(0, 1, 1, Outcome::Completed, b"good", None),
        held(1, 2, 2, Outcome::Completed, b"bad", None),
        held(2, 3, 3, Outcome::Completed, b"good", None),
    ];
    let first = decide(&fixed(2), &receipts);
    let Some(Decision::Agreed { certificate, against, .. }) = &first else { panic!("no agreement") };
    assert_eq!((certificate.to_vec(), against.to_vec()), (vec![0, 2], vec![1]));
    receipts.reverse();
    assert_eq!(decide(&fixed(2), &receipts), first);
    assert!(is_due(&fixed(2), &receipts, &first.unwrap()));
}

#[test]
fn without_agreement_the_end_says_undecided_or_expired_and_no_other_decision_is_due() {
    let receipts = vec![held(0, 1, 1, Outcome::Completed, b"a", None), held(1, 2, 2, Outcome::Completed, b"b", None)];
    let undecided = conclude(&fixed(2), &receipts, End::Exhausted);
    assert!(matches!(undecided, Decision::Undecided { groups: 2, .. }));
    let expired = conclude(&fixed(2), &receipts, End::Expired);
    assert!(is_due(&fixed(2), &receipts, &undecided) && is_due(&fixed(2), &receipts, &expired));
    assert!(!is_due(&fixed(2), &receipts, &Decision::Expired { receipts: List::default() }));
}

#[test]
fn a_measurement_groups_by_exact_fields_within_regions_and_certifies_majorities() {
    let (ok, wrong) = (map(&[("ttfb", "1"), ("verdict", "ok")]), map(&[("ttfb", "2"), ("verdict", "wrong")]));
    let receipts = vec![
        held(0, 1, 1, Outcome::Completed, &ok, Some("eu")),
        held(1, 2, 2, Outcome::Completed, &map(&[("ttfb", "9"), ("verdict", "ok")]), Some("eu")),
        held(2, 3, 3, Outcome::Completed, &wrong, Some("eu")),
        held(3, 4, 4, Outcome::Completed, &ok, Some("na")),
        held(4, 5, 5, Outcome::Completed, &wrong, Some("na")),
        held(5, 6, 6, Outcome::TimedOut, b"", Some("na")),
    ];
    assert_eq!(lacking(&measurement(6), &receipts), 1);
    let Some(Decision::Measured { strata, unusable }) = decide(&measurement(5), &receipts) else { panic!("not measured") };
    assert_eq!(unusable.to_vec(), vec![5]);
    assert_eq!(strata.len(), 2);
    assert!(strata[0].certified && strata[0].groups[0].receipts.to_vec() == vec![0, 1]);
    assert!(!strata[1].certified && strata[1].groups.len() == 2);
}

#[test]
fn output_that_is_no_map_has_no_fields_and_long_values_become_their_cid() {
    let long = map(&[("verdict", &"x".repeat(300))]);
    let receipts = vec![held(0, 1, 1, Outcome::Completed, b"not cbor", None), held(1, 2, 2, Outcome::Completed, &long, None)];
    let Some(Decision::Measured { strata, .. }) = decide(&measurement(2), &receipts) else { panic!("not measured") };
    let fields: Vec<usize> = strata[0].groups.iter().map(|group| group.exact.len()).collect();
    assert_eq!(fields, vec![0, 1]);
    let value = &strata[0].groups[1].exact[&Text::cut("verdict")];
    assert!(value.len() < 64 && codec::decode::<cid::Cid>(value, 64).is_ok());
}

#[test]
fn strata_are_kept_for_their_clusters_and_not_for_their_names() {
    let honest = (100..103).map(|n| held(n, n as u8, n as u8, Outcome::Completed, &map(&[("verdict", "ok")]), Some("us")));
    let regions: Vec<String> = (0..40).map(|n| format!("0a{n:02}")).collect();
    let liars = regions.iter().zip(1..).map(|(region, n)| held(n, n as u8, n as u8, Outcome::Completed, &map(&[("verdict", "bad")]), Some(region)));
    let receipts: Vec<_> = liars.chain(honest).collect();
    let Some(Decision::Measured { strata, .. }) = decide(&measurement(43), &receipts) else { panic!("not measured") };
    assert_eq!(strata.len(), STRATA_MAX);
    assert_eq!((strata[0].region.as_deref(), strata[0].certified), (Some("us"), true));
}

#[test]
fn a_verdict_is_no_larger_than_its_bound_whatever_the_outputs_say() {
    let fields: Vec<String> = (0..32).map(|n| format!("{n:f>64}")).collect();
    let exact = List::first(fields.iter().map(|field| Text::cut(field)));
    let class = Class::Measurement(Measurement { stations: 200, spread: Spread::Network, exact, report: List::default() });
    let output = |n: u8| codec::encode(&fields.iter().map(|field| (field.clone(), format!("{n:v>250}"))).collect::<BTreeMap<_, _>>());
    let receipts: Vec<_> = (0..200).map(|n| held(n, n as u8, n as u8, Outcome::Completed, &output(n as u8), Some(&format!("r{}", n % 32)))).collect();
    let decision = decide(&class, &receipts).expect("measured");
    let bytes = codec::encode(&decision).len();
    assert!((VERDICT_EXACT_BYTES_MAX / 2..VERDICT_EXACT_BYTES_MAX + (64 << 10)).contains(&bytes), "{bytes}");
    assert!(is_due(&class, &receipts, &decision));
}

#[test]
fn one_station_has_one_vote_wherever_it_was_seen() {
    let receipts = [held(1, 1, 1, Outcome::Completed, b"o", None), held(2, 1, 2, Outcome::Completed, b"o", None)];
    assert_eq!(decide(&fixed(2), &receipts), None);
    assert_eq!(lacking(&fixed(2), &receipts), 1);
    // Nor does it take the seat of those where it was seen the second time.
    let three = [receipts[0].clone(), receipts[1].clone(), held(3, 2, 2, Outcome::Completed, b"o", None)];
    assert!(decide(&fixed(2), &three).is_some());
}

#[test]
fn what_fails_everywhere_in_the_same_way_has_failed_and_is_not_agreed_upon() {
    let outcomes = [
        Outcome::Exited(2),
        Outcome::Trapped(Trap::Unreachable),
        Outcome::OutOfFuel,
        Outcome::OutputTooLarge,
        Outcome::BadModule,
        Outcome::Refused(Capability::Http),
        Outcome::StackOverflow,
    ];
    for outcome in outcomes {
        let receipts: Vec<_> = (0..2).map(|n| held(n, n as u8, n as u8, outcome.clone(), b"", None)).collect();
        let decision = decide(&fixed(2), &receipts).unwrap();
        assert!(matches!(&decision, Decision::Failed { canonical, .. } if canonical.outcome == outcome), "{decision:?}");
        let Decision::Failed { canonical, certificate, against } = decision else { return };
        assert!(!is_due(&fixed(2), &receipts, &Decision::Agreed { canonical, certificate, against }), "a Log that calls it agreed is wrong");
    }
}

#[test]
fn failures_never_outvote_an_answer_and_make_none_certain() {
    let answer = map(&[("verdict", "ok")]);
    let crash = |n: u64| held(n, n as u8, n as u8, Outcome::Trapped(Trap::Unreachable), b"", None);
    let answers = |n: u64| held(n, n as u8, n as u8, Outcome::Completed, &answer, None);
    let strata_of = |receipts: &[HeldReceipt]| match decide(&measurement(3), receipts) {
        Some(Decision::Measured { strata, .. }) => strata.into_vec(),
        other => panic!("{other:?}"),
    };
    let one = &strata_of(&[crash(0), crash(1), answers(2)])[0];
    assert_eq!((one.certified, &one.groups[0].outcome, one.groups[0].receipts.len()), (false, &Outcome::Completed, 1));
    let two = &strata_of(&[crash(0), answers(1), answers(2)])[0];
    assert_eq!((two.certified, two.groups[0].receipts.len()), (true, 2));
    let none = &strata_of(&[crash(0), crash(1), crash(2)])[0];
    assert_eq!((none.certified, none.groups.len()), (false, 1));
}

#[test]
fn the_fields_of_an_output_are_those_of_the_form_that_was_promised() {
    let class = measurement(2);
    let rule = |output| Rule { class: &class, output };
    let said = |output: &[u8]| vec![held(1, 1, 1, Outcome::Completed, output, None), held(2, 2, 2, Outcome::Completed, output, None)];
    let exact = |form: OutputForm, output: &[u8]| match decide(rule(form), &said(output)) {
        Some(Decision::Measured { strata, .. }) => strata[0].groups[0].exact.clone(),
        other => panic!("{other:?}"),
    };
    let ok = BTreeMap::from([(Text::cut("verdict"), Bytes::new(codec::encode("ok")).unwrap())]);
    assert_eq!(exact(OutputForm::Json, b" {\"verdict\": \"ok\", \"ms\": 7}\n"), ok);
    assert_eq!(exact(OutputForm::DagCbor, &map(&[("verdict", "ok")])), ok, "two forms that say the same decide the same");
    assert!(exact(OutputForm::DagCbor, b"{\"verdict\": \"ok\"}").is_empty() && exact(OutputForm::Json, b"oops").is_empty());
    let class =
        Class::Measurement(Measurement { stations: 2, spread: Spread::Network, exact: List::first([Text::cut("output")]), report: List::default() });
    let whole = |output: &[u8]| decide(Rule { class: &class, output: OutputForm::Text }, &said(output));
    let text = BTreeMap::from([(Text::cut("output"), Bytes::new(codec::encode("42\n")).unwrap())]);
    assert!(matches!(whole(b"42\n"), Some(Decision::Measured { strata, .. }) if strata[0].groups[0].exact == text && strata[0].certified));
    assert!(is_due(Rule { class: &class, output: OutputForm::Text }, &said(b"42\n"), &whole(b"42\n").unwrap()));
    assert!(!is_due(Rule { class: &class, output: OutputForm::Json }, &said(b"42\n"), &whole(b"42\n").unwrap()), "whoever verifies needs the form");
}
