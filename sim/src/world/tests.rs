//! Every scenario of the repository is a plan.

use std::fs;
use std::path::Path;

use super::plan::{Plan, What};
use crate::scenario::Scenario;

fn scenario(text: &str) -> Scenario {
    Scenario::parse(&format!("{text}\n[[group]]\nname = \"home\"\ncount = 10\n")).expect("a good scenario")
}

#[test]
fn every_scenario_is_a_plan() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut plans = 0;
    for entry in fs::read_dir(folder).expect("the folder of scenarios") {
        let path = entry.expect("a file").path();
        let scenario = Scenario::parse(&fs::read_to_string(&path).expect("text")).expect("a good scenario");
        let plan = Plan::of(&scenario, "test").unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        plans += 1;
        let twins = plan.stations.iter().filter(|member| member.twin_of.is_some()).count() as u64;
        assert_eq!(plan.stations.len() as u64, scenario.stations() + twins, "{}", path.display());
    }
    assert!(plans >= 10, "{plans} scenarios");
}

#[test]
fn a_fault_ends_as_it_began() {
    let text = "[run]\nduration = \"2m\"\n[[fault]]\nat = \"30s\"\nfor = \"10s\"\ncrash = { who = \"group:home\", share = \"20%\" }\n";
    let plan = Plan::of(&scenario(text), "test").expect("a plan");
    let [begin, end] = plan.faults.as_slice() else { panic!("{:?}", plan.faults) };
    assert_eq!((begin.at_ms, end.at_ms), (30_000, 40_000));
    let (What::Crash { stations: gone, .. }, What::Start { stations: back }) = (&begin.what, &end.what) else { panic!("{begin:?} {end:?}") };
    assert_eq!(gone, back);
    assert_eq!(gone.len(), 2);
}

#[test]
fn churn_brings_back_whom_it_took() {
    let text = "[run]\nduration = \"5m\"\n[churn]\nmodel = { kind = \"turnover\", share = \"50%\", every = \"1m\", away = \"10s\" }\n";
    let plan = Plan::of(&scenario(text), "test").expect("a plan");
    let crashes = plan.faults.iter().filter(|fault| matches!(fault.what, What::Crash { .. })).count();
    let starts = plan.faults.iter().filter(|fault| matches!(fault.what, What::Start { .. })).count();
    assert!(crashes > 0);
    assert_eq!(crashes, starts);
}

#[test]
fn a_goal_has_its_moment_after_the_last_fault() {
    let scenario = Scenario::parse(
        "[run]\nduration = \"5m\"\n[[group]]\nname = \"home\"\ncount = 3\nroles = [\"bootstrap\", \"dht_server\"]\n\
         [[fault]]\nat = \"1m\"\nfor = \"30s\"\nloss = { who = \"everyone\", share = \"10%\" }\n\
         [[check]]\neventually = \"every_job_settles\"\nwithin = \"40s\"\nafter = \"heal\"\n\
         [[check]]\neventually = \"every_job_settles\"\n\
         [[check]]\neventually = \"delivered >= 1%\"\nwithin = \"10s\"\n",
    )
    .expect("a scenario");
    let plan = Plan::of(&scenario, "test").expect("a plan");
    assert_eq!(plan.goals.iter().map(|due| due.by_ms).collect::<Vec<_>>(), [Some(130_000), None, Some(100_000)]);
}
