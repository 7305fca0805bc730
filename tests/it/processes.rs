//! Experiments over real processes, stores and sockets: what an operator and a researcher do, with the program they use.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use station_tests::process::{Home, Running, until};

const TCP: &str = "/ip4/127.0.0.1/tcp/0";
const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_station-e2e"))
}

/// Stations on one network; the first is everybody's bootstrap and DHT server.
struct Net {
    dir: tempfile::TempDir,
    network: String,
    listen: &'static str,
}

impl Net {
    fn new(listen: &'static str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        Self { dir, network: "name = \"test-net\"\nlan = true\ntopics = [\"tests\"]\n".to_owned(), listen }
    }

    async fn home(&self, name: &str) -> Home {
        let home = Home::init(program(), &self.dir.path().join(name), self.listen).await;
        home.write("network.toml", &self.network);
        home
    }

    /// The first station: runs, and becomes the bootstrap of all homes made from now on.
    async fn bootstrap(&mut self) -> Running {
        let home = self.home("bootstrap").await;
        home.write("policy.toml", "[roles]\ndht_server = true\n");
        let running = home.run().await;
        let addresses = home.addresses().await;
        self.network = format!("name = \"test-net\"\nlan = true\ntopics = [\"tests\"]\nbootstrap = {addresses:?}\n");
        running
    }
}

/// A pure experiment on the bundled primes module.
fn primes(jobs: u32, trust: u32, span: u32) -> String {
    let from: Vec<String> = (0..jobs).map(|job| (job * 10).to_string()).collect();
    format!(
        "name = \"primes\"\ntopic = \"tests\"\nmodule = \"primes\"\ncontact = \"mailto:test@example.org\"\n[jobs]\nfrom = [{}]\nto = [{span}]\n[pure]\ntrust = \"fixed:{trust}\"\n[run]\ndeadline = \"10m\"\n",
        from.join(", ")
    )
}

fn all_agreed(results: &Value, jobs: usize) {
    let rows = results["rows"].as_array().unwrap_or_else(|| panic!("no rows in {results}"));
    let indices: std::collections::BTreeSet<u64> = rows.iter().filter_map(|row| row["index"].as_u64()).collect();
    assert_eq!((rows.len(), indices.len()), (jobs, jobs), "each job is settled once: {results}");
    assert!(rows.iter().all(|row| row["verdict"] == "agreed"), "{results}");
}

async fn two_stations_and_a_publisher(listen: &'static str) {
    let mut net = Net::new(listen);
    let _first = net.bootstrap().await;
    let _second = net.home("second").await.run().await;
    let publisher = net.home("publisher").await;
    publisher.write("experiment.toml", &primes(5, 2, 1_000));
    let file = publisher.dir().join("experiment.toml");
    let (code, results) = publisher.start(&["publish", file.to_str().expect("UTF-8")]).finish().await;
    assert_eq!(code, 0, "{results}");
    all_agreed(&results, 5);
    // The process has gone; its results have not.
    let id = results["experiment"].as_str().expect("an id").to_owned();
    all_agreed(&publisher.ask(&["results", &id]).await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_stations_and_a_publisher_complete_an_experiment_over_tcp() {
    two_stations_and_a_publisher(TCP).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_stations_and_a_publisher_complete_an_experiment_over_quic() {
    two_stations_and_a_publisher(QUIC).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_on_every_station_is_exit_code_four_and_says_how() {
    let mut net = Net::new(TCP);
    let _first = net.bootstrap().await;
    let publisher = net.home("publisher").await;
    let file = publisher.dir().join("experiment.toml");
    let good = primes(1, 1, 1_000);
    for (broken, outcome) in [
        (format!("{good}[limits]\nfuel = 150_000\n"), "out_of_fuel"),
        (good.replace("from = [0]", "from = [\"zero\"]"), "exited: 2"),
        (format!("{good}[limits]\noutput = \"1B\"\n"), "output_too_large"),
    ] {
        publisher.write("experiment.toml", &broken);
        let (code, results) = publisher.start(&["publish", file.to_str().expect("UTF-8")]).finish().await;
        assert_eq!(code, 4, "{outcome}: {results}");
        let row = &results["rows"][0];
        assert_eq!((&row["verdict"], &row["outcome"], &row["answer"]), (&"failed".into(), &outcome.into(), &Value::Null), "{results}");
        if outcome == "exited: 2" {
            let log = row["executions"][0]["guest_log"].as_str().unwrap_or_default();
            assert!(log.contains("does not fit this module"), "the researcher sees why: {results}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_published_before_any_peer_and_heard_late_is_served() {
    let mut net = Net::new(TCP);
    let first = net.bootstrap().await;
    // The publisher is alone with the bootstrap node, which takes no part: its budget is too small for any module.
    let publisher = net.home("publisher").await;
    publisher.write("experiment.toml", &primes(2, 2, 100));
    let file = publisher.dir().join("experiment.toml");
    let home = first.kill().await;
    let publishing = publisher.start(&["publish", file.to_str().expect("UTF-8")]);
    until("the publisher's API", || async { (publisher.try_ask(&["status"]).await.0 == 0).then_some(()) }).await;
    // Nobody could hear the Call when it was published; both stations come later and learn it from the publisher itself.
    let addresses = until("the publisher's addresses", || async { Some(publisher.addresses().await).filter(|found| !found.is_empty()) }).await;
    let network = format!("name = \"test-net\"\nlan = true\ntopics = [\"tests\"]\nbootstrap = {addresses:?}\n");
    home.write("network.toml", &network);
    let _first = home.run().await;
    let late = net.home("late").await;
    late.write("network.toml", &network);
    let _late = late.run().await;
    let (code, results) = publishing.finish().await;
    assert_eq!(code, 0, "{results}");
    all_agreed(&results, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_the_requester_and_a_worker_in_the_middle_loses_no_job_and_settles_none_twice() {
    const JOBS: u32 = 24;
    let mut net = Net::new(TCP);
    let _first = net.bootstrap().await;
    let worker_home = net.home("worker").await;
    let mut worker = worker_home.run().await;
    let publisher = net.home("publisher").await;
    publisher.write("experiment.toml", &primes(JOBS, 2, 60_000));
    let file = publisher.dir().join("experiment.toml");
    let publishing = publisher.start(&["publish", file.to_str().expect("UTF-8")]);
    let progress = |at_least: u64| {
        let publisher = &publisher;
        async move {
            until("progress", || async {
                let (code, status) = publisher.try_ask(&["status"]).await;
                let id = status["own"][0].as_str().filter(|_| code == 0)?.to_owned();
                let settled = publisher.try_ask(&["results", &id]).await.1["settled"].as_u64()?;
                (settled >= at_least).then_some(())
            })
            .await;
        }
    };
    progress(3).await;
    drop(publishing.kill().await);
    drop(worker.kill().await);
    worker = worker_home.run().await;
    let resumed = publisher.start(&["publish", "--resume"]);
    let (code, results) = resumed.finish().await;
    assert_eq!(code, 0, "{results}");
    all_agreed(&results, JOBS as usize);
    drop(worker);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_default_policy_a_measurement_is_declined_and_nothing_outside_is_contacted() {
    let mut net = Net::new(TCP);
    let first = net.bootstrap().await;
    // A server that must never hear from anyone.
    let server = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a loopback port");
    let addr = server.local_addr().expect("bound");
    let publisher = net.home("publisher").await;
    publisher.write(
        "experiment.toml",
        &format!(
            "name = \"m\"\ntopic = \"tests\"\nmodule = \"gateway-check\"\ncontact = \"mailto:test@example.org\"\n[jobs]\ngateway = [\"http://{addr}\"]\ncid = [\"bafkqaaa\"]\n\
             [measurement]\nstations = 1\nexact = [\"verdict\"]\n[needs]\nhttp = [\"*\"]\n[run]\ndeadline = \"10m\"\n"
        ),
    );
    let file = publisher.dir().join("experiment.toml");
    let running = publisher.run().await;
    let id = publisher.ask(&["publish", "--detach", file.to_str().expect("UTF-8")]).await["experiment"].as_str().expect("an id").to_owned();
    let bootstrap = first_home(&net);
    let standing = until("the station to have heard and judged the call", || async {
        let status = bootstrap.ask(&["status"]).await;
        let call = status["calls"].as_array()?.iter().find(|call| call["experiment"] == *id)?.clone();
        Some(call["standing"].as_str()?.to_owned()).filter(|standing| standing.contains("declined"))
    })
    .await;
    assert!(standing.contains("capability"), "{standing}");
    // It knows the experiment, and that it is not its own.
    let requester = publisher.ask(&["id"]).await["node"].as_str().expect("a node id").to_owned();
    let (code, foreign) = bootstrap.try_ask(&["results", &id]).await;
    let said = foreign["error"].as_str().expect("a sentence");
    assert!(code == 1 && said.contains(&requester) && said.contains("ask its station"), "{foreign}");
    // Every socket of the station is one that a peer opened to it, or leads to a station of the mesh.
    let mut mesh = BTreeSet::new();
    for home in [&bootstrap, &publisher] {
        mesh.extend(home.addresses().await.iter().filter_map(|address| address.split('/').nth(4)?.parse::<u16>().ok()));
    }
    let listening: BTreeSet<u16> = first.sockets().iter().filter(|(_, remote)| remote.port() == 0).map(|(local, _)| local.port()).collect();
    let sockets = first.sockets();
    let opened: Vec<_> = sockets.iter().filter(|(local, remote)| remote.port() != 0 && !listening.contains(&local.port())).collect();
    assert!(sockets.len() > listening.len(), "the station is connected to the publisher: {sockets:?}");
    assert!(opened.iter().all(|(_, remote)| mesh.contains(&remote.port())), "opened {opened:?}, the mesh listens on {mesh:?}");
    let silent = futures::future::poll_immediate(server.accept()).await;
    assert!(silent.is_none(), "a station contacted a target that no policy allowed");
    drop((running, first));
}

fn first_home(net: &Net) -> Home {
    Home::at(program(), &net.dir.path().join("bootstrap"))
}
