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
        assert_eq!(page.matches("<b class=\"uncounted\">1 does not count</b>").count(), 2, "{page}");
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

#[test]
fn an_exact_field_that_no_output_has_makes_no_answer_and_says_which_it_is() {
    let misspelt = |output: &Value| {
        let Class::Measurement(asked) = measurement(2) else { panic!("it measures") };
        let exact = List::new(vec![Text::cut("verdcit")]).expect("one field");
        let class = Class::Measurement(Measurement { exact, ..asked });
        results(class, End::Exhausted, vec![completed(1, output), completed(2, output)])
    };
    let results = misspelt(&json!({ "verdict": "ok", "ttfb_ms": 5 }));
    let row = only(&results);
    assert_eq!((row.verdict, &row.answer, row.is_short(), row.is_answered()), (Verdict::Certified, &None, false, false));
    assert!(row.no_answer.as_ref().is_some_and(|reason| reason.contains("[measurement] exact") && reason.contains("verdcit")), "{row:?}");
    let table = table::render(&results, true, None);
    assert!(table.contains("– (their outputs have no field") && !table.contains("\x1b[32m") && !table.contains(" say"), "{table}");
    assert!(html::render(&results, html::Check::Kept).contains("verdcit"));
    let line: Value = serde_json::from_str(&ndjson(&results)).expect("a line of JSON");
    assert!(line.get("answer").is_none() && line["no_answer"].is_string(), "{line}");
    let right = misspelt(&json!({ "verdcit": "ok" }));
    assert_eq!((only(&right).answer(), only(&right).is_answered()), (&json!({ "verdcit": "ok" }), true));
}

#[test]
fn a_measurement_that_asks_for_readings_alone_agrees_on_nothing_and_is_answered() {
    let Class::Measurement(asked) = measurement(2) else { panic!("it measures") };
    let class = Class::Measurement(Measurement { exact: List::new(Vec::new()).expect("no field"), ..asked });
    let says = |ms: u64| json!({ "ttfb_ms": ms });
    let results = results(class, End::Exhausted, vec![completed(1, &says(5)), completed(2, &says(7))]);
    let row = only(&results);
    assert_eq!((row.verdict, row.is_answered(), &row.no_answer, row.readings["ttfb_ms"].n), (Verdict::Certified, true, &None, 2));
}

#[test]
fn a_job_without_an_answer_says_how_its_executions_ended_and_what_would_help() {
    let ended = |station, outcome| receipt(station, "eu", outcome, &json!({}));
    let late = |stations: std::ops::Range<u8>| stations.map(|station| ended(station, Outcome::TimedOut));
    let receipts: Vec<_> = late(1..3).chain([ended(3, Outcome::OutOfFuel), completed(4, &json!({ "n": 1 }))]).collect();
    for end in [End::Exhausted, End::Expired] {
        let table = table::render(&results(Class::Pure(Trust::Fixed(2)), end, receipts.clone()), false, None);
        let first = table.find("2 executions ended with timed_out: raise [limits] wall\n");
        let second = table.find("1 execution ended with out_of_fuel: raise [limits] fuel\n");
        assert!(first.is_some() && first < second, "the most first: {table}");
    }
    let enough = vec![completed(4, &json!({ "n": 1 })), completed(5, &json!({ "n": 1 }))].into_iter().chain(late(1..3)).collect();
    let table = table::render(&results(Class::Pure(Trust::Fixed(2)), End::Exhausted, enough), false, None);
    assert!(!table.contains("ended with"), "what has its answer needs no help: {table}");
    let kinds = [Outcome::TimedOut, Outcome::Killed, Outcome::OutOfMemory, Outcome::OutOfFuel, Outcome::Exited(1)];
    let many = (1..).zip(kinds).map(|(station, outcome)| ended(station, outcome)).collect();
    let table = table::render(&results(Class::Pure(Trust::Fixed(2)), End::Expired, many), false, None);
    assert_eq!((table.matches("1 execution ended with ").count(), table.matches("2 executions ended in other ways").count()), (3, 1), "{table}");
}

#[test]
fn under_a_split_stands_who_said_what_within_a_bound() {
    let tail = |station: u8| crate::page::words::tail(&key(station).node().to_string());
    let says = |verdict: &str| json!({ "verdict": verdict, "ttfb_ms": 5 });
    let crash = receipt(4, "eu", Outcome::OutOfFuel, &json!({}));
    let receipts = vec![completed(1, &says("ok")), completed(2, &says("ok")), completed(3, &says("down\x1b[2J")), crash];
    let table = table::render(&results(measurement(4), End::Exhausted, receipts), false, None);
    assert!(table.contains(&format!("job 0 is split:\n  2 say verdict=ok: {} {}\n", tail(1), tail(2))), "{table}");
    assert!(table.contains(&format!("  1 says verdict=down\\u{{1b}}[2J: {}\n", tail(3))), "{table}");
    assert!(table.contains(&format!("  1 ended with out_of_fuel: {}\n", tail(4))), "{table}");
    let each = (1..=9).map(|station: u8| completed(station, &says(&format!("{station}{}", "x".repeat(600))))).collect();
    let table = table::render(&results(measurement(9), End::Exhausted, each), false, None);
    assert!(table.contains("  and 5 other groups\n"), "{table}");
    assert!(table.lines().skip_while(|line| !line.starts_with("job 0")).all(|line| line.chars().count() < 250), "{table}");
    let agreed = results(measurement(1), End::Exhausted, vec![completed(1, &says("ok"))]);
    assert!(!table::render(&agreed, false, None).contains("split"), "{agreed:?}");
}
