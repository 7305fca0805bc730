use super::*;

fn measured() -> Metrics {
    let values: Vec<f64> = (1..=1_000).map(f64::from).collect();
    Metrics {
        scenario: "test".into(),
        latencies: [(Latency::Propagation, Distribution::of(&values).unwrap())].into(),
        figures: [(Figure::Delivered, 0.995), (Figure::Duplicates, 3.25)].into(),
        ..Metrics::default()
    }
}

#[test]
fn a_bound_is_judged_in_its_unit() {
    let metrics = measured();
    let cases = [
        // Between 990 and 991 ms, which counts as the latter.
        ("p99(propagation) < 992ms", true, "991 ms"),
        ("p99(propagation) < 991ms", false, "991 ms"),
        ("mean(propagation) >= 501ms", true, "501 ms"),
        ("delivered >= 99.5%", true, "99.50 %"),
        ("delivered > 99.5%", false, "99.50 %"),
        ("duplicates <= 3.25", true, "3.25"),
        ("duplicates < 3.25", false, "3.25"),
    ];
    for (text, passed, detail) in cases {
        let result = metrics.judge(&text.parse().unwrap());
        assert_eq!(
            (result.check.as_str(), result.passed, result.detail.contains(detail.trim_end_matches(" ms"))),
            (text, passed, true),
            "{result:?}"
        );
    }
}

#[test]
fn what_nobody_measured_breaks_its_bound() {
    let result = measured().judge(&"p99(verdict) < 1h".parse().unwrap());
    assert!(!result.passed && result.detail.contains("nothing"));
}

#[test]
fn the_json_form_reads_back_and_refuses_what_it_does_not_know() {
    let mut metrics = measured();
    metrics.mesh_degree = [(6, 10), (8, 20)].into();
    metrics.traffic = [("meshsub".to_owned(), Traffic { sent_bytes: 1, received_bytes: 2 })].into();
    let text = serde_json::to_string(&metrics).unwrap();
    assert!(text.contains("\"propagation\"") && text.contains("\"delivered\""));
    assert_eq!(serde_json::from_str::<Metrics>(&text).unwrap(), metrics);
    assert!(serde_json::from_str::<Metrics>(&text.replacen("\"seed\"", "\"sead\"", 1)).is_err());
}
