//! The command line as scripts see it: exit codes, JSON, and sentences that name the next step.

use std::path::Path;

use station_tests::process::Home;

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_station-e2e"))
}

async fn home() -> (tempfile::TempDir, Home) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let home = Home::init(program(), &dir.path().join("home"), "/ip4/127.0.0.1/tcp/0").await;
    (dir, home)
}

#[tokio::test]
async fn a_wrong_argument_is_exit_code_two() {
    let (_dir, home) = home().await;
    assert_eq!(home.try_ask(&["results"]).await.0, 2);
}

#[tokio::test]
async fn a_command_that_needs_a_running_station_says_so_with_exit_code_three() {
    let (_dir, home) = home().await;
    let (code, answer) = home.try_ask(&["status"]).await;
    assert_eq!(code, 3, "{answer}");
    assert!(answer["error"].as_str().expect("a sentence").contains("station run"), "{answer}");
}

#[tokio::test]
async fn a_second_init_is_refused_and_keeps_the_key() {
    let (_dir, home) = home().await;
    let before = home.ask(&["id"]).await["node"].clone();
    assert_eq!(home.try_ask(&["init"]).await.0, 1);
    assert_eq!(home.ask(&["id"]).await["node"], before);
}

#[tokio::test]
async fn a_spelling_mistake_in_an_experiment_is_named_before_anything_starts() {
    let (_dir, home) = home().await;
    home.write("e.toml", "module = \"primes\"\n[jobs]\nfrom = [0]\nto = [9]\n[pure]\ntrust = \"fixed:1\"\n[limits]\nfeul = 7\n");
    let file = home.dir().join("e.toml");
    let (code, answer) = home.try_ask(&["publish", file.to_str().expect("UTF-8")]).await;
    assert_eq!(code, 1, "{answer}");
    assert!(answer["error"].as_str().expect("a sentence").contains("feul"), "{answer}");
}

#[tokio::test]
async fn a_station_without_a_network_says_where_the_file_goes() {
    let (_dir, home) = home().await;
    let (code, answer) = home.try_ask(&["run"]).await;
    assert_eq!(code, 1, "{answer}");
    assert!(answer["error"].as_str().expect("a sentence").contains("network.toml"), "{answer}");
}

#[tokio::test]
async fn what_is_allowed_stands_in_the_policy_until_it_is_denied() {
    let (_dir, home) = home().await;
    let allowed = home.ask(&["allow", "gateway-check", "http", "*.ipfs.io:443"]).await;
    assert!(allowed["policy"].as_str().expect("TOML").contains("*.ipfs.io:443"), "{allowed}");
    home.ask(&["deny", "gateway-check", "http"]).await;
    let shown = home.ask(&["policy", "show"]).await;
    assert!(!shown["policy"].as_str().expect("TOML").contains("ipfs.io"), "{shown}");
    let (code, answer) = home.try_ask(&["allow", "no-such-module", "http", "*"]).await;
    assert_eq!(code, 1, "{answer}");
    assert!(answer["error"].as_str().expect("a sentence").contains("no-such-module"), "{answer}");
}

#[tokio::test]
async fn a_module_author_sees_a_module_run_without_a_network() {
    let (_dir, home) = home().await;
    let trial = home.ask(&["module", "run", "primes", "--pure", "--input", "{\"from\":0,\"to\":100}"]).await;
    assert_eq!((trial["outcome"].as_str(), trial["output"]["primes"].as_u64()), (Some("completed"), Some(25)), "{trial}");
    let again = home.ask(&["module", "run", "primes", "--pure", "--input", "{\"from\":0,\"to\":100}"]).await;
    assert_eq!(trial["fuel"], again["fuel"], "fuel does not depend on luck");
    home.write("not.wasm", "no module");
    let file = home.dir().join("not.wasm");
    let inspected = home.try_ask(&["module", "inspect", file.to_str().expect("UTF-8")]).await;
    assert_eq!(inspected.0, 1, "{inspected:?}");
    assert!(inspected.1["refused"].is_string(), "{inspected:?}");
}

#[tokio::test]
async fn the_doctor_finds_a_fresh_station_lacks_only_a_network() {
    let (_dir, home) = home().await;
    let (code, findings) = home.try_ask(&["doctor"]).await;
    let bad: Vec<&str> = findings
        .as_array()
        .expect("a list")
        .iter()
        .filter(|finding| finding["good"] == false)
        .filter_map(|finding| finding["what"].as_str())
        .collect();
    assert_eq!((code, bad), (1, vec!["network"]), "{findings}");
}
