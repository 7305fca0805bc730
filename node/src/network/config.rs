//! [`NetworkConfig`] and the bounds of everything libp2p does for a station.
//!
//! Guarantees: each bound is named once, with its reason. Deliberately lacks files: the composition root fills it in.

use std::time::Duration;

use libp2p::{Multiaddr, StreamProtocol};
pub use station_protocol::address::Reach;
use station_protocol::bounded::Name;
use station_protocol::durable::BYTES_WAITING_MAX;

/// Connections that others opened: a household router's table has a few thousand entries; this takes a few per cent.
pub const INBOUND_MAX: u32 = 64;
/// Connections this station opened.
pub const OUTBOUND_MAX: u32 = 64;
/// Connections with one peer: relayed, direct, and one of each while a punch decides.
pub const PER_PEER_MAX: u32 = 4;
/// Inbound connections of a bootstrap node, which everybody asks once.
pub const BOOTSTRAP_INBOUND_MAX: u32 = 512;
/// A connection that nobody uses or holds ends after this.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Fewer topic peers than this and the station dials more: the mesh degree. Those who dial this station come on top: the
/// mean of a simulated mesh of 100 is 16.
pub const TOPIC_PEERS_LOW: usize = 8;
/// Fewer topic peers that this station dialled itself and it dials more, however many dialled it: those who come by themselves may all be
/// of one attacker. In a simulated mesh with 30 attackers among 95, three stations that had dialled nobody were surrounded by them.
pub const TOPIC_PEERS_CHOSEN: usize = 4;
/// How long a dial, and a stranger's handshake, may take to a connection that can be used: without an end, a few machines that say nothing
/// would take all the places for handshakes. libp2p's own builder has the same ten seconds.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Topic peers whose connections are held; further ones may idle out. The other end may hold them all the same.
pub const TOPIC_PEERS_HELD: usize = 12;
/// Streams of one connection, of both sides: twice what an honest pair ever has open (16 requests and 32 of the DHT each way, gossip,
/// content). Above it a connection ends. As many may be in negotiation, so that none waits unread for its turn.
pub const STREAMS_MAX: usize = 128;
/// Bytes of a QUIC stream, and of all streams of a QUIC connection, that may wait unread: 25 Mbit/s at a tenth of a second.
pub const QUIC_STREAM_BYTES_MAX: u32 = 256 << 10;
pub const QUIC_CONNECTION_BYTES_MAX: u32 = 320 << 10;
/// Requests that are being read, all together: small ones, and those above [`WORK_SMALL_BYTES`]. What is decoded takes up to four times
/// its bytes. Sixteen connections of one network with sixteen streams each fill half of the room for small ones.
pub const WORK_BYTES_MAX: (usize, usize) = (4 << 20, 8 << 20);
/// Questions, claims and small receipts are not longer, and need not wait for those who send large outputs.
pub const WORK_SMALL_BYTES: usize = 8 << 10;
/// Answers that are being read: this station asked for them.
pub const WORK_ANSWER_BYTES_MAX: usize = 4 << 20;
/// Requests that wait for room to be read: each may have a window of yamux unread. More are refused.
pub const WORK_WAITING_MAX: usize = 64;
/// Circuits a relay serves at once, and for one peer.
pub const RELAY_CIRCUITS: (usize, usize) = (64, 8);
/// Longest circuit: enough to punch and to do small work without.
pub const RELAY_DURATION: Duration = Duration::from_secs(600);
/// Bytes of one circuit.
pub const RELAY_BYTES: u64 = 4 << 20;
/// Inbound `work` requests of one connection at once.
pub const WORK_STREAMS_MAX: usize = 16;
/// Calls awaiting judgement: more than the quotas let through in the seconds that gossip remembers them.
pub const JUDGEMENTS_MAX: usize = 1_024;
/// Requests awaiting an answer of ours: every inbound connection with every stream.
pub const ASKS_MAX: usize = 1_024;
/// Requests of ours waiting for a connection.
pub const WAITING_MAX: usize = 1_024;
/// Incoming `car` streams at once, and of one peer: each holds a block of up to 1 MiB, twice while it is written.
pub const CAR_STREAMS_MAX: (usize, usize) = (24, 4);
/// Of one cluster: a quarter, so that no network keeps others from content.
pub const CAR_STREAMS_OF_CLUSTER_MAX: usize = 6;
/// Open searches for providers.
pub const FINDS_MAX: usize = 64;
/// Providers reported of one search: enough to choose from.
pub const PROVIDERS_MAX: usize = 8;

/// What a station does for others. All off by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    pub relay: bool,
    pub dht_server: bool,
    /// Raises the inbound limit to [`BOOTSTRAP_INBOUND_MAX`].
    pub bootstrap: bool,
}

/// The parameters of gossipsub that protocol researchers compare. No setting of an operator: stations of one network share them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GossipConfig {
    /// Mesh degree: wished for, and the bounds within which it is left alone.
    pub mesh_n: usize,
    pub mesh_n_low: usize,
    pub mesh_n_high: usize,
    /// Of them at least so many that this station dialled itself: an attacker who dials cannot be all of the mesh.
    pub mesh_outbound_min: usize,
    /// Peers outside the mesh that hear of a message at each heartbeat: at least so many,
    pub gossip_lazy: usize,
    /// and at least this share of them, in thousandths.
    pub gossip_factor_permille: u32,
    pub heartbeat: Duration,
    /// Whether an author sends its message to every topic peer and not to its mesh alone.
    pub flood_publish: bool,
}

impl Default for GossipConfig {
    fn default() -> Self {
        Self {
            mesh_n: 8,
            mesh_n_low: 6,
            mesh_n_high: 12,
            mesh_outbound_min: 2,
            gossip_lazy: 6,
            gossip_factor_permille: 250,
            heartbeat: Duration::from_secs(1),
            flood_publish: true,
        }
    }
}

#[derive(Clone, Debug)]
pub struct NetworkConfig {
    pub network: Name,
    /// The topics of the network that this station takes part in.
    pub topics: Vec<Name>,
    /// May have DNS names: the transport resolves those named here and no others.
    pub bootstrap: Vec<Multiaddr>,
    pub listen: Vec<Multiaddr>,
    /// Addresses the operator says this station has, beside those it finds.
    pub external: Vec<Multiaddr>,
    /// Whether a place with a relay is asked for while nobody can dial this station.
    pub use_relays: bool,
    /// Whether servers of the DHT are remembered, which dials them. Without it nobody is searched for.
    pub use_dht: bool,
    pub reach: Reach,
    pub roles: Roles,
    pub gossip: GossipConfig,
    /// libp2p's own hole punching.
    pub dcutr: bool,
    /// Told to peers by identify, like `station/0.1.0`.
    pub software: String,
}

impl NetworkConfig {
    /// A station that listens nowhere, knows nobody and does nothing for others.
    #[must_use]
    pub fn new(network: Name, topics: Vec<Name>) -> Self {
        Self {
            network,
            topics,
            bootstrap: Vec::new(),
            listen: Vec::new(),
            external: Vec::new(),
            use_relays: true,
            use_dht: true,
            reach: Reach::Global,
            roles: Roles::default(),
            gossip: GossipConfig::default(),
            dcutr: true,
            software: concat!("station/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }

    /// `/station/<network>/1/<what>`.
    pub(crate) fn protocol(&self, what: &str) -> StreamProtocol {
        let id = format!("/station/{}/1/{what}", self.network);
        StreamProtocol::try_from_owned(id).expect("it begins with a slash")
    }

    pub(crate) fn topic_text(&self, topic: &Name) -> String {
        format!("/station/{}/1/calls/{topic}", self.network)
    }

    pub(crate) fn inbound_max(&self) -> u32 {
        if self.roles.bootstrap { BOOTSTRAP_INBOUND_MAX } else { INBOUND_MAX }
    }

    /// Topic peers beside those held that may stay as long as they like, where there are `inbound` places for strangers: together half
    /// of the places, so that those of old experiments leave room for new ones and those who work now can stay. With [`INBOUND_MAX`] more
    /// than nine stations in ten of a simulated thousand have fewer. None at a bootstrap node, which everybody asks once.
    pub(crate) fn guests_kept(&self, inbound: u32) -> usize {
        if self.roles.bootstrap { 0 } else { (inbound as usize / 2).saturating_sub(TOPIC_PEERS_HELD) }
    }
}

/// MiB that the parts below and what a station takes by itself stay within together.
pub const MEMORY_WORST_MAX_MIB: usize = 1_200;
/// MiB that a station takes by itself.
const MEMORY_OWN_MIB: usize = 40;

/// What strangers can make a station keep in memory at the worst, part by part, in MiB. With what a station takes by itself it is at most
/// [`MEMORY_WORST_MAX_MIB`]. The parts that other crates bound have their place here so that whoever raises one sees the sum.
///
/// What an operator chooses comes on top. Each job at a time may have 4 MiB: its output and its record, each twice while it is passed on; and
/// 64 MiB of machine code that made room in the cache since. A bootstrap node, and a requester with open experiments, may have up to 512 more
/// connections, which at the worst are 7/16 MiB each. A requester also keeps what its own experiments brought: 128 MiB of receipts of all
/// together, and of each claimant some 300 bytes and what it did. Receipts for requesters with a history may be as many as those for strangers.
pub const MEMORY_WORST_MIB: [(&str, usize); 14] = [
    // Windows that are not read: requests that wait, content streams that are written to, at yamux's 256 KiB.
    ("streams unread", (WORK_WAITING_MAX + CAR_STREAMS_MAX.0) / 4),
    ("QUIC unread", ((INBOUND_MAX + OUTBOUND_MAX) as usize * QUIC_CONNECTION_BYTES_MAX as usize) >> 20),
    // Requests and answers: their bytes, and four times as much when they are decoded.
    ("requests and answers", 5 * ((WORK_BYTES_MAX.0 + WORK_BYTES_MAX.1 + WORK_ANSWER_BYTES_MAX) >> 20)),
    ("content served", 2 * CAR_STREAMS_MAX.0),
    // One module more that is on its way to the disk; outputs while they are put together.
    ("content fetched", (crate::content::MODULES_BYTES_MAX + 2 * crate::content::OUTPUTS_BYTES_MAX) / (1 << 20) + 16),
    // Strangers' and the others'.
    ("modules before the compiler", 2 * (crate::content::COMPILING_BYTES_MAX >> 20)),
    ("machine code in the cache", station_sandbox::CACHED_BYTES_MAX >> 20),
    // With outputs, transcripts and logs that are small enough to stand beside them.
    ("receipts for strangers", RECEIPTS_MIB),
    // Each of them is in one question at most, of which two copies may be on their way: as messages, and as their bytes while they are written.
    ("copies of receipts on their way", 4 * RECEIPTS_MIB),
    // As much may wait while as much is being written.
    ("waiting for the disk", 2 * (BYTES_WAITING_MAX >> 20)),
    // Identifiers of messages: what all strangers and acquaintances may have refused in 12 min, at 630 B.
    ("gossip's memory", 90),
    // 128 connections, each with buffers of Noise, yamux and gossip of 128 KiB.
    ("connections", 16),
    ("messages waiting to be sent", 32),
    // The ledger of activity is one of them.
    ("accounts and tables", 15 + (station_protocol::activity::BYTES_MAX >> 20)),
];

const RECEIPTS_MIB: usize = station_protocol::worker::STRANGERS_RECEIPTS_BYTES_MAX.div_ceil(1 << 20);

const _: () = {
    let (mut sum, mut part) = (MEMORY_OWN_MIB, 0);
    while part < MEMORY_WORST_MIB.len() {
        sum += MEMORY_WORST_MIB[part].1;
        part += 1;
    }
    assert!(sum <= MEMORY_WORST_MAX_MIB);
};
