//! The protobuf frames of gossipsub, identify and Kademlia, written by hand.
//!
//! Guarantees: a frame is a varint length and that many bytes, as all three have it. Deliberately lacks a reader beyond [`fields`]: an
//! attacker seldom listens.

use std::io;

use futures::{AsyncRead, AsyncReadExt as _};

/// Appends an unsigned varint.
pub fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(u8::try_from(number & 0x7f).unwrap_or(0) | 0x80);
        number >>= 7;
    }
    out.push(u8::try_from(number).unwrap_or(0));
}

/// Appends a field of bytes.
pub fn bytes(field: u64, value: &[u8], out: &mut Vec<u8>) {
    varint(field << 3 | 2, out);
    varint(value.len() as u64, out);
    out.extend(value);
}

/// Appends a field that is a number.
pub fn number(field: u64, value: u64, out: &mut Vec<u8>) {
    varint(field << 3, out);
    varint(value, out);
}

/// `body` behind its length.
#[must_use]
pub fn frame(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 5);
    varint(body.len() as u64, &mut out);
    out.extend(body);
    out
}

/// Gossip: one RPC with a subscription to each topic.
#[must_use]
pub fn subscriptions<'a>(topics: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let mut rpc = Vec::new();
    for topic in topics {
        let mut subscription = Vec::new();
        number(1, 1, &mut subscription);
        bytes(2, topic.as_bytes(), &mut subscription);
        bytes(1, &subscription, &mut rpc);
    }
    frame(&rpc)
}

/// Gossip: one RPC that publishes all `messages` on `topic`.
#[must_use]
pub fn publish<'a>(topic: &str, messages: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut rpc = Vec::new();
    for message in messages {
        let mut published = Vec::new();
        bytes(2, message, &mut published);
        bytes(4, topic.as_bytes(), &mut published);
        bytes(2, &published, &mut rpc);
    }
    frame(&rpc)
}

/// Gossip: one RPC that says to have `ids` (IHAVE), wants them (IWANT), wants none of them (IDONTWANT), or joins the mesh.
#[must_use]
pub fn control(topic: &str, kind: Control, ids: &[[u8; 32]]) -> Vec<u8> {
    let mut inner = Vec::new();
    let first = match kind {
        Control::IHave => {
            bytes(1, topic.as_bytes(), &mut inner);
            2
        }
        Control::IWant | Control::IDontWant => 1,
        Control::Graft => {
            bytes(1, topic.as_bytes(), &mut inner);
            0
        }
    };
    if first > 0 {
        ids.iter().for_each(|id| bytes(first, id, &mut inner));
    }
    let (mut control, mut rpc) = (Vec::new(), Vec::new());
    bytes(kind as u64, &inner, &mut control);
    bytes(3, &control, &mut rpc);
    frame(&rpc)
}

/// The field of a control message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    IHave = 1,
    IWant = 2,
    Graft = 3,
    IDontWant = 5,
}

/// What identify says of a peer with this `node` id: any addresses, as bytes of a multiaddr or of none.
#[must_use]
pub fn identify(node: &[u8; 32], network: &str, listen: &[Vec<u8>], observed: &[u8], protocols: &[String]) -> Vec<u8> {
    let mut key = Vec::new();
    number(1, 1, &mut key);
    bytes(2, node, &mut key);
    let mut out = Vec::new();
    bytes(1, &key, &mut out);
    listen.iter().for_each(|address| bytes(2, address, &mut out));
    protocols.iter().for_each(|protocol| bytes(3, protocol.as_bytes(), &mut out));
    bytes(4, observed, &mut out);
    bytes(5, format!("/station/{network}/1").as_bytes(), &mut out);
    bytes(6, b"stranger/1", &mut out);
    frame(&out)
}

/// A DHT answer (of the kind that was asked, 4 for nodes and 3 for providers) that names peers at addresses.
#[must_use]
pub fn closer_peers(kind: u64, key: &[u8], peers: &[(Vec<u8>, Vec<Vec<u8>>)]) -> Vec<u8> {
    let mut out = Vec::new();
    number(1, kind, &mut out);
    bytes(2, key, &mut out);
    for (id, addresses) in peers {
        let mut peer = Vec::new();
        bytes(1, id, &mut peer);
        addresses.iter().for_each(|address| bytes(2, address, &mut peer));
        number(3, 1, &mut peer);
        // Nearer ones, and providers: whoever looks for either gets both.
        bytes(8, &peer, &mut out);
        bytes(9, &peer, &mut out);
    }
    frame(&out)
}

/// Reads a frame of at most `max` bytes.
pub async fn read(io: &mut (impl AsyncRead + Unpin), max: usize) -> io::Result<Vec<u8>> {
    let (mut length, mut shift) = (0_u64, 0);
    loop {
        let mut byte = [0];
        io.read_exact(&mut byte).await?;
        length |= u64::from(byte[0] & 0x7f) << shift;
        shift += 7;
        if byte[0] & 0x80 == 0 {
            break;
        }
        if shift > 56 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    let length = usize::try_from(length).ok().filter(|length| *length <= max).ok_or(io::ErrorKind::InvalidData)?;
    let mut body = vec![0; length];
    io.read_exact(&mut body).await?;
    Ok(body)
}

/// The fields of a message: numbers of one kind, bytes of the other.
#[must_use]
pub fn fields(mut body: &[u8]) -> Vec<(u64, Vec<u8>, u64)> {
    fn take(body: &mut &[u8]) -> Option<u64> {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = *body.split_off_first()?;
            number |= u64::from(byte & 0x7f).checked_shl(shift)?;
            shift += 7;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
    }
    let mut found = Vec::new();
    while let Some(tag) = take(&mut body) {
        let Some(number) = take(&mut body) else { break };
        match tag & 7 {
            0 => found.push((tag >> 3, Vec::new(), number)),
            2 => match usize::try_from(number).ok().and_then(|length| body.split_off(..length)) {
                Some(value) => found.push((tag >> 3, value.to_vec(), 0)),
                None => break,
            },
            _ => break,
        }
    }
    found
}
