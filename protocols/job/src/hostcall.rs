//! What a guest asks of the host and what it gets: `http.fetch`, and the [`Transcript`] that a receipt names by CID.
//!
//! Guarantees: every field is bounded, so that a full transcript fits one block; what a target did wrong is data in the head,
//! never an error of the call. Deliberately lacks the doing: the node's `hostcalls` performs these, the SDK phrases them.

use serde::{Deserialize, Serialize};

use crate::bounded::{List, Text};
use crate::codec::{self, DecodeError};
use crate::identity::Hash32;

/// The operation's name in `submit`.
pub const HTTP_FETCH: &str = "http.fetch";

/// Operations begun in one execution, each request that follows a redirect counted: more is a flood, not a measurement.
pub const OPS_MAX: usize = 1_000;
/// Handles open at the same time: ten times the connections a job may have.
pub const HANDLES_MAX: usize = 64;
/// Bytes of one checkpoint: one block.
pub const CHECKPOINT_BYTES_MAX: usize = 1 << 20;
/// Bytes one `read` gives at most: half a frame between host and sandbox.
pub const READ_BYTES_MAX: usize = 512 << 10;

/// The negative numbers a host call may answer with, as in WASI preview 1.
pub mod errno {
    /// Not ready yet.
    pub const AGAIN: i32 = 6;
    /// No such handle.
    pub const BADF: i32 = 8;
    /// A quota of the execution is used up.
    pub const DQUOT: i32 = 19;
    /// An argument makes no sense.
    pub const INVAL: i32 = 28;
    /// Too many open handles.
    pub const MFILE: i32 = 33;
    /// This host has no such operation.
    pub const NOSYS: i32 = 52;
    /// Nothing became ready in time.
    pub const TIMEDOUT: i32 = 73;
}

/// Longest URL: longer ones break servers and proxies.
pub const URL_BYTES_MAX: usize = 2_048;
/// Longest URL in a record; the rest is cut. 1,000 records then fit one block.
pub const RECORD_URL_BYTES_MAX: usize = 512;
/// Longest reason in a head or a record: a sentence. 1,000 records then fit one block.
pub const DETAIL_BYTES_MAX: usize = 120;
/// Request headers a guest may set.
pub const REQUEST_HEADERS_MAX: usize = 32;
/// Largest encoded request: the URL and all headers with room.
pub const REQUEST_BYTES_MAX: usize = 48 << 10;
/// Response headers: servers send about 20; more is an attack on the reader.
pub const RESPONSE_HEADERS_MAX: usize = 100;
/// Bytes of a response head, as servers themselves limit it.
pub const RESPONSE_HEAD_BYTES_MAX: usize = 32 << 10;
/// Bytes of one body, kept in memory until the guest has read it.
pub const BODY_BYTES_MAX: u64 = 32 << 20;
/// Redirects followed at most.
pub const REDIRECTS_MAX: u64 = 5;

/// What the guest may do to a server: nothing that changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    #[serde(rename = "GET")]
    Get,
    #[serde(rename = "HEAD")]
    Head,
}

/// A request header: name and value.
pub type RequestHeader = (Text<64>, Text<1_024>);

/// The request of `http.fetch`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FetchRequest {
    pub method: Method,
    pub url: Text<URL_BYTES_MAX>,
    pub headers: List<RequestHeader, REQUEST_HEADERS_MAX>,
    /// Bytes of body wanted at most; the host may give less.
    pub max_bytes: u64,
    /// For everything from resolving the name to the last byte; waiting for politeness does not count.
    pub timeout_ms: u64,
    /// Redirects to follow, at most [`REDIRECTS_MAX`]; 0 reports the redirect.
    pub redirects: u64,
    /// Insist on a new connection.
    pub fresh: bool,
}

impl FetchRequest {
    /// Decodes what a guest submitted.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode(bytes, REQUEST_BYTES_MAX)
    }
}

/// What went wrong in a fetch, as data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FetchError {
    /// The experiment did not ask for this target, or the operator does not allow it.
    NotGranted,
    /// The address, name or port is one that no guest may contact.
    RefusedAddress,
    /// A quota or the target's cap is used up.
    Quota,
    /// The name has no address.
    Dns,
    /// No connection.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// The deadline passed, or the answer came too slowly.
    Timeout,
    /// The head or body was larger than allowed; the bytes up to there follow.
    TooLarge,
    /// The connection ended before the answer did; the bytes up to there follow.
    Truncated,
    /// The answer was not HTTP.
    Protocol,
    /// The request is not one this host sends.
    BadRequest,
    /// More redirects than asked for.
    TooManyRedirects,
    /// The station itself could not ask: its resolver, its network or its disk failed. It says nothing of the target.
    StationFailed,
    /// The guest closed the handle, or ended, before the answer came. Only in transcripts.
    Cancelled,
}

/// The head of a fetch's result: `u32 LE length ‖ head ‖ body` is what `read` gives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FetchHead {
    pub error: Option<FetchError>,
    /// Why, for people: the station's own words.
    pub detail: Option<Text<DETAIL_BYTES_MAX>>,
    /// Of the last response.
    pub status: Option<u64>,
    /// Lower-case names; values that are not UTF-8 have their bytes replaced.
    pub headers: List<(String, String), RESPONSE_HEADERS_MAX>,
    /// The address contacted last.
    pub ip: Option<Text<45>>,
    /// Whether an earlier connection of this execution served; then there are no times for resolving and connecting.
    pub reused: bool,
    pub dns_us: Option<u64>,
    pub connect_us: Option<u64>,
    pub tls_us: Option<u64>,
    /// From beginning to send the request to the first byte of the response.
    pub ttfb_us: Option<u64>,
    /// Everything but waiting for politeness, all redirects together.
    pub total_us: Option<u64>,
    /// Of the body as it follows.
    pub bytes: u64,
    /// Of the body as it follows; none without a response.
    pub body_sha256: Option<Hash32>,
    /// Where a redirect leads: the `Location` when it was not followed, else the last URL requested.
    pub redirected_to: Option<Text<URL_BYTES_MAX>>,
}

/// `u32 LE length ‖ head ‖ body`.
///
/// # Panics
/// Never: a head is bounded far below 4 GiB.
#[must_use]
pub fn frame_result(head: &FetchHead, body: &[u8]) -> Vec<u8> {
    let head = codec::encode(head);
    let length = u32::try_from(head.len()).expect("a head is at most some hundred KiB");
    let mut all = Vec::with_capacity(4 + head.len() + body.len());
    all.extend_from_slice(&length.to_le_bytes());
    all.extend_from_slice(&head);
    all.extend_from_slice(body);
    all
}

/// Largest transcript: one block. Reached by no transcript that the bounds allow (a test fills one).
pub const TRANSCRIPT_BYTES_MAX: usize = 1 << 20;

/// One request as the host saw it. A fetch that follows redirects has a record per request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The operation, like `http.fetch`.
    pub op: Text<32>,
    pub method: Method,
    pub url: Text<RECORD_URL_BYTES_MAX>,
    pub error: Option<FetchError>,
    /// Why, for people: the station's own words.
    pub detail: Option<Text<DETAIL_BYTES_MAX>>,
    pub status: Option<u64>,
    pub ip: Option<Text<45>>,
    pub reused: bool,
    pub dns_us: Option<u64>,
    pub connect_us: Option<u64>,
    pub tls_us: Option<u64>,
    pub ttfb_us: Option<u64>,
    pub total_us: Option<u64>,
    pub bytes: u64,
    pub body_sha256: Option<Hash32>,
}

/// The host's record of one execution's host calls, in the order in which they ended. Its CID stands in the receipt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transcript {
    pub records: List<Record, OPS_MAX>,
}

impl Transcript {
    /// Canonical bytes; none when there are no records.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        if self.records.is_empty() { Vec::new() } else { codec::encode(self) }
    }

    /// Decodes what a station delivered; no bytes are a transcript without records.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.is_empty() { Ok(Self::default()) } else { codec::decode(bytes, TRANSCRIPT_BYTES_MAX) }
    }
}

#[cfg(test)]
mod tests;
