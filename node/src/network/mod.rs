//! [`Network`]: libp2p as values. Commands go in, events come out; the station's one event loop drives it.
//!
//! ```text
//!  station ── Command ─► perform ─► Swarm (gossipsub, work, car, kad, identify, relay, …) ─► transport (handed in)
//!     ▲                                │
//!     └──── Event ◄── next ◄── handle ─┘
//! ```
//!
//! Guarantees: every `Send` is answered once, every search ends once; a Call that leaves here as an event passed the stateless checks,
//! and one that did not has been rejected; every table a stranger can fill is bounded; nothing is spawned but through the executor
//! given. Deliberately lacks decisions about the protocol, sockets, files and a clock of its own.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt;

use futures::StreamExt;
use libp2p::core::Transport;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::timeout::TransportTimeout;
use libp2p::core::transport::{Boxed, OrTransport};
use libp2p::core::upgrade::Version;
use libp2p::gossipsub::{IdentTopic, MessageId, TopicHash};
use libp2p::identity::Keypair;
use libp2p::kad::QueryId;
use libp2p::request_response::{OutboundRequestId, ResponseChannel};
use libp2p::swarm::{ConnectionId, Executor};
use libp2p::{Multiaddr, PeerId, Swarm, noise, relay};
use libp2p_stream::{Control, IncomingStreams};
use station_protocol::NodeId;
use station_protocol::bounded::{Name, Text};
use station_protocol::durable::Ticket;
use station_protocol::work::{At, Request, Response};
use station_protocol::worker::SendFailure;
use tokio::sync::oneshot;
use tokio::time::Instant;

mod addresses;
mod behaviour;
mod bootstrap;
mod codec;
pub mod config;
mod dialing;
pub mod events;
mod frames;
#[doc(hidden)]
pub mod fuzz;
mod gate;
mod gauges;
mod gossip;
mod handle;
pub mod kad_store;
pub mod knocks;
mod limits;
mod lookup;
mod metered;
pub mod peer_id;
mod peers;
mod perform;
mod pings;
mod reach;
mod relaying;
pub mod relays;
mod standing;
mod streams;
#[cfg(test)]
mod tests;
mod topics;

pub use config::{GossipConfig, NetworkConfig, Reach, Roles};
pub use events::{CarStream, Command, Event, OpenFailure, Remote};
pub(crate) use frames::multiplexing;

use behaviour::Behaviour;
use bootstrap::Backoff;
use dialing::Dialing;
use gossip::Copies;
use knocks::{Bootstrap, Knocks};
use peers::Peers;
pub use peers::SOFTWARE_BYTES_MAX;
use relays::{RelayFigures, Relays};
use standing::Standing;
use streams::Paying;
use topics::Topics;

use crate::ledger::Ledger;

/// The network cannot be built as configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    #[error("the station's key is not usable: {0}")]
    Key(String),
    #[error("gossip cannot be set up: {0}")]
    Gossip(String),
    #[error("cannot listen on {address}: {reason}")]
    Listen { address: Multiaddr, reason: String },
}

/// What waits for a connection.
#[derive(Debug)]
enum Waiting {
    Send { send: Ticket, request: Box<Request> },
    Car(oneshot::Sender<Result<(), SendFailure>>),
}

/// A search of the DHT under way.
#[derive(Debug)]
enum Find {
    /// Peers of a topic, to connect to: how many more.
    TopicPeers {
        left: usize,
    },
    Content {
        find: Ticket,
        found: Vec<(NodeId, At)>,
    },
}

/// A request that awaits our answer.
struct Ask {
    channel: ResponseChannel<codec::Frame<Response>>,
    from: NodeId,
    relayed: bool,
}

/// Numbers of the station as the mesh sees it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub connected: usize,
    pub topic_peers: usize,
    pub at: At,
    pub gossip: GossipFigures,
    pub dht: DhtFigures,
    /// Nothing where this station is no relay.
    pub relay: RelayFigures,
    /// Direct connections that others opened since the start.
    pub reached: u64,
}

/// A connected peer, and the best way to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    pub node: NodeId,
    pub remote: Remote,
    /// Whether it speaks about topics of this network.
    pub on_topic: bool,
    /// What it says that it runs; empty before it said so.
    pub software: Text<SOFTWARE_BYTES_MAX>,
}

/// Lookups in the DHT that ended so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DhtFigures {
    pub lookups: u64,
    /// Requests that they sent.
    pub requests: u64,
    /// How long they took, all together.
    pub time_ms: u64,
}

/// What gossip carried so far, and the mesh that carries it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GossipFigures {
    /// Mesh peers of all topics.
    pub mesh: usize,
    /// Messages that arrived, each counted once.
    pub messages: u64,
    /// Copies of messages that arrived, the first ones too.
    pub copies: u64,
}

pub struct Network {
    swarm: Swarm<Behaviour>,
    config: NetworkConfig,
    own: NodeId,
    topic_names: HashMap<TopicHash, Name>,
    peers: Peers,
    topics: Topics,
    dialing: Dialing<Waiting>,
    standing: Standing,
    ledger: Ledger,
    judgements: BTreeMap<Ticket, (MessageId, PeerId)>,
    asks: BTreeMap<Ticket, Ask>,
    sends: HashMap<OutboundRequestId, (Ticket, NodeId)>,
    finds: HashMap<QueryId, Find>,
    car_control: Control,
    car_incoming: IncomingStreams,
    announced: At,
    bootstrap: Backoff,
    knocks: Knocks,
    /// Direct connections that others opened since the start: this station can be reached from somewhere.
    reached: u64,
    search: Backoff,
    /// The DHT does not know yet that this station is in its topics, at these addresses.
    unprovided: bool,
    /// DHT servers that were known when it was told last.
    provided_to: usize,
    /// Circuits to close because a direct connection took their place.
    spent_circuits: VecDeque<(Instant, PeerId, ConnectionId)>,
    relays: Relays,
    /// Where this station is a relay: who has a place here, and who keeps how many circuits through here.
    clients: BTreeSet<PeerId>,
    circuits: BTreeMap<PeerId, usize>,
    carried: RelayFigures,
    dht: DhtFigures,
    /// Of gossip: messages, and copies of messages.
    messages: u64,
    copies: Copies,
    events: VecDeque<Event>,
    next_ticket: u64,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("own", &self.own).field("peers", &self.peers).field("topics", &self.topics).finish_non_exhaustive()
    }
}

impl Network {
    /// A swarm over `transport`, which is authenticated and multiplexed and lies below the relay client. Begins to listen and to
    /// dial bootstrap nodes.
    pub fn new(
        config: NetworkConfig,
        keypair: &Keypair,
        transport: Boxed<(PeerId, StreamMuxerBox)>,
        executor: impl Executor + Send + 'static,
    ) -> Result<Self, NetworkError> {
        let peer = keypair.public().to_peer_id();
        let own = peer_id::node_of(&peer).map_err(|error| NetworkError::Key(error.to_string()))?;
        let (circuits, relay_client) = relay::client::new(peer);
        let noise = noise::Config::new(keypair).map_err(|error| NetworkError::Key(error.to_string()))?;
        let circuits = circuits
            .upgrade(Version::V1Lazy)
            .authenticate(noise)
            .multiplex(multiplexing())
            .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
        let named = config.bootstrap.iter().filter_map(addresses::node_of_address);
        let ledger = Ledger::new(config.reach, named);
        let direct = reach::Reached::new(transport, config.reach, config.bootstrap.iter().cloned(), ledger.clone());
        let payers = ledger.clone();
        let transport = OrTransport::new(circuits, direct).map(move |either, _| {
            let (peer, muxer) = either.into_inner();
            (peer, StreamMuxerBox::new(Paying::new(muxer, &peer, payers.clone())))
        });
        let transport = TransportTimeout::new(transport, config::HANDSHAKE_TIMEOUT).boxed();
        let copies = Copies::default();
        let behaviour = behaviour::build(&config, keypair, relay_client, copies.clone(), ledger.clone())?;
        let mut car_control = behaviour.car.new_control();
        let car_incoming = car_control.accept(config.protocol("car")).expect("a new behaviour has no protocol registered");
        let settings = libp2p::swarm::Config::with_executor(executor)
            .with_idle_connection_timeout(config::IDLE_TIMEOUT)
            .with_max_negotiating_inbound_streams(config::STREAMS_MAX);
        let mut network = Self {
            swarm: Swarm::new(transport, behaviour, peer, settings),
            topic_names: config.topics.iter().map(|topic| (IdentTopic::new(config.topic_text(topic)).hash(), topic.clone())).collect(),
            own,
            peers: Peers::default(),
            topics: Topics::new(config.guests_kept(config.inbound_max())),
            dialing: Dialing::default(),
            standing: Standing::default(),
            ledger,
            judgements: BTreeMap::new(),
            asks: BTreeMap::new(),
            sends: HashMap::new(),
            finds: HashMap::new(),
            car_control,
            car_incoming,
            announced: At::default(),
            bootstrap: Backoff::dial(own.0[0]),
            knocks: Knocks::new(&config.bootstrap, own, Instant::now()),
            reached: 0,
            search: Backoff::search(own.0[1]),
            unprovided: true,
            provided_to: 0,
            spent_circuits: VecDeque::new(),
            relays: Relays::new(own),
            clients: BTreeSet::new(),
            circuits: BTreeMap::new(),
            carried: RelayFigures::default(),
            dht: DhtFigures::default(),
            messages: 0,
            copies,
            events: VecDeque::new(),
            next_ticket: 0,
            config,
        };
        network.start()?;
        Ok(network)
    }

    fn start(&mut self) -> Result<(), NetworkError> {
        for address in self.config.listen.clone() {
            let failed = |reason: String| NetworkError::Listen { address: address.clone(), reason };
            self.swarm.listen_on(address.clone()).map_err(|error| failed(error.to_string()))?;
        }
        for address in self.config.external.clone() {
            self.swarm.add_external_address(address);
        }
        if !self.config.bootstrap.is_empty() {
            self.bootstrap.restart(Instant::now());
        }
        Ok(())
    }

    /// What happens next. Cancel-safe: nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            let deadline = self.next_deadline();
            let timer = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = self.swarm.select_next_some() => self.handle(event),
                Some((peer, stream)) = self.car_incoming.next() => self.car_arrived(peer, stream),
                () = timer => self.tick(Instant::now()),
            }
        }
    }

    /// This station's node id.
    #[must_use]
    pub fn own(&self) -> NodeId {
        self.own
    }

    /// The accounts of strangers, to charge more to.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    #[must_use]
    pub fn reach(&self) -> Reach {
        self.config.reach
    }

    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let gossip = &self.swarm.behaviour().gossip.inner;
        let mesh = self.topic_names.keys().map(|topic| gossip.mesh_peers(topic).count()).sum();
        Snapshot {
            connected: self.swarm.connected_peers().count(),
            topic_peers: self.topics.len(),
            at: self.announced.clone(),
            gossip: GossipFigures { mesh, messages: self.messages, copies: self.copies.count() },
            dht: self.dht,
            relay: self.carried,
            reached: self.reached,
        }
    }

    /// What came of dialling each bootstrap address.
    #[must_use]
    pub fn bootstraps(&self) -> Vec<Bootstrap> {
        self.knocks.told(Instant::now())
    }

    /// Everybody who is connected, in the order of their ids.
    #[must_use]
    pub fn paths(&self) -> Vec<Path> {
        let path = |node: NodeId| {
            Some(Path { node, remote: self.peers.best(node)?, on_topic: self.topics.knows(&node), software: self.peers.software(node) })
        };
        self.peers.nodes().filter_map(path).collect()
    }

    fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    fn next_deadline(&self) -> Option<Instant> {
        let circuits = self.spent_circuits.front().map(|(at, ..)| *at);
        let guests = self.topics.next_look();
        let relays = self.relays.deadline();
        [self.bootstrap.next(), self.search.next(), self.standing.next_deadline(), circuits, guests, relays].into_iter().flatten().min()
    }
}
