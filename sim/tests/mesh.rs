//! What a mesh of equal stations comes to: its connections, and how fast a Call is everywhere.

use std::process::Command;

use serde_json::Value;

/// The result of a mesh of `stations` with an experiment every `every_ms`.
fn mesh(stations: u32, fidelity: &str, [duration_s, warmup_s]: [u32; 2], every_ms: u32) -> Value {
    let numbers = [stations, duration_s, warmup_s, every_ms].map(|number| number.to_string());
    let [stations, duration, warmup, every] = numbers.each_ref().map(String::as_str);
    result(&["mesh", "--fidelity", fidelity, "--stations", stations, "--duration", duration, "--warmup", warmup, "--every", every])
}

fn result(arguments: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_station-sim"));
    let output = command.args(arguments).args(["--json", "--seed", "2"]).output().expect("the binary starts");
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

/// Experiments for which half of seventy stations are asked each time, and a minute and a half afterwards.
const SCENARIO: &str = r#"
[run]
duration = "105s"
warmup = "20s"
[[group]]
name = "home"
count = 70
[[group]]
name = "bootstrap"
count = 2
roles = ["bootstrap", "dht_server"]
[[requester]]
name = "lab"
[[work]]
requester = "lab"
at = "20s"
every = "3s"
count = 4
jobs = 90
pure = { trust = "fixed:3" }
"#;

#[test]
fn the_door_of_a_requester_does_not_stay_shut_because_of_those_who_claimed_once() {
    // Half of the stations are asked for each experiment, so that most have claimed at the end. All of them would stay.
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("door.toml");
    std::fs::write(&file, SCENARIO).expect("a file");
    let result = result(&["run", &file.to_string_lossy()]);
    let late = number(&result, "/connections/max");
    assert!(late <= 40.0, "whoever has no work is let go after a minute: {late} of 72 are left");
    assert!(number(&result, "/metrics/jobs/agreed") >= 360.0, "whoever works is not in the way of that");
}

/// Ten stations that their operators pause before an experiment is published.
const RESTING: &str = r#"
[run]
duration = "110s"
warmup = "20s"
[[group]]
name = "home"
count = 10
roles = ["bootstrap", "dht_server"]
[[requester]]
name = "lab"
[[work]]
requester = "lab"
at = "25s"
jobs = 4
pure = { trust = "fixed:2" }
[[fault]]
at = "20s"
rest = { who = "group:home" }
"#;

#[test]
fn stations_that_rest_claim_nothing_until_they_are_resumed() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("resting.toml");
    for (text, agreed) in [(RESTING.to_owned(), 0.0), (RESTING.replace("rest = ", "for = \"30s\"\nrest = "), 4.0)] {
        std::fs::write(&file, text).expect("a file");
        let result = result(&["run", &file.to_string_lossy()]);
        assert_eq!(number(&result, "/metrics/jobs/agreed"), agreed, "{result}");
    }
}
