//! Commands into libp2p.

use futures::FutureExt;
use futures::future::BoxFuture;
use libp2p::Multiaddr;
use libp2p::gossipsub::{IdentTopic, MessageAcceptance};
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use station_protocol::accounts::{Charge, MESSAGE, over_quota};
use station_protocol::bounded::Name;
use station_protocol::codec::encode;
use station_protocol::durable::Ticket;
use station_protocol::work::{At, RELAYED_BYTES_MAX, Request, Response};
use station_protocol::worker::{Admission, SendFailure};
use station_protocol::{NodeId, PeerAction};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::debug;

use super::codec::Frame;
use super::events::{CarStream, Command, Event, OpenFailure};
use super::peer_id::{node_of, peer_of};
use super::standing::Consequence;
use super::{Network, Waiting, addresses, dialing};

impl Network {
    /// Carries out `command`. What comes of it arrives as events.
    pub fn perform(&mut self, command: Command) {
        match command {
            Command::Publish { topic, bytes } => self.publish(&topic, bytes),
            Command::Judge { ticket, admission } => self.judge(ticket, admission),
            Command::Send { send, to, at, request } => self.send(send, to, &at, request),
            Command::Answer { ask, response } => self.answer(ask, response),
            Command::Neighbours { peers, .. } => peers.iter().for_each(|(node, at)| self.meet(*node, at)),
            Command::Provide { cid } => self.provide(&cid),
            Command::Unprovide { cid } => self.unprovide(&cid),
            Command::FindProviders { find, cid } => self.find_providers(find, &cid),
            Command::Listen(address) => {
                if let Err(error) = self.swarm.listen_on(address.clone()) {
                    debug!(%address, %error, "cannot listen");
                }
            }
            Command::External { address, lives: true } => self.swarm.add_external_address(address),
            Command::External { address, lives: false } => self.swarm.remove_external_address(&address),
            Command::SetContactLimits { more_inbound } => {
                let inbound = self.config.inbound_max().saturating_add(more_inbound);
                self.swarm.behaviour_mut().limits.resize(inbound);
                self.swarm.behaviour_mut().gate.resize(inbound as usize);
                self.topics.keep_guests(self.config.guests_kept(inbound));
            }
            Command::LetGo(node) => self.let_go(node),
            Command::Report { node, action } => self.report(node, action),
        }
    }

    /// A `car` stream to `to`: over the connection there is, else over a new one to `at`, else to wherever the DHT just saw it.
    pub fn open_car(&mut self, to: NodeId, at: &At) -> BoxFuture<'static, Result<CarStream, OpenFailure>> {
        let (told, connected) = oneshot::channel();
        if self.peers.is_connected(to) {
            let _ = told.send(Ok(()));
        } else {
            self.connect(to, at, Some(Waiting::Car(told)));
        }
        let mut control = self.car_control.clone();
        let protocol = self.config.protocol("car");
        let relayed = self.peers.may_be_relayed(to) || (!self.peers.is_connected(to) && at.iter().any(|address| address.relay().is_some()));
        async move {
            connected.await.unwrap_or(Err(SendFailure::Unreachable)).map_err(OpenFailure::NotConnected)?;
            let stream = control.open_stream(peer_of(to), protocol).await.map_err(|error| OpenFailure::Refused(error.to_string()))?;
            Ok(CarStream { stream, relayed, _permits: None })
        }
        .boxed()
    }

    fn publish(&mut self, topic: &Name, bytes: Vec<u8>) {
        let topic = IdentTopic::new(self.config.topic_text(topic));
        if let Err(error) = self.swarm.behaviour_mut().gossip.inner.publish(topic, bytes) {
            // Without subscribers yet, the requester's renewals come again.
            debug!(%error, "not gossiped");
        }
    }

    fn judge(&mut self, ticket: Ticket, admission: Admission) {
        let Some((id, source)) = self.judgements.remove(&ticket) else { return };
        let acceptance = match admission {
            Admission::Accept => MessageAcceptance::Accept,
            Admission::Ignore => MessageAcceptance::Ignore,
            Admission::Reject => MessageAcceptance::Reject,
        };
        let back = match admission {
            Admission::Accept => MESSAGE,
            // Rightly signed, or it would not be here.
            Admission::Ignore => MESSAGE - over_quota(self.config.topics.len()),
            Admission::Reject => 0,
        };
        if let Ok(from) = node_of(&source) {
            self.ledger.give_back(from, Charge::NotAccepted, back);
        }
        self.swarm.behaviour_mut().gossip.inner.report_message_validation_result(&id, &source, acceptance);
    }

    fn send(&mut self, send: Ticket, to: NodeId, at: &At, request: Request) {
        if self.peers.is_connected(to) {
            self.request(send, to, request);
        } else {
            self.connect(to, at, Some(Waiting::Send { send, request: Box::new(request) }));
        }
    }

    /// Over a connection that exists.
    pub(super) fn request(&mut self, send: Ticket, to: NodeId, request: Request) {
        if self.peers.may_be_relayed(to) && encode(&request).len() > RELAYED_BYTES_MAX {
            debug!(?to, "a request too large for a relay");
            self.events.push_back(Event::Answered { send, answer: Err(SendFailure::TooLarge), near: None });
            return;
        }
        let id = self.swarm.behaviour_mut().work.send_request(&peer_of(to), Frame::own(Ok(request)));
        self.sends.insert(id, (send, to));
    }

    fn answer(&mut self, ask: Ticket, response: Response) {
        let Some(ask) = self.asks.remove(&ask) else { return };
        if let Response::Acked(ack) = &response {
            self.ledger.give_back(ask.from, Charge::Signatures, ack.body.held.len() as u64);
        }
        if ask.relayed && encode(&response).len() > RELAYED_BYTES_MAX {
            debug!("an answer too large for a relay");
            return;
        }
        // An error means that the asker is gone or its time is up: it will ask again.
        let _ = self.swarm.behaviour_mut().work.send_response(ask.channel, Frame::own(response));
    }

    /// Connects to a topic peer unless that is under way or there are enough.
    pub(super) fn meet(&mut self, node: NodeId, at: &At) {
        if node != self.own && !self.peers.is_connected(node) && !self.dialing.is_dialing(node) && self.topics.has_room() {
            self.topics.expect(node);
            self.connect(node, at, None);
            if !self.dialing.is_dialing(node) {
                self.topics.missed(&node);
            }
        }
    }

    /// Dials `node`; `waiting` is told how it went.
    fn connect(&mut self, node: NodeId, at: &At, waiting: Option<Waiting>) {
        let waiting = match waiting {
            Some(what) => match self.dialing.join(node, what) {
                Ok(()) => return,
                Err(what) => Some(what),
            },
            None => None,
        };
        let now = Instant::now();
        let addresses = addresses::multiaddrs(&self.dialing.unmuted(at, now));
        let unreachable = node == self.own || self.dialing.is_dialing(node) || !self.dialing.has_room() || (addresses.is_empty() && !at.is_empty());
        // The addresses are its own word.
        if unreachable || self.ledger.charge(node, Charge::Dials, addresses.len().max(1) as u64).is_err() {
            waiting.into_iter().for_each(|what| self.fail(what, SendFailure::Unreachable));
            return;
        }
        let options = DialOpts::peer_id(peer_of(node)).condition(PeerCondition::Always);
        let options = if addresses.is_empty() { options.build() } else { options.addresses(addresses).build() };
        let connection = options.connection_id();
        self.dialing.began(node, connection, waiting);
        if let Err(error) = self.swarm.dial(options) {
            let failure = dialing::failure(&error);
            self.dialing.failed(node, connection).into_iter().for_each(|what| self.fail(what, failure));
        }
    }

    pub(super) fn fail(&mut self, waiting: Waiting, failure: SendFailure) {
        match waiting {
            Waiting::Send { send, .. } => self.events.push_back(Event::Answered { send, answer: Err(failure), near: None }),
            // Whoever waited may have given up.
            Waiting::Car(told) => drop(told.send(Err(failure))),
        }
    }

    pub(super) fn dial_bootstrap(&mut self) {
        let connected = |address: &Multiaddr| addresses::node_of_address(address).is_some_and(|node| self.peers.is_connected(node));
        let is_other = |address: &&Multiaddr| !connected(address) && !self.knocks.is_own(address);
        let others: Vec<Multiaddr> = self.config.bootstrap.iter().filter(is_other).cloned().collect();
        for address in others {
            let options: DialOpts = Multiaddr::into(address.clone());
            let (connection, now) = (options.connection_id(), Instant::now());
            self.knocks.dials(&address, connection, now);
            if let Err(error) = self.swarm.dial(options) {
                debug!(%address, %error, "bootstrap address not dialled");
                self.knocks.failed(connection, &error, now);
            }
        }
    }

    pub(super) fn report(&mut self, node: NodeId, action: PeerAction) {
        if action == PeerAction::Useful || action >= PeerAction::Invalid {
            self.ledger.knows(node, action == PeerAction::Useful);
        }
        let consequence = self.standing.report(node, action, Instant::now());
        self.follow(node, consequence);
    }

    /// The door is open again for those whose time is over.
    pub(super) fn let_back(&mut self, now: Instant) {
        for node in self.standing.forgiven(now) {
            self.swarm.behaviour_mut().gate.refuse(peer_of(node), false);
        }
    }

    /// `node` goes on although it is refused: it is let go, whatever it did before.
    pub(super) fn overdrew(&mut self, node: NodeId) {
        let consequence = self.standing.overdrew(node, Instant::now());
        self.follow(node, consequence);
        self.events.push_back(Event::Misbehaved { node, action: PeerAction::Annoying });
    }

    fn follow(&mut self, node: NodeId, consequence: Consequence) {
        self.let_back(Instant::now());
        let peer = peer_of(node);
        match consequence {
            Consequence::Score(score) => {
                self.swarm.behaviour_mut().gossip.inner.set_application_score(&peer, score);
            }
            Consequence::LetGo => {
                debug!(?node, "let go");
                self.swarm.behaviour_mut().gate.refuse(peer, true);
                let _ = self.swarm.disconnect_peer_id(peer);
            }
        }
    }
}
