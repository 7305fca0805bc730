//! Clocks that step, and clocks that differ from others'.

use std::net::IpAddr;

use super::*;
use crate::address::Reach;
use crate::time::{HOUR, MINUTE};

const NOON: Time = Time(1_795_435_200_000);

fn node(number: u8) -> NodeId {
    NodeId([number; 32])
}

/// The network of an IPv4 address.
fn network(text: &str) -> Cluster {
    Cluster::of(node(0), text.parse::<IpAddr>().expect("an address"), None, Reach::Global)
}

/// Peers with a network each, which are so many milliseconds ahead.
fn witnesses(ahead: &[i64]) -> Witnesses {
    let mut witnesses = Witnesses::default();
    for (number, ms) in (1_u8..).zip(ahead) {
        witnesses.told(node(number), network(&format!("45.1.{number}.1")), NOON, Time(NOON.0.saturating_add_signed(*ms)));
    }
    witnesses
}

#[test]
fn a_shift_is_the_same_moment_by_two_clocks() {
    for (ours, theirs) in [(NOON, NOON.plus(HOUR)), (NOON.plus(HOUR), NOON), (NOON, NOON), (Time(0), NOON)] {
        let shift = Shift::between(ours, theirs);
        assert_eq!((shift.theirs(ours), shift.ours(theirs)), (theirs, ours));
    }
    let most = Shift::between(Time(0), Time(u64::MAX));
    assert_eq!((most.ms(), most.theirs(Time(u64::MAX))), (i64::MAX, Time(u64::MAX)), "it saturates");
    assert_eq!(Shift::between(Time(u64::MAX), Time(0)).ours(Time(u64::MAX)), Time(u64::MAX));
}

#[test]
fn after_an_hours_sleep_world_time_steps_by_the_hour_and_own_time_does_not() {
    let mut follow = Follow::default();
    assert_eq!(follow.look(NOON, NOON.plus(STEP_MS_MIN - 1)), None, "two readings are never of one moment");
    let awake = NOON.plus(SECOND);
    assert_eq!(follow.look(awake, awake.plus(HOUR)), Some(i64::try_from(HOUR).expect("small")));
    assert_eq!(follow.shift().theirs(awake), awake.plus(HOUR));
    assert_eq!(follow.look(awake.plus(MINUTE), awake.plus(MINUTE + HOUR)), None, "once");
}

#[test]
fn a_clock_that_is_set_back_is_followed_back() {
    let mut follow = Follow::default();
    assert_eq!(follow.look(NOON, NOON.minus(2 * HOUR)), Some(-2 * i64::try_from(HOUR).expect("small")));
    assert_eq!(follow.shift().theirs(NOON.plus(5)), NOON.minus(2 * HOUR).plus(5));
    assert_eq!(follow.look(NOON, NOON), Some(2 * i64::try_from(HOUR).expect("small")));
    assert_eq!(follow.shift(), Shift::default());
}

#[test]
fn a_clock_two_minutes_behind_is_known_from_two_networks() {
    let two = 2 * i64::try_from(MINUTE).expect("small");
    assert_eq!(witnesses(&[two, two + 40]).apart(Shift::default()), Some(Apart { ahead_ms: two, peers: 2, of: 2 }));
    assert_eq!(witnesses(&[-two, -two - 40, 3]).apart(Shift::default()), Some(Apart { ahead_ms: -two, peers: 2, of: 3 }));
    let just = i64::try_from(APART_MS_MIN).expect("small");
    assert!(witnesses(&[just, just]).apart(Shift::default()).is_some());
    assert_eq!(witnesses(&[just - 1, just - 1]).apart(Shift::default()), None, "what is forgiven is not said");
}

#[test]
fn one_machine_or_half_of_the_networks_say_nothing_of_the_clock() {
    let two = 2 * i64::try_from(MINUTE).expect("small");
    for ahead in [&[][..], &[two], &[two, 0], &[two, -two], &[two, two, 0, 0]] {
        assert_eq!(witnesses(ahead).apart(Shift::default()), None, "{ahead:?}");
    }
}

#[test]
fn many_keys_in_one_network_have_one_word() {
    let mut witnesses = witnesses(&[0, 0]);
    for number in 100..200 {
        witnesses.told(node(number), network(&format!("66.6.6.{number}")), NOON, NOON.plus(HOUR));
    }
    assert_eq!(witnesses.apart(Shift::default()), None);
    for number in 1..3 {
        witnesses.gone(&node(number));
    }
    assert_eq!(witnesses.apart(Shift::default()), None, "one network alone is anybody's word");
}

#[test]
fn a_clock_that_was_set_right_is_no_longer_apart() {
    let witnesses = witnesses(&[120_000, 120_000, 120_000]);
    assert!(witnesses.apart(Shift::default()).is_some());
    assert_eq!(witnesses.apart(Shift::between(NOON, NOON.plus(120_000))), None);
}

#[test]
fn as_many_clocks_are_remembered_as_there_is_room_for() {
    let mut witnesses = Witnesses::default();
    for number in 0..WITNESSES_MAX as u32 + 9 {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&number.to_be_bytes());
        witnesses.told(NodeId(id), network("45.1.1.1"), NOON, NOON);
    }
    assert_eq!(witnesses.told.len(), WITNESSES_MAX);
}
