//! In a test harness the binary's functions are not linked and there are many threads, so every check must fail here. That each
//! passes where they are linked is what the tests of the binary show.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

/// A clock that moves each time it is read.
fn moving_ns() -> u64 {
    static NOW: AtomicU64 = AtomicU64::new(1);
    NOW.fetch_add(1, Ordering::Relaxed)
}

#[test]
fn a_clock_that_moves_is_refused() {
    clock::freeze();
    assert_eq!(clock_stands(moving_ns), Err(Dead::Clock));
    clock::release();
}

#[test]
fn entropy_of_the_machine_is_refused() {
    entropy::seed(1);
    assert_eq!(entropy_is_seeded(), Err(Dead::GetRandom));
    entropy::release();
}

#[test]
fn hash_maps_that_the_machine_seeded_are_refused() {
    entropy::seed(1);
    assert_eq!(hash_maps(), Err(Dead::RandomState));
    entropy::release();
}

#[test]
fn anything_but_one_thread_is_refused() {
    assert_eq!(one_thread(Some(1)), Ok(()));
    assert_eq!(one_thread(Some(2)), Err(Dead::Threads(2)));
    assert_eq!(one_thread(None), Err(Dead::Unknown));
}

#[test]
fn a_run_does_not_start_where_the_binary_replaces_nothing() {
    let machine = Machine { monotonic_ns: moving_ns, processor_ns: || 0, resident_bytes: || 0 };
    let refused = super::super::start(1, machine).expect_err("nothing is replaced in a test harness");
    assert!(matches!(refused, super::super::Refusal::Canary(_)), "{refused}");
    assert!(!super::super::is_active(), "a refused run leaves the thread as it was");
    assert_eq!(super::super::start(1, machine).expect_err("one run per process"), super::super::Refusal::SecondRun);
}
