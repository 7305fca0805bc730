//! Measurements of the simulated internet, from the scenario to the hosts' own count, driven as a person drives them.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

/// A small `target-cap.toml`: more is asked of each host than it takes, of one by stations that carry a label, and two stations allow
/// nothing.
const SCENARIO: &str = r#"# A small crowd measures a few hosts.
[run]
duration = "80s"
warmup = "20s"
start = "2026-03-01T12:00:00Z"
[[group]]
name = "home"
count = 6
join = { within = "4s" }
[group.policy]
allow = [{ module = "gateway-check", capability = "http", targets = ["popular.example", "small.example", "varied.example", "shut.example"] }]
[[group]]
name = "fast"
count = 3
labels = { line = ["fibre"] }
join = { within = "4s" }
[group.policy]
allow = [{ module = "gateway-check", capability = "http", targets = ["*"] }]
[[group]]
name = "strict"
count = 2
[[group]]
name = "bootstrap"
count = 1
roles = ["bootstrap", "dht_server"]
join = { within = "1s" }
[[requester]]
name = "crowd"
keys = 3
[[work]]
requester = "crowd"
at = "20s"
jobs = 8
measurement = { stations = 5 }
targets = ["popular.example", "small.example", "varied.example", "shut.example"]
[[work]]
requester = "crowd"
at = "21s"
measurement = { stations = 2 }
targets = ["labelled.example"]
labels = { line = ["fibre", "cable"] }
[[internet.host]]
name = "popular.example"
[[internet.host]]
name = "small.example"
cap_per_day = 80
[[internet.host]]
name = "varied.example"
conduct = { kind = "varies" }
[[internet.host]]
name = "shut.example"
conduct = { kind = "refuses" }
[[internet.host]]
name = "labelled.example"
[[check]]
always = "target_caps"
[[check]]
always = "only_what_policy_allows"
[[check]]
eventually = "every_job_settles"
"#;

/// Two hosts, and work of both classes, for modules and for what stands in for them.
const MODULES: &str = r#"# A few stations run what they are given.
[run]
duration = "40s"
warmup = "15s"
engine = "stepped"
[[group]]
name = "home"
count = 4
join = { within = "3s" }
[group.policy]
allow = [{ module = "gateway-check", capability = "http", targets = ["*"] }]
[[group]]
name = "bootstrap"
count = 1
roles = ["bootstrap", "dht_server"]
join = { within = "1s" }
[[requester]]
name = "lab"
[[work]]
requester = "lab"
at = "15s"
jobs = 2
measurement = { stations = 3 }
targets = ["good.example", "varied.example"]
[[work]]
requester = "lab"
at = "16s"
jobs = 2
pure = { trust = "fixed:2" }
[[internet.host]]
name = "good.example"
[[internet.host]]
name = "varied.example"
conduct = { kind = "varies" }
[[check]]
always = "only_what_policy_allows"
[[check]]
always = "no_accepted_wrong_result"
[[check]]
eventually = "every_job_settles"
"#;

fn run(folder: &str, scenario: &str) -> serde_json::Value {
    let folder = tempfile::Builder::new().prefix(folder).tempdir().expect("a folder");
    let file = folder.path().join("small.toml");
    fs::write(&file, scenario).expect("a file");
    let output = Command::new(env!("CARGO_BIN_EXE_station-sim")).arg("run").arg(file).arg("--json").output().expect("the binary starts");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn a_crowd_measures_what_policies_labels_and_caps_let_it_and_every_run_is_the_same() {
    let result = run("one", SCENARIO);
    assert_eq!(result["failures"], serde_json::json!([]));
    let checks: BTreeMap<&str, bool> = result["metrics"]["checks"]
        .as_array()
        .expect("checks")
        .iter()
        .map(|check| (check["check"].as_str().expect("a name"), check["passed"].as_bool().expect("passed or not")))
        .collect();
    assert_eq!(checks, BTreeMap::from([("every_job_settles", true), ("only_what_policy_allows", true), ("target_caps", true)]));
    let hosts: BTreeMap<&str, &serde_json::Value> =
        result["internet"].as_array().expect("hosts").iter().map(|tally| (tally["host"].as_str().expect("a name"), tally)).collect();
    let count = |host: &str, what: &str| hosts[host][what].as_u64().expect("a number");
    assert_eq!(hosts.keys().copied().collect::<Vec<_>>(), ["labelled.example", "popular.example", "small.example", "varied.example"], "one refuses");
    assert!(hosts.values().all(|tally| tally["day"] == 20_513), "the first of March");
    // Each of 30 executions asks four times: for the block, again, for a CAR, and the probe; whose blocks differ is not asked again. What a
    // station keeps waiting for ten seconds is measured by another one too.
    let popular = count("popular.example", "measurements");
    assert!((120..=132).contains(&popular) && popular.is_multiple_of(4), "{popular}");
    assert_eq!(count("varied.example", "measurements"), 90);
    assert!(count("popular.example", "measurers") <= 9, "two stations allow nothing: {hosts:?}");
    let small = count("small.example", "readings") + count("small.example", "measurements");
    assert!(small <= 96 && count("small.example", "measurements") > 0, "{hosts:?}");
    assert_eq!((count("labelled.example", "measurements"), count("labelled.example", "measurers") <= 3), (24, true), "{hosts:?}");
    assert_eq!(result["trace_hash"], run("a-longer-name-for-another-folder", SCENARIO)["trace_hash"]);
}

#[test]
fn real_modules_ask_what_their_models_ask_and_their_runs_repeat() {
    let real = run("one", MODULES);
    assert_eq!((&real["failures"], real["metrics"]["jobs"]["agreed"].as_u64()), (&serde_json::json!([]), Some(4)));
    let asked = |result: &serde_json::Value| -> Vec<Option<u64>> {
        result["internet"].as_array().expect("hosts").iter().map(|host| host["measurements"].as_u64()).collect()
    };
    assert_eq!(asked(&real), [Some(12), Some(9)], "four requests for each good block, three for each that is not what its CID says");
    let modelled = run("one", &MODULES.replace("\"stepped\"", "\"model\""));
    assert_eq!(asked(&modelled), asked(&real));
    assert_ne!(modelled["trace_hash"], real["trace_hash"], "other outputs");
    assert_eq!(real["trace_hash"], run("a-longer-name-for-another-folder", MODULES)["trace_hash"]);
}
