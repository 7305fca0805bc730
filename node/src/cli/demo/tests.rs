//! The demo's plan: what it writes must be what the rules take, and no more than it shows.

use station_protocol::capability::Capability;
use station_protocol::policy::Policy;
use station_protocol::requester::Draft;

use super::*;
use crate::library::bundled_names;
use crate::results::{Row, Verdict};

fn draft(targets: &Targets) -> Draft {
    let file = ExperimentFile::parse(&experiment(targets).expect("good URLs")).expect("the demo's experiment parses");
    let module = station_protocol::Content { cid: bundled_names()[&Name::new("gateway-check").expect("a name")][0], bytes: 1 };
    prepare::draft(file, module, None).expect("it prepares")
}

/// Whether the demo's policy lets its experiment ask this host and port.
fn permits(targets: &Targets, host: &str, port: u16) -> bool {
    let policy = Policy::parse(&policy(targets).expect("good URLs"), &bundled_names()).expect("the demo's policy parses");
    let requester = station_protocol::SigningKey::from_bytes(&[1; 32]).node();
    policy.permits(&requester, &draft(targets).module.cid, Capability::Http, host, port)
}

#[tokio::test]
async fn the_local_plan_measures_a_good_a_slow_and_a_lying_gateway_and_nothing_else() {
    let targets = local().await.expect("three gateways on loopback");
    assert_eq!(targets.urls.iter().map(|(label, _)| label.as_str()).collect::<Vec<_>>(), ["good", "slow", "lies about bytes"]);
    let plan = draft(&targets);
    assert_eq!((plan.jobs.count(), plan.class.executions()), (3, REPLICATION));
    assert!(Duration::from_millis(plan.deadline_ms) < DEADLINE, "the experiment ends before the demo gives up");
    assert_eq!(targets.exempt.len(), 3);
    for socket in &targets.exempt {
        assert!(socket.ip().is_loopback());
        assert!(permits(&targets, &socket.ip().to_string(), socket.port()));
    }
    assert!(!permits(&targets, "127.0.0.1", 1), "no other port of this machine");
    assert!(!permits(&targets, "example.org", 443));
}

#[test]
fn real_gateways_are_asked_by_name_and_no_private_socket_is_opened() {
    let targets = real(&["https://ipfs.io".to_owned(), "http://example.org:8080/".to_owned()]);
    assert!(targets.exempt.is_empty());
    assert!(permits(&targets, "ipfs.io", 443) && permits(&targets, "example.org", 8080));
    assert!(!permits(&targets, "ipfs.io", 80) && !permits(&targets, "www.ipfs.io", 443));
    assert_eq!(draft(&targets).jobs.count(), 2);
}

#[test]
fn a_gateway_that_is_no_url_is_refused_by_what_was_written() {
    for text in ["ipfs.io", "https://", "mailto:a@example.org"] {
        let failure = policy(&real(&[text.to_owned()])).expect_err("no host to allow");
        assert!(failure.message.contains(text), "{}", failure.message);
    }
}

#[test]
fn the_table_names_each_local_gateways_behaviour_beside_its_url() {
    let targets = Targets {
        urls: vec![("slow".into(), "http://127.0.0.1:1".into()), (String::new(), "https://ipfs.io".into())],
        cids: Vec::new(),
        _running: Vec::new(),
        exempt: BTreeSet::new(),
    };
    let row = |url: &str| Row {
        index: 0,
        input: serde_json::json!({ "gateway": url, "cid": "b" }),
        verdict: Verdict::Certified,
        agree: 0,
        of: 0,
        wanted: 1,
        outcome: None,
        answer: None,
        readings: std::collections::BTreeMap::default(),
        executions: Vec::new(),
    };
    let results = Results {
        experiment: "b".into(),
        name: "n".into(),
        requester: "r".into(),
        class: "measurement".into(),
        jobs: 2,
        settled: 2,
        log: None,
        published_at: "1970-01-01T00:00:00.000Z".into(),
        closed_at: None,
        deadline_at: "1970-01-01T00:00:00.000Z".into(),
        topic: "t".into(),
        module: crate::results::Module { cid: "m".into(), bytes: 1, name: None },
        profile: "p".into(),
        input_form: station_protocol::experiment::InputForm::DagCbor,
        output_form: station_protocol::experiment::OutputForm::DagCbor,
        report: Vec::new(),
        rows: vec![row("http://127.0.0.1:1"), row("https://ipfs.io")],
    };
    let inputs: Vec<_> = named(&results, &targets).rows.into_iter().map(|row| row.input).collect();
    assert_eq!(inputs, ["http://127.0.0.1:1 slow", "https://ipfs.io"].map(|gateway| serde_json::json!({ "gateway": gateway })));
}
