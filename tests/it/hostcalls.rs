//! The two sides of a host call speak the same bytes: the SDK that guests are built with, and the host's own types.

use station_protocol::bounded::{List, Text};
use station_protocol::codec;
use station_protocol::hostcall::{FetchError, FetchHead, FetchRequest, HTTP_FETCH, frame_result};
use station_protocol::identity::Hash32;
use station_sdk::http;
use station_sdk::replay::{Recording, with};

/// What a guest sees of `head` and `body` when the host frames them.
fn through_the_sdk(head: &FetchHead, body: &[u8]) -> http::Response {
    let request = http::Request::get("https://example.org/").fresh(true);
    // The SDK's request is recorded as the host reads it, so this also proves that the host can read it.
    let bytes = codec::encode(&host_view(&request));
    let recording = Recording::new().operation(HTTP_FETCH, &bytes, Ok(frame_result(head, body)));
    with(recording, || request.send()).expect("the SDK understands the host")
}

/// The host's reading of a request that the SDK wrote.
fn host_view(request: &http::Request) -> FetchRequest {
    let written = codec::encode(request);
    FetchRequest::decode(&written).expect("the host understands the SDK")
}

fn errors() -> Vec<FetchError> {
    use FetchError as E;
    vec![
        E::NotGranted,
        E::RefusedAddress,
        E::Quota,
        E::Dns,
        E::Connect,
        E::Tls,
        E::Timeout,
        E::TooLarge,
        E::Truncated,
        E::Protocol,
        E::BadRequest,
        E::TooManyRedirects,
        E::StationFailed,
    ]
}

#[test]
fn the_host_reads_every_field_of_a_request_that_the_sdk_writes() {
    let request = http::Request::head("https://example.org/a?b").header("Accept", "x/y").max_bytes(7).timeout_ms(8).redirects(3).fresh(true);
    let host = host_view(&request);
    assert_eq!((host.url.as_str(), host.max_bytes, host.timeout_ms, host.redirects, host.fresh), ("https://example.org/a?b", 7, 8, 3, true));
    let headers: Vec<(&str, &str)> = host.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(headers, [("Accept", "x/y")]);
    assert_eq!(codec::encode(&host), codec::encode(&request));
}

#[test]
fn the_sdk_reads_every_error_that_the_host_writes_as_itself() {
    let mut seen = std::collections::BTreeSet::new();
    for error in errors() {
        let response = through_the_sdk(&FetchHead { error: Some(error), ..FetchHead::default() }, &[]);
        let failure = response.head.error.expect("an error stays one");
        assert_eq!(codec::encode(&failure), codec::encode(&error), "{error:?}");
        seen.insert(format!("{failure:?}"));
    }
    assert_eq!(seen.len(), errors().len(), "no two errors look alike to a guest");
}

#[test]
fn the_sdk_reads_every_field_of_a_head_that_the_host_writes() {
    let head = FetchHead {
        error: None,
        detail: Some(Text::cut("why")),
        status: Some(206),
        headers: List::new(vec![("etag".into(), "\"x\"".into())]).expect("one header"),
        ip: Some(Text::cut("192.0.2.1")),
        reused: true,
        dns_us: Some(1),
        connect_us: Some(2),
        tls_us: Some(3),
        ttfb_us: Some(4),
        total_us: Some(5),
        bytes: 4,
        body_sha256: Some(Hash32([9; 32])),
        redirected_to: Some(Text::cut("https://example.org/b")),
    };
    let response = through_the_sdk(&head, b"body");
    assert_eq!(response.body, b"body");
    assert_eq!(codec::encode(&response.head), codec::encode(&head), "field for field, byte for byte");
}
