//! Which executions count for what is shown: answers, readings, columns, notes.

use super::*;

/// The receipt of `station` from the network of station `other`.
fn beside(station: u8, other: u8, held: HeldReceipt) -> HeldReceipt {
    assert_eq!(held.receipt.body.node, key(station).node());
    HeldReceipt { cluster: Cluster::V4([198, 51, other]), ..held }
}

fn agrees(row: &Row) -> Vec<Option<bool>> {
    row.executions.iter().map(|execution| execution.agrees).collect()
}

#[test]
fn of_a_decided_job_what_is_in_neither_part_of_the_verdict_does_not_count_in_any_format() {
    let says = |verdict: &str, ms: u64| json!({ "verdict": verdict, "ttfb_ms": ms });
    let timed_out = receipt(5, "eu", Outcome::TimedOut, &says("ok", 70_000));
    let measured = vec![completed(1, &says("ok", 10)), completed(2, &says("ok", 30)), completed(3, &says("down", 9_000))];
    let measured = [measured, vec![beside(4, 1, completed(4, &says("ok", 50_000))), timed_out]].concat();
    let truth = json!({ "n": 1 });
    let pure = vec![completed(1, &truth), completed(2, &truth), completed(3, &json!({ "n": 2 })), beside(4, 1, completed(4, &truth))];
    let pure = [pure, vec![receipt(5, "eu", Outcome::Killed, &truth)]].concat();
    for (class, receipts) in [(measurement(3), measured), (Class::Pure(Trust::Fixed(2)), pure)] {
        let results = results(class, End::Exhausted, receipts);
        let row = only(&results);
        assert_eq!((agrees(row), row.agree, row.of), (vec![Some(true), Some(true), Some(false), None, None], 2, 3), "{}", row.verdict);
        let (table, csv, page) = (table::render(&results, false, None), csv::render(&results), html::render(&results, html::Check::Kept));
        let tail = |station: u8| crate::page::words::tail(&key(station).node().to_string());
        assert!(table.contains(&tail(3)) && !table.contains(&tail(4)) && !table.contains(&tail(5)), "{table}");
        assert_eq!([",true,500", ",false,500", ",,500"].map(|cell| csv.matches(cell).count()), [2, 1, 2], "{csv}");
        assert_eq!(page.matches("<b>1 does not count</b>").count(), 2, "{page}");
        assert!(!page.contains("undecided</title>") && !page.contains("nothing was decided\""), "{page}");
        let line: Value = serde_json::from_str(&ndjson(&results)).expect("a line of JSON");
        assert_eq!([&line["executions"][3]["agrees"], &line["executions"][4]["agrees"]], [&Value::Null, &Value::Null]);
        if let Some(quantiles) = row.readings.get("ttfb_ms") {
            assert_eq!((quantiles.n, quantiles.max), (2, 30.0), "a second receipt of one network is no reading");
            assert!(page.contains("10 to 30, n") && page.contains("50,000 ms, does not count</title>"), "{page}");
        }
    }
}

#[test]
fn where_nothing_was_decided_all_that_completed_are_read_and_what_failed_is_not() {
    let says = |verdict: &str, ms: u64| json!({ "verdict": verdict, "ttfb_ms": ms });
    let failed = receipt(3, "eu", Outcome::OutOfFuel, &says("ok", 70_000));
    let results = results(measurement(3), End::Exhausted, vec![completed(1, &says("ok", 10)), completed(2, &says("down", 30)), failed]);
    let row = only(&results);
    assert_eq!((row.verdict, row.is_decided(), row.readings["ttfb_ms"].n, row.readings["ttfb_ms"].max), (Verdict::Split, false, 2, 30.0));
}

#[test]
fn what_a_guest_wrote_before_it_failed_is_no_answer() {
    let failed = |station| receipt(station, "eu", Outcome::OutOfFuel, &json!({ "primes": 7 }));
    let results = results(Class::Pure(Trust::Fixed(2)), End::Exhausted, vec![failed(1), failed(2)]);
    let row = only(&results);
    assert_eq!((row.verdict, &row.answer, row.executions[0].value()), (Verdict::Failed, &None, &json!({ "primes": 7 })));
    assert!(!table::render(&results, false, None).contains("primes"));
}

#[test]
fn control_characters_are_seen_in_every_format_for_people_and_join_no_figures() {
    let answer = json!({ "tab": "1\t2", "line": "3\n5", "key\u{7}": "x" });
    let results = results(Class::Pure(Trust::Fixed(1)), End::Exhausted, vec![completed(1, &answer)]);
    for text in [table::render(&results, false, None), table::render(&results, false, Some(200)), html::render(&results, html::Check::Kept)] {
        for part in ["1\\t2", "3\\n5", "key\\u{7}"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}

#[test]
fn small_readings_keep_their_digits_in_the_table() {
    let says = json!({ "verdict": "ok", "ttfb_ms": 0.04 });
    let results = results(measurement(1), End::Exhausted, vec![completed(1, &says)]);
    assert!(table::render(&results, false, None).contains("0.04 / 0.04"), "{}", table::render(&results, false, None));
}

#[test]
fn strangers_make_no_columns_beyond_the_bound_and_those_who_agree_choose_first() {
    let truth = json!({ "n": 1, "z": 2 });
    let many: serde_json::Map<String, Value> = (0..2 * csv::KEYS_MAX).map(|n| (format!("a{n:04}"), json!(n))).collect();
    let receipts = vec![completed(3, &Value::Object(many)), completed(1, &truth), completed(2, &truth)];
    let lines = parse_csv(&csv::render(&results(Class::Pure(Trust::Fixed(2)), End::Exhausted, receipts)));
    let of_outputs: Vec<&str> = lines[0].iter().map(String::as_str).filter(|name| name.starts_with("output")).collect();
    assert_eq!(of_outputs.len(), csv::KEYS_MAX + 1);
    assert!(["output.n", "output.z", "output.a0000"].iter().all(|name| of_outputs.contains(name)));
    assert_eq!(of_outputs.last(), Some(&"output_rest"));
    let rest: Value = serde_json::from_str(lines[1].last().expect("a cell")).expect("JSON");
    assert_eq!((rest.as_object().map(serde_json::Map::len), &rest["a0511"]), (Some(csv::KEYS_MAX + 2), &json!(511)));
    assert_eq!(lines[2].last().map(String::as_str), Some(""), "the others have nothing left");
}

#[test]
fn outputs_out_of_form_are_counted_by_their_reason_and_failed_runs_are_not() {
    let raw = |station: u8, outcome: Outcome, text: &[u8]| {
        let mut held = receipt(station, "eu", outcome, &json!({}));
        held.receipt.body.output = Some(Content::raw(text));
        held.output = Some(Bytes::new(text.to_vec()).expect("a small output"));
        held
    };
    let of = |receipts| table::render(&results(Class::Pure(Trust::Fixed(9)), End::Exhausted, receipts), false, None);
    let (cut, text) = (|station| raw(station, Outcome::Completed, &[0xa1, 0x61]), |station| raw(station, Outcome::Completed, b"Hello, world!\n"));
    let table = of(vec![cut(1), text(2), text(3), raw(4, Outcome::OutOfFuel, b"Hel"), raw(5, Outcome::OutOfFuel, b"Hel")]);
    assert_eq!((table.matches("2 outputs are not DAG-CBOR").count(), table.matches("1 output is not DAG-CBOR").count()), (1, 1), "{table}");
    let failed = of(vec![raw(4, Outcome::OutOfFuel, b"Hel")]);
    assert!(!failed.contains("output is") && !failed.contains("output = "), "{failed}");
}
