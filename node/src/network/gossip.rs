//! Gossipsub as Station uses it: anonymous messages named by their bytes, and peer scoring.
//!
//! Guarantees: the id of a message is the hash of its topic and of the bytes as received, so that a copy with a broken signature
//! has another id and cannot take the good one's place; a peer is scored down only for what no honest station sends. Deliberately
//! lacks P3 (missing deliveries): Calls are rare, so there is no rate to expect.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use libp2p::gossipsub::{
    self, Config, ConfigBuilder, DataTransform, IdentTopic, MaxCountSubscriptionFilter, Message, MessageAuthenticity, MessageId, PeerScoreParams,
    PeerScoreThresholds, RawMessage, TopicHash, TopicScoreParams, ValidationMode, WhitelistSubscriptionFilter,
};
use station_protocol::bounded::Name;
use station_protocol::call::{self, CALL_BYTES_MAX, CallError};
use station_protocol::codec::{self, DecodeError};
use station_protocol::content::sha256;

use super::NetworkError;
use super::config::{GossipConfig, NetworkConfig, Reach};
use super::metered::SUBSCRIPTIONS_MAX;

pub(crate) type Gossip = gossipsub::Behaviour<Copies, MaxCountSubscriptionFilter<WhitelistSubscriptionFilter>>;

/// A frame: a dozen of the largest Calls, or the names of a heartbeat's messages. One limit for all topics: limits by topic would be
/// copied each time a connection is polled, and `call::check` refuses what is too large for a Call.
pub(super) const FRAME_BYTES_MAX: usize = 64 << 10;
const _: () = assert!(FRAME_BYTES_MAX >= 12 * CALL_BYTES_MAX);
/// A Call lives 10 min and clocks differ by up to 1 min between two stations: forgotten earlier, it could be replayed.
const DUPLICATE_CACHE: Duration = Duration::from_secs(12 * 60);
/// Messages in one frame: a dozen of the largest fill it.
pub(super) const FRAME_MESSAGES_MAX: usize = 12;
/// Bytes of control in one frame: the names of 100 messages. A name is remembered for three seconds, as long as it pleases its sender to be.
pub(super) const CONTROL_BYTES_MAX: usize = 4 << 10;
/// Names told or asked for at once: what fits into such a frame.
const NAMES_MAX: usize = 64;
/// Frames that tell of messages, of one neighbour in one heartbeat: two for each of the topics that a station is in, seldom more than four.
const NAMES_FRAMES_MAX: usize = 8;
/// Messages that wait for one neighbour that reads slowly: what comes in half a minute at a neighbour's rate. More are dropped.
const QUEUE_MAX: usize = 128;
/// How long a peer that has gone is remembered when its score is bad. Whom this station let go, it remembers itself.
const RETAIN_SCORE: Duration = Duration::from_secs(20 * 60);
/// Peers of one IP before each further one costs: a carrier's NAT holds many households.
const COLOCATION_THRESHOLD: f64 = 16.0;
const COLOCATION_WEIGHT: f64 = -10.0;
/// One invalid message costs 100, three 900, six are beyond the graylist; half forgotten in 9 min, all in an hour.
const INVALID_WEIGHT: f64 = -1_000.0;
const TOPIC_WEIGHT: f64 = 0.1;
const HOUR_DECAY: f64 = 0.99872;
const TEN_MINUTES_DECAY: f64 = 0.99235;
/// Below the first no gossip, below the second no publishing, below the third nothing at all.
const THRESHOLDS: (f64, f64, f64) = (-500.0, -1_000.0, -2_500.0);

/// Counts the copies of messages that arrive, the first of each too. It sees them before gossipsub drops what it knows already.
#[derive(Clone, Debug, Default)]
pub(crate) struct Copies(Arc<AtomicU64>);

impl Copies {
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl DataTransform for Copies {
    fn inbound_transform(&self, raw: RawMessage) -> Result<Message, std::io::Error> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Message { source: raw.source, data: raw.data, sequence_number: raw.sequence_number, topic: raw.topic })
    }

    fn outbound_transform(&self, _: &TopicHash, data: Vec<u8>) -> Result<Vec<u8>, std::io::Error> {
        Ok(data)
    }
}

/// Gossip as `config` has it, counting into `copies`.
pub(crate) fn build(config: &NetworkConfig, copies: Copies) -> Result<Gossip, NetworkError> {
    let topics: Vec<IdentTopic> = config.topics.iter().map(|topic| IdentTopic::new(config.topic_text(topic))).collect();
    let hashes: HashSet<TopicHash> = topics.iter().map(IdentTopic::hash).collect();
    let known = hashes.len().max(1);
    let filter = MaxCountSubscriptionFilter {
        filter: WhitelistSubscriptionFilter(hashes.clone()),
        max_subscribed_topics: known,
        max_subscriptions_per_request: SUBSCRIPTIONS_MAX,
    };
    let settings = settings(&config.gossip).map_err(|error| NetworkError::Gossip(error.to_string()))?;
    let mut gossip = Gossip::new_with_subscription_filter_and_transform(MessageAuthenticity::Anonymous, settings, filter, copies)
        .map_err(|why| NetworkError::Gossip(why.into()))?;
    gossip.with_peer_score(score(&hashes, config.reach), thresholds()).map_err(NetworkError::Gossip)?;
    for topic in &topics {
        gossip.subscribe(topic).map_err(|error| NetworkError::Gossip(error.to_string()))?;
    }
    Ok(gossip)
}

pub(super) fn settings(gossip: &GossipConfig) -> Result<Config, gossipsub::ConfigBuilderError> {
    let mut builder = ConfigBuilder::default();
    builder
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(message_id)
        .mesh_n(gossip.mesh_n)
        .mesh_n_low(gossip.mesh_n_low)
        .mesh_n_high(gossip.mesh_n_high)
        .retain_scores(gossip.mesh_n_low)
        .mesh_outbound_min(gossip.mesh_outbound_min)
        .gossip_lazy(gossip.gossip_lazy)
        .gossip_factor(f64::from(gossip.gossip_factor_permille) / 1_000.0)
        .prune_backoff(Duration::from_secs(60))
        .unsubscribe_backoff(Duration::from_secs(10))
        .heartbeat_interval(gossip.heartbeat)
        .duplicate_cache_time(DUPLICATE_CACHE)
        .flood_publish(gossip.flood_publish)
        .max_publish_messages(FRAME_MESSAGES_MAX)
        .max_control_message_size(CONTROL_BYTES_MAX)
        .max_control_messages_sent(NAMES_MAX)
        .max_ihave_messages_heartbeat(NAMES_FRAMES_MAX)
        .connection_handler_queue_len(QUEUE_MAX)
        .prune_peers(0)
        .max_transmit_size(FRAME_BYTES_MAX);
    builder.build()
}

/// sha256(topic ‖ 0 ‖ bytes as received).
fn message_id(message: &Message) -> MessageId {
    MessageId::from(sha256(&[message.topic.as_str().as_bytes(), &[0], &message.data]).to_vec())
}

fn thresholds() -> PeerScoreThresholds {
    PeerScoreThresholds {
        gossip_threshold: THRESHOLDS.0,
        publish_threshold: THRESHOLDS.1,
        graylist_threshold: THRESHOLDS.2,
        // No peer's advice on whom to connect to is taken: the protocol's own Peers exchange is signed.
        accept_px_threshold: 1_000.0,
        opportunistic_graft_threshold: 2.5,
    }
}

fn score(topics: &HashSet<TopicHash>, reach: Reach) -> PeerScoreParams {
    let topic = TopicScoreParams {
        topic_weight: TOPIC_WEIGHT,
        time_in_mesh_weight: 0.000_277_8,
        time_in_mesh_quantum: Duration::from_secs(1),
        time_in_mesh_cap: 3_600.0,
        first_message_deliveries_weight: 0.5,
        first_message_deliveries_decay: HOUR_DECAY,
        first_message_deliveries_cap: 100.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: INVALID_WEIGHT,
        invalid_message_deliveries_decay: HOUR_DECAY,
        ..TopicScoreParams::default()
    };
    PeerScoreParams {
        topics: topics.iter().map(|hash| (hash.clone(), topic.clone())).collect::<HashMap<_, _>>(),
        app_specific_weight: 1.0,
        // Private addresses cannot be listed one by one; where they occur at all, everybody may share one.
        ip_colocation_factor_weight: if reach == Reach::Any { 0.0 } else { COLOCATION_WEIGHT },
        ip_colocation_factor_threshold: COLOCATION_THRESHOLD,
        ip_colocation_factor_whitelist: HashSet::from([IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]),
        behaviour_penalty_weight: -10.0,
        behaviour_penalty_threshold: 6.0,
        behaviour_penalty_decay: TEN_MINUTES_DECAY,
        decay_interval: Duration::from_secs(1),
        decay_to_zero: 0.01,
        retain_score: RETAIN_SCORE,
        ..PeerScoreParams::default()
    }
}

/// What the bytes of a message are.
#[derive(Debug)]
pub(crate) enum Heard {
    Call(Box<station_protocol::Signed<call::Call>>),
    /// Well-formed, but no message of this version: perhaps a later one's.
    Unknown,
    /// No honest station of any version sends this.
    Invalid(CallError),
    /// Perhaps a Call, but its sender cannot pay for the look at its signatures.
    Unread,
}

/// `pays` is asked before the first signature is looked at.
pub(crate) fn hear(bytes: &[u8], network: &Name, topic: &Name, pays: impl FnOnce() -> bool) -> Heard {
    let call: station_protocol::Signed<call::Call> = match codec::decode(bytes, CALL_BYTES_MAX) {
        Ok(call) => call,
        Err(DecodeError::Shape(_)) => return Heard::Unknown,
        Err(error) => return Heard::Invalid(error.into()),
    };
    if !pays() {
        return Heard::Unread;
    }
    match call::check_decoded(&call, network, topic) {
        Ok(()) => Heard::Call(Box::new(call)),
        Err(error) => Heard::Invalid(error),
    }
}
