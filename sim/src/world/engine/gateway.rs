//! [`GatewayCheck`]: the host calls of the bundled module `gateway-check`, without its code.
//!
//! It asks the same gateway for the same things in the same order, by the same host calls, so that the node's policy, address table,
//! quotas and politeness meet what the real module would bring them; its output is made of the answers. Guarantees: a pure state
//! machine; total on any reply. Deliberately lacks the CAR's blocks (its hash is not compared), words for people, and instructions:
//! what the real module burns is a constant here.

use std::collections::BTreeMap;

use cid::Cid;
use ipld_core::ipld::Ipld;
use serde::{Deserialize, Serialize};
use station_node::engine::{Done, HostCall, Reply, Step};
use station_protocol::bounded::{List, Text};
use station_protocol::codec;
use station_protocol::content::sha256;
use station_protocol::hostcall::{FetchError, FetchHead, FetchRequest, HTTP_FETCH, Method, READ_BYTES_MAX};
use station_protocol::receipt::Outcome;
use station_protocol::work::INPUT_BYTES_MAX;

#[cfg(test)]
mod tests;

/// As the module has them.
const TIMEOUT_MS: u64 = 15_000;
const PROBE_TIMEOUT_MS: u64 = 5_000;
const BLOCK_BYTES_MAX: u64 = 2 << 20;
/// The empty identity CID.
const PROBE: &str = "bafkqaaa";
/// Largest head of a result: more than its bounds allow.
const HEAD_BYTES_MAX: usize = 1 << 20;
/// How the module exits that cannot read its input.
const BAD_INPUT: u32 = 2;
/// What the module burned in a run of its own instructions: 953,755 where a block of 1 KiB is right, 554,041 where it is not. Here
/// every check costs as much as the dearer one, and larger blocks no more.
pub const FUEL: u64 = 953_755;

/// What a job gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Without a path.
    pub gateway: String,
    pub cid: String,
}

/// One job, between two of its host calls.
#[derive(Clone, Debug)]
pub struct GatewayCheck {
    input: Input,
    cid: Cid,
    asking: Question,
    stage: Stage,
    found: Found,
}

/// What is asked for, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Cold,
    Warm,
    Car,
    Probe,
}

/// Where the question is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    Submitted,
    Waiting(u32),
    Reading(u32, Vec<u8>),
    Closing(Vec<u8>),
}

#[derive(Clone, Debug, Default)]
struct Found {
    verdict: &'static str,
    body_sha256: Option<[u8; 32]>,
    ttfb_ms: Option<u64>,
    ttfb_warm_ms: Option<u64>,
    throughput_kbps: Option<u64>,
    bytes: u64,
}

impl GatewayCheck {
    /// Begins the job `input`: its first host call, or its end.
    pub fn begin(input: &[u8]) -> (Option<Self>, Step) {
        let Ok(input) = codec::decode::<Input>(input, INPUT_BYTES_MAX) else { return (None, end(Outcome::Exited(BAD_INPUT), Vec::new())) };
        let Ok(cid) = input.cid.parse::<Cid>() else {
            let found = Found { verdict: "bad_input", ..Found::default() };
            return (None, end(Outcome::Completed, found.encode()));
        };
        let check = Self { input, cid, asking: Question::Cold, stage: Stage::Submitted, found: Found::default() };
        let call = check.submit();
        (Some(check), call)
    }

    /// Goes on with the answer to its last host call.
    pub fn answered(&mut self, reply: Reply) -> Step {
        match (std::mem::replace(&mut self.stage, Stage::Submitted), reply) {
            (Stage::Submitted, Reply::Number(handle)) => match u32::try_from(handle) {
                Ok(handle) => {
                    self.stage = Stage::Waiting(handle);
                    Step::Call(HostCall::Wait { handles: vec![handle], timeout_ms: u32::MAX })
                }
                // The host takes no more operations.
                Err(_) => self.next(None),
            },
            (Stage::Waiting(handle), Reply::Number(0)) => self.read(handle, Vec::new()),
            (Stage::Reading(handle, mut all), Reply::Bytes(piece)) if !piece.is_empty() => {
                all.extend(piece);
                self.read(handle, all)
            }
            (Stage::Reading(handle, all), _) => self.close(handle, all),
            // Nothing came in time.
            (Stage::Waiting(handle), _) => self.close(handle, Vec::new()),
            (Stage::Closing(all), _) => self.next(Some(&all)),
            (Stage::Submitted, Reply::Bytes(_)) => self.next(None),
        }
    }

    fn read(&mut self, handle: u32, all: Vec<u8>) -> Step {
        self.stage = Stage::Reading(handle, all);
        Step::Call(HostCall::Read { handle, max: u32::try_from(READ_BYTES_MAX).unwrap_or(u32::MAX) })
    }

    fn close(&mut self, handle: u32, all: Vec<u8>) -> Step {
        self.stage = Stage::Closing(all);
        Step::Call(HostCall::Close { handle })
    }

    fn submit(&self) -> Step {
        let (cid, format, timeout_ms) = match self.asking {
            Question::Cold | Question::Warm => (self.input.cid.as_str(), "raw", TIMEOUT_MS),
            Question::Car => (self.input.cid.as_str(), "car&dag-scope=block", TIMEOUT_MS),
            Question::Probe => (PROBE, "raw", PROBE_TIMEOUT_MS),
        };
        let request = FetchRequest {
            method: Method::Get,
            url: Text::cut(&format!("{}/ipfs/{cid}?format={format}", self.input.gateway)),
            headers: List::default(),
            max_bytes: BLOCK_BYTES_MAX,
            timeout_ms,
            redirects: 0,
            fresh: self.asking == Question::Cold,
        };
        Step::Call(HostCall::Submit { op: HTTP_FETCH.to_owned(), request: codec::encode(&request) })
    }

    /// Takes down what the question brought, and asks the next one.
    fn next(&mut self, result: Option<&[u8]>) -> Step {
        let (head, body) = result.and_then(unframed).unwrap_or_default();
        let verdict = self.judge(&head, body);
        let us_to_ms = |us: u64| us.saturating_add(500) / 1_000;
        let next = match self.asking {
            Question::Cold => {
                let setup: u64 = [head.dns_us, head.connect_us].into_iter().flatten().sum();
                let transfer = head.total_us.map(|total| total.saturating_sub(setup)).filter(|us| *us > 0 && head.error.is_none());
                self.found = Found {
                    verdict,
                    body_sha256: (verdict == "ok").then(|| sha256(&[body])),
                    ttfb_ms: head.ttfb_us.map(|ttfb| us_to_ms(setup + ttfb)),
                    throughput_kbps: transfer.map(|us| head.bytes.saturating_mul(8_000) / us),
                    bytes: head.bytes,
                    ..Found::default()
                };
                match verdict {
                    "ok" => Some(Question::Warm),
                    "unreachable" | "refused_by_host" => None,
                    _ => Some(Question::Car),
                }
            }
            Question::Warm => {
                self.found.ttfb_warm_ms = head.ttfb_us.filter(|_| head.reused).map(us_to_ms);
                Some(Question::Car)
            }
            Question::Car => Some(Question::Probe),
            Question::Probe => None,
        };
        let Some(next) = next else { return end(Outcome::Completed, self.found.encode()) };
        (self.asking, self.stage) = (next, Stage::Submitted);
        self.submit()
    }

    fn judge(&self, head: &FetchHead, body: &[u8]) -> &'static str {
        use FetchError as E;
        match (head.error, head.status) {
            (None, None) | (Some(E::NotGranted | E::RefusedAddress | E::Quota | E::BadRequest | E::StationFailed), _) => "refused_by_host",
            (Some(E::Dns | E::Connect | E::Tls), _) => "unreachable",
            (Some(E::Timeout | E::Cancelled), _) => "timeout",
            (Some(E::TooLarge), _) => "too_large",
            (Some(E::Truncated), _) => "truncated",
            (Some(E::TooManyRedirects), _) => "redirected",
            (None, Some(200)) if sha256(&[body]) == self.cid.hash().digest() => "ok",
            (None, Some(200)) => "wrong_bytes",
            (Some(E::Protocol), _) | (None, _) => "http_error",
        }
    }
}

/// `u32 LE length ‖ head ‖ body`, taken apart.
fn unframed(all: &[u8]) -> Option<(FetchHead, &[u8])> {
    let (length, rest) = all.split_first_chunk::<4>()?;
    let (head, body) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    Some((codec::decode(head, HEAD_BYTES_MAX).ok()?, body))
}

fn end(outcome: Outcome, output: Vec<u8>) -> Step {
    Step::Done(Done { outcome, output, log: Vec::new(), fuel: FUEL })
}

impl Found {
    fn encode(&self) -> Vec<u8> {
        let number = |value: Option<u64>| value.map_or(Ipld::Null, |value| Ipld::Integer(value.into()));
        let hex = |hash: [u8; 32]| hash.iter().map(|byte| format!("{byte:02x}")).collect();
        codec::encode(&Ipld::Map(BTreeMap::from([
            ("verdict".to_owned(), Ipld::String(self.verdict.to_owned())),
            ("body_sha256".to_owned(), self.body_sha256.map_or(Ipld::Null, |hash| Ipld::String(hex(hash)))),
            ("ttfb_ms".to_owned(), number(self.ttfb_ms)),
            ("ttfb_warm_ms".to_owned(), number(self.ttfb_warm_ms)),
            ("throughput_kbps".to_owned(), number(self.throughput_kbps)),
            ("bytes".to_owned(), Ipld::Integer(self.bytes.into())),
        ])))
    }
}
