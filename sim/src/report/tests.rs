use super::compare::{Arm, Comparison, compare};
use super::*;
use crate::metrics::{CheckResult, FaultSpan, Series};
use crate::statistics::{SEEDS_MIN, Verdict};

mod sample;

fn arms(seeds: u64) -> Vec<Arm> {
    [6.0, 10.0].map(|mesh| Arm { label: format!("gossip.mesh_n = {mesh}"), runs: (1..=seeds).map(|seed| sample::run(seed, mesh)).collect() }).into()
}

/// No script, no style sheet, font or picture from elsewhere.
fn assert_alone(page: &str) {
    for outside in ["<script", "<link", "<img", "@import", "http://", "https://", "url("] {
        assert!(!page.contains(outside), "it contains {outside}");
    }
    assert!(page.contains("prefers-color-scheme:dark"));
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    assert_eq!(page.matches("<table").count(), page.matches("</table>").count());
    assert!(!page.contains("NaN") && !page.contains(">inf<"));
}

#[test]
fn a_page_shows_everything_that_was_measured_and_stands_alone() {
    let page = page(&sample::run(1, 8.0));
    assert_alone(&page);
    let wanted = [
        "no_job_settled_twice",
        "broken",
        "1044 ms",
        "How fast a Call spreads",
        "verdict",
        "/meshsub/1.1.0",
        "8 peers",
        "port_restricted",
        "relays-0",
        "wrong_result",
        "skew: 10%",
        "per second",
        "5c1f0a7e93b24d68",
        "7.1\u{a0}%",
        "1,234,000",
        "320,000",
        "outbox entries",
        "4,096",
    ];
    for word in wanted {
        assert!(page.contains(word), "{word}");
    }
    assert_eq!(page, super::page(&sample::run(1, 8.0)), "the same figures, the same bytes");
}

#[test]
fn what_was_not_measured_is_left_out() {
    let page = page(&Metrics { scenario: "empty".into(), ..Metrics::default() });
    assert_alone(&page);
    for absent in ["<svg", "<table", "delivered"] {
        assert!(!page.contains(absent), "{absent}");
    }
}

#[test]
fn what_a_scenario_wrote_cannot_become_markup() {
    const EVIL: &str = "\"><script>alert(1)</script>";
    let mut metrics = sample::run(1, 8.0);
    metrics.scenario = EVIL.into();
    metrics.shows = EVIL.into();
    metrics.trace_hash = EVIL.into();
    metrics.checks.push(CheckResult { check: EVIL.into(), passed: false, detail: EVIL.into(), is_empty: false });
    metrics.faults.push(FaultSpan { from_ms: 1, until_ms: None, what: EVIL.into() });
    metrics.series.push(Series { name: EVIL.into(), unit: EVIL.into(), values: vec![1.0, f64::NAN, f64::INFINITY] });
    metrics.traffic.insert(EVIL.into(), crate::metrics::Traffic::default());
    metrics.relays[0].station = EVIL.into();
    metrics.dials[0].from = EVIL.into();
    metrics.byzantine[0].group = EVIL.into();
    assert_alone(&page(&metrics));
    let arm = Arm { label: EVIL.into(), runs: vec![metrics] };
    assert_alone(&compare::page(&compare(&[arm.clone(), arm])));
}

#[test]
fn a_comparison_has_intervals_and_verdicts_where_there_are_seeds_enough() {
    let comparison = compare(&arms(10));
    let verdict = |measure: &str| {
        let row = comparison.rows.iter().find(|row| row.measure == measure).unwrap_or_else(|| panic!("{measure} is compared"));
        row.against_first[0].expect("they share seeds").verdict
    };
    assert_eq!(verdict("p50(propagation)"), Verdict::Better);
    assert_eq!(verdict("duplicates"), Verdict::Worse);
    assert_eq!(verdict("redundancy"), Verdict::NotShown);
    let page = compare::page(&comparison);
    assert_alone(&page);
    assert!(!page.contains("e-1"), "what floating-point numbers leave is no interval");
    for word in ["gossip.mesh_n = 6", "gossip.mesh_n = 10", "±", "better", "worse", "no difference shown", "10 / 10"] {
        assert!(page.contains(word), "{word}");
    }
}

#[test]
fn a_comparison_of_few_seeds_says_neither_better_nor_worse() {
    for seeds in 1..SEEDS_MIN as u64 {
        let comparison = compare(&arms(seeds));
        assert!(comparison.rows.iter().all(|row| row.against_first[0].is_some_and(|paired| paired.verdict == Verdict::TooFewSeeds)));
        let page = compare::page(&comparison);
        assert!(page.contains("too few seeds to say") && !page.contains(">better<") && !page.contains(">worse<"));
    }
    assert!(compare::page(&compare(&arms(1))).contains("one run"));
}

#[test]
fn a_measure_that_one_arm_lacks_is_not_compared() {
    let mut arms = arms(8);
    for run in &mut arms[1].runs {
        run.figures.remove(&Figure::Duplicates);
    }
    let comparison = compare(&arms);
    assert!(comparison.rows.iter().all(|row| row.measure != "duplicates"));
    assert!(comparison.rows.iter().any(|row| row.measure == "delivered"));
    let text = serde_json::to_string(&comparison).unwrap();
    // The last digit of a number may differ after reading; what is shown may not.
    let read: Comparison = serde_json::from_str(&text).unwrap();
    assert!(compare::page(&read) == compare::page(&comparison));
}
