//! Strangers that lie, beside honest stations: honest work takes about as long as without them.

mod played;

use played::{failed, run};
use serde_json::Value;

/// Honest work may take so much longer, in hundredths.
const SLOWER_PERCENT: f64 = 125.0;

/// A small world in which `attackers` misbehave, if any do; with the same luck otherwise. Honest work is of this `kind`.
fn world(attackers: Option<&str>, kind: &str) -> Value {
    let attackers = attackers.map_or(String::new(), |byzantine| {
        format!(
            "[[group]]\nname = \"strangers\"\ncount = 4\nper_subnet = 4\nbyzantine = {{ {byzantine} }}\njoin = {{ at = \"5s\", within = \"5s\" }}\n"
        )
    });
    run(&format!(
        r#"
[run]
duration = "100s"
warmup = "20s"
[[group]]
name = "bootstrap"
count = 2
roles = ["bootstrap", "dht_server"]
[[group]]
name = "honest"
count = 12
[[requester]]
name = "lab"
{attackers}
[[work]]
requester = "lab"
at = "30s"
every = "5s"
count = 8
jobs = 3
{kind}
pure = {{ trust = "fixed:3" }}
[[check]]
always = "bounded_queues"
[[check]]
eventually = "every_job_agrees"
"#
    ))
}

fn verdict_ms(result: &Value, statistic: &str) -> f64 {
    result["metrics"]["latencies"]["verdict"]["quantiles"][statistic].as_f64().expect("verdicts came")
}

/// What the strangers did, as the report counts it.
fn deed(result: &Value, what: &str) -> u64 {
    result["metrics"]["byzantine"][0]["mesh"][what].as_u64().expect("a count")
}

/// Honest work beside strangers of this kind, who must have done `what`.
fn beside(byzantine: &str, what: &str) -> Value {
    beside_work(byzantine, what, "")
}

fn beside_work(byzantine: &str, what: &str, kind: &str) -> Value {
    let (calm, attacked) = (world(None, kind), world(Some(byzantine), kind));
    assert_eq!(failed(&calm), Vec::<Value>::new());
    assert_eq!(failed(&attacked), Vec::<Value>::new());
    assert!(deed(&attacked, what) > 0, "{}", attacked["metrics"]["byzantine"]);
    for statistic in ["mean", "p99"] {
        let (calm_ms, attacked_ms) = (verdict_ms(&calm, statistic), verdict_ms(&attacked, statistic));
        assert!(attacked_ms <= calm_ms * SLOWER_PERCENT / 100.0, "{statistic}: {attacked_ms} ms beside strangers, {calm_ms} ms without");
    }
    attacked
}

#[test]
fn requesters_that_force_leases_and_acknowledge_nothing_slow_nobody_down() {
    beside(r#"kind = "lying_requester", every = "5s""#, "leases");
}

#[test]
fn records_of_ground_keys_slow_nobody_down() {
    beside(r#"kind = "ground_census", keys = 5000"#, "records");
}

#[test]
fn calls_that_name_an_honest_requesters_machine_slow_nobody_down() {
    beside(r#"kind = "address_weapons", every = "3s", victims = "lab""#, "flooded");
}

#[test]
fn messages_without_a_meaning_slow_nobody_down() {
    beside(r#"kind = "nonsense", per_second = 200"#, "nonsense");
}

#[test]
fn modules_that_are_dear_to_compile_slow_nobody_down() {
    // Each honest experiment has a module of its own, which is compiled first.
    beside_work(r#"kind = "compile_hogs", every = "5s", compile = "20s""#, "modules", "compile = \"300ms\"");
}

#[test]
fn jobs_without_end_of_many_strangers_let_a_newcomers_short_ones_settle() {
    let result = run(r#"
[run]
duration = "6m"
[[group]]
name = "bootstrap"
count = 2
roles = ["bootstrap", "dht_server"]
[[group]]
name = "honest"
count = 8
[[requester]]
name = "lab"
[[requester]]
name = "endless"
keys = 6
byzantine = { kind = "endless" }
[[work]]
requester = "endless"
at = "20s"
jobs = 50
wall = "1h"
deadline = "3h"
pure = { trust = "fixed:3" }
[[work]]
requester = "lab"
at = "1m"
every = "30s"
count = 4
jobs = 2
pure = { trust = "fixed:3" }
[[check]]
eventually = "every_job_agrees"
[[check]]
eventually = "max(verdict) <= 3m"
"#);
    assert_eq!(failed(&result), Vec::<Value>::new());
    // They had the slots: without them a verdict takes a second.
    assert!(verdict_ms(&result, "mean") > 10_000.0);
}
