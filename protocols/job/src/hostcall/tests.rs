//! The shapes that guests and auditors depend on.

use super::*;

fn record() -> Record {
    Record {
        op: Text::cut(&"o".repeat(32)),
        method: Method::Head,
        url: Text::cut(&"u".repeat(RECORD_URL_BYTES_MAX)),
        error: Some(FetchError::TooManyRedirects),
        detail: Some(Text::cut(&"d".repeat(DETAIL_BYTES_MAX))),
        status: Some(u64::MAX),
        ip: Some(Text::cut(&"f".repeat(45))),
        reused: true,
        dns_us: Some(u64::MAX),
        connect_us: Some(u64::MAX),
        tls_us: Some(u64::MAX),
        ttfb_us: Some(u64::MAX),
        total_us: Some(u64::MAX),
        bytes: u64::MAX,
        body_sha256: Some(Hash32([0xff; 32])),
    }
}

#[test]
fn the_largest_transcript_fits_one_block_and_survives_the_codec() {
    let transcript = Transcript { records: List::new(vec![record(); OPS_MAX]).unwrap() };
    let bytes = transcript.encode();
    assert!(bytes.len() <= TRANSCRIPT_BYTES_MAX, "{} bytes", bytes.len());
    assert_eq!(Transcript::decode(&bytes).unwrap(), transcript);
}

#[test]
fn one_record_too_many_is_refused() {
    #[derive(Serialize)]
    struct Loose {
        records: Vec<Record>,
    }
    let mut small = record();
    small.url = Text::default();
    let bytes = codec::encode(&Loose { records: vec![small; OPS_MAX + 1] });
    assert!(matches!(Transcript::decode(&bytes), Err(DecodeError::Shape(_))));
}

#[test]
fn no_records_are_no_bytes() {
    assert!(Transcript::default().encode().is_empty());
    assert_eq!(Transcript::decode(&[]).unwrap(), Transcript::default());
}

#[test]
fn a_request_is_the_map_that_guests_write() {
    let request = FetchRequest {
        method: Method::Get,
        url: Text::new("https://ipfs.io/").unwrap(),
        headers: List::new(vec![(Text::new("accept").unwrap(), Text::new("*/*").unwrap())]).unwrap(),
        max_bytes: 1,
        timeout_ms: 2,
        redirects: 0,
        fresh: false,
    };
    let bytes = codec::encode(&request);
    assert_eq!(FetchRequest::decode(&bytes).unwrap(), request);
    let value: serde_cbor::Value = serde_cbor::from_slice(&bytes).unwrap();
    let serde_cbor::Value::Map(map) = value else { panic!("not a map") };
    let text = |text: &str| serde_cbor::Value::Text(text.into());
    assert_eq!(map[&text("method")], text("GET"));
    assert_eq!(map[&text("headers")], serde_cbor::Value::Array(vec![serde_cbor::Value::Array(vec![text("accept"), text("*/*")])]));
    assert_eq!(map[&text("fresh")], serde_cbor::Value::Bool(false));
}

#[test]
fn a_head_without_a_response_says_null() {
    let head = FetchHead { error: Some(FetchError::RefusedAddress), ..FetchHead::default() };
    let result = frame_result(&head, b"body");
    let length = u32::from_le_bytes(result[..4].try_into().unwrap()) as usize;
    assert_eq!(&result[4 + length..], b"body");
    let value: serde_cbor::Value = serde_cbor::from_slice(&result[4..4 + length]).unwrap();
    let serde_cbor::Value::Map(map) = value else { panic!("not a map") };
    assert_eq!(map.len(), 14);
    assert_eq!(map[&serde_cbor::Value::Text("error".into())], serde_cbor::Value::Text("refused_address".into()));
    assert_eq!(map[&serde_cbor::Value::Text("status".into())], serde_cbor::Value::Null);
}

#[test]
fn bytes_that_are_not_a_request_are_errors_not_panics() {
    for bytes in [&b""[..], b"\xff", b"\xa0", b"\x9f", &[0x81; 100_000]] {
        assert!(FetchRequest::decode(bytes).is_err());
    }
    assert!(matches!(FetchRequest::decode(&vec![0; REQUEST_BYTES_MAX + 1]), Err(DecodeError::TooLarge { .. })));
}
