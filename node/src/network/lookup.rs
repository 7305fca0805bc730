//! Finding peers and content in the DHT: pointers, never decisions.

use std::collections::HashSet;

use cid::Cid;
use libp2p::core::Endpoint;
use libp2p::kad::{self, GetProvidersOk, QueryId, QueryResult, RecordKey};
use libp2p::swarm::{ConnectionId, NetworkBehaviour};
use libp2p::{Multiaddr, PeerId, StreamProtocol, identify, relay};
use station_protocol::NodeId;
use station_protocol::cluster::Cluster;
use station_protocol::content::sha256;
use station_protocol::durable::Ticket;
use station_protocol::work::At;
use tokio::time::Instant;
use tracing::debug;

use super::config::{FINDS_MAX, PROVIDERS_MAX, Reach};
use super::events::Event;
use super::kad_store::Pointers;
use super::peer_id::{node_of, peer_of};
use super::{Find, Network, addresses};

/// Topic peers of one search that are dialled, as many as of a `Peers` answer: a key has at most twenty pointers, for everybody.
const INTRODUCTIONS_MAX: usize = 4;

/// Addresses taken from one identify message.
const IDENTIFIED_MAX: usize = 8;
/// DHT servers of one cluster in the whole table and in one bucket: ids next to a key are cheap, addresses are not.
const CLUSTER_IN_TABLE_MAX: usize = 3;
const CLUSTER_IN_BUCKET_MAX: usize = 2;

impl Network {
    /// The key under which the stations of a topic find each other: the multihash of its name.
    fn topic_keys(&self) -> Vec<RecordKey> {
        let hash = |text: String| sha256(&[b"station/topic/1\0", text.as_bytes()]);
        self.config.topics.iter().map(|topic| RecordKey::new(&hash(self.config.topic_text(topic)))).collect()
    }

    pub(super) fn provide(&mut self, cid: &Cid) {
        if let Err(error) = self.swarm.behaviour_mut().kad.inner.start_providing(content_key(cid)) {
            debug!(%cid, %error, "not provided");
        }
    }

    pub(super) fn unprovide(&mut self, cid: &Cid) {
        self.swarm.behaviour_mut().kad.inner.stop_providing(&content_key(cid));
    }

    pub(super) fn find_providers(&mut self, find: Ticket, cid: &Cid) {
        if self.finds.len() >= FINDS_MAX {
            self.events.push_back(Event::Providers { find, providers: Vec::new() });
            return;
        }
        let query = self.swarm.behaviour_mut().kad.inner.get_providers(content_key(cid));
        self.finds.insert(query, Find::Content { find, found: Vec::new() });
    }

    /// Tells the DHT of this station's topics if it does not know, and looks for others while there are few.
    pub(super) fn search(&mut self) {
        let provide = std::mem::take(&mut self.unprovided);
        if provide {
            self.provided_to = self.servers();
        }
        let look = self.topics.want_more();
        for key in self.topic_keys() {
            let kad = &mut self.swarm.behaviour_mut().kad.inner;
            if provide && let Err(error) = kad.start_providing(key.clone()) {
                debug!(%error, "topic not provided");
            }
            if look && self.finds.len() < FINDS_MAX {
                let query = kad.get_providers(key);
                self.finds.insert(query, Find::TopicPeers { left: INTRODUCTIONS_MAX });
            }
        }
    }

    /// DHT servers in the table.
    pub(super) fn servers(&mut self) -> usize {
        self.swarm.behaviour_mut().kad.inner.kbuckets().map(|bucket| bucket.num_entries()).sum()
    }

    pub(super) fn on_kad(&mut self, event: kad::Event) {
        if let kad::Event::OutboundQueryProgressed { stats, step, .. } = &event
            && step.last
        {
            self.dht.lookups += 1;
            self.dht.requests += u64::from(stats.num_requests());
            self.dht.time_ms += stats.duration().map_or(0, |lasted| u64::try_from(lasted.as_millis()).unwrap_or(u64::MAX));
        }
        match event {
            kad::Event::OutboundQueryProgressed { id, result: QueryResult::GetProviders(result), step, .. } => {
                if let Ok(GetProvidersOk::FoundProviders { providers, .. }) = result {
                    self.found(id, &providers);
                }
                if step.last {
                    self.search_ended(id);
                }
            }
            // libp2p lets through records about their sender only; the store bounds them.
            kad::Event::InboundRequest { request: kad::InboundRequest::AddProvider { record: Some(record) } } if self.config.roles.dht_server => {
                let kept = kad::store::RecordStore::add_provider(self.swarm.behaviour_mut().kad.inner.store_mut(), record);
                kept.unwrap_or_else(|error| debug!(%error, "pointer not kept"));
            }
            // Servers become known one by one: were all told again with each, they would hear it as often as there are servers.
            kad::Event::RoutingUpdated { is_new_peer: true, .. } if self.servers() >= 2 * self.provided_to => {
                self.unprovided = true;
                self.search.restart(Instant::now());
            }
            _ => {}
        }
    }

    fn found(&mut self, query: QueryId, providers: &HashSet<PeerId>) {
        let mut nodes: Vec<NodeId> = providers.iter().filter_map(|peer| node_of(peer).ok()).filter(|node| *node != self.own).collect();
        nodes.sort_by_cached_key(|node| order(&self.own, node));
        let known: Vec<(NodeId, At)> = nodes.into_iter().map(|node| (node, self.known_at(node))).collect();
        match self.finds.get_mut(&query) {
            // The DHT points everybody to the same few: those introduce this station to the others.
            Some(Find::TopicPeers { left }) => {
                let named: Vec<_> = known.into_iter().filter(|(_, at)| !at.is_empty()).take(*left).collect();
                *left -= named.len();
                // libp2p goes on to ask the providers themselves, as if they served the DHT: everybody would dial the same twenty.
                if *left == 0
                    && let Some(mut query) = self.swarm.behaviour_mut().kad.inner.query_mut(&query)
                {
                    query.finish();
                }
                named.iter().for_each(|(node, at)| self.meet(*node, at));
            }
            Some(Find::Content { found, .. }) => {
                let new: Vec<_> = known.into_iter().filter(|(node, _)| !found.iter().any(|(other, _)| other == node)).collect();
                found.extend(new);
                found.truncate(PROVIDERS_MAX);
                if found.len() == PROVIDERS_MAX
                    && let Some(mut query) = self.swarm.behaviour_mut().kad.inner.query_mut(&query)
                {
                    query.finish();
                }
            }
            None => {}
        }
    }

    fn search_ended(&mut self, query: QueryId) {
        if let Some(Find::Content { find, found }) = self.finds.remove(&query) {
            self.events.push_back(Event::Providers { find, providers: found });
        }
    }

    /// Where the DHT says that `node` is: its table and the searches under way.
    fn known_at(&mut self, node: NodeId) -> At {
        let kad = &mut self.swarm.behaviour_mut().kad.inner;
        let asked = ConnectionId::new_unchecked(usize::MAX);
        let known = kad.handle_pending_outbound_connection(asked, Some(peer_of(node)), &[], Endpoint::Dialer);
        addresses::at_of(node, &known.unwrap_or_default(), self.config.reach)
    }

    /// A peer said who it is. Relays are remembered; DHT servers enter the table, as far as it stays diverse.
    pub(super) fn on_identified(&mut self, peer: PeerId, info: &identify::Info) {
        if let Ok(node) = node_of(&peer) {
            self.peers.runs(node, &info.agent_version);
        }
        let serves = |protocol: &StreamProtocol| info.protocols.contains(protocol);
        let (relays, finds) = (serves(&relay::HOP_PROTOCOL_NAME), self.config.use_dht && serves(&self.config.protocol("kad")));
        if !relays && !finds {
            return;
        }
        let reach = self.config.reach;
        let routes = info.listen_addrs.iter().filter_map(addresses::route_of);
        let usable = routes.filter(|route| route.relay.is_none() && route.endpoint.is_dialable(reach));
        let direct: Vec<Multiaddr> = usable.take(IDENTIFIED_MAX).map(|route| addresses::multiaddr_of(route.endpoint)).collect();
        if relays {
            self.relay_offered(peer, &direct);
        }
        if !finds {
            return;
        }
        let kad = &mut self.swarm.behaviour_mut().kad.inner;
        for address in direct {
            if is_diverse(kad, peer, &address, reach) {
                kad.add_address(&peer, address);
            }
        }
    }
}

/// Whether the table stays diverse with `peer` at `address` in it.
fn is_diverse(kad: &mut kad::Behaviour<Pointers>, peer: PeerId, address: &Multiaddr, reach: Reach) -> bool {
    let cluster = |peer: &PeerId, address: &Multiaddr| Some(Cluster::of(node_of(peer).ok()?, addresses::ip_of(address)?, None, reach));
    let Some(new) = cluster(&peer, address) else { return false };
    let same = |other: &PeerId, known: &kad::Addresses| *other != peer && known.iter().any(|address| cluster(other, address) == Some(new));
    let count = |bucket: &kad::KBucketRef<'_, kad::KBucketKey<PeerId>, kad::Addresses>| {
        bucket.iter().filter(|entry| same(entry.node.key.preimage(), entry.node.value)).count()
    };
    let in_bucket = kad.kbucket(peer).map_or(0, |bucket| count(&bucket));
    let in_table: usize = kad.kbuckets().map(|bucket| count(&bucket)).sum();
    in_bucket < CLUSTER_IN_BUCKET_MAX && in_table < CLUSTER_IN_TABLE_MAX
}

/// Content is looked up by its multihash, as everywhere in IPFS.
fn content_key(cid: &Cid) -> RecordKey {
    RecordKey::new(&cid.hash().to_bytes())
}

/// Whom `own` meets first: repeatable, and another order for every station, so that nobody is everybody's first choice.
pub(crate) fn order(own: &NodeId, node: &NodeId) -> [u8; 32] {
    sha256(&[b"station/meet\0", &own.0, &node.0])
}
