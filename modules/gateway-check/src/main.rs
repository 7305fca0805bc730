//! Checks one IPFS gateway for one CID, and verifies every body it returns against that CID.
//!
//! Guarantees: `ok` is said only of bytes whose hash was compared; a gateway's failure is a verdict, never an error. Deliberately lacks
//! UnixFS, IPNS and subdomain checks (README.md says why). [`check`] asks, [`content`] compares.

use serde::{Deserialize, Serialize};

mod car;
mod check;
mod content;

/// What a job gives.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    /// `https://host[:port]` or `http://host[:port]`, without a path.
    gateway: String,
    /// A CID with sha2-256 or identity hash, of a block ≤ 2 MiB.
    cid: String,
}

/// What was found. `verdict` and `body_sha256` are facts on which stations agree; the times are readings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Output {
    /// Of the gateway as a whole, from `raw`, `car`, `warm` and `probe`: see [`Output::judge`].
    verdict: Verdict,
    /// sha2-256 of the verified block, in hex; nothing if no body could be verified.
    body_sha256: Option<String>,
    /// From nothing to the first byte on a new connection: name, TCP, TLS and answer, in ms.
    ttfb_ms: Option<u64>,
    /// From request to first byte on the connection kept from before, in ms; nothing if the gateway closed it.
    ttfb_warm_ms: Option<u64>,
    /// Kilobits per second of the cold raw body, from sending the request to its last byte.
    throughput_kbps: Option<u64>,
    /// Body bytes of the cold raw answer.
    bytes: u64,
    /// `?format=raw` on a new connection.
    raw: Check,
    /// The same once more on the kept connection; nothing if the first was not ok.
    warm: Option<Check>,
    /// `?format=car&dag-scope=block`.
    car: Option<Check>,
    /// `/ipfs/bafkqaaa?format=raw`, which every trustless gateway must answer with nothing.
    probe: Option<Check>,
}

/// One request and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Check {
    verdict: Verdict,
    /// The HTTP status, if one came.
    status: Option<u16>,
    /// In words for people: what was wrong, or where a redirect led.
    detail: Option<String>,
}

/// What can be said of an answer, or of a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    /// The bytes are those of the CID.
    Ok,
    /// The gateway does not serve this format or not whole and plain, or the CID's hash is not one this module verifies.
    Unsupported,
    /// Bytes came, complete, and they are not those of the CID.
    WrongBytes,
    /// The answer ended early.
    Truncated,
    /// The gateway points elsewhere; redirects are not followed.
    Redirected,
    /// No complete answer in time.
    Timeout,
    /// Name, connection or TLS failed.
    Unreachable,
    /// The station did not make the request: not granted, address refused, quota, or it could not.
    RefusedByHost,
    /// A status that is none of the above (`status`), no HTTP at all, or a head that is too large.
    HttpError,
    /// More bytes than a block may have.
    TooLarge,
    /// The job's own gateway or CID is malformed; nothing was asked.
    BadInput,
}

fn main() {
    station_sdk::run(|input: Input| check::gateway(&input));
}

impl Output {
    /// `raw` decides, because it is the one format every trustless gateway must serve; but wrong bytes anywhere are wrong bytes, and a
    /// `car` that fails otherwise than by not being offered counts too.
    fn judge(mut self) -> Self {
        let checks = [Some(&self.raw), self.warm.as_ref(), self.car.as_ref(), self.probe.as_ref()];
        let lies = checks.into_iter().flatten().any(|check| check.verdict == Verdict::WrongBytes);
        let car = self.car.as_ref().map_or(Verdict::Ok, |car| car.verdict);
        self.verdict = match self.raw.verdict {
            _ if lies => Verdict::WrongBytes,
            Verdict::Ok if car == Verdict::Unsupported => Verdict::Ok,
            Verdict::Ok => car,
            other => other,
        };
        self
    }
}

#[cfg(test)]
mod tests;
