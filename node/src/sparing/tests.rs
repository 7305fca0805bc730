//! What may be said, second by second.

use super::*;

fn times<K>(said: Option<LeftOut<K>>) -> Option<u64> {
    said.map(|said| said.times)
}

fn at(start: Instant, ms: u64) -> Instant {
    start + Duration::from_millis(ms)
}

#[test]
fn about_one_thing_one_word_a_second_is_said_and_the_rest_is_counted() {
    let (mut sparing, start) = (Sparing::default(), Instant::now());
    assert_eq!(times(sparing.say("a", start)), Some(0));
    for ms in 1..1_000 {
        assert_eq!(times(sparing.say("a", at(start, ms))), None, "{ms}");
    }
    assert_eq!(times(sparing.say("b", at(start, 500))), Some(0), "another thing has its own second");
    assert_eq!(times(sparing.say("a", at(start, 1_000))), Some(999));
    assert_eq!(times(sparing.say("a", at(start, 1_001))), None);
    assert_eq!(times(sparing.say("a", at(start, 9_000))), Some(1));
}

#[test]
fn what_was_left_out_is_owed_once_and_takes_the_second_it_is_told_in() {
    let (mut sparing, start) = (Sparing::default(), Instant::now());
    for ms in [0, 1, 2] {
        sparing.say("a", at(start, ms));
    }
    assert!(sparing.owed(16, at(start, 999)).is_empty(), "it may be said with the next word");
    assert!(sparing.owed(0, at(start, 1_000)).is_empty());
    assert_eq!(sparing.owed(16, at(start, 1_000)), [LeftOut { about: Some("a"), times: 2 }]);
    assert!(sparing.owed(16, at(start, 5_000)).is_empty());
    assert_eq!(times(sparing.say("a", at(start, 1_500))), None, "telling what was left out is a word about it");
    assert_eq!(times(sparing.say("a", at(start, 2_500))), Some(1));
}

#[test]
fn any_number_of_things_takes_bounded_memory_and_those_without_a_place_share_one() {
    let (mut sparing, start) = (Sparing::default(), Instant::now());
    let said = (0..100_000).filter(|thing| sparing.say(*thing, start).is_some()).count();
    assert_eq!(said, THINGS_MAX + 1);
    assert_eq!(sparing.things.len(), THINGS_MAX);
    assert_eq!(times(sparing.say(100_000, at(start, 1_000))), Some(0), "those of whom nothing is owed make room");
}

#[test]
fn what_those_without_a_place_were_denied_is_told_as_others_and_not_as_the_last_of_them() {
    let (mut sparing, start) = (Sparing::default(), Instant::now());
    for thing in 0..THINGS_MAX {
        // Each is owed something, so that none makes room.
        assert!(sparing.say(thing, start).is_some() && sparing.say(thing, start).is_none());
    }
    assert_eq!(sparing.say(9_001, start), Some(LeftOut { about: None, times: 0 }));
    assert!(sparing.say(9_002, start).is_none() && sparing.say(9_003, start).is_none());
    assert_eq!(sparing.say(9_004, at(start, 1_000)), Some(LeftOut { about: None, times: 2 }));
    assert!(sparing.say(9_005, at(start, 1_001)).is_none());
    let owed = sparing.owed(usize::MAX, at(start, 2_000));
    assert_eq!(owed.len(), THINGS_MAX + 1);
    assert_eq!(owed.last(), Some(&LeftOut { about: None, times: 1 }), "nobody new has to come for it to be told");
    assert!(sparing.owed(usize::MAX, at(start, 9_000)).is_empty(), "once");
}
