//! What is said of modules and machines, without a sandbox.

use super::*;

fn bundled(name: &str) -> &'static [u8] {
    BUNDLED.iter().find(|module| module.name == name).expect("bundled").bytes
}

#[test]
fn a_module_that_measures_is_told_from_one_that_can_be_pure_by_its_imports() {
    let seen = |name| station_sandbox::look(bundled(name)).expect("it runs on this profile");
    let of = |name| asks(&seen(name).imports);
    assert_eq!(of("gateway-check"), ["http.fetch", "progress"]);
    assert_eq!(of("primes"), ["progress"]);
    assert!(of("noop").is_empty(), "{:?}", of("noop"));
    assert!(seen("primes").memory_bytes >= 64 << 10);
    assert!(station_sandbox::look(b"\0asm").is_err());
}

#[test]
fn a_machine_on_which_the_no_op_does_not_complete_runs_nothing_and_says_what_to_look_at() {
    let ended = |outcome| {
        let done = Done { outcome, output: vec![0xa0], log: Vec::new(), fuel: 1 };
        judged(Ok(Trial::of(done, OutputForm::DagCbor, Limits::default(), 1)))
    };
    assert!(ended(Outcome::Completed).is_ok());
    for (judged, says) in [(ended(Outcome::Killed), "a no-op ended as killed"), (judged(Err(TrialError::Sandbox("no fork".into()))), "no fork")] {
        let why = judged.expect_err("it runs nothing");
        assert!([says, "ulimit -v", "station doctor"].iter().all(|word| why.contains(word)), "{why}");
    }
}

#[test]
fn what_was_asked_for_is_named_as_a_grant_would_each_once() {
    let mut ungranted = Vec::new();
    for url in ["https://DWEB.link/ipfs/x", "https://dweb.link/other", "http://[2001:db8::1]:8080/", "no url", "ftp://a.example/"] {
        note_ungranted(&mut ungranted, url);
    }
    assert_eq!(ungranted, ["dweb.link:443", "[2001:db8::1]:8080"]);
    for host in 0..9 {
        note_ungranted(&mut ungranted, &format!("https://{host}.example/"));
    }
    assert_eq!(ungranted.len(), UNGRANTED_MAX);
}
