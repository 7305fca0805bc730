//! Tests of the count and of what is taken into it.

use super::*;
use crate::identity::SigningKey;
use crate::time::{HOUR, SECOND};

const NOW: Time = Time(1_800_000_000_000);

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

fn record(number: u32, made: Time) -> Signed<PeerRecord> {
    let mut secret = [1; 32];
    secret[..4].copy_from_slice(&number.to_be_bytes());
    let key = SigningKey::from_bytes(&secret);
    key.sign(&name("test"), PeerRecord { node: key.node(), topic: name("topic"), at: List::default(), made })
}

fn census() -> Census {
    Census::new(&name("test"), &name("topic"))
}

#[test]
fn a_small_topic_is_counted_exactly_and_a_large_one_within_a_fifth() {
    let mut census = census();
    for number in 0..200 {
        census.offer(&record(number, NOW), NOW).expect("room");
    }
    assert_eq!(census.count(), 200);
    for number in 200..2_000 {
        let _ = census.offer(&record(number, NOW), NOW);
    }
    assert_eq!(census.records().count(), SAMPLE_MAX);
    assert!((1_600..2_400).contains(&census.count()), "{} counted of 2,000", census.count());
}

#[test]
fn what_is_dated_ahead_or_too_old_is_refused() {
    assert_eq!(census().offer(&record(1, NOW.plus(31 * SECOND)), NOW), Err(RecordRefused::Future));
    assert_eq!(census().offer(&record(1, NOW.minus(2 * HOUR)), NOW), Err(RecordRefused::Old));
    assert_eq!(census().offer(&record(1, NOW.plus(29 * SECOND)), NOW), Ok(()));
}

#[test]
fn a_broken_signature_or_a_foreign_author_is_refused() {
    let mut broken = record(1, NOW);
    broken.signature.0[0] ^= 1;
    assert_eq!(census().offer(&broken, NOW), Err(RecordRefused::Signature));
    let mut foreign = record(1, NOW);
    foreign.author = record(2, NOW).author;
    assert_eq!(census().offer(&foreign, NOW), Err(RecordRefused::Author));
}

#[test]
fn records_leave_after_two_hours_and_survive_midnight() {
    let mut census = census();
    census.offer(&record(1, NOW), NOW).expect("room");
    census.offer(&record(2, NOW.plus(HOUR)), NOW.plus(HOUR)).expect("room");
    census.sweep(NOW.plus(2 * HOUR));
    assert_eq!(census.count(), 1);
    let midnight = Time((NOW.day() + 1) * crate::time::DAY);
    census.offer(&record(3, midnight.minus(SECOND)), midnight.minus(SECOND)).expect("room");
    census.sweep(midnight);
    assert_eq!(census.records().count(), 1);
    assert_eq!(census.offer(&record(3, midnight.minus(SECOND)), midnight), Err(RecordRefused::Old), "known under today's hash too");
}
