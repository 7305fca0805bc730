//! Results of settled jobs made by hand, their verdicts by the rules themselves, and every format over them.

use ipld_core::ipld::Ipld;
use serde_json::json;
use station_protocol::bounded::{Bytes, List, Name, Text};
use station_protocol::cluster::Cluster;
use station_protocol::content::{Content, DAG_CBOR, cid_of};
use station_protocol::experiment::{JobsRef, Labels, Measurement, Spread, Trust};
use station_protocol::identity::Hash32;
use station_protocol::limits::Limits;
use station_protocol::quorum::{End, conclude};
use station_protocol::receipt::{Isolation, Outcome, Receipt, Trap};
use station_protocol::verdict::JobVerdict;
use station_protocol::{SigningKey, Time, codec};

use super::*;

mod counted;
mod extremes;
mod pages;
mod receipts;
pub(crate) mod shown;

/// What would become markup, a cursor movement, a formula or a new line if somebody forgot to look.
const HOSTILE: &str = "</td><script>alert('x')</script>\"=1+1\x1b[2J\r\n,&\u{202e}";

fn name(text: &str) -> Name {
    Name::new(text).expect("a good name")
}

fn key(station: u8) -> SigningKey {
    SigningKey::from_bytes(&[station; 32])
}

fn measurement(stations: u32) -> Class {
    let fields = |fields: &[&str]| List::new(fields.iter().map(|field| Text::cut(field)).collect()).expect("a few fields");
    Class::Measurement(Measurement { stations, spread: Spread::Network, exact: fields(&["verdict"]), report: fields(&["ttfb_ms"]) })
}

fn experiment(class: Class) -> Experiment {
    Experiment {
        requester: key(99).node(),
        network: name("lab"),
        topic: name("topic"),
        name: Text::cut(HOSTILE),
        module: Content::raw(b"module"),
        profile: name("station-wasm-2"),
        needs: std::collections::BTreeMap::default(),
        limits: Limits::default(),
        class,
        jobs: JobsRef { root: cid_of(DAG_CBOR, b"jobs"), count: 2, target: None },
        labels: Labels::new(),
        deadline: Time(1_000),
        contact: Text::cut("mailto:lab@example.org"),
        commitment: Hash32([0; 32]),
        input: station_protocol::experiment::InputForm::DagCbor,
        output: station_protocol::experiment::OutputForm::DagCbor,
        previous: None,
    }
}

fn ipld(value: &Value) -> Ipld {
    match value {
        Value::String(text) => Ipld::String(text.clone()),
        Value::Number(number) => number.as_i64().map_or_else(|| Ipld::Float(number.as_f64().expect("a number")), |whole| Ipld::Integer(whole.into())),
        Value::Object(map) => Ipld::Map(map.iter().map(|(key, value)| (key.clone(), ipld(value))).collect()),
        other => panic!("no test needs {other}"),
    }
}

fn cbor(value: &Value) -> Vec<u8> {
    codec::encode(&ipld(value))
}

/// The receipt of `station` in `region`, for the lease of the same number.
fn receipt(station: u8, region: &str, outcome: Outcome, output: &Value) -> HeldReceipt {
    let bytes = cbor(output);
    let body = Receipt {
        experiment: cid_of(DAG_CBOR, b"experiment"),
        index: 0,
        lease: station.into(),
        node: key(station).node(),
        profile: name("station-wasm-2"),
        isolation: Isolation::Full,
        // What failed may have written something before.
        output: Some(Content { cid: cid_of(DAG_CBOR, &bytes), bytes: bytes.len() as u64 }),
        transcript: None,
        fuel: 500,
        started_ms: 1,
        duration_ms: 70,
        software: Text::cut("station/test"),
        outcome,
    };
    HeldReceipt {
        output: body.output.is_some().then(|| Bytes::new(bytes).expect("a small output")),
        receipt: key(station).sign(&name("lab"), body),
        cluster: Cluster::V4([198, 51, station]),
        dealt: Time(1_798_670_000_000),
        came: Time(1_798_670_000_900),
        labels: Labels::of([(name("region"), List::new(vec![name(region)]).expect("one region"))]).expect("one label"),
        transcript: None,
    }
}

fn completed(station: u8, output: &Value) -> HeldReceipt {
    receipt(station, "eu", Outcome::Completed, output)
}

fn settled(class: &Class, end: End, index: u64, receipts: Vec<HeldReceipt>) -> SettledJob {
    let verdict = JobVerdict { index, decision: conclude(class, &receipts, end) };
    SettledJob { verdict, input: Bytes::new(cbor(&json!({ "url": HOSTILE }))).expect("a small input"), receipts, lost: Vec::new() }
}

/// The results of one job.
fn results(class: Class, end: End, receipts: Vec<HeldReceipt>) -> Results {
    let job = settled(&class, end, 0, receipts);
    of(&experiment(class), &[job], &BTreeMap::new())
}

fn of(experiment: &Experiment, settled: &[SettledJob], logs: &BTreeMap<LeaseNumber, Vec<u8>>) -> Results {
    let (published, closed) = (Time(1_798_669_999_000), Some(Time(1_798_670_001_000)));
    let facts = Facts { id: cid_of(DAG_CBOR, b"experiment"), experiment, published, closed, log: None, logs };
    Results::new(&facts, settled.iter().map(|job| facts.row(job, &BTreeMap::new())).collect())
}

fn only(results: &Results) -> &Row {
    assert_eq!(results.rows.len(), 1);
    &results.rows[0]
}

fn dissenters(row: &Row) -> Vec<&str> {
    row.executions.iter().filter(|execution| execution.agrees == Some(false)).map(|execution| execution.node.as_str()).collect()
}

#[test]
fn a_pure_job_on_which_enough_agree_has_their_output_and_names_the_liar() {
    let (truth, lie) = (json!({ "primes": 25 }), json!({ "primes": 26 }));
    let receipts = vec![completed(3, &lie), completed(1, &truth), completed(2, &truth)];
    let results = results(Class::Pure(Trust::Fixed(2)), End::Exhausted, receipts);
    let row = only(&results);
    assert_eq!((row.verdict, row.agree, row.of, row.answer()), (Verdict::Agreed, 2, 3, &truth));
    assert_eq!(dissenters(row), [key(3).node().to_string()]);
    assert_eq!(row.executions[0].value(), &lie, "a dissenter is shown with what it said");
    assert_eq!((results.class.as_str(), results.settled, results.jobs), ("pure", 1, 2));
}

#[test]
fn a_measurement_that_all_regions_answer_alike_is_certified_with_quantiles_of_those_who_agree() {
    let says = |verdict: &str, ms: u64| json!({ "verdict": verdict, "ttfb_ms": ms });
    let receipts = vec![
        receipt(1, "eu", Outcome::Completed, &says("ok", 10)),
        receipt(2, "eu", Outcome::Completed, &says("ok", 20)),
        receipt(3, "eu", Outcome::Completed, &says("down", 9_000)),
        receipt(4, "na", Outcome::Completed, &says("ok", 30)),
    ];
    let results = results(measurement(4), End::Exhausted, receipts);
    let row = only(&results);
    assert_eq!((row.verdict, row.agree, row.of, row.answer()), (Verdict::Certified, 3, 4, &json!({ "verdict": "ok" })));
    let quantiles = row.readings["ttfb_ms"];
    assert_eq!((quantiles.n, quantiles.min, quantiles.p50, quantiles.max), (3, 10.0, 20.0, 30.0), "the liar's reading is left out");
    assert_eq!((row.executions[3].region.as_deref(), results.report.as_slice()), (Some("na"), &["ttfb_ms".to_owned()][..]));
}

#[test]
fn a_measurement_whose_regions_differ_is_split_and_not_certified() {
    let says = |verdict: &str| json!({ "verdict": verdict });
    let ours = |station, verdict| receipt(station, "eu", Outcome::Completed, &says(verdict));
    let theirs = |station, verdict| receipt(station, "na", Outcome::Completed, &says(verdict));
    let regions = results(measurement(3), End::Exhausted, vec![ours(1, "ok"), ours(2, "ok"), theirs(3, "down")]);
    assert_eq!((only(&regions).verdict, only(&regions).agree, only(&regions).of), (Verdict::Split, 2, 3));
    let half = results(measurement(2), End::Exhausted, vec![ours(1, "ok"), ours(2, "down")]);
    assert_eq!((only(&half).verdict, only(&half).agree), (Verdict::Split, 1), "half is no majority");
}

#[test]
fn a_measurement_nobody_could_make_is_undecided() {
    let results = results(measurement(2), End::Exhausted, vec![receipt(1, "eu", Outcome::TimedOut, &json!({}))]);
    assert_eq!((only(&results).verdict, only(&results).agree, only(&results).of), (Verdict::Undecided, 0, 0));
}

#[test]
fn a_pure_job_without_agreement_is_undecided_and_one_without_time_expired() {
    let receipts = || vec![completed(1, &json!({ "n": 1 })), completed(2, &json!({ "n": 2 }))];
    for (end, verdict) in [(End::Exhausted, Verdict::Undecided), (End::Expired, Verdict::Expired)] {
        let results = results(Class::Pure(Trust::Fixed(2)), end, receipts());
        let row = only(&results);
        assert_eq!((row.verdict, row.agree, row.of, &row.answer), (verdict, 1, 2, &None));
        assert_eq!(row.executions.len(), 2, "what there is, is shown");
        assert!(row.executions.iter().all(|execution| execution.agrees.is_none()) && dissenters(row).is_empty());
        assert!(!row.is_answered());
    }
}

#[test]
fn what_fails_wherever_it_runs_has_failed_and_says_how_in_every_format() {
    let out_of_fuel = |station| receipt(station, "eu", Outcome::OutOfFuel, &json!({}));
    for class in [Class::Pure(Trust::Fixed(2)), measurement(2)] {
        let results = results(class, End::Exhausted, vec![out_of_fuel(1), out_of_fuel(2)]);
        let row = only(&results);
        assert_eq!((row.verdict, row.agree, row.of, row.outcome.as_deref()), (Verdict::Failed, 2, 2, Some("out_of_fuel")));
        assert_eq!((&row.answer, row.is_answered()), (&None, false));
        let table = table::render(&results, true, None);
        assert!(table.contains("\x1b[31m") && table.contains("failed: out_of_fuel"), "{table}");
        assert_eq!(csv::render(&results).matches(",failed,2,").count(), 2, "{}", csv::render(&results));
        let line: Value = serde_json::from_str(&ndjson(&results)).expect("a line of JSON");
        assert_eq!((&line["verdict"], &line["outcome"]), (&json!("failed"), &json!("out_of_fuel")));
    }
}

#[test]
fn two_crashes_do_not_outvote_the_one_station_that_answered_and_it_is_not_named_as_disagreeing() {
    let crash = |station| receipt(station, "eu", Outcome::Trapped(Trap::Unreachable), &json!({}));
    let results = results(measurement(3), End::Exhausted, vec![crash(1), crash(2), completed(3, &json!({ "verdict": "ok" }))]);
    let row = only(&results);
    assert_eq!((row.verdict, row.agree, row.of, row.answer()), (Verdict::Split, 1, 3, &json!({ "verdict": "ok" })));
    assert!(dissenters(row).is_empty());
    assert_eq!((row.answered, row.is_short(), row.is_answered()), (1, true, false), "two that crashed are no stations that answered");
    let table = table::render(&results, false, None);
    assert!(table.contains("split") && table.contains("1/3 (2 failed) say"), "{table}");
    assert!(table.contains("2 executions ended with trapped: unreachable: try the job with `station module run`\n"), "{table}");
}

#[test]
fn fewer_stations_than_wanted_are_said_coloured_and_no_answer() {
    let truth = json!({ "verdict": "ok" });
    let two = results(measurement(3), End::Exhausted, vec![completed(1, &truth), completed(2, &truth)]);
    assert_eq!((only(&two).verdict, only(&two).is_answered()), (Verdict::Certified, false));
    let table = table::render(&two, true, None);
    assert!(table.contains("2/2 of 3") && table.contains("\x1b[33m"), "{table}");
    let enough = results(measurement(2), End::Exhausted, vec![completed(1, &truth), completed(2, &truth)]);
    assert!(only(&enough).is_answered() && table::render(&enough, true, None).contains("\x1b[32m"));
}

#[test]
fn more_answers_than_a_verdict_keeps_are_no_fewer_stations() {
    let says = |station: u8| json!({ "verdict": format!("answer {station}") });
    let groups = (1..=20).map(|station| completed(station, &says(station))).collect();
    let in_regions = |station: u8| receipt(station, &format!("region-{station}"), Outcome::Completed, &json!({ "verdict": "ok" }));
    let strata = (1..=40).map(in_regions).collect();
    for (stations, receipts, verdict) in [(20, groups, Verdict::Split), (40, strata, Verdict::Certified)] {
        let results = results(measurement(u32::try_from(stations).expect("a few")), End::Exhausted, receipts);
        let row = only(&results);
        assert_eq!((row.verdict, row.of, row.is_short(), row.is_answered()), (verdict, stations, false, true));
        assert!(dissenters(row).is_empty(), "of what the verdict leaves out nobody says that it differs");
    }
}

#[test]
fn of_a_hundred_wanted_four_equal_ones_are_said_to_be_equal_and_nobody_disagrees() {
    let receipts = (1..5).map(|station| completed(station, &json!({ "n": 1 }))).collect();
    let results = results(Class::Pure(Trust::Fixed(100)), End::Expired, receipts);
    let table = table::render(&results, false, None);
    assert!(table.lines().nth(2).is_some_and(|job| job.contains("expired  4/4 of 100") && job.ends_with('–')), "{table}");
    assert_eq!(csv::render(&results).matches(",completed,,").count(), 4, "agrees stays empty");
}

#[test]
fn outcomes_that_depend_on_the_machine_are_shown_and_not_counted() {
    let outcomes = [Outcome::OutOfMemory, Outcome::TimedOut, Outcome::Killed];
    let machine = (3..).zip(outcomes).map(|(station, outcome)| receipt(station, "eu", outcome, &json!({})));
    let receipts: Vec<_> = [completed(1, &json!({ "n": 1 })), completed(2, &json!({ "n": 1 }))].into_iter().chain(machine).collect();
    for class in [Class::Pure(Trust::Fixed(2)), Class::Pure(Trust::Fixed(3)), measurement(2)] {
        let results = results(class, End::Exhausted, receipts.clone());
        assert_eq!((only(&results).of, only(&results).executions.len()), (2, 5));
    }
}

#[test]
fn outcomes_have_the_words_of_the_wire() {
    let words = [Outcome::Completed, Outcome::Exited(3), Outcome::Trapped(Trap::MemoryOutOfBounds)].map(|outcome| outcome_word(&outcome));
    assert_eq!(words, ["completed", "exited: 3", "trapped: memory_out_of_bounds"]);
}

#[test]
fn jobs_are_in_order_however_they_settled() {
    let class = Class::Pure(Trust::Fixed(1));
    let jobs: Vec<_> = [1, 0].map(|index| settled(&class, End::Exhausted, index, vec![completed(1, &json!({ "n": 1 }))])).to_vec();
    let results = of(&experiment(class), &jobs, &BTreeMap::new());
    assert_eq!(results.rows.iter().map(|row| row.index).collect::<Vec<_>>(), [0, 1]);
    assert_eq!((results.settled, results.log.as_deref()), (2, None));
}

/// A job whose every string was written by an enemy.
fn hostile() -> Results {
    let output = json!({ "verdict": HOSTILE, HOSTILE: HOSTILE, "ttfb_ms": 5 });
    let mut results = results(measurement(2), End::Exhausted, vec![completed(1, &output), completed(2, &json!({ "verdict": "ok", "ttfb_ms": 7 }))]);
    results.report.push(HOSTILE.to_owned());
    results
}

/// The same as a pure job, whose whole output is the answer.
fn hostile_pure() -> Results {
    results(Class::Pure(Trust::Fixed(1)), End::Exhausted, vec![completed(1, &json!({ HOSTILE: HOSTILE }))])
}

#[test]
fn in_a_table_every_job_is_one_line_and_nothing_moves_the_cursor() {
    for results in [hostile(), hostile_pure()] {
        for width in [None, Some(20)] {
            let text = table::render(&results, false, width);
            assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
            assert!(!text.contains('\u{202e}'), "{text:?}");
            if width.is_none() {
                // Of the split one also who said what: a heading and two groups.
                let rest = if results.report.is_empty() { 0 } else { 1 + 3 };
                assert_eq!(text.lines().count(), 4 + rest, "header, rule, one job, the note on readings and the experiment:\n{text}");
            }
        }
    }
}

#[test]
fn a_table_is_coloured_by_verdict_only_where_colour_is_wanted() {
    let agreed = results(Class::Pure(Trust::Fixed(1)), End::Exhausted, vec![completed(1, &json!({ "n": 1 }))]);
    assert!(table::render(&agreed, true, None).contains("\x1b[32m"));
    assert!(!table::render(&agreed, false, None).contains('\x1b'));
    let expired = results(Class::Pure(Trust::Fixed(1)), End::Expired, vec![]);
    assert!(table::render(&expired, true, None).contains("\x1b[31m"));
}

#[test]
fn a_table_names_who_disagreed_up_to_three_and_counts_the_rest() {
    let truth = json!({ "n": 1 });
    let liars = |count: u8| (10..10 + count).map(|station| completed(station, &json!({ "n": i64::from(station) })));
    let with = |count| {
        let receipts = [completed(1, &truth), completed(2, &truth)].into_iter().chain(liars(count)).collect();
        table::render(&results(Class::Pure(Trust::Fixed(2)), End::Exhausted, receipts), false, None)
    };
    assert!(with(0).contains("nobody"));
    assert!(with(3).contains(&crate::page::words::tail(&key(12).node().to_string())));
    assert!(with(5).contains("and 2 more"));
}

/// RFC 4180, read back: the cells of each line.
fn parse_csv(text: &str) -> Vec<Vec<String>> {
    let (mut lines, mut line, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => cell.extend(chars.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => line.push(std::mem::take(&mut cell)),
            '\r' if !quoted && chars.peek() == Some(&'\n') => {
                chars.next();
                line.push(std::mem::take(&mut cell));
                lines.push(std::mem::take(&mut line));
            }
            c => cell.push(c),
        }
    }
    assert!(line.is_empty() && cell.is_empty() && !quoted, "the last line ends");
    lines
}

#[test]
fn csv_has_a_line_per_execution_and_a_column_per_key_whatever_they_contain() {
    let lines = parse_csv(&csv::render(&hostile()));
    let mut expected = vec!["job".to_owned(), "input.url".to_owned()];
    let fixed = lines[0].iter().skip_while(|name| *name != "verdict").take_while(|name| !name.starts_with("output."));
    expected.extend(fixed.cloned());
    let mut outputs = [format!("output.{HOSTILE}"), "output.ttfb_ms".to_owned(), "output.verdict".to_owned()];
    outputs.sort();
    expected.extend(outputs);
    assert_eq!(lines[0], expected);
    assert_eq!(lines.len(), 3);
    assert!(lines.iter().all(|line| line.len() == expected.len()), "{lines:?}");
    assert_eq!(lines[1][1], HOSTILE, "nothing is lost");
    let column = expected.iter().position(|column| *column == format!("output.{HOSTILE}")).expect("it has one");
    assert_eq!((lines[1][column].as_str(), lines[2][column].as_str()), (HOSTILE, ""), "a key that an output lacks is an empty cell");
}

#[test]
fn csv_disarms_every_beginning_that_a_spreadsheet_would_run() {
    for formula in ["=1+1", "+1+1", "-1+1", "@SUM(1)", "\t=1+1", "\r=1+1"] {
        let results = results(Class::Pure(Trust::Fixed(1)), End::Exhausted, vec![completed(1, &json!({ "cell": formula }))]);
        let lines = parse_csv(&csv::render(&results));
        let column = lines[0].iter().position(|name| name == "output.cell").expect("a column");
        assert_eq!(lines[1][column], format!("'{formula}"));
    }
}

#[test]
fn ndjson_is_one_whole_job_per_line() {
    let results = hostile();
    let text = ndjson(&results);
    let rows: Vec<Row> = text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    assert_eq!(rows, results.rows);
}

#[test]
fn json_reads_back_as_it_was() {
    let results = hostile();
    let again: Results = serde_json::from_str(&serde_json::to_string(&results).expect("our own types have JSON")).expect("it reads back");
    assert_eq!(again, results);
}

#[test]
fn dag_cbor_becomes_json_without_losing_what_json_cannot_say() {
    let cid = cid_of(DAG_CBOR, b"x");
    let map = [
        ("bytes", Ipld::Bytes(vec![1, 2, 3]), json!({ "/": { "bytes": "AQID" } })),
        ("link", Ipld::Link(cid), json!({ "/": cid.to_string() })),
        ("small", Ipld::Integer(i128::from(i64::MIN)), json!(i64::MIN)),
        ("large", Ipld::Integer(i128::from(u64::MAX)), json!(u64::MAX)),
        ("larger", Ipld::Integer(-i128::from(u64::MAX)), json!("-18446744073709551615")),
        ("list", Ipld::List(vec![Ipld::Null, Ipld::Bool(true)]), json!([null, true])),
    ];
    for (what, value, expected) in map {
        assert_eq!(to_json(&value), expected, "{what}");
    }
    assert_eq!(from_cbor(&[0xa1, 0x61]), Value::Null);
}
