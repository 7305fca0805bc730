//! Entries for the fuzz targets in `protocols/fuzz` and for the replay of their corpora: hostile bytes in, a panic where a promise is
//! broken.
//!
//! Guarantees: nothing here is called by a station. Deliberately lacks the generation of inputs, which is the fuzzer's part.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};

use cid::Cid;
use ipld_core::ipld::Ipld;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::address::{Address, Reach, Route, Transport};
use crate::bounded::Name;
use crate::call::{self, CALL_BYTES_MAX, Call};
use crate::census::{Census, PeerRecord};
use crate::codec::{self, DecodeError};
use crate::content::{DAG_CBOR, cid_of};
use crate::experiment::Experiment;
use crate::hostcall::{FetchRequest, REQUEST_BYTES_MAX as FETCH_BYTES_MAX, TRANSCRIPT_BYTES_MAX, Transcript};
use crate::identity::{Signed, SigningKey};
use crate::jobs::{BLOCK_BYTES_MAX, Jobs};
use crate::log::{self, Page, ROOT_BYTES_MAX, Root};
use crate::receipt::{RECEIPT_BYTES_MAX, Receipt};
use crate::time::Time;
use crate::work::{self, Ack, Leases, REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX, Refusal, Request, Response};

/// Kinds that the first byte of [`message`] chooses among.
pub const KINDS: u8 = 12;

/// One message of any kind: the first byte chooses it. What decodes has one encoding, and every check that comes next is total.
pub fn message(bytes: &[u8]) {
    let [kind, body @ ..] = bytes else { return };
    match kind % KINDS {
        0 => request(body),
        1 => response(body),
        2 => gossip(body),
        3 => drop(total::<Signed<PeerRecord>>(body, RESPONSE_BYTES_MAX).map(|record| record_is_offered(&record))),
        4 => drop(total::<Experiment>(body, CALL_BYTES_MAX).map(|experiment| experiment.check())),
        5 => drop(total::<Signed<Receipt>>(body, RECEIPT_BYTES_MAX).map(|receipt| receipt.verify(&network()))),
        6 => drop(total::<Signed<Leases>>(body, RESPONSE_BYTES_MAX).map(|leases| leases.verify(&network()))),
        7 => drop(total::<Signed<Ack>>(body, RESPONSE_BYTES_MAX).map(|ack| ack.verify(&network()))),
        8 => drop(total::<Signed<Refusal>>(body, RESPONSE_BYTES_MAX).map(|refusal| refusal.verify(&network()))),
        9 => drop(total::<FetchRequest>(body, FETCH_BYTES_MAX)),
        10 => drop(total::<Transcript>(body, TRANSCRIPT_BYTES_MAX)),
        _ => drop(total::<Ipld>(body, work::INPUT_BYTES_MAX)),
    }
}

/// Bytes on a topic of Calls.
pub fn gossip(bytes: &[u8]) {
    let (network, topic) = (network(), topic());
    let checked = call::check(bytes, &network, &topic);
    if let Ok(call) = &checked {
        assert_eq!(codec::encode(call), bytes);
        assert!(call.body.at.iter().all(|address| address.node() == call.author));
    }
    match codec::decode::<Signed<Call>>(bytes, CALL_BYTES_MAX) {
        Ok(call) => assert_eq!(call::check_decoded(&call, &network, &topic).is_ok(), checked.is_ok()),
        Err(_) => assert!(matches!(checked, Err(call::CallError::Decode(_))), "{checked:?}"),
    }
    if let Some(call) = total::<Signed<Call>>(bytes, CALL_BYTES_MAX) {
        let _ = call::check_decoded(&call, &network, &topic);
        let _ = (call.body.experiment.body.check(), call.body.id());
    }
}

/// A page of a Log, then its root: the first two bytes are the page's length.
pub fn log(bytes: &[u8]) {
    let [high, low, rest @ ..] = bytes else { return };
    let (page, root) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])).min(rest.len()));
    let page = total::<Page>(page, BLOCK_BYTES_MAX);
    if let Some(root) = total::<Root>(root, ROOT_BYTES_MAX) {
        let pages = page.as_slice();
        // A block that is nobody's is as good as none: outputs are looked up by CID.
        let _ = log::verify(&root, pages, |cid| (cid.codec() == DAG_CBOR).then(Vec::new), None);
    }
    for entry in page.iter().flat_map(|page| &page.entries) {
        if let log::Entry::Settled(job) = entry {
            assert_eq!(log::with_outputs(job, |_| None).len(), job.receipts.len());
        }
    }
}

/// The blocks of an experiment's jobs, each under its right CID: bytes between lengths of two bytes, the root last. A `0xfe` and a
/// number in the root stand for the CID of that block, so that a fuzzer need not hash.
pub fn jobs(bytes: &[u8]) {
    let (mut blocks, mut rest, mut last) = (BTreeMap::new(), bytes, None);
    let mut cids: Vec<Cid> = Vec::new();
    while let [high, low, after @ ..] = rest {
        let (body, after) = after.split_at(usize::from(u16::from_be_bytes([*high, *low])).min(after.len()));
        rest = after;
        let block = with_links(body, &cids);
        let cid = cid_of(DAG_CBOR, &block);
        cids.push(cid);
        blocks.insert(cid, block);
        last = Some(cid);
        if cids.len() > 16 {
            break;
        }
    }
    let Some(root) = last else { return };
    let Ok(jobs) = Jobs::read(&root, |cid| blocks.get(cid).cloned()) else { return };
    assert!(jobs.count() > 0);
    assert_eq!(jobs.root(), root, "the same jobs have the same root");
    for index in [0, 1, jobs.count() / 2, jobs.count() - 1] {
        let input = jobs.input(index);
        assert_eq!(input.is_some(), index < jobs.count());
        if let Some(input) = input {
            assert!(input.len() <= work::INPUT_BYTES_MAX);
            assert!(codec::decode::<Ipld>(&input, work::INPUT_BYTES_MAX).is_ok(), "an input has one encoding");
        }
        let _ = jobs.target(index, "target");
    }
    assert_eq!(jobs.input(jobs.count()), None);
    let record = codec::encode(&jobs);
    assert_eq!(codec::decode::<Jobs>(&record, usize::MAX).as_ref(), Ok(&jobs), "it is restored from its record");
}

/// `body` with `0xfe n` replaced by the link to block `n`.
fn with_links(body: &[u8], cids: &[Cid]) -> Vec<u8> {
    let (mut block, mut bytes) = (Vec::new(), body.iter());
    while let Some(byte) = bytes.next() {
        match (byte, cids.len()) {
            (0xfe, 1..) => {
                let number = usize::from(bytes.next().copied().unwrap_or_default()) % cids.len();
                block.extend(codec::encode(&cids[number]));
            }
            _ => block.push(*byte),
        }
    }
    block
}

/// Text that claims to be an address, or after a zero an address that is one by its making. What is one is written as it was read, and
/// leads where a transport would go.
pub fn address(bytes: &[u8]) {
    if let [0, made @ ..] = bytes {
        let (text, is_mapped) = made_address(made);
        assert_eq!(text.parse::<Route>().is_ok(), !is_mapped, "{text}");
        return judged(&text);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        judged(text);
    }
}

fn judged(text: &str) {
    if let Ok(address) = Address::parse(text) {
        assert_eq!(codec::decode::<Address>(&codec::encode(&address), usize::MAX), Ok(address));
    }
    let Ok(route) = text.parse::<Route>() else { return };
    assert_eq!(route.to_string(), text);
    let (socket, transport) = (route.endpoint.socket(), route.endpoint.transport());
    assert_eq!(dialled(text), Some((socket, transport)), "{text}");
    if route.endpoint.is_dialable(Reach::Global) {
        assert!(is_elsewhere(socket.ip()), "{text}");
    }
    assert!(!socket.ip().is_unspecified() && !socket.ip().is_multicast() || !route.endpoint.is_dialable(Reach::Any), "{text}");
}

/// The socket that libp2p connects to, by its own reading: relays are reached by what stands before the circuit, QUIC takes three parts
/// from the front and peer ids, TCP takes port and IP from the back and ignores whatever stands before them.
fn dialled(text: &str) -> Option<(SocketAddr, Transport)> {
    let mut parts: Vec<&str> = Vec::new();
    let mut rest = text.strip_prefix('/')?.split('/');
    while let Some(part) = rest.next() {
        match part {
            "p2p-circuit" => break,
            "p2p" => drop(rest.next()?),
            part => parts.push(part),
        }
    }
    let (transport, at) = match parts.as_slice() {
        [_, _, "udp", _, "quic-v1"] => (Transport::QuicV1, 0),
        [.., "tcp", _] => (Transport::Tcp, parts.len().checked_sub(4)?),
        _ => return None,
    };
    let ip: IpAddr = match parts[at] {
        "ip4" => IpAddr::V4(parts[at + 1].parse().ok()?),
        "ip6" => IpAddr::V6(parts[at + 1].parse().ok()?),
        _ => return None,
    };
    Some((SocketAddr::new(ip, parts[at + 3].parse().ok()?), transport))
}

/// Whether an IP is for certain neither this machine, nor its neighbours, nor a way to them: written from the registries of
/// special-purpose addresses, apart from the table that stations use.
fn is_elsewhere(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            !matches!(
                (a, b, c),
                (0 | 10 | 127 | 224..=255, _, _)
                    | (100, 64..=127, _)
                    | (169, 254, _)
                    | (172, 16..=31, _)
                    | (192, 0, 0)
                    | (192, 168, _)
                    | (198, 18..=19, _)
            )
        }
        // All that is unicast and global so far, without tunnels that carry IPv4 and without documentation.
        IpAddr::V6(ip) => {
            let [a, b, ..] = ip.segments();
            a >> 13 == 1 && a != 0x2002 && (a, b) != (0x2001, 0) && (a, b) != (0x2001, 0xdb8)
        }
    }
}

/// An address by the grammar, and whether its IP is an IPv4 address spelt as IPv6, which is refused.
fn made_address(bytes: &[u8]) -> (String, bool) {
    let mut bytes = bytes.iter().copied();
    let mut byte = || bytes.next().unwrap_or(1);
    let shape = byte();
    let ip = if shape & 1 == 0 {
        IpAddr::V4([byte(), byte(), byte(), byte()].into())
    } else {
        IpAddr::V6(std::array::from_fn::<u8, 16, _>(|at| if shape & 2 == 0 || !(4..=11).contains(&at) { byte() } else { 0 }).into())
    };
    let port = u16::from_be_bytes([byte(), byte()]).max(1);
    let kind = if ip.is_ipv4() { "ip4" } else { "ip6" };
    let mut text = format!("/{kind}/{ip}") + &if shape & 4 == 0 { format!("/tcp/{port}") } else { format!("/udp/{port}/quic-v1") };
    let mut node = || SigningKey::from_bytes(&[byte(); 32]).node();
    if shape & 8 != 0 {
        text += &format!("/p2p/{}/p2p-circuit", node());
    }
    if shape & 16 != 0 {
        text += &format!("/p2p/{}", node());
    }
    (text, ip.to_canonical() != ip)
}

fn network() -> Name {
    Name::new("example").expect("a name")
}

fn topic() -> Name {
    Name::new("ipfs-gateways").expect("a name")
}

fn request(body: &[u8]) {
    match total::<Request>(body, REQUEST_BYTES_MAX) {
        Some(Request::Deliver(deliver)) => {
            for delivery in &*deliver.receipts {
                let _ = delivery.receipt.verify(&network());
            }
        }
        Some(Request::Claim(claim)) => assert!(claim.holding.len() <= work::HOLDING_MAX),
        _ => {}
    }
}

fn response(body: &[u8]) {
    match total::<Response>(body, RESPONSE_BYTES_MAX) {
        Some(Response::Calls { calls }) => {
            for call in &*calls {
                let _ = call::check_decoded(call, &network(), &topic());
            }
        }
        Some(Response::Peers { records, .. }) => records.iter().for_each(record_is_offered),
        Some(Response::Acked(ack)) => drop(ack.verify(&network())),
        _ => {}
    }
}

fn record_is_offered(record: &Signed<PeerRecord>) {
    let mut census = Census::new(&network(), &topic(), SigningKey::from_bytes(&[1; 32]).node(), Reach::Any);
    let _ = census.offer(record, record.body.made);
    let _ = census.offer(record, Time(u64::MAX));
}

/// What decodes is encoded in exactly the bytes it came in. What would decode but for its form has a form that does.
fn total<T: DeserializeOwned + Serialize + PartialEq + Debug>(bytes: &[u8], max: usize) -> Option<T> {
    match codec::decode::<T>(bytes, max) {
        Ok(value) => {
            assert!(bytes.len() <= max);
            assert_eq!(codec::encode(&value), bytes);
            Some(value)
        }
        Err(DecodeError::NotCanonical) => {
            if let Ok(value) = serde_ipld_dagcbor::from_slice::<T>(bytes)
                && let Ok(form) = codec::try_encode(&value)
            {
                // A list sorted or a number shortened on the way is another value, which has its own form.
                let again = codec::decode::<T>(&form, max);
                assert!(again.is_ok() || form.len() > max, "{again:?}");
                return again.ok();
            }
            None
        }
        Err(_) => None,
    }
}
