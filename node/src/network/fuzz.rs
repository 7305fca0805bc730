//! Entries for the fuzz targets in `node/fuzz` and for the replay of their corpora: hostile bytes in, a panic where a promise is broken.
//!
//! Guarantees: nothing here is called by a station. Deliberately lacks what libp2p decodes itself.

use std::net::{IpAddr, SocketAddr};

use futures::FutureExt;
use futures::io::Cursor;
use libp2p::multiaddr::Protocol;
use libp2p::request_response::Codec;
use libp2p::{Multiaddr, PeerId, StreamProtocol};
use station_protocol::address::{Address, Reach};
use station_protocol::bounded::Name;
use station_protocol::codec::encode;
use station_protocol::work::{REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX};
use station_protocol::{NodeId, SigningKey};

use super::codec::{Frame, WorkCodec};
use super::gossip::{Heard, hear};
use super::{addresses, peer_id};

const WORK: StreamProtocol = StreamProtocol::new("/fuzz/work");

/// A frame of the `work` protocol; the first byte chooses between a question and an answer. What is read is written in the same bytes.
pub fn frame(bytes: &[u8]) {
    let [kind, stream @ ..] = bytes else { return };
    // A station's readers have timers, which ask for a runtime.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let _entered = runtime.enter();
    let (mut codec, mut from, mut to) = (WorkCodec::default(), Cursor::new(stream), Cursor::new(Vec::new()));
    let there = "what is in memory is there";
    if kind & 1 == 0 {
        let Ok(Frame { value: Ok(request), bytes, .. }) = codec.read_request(&WORK, &mut from).now_or_never().expect(there) else { return };
        assert!(bytes <= REQUEST_BYTES_MAX);
        codec.write_request(&WORK, &mut to, Frame::own(Ok(request))).now_or_never().expect(there).expect("it is within its bound");
    } else {
        let Ok(Frame { value, bytes, .. }) = codec.read_response(&WORK, &mut from).now_or_never().expect(there) else { return };
        assert!(bytes <= RESPONSE_BYTES_MAX);
        codec.write_response(&WORK, &mut to, Frame::own(value)).now_or_never().expect(there).expect("it is within its bound");
    }
    assert!(stream.starts_with(to.get_ref()), "a message has one frame");
}

/// A message on a topic of Calls: a Call is the bytes it came in.
pub fn gossip(bytes: &[u8]) {
    let (network, topic) = (Name::new("example").expect("a name"), Name::new("ipfs-gateways").expect("a name"));
    if let Heard::Call(call) = hear(bytes, &network, &topic, || true) {
        assert_eq!(encode(&*call), bytes);
    }
}

/// Addresses that a peer tells by identify or the DHT, each a byte of length and libp2p's own form; after an odd first byte, text.
/// What a station would take from them, tell others or dial leads to a socket that a stranger may name.
pub fn addresses(bytes: &[u8]) {
    let [kind, rest @ ..] = bytes else { return };
    let told = if kind & 1 == 1 { texts(rest) } else { binaries(rest) };
    let node = SigningKey::from_bytes(&[1; 32]).node();
    for reach in [Reach::Global, Reach::Any] {
        for address in &*addresses::at_of(node, &told, reach) {
            taken(address, node, reach);
        }
        for address in &*addresses::announce(node, &told, reach) {
            taken(address, node, Reach::Any);
        }
    }
    for address in &told {
        let _ = addresses::remote(told.first(), address, |_| None);
        if let Some(route) = addresses::route_of(address) {
            let socket = dialled(address).map(|(socket, _)| socket);
            assert_eq!(socket, Some(route.endpoint.socket()), "what is judged is what is dialled: {address}");
        }
        let _ = (addresses::relay_of(address), addresses::is_relayed(address), addresses::ip_of(address));
    }
}

fn taken(address: &Address, node: NodeId, reach: Reach) {
    assert_eq!(address.node(), node);
    let whole: Multiaddr = address.to_string().parse().expect("libp2p reads what we write");
    let (socket, relay) = dialled(&whole).expect("a transport dials it");
    assert_eq!(socket, address.endpoint().socket());
    assert_eq!(relay, address.relay().map(peer_id::peer_of).map(PeerId::to_bytes));
    assert!(address.endpoint().is_dialable(reach), "{address}");
}

fn texts(bytes: &[u8]) -> Vec<Multiaddr> {
    String::from_utf8_lossy(bytes).split('\n').filter_map(|text| text.parse().ok()).collect()
}

fn binaries(mut bytes: &[u8]) -> Vec<Multiaddr> {
    let mut found = Vec::new();
    while let [length, rest @ ..] = bytes {
        let (one, after) = rest.split_at(usize::from(*length).min(rest.len()));
        found.extend(Multiaddr::try_from(one.to_vec()));
        bytes = after;
    }
    found
}

/// Where libp2p's transports would connect to, by their own rules: the relay's client takes what stands before the circuit, QUIC reads
/// from the front, TCP takes port and IP from the back and ignores whatever stands before. With the relay's id where there is one.
fn dialled(address: &Multiaddr) -> Option<(SocketAddr, Option<Vec<u8>>)> {
    let parts: Vec<Protocol<'_>> = address.iter().collect();
    let circuit = parts.iter().position(|part| matches!(part, Protocol::P2pCircuit));
    let before = &parts[..circuit.unwrap_or(parts.len())];
    let relay = circuit.and_then(|_| before.iter().find_map(|part| if let Protocol::P2p(peer) = part { Some(peer.to_bytes()) } else { None }));
    if circuit.is_some() && relay.is_none() {
        return None;
    }
    let bare: Vec<&Protocol<'_>> = before.iter().filter(|part| !matches!(part, Protocol::P2p(_))).collect();
    let ip = |part: &Protocol<'_>| match part {
        Protocol::Ip4(ip) => Some(IpAddr::V4(*ip)),
        Protocol::Ip6(ip) => Some(IpAddr::V6(*ip)),
        _ => None,
    };
    let socket = match bare.as_slice() {
        [at, Protocol::Udp(port), Protocol::QuicV1] => SocketAddr::new(ip(at)?, *port),
        [.., at, Protocol::Tcp(port)] => SocketAddr::new(ip(at)?, *port),
        _ => return None,
    };
    Some((socket, relay))
}
