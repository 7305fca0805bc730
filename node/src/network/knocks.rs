//! [`Knocks`]: what came of dialling each bootstrap address, for the operator who wrote them.
//!
//! Guarantees: as many entries as the network file has addresses; an address that leads to nobody, to somebody else or into another network
//! is told apart from one that was not asked yet. Deliberately lacks the dialling and its pauses.

use std::collections::HashMap;
use std::error::Error;
use std::io;

use libp2p::Multiaddr;
use libp2p::core::transport::TransportError;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{ConnectionId, DialError};
use station_protocol::NodeId;
use tokio::time::Instant;

use super::{addresses, peer_id};

/// What is known of a bootstrap address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Knock {
    /// It was not dialled yet.
    Unasked,
    /// It is being dialled.
    Asked,
    /// It is this station's own.
    Own,
    /// Its station is connected, at this address.
    Connected,
    /// Its station is connected, over another address or because it dialled this one.
    Elsewhere,
    /// Its station was connected, and is not any more.
    Lost,
    /// Nobody answered: why, in a word or two.
    Failed(String),
    /// Its name led to no address.
    Nowhere { name: String },
    /// Somebody else answered.
    WrongNode(Option<NodeId>),
    /// Its station is of another network.
    OtherNetwork(String),
    /// Its station is of this network, and speaks another version of the protocol.
    OtherVersion { speaks: String, own: String },
    /// What answered has its key and is no station.
    NoStation,
}

impl Knock {
    /// Whether its operator should look at it.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        matches!(self, Self::Failed(_) | Self::Nowhere { .. } | Self::WrongNode(_)) || self.is_foreign()
    }

    /// Whether who answers is no station of this network.
    fn is_foreign(&self) -> bool {
        matches!(self, Self::OtherNetwork(_) | Self::OtherVersion { .. } | Self::NoStation)
    }
}

/// One address of the network file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    pub address: Multiaddr,
    pub knock: Knock,
    /// Whether who is connected there has said of which network it is.
    pub identified: bool,
    /// How long ago that was found, in milliseconds.
    pub ago_ms: u64,
}

impl Bootstrap {
    /// The address as people say it: `127.0.0.1/4720`.
    #[must_use]
    pub fn place(&self) -> String {
        place(&self.address)
    }
}

fn place(address: &Multiaddr) -> String {
    let (mut host, mut port, mut how) = (String::new(), String::new(), "");
    for part in address.iter().take_while(|part| !matches!(part, Protocol::P2p(_))) {
        match part {
            Protocol::Ip4(ip) => host = ip.to_string(),
            Protocol::Ip6(ip) => host = ip.to_string(),
            Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name) | Protocol::Dnsaddr(name) => host = name.to_string(),
            Protocol::Tcp(number) | Protocol::Udp(number) => port = format!("/{number}"),
            Protocol::QuicV1 => how = " by QUIC",
            _ => {}
        }
    }
    format!("{host}{port}{how}")
}

#[derive(Debug)]
struct Entry {
    address: Multiaddr,
    node: Option<NodeId>,
    knock: Knock,
    identified: bool,
    /// Whether its station said last that it is of another network, over whichever address.
    foreign: bool,
    at: Instant,
}

#[derive(Debug, Default)]
pub(crate) struct Knocks {
    entries: Vec<Entry>,
    dials: HashMap<ConnectionId, usize>,
}

impl Knocks {
    pub(crate) fn new(addresses: &[Multiaddr], own: NodeId, now: Instant) -> Self {
        let entry = |address: &Multiaddr| {
            let node = addresses::node_of_address(address);
            let knock = if node == Some(own) { Knock::Own } else { Knock::Unasked };
            Entry { address: address.clone(), node, knock, identified: false, foreign: false, at: now }
        };
        Self { entries: addresses.iter().map(entry).collect(), dials: HashMap::new() }
    }

    /// A dial of `address` begins. What was found before stays until it ends: it is more than nothing.
    pub(crate) fn dials(&mut self, address: &Multiaddr, connection: ConnectionId, now: Instant) {
        let Some(index) = self.entries.iter().position(|entry| entry.address == *address) else { return };
        self.dials.retain(|_, other| *other != index);
        self.dials.insert(connection, index);
        if self.entries[index].knock == Knock::Unasked {
            self.found(index, Knock::Asked, now);
        }
    }

    /// A dial ended without a connection.
    pub(crate) fn failed(&mut self, connection: ConnectionId, error: &DialError, now: Instant) {
        let Some(index) = self.dials.remove(&connection) else { return };
        let is_connected = self.entries[index].knock == Knock::Connected;
        if let Some(knock) = judge(error).filter(|_| !is_connected) {
            self.found(index, knock, now);
        }
    }

    /// There is a connection with `node`.
    pub(crate) fn connected(&mut self, node: NodeId, connection: ConnectionId, now: Instant) {
        let dialled = self.dials.remove(&connection);
        for index in 0..self.entries.len() {
            let Entry { node: named, knock, .. } = &self.entries[index];
            if *named != Some(node) || knock.is_foreign() {
                continue;
            }
            // That one address leads there says nothing of another that does not.
            if dialled == Some(index) {
                self.found(index, Knock::Connected, now);
            } else if !knock.is_bad() && *knock != Knock::Connected {
                self.found(index, Knock::Elsewhere, now);
            }
        }
    }

    /// `node` says which network it is of: its word, like `/station/my-lab/1`. Whether it is another than `own`.
    pub(crate) fn identified(&mut self, node: NodeId, says: &str, own: &str, now: Instant) -> bool {
        let other = other(says, own);
        let is_other = other.is_some();
        self.all_of(node, now, |knock| match (&other, knock) {
            // Where nobody answers, nobody says of which network he is.
            (_, Knock::Failed(_) | Knock::Nowhere { .. } | Knock::WrongNode(_)) => None,
            (Some(other), _) => Some(other.clone()),
            (None, knock) => knock.is_foreign().then_some(Knock::Elsewhere),
        });
        self.entries.iter_mut().filter(|entry| entry.node == Some(node)).for_each(|entry| (entry.identified, entry.foreign) = (true, is_other));
        is_other
    }

    /// The last connection with `node` ended.
    pub(crate) fn closed(&mut self, node: NodeId, now: Instant) {
        self.all_of(node, now, |knock| matches!(knock, Knock::Connected | Knock::Elsewhere).then_some(Knock::Lost));
        self.entries.iter_mut().filter(|entry| entry.node == Some(node)).for_each(|entry| entry.identified = false);
    }

    /// Whether the address is this station's own, which is never dialled.
    pub(crate) fn is_own(&self, address: &Multiaddr) -> bool {
        self.entries.iter().any(|entry| entry.address == *address && entry.knock == Knock::Own)
    }

    /// Whether `node` was found to be of another network.
    pub(crate) fn is_foreign(&self, node: NodeId) -> bool {
        self.entries.iter().any(|entry| entry.node == Some(node) && entry.foreign)
    }

    /// What is known now.
    pub(crate) fn told(&self, now: Instant) -> Vec<Bootstrap> {
        let told = |entry: &Entry| {
            let ago_ms = u64::try_from(now.duration_since(entry.at).as_millis()).unwrap_or(u64::MAX);
            Bootstrap { address: entry.address.clone(), knock: entry.knock.clone(), identified: entry.identified, ago_ms }
        };
        self.entries.iter().map(told).collect()
    }

    fn all_of(&mut self, node: NodeId, now: Instant, becomes: impl Fn(&Knock) -> Option<Knock>) {
        for index in 0..self.entries.len() {
            if self.entries[index].node == Some(node)
                && let Some(knock) = becomes(&self.entries[index].knock)
            {
                self.found(index, knock, now);
            }
        }
    }

    /// The time is that of the last look, but for what lasts.
    fn found(&mut self, index: usize, knock: Knock, now: Instant) {
        let entry = &mut self.entries[index];
        // A station cannot dial itself: whatever came of trying says nothing.
        if entry.knock == Knock::Own {
            return;
        }
        if entry.knock != knock || knock.is_bad() {
            (entry.knock, entry.at) = (knock, now);
        }
    }
}

/// What who says `says` is, where that is not `own`.
fn other(says: &str, own: &str) -> Option<Knock> {
    if says == own {
        return None;
    }
    let parts = |word: &str| {
        let (network, version) = word.strip_prefix("/station/")?.split_once('/')?;
        Some((network.to_owned(), version.to_owned()))
    };
    let short = |text: String| text.chars().take(64).collect::<String>();
    Some(match (parts(says), parts(own)) {
        (None, _) => Knock::NoStation,
        (Some((network, speaks)), Some((here, own))) if network == here => Knock::OtherVersion { speaks: short(speaks), own },
        (Some((network, _)), _) => Knock::OtherNetwork(short(network)),
    })
}

/// What a failed dial says of the address; nothing where it says something of this station.
fn judge(error: &DialError) -> Option<Knock> {
    match error {
        DialError::WrongPeerId { obtained, .. } => Some(Knock::WrongNode(peer_id::node_of(obtained).ok())),
        DialError::LocalPeerId { .. } => Some(Knock::Own),
        DialError::Transport(failed) => Some(match failed.first() {
            Some((address, error)) => match name_of(address).filter(|_| is_nowhere(error)) {
                Some(name) => Knock::Nowhere { name },
                None => Knock::Failed(reason(error)),
            },
            None => Knock::Failed("not reached".to_owned()),
        }),
        DialError::NoAddresses => Some(Knock::Failed("it has no address".to_owned())),
        DialError::Aborted | DialError::Denied { .. } | DialError::DialPeerConditionFalse(_) => None,
    }
}

/// The name in an address that has one.
fn name_of(address: &Multiaddr) -> Option<String> {
    address.iter().find_map(|part| match part {
        Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name) | Protocol::Dnsaddr(name) => Some(name.to_string()),
        _ => None,
    })
}

/// Whether the name of an address is what failed: the transport says so.
fn is_nowhere(error: &TransportError<io::Error>) -> bool {
    matches!(error, TransportError::Other(error) if kinds(error).any(|kind| kind == io::ErrorKind::NotFound))
}

fn reason(error: &TransportError<io::Error>) -> String {
    let error = match error {
        TransportError::MultiaddrNotSupported(_) => return "not an address that stations dial".to_owned(),
        TransportError::Other(error) => error,
    };
    let kind = kinds(error).find(|kind| *kind != io::ErrorKind::Other);
    match kind {
        Some(io::ErrorKind::ConnectionRefused) => "refused".to_owned(),
        Some(io::ErrorKind::TimedOut) => "no answer".to_owned(),
        Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => "unreachable".to_owned(),
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe) => {
            "answers, and hangs up".to_owned()
        }
        _ => worded(error),
    }
}

/// The kinds of all errors that `error` wraps, the outermost first.
fn kinds(error: &io::Error) -> impl Iterator<Item = io::ErrorKind> {
    let mut inner: Option<&(dyn Error + 'static)> = Some(error);
    std::iter::from_fn(move || {
        let error = inner?;
        let io = error.downcast_ref::<io::Error>();
        inner = io.and_then(io::Error::get_ref).map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source());
        Some(io.map_or(io::ErrorKind::Other, io::Error::kind))
    })
}

/// What libp2p has no kind for.
fn worded(error: &io::Error) -> String {
    let (mut text, mut inner) = (error.to_string(), error.get_ref().map(|inner| inner as &(dyn Error + 'static)));
    while let Some(error) = inner {
        text = format!("{text} {error}");
        inner = error.source();
    }
    let lower = text.to_lowercase();
    match () {
        // Some of libp2p's errors show the system's words and hide its error.
        () if lower.contains("connection refused") => "refused".to_owned(),
        () if lower.contains("unreachable") => "unreachable".to_owned(),
        () if lower.contains("timeout") || lower.contains("timed out") => "no answer".to_owned(),
        () if lower.contains("resolve") || lower.contains("dns") || lower.contains("no record") => "its name has no address".to_owned(),
        () if lower.contains("negotiat") || lower.contains("upgrade") || lower.contains("handshake") => "answers, and is no station".to_owned(),
        () => error.to_string().chars().take(120).collect(),
    }
}

#[cfg(test)]
mod tests;
