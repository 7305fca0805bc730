use super::*;

/// Everything a scenario can have, of which a failure needs little.
const LARGE: &str = r#"
[run]
seed = 7
duration = "20m"
warmup = "1m"
[network]
loss = "1%"
[gossip]
mesh_n = 9
[[group]]
name = "home"
count = 100
nat = { none = "50%", symmetric = "50%" }
[[group]]
name = "dc"
count = 40
roles = ["relay", "bootstrap"]
[[group]]
name = "evil"
count = 20
byzantine = { kind = "eclipse", victims = "home" }
[[requester]]
name = "lab"
keys = 5
[[requester]]
name = "other"
[[work]]
requester = "lab"
at = "1m"
count = 30
jobs = 12
pure = { trust = "fixed:3" }
[[work]]
requester = "other"
at = "2m"
count = 10
pure = { trust = "fixed:2" }
[churn]
who = "group:home"
model = { kind = "turnover", share = "20%", every = "1m", away = "30s" }
[[fault]]
at = "2m"
for = "1m"
partition = { from = ["group:home"], one_way = true }
[[fault]]
at = "4m"
for = "50s"
crash = { who = "group:dc", share = "20%" }
[[fault]]
at = "5m"
for = "1m"
loss = { who = "everyone", share = "30%" }
[[fault]]
at = "6m"
unplug = { who = "role:relay" }
[[check]]
always = "no_job_settled_twice"
[[check]]
eventually = "every_job_settles"
"#;

const RUNS: usize = 5_000;

fn large() -> Scenario {
    Scenario::parse(LARGE).unwrap()
}

/// The predicate of a bug that a crash in a group of at least `stations` shows when someone works.
fn crash_bug(scenario: &Scenario, stations: u32) -> bool {
    let crashed = |fault: &Fault| matches!(&fault.kind, Kind::Crash(_)) && fault.lasts.is_some_and(|lasts| lasts.0 >= 20_000);
    let crowd = scenario.groups.iter().any(|group| group.name.as_str() == "dc" && group.count >= stations);
    scenario.faults.iter().any(crashed) && crowd && scenario.works.iter().any(|work| work.jobs >= 3)
}

#[test]
fn what_a_failure_does_not_need_goes_and_what_it_needs_stays() {
    let smallest = minimise(&large(), RUNS, |scenario| crash_bug(scenario, 4)).unwrap();
    let scenario = &smallest.scenario;
    assert!(smallest.is_complete);
    assert!(crash_bug(scenario, 4), "it still fails");
    assert_eq!(
        (scenario.groups.len(), scenario.requesters.len(), scenario.works.len(), scenario.faults.len(), scenario.checks.len()),
        (1, 1, 1, 1, 0)
    );
    assert_eq!((scenario.groups[0].count, scenario.requesters[0].keys, scenario.works[0].count, scenario.works[0].jobs), (4, 1, 1, 3));
    assert_eq!(scenario.faults[0].lasts, Some(Span(20_000)));
    assert_eq!((scenario.churn.is_none(), &scenario.gossip, scenario.network.loss.get(), scenario.run.seed), (true, &Gossip::default(), 0, 7));
    assert_eq!((scenario.run.duration, scenario.run.warmup, scenario.works[0].at, scenario.faults[0].at), (Span(1_000), Span(0), Span(0), Span(0)));
}

#[test]
fn the_result_is_a_file_that_reads_back_as_the_failing_scenario() {
    let smallest = minimise(&large(), RUNS, |scenario| crash_bug(scenario, 4)).unwrap();
    let text = smallest.text();
    assert_eq!(Scenario::parse(&text).unwrap(), smallest.scenario);
    assert!(text.lines().count() <= 30, "{text}");
    assert!(!text.contains("evil") && !text.contains("partition"));
}

#[test]
fn a_moment_that_the_failure_needs_stays() {
    let late = |scenario: &Scenario| scenario.faults.iter().any(|fault| fault.name() == "loss" && fault.at.0 >= 90_000);
    let smallest = minimise(&large(), RUNS, late).unwrap().scenario;
    assert_eq!((smallest.faults.len(), smallest.faults[0].at, smallest.run.duration), (1, Span(90_000), Span(90_001)));
}

#[test]
fn two_faults_that_fail_only_together_both_stay() {
    let both = |scenario: &Scenario| {
        let has = |name| scenario.faults.iter().any(|fault| fault.name() == name);
        has("partition") && has("unplug")
    };
    let smallest = minimise(&large(), RUNS, both).unwrap();
    let names: Vec<_> = smallest.scenario.faults.iter().map(Fault::name).collect();
    assert_eq!(names, ["partition", "unplug"]);
    let Kind::Partition(partition) = &smallest.scenario.faults[0].kind else { panic!("the first is a partition") };
    assert!(!partition.one_way);
    // Whoever is named stays, nobody else does: home is cut, dc is the relay.
    assert_eq!(smallest.scenario.stations(), 2);
}

#[test]
fn every_candidate_is_a_scenario_that_could_be_run() {
    let mut candidates = 0;
    let smallest = minimise(&large(), RUNS, |scenario| {
        candidates += 1;
        assert_eq!(Scenario::parse(&scenario.text()).as_ref(), Ok(scenario));
        scenario.stations() >= 30
    });
    let smallest = smallest.unwrap();
    assert_eq!((smallest.scenario.stations(), smallest.runs), (30, candidates));
}

#[test]
fn what_does_not_fail_is_not_shrunk() {
    assert_eq!(minimise(&large(), RUNS, |_| false), None);
}

#[test]
fn the_same_predicate_gives_the_same_result() {
    let run = || minimise(&large(), RUNS, |scenario| crash_bug(scenario, 7)).unwrap();
    assert_eq!(run(), run());
}

#[test]
fn it_ends_when_its_runs_are_used_up_with_something_that_still_fails() {
    for runs in [1, 2, 5, 20] {
        let smallest = minimise(&large(), runs, |scenario| crash_bug(scenario, 4)).unwrap();
        assert!(smallest.runs <= runs && !smallest.is_complete && crash_bug(&smallest.scenario, 4));
    }
    assert_eq!(minimise(&large(), 0, |_| true), None, "without a run nothing is known to fail");
}

#[test]
fn a_failure_that_needs_nothing_ends_with_one_station_and_a_second() {
    let smallest = minimise(&large(), RUNS, |_| true).unwrap();
    assert_eq!((smallest.scenario.stations(), smallest.scenario.run.duration), (1, Span(1_000)));
}
