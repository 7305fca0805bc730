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
        assert!(!found.good && line(&found).starts_with("BAD  sandbox"), "{}", line(&found));
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
