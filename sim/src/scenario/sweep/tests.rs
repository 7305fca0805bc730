use super::*;

const BASE: &str = "[run]\nduration = \"1m\"\n[[group]]\nname = \"home\"\ncount = 3\n[sweep]\nseeds = \"4-6\"\n[sweep.parameters]\n";

#[test]
fn every_arm_runs_every_seed() {
    let scenario = Scenario::parse(&format!("{BASE}\"gossip.mesh_n\" = [6, 8]\n\"group.home.count\" = [10, 20]\n")).unwrap();
    let trials = trials(&scenario).unwrap();
    assert_eq!(trials.len(), 2 * 2 * 3);
    let first = &trials[0];
    assert_eq!(first.arm, [("gossip.mesh_n".into(), "6".into()), ("group.home.count".into(), "10".into())]);
    assert_eq!((first.seed, first.scenario.run.seed, first.scenario.gossip.mesh_n, first.scenario.groups[0].count), (4, 4, Some(6), 10));
    let last = &trials[11];
    assert_eq!((last.seed, last.scenario.gossip.mesh_n, last.scenario.groups[0].count), (6, Some(8), 20));
    assert!(trials.iter().all(|trial| trial.scenario.sweep.is_none()));
}

#[test]
fn values_with_units_and_places_in_lists_can_be_swept() {
    let text = format!("{BASE}\"network.loss\" = [\"0%\", \"5%\"]\n\"group.0.up\" = [\"10mbit\"]\n\"gossip.heartbeat\" = [\"700ms\"]\n");
    let trials = trials(&Scenario::parse(&text).unwrap()).unwrap();
    assert_eq!(trials[3].scenario.network.loss.get(), 50_000);
    assert_eq!(trials[3].scenario.groups[0].up.0, 10_000_000);
    assert_eq!(trials[3].arm[2].1, "5%");
}

#[test]
fn a_scenario_without_a_sweep_is_one_run() {
    let scenario = Scenario::parse("[run]\nseed = 9\nduration = \"1m\"\n[[group]]\nname = \"home\"\ncount = 3\n").unwrap();
    let trials = trials(&scenario).unwrap();
    assert_eq!((trials.len(), trials[0].seed, trials[0].arm.len()), (1, 9, 0));
}

#[test]
fn a_parameter_that_does_not_exist_is_an_error_that_names_it() {
    let cases = [
        ("\"gossip.mesh_m\" = [6]\n", ["gossip.mesh_m", "mesh_m"]),
        ("\"group.office.count\" = [6]\n", ["group.office.count", "office"]),
        ("\"seed\" = [6]\n", ["seed", "gossip.mesh_n"]),
        ("\"network.loss\" = [\"5\"]\n", ["network.loss", "0.1%"]),
        ("\"gossip.mesh_n\" = []\n", ["gossip.mesh_n", "no values"]),
        ("\"group.home.nat\" = [\"round\"]\n", ["group.home.nat", "symmetric"]),
    ];
    for (more, words) in cases {
        let error = Scenario::parse(&format!("{BASE}{more}")).unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "{more}: {error}");
        }
    }
    let error = Scenario::parse(&BASE.replace("4-6", "6-4")).unwrap_err().to_string();
    assert!(error.contains("1-20"), "{error}");
}
