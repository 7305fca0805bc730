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
    let written = [" https://ipfs.io", "http://example.org:8080/", "", "HTTPS://ipfs.io/ "].map(str::to_owned);
    let targets = real(&written).expect("gateways");
    assert!(targets.exempt.is_empty());
    assert!(permits(&targets, "ipfs.io", 443) && permits(&targets, "example.org", 8080));
    assert!(!permits(&targets, "ipfs.io", 80) && !permits(&targets, "www.ipfs.io", 443));
    assert_eq!(draft(&targets).jobs.count(), 2);
}

#[test]
fn what_cannot_be_measured_is_refused_by_what_was_written_before_anything_starts() {
    for text in ["ipfs.io", "https://", "mailto:a@example.org", "http://127.0.0.1:8080", "https://ipfs.io:8081", "https://ipfs.io/ipfs/:hash"] {
        let failure = real(&["https://ipfs.io".to_owned(), text.to_owned()]).err().expect(text);
        assert!(failure.message.contains(text) && failure.exit == Exit::Usage, "{}", failure.message);
    }
    assert!(real(&[" ".to_owned(), String::new()]).is_err_and(|failure| failure.exit == Exit::Usage));
}

#[test]
fn a_report_that_cannot_be_written_is_known_before_anything_is_measured() {
    let dir = tempfile::tempdir().expect("a folder");
    let nowhere = dir.path().join("none").join("report.html");
    let failure = Report::open(&nowhere).err().expect("there is no such folder");
    assert!(failure.message.contains("--report"), "{}", failure.message);
    let fresh = dir.path().join("report.html");
    drop(Report::open(&fresh).expect("it can be written"));
    assert!(!fresh.exists(), "an interrupted demo leaves no empty page");
    std::fs::write(&fresh, "an older report").expect("written");
    drop(Report::open(&fresh).expect("it can be written"));
    assert_eq!(std::fs::read_to_string(&fresh).expect("there"), "an older report", "nor does it take one away");
    Report::open(&fresh).expect("it can be written").write("new").expect("written");
    assert_eq!(std::fs::read_to_string(&fresh).expect("there"), "new");
}

const TIME: &str = "1970-01-01T00:00:00.000Z";

/// One gateway's row with these outputs.
fn told(outputs: &[Value]) -> Results {
    let execution = |output: &Value| crate::results::ExecutionRow {
        node: "n".into(),
        region: None,
        outcome: "completed".into(),
        counts: true,
        agrees: Some(true),
        fuel: 1,
        duration_ms: 1,
        output: Some(crate::results::Output::Value(output.clone())),
        seen: crate::results::Seen { network: "private".into(), leased_at: TIME.into(), received_at: TIME.into() },
        station: crate::results::Stated {
            isolation: "full".into(),
            software: "s".into(),
            profile: "p".into(),
            waited_ms: 0,
            started_at: TIME.into(),
            ended_at: TIME.into(),
            requests: None,
        },
        guest_log: None,
    };
    let row = Row { executions: outputs.iter().map(execution).collect(), ..row("https://ipfs.io") };
    Results { rows: vec![Row { input: serde_json::json!({ "gateway": "https://ipfs.io" }), ..row }], ..results() }
}

#[test]
fn a_station_that_signed_several_receipts_is_counted_once() {
    let answer = serde_json::json!({ "verdict": "ok" });
    let mut results = told(&[answer.clone(), answer.clone(), answer]);
    assert_eq!(signed(&results, 8), "1 of 8 stations signed 3 receipts");
    results.rows[0].executions[2].node = "m".into();
    assert_eq!(signed(&results, 8), "2 of 8 stations signed 3 receipts");
    results.rows[0].executions.truncate(1);
    assert_eq!(signed(&results, 8), "1 of 8 stations signed 1 receipt");
}

#[test]
fn a_gateway_that_no_station_asked_is_told_with_the_reason() {
    let refused = serde_json::json!({ "verdict": "refused_by_host", "raw": { "detail": "this station's resolver does not answer" } });
    let answered = serde_json::json!({ "verdict": "unreachable", "raw": { "detail": "the connection was refused" } });
    let of = |outputs: &[Value]| asked(&told(outputs));
    let none = of(&[refused.clone(), refused.clone()]);
    assert_eq!((none.gateways, none.unasked), (0, vec!["not asked: https://ipfs.io: this station's resolver does not answer".to_owned()]));
    let some = of(&[refused, answered]);
    assert_eq!((some.gateways, some.unasked), (1, Vec::new()), "one station that asked is enough");
    assert_eq!(of(&[Value::Null]).gateways, 0, "what failed asked nobody");
}

#[test]
fn the_table_names_each_local_gateways_behaviour_beside_its_url() {
    let targets = Targets {
        urls: vec![("slow".into(), "http://127.0.0.1:1".into()), (String::new(), "https://ipfs.io".into())],
        cids: Vec::new(),
        _running: Vec::new(),
        exempt: BTreeSet::new(),
    };
    let inputs: Vec<_> = named(&results(), &targets).rows.into_iter().map(|row| row.input).collect();
    let local = serde_json::json!({ "gateway": "http://127.0.0.1:1", "cid": "b", "local gateway": "slow" });
    assert_eq!(inputs, [local, serde_json::json!({ "gateway": "https://ipfs.io", "cid": "b" })], "nothing of an input is lost");
}

/// A gateway's row without executions.
fn row(url: &str) -> Row {
    Row {
        index: 0,
        input: serde_json::json!({ "gateway": url, "cid": "b" }),
        verdict: Verdict::Certified,
        agree: 0,
        of: 0,
        answered: 0,
        wanted: 1,
        outcome: None,
        answer: None,
        no_answer: None,
        readings: std::collections::BTreeMap::default(),
        executions: Vec::new(),
    }
}

fn results() -> Results {
    Results {
        experiment: "b".into(),
        name: "n".into(),
        requester: "r".into(),
        class: "measurement".into(),
        jobs: 2,
        settled: 2,
        log: None,
        published_at: TIME.into(),
        closed_at: None,
        deadline_at: TIME.into(),
        topic: "t".into(),
        module: crate::results::Module { cid: "m".into(), bytes: 1, name: None },
        profile: "p".into(),
        input_form: station_protocol::experiment::InputForm::DagCbor,
        output_form: station_protocol::experiment::OutputForm::DagCbor,
        report: Vec::new(),
        rows: vec![row("http://127.0.0.1:1"), row("https://ipfs.io")],
    }
}
