//! Planted bugs in the rules of leases: a search over seeds finds one, and it is made small; the seats of ground keys show the other.
//!
//! Run by `cargo test -p station-sim --features mutants`, and empty without the feature.
#![cfg(feature = "mutants")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// A dozen stations, some loss, and a third of them cut off for longer than a lease of five seconds' work lasts.
const SCENARIO: &str = r#"
[run]
duration = "140s"
[network]
latency = "20ms"
[[group]]
name = "home"
count = 9
join = { within = "2s" }
[[group]]
name = "bootstrap"
count = 2
roles = ["bootstrap", "dht_server"]
join = { within = "1s" }
[[requester]]
name = "lab"
[[work]]
requester = "lab"
at = "20s"
count = 2
jobs = 90
fuel = 3000000000
wall = "5s"
pure = { trust = "fixed:2" }
[[fault]]
at = "30s"
for = "3s"
loss = { who = "everyone", share = "20%" }
[[fault]]
at = "40s"
for = "45s"
unplug = { who = "group:home", share = "33%" }
[[fault]]
at = "95s"
for = "5s"
pause = { who = "group:home", share = "20%" }
[[check]]
always = "no_job_settled_twice"
[[check]]
eventually = "every_job_settles"
"#;
const BUG: [&str; 2] = ["--mutant", "expired_lease_counts"];
/// Seeds that the search may need.
const SEEDS_MAX: u64 = 5;
/// Runs that make the scenario small: enough to lose two faults and both checks.
const RUNS: &str = "12";
/// A check of the scenario failed.
const CHECKS_FAILED: i32 = 5;
/// Lines of the smallest scenario.
const LINES_MAX: usize = 45;

fn program(arguments: &[&str], file: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_station-sim"));
    command.args(arguments).arg(file).args(more).output().expect("the binary starts")
}

fn is_found(file: &Path, seed: &str, bug: &[&str]) -> bool {
    let output = program(&["run"], file, &[&["--seed", seed], bug].concat());
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.code() {
        Some(0) => false,
        Some(CHECKS_FAILED) => text.contains("no_credit_after_expiry"),
        other => panic!("{other:?}: {text}"),
    }
}

#[test]
fn a_search_over_seeds_finds_an_expired_lease_that_counts_and_makes_the_scenario_small() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, small) = (folder.path().join("lease.toml"), folder.path().join("small.toml"));
    fs::write(&file, SCENARIO).expect("a file");
    let seed = (1..=SEEDS_MAX).map(|seed| seed.to_string()).find(|seed| is_found(&file, seed, &BUG)).expect("a seed that shows the bug");
    let out = small.to_string_lossy().into_owned();
    let output = program(&["minimise"], &file, &["--seed", &seed, "--runs", RUNS, "-o", &out, BUG[0], BUG[1]]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = fs::read_to_string(&small).expect("the smallest scenario");
    assert!(text.lines().count() <= LINES_MAX && text.matches("[[fault]]").count() == 1 && !text.contains("[[check]]"), "{text}");
    assert!(is_found(&small, &seed, &BUG), "{text}");
    assert!(!is_found(&small, &seed, &[]), "the rules themselves are right: {text}");
}

/// One operator's ground keys, ten to a subnet, among `honest` stations that have `work` from the 20th second on.
fn ground(duration: &str, honest: u32, work: &str) -> String {
    format!(
        r#"
[run]
duration = "{duration}"
warmup = "20s"
[[group]]
name = "home"
count = {honest}
[[group]]
name = "ground"
count = 20
per_subnet = 10
byzantine = {{ kind = "grind" }}
[[group]]
name = "bootstrap"
count = 2
roles = ["bootstrap", "dht_server"]
[[requester]]
name = "lab"
[[work]]
requester = "lab"
at = "20s"
{work}
pure = {{ trust = "fixed:3" }}
[[check]]
always = "seats_by_cluster"
"#
    )
}

/// A check that must fail with `mutant` planted in the scenario `text`, and must hold without.
fn ground_has_too_much_with(mutant: &str, text: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ground.toml");
    fs::write(&file, text).expect("a file");
    let output = program(&["run"], &file, &["--mutant", mutant]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(CHECKS_FAILED), "{text}");
    assert!(text.contains("seats_by_cluster") && text.contains("ground has"), "{text}");
    let output = program(&["run"], &file, &[]);
    assert!(output.status.success(), "the rules themselves are right: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_sample_that_goes_by_keys_gives_ground_keys_more_seats_than_their_clusters() {
    // So many stations that not everybody is asked.
    let work = "every = \"5s\"\ncount = 6\njobs = 10";
    ground_has_too_much_with("sampled_by_key", &ground("52s", 40, work));
}

#[test]
fn without_the_rule_of_clusters_ground_keys_have_more_seats_than_their_clusters() {
    // So many jobs that everybody is asked.
    let work = "every = \"5s\"\ncount = 2\njobs = 110";
    ground_has_too_much_with("cluster_has_many_seats", &ground("36s", 20, work));
}
