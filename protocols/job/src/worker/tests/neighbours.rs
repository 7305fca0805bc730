//! Neighbours: anti-entropy and the count.

use std::collections::BTreeSet;

use super::*;
use crate::census::{PeerRecord, RecordTag};

fn asks(station: &Station) -> (Option<Ticket>, Option<Ticket>) {
    let find = |wanted: fn(&Request) -> bool| station.sent.iter().find(|out| wanted(&out.request)).map(|out| out.send);
    (find(|request| matches!(request, Request::Calls { .. })), find(|request| matches!(request, Request::Peers { .. })))
}

fn meet(station: &mut Station, node: u8) -> (Ticket, Ticket) {
    station.sent.clear();
    station.handle(Event::Connected { node: key(node).node(), topics: vec![name("topic")] });
    let (calls, peers) = asks(station);
    (calls.expect("asks for Calls"), peers.expect("asks for peers"))
}

/// What is asked for every few minutes once kept a station from hearing its neighbour's next experiment for two seconds.
#[test]
fn a_neighbour_that_was_asked_for_many_calls_may_forward_the_next_one_at_once() {
    let lab = Lab::new(REQUESTER, "known");
    let mut station = Station::with_leases(config(), &lab, 1, 60_000);
    station.finish();
    let (send, _) = station.deliver();
    station.answer(send, lab.holds(&[0]));
    let (calls, _) = meet(&mut station, REQUESTER);
    let old = (0..32).map(|number| {
        let log = crate::content::cid_of(crate::content::DAG_CBOR, b"log");
        Lab::new(REQUESTER, &format!("old {number}")).call_with(2, station.now, |call| call.state = CallState::Closed { log })
    });
    station.answer(calls, Response::Calls { calls: List::first(old) });
    station.hear_from(Lab::new(REQUESTER, "new").call(1, station.now), lab.key.node());
    assert_eq!(station.judged(), Admission::Accept);
}

fn record(node: u8, made: Time, ip: &str) -> Signed<PeerRecord> {
    let id = key(node).node();
    key(node).sign(&name("test"), PeerRecord { node: id, topic: name("topic"), at: List::first([address(id, ip)]), made })
}

#[test]
fn a_late_joiner_hears_an_open_call_from_its_first_connection() {
    let lab = Lab::new(REQUESTER, "joiner");
    let mut elder = Station::new(config());
    elder.hear(lab.call(3, START));
    let mut joiner = Station::new(config());
    let (send, _) = meet(&mut joiner, 50);
    joiner.sent.clear();
    let request = Request::Calls { topic: name("topic"), have: List::default() };
    elder.handle(Event::Asked { ask: Ticket(1), from: key(51).node(), request });
    let Some(Effect::Answer { response, .. }) = elder.others.pop() else { panic!("an answer") };
    joiner.answer(send, response);
    assert_eq!(joiner.claim().1.experiment, lab.id);
}

#[test]
fn an_answer_with_a_call_that_is_not_one_is_reported_and_not_kept() {
    let lab = Lab::new(REQUESTER, "false");
    let mut station = Station::new(config());
    let (send, _) = meet(&mut station, 50);
    station.sent.clear();
    let mut call = lab.call(1, START);
    call.signature.0[3] ^= 1;
    station.answer(send, Response::Calls { calls: List::first([call]) });
    assert!(station.sent.is_empty());
    assert_eq!(station.reports(), [(key(50).node(), PeerAction::Invalid)]);
}

#[test]
fn who_comes_and_goes_is_met_at_once_though_nobody_told_a_record_and_counts_when_somebody_does() {
    let mut station = Station::new(config());
    for (number, node) in (1..).zip([50, 51, 52]) {
        meet(&mut station, node);
        assert_eq!((station.worker.met(&name("topic")), station.worker.counted(&name("topic"))), (number, 1));
    }
    station.handle(Event::Disconnected { node: key(50).node() });
    assert_eq!(station.worker.met(&name("topic")), 2);
}

#[test]
fn who_is_told_nothing_by_its_neighbours_asks_again_in_half_a_minute() {
    let mut station = Station::new(config());
    let (_, peers) = meet(&mut station, 50);
    // It answered this key a moment ago, before a restart.
    station.answer(peers, Response::Unserved);
    station.sent.clear();
    station.pass(31 * SECOND);
    assert!(asks(&station).1.is_some(), "{:?}", station.sent);
}

#[test]
fn one_neighbour_is_answered_twice_in_half_a_minute_for_it_may_have_restarted() {
    let mut station = Station::new(config());
    let mut served = Vec::new();
    for _ in 0..7 {
        let request = Request::Calls { topic: name("topic"), have: List::default() };
        station.handle(Event::Asked { ask: Ticket(1), from: key(51).node(), request });
        let Some(Effect::Answer { response, .. }) = station.others.pop() else { panic!("an answer") };
        served.push(!matches!(response, Response::Unserved));
        station.pass(10 * SECOND);
    }
    assert_eq!(served, [true, true, false, true, true, false, true]);
}

#[test]
fn unserved_is_not_taken_for_nothing_and_the_same_is_asked_again_half_a_minute_later() {
    let mut station = Station::new(config());
    let (calls, peers) = meet(&mut station, 50);
    station.answer(calls, Response::Unserved);
    station.answer(peers, Response::Unserved);
    station.sent.clear();
    station.pass(30 * SECOND - 1);
    assert!(matches!(asks(&station), (None, None)));
    station.pass(1);
    assert!(matches!(asks(&station), (Some(_), Some(_))), "both questions");
}

#[test]
fn what_the_asker_has_is_not_told_again() {
    let (old, new) = (Lab::new(REQUESTER, "old"), Lab::new(REQUESTER, "new"));
    let mut station = Station::new(config());
    station.hear(old.call(2, START));
    station.hear(new.call(2, START));
    let have = List::first([(old.id, 2), (new.id, 1)]);
    station.handle(Event::Asked { ask: Ticket(1), from: key(51).node(), request: Request::Calls { topic: name("topic"), have } });
    let Some(Effect::Answer { response: Response::Calls { calls }, .. }) = station.others.pop() else { panic!("Calls") };
    assert_eq!(calls.iter().map(|call| call.body.id()).collect::<Vec<_>>(), [new.id]);
}

#[test]
fn a_random_topic_peer_is_asked_every_minute() {
    let mut station = Station::new(config());
    meet(&mut station, 50);
    station.sent.clear();
    station.pass(MINUTE - 1);
    assert_eq!(asks(&station).0, None);
    station.pass(1);
    assert!(asks(&station).0.is_some());
}

#[test]
fn the_count_grows_with_the_records_that_neighbours_tell() {
    let mut station = Station::new(config());
    let (_, send) = meet(&mut station, 50);
    station.others.clear();
    let records = [record(10, START, "192.0.2.1"), record(11, START, "192.0.3.1")];
    station.answer(send, Response::Peers { time: Time(0), records: List::first(records) });
    assert!(station.others.iter().any(|effect| matches!(effect, Effect::Counted { stations: 3, .. })), "two and itself");
}

#[test]
fn at_most_two_peers_of_one_network_and_four_of_one_answer_are_worth_a_dial() {
    let mut station = Station::new(config());
    let (_, send) = meet(&mut station, 50);
    let one_network = (10..20).map(|node| record(node, START, &format!("192.0.2.{node}")));
    station.answer(send, Response::Peers { time: Time(0), records: List::first(one_network) });
    let named = |station: &Station| {
        station.others.iter().rev().find_map(|effect| if let Effect::Neighbours { peers, .. } = effect { Some(peers.len()) } else { None })
    };
    assert_eq!(named(&station), Some(2));
    let (_, send) = meet(&mut station, 51);
    let many = (20..40).map(|node| record(node, START, &format!("198.51.{node}.1")));
    station.answer(send, Response::Peers { time: Time(0), records: List::first(many) });
    assert_eq!(named(&station), Some(4));
}

#[test]
fn its_own_record_follows_its_addresses() {
    let mut station = Station::new(config());
    let own = address(key(STATION).node(), "192.0.2.9");
    station.handle(Event::Addresses(List::first([own.clone()])));
    station.handle(Event::Asked { ask: Ticket(1), from: key(51).node(), request: Request::Peers { topic: name("topic"), have: List::default() } });
    let Some(Effect::Answer { response: Response::Peers { records, .. }, .. }) = station.others.pop() else { panic!("Peers") };
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].body.at.to_vec(), [own]);
    records[0].verify(&name("test")).expect("signed");
}

/// As many records as a sample holds, of stations whose hashes are smaller than those of `above`.
fn full_sample(above: &[NodeId]) -> Vec<Signed<PeerRecord>> {
    let hash = |node: &NodeId| crate::sampling::fraction("size", &[b"test", &[0], b"topic", &[0], &START.day().to_be_bytes(), &node.0]);
    let bound = above.iter().map(hash).min().expect("somebody");
    let keys = (0_u32..).map(|number| {
        let mut secret = [7; 32];
        secret[..4].copy_from_slice(&number.to_be_bytes());
        crate::identity::SigningKey::from_bytes(&secret)
    });
    let small = keys.filter(|key| hash(&key.node()) < bound).take(crate::census::SAMPLE_MAX).enumerate();
    let record = |(number, key): (usize, crate::identity::SigningKey)| {
        let node = key.node();
        let at = List::first([address(node, &format!("198.{}.{}.1", 18 + number / 200, number % 200))]);
        key.sign(&name("test"), PeerRecord { node, topic: name("topic"), at, made: START })
    };
    small.map(record).collect()
}

fn told(station: &mut Station, to: u8) -> Vec<NodeId> {
    station.handle(Event::Asked { ask: Ticket(1), from: key(to).node(), request: Request::Peers { topic: name("topic"), have: List::default() } });
    let Some(Effect::Answer { response: Response::Peers { records, .. }, .. }) = station.others.pop() else { panic!("Peers") };
    records.iter().map(|record| record.body.node).collect()
}

fn named(station: &Station) -> Vec<NodeId> {
    let last = station.others.iter().rev().find_map(|effect| if let Effect::Neighbours { peers, .. } = effect { Some(peers) } else { None });
    last.into_iter().flatten().map(|(node, _)| *node).collect()
}

#[test]
fn in_a_large_topic_an_answer_introduces_its_author_and_its_neighbours_while_they_are_neighbours() {
    let mut station = Station::new(config());
    let (own, neighbour) = (key(STATION).node(), key(50).node());
    let sample = full_sample(&[own, neighbour]);
    let (_, send) = meet(&mut station, 60);
    station.answer(send, Response::Peers { time: Time(0), records: List::first(sample) });
    let (_, send) = meet(&mut station, 50);
    station.answer(send, Response::Peers { time: Time(0), records: List::first([record(50, START, "192.0.2.1")]) });
    let names = told(&mut station, 70);
    assert_eq!(names.len(), crate::census::SAMPLE_MAX + 2);
    assert_eq!(names[..2], [own, neighbour]);
    assert!(!told(&mut station, 50).contains(&neighbour), "nobody is introduced to itself");
    station.handle(Event::Disconnected { node: neighbour });
    assert!(!told(&mut station, 71).contains(&neighbour));
}

#[test]
fn in_a_large_topic_the_introduced_are_worth_a_dial_before_the_sample() {
    let mut station = Station::new(config());
    let strangers: Vec<u8> = (80..84).collect();
    let above: Vec<NodeId> = strangers.iter().map(|node| key(*node).node()).collect();
    let (_, send) = meet(&mut station, 60);
    station.answer(send, Response::Peers { time: Time(0), records: List::first(full_sample(&above)) });
    let (_, send) = meet(&mut station, 61);
    let introduced = strangers.iter().map(|node| record(*node, START, &format!("203.0.{node}.1")));
    station.answer(send, Response::Peers { time: Time(0), records: List::first(introduced) });
    let mut names = named(&station);
    names.sort();
    let mut wanted = above;
    wanted.sort();
    assert_eq!(names, wanted);
}

#[test]
fn a_forged_introduction_is_reported_and_not_dialled() {
    let mut station = Station::new(config());
    let stranger = key(80).node();
    let (_, send) = meet(&mut station, 60);
    station.answer(send, Response::Peers { time: Time(0), records: List::first(full_sample(&[stranger])) });
    station.others.clear();
    let (_, send) = meet(&mut station, 61);
    let mut forged = record(80, START, "203.0.113.1");
    forged.signature.0[3] ^= 1;
    station.answer(send, Response::Peers { time: Time(0), records: List::first([forged]) });
    assert_eq!(named(&station), []);
    assert_eq!(station.reports(), [(key(61).node(), PeerAction::Invalid)]);
}

#[test]
fn a_station_that_lost_its_peers_dials_those_it_has_known_for_long() {
    let mut station = Station::new(config());
    let records = || List::first([record(10, START, "192.0.2.1")]);
    let (_, send) = meet(&mut station, 50);
    station.answer(send, Response::Peers { time: Time(0), records: records() });
    station.others.clear();
    let (_, send) = meet(&mut station, 51);
    station.answer(send, Response::Peers { time: Time(0), records: records() });
    assert_eq!(named(&station), [key(10).node()]);
}

#[test]
fn a_record_is_told_to_whom_lacks_it_and_again_when_it_was_made_anew() {
    let mut station = Station::new(config());
    let (_, send) = meet(&mut station, 50);
    let (kept, renewed) = (record(10, START, "192.0.2.1"), record(11, START, "192.0.3.1"));
    station.answer(send, Response::Peers { time: Time(0), records: List::first([kept.clone(), renewed.clone()]) });
    let ask = |station: &mut Station, from: u8, have: Vec<RecordTag>| -> BTreeSet<NodeId> {
        let request = Request::Peers { topic: name("topic"), have: List::first(have) };
        station.handle(Event::Asked { ask: Ticket(1), from: key(from).node(), request });
        let Some(Effect::Answer { response: Response::Peers { records, .. }, .. }) = station.others.pop() else { panic!("Peers") };
        records.iter().map(|record| record.body.node).collect()
    };
    let [own, kept_by, renewed_by] = [STATION, 10, 11].map(|secret| key(secret).node());
    let have = vec![RecordTag::of(&kept), RecordTag::of(&renewed)];
    assert_eq!(ask(&mut station, 51, have.clone()), BTreeSet::from([own]));
    assert_eq!(ask(&mut station, 52, Vec::new()), BTreeSet::from([own, kept_by, renewed_by]));
    let (_, send) = meet(&mut station, 53);
    let asked = station.sent.iter().find_map(|out| if let Request::Peers { have, .. } = &out.request { Some(have.len()) } else { None });
    assert_eq!(asked, Some(3), "it names what it has itself");
    station.answer(send, Response::Peers { time: Time(0), records: List::first([record(11, START.plus(1), "192.0.3.1")]) });
    assert_eq!(ask(&mut station, 54, have), BTreeSet::from([own, renewed_by]));
}

#[test]
fn a_station_that_lost_neighbours_asks_for_others_at_once_and_one_with_few_of_them_twice_a_minute() {
    let mut station = Station::new(config());
    let sends: Vec<Ticket> = (50..62).map(|node| meet(&mut station, node).1).collect();
    let others = (10..30).map(|node| record(node, START, &format!("198.51.{node}.1")));
    station.answer(sends[0], Response::Peers { time: Time(0), records: List::first(others) });
    // Once soon, for it knew none of those that it met.
    station.pass(30 * SECOND);
    let asked_after = |station: &mut Station, ms: u64| {
        station.sent.clear();
        station.pass(ms);
        // One of the sample that is no neighbour is reached every three minutes beside them.
        station.sent.retain(|out| out.at.is_empty());
        asks(station).1.is_some()
    };
    assert!(!asked_after(&mut station, 3 * MINUTE - 1) && asked_after(&mut station, 1), "twelve are enough");
    station.handle(Event::Disconnected { node: key(50).node() });
    assert!(!asked_after(&mut station, 2 * SECOND - 1) && asked_after(&mut station, 1), "eleven are few");
    assert!(!asked_after(&mut station, 30 * SECOND - 1) && asked_after(&mut station, 1), "and still are");
    meet(&mut station, 70);
    station.pass(30 * SECOND);
    assert!(!asked_after(&mut station, 3 * MINUTE - 1) && asked_after(&mut station, 1), "twelve again");
}

#[test]
fn where_all_of_a_small_topic_are_neighbours_nobody_asks_for_more() {
    let mut station = Station::new(config());
    let sends: Vec<Ticket> = (50..53).map(|node| meet(&mut station, node).1).collect();
    let all = (50..53).map(|node| record(node, START, &format!("198.51.{node}.1")));
    station.answer(sends[0], Response::Peers { time: Time(0), records: List::first(all) });
    station.pass(30 * SECOND);
    station.sent.clear();
    station.pass(3 * MINUTE);
    assert!(asks(&station).1.is_some(), "as often as ever");
    station.sent.clear();
    station.pass(3 * MINUTE - 1);
    assert_eq!(asks(&station).1, None);
}

/// What neighbours say of themselves while the sample knows nothing of them.
#[test]
fn sixteen_current_records_are_introduced_and_of_one_station_the_newest() {
    let mut station = Station::new(config());
    let ask = |station: &mut Station, from: u8| {
        station.handle(Event::Asked {
            ask: Ticket(1),
            from: key(from).node(),
            request: Request::Peers { topic: name("topic"), have: List::default() },
        });
        let Some(Effect::Answer { response: Response::Peers { records, .. }, .. }) = station.others.pop() else { panic!("no records") };
        records.into_vec()
    };
    let made = START.plus(5);
    station.worker.peers.introductions.told(record(60, made, "45.1.1.1"));
    station.worker.peers.introductions.told(record(60, START, "45.1.1.2"));
    let told = ask(&mut station, 50);
    assert_eq!(told.iter().filter(|record| record.body.node == key(60).node()).map(|record| record.body.made).collect::<Vec<_>>(), [made]);
    assert_eq!(ask(&mut station, 60).len(), told.len() - 1, "nobody is introduced to itself");
    (61..100).for_each(|number| station.worker.peers.introductions.told(record(number, START, "45.1.1.1")));
    assert_eq!(ask(&mut station, 51).len(), 16 + 1, "and its own, which is in the sample");
    station.pass(2 * HOUR + MINUTE);
    assert_eq!(ask(&mut station, 52).len(), 1, "the others are too old");
}

#[test]
fn a_neighbour_that_leaves_a_topic_and_comes_again_is_not_asked_again_before_it_connects_anew() {
    let mut station = Station::new(config());
    let toggle = |station: &mut Station| {
        for _ in 0..50 {
            station.handle(Event::Connected { node: key(50).node(), topics: vec![name("topic")] });
            station.handle(Event::Connected { node: key(50).node(), topics: Vec::new() });
        }
        station.sent.drain(..).filter(|out| out.to == key(50).node()).count()
    };
    assert_eq!(toggle(&mut station), 2, "for Calls and for peers");
    assert_eq!(toggle(&mut station), 0);
    station.handle(Event::Disconnected { node: key(50).node() });
    assert_eq!(toggle(&mut station), 2);
}
