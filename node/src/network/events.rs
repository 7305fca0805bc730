//! What the station hears from the network ([`Event`]) and asks of it ([`Command`]): values on both sides.
//!
//! Guarantees: an address list is bounded and every address in it parsed. Deliberately lacks any libp2p type but the byte stream
//! and the listening address.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use cid::Cid;
use futures::{AsyncRead, AsyncWrite};
use libp2p::Multiaddr;
use station_protocol::address::Reach;
use station_protocol::bounded::Name;
use station_protocol::call::Call;
use station_protocol::cluster::Cluster;
use station_protocol::durable::Ticket;
use station_protocol::work::{At, Request, Response};
use station_protocol::worker::{Admission, Near, SendFailure};
use station_protocol::{NodeId, PeerAction, Signed};
use tokio::sync::OwnedSemaphorePermit;

/// Where the other end of a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remote {
    /// The relay's when relayed.
    pub ip: IpAddr,
    pub relay: Option<NodeId>,
}

impl Remote {
    /// The cluster of `node`, which is there.
    #[must_use]
    pub fn cluster(&self, node: NodeId, reach: Reach) -> Cluster {
        Cluster::of(node, self.ip, self.relay, reach)
    }
}

/// A byte stream of the `car` protocol.
#[derive(Debug)]
pub struct CarStream {
    pub stream: libp2p::Stream,
    /// Set when the peer may be behind a relay: only small CARs then.
    pub relayed: bool,
    /// Counts against the limits until dropped; outgoing streams have none.
    pub(crate) _permits: Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
}

// The stream with its permits is itself a stream, so that nobody takes the one and drops the other.
impl AsyncRead for CarStream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for CarStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(context)
    }
}

#[derive(Debug)]
pub enum Event {
    /// A Call that passed `station_protocol::call::check`, from a neighbour in the network `near`; awaits [`Command::Judge`] within 4 s.
    Call { call: Box<Signed<Call>>, from: NodeId, near: Option<Cluster>, ticket: Ticket },
    /// A station asks; awaits [`Command::Answer`] within the request's time-out.
    Asked { ask: Ticket, from: NodeId, remote: Remote, request: Request },
    /// What became of a [`Command::Send`]: exactly one for each. An answer came over a connection from `near`.
    Answered { send: Ticket, answer: Result<Response, SendFailure>, near: Option<Near> },
    /// A topic peer is connected. Again when its topics change.
    Connected { node: NodeId, topics: Vec<Name> },
    /// The last connection with a topic peer ended.
    Disconnected { node: NodeId },
    /// This station reached `node` through a relay.
    Relayed { node: NodeId },
    /// This station's own addresses changed. Best first.
    Addresses(At),
    /// There are `too_many` guests. These have stayed long enough; those with whom nothing is at work are let go in this order by
    /// [`Command::LetGo`].
    Crowded { guests: Vec<NodeId>, too_many: usize },
    /// A directly connected peer of the cluster `by` says that it sees this station at `ip`.
    Seen { by: Cluster, ip: IpAddr },
    /// A station asks for content.
    Stream { from: NodeId, remote: Remote, stream: CarStream },
    /// What became of a [`Command::FindProviders`]: exactly one for each.
    Providers { find: Ticket, providers: Vec<(NodeId, At)> },
    /// A peer sent what no honest station sends.
    Misbehaved { node: NodeId, action: PeerAction },
    /// A listener is ready.
    Listening(Multiaddr),
}

#[derive(Clone, Debug)]
pub enum Command {
    /// Gossip the canonical bytes of a Call.
    Publish {
        topic: Name,
        bytes: Vec<u8>,
    },
    Judge {
        ticket: Ticket,
        admission: Admission,
    },
    /// Ask `to`, over the connection there is, else over a new one to `at`.
    Send {
        send: Ticket,
        to: NodeId,
        at: At,
        request: Request,
    },
    Answer {
        ask: Ticket,
        response: Response,
    },
    /// Connect to peers of a topic.
    Neighbours {
        topic: Name,
        peers: Vec<(NodeId, At)>,
    },
    /// Say in the DHT that this station has the content.
    Provide {
        cid: Cid,
    },
    Unprovide {
        cid: Cid,
    },
    FindProviders {
        find: Ticket,
        cid: Cid,
    },
    Listen(Multiaddr),
    /// The operator, the router or a test of reachability says that this is an address of this station, or no longer.
    External {
        address: Multiaddr,
        lives: bool,
    },
    /// Room for that many more inbound connections while experiments are open.
    SetContactLimits {
        more_inbound: u32,
    },
    /// Ends the connections with a guest.
    LetGo(NodeId),
    /// Moves a peer's standing; far enough down and it is let go for a while.
    Report {
        node: NodeId,
        action: PeerAction,
    },
}

/// No `car` stream could be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenFailure {
    #[error("no connection to the station: {0:?}")]
    NotConnected(SendFailure),
    #[error("the station does not speak car: {0}")]
    Refused(String),
}
