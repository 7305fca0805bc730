//! The guards of a run, each broken on purpose in a process of its own.

use std::process::{Command, Output};

fn trial(what: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_station-sim")).args(["trial", what]).output().expect("the binary starts")
}

fn refused(what: &str, code: i32, sentence: &str) {
    let output = trial(what);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(text.contains(sentence), "{text}");
}

#[test]
fn a_thread_that_is_started_during_a_run_ends_it() {
    refused("thread", 3, "something tried to start a thread during a run");
}

#[test]
fn a_process_with_a_second_thread_starts_no_run() {
    refused("threads", 1, "this process has 2 threads");
}

#[test]
fn a_thread_that_has_just_ended_is_no_second_thread() {
    assert_eq!(String::from_utf8(trial("joined").stdout).expect("text"), "{Some(1)}\n");
}

#[test]
fn a_thread_whose_hash_maps_were_seeded_before_starts_no_run() {
    refused("map", 1, "hash maps were seeded by the machine, or before the run");
}

#[test]
fn a_process_runs_once() {
    refused("second", 1, "a run was started in this process already");
}

#[test]
fn a_loop_that_waits_for_the_clock_ends_the_run() {
    refused("clock", 4, "something waits for it in a loop");
}

#[test]
fn tasks_that_wake_themselves_for_ever_end_the_run() {
    refused("polls", 4, "the clock does not move; the last one was of node 7");
}

#[test]
fn a_run_sees_virtual_hours_and_seeded_draws_only() {
    let (one, two) = (trial("nothing"), trial("nothing"));
    let text = String::from_utf8(one.stdout).expect("text");
    assert!(text.starts_with("3600s 1767229200s ["), "{text}");
    assert_eq!(text, String::from_utf8(two.stdout).expect("text"), "two processes draw the same");
}
