use serde::{Deserialize, Serialize};

use crate::http::{Error, Failure, Head, HostCall, OPERATION, Request, first_ready};
use crate::replay::{Recording, observe, with};
use crate::{JobError, checkpoint, errno, progress, run_on};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Numbers {
    a: u64,
    b: u64,
}

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Sum {
    sum: u64,
}

fn encoded<T: Serialize>(value: &T) -> Vec<u8> {
    serde_ipld_dagcbor::to_vec(value).expect("plain data")
}

fn request() -> Request {
    Request::get("https://example.org/a").header("accept", "text/plain").max_bytes(10_000).timeout_ms(500).redirects(2).fresh(true)
}

fn ok_head() -> Head {
    Head { status: Some(200), headers: vec![("content-type".into(), "text/plain".into())], ttfb_us: Some(1_500), ..Head::default() }
}

#[test]
fn a_job_turns_its_input_into_its_output() {
    let output = run_on(&encoded(&Numbers { a: 2, b: 3 }), |Numbers { a, b }| Sum { sum: a + b }).expect("fits");
    assert_eq!(output, encoded(&Sum { sum: 5 }));
}

#[test]
fn an_input_of_another_shape_is_named() {
    let failed = run_on(&encoded(&Sum { sum: 5 }), |Numbers { a, b }| Sum { sum: a + b });
    // In words, and not as Rust code.
    assert_eq!(failed.map_err(|error| error.to_string()), Err("input: unknown field `sum`, expected `a` or `b`".into()));
    let failed = run_on(&encoded(&Numbers { a: 2, b: 3 }), |Numbers { .. }| std::collections::BTreeMap::from([("share", f64::NAN)]));
    assert!(matches!(failed, Err(JobError::Output(why)) if !why.contains("Msg")));
}

#[test]
fn what_a_newer_host_says_besides_is_no_error() {
    #[derive(Serialize)]
    struct Newer {
        bytes: u64,
        detail: Option<String>,
        error: &'static str,
        headers: Vec<(String, String)>,
        reused: bool,
        quic_us: Option<u64>,
    }
    let head = Newer { bytes: 0, detail: Some("solar flare".into()), error: "weather", headers: Vec::new(), reused: false, quic_us: Some(7) };
    let head = encoded(&head);
    let stream = [&u32::try_from(head.len()).expect("small").to_le_bytes(), head.as_slice()].concat();
    let response = with(Recording::new().operation(OPERATION, &encoded(&request()), Ok(stream)), || request().send()).expect("an answer");
    assert_eq!(response.head, Head { error: Some(Failure::Other), detail: Some("solar flare".into()), ..Head::default() });
}

#[test]
fn an_answer_in_another_form_is_told_in_words() {
    let head = encoded(&Sum { sum: 5 });
    let stream = [&u32::try_from(head.len()).expect("small").to_le_bytes(), head.as_slice()].concat();
    let failed = with(Recording::new().operation(OPERATION, &encoded(&request()), Ok(stream)), || request().send());
    assert_eq!(failed, Err(Error::Malformed("missing field `headers`".into())));
}

#[test]
fn an_answer_is_waited_for_as_long_as_the_execution_lasts() {
    let seen = observe(Recording::new().http(&request(), ok_head(), b"late"), || request().send().map(|response| response.body));
    assert_eq!(seen.value, Ok(b"late".to_vec()));
    // Not for the request's 500 ms: it may stand in a queue for a minute first.
    assert!(seen.waits.iter().all(|wait| *wait == u32::MAX) && !seen.waits.is_empty());
}

#[test]
fn the_recording_takes_no_more_than_a_station() {
    let many = Request::get("https://many.example/");
    let recording = (0..65).fold(Recording::new(), |recording, _| recording.http(&many, ok_head(), b""));
    let seen = observe(recording, || {
        progress(1, &"é".repeat(200));
        let pending: Vec<_> = (0..65).map(|_| many.submit().expect("recorded")).collect();
        let none = Err(Error::Host { call: HostCall::Wait, errno: errno::INVAL });
        assert_eq!([first_ready(&pending[..64], 1), first_ready(&pending, 1), first_ready(&[], 1)], [Ok(0), none.clone(), none]);
        let long = Request::get("https://long.example/").header("accept", &"x".repeat(64 << 10)).submit();
        assert_eq!(long.map(|_| ()), Err(Error::Host { call: HostCall::Submit, errno: errno::INVAL }));
        (checkpoint(&vec![0; 1 << 20]), checkpoint(&vec![0; (1 << 20) + 1]))
    });
    assert_eq!(seen.value, (Ok(()), Err(errno::INVAL)));
    assert_eq!(seen.progress, [(1, "é".repeat(128))]);
    assert_eq!(seen.checkpoints.len(), 1);
}

#[test]
fn the_request_on_the_wire_is_the_map_the_host_expects() {
    let expected = "a76375726c7568747470733a2f2f6578616d706c652e6f72672f61656672657368f5666d6574686f6463474554676865616465727381826661636365\
                    70746a746578742f706c61696e696d61785f62797465731927106972656469726563747302"
        .replace(' ', "");
    let seen: String = encoded(&request()).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(seen, expected + "6a74696d656f75745f6d731901f4");
}

#[test]
fn a_body_longer_than_one_read_arrives_whole() {
    let body: Vec<u8> = (0..5_000_u32).flat_map(u32::to_le_bytes).collect();
    let response = with(Recording::new().http(&request(), ok_head(), &body), || request().send()).expect("recorded");
    assert_eq!(response.body, body);
    assert_eq!(response.head, Head { bytes: 20_000, ..ok_head() });
    assert_eq!(response.head.header("content-type"), Some("text/plain"));
    assert_eq!(response.head.header("etag"), None);
}

#[test]
fn a_failed_fetch_is_a_response() {
    let head = Head { error: Some(Failure::RefusedAddress), ..Head::default() };
    let response = with(Recording::new().http(&request(), head, &[]), || request().send()).expect("recorded");
    assert_eq!(response.head.error, Some(Failure::RefusedAddress));
}

#[test]
fn every_failure_has_the_name_the_host_writes() {
    use Failure::{
        BadRequest, Connect, Dns, NotGranted, Protocol, Quota, RefusedAddress, StationFailed, Timeout, Tls, TooLarge, TooManyRedirects, Truncated,
    };
    let all =
        [NotGranted, RefusedAddress, Quota, Dns, Connect, Tls, Timeout, TooLarge, Truncated, Protocol, BadRequest, TooManyRedirects, StationFailed];
    let names = [
        "not_granted",
        "refused_address",
        "quota",
        "dns",
        "connect",
        "tls",
        "timeout",
        "too_large",
        "truncated",
        "protocol",
        "bad_request",
        "too_many_redirects",
    ];
    for (failure, name) in all.iter().zip(names) {
        assert_eq!(encoded(failure), encoded(&name));
    }
}

#[test]
fn a_host_without_the_operation_is_an_error() {
    let recording = Recording::new().operation(OPERATION, &encoded(&request()), Err(errno::NOSYS));
    let failed = with(recording, || request().send());
    assert_eq!(failed, Err(Error::Host { call: HostCall::Submit, errno: errno::NOSYS }));
}

#[test]
fn malformed_answers_are_errors_and_never_panics() {
    let good = {
        let head = encoded(&ok_head());
        [&u32::try_from(head.len()).expect("small").to_le_bytes(), head.as_slice()].concat()
    };
    let cut = (0..good.len()).map(|length| good[..length].to_vec());
    let huge = [u32::MAX.to_le_bytes().as_slice(), &[0; 8]].concat();
    let other = [1_u32.to_le_bytes().as_slice(), &[0xa0]].concat();
    for stream in cut.chain([huge, other]) {
        let recording = Recording::new().operation(OPERATION, &encoded(&request()), Ok(stream));
        assert!(matches!(with(recording, || request().send()), Err(Error::Malformed(_))));
    }
}

#[test]
fn requests_submitted_together_are_read_in_any_order() {
    let (one, two) = (Request::get("https://one.example/"), Request::get("https://two.example/"));
    let recording = Recording::new().http(&one, ok_head(), b"1").http(&two, ok_head(), b"2");
    with(recording, || {
        let pending = vec![one.submit().expect("recorded"), two.submit().expect("recorded")];
        assert_eq!(first_ready(&pending, 100), Ok(0));
        let bodies: Vec<Vec<u8>> = pending.into_iter().rev().map(|one| one.response().expect("recorded").body).collect();
        assert_eq!(bodies, [b"2", b"1"]);
    });
}

#[test]
fn progress_and_checkpoints_are_observed() {
    let seen = observe(Recording::new(), || {
        progress(500, "half");
        checkpoint(b"so far")
    });
    assert_eq!(seen.value, Ok(()));
    assert_eq!(seen.progress, [(500, "half".to_owned())]);
    assert_eq!(seen.checkpoints, [b"so far"]);
}

#[test]
#[should_panic(expected = "not in the recording:   http.fetch Request { method: Get, url: \"https://example.org/b\"")]
fn a_request_that_is_not_recorded_fails_by_name() {
    let recording = Recording::new().http(&request(), ok_head(), &[]);
    let _ = with(recording, || Request::get("https://example.org/b").send());
}

#[test]
#[should_panic(expected = "answers that nobody asked for")]
fn an_answer_that_nobody_asked_for_fails() {
    with(Recording::new().http(&request(), ok_head(), &[]), || ());
}

#[test]
#[should_panic(expected = "no recording")]
fn a_request_outside_a_replay_fails() {
    let _ = request().send();
}

#[test]
fn an_entry_answers_only_once() {
    let recording = Recording::new().http(&request(), ok_head(), b"first").http(&request(), ok_head(), b"second");
    let bodies = with(recording, || [request().send(), request().send()].map(|response| response.expect("recorded").body));
    assert_eq!(bodies, [b"first".to_vec(), b"second".to_vec()]);
}
