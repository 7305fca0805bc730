use cid::Cid;
use multihash::Multihash;
use sha2::{Digest as _, Sha256};
use station_sdk::http::{Failure, Head, Request};
use station_sdk::replay::{Recording, with};

use crate::car::{CarError, only_block};
use crate::check::{CAR, PROBE, RAW, car_request, gateway, probe_request, raw_request};
use crate::content::{Wanted, sha256_hex};
use crate::{Input, Output, Verdict};

const BASE: &str = "https://gateway.example";
const BLOCK: &[u8] = b"Hello from IPFS Gateway Checker";
/// Multicodec of raw bytes.
const RAW_CODEC: u64 = 0x55;

fn cid_of(block: &[u8]) -> Cid {
    Cid::new_v1(RAW_CODEC, Multihash::wrap(0x12, &Sha256::digest(block)).expect("32 bytes"))
}

fn wanted(cid: Cid) -> Wanted {
    Wanted::new(cid).expect("sha2-256 or identity")
}

fn run(cid: &str, recording: Recording) -> Output {
    with(recording, || gateway(&Input { gateway: BASE.into(), cid: cid.into() }))
}

/// A CAR with one root and these blocks; everything is short enough for lengths of one byte.
fn car(root: &Cid, blocks: &[(&Cid, &[u8])]) -> Vec<u8> {
    let section = |bytes: &[u8]| [&[u8::try_from(bytes.len()).expect("short")], bytes].concat();
    // A link is tag 42 on a byte string: a zero, then the CID. Lengths below 24 stand in the string's first byte.
    let length = u8::try_from(root.encoded_len() + 1).expect("short");
    let string = if length < 24 { vec![0xd8, 0x2a, 0x40 | length, 0] } else { vec![0xd8, 0x2a, 0x58, length, 0] };
    let tagged = [string, root.to_bytes()].concat();
    let header = [b"\xa2\x65roots\x81".as_slice(), &tagged, b"\x67version\x01"].concat();
    let blocks = blocks.iter().flat_map(|(cid, bytes)| section(&[cid.to_bytes().as_slice(), bytes].concat()));
    section(&header).into_iter().chain(blocks).collect()
}

fn head(kind: &str) -> Head {
    Head {
        status: Some(200),
        headers: vec![("content-type".into(), kind.into())],
        dns_us: Some(2_000),
        connect_us: Some(10_000),
        tls_us: Some(20_000),
        ttfb_us: Some(8_400),
        total_us: Some(42_400),
        ..Head::default()
    }
}

fn failed(failure: Failure) -> Head {
    Head { error: Some(failure), ..Head::default() }
}

fn status(status: u16) -> Head {
    Head { status: Some(status), ..Head::default() }
}

/// An answer: head and body.
type Answer = (Head, Vec<u8>);

/// The four answers of one run; a missing one must not be asked for.
struct Run {
    raw: Answer,
    warm: Option<Answer>,
    car: Option<Answer>,
    probe: Option<Answer>,
}

impl Run {
    fn good() -> Self {
        let cid = cid_of(BLOCK);
        let warm = Head { reused: true, dns_us: None, connect_us: None, tls_us: None, ttfb_us: Some(3_100), ..head(RAW) };
        Self {
            raw: (head(RAW), BLOCK.to_vec()),
            warm: Some((warm, BLOCK.to_vec())),
            car: Some((head("application/vnd.ipld.car; version=1; order=dfs; dups=n"), car(&cid, &[(&cid, BLOCK)]))),
            probe: Some((head(RAW), Vec::new())),
        }
    }

    /// The raw answer is this one, so nothing is asked again warm.
    fn raw(head: Head, body: &[u8]) -> Self {
        Self { raw: (head, body.to_vec()), warm: None, ..Self::good() }
    }

    fn car(head: Head, body: &[u8]) -> Self {
        Self { car: Some((head, body.to_vec())), ..Self::good() }
    }

    fn play(self) -> Output {
        self.play_for(&cid_of(BLOCK).to_string())
    }

    fn play_for(self, cid: &str) -> Output {
        let add = |recording: Recording, request: &Request, answer: Option<Answer>| match answer {
            Some((head, body)) => recording.http(request, head, &body),
            None => recording,
        };
        let recording = Recording::new().http(&raw_request(BASE, cid).fresh(true), self.raw.0, &self.raw.1);
        let recording = add(recording, &raw_request(BASE, cid), self.warm);
        let recording = add(recording, &car_request(BASE, cid), self.car);
        run(cid, add(recording, &probe_request(BASE), self.probe))
    }
}

#[test]
fn a_good_gateway_is_ok_with_its_readings() {
    let output = Run::good().play();
    assert_eq!(output.verdict, Verdict::Ok);
    assert_eq!(output.body_sha256.as_deref(), Some(sha256_hex(BLOCK).as_str()));
    assert_eq!(output.ttfb_ms, Some(40), "2 + 10 + 20 + 8.4");
    assert_eq!(output.ttfb_warm_ms, Some(3));
    assert_eq!(output.throughput_kbps, Some(BLOCK.len() as u64 * 8_000 / 10_400));
    assert_eq!(output.bytes, BLOCK.len() as u64);
    for check in [Some(output.raw), output.warm, output.car, output.probe] {
        assert_eq!(check.map(|check| check.verdict), Some(Verdict::Ok));
    }
}

#[test]
fn the_hash_of_hello_is_the_known_one() {
    assert_eq!(sha256_hex(b"hello"), "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
}

#[test]
fn a_connection_that_was_not_kept_gives_no_warm_reading() {
    let output = Run { warm: Some((head(RAW), BLOCK.to_vec())), ..Run::good() }.play();
    assert_eq!((output.verdict, output.ttfb_warm_ms), (Verdict::Ok, None));
}

#[test]
fn one_flipped_byte_is_wrong_bytes_wherever_it_is() {
    let mut flipped = BLOCK.to_vec();
    flipped[7] ^= 1;
    let cid = cid_of(BLOCK);
    let raw = Run::raw(head(RAW), &flipped).play();
    assert_eq!((raw.verdict, raw.raw.verdict), (Verdict::WrongBytes, Verdict::WrongBytes));
    let warm = Run { warm: Some((head(RAW), flipped.clone())), ..Run::good() }.play();
    assert_eq!((warm.verdict, warm.raw.verdict), (Verdict::WrongBytes, Verdict::Ok));
    let car = Run::car(head(CAR), &car(&cid, &[(&cid, &flipped)])).play();
    assert_eq!((car.verdict, car.raw.verdict), (Verdict::WrongBytes, Verdict::Ok));
    let probe = Run { probe: Some((head(RAW), b"x".to_vec())), ..Run::good() }.play();
    assert_eq!((probe.verdict, probe.raw.verdict), (Verdict::WrongBytes, Verdict::Ok));
}

#[test]
fn a_gateway_that_lies_everywhere_has_no_verified_body() {
    let cid = cid_of(BLOCK);
    let lie = b"something else";
    let output = Run { warm: None, car: Some((head(CAR), car(&cid, &[(&cid, lie)]))), ..Run::raw(head(RAW), lie) }.play();
    assert_eq!((output.verdict, output.body_sha256), (Verdict::WrongBytes, None));
}

#[test]
fn every_failure_of_a_fetch_has_its_verdict() {
    let cases = [
        (Failure::Truncated, Verdict::Truncated),
        (Failure::Timeout, Verdict::Timeout),
        (Failure::Protocol, Verdict::HttpError),
        (Failure::TooManyRedirects, Verdict::Redirected),
    ];
    for (failure, verdict) in cases {
        let output = Run::raw(failed(failure), &BLOCK[..5]).play();
        assert_eq!((output.verdict, output.throughput_kbps), (verdict, None), "{failure:?}");
        assert!(output.body_sha256.is_some(), "the CAR still holds the block");
    }
}

#[test]
fn a_gateway_that_cannot_be_asked_is_asked_once() {
    let cases = [
        (Failure::Dns, Verdict::Unreachable),
        (Failure::Connect, Verdict::Unreachable),
        (Failure::Tls, Verdict::Unreachable),
        (Failure::NotGranted, Verdict::RefusedByHost),
        (Failure::RefusedAddress, Verdict::RefusedByHost),
        (Failure::Quota, Verdict::RefusedByHost),
        (Failure::BadRequest, Verdict::RefusedByHost),
        (Failure::StationFailed, Verdict::RefusedByHost),
    ];
    for (failure, verdict) in cases {
        let output = Run { raw: (failed(failure), Vec::new()), warm: None, car: None, probe: None }.play();
        assert_eq!((output.verdict, output.body_sha256), (verdict, None), "{failure:?}");
    }
}

#[test]
fn statuses_have_their_verdicts() {
    for (code, verdict) in [
        (301, Verdict::Redirected),
        (307, Verdict::Redirected),
        (400, Verdict::Unsupported),
        (406, Verdict::Unsupported),
        (501, Verdict::Unsupported),
        (404, Verdict::HttpError),
        (429, Verdict::HttpError),
        (504, Verdict::HttpError),
    ] {
        let output = Run::raw(status(code), b"no").play();
        assert_eq!((output.verdict, output.raw.status), (verdict, Some(code)), "{code}");
    }
}

#[test]
fn a_redirect_says_where_it_leads() {
    let head = Head { redirected_to: Some("https://elsewhere.example/".into()), ..status(302) };
    assert_eq!(Run::raw(head, &[]).play().raw.detail.as_deref(), Some("https://elsewhere.example/"));
}

#[test]
fn the_right_bytes_in_another_format_are_unsupported() {
    let output = Run::raw(head("text/plain; charset=utf-8"), BLOCK).play();
    assert_eq!((output.verdict, output.raw.detail.as_deref()), (Verdict::Unsupported, Some("content-type is text/plain; charset=utf-8")));
}

/// A whole answer with one more header.
fn with_header(name: &str, value: &str) -> Head {
    let mut head = head(RAW);
    head.headers.push((name.into(), value.into()));
    head
}

#[test]
fn an_encoded_body_is_unsupported_and_no_lie() {
    for (value, said) in [("gzip", "gzip"), ("GZIP", "GZIP"), ("deflate, br", "deflate, br"), ("identity, gzip", "gzip")] {
        let output = Run::raw(with_header("content-encoding", value), b"\x1f\x8b encoded").play();
        let detail = format!("content-encoding is {said}");
        assert_eq!((output.verdict, output.raw.detail.as_deref()), (Verdict::Unsupported, Some(detail.as_str())));
    }
    for value in ["identity", "", "Identity"] {
        let good = Run::good();
        let output = Run { raw: (with_header("content-encoding", value), BLOCK.to_vec()), ..good }.play();
        assert_eq!(output.verdict, Verdict::Ok, "{value:?}");
    }
    let mut twice = with_header("content-encoding", "identity");
    twice.headers.push(("content-encoding".into(), "zstd".into()));
    assert_eq!(Run::raw(twice, b"encoded").play().raw.detail.as_deref(), Some("content-encoding is zstd"));
}

#[test]
fn a_part_or_an_answer_without_content_is_unsupported_and_no_lie() {
    for (code, said) in [(204, "no content"), (206, "a part"), (203, "none for a block")] {
        let output = Run::raw(Head { status: Some(code), ..head(RAW) }, &BLOCK[..5]).play();
        assert_eq!((output.verdict, output.raw.status), (Verdict::Unsupported, Some(code)));
        assert!(output.raw.detail.is_some_and(|detail| detail.contains(said)), "{code}");
    }
    let output = Run::raw(with_header("content-range", "bytes 0-4/31"), &BLOCK[..5]).play();
    assert_eq!((output.verdict, output.raw.detail.as_deref()), (Verdict::Unsupported, Some("content-range is bytes 0-4/31")));
    let multipart = Run::raw(head("multipart/byteranges; boundary=x"), b"--x").play();
    assert_eq!(multipart.verdict, Verdict::Unsupported);
}

#[test]
fn why_a_request_failed_is_in_the_detail() {
    let why = |error, detail: Option<&str>| {
        let head = Head { error: Some(error), detail: detail.map(str::to_owned), ..Head::default() };
        Run { raw: (head, Vec::new()), warm: None, car: None, probe: None }.play().raw.detail
    };
    assert_eq!(why(Failure::Connect, Some("the connection was refused")).as_deref(), Some("the connection was refused"));
    assert_eq!(why(Failure::Dns, None).as_deref(), Some("the name has no address"), "an older host says no more");
    let long = why(Failure::Tls, Some(&"x".repeat(10_000)));
    assert_eq!(long.map(|detail| detail.len()), Some(200));
}

#[test]
fn a_head_that_is_too_large_says_nothing_of_the_block() {
    let too_large = |status| Run::raw(Head { error: Some(Failure::TooLarge), status, ..Head::default() }, b"").play().verdict;
    assert_eq!((too_large(None), too_large(Some(200))), (Verdict::HttpError, Verdict::TooLarge));
}

#[test]
fn a_gateway_without_car_is_ok_but_one_with_a_broken_car_is_not() {
    let cid = cid_of(BLOCK);
    let good = car(&cid, &[(&cid, BLOCK)]);
    let other = cid_of(b"other");
    let cases = [
        (status(406), Vec::new(), Verdict::Unsupported, Verdict::Ok),
        (head(RAW), BLOCK.to_vec(), Verdict::Unsupported, Verdict::Ok),
        (head(CAR), car(&cid, &[(&cid, BLOCK), (&other, b"other")]), Verdict::Unsupported, Verdict::Ok),
        (failed(Failure::Timeout), Vec::new(), Verdict::Timeout, Verdict::Timeout),
        (status(502), Vec::new(), Verdict::HttpError, Verdict::HttpError),
        (head(CAR), good[..good.len() - 1].to_vec(), Verdict::Truncated, Verdict::Truncated),
        (head(CAR), car(&cid, &[]), Verdict::Truncated, Verdict::Truncated),
        (head(CAR), car(&cid, &[(&other, b"other")]), Verdict::WrongBytes, Verdict::WrongBytes),
        (head(CAR), b"<html>".to_vec(), Verdict::Truncated, Verdict::Truncated),
    ];
    for (head, body, of_car, overall) in cases {
        let output = Run::car(head, &body).play();
        assert_eq!(output.car.map(|car| car.verdict), Some(of_car));
        assert_eq!(output.verdict, overall);
    }
}

#[test]
fn a_failed_probe_is_told_but_does_not_decide() {
    let output = Run { probe: Some((status(404), Vec::new())), ..Run::good() }.play();
    assert_eq!((output.verdict, output.probe.map(|probe| probe.verdict)), (Verdict::Ok, Some(Verdict::HttpError)));
}

#[test]
fn identity_cids_are_verified_and_stay_out_of_cars() {
    let text = "bafkqablimvwgy3y";
    let cid: Cid = text.parse().expect("a CID");
    for blocks in [vec![], vec![(&cid, b"hello".as_slice())]] {
        let run = Run {
            raw: (head(RAW), b"hello".to_vec()),
            warm: Some((head(RAW), b"hello".to_vec())),
            car: Some((head(CAR), car(&cid, &blocks))),
            ..Run::good()
        };
        let output = run.play_for(text);
        assert_eq!((output.verdict, output.body_sha256), (Verdict::Ok, Some(sha256_hex(b"hello"))));
    }
    let lie = Run { raw: (head(RAW), b"hallo".to_vec()), warm: None, car: Some((head(CAR), car(&cid, &[]))), ..Run::good() };
    assert_eq!(lie.play_for(text).verdict, Verdict::WrongBytes);
    assert!(wanted(PROBE.parse().expect("a CID")).is(&[]));
}

#[test]
fn another_hash_is_unsupported_and_nothing_is_asked() {
    let sha2_512 = Cid::new_v1(RAW_CODEC, Multihash::wrap(0x13, &[7; 64]).expect("64 bytes"));
    let short = Cid::new_v1(RAW_CODEC, Multihash::wrap(0x12, &[7; 20]).expect("20 bytes"));
    for cid in [sha2_512, short] {
        assert_eq!(run(&cid.to_string(), Recording::new()).verdict, Verdict::Unsupported);
    }
}

#[test]
fn malformed_jobs_ask_nothing() {
    for gateway_url in ["gateway.example", "ftp://gateway.example", "https://", "https://a/b", "https://a?b", "https://a b", "https://u@a"] {
        let input = Input { gateway: gateway_url.into(), cid: PROBE.into() };
        assert_eq!(with(Recording::new(), || gateway(&input)).verdict, Verdict::BadInput, "{gateway_url}");
    }
    assert_eq!(run("bafkq?", Recording::new()).verdict, Verdict::BadInput);
}

#[test]
fn version_0_and_version_1_of_a_cid_name_the_same_block() {
    let hash = Multihash::wrap(0x12, &Sha256::digest(BLOCK)).expect("32 bytes");
    let (v0, v1) = (Cid::new_v0(hash).expect("sha2-256"), Cid::new_v1(0x70, hash));
    assert_eq!(only_block(&wanted(v0), &car(&v1, &[(&v1, BLOCK)])), Ok(BLOCK));
    let raw = cid_of(BLOCK);
    assert!(matches!(only_block(&wanted(v0), &car(&raw, &[(&raw, BLOCK)])), Err(CarError::Wrong(_))), "another codec is another block");
}

#[test]
fn every_cut_and_every_flip_of_a_car_is_noticed() {
    let cid = cid_of(BLOCK);
    let wanted = wanted(cid);
    let good = car(&cid, &[(&cid, BLOCK)]);
    assert_eq!(only_block(&wanted, &good), Ok(BLOCK));
    for length in 0..good.len() {
        assert_eq!(only_block(&wanted, &good[..length]), Err(CarError::Truncated), "cut at {length}");
    }
    let roots = good.len() - BLOCK.len() - 2 * cid.encoded_len();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x01;
        // Roots are not compared; all other bytes are.
        let found = only_block(&wanted, &bad);
        assert!(found.is_err() || at < roots + cid.encoded_len() && found == Ok(BLOCK), "flip at {at}");
    }
}

#[test]
fn malformed_lengths_are_no_cars() {
    let wanted = wanted(cid_of(BLOCK));
    for bytes in [[0xff; 12].as_slice(), &[0x00], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]] {
        assert!(matches!(only_block(&wanted, bytes), Err(CarError::Wrong(_))));
    }
    assert_eq!(only_block(&wanted, &[0xff, 0xff, 0xff, 0xff, 0x0f, 1]), Err(CarError::Truncated));
}

#[test]
fn the_output_is_a_map_with_the_names_experiments_use() {
    let output = encoded(&Run::good().play());
    for name in ["verdict", "body_sha256", "ttfb_ms", "ttfb_warm_ms", "throughput_kbps", "bytes", "raw", "warm", "car", "probe"] {
        assert!(output.windows(name.len()).any(|window| window == name.as_bytes()), "{name}");
    }
}

/// An output in DAG-CBOR, through the SDK.
fn encoded(output: &Output) -> Vec<u8> {
    #[derive(serde::Deserialize)]
    struct Nothing {}
    station_sdk::run_on(&[0xa0], |_: Nothing| output.clone()).expect("plain data")
}
