//! The receipts under a table.

use station_protocol::hostcall::FetchError;

use super::shown::{record, with_records};
use super::*;

fn measured() -> Results {
    let says = json!({ "verdict": "ok", "ttfb_ms": 5 });
    let failed = |url: &str| record(url, Some(FetchError::Dns), 0);
    let records = vec![record("https://a.example/", None, 5_000), failed("https://b.example/\x1b[2J")];
    let many = (0..9).map(|n| failed(&format!("https://{n}.example/"))).collect();
    let receipts =
        vec![with_records(completed(1, &says), records), with_records(completed(2, &says), many), completed(3, &json!({ "verdict": "down" }))];
    let late = receipt(4, "na", Outcome::TimedOut, &json!({}));
    results(measurement(3), End::Exhausted, receipts.into_iter().chain([late]).collect())
}

#[test]
fn each_says_who_when_where_how_and_by_whose_word() {
    let results = measured();
    let text = table::receipts::render(&results, None);
    let first = format!(
        "job 0 on {}: agrees
  seen  leased 2026-12-30T22:33:20.000Z, received 2026-12-30T22:33:20.900Z
        from network 198.51.1.0/24
  says  began  2026-12-30T22:33:20.001Z, ended    2026-12-30T22:33:20.071Z
        completed after 70 ms and 1 ms of waiting; fuel 500
        isolation full, software station/test, engine station-wasm-2
        region eu
        its record of requests: 2 requests, 5,000 bytes; failed: 1 dns
          GET https://b.example/\\u{{1b}}[2J: dns: the name has no address
",
        key(1).node()
    );
    assert!(text.contains(&first), "{text}");
    for (station, standing) in [(2, "agrees"), (3, "differs"), (4, "does not count")] {
        assert!(text.contains(&format!("job 0 on {}: {standing}\n", key(station).node())), "{station}: {text}");
    }
    assert!(text.contains("timed_out after 70 ms") && text.contains("          and 5 others that failed\n"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "a terminal has 80 columns: {text}");
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
}

#[test]
fn those_of_one_job_stand_alone_and_none_are_said_to_be_none() {
    let class = Class::Pure(Trust::Fixed(1));
    let jobs: Vec<_> = [0, 1].map(|index| settled(&class, End::Exhausted, index, vec![completed(1, &json!({ "n": 1 }))])).to_vec();
    let results = of(&experiment(class.clone()), &jobs, &BTreeMap::new());
    let blocks = |job| table::receipts::render(&results, job).matches("job ").count();
    assert_eq!([blocks(None), blocks(Some(0)), blocks(Some(1))], [2, 1, 1]);
    let nobody = of(&experiment(class.clone()), &[settled(&class, End::Expired, 0, Vec::new())], &BTreeMap::new());
    assert_eq!(table::receipts::render(&nobody, None), "no receipts\n");
}
