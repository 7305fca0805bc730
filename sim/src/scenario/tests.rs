use std::path::Path;

use super::fault::{Kind, Who};
use super::group::Byzantine;
use super::*;

/// The least that is a scenario.
const LEAST: &str = "[run]\nduration = \"1m\"\n[[group]]\nname = \"home\"\ncount = 3\n";

fn refusal(more: &str) -> String {
    Scenario::parse(&format!("{LEAST}{more}")).expect_err(more).to_string()
}

/// The scenarios of the project: their name and text.
fn all() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn every_scenario_of_the_project_is_one_and_says_what_it_shows() {
    let scenarios = all();
    assert!(scenarios.len() >= 10);
    for (name, text) in &scenarios {
        let sentence = Scenario::shows(text);
        assert!(sentence.ends_with('.') && sentence.len() > 40, "{name}: {sentence}");
        let scenario = Scenario::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!scenario.works.is_empty(), "{name}");
        assert_eq!(plan::stations(&scenario).len() as u64, scenario.stations(), "{name}");
    }
}

#[test]
fn every_scenario_of_the_project_reads_back_as_written() {
    for (name, text) in all() {
        let scenario = Scenario::parse(&text).unwrap();
        let written = scenario.text();
        assert_eq!(Scenario::parse(&written).unwrap_or_else(|error| panic!("{name}: {error}\n{written}")), scenario, "{name}");
    }
}

#[test]
fn the_shortest_file_says_the_same_without_defaults() {
    assert_eq!(Scenario::parse(LEAST).unwrap().brief(), "[run]\nduration = \"1m\"\n\n[[group]]\ncount = 3\nname = \"home\"\n");
    let (_, text) = all().into_iter().find(|(name, _)| name == "partition-heal.toml").unwrap();
    let scenario = Scenario::parse(&text).unwrap();
    let brief = scenario.brief();
    assert_eq!(Scenario::parse(&brief).unwrap(), scenario);
    assert!(brief.lines().count() <= text.lines().count() + 10, "{brief}");
    assert!(!brief.contains("last_mile") && brief.contains("region:europe"));
}

#[test]
fn the_least_scenario_has_defaults_for_the_rest() {
    let scenario = Scenario::parse(LEAST).unwrap();
    assert_eq!((scenario.run.seed, scenario.run.fidelity, scenario.network.tcp), (1, Fidelity::Fast, Tcp::Slowstart));
    assert_eq!(scenario.network.regions.len(), 8);
    assert_eq!(scenario.gossip, Gossip::default());
    assert_eq!(Scenario::parse(&scenario.text()).unwrap(), scenario);
}

#[test]
fn an_unknown_key_is_an_error_that_names_it_wherever_it_stands() {
    let places = [
        ("[network]\nlatencyy = \"1ms\"\n", "latencyy"),
        ("[gossip]\nmesh = 3\n", "mesh"),
        ("[[group]]\nname = \"x\"\ncount = 1\ncolour = 1\n", "colour"),
        ("[[group]]\nname = \"x\"\ncount = 1\nbyzantine = { kind = \"late\", by = \"1s\", when = 1 }\n", "when"),
        ("[[group]]\nname = \"x\"\ncount = 1\nbyzantine = { kind = \"sybil\", rate = \"1%\" }\n", "rate"),
        ("[[requester]]\nname = \"x\"\nbyzantine = { kind = \"rude\" }\n", "rude"),
        ("[[requester]]\nname = \"x\"\n[[work]]\nrequester = \"x\"\nat = \"1s\"\npure = { trust = \"fixed:2\", x = 1 }\n", "x"),
        ("[[fault]]\nat = \"1s\"\nearthquake = 7\n", "earthquake"),
        ("[[fault]]\nat = \"1s\"\nloss = { who = \"everyone\", share = \"1%\", extra = 1 }\n", "extra"),
        ("[churn]\nmodel = { kind = \"turnover\", share = \"1%\", every = \"1m\", away = \"1s\", odd = 1 }\n", "odd"),
        ("[[check]]\nalways = \"bounded_queues\"\nnever = 1\n", "never"),
        ("[sweep]\nseeds = \"1\"\nparametres = 1\n", "parametres"),
        ("[[internet.host]]\nname = \"x\"\nport = 80\n", "port"),
        ("[nat]\nodd = [{ mapping = \"nothing\", filtering = \"address\", colour = 1 }]\n", "colour"),
    ];
    for (more, key) in places {
        let error = refusal(more);
        assert!(error.contains(&format!("`{key}`")), "{more}: {error}");
        assert!(error.contains("line"), "{more}: {error}");
    }
}

#[test]
fn a_name_that_leads_nowhere_is_an_error_that_names_both_ends() {
    let work = "[[requester]]\nname = \"lab\"\n[[work]]\nat = \"1s\"\n";
    let cases = [
        ("[[fault]]\nat = \"1s\"\ncrash = { who = \"group:hme\" }\n".into(), ["fault 1", "crash at 1s", "\"hme\"", "home"]),
        (
            "[[fault]]\nat = \"1s\"\npartition = { from = [\"group:home\"], to = [\"requester:lab\"] }\n".into(),
            ["fault 1", "partition", "\"lab\"", "no requester"],
        ),
        (
            "[churn]\nwho = \"group:office\"\nmodel = { kind = \"sessions\", mean = \"1h\", mean_away = \"1m\" }\n".into(),
            ["churn", "\"office\"", "home", "one of"],
        ),
        (format!("{work}requester = \"lob\"\npure = {{ trust = \"fixed:2\" }}\n"), ["work 1", "\"lob\"", "lab", "one of"]),
        (
            format!(
                "{work}requester = \"lab\"\nmeasurement = {{ stations = 3 }}\ntargets = [\"a.example\"]\n[[internet.host]]\nname = \"b.example\"\n"
            ),
            ["work 1", "\"a.example\"", "b.example", "one of"],
        ),
        (format!("{work}requester = \"lab\"\nmeasurement = {{ stations = 3 }}\n"), ["work 1", "asks somebody", "targets", "[[internet.host]]"]),
        (
            "[[group]]\nname = \"evil\"\ncount = 1\nbyzantine = { kind = \"eclipse\", victims = \"nobody\" }\n".into(),
            ["group \"evil\"", "\"nobody\"", "home", "evil"],
        ),
        ("[[group]]\nname = \"odd\"\ncount = 1\nnat = \"square_cone\"\n".into(), ["group \"odd\"", "\"square_cone\"", "symmetric", "full_cone"]),
    ];
    for (more, words) in cases {
        let error = refusal(&more);
        for word in words {
            assert!(error.contains(word), "{more}: {error} lacks {word}");
        }
    }
}

#[test]
fn what_cannot_be_is_refused_with_what_to_write() {
    let cases = [
        ("[[fault]]\nat = \"2m\"\ncrash = { who = \"everyone\" }\n", "after the run"),
        ("[[fault]]\nat = \"1s\"\n", "exactly one kind"),
        ("[[fault]]\nat = \"1s\"\npause = { who = \"everyone\" }\nunplug = { who = \"everyone\" }\n", "exactly one kind"),
        ("[[fault]]\nat = \"1s\"\npause = { who = \"all\" }\n", "group:<name>"),
        ("[[fault]]\nat = \"1s\"\nunplug = { who = \"role:relay\" }\n", "no group has the role"),
        ("[[group]]\nname = \"home\"\ncount = 1\n", "this name already"),
        ("[[group]]\nname = \"x\"\ncount = 1\nnat = { none = \"10%\", symmetric = \"80%\" }\n", "sum to 100%"),
        ("[[group]]\nname = \"x\"\ncount = 1\nnat = 3\n", "nat = \"symmetric\""),
        ("[[group]]\nname = \"x\"\ncount = 1\nregion = \"atlantis\"\n", "europe"),
        ("[[group]]\nname = \"x\"\ncount = 1\nup = 20\n", "string"),
        ("[[group]]\nname = \"x\"\ncount = 1\nup = \"20\"\n", "20mbit"),
        ("[[group]]\nname = \"x\"\ncount = 1\npolicy = { budget = { cpu = \"much\" } }\n", "1 core"),
        ("[network]\nloss = 0.01\n", "string"),
        ("[network]\nregions = { europe = 0 }\n", "weight"),
        ("[gossip]\nmesh_n = 4\nmesh_n_low = 6\n", "mesh_n_low ≤ mesh_n"),
        ("[[check]]\nalways = \"bounded_queues\"\nwithin = \"1s\"\n", "neither within nor after"),
        ("[[check]]\neventually = \"p98(propagation) < 1s\"\n", "p99(propagation) < 2s"),
        ("[[check]]\neventually = \"delivered < 3s\"\n", "delivered >= 99%"),
    ];
    for (more, words) in cases {
        let error = refusal(more);
        assert!(error.contains(words), "{more}: {error}");
    }
    let error = Scenario::parse("[run]\nduration = \"1m\"\nwarmup = \"1m\"\n[[group]]\nname = \"home\"\ncount = 3\n").unwrap_err().to_string();
    assert!(error.contains("leaves nothing"), "{error}");
    let error = Scenario::parse("[run]\nduration = \"1m\"\ngroup = []\n").unwrap_err().to_string();
    assert!(error.contains("group"), "{error}");
    assert!(matches!(Scenario::parse(&" ".repeat(SCENARIO_BYTES_MAX + 1)), Err(ScenarioError::TooLarge { .. })));
}

#[test]
fn kinds_carry_their_own_data() {
    let text = format!(
        "{LEAST}[[group]]\nname = \"evil\"\ncount = 2\nbyzantine = {{ kind = \"late\", by = \"20s\" }}\n\
         [[fault]]\nat = \"1s\"\nfor = \"2s\"\npartition = {{ from = [\"region:europe\"], one_way = true }}\n"
    );
    let scenario = Scenario::parse(&text).unwrap();
    assert_eq!(scenario.groups[1].byzantine, Some(Byzantine::Late { by: Span(20_000), rate: Share::ALL }));
    let Kind::Partition(partition) = &scenario.faults[0].kind else { panic!("it is a partition") };
    assert_eq!((partition.from.as_slice(), partition.to.len(), partition.one_way), ([Who::Region(Region::Europe)].as_slice(), 0, true));
    assert_eq!(scenario.faults[0].lasts, Some(Span(2_000)));
}

#[test]
fn checks_are_written_as_they_are_read() {
    for text in ["p99(propagation) < 2s", "mean(verdict) <= 1500ms", "delivered >= 99.9%", "duplicates < 7.5", "redundancy > 3", "max(claim) > 1ms"] {
        assert_eq!(text.parse::<check::Bound>().unwrap().to_string(), text);
    }
    let bound: check::Bound = "p99(propagation) < 2s".parse().unwrap();
    assert!(bound.holds(1_999) && !bound.holds(2_000));
    let bound: check::Bound = "delivered>=99%".parse().unwrap();
    assert!(bound.holds(990_000) && !bound.holds(989_999));
}

#[test]
fn the_world_is_whole_again_when_the_last_fault_ends() {
    let heals = |more: &str| Scenario::parse(&LEAST.replace("1m", "10m").replace("[[group]]", &format!("{more}[[group]]"))).unwrap().heals();
    const PAUSE: &str = "[[fault]]\nat = \"1m\"\nfor = \"2m\"\npause = { who = \"everyone\" }\n";
    assert_eq!(heals(""), Span(0));
    assert_eq!(heals(PAUSE), Span(180_000));
    assert_eq!(heals(&format!("{PAUSE}[[fault]]\nat = \"4m\"\nskew = {{ who = \"everyone\", by = \"1s\" }}\n")), Span(240_000));
    assert_eq!(heals(&PAUSE.replace("2m", "20m")), Span(600_000), "no later than the run's end");
    let churn = "[churn]\nuntil = \"5m\"\nmodel = { kind = \"turnover\", share = \"1%\", every = \"1m\", away = \"1s\" }\n";
    assert_eq!(heals(&format!("{churn}{PAUSE}")), Span(300_000));
}
