//! From held receipts to a verdict: what follows by the rules of the page, and what does not.
//!
//! Guarantees: each receipt is signed by its station; receipts stand in an order that decides nothing. Deliberately lacks a Log around them.

use std::collections::BTreeMap;

use ipld_core::ipld::Ipld;
use station_protocol::bounded::Bytes;
use station_protocol::cluster::Cluster;
use station_protocol::codec;
use station_protocol::content::Content;
use station_protocol::experiment::{Class, Experiment, Labels, Measurement, OutputForm, Spread, Trust};
use station_protocol::log::HeldReceipt;
use station_protocol::quorum::{self, End};
use station_protocol::receipt::{Outcome, Receipt, Trap};
use station_protocol::time::Time;
use station_protocol::verdict::{Decision, JobVerdict, Stratum};

use super::{experiment, key, list, name, pure_experiment, receipt, sign, text};

/// Held receipts of one job with a verdict on them.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) why: &'static str,
    pub(crate) experiment: Experiment,
    pub(crate) receipts: Vec<HeldReceipt>,
    pub(crate) verdict: JobVerdict,
    pub(crate) follows: bool,
}

/// What a station said: the lease, the station's seed, the last byte of its network, its region, how it ended, and its output.
type Said = (u64, u8, u8, Option<&'static str>, Outcome, Option<Vec<u8>>);

fn held(experiment: &Experiment, (lease, seed, network, region, outcome, output): Said) -> HeldReceipt {
    let content = output.as_deref().map(Content::raw);
    let body =
        Receipt { experiment: experiment.id(), index: 0, lease, node: key(seed).node(), outcome, output: content, transcript: None, ..receipt() };
    let region = region.map(|region| (name("region"), list(vec![name(region)])));
    HeldReceipt {
        receipt: sign(seed, &body),
        cluster: Cluster::V4([192, 0, network]),
        dealt: Time(1_798_670_001_000),
        came: Time(1_798_670_003_250),
        labels: Labels::of(region).unwrap(),
        output: output.map(|output| Bytes::new(output).unwrap()),
        transcript: None,
    }
}

fn fixed(count: u16) -> Experiment {
    Experiment { class: Class::Pure(Trust::Fixed(count)), ..pure_experiment() }
}

/// The same with another receipt's fuel.
fn with_fuel(experiment: &Experiment, said: Said, fuel: u64) -> HeldReceipt {
    let (seed, plain) = (said.1, held(experiment, said));
    let body = Receipt { fuel, ..plain.receipt.body };
    HeldReceipt { receipt: sign(seed, &body), ..plain }
}

fn pure(lease: u64, seed: u8, network: u8, outcome: Outcome, output: Option<&[u8]>) -> Said {
    (lease, seed, network, None, outcome, output.map(<[u8]>::to_vec))
}

/// Three agree of whom one is a second of its network; one says something else, and one ran out of time.
fn agreeing(experiment: &Experiment) -> Vec<HeldReceipt> {
    let said = [
        pure(11, 14, 1, Outcome::Completed, Some(b"42")),
        pure(9, 13, 3, Outcome::Completed, Some(b"41")),
        pure(5, 12, 2, Outcome::Completed, Some(b"42")),
        pure(4, 15, 4, Outcome::TimedOut, None),
        pure(3, 11, 1, Outcome::Completed, Some(b"42")),
    ];
    said.into_iter().map(|said| held(experiment, said)).collect()
}

/// Two exit with 3, one answers.
fn failing(experiment: &Experiment) -> Vec<HeldReceipt> {
    let said = [pure(7, 11, 1, Outcome::Exited(3), None), pure(2, 12, 2, Outcome::Completed, Some(b"42")), pure(8, 13, 3, Outcome::Exited(3), None)];
    said.into_iter().map(|said| held(experiment, said)).collect()
}

/// One output and two amounts of fuel, one trap, and one that was ended: three groups.
fn disagreeing(experiment: &Experiment) -> Vec<HeldReceipt> {
    vec![
        held(experiment, pure(0, 11, 1, Outcome::Completed, Some(b"42"))),
        with_fuel(experiment, pure(1, 12, 2, Outcome::Completed, Some(b"42")), 123_457),
        held(experiment, pure(2, 13, 3, Outcome::Trapped(Trap::Unreachable), None)),
        held(experiment, pure(3, 14, 4, Outcome::Killed, None)),
    ]
}

fn measurement(stations: u32, output: OutputForm) -> Experiment {
    let exact = list(vec![text("verdict"), text("note")]);
    let class = Class::Measurement(Measurement { stations, spread: Spread::Network, exact, report: list(vec![]) });
    Experiment { class, labels: Labels::new(), output, ..experiment() }
}

/// An output with a `verdict`, a time that is not compared, and perhaps a `note` that is too long to stand in a verdict.
fn answer(verdict: &str, ttfb_ms: i128, has_note: bool) -> Option<Vec<u8>> {
    let mut fields: BTreeMap<String, Ipld> = BTreeMap::new();
    fields.insert("verdict".to_owned(), Ipld::String(verdict.to_owned()));
    fields.insert("ttfb_ms".to_owned(), Ipld::Integer(ttfb_ms));
    if has_note {
        fields.insert("note".to_owned(), Ipld::String("long ".repeat(80)));
    }
    Some(codec::encode(&Ipld::Map(fields)))
}

/// Four in `eu` of whom three say `ok`; three in `na` of whom two failed alike; one without a region; a second of a network; one ended.
fn measured(experiment: &Experiment) -> Vec<HeldReceipt> {
    let said: [Said; 10] = [
        (20, 11, 1, Some("na"), Outcome::Exited(1), None),
        (21, 12, 2, Some("eu"), Outcome::Completed, answer("ok", 40, true)),
        (22, 13, 3, Some("eu"), Outcome::Completed, answer("blocked", 41, false)),
        (23, 14, 4, Some("eu"), Outcome::Completed, answer("ok", 77, true)),
        (24, 15, 5, Some("na"), Outcome::Exited(1), None),
        (25, 16, 6, Some("na"), Outcome::Completed, answer("ok", 12, false)),
        (26, 17, 7, None, Outcome::Completed, answer("ok", 13, false)),
        (27, 18, 2, Some("eu"), Outcome::Completed, answer("blocked", 14, false)),
        (28, 19, 8, Some("na"), Outcome::OutOfMemory, None),
        (29, 20, 9, Some("eu"), Outcome::Completed, answer("ok", 15, true)),
    ];
    said.into_iter().rev().map(|said| held(experiment, said)).collect()
}

/// The same value in two spellings of JSON, and an output that is none.
fn measured_json(experiment: &Experiment) -> Vec<HeldReceipt> {
    let said: [Said; 3] = [
        (1, 11, 1, None, Outcome::Completed, Some(br#"{"verdict": 1.50}"#.to_vec())),
        (2, 12, 2, None, Outcome::Completed, Some(br#" {"verdict":15e-1} "#.to_vec())),
        (3, 13, 3, None, Outcome::Completed, Some(br#"{"verdict": 1.5"#.to_vec())),
    ];
    said.into_iter().map(|said| held(experiment, said)).collect()
}

/// Four answers of one network each, of which no two are alike: the last has no field to compare.
fn tied(experiment: &Experiment) -> Vec<HeldReceipt> {
    let said: [Said; 4] = [
        (1, 11, 1, None, Outcome::Completed, answer("b", 1, false)),
        (2, 12, 2, None, Outcome::Completed, answer("a", 2, false)),
        (3, 13, 3, None, Outcome::Completed, answer("c", 3, true)),
        (4, 14, 4, None, Outcome::Completed, Some(codec::encode(&Ipld::Integer(7)))),
    ];
    said.into_iter().map(|said| held(experiment, said)).collect()
}

fn concluded(name: &'static str, why: &'static str, experiment: &Experiment, receipts: &[HeldReceipt], end: End) -> Case {
    let verdict = JobVerdict { index: 0, decision: quorum::conclude(experiment, receipts, end) };
    Case { name, why, experiment: experiment.clone(), receipts: receipts.to_vec(), verdict, follows: true }
}

/// The verdict of `case`, changed: it follows no more.
fn changed(case: &Case, name: &'static str, why: &'static str, change: impl FnOnce(&mut Decision)) -> Case {
    let mut verdict = case.verdict.clone();
    change(&mut verdict.decision);
    assert_ne!(verdict, case.verdict, "{name} changes something");
    Case { name, why, experiment: case.experiment.clone(), receipts: case.receipts.clone(), verdict, follows: false }
}

fn numbers(decision: &mut Decision, certificate: &[u64], against: &[u64]) {
    if let Decision::Agreed { certificate: of, against: beside, .. } = decision {
        (*of, *beside) = (list(certificate.to_vec()), list(against.to_vec()));
    }
}

fn strata(decision: &mut Decision, change: impl FnOnce(&mut Vec<Stratum>)) {
    if let Decision::Measured { strata, .. } = decision {
        let mut all = strata.to_vec();
        change(&mut all);
        *strata = list(all);
    }
}

fn of_pure_jobs() -> Vec<Case> {
    let two = fixed(2);
    let agreed = concluded("agreed", "two of two networks, by the first receipt of each", &two, &agreeing(&two), End::Exhausted);
    let failed = concluded("failed", "two of two networks, and no answer", &two, &failing(&two), End::Exhausted);
    let undecided = concluded("undecided", "three groups of one", &two, &disagreeing(&two), End::Exhausted);
    let expired = concluded("expired", "the same receipts when the experiment is closed before", &two, &disagreeing(&two), End::Expired);
    let one = fixed(1);
    let tie = concluded("agreed-tie", "of equally large groups the smallest outcome, output and fuel", &one, &disagreeing(&one), End::Exhausted);
    let answers = changed(&failed, "failed-as-agreed", "an exit with 3 is no answer", |decision| {
        if let Decision::Failed { canonical, certificate, against } = decision.clone() {
            *decision = Decision::Agreed { canonical, certificate, against };
        }
    });
    let three =
        changed(&agreed, "agreed-second-of-network", "lease 11 is of the network of lease 3", |decision| numbers(decision, &[3, 5, 11], &[9]));
    let few = changed(&agreed, "agreed-of-one", "two are wanted", |decision| numbers(decision, &[3], &[9]));
    let hidden = changed(&agreed, "agreed-without-against", "lease 9 says something else and is counted", |decision| numbers(decision, &[3, 5], &[]));
    let timed = changed(&agreed, "agreed-against-timed-out", "lease 4 ran out of time and counts for nothing", |decision| {
        numbers(decision, &[3, 5], &[4, 9]);
    });
    let other = changed(&agreed, "agreed-on-the-smaller", "one receipt says 41, two say 42", |decision| {
        if let Decision::Agreed { canonical, .. } = decision {
            canonical.output = Some(Content::raw(b"41"));
        }
        numbers(decision, &[9], &[3, 5]);
    });
    let decided = changed(&agreed, "undecided-although-decided", "two agree", |decision| {
        *decision = Decision::Undecided { groups: 2, receipts: list(vec![3, 4, 5, 9, 11]) };
    });
    let groups = changed(&undecided, "undecided-of-two", "fuel is part of what is compared", |decision| {
        if let Decision::Undecided { groups, .. } = decision {
            *groups = 2;
        }
    });
    let last = changed(&tie, "agreed-tie-by-lease", "among equals the value decides, and lease 2 is a trap", |decision| {
        if let Decision::Agreed { canonical, .. } = decision {
            (canonical.outcome, canonical.output) = (Outcome::Trapped(Trap::Unreachable), None);
        }
        numbers(decision, &[2], &[0, 1]);
    });
    vec![agreed, failed, undecided, expired, tie, answers, three, few, hidden, timed, other, decided, groups, last]
}

fn of_measurements() -> Vec<Case> {
    let eight = measurement(8, OutputForm::DagCbor);
    let due = concluded("measured", "three strata; a long value stands as its CID", &eight, &measured(&eight), End::Exhausted);
    let hundred = measurement(100, OutputForm::DagCbor);
    let few = concluded("measured-of-few", "closed before a hundred were counted", &hundred, &measured(&hundred), End::Expired);
    let three = measurement(3, OutputForm::Json);
    let json =
        concluded("measured-json", "two spellings of one value; what is no JSON has no fields", &three, &measured_json(&three), End::Exhausted);
    let four = measurement(4, OutputForm::DagCbor);
    let tie = concluded("measured-tie", "equally large groups stand in the order of their fields", &four, &tied(&four), End::Exhausted);
    let certain = changed(&due, "measured-certified-by-failures", "in na two of three failed, and one answer is no half", |decision| {
        strata(decision, |strata| strata[1].certified = true);
    });
    let doubtful = changed(&due, "measured-not-certified", "in eu three of four say the same", |decision| {
        strata(decision, |strata| strata[0].certified = false);
    });
    let order = changed(&due, "measured-strata-order", "the stratum with the most networks comes first", |decision| {
        strata(decision, |strata| strata.swap(0, 1));
    });
    let failures = changed(&due, "measured-failures-first", "answers stand before failures, however few", |decision| {
        strata(decision, |strata| {
            let mut groups = strata[1].groups.to_vec();
            groups.reverse();
            strata[1].groups = list(groups);
        });
    });
    let unusable = changed(&due, "measured-unusable-left-out", "leases 27 and 28 were not counted", |decision| {
        if let Decision::Measured { unusable, .. } = decision {
            *unusable = list(vec![28]);
        }
    });
    let cut = changed(&due, "measured-long-value-left-out", "a long value stands as its CID", |decision| {
        strata(decision, |strata| {
            let mut groups = strata[0].groups.to_vec();
            groups[0].exact.remove(&text("note"));
            strata[0].groups = list(groups);
        });
    });
    let over = changed(&few, "measured-as-expired", "with a counted receipt it is measured", |decision| {
        *decision = Decision::Expired { receipts: list((20..30).collect()) };
    });
    vec![due, few, json, tie, certain, doubtful, order, failures, unusable, cut, over]
}

pub(crate) fn all() -> Vec<Case> {
    let mut all = of_pure_jobs();
    all.extend(of_measurements());
    all
}
