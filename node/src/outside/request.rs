//! What a guest may put into a request, how the station names itself, and where a redirect may lead.
//!
//! Guarantees: a guest can neither pose as somebody nor steer the connection or the server: it sets headers of a list alone. Deliberately
//! lacks any IO.

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use station_protocol::bounded::Text;
use station_protocol::hostcall::{FetchError, FetchRequest, URL_BYTES_MAX};
use url::Url;

/// Where servers' operators can read who this is.
pub const PROJECT_URL: &str = env!("CARGO_PKG_REPOSITORY");

/// The User-Agent: the project, whom to write to, and what this is for.
#[must_use]
pub fn user_agent(contact: &str, experiment: &str) -> String {
    let plain = |c: char| if c.is_ascii_graphic() && !matches!(c, '(' | ')' | ';') { c } else { '_' };
    let [contact, experiment] = [contact, experiment].map(|text| text.chars().map(plain).collect::<String>());
    format!("station/{} (+{PROJECT_URL}; {contact}; {experiment})", env!("CARGO_PKG_VERSION"))
}

/// Headers a guest may set: what it wants to get, and what a cache may answer. A list of what is forbidden is never whole, for servers
/// invent headers that name a client, a user, another URL or another method.
const ALLOWED: [&str; 14] = [
    // Which representation is wanted.
    "accept",
    "accept-charset",
    "accept-language",
    "prefer",
    "want-content-digest",
    "want-digest",
    "want-repr-digest",
    // Which part of it.
    "range",
    "if-range",
    // What a cache may answer.
    "cache-control",
    "if-modified-since",
    "if-none-match",
    "if-unmodified-since",
    "pragma",
];

/// Bytes of all names and values that a guest sets: what a page's request takes, and little enough that uploading is no use for them.
pub const GUEST_HEADERS_BYTES_MAX: usize = 4 << 10;
/// Ranges asked for at once: servers work for each of them, and the file itself is asked for without any.
const RANGES_MAX: usize = 4;

/// The headers the guest set, if it may set them all: each is of [`ALLOWED`], however it is spelt, and stands there once.
pub fn guest_headers(request: &FetchRequest) -> Result<HeaderMap, FetchError> {
    let mut headers = HeaderMap::new();
    let mut bytes = 0;
    for (name, value) in &request.headers {
        bytes += name.len() + value.len();
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| FetchError::BadRequest)?;
        let is_modest = bytes <= GUEST_HEADERS_BYTES_MAX && (name != header::RANGE || value.split(',').count() <= RANGES_MAX);
        if !ALLOWED.contains(&name.as_str()) || headers.contains_key(&name) || !is_modest {
            return Err(FetchError::BadRequest);
        }
        headers.insert(name, HeaderValue::from_str(value).map_err(|_| FetchError::BadRequest)?);
    }
    Ok(headers)
}

/// Where a response redirects to, made absolute; `None` when it does not, or to nothing that is a URL of bearable length.
#[must_use]
pub fn location(base: &str, status: Option<u64>, headers: &[(String, String)]) -> Option<Text<URL_BYTES_MAX>> {
    if !matches!(status, Some(301 | 302 | 303 | 307 | 308)) {
        return None;
    }
    let (_, value) = headers.iter().find(|(name, _)| name == "location")?;
    Text::new(Url::parse(base).ok()?.join(value).ok()?.to_string()).ok()
}

/// A redirect to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub url: String,
    /// Whether scheme, host and port stay, so that the guest's headers may go along.
    pub same_host: bool,
}

/// Whether to follow the redirect from `from` to `to` after `followed` others of `max`.
pub fn follow(from: &str, to: &str, followed: u64, max: u64) -> Result<Step, FetchError> {
    if followed >= max {
        return Err(FetchError::TooManyRedirects);
    }
    let (from, to) = (Url::parse(from).map_err(|_| FetchError::BadRequest)?, Url::parse(to).map_err(|_| FetchError::BadRequest)?);
    match (from.scheme(), to.scheme()) {
        ("http", "http" | "https") | ("https", "https") => Ok(Step { same_host: from.origin() == to.origin(), url: to.into() }),
        // Giving up encryption, or leaving the web: the same refusal as for any place no guest may go.
        _ => Err(FetchError::RefusedAddress),
    }
}

#[cfg(test)]
mod tests;
