//! What libp2p reports, into events and bookkeeping.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use libp2p::core::ConnectedPoint;
use libp2p::core::transport::TransportError;
use libp2p::gossipsub::{self, MessageAcceptance, MessageId};
use libp2p::request_response::{self, Message, ResponseChannel};
use libp2p::swarm::{ConnectionId, DialError, StreamUpgradeError, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Stream, identify};
use station_protocol::accounts::told::{self, CALL_SIGNATURES};
use station_protocol::accounts::{Charge, MESSAGE};
use station_protocol::cluster::Cluster;
use station_protocol::work::{RELAYED_BYTES_MAX, Request, Response};
use station_protocol::worker::{Near, SendFailure};
use station_protocol::{NodeId, PeerAction};
use tokio::time::Instant;
use tracing::debug;

use super::behaviour::BehaviourEvent;
use super::codec::{Frame, NotARequest, Question};
use super::config::{ASKS_MAX, CAR_STREAMS_OF_CLUSTER_MAX, JUDGEMENTS_MAX};
use super::events::{CarStream, Event, Remote};
use super::gossip::{self, Heard};
use super::metered::Said;
use super::peer_id::{node_of, peer_of};
use super::pings::Over;
use super::reach::bare;
use super::{Ask, Network, Waiting, addresses, dialing, streams};

/// A larger question costs as much as several: it is decoded before anybody knows what it is.
const BYTES_OF_A_QUESTION: usize = 16 << 10;
/// What an address where nobody answers costs who named it, beside the dial: a fifth such address in a row is not dialled.
pub(super) const FAILED_DIAL_COSTS: u64 = 3;
/// How long a circuit outlives the direct connection that replaces it: what is on its way over it still arrives.
const CIRCUIT_GRACE: Duration = Duration::from_secs(5);
/// Where a bootstrap node is that was dialled by a name: libp2p tells nobody which address the name led to.
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

impl Network {
    pub(super) fn handle(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, concurrent_dial_errors, .. } => {
                let failed = concurrent_dial_errors.unwrap_or_default();
                self.opened(peer_id, connection_id, &endpoint, failed.iter().filter(|(_, error)| was_tried(error)).map(|(address, _)| address));
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, cause, .. } => {
                self.closed(peer_id, connection_id);
                if let (Ok(node), Some(true)) = (node_of(&peer_id), cause.map(|cause| streams::is_over(&cause))) {
                    self.overdrew(node);
                }
            }
            SwarmEvent::OutgoingConnectionError { peer_id: Some(peer), connection_id, error } => self.dial_failed(peer, connection_id, &error),
            SwarmEvent::NewListenAddr { address, .. } => {
                let relayed = addresses::is_relayed(&address);
                let public = addresses::ip_of(&address).is_some_and(|ip| addresses::is_dialable(ip, self.config.reach));
                if public && !relayed {
                    self.swarm.add_external_address(address.clone());
                }
                self.events.push_back(Event::Listening(address));
                self.addresses_changed();
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                self.swarm.remove_external_address(&address);
                self.addresses_changed();
            }
            SwarmEvent::ListenerClosed { listener_id, addresses, .. } => {
                addresses.iter().for_each(|address| self.swarm.remove_external_address(address));
                self.relay_lost(listener_id);
                self.addresses_changed();
            }
            SwarmEvent::ExternalAddrConfirmed { .. } | SwarmEvent::ExternalAddrExpired { .. } => self.addresses_changed(),
            _ => {}
        }
    }

    fn on_behaviour(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Gossip(Said::Inner(event)) => self.on_gossip(event),
            BehaviourEvent::Gossip(Said::Over(peer)) | BehaviourEvent::Kad(Said::Over(peer)) | BehaviourEvent::Ping(Over(peer)) => {
                if let Ok(node) = node_of(&peer) {
                    self.overdrew(node);
                }
            }
            BehaviourEvent::Work(event) => self.on_work(event),
            BehaviourEvent::Kad(Said::Inner(event)) => self.on_kad(event),
            // Told as often as its sender likes: a question like others.
            BehaviourEvent::Identify(identify::Event::Received { connection_id, peer_id, info })
                if node_of(&peer_id).is_ok_and(|node| self.may_ask(node, 0)) =>
            {
                self.seen(peer_id, connection_id, &info.observed_addr);
                self.is_of_this_network(&peer_id, &info);
                self.on_identified(peer_id, &info);
            }
            // It asked who this station is, or said who it is in a way that nobody can read, which costs as much.
            BehaviourEvent::Identify(
                identify::Event::Sent { peer_id, .. } | identify::Event::Error { peer_id, error: StreamUpgradeError::Apply(_), .. },
            ) => {
                if let Ok(node) = node_of(&peer_id) {
                    self.may_ask(node, 0);
                }
            }
            BehaviourEvent::RelayClient(event) => self.on_relay_client(&event),
            BehaviourEvent::Relay(event) => self.on_relay(&event),
            _ => {}
        }
    }

    /// A peer says where it sees this station.
    fn seen(&mut self, peer: PeerId, connection: ConnectionId, observed: &Multiaddr) {
        let Some((node, remote)) = node_of(&peer).ok().and_then(|node| Some((node, self.peers.remote(node, connection)?))) else { return };
        if let (None, Some(ip)) = (remote.relay, addresses::ip_of(observed)) {
            self.events.push_back(Event::Seen { by: Cluster::of(node, remote.ip, None, self.config.reach), ip });
        }
    }

    fn on_gossip(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message { propagation_source, message_id, message } => {
                self.messages += 1;
                self.message(&propagation_source, message_id, &message);
            }
            gossipsub::Event::Subscribed { peer_id, topic } => {
                let (Ok(node), Some(topic)) = (node_of(&peer_id), self.topic_names.get(&topic)) else { return };
                let (topics, hold) = self.topics.joined(node, topic.clone(), Instant::now());
                if self.topics.is_chosen(&node) {
                    self.ledger.chose(node);
                }
                if hold {
                    self.swarm.behaviour_mut().gate.hold(peer_id, true);
                }
                self.events.push_back(Event::Connected { node, topics });
            }
            gossipsub::Event::Unsubscribed { peer_id, topic } => {
                let (Ok(node), Some(topic)) = (node_of(&peer_id), self.topic_names.get(&topic)) else { return };
                let topics = self.topics.left(node, topic);
                self.events.push_back(Event::Connected { node, topics });
            }
            _ => {}
        }
    }

    /// A message that was not heard before. It is paid for as one that is not accepted, until it is.
    fn message(&mut self, source: &PeerId, id: MessageId, message: &gossipsub::Message) {
        let (Some(topic), Ok(from)) = (self.topic_names.get(&message.topic), node_of(source)) else { return };
        let paid = self.ledger.charge(from, Charge::NotAccepted, MESSAGE);
        let may_verify = || self.ledger.charge(from, Charge::Signatures, CALL_SIGNATURES).is_ok();
        let heard = match paid {
            Ok(()) => gossip::hear(&message.data, &self.config.network, topic, may_verify),
            Err(_) => Heard::Unread,
        };
        let acceptance = match heard {
            Heard::Call(call) => {
                let ticket = self.ticket();
                self.judgements.insert(ticket, (id, *source));
                if self.judgements.len() > JUDGEMENTS_MAX {
                    // The oldest is beyond gossip's memory anyway.
                    self.judgements.pop_first();
                }
                self.events.push_back(Event::Call { call, from, near: self.ledger.cluster(&from), ticket });
                return;
            }
            Heard::Invalid(error) => {
                debug!(peer = %source, %error, "not a Call");
                MessageAcceptance::Reject
            }
            Heard::Unknown | Heard::Unread => MessageAcceptance::Ignore,
        };
        self.swarm.behaviour_mut().gossip.inner.report_message_validation_result(&id, source, acceptance);
        if paid.is_err_and(|over| over.let_go) {
            self.overdrew(from);
        }
    }

    fn on_work(&mut self, event: request_response::Event<Frame<Question>, Frame<Response>>) {
        match event {
            request_response::Event::Message { peer, connection_id, message: Message::Request { request, channel, .. } } => {
                self.asked(&peer, connection_id, request, channel);
            }
            request_response::Event::Message { connection_id, message: Message::Response { request_id, response }, .. } => {
                if let Some((send, to)) = self.sends.remove(&request_id) {
                    let remote = self.peers.remote(to, connection_id);
                    let near = remote.map(|remote| Near { cluster: remote.cluster(to, self.config.reach), is_relayed: remote.relay.is_some() });
                    let answer = told::paid(response.value, |charge, amount| self.pays(to, charge, amount));
                    self.events.push_back(Event::Answered { send, answer: Ok(answer), near });
                }
            }
            request_response::Event::OutboundFailure { request_id, error, .. } => {
                let Some((send, to)) = self.sends.remove(&request_id) else { return };
                debug!(?to, %error, "no answer");
                if matches!(&error, request_response::OutboundFailure::Io(error) if is_garbage(error)) {
                    self.misbehaved(to, PeerAction::Invalid);
                }
                self.events.push_back(Event::Answered { send, answer: Err(SendFailure::NoAnswer), near: None });
            }
            request_response::Event::InboundFailure { peer, error, .. } => self.question_failed(&peer, &error),
            _ => {}
        }
    }

    /// A request that was begun and never came whole costs what a whole one does; who lets one trickle is worse than slow.
    pub(super) fn question_failed(&mut self, peer: &PeerId, error: &request_response::InboundFailure) {
        let Ok(from) = node_of(peer) else { return };
        // The time-out of the whole may be this station's own, which did not answer.
        let request_response::InboundFailure::Io(error) = error else { return };
        if self.may_ask(from, 0) && error.kind() == std::io::ErrorKind::TimedOut {
            self.misbehaved(from, PeerAction::Annoying);
        }
    }

    /// Whether `from` has paid for one more question of so many bytes.
    fn may_ask(&mut self, from: NodeId, bytes: usize) -> bool {
        self.pays(from, Charge::Questions, 1 + (bytes / BYTES_OF_A_QUESTION) as u64)
    }

    /// Whether `from` has paid so much. Whoever is over for long is let go.
    fn pays(&mut self, from: NodeId, charge: Charge, amount: u64) -> bool {
        match self.ledger.charge(from, charge, amount) {
            Ok(()) => true,
            Err(over) => {
                if over.let_go {
                    self.overdrew(from);
                }
                false
            }
        }
    }

    fn asked(&mut self, peer: &PeerId, connection: ConnectionId, request: Frame<Question>, channel: ResponseChannel<Frame<Response>>) {
        let Ok(from) = node_of(peer) else { return };
        let Some(remote) = self.peers.remote(from, connection) else { return };
        let relayed = remote.relay.is_some();
        if !self.may_ask(from, request.bytes) {
            return;
        }
        let question = match request.value {
            Ok(question) => question,
            Err(unknown @ NotARequest::Unknown(_)) => {
                debug!(?from, %unknown, "not served");
                // An error means that the asker is gone.
                let _ = self.swarm.behaviour_mut().work.send_response(channel, Frame::own(Response::Unserved));
                return;
            }
            Err(garbled) => {
                debug!(?from, %garbled, "not a request");
                self.misbehaved(from, PeerAction::Invalid);
                return;
            }
        };
        if relayed && request.bytes > RELAYED_BYTES_MAX {
            self.misbehaved(from, PeerAction::Annoying);
            return;
        }
        // Paid as bad ones until they are held.
        if let Request::Deliver(deliver) = &question
            && !self.pays(from, Charge::Signatures, deliver.receipts.len() as u64)
        {
            return;
        }
        if self.asks.len() >= ASKS_MAX {
            self.asks.retain(|_, ask| ask.channel.is_open());
        }
        if self.asks.len() < ASKS_MAX {
            let ask = self.ticket();
            self.asks.insert(ask, Ask { channel, from, relayed });
            self.events.push_back(Event::Asked { ask, from, remote, request: question });
        }
    }

    fn misbehaved(&mut self, node: NodeId, action: PeerAction) {
        self.report(node, action);
        self.events.push_back(Event::Misbehaved { node, action });
    }

    fn opened<'a>(&mut self, peer: PeerId, connection: ConnectionId, endpoint: &ConnectedPoint, failed: impl Iterator<Item = &'a Multiaddr>) {
        let is_ours = endpoint.is_dialer();
        let (ours, theirs) = match endpoint {
            ConnectedPoint::Dialer { address, .. } => (None, address),
            ConnectedPoint::Listener { local_addr, send_back_addr } => (Some(local_addr), send_back_addr),
        };
        let named = || if is_ours && self.is_named(theirs) { Some(Remote { ip: NOWHERE, relay: None }) } else { None };
        let remote = addresses::remote(ours, theirs, |relay| self.peers.ip(relay)).or_else(named);
        let (Ok(node), Some(remote)) = (node_of(&peer), remote) else {
            debug!(%peer, address = %theirs, "a connection from nowhere");
            self.swarm.close_connection(connection);
            return;
        };
        self.peers.opened(node, connection, remote);
        self.seen_in(node);
        // Strangers that dial this station do not stand for those whom the operator named: they would be all that it ever hears of.
        let now = Instant::now();
        if self.ledger.is_bootstrap(&node) {
            self.knocks.connected(node, connection, now);
            if !self.knocks.is_foreign(node) {
                self.bootstrap.stop();
            }
        }
        if !is_ours && remote.relay.is_none() {
            self.reached += 1;
        }
        self.search.ensure(now);
        self.failed(node, failed, now);
        match remote.relay {
            None => self.retire_circuits(node, now),
            Some(_) if is_ours => self.events.push_back(Event::Relayed { node }),
            Some(_) => {}
        }
        for waiting in self.dialing.connected(node, remote.ip, now) {
            match waiting {
                Waiting::Send { send, request } => self.request(send, node, *request),
                // Whoever waited may have given up.
                Waiting::Car(told) => drop(told.send(Ok(()))),
            }
        }
    }

    /// Whether the operator named the address as a bootstrap node's.
    fn is_named(&self, address: &Multiaddr) -> bool {
        self.config.bootstrap.iter().any(|named| bare(named) == bare(address))
    }

    /// It pays where its best connection comes from: a direct one before one through a relay, whose network is others'.
    fn seen_in(&self, node: NodeId) {
        if let Some(best) = self.peers.best(node) {
            self.ledger.connected(node, best.cluster(node, self.config.reach));
        }
    }

    /// Direct now: the circuits with `node` are no longer needed.
    fn retire_circuits(&mut self, node: NodeId, now: Instant) {
        let connections = self.peers.get(node).map(|peer| &peer.connections);
        let circuits = connections.into_iter().flatten().filter(|(_, remote)| remote.relay.is_some());
        self.spent_circuits.extend(circuits.map(|(id, _)| (now + CIRCUIT_GRACE, peer_of(node), *id)));
    }

    fn closed(&mut self, peer: PeerId, connection: ConnectionId) {
        let Ok(node) = node_of(&peer) else { return };
        self.spent_circuits.retain(|(_, _, spent)| *spent != connection);
        if !self.peers.closed(node, connection) {
            self.seen_in(node);
            return;
        }
        self.ledger.disconnected(&node);
        self.knocks.closed(node, Instant::now());
        let (known, next) = self.topics.gone(node);
        self.swarm.behaviour_mut().gate.hold(peer, false);
        if let Some(next) = next {
            self.swarm.behaviour_mut().gate.hold(peer_of(next), true);
        }
        if known {
            self.events.push_back(Event::Disconnected { node });
        }
        let chose_nobody = !self.config.topics.is_empty() && !self.topics.has_chosen();
        if (self.peers.is_empty() || chose_nobody) && !self.has_bootstrap() && !self.config.bootstrap.is_empty() {
            self.bootstrap.ensure(Instant::now());
        }
    }

    /// Nobody answered at these addresses of `node`, who named them and pays for it.
    fn failed<'a>(&mut self, node: NodeId, addresses: impl Iterator<Item = &'a Multiaddr>, now: Instant) {
        for endpoint in addresses.filter_map(addresses::endpoint_of) {
            self.dialing.mute(endpoint.socket(), now);
            self.ledger.owe(node, Charge::Dials, FAILED_DIAL_COSTS);
        }
    }

    fn dial_failed(&mut self, peer: PeerId, connection: ConnectionId, error: &DialError) {
        self.knocks.failed(connection, error, Instant::now());
        let Ok(node) = node_of(&peer) else { return };
        debug!(%peer, %error, "not connected");
        // Without any connection it is more likely that we are offline than that everybody else is.
        if !self.peers.is_empty() {
            let now = Instant::now();
            let failed: Vec<&Multiaddr> = match error {
                DialError::Transport(failed) => failed.iter().filter(|(_, error)| was_tried(error)).map(|(address, _)| address).collect(),
                DialError::WrongPeerId { address, .. } => vec![address],
                _ => Vec::new(),
            };
            self.failed(node, failed.into_iter(), now);
        }
        let failure = dialing::failure(error);
        self.topics.missed(&node);
        self.dialing.failed(node, connection).into_iter().for_each(|waiting| self.fail(waiting, failure));
    }

    pub(super) fn car_arrived(&mut self, peer: PeerId, stream: Stream) {
        let Ok(from) = node_of(&peer) else { return };
        if !self.may_ask(from, 0) {
            return;
        }
        let (Some(remote), Some(known)) = (self.peers.best(from), self.peers.get(from)) else { return };
        if self.peers.car_streams_near(from, self.config.reach) >= CAR_STREAMS_OF_CLUSTER_MAX {
            debug!(?from, "too many car streams of one network");
            return;
        }
        let permits = (self.peers.car.clone().try_acquire_owned(), known.car.clone().try_acquire_owned());
        let (Ok(all), Ok(one)) = permits else {
            debug!(?from, "too many car streams");
            return;
        };
        let relayed = self.peers.may_be_relayed(from);
        self.events.push_back(Event::Stream { from, remote, stream: CarStream { stream, relayed, _permits: Some((all, one)) } });
    }

    fn addresses_changed(&mut self) {
        self.need_relays();
        let known = self.swarm.external_addresses().chain(self.swarm.listeners());
        let now = addresses::announce(self.own, known, self.config.reach);
        if now != self.announced {
            self.announced = now.clone();
            self.unprovided = true;
            if !self.peers.is_empty() {
                self.search.restart(Instant::now());
            }
            self.events.push_back(Event::Addresses(now));
        }
    }

    /// Guests may have to go, but for neighbours in the mesh, those that are being asked something or fetch content, and those that this
    /// station relays or is relayed by.
    fn look_at_guests(&mut self, now: Instant) {
        if self.topics.next_look().is_none_or(|at| at > now) {
            return;
        }
        let gossip = &self.swarm.behaviour().gossip.inner;
        let mesh: HashSet<PeerId> = self.topic_names.keys().flat_map(|topic| gossip.mesh_peers(topic)).copied().collect();
        let busy: HashSet<NodeId> = self.topics.guests().filter(|node| self.is_busy_with(*node)).collect();
        let cluster = |node| self.peers.best(node).map(|remote| remote.cluster(node, self.config.reach));
        let may_go = |node| !mesh.contains(&peer_of(node)) && !busy.contains(&node);
        self.events.extend(self.topics.crowd(now, cluster, may_go).map(|(guests, too_many)| Event::Crowded { guests, too_many }));
    }

    /// A guest is let go.
    pub(super) fn let_go(&mut self, node: NodeId) {
        // Whoever went meanwhile is gone.
        let _ = self.swarm.disconnect_peer_id(peer_of(node));
    }

    /// Whether something goes on with `node` that the end of its connections would break off. Of strangers a stream of content that is
    /// open is no work: whoever opens one and says nothing would stay for ever; with whom the machines work, they say themselves.
    fn is_busy_with(&self, node: NodeId) -> bool {
        let (peer, asked) = (peer_of(node), self.sends.values().any(|(_, to)| *to == node));
        asked || (self.peers.is_fetching(node) && self.ledger.comes_first(&node)) || self.clients.contains(&peer) || self.circuits.contains_key(&peer)
    }

    /// A deadline has come.
    pub(super) fn tick(&mut self, now: Instant) {
        if self.bootstrap.due(now) {
            self.dial_bootstrap();
        }
        if self.search.due(now) {
            self.search();
        }
        self.look_at_guests(now);
        self.ask_relays(now);
        self.let_back(now);
        while self.spent_circuits.front().is_some_and(|(at, ..)| *at <= now) {
            let Some((_, peer, connection)) = self.spent_circuits.pop_front() else { break };
            let direct = node_of(&peer).ok().and_then(|node| self.peers.best(node)).is_some_and(|remote| remote.relay.is_none());
            if direct {
                self.swarm.close_connection(connection);
            }
        }
    }
}

/// Whether an address was dialled at all: one that must not be says nothing about who is there.
fn was_tried(error: &TransportError<std::io::Error>) -> bool {
    matches!(error, TransportError::Other(_))
}

/// Whether the remote sent what cannot be decoded, as opposed to going away.
fn is_garbage(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::InvalidData
}
