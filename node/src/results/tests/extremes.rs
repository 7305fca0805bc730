//! Results at the ends of what may come, in every format: no format says what is not so, breaks, or loses its shape.

use super::html::{Check, render};
use super::*;

/// Writing from right to left, and what joins, hides and turns characters.
const WRITING: [&str; 6] = ["שלום 123 abc", "مرحبا", "a\u{202e}b\u{2066}c", "tab\tline\nbell\x07", "   ", ""];

/// An input or output of each kind, and whether a reading is in it.
fn numbers() -> Vec<Value> {
    vec![json!(0), json!(-1), json!(-0.5), json!(1e300), json!(-1e300), json!(1.7e308), json!(u64::MAX), json!(i64::MIN), json!(5e-324), json!(0.1)]
}

/// Everything at once: one of three stations, none, all failed, undecided, expired, split regions, extreme numbers and writing.
fn extremes() -> Results {
    let measured = measurement(3);
    let says = |verdict: &Value, ms: &Value| json!({ "verdict": verdict, "ttfb_ms": ms });
    let ok = |station, ms: f64| completed(station, &says(&json!("ok"), &json!(ms)));
    let failed = |station, outcome| receipt(station, "eu", outcome, &json!({}));
    let empty = |station| {
        let mut held = completed(station, &json!({}));
        (held.receipt.body.output, held.output) = (Some(Content::raw(b"")), Some(Bytes::new(Vec::new()).expect("nothing")));
        held
    };
    let mut jobs: Vec<(End, Vec<HeldReceipt>)> = vec![
        (End::Exhausted, vec![ok(1, 5.0)]),
        (End::Expired, Vec::new()),
        (End::Exhausted, (1..4).map(|station| failed(station, Outcome::OutOfFuel)).collect()),
        (End::Exhausted, vec![failed(1, Outcome::TimedOut), failed(2, Outcome::Killed)]),
        (End::Expired, vec![ok(1, 5.0), failed(2, Outcome::OutOfMemory)]),
        (End::Exhausted, vec![ok(1, 1.0), receipt(2, "na", Outcome::Completed, &says(&json!("down"), &json!(2.0))), ok(3, 3.0)]),
        (End::Exhausted, (1..4).map(|station| ok(station, 7.0)).collect()),
        (End::Exhausted, (1..4).map(empty).collect()),
        (
            End::Exhausted,
            vec![ok(1, 1.0), HeldReceipt { cluster: Cluster::V4([198, 51, 1]), ..ok(2, 9.0) }, ok(3, 2.0), failed(4, Outcome::TimedOut)],
        ),
    ];
    for value in numbers() {
        jobs.push((End::Exhausted, (1..4).map(|station| completed(station, &says(&value, &value))).collect()));
    }
    for text in WRITING {
        jobs.push((End::Exhausted, (1..4).map(|station| completed(station, &says(&json!(text), &json!(1)))).collect()));
    }
    let settled: Vec<SettledJob> = (0..)
        .zip(jobs)
        .map(|(index, (end, receipts))| {
            let input =
                json!({ "n": numbers()[usize::try_from(index).expect("a few") % 10], "text": WRITING[usize::try_from(index).expect("a few") % 6] });
            SettledJob { input: Bytes::new(cbor(&input)).expect("a small input"), ..settled(&measured, end, index, receipts) }
        })
        .collect();
    of(&experiment(measured), &settled, &BTreeMap::new())
}

/// A tag that a page may leave open.
const EMPTY: [&str; 4] = ["br", "meta", "!doctype", "line"];

/// Panics where tags do not close in their order.
fn assert_closed(page: &str) {
    let mut open: Vec<&str> = Vec::new();
    for tag in page.split('<').skip(1).filter_map(|part| part.split('>').next()) {
        let name = tag.split([' ', '/']).find(|name| !name.is_empty()).unwrap_or_default();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "</{name}> in {page}");
        } else if !tag.ends_with('/') && !EMPTY.contains(&name) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

/// Panics where a reader of the screen would meet a table or a drawing without words.
fn assert_named(page: &str) {
    let tables: Vec<&str> = page.split("<table").skip(1).collect();
    assert_eq!(tables.len(), 3);
    for table in tables {
        let (caption, head) = table.split_once("</caption>").expect("a table has a caption");
        assert!(caption.split("<caption>").nth(1).is_some_and(|caption| caption.len() > 20), "{caption}");
        let heads = head.split("</table>").next().expect("a table ends").split("<th ").skip(1);
        assert!(heads.into_iter().all(|head| head.starts_with("scope=\"col\"") || head.starts_with("scope=\"row\"")), "{head}");
    }
    for (at, _) in page.match_indices("<svg") {
        let tag = page[at..].split('>').next().expect("a tag ends");
        let is_hidden = tag.contains("aria-hidden=\"true\"") || page[..at].ends_with("<div class=\"ticks\">");
        let is_told = tag.contains("role=\"img\"") && page[at + tag.len()..].starts_with("><title>");
        assert!(is_hidden || is_told, "{tag}");
        assert!(!is_told || page[at..].split("</title>").nth(1).is_some_and(|rest| rest.starts_with("<desc>") && !rest.starts_with("<desc></desc>")));
    }
    assert!(page.contains("<div class=\"row\" aria-hidden=\"true\"><div class=\"label\"></div><div class=\"ticks\">"));
}

#[test]
fn every_format_stands_whatever_came() {
    let results = extremes();
    let page = render(&results, Check::Kept);
    assert_closed(&page);
    assert_named(&page);
    for forbidden in ["NaN", "inf%", "=\"inf", "-inf", "\u{202e}", "\u{2066}", "\x07", "\"\"%"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    for width in [None, Some(80), Some(40)] {
        let text = table::render(&results, true, width) + &table::receipts::render(&results, None);
        assert!(text.chars().all(|c| c == '\n' || c == '\x1b' || !crate::printable::is_unprintable(c)), "{text:?}");
    }
    let again: Results = serde_json::from_str(&serde_json::to_string(&results).expect("JSON")).expect("it reads back");
    assert_eq!(again, results, "JSON keeps every number and character");
    let lines = parse_csv(&csv::render(&results));
    assert!(
        lines.iter().all(|line| line.len() == lines[0].len())
            && lines.len() == 1 + results.rows.iter().map(|row| row.executions.len()).sum::<usize>()
    );
}

#[test]
fn what_is_said_of_each_extreme_is_so() {
    let results = extremes();
    let words = |at: usize| (results.rows[at].verdict_words(), results.rows[at].agree_words());
    for (at, verdict, agree) in [
        (0, "certified", "1/1 of 3"),
        (1, "expired", "0/0 of 3"),
        (2, "failed: out_of_fuel", "3/3"),
        (3, "undecided", "0/0 of 3"),
        (4, "certified", "1/1 of 3"),
        (5, "split", "2/3"),
        (6, "certified", "3/3"),
        (7, "certified", "3/3"),
        (8, "certified", "2/2 of 3"),
    ] {
        assert_eq!(words(at), (verdict.to_owned(), agree.to_owned()), "job {at}");
    }
    let reading = |at: usize| results.rows[at].readings.get("ttfb_ms").map(|reading| (reading.n, reading.p50));
    assert_eq!([reading(0), reading(1), reading(2), reading(3)], [Some((1, 5.0)), None, None, None]);
    assert_eq!([reading(6), reading(7), reading(8)], [Some((3, 7.0)), None, Some((2, 1.5))], "a second one of a network is none");
    let answered: Vec<u64> = results.rows.iter().filter(|row| row.is_answered()).map(|row| row.index).collect();
    assert!([0, 1, 2, 3, 4, 7, 8].iter().all(|short| !answered.contains(short)) && answered.contains(&6), "{answered:?}");
}

#[test]
fn the_median_of_two_is_the_same_in_every_format_that_has_it() {
    let says = |station, ms: f64| completed(station, &json!({ "verdict": "ok", "ttfb_ms": ms }));
    let results = results(measurement(2), End::Exhausted, vec![says(1, 10.0), says(2, 21.0)]);
    let line: Value = serde_json::from_str(&ndjson(&results)).expect("a line of JSON");
    assert_eq!(line["readings"]["ttfb_ms"]["p50"], json!(15.5));
    let (table, page) = (table::render(&results, false, None), render(&results, Check::Kept));
    assert!(table.contains("15.5 / 21") && table.contains("readings: median / p95") && table.contains("p95 of few is the largest\n"), "{table}");
    assert_eq!(page.matches("15.5 ms</span>").count(), 2, "in the table and beside the chart: {page}");
    assert!(page.contains("<desc>median 15.5 ms: 10 to 21, n\u{a0}2</desc>"), "{page}");
}

#[test]
fn an_empty_answer_is_no_blank() {
    let empty = |output: &Value| results(Class::Pure(Trust::Fixed(1)), End::Exhausted, vec![completed(1, output)]);
    for (output, said) in [(json!(""), "1/1 say  \"\""), (json!({ "a": " " }), "1/1 say  a=\" \""), (json!({}), "1/1 say  nothing")] {
        let table = table::render(&empty(&output), false, None);
        assert!(table.contains(said), "{table}");
    }
    assert!(render(&empty(&json!("")), Check::Kept).contains("<code>&quot;&quot;</code>"));
    assert!(csv::render(&empty(&json!(""))).ends_with(",\r\n"), "a cell of CSV is as it was written");
}

#[test]
fn a_reading_that_only_those_have_who_differ_does_not_make_others_disagree() {
    let none = json!({ "verdict": "ok" });
    let receipts = vec![completed(1, &none), completed(2, &none), completed(3, &json!({ "verdict": "down", "ttfb_ms": 3 }))];
    let page = render(&results(measurement(3), End::Exhausted, receipts), Check::Kept);
    assert!(page.contains("<desc>no reading counts, 1 that differs not in it</desc>") && !page.contains("no station agrees"), "{page}");
}

#[test]
fn two_thousand_jobs_are_one_page_that_says_what_it_leaves_out() {
    let class = measurement(2);
    let says = json!({ "verdict": "ok", "ttfb_ms": 5 });
    let jobs: Vec<_> = (0..2_000).map(|index| settled(&class, End::Exhausted, index, vec![completed(1, &says), completed(2, &says)])).collect();
    let results = of(&Experiment { jobs: JobsRef { count: 2_000, ..experiment(class.clone()).jobs }, ..experiment(class) }, &jobs, &BTreeMap::new());
    let page = render(&results, Check::Kept);
    assert_closed(&page);
    assert!(page.contains("<b>2,000 / 2,000</b>jobs settled") && page.contains("<b>4,000</b>signed receipts") && page.contains("<b>2</b>stations"));
    assert!(
        page.contains("Drawn are the first 40 of 2,000 jobs; the table has them all.")
            && page.contains("The first 2,000 of 4,000; JSON and CSV have all.")
    );
    assert_eq!((page.matches("data-of=\"who said what\"").count(), page.matches("data-of=\"says: outcome\"").count()), (2_000, 2_000));
    assert!(page.len() < 8_000_000, "{}", page.len());
}

#[test]
fn three_hundred_keys_fit_every_format() {
    let many: serde_json::Map<String, Value> = (0..300).map(|n| (format!("key{n:03}"), json!(n))).collect();
    let results = results(Class::Pure(Trust::Fixed(1)), End::Exhausted, vec![completed(1, &Value::Object(many.clone()))]);
    let page = render(&results, Check::Kept);
    assert_closed(&page);
    assert!(page.contains("and 294 more</span>") && page.len() < 60_000, "{}", page.len());
    assert_eq!(results.rows[0].answer(), &Value::Object(many));
    let lines = parse_csv(&csv::render(&results));
    assert_eq!(lines[0].iter().filter(|name| name.starts_with("output.")).count(), csv::KEYS_MAX);
    assert!(lines[1].last().is_some_and(|rest| rest.contains("\"key299\":299")), "what has no column stands as JSON");
    assert!(table::render(&results, false, Some(80)).contains("key299=299"));
}

#[test]
fn one_of_a_thing_is_no_many() {
    let page = render(&results(measurement(1), End::Exhausted, vec![completed(1, &json!({ "verdict": "ok", "ttfb_ms": 5 }))]), Check::Kept);
    assert!(page.contains("<b>1</b>signed receipt</div>") && page.contains("<b>1</b>station</div>"), "{page}");
}

#[test]
fn text_stays_raw_in_json_and_is_disarmed_in_csv_alone() {
    let says = json!({ "cell": "=1+2", "quoted": "'=1+2", "n": 3, "f": 3.5 });
    let results = results(Class::Pure(Trust::Fixed(1)), End::Exhausted, vec![completed(1, &says)]);
    let line: Value = serde_json::from_str(&ndjson(&results)).expect("a line of JSON");
    assert_eq!((&line["answer"], &line["executions"][0]["output"]), (&says, &says));
    assert_eq!(serde_json::to_value(&results).expect("JSON")["rows"][0]["answer"], says);
    let lines = parse_csv(&csv::render(&results));
    let cell = |name: &str| &lines[1][lines[0].iter().position(|column| column == name).expect("a column")];
    assert_eq!([cell("output.cell"), cell("output.quoted"), cell("output.n"), cell("output.f")], ["'=1+2", "''=1+2", "3", "3.5"]);
    assert_eq!([csv::armed(cell("output.cell")), csv::armed(cell("output.quoted"))], ["=1+2", "'=1+2"]);
}

#[test]
fn numbers_of_a_guest_stand_in_csv_as_it_wrote_them() {
    let mut held = completed(1, &json!({}));
    let wrote = b"{\"a\": 3, \"b\": -0, \"c\": -0.0, \"d\": 3.0, \"e\": 18446744073709551615, \"f\": 1e300, \"g\": \"3.0\"}";
    (held.receipt.body.output, held.output) = (Some(Content::raw(wrote)), Some(Bytes::new(wrote.to_vec()).expect("small")));
    let class = Class::Pure(Trust::Fixed(1));
    let job = settled(&class, End::Exhausted, 0, vec![held]);
    let results = of(&Experiment { output: OutputForm::Json, ..experiment(class) }, &[job], &BTreeMap::new());
    let lines = parse_csv(&csv::render(&results));
    let cells: Vec<&str> = ["a", "b", "c", "d", "e", "f", "g"]
        .map(|key| lines[1][lines[0].iter().position(|column| *column == format!("output.{key}")).expect("a column")].as_str())
        .to_vec();
    assert_eq!(cells, ["3", "-0", "-0", "3", "18446744073709551615", "1e+300", "3.0"]);
}

#[test]
fn what_is_no_number_is_no_reading_and_is_shown_with_the_reason() {
    // {"ttfb_ms": x} with NaN, infinity and minus nothing, as CBOR of half and double precision, and JSON of what is too large.
    let map = |number: &[u8]| [&b"\xa1\x67ttfb_ms"[..], number].concat();
    let cbor = [map(b"\xf9\x7e\0"), map(b"\xfb\x7f\xf8\0\0\0\0\0\0"), map(b"\xfb\x7f\xf0\0\0\0\0\0\0"), map(b"\xfb\xff\xf0\0\0\0\0\0\0")];
    let json = [b"{\"ttfb_ms\": NaN}".to_vec(), b"{\"ttfb_ms\": 1e999}".to_vec(), b"{\"ttfb_ms\": -Infinity}".to_vec()];
    let all = cbor.into_iter().map(|bytes| (OutputForm::DagCbor, bytes)).chain(json.into_iter().map(|bytes| (OutputForm::Json, bytes)));
    for (form, bytes) in all {
        let written = |station| {
            let mut held = completed(station, &json!({}));
            (held.receipt.body.output, held.output) = (Some(Content::raw(&bytes)), Some(Bytes::new(bytes.clone()).expect("small")));
            held
        };
        let class = measurement(2);
        let job = settled(&class, End::Exhausted, 0, vec![written(1), written(2)]);
        let results = of(&Experiment { output: form, ..experiment(class) }, &[job], &BTreeMap::new());
        let row = only(&results);
        assert!(row.readings.is_empty() && !row.is_answered() && row.malformed().is_some(), "{row:?}");
        let (table, page) = (table::render(&results, true, None), render(&results, Check::Kept));
        assert!(table.contains("2 outputs are not ") && !table.contains("\x1b[32m"), "{table}");
        assert!(page.contains("No readings of ttfb_ms.") && page.contains("<b>0</b>with agreement"), "{page}");
    }
}

#[test]
fn what_does_not_count_has_a_colour_and_a_legend_wherever_it_stands() {
    let says = |ms: u64| json!({ "verdict": "ok", "ttfb_ms": ms });
    let near = HeldReceipt { cluster: Cluster::V4([198, 51, 1]), ..completed(2, &says(9)) };
    let of = |receipts| render(&results(measurement(2), End::Exhausted, receipts), Check::Kept);
    let page = of(vec![completed(1, &says(5)), near, completed(3, &says(6))]);
    assert_eq!(page.matches(" In violet italics is what does not count: ").count(), 4, "two tables, in caption and name: {page}");
    assert!(page.contains("does not count</span></div>") && page.contains("class=\"whole uncounted\" data-of=\"job\""), "{page}");
    assert!(page.contains("<rect class=\"uncounted\" x=\"") && page.contains("</svg>one that does not count</li>"), "{page}");
    let all = of(vec![completed(1, &says(5)), completed(3, &says(6))]);
    assert!(!all.contains("class=\"uncounted") && !all.contains(" uncounted\"") && !all.contains("does not count"), "{all}");
}
