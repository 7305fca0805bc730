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
async fn a_clone_is_the_same_clock() {
    let clock = Clock::at(NOON);
    let copy = clock.clone();
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

thread_local! {
    /// What the machine of the tests below says.
    static MACHINE: std::cell::Cell<Time> = const { std::cell::Cell::new(NOON) };
}

#[tokio::test(start_paused = true)]
async fn after_a_sleep_the_worlds_time_is_the_machines_and_own_time_ran_on() {
    let clock = Clock { machine: Some(|| MACHINE.get()), ..Clock::at(NOON) };
    let clone = clock.clone();
    assert_eq!(clock.look(), None, "they agree");
    // An hour of sleep: the wall went on, monotonic time stood still.
    MACHINE.set(NOON.plus(station_protocol::time::HOUR));
    let waited_for = clock.instant(NOON.plus(5_000));
    assert_eq!(clock.world(), NOON, "nobody looked yet");
    assert_eq!(clock.look(), Some(3_600_000));
    assert_eq!((clock.world(), clone.world(), clock.now()), (MACHINE.get(), MACHINE.get(), NOON));
    assert_eq!(clock.instant(NOON.plus(5_000)), waited_for, "what is waited for stays as far away");
    MACHINE.set(NOON.minus(60_000));
    assert_eq!(clock.look(), Some(-3_660_000), "and back");
    assert_eq!((clock.world(), clock.now()), (NOON.minus(60_000), NOON));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_handed_in_follows_nobody() {
    let clock = Clock::at(NOON);
    tokio::time::advance(Duration::from_secs(90)).await;
    assert_eq!((clock.look(), clock.world()), (None, NOON.plus(90_000)));
}

#[test]
fn a_difference_is_said_with_its_size_its_side_and_who_says_so() {
    let apart = |ahead_ms, peers, of| said(&Apart { ahead_ms, peers, of });
    let behind = apart(120_400, 2, 2);
    assert!(behind.starts_with("this clock is 2 min behind that of 2 peers: "), "{behind}");
    let ahead = apart(-125_000, 2, 3);
    assert!(ahead.starts_with("this clock is 2 min ahead of that of 2 of 3 peers: "), "{ahead}");
    assert!(apart(20_000, 5, 5).starts_with("this clock is 20 s behind"));
    assert!(apart(7_205_000, 5, 5).starts_with("this clock is 2 h behind"));
    assert!(apart(-2_592_000_000, 5, 5).starts_with("this clock is 30 d ahead"));
}
