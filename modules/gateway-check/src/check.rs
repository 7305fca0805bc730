//! The requests, and what each answer means.

use cid::Cid;
use station_sdk::http::{Error, Failure, Head, Request, Response};

use crate::car::{self, CarError};
use crate::content::{BLOCK_BYTES_MAX, Wanted, sha256_hex};
use crate::{Check, Input, Output, Verdict};

pub(crate) const RAW: &str = "application/vnd.ipld.raw";
pub(crate) const CAR: &str = "application/vnd.ipld.car";

/// What public-gateway-checker allows a check; three of them and the probe stay under the usual wall time of 60 s.
pub(crate) const TIMEOUT_MS: u64 = 15_000;
/// The probe asks for nothing, so a gateway that works answers at once.
pub(crate) const PROBE_TIMEOUT_MS: u64 = 5_000;
/// Room for a CAR's header and CID beside the block.
const CAR_OVERHEAD_BYTES: u64 = 4 << 10;

/// The empty identity CID, which every trustless gateway must serve.
pub(crate) const PROBE: &str = "bafkqaaa";

/// Makes all checks. A malformed job asks nothing.
pub(crate) fn gateway(input: &Input) -> Output {
    let base = match base(&input.gateway) {
        Ok(base) => base,
        Err(why) => return unasked(Verdict::BadInput, why),
    };
    let Ok(cid) = input.cid.parse::<Cid>() else {
        return unasked(Verdict::BadInput, "the CID is malformed");
    };
    let Some(wanted) = Wanted::new(cid) else {
        return unasked(Verdict::Unsupported, "only sha2-256 and identity CIDs can be verified");
    };
    checks(base, &input.cid, &wanted)
}

fn checks(base: &str, cid: &str, wanted: &Wanted) -> Output {
    station_sdk::progress(0, "raw, cold");
    let cold = raw_request(base, cid).fresh(true).send();
    let (raw, mut body) = judge_raw(&cold, wanted);
    let mut output = Output::from(raw);
    if let Ok(response) = &cold {
        output.read_cold(response);
    }
    if output.raw.verdict == Verdict::Ok {
        station_sdk::progress(250, "raw, warm");
        let warm = raw_request(base, cid).send();
        output.warm = Some(judge_raw(&warm, wanted).0);
        output.ttfb_warm_ms = warm.ok().filter(|warm| warm.head.reused).and_then(|warm| warm.head.ttfb_us).map(to_ms);
    }
    // A gateway that cannot be reached or may not be asked will not do better the second time.
    if !matches!(output.raw.verdict, Verdict::Unreachable | Verdict::RefusedByHost) {
        station_sdk::progress(500, "car");
        let (car, block) = judge_car(&car_request(base, cid).send(), wanted);
        output.car = Some(car);
        body = body.or(block);
        station_sdk::progress(750, "probe");
        output.probe = Some(probe(base));
    }
    output.body_sha256 = body.as_deref().map(sha256_hex);
    output.judge()
}

pub(crate) fn raw_request(base: &str, cid: &str) -> Request {
    Request::get(&format!("{base}/ipfs/{cid}?format=raw")).header("accept", RAW).max_bytes(BLOCK_BYTES_MAX).timeout_ms(TIMEOUT_MS)
}

pub(crate) fn car_request(base: &str, cid: &str) -> Request {
    let url = format!("{base}/ipfs/{cid}?format=car&dag-scope=block");
    Request::get(&url).header("accept", CAR).max_bytes(BLOCK_BYTES_MAX + CAR_OVERHEAD_BYTES).timeout_ms(TIMEOUT_MS)
}

pub(crate) fn probe_request(base: &str) -> Request {
    raw_request(base, PROBE).timeout_ms(PROBE_TIMEOUT_MS)
}

fn probe(base: &str) -> Check {
    let empty = PROBE.parse().ok().and_then(Wanted::new);
    empty.map_or_else(|| Check::new(Verdict::Unsupported), |empty| judge_raw(&probe_request(base).send(), &empty).0)
}

/// The check, and the block if it is verified.
fn judge_raw(answer: &Result<Response, Error>, wanted: &Wanted) -> (Check, Option<Vec<u8>>) {
    match complete(answer, RAW) {
        Err(check) => (check, None),
        Ok(response) if wanted.is(&response.body) => (Check::ok(&response.head), Some(response.body.clone())),
        Ok(response) => (Check::of(&response.head, Verdict::WrongBytes, "the body's hash is not the CID's"), None),
    }
}

fn judge_car(answer: &Result<Response, Error>, wanted: &Wanted) -> (Check, Option<Vec<u8>>) {
    let response = match complete(answer, CAR) {
        Err(check) => return (check, None),
        Ok(response) => response,
    };
    match car::only_block(wanted, &response.body) {
        Ok(block) => (Check::ok(&response.head), Some(block.to_vec())),
        Err(error) => {
            let verdict = match error {
                CarError::Truncated => Verdict::Truncated,
                CarError::Wrong(_) => Verdict::WrongBytes,
                CarError::More => Verdict::Unsupported,
            };
            (Check::of(&response.head, verdict, &error.to_string()), None)
        }
    }
}

/// The response, if it is a whole 200 in the format asked for; else the check that says what it is.
fn complete<'a>(answer: &'a Result<Response, Error>, format: &str) -> Result<&'a Response, Check> {
    let response = match answer {
        Ok(response) => response,
        Err(error) => return Err(Check { detail: Some(error.to_string()), ..Check::new(Verdict::RefusedByHost) }),
    };
    let head = &response.head;
    if let Some(failure) = head.error {
        let said = head.detail.clone().unwrap_or_else(|| words(failure).to_owned());
        return Err(Check::of(head, of_failure(failure, head), &said));
    }
    match head.status {
        Some(200) => {
            // Encoded bytes may be right under their encoding. This module decodes nothing, so it says nothing of them.
            if let Some(encoding) = encoding(head) {
                return Err(Check::of(head, Verdict::Unsupported, &format!("content-encoding is {encoding}")));
            }
            if let Some(range) = head.header("content-range") {
                return Err(Check::of(head, Verdict::Unsupported, &format!("content-range is {range}")));
            }
            let said = head.header("content-type").unwrap_or("none");
            // Bytes in another format may be right by chance; a client that asked for this one could not use them.
            if said.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(format)) {
                return Ok(response);
            }
            Err(Check::of(head, Verdict::Unsupported, &format!("content-type is {said}")))
        }
        Some(300..=399) => Err(Check::of(head, Verdict::Redirected, head.redirected_to.as_deref().unwrap_or("nowhere"))),
        // A part was not asked for; other answers without the body that was asked for are right for what they are.
        Some(status @ (201..=299)) => Err(Check::of(head, Verdict::Unsupported, part(status))),
        Some(400 | 405 | 406 | 415 | 501) => Err(Check { status: head.status, ..Check::new(Verdict::Unsupported) }),
        _ => Err(Check { status: head.status, ..Check::new(Verdict::HttpError) }),
    }
}

/// How the body is encoded, if it is: several headers and lists are one list.
fn encoding(head: &Head) -> Option<String> {
    let values = head.headers.iter().filter(|(name, _)| name == "content-encoding").flat_map(|(_, value)| value.split(','));
    let encodings: Vec<&str> = values.map(str::trim).filter(|value| !value.is_empty() && !value.eq_ignore_ascii_case("identity")).collect();
    (!encodings.is_empty()).then(|| encodings.join(", "))
}

fn part(status: u16) -> &'static str {
    match status {
        204 | 205 => "the answer has no content",
        206 => "the answer is a part that was not asked for",
        _ => "the status is none for a block",
    }
}

/// What a failure means where the host says no more.
fn words(failure: Failure) -> &'static str {
    match failure {
        Failure::NotGranted => "the experiment does not name this host and port, or the operator does not allow them",
        Failure::RefusedAddress => "no station contacts this address",
        Failure::Quota => "a limit of the job, the station or the target is used up",
        Failure::Dns => "the name has no address",
        Failure::Connect => "no connection",
        Failure::Tls => "the TLS handshake failed",
        Failure::Timeout => "no complete answer in time",
        Failure::TooLarge => "more bytes than a block may have",
        Failure::Truncated => "the answer ended early",
        Failure::Protocol => "the answer is no HTTP",
        Failure::BadRequest => "the request is not one a station sends",
        Failure::TooManyRedirects => "redirected too often",
        Failure::StationFailed => "the station itself could not ask",
        Failure::Other => "a reason that this module does not know",
    }
}

fn of_failure(failure: Failure, head: &Head) -> Verdict {
    match failure {
        Failure::NotGranted | Failure::RefusedAddress | Failure::Quota | Failure::BadRequest | Failure::StationFailed | Failure::Other => {
            Verdict::RefusedByHost
        }
        // Of a head that is too large the status is not known: nothing is said of the block.
        Failure::TooLarge if head.status.is_none() => Verdict::HttpError,
        Failure::Dns | Failure::Connect | Failure::Tls => Verdict::Unreachable,
        Failure::Timeout => Verdict::Timeout,
        Failure::TooLarge => Verdict::TooLarge,
        Failure::Truncated => Verdict::Truncated,
        Failure::Protocol => Verdict::HttpError,
        Failure::TooManyRedirects => Verdict::Redirected,
    }
}

/// The gateway as the front of a URL.
fn base(gateway: &str) -> Result<&str, &'static str> {
    let base = gateway.strip_suffix('/').unwrap_or(gateway);
    let host = base.strip_prefix("https://").or_else(|| base.strip_prefix("http://")).ok_or("the gateway is not an http URL")?;
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    if host.is_empty() || !host.bytes().all(is_host) { Err("the gateway must be a host, without a path") } else { Ok(base) }
}

fn unasked(verdict: Verdict, why: &str) -> Output {
    Output::from(Check { detail: Some(why.to_owned()), ..Check::new(verdict) }).judge()
}

/// To the nearest millisecond.
fn to_ms(us: u64) -> u64 {
    us.saturating_add(500) / 1_000
}

impl From<Check> for Output {
    fn from(raw: Check) -> Self {
        Self {
            verdict: raw.verdict,
            body_sha256: None,
            ttfb_ms: None,
            ttfb_warm_ms: None,
            throughput_kbps: None,
            bytes: 0,
            raw,
            warm: None,
            car: None,
            probe: None,
        }
    }
}

impl Output {
    /// The readings of the cold raw request, whatever it brought.
    fn read_cold(&mut self, Response { head, .. }: &Response) {
        self.bytes = head.bytes;
        let setup_us = [head.dns_us, head.connect_us, head.tls_us].into_iter().flatten().fold(0, u64::saturating_add);
        self.ttfb_ms = head.ttfb_us.map(|ttfb| to_ms(setup_us.saturating_add(ttfb)));
        let transfer_us = head.total_us.map(|total| total.saturating_sub(setup_us)).filter(|us| *us > 0 && head.error.is_none());
        self.throughput_kbps = transfer_us.map(|us| head.bytes.saturating_mul(8 * 1_000) / us);
    }
}

impl Check {
    fn new(verdict: Verdict) -> Self {
        Self { verdict, status: None, detail: None }
    }

    fn ok(head: &Head) -> Self {
        Self { status: head.status, ..Self::new(Verdict::Ok) }
    }

    fn of(head: &Head, verdict: Verdict, detail: &str) -> Self {
        Self { verdict, status: head.status, detail: Some(detail.chars().take(DETAIL_CHARS_MAX).collect()) }
    }
}

/// A gateway's words (content type, location) are cut: they stand in every receipt.
const DETAIL_CHARS_MAX: usize = 200;
