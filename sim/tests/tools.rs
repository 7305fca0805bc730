//! The tools around a run, driven as a person drives them.

use std::fs;
use std::process::{Command, Output};

/// Few stations and little work: a run of a second.
const SCENARIO: &str = r#"# A small comparison.
[run]
duration = "30s"
[[group]]
name = "bootstrap"
count = 4
roles = ["bootstrap", "dht_server"]
[[requester]]
name = "lab"
[[work]]
requester = "lab"
at = "15s"
pure = { trust = "fixed:1" }
"#;
const SWEEP: &str = "[sweep]\nseeds = \"1-2\"\n[sweep.parameters]\n\"gossip.heartbeat\" = [\"700ms\", \"1s\"]\n";

fn program(command: &str, text: &str, more: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("small.toml");
    fs::write(&file, text).expect("a file");
    Command::new(env!("CARGO_BIN_EXE_station-sim")).arg(command).arg(file).args(more).output().expect("the binary starts")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn two_seeds_are_compared_and_no_arm_is_called_better() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = program("sweep", &format!("{SCENARIO}{SWEEP}"), &["--json", "--report", &folder.path().to_string_lossy()]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let comparison = &result["comparison"];
    assert_eq!(comparison["runs"], serde_json::json!([2, 2]));
    assert_eq!(comparison["shows"], "A small comparison.");
    let rows = comparison["rows"].as_array().expect("rows");
    assert!(!rows.is_empty());
    assert!(rows.iter().all(|row| row["against_first"][0]["verdict"] == "too_few_seeds"), "{rows:?}");
    for file in ["report.html", "comparison.json", "runs/arm-1-seed-2.json"] {
        assert!(folder.path().join(file).exists(), "{file}");
    }
}

#[test]
fn a_sweep_needs_a_sweep_and_says_what_to_write() {
    let output = program("sweep", SCENARIO, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("write one with seeds = \"1-10\""), "{}", said(&output));
}

#[test]
fn a_scenario_that_holds_is_not_made_small() {
    let output = program("minimise", SCENARIO, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("every check holds with seed 1"), "{}", said(&output));
}

#[test]
fn a_check_that_fails_has_an_exit_code_of_its_own_and_is_what_remains() {
    let failing = format!("{SCENARIO}[[check]]\neventually = \"delivered > 100%\"\n[[check]]\nalways = \"no_job_settled_twice\"\n");
    assert_eq!(program("run", &failing, &["--json"]).status.code(), Some(5));
    let output = program("minimise", &failing, &["--runs", "6"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(text.contains("delivered > 100%") && !text.contains("no_job_settled_twice"), "{text}");
}

#[test]
fn a_bound_is_judged_at_its_moment_and_a_station_that_stands_still_at_the_end_holds_nobody_up() {
    let early = "[[check]]\neventually = \"settled >= 1%\"\nwithin = \"10s\"\nafter = \"start\"\n";
    let later = "[[check]]\neventually = \"settled >= 1%\"\nwithin = \"25s\"\nafter = \"start\"\n";
    let pause = "[[fault]]\nat = \"20s\"\npause = { who = \"group:bootstrap\", share = \"50%\" }\n";
    let output = program("run", &format!("{SCENARIO}{pause}{early}{later}"), &["--json"]);
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)));
    let checks = result["metrics"]["checks"].as_array().expect("a list");
    let told: Vec<_> = checks.iter().map(|check| (check["passed"].as_bool(), check["detail"].as_str().unwrap_or_default())).collect();
    assert_eq!(told, [(Some(false), "nothing was measured at 10 s"), (Some(true), "100.00 % at 25 s")]);
}

/// A run's folder.
fn folder(seed: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().to_str().expect("a path of text").to_owned();
    let output = program("run", SCENARIO, &["--json", "--seed", seed, "--out", &out]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let report = fs::read_to_string(folder.path().join("report.html")).expect("a report");
    assert!(report.contains("A small comparison."), "it says what the scenario shows");
    folder
}

#[test]
fn two_runs_are_the_same_or_the_first_event_that_differs_is_named() {
    let folders = ["1", "1", "2"].map(folder);
    let [a, same, other] = folders.each_ref().map(|folder| folder.path().to_str().expect("a path of text"));
    let diff = |a: &str, b: &str| Command::new(env!("CARGO_BIN_EXE_station-sim")).args(["diff", a, b, "--json"]).output().expect("the binary starts");
    let output = diff(a, same);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&output.stdout).expect("JSON"), serde_json::json!({ "same": true }));
    let output = diff(a, other);
    assert_eq!(output.status.code(), Some(5), "{}", said(&output));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&found["same"], &found["second"]), (&serde_json::json!(false), &serde_json::json!(0)));
    assert_ne!(found["a"], found["b"]);
    assert!(found["a"]["at_ms"].is_u64() && found["b"]["kind"].is_string(), "{found}");
}

#[test]
fn a_replay_tells_a_station_s_events_in_a_window_and_nothing_else() {
    let output = program("replay", SCENARIO, &["--from", "2s", "--until", "4s", "--nodes", "bootstrap-1", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let lines: Vec<serde_json::Value> =
        String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(!lines.is_empty());
    let inside = |line: &serde_json::Value| (2_000..4_000).contains(&line["at_ms"].as_u64().expect("a time")) && line["node"] == lines[0]["node"];
    assert!(lines.iter().all(inside));
    let output = program("replay", SCENARIO, &["--from", "2s", "--nodes", "nobody-7"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("no station is called \"nobody-7\""), "{}", said(&output));
}

#[test]
fn a_wrong_command_line_has_code_two_and_help_lists_the_codes() {
    assert_eq!(program("sweep", SCENARIO, &["--sideways"]).status.code(), Some(2));
    let help = Command::new(env!("CARGO_BIN_EXE_station-sim")).arg("--help").output().expect("the binary starts");
    assert!(String::from_utf8_lossy(&help.stdout).contains("5 a check of the scenario failed"));
}
