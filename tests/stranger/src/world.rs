//! [`World`]: one real station as a target, honest stations beside it, and places for strangers, in a network of their own.
//!
//! Guarantees: addresses look public and are all on this machine (see `alone`); the target runs until the value ends. Deliberately lacks
//! anything about the station that its command line does not say.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::key::Key;
use crate::peer::{Stranger, socket};
use libp2p::{Multiaddr, PeerId};
use serde_json::Value as Json;

use crate::process::{Home, Running, until};

/// The network of all worlds.
pub const NETWORK: &str = "strangers-net";
/// The topic of all experiments in it.
pub const TOPIC: &str = "tests";
/// The target's address.
pub const TARGET: Ipv4Addr = Ipv4Addr::new(45, 10, 0, 1);
/// The target's port. Honest stations have others: who dials from the port it listens on, to the same port of the same machine, meets itself.
const PORT: u16 = 4710;

/// The `number`-th honest address, each in a /24 of its own.
#[must_use]
pub fn honest_ip(number: u8) -> IpAddr {
    Ipv4Addr::new(45, 20, number, 1).into()
}

/// Where the `number`-th honest station listens.
#[must_use]
pub fn honest_socket(number: u8) -> SocketAddr {
    SocketAddr::new(honest_ip(number), PORT + 10 + u16::from(number))
}

/// An address of the attacker, all in one /24.
#[must_use]
pub fn attacker_ip(number: u8) -> IpAddr {
    Ipv4Addr::new(45, 66, 6, number).into()
}

/// A target and what is beside it.
#[derive(Debug)]
pub struct World {
    dir: tempfile::TempDir,
    program: PathBuf,
    pub topics: Vec<String>,
    pub target: Home,
    pub running: Running,
    pub address: Multiaddr,
    pub peer: PeerId,
    /// The engine profile that stations here claim.
    pub profile: String,
}

impl World {
    /// Starts the target: a station that runs jobs for everybody, is a DHT server, and takes part in [`TOPIC`].
    pub async fn start(program: &Path) -> Self {
        Self::with_topics(program, &[TOPIC.to_owned()]).await
    }

    /// The same in a network of these topics.
    pub async fn with_topics(program: &Path, topics: &[String]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let target = home(program, dir.path(), "target", SocketAddr::new(TARGET.into(), PORT), topics, &[]).await;
        target.write("policy.toml", "[roles]\ndht_server = true\n");
        let running = target.run().await;
        let address: Multiaddr = format!("/ip4/{TARGET}/tcp/{PORT}").parse().expect("an address");
        let node = target.ask(&["id"]).await["node"].as_str().expect("a node id").to_owned();
        let peer = node.parse().expect("a peer id");
        let inspected = target.ask(&["module", "inspect", "noop"]).await;
        let profile = inspected["profile"].as_str().expect("a profile").to_owned();
        Self { dir, program: program.to_owned(), topics: topics.to_vec(), target, running, address, peer, profile }
    }

    /// The target's socket.
    ///
    /// # Panics
    /// Never: it listens on TCP.
    #[must_use]
    pub fn socket(&self) -> SocketAddr {
        socket(&self.address).expect("a socket")
    }

    /// The target's process.
    ///
    /// # Panics
    /// When it has ended.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.running.id().expect("the station runs")
    }

    /// An honest station's home at the `number`-th honest address: it has no capacity, so that the target alone does its work.
    pub async fn honest(&self, name: &str, number: u8) -> Home {
        let bootstrap = [format!("{}/p2p/{}", self.address, self.peer)];
        home(&self.program, self.dir.path(), name, honest_socket(number), &self.topics, &bootstrap).await
    }

    /// The `number`-th key of an attack.
    #[must_use]
    pub fn key(&self, purpose: &str, number: u64) -> Key {
        Key::numbered(NETWORK, purpose, number)
    }

    /// A stranger at `ip` that is connected to the target.
    ///
    /// # Panics
    /// When the target does not take it.
    pub async fn stranger(&self, key: Key, ip: IpAddr) -> Stranger {
        let stranger = Stranger::new(key, ip).await;
        stranger.dial(&self.address, self.peer).await.expect("the target takes a connection");
        stranger
    }

    /// `station status` of the target.
    pub async fn status(&self) -> Json {
        self.target.ask(&["status"]).await
    }

    /// What the target says about an experiment of somebody else, if it knows it.
    pub async fn standing(&self, experiment: &str) -> Option<String> {
        let status = self.status().await;
        let calls = status["calls"].as_array()?;
        calls.iter().find(|call| call["experiment"] == experiment)?["standing"].as_str().map(str::to_owned)
    }

    /// Waits until the target knows the experiment.
    pub async fn until_known(&self, experiment: &str) -> String {
        until("the target to know the experiment", || self.standing(experiment)).await
    }

    /// An honest researcher publishes `jobs` no-ops and waits for the results.
    pub async fn settle(&self, publisher: &Home, jobs: u32) -> (i32, Json) {
        publisher.write("experiment.toml", &noop(jobs));
        publisher.start(&["publish", publisher.dir().join("experiment.toml").to_str().expect("UTF-8")]).finish().await
    }

    /// The same through the station that runs from `home`: what watching it ended with.
    ///
    /// # Panics
    /// When it cannot be published.
    pub async fn settle_over(&self, home: &Home) -> (i32, Json) {
        home.write("experiment.toml", &noop(1));
        let path = home.dir().join("experiment.toml");
        let published = home.ask(&["publish", "--detach", path.to_str().expect("UTF-8")]).await;
        let id = published["experiment"].as_str().expect("an id");
        home.start(&["watch", id]).finish().await
    }

    /// The same, and it must have settled.
    ///
    /// # Panics
    /// When a job has no answer.
    pub async fn honest_work_settles(&self, publisher: &Home, jobs: u32) {
        let (code, results) = self.settle(publisher, jobs).await;
        assert_eq!(code, 0, "{results}");
        let rows = results["rows"].as_array().map_or(0, Vec::len);
        assert_eq!(rows, jobs as usize, "{results}");
    }

    /// Where a blob of the target is, if it is there.
    #[must_use]
    pub fn holds_blob(&self, cid: &str) -> bool {
        holds_file(&self.target.dir().join("store"), cid)
    }
}

/// Whether a file below `folder` is named by the CID.
fn holds_file(folder: &Path, cid: &str) -> bool {
    std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).any(|entry| {
        let path = entry.path();
        path.file_name().is_some_and(|name| name.to_string_lossy().contains(cid)) || (path.is_dir() && holds_file(&path, cid))
    })
}

/// An experiment of no-ops that one station settles.
fn noop(jobs: u32) -> String {
    let input: Vec<String> = (0..jobs).map(|job| job.to_string()).collect();
    format!(
        "name = \"honest\"\ntopic = {TOPIC:?}\nmodule = \"noop\"\ncontact = \"mailto:h@example.org\"\n[jobs]\nn = [{}]\n[pure]\ntrust = \"fixed:1\"\n[run]\ndeadline = \"40s\"\n",
        input.join(", ")
    )
}

async fn home(program: &Path, dir: &Path, name: &str, at: SocketAddr, topics: &[String], bootstrap: &[String]) -> Home {
    let listen = format!("/ip4/{}/tcp/{}", at.ip(), at.port());
    let home = Home::init(program, &dir.join(name), &listen).await;
    home.write("station.toml", &format!("listen = [{listen:?}]\napi = \"127.0.0.1:0\"\nuse_relays = false\ncapacity = 2\n"));
    home.write("network.toml", &format!("name = {NETWORK:?}\ntopics = {topics:?}\nbootstrap = {bootstrap:?}\n"));
    home
}
