//! The clock under a paused runtime, whose time a test moves; one test asks the machine's own clocks, whatever they say.

use std::time::Duration;

use super::*;

#[tokio::test(start_paused = true)]
async fn it_moves_with_the_monotonic_clock_alone() {
    let clock = Clock::at(NOON);
    let begun = clock.now();
    // However long this takes on the wall, monotonic time stands still.
    assert_eq!(clock.now(), begun);
    tokio::time::advance(Duration::from_millis(1_234)).await;
    assert_eq!(clock.now(), begun.plus(1_234));
}

#[tokio::test]
async fn it_never_runs_backwards_and_begins_at_the_walls_time() {
    let wall = || Time(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis()).expect("a time"));
    let (before, clock) = (wall(), Clock::start());
    let after = wall();
    assert!(clock.wall >= before && clock.wall <= after, "{before:?} {clock:?} {after:?}");
    let mut last = clock.now();
    assert!(last >= clock.wall);
    for _ in 0..10_000 {
        let now = clock.now();
        assert!(now >= last);
        last = now;
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_is_the_same_clock() {
    let clock = Clock::at(NOON);
    let copy = clock;
    tokio::time::advance(Duration::from_secs(7)).await;
    assert_eq!(clock.now(), copy.now());
}

#[tokio::test(start_paused = true)]
async fn an_instant_is_when_the_clock_says_its_time() {
    let clock = Clock::at(NOON);
    let time = clock.now().plus(5_000);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(clock.instant(time) - Instant::now(), Duration::from_secs(3));
    tokio::time::sleep_until(clock.instant(time)).await;
    assert_eq!(clock.now(), time);
}

#[tokio::test(start_paused = true)]
async fn the_instant_of_a_past_time_is_not_in_the_future() {
    let clock = Clock::at(NOON);
    let begun = clock.now();
    tokio::time::advance(Duration::from_secs(2)).await;
    for past in [Time(0), Time(begun.0 - 1), begun, begun.plus(1_999), clock.now()] {
        assert!(clock.instant(past) <= Instant::now(), "{past:?}");
    }
}
