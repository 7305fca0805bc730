//! Station's messages as a stranger writes them, from the CDDL of PROTOCOL.md alone.
//!
//! Guarantees: each is what an honest station would take, until a field is changed: [`Offer`] and the rest are all public fields.
//! Deliberately lacks every rule: who lies needs none.

use crate::cbor::{Value, list, map, one, text};
use crate::key::{Key, cid};

/// The codec of a message's CID.
pub const DAG_CBOR: u8 = 0x71;
/// The codec of plain bytes.
pub const RAW: u8 = 0x55;

/// An experiment and the Call that offers it.
#[derive(Clone, Debug)]
pub struct Offer {
    pub topic: String,
    pub name: String,
    /// CID and declared size.
    pub module: (Vec<u8>, u64),
    pub profile: String,
    pub jobs: u64,
    /// Receipts that must agree.
    pub fixed: u64,
    pub memory_bytes: u64,
    pub wall_ms: u64,
    pub output_bytes: u64,
    pub deadline_ms: u64,
    pub seq: u64,
    /// A fraction of 2^64 that is asked.
    pub claim_below: u64,
    pub at: Vec<String>,
    pub nbf_ms: u64,
    pub exp_ms: u64,
}

impl Offer {
    /// One job for everybody, valid from `now_ms` on for five minutes.
    #[must_use]
    pub fn new(topic: &str, profile: &str, module: &[u8], at: Vec<String>, now_ms: u64) -> Self {
        Self {
            topic: topic.to_owned(),
            name: "stranger".to_owned(),
            module: (cid(RAW, module), module.len() as u64),
            profile: profile.to_owned(),
            jobs: 1,
            fixed: 1,
            memory_bytes: 64 << 20,
            wall_ms: 60_000,
            output_bytes: 1 << 20,
            deadline_ms: now_ms + 600_000,
            seq: 1,
            claim_below: u64::MAX,
            at,
            nbf_ms: now_ms,
            exp_ms: now_ms + 300_000,
        }
    }

    fn experiment(&self, key: &Key) -> Value {
        let limits = map([
            ("fuel", Value::Uint(1_000_000_000)),
            ("memory_bytes", Value::Uint(self.memory_bytes)),
            ("wall_ms", Value::Uint(self.wall_ms)),
            ("output_bytes", Value::Uint(self.output_bytes)),
            ("in_bytes", Value::Uint(0)),
        ]);
        map([
            ("requester", key.node_value()),
            ("network", text(key.network())),
            ("topic", text(&self.topic)),
            ("name", text(&self.name)),
            ("module", map([("cid", Value::Link(self.module.0.clone())), ("bytes", Value::Uint(self.module.1))])),
            ("profile", text(&self.profile)),
            ("needs", map([])),
            ("limits", limits),
            ("class", one("pure", one("fixed", Value::Uint(self.fixed)))),
            ("jobs", map([("root", Value::Link(cid(DAG_CBOR, self.name.as_bytes()))), ("count", Value::Uint(self.jobs))])),
            ("where", map([])),
            ("deadline", Value::Uint(self.deadline_ms)),
            ("contact", text("mailto:stranger@example.org")),
            ("commitment", Value::Bytes(vec![7; 32])),
        ])
    }

    /// The experiment's id: the CID of its body.
    #[must_use]
    pub fn id(&self, key: &Key) -> Vec<u8> {
        cid(DAG_CBOR, &self.experiment(key).encode())
    }

    /// The signed Call.
    #[must_use]
    pub fn call(&self, key: &Key) -> Value {
        let body = map([
            ("experiment", key.sign("experiment/1", &self.experiment(key))),
            ("seq", Value::Uint(self.seq)),
            ("state", text("open")),
            ("claim_below", Value::Uint(self.claim_below)),
            ("wanted", Value::Uint(1)),
            ("at", list(self.at.iter().map(|at| text(at)))),
            ("nbf", Value::Uint(self.nbf_ms)),
            ("exp", Value::Uint(self.exp_ms)),
        ]);
        key.sign("call/1", &body)
    }
}

/// `leases` for `node`: jobs `0..count` under the numbers from `first` on. Not yet signed.
#[must_use]
pub fn leases(experiment: &[u8], node: &[u8], first: u64, count: u64, duration_ms: u64) -> Value {
    let lease = |index| map([("index", Value::Uint(index)), ("input", Value::Bytes(vec![0xa0])), ("duration_ms", Value::Uint(duration_ms))]);
    map([
        ("experiment", Value::Link(experiment.to_vec())),
        ("node", Value::Bytes(node.to_vec())),
        ("first", Value::Uint(first)),
        ("leases", list((0..count).map(lease))),
    ])
}

/// An Ack that holds `held` and pushes `leases`, if any: signed ones.
#[must_use]
pub fn ack(experiment: &[u8], node: &[u8], held: &[u64], leases: Option<Value>) -> Value {
    let mut fields = vec![
        ("experiment".to_owned(), Value::Link(experiment.to_vec())),
        ("node".to_owned(), Value::Bytes(node.to_vec())),
        ("held".to_owned(), list(held.iter().map(|number| Value::Uint(*number)))),
        ("refused".to_owned(), list([])),
        ("again_ms".to_owned(), Value::Uint(50)),
        ("verdicts".to_owned(), list([])),
        ("cursor".to_owned(), Value::Uint(0)),
    ];
    fields.extend(leases.map(|leases| ("leases".to_owned(), leases)));
    Value::Map(fields)
}

/// A claim of a station that is not one.
#[must_use]
pub fn claim(experiment: &[u8], profile: &str, free: u64, labels: Value) -> Value {
    let body = map([
        ("experiment", Value::Link(experiment.to_vec())),
        ("capacity", Value::Uint(1)),
        ("free", Value::Uint(free)),
        ("holding", list([])),
        ("profiles", list([text(profile)])),
        ("isolation", text("full")),
        ("labels", labels),
        ("policy", Value::Bytes(vec![0; 32])),
    ]);
    one("claim", body)
}

/// `count` labels with `values` values each: the most that a name can be.
#[must_use]
pub fn labels(count: usize, values: usize) -> Value {
    let name = |kind: char, number: usize| format!("{kind}{number:063}");
    Value::Map((0..count).map(|label| (name('l', label), list((0..values).map(|value| text(&name('v', value)))))).collect())
}

/// A signed receipt that says `output` came out of job `index`, and the delivery around it.
#[must_use]
pub fn delivery(key: &Key, experiment: &[u8], index: u64, lease: u64, profile: &str, output: &[u8], duration_ms: u64) -> Value {
    let body = map([
        ("experiment", Value::Link(experiment.to_vec())),
        ("index", Value::Uint(index)),
        ("lease", Value::Uint(lease)),
        ("node", key.node_value()),
        ("profile", text(profile)),
        ("isolation", text("full")),
        ("outcome", text("completed")),
        ("output", map([("cid", Value::Link(cid(RAW, output))), ("bytes", Value::Uint(output.len() as u64))])),
        ("transcript", Value::Null),
        ("fuel", Value::Uint(7)),
        ("started_ms", Value::Uint(0)),
        ("duration_ms", Value::Uint(duration_ms)),
        ("software", text("stranger/1")),
    ]);
    let receipt = ("receipt", key.sign("receipt/1", &body));
    if output.len() <= 60_000 { map([receipt, ("output", Value::Bytes(output.to_vec()))]) } else { map([receipt]) }
}

/// A Deliver of `receipts`.
#[must_use]
pub fn deliver(experiment: &[u8], receipts: Vec<Value>, free: u64) -> Value {
    let body = map([
        ("experiment", Value::Link(experiment.to_vec())),
        ("receipts", Value::List(receipts)),
        ("holding", list([])),
        ("free", Value::Uint(free)),
        ("cursor", Value::Uint(0)),
        ("returned", list([])),
    ]);
    one("deliver", body)
}

/// A station's statement that it takes part in `topic`.
#[must_use]
pub fn peer_record(key: &Key, topic: &str, at: &[String], made_ms: u64) -> Value {
    let body = map([("node", key.node_value()), ("topic", text(topic)), ("at", list(at.iter().map(|at| text(at)))), ("made", Value::Uint(made_ms))]);
    key.sign("peer/1", &body)
}

/// How small a node's hash is in the count of a topic on that day: who is below 2^64 ÷ size is in the sample.
#[must_use]
pub fn census_hash(network: &str, topic: &str, day: u64, node: &[u8; 32]) -> u64 {
    let digest = crate::key::sha256(&[b"size", &[0], network.as_bytes(), &[0], topic.as_bytes(), &[0], &day.to_be_bytes(), node]);
    u64::from_be_bytes([digest[0], digest[1], digest[2], digest[3], digest[4], digest[5], digest[6], digest[7]])
}
