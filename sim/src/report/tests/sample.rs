//! Figures as a run with faults and liars could give them, made up from formulas: for the report's tests alone.

use crate::metrics::{CheckResult, Damage, Dials, Distribution, FaultSpan, Jobs, Lookups, Metrics, Relay, Series, Traffic};
use crate::scenario::check::{Figure, Latency};

/// Numbers between 0 and 1 without luck.
fn wave(i: u32) -> f64 {
    (f64::from(i) * 0.618_034).fract()
}

fn distribution(middle: f64, tail: f64, count: u32) -> Distribution {
    let values: Vec<f64> = (0..count).map(|i| middle * (0.4 + wave(i)) + tail * wave(i * 7).powi(8)).collect();
    Distribution::of(&values).expect("there are values")
}

pub(crate) fn run(seed: u64, mesh: f64) -> Metrics {
    let shift = wave(u32::try_from(seed * 13 % 97).expect("small")) * 20.0;
    // What a seed adds to one arm alone.
    let own = wave(u32::try_from(seed * 31 % 89).expect("small") * if mesh > 7.0 { 3 } else { 5 });
    let spread = 1_200.0 / mesh + shift + own * 30.0;
    let kinds = ["none", "port_restricted", "symmetric"];
    let dials = kinds.iter().enumerate().flat_map(|(i, from)| {
        kinds.iter().enumerate().map(move |(j, to)| Dials {
            from: (*from).into(),
            to: (*to).into(),
            tried: 120,
            direct: if j == 0 { 118 } else { 0 },
            punched: if j > 0 && i + j < 3 { 104 } else { 0 },
            relayed: if j > 0 && i + j >= 3 { 115 } else { 10 },
        })
    });
    let series = |name: &str, unit: &str, scale: f64| Series {
        name: name.into(),
        unit: unit.into(),
        values: (0..240).map(|s| scale * (1.0 + wave(s) * 0.3) * if (90..110).contains(&s) { 0.3 } else { 1.0 }).collect(),
    };
    Metrics {
        scenario: "ci-50".into(),
        shows: "Fifty stations, every kind of fault within four minutes.".into(),
        seed,
        trace_hash: "5c1f0a7e93b24d68".into(),
        fidelity: "fast".into(),
        stations: 50,
        virtual_ms: 240_000,
        warmup_ms: 30_000,
        jobs: Jobs { published: 40, agreed: 39, undecided: 1, expired: 0 },
        latencies: [
            (Latency::Propagation, distribution(spread, 900.0, 3_000)),
            (Latency::Claim, distribution(400.0 + 40.0 * own, 2_000.0, 10)),
            (Latency::Lease, distribution(700.0, 2_500.0, 10)),
            (Latency::Result, distribution(1_500.0, 5_000.0, 10)),
            (Latency::Verdict, distribution(3_000.0 + 500.0 * own, 9_000.0, 40)),
        ]
        .into(),
        figures: [
            (Figure::Delivered, 0.998),
            (Figure::Settled, 0.975),
            (Figure::Wrong, 0.0),
            (Figure::Duplicates, mesh - 2.0 + shift / 100.0 + own),
            (Figure::Redundancy, 3.4 + own / 10.0),
            (Figure::Dialled, 0.91),
        ]
        .into(),
        traffic: [
            ("/meshsub/1.1.0", 9_400_000, 9_100_000),
            ("/station/sim/1/work", 3_100_000, 3_000_000),
            ("/station/sim/1/kad", 2_500_000, 2_450_000),
            ("/ipfs/id/1.0.0", 900_000, 880_000),
            ("/yamux/1.0.0", 400_000, 390_000),
        ]
        .map(|(name, sent_bytes, received_bytes)| (name.to_owned(), Traffic { sent_bytes, received_bytes }))
        .into(),
        mesh_degree: [(6, 4), (7, 11), (8, 20), (9, 10), (10, 5)].into(),
        lookups: Lookups { done: 210, requests: 1_900, time_ms: 88_000 },
        hops: [(1, 120), (2, 900), (3, 1_400), (4, 80)].into(),
        dials: dials.collect(),
        relays: vec![Relay { station: "relays-0".into(), reservations_max: 38, circuits_max: 21, bytes: 14_200_000 }],
        series: vec![series("messages", "per second", 320.0), series("connections", "", 18.0), series("leases out", "", 9.0)],
        faults: vec![
            FaultSpan { from_ms: 45_000, until_ms: Some(60_000), what: "partition: region:europe, region:na-east | the rest".into() },
            FaultSpan { from_ms: 65_000, until_ms: Some(75_000), what: "crash: 20% of group:home".into() },
            FaultSpan { from_ms: 120_000, until_ms: None, what: "skew: 10% of group:home by 20s".into() },
        ],
        checks: vec![
            CheckResult { check: "no_job_settled_twice".into(), passed: true, detail: "39 jobs".into(), is_empty: false },
            CheckResult { check: "p99(propagation) < 1s".into(), passed: false, detail: "1044 ms".into(), is_empty: false },
        ],
        fullest: vec![crate::metrics::Fill { what: "outbox entries".into(), most: 37, bound: 4_096 }],
        byzantine: vec![Damage {
            group: "liars".into(),
            kind: "wrong_result".into(),
            stations: 4,
            seats: 0.071,
            clusters: 0.08,
            lies: 6,
            lies_accepted: 0,
            falsely_accused: 0,
            detected_ms: Some(7_400),
            fair: 0.08,
            let_in: 0.07,
            keys_tried: Some(1_234_000),
            mesh: Some(crate::actors::mesh::Deeds { heard: 321_000, withheld: 320_000, ..Default::default() }),
        }],
    }
}
