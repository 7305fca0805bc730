//! `http.fetch`: one HTTP request made by the station, timed by the station at the socket.
//!
//! Guarantees: a failed fetch is a [`Response`] whose head says what happened; [`Error`] is left for a host that does not speak
//! this operation. Deliberately lacks cookies, authorisation, bodies of requests and a redirect policy beyond a count.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::{backend, errno};

/// Name of the operation at the host.
pub const OPERATION: &str = "http.fetch";

/// Body bytes a request accepts unless told otherwise: a few blocks.
pub const MAX_BYTES_DEFAULT: u64 = 4 << 20;
/// How long a request may take unless told otherwise.
pub const TIMEOUT_MS_DEFAULT: u64 = 15_000;
/// To the end of the execution: polite queues come before the request's own time-out, and the host's word always comes.
const WAIT_MS: u32 = u32::MAX;
/// Read from the host at once: large enough that a 2 MiB block costs few calls, small beside a module's memory.
const CHUNK_BYTES: usize = 64 << 10;
/// Largest head the host may send: headers are bounded well below it.
const HEAD_BYTES_MAX: usize = 256 << 10;

/// GETs `url` with the defaults of [`Request::get`].
pub fn get(url: &str) -> Result<Response, Error> {
    Request::get(url).send()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    #[serde(rename = "GET")]
    Get,
    #[serde(rename = "HEAD")]
    Head,
}

/// What to fetch. Build it with [`Request::get`] or [`Request::head`] and the methods below; [`Request::send`] does it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    pub method: Method,
    pub url: String,
    pub headers: Vec<(String, String)>,
    /// Body bytes after which the host gives up with [`Failure::TooLarge`].
    pub max_bytes: u64,
    /// For the whole operation, from name to last byte.
    pub timeout_ms: u64,
    /// How many redirects to follow; with none, a redirect is the response.
    pub redirects: u64,
    /// Whether a new connection must be made, for a cold measurement.
    pub fresh: bool,
}

impl Request {
    /// A GET that follows no redirects, with no headers, up to [`MAX_BYTES_DEFAULT`] in [`TIMEOUT_MS_DEFAULT`].
    #[must_use]
    pub fn get(url: &str) -> Self {
        Self {
            method: Method::Get,
            url: url.to_owned(),
            headers: Vec::new(),
            max_bytes: MAX_BYTES_DEFAULT,
            timeout_ms: TIMEOUT_MS_DEFAULT,
            redirects: 0,
            fresh: false,
        }
    }

    /// The same with HEAD.
    #[must_use]
    pub fn head(url: &str) -> Self {
        Self { method: Method::Head, ..Self::get(url) }
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    #[must_use]
    pub fn max_bytes(mut self, max_bytes: u64) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    #[must_use]
    pub fn timeout_ms(mut self, timeout_ms: u64) -> Self {
        self.timeout_ms = timeout_ms;
        self
    }

    #[must_use]
    pub fn redirects(mut self, redirects: u64) -> Self {
        self.redirects = redirects;
        self
    }

    #[must_use]
    pub fn fresh(mut self, fresh: bool) -> Self {
        self.fresh = fresh;
        self
    }

    /// Asks the host and waits for the whole response.
    pub fn send(&self) -> Result<Response, Error> {
        self.submit()?.response()
    }

    /// Asks the host and returns at once: several requests submitted before the first is read run side by side.
    pub fn submit(&self) -> Result<Pending, Error> {
        let request = crate::encoded(self).map_err(Error::Malformed)?;
        let handle = errno::check(backend::submit(OPERATION, &request)).map_err(|errno| Error::Host { call: HostCall::Submit, errno })?;
        Ok(Pending { handle })
    }
}

/// A request under way. Dropping it tells the host that nobody will read the answer.
#[derive(Debug)]
pub struct Pending {
    handle: u32,
}

impl Pending {
    /// Waits for the response and reads all of it.
    pub fn response(self) -> Result<Response, Error> {
        let mut stream = Vec::new();
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            self.wait()?;
            match errno::check(backend::read(self.handle, &mut chunk)) {
                Ok(0) => return parse(stream),
                Ok(count) => {
                    let read = chunk.get(..count as usize).ok_or_else(|| Error::Malformed("the host read more than was asked".into()))?;
                    stream.extend_from_slice(read);
                }
                Err(errno::AGAIN) => {}
                Err(errno) => return Err(Error::Host { call: HostCall::Read, errno }),
            }
        }
    }

    fn wait(&self) -> Result<(), Error> {
        errno::check(backend::wait(&[self.handle], WAIT_MS)).map(|_| ()).map_err(|errno| Error::Host { call: HostCall::Wait, errno })
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        // A handle the host no longer knows is closed already.
        let _ = backend::close(self.handle);
    }
}

/// Waits until one of `pending` is ready and says which.
///
/// # Errors
/// [`errno::TIMEDOUT`] inside [`Error::Host`] when none was within `timeout_ms`.
pub fn first_ready(pending: &[Pending], timeout_ms: u32) -> Result<usize, Error> {
    let handles: Vec<u32> = pending.iter().map(|one| one.handle).collect();
    let failed = |errno| Error::Host { call: HostCall::Wait, errno };
    let index = errno::check(backend::wait(&handles, timeout_ms)).map_err(failed)? as usize;
    if index < pending.len() { Ok(index) } else { Err(Error::Malformed("the host named a handle that was not asked for".into())) }
}

/// What the fetch brought: always a head, and as much of the body as came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub head: Head,
    pub body: Vec<u8>,
}

/// What the host saw and measured. Times are in microseconds; `None` for a step that did not happen. What a newer host says besides, a
/// module that is published already does not see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Why there is no complete response; `None` if there is one, whatever its status.
    pub error: Option<Failure>,
    /// Why, for people: the host's own words.
    pub detail: Option<String>,
    pub status: Option<u16>,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The address that was contacted.
    pub ip: Option<String>,
    /// Whether a connection kept from an earlier request was used: then there is no `dns_us`, `connect_us` and `tls_us`.
    pub reused: bool,
    pub dns_us: Option<u64>,
    pub connect_us: Option<u64>,
    pub tls_us: Option<u64>,
    /// From the start of sending the request to the first byte of the response.
    pub ttfb_us: Option<u64>,
    /// From the start of the operation to the end of the body.
    pub total_us: Option<u64>,
    /// Body bytes received.
    pub bytes: u64,
    /// sha2-256 of the body as the host received it.
    pub body_sha256: Option<ByteBuf>,
    /// The `location` of a redirect that was not followed.
    pub redirected_to: Option<String>,
}

impl Head {
    /// The first header of that name (lower case).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// Why a fetch has no complete response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The experiment does not name this target, or the operator does not allow it.
    NotGranted,
    /// The name leads to an address that stations do not contact (private, loopback, own).
    RefusedAddress,
    /// A limit of the job, the station or the target is used up.
    Quota,
    Dns,
    Connect,
    Tls,
    Timeout,
    /// More than `max_bytes`.
    TooLarge,
    /// The connection ended before the body did.
    Truncated,
    /// What came is not HTTP.
    Protocol,
    /// The request itself is not one the host can send.
    BadRequest,
    TooManyRedirects,
    /// The station itself could not ask: its resolver, its network or its disk failed. It says nothing of the target.
    StationFailed,
    /// A reason that this SDK is too old to know; `detail` has the host's words.
    #[serde(other)]
    Other,
}

/// Which host call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostCall {
    Submit,
    Wait,
    Read,
}

impl fmt::Display for HostCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Submit => "submit",
            Self::Wait => "wait",
            Self::Read => "read",
        })
    }
}

/// The host could not be asked, or did not answer in the operation's form. Failures of the target are no errors: see [`Failure`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the host's {call} answered error number {errno}")]
    Host { call: HostCall, errno: i32 },
    #[error("the host's answer is malformed: {0}")]
    Malformed(String),
}

/// Splits `u32 LE length of head ‖ head ‖ body`.
fn parse(mut stream: Vec<u8>) -> Result<Response, Error> {
    let malformed = |why: &str| Error::Malformed(why.to_owned());
    let (length, rest) = stream.split_first_chunk::<4>().ok_or_else(|| malformed("no head"))?;
    let length = u32::from_le_bytes(*length) as usize;
    if length > HEAD_BYTES_MAX {
        return Err(malformed("the head is too large"));
    }
    let head = rest.get(..length).ok_or_else(|| malformed("the head is cut short"))?;
    let head = crate::decoded(head).map_err(Error::Malformed)?;
    stream.drain(..4 + length);
    Ok(Response { head, body: stream })
}

/// The stream that [`parse`] reads.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn frame(head: &Head, body: &[u8]) -> Vec<u8> {
    let head = serde_ipld_dagcbor::to_vec(head).expect("a head is plain data");
    let length = u32::try_from(head.len()).expect("a head is far below 4 GiB");
    [length.to_le_bytes().as_slice(), &head, body].concat()
}
