//! Fixed messages of every kind, from which the test vectors are made. `refused` has those that must be refused, `derived` what follows from
//! messages, `verdicts` what follows from receipts.
//!
//! Guarantees: the same values on every machine. Deliberately lacks surprises: edge values are the business of the attacks in
//! `src/codec/tests.rs`.

use ipld_core::ipld::Ipld;
use serde::Serialize;
use station_protocol::address::Address;
use station_protocol::bounded::{Bytes, List, Name, Text};
use station_protocol::call::{Call, CallState};
use station_protocol::capability::{Capability, Needs};
use station_protocol::census::{PeerRecord, RecordTag};
use station_protocol::cluster::Cluster;
use station_protocol::codec;
use station_protocol::content::{Content, DAG_CBOR, RAW, cid_of, sha256};
use station_protocol::experiment::{Class, Experiment, InputForm, JobsRef, Labels, Measurement, OutputForm, Spread, Trust};
use station_protocol::hostcall::{FetchError, Method, Record, Transcript};
use station_protocol::identity::{Body, Hash32, Signed, SigningKey};
use station_protocol::jobs::Jobs;
use station_protocol::limits::Limits;
use station_protocol::log::{Entry, HeldReceipt, Lost, Page, RULES, Root, SettledJob};
use station_protocol::receipt::{Isolation, Outcome, Receipt};
use station_protocol::time::Time;
use station_protocol::verdict::{Canonical, Decision, JobVerdict};
use station_protocol::work::{
    Ack, Claim, ClaimRefused, Decline, DeclineReason, Deliver, Delivery, Lease, Leases, Progress, ReceiptRefused, Refusal, Request, Response,
    ReturnReason, Said, Status,
};

pub(crate) mod derived;
pub(crate) mod refused;
pub(crate) mod verdicts;

pub(crate) const NETWORK: &str = "example";
/// Seed of the key that signs as the requester.
pub(crate) const REQUESTER: u8 = 1;
/// Seed of the key that signs as the worker.
pub(crate) const WORKER: u8 = 2;

/// One message with what a stranger needs to make the same bytes.
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    /// The kind that is signed, or what the message is.
    pub(crate) kind: &'static str,
    pub(crate) bytes: Vec<u8>,
    /// For signed messages: the seed byte, repeated 32 times, of the key, and the canonical bytes of the body.
    pub(crate) signed: Option<(u8, Vec<u8>)>,
}

fn plain<T: Serialize>(name: &'static str, kind: &'static str, value: &T) -> Sample {
    Sample { name, kind, bytes: codec::encode(value), signed: None }
}

fn sealed<T: Body + Clone>(name: &'static str, seed: u8, body: &T) -> Sample {
    Sample { name, kind: T::KIND, bytes: codec::encode(&sign(seed, body)), signed: Some((seed, codec::encode(body))) }
}

fn sign<T: Body + Clone>(seed: u8, body: &T) -> Signed<T> {
    key(seed).sign(&name(NETWORK), body.clone())
}

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn text<const MAX: usize>(text: &str) -> Text<MAX> {
    Text::new(text).unwrap()
}

fn list<T, const MAX: usize>(items: Vec<T>) -> List<T, MAX> {
    List::new(items).unwrap()
}

fn bytes<const MAX: usize>(bytes: &[u8]) -> Bytes<MAX> {
    Bytes::new(bytes.to_vec()).unwrap()
}

fn address(seed: u8) -> Address {
    Address::parse(&format!("/ip4/192.0.2.{seed}/udp/4710/quic-v1/p2p/{}", key(seed).node())).unwrap()
}

fn product() -> Jobs {
    let words = |words: &[&str]| words.iter().map(|word| Ipld::String((*word).to_owned())).collect();
    Jobs::product([(text("gateway"), words(&["https://ipfs.io", "https://dweb.link"])), (text("cid"), words(&["bafkqablimvwgy3y"]))].into()).unwrap()
}

fn explicit() -> Jobs {
    let input = |n: i128| Ipld::Map([("n".to_owned(), Ipld::Integer(n)), ("half".to_owned(), Ipld::Float(0.5))].into());
    Jobs::explicit((1..=3).map(input).collect()).unwrap()
}

fn experiment() -> Experiment {
    let jobs = product();
    let needs: Needs = [(Capability::Http, list(vec!["*.ipfs.io".parse().unwrap(), "dweb.link:443".parse().unwrap()]))].into();
    Experiment {
        requester: key(REQUESTER).node(),
        network: name(NETWORK),
        topic: name("ipfs-gateways"),
        name: text("gateways-from-home"),
        module: Content::raw(b"\0asm\x01\0\0\0"),
        profile: name("station-wasm-1"),
        needs,
        limits: Limits::default(),
        class: Class::Measurement(Measurement {
            stations: 20,
            spread: Spread::Network,
            exact: list(vec![text("verdict")]),
            report: list(vec![text("ttfb_ms")]),
        }),
        jobs: JobsRef { root: jobs.root(), count: jobs.count(), target: Some(text("gateway")) },
        labels: Labels::of([(name("region"), list(vec![name("eu"), name("na")]))]).unwrap(),
        deadline: Time(1_798_675_200_000),
        contact: text("mailto:lab@example.org"),
        commitment: Hash32(sha256(&[&[3; 32]])),
        input: InputForm::DagCbor,
        output: OutputForm::DagCbor,
        previous: None,
    }
}

fn pure_experiment() -> Experiment {
    Experiment {
        needs: Needs::new(),
        class: Class::Pure(Trust::Fixed(3)),
        labels: Labels::new(),
        input: InputForm::Json,
        output: OutputForm::Text,
        previous: Some(experiment().id()),
        ..experiment()
    }
}

fn call(state: CallState) -> Call {
    let (nbf, exp) = (Time(1_798_670_000_000), Time(1_798_670_600_000));
    let at = list(vec![address(REQUESTER)]);
    Call { experiment: sign(REQUESTER, &experiment()), seq: 2, state, claim_below: u64::MAX / 4, wanted: 20, at, nbf, exp }
}

fn receipt() -> Receipt {
    Receipt {
        experiment: experiment().id(),
        index: 1,
        lease: 7,
        node: key(WORKER).node(),
        profile: name("station-wasm-1"),
        isolation: Isolation::Full,
        outcome: Outcome::Completed,
        output: Some(Content::raw(b"output")),
        transcript: None,
        fuel: 123_456,
        started_ms: 250,
        duration_ms: 1_500,
        software: text("station/0.1.0"),
    }
}

fn leases() -> Leases {
    let lease = Lease { index: 1, input: bytes(&product().input(1).unwrap()), duration_ms: 90_000 };
    Leases { experiment: experiment().id(), node: key(WORKER).node(), first: 7, leases: list(vec![lease]) }
}

fn verdict() -> JobVerdict {
    let canonical = Canonical { outcome: Outcome::Exited(3), output: Some(Content::raw(b"output")), fuel: 123_456 };
    JobVerdict { index: 1, decision: Decision::Agreed { canonical, certificate: list(vec![7, 8, 9]), against: list(vec![]) } }
}

fn ack() -> Ack {
    Ack {
        experiment: experiment().id(),
        node: key(WORKER).node(),
        held: list(vec![7]),
        refused: list(vec![(6, ReceiptRefused::Late)]),
        again_ms: 1_000,
        verdicts: list(vec![verdict()]),
        cursor: 1,
        leases: Some(leases()),
        no_more: None,
    }
}

fn deliver() -> Deliver {
    let delivery =
        Delivery { receipt: sign(WORKER, &receipt()), output: Some(bytes(b"output")), transcript: None, log: Some(bytes(b"3 of 4 blocks\n")) };
    Deliver {
        experiment: experiment().id(),
        receipts: list(vec![delivery]),
        holding: list(vec![8]),
        free: 1,
        cursor: 0,
        returned: list(vec![(5, ReturnReason::FetchFailed)]),
    }
}

fn claim() -> Claim {
    Claim {
        experiment: experiment().id(),
        capacity: 4,
        free: 4,
        holding: list(vec![]),
        profiles: list(vec![name("station-wasm-1")]),
        isolation: Isolation::Full,
        labels: Labels::of([(name("region"), list(vec![name("eu")]))]).unwrap(),
        policy: Hash32(sha256(&[])),
    }
}

fn refusal() -> Refusal {
    Refusal { experiment: experiment().id(), node: key(WORKER).node(), reason: ClaimRefused::Enough, seq: 2 }
}

fn peer_record() -> PeerRecord {
    PeerRecord { node: key(WORKER).node(), topic: name("ipfs-gateways"), at: list(vec![address(WORKER)]), made: Time(1_798_670_000_000) }
}

/// The record of a station behind a relay, over IPv6.
fn relayed_record() -> PeerRecord {
    let at = format!("/ip6/2001:db8::7/tcp/4710/p2p/{}/p2p-circuit/p2p/{}", key(3).node(), key(WORKER).node());
    PeerRecord { at: list(vec![Address::parse(&at).unwrap()]), ..peer_record() }
}

/// 1.0 is no 1, and -0.0 no 0.
fn floats() -> Ipld {
    let floats = [("one", 1.0), ("zero", -0.0), ("third", 1.0 / 3.0), ("huge", 1e300), ("tiny", 5e-324)];
    let mut map: std::collections::BTreeMap<String, Ipld> = floats.into_iter().map(|(key, float)| (key.to_owned(), Ipld::Float(float))).collect();
    map.insert("integer".to_owned(), Ipld::Integer(1));
    Ipld::Map(map)
}

fn transcript() -> Transcript {
    let answered = Record {
        op: text("http.fetch"),
        method: Method::Get,
        url: text("https://ipfs.io/ipfs/bafkqablimvwgy3y"),
        error: None,
        detail: None,
        status: Some(200),
        ip: Some(text("192.0.2.80")),
        reused: false,
        dns_us: Some(1_200),
        connect_us: Some(9_000),
        tls_us: Some(18_000),
        ttfb_us: Some(40_000),
        total_us: Some(41_000),
        bytes: 5,
        body_sha256: Some(Hash32(sha256(&[b"hello"]))),
    };
    let failed = Record {
        error: Some(FetchError::Timeout),
        detail: Some(text("no answer within 10 s")),
        status: None,
        ip: None,
        dns_us: None,
        connect_us: None,
        tls_us: None,
        ttfb_us: None,
        bytes: 0,
        body_sha256: None,
        ..answered.clone()
    };
    Transcript { records: list(vec![answered, failed]) }
}

fn page() -> Page {
    let held = HeldReceipt {
        receipt: sign(WORKER, &receipt()),
        cluster: Cluster::V4([192, 0, 2]),
        dealt: Time(1_798_670_001_000),
        came: Time(1_798_670_003_250),
        labels: Labels::new(),
        output: Some(bytes(b"output")),
        transcript: None,
    };
    let job = SettledJob {
        verdict: verdict(),
        input: bytes(&product().input(1).unwrap()),
        receipts: vec![held],
        lost: vec![(4, key(WORKER).node(), Lost::Expired)],
    };
    let late = HeldReceipt {
        receipt: sign(WORKER, &Receipt { lease: 5, ..receipt() }),
        cluster: Cluster::Private,
        dealt: Time(1_798_670_001_000),
        came: Time(1_798_670_090_000),
        labels: Labels::of([(name("region"), list(vec![name("eu")]))]).unwrap(),
        output: None,
        transcript: None,
    };
    Page { experiment: experiment().id(), number: 0, entries: vec![Entry::Settled(Box::new(job)), Entry::Late(Box::new(late))] }
}

fn root() -> Root {
    let pages = list(vec![cid_of(DAG_CBOR, &codec::encode(&page()))]);
    Root { experiment: sign(REQUESTER, &experiment()), pages, secret: Hash32([3; 32]), rules: RULES, settled: 1, expired: 0 }
}

fn requests() -> Vec<Sample> {
    let id = experiment().id();
    let request = |name, value: Request| plain(name, "request", &value);
    vec![
        request("request-calls", Request::Calls { topic: name("ipfs-gateways"), have: list(vec![(id, 2)]) }),
        request("request-peers", Request::Peers { topic: name("ipfs-gateways"), have: list(vec![RecordTag::of(&sign(WORKER, &peer_record()))]) }),
        request("request-claim", Request::Claim(claim())),
        request("request-decline", Request::Decline(Decline { experiment: id, reason: DeclineReason::Labels })),
        request("request-deliver", Request::Deliver(deliver())),
        request(
            "request-progress",
            Request::Progress(Progress {
                experiment: id,
                said: list(vec![Said { lease: 4, permille: 250, message: Text::new("12 of 48 — Zürich").expect("short") }]),
            }),
        ),
        request("request-status", Request::Status { experiment: id }),
    ]
}

fn responses() -> Vec<Sample> {
    let id = experiment().id();
    let response = |name, value: Response| plain(name, "response", &value);
    let log = Some(cid_of(RAW, b"log"));
    let status = Status { experiment: id, jobs: 2, settled: 1, held: 3, outstanding: 4, claimants: 5, pages: 1, log };
    vec![
        response("response-calls", Response::Calls { calls: list(vec![sign(REQUESTER, &call(CallState::Open))]) }),
        response("response-peers", Response::Peers { time: Time(1_798_670_060_000), records: list(vec![sign(WORKER, &peer_record())]) }),
        response("response-leases", Response::Leases(sign(REQUESTER, &leases()))),
        response("response-wait", Response::Wait { ms: 1_000 }),
        response("response-refused", Response::Refused(sign(REQUESTER, &refusal()))),
        response("response-acked", Response::Acked(Box::new(sign(REQUESTER, &ack())))),
        response("response-status", Response::Status(status)),
        response("response-noted", Response::Noted),
        response("response-unserved", Response::Unserved),
    ]
}

/// Every sample.
pub(crate) fn all() -> Vec<Sample> {
    let log = cid_of(DAG_CBOR, &codec::encode(&root()));
    let mut all = vec![
        sealed("experiment", REQUESTER, &experiment()),
        sealed("experiment-pure", REQUESTER, &pure_experiment()),
        sealed("call-open", REQUESTER, &call(CallState::Open)),
        sealed("call-closed", REQUESTER, &call(CallState::Closed { log })),
        sealed("receipt", WORKER, &receipt()),
        sealed("leases", REQUESTER, &leases()),
        sealed("refusal", REQUESTER, &refusal()),
        sealed("ack", REQUESTER, &ack()),
        sealed("peer-record", WORKER, &peer_record()),
        plain("log-page", "log page", &page()),
        plain("log-root", "log root", &root()),
    ];
    all.extend(requests());
    all.extend(responses());
    let block = |name, kind, jobs: &Jobs, n: usize| Sample { name, kind, bytes: jobs.blobs()[n].1.clone(), signed: None };
    all.push(block("jobs-product-root", "jobs root", &product(), 0));
    all.push(block("jobs-product-list", "jobs list", &product(), 2));
    all.push(Sample { name: "jobs-product-input-1", kind: "input", bytes: product().input(1).unwrap(), signed: None });
    all.push(block("jobs-explicit-root", "jobs root", &explicit(), 0));
    all.push(block("jobs-explicit-chunk", "jobs chunk", &explicit(), 1));
    all.push(plain("input-floats", "input", &floats()));
    all.push(plain("transcript", "transcript", &transcript()));
    all.push(sealed("peer-record-relayed", WORKER, &relayed_record()));
    all
}
