//! What an operator sees and does, over real processes: bootstraps that lead nowhere, files edited by hand, pauses, the ledger.

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use station_tests::process::{Home, Running, until};

const TCP: &str = "/ip4/127.0.0.1/tcp/0";

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_station-e2e"))
}

fn network(name: &str, bootstrap: &[String]) -> String {
    format!("name = \"{name}\"\nlan = true\ntopics = [\"tests\"]\nbootstrap = {bootstrap:?}\n")
}

/// Homes in one folder.
struct Lab(tempfile::TempDir);

impl Lab {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    async fn home(&self, name: &str, network: &str) -> Home {
        let home = Home::init(program(), &self.0.path().join(name), TCP).await;
        home.write("network.toml", network);
        home
    }

    /// A station that others dial first, its home and its addresses.
    async fn first(&self, name: &str, network_name: &str) -> (Running, Home, Vec<String>) {
        let home = self.home(name, &network(network_name, &[])).await;
        home.write("policy.toml", "[roles]\ndht_server = true\n");
        let running = home.run().await;
        let addresses = home.addresses().await;
        (running, home, addresses)
    }
}

/// The status of a running station once `wanted` says yes.
async fn status_when(home: &Home, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    until(what, || async {
        let (code, status) = home.try_ask(&["status"]).await;
        (code == 0 && wanted(&status)).then_some(status)
    })
    .await
}

fn says(findings: &Value, what: &str) -> String {
    let of = |finding: &&Value| finding["what"] == what;
    findings.as_array().expect("a list").iter().find(of).and_then(|finding| finding["says"].as_str()).unwrap_or_default().to_owned()
}

/// `run` on a terminal's standard error, `status` and `doctor`, with and without a running station, all say `expected`.
async fn all_say(home: &Home, expected: &str) {
    let findings = home.try_ask(&["doctor"]).await;
    assert_eq!(findings.0, 1, "{}", findings.1);
    assert!(says(&findings.1, "bootstrap").contains(expected), "doctor dials by itself: {}", findings.1);
    let said = home.dir().join("said");
    let file = std::fs::File::create(&said).expect("writable");
    let mut command = tokio::process::Command::new(program());
    command.arg("run").env("STATION_HOME", home.dir()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).kill_on_drop(true);
    let _running = command.spawn().expect("the program starts");
    let status = status_when(home, expected, |status| status["bootstraps"][0]["says"].as_str().is_some_and(|says| says.contains(expected))).await;
    assert_eq!(status["bootstraps"][0]["bad"], true, "{status}");
    assert!(home.print(&["status"]).await.split_whitespace().collect::<Vec<_>>().join(" ").contains(expected), "as text too");
    until("the warning", || async { std::fs::read_to_string(&said).ok().filter(|text| text.contains("warning: ") && text.contains(expected)) }).await;
    let findings = home.try_ask(&["doctor"]).await;
    assert!(findings.0 == 1 && says(&findings.1, "bootstrap").contains(expected), "doctor asks the station: {}", findings.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bootstrap_where_nobody_listens_is_named() {
    let lab = Lab::new();
    // Bound and not listening, so that no other program can take the port meanwhile.
    let held = tokio::net::TcpSocket::new_v4().expect("a socket");
    held.bind(std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, 0))).expect("loopback");
    let port = held.local_addr().expect("bound").port();
    let somebody = lab.home("somebody", "").await.ask(&["id"]).await["node"].as_str().expect("an id").to_owned();
    let home = lab.home("lost", &network("lost", &[format!("/ip4/127.0.0.1/tcp/{port}/p2p/{somebody}")])).await;
    all_say(&home, &format!("bootstrap 127.0.0.1/{port}: refused")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bootstrap_that_is_somebody_else_is_named_with_who_it_is() {
    let lab = Lab::new();
    let (_running, first, addresses) = lab.first("first", "lost").await;
    let id = first.ask(&["id"]).await["node"].as_str().expect("an id").to_owned();
    let somebody = lab.home("somebody", "").await.ask(&["id"]).await["node"].as_str().expect("an id").to_owned();
    let home = lab.home("lost", &network("lost", &[addresses[0].replace(&id, &somebody)])).await;
    all_say(&home, &format!("answers as {id}, not {somebody}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bootstrap_of_another_network_is_named_with_its_network() {
    let lab = Lab::new();
    let (_running, _first, addresses) = lab.first("first", "my-lab").await;
    let home = lab.home("lost", &network("lost", &addresses)).await;
    all_say(&home, "speaks network my-lab, not lost").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doctor_finds_a_bootstrap_that_leads_into_the_network_and_the_disk() {
    let lab = Lab::new();
    let (_running, _first, addresses) = lab.first("first", "lab").await;
    let home = lab.home("second", &network("lab", &addresses)).await;
    let (code, findings) = home.try_ask(&["doctor"]).await;
    assert_eq!(code, 0, "{findings}");
    assert!(says(&findings, "bootstrap").starts_with("1 of 1 address leads into the network"), "{findings}");
    assert!(says(&findings, "disk").contains("left") && says(&findings, "reachable").contains("ports are free"), "{findings}");
}

/// Whether the station says that all of its files are in force.
fn in_force(status: &Value) -> bool {
    status["files"].as_array().is_some_and(|files| files.iter().all(|file| file["in_force"] == true))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_edited_by_hand_comes_into_force_and_a_spoilt_one_is_told_and_does_not() {
    let lab = Lab::new();
    let (_running, home, _) = lab.first("first", "lab").await;
    let good = "# mine\n[budget]\nmemory = \"64MiB\"\n[roles]\ndht_server = true\n";
    home.write("policy.toml", good);
    let memory = |status: &Value, bytes: u64| status["budgets"]["budgets"][1]["max"] == bytes;
    status_when(&home, "the new budget", |status| memory(status, 64 << 20) && in_force(status)).await;
    let shown = home.ask(&["policy", "show"]).await;
    assert_eq!((&shown["policy"]["budget"]["memory"], &shown["in_force"]), (&"64MiB".into(), &true.into()), "{shown}");

    home.ask(&["allow", "gateway-check", "http", "a.example"]).await;
    assert!(in_force(&home.ask(&["status"]).await), "at once, before the station has looked");
    let (_, findings) = home.try_ask(&["doctor"]).await;
    assert!(says(&findings, "policy").starts_with("in force; its hash"), "{findings}");
    home.ask(&["deny", "gateway-check", "http"]).await;

    home.write("policy.toml", "[budget]\nmemroy = \"1MiB\"\n");
    // At once, before the station has looked.
    let shown = home.ask(&["policy", "show"]).await;
    assert_eq!((&shown["policy"]["budget"]["memory"], &shown["in_force"]), (&"64MiB".into(), &false.into()), "{shown}");
    let status = status_when(&home, "the spoilt file to be told", |status| !in_force(status)).await;
    assert!(memory(&status, 64 << 20) && status["files"][0]["says"].as_str().is_some_and(|says| says.contains("memroy")), "{status}");
    let (code, findings) = home.try_ask(&["doctor"]).await;
    assert!(code == 1 && says(&findings, "policy").contains("memroy"), "{findings}");

    home.write("policy.toml", good);
    status_when(&home, "the mended file", in_force).await;
    home.write("policy.toml", &good.replace("dht_server = true", "dht_server = false"));
    let status = status_when(&home, "the role that waits", |status| !in_force(status)).await;
    assert!(status["files"][0]["says"].as_str().is_some_and(|says| says.contains("roles.dht_server") && says.contains("station run")), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_file_and_settings_edited_by_hand_are_told_to_wait_for_a_restart() {
    let lab = Lab::new();
    let (running, home, _) = lab.first("first", "lab").await;
    let settings = std::fs::read_to_string(home.dir().join("station.toml")).expect("settings");
    home.write("station.toml", &format!("# a comment alone changes nothing\n{}", settings.replace("capacity = 2", "capacity = 1")));
    home.write("network.toml", "name = \"lab\"\nlan = true\ntopics = [\"tests\", \"more\"]\n");
    let status = status_when(&home, "both files", |status| status["files"][1]["in_force"] == false && status["files"][2]["in_force"] == false).await;
    for (file, key) in [(1, "topics"), (2, "capacity")] {
        assert!(status["files"][file]["says"].as_str().is_some_and(|says| says.contains(key) && says.contains("station run")), "{status}");
    }
    drop(running.kill().await);
    let _again = home.run().await;
    assert!(in_force(&home.ask(&["status"]).await), "they are in force now");
}

/// A pure experiment of so many jobs, done by one station each.
fn primes(jobs: u32) -> String {
    let from: Vec<String> = (0..jobs).map(|job| (job * 10).to_string()).collect();
    format!(
        "name = \"primes\"\ntopic = \"tests\"\nmodule = \"primes\"\ncontact = \"mailto:test@example.org\"\n[jobs]\nfrom = [{}]\nto = [1000]\n[pure]\ntrust = \"fixed:1\"\n[run]\ndeadline = \"10m\"\n",
        from.join(", ")
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_station_takes_nothing_over_a_restart_until_it_is_resumed_and_the_ledger_outlives_it_too() {
    let lab = Lab::new();
    let (running, worker, addresses) = lab.first("worker", "lab").await;
    let (code, refused) = lab.home("nobody", "").await.try_ask(&["pause"]).await;
    assert_eq!(code, 3, "{refused}");
    let paused = worker.ask(&["pause"]).await;
    assert_eq!((&paused["paused"], &paused["until"]), (&true.into(), &Value::Null), "{paused}");
    drop(running.kill().await);
    let running = worker.run().await;
    assert_eq!(worker.ask(&["status"]).await["state"]["state"], "paused", "also after a crash");

    // The worker may have another address now.
    let addresses = Some(worker.addresses().await).filter(|found| !found.is_empty()).unwrap_or(addresses);
    let publisher = lab.home("publisher", &network("lab", &addresses)).await;
    publisher.write("experiment.toml", &primes(3));
    let file = publisher.dir().join("experiment.toml");
    let publishing = publisher.start(&["publish", file.to_str().expect("UTF-8")]);
    let heard = |status: &Value| status["calls"].as_array().is_some_and(|calls| !calls.is_empty());
    let status = status_when(&worker, "the call to be heard", heard).await;
    assert_eq!((&status["state"]["state"], &status["running"]), (&"paused".into(), &0.into()), "{status}");
    let activity = worker.ask(&["activity"]).await;
    assert_eq!(activity["spans"].as_array().map(Vec::len), Some(0), "nothing was done: {activity}");

    let resumed = worker.ask(&["resume"]).await;
    assert_eq!((&resumed["before"], &resumed["paused"]), (&true.into(), &false.into()), "{resumed}");
    assert_eq!(worker.ask(&["resume"]).await["before"], false);
    let (code, results) = publishing.finish().await;
    assert_eq!(code, 0, "{results}");
    let requester = publisher.ask(&["id"]).await["node"].clone();
    let before = worker.ask(&["activity", "--since", "all"]).await["spans"].clone();
    // The jobs may lie on both sides of an hour.
    let rows: Vec<&Value> = before.as_array().into_iter().flatten().flat_map(|span| span["rows"].as_array().into_iter().flatten()).collect();
    assert!(rows.iter().all(|row| row["requester"] == requester && row["module_name"] == "primes"), "{before}");
    assert!(rows.iter().all(|row| row["cpu_is_exact"] == true), "the system counts the processor time: {before}");
    let sum = |of: &dyn Fn(&Value) -> Option<u64>| rows.iter().filter_map(|row| of(row)).sum::<u64>();
    assert_eq!((sum(&|row| row["jobs"].as_u64()), sum(&|row| row["outcomes"]["completed"].as_u64())), (3, 3), "{before}");

    // A station that is stopped as operators stop it writes what it did.
    let id = running.id().expect("it runs").to_string();
    assert!(std::process::Command::new("kill").arg(&id).status().expect("kill runs").success());
    assert_eq!(running.finish().await.0, 0);
    let _again = worker.run().await;
    assert_eq!(worker.ask(&["activity", "--since", "all"]).await["spans"], before, "the ledger outlives the process");
    for command in ["activity", "status"] {
        let text = worker.print(&[command]).await.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains("primes for …") && text.contains("3 jobs (3 completed)"), "{command}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_guest_says_while_it_runs_reaches_its_researcher_and_the_operator_whose_machine_it_uses() {
    let lab = Lab::new();
    let (_running, worker, addresses) = lab.first("worker", "lab").await;
    worker.write("policy.toml", "[roles]\ndht_server = true\n[budget]\nwall = \"1h\"\nfuel = 10_000_000_000_000\n");
    let publisher = lab.home("publisher", &network("lab", &addresses)).await;
    // Longer than anybody waits: it is cancelled.
    let file = "name = \"long\"\ntopic = \"tests\"\nmodule = \"primes\"\ncontact = \"mailto:test@example.org\"\n[jobs]\nfrom = [0]\nto = [1000000000000]\n\
                [pure]\ntrust = \"fixed:1\"\n[limits]\nfuel = 10_000_000_000_000\nwall = \"30m\"\n[run]\ndeadline = \"50m\"\n";
    publisher.write("experiment.toml", file);
    let _publishing = publisher.run().await;
    publisher.ask(&["pause"]).await;
    let path = publisher.dir().join("experiment.toml");
    let published = publisher.ask(&["publish", "--detach", path.to_str().expect("UTF-8")]).await;
    let id = published["experiment"].as_str().expect("an id").to_owned();
    let said = until("a guest's words at its researcher", || async {
        let own = publisher.ask(&["experiments"]).await;
        own.as_array().and_then(|own| own.first()?["said"].as_array()?.first().cloned())
    })
    .await;
    assert_eq!((&said["job"], &said["message"]), (&0.into(), &"counting".into()), "{said}");
    assert!(said["permille"].as_u64().is_some_and(|permille| permille <= 1_000) && said["node"] == worker.ask(&["id"]).await["node"], "{said}");
    let status = status_when(&worker, "the guest's words at the operator", |status| status["calls"][0]["said"][0]["message"] == "counting").await;
    assert_eq!(status["calls"][0]["running"], 1, "{status}");
    publisher.ask(&["cancel", &id]).await;
}
