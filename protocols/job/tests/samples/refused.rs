//! Bytes that must be refused, and at which step: what a decoder that is too kind would take.
//!
//! Guarantees: each differs from something good in one point, which its `why` names. Deliberately lacks our encoder where that cannot write
//! what is wrong: maps and heads are put together by hand.

use ipld_core::ipld::Ipld;
use serde::Serialize;
use serde_json::{Value, json};
use station_protocol::bounded::List;
use station_protocol::call::{CALL_BYTES_MAX, Call, CallState};
use station_protocol::census::PeerRecord;
use station_protocol::codec::{self, DecodeError};
use station_protocol::content::{RAW, cid_of};
use station_protocol::identity::{NodeId, Signed};
use station_protocol::time::Time;
use station_protocol::work::{REQUEST_BYTES_MAX, RESPONSE_BYTES_MAX, Request, Response};

use super::{NETWORK, REQUESTER, WORKER, call, experiment, key, list, name, peer_record, sign};

/// At which step something is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    /// 1: more bytes than the message may have.
    TooLarge,
    /// 2: no CBOR, or not one value.
    NotWellFormed,
    /// 2: nested too deeply.
    TooDeep,
    /// 3: not the shape, or not what DAG-CBOR has.
    Shape,
    /// 4: not the one encoding.
    NotCanonical,
    /// The signature does not match.
    Signature,
    /// A rule of the page about a Call that decodes.
    Rule,
}

pub(crate) struct Refused {
    pub(crate) name: String,
    /// What a decoder takes it for.
    pub(crate) kind: &'static str,
    pub(crate) why: &'static str,
    pub(crate) bytes: Vec<u8>,
}

/// The step at which this crate refuses it; none where it takes it.
pub(crate) fn step(refused: &Refused) -> Option<Step> {
    let bytes = &refused.bytes;
    let of = |error: DecodeError| match error {
        DecodeError::TooLarge { .. } => Step::TooLarge,
        DecodeError::TooDeep => Step::TooDeep,
        DecodeError::Truncated | DecodeError::Malformed(_) => Step::NotWellFormed,
        DecodeError::Shape(_) => Step::Shape,
        DecodeError::NotCanonical => Step::NotCanonical,
    };
    match refused.kind {
        "request" => codec::decode::<Request>(bytes, REQUEST_BYTES_MAX).map_err(of).err(),
        "response" => codec::decode::<Response>(bytes, RESPONSE_BYTES_MAX).map_err(of).err(),
        "input" => codec::decode::<Ipld>(bytes, station_protocol::work::INPUT_BYTES_MAX).map_err(of).err(),
        "peer/1" => match codec::decode::<Signed<PeerRecord>>(bytes, 4_096).map_err(of) {
            Err(step) => Some(step),
            Ok(record) => record.verify(&name(NETWORK)).is_err().then_some(Step::Signature),
        },
        "call/1" => match codec::decode::<Signed<Call>>(bytes, CALL_BYTES_MAX).map_err(of) {
            Err(step) => Some(step),
            Ok(call) if call.verify(&name(NETWORK)).is_err() || call.body.experiment.verify(&name(NETWORK)).is_err() => Some(Step::Signature),
            Ok(call) => station_protocol::call::check_decoded(&call, &name(NETWORK), &name("ipfs-gateways")).is_err().then_some(Step::Rule),
        },
        other => panic!("no decoder for {other}"),
    }
}

pub(crate) fn json(refused: &Refused) -> Value {
    let hex: String = refused.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut value = json!({ "name": refused.name, "kind": refused.kind, "why": refused.why, "step": step(refused), "hex": hex });
    if refused.kind.ends_with("/1") {
        value["network"] = json!(NETWORK);
        value["topic"] = json!("ipfs-gateways");
    }
    value
}

/// A head of `major` in the shortest form.
fn head(major: u8, argument: u64) -> Vec<u8> {
    let first = |info: u8| major << 5 | info;
    let be = argument.to_be_bytes();
    match argument {
        0..=23 => vec![first(be[7])],
        24..=0xff => vec![first(24), be[7]],
        0x100..=0xffff => vec![first(25), be[6], be[7]],
        0x1_0000..=0xffff_ffff => [&[first(26)], &be[4..]].concat(),
        _ => [&[first(27)], &be[..]].concat(),
    }
}

fn text(text: &str) -> Vec<u8> {
    [head(3, text.len() as u64), text.as_bytes().to_vec()].concat()
}

/// A map with its entries in the order given.
fn map(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut out = head(5, entries.len() as u64);
    for (key, value) in entries {
        out.extend(text(key));
        out.extend(value);
    }
    out
}

fn wait(ms: Vec<u8>) -> Vec<u8> {
    map(&[("wait", map(&[("ms", ms)]))])
}

fn id() -> Vec<u8> {
    codec::encode(&experiment().id())
}

fn status(fields: &[(&str, Vec<u8>)]) -> Vec<u8> {
    map(&[("status", map(fields))])
}

fn calls(topic: &str, have: Vec<u8>) -> Vec<u8> {
    map(&[("calls", map(&[("have", have), ("topic", text(topic))]))])
}

type Row = (&'static str, &'static str, &'static str, Vec<u8>);

fn encodings() -> Vec<Row> {
    let good = status(&[("experiment", id())]);
    let mut cut = good.clone();
    cut.pop();
    let plain_link = |bytes: &[u8]| [vec![0xd8, 0x2a], head(2, bytes.len() as u64), bytes.to_vec()].concat();
    let cid = experiment().id().to_bytes();
    vec![
        ("key-order", "request", "keys are ordered by length first", map(&[("decline", map(&[("experiment", id()), ("reason", text("hours"))]))])),
        ("key-twice", "request", "a key stands twice", status(&[("experiment", id()), ("experiment", id())])),
        ("integer-long", "response", "1000 in four bytes, two are enough", wait(vec![0x1a, 0, 0, 3, 0xe8])),
        (
            "length-long",
            "response",
            "the length of a text in a byte of its own",
            [vec![0xa1, 0x78, 4], b"wait".to_vec(), map(&[("ms", head(0, 1_000))])].concat(),
        ),
        ("map-indefinite", "response", "a map of no stated length", [vec![0xbf], text("wait"), map(&[("ms", head(0, 1_000))]), vec![0xff]].concat()),
        ("text-indefinite", "response", "a text of no stated length", [vec![0x7f, 0x65], b"noted".to_vec(), vec![0xff]].concat()),
        ("trailing-byte", "request", "a byte after the value", [good, vec![0]].concat()),
        ("cut", "request", "the last byte is missing", cut),
        ("empty", "request", "no byte at all", Vec::new()),
        ("length-beyond-the-end", "request", "a list of 2^60 items in nine bytes", [vec![0x9b], (1_u64 << 60).to_be_bytes().to_vec()].concat()),
        ("too-deep", "input", "17 lists in each other", [vec![0x81; 17], vec![0]].concat()),
        ("reserved", "request", "a head that CBOR has reserved", vec![0x1c]),
        ("text-not-utf-8", "request", "a topic that is no UTF-8", calls_with(&[0x62, 0xc3, 0x28])),
        ("tag-1", "input", "a tag other than 42", vec![0xc1, 0x1a, 0, 0, 0, 1]),
        ("link-without-zero", "request", "a CID under tag 42 without the zero byte", status(&[("experiment", plain_link(&cid))])),
        ("link-longer", "request", "a byte after the CID under tag 42", status(&[("experiment", plain_link(&[&[0][..], &cid, &[0]].concat()))])),
        ("key-not-text", "input", "a key that is a number", vec![0xa1, 1, 1]),
        ("undefined", "input", "a simple value that DAG-CBOR has not", vec![0xf7]),
        ("nan", "input", "no number", [vec![0xfb], f64::NAN.to_be_bytes().to_vec()].concat()),
        ("infinity", "input", "no finite number", [vec![0xfb], f64::INFINITY.to_be_bytes().to_vec()].concat()),
        ("float-32", "input", "1.0 in 32 bits", vec![0xfa, 0x3f, 0x80, 0, 0]),
        ("float-16", "input", "1.0 in 16 bits", vec![0xf9, 0x3c, 0]),
    ]
}

fn calls_with(topic: &[u8]) -> Vec<u8> {
    let mut out = [vec![0xa1], text("calls"), vec![0xa2], text("have"), head(4, 0), text("topic")].concat();
    out.extend(topic);
    out
}

fn shapes() -> Vec<Row> {
    let none = || head(4, 0);
    let holding = [head(4, 257), vec![0; 257]].concat();
    let deliver = |holding: Vec<u8>| {
        let fields =
            [("free", head(0, 0)), ("cursor", head(0, 0)), ("holding", holding), ("receipts", none()), ("returned", none()), ("experiment", id())];
        map(&[("deliver", map(&fields))])
    };
    vec![
        ("field-missing", "request", "a field is missing", map(&[("decline", map(&[("experiment", id())]))])),
        ("field-unknown", "request", "a field that is not there", status(&[("more", head(0, 1)), ("experiment", id())])),
        ("kind-unknown", "request", "a kind that is not there", map(&[("subscribe", map(&[("experiment", id())]))])),
        ("word-unknown", "request", "a reason that is not there", map(&[("decline", map(&[("reason", text("mood")), ("experiment", id())]))])),
        ("type-other", "response", "a text in place of a number", wait(text("1000"))),
        ("number-above-32-bits", "response", "2^32 in a field of 32 bits", wait(head(0, 1 << 32))),
        ("number-negative", "response", "-1", wait(vec![0x20])),
        ("name-upper-case", "request", "a name in upper case", calls("Topic", none())),
        ("name-long", "request", "a name of 65 bytes", calls(&"a".repeat(65), none())),
        ("name-empty", "request", "a name of no byte", calls("", none())),
        ("list-long", "request", "257 numbers where 256 are allowed", deliver(holding)),
        ("null-for-absent", "response", "null where a field without a value is left out", status_with_null()),
        ("text-for-bytes", "peer/1", "a text in place of a key", map(&[("body", map(&[])), ("author", text("me")), ("signature", head(2, 0))])),
        ("address-dns", "peer/1", "an address with a name to look up", record_at("/dns4/example.org/tcp/4710")),
        ("address-zeros", "peer/1", "a port with a leading zero", record_at("/ip4/192.0.2.2/tcp/04710")),
        ("address-mapped", "peer/1", "an IPv4 address in IPv6", record_at("/ip6/::ffff:192.0.2.2/tcp/4710")),
    ]
}

fn status_with_null() -> Vec<u8> {
    let number = || head(0, 1);
    let fields = [
        ("log", vec![0xf6]),
        ("held", number()),
        ("jobs", number()),
        ("pages", number()),
        ("settled", number()),
        ("claimants", number()),
        ("experiment", id()),
        ("outstanding", number()),
    ];
    status(&fields)
}

/// A peer record that is well but for its one address.
fn record_at(address: &str) -> Vec<u8> {
    let node = key(WORKER).node();
    let at = [head(4, 1), text(&format!("{address}/p2p/{node}"))].concat();
    let body = map(&[("at", at), ("made", head(0, 1_798_670_000_000)), ("node", codec::encode(&node)), ("topic", text("ipfs-gateways"))]);
    map(&[("body", body), ("author", codec::encode(&node)), ("signature", [head(2, 64), vec![0; 64]].concat())])
}

fn bytes_of<const N: usize>(hex: &str) -> [u8; N] {
    let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    bytes.try_into().unwrap()
}

/// A record without addresses under a key and a signature that were made elsewhere: no library of ours makes them.
fn record_of(author: &str, signature: &str) -> Signed<PeerRecord> {
    let node = NodeId(bytes_of(author));
    let mut record = sign(WORKER, &PeerRecord { node, at: List::default(), ..peer_record() });
    record.author = node;
    record.signature.0 = bytes_of(signature);
    record
}

/// A key with a part of order 8, and two signatures of it: the first fits only an equation that is multiplied by 8.
const MIXED_KEY: &str = "d0d31a3cb4bf59a067bce65dbb4e453eb75450b39b1f8a15bd2cce95fa47c958";
const WITH_COFACTOR: &str =
    "2bdf2c74a1ca6aa250ec96815e953e3a1552ee967912cc06212702f6a06ee8345f2f84d61fbc4098d54883618333a21229783b7d4a7546aee487cb0430e70202";
const WITHOUT_COFACTOR: &str =
    "aa5a2b175a97dc337218fd0dc7ce771b496b7bda76995a5ee4a6c26427880a43680e1e890aa6c4c29dbcd12d9a96808ff54f8f0dbd9782edb24f1bf8ed411d03";
/// The neutral element, and a signature that fits the plain equation under it.
const SMALL_KEY: &str = "0100000000000000000000000000000000000000000000000000000000000000";
const UNDER_SMALL_KEY: &str =
    "edc876d6831fd2105d0b4389ca2e283166469289146e2ce06faefe98b22548df0500000000000000000000000000000000000000000000000000000000000000";
/// The worker's key, and a signature whose R is the neutral element.
const WORKER_KEY: &str = "8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394";
const WITH_SMALL_R: &str =
    "01000000000000000000000000000000000000000000000000000000000000004f2a91ba1a3faf763b456355e391f4d962a6d7c18bb2735f97964bf1d434ef0c";
/// The order of the group, little-endian.
const ORDER: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

/// A signature that must be taken although its key is an odd one.
pub(crate) fn odd_key() -> Signed<PeerRecord> {
    record_of(MIXED_KEY, WITHOUT_COFACTOR)
}

/// The same signature with `s` beyond the order of the group.
fn beyond_the_order(mut record: Signed<PeerRecord>) -> Signed<PeerRecord> {
    let (order, mut carry) = (bytes_of::<32>(ORDER), 0);
    for (s, order) in record.signature.0[32..].iter_mut().zip(order) {
        let sum = u16::from(*s) + u16::from(order) + carry;
        (*s, carry) = (sum.to_be_bytes()[1], sum >> 8);
    }
    record
}

fn signatures() -> Vec<Row> {
    let record = |record: Signed<PeerRecord>| codec::encode(&record);
    let good = || sign(WORKER, &peer_record());
    let mut flipped = good();
    flipped.signature.0[40] ^= 1;
    let elsewhere = key(WORKER).sign(&name("elsewhere"), peer_record());
    let mut of_another = good();
    of_another.author = key(REQUESTER).node();
    vec![
        ("signature-flipped", "peer/1", "one bit of s is another", record(flipped)),
        ("signature-of-another-network", "peer/1", "it was signed for the network elsewhere", record(elsewhere)),
        ("signature-of-another-author", "peer/1", "another key stands beside it", record(of_another)),
        ("signature-s-beyond-order", "peer/1", "s is not below the order of the group", record(beyond_the_order(good()))),
        ("signature-small-key", "peer/1", "the key is of small order", record(record_of(SMALL_KEY, UNDER_SMALL_KEY))),
        ("signature-small-r", "peer/1", "R is of small order", record(record_of(WORKER_KEY, WITH_SMALL_R))),
        ("signature-cofactor", "peer/1", "only the equation multiplied by the cofactor holds", record(record_of(MIXED_KEY, WITH_COFACTOR))),
    ]
}

fn rules() -> Vec<Row> {
    let with = |change: &dyn Fn(&mut Call)| {
        let mut body = call(CallState::Open);
        change(&mut body);
        codec::encode(&sign(REQUESTER, &body))
    };
    let of = |change: &dyn Fn(&mut station_protocol::experiment::Experiment)| {
        with(&|call| {
            let mut body = experiment();
            change(&mut body);
            call.experiment = sign(REQUESTER, &body);
        })
    };
    let other_author = codec::encode(&sign(WORKER, &call(CallState::Open)));
    vec![
        ("call-too-large", "call/1", "a byte more than a Call may have", [head(2, CALL_BYTES_MAX as u64 - 2), vec![0; CALL_BYTES_MAX - 2]].concat()),
        ("call-never-valid", "call/1", "exp is nbf", with(&|call| call.exp = call.nbf)),
        (
            "call-valid-too-long",
            "call/1",
            "exp is a millisecond more than ten minutes after nbf",
            with(&|call| call.exp = Time(call.nbf.0 + 600_001)),
        ),
        ("call-of-another-author", "call/1", "its author is not the requester", other_author),
        ("call-address-of-another", "call/1", "an address leads to another node", with(&|call| call.at = list(vec![super::address(WORKER)]))),
        ("call-of-another-topic", "call/1", "it came on another topic than its own", of(&|body| body.topic = name("other"))),
        ("call-without-fuel", "call/1", "a limit is 0", of(&|body| body.limits.fuel = 0)),
        (
            "call-deadline-too-far",
            "call/1",
            "the deadline is later than 31 days after nbf",
            of(&|body| body.deadline = Time(1_798_670_000_000 + 2_678_400_001)),
        ),
        (
            "call-module-empty",
            "call/1",
            "a module of no bytes",
            of(&|body| body.module = station_protocol::Content { cid: cid_of(RAW, b""), bytes: 0 }),
        ),
    ]
}

/// Every one of them.
pub(crate) fn all() -> Vec<Refused> {
    let rows = [encodings(), shapes(), signatures(), rules()].concat();
    rows.into_iter().map(|(name, kind, why, bytes)| Refused { name: name.to_owned(), kind, why, bytes }).collect()
}
