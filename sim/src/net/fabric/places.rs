//! [`Places`]: which machine stands where, what listens there, and how the first segment of a connection gets to it.
//!
//! Guarantees: a segment passes every box and firewall on its way; whoever is reached sees the address that the outermost box shows; two
//! machines that dial each other through their boxes meet once. Deliberately lacks boxes that forget an open connection: they keep one
//! for two hours after its last packet, and no run is so long.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use futures::channel::oneshot;

use super::{Accept, NodeIndex};
use crate::metrics::Dials;
use crate::net::Nanos;
use crate::net::datagrams::Inbox;
use crate::net::nat::kind::{Behaviour, NatKind, Unsolicited};
use crate::net::nat::routes::{GateId, NetworkId, Routed, Routes};
use crate::net::nat::{Dropped, Packet, Protocol};
use crate::net::transport::Wire;
use crate::scenario::group::Firewall;

/// The address of a machine behind a box: each home has a network of its own, and all give out the same.
const AT_HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 2));
/// The outside of a box behind another (RFC 6598).
const BEHIND_PROVIDER: IpAddr = IpAddr::V4(Ipv4Addr::new(100, 64, 0, 7));

/// Ports that are given to sockets that ask for none (RFC 6335, dynamic ports).
const EPHEMERAL: std::ops::RangeInclusive<u16> = 49_152..=65_535;

/// A machine's address in the network in which it has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub network: NetworkId,
    pub ip: IpAddr,
}

/// How a machine is connected to the internet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Its address, or that of its outermost box.
    pub public: IpAddr,
    /// Its IPv6 address, which no box translates.
    pub ipv6: Option<IpAddr>,
    /// What the boxes are called in reports.
    pub nat: String,
    /// From the machine outwards.
    pub boxes: Vec<Behaviour>,
    pub firewall: Firewall,
}

impl Attachment {
    /// A machine with nothing between it and the internet.
    #[must_use]
    pub fn open(public: IpAddr) -> Self {
        Self { public, ipv6: None, nat: NatKind::None.name().to_owned(), boxes: Vec::new(), firewall: Firewall::None }
    }

    /// Whether a stranger's first segment reaches it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.boxes.is_empty() && self.firewall == Firewall::None
    }
}

/// Somebody who dials, until it is connected or gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Dialling {
    pub(crate) network: NetworkId,
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
}

/// Where a first segment gets to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Knock {
    /// To a machine, at its address `at`, and it sees it come `from`.
    Machine {
        node: NodeIndex,
        network: NetworkId,
        from: SocketAddr,
        at: SocketAddr,
    },
    /// To a box or firewall before this machine, which says no.
    Reset {
        node: NodeIndex,
    },
    Nowhere,
}

type Socket = (NodeIndex, Arc<dyn Accept>);

/// All machines.
pub(super) struct Places {
    routes: Routes,
    homes: BTreeMap<Place, NodeIndex>,
    sockets: BTreeMap<(NetworkId, SocketAddr), Socket>,
    inboxes: BTreeMap<(NetworkId, SocketAddr), Arc<Inbox>>,
    dialling: BTreeMap<Dialling, (NodeIndex, oneshot::Sender<Wire>)>,
    /// Whose box or firewall it is.
    gates: BTreeMap<GateId, NodeIndex>,
    /// Addresses in the internet, and the machine that they lead to.
    public: BTreeMap<IpAddr, NodeIndex>,
    /// What reports call the boxes of each machine that has some.
    nats: BTreeMap<NodeIndex, String>,
    tallies: BTreeMap<[String; 2], Dials>,
}

impl Places {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            routes: Routes::new(seed),
            homes: BTreeMap::new(),
            sockets: BTreeMap::new(),
            inboxes: BTreeMap::new(),
            dialling: BTreeMap::new(),
            gates: BTreeMap::new(),
            public: BTreeMap::new(),
            nats: BTreeMap::new(),
            tallies: BTreeMap::new(),
        }
    }

    /// The machine of `node` and all that is between it and the internet: its addresses.
    pub(super) fn attach(&mut self, node: NodeIndex, attachment: &Attachment) -> Vec<Place> {
        let Attachment { public, ipv6, nat, boxes, firewall } = attachment;
        self.public.extend([Some(*public), *ipv6].into_iter().flatten().map(|ip| (ip, node)));
        if *nat != NatKind::None.name() || *firewall != Firewall::None {
            let walled = if *firewall == Firewall::None { nat.clone() } else { format!("{nat}+firewall") };
            self.nats.insert(node, walled);
        }
        let (mut network, mut outside) = (NetworkId::INTERNET, *public);
        for behaviour in boxes.iter().rev() {
            let (inner, gate) = self.routes.nat(network, outside, *behaviour);
            self.gates.insert(gate, node);
            (network, outside) = (inner, BEHIND_PROVIDER);
        }
        let ip = if boxes.is_empty() { *public } else { AT_HOME };
        let mut places = vec![self.stand(Place { network, ip }, *firewall, node)];
        // A home's router translates no IPv6, and lets in what answers.
        let firewall = if boxes.is_empty() { *firewall } else { Firewall::Stateful };
        places.extend(ipv6.map(|ip| self.stand(Place { network: NetworkId::INTERNET, ip }, firewall, node)));
        places
    }

    fn stand(&mut self, place: Place, firewall: Firewall, node: NodeIndex) -> Place {
        let Place { network, ip } = place;
        match firewall {
            Firewall::None => self.routes.host(network, ip),
            Firewall::Stateful | Firewall::UdpBlocked => {
                let gate = self.routes.walled(network, ip, firewall == Firewall::Stateful, Unsolicited::Dropped);
                self.gates.insert(gate, node);
            }
        }
        self.homes.insert(place, node);
        place
    }

    pub(super) fn listen(&mut self, network: NetworkId, at: SocketAddr, socket: Socket) -> bool {
        let free = !self.sockets.contains_key(&(network, at));
        if free {
            self.sockets.insert((network, at), socket);
        }
        free
    }

    pub(super) fn close(&mut self, network: NetworkId, at: SocketAddr) -> Option<Socket> {
        self.sockets.remove(&(network, at))
    }

    pub(super) fn socket(&self, network: NetworkId, at: SocketAddr) -> Option<Socket> {
        self.sockets.get(&(network, at)).cloned()
    }

    /// The inbox of a datagram socket of the machine at `place`: at `port`, or at a free one where that is 0. None where it is taken.
    pub(super) fn bind(&mut self, place: Place, port: u16) -> Option<(SocketAddr, Arc<Inbox>)> {
        let free = |port: &u16| !self.inboxes.contains_key(&(place.network, SocketAddr::new(place.ip, *port)));
        let port = if port == 0 { EPHEMERAL.clone().find(|port| free(port))? } else { Some(port).filter(|port| free(port))? };
        let (at, inbox) = (SocketAddr::new(place.ip, port), Arc::<Inbox>::default());
        self.inboxes.insert((place.network, at), inbox.clone());
        Some((at, inbox))
    }

    pub(super) fn unbind(&mut self, network: NetworkId, at: SocketAddr) {
        self.inboxes.remove(&(network, at));
    }

    /// A datagram leaves `network`: where it goes on its way, as what, and to whose machine. None: somebody on the way drops it, or
    /// nobody has that address.
    pub(super) fn leave(&mut self, network: NetworkId, from: SocketAddr, to: SocketAddr, now: Nanos) -> Option<(NetworkId, Packet, NodeIndex)> {
        let (network, packet) = self.routes.leave(network, Packet { protocol: Protocol::Udp, from, to }, now).ok()?;
        let ip = packet.to.ip();
        let node = if network == NetworkId::INTERNET { self.public.get(&ip) } else { self.homes.get(&Place { network, ip }) };
        Some((network, packet, *node?))
    }

    /// It is at the end of its way: who gets it, and as what.
    pub(super) fn enter(&mut self, network: NetworkId, packet: Packet, now: Nanos) -> Option<(Arc<Inbox>, Packet)> {
        let Routed::Reached { network, packet } = self.routes.enter(network, packet, now) else { return None };
        Some((self.inboxes.get(&(network, packet.to))?.clone(), packet))
    }

    /// Sends the first segment; boxes remember it.
    pub(super) fn knock(&mut self, dialling: Dialling, now: Nanos) -> Knock {
        let Dialling { network, from, to } = dialling;
        match self.routes.send(network, Packet { protocol: Protocol::Tcp, from, to }, now) {
            Routed::Reached { network, packet } => {
                let home = self.homes.get(&Place { network, ip: packet.to.ip() });
                home.map_or(Knock::Nowhere, |node| Knock::Machine { node: *node, network, from: packet.from, at: packet.to })
            }
            Routed::Lost { gate: Some(gate), why: Dropped::Reset } => {
                self.gates.get(&gate).map_or(Knock::Nowhere, |node| Knock::Reset { node: *node })
            }
            Routed::Lost { .. } => Knock::Nowhere,
        }
    }

    /// `node` begins to dial: what it waits for. None while it dials the same from the same port.
    pub(super) fn begin(&mut self, node: NodeIndex, dialling: Dialling) -> Option<oneshot::Receiver<Wire>> {
        if self.dialling.contains_key(&dialling) {
            return None;
        }
        let (met, meeting) = oneshot::channel();
        self.dialling.insert(dialling, (node, met));
        if let Some(tally) = self.tally(node, dialling.to) {
            tally.tried += 1;
        }
        Some(meeting)
    }

    /// It is connected, or gave up.
    pub(super) fn end(&mut self, dialling: &Dialling) -> Option<oneshot::Sender<Wire>> {
        self.dialling.remove(dialling).map(|(_, met)| met)
    }

    /// Whoever dials from `at` the address that it sees the segment come `from`: both are at the end of their dials.
    pub(super) fn meet(&mut self, own: &Dialling, other: &Dialling) -> Option<(NodeIndex, oneshot::Sender<Wire>)> {
        let other = self.dialling.remove(other)?;
        self.dialling.remove(own);
        Some(other)
    }

    /// `node` is connected to `to`, by meeting somebody who dialled it or by itself.
    pub(super) fn connected(&mut self, node: NodeIndex, to: SocketAddr, punched: bool) {
        if let Some(tally) = self.tally(node, to) {
            if punched { tally.punched += 1 } else { tally.direct += 1 }
        }
    }

    /// `node` reached `to` through a relay.
    pub(super) fn relayed(&mut self, node: NodeIndex, to: NodeIndex) {
        let tally = self.tally_of(node, to);
        (tally.tried, tally.relayed) = (tally.tried + 1, tally.relayed + 1);
    }

    pub(super) fn dials(&self) -> Vec<Dials> {
        self.tallies.values().cloned().collect()
    }

    fn tally(&mut self, from: NodeIndex, to: SocketAddr) -> Option<&mut Dials> {
        let to = *self.public.get(&to.ip())?;
        Some(self.tally_of(from, to))
    }

    fn tally_of(&mut self, from: NodeIndex, to: NodeIndex) -> &mut Dials {
        let [from, to] = [from, to].map(|node| self.nats.get(&node).map_or(NatKind::None.name(), String::as_str).to_owned());
        let key = [from.clone(), to.clone()];
        self.tallies.entry(key).or_insert_with(|| Dials { from, to, ..Dials::default() })
    }
}
