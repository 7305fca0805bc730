//! The behaviours of a station's swarm, composed and configured.
//!
//! Guarantees: everything a stranger can make us keep or do is bounded here. Deliberately lacks reactions: `handle.rs` has them.

use std::num::NonZeroUsize;
use std::time::Duration;

use libp2p::identity::Keypair;
use libp2p::kad::{self, BucketInserts, Caching, Mode, StoreInserts};
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{dcutr, identify, relay};
use station_protocol::work::REQUEST_TIMEOUT_MS;

use super::NetworkError;
use super::codec::WorkCodec;
use super::config::{NetworkConfig, RELAY_BYTES, RELAY_CIRCUITS, RELAY_DURATION, WORK_STREAMS_MAX};
use super::gate::Gate;
use super::gossip::{self, Copies, Gossip};
use super::kad_store::{self, Pointers};
use super::limits::Limits;
use super::metered::Metered;
use super::pings::Pings;
use crate::ledger::Ledger;

/// Bytes of one message of the DHT: 20 peers with 8 addresses of 64 bytes.
const KAD_PACKET_BYTES_MAX: usize = 16 << 10;
/// A search that takes longer finds nothing that is still true.
const KAD_QUERY_TIMEOUT: Duration = Duration::from_secs(20);
/// A quarter of a record's life, so that one lost renewal does not end it.
const KAD_RENEWAL: Duration = Duration::from_secs(1_800);
/// Servers per distance that a client remembers: with those of the nearer distances enough to begin a search on three disjoint paths.
/// The room for them is taken at the start, 256 times.
const KAD_CLIENT_BUCKET: NonZeroUsize = NonZeroUsize::new(2).expect("two is not zero");
/// Peers whose addresses identify remembers.
const IDENTIFY_CACHE: usize = 256;

// The gate comes first: who is refused there reaches no other behaviour.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    pub(crate) gate: Gate,
    pub(crate) limits: Limits,
    pub(crate) gossip: Metered<Gossip>,
    pub(crate) work: request_response::Behaviour<WorkCodec>,
    pub(crate) car: libp2p_stream::Behaviour,
    pub(crate) kad: Metered<kad::Behaviour<Pointers>>,
    pub(crate) identify: identify::Behaviour,
    ping: Pings,
    relay_client: relay::client::Behaviour,
    relay: Toggle<relay::Behaviour>,
    dcutr: Toggle<dcutr::Behaviour>,
}

pub(crate) fn build(
    config: &NetworkConfig,
    keypair: &Keypair,
    relay_client: relay::client::Behaviour,
    copies: Copies,
    ledger: Ledger,
) -> Result<Behaviour, NetworkError> {
    let own = keypair.public().to_peer_id();
    let timeout = Duration::from_millis(REQUEST_TIMEOUT_MS);
    let work = request_response::Config::default().with_request_timeout(timeout).with_max_concurrent_streams(WORK_STREAMS_MAX);
    let identify = identify::Config::new(format!("/station/{}/1", config.network), keypair.public())
        .with_agent_version(config.software.clone())
        .with_push_listen_addr_updates(true)
        .with_cache_size(IDENTIFY_CACHE);
    Ok(Behaviour {
        gate: Gate::new(ledger.clone(), config.inbound_max() as usize),
        limits: Limits::new(config.inbound_max()),
        gossip: Metered::new(gossip::build(config, copies)?, ledger.clone()),
        work: request_response::Behaviour::with_codec(WorkCodec::default(), [(config.protocol("work"), ProtocolSupport::Full)], work),
        car: libp2p_stream::Behaviour::new(),
        kad: Metered::new(kademlia(config, own), ledger.clone()),
        identify: identify::Behaviour::new(identify),
        ping: Pings::new(ledger),
        relay_client,
        relay: config.roles.relay.then(|| relay::Behaviour::new(own, relay_config())).into(),
        dcutr: config.dcutr.then(|| dcutr::Behaviour::new(own)).into(),
    })
}

fn kademlia(config: &NetworkConfig, own: libp2p::PeerId) -> kad::Behaviour<Pointers> {
    let mut settings = kad::Config::new(config.protocol("kad"));
    settings
        .set_query_timeout(KAD_QUERY_TIMEOUT)
        .disjoint_query_paths(true)
        .set_record_filtering(StoreInserts::FilterBoth)
        .set_kbucket_inserts(BucketInserts::Manual)
        .set_caching(Caching::Disabled)
        .set_record_ttl(None)
        .set_replication_interval(None)
        .set_publication_interval(None)
        .set_provider_record_ttl(Some(kad_store::LIFE))
        .set_provider_publication_interval(Some(KAD_RENEWAL))
        .set_max_packet_size(KAD_PACKET_BYTES_MAX);
    if !config.roles.dht_server {
        settings.set_kbucket_size(KAD_CLIENT_BUCKET);
    }
    let mut kad = kad::Behaviour::with_config(own, Pointers::new(own), settings);
    kad.set_mode(Some(if config.roles.dht_server { Mode::Server } else { Mode::Client }));
    kad
}

fn relay_config() -> relay::Config {
    relay::Config {
        max_circuits: RELAY_CIRCUITS.0,
        max_circuits_per_peer: RELAY_CIRCUITS.1,
        max_circuit_duration: RELAY_DURATION,
        max_circuit_bytes: RELAY_BYTES,
        ..relay::Config::default()
    }
}
