//! The list as a person reads it.

use super::*;

fn body(name: &str, id: &str, published: u64, closed: bool) -> ExperimentBody {
    serde_json::from_value(serde_json::json!({
        "experiment": id, "name": name, "topic": "t", "published": published, "jobs": 2, "settled": 1, "held": 1, "outstanding": 3,
        "closed": closed, "deadline": 0, "log": null, "wanted": 1, "stations": 1, "connected": 0, "sampled": 0, "claimants": 0, "full": 0, "resting": 0,
        "needs": [], "labels": [], "refusals": {}, "declines": {}, "failures": {}, "advice": []
    }))
    .expect("the documented shape")
}

#[test]
fn the_list_names_each_by_place_short_id_age_name_and_state() {
    let own = [
        body("primes", "bafyreiaabbzzqrjq3yzb3mh3hj4w2hnmrz6e4xpfsmpqoxe5fc5mxr2yhe", 900_000, false),
        body("\x1b[2Jover\nall, and a name that is too long", "bafyreihq3yzb3mh3hj4w2hnmrz6e4xpfsmpqoxe5fc5mxr2yheaaccyyqr", 0, true),
    ];
    let text = table(&own, 1_020_000, true, None);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "a stranger's name makes no line of its own: {text}");
    assert!(lines[1].starts_with("@1  aabbzzqr  2 min   primes "), "{text}");
    assert!(lines[1].ends_with("open: 1 of 2 jobs settled, 3 running"), "{text}");
    assert!(lines[2].starts_with("@2  hq3yzb3m  17 min  \\u{1b}[2Jover\\nall") && lines[2].ends_with("closed: 1 of 2 jobs settled"), "{text}");
    assert!(table(&own, 1_020_000, false, None).contains("carried by nobody"));
    assert_eq!(table(&[], 0, true, Some(40)), "");
}

#[test]
fn the_list_fits_a_narrow_terminal_with_nothing_left_out() {
    let own = [body("primes below three million, twice", "bafyreiaabbzzqrjq3yzb3mh3hj4w2hnmrz6e4xpfsmpqoxe5fc5mxr2yhe", 900_000, false)];
    for width in [40, 80] {
        let text = table(&own, 1_020_000, false, Some(width));
        assert!(text.lines().all(|line| line.chars().count() <= width), "{width}:\n{text}");
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in ["@1 aabbzzqr 2 min", "primes below three", "open, carried by nobody: 1 of 2 jobs settled"] {
            assert!(flat.contains(part), "{part} is not in\n{text}");
        }
    }
}
