//! The command line as it is parsed and performed, without processes: a home in a temporary folder, and an API of canned answers.

use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use clap::CommandFactory;
use serde_json::{Value, json};

use super::output::tests::Kept;
use super::*;

const ID: &str = "bafkqablimvwgy3y";

fn arguments(words: &[&str]) -> Vec<OsString> {
    std::iter::once("station").chain(words.iter().copied()).map(OsString::from).collect()
}

/// A home, and what commands said there.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn empty() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary folder") }
    }

    async fn with_station() -> Self {
        let place = Self::empty();
        assert_eq!(place.run(&["init"]).await.0, Exit::Done);
        place
    }

    fn path(&self) -> &str {
        self.dir.path().to_str().expect("UTF-8")
    }

    /// What the command wrote to standard output, and how it ended.
    async fn run(&self, words: &[&str]) -> (Exit, String) {
        let words: Vec<&str> = ["--home", self.path()].iter().chain(words).copied().collect();
        let Ok(cli) = parse(arguments(&words)) else { panic!("{words:?} is a command") };
        let kept = Kept::default();
        let output = Output::to(cli.common.json, Box::new(kept.clone()));
        let exit = output.end(dispatch(cli, &output).await);
        (exit, kept.text())
    }

    /// The same with `--json`: every line must be JSON, and there must be one.
    async fn ask(&self, words: &[&str]) -> (Exit, Value) {
        let (exit, text) = self.run(&[words, &["--json"]].concat()).await;
        let last = match serde_json::from_str(&text) {
            Ok(whole) => whole,
            Err(_) => {
                let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{words:?} wrote {line:?}: {error}"));
                text.lines().map(parse).collect::<Vec<Value>>().pop().expect("a line")
            }
        };
        (exit, last)
    }

    /// An API that answers as `router` does, where the commands look for the home's station.
    async fn serve(&self, router: Router) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let home = Home::new(self.dir.path().to_owned());
        home.new_token().expect("a token");
        home.write("api.addr", &listener.local_addr().expect("bound").to_string()).expect("written");
        let node = json!({ "node": station_protocol::SigningKey::from_bytes(&home.key().expect("a key")).node().to_string() });
        let router = router.route("/v1/node", get(async move || Json(node.clone())));
        tokio::spawn(async move { axum::serve(listener, router).await });
    }
}

/// An experiment as the API tells it.
fn experiment(closed: bool, outstanding: u64) -> Value {
    json!({ "experiment": ID, "name": "n", "topic": "t", "jobs": 2, "settled": 0, "held": 0, "outstanding": outstanding, "closed": closed, "deadline": 0,
        "log": null, "published": 0, "wanted": 1, "stations": 1, "connected": 0, "sampled": 0, "claimants": 0, "full": 0, "resting": 0, "needs": [], "labels": [],
        "refusals": {}, "declines": {}, "failures": {}, "advice": [] })
}

pub(super) fn results(verdicts: &[&str]) -> Value {
    let rows: Vec<Value> = (0..)
        .zip(verdicts)
        .map(|(index, verdict): (u64, _)| {
            json!({ "index": index, "input": {}, "verdict": verdict, "agree": 0, "of": 0, "answered": 0, "wanted": 0, "outcome": null, "answer": null, "readings": {}, "executions": [] })
        })
        .collect();
    json!({ "experiment": ID, "name": "n", "requester": "r", "class": "pure", "jobs": 2, "settled": rows.len(), "log": null, "published_at": "", "closed_at": null, "deadline_at": "",
        "topic": "t", "module": { "cid": "m", "bytes": 1, "name": null }, "profile": "p", "input_form": "dag_cbor", "output_form": "dag_cbor", "report": [], "rows": rows })
}

fn answering(verdicts: &'static [&'static str]) -> Router {
    Router::new()
        .route("/v1/experiments/{id}", get(async || Json(experiment(true, 0))).delete(async || StatusCode::NO_CONTENT))
        .route("/v1/experiments/{id}/results", get(async move || Json(results(verdicts))))
        .route(
            "/v1/experiments/{id}/verification",
            get(async || Json(json!({ "experiment": ID, "settled": 2, "receipts": 6, "late": 0, "absent": 0, "inputs": true, "unproved": ["that no receipt was left out"] }))),
        )
        .route("/v1/policy", axum::routing::put(async || StatusCode::NO_CONTENT))
}

/// Every command below `command` with the words that name it.
fn commands(command: &clap::Command, above: &[String]) -> Vec<Vec<String>> {
    let below = command.get_subcommands().filter(|below| below.get_name() != "help");
    let mut all = Vec::new();
    for below in below {
        let words = [above, &[below.get_name().to_owned()]].concat();
        all.extend(commands(below, &words));
        all.push(words);
    }
    all
}

#[test]
fn the_arguments_hold_together() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_has_help_that_says_what_it_does() {
    let mut cli = Cli::command();
    cli.build();
    let all = commands(&cli, &[]);
    assert!(all.len() >= 19, "{all:?}");
    for words in all {
        let line: Vec<&str> = words.iter().map(String::as_str).chain(["--help"]).collect();
        let Err(Wrong::Clap(error)) = parse(arguments(&line)) else { panic!("{line:?} is help") };
        assert_eq!((error.kind(), error.exit_code()), (clap::error::ErrorKind::DisplayHelp, 0), "{line:?}");
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        assert!(first.len() > 10 && !first.starts_with("Usage"), "{line:?} does not say what it does:\n{text}");
    }
}

#[test]
fn every_argument_has_words_and_what_all_commands_take_comes_last() {
    let mut all = vec![Cli::command()];
    while let Some(command) = all.pop() {
        for argument in command.get_arguments().filter(|argument| !["help", "version"].contains(&argument.get_id().as_str())) {
            let (name, words) = (argument.get_id(), argument.get_help().map(ToString::to_string).unwrap_or_default());
            assert!(words.len() > 10, "{} {name} has no words", command.get_name());
            let values: Vec<_> = argument.get_value_names().into_iter().flatten().collect();
            // One value at a time has a name in the singular.
            assert!(
                !argument.get_long().is_some_and(|_| values.iter().any(|value| value.ends_with('S') && !value.ends_with("SS"))),
                "{} {name}: {values:?}",
                command.get_name()
            );
            let is_common = ["home", "json", "log"].contains(&name.as_str());
            assert_eq!(argument.get_help_heading() == Some(EVERYWHERE), is_common, "{} {name}", command.get_name());
        }
        all.extend(command.get_subcommands().cloned());
    }
    let Ok(cli) = parse(arguments(&["status"])) else { panic!("a command") };
    assert!(cli.common.log.contains("libp2p_kad=error"), "the first station of a network bootstraps from nobody, and that is no warning");
}

#[test]
fn every_command_stands_in_the_readme() {
    let readme = include_str!("../../../README.md");
    let commands: Vec<&str> = readme.lines().skip_while(|line| !line.starts_with("| command |")).take_while(|line| line.starts_with('|')).collect();
    for command in Cli::command().get_subcommands() {
        let name = command.get_name();
        assert!(commands.iter().any(|row| row.contains(&format!("`{name}"))), "{name} is missing");
    }
}

#[test]
fn wrong_usage_is_exit_code_two_as_text_or_as_json() {
    for words in [
        &["results"][..],
        &["no-such-command"],
        &["publish", "--resume", "--detach"],
        &["publish", "e.toml", "--resume"],
        &["publish", "--resume", "--any-path"],
        &["demo", "--stations", "1"],
        &["status", "--log", "a=b=c"],
        &["pause", "--for", "400d"],
        &["allow", "gateway-check", "http", "https://a.example"],
    ] {
        let Err(Wrong::Clap(error)) = parse(arguments(words)) else { panic!("{words:?} is wrong") };
        assert_eq!(error.exit_code(), i32::from(Exit::Usage.code()), "{words:?}");
        let Err(Wrong::Usage(failure)) = parse(arguments(&[words, &["--json"]].concat())) else { panic!("{words:?} is wrong") };
        assert_eq!(failure.exit, Exit::Usage);
        assert!(!failure.message.is_empty());
    }
    assert!(matches!(parse(arguments(&["--help", "--json"])), Err(Wrong::Clap(_))), "help is for people");
}

#[tokio::test]
async fn commands_that_need_no_running_station_answer_in_json() {
    let place = Place::with_station().await;
    let (exit, id) = place.ask(&["id"]).await;
    assert_eq!((exit, id["addresses"].as_array().map(Vec::len)), (Exit::Done, Some(0)), "{id}");
    let (exit, shown) = place.ask(&["policy", "show"]).await;
    assert_eq!((exit, shown["hash"].is_string()), (Exit::Done, true), "{shown}");
    let (exit, allowed) = place.ask(&["allow", "gateway-check", "http", "*.ipfs.io:443"]).await;
    assert_eq!((exit, &allowed["running"]), (Exit::Done, &json!(false)), "{allowed}");
    assert_eq!(place.ask(&["deny", "gateway-check"]).await.0, Exit::Done);
    let (exit, network) = place.ask(&["network", "new", "lab", "--topic", "t", "--lan"]).await;
    assert_eq!((exit, &network["name"], &network["topics"]), (Exit::Done, &json!("lab"), &json!(["t"])));
    let file = place.dir.path().join("n.toml");
    let new = ["network", "new", "lab", "--topic", "t", "-o", file.to_str().expect("UTF-8")];
    assert_eq!(place.ask(&new).await, (Exit::Done, json!({ "file": file })));
    assert_eq!(place.ask(&new).await.0, Exit::Failed, "it exists already");
}

#[tokio::test]
async fn a_home_with_an_empty_name_is_refused_and_never_another_one() {
    let Ok(cli) = parse(arguments(&["--home", "", "id"])) else { panic!("it is understood") };
    let failure = dispatch(cli, &Output::to(true, Box::new(Kept::default()))).await.expect_err("no folder");
    assert!(failure.exit == Exit::Usage && failure.message.contains("STATION_HOME") && failure.message.contains("--home DIR"), "{}", failure.message);
}

#[tokio::test]
async fn a_resume_where_nothing_is_open_says_so_and_starts_nothing() {
    let place = Place::with_station().await;
    let (exit, answer) = place.ask(&["publish", "--resume"]).await;
    assert_eq!((exit, &answer), (Exit::Done, &json!({ "type": "resumed", "experiments": 0 })));
    assert!(!place.dir.path().join("store").exists(), "no station was started for nothing");
    place.serve(Router::new().route("/v1/experiments", get(async || Json(json!([experiment(true, 0)]))))).await;
    assert_eq!(place.ask(&["publish", "--resume"]).await, (Exit::Done, json!({ "type": "resumed", "experiments": 0 })));
}

#[tokio::test]
async fn a_host_is_allowed_in_either_case_and_a_station_by_enough_of_its_id() {
    let place = Place::with_station().await;
    let says = "gateway-check may use http on dweb.link:443\n";
    assert_eq!(place.run(&["allow", "gateway-check", "http", "DWEB.link:443"]).await, (Exit::Done, says.to_owned()));
    let node = station_protocol::SigningKey::from_bytes(&[7; 32]).node().to_string();
    assert_eq!(place.run(&["deny", &node]).await.0, Exit::Done);
    let end = crate::page::words::tail(&node);
    let (exit, answer) = place.ask(&["allow", &end]).await;
    let says = answer["error"].as_str().unwrap_or_default();
    assert!(exit == Exit::Failed && says.contains(&node) && says.contains("whole id"), "a stranger may have made a key that ends so: {answer}");
    let says = format!("{node} was denied, and is not any more\n");
    assert_eq!(place.run(&["allow", &node[..22]]).await, (Exit::Done, says), "the policy knows it");
    let (exit, answer) = place.ask(&["deny", &end]).await;
    assert!(exit == Exit::Failed && answer["error"].as_str().is_some_and(|error| error.contains("status --json")), "{answer}");
}

#[tokio::test]
async fn an_init_tells_the_node_id_and_a_second_one_fails() {
    let place = Place::empty();
    let (exit, made) = place.ask(&["init"]).await;
    assert_eq!((exit, made["node"].is_string()), (Exit::Done, true), "{made}");
    let (exit, again) = place.ask(&["init"]).await;
    assert_eq!((exit, &again["code"]), (Exit::Failed, &json!(1)), "{again}");
}

#[tokio::test]
async fn commands_that_need_a_running_station_say_so_with_their_own_code() {
    let place = Place::with_station().await;
    place.run(&["network", "new", "lab", "--topic", "t", "-o", place.dir.path().join("network.toml").to_str().expect("UTF-8")]).await;
    let file = place.dir.path().join("e.toml");
    std::fs::write(&file, include_str!("../../../modules/primes/experiment.toml")).expect("written");
    for words in [&["pause", "--for", "1h"][..], &["resume"], &["activity"], &["policy", "reload"]] {
        let (exit, answer) = place.ask(words).await;
        assert_eq!((exit, &answer["code"]), (Exit::NotRunning, &json!(3)), "{words:?} {answer}");
    }
    for words in [&["status"][..], &["publish", file.to_str().expect("UTF-8"), "--detach"]] {
        let (exit, answer) = place.ask(words).await;
        assert_eq!((exit, &answer["code"]), (Exit::NotRunning, &json!(3)), "{words:?} {answer}");
        assert!(answer["error"].as_str().is_some_and(|error| error.contains("station run")), "{answer}");
    }
}

#[tokio::test]
async fn a_network_that_is_named_for_a_start_that_fails_does_not_become_the_homes() {
    let place = Place::with_station().await;
    let (home, other) = (Home::new(place.dir.path().to_owned()), place.dir.path().join("other.toml"));
    let network = |name: &str| format!("name = \"{name}\"\ntopics = [\"t\"]\n");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let listen = format!("listen = [\"/ip4/127.0.0.1/tcp/{}\"]\napi = \"127.0.0.1:0\"\n", taken.local_addr().expect("bound").port());
    home.write("station.toml", &listen).expect("written");
    home.write("network.toml", &network("mine")).expect("written");
    std::fs::write(&other, network("other")).expect("written");
    let (exit, answer) = place.ask(&["run", "--network", other.to_str().expect("UTF-8")]).await;
    assert!(exit == Exit::Failed && answer["error"].as_str().is_some_and(|error| error.contains("cannot listen")), "{answer}");
    assert_eq!(std::fs::read_to_string(home.path("network.toml")).expect("there"), network("mine"));
}

#[tokio::test]
async fn a_home_without_a_station_is_a_failure_that_names_init() {
    let place = Place::empty();
    for words in [&["id"][..], &["run"]] {
        let (exit, answer) = place.ask(words).await;
        assert_eq!(exit, Exit::Failed, "{words:?}");
        assert!(answer["error"].as_str().is_some_and(|error| error.contains("station init")), "{answer}");
    }
}

#[tokio::test]
async fn the_exit_code_tells_whether_every_job_got_an_answer() {
    let cases: [(&'static [&'static str], Exit); 6] = [
        (&["agreed", "failed"], Exit::Unanswered),
        (&["agreed", "certified"], Exit::Done),
        (&["split", "agreed"], Exit::Done),
        (&["agreed", "undecided"], Exit::Unanswered),
        (&["agreed", "expired"], Exit::Unanswered),
        (&["agreed"], Exit::Unanswered),
    ];
    for (verdicts, expected) in cases {
        let place = Place::with_station().await;
        place.serve(answering(verdicts)).await;
        for words in [["watch", ID], ["results", ID]] {
            let (exit, answer) = place.ask(&words).await;
            assert_eq!((exit, answer["rows"].as_array().map(Vec::len)), (expected, Some(verdicts.len())), "{words:?} {verdicts:?}");
        }
    }
}

#[tokio::test]
async fn results_have_each_format_and_a_named_file_keeps_its_format_under_json() {
    let place = Place::with_station().await;
    place.serve(answering(&["agreed", "agreed"])).await;
    for (format, begins) in [("table", "input"), ("json", "{"), ("csv", "job,"), ("ndjson", "{\"agree\":0"), ("html", "<!doctype html>")] {
        let (exit, text) = place.run(&["results", ID, "--format", format]).await;
        assert_eq!((exit, text.starts_with(begins)), (Exit::Done, true), "{format}: {text}");
        assert!(!text.contains('\x1b'), "no colour where no terminal reads");
    }
    for (receipts, exit) in [("--receipts", Exit::Done), ("--receipts=1", Exit::Done), ("--receipts=2", Exit::Failed)] {
        let (ended, text) = place.run(&["results", ID, receipts]).await;
        assert_eq!((ended, text.starts_with("input") && text.ends_with("no receipts\n")), (exit, exit == Exit::Done), "{text}");
    }
    assert_eq!(place.run(&["results", ID, "--receipts", "--format", "csv"]).await.0, Exit::Usage, "CSV has them all");
    let file = place.dir.path().join("r.csv");
    let words = ["results", ID, "--format", "csv", "-o", file.to_str().expect("UTF-8")];
    assert_eq!(place.ask(&words).await, (Exit::Done, json!({ "file": file })));
    assert!(std::fs::read_to_string(&file).expect("written").starts_with("job,"));
    let (exit, answer) = place.ask(&["results", ID, "--format", "csv"]).await;
    assert_eq!((exit, &answer["code"]), (Exit::Usage, &json!(2)), "on standard output JSON was asked for: {answer}");
    let (exit, lines) = place.run(&["results", ID, "--format", "ndjson", "--json"]).await;
    assert!(exit == Exit::Done && lines.lines().count() == 2 && lines.starts_with("{\"agree\":0"), "{lines}");
    let (exit, csv) = place.run(&["results", ID, "--format", "csv", "-o", "-"]).await;
    assert!(exit == Exit::Done && csv.starts_with("job,") && !std::path::Path::new("-").exists(), "{csv}");
    let (exit, network) = place.run(&["network", "new", "lab", "--topic", "t", "-o", "-"]).await;
    assert!(exit == Exit::Done && network.starts_with("name = \"lab\""), "{network}");
}

#[tokio::test]
async fn the_other_commands_of_a_running_station_answer_in_json() {
    let place = Place::with_station().await;
    place.serve(answering(&[])).await;
    assert_eq!(place.ask(&["verify", ID]).await.1["receipts"], json!(6));
    assert!(place.run(&["verify", ID]).await.1.contains("no Log proves that no receipt was left out"));
    assert_eq!(place.ask(&["cancel", ID]).await, (Exit::Done, json!({ "cancelled": ID, "was_closed": true })));
    let (exit, allowed) = place.ask(&["allow", "gateway-check", "http", "*"]).await;
    assert_eq!((exit, &allowed["running"]), (Exit::Done, &json!(true)));
}

/// What a running station says of a policy that is not the file's.
fn in_force(text: &str) -> Router {
    let body = json!({ "hash": "ab".repeat(32), "policy": { "budget": { "memory": "64MiB" } }, "text": text,
        "file": { "file": "policy.toml", "in_force": true, "says": null } });
    let paused = json!({ "before": false, "paused": true, "until": 1_796_000_000_000_u64 });
    let resumed = json!({ "before": false, "paused": false, "until": null });
    let says = |value: Value| move || std::future::ready(Json(value.clone()));
    Router::new()
        .route("/v1/policy", get(says(body)).put(async || StatusCode::NO_CONTENT))
        .route("/v1/pause", axum::routing::post(says(paused)).delete(says(resumed)))
        .route("/v1/activity", get(says(json!({ "now": 0, "since": 0, "spans": [] }))))
}

#[tokio::test]
async fn a_policy_is_shown_as_it_is_in_force_and_what_is_on_disk_and_not_in_force_is_said() {
    let place = Place::with_station().await;
    place.serve(in_force("[budget]\nmemory = \"64MiB\"\n")).await;
    let (exit, shown) = place.ask(&["policy", "show"]).await;
    assert_eq!((exit, &shown["policy"]["budget"]["memory"], &shown["in_force"]), (Exit::Done, &json!("64MiB"), &json!(false)), "{shown}");
    assert!(shown["says"].as_str().is_some_and(|says| says.contains("station policy reload")), "{shown}");
    assert!(place.run(&["policy", "show"]).await.1.contains("memory = \"64MiB\""), "the policy in force, not the file's");
    std::fs::write(place.dir.path().join("policy.toml"), "[budget]\nmemory = \"64MiB\"\n").expect("written");
    let (_, shown) = place.ask(&["policy", "show"]).await;
    assert_eq!((&shown["in_force"], &shown["says"]), (&json!(true), &Value::Null), "{shown}");
    std::fs::write(place.dir.path().join("policy.toml"), "[budget\n").expect("written");
    let (exit, answer) = place.ask(&["allow", "primes", "http", "a.example"]).await;
    assert_eq!(exit, Exit::Failed, "a spoilt file is not written over: {answer}");
    assert_eq!(std::fs::read_to_string(place.dir.path().join("policy.toml")).expect("there"), "[budget\n");
}

#[tokio::test]
async fn pause_resume_and_activity_say_what_is_so() {
    let place = Place::with_station().await;
    place.serve(in_force("")).await;
    assert!(place.run(&["pause", "--for", "1h"]).await.1.contains("paused until 2026-11-30 00:53:20 UTC or `station resume --home "));
    assert!(place.run(&["resume"]).await.1.contains("was not paused"));
    assert!(place.run(&["activity", "--since", "all"]).await.1.contains("nothing was done for anybody"));
    assert_eq!(place.ask(&["activity", "--since", "24h"]).await, (Exit::Done, json!({ "now": 0, "since": 0, "spans": [] })));
}

#[tokio::test]
async fn an_edit_says_in_a_sentence_what_changed() {
    let place = Place::with_station().await;
    for (words, says) in [
        (&["allow", "gateway-check", "http", "a.example:443", "*.b.example"][..], "gateway-check may use http on a.example:443, *.b.example\n"),
        (&["allow", "gateway-check", "http", "a.example:443"], "gateway-check is allowed all that already\n"),
        (&["deny", "gateway-check", "http"], "gateway-check may no longer use http on a.example:443, *.b.example\n"),
        (&["deny", "gateway-check", "http"], "nothing to take back: gateway-check is not allowed http\n"),
        (&["deny", "primes"], "nothing is done for primes any more, not even pure computation\n"),
        (&["deny", "primes"], "primes is denied everything already\n"),
        (&["allow", "primes"], "primes was denied, and is not any more\n"),
        (&["allow", "primes"], "primes was not denied: nothing was changed\n"),
    ] {
        assert_eq!(place.run(words).await, (Exit::Done, says.to_owned()), "{words:?}");
    }
}

#[tokio::test]
async fn a_refusal_of_the_station_is_its_sentence_and_a_stopping_one_is_not_running() {
    let place = Place::with_station().await;
    let stopping = async || (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "error": "the station has stopped" })));
    let refusing = async || (StatusCode::NOT_FOUND, Json(json!({ "error": "this station knows no experiment" })));
    place.serve(Router::new().route("/v1/status", get(stopping)).route("/v1/experiments/{id}", get(refusing))).await;
    assert_eq!(place.ask(&["status"]).await.0, Exit::NotRunning);
    let (exit, answer) = place.ask(&["watch", ID]).await;
    assert_eq!((exit, &answer["error"]), (Exit::Failed, &json!("this station knows no experiment")));
}

#[tokio::test]
async fn an_address_left_by_a_killed_station_is_no_station() {
    let place = Place::with_station().await;
    let home = Home::new(place.dir.path().to_owned());
    home.new_token().expect("a token");
    // Bound and not listening, so that no other program can take the port meanwhile.
    let held = tokio::net::TcpSocket::new_v4().expect("a socket");
    held.bind(std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, 0))).expect("loopback");
    home.write("api.addr", &held.local_addr().expect("bound").to_string()).expect("written");
    assert_eq!(place.ask(&["status"]).await.0, Exit::NotRunning);
    assert_eq!(place.ask(&["id"]).await.0, Exit::Done);
}

#[tokio::test]
async fn a_target_that_is_far_and_wide_is_warned_of_in_json_too() {
    let place = Place::with_station().await;
    let (_, wide) = place.ask(&["allow", "gateway-check", "http", "*", "a.example"]).await;
    let warnings = wide["warnings"].as_array().expect("a list");
    assert!(warnings.len() == 1 && warnings[0].as_str().is_some_and(|warning| warning.starts_with("* is far and wide")), "{wide}");
    let (_, narrow) = place.ask(&["allow", "gateway-check", "http", "b.example"]).await;
    assert_eq!(narrow["warnings"], json!([]));
}

#[tokio::test]
async fn a_network_file_that_is_named_is_called_by_its_name_where_it_is_wrong() {
    let place = Place::with_station().await;
    let file = place.dir.path().join("broken.toml");
    std::fs::write(&file, "name = \"x\"\ntopics = []\n").expect("written");
    let (exit, answer) = place.ask(&["run", "--network", file.to_str().expect("UTF-8")]).await;
    let said = answer["error"].as_str().expect("a failure");
    assert!(exit == Exit::Failed && said.contains("broken.toml") && !said.contains("network.toml"), "{said}");
    let (exit, answer) = place.ask(&["network", "new", "net", "--topic", "t", "--bootstrap", "/ip4/192.0.2.1/tcp/1"]).await;
    let said = answer["error"].as_str().expect("a failure");
    assert!(exit == Exit::Failed && said.contains("/p2p/<node id>") && !said.contains("network.toml"), "{said}");
}
