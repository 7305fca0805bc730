//! What a mesh of equal stations comes to: its connections, and how fast a Call is everywhere.

use std::process::Command;

use serde_json::Value;

/// The result of a mesh of `stations` with an experiment every `every_ms`.
fn mesh(stations: u32, fidelity: &str, [duration_s, warmup_s]: [u32; 2], every_ms: u32) -> Value {
    let numbers = [stations, duration_s, warmup_s, every_ms].map(|number| number.to_string());
    let [stations, duration, warmup, every] = numbers.each_ref().map(String::as_str);
    let output = Command::new(env!("CARGO_BIN_EXE_station-sim"))
        .args(["mesh", "--json", "--seed", "2", "--fidelity", fidelity])
        .args(["--stations", stations, "--duration", duration, "--warmup", warmup, "--every", every])
        .output()
        .expect("the binary starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn number(result: &Value, path: &str) -> f64 {
    result.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{path} is a number in {result}"))
}

/// Without Noise a mesh is as fast as with it, within this share of each quantile: draws of luck fall otherwise.
const FIDELITIES_DIFFER: f64 = 0.15;

#[test]
fn a_call_is_everywhere_as_soon_in_both_fidelities() {
    let [full, fast] = ["full", "fast"].map(|fidelity| mesh(24, fidelity, [55, 25], 2_500));
    for quantile in ["p50", "p90"] {
        let path = format!("/metrics/latencies/propagation/quantiles/{quantile}");
        let (full, fast) = (number(&full, &path), number(&fast, &path));
        assert!((full - fast).abs() <= FIDELITIES_DIFFER * full, "{quantile}: {full} ms full, {fast} ms fast");
    }
    assert!(number(&full, "/metrics/latencies/propagation/quantiles/n") >= 200.0, "so many that a quantile says something");
}

#[test]
fn a_bootstrap_node_that_everybody_asks_does_not_keep_everybody() {
    let early = number(&mesh(60, "fast", [40, 30], 100_000), "/connections/max");
    let late = number(&mesh(60, "fast", [110, 60], 100_000), "/connections/max");
    assert!(early >= 55.0, "everybody has asked it: {early}");
    assert!(late <= 40.0, "guests are let go after a minute: {late} of 59 are left");
}
