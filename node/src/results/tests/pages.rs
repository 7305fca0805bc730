//! The HTML page, over the same results as the other formats.

use super::html::{Check, readings, render};
use super::*;
use crate::results::stats::{Quantiles, quantile};

fn says(verdict: &str, ms: u64) -> Value {
    json!({ "verdict": verdict, "ttfb_ms": ms })
}

fn page(results: &Results) -> String {
    render(results, Check::Kept)
}

/// The text of a page without its tags.
fn words(html: &str) -> String {
    let body = html.split("</style>").last().expect("there is a style sheet");
    // Of what is inside a line the tags are no gap.
    let body = ["</span><span>", "<bdi>", "</bdi>", "<time class=\"at\"><span>"].iter().fold(body.to_owned(), |body, tag| body.replace(tag, ""));
    let text: Vec<&str> = body.split('<').filter_map(|part| part.split_once('>')).map(|(_, text)| text).collect();
    text.join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The inside of the first cell under the column `of`.
fn cell<'a>(page: &'a str, of: &str) -> &'a str {
    let at = page.find(&format!("data-of=\"{of}\"")).unwrap_or_else(|| panic!("there is a column {of}"));
    page[at..].split_once("><div>").and_then(|(_, rest)| rest.split("</div></t").next()).expect("a cell ends")
}

/// One result per input.
fn jobs(class: &Class, inputs: &[Value], receipts: impl Fn(usize) -> Vec<HeldReceipt>) -> Results {
    let settled: Vec<SettledJob> = inputs
        .iter()
        .enumerate()
        .map(|(at, input)| SettledJob {
            input: Bytes::new(cbor(input)).expect("a small input"),
            ..settled(class, End::Exhausted, at as u64, receipts(at))
        })
        .collect();
    of(&experiment(class.clone()), &settled, &BTreeMap::new())
}

#[test]
fn it_escapes_whatever_strangers_wrote_and_refers_to_nothing_outside() {
    for results in [hostile(), hostile_pure()] {
        let page = page(&results);
        for forbidden in ["<script", "</script", "</td><script", "alert('", "http://", "https://", "src=", "url(", "\x1b", "\u{202e}"] {
            assert!(!page.contains(forbidden), "{forbidden} in {page}");
        }
        assert!(page.contains("&lt;script&gt;"));
        assert_eq!(page.matches("<td").count(), page.matches("</td>").count());
        assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    }
}

#[test]
fn equal_results_are_equal_pages() {
    assert_eq!(page(&hostile()), page(&hostile()));
}

#[test]
fn a_failure_and_too_few_stations_are_said_and_are_no_agreement() {
    let out_of_fuel = |station| receipt(station, "eu", Outcome::OutOfFuel, &json!({}));
    for class in [Class::Pure(Trust::Fixed(2)), measurement(2)] {
        let page = page(&results(class, End::Exhausted, vec![out_of_fuel(1), out_of_fuel(2)]));
        assert_eq!(cell(&page, "verdict over receipts"), "failed: out_of_fuel");
        assert!(page.contains("<td role=\"cell\" class=\"whole bad\"") && page.contains("<b>0</b>with agreement"));
    }
    let two = page(&results(measurement(3), End::Exhausted, vec![completed(1, &says("ok", 1)), completed(2, &says("ok", 2))]));
    assert!(two.contains("<td role=\"cell\" class=\"whole mixed\" data-of=\"verdict over receipts\"><div>certified</div>"));
    assert!(cell(&two, "agree").contains("2/2 of 3") && two.contains("<b>0</b>with agreement"));
}

#[test]
fn an_answers_own_verdict_is_no_verdict_over_receipts_and_no_answer_is_green() {
    let bad = page(&results(measurement(2), End::Exhausted, vec![completed(1, &says("wrong_bytes", 1)), completed(2, &says("wrong_bytes", 2))]));
    assert_eq!(cell(&bad, "verdict over receipts"), "certified");
    assert!(cell(&bad, "what the stations say").contains("<span class=\"key\">verdict</span> <code>wrong_bytes</code>"));
    for green in ["class=\"good", "whole good", " good\""] {
        assert!(!bad.contains(green), "{green}: that stations agree does not make an answer good");
    }
}

#[test]
fn where_answers_differ_each_group_is_named_with_what_it_said_and_none_is_the_answer() {
    let receipts = vec![completed(1, &says("ok", 1)), completed(2, &says("ok", 2)), completed(3, &says("down", 3)), completed(4, &says("odd", 4))];
    let page = page(&results(measurement(4), End::Exhausted, receipts));
    assert_eq!((cell(&page, "verdict over receipts"), cell(&page, "what the stations say")), ("split", "they differ"));
    let who = words(&format!("</style>{}", &page[page.find("data-of=\"who said what\"").expect("the column")..]));
    let short = |station: u8| crate::page::words::tail(&key(station).node().to_string());
    assert!(who.contains(&format!("2 say verdict ok : {} (eu), {} (eu)", short(1), short(2))), "{who}");
    for (station, said) in [(3, "down"), (4, "odd")] {
        assert!(who.contains(&format!("1 says verdict {said} : {} (eu)", short(station))), "{who}");
    }
    assert!(!page.contains("differs</b>") && !page.contains("agrees</b>"), "nobody is right because more say so");
}

#[test]
fn of_an_undecided_pure_job_each_group_is_named_with_its_fuel_where_only_that_differs() {
    let mut other = completed(2, &json!({ "n": 1 }));
    other.receipt.body.fuel = 501;
    let page = page(&results(Class::Pure(Trust::Fixed(2)), End::Exhausted, vec![completed(1, &json!({ "n": 1 })), other]));
    let who = words(&page);
    assert!(who.contains("1 says n 1 , fuel 500:") && who.contains(", fuel 501:"), "{who}");
}

#[test]
fn who_agrees_who_differs_and_who_does_not_count_are_told_apart() {
    let truth = json!({ "n": 1 });
    let receipts =
        vec![completed(1, &truth), completed(2, &truth), completed(3, &json!({ "n": 2 })), receipt(4, "eu", Outcome::TimedOut, &json!({}))];
    let page = page(&results(Class::Pure(Trust::Fixed(2)), End::Exhausted, receipts));
    let who = words(&page);
    for part in ["2 agree", "1 differs n 2", "1 does not count timed_out"] {
        assert!(who.contains(part), "{part} in {who}");
    }
}

#[test]
fn a_pure_experiment_shows_how_long_it_took_and_who_took_part() {
    let truth = json!({ "primes": 25 });
    let page = page(&results(Class::Pure(Trust::Fixed(2)), End::Exhausted, vec![completed(1, &truth), completed(2, &truth)]));
    assert!(page.contains("duration of an execution") && page.contains("How long it took"));
    assert_eq!(page.matches("<circle class=\"agrees\" cx").count(), 3, "one in the legend, one per execution");
    for station in [1, 2] {
        assert!(page.contains(&format!("<code>{}</code>", key(station).node())), "the whole id");
    }
    assert!(words(&page).contains("70 ms n 2"), "all alike have no range");
}

#[test]
fn readings_are_dots_of_which_those_that_differ_are_hollow() {
    let receipts = vec![completed(1, &says("ok", 10)), completed(2, &says("ok", 20)), completed(3, &says("down", 6_000))];
    let page = page(&results(measurement(3), End::Exhausted, receipts));
    let chart = page.split("<figure").nth(1).and_then(|rest| rest.split("</figure>").next()).expect("a chart");
    let dots = |class: &str| chart.matches(&format!("<circle class=\"{class}\" cx=\"")).count() - 1;
    assert_eq!((dots("agrees"), dots("differs")), (2, 1), "one of each is in the legend");
    assert!(words(&format!("</style>{chart}")).contains("15 ms 10 to 20, n 2"), "the unit and n, and the mean of the middle two: {chart}");
    assert!(chart.contains("6,000 ms, differs</title>") && chart.contains("In ms."));
    let nothing = super::pages::page(&results(measurement(1), End::Exhausted, vec![completed(1, &json!({ "verdict": "ok" }))]));
    assert!(nothing.contains("No readings of ttfb_ms."));
}

#[test]
fn a_box_has_the_quartiles_and_median_of_the_statistics() {
    let values: Vec<f64> = [3, 141, 59, 26, 53, 58, 97, 93, 23, 84, 62, 64, 33, 83, 27, 95, 2, 88].map(f64::from).to_vec();
    for n in 1..=values.len() {
        let mut sorted = values[..n].to_vec();
        sorted.sort_by(f64::total_cmp);
        let (spread, quantiles) = (readings::Spread::of(values[..n].to_vec()).expect("values"), Quantiles::of(values[..n].to_vec()).expect("values"));
        assert_eq!((spread.q1, spread.median, spread.q3), (quantile(&sorted, 0.25), quantiles.p50, quantile(&sorted, 0.75)));
        let reach = 1.5 * (spread.q3 - spread.q1);
        assert!(spread.low >= quantiles.min && spread.high <= quantiles.max && spread.low <= spread.q1 && spread.high >= spread.q3);
        assert!(sorted.contains(&spread.low) && sorted.contains(&spread.high), "whiskers end at readings");
        assert!(
            sorted.iter().all(|value| (spread.low..=spread.high).contains(value) == (*value >= spread.q1 - reach && *value <= spread.q3 + reach))
        );
    }
    assert_eq!(readings::Spread::of(vec![f64::NAN]), None);
}

#[test]
fn five_readings_are_a_box_where_the_statistics_say_and_four_are_dots_alone() {
    let with = |count: u8| {
        let receipts = (1..=count).map(|station| completed(station, &says("ok", u64::from(station) * 10))).collect();
        page(&results(measurement(u32::from(count)), End::Exhausted, receipts))
    };
    let four = with(4);
    assert!(!four.contains("<rect class=\"box\" x=\"2") && four.contains("<rect class=\"median\""));
    // 10, 20, 30, 40 and 50 on an axis to 60: the quartiles are 20 and 40.
    let five = with(5);
    assert!(five.contains("<rect class=\"box\" x=\"33.33%\" y=\"50%\" width=\"33.33%\""), "{five}");
    assert!(five.contains("<rect class=\"median\" x=\"50.00%\"") && five.contains("x1=\"16.67%\" x2=\"83.33%\""));
}

#[test]
fn of_many_readings_only_those_beyond_the_whiskers_are_dots() {
    let receipts = (1..=40).map(|station| completed(station, &says("ok", if station == 40 { 9_000 } else { 100 + u64::from(station) }))).collect();
    let page = page(&results(measurement(40), End::Exhausted, receipts));
    let chart = page.split("<figure").nth(1).and_then(|rest| rest.split("</figure>").next()).expect("a chart");
    assert_eq!(chart.matches("<circle class=\"agrees\" cx=\"").count(), 2, "one in the legend, one beyond");
    assert!(words(&format!("</style>{chart}")).contains("120 ms p95 138, n 40"), "{chart}");
}

#[test]
fn labels_show_the_keys_that_vary_in_the_published_order() {
    let cid = |end: &str| format!("bafkreibapmhdktdlwe67hp66hojc36pt65hifomlgt3xm{end}");
    let inputs: Vec<Value> = [("a", "x"), ("a", "y"), ("b", "x")]
        .map(|(end, gateway)| json!({ "cid": cid(end), "gateway": format!("https://{gateway}.example"), "probe": "warm" }))
        .to_vec();
    let page = page(&jobs(&measurement(1), &inputs, |_| vec![completed(1, &says("ok", 5))]));
    let chart = page.split("<figure").nth(1).and_then(|rest| rest.split("</figure>").next()).expect("a chart");
    let text = words(&format!("</style>{chart}"));
    for (job, end, gateway) in [(0, "a", "x"), (1, "a", "y"), (2, "b", "x")] {
        let label = format!("job {job} cid {} gateway https://{gateway}.example", crate::page::words::cut(&cid(end), 40));
        assert!(text.contains(&label), "{label} in {text}");
    }
    assert!(!chart.contains("warm"), "what is the same everywhere tells nothing apart");
    assert!(page.contains("Keys of inputs are in alphabetical order."), "the file's order is not published");
    assert!(page.contains("The same in every job:</span> <span class=\"key\">probe</span> <code>warm</code>"));
}

#[test]
fn one_job_alone_shows_all_its_keys_and_an_input_that_is_no_map_itself() {
    let alone = page(&jobs(&measurement(1), &[json!({ "cid": "b", "gateway": "g" })], |_| vec![completed(1, &says("ok", 5))]));
    assert_eq!(cell(&alone, "input"), "<span class=\"key\">cid</span> <code>b</code><br><span class=\"key\">gateway</span> <code>g</code>");
    let plain = page(&jobs(&measurement(1), &[json!("one"), json!("two")], |_| vec![completed(1, &says("ok", 5))]));
    assert_eq!(cell(&plain, "input"), "<code>one</code>");
    assert!(alone.contains("in alphabetical order") && !plain.contains("in alphabetical order"));
}

#[test]
fn a_long_output_does_not_make_a_long_page() {
    let page = page(&results(Class::Pure(Trust::Fixed(1)), End::Exhausted, vec![completed(1, &json!({ "text": "x".repeat(60_000) }))]));
    assert!(page.len() < 60_000, "{}", page.len());
    assert!(page.contains(&format!("title=\"{}…", "x".repeat(200))));
}

#[test]
fn more_jobs_than_a_chart_has_rows_are_all_in_the_table_and_the_chart_says_so() {
    let inputs: Vec<Value> = (0..50).map(|n| json!({ "n": n })).collect();
    let page = page(&jobs(&measurement(1), &inputs, |_| vec![completed(1, &says("ok", 5))]));
    assert!(page.contains("Drawn are the first 40 of 50 jobs; the table has them all."));
    assert_eq!(page.matches("data-of=\"who said what\"").count(), 50);
}

#[test]
fn it_says_how_to_check_it_and_promises_nothing_once_the_log_is_gone() {
    let mut results = hostile();
    let command = format!("<code>station verify {}</code>", results.experiment);
    assert!(page(&results).contains(&format!("When the experiment is closed, check this yourself: {command}")));
    results.log = Some("bafylog".into());
    assert!(page(&results).contains(&format!("Check this yourself: {command}, on the station that published it")));
    assert!(!render(&results, Check::Gone).contains(&command));
}

#[test]
fn an_experiment_without_settled_jobs_is_a_page_too() {
    let nothing = of(&experiment(measurement(1)), &[], &BTreeMap::new());
    assert!(page(&nothing).contains("No job is settled."));
}

#[test]
fn it_says_what_ran_and_when_and_each_execution_stands_there_by_whose_word() {
    let page = page(&results(measurement(1), End::Exhausted, vec![completed(1, &says("ok", 5))]));
    let text = words(&page);
    for fact in ["module 6 bytes: ", "profile station-wasm-2", "topic topic", "closed 2026-12-30T22:33:21.000Z", "deadline 1970-01-01T00:00:01.000Z"]
    {
        assert!(text.contains(fact), "{fact} in {text}");
    }
    assert_eq!(cell(&page, "seen: network"), "198.51.1.0/24");
    let at = |of: &str| words(&format!("</style><div>{}", cell(&page, of)));
    assert_eq!(at("seen: lease, receipt"), "2026-12-30T22:33:20.000Z 2026-12-30T22:33:20.900Z");
    assert_eq!(at("says: start, end"), "2026-12-30T22:33:20.001Z 2026-12-30T22:33:20.071Z");
    assert!(cell(&page, "station, standing").ends_with("<br><span class=\"word\">agrees</span>"), "{}", cell(&page, "station, standing"));
    assert_eq!(cell(&page, "says: isolation, software, profile"), "full<br>station/test<br>station-wasm-2");
    assert!(!page.contains("stranger"), "nobody brought a log");
}

#[test]
fn outputs_out_of_form_are_groups_of_their_own() {
    let raw = |station: u8, text: &str| {
        let mut held = completed(station, &json!({}));
        held.receipt.body.output = Some(Content::raw(text.as_bytes()));
        held.output = Some(Bytes::new(text.as_bytes().to_vec()).expect("a small output"));
        held
    };
    let page = page(&results(Class::Pure(Trust::Fixed(2)), End::Exhausted, vec![raw(1, "Hello!"), raw(2, "Servus!")]));
    let who = words(&page);
    for greeting in ["Hello!", "Servus!"] {
        assert!(who.contains(&format!("1 says &quot;{greeting}&quot; (not DAG-CBOR")), "{greeting} in {who}");
    }
}
