//! Stations behind NAT boxes: they are reached through relays that they asked themselves, and directly where a hole can be punched.

mod played;

use played::{failed, run};
use serde_json::Value;

const SCENARIO: &str = r#"
[run]
duration = "150s"
warmup = "60s"
[[group]]
name = "home"
count = 10
nat = { port_restricted = "50%", symmetric = "50%" }
[[group]]
name = "relays"
count = 3
roles = ["relay", "bootstrap", "dht_server"]
[[requester]]
name = "lab"
[[work]]
requester = "lab"
at = "60s"
every = "20s"
count = 3
jobs = 5
pure = { trust = "fixed:3" }
[[check]]
eventually = "every_job_settles"
[[check]]
eventually = "delivered >= 95%"
"#;

/// Dials from boxes of one kind to boxes of another: made directly, through a punched hole, through a relay.
fn dials(result: &Value, from: &str, to: &str) -> [u64; 3] {
    let all = result["metrics"]["dials"].as_array().expect("a list");
    let pair = all.iter().find(|pair| pair["from"] == from && pair["to"] == to);
    ["direct", "punched", "relayed"].map(|how| pair.and_then(|pair| pair[how].as_u64()).unwrap_or(0))
}

#[test]
fn stations_behind_boxes_find_each_other_through_relays_and_punch_where_that_is_possible() {
    let result = run(SCENARIO);
    assert_eq!(failed(&result), Vec::<Value>::new());
    let [direct, punched, relayed] = dials(&result, "port_restricted", "port_restricted");
    assert!(direct == 0 && punched > 0 && relayed > 0, "{direct} {punched} {relayed}");
    let [direct, punched, relayed] = dials(&result, "symmetric", "symmetric");
    assert!(direct + punched == 0 && relayed > 0, "no hole goes through two symmetric boxes: {direct} {punched} {relayed}");
    let relays = result["metrics"]["relays"].as_array().expect("a list");
    let sum = |what: &str| relays.iter().filter_map(|relay| relay[what].as_u64()).sum::<u64>();
    assert_eq!(relays.len(), 3);
    assert!((10..=30).contains(&sum("reservations_max")) && sum("circuits_max") > 0 && sum("bytes") > 0, "{relays:?}");
}

#[test]
fn without_relays_stations_behind_boxes_have_no_neighbours_but_those_who_can_be_dialled() {
    let result = run(&SCENARIO.replace("\"relay\", ", ""));
    for [from, to] in [["symmetric", "symmetric"], ["port_restricted", "port_restricted"]] {
        assert_eq!(dials(&result, from, to), [0, 0, 0]);
    }
    assert_eq!(result["metrics"]["relays"], serde_json::json!([]));
}
