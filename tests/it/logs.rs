//! The Log of a closed experiment in a stranger's hands: whole over `car`, from its requester, and again when that was restarted.

use std::net::Ipv4Addr;
use std::path::Path;

use cid::Cid;
use libp2p::{Multiaddr, PeerId};
use station_protocol::log::verify_closed;
use station_stranger::cbor::{Value, list, map, one, text};
use station_stranger::key::Key;
use station_stranger::peer::Stranger;
use station_stranger::reading::Blocks;
use station_tests::process::{Home, until};

const NETWORK: &str = "test-net";
/// A guest that writes 100,000 bytes: more than stand in a page.
const LARGE: &str = r#"(module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 3) (data (i32.const 0) "\10\00\00\00\a0\86\01\00")
    (func (export "_start") (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

async fn home(dir: &Path, name: &str, bootstrap: &[String]) -> Home {
    let home = Home::init(Path::new(env!("CARGO_BIN_EXE_station-e2e")), &dir.join(name), "/ip4/127.0.0.1/tcp/0").await;
    home.write("network.toml", &format!("name = {NETWORK:?}\nlan = true\ntopics = [\"tests\"]\nbootstrap = {bootstrap:?}\n"));
    home
}

fn experiment(module: &str, jobs: &str) -> String {
    format!(
        "name = \"log\"\ntopic = \"tests\"\nmodule = {module:?}\ncontact = \"mailto:test@example.org\"\n[jobs]\n{jobs}\n[pure]\ntrust = \"fixed:1\"\n\
         [limits]\noutput = \"1MiB\"\n[run]\ndeadline = \"10m\"\n"
    )
}

/// Publishes and waits for the end: the experiment's id.
async fn settle(publisher: &Home, file: &str) -> String {
    publisher.write("experiment.toml", file);
    let path = publisher.dir().join("experiment.toml");
    let published = publisher.ask(&["publish", "--detach", path.to_str().expect("UTF-8")]).await;
    let id = published["experiment"].as_str().expect("an id").to_owned();
    let (code, watched) = publisher.start(&["watch", &id]).finish().await;
    assert_eq!(code, 0, "{watched}");
    id
}

/// A stranger that is connected to the station that runs from `home`.
async fn connected(home: &Home, number: u64) -> (Stranger, PeerId) {
    let at = until("an address", || async { home.addresses().await.into_iter().next() }).await;
    let (at, peer) = at.rsplit_once("/p2p/").expect("an address ends in a node");
    let (at, peer): (Multiaddr, PeerId) = (at.parse().expect("an address"), peer.parse().expect("a peer id"));
    let stranger = Stranger::new(Key::numbered(NETWORK, "reader", number), Ipv4Addr::LOCALHOST.into()).await;
    stranger.dial(&at, peer).await.expect("the station takes a connection");
    (stranger, peer)
}

/// The closed Call of `id`, as its requester tells it.
async fn closed_call(stranger: &Stranger, peer: PeerId, id: &Cid) -> Value {
    let question = one("calls", map([("topic", text("tests")), ("have", list([]))]));
    let answer = stranger.ask(peer, &question).await.expect("an answer");
    let calls = answer.get("calls").and_then(|calls| calls.get("calls")).expect("calls").items().to_vec();
    let of = |call: &Value| {
        let experiment = call.get("body").and_then(|body| body.get("experiment")?.get("body")).expect("a Call").encode();
        station_protocol::content::cid_of(station_protocol::content::DAG_CBOR, &experiment) == *id
    };
    calls.into_iter().find(of).expect("the requester tells its own Call")
}

/// Fetches the Log that the Call of `id` closes, and verifies it from there.
async fn read_whole(home: &Home, number: u64, id: &str) -> Blocks {
    let (stranger, peer) = connected(home, number).await;
    let call = closed_call(&stranger, peer, &id.parse().expect("a CID")).await;
    let body = call.get("body").expect("a body");
    assert!(!body.get("at").expect("addresses").items().is_empty(), "the Call says where the Log is: {call:?}");
    let log = body.get("state").and_then(|state| state.get("closed")?.get("log")?.as_bytes()).expect("it is closed").to_vec();
    let blocks = stranger.fetch_log(peer, &log).await.expect("the whole Log");
    let summary = verify_closed(&call.encode(), |cid| blocks.get(&cid.to_bytes()).cloned()).expect("a Log that holds together");
    assert!(summary.inputs && summary.absent == 0 && summary.settled > 0, "nothing is missing: {summary:?}");
    blocks
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_fetches_a_closed_log_whole_and_again_after_its_requester_was_killed() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let worker = home(dir.path(), "worker", &[]).await;
    worker.write("policy.toml", "[roles]\ndht_server = true\n");
    let _worker = worker.run().await;
    let publisher = home(dir.path(), "publisher", &worker.addresses().await).await;
    std::fs::write(publisher.dir().join("large.wasm"), wat::parse_str(LARGE).expect("a module")).expect("the home is writable");
    let running = publisher.run().await;
    let bundled = settle(&publisher, &experiment("primes", "from = [0, 10, 20]\nto = [100]")).await;
    let large = settle(&publisher, &experiment("./large.wasm", "n = [1, 2]")).await;
    let before = [read_whole(&publisher, 1, &bundled).await, read_whole(&publisher, 2, &large).await];
    assert!(before[1].values().any(|block| block.len() == 100_000), "an output that stands in no page");
    drop(running.kill().await);
    let _running = publisher.run().await;
    let after = [read_whole(&publisher, 3, &bundled).await, read_whole(&publisher, 4, &large).await];
    assert_eq!(before, after);
}
