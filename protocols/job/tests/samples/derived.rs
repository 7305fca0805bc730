//! What is not a message and follows from one: frames, names of messages, clusters, fractions, content as it travels.
//!
//! Guarantees: made by the code that a station uses. Deliberately lacks large bytes: those of a file of more than one block follow a formula.

use serde_json::{Value, json};
use station_protocol::address::{Address, Reach};
use station_protocol::census::RecordTag;
use station_protocol::cluster::Cluster;
use station_protocol::codec;
use station_protocol::content::{Content, DAG_CBOR, cid_of, sha256};
use station_protocol::identity::NodeId;
use station_protocol::sampling::fraction;
use station_protocol::work::Request;

use super::{NETWORK, REQUESTER, WORKER, call, experiment, key, page, peer_record, product, sign};
use station_protocol::call::CallState;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of a frame of `work`: a length and that many bytes.
fn frame() -> Value {
    let message = codec::encode(&Request::Status { experiment: experiment().id() });
    let framed = [&u32::try_from(message.len()).unwrap().to_be_bytes()[..], &message].concat();
    json!({ "name": "frame", "kind": "frame", "message": hex(&message), "hex": hex(&framed) })
}

fn message_id() -> Value {
    let topic = format!("/station/{NETWORK}/1/calls/ipfs-gateways");
    let message = codec::encode(&sign(REQUESTER, &call(CallState::Open)));
    let id = sha256(&[topic.as_bytes(), &[0], &message]);
    json!({ "name": "message-id", "kind": "message id", "topic": topic, "message": hex(&message), "id": hex(&id) })
}

fn cluster_name(cluster: &Cluster) -> Value {
    match cluster {
        Cluster::V4(bytes) => json!({ "v4": bytes }),
        Cluster::V6(bytes) => json!({ "v6": bytes }),
        Cluster::Private => json!("private"),
        Cluster::Own(NodeId(key)) => json!({ "own": { "/": { "bytes": hex(key) } } }),
    }
}

/// In which cluster a station is that is reached at an address, and where a sample has it.
fn clusters() -> Vec<Value> {
    let (worker, relay) = (key(WORKER).node(), key(3).node());
    let relayed = |ip: &str| format!("{ip}/tcp/4710/p2p/{relay}/p2p-circuit/p2p/{worker}");
    let direct = |ip: &str| format!("{ip}/tcp/4710/p2p/{worker}");
    let rows = [
        ("cluster-v4", direct("/ip4/45.20.1.9"), false),
        ("cluster-v6", direct("/ip6/2a00:1450:4001:82a::1"), false),
        ("cluster-relayed", relayed("/ip4/45.20.1.9"), false),
        ("cluster-relayed-v6", relayed("/ip6/2a00:1450:4001:82a::1"), false),
        ("cluster-private", direct("/ip4/192.168.1.7"), false),
        ("cluster-lan", direct("/ip4/192.168.1.7"), true),
        ("cluster-lan-relayed", relayed("/ip4/192.168.1.7"), true),
    ];
    let of = |(name, address, lan): (&str, String, bool)| {
        let reach = if lan { Reach::Any } else { Reach::Global };
        let cluster = Cluster::of_address(&Address::parse(&address).unwrap(), reach);
        let bytes = codec::encode(&cluster);
        let at = fraction("station/claim/1", &[&experiment().id().to_bytes(), &bytes]);
        json!({
            "name": name, "kind": "cluster", "address": address, "lan": lan, "cluster": cluster_name(&cluster), "hex": hex(&bytes),
            "experiment": experiment().id().to_string(), "fraction": format!("{at:016x}"),
        })
    };
    rows.into_iter().map(of).collect()
}

fn tag() -> Value {
    let record = sign(WORKER, &peer_record());
    json!({ "name": "tag", "kind": "record tag", "message": hex(&codec::encode(&record)), "tag": RecordTag::of(&record).0 })
}

/// A signature under a key that is not in the group of prime order, and no key of small order: the equation without the cofactor holds.
fn odd_key() -> Value {
    let record = super::refused::odd_key();
    let label = format!("station\0peer/1\0{NETWORK}\0");
    let signed = [label.as_bytes(), &sha256(&[&codec::encode(&record.body)])].concat();
    assert!(record.verify(&super::name(NETWORK)).is_ok(), "it is taken");
    json!({ "name": "signature-odd-key", "kind": "signature", "key": hex(&record.author.0), "signed": hex(&signed), "signature": hex(&record.signature.0) })
}

/// The one block of a page as `car` carries it, with the request for it.
fn car() -> Value {
    let block = codec::encode(&page());
    let root = cid_of(DAG_CBOR, &block);
    let mut writer = station_car::Writer::alone(root).unwrap();
    let bytes = [writer.header(), writer.supply(&block).unwrap()].concat();
    let request = codec::encode(&ipld_core::ipld::Ipld::Map(
        [
            ("root".to_owned(), ipld_core::ipld::Ipld::Link(root)),
            ("scope".to_owned(), ipld_core::ipld::Ipld::String("all".to_owned())),
            ("max_bytes".to_owned(), ipld_core::ipld::Ipld::Integer(2 << 20)),
        ]
        .into(),
    ));
    let mut framed = Vec::new();
    station_car::varint::encode(request.len() as u64, &mut framed);
    framed.extend(request);
    json!({ "name": "car-block", "kind": "car", "root": root.to_string(), "request": hex(&framed), "answer": hex(&[&[0][..], &bytes].concat()) })
}

/// A small file, as `car` carries it, and a large one: its bytes follow a formula.
fn files() -> Vec<Value> {
    let of = |name: &str, length: usize| {
        let bytes: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let dag = station_car::unixfs::build(&bytes);
        let node = dag.blocks.iter().find(|(cid, _)| *cid == dag.root && dag.blocks.len() > 1).map(|(_, block)| hex(block));
        let leaves: Vec<String> = bytes.chunks(station_car::unixfs::CHUNK_BYTES).map(|chunk| Content::raw(chunk).cid.to_string()).collect();
        json!({ "name": name, "kind": "file", "length": length, "byte": "position mod 251", "root": dag.root.to_string(), "leaves": leaves, "node": node })
    };
    vec![of("file-small", 1_000), of("file-large", (2 << 20) + 1)]
}

/// The job of an index, and the place of each key's value.
fn job() -> Value {
    let inputs: Vec<String> = (0..product().count()).map(|index| hex(&product().input(index).unwrap())).collect();
    json!({ "name": "product", "kind": "product", "root": product().root().to_string(), "inputs": inputs })
}

pub(crate) fn all() -> Vec<Value> {
    let mut all = vec![frame(), message_id(), tag(), odd_key(), car(), job()];
    all.extend(clusters());
    all.extend(files());
    all
}
