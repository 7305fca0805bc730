//! Real swarms in one runtime over loopback TCP, and the bookkeeping by itself. Tests wait for events, never for time.

use std::net::Ipv4Addr;
use std::time::Duration;

use futures::future::select_all;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::identity::Keypair;
use libp2p::swarm::Executor;
use libp2p::{Multiaddr, PeerId};
use station_protocol::address::Address;
use station_protocol::bounded::{List, Name, Text};
use station_protocol::call::{Call, CallState};
use station_protocol::codec::encode;
use station_protocol::content::{Content, RAW, cid_of};
use station_protocol::experiment::{Class, Experiment, JobsRef, Trust};
use station_protocol::identity::Hash32;
use station_protocol::limits::Limits;
use station_protocol::time::{MINUTE, Time};
use station_protocol::work::At;
use station_protocol::{NodeId, Signed, SigningKey};

use super::peer_id::keypair;
use super::{Event, Network, NetworkConfig, Reach, Roles};
use crate::platform::transport;

mod bookkeeping;
mod budgets;
mod document;
mod doors;
mod finding;
mod flooding;
mod gossiping;
mod limits;
mod multiplexed;
mod names;
mod pointers;
mod services;
mod silent;
mod told;
mod working;

/// A test that waits longer than this has found a bug; none passes or fails by how fast it was.
const HANG: Duration = Duration::from_secs(120);

struct TokioTasks;

impl Executor for TokioTasks {
    fn exec(&self, task: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>) {
        tokio::spawn(task);
    }
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a good name")
}

fn multiaddr(text: &str) -> Multiaddr {
    text.parse().expect("a multiaddr")
}

fn secret(number: u8) -> [u8; 32] {
    [number; 32]
}

fn node(number: u8) -> NodeId {
    SigningKey::from_bytes(&secret(number)).node()
}

/// A station of the test network in `topics`, listening on loopback.
fn config(topics: &[&str]) -> NetworkConfig {
    let mut config = NetworkConfig::new(name("lab"), topics.iter().map(|topic| name(topic)).collect());
    config.listen = vec![loopback()];
    config.reach = Reach::Any;
    config.dcutr = false;
    config
}

fn loopback() -> Multiaddr {
    Multiaddr::from(Ipv4Addr::LOCALHOST).with(libp2p::multiaddr::Protocol::Tcp(0))
}

fn dht_server() -> NetworkConfig {
    NetworkConfig { roles: Roles { dht_server: true, bootstrap: true, relay: false }, ..config(&[]) }
}

/// Several stations, all driven whenever one of them is waited for.
struct Lab {
    stations: Vec<Network>,
    at: Vec<At>,
}

impl Lab {
    /// Station `i` has the key `secret(i + 1)`. Returns once all know their address.
    async fn new(configs: Vec<NetworkConfig>) -> Self {
        let mut lab = Self { stations: Vec::new(), at: Vec::new() };
        for config in configs {
            lab.add(config).await;
        }
        lab
    }

    async fn add(&mut self, config: NetworkConfig) -> usize {
        self.add_over(config, |key| transport::tcp(key).expect("a transport")).await
    }

    async fn add_over(&mut self, config: NetworkConfig, transport: impl FnOnce(&Keypair) -> Boxed<(PeerId, StreamMuxerBox)>) -> usize {
        let index = self.stations.len();
        let key = keypair(secret(u8::try_from(index).expect("few stations") + 1));
        let transport = transport(&key);
        self.stations.push(Network::new(config, &key, transport, TokioTasks).expect("a network"));
        self.at.push(At::default());
        while self.at[index].is_empty() {
            self.step().await;
        }
        index
    }

    async fn step(&mut self) -> (usize, Event) {
        let all = self.stations.iter_mut().map(|station| Box::pin(station.next()));
        let (event, index, _) = tokio::time::timeout(HANG, select_all(all)).await.expect("something happens");
        if let Event::Addresses(at) = &event {
            self.at[index] = at.clone();
        }
        (index, event)
    }

    /// Drives all until `wanted` returns something; every event is shown to it.
    async fn until<T>(&mut self, mut wanted: impl FnMut(&mut Self, usize, Event) -> Option<T>) -> T {
        let waiting = async {
            loop {
                let (index, event) = self.step().await;
                if let Some(found) = wanted(self, index, event) {
                    return found;
                }
            }
        };
        tokio::time::timeout(HANG, waiting).await.expect("what the test waits for happens")
    }

    /// Connects `from` to `to` and waits until both know the other as a topic peer.
    async fn introduce(&mut self, from: usize, to: usize) {
        let (from_id, to_id) = (self.stations[from].own(), self.stations[to].own());
        let at = self.at[to].clone();
        self.stations[from].perform(super::Command::Neighbours { topic: name("t"), peers: vec![(to_id, at)] });
        let (mut there, mut back) = (false, false);
        self.until(|_, index, event| {
            if let Event::Connected { node, .. } = event {
                there |= index == from && node == to_id;
                back |= index == to && node == from_id;
            }
            (there && back).then_some(())
        })
        .await;
    }
}

/// A valid Call of requester `number` on topic "t".
fn call(number: u8, seq: u64) -> Signed<Call> {
    let key = SigningKey::from_bytes(&secret(number));
    let network = name("lab");
    let experiment = Experiment {
        requester: key.node(),
        network: network.clone(),
        topic: name("t"),
        name: Text::new("test").expect("short"),
        module: Content { cid: cid_of(RAW, b"module"), bytes: 6 },
        profile: name("station-wasm-2"),
        needs: Default::default(),
        limits: Limits::default(),
        class: Class::Pure(Trust::Fixed(3)),
        jobs: JobsRef { root: cid_of(RAW, b"jobs"), count: 1, target: None },
        labels: Default::default(),
        deadline: Time(60 * MINUTE),
        contact: Text::new("mailto:lab@example.org").expect("short"),
        commitment: Hash32([0; 32]),
        input: station_protocol::experiment::InputForm::DagCbor,
        output: station_protocol::experiment::OutputForm::DagCbor,
        previous: None,
    };
    let address = format!("/ip4/192.0.2.1/tcp/4001/p2p/{}", key.node());
    let body = Call {
        experiment: key.sign(&network, experiment),
        seq,
        state: CallState::Open,
        claim_below: u64::MAX,
        wanted: 3,
        at: List::first([Address::parse(&address).expect("an address")]),
        nbf: Time(MINUTE),
        exp: Time(5 * MINUTE),
    };
    key.sign(&network, body)
}

fn bytes(call: &Signed<Call>) -> Vec<u8> {
    encode(call)
}
