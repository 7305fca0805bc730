//! What the doctor makes of what others found.

use serde_json::json;

use super::*;
use crate::cli::status::tests::status;
use crate::platform::trial::{TrialError, judged};

/// A running station whose clock stands so.
fn running(clock: Option<&str>) -> checks::Seen {
    let status = StatusBody { clock: clock.map(str::to_owned), ..status() };
    let policy = json!({ "hash": "ab", "policy": {}, "text": "", "file": { "file": "policy.toml", "in_force": true, "says": null } });
    checks::Seen::Running(Box::new((status, serde_json::from_value(policy).expect("the documented shape"))))
}

#[test]
fn a_no_op_that_does_not_complete_is_bad_whatever_the_reason() {
    for error in ["the sandbox could not start", "no memory"] {
        let found = of_trial("full", judged(Err(TrialError::Sandbox(error.to_owned()))));
        assert!(!found.good && line(&found, None).starts_with("BAD  sandbox"), "{}", line(&found, None));
        assert!([error, "this machine can run no module", "ulimit -v"].iter().all(|word| found.says.contains(word)), "{}", found.says);
    }
}

#[test]
fn a_running_stations_clock_that_differs_from_its_peers_is_bad_with_their_word() {
    let apart = "this clock is 2 min behind that of 2 peers: set it";
    let found = clock(&running(Some(apart)));
    assert_eq!((found.good, found.says.as_str()), (false, apart));
    let found = clock(&running(None));
    assert!(found.good && found.says.contains("most peers"), "{}", found.says);
    assert!(clock(&checks::Seen::Nobody).good);
}

#[test]
fn one_topic_is_one_topic() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let home = Home::new(dir.path().to_owned());
    home.init().expect("a home");
    home.write("network.toml", "name = \"lab\"\ntopics = [\"t\"]\n").expect("written");
    assert_eq!(network(&home).says, "lab with 1 topic and 0 bootstrap addresses");
}

#[test]
fn a_finding_fits_the_terminal_and_the_marks_in_it_stay_where_they_are() {
    let says = "policy.toml: the policy cannot be read: TOML parse error at line 1, column 1\n  |\n1 | [budgte]\n  |  ^^^^^^\nunknown field";
    let found = Finding { what: "policy", good: false, says: says.to_owned() };
    for width in [40, 80] {
        let text = line(&found, Some(width));
        assert!(text.lines().all(|line| line.chars().count() <= width), "{width}:\n{text}");
        let of = |part: &str| text.lines().find_map(|line| line.find(part)).unwrap_or_else(|| panic!("{part} is not in\n{text}"));
        assert_eq!(of("budgte"), of("^^^^^^"), "{text}");
    }
    let whole = Finding { what: "clock", good: true, says: "plausible ".repeat(40) };
    assert_eq!(line(&whole, None).lines().count(), 1, "what a program reads is not folded");
}

#[test]
fn a_policy_that_allows_what_is_never_contacted_is_told_with_the_target() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let home = Home::new(dir.path().to_owned());
    home.init().expect("a home");
    home.write("policy.toml", "[[allow]]\nmodule = \"primes\"\ncapability = \"http\"\ntargets = [\"a.example\", \"127.0.0.1\"]\n").expect("written");
    let found = crate::platform::home::never_contacted(&home.policy().expect("a policy"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(["primes", "127.0.0.1", "never be contacted", "loopback", "remove"].iter().all(|word| found[0].contains(word)), "{found:?}");
}
