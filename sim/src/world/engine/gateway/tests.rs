use station_protocol::Content;
use station_protocol::hostcall::frame_result;

use super::*;

const BODY: &[u8] = b"the block";

fn input() -> Vec<u8> {
    codec::encode(&Input { gateway: "http://a.example".into(), cid: Content::raw(BODY).cid.to_string() })
}

fn head(error: Option<FetchError>, status: Option<u64>) -> FetchHead {
    FetchHead { error, status, ttfb_us: Some(30_000), total_us: Some(50_000), bytes: BODY.len() as u64, ..FetchHead::default() }
}

/// Answers every fetch with `answer`; the URLs that were fetched, whether on a new connection, and the output.
fn run(answer: &[u8]) -> (Vec<(String, bool)>, Ipld) {
    let (check, mut step) = GatewayCheck::begin(&input());
    let mut check = check.expect("a job that runs");
    let (mut asked, mut given) = (Vec::new(), false);
    loop {
        let reply = match step {
            Step::Done(done) => return (asked, codec::decode(&done.output, 1 << 20).expect("a map")),
            Step::Call(HostCall::Submit { request, .. }) => {
                let request = FetchRequest::decode(&request).expect("a request");
                asked.push((request.url.to_string(), request.fresh));
                given = false;
                Reply::Number(i32::try_from(asked.len()).expect("few"))
            }
            Step::Call(HostCall::Wait { .. } | HostCall::Close { .. }) => Reply::Number(0),
            Step::Call(HostCall::Read { .. }) => Reply::Bytes(if std::mem::replace(&mut given, true) { Vec::new() } else { answer.to_vec() }),
            Step::Call(other) => panic!("{other:?}"),
        };
        step = check.answered(reply);
    }
}

fn field(output: &Ipld, key: &str) -> Ipld {
    let Ipld::Map(map) = output else { panic!("{output:?}") };
    map[key].clone()
}

#[test]
fn a_good_gateway_is_asked_for_the_block_twice_a_car_and_the_probe() {
    let (asked, output) = run(&frame_result(&head(None, Some(200)), BODY));
    let cid = Content::raw(BODY).cid;
    let raw = format!("http://a.example/ipfs/{cid}?format=raw");
    let car = format!("http://a.example/ipfs/{cid}?format=car&dag-scope=block");
    let probe = "http://a.example/ipfs/bafkqaaa?format=raw".to_owned();
    assert_eq!(asked, [(raw.clone(), true), (raw, false), (car, false), (probe, false)]);
    assert_eq!((field(&output, "verdict"), field(&output, "ttfb_ms")), (Ipld::String("ok".into()), Ipld::Integer(30)));
}

#[test]
fn what_a_gateway_does_wrong_is_the_verdict_and_decides_what_else_is_asked() {
    for (error, status, body, verdict, requests) in [
        (None, Some(200), &b"another"[..], "wrong_bytes", 3),
        (None, Some(500), b"", "http_error", 3),
        (Some(FetchError::Timeout), None, b"", "timeout", 3),
        (Some(FetchError::Connect), None, b"", "unreachable", 1),
        (Some(FetchError::Quota), None, b"", "refused_by_host", 1),
        (Some(FetchError::NotGranted), None, b"", "refused_by_host", 1),
    ] {
        let (asked, output) = run(&frame_result(&head(error, status), body));
        assert_eq!((asked.len(), field(&output, "verdict")), (requests, Ipld::String(verdict.into())));
        assert_eq!(field(&output, "body_sha256"), Ipld::Null);
    }
}

#[test]
fn what_the_host_refuses_or_garbles_ends_the_job_all_the_same() {
    for reply in [Reply::Number(-19), Reply::Bytes(vec![1])] {
        let (check, _) = GatewayCheck::begin(&input());
        let step = check.expect("a job").answered(reply);
        assert!(matches!(step, Step::Done(Done { outcome: Outcome::Completed, .. })), "{step:?}");
    }
    let (asked, output) = run(&[9; 3]);
    assert_eq!((asked.len(), field(&output, "verdict")), (1, Ipld::String("refused_by_host".into())));
    assert!(GatewayCheck::begin(b"no input").0.is_none());
}
