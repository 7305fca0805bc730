use serde_json::{Value, json};

use super::*;

const NODE: &str = "12D3KooWJ8Hq1mM3YyB3uQ3Dq1n9Yt7mQzrTqkS8n1n3KpT1fBWT";

fn row(requester: &str, module: &str) -> Value {
    json!({ "requester": requester, "module": "bafymodule", "module_name": module, "first": 1_796_000_000_000_u64, "last": 1_796_000_100_000_u64,
        "jobs": 12, "outcomes": { "completed": 10, "timed_out": 2 }, "cpu_ms": 3_210, "cpu_is_exact": false, "slot_ms": 9_000,
        "in_bytes": 1_258_291, "out_bytes": 40_960,
        "hosts": [{ "host": "dweb.link", "requests": 24, "bytes": 1_048_576, "refused": { "quota": 2 } },
            { "host": "evil\u{1b}[2J.example", "requests": 0, "bytes": 0, "refused": { "not_granted": 1 } }] })
}

/// A station at work, in every respect.
pub(in crate::cli) fn status() -> StatusBody {
    let call = |name: &str, running: usize, standing: &str| {
        json!({ "experiment": "bafyexperiment", "name": name, "requester": NODE, "topic": "ipfs-gateways", "module": "bafymodule",
            "module_name": "gateway-check", "needs": ["http dweb.link:443"], "running": running, "queued": 0, "outbox": 0, "standing": standing })
    };
    let value = json!({
        "node": NODE, "network": "my-lab", "software": "station/0.1.0", "isolation": "full", "started": 1_796_000_000_000_u64, "now": 1_796_011_520_000_u64,
        "state": { "state": "paused", "until": 1_796_015_000_000_u64, "says": "paused: nothing new is taken; it ends by itself, or with `station resume`" },
        "machine": { "memory_bytes": 39_845_888, "disk_room_bytes": 8_480_000_000_u64, "disk_max_bytes": 8_589_934_592_u64 },
        "capacity": 2, "addresses": [format!("/ip4/192.0.2.7/tcp/4710/p2p/{NODE}")], "connected": [NODE],
        "peers": [{ "node": NODE, "path": "direct", "address": "192.0.2.9", "relay": null, "on_topic": true },
            { "node": NODE, "path": "relayed", "address": "192.0.2.10", "relay": NODE, "on_topic": false }],
        "reach": { "from_others": 0, "says": "nobody has dialled this station directly: others come through a relay" },
        "bootstraps": [{ "address": "/ip4/127.0.0.1/tcp/4999", "state": "failed", "bad": true, "ago_ms": 3_000, "says": "bootstrap 127.0.0.1/4999: refused 3 s ago" }],
        "files": [{ "file": "policy.toml", "in_force": false, "says": "policy.toml cannot be used, and the policy before it stays in force: line 3" }],
        "budgets": { "budgets": [{ "what": "jobs at once", "used": 1, "max": 2 }, { "what": "memory", "used": 67_108_864, "max": 536_870_912 },
            { "what": "bytes today", "used": 1_299_251, "max": 2_147_483_648_u64 }], "hours": "22:00-06:00", "on_battery": false,
            "rules": [{ "module": "gateway-check", "requester": null, "capability": "http", "targets": ["*.ipfs.io:443", "dweb.link:443"], "per_day": 100,
                "used": [["dweb.link", 24]] }] },
        "declined": [{ "reason": "capability", "experiments": 2, "says": "gateway-check needs http to a.example:443, which the policy does not allow it",
            "command": "station allow gateway-check http a.example:443" }],
        "activity": { "now": 0, "since": 0, "spans": [{ "span": "hour", "begins": 0, "rows": [row(NODE, "gateway-check")], "declined": {} },
            { "span": "hour", "begins": 3_600_000, "rows": [row(NODE, "gateway-check")], "declined": {} }] },
        "topics": { "ipfs-gateways": 7 }, "running": 1, "outbox": 1,
        "calls": [call("two gateways", 1, "1 running, 0 queued, 0 receipts to deliver"), call("other", 0, "declined: capability"),
            call("late\u{1b}[31m", 0, "closed")],
        "own": [], "accounts": {}, "bounds": {}
    });
    serde_json::from_value(value).expect("a status")
}

#[test]
fn the_page_answers_an_operators_questions() {
    let page = render(&status(), Some(80), &Spelling::default());
    for answer in [
        "paused: nothing new is taken",
        "until 2026-11-30",
        "policy.toml cannot be used",
        "127.0.0.1/4999: refused 3 s ago",
        "up 3 h 12 min",
        "isolation full",
        "38 MiB of memory",
        "7.8 GiB of 8 GiB left",
        "gateway-check for …T1fBWT: 24 jobs (20 completed, 4 timed out)",
        "at most 6.4 s of processor",
        "2.3 MiB in and 80 KiB out",
        "dweb.link: 48 requests, 2 MiB of bodies; 4 refused (a quota was used up)",
        "1 of 2 jobs at once",
        "64 MiB of 512 MiB",
        "2 GiB",
        "hours 22:00-06:00 UTC, not on battery",
        "100 requests a day to each",
        "dweb.link: 24, 76 left",
        "2 experiments: gateway-check needs http to a.example:443",
        "→ station allow gateway-check http a.example:443",
        "1 running, 0 queued",
        "2: 1 direct, 1 relayed",
        "direct at 192.0.2.9",
        "relayed by …T1fBWT at 192.0.2.10",
        "ipfs-gateways: 7 stations",
        "1 to deliver",
    ] {
        let flat = page.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(answer), "{answer:?} is not in\n{page}");
    }
    assert!(!page.contains('\u{1b}'), "a stranger's words are text");
}

#[test]
fn it_fits_a_narrow_terminal_but_for_words_that_are_longer() {
    for width in [40, 80] {
        let page = render(&status(), Some(width), &Spelling::default());
        let has_long_word = |line: &str| line.split(' ').any(|word| word.chars().count() > width / 2);
        let wide: Vec<&str> = page.lines().filter(|line| line.chars().count() > width && !has_long_word(line)).collect();
        assert!(wide.is_empty(), "{width}: {wide:?}\n{page}");
    }
}

#[test]
fn what_is_left_out_is_where_the_page_says_it_is() {
    let mut status = status();
    let (hosts, peer, rule) = (&mut status.activity.spans[0].rows[0].hosts, status.peers[0].clone(), status.budgets.rules[0].clone());
    let first = hosts[0].clone();
    hosts.extend((0..20).map(|n| crate::api::page::HostBody { host: Some(format!("{n}.example")), ..first.clone() }));
    (status.peers, status.budgets.rules) = (vec![peer; 9], vec![rule; 9]);
    status.own = (1..=9).map(|n| format!("bafy{n}")).collect();
    let page = render(&status, Some(300), &Spelling::of("/else".to_owned()));
    let after =
        |label: &str| page.lines().skip_while(|line| !line.starts_with(label)).find(|line| line.contains(" more, see ")).expect(label).to_owned();
    assert!(after("contacted").ends_with("see `station activity --home /else` and --json"), "{page}");
    assert!(page.contains("9 experiments, see `station experiments --home /else`") && !page.contains("bafy9"), "{page}");
    for label in ["peers", "allowed"] {
        assert!(after(label).ends_with("and 1 more, see --json"), "{label}:\n{page}");
    }
}

#[test]
fn a_clock_that_differs_from_that_of_others_is_said_before_the_station_and_where_it_does_not_nothing_is() {
    let mut status = status();
    assert!(!render(&status, Some(200), &Spelling::default()).lines().any(|line| line.starts_with("clock")));
    status.clock = Some("this clock is 2 min behind that of 2 peers: set it".to_owned());
    let page = render(&status, Some(200), &Spelling::default());
    let at = |word: &str| page.lines().position(|line| line.starts_with(word)).unwrap_or_else(|| panic!("{word} is not in\n{page}"));
    assert!(at("clock") < at("station") && page.contains("2 min behind that of 2 peers"), "{page}");
}

#[test]
fn one_of_a_thing_is_no_many() {
    let mut status = status();
    (status.budgets.rules[0].per_day, status.own) = (1, vec!["bafy1".to_owned()]);
    status.topics.insert("ipfs-gateways".to_owned(), 1);
    let page = render(&status, Some(300), &Spelling::default());
    for one in ["; 1 request a day to each", "1 experiment, see `station experiments`", "ipfs-gateways: 1 station\n"] {
        assert!(page.contains(one), "{one:?} is not in\n{page}");
    }
}
