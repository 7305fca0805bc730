//! What results show of each execution, of outputs in every form, and of guests' logs.

use station_protocol::hostcall::{FetchError, Method, Record, Transcript};
use station_protocol::quorum::Rule;

use super::*;

fn written(station: u8, bytes: &[u8]) -> HeldReceipt {
    let mut held = completed(station, &json!({}));
    held.receipt.body.output = Some(Content::raw(bytes));
    held.output = Some(Bytes::new(bytes.to_vec()).expect("a small output"));
    held
}

/// Results of one job of an experiment whose outputs are of this form.
fn of_form(form: OutputForm, class: Class, receipts: Vec<HeldReceipt>, logs: &[(u64, &[u8])]) -> Results {
    let experiment = Experiment { output: form, ..experiment(class) };
    let verdict = JobVerdict { index: 0, decision: conclude(Rule::from(&experiment), &receipts, End::Exhausted) };
    let input = codec::encode(&std::collections::BTreeMap::from([("from", 0), ("to", 3_000_000)]));
    let job = SettledJob { verdict, input: Bytes::new(input).expect("a small input"), receipts, lost: Vec::new() };
    let logs = logs.iter().map(|(lease, log)| (*lease, log.to_vec())).collect();
    of(&experiment, &[job], &logs)
}

fn pure(receipts: u16) -> Class {
    Class::Pure(Trust::Fixed(receipts))
}

fn json_of(results: &Results) -> Value {
    serde_json::from_str(ndjson(results).trim()).expect("a line of JSON")
}

/// A request as a station's host records it.
pub(crate) fn record(url: &str, error: Option<FetchError>, bytes: u64) -> Record {
    Record {
        op: Text::cut("http.fetch"),
        method: Method::Get,
        url: Text::cut(url),
        error,
        detail: error.map(|_| Text::cut("the name has no address")),
        status: error.is_none().then_some(200),
        ip: None,
        reused: false,
        dns_us: None,
        connect_us: None,
        tls_us: None,
        ttfb_us: None,
        total_us: Some(3),
        bytes,
        body_sha256: None,
    }
}

/// The same receipt with this transcript.
pub(super) fn with_records(mut held: HeldReceipt, records: Vec<Record>) -> HeldReceipt {
    let transcript = Transcript { records: List::new(records).expect("a few") }.encode();
    held.receipt.body.transcript = Some(Content::raw(&transcript));
    held.transcript = Some(Bytes::new(transcript).expect("a small transcript"));
    held
}

#[test]
fn what_stations_say_that_could_ask_nobody_is_no_answer() {
    let output = json!({ "verdict": "refused_by_host" });
    let failed = || record("https://a.example/", Some(FetchError::StationFailed), 0);
    let of = |records: [Vec<Record>; 2]| {
        let [one, other] = records.map(Some);
        let receipts = [(1, one), (2, other)].map(|(station, records)| with_records(completed(station, &output), records.expect("some")));
        super::results(super::measurement(2), End::Exhausted, receipts.into())
    };
    let results = of([vec![failed(), failed()], vec![failed()]]);
    let row = &results.rows[0];
    assert!(row.answer.is_none() && !row.is_answered(), "{row:?}");
    assert!(row.no_answer.as_ref().is_some_and(|reason| reason.contains("nobody was asked")), "{row:?}");
    // One request that reached somebody, or a failure of the target, is an answer.
    for asked in [record("https://a.example/", None, 5), record("https://a.example/", Some(FetchError::Timeout), 0)] {
        let results = of([vec![failed(), asked], vec![failed()]]);
        assert!(results.rows[0].is_answered(), "{:?}", results.rows[0]);
    }
}

#[test]
fn every_result_says_when_and_where_and_tells_the_stations_word_from_what_was_seen() {
    let mut held = completed(7, &json!({ "n": 1 }));
    let error = Some(FetchError::Dns);
    held = with_records(held, vec![record("https://a.example/", None, 512), record("https://b.example/", error, 0)]);
    let results = of_form(OutputForm::DagCbor, pure(1), vec![held], &[]);
    let line = json_of(&results);
    let execution = &line["executions"][0];
    let seen = json!({ "network": "198.51.7.0/24", "leased_at": "2026-12-30T22:33:20.000Z", "received_at": "2026-12-30T22:33:20.900Z" });
    assert_eq!(execution["seen"], seen);
    let station = &execution["station"];
    assert_eq!([&station["started_at"], &station["ended_at"]], ["2026-12-30T22:33:20.001Z", "2026-12-30T22:33:20.071Z"]);
    assert_eq!([&station["isolation"], &station["software"], &station["profile"]], ["full", "station/test", "station-wasm-2"]);
    let requests = &station["requests"];
    assert_eq!((&requests["count"], &requests["body_bytes"], &requests["errors"]), (&json!(2), &json!(512), &json!({ "dns": 1 })));
    assert_eq!([&requests["records"][1]["url"], &requests["records"][1]["detail"]], ["https://b.example/", "the name has no address"]);
    assert_eq!([&line["published_at"], &line["closed_at"]], ["2026-12-30T22:33:19.000Z", "2026-12-30T22:33:21.000Z"]);
    assert_eq!((&line["topic"], line["module"]["cid"].is_string()), (&json!("topic"), true));
    let csv = csv::render(&results);
    for cell in ["198.51.7.0/24", "2026-12-30T22:33:20.071Z", "1 dns", "2026-12-30T22:33:19.000Z", &results.module.cid] {
        assert!(csv.contains(cell), "{cell} in {csv}");
    }
    let (table, page) = (table::render(&results, false, None), html::render(&results, html::Check::Kept));
    assert!(table.contains("published 2026-12-30T22:33:19.000Z · closed 2026-12-30T22:33:21.000Z"), "{table}");
    assert!(table.contains(&format!("{} under station-wasm-2 on topic", results.module.cid)), "{table}");
    let bundled = Results { module: Module { name: Some("primes".to_owned()), ..results.module.clone() }, ..results.clone() };
    assert!(bundled.facts_words().starts_with(&format!("primes ({}) under station-wasm-2 on topic", results.module.cid)));
    for cell in
        ["2026-12-30T22:33:20.000Z", "2026-12-30T22:33:20.071Z", "2 requests, 512 bytes; failed: 1 dns", "198.51.7.0/24", "2026-12-30T22:33:19.000Z"]
    {
        assert!(page.replace("</span><span>", "").contains(cell), "{cell} in {page}");
    }
}

#[test]
fn what_a_station_says_of_its_times_stays_between_lease_and_receipt() {
    let mut held = completed(1, &json!({ "n": 1 }));
    (held.receipt.body.started_ms, held.receipt.body.duration_ms) = (u64::MAX, u64::MAX);
    let results = of_form(OutputForm::DagCbor, pure(1), vec![held], &[]);
    let station = &results.rows[0].executions[0].station;
    assert_eq!([&station.started_at, &station.ended_at], ["2026-12-30T22:33:20.900Z", "2026-12-30T22:33:20.900Z"]);
}

#[test]
fn an_output_that_is_not_in_its_form_is_shown_as_it_is_with_the_reason_in_every_format() {
    let results = of_form(OutputForm::DagCbor, pure(2), vec![written(1, b"Hello, world!\n"), written(2, b"Hello, world!\n")], &[]);
    let row = &results.rows[0];
    assert_eq!((row.verdict, row.answer(), row.is_answered()), (Verdict::Agreed, &Value::Null, false));
    let line = json_of(&results);
    assert_eq!((&line["answer_raw"]["text"], &line["answer_raw"]["bytes"]), (&json!("Hello, world!\n"), &json!(14)));
    let execution = &line["executions"][0];
    assert!(execution.get("output").is_none() && line.get("answer").is_none(), "nothing becomes null: {line}");
    assert_eq!(execution["output_raw"]["at_byte"], 9);
    assert!(
        execution["output_raw"]["reason"].as_str().is_some_and(|reason| reason.contains("not DAG-CBOR") && reason.contains("at byte 9")),
        "{line}"
    );
    let (csv, table, page) = (csv::render(&results), table::render(&results, true, None), html::render(&results, html::Check::Kept));
    assert!(csv.contains("output_raw,output_error") && csv.contains("\"Hello, world!\n\",not DAG-CBOR"), "{csv}");
    assert!(table.contains("\"Hello, world!\\n\" (not DAG-CBOR") && table.contains("output = \"text\"") && !table.contains("\x1b[32m"), "{table}");
    assert!(page.contains("<code>&quot;Hello, world!\\n&quot;</code> <span class=\"soft\">(not DAG-CBOR"), "{page}");
    let bytes = of_form(OutputForm::Json, pure(1), vec![written(1, &[0xff, 0])], &[]);
    assert_eq!(json_of(&bytes)["answer_raw"]["base64"], "/wA=");
    assert!(table::render(&bytes, false, None).contains("base64:/wA= (not JSON"), "{}", table::render(&bytes, false, None));
    let again: Results = serde_json::from_str(&serde_json::to_string(&results).expect("JSON")).expect("it reads back");
    assert_eq!(again, results);
}

#[test]
fn outputs_of_every_form_are_values_and_fields_of_a_measurement() {
    let (text, whole) = (of_form(OutputForm::Text, pure(1), vec![written(1, b"7\n")], &[]), json!("7\n"));
    assert_eq!((text.rows[0].answer(), text.rows[0].is_answered()), (&whole, true));
    let csv = csv::render(&text);
    let header = csv.lines().next().expect("a header");
    assert!(header.ends_with("deadline_at,output") && header.starts_with("job,input.from,input.to,verdict"), "{header}");
    let bytes = of_form(OutputForm::Bytes, pure(1), vec![written(1, &[1, 2, 3])], &[]);
    assert_eq!(bytes.rows[0].answer(), &json!({ "/": { "bytes": "AQID" } }));
    assert!(csv::render(&bytes).lines().next().is_some_and(|header| header.ends_with(",output")));
    let says = |station, ms: u32| written(station, format!("{{\"verdict\": \"ok\", \"ttfb_ms\": {ms}}}\n").as_bytes());
    let json = of_form(OutputForm::Json, measurement(2), vec![says(1, 10), says(2, 20)], &[]);
    let row = &json.rows[0];
    assert_eq!((row.verdict, row.answer(), row.readings["ttfb_ms"].max), (Verdict::Certified, &json!({ "verdict": "ok" }), 20.0));
    let broken = of_form(OutputForm::Json, measurement(1), vec![written(1, b"oops")], &[]);
    assert!(broken.rows[0].malformed().is_some() && !broken.rows[0].is_answered(), "{broken:?}");
}

#[test]
fn an_output_that_is_not_here_is_named_and_no_null() {
    let mut held = completed(1, &json!({}));
    held.receipt.body.output = Some(Content { bytes: 100_000, ..Content::raw(b"large") });
    held.output = None;
    let results = of_form(OutputForm::DagCbor, pure(1), vec![held], &[]);
    let line = json_of(&results);
    assert_eq!((&line["executions"][0]["output_elsewhere"]["bytes"], line.get("answer")), (&json!(100_000), None));
    assert!(table::render(&results, false, None).contains("100000 bytes, not here"));
    assert!(html::render(&results, html::Check::Kept).contains("100000 bytes, not here"));
}

#[test]
fn plain_inputs_and_outputs_have_columns_of_their_own() {
    let class = pure(1);
    let receipts = vec![written(1, &codec::encode(&5))];
    let verdict = JobVerdict { index: 0, decision: conclude(&class, &receipts, End::Exhausted) };
    let input = Bytes::new(codec::encode("https://a.example")).expect("small");
    let job = SettledJob { verdict, input, receipts, lost: Vec::new() };
    let csv = csv::render(&of(&experiment(class), &[job], &BTreeMap::new()));
    let lines: Vec<&str> = csv.lines().collect();
    assert!(lines[0].starts_with("job,input,verdict") && lines[0].ends_with(",output"), "{csv}");
    assert!(lines[1].starts_with("0,https://a.example,agreed") && lines[1].ends_with(",5"), "{csv}");
}

#[test]
fn the_log_of_what_failed_is_shown_as_a_strangers_words_and_moves_no_cursor() {
    let trapped = |station| receipt(station, "eu", Outcome::Trapped(Trap::Unreachable), &json!({}));
    let log = b"panicked at src/main.rs:3\n\x1b[2Jno such key: \"from\"\nagreed  2/2";
    let results = of_form(OutputForm::DagCbor, pure(2), vec![trapped(1), trapped(2)], &[(1, log), (2, log)]);
    let table = table::render(&results, false, None);
    assert!(table.contains("job 0 on …") && table.contains("a stranger's words:\n  log | panicked at src/main.rs:3\n"), "{table}");
    assert!(table.contains("  log | \\u{1b}[2Jno such key") && table.contains("  log | agreed  2/2"), "{table}");
    assert_eq!(table.matches("panicked").count(), 1, "two alike are shown once");
    let line = json_of(&results);
    assert_eq!(line["executions"][1]["guest_log"].as_str().map(str::as_bytes), Some(&log[..]));
    assert!(html::render(&results, html::Check::Kept).contains("panicked at src/main.rs:3<br>"));
    let fine = of_form(OutputForm::DagCbor, pure(1), vec![completed(1, &json!({ "n": 1 }))], &[(1, log)]);
    assert!(!table::render(&fine, false, None).contains("panicked"), "of what went well only the other formats show it");
}

#[test]
fn words_of_an_answer_are_whole_hashes_are_cut_on_a_terminal_and_nothing_is_without_one() {
    let hash = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let answer = json!({ "why": "refused_by_host and a long story that is still words", "body": hash });
    let results = of_form(OutputForm::DagCbor, pure(1), vec![completed(1, &answer)], &[]);
    let (piped, shown) = (table::render(&results, false, None), table::render(&results, false, Some(500)));
    assert!(piped.contains(hash) && piped.contains("refused_by_host and a long story that is still words"), "{piped}");
    assert!(!shown.contains(hash) && shown.contains("012345…abcdef") && shown.contains("refused_by_host and a long story"), "{shown}");
}

#[test]
fn the_verdict_of_the_quorum_is_told_from_an_answers_field_of_that_name_and_no_answer_is_green() {
    let says = json!({ "verdict": "wrong_bytes", "ttfb_ms": 5 });
    let results = of_form(OutputForm::DagCbor, measurement(2), vec![completed(1, &says), completed(2, &says)], &[]);
    let table = table::render(&results, true, None);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines[0].split_whitespace().collect::<Vec<_>>(), ["from", "to", "quorum", "agree", "answer", "ttfb_ms", "disagreed"]);
    assert!(lines[2].contains("\x1b[32mcertified\x1b[0m  2/2 say  verdict=wrong_bytes"), "{table}");
    assert_eq!(table.matches("\x1b[32m").count(), 1);
}

#[test]
fn blocks_name_the_keys_of_their_inputs_and_leave_out_what_says_nothing() {
    let results = of_form(OutputForm::DagCbor, pure(1), vec![completed(1, &json!({ "primes": 216_816 }))], &[]);
    let blocks = table::render(&results, false, Some(30));
    assert!(blocks.starts_with("from=0 to=3000000\n  agreed  1/1 say\n  answer: primes=216816\n"), "{blocks}");
    assert!(!blocks.contains("disagreed"), "{blocks}");
}
