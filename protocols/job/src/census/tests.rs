//! Tests of the count, of what is taken into it, and of how far it is believed.

use super::*;
use crate::identity::SigningKey;
use crate::time::{HOUR, SECOND};

const NOW: Time = Time(1_800_000_000_000);

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

fn key(number: u32) -> SigningKey {
    let mut secret = [1; 32];
    secret[..4].copy_from_slice(&number.to_be_bytes());
    SigningKey::from_bytes(&secret)
}

/// Of the station with that number, at an address of its own network unless another is named.
fn record_at(number: u32, made: Time, ip: Option<&str>) -> Signed<PeerRecord> {
    let key = key(number);
    let node = key.node();
    let own = format!("45.{}.{}.1", number / 256 % 256, number % 256);
    let at = Address::parse(&format!("/ip4/{}/tcp/4001/p2p/{node}", ip.unwrap_or(&own))).expect("an address");
    key.sign(&name("test"), PeerRecord { node, topic: name("topic"), at: List::first([at]), made })
}

fn record(number: u32, made: Time) -> Signed<PeerRecord> {
    record_at(number, made, None)
}

/// Of a station that has met so many others that all it is told is believed.
fn census() -> Census {
    let mut census = Census::new(&name("test"), &name("topic"), key(u32::MAX).node(), Reach::Global);
    census.prove(1_000_000);
    census
}

fn told(records: impl Iterator<Item = Signed<PeerRecord>>) -> Census {
    let mut census = census();
    for record in records {
        let _ = census.offer(&record, NOW);
    }
    census
}

#[test]
fn a_small_topic_is_counted_exactly_and_a_large_one_within_a_tenth() {
    assert_eq!(told((0..200).map(|number| record(number, NOW))).count(0), 200);
    let large = told((0..2_000).map(|number| record(number, NOW)));
    assert_eq!(large.records().count(), SAMPLE_MAX);
    assert!((1_800..2_200).contains(&large.count(0)), "{} counted of 2,000", large.count(0));
}

#[test]
fn stations_that_are_here_and_of_which_nobody_tells_do_not_count() {
    for met in [0, 1, 3, 40] {
        assert_eq!(census().count(met), 1, "keys of one network may all be here");
    }
}

#[test]
fn stations_that_share_networks_are_counted_within_a_tenth() {
    // A thousand in a hundred networks, and as many behind twenty relays among those with addresses of their own.
    let shared = |number: u32| record_at(number, NOW, Some(&format!("45.1.{}.{}", number % 100, 1 + number / 100)));
    let count = told((0..1_000).map(shared)).count(0);
    assert!((900..1_100).contains(&count), "{count} counted of 1,000");
    let behind =
        |number: u32| if number.is_multiple_of(2) { record(number, NOW) } else { record_at(number, NOW, Some(&format!("46.1.{}.1", number % 20))) };
    let count = told((0..1_000).map(behind)).count(0);
    assert!((900..1_100).contains(&count), "{count} counted of 1,000");
}

/// The smallest hashes of many keys, as whoever grinds keys has them.
fn ground(of: u32, at: impl Fn(u32) -> String) -> Vec<Signed<PeerRecord>> {
    let census = {
        let mut census = census();
        census.sweep(NOW);
        census
    };
    let mut numbers: Vec<u32> = (1_000_000..1_000_000 + of).collect();
    numbers.sort_by_key(|number| census.hash(&key(*number).node()));
    numbers.into_iter().take(SAMPLE_MAX).enumerate().map(|(place, number)| record_at(number, NOW, Some(&at(u32::try_from(place).unwrap())))).collect()
}

#[test]
fn ground_keys_of_one_network_count_as_one_station_in_a_small_topic_and_for_a_tenth_in_a_large_one() {
    let one_network = ground(4_000, |place| format!("46.1.2.{}", 1 + place % 250));
    for honest in [1, 2, 7] {
        let count = told((0..honest).map(|number| record(number, NOW)).chain(one_network.clone())).count(0);
        assert_eq!(count, u64::from(honest) + 1);
    }
    let honest = told((0..1_000).map(|number| record(number, NOW))).count(0);
    let count = told((0..1_000).map(|number| record(number, NOW)).chain(one_network)).count(0);
    assert!(count <= honest + honest / 10, "{count} counted, {honest} before");
}

#[test]
fn records_without_an_address_that_may_be_dialled_share_the_places_of_one_network() {
    let nowhere = (0..200).map(|number| record_at(number, NOW, Some(&format!("10.0.{number}.1"))));
    assert_eq!(told(nowhere).records().count(), CLUSTER_SEATS_MAX);
    let mut lan = Census::new(&name("test"), &name("topic"), key(u32::MAX).node(), Reach::Any);
    for number in 0..60 {
        lan.offer(&record_at(number, NOW, Some("127.0.0.1")), NOW).expect("room");
    }
    assert_eq!(lan.count(59), 60, "in one room each station has a place of its own");
}

#[test]
fn invented_networks_move_the_count_to_twice_what_was_proved_and_no_further() {
    let invented = ground(4_000, |place| format!("46.{}.{}.1", place / 250, place % 250));
    let mut census = Census::new(&name("test"), &name("topic"), key(u32::MAX).node(), Reach::Global);
    for record in &invented {
        let _ = census.offer(record, NOW);
    }
    assert!(census.told() > 3_000);
    assert_eq!(census.count(3), 2 * PROVED_MIN);
    census.prove(500);
    for _ in 0..1_000 {
        census.probed(false, 3);
    }
    census.probed(true, 3);
    assert_eq!(census.count(3), 1_000, "one success among failures proves nothing more");
    assert_eq!(census.count(700), 1_402, "whom it has met is there");
}

#[test]
fn a_thousand_honest_stations_are_believed_after_five_that_were_reached() {
    let mut census = Census::new(&name("test"), &name("topic"), key(u32::MAX).node(), Reach::Global);
    for number in 0..1_000 {
        let _ = census.offer(&record(number, NOW), NOW);
    }
    let told = census.told();
    let mut probes = 0;
    while let Some(at) = census.probe_at(0) {
        census.probing(at);
        // One in three is not there.
        census.probed(probes % 3 != 1, 0);
        probes += 1;
    }
    assert!(probes <= 8 && census.count(0) == told && (900..1_100).contains(&told), "{probes} probes, {told} told");
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
    assert_eq!(census.count(0), 1);
    let midnight = Time((NOW.day() + 1) * crate::time::DAY);
    census.offer(&record(3, midnight.minus(SECOND)), midnight.minus(SECOND)).expect("room");
    census.sweep(midnight);
    assert_eq!(census.records().count(), 1);
    assert_eq!(census.offer(&record(3, midnight.minus(SECOND)), midnight), Err(RecordRefused::Old), "known under today's hash too");
}

#[test]
fn a_record_of_another_topic_with_three_machines_or_an_address_of_somebody_else_is_refused() {
    let made_of = |change: &dyn Fn(&mut PeerRecord)| {
        let mut body = record(1, NOW).body;
        change(&mut body);
        key(1).sign(&name("test"), body)
    };
    let at = |numbers: &[(u32, &str)]| List::first(numbers.iter().map(|(number, ip)| record_at(*number, NOW, Some(ip)).body.at[0].clone()));
    let refused = [
        (made_of(&|body| body.topic = name("other")), RecordRefused::Topic),
        (made_of(&|body| body.at = at(&[(1, "45.1.1.1"), (1, "45.1.1.2"), (1, "45.1.1.3")])), RecordRefused::Address),
        (made_of(&|body| body.at = at(&[(1, "45.1.1.1"), (2, "45.1.1.1")])), RecordRefused::Address),
        (made_of(&|body| body.made = NOW.plus(HOUR)), RecordRefused::Future),
    ];
    for (record, why) in refused {
        // In the sample, as an introduction, and when it is told on.
        assert_eq!((census().offer(&record, NOW), census().vouch(&record, NOW)), (Err(why), Err(why)));
        assert!(!census().is_current(&record, NOW), "{why:?}");
    }
    let two = made_of(&|body| body.at = at(&[(1, "45.1.1.1"), (1, "45.1.1.2")]));
    assert!(census().offer(&two, NOW).is_ok() && census().vouch(&two, NOW).is_ok() && census().is_current(&two, NOW));
}

#[test]
fn a_record_that_was_reached_doubles_what_is_believed_and_none_that_was_not_does() {
    let mut belief = Belief::default();
    assert_eq!(belief.most(0), 2 * PROVED_MIN);
    (0..100).for_each(|_| belief.probed(false, 1_000_000, 0));
    assert_eq!(belief.most(0), 2 * PROVED_MIN);
    belief.probed(true, 1_000_000, 0);
    assert_eq!(belief.most(0), 2 * PROVED_MIN, "one of a hundred is no half");
    let mut belief = Belief::default();
    for reached in 1..5 {
        belief.probed(true, 1_000_000, 0);
        assert_eq!(belief.most(0), 2 * (PROVED_MIN << reached), "however many are told");
    }
    belief.probed(true, 300, 0);
    assert_eq!(belief.most(0), 600, "no more than are told");
}

#[test]
fn probes_that_fail_come_less_and_less_often_and_at_least_every_ten_minutes() {
    let mut belief = Belief::default();
    let mut pause_ms = |outcome: Option<bool>| {
        outcome.into_iter().for_each(|reached| belief.probed(reached, 100, 0));
        belief.probing(NOW);
        belief.probe_at().since(NOW)
    };
    assert_eq!(pause_ms(None), 5 * SECOND);
    let pauses: Vec<u64> = (0..9).map(|_| pause_ms(Some(false)) / SECOND).collect();
    assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 600, 600, 600]);
    assert_eq!(pause_ms(Some(true)), 5 * SECOND);
}

#[test]
fn the_page_says_how_far_a_count_is_believed() {
    use super::belief::{OUTCOMES, PROBE_MS};
    let page = include_str!("../../PROTOCOL.md").split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!((OTHERS_PER_SEAT, OUTCOMES, PROBE_MS.0, CLOCK_TOLERANCE_MS), (8, 16, 5 * SECOND, 30 * SECOND));
    let sentences = [
        "a network counting for an eighth of those elsewhere at most and for one at least".to_owned(),
        "every 5 s, after failures ever less often".to_owned(),
        "if half of the last sixteen did".to_owned(),
        "is refused where `made` is more than 30 s ahead".to_owned(),
        format!("*Told* is {}·2⁶⁴ ÷ the {SAMPLE_MAX}th hash", SAMPLE_MAX - 1),
    ];
    sentences.iter().for_each(|sentence| assert!(page.contains(sentence), "PROTOCOL.md lacks: {sentence}"));
}
