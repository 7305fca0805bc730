//! Attackers in the world: each kind acts, what it came to is counted, and honest work goes on.

mod played;

use played::{failed, run};
use serde_json::Value;

/// What the group achieved, as the report shows it.
fn damage(result: &Value, group: &str) -> Value {
    let all = result["metrics"]["byzantine"].as_array().expect("a list");
    all.iter().find(|damage| damage["group"] == group).unwrap_or_else(|| panic!("{group} is in {all:?}")).clone()
}

const STATIONS: &str = r#"
[[group]]
name = "bootstrap"
count = 2
roles = ["bootstrap", "dht_server"]
[[requester]]
name = "lab"
[[group]]
name = "honest"
"#;

#[test]
fn attackers_of_the_mesh_do_what_they_are_named_for_and_calls_arrive() {
    let result = run(&format!(
        r#"{STATIONS}
count = 12
[run]
duration = "70s"
warmup = "20s"
[[group]]
name = "censors"
count = 2
byzantine = {{ kind = "censor", requester = "lab" }}
[[group]]
name = "spammers"
count = 2
byzantine = {{ kind = "ihave_spam", per_second = 50 }}
[[group]]
name = "flippers"
count = 2
byzantine = {{ kind = "flip_signatures" }}
[[group]]
name = "flashers"
count = 2
byzantine = {{ kind = "covert_flash", after = "35s" }}
[[group]]
name = "sybils"
count = 4
per_subnet = 2
byzantine = {{ kind = "sybil" }}
[[group]]
name = "early"
count = 2
byzantine = {{ kind = "cold_boot" }}
join = {{ at = "60s" }}
[[group]]
name = "ring"
count = 3
byzantine = {{ kind = "eclipse", victims = "bootstrap" }}
[[work]]
requester = "lab"
at = "20s"
every = "5s"
count = 8
pure = {{ trust = "fixed:3" }}
[[check]]
eventually = "delivered >= 99%"
[[check]]
eventually = "every_job_agrees"
"#
    ));
    assert_eq!(failed(&result), Vec::<Value>::new());
    let deed = |group: &str, what: &str| damage(&result, group)["mesh"][what].as_u64().expect("a count");
    for withholds in ["censors", "sybils", "early", "ring"] {
        assert!(deed(withholds, "withheld") > 0 && deed(withholds, "forwarded") == 0, "{withholds}: {}", damage(&result, withholds));
    }
    assert!(deed("flashers", "forwarded") > 0 && deed("flashers", "withheld") > 0);
    assert!(deed("flippers", "forged") > 0);
    assert!(deed("spammers", "announced") > 1_000 && deed("spammers", "asked_bytes") > 0);
    // None of them is a station, so that none has a seat or a cluster.
    assert_eq!(damage(&result, "sybils")["clusters"], 0.0);
}

#[test]
fn keys_are_searched_for_in_vain_and_get_their_clusters_seats() {
    let result = run(&format!(
        r#"{STATIONS}
count = 24
[run]
duration = "75s"
warmup = "20s"
[[group]]
name = "ground"
count = 8
per_subnet = 4
byzantine = {{ kind = "grind" }}
[[work]]
requester = "lab"
at = "20s"
every = "6s"
count = 6
jobs = 24
pure = {{ trust = "fixed:3" }}
[[check]]
always = "seats_by_cluster"
[[check]]
eventually = "every_job_agrees"
"#
    ));
    assert_eq!(failed(&result), Vec::<Value>::new());
    let damage = damage(&result, "ground");
    assert!(damage["keys_tried"].as_u64() > Some(0), "{damage}");
    assert!(damage["seats"].as_f64() > Some(0.0), "{damage}");
    // Two of the 28 clusters.
    assert!(damage["clusters"].as_f64().is_some_and(|share| (share - 2.0 / 28.0).abs() < 1e-9), "{damage}");
}

#[test]
fn who_signs_two_receipts_for_one_lease_is_found_and_a_requester_that_is_two_stops_nobody() {
    let result = run(&format!(
        r#"{STATIONS}
count = 10
[run]
duration = "110s"
warmup = "20s"
[[requester]]
name = "twofaced"
byzantine = {{ kind = "contradict" }}
[[group]]
name = "twins"
count = 3
byzantine = {{ kind = "equivocate" }}
[[work]]
requester = "twofaced"
at = "25s"
every = "20s"
count = 2
jobs = 2
pure = {{ trust = "fixed:3" }}
[[work]]
requester = "lab"
at = "20s"
every = "10s"
count = 4
jobs = 12
wall = "5s"
pure = {{ trust = "fixed:3" }}
[[check]]
always = "no_accepted_wrong_result"
[[check]]
always = "no_job_settled_twice"
[[check]]
always = "bounded_queues"
[[check]]
eventually = "every_job_agrees"
"#
    ));
    assert_eq!(failed(&result), Vec::<Value>::new());
    let twins = damage(&result, "twins");
    assert!(twins["lies"].as_u64() > Some(0) && twins["detected_ms"].as_u64().is_some(), "{twins}");
    assert_eq!((&twins["lies_accepted"], &twins["stations"]), (&serde_json::json!(0), &serde_json::json!(3)));
    // Stations that heard both halves have the proof.
    let twofaced = damage(&result, "twofaced");
    assert!(twofaced["kind"] == "contradict" && twofaced["lies"].as_u64() > Some(0), "{twofaced}");
    let fullest = result["metrics"]["fullest"].as_array().expect("a list");
    let most = |what: &str| fullest.iter().find(|fill| fill["what"] == what).and_then(|fill| fill["most"].as_u64());
    assert!(most("outbox entries") > Some(0) && most("calls of a topic") > Some(0), "{fullest:?}");
}

#[test]
fn a_flood_of_calls_from_fresh_keys_does_not_drown_the_first_calls_of_an_honest_requester() {
    let result = run(&format!(
        r#"{STATIONS}
count = 7
[run]
duration = "62s"
warmup = "20s"
[[requester]]
name = "flood"
byzantine = {{ kind = "flood", calls = "8/s" }}
[[work]]
requester = "lab"
at = "45s"
every = "5s"
count = 2
jobs = 3
wall = "5s"
pure = {{ trust = "fixed:3" }}
[[check]]
eventually = "every_job_agrees"
"#
    ));
    assert_eq!(failed(&result), Vec::<Value>::new());
    let flood = damage(&result, "flood");
    assert!(flood["mesh"]["flooded"].as_u64() > Some(300), "{flood}");
}
