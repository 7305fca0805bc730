//! Attackers of the mesh: swarms made of libp2p's own parts, which speak the network's gossip and break its rules.
//!
//! | strategy | what it does |
//! |---|---|
//! | censor | takes part in the meshes of its targets and forwards nothing, or nothing of one requester |
//! | covert flash | forwards like everybody until its time comes, then nothing |
//! | flip | forwards a copy of every Call with one bit of its signature flipped |
//! | IHAVE spam | announces messages that do not exist, so that its targets ask for them |
//! | flood | publishes Calls, each of a key made for it, that lead nowhere |
//!
//! Sybil floods, eclipses and cold boots are these in numbers, at chosen targets or from the start: the world's business.
//! Guarantees: bounded by what it hears and by its clock. Deliberately lacks the station's other protocols: who wants them is a
//! real node with another seam wrapped.

use std::collections::BTreeSet;
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
use station_node::tasks::Tasks;
use station_protocol::bounded::Name;
use station_protocol::call::{CALL_BYTES_MAX, Call};
use station_protocol::content::sha256;
use station_protocol::{NodeId, Signed, codec};
use tokio::time::{Instant, MissedTickBehavior};

mod flood;
mod rpc;
#[cfg(test)]
mod tests;

/// Gossip of the version that libp2p speaks with everybody.
const MESHSUB: StreamProtocol = StreamProtocol::new("/meshsub/1.1.0");
/// How often a lost target is dialled again.
const REDIAL: Duration = Duration::from_secs(10);
/// How often a spammer announces.
const ANNOUNCE: Duration = Duration::from_secs(1);
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
    },
}

/// Whom to attack, and where.
#[derive(Clone, Debug)]
pub struct Plan {
    pub network: Name,
    pub topics: Vec<Name>,
    pub listen: Multiaddr,
    /// Each ends in `/p2p/…`.
    pub targets: Vec<Multiaddr>,
    pub strategy: Strategy,
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
}

impl std::fmt::Debug for Attacker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attacker").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl Attacker {
    /// An attacker that listens; it dials its targets when it runs.
    pub fn new(keypair: &Keypair, transport: Boxed<(PeerId, StreamMuxerBox)>, tasks: Tasks, plan: Plan) -> Result<Self, AttackerError> {
        let spams = matches!(plan.strategy, Strategy::IhaveSpam { .. });
        let gossip = if spams { None } else { Some(gossip(&plan).map_err(AttackerError::Gossip)?) };
        let identify = identify::Config::new(format!("/station/{}/1", plan.network), keypair.public());
        let behaviour = Behaviour { gossip: gossip.into(), identify: identify::Behaviour::new(identify), stream: libp2p_stream::Behaviour::new() };
        let config = libp2p::swarm::Config::with_executor(tasks.clone()).with_idle_connection_timeout(Duration::from_secs(3_600));
        let mut swarm = Swarm::new(transport, behaviour, keypair.public().to_peer_id(), config);
        let refused = |error: &dyn std::fmt::Display| AttackerError::Listen { address: plan.listen.clone(), reason: error.to_string() };
        swarm.listen_on(plan.listen.clone()).map_err(|error| refused(&error))?;
        Ok(Self { swarm, plan, tasks, deeds: Arc::default(), rounds: 0 })
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
        let mut redial = tokio::time::interval(REDIAL);
        redial.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let clock = Clock::start();
        let floods = matches!(self.plan.strategy, Strategy::Flood { .. });
        let every = if let Strategy::Flood { every, .. } = self.plan.strategy { every } else { REDIAL };
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
            Strategy::Flood { .. } => true,
            Strategy::Flip | Strategy::IhaveSpam { .. } => false,
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

    /// One more Call of nobody, in the first of the topics.
    fn flood(&mut self, clock: &Clock) {
        self.rounds += 1;
        let Strategy::Flood { seed, .. } = &self.plan.strategy else { return };
        let (Some(topic), Some(gossip)) = (self.plan.topics.first(), self.swarm.behaviour_mut().gossip.as_mut()) else { return };
        let call = flood::call(&self.plan.network, topic, &sha256(&[seed, &self.rounds.to_be_bytes()]), clock.now());
        let published = gossip.publish(topic_of(&self.plan.network, topic), codec::encode(&call)).is_ok();
        self.deeds.lock().unwrap_or_else(PoisonError::into_inner).flooded += u64::from(published);
    }

    /// A spammer takes the gossip streams that its targets open, and reads what they ask for.
    fn accept_spammed(&mut self) {
        if !matches!(self.plan.strategy, Strategy::IhaveSpam { .. }) {
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

    fn announce(&self, target: PeerId) {
        let Strategy::IhaveSpam { per_second } = self.plan.strategy else { return };
        let (mut control, deeds) = (self.swarm.behaviour().stream.new_control(), self.deeds.clone());
        let topics: Vec<String> = self.plan.topics.iter().map(|topic| topic_text(&self.plan.network, topic)).collect();
        self.tasks.spawn(async move {
            let Ok(mut stream) = control.open_stream(target, MESHSUB).await else { return };
            if stream.write_all(&rpc::subscriptions(&topics)).await.is_err() {
                return;
            }
            let mut tick = tokio::time::interval(ANNOUNCE);
            for round in 0_u64.. {
                tick.tick().await;
                let id = |number: u32| sha256(&[&target.to_bytes(), &round.to_be_bytes(), &number.to_be_bytes()]);
                let ids: Vec<[u8; 32]> = (0..per_second).map(id).collect();
                for topic in &topics {
                    if stream.write_all(&rpc::ihave(topic, &ids)).await.is_err() || stream.flush().await.is_err() {
                        return;
                    }
                    deeds.lock().unwrap_or_else(PoisonError::into_inner).announced += ids.len() as u64;
                }
            }
        });
    }
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
