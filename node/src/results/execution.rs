//! One execution in results: what its station signed, what its guest wrote, and what this requester saw itself, each under its own name.
//!
//! Guarantees: times are RFC 3339 in UTC, to the millisecond, by the requester's clock. Deliberately lacks belief: how long a run waited
//! and took is the station's word, so that its start and end are, too.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use station_protocol::Time;
use station_protocol::cluster::Cluster;
use station_protocol::experiment::OutputForm;
use station_protocol::hostcall::{FetchError, Transcript};
use station_protocol::human::rfc3339;
use station_protocol::identity::Hash32;
use station_protocol::log::HeldReceipt;

use super::output::Output;
use super::{outcome_word, to_word};
use crate::page::words::grouped;

/// Records of a transcript that results show; the rest is counted.
const RECORDS_MAX: usize = 64;

/// One execution as its receipt tells it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExecutionRow {
    pub node: String,
    pub region: Option<String>,
    pub outcome: String,
    /// Whether it is compared at all: not where its end depends on the machine, or a receipt of the same station or network is.
    pub counts: bool,
    /// Whether it says what was decided; nothing where nothing was, or where the execution is in neither part of the verdict.
    pub agrees: Option<bool>,
    pub fuel: u64,
    pub duration_ms: u64,
    /// What the guest wrote, if it wrote something.
    #[serde(flatten)]
    pub output: Option<Output>,
    pub seen: Seen,
    pub station: Stated,
    /// The end of the guest's log as the station brought it: a stranger's words, which nobody signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest_log: Option<String>,
}

/// What the requester saw itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Where the station connects from: a /24, a /48, `private`, or `own` where it is its own network.
    pub network: String,
    pub leased_at: String,
    /// When the receipt first came.
    pub received_at: String,
}

/// What the station signed beside outcome, fuel and duration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stated {
    pub isolation: String,
    pub software: String,
    pub profile: String,
    /// From its having the lease to the guest's start.
    pub waited_ms: u64,
    /// When that puts start and end on the requester's clock: never before the lease was dealt nor after the receipt came.
    pub started_at: String,
    pub ended_at: String,
    /// Its record of the guest's host calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<Requests>,
}

/// A transcript.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    pub cid: String,
    /// Nothing where the transcript is not here, or is none.
    #[serde(flatten)]
    pub read: Option<RequestsRead>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestsRead {
    pub count: u64,
    /// Of bodies.
    pub body_bytes: u64,
    /// How often each thing went wrong.
    pub errors: BTreeMap<String, u64>,
    /// The first of them, as the host saw them.
    pub records: Vec<RequestRow>,
}

/// One request as the station's host saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRow {
    pub method: String,
    pub url: String,
    pub error: Option<String>,
    /// Why, in the words of the station's host.
    pub detail: Option<String>,
    pub status: Option<u64>,
    pub ip: Option<String>,
    pub reused: bool,
    pub dns_us: Option<u64>,
    pub connect_us: Option<u64>,
    pub tls_us: Option<u64>,
    pub ttfb_us: Option<u64>,
    pub total_us: Option<u64>,
    pub body_bytes: u64,
    pub body_sha256: Option<String>,
}

impl ExecutionRow {
    /// Whether its station could make none of the guest's requests, by its own record: what the guest says then is nothing of the target.
    pub(super) fn asked_nobody(&self) -> bool {
        let read = self.station.requests.as_ref().and_then(|requests| requests.read.as_ref());
        read.is_some_and(|read| read.count > 0 && read.errors.get(&to_word(&FetchError::StationFailed)) == Some(&read.count))
    }

    /// `counts`: whether it is compared. `agrees`: whether it says what was decided. `log`: what the station brought of the guest's.
    /// `elsewhere`: what its transcript says where that does not stand in the receipt.
    #[must_use]
    pub(super) fn new(
        held: &HeldReceipt,
        (counts, agrees): (bool, Option<bool>),
        form: OutputForm,
        log: Option<&Vec<u8>>,
        elsewhere: Option<&RequestsRead>,
    ) -> Self {
        let receipt = &held.receipt.body;
        let within = |time: Time| Time(time.0.clamp(held.dealt.0, held.came.0.max(held.dealt.0)));
        let started = held.dealt.plus(receipt.started_ms);
        Self {
            node: receipt.node.to_string(),
            region: held.labels.region().map(ToString::to_string),
            outcome: outcome_word(&receipt.outcome),
            counts,
            agrees,
            fuel: receipt.fuel,
            duration_ms: receipt.duration_ms,
            output: output(held, form),
            seen: Seen { network: network(held.cluster), leased_at: rfc3339(held.dealt), received_at: rfc3339(held.came) },
            station: Stated {
                isolation: to_word(&receipt.isolation),
                software: receipt.software.to_string(),
                profile: receipt.profile.to_string(),
                waited_ms: receipt.started_ms,
                started_at: rfc3339(within(started)),
                ended_at: rfc3339(within(started.plus(receipt.duration_ms))),
                requests: requests(held, elsewhere),
            },
            guest_log: log.map(|log| String::from_utf8_lossy(log).into_owned()),
        }
    }

    /// The output as a value; null where it is none.
    #[must_use]
    pub fn value(&self) -> &Value {
        self.output.as_ref().map_or(&Value::Null, Output::value)
    }

    /// The output's number under `field`, or the output itself where it is one and `field` is what a whole output is called. What a guest
    /// wrote before it failed is no reading.
    #[must_use]
    pub fn reading(&self, field: &str) -> Option<f64> {
        if !self.is_completed() {
            return None;
        }
        super::field_of(self.value(), field).and_then(Value::as_f64)
    }

    /// Whether the guest came to its end.
    #[must_use]
    pub fn is_completed(&self) -> bool {
        self.outcome == "completed"
    }
}

/// What the guest of a receipt wrote.
pub(super) fn output(held: &HeldReceipt, form: OutputForm) -> Option<Output> {
    match (&held.output, &held.receipt.body.output) {
        (Some(bytes), _) => Some(Output::read(form, bytes)),
        (None, Some(content)) => Some(Output::elsewhere(content)),
        (None, None) => None,
    }
}

fn network(cluster: Cluster) -> String {
    match cluster {
        Cluster::V4([a, b, c]) => format!("{a}.{b}.{c}.0/24"),
        Cluster::V6(bytes) => {
            let groups: Vec<u16> = bytes.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            format!("{}/48", std::net::Ipv6Addr::new(groups[0], groups[1], groups[2], 0, 0, 0, 0, 0))
        }
        Cluster::Private => "private".to_owned(),
        Cluster::Own(_) => "own".to_owned(),
    }
}

fn requests(held: &HeldReceipt, elsewhere: Option<&RequestsRead>) -> Option<Requests> {
    let content = held.receipt.body.transcript.as_ref()?;
    let read = match &held.transcript {
        Some(bytes) => RequestsRead::of(bytes),
        None => elsewhere.cloned(),
    };
    Some(Requests { cid: content.cid.to_string(), read })
}

impl RequestsRead {
    /// What the transcript `bytes` says; nothing where it is none.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let records = Transcript::decode(bytes).ok()?.records;
        let mut errors = BTreeMap::new();
        for error in records.iter().filter_map(|record| record.error) {
            *errors.entry(to_word(&error)).or_default() += 1;
        }
        Some(Self {
            count: records.len() as u64,
            body_bytes: records.iter().map(|record| record.bytes).fold(0, u64::saturating_add),
            errors,
            records: records.iter().take(RECORDS_MAX).map(request).collect(),
        })
    }
}

fn request(record: &station_protocol::hostcall::Record) -> RequestRow {
    let hex = |hash: Hash32| hash.0.iter().map(|byte| format!("{byte:02x}")).collect();
    RequestRow {
        method: to_word(&record.method),
        url: record.url.to_string(),
        error: record.error.as_ref().map(to_word),
        detail: record.detail.as_ref().map(ToString::to_string),
        status: record.status,
        ip: record.ip.as_ref().map(ToString::to_string),
        reused: record.reused,
        dns_us: record.dns_us,
        connect_us: record.connect_us,
        tls_us: record.tls_us,
        ttfb_us: record.ttfb_us,
        total_us: record.total_us,
        body_bytes: record.bytes,
        body_sha256: record.body_sha256.map(hex),
    }
}

/// `one` or `many`, after its count.
fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

impl Requests {
    /// In a few words: how many, what came, what went wrong.
    #[must_use]
    pub fn words(&self) -> String {
        let Some(read) = &self.read else { return format!("not here: {}", self.cid) };
        let errors: Vec<String> = read.errors.iter().map(|(error, times)| format!("{times} {error}")).collect();
        let errors = if errors.is_empty() { String::new() } else { format!("; failed: {}", errors.join(", ")) };
        format!("{}, {}{errors}", counted(read.count, "request", "requests"), counted(read.body_bytes, "byte", "bytes"))
    }
}
