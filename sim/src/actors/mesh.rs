//! Attackers of the mesh: swarms made of libp2p's own parts, which speak the network's gossip and break its rules.
//!
//! | strategy | what it does |
//! |---|---|
//! | censor | takes part in the meshes of its targets and forwards nothing, or nothing of one requester |
//! | covert flash | forwards like everybody until its time comes, then nothing |
//! | flip | forwards a copy of every Call with one bit of its signature flipped |
//! | IHAVE spam | announces messages that do not exist, so that its targets ask for them |
//! | flood | publishes Calls, each of a key made for it, that lead nowhere, or to machines of others |
//! | nonsense | sends messages that no version of the protocol knows |
//! | lying requester | gives 32 leases whoever asks for how many, acknowledges no receipt, and gives 32 more |
//! | compile hogs | publishes an experiment whose module is dear to compile, and gives a lease to whoever claims; then it takes another key |
//! | ground census | answers every question for peers with records of keys whose hashes are small |
//!
//! Sybil floods, eclipses and cold boots are these in numbers, at chosen targets or from the start: the world's business.
//! Guarantees: bounded by what it hears and by its clock. Deliberately lacks content but what hogs have compiled.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::gossipsub::{self, IdentTopic, MessageAcceptance, MessageAuthenticity, ValidationMode};
use libp2p::identity::Keypair;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, StreamProtocol, Swarm, identify};
use serde::{Deserialize, Serialize};
use station_node::clock::Clock;
use station_node::network::peer_id;
use station_node::tasks::Tasks;
use station_protocol::address::Address;
use station_protocol::bounded::Name;
use station_protocol::call::{CALL_BYTES_MAX, Call};
use station_protocol::content::{Content, sha256};
use station_protocol::work::{REQUEST_BYTES_MAX, Request};
use station_protocol::{NodeId, Signed, SigningKey, codec};
use tokio::time::{Instant, MissedTickBehavior};

use lies::Liar;

mod flood;
mod hogs;
mod lies;
mod rpc;
#[cfg(test)]
mod tests;

/// Gossip of the version that libp2p speaks with everybody.
const MESHSUB: StreamProtocol = StreamProtocol::new("/meshsub/1.1.0");
/// Between two bursts of nonsense.
const BURST: Duration = Duration::from_millis(100);
/// Publications in one message of a burst: gossipsub itself would send them one by one.
const PUBLISHED_TOGETHER: usize = 12;
/// How often a lost target is dialled again.
const REDIAL: Duration = Duration::from_secs(10);
/// How often a spammer announces.
const ANNOUNCE: Duration = Duration::from_secs(1);
/// Nobody listens there.
const CLOSED_PORT: u16 = 9;
/// Bytes a flipped Call is longer than its signature's end: the signature is the last field, and this bit lies within it.
const FLIPPED_FROM_END: usize = 8;

/// How the mesh is attacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Strategy {
    Censor {
        /// Only what these requesters say; with none of them, everything.
        only: BTreeSet<NodeId>,
    },
    CovertFlash {
        /// From the attacker's start.
        after: Duration,
    },
    Flip,
    IhaveSpam {
        /// Messages announced to each target every second.
        per_second: u32,
    },
    Flood {
        /// Between two Calls.
        every: Duration,
        /// What its keys are made of.
        seed: [u8; 32],
        /// Machines that the Calls say their requester is at; none: nobody's.
        victims: Vec<IpAddr>,
    },
    Nonsense {
        /// Messages sent to each target every second.
        per_second: u32,
    },
    LyingRequester {
        /// Between two experiments.
        every: Duration,
        /// What it has run: a module that every station has, and one input.
        module: Content,
        input: Vec<u8>,
    },
    GroundCensus {
        /// Keys that it searched through.
        keys: u32,
    },
    CompileHogs {
        /// What each module takes on the reference machine.
        compile_ms: u64,
        /// The input of its jobs.
        input: Vec<u8>,
    },
}

impl Strategy {
    /// Whether it writes gossip by hand.
    fn is_raw(&self) -> bool {
        matches!(self, Self::IhaveSpam { .. } | Self::Nonsense { .. })
    }

    /// How often it publishes something of its own.
    fn every(&self) -> Option<Duration> {
        match self {
            Self::Flood { every, .. } | Self::LyingRequester { every, .. } => Some(*every),
            Self::CompileHogs { .. } => Some(hogs::AFTER),
            _ => None,
        }
    }
}

/// Whom to attack, and where.
#[derive(Clone, Debug)]
pub struct Plan {
    pub network: Name,
    pub topics: Vec<Name>,
    pub listen: Multiaddr,
    /// The key that its Calls and records are signed with: that of its swarm.
    pub secret: [u8; 32],
    /// Each ends in `/p2p/…`.
    pub targets: Vec<Multiaddr>,
    pub strategy: Strategy,
}

impl Plan {
    /// A Call of its own.
    fn call(&self, subject: &flood::Subject<'_>, clock: &Clock) -> Signed<Call> {
        let key = SigningKey::from_bytes(&self.secret);
        let at = Address::parse(&format!("{}/p2p/{}", self.listen, key.node())).ok();
        flood::call(subject, &key, at, clock.now())
    }
}

/// What an attacker did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deeds {
    pub heard: u64,
    pub forwarded: u64,
    pub withheld: u64,
    pub forged: u64,
    /// Calls of its own, of keys made for them.
    pub flooded: u64,
    pub announced: u64,
    /// Asked for by targets that believed an announcement; counted by the bytes of their requests.
    pub asked_bytes: u64,
    /// Messages without a meaning.
    #[serde(default)]
    pub nonsense: u64,
    /// Leases given, wanted or not.
    #[serde(default)]
    pub leases: u64,
    /// Receipts that it was sent and never acknowledged, as often as they came.
    #[serde(default)]
    pub unacknowledged: u64,
    /// Records of keys that are nobody's.
    #[serde(default)]
    pub records: u64,
    /// Modules that stations fetched to compile them.
    #[serde(default)]
    pub modules: u64,
}

impl Deeds {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            heard: self.heard + other.heard,
            forwarded: self.forwarded + other.forwarded,
            withheld: self.withheld + other.withheld,
            forged: self.forged + other.forged,
            flooded: self.flooded + other.flooded,
            announced: self.announced + other.announced,
            asked_bytes: self.asked_bytes + other.asked_bytes,
            nonsense: self.nonsense + other.nonsense,
            leases: self.leases + other.leases,
            unacknowledged: self.unacknowledged + other.unacknowledged,
            records: self.records + other.records,
            modules: self.modules + other.modules,
        }
    }
}

/// The attacker cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttackerError {
    #[error("gossip cannot be set up: {0}")]
    Gossip(String),
    #[error("cannot listen on {address}: {reason}")]
    Listen { address: Multiaddr, reason: String },
}

#[derive(NetworkBehaviour)]
struct Behaviour {
    gossip: Toggle<gossipsub::Behaviour>,
    identify: identify::Behaviour,
    stream: libp2p_stream::Behaviour,
}

/// An attacker that is ready to run.
pub struct Attacker {
    swarm: Swarm<Behaviour>,
    plan: Plan,
    tasks: Tasks,
    deeds: Arc<Mutex<Deeds>>,
    /// Calls of its own, published or not.
    rounds: u64,
    liar: Arc<Mutex<Liar>>,
    modules: hogs::Modules,
}

impl std::fmt::Debug for Attacker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attacker").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl Attacker {
    /// An attacker that listens; it dials its targets when it runs.
    pub fn new(keypair: &Keypair, transport: Boxed<(PeerId, StreamMuxerBox)>, tasks: Tasks, plan: Plan) -> Result<Self, AttackerError> {
        let gossip = if plan.strategy.is_raw() { None } else { Some(gossip(&plan).map_err(AttackerError::Gossip)?) };
        let identify = identify::Config::new(format!("/station/{}/1", plan.network), keypair.public());
        let behaviour = Behaviour { gossip: gossip.into(), identify: identify::Behaviour::new(identify), stream: libp2p_stream::Behaviour::new() };
        let config = libp2p::swarm::Config::with_executor(tasks.clone()).with_idle_connection_timeout(Duration::from_secs(3_600));
        let mut swarm = Swarm::new(transport, behaviour, keypair.public().to_peer_id(), config);
        let refused = |error: &dyn std::fmt::Display| AttackerError::Listen { address: plan.listen.clone(), reason: error.to_string() };
        swarm.listen_on(plan.listen.clone()).map_err(|error| refused(&error))?;
        let liar = Arc::new(Mutex::new(Liar::new(&plan, Clock::start().now())));
        Ok(Self { swarm, plan, tasks, deeds: Arc::default(), rounds: 0, liar, modules: hogs::Modules::default() })
    }

    /// What it did so far, also while it runs.
    #[must_use]
    pub fn deeds(&self) -> Arc<Mutex<Deeds>> {
        self.deeds.clone()
    }

    /// Attacks until it is dropped.
    pub async fn run(mut self) {
        let begun = Instant::now();
        self.accept_spammed();
        self.accept_asked();
        self.accept_fetching();
        let mut redial = tokio::time::interval(REDIAL);
        redial.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let clock = Clock::start();
        let floods = self.plan.strategy.every().is_some();
        let every = self.plan.strategy.every().unwrap_or(REDIAL);
        let mut flooding = tokio::time::interval_at(begun + every, every);
        loop {
            tokio::select! {
                _ = redial.tick() => self.dial(),
                _ = flooding.tick(), if floods => self.flood(&clock),
                event = self.swarm.select_next_some() => match event {
                    SwarmEvent::Behaviour(BehaviourEvent::Gossip(gossipsub::Event::Message { propagation_source, message_id, message })) => {
                        self.heard(&propagation_source, &message_id, message, begun.elapsed());
                    }

                    SwarmEvent::ConnectionEstablished { peer_id, num_established, .. } if num_established.get() == 1 => self.announce(peer_id),
                    _ => {}
                }
            }
        }
    }

    fn dial(&mut self) {
        for target in &self.plan.targets {
            let Some(libp2p::multiaddr::Protocol::P2p(peer)) = target.iter().last() else { continue };
            let options = DialOpts::peer_id(peer).condition(PeerCondition::DisconnectedAndNotDialing).addresses(vec![target.clone()]).build();
            // A target that is connected, dialled or full refuses, and is asked again later.
            let _ = self.swarm.dial(options);
        }
    }

    fn heard(&mut self, from: &PeerId, id: &gossipsub::MessageId, message: gossipsub::Message, since: Duration) {
        let Some(gossip) = self.swarm.behaviour_mut().gossip.as_mut() else { return };
        let forwards = match &self.plan.strategy {
            Strategy::Censor { only } => !only.is_empty() && author(&message.data).is_none_or(|author| !only.contains(&author)),
            Strategy::CovertFlash { after } => since < *after,
            Strategy::Flood { .. } | Strategy::LyingRequester { .. } | Strategy::GroundCensus { .. } | Strategy::CompileHogs { .. } => true,
            Strategy::Flip | Strategy::IhaveSpam { .. } | Strategy::Nonsense { .. } => false,
        };
        let acceptance = if forwards { MessageAcceptance::Accept } else { MessageAcceptance::Ignore };
        // It is gone from the cache only when it was reported before.
        let _ = gossip.report_message_validation_result(id, from, acceptance);
        let mut deeds = self.deeds.lock().unwrap_or_else(PoisonError::into_inner);
        deeds.heard += 1;
        deeds.forwarded += u64::from(forwards);
        deeds.withheld += u64::from(!forwards);
        if self.plan.strategy == Strategy::Flip
            && let Some(forged) = flipped(message.data)
        {
            let topic = self.plan.topics.iter().map(|topic| topic_of(&self.plan.network, topic)).find(|topic| topic.hash() == message.topic);
            let published = topic.is_some_and(|topic| gossip.publish(topic, forged).is_ok());
            deeds.forged += u64::from(published);
        }
    }

    /// One more Call, of nobody or of its own, in the first of the topics.
    fn flood(&mut self, clock: &Clock) {
        self.rounds += 1;
        let (Some(topic), Some(gossip)) = (self.plan.topics.first(), self.swarm.behaviour_mut().gossip.as_mut()) else { return };
        let subject = |module| flood::Subject { network: &self.plan.network, topic, module, number: self.rounds };
        let call = match &self.plan.strategy {
            Strategy::Flood { seed, victims, .. } => {
                let key = SigningKey::from_bytes(&sha256(&[seed, &self.rounds.to_be_bytes()]));
                let pointed = victims.iter().filter_map(|victim| flood::at(victim, CLOSED_PORT, &key));
                let at: Vec<Address> = if victims.is_empty() { flood::nowhere(&key).into_iter().collect() } else { pointed.collect() };
                flood::call(&subject(flood::nothing()), &key, at, clock.now())
            }
            Strategy::LyingRequester { module, .. } => self.plan.call(&subject(module.clone()), clock),
            Strategy::CompileHogs { compile_ms, .. } if self.rounds == 1 => {
                let module = self.modules.another(*compile_ms, &self.plan.secret, self.rounds);
                self.plan.call(&subject(module), clock)
            }
            _ => return,
        };
        let published = gossip.publish(topic_of(&self.plan.network, topic), codec::encode(&call)).is_ok();
        self.deeds.lock().unwrap_or_else(PoisonError::into_inner).flooded += u64::from(published);
    }

    /// Answers what stations ask in the `work` protocol, one stream after the other.
    fn accept_asked(&mut self) {
        let Ok(protocol) = StreamProtocol::try_from_owned(format!("/station/{}/1/work", self.plan.network)) else { return };
        let Ok(mut incoming) = self.swarm.behaviour().stream.new_control().accept(protocol) else { return };
        let (tasks, liar, deeds) = (self.tasks.clone(), self.liar.clone(), self.deeds.clone());
        self.tasks.spawn(async move {
            while let Some((peer, mut stream)) = incoming.next().await {
                let (liar, deeds) = (liar.clone(), deeds.clone());
                tasks.spawn(async move {
                    let Ok(node) = peer_id::node_of(&peer) else { return };
                    let mut length = [0; 4];
                    if stream.read_exact(&mut length).await.is_err() || u32::from_be_bytes(length) as usize > REQUEST_BYTES_MAX {
                        return;
                    }
                    let mut body = vec![0; u32::from_be_bytes(length) as usize];
                    if stream.read_exact(&mut body).await.is_err() {
                        return;
                    }
                    let Ok(request) = codec::decode::<Request>(&body, REQUEST_BYTES_MAX) else { return };
                    let answer = {
                        let mut deeds = deeds.lock().unwrap_or_else(PoisonError::into_inner);
                        codec::encode(&liar.lock().unwrap_or_else(PoisonError::into_inner).answer(node, &request, &mut deeds))
                    };
                    let length = u32::try_from(answer.len()).unwrap_or(u32::MAX).to_be_bytes();
                    let frame = [&length[..], &answer].concat();
                    // Who asked may be gone by now.
                    let _ = stream.write_all(&frame).await;
                    let _ = stream.close().await;
                });
            }
        });
    }

    /// A spammer takes the gossip streams that its targets open, and reads what they ask for.
    fn accept_spammed(&mut self) {
        if !self.plan.strategy.is_raw() {
            return;
        }
        let Ok(mut incoming) = self.swarm.behaviour().stream.new_control().accept(MESHSUB) else { return };
        let (tasks, deeds) = (self.tasks.clone(), self.deeds.clone());
        self.tasks.spawn(async move {
            while let Some((_, mut stream)) = incoming.next().await {
                let deeds = deeds.clone();
                tasks.spawn(async move {
                    let mut buffer = vec![0; 4 << 10];
                    while let Ok(bytes @ 1..) = stream.read(&mut buffer).await {
                        deeds.lock().unwrap_or_else(PoisonError::into_inner).asked_bytes += bytes as u64;
                    }
                });
            }
        });
    }

    /// Writes to a new target what libp2p's behaviour would not.
    fn announce(&self, target: PeerId) {
        let (every, per_round) = match self.plan.strategy {
            Strategy::IhaveSpam { per_second } => (ANNOUNCE, per_second),
            Strategy::Nonsense { per_second } => (BURST, per_second / 10),
            _ => return,
        };
        let announces = matches!(self.plan.strategy, Strategy::IhaveSpam { .. });
        let (mut control, deeds) = (self.swarm.behaviour().stream.new_control(), self.deeds.clone());
        let topics: Vec<String> = self.plan.topics.iter().map(|topic| topic_text(&self.plan.network, topic)).collect();
        self.tasks.spawn(async move {
            let Ok(mut stream) = control.open_stream(target, MESHSUB).await else { return };
            if stream.write_all(&rpc::subscriptions(&topics)).await.is_err() {
                return;
            }
            let mut tick = tokio::time::interval(every);
            for round in 0_u64.. {
                tick.tick().await;
                let id = |number: u32| sha256(&[&target.to_bytes(), &round.to_be_bytes(), &number.to_be_bytes()]);
                let ids: Vec<[u8; 32]> = (0..per_round).map(id).collect();
                for topic in &topics {
                    let frames: Vec<u8> = if announces { rpc::ihave(topic, &ids) } else { nonsense(topic, &ids) };
                    if stream.write_all(&frames).await.is_err() || stream.flush().await.is_err() {
                        return;
                    }
                    let mut deeds = deeds.lock().unwrap_or_else(PoisonError::into_inner);
                    *(if announces { &mut deeds.announced } else { &mut deeds.nonsense }) += ids.len() as u64;
                }
            }
        });
    }
}

/// Byte strings of eight bytes: canonical, and a message of no version that exists.
fn nonsense(topic: &str, ids: &[[u8; 32]]) -> Vec<u8> {
    let messages: Vec<Vec<u8>> = ids.iter().map(|id| [&[0x48], &id[..8]].concat()).collect();
    messages.chunks(PUBLISHED_TOGETHER).flat_map(|some| rpc::publish(topic, some)).collect()
}

fn gossip(plan: &Plan) -> Result<gossipsub::Behaviour, String> {
    let mut settings = gossipsub::ConfigBuilder::default();
    settings.validation_mode(ValidationMode::Anonymous).validate_messages().mesh_n(8).mesh_n_low(6).mesh_n_high(12);
    settings.message_id_fn(|message| sha256(&[message.topic.as_str().as_bytes(), &[0], &message.data]).to_vec().into());
    let settings = settings.build().map_err(|error| error.to_string())?;
    let mut gossip = gossipsub::Behaviour::new(MessageAuthenticity::Anonymous, settings).map_err(str::to_owned)?;
    for topic in &plan.topics {
        gossip.subscribe(&topic_of(&plan.network, topic)).map_err(|error| error.to_string())?;
    }
    Ok(gossip)
}

fn topic_text(network: &Name, topic: &Name) -> String {
    format!("/station/{network}/1/calls/{topic}")
}

fn topic_of(network: &Name, topic: &Name) -> IdentTopic {
    IdentTopic::new(topic_text(network, topic))
}

/// Whose Call a message is, if it is one.
fn author(data: &[u8]) -> Option<NodeId> {
    codec::decode::<Signed<Call>>(data, CALL_BYTES_MAX).ok().map(|call| call.author)
}

/// The Call with one bit of its signature flipped: canonical, and signed by nobody.
fn flipped(mut data: Vec<u8>) -> Option<Vec<u8>> {
    let at = data.len().checked_sub(FLIPPED_FROM_END)?;
    *data.get_mut(at)? ^= 1;
    Some(data)
}
