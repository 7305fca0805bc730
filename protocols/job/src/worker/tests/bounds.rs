//! Bounds of what a station remembers of others, and what it does on the word of each.

use std::collections::BTreeSet;

use super::super::gauges::works_max;
use super::super::outbox::{HISTORY_MAX, OUTBOX_STRANGERS_BYTES_MAX, RECORDED_MAX};
use super::super::work::Work;
use super::*;
use crate::accounts::Charge;
use crate::census::PeerRecord;
use crate::work::{DELIVERIES_MAX, RELAYED_BYTES_MAX};

fn gauge(station: &Station, what: &str) -> (usize, usize) {
    let found = station.worker.gauges().into_iter().find(|gauge| gauge.what == what);
    found.map(|gauge| (gauge.len, gauge.max)).expect("a gauge of that name")
}

/// A node for each number. Nobody has its key.
fn nobody(number: u32) -> NodeId {
    NodeId(crate::content::sha256(&[&number.to_be_bytes()]))
}

fn record(number: u8, ip: &str) -> Signed<PeerRecord> {
    let node = key(number).node();
    key(number).sign(&name("test"), PeerRecord { node, topic: name("topic"), at: List::first([address(node, ip)]), made: START })
}

fn meet(station: &mut Station, node: NodeId) -> (Ticket, Ticket) {
    station.sent.clear();
    station.handle(Event::Connected { node, topics: vec![name("topic")] });
    let find = |calls: bool| station.sent.iter().find(|out| matches!(out.request, Request::Calls { .. }) == calls).map(|out| out.send);
    (find(true).expect("asks for Calls"), find(false).expect("asks for peers"))
}

#[test]
fn connected_peers_and_answers_remembered_are_bounded() {
    let mut station = Station::new(config());
    for number in 0..4_200 {
        station.handle(Event::Connected { node: nobody(number), topics: vec![name("other")] });
        let request = Request::Calls { topic: name("topic"), have: List::default() };
        station.handle(Event::Asked { ask: Ticket(1), from: nobody(number), request });
    }
    assert_eq!((gauge(&station, "connected peers"), gauge(&station, "answers remembered")), ((2_048, 2_048), (4_096, 4_096)));
    assert!(station.sent.is_empty(), "nobody is asked about the topics of others");
    station.pass(MINUTE);
    assert_eq!(gauge(&station, "answers remembered").0, 0);
}

#[test]
fn questions_about_topics_of_others_are_not_served() {
    let mut station = Station::new(config());
    for request in [Request::Calls { topic: name("x"), have: List::default() }, Request::Peers { topic: name("x"), have: List::default() }] {
        station.handle(Event::Asked { ask: Ticket(1), from: key(50).node(), request });
        assert!(matches!(station.others.pop(), Some(Effect::Answer { response: Response::Unserved, .. })));
    }
    assert_eq!(gauge(&station, "answers remembered").0, 0);
}

#[test]
fn an_answer_to_another_question_or_of_another_topic_is_reported() {
    let lab = Lab::new(REQUESTER, "asked");
    let from = key(50).node();
    let answers =
        |first: bool| if first { Response::Peers { time: Time(0), records: List::default() } } else { Response::Calls { calls: List::default() } };
    for first in [true, false] {
        let mut station = Station::new(config());
        let (calls, peers) = meet(&mut station, from);
        station.answer(if first { calls } else { peers }, answers(first));
        assert_eq!(station.reports(), [(from, PeerAction::Invalid)]);
    }
    // Before it is asked whether there is room for it, which would be remembered by its topic.
    let mut station = Station::new(config());
    let (calls, _) = meet(&mut station, from);
    for number in 0..20 {
        station.hear_from(Lab::new(100 + number, "flood").call(1, station.now), from);
    }
    let mut body = experiment(REQUESTER, "elsewhere");
    body.topic = name("elsewhere");
    let elsewhere = Lab::of(body, REQUESTER);
    station.answer(calls, Response::Calls { calls: List::first([elsewhere.call(1, START), lab.call(1, START)]) });
    assert_eq!(station.reports(), [(from, PeerAction::Invalid)]);
}

fn named(station: &Station) -> Vec<(NodeId, At)> {
    let peers = |effect: &Effect| if let Effect::Neighbours { peers, .. } = effect { Some(peers.clone()) } else { None };
    station.others.iter().filter_map(peers).flatten().collect()
}

#[test]
fn peers_that_are_told_are_dialled_where_they_may_be_and_out_of_the_purse_of_who_told() {
    let mut station = Station::new(Config { reach: Reach::Global, ..config() });
    let from = key(50).node();
    let (_, peers) = meet(&mut station, from);
    station.answer(peers, Response::Peers { time: Time(0), records: List::first([record(60, "10.0.0.1")]) });
    assert!(named(&station).is_empty(), "a door in its own home");
    let mut dialled = 0;
    for round in 0..8_u8 {
        station.others.clear();
        station.handle(Event::Disconnected { node: from });
        let (_, peers) = meet(&mut station, from);
        let records = (0..8).map(|place| record(61 + 8 * round + place, &format!("45.{round}.{place}.1")));
        station.answer(peers, Response::Peers { time: Time(0), records: List::first(records) });
        dialled += named(&station).iter().map(|(_, at)| at.len()).sum::<usize>();
    }
    assert_eq!(dialled as u64, Charge::Dials.payer().burst);
    // Who has enough topic peers dials nobody.
    let mut station = Station::new(Config { reach: Reach::Global, ..config() });
    (0..12).for_each(|number| station.handle(Event::Connected { node: nobody(number), topics: vec![name("topic")] }));
    let (_, peers) = meet(&mut station, from);
    station.answer(peers, Response::Peers { time: Time(0), records: List::first([record(60, "45.1.1.1")]) });
    assert!(named(&station).is_empty());
}

#[test]
fn its_own_record_names_only_its_own_addresses() {
    let mut station = Station::new(config());
    let at = [STATION, 77].map(|number| address(key(number).node(), "45.1.1.1"));
    station.handle(Event::Addresses(List::first(at.clone())));
    station.handle(Event::Asked { ask: Ticket(1), from: key(50).node(), request: Request::Peers { topic: name("topic"), have: List::default() } });
    let Some(Effect::Answer { response: Response::Peers { records, .. }, .. }) = station.others.pop() else { panic!("no records") };
    assert_eq!(records[0].body.at.to_vec(), at[..1]);
}

#[test]
fn experiments_of_others_are_bounded() {
    let lab = Lab::new(REQUESTER, "many");
    let mut station = Station::new(config());
    let most = works_max(1);
    for number in 0..most as u64 + 5 {
        let id = cid_of(crate::content::RAW, &number.to_be_bytes());
        station.worker.works.insert(id, Work::new(lab.call(1, START), false, START));
    }
    station.handle(Event::Tick);
    assert_eq!(station.worker.works.len(), most);
    station.pass(MINUTE);
    assert_eq!(station.worker.works.len(), 0, "of those nothing is wanted");
}

#[test]
fn of_experiments_that_ended_so_many_are_remembered_and_those_of_strangers_go_first() {
    let friend = Lab::new(REQUESTER, "friend");
    let mut station = Station::with_more_leases(config(), &friend, 1, HOUR);
    let strange = Lab::new(70, "stranger");
    for number in 0..RECORDED_MAX as u64 + 5 {
        let id = cid_of(crate::content::RAW, &number.to_be_bytes());
        // The friend's end first.
        let call = if number < 5 { friend.call(1, START) } else { strange.call_with(1, START, |call| call.claim_below = number) };
        let mut work = Work::new(call, false, START);
        work.recorded = true;
        station.worker.works.insert(id, work);
    }
    station.pass(30 * SECOND);
    let kept = |of: &Lab| station.worker.works.values().filter(|work| work.recorded && !work.heard && work.requester() == of.key.node()).count();
    assert_eq!((kept(&friend), kept(&strange)), (5, RECORDED_MAX - 5));
}

#[test]
fn known_requesters_are_bounded() {
    let held = BTreeMap::from([("held", 1_u64)]);
    let key_of = |number: u32| Key([&b"p"[..], &nobody(number).0].concat());
    let disk: BTreeMap<Key, Vec<u8>> = (0..HISTORY_MAX as u32).map(|number| (key_of(number), crate::codec::encode(&held))).collect();
    let mut station = Station::restored(config(), disk, START);
    let lab = Lab::new(REQUESTER, "one more");
    station.hear(lab.call(1, START));
    let (send, _) = station.claim();
    station.answer(send, lab.leases(0, 1, HOUR));
    station.fetched();
    station.finish();
    let (send, _) = station.deliver();
    station.answer(send, lab.holds(&[0]));
    assert_eq!(gauge(&station, "known requesters"), (HISTORY_MAX, HISTORY_MAX));
    assert!(station.worker.is_known(&lab.key.node()));
    assert_eq!(station.disk.keys().filter(|key| key.0[0] == b'p').count(), HISTORY_MAX);
}

#[test]
fn what_strangers_could_make_this_station_keep_is_counted_with_the_most_that_it_may_be() {
    let mut station = Station::new(Config { capacity: 600, ..config() });
    let labs: Vec<Lab> = (0..24)
        .map(|number| {
            let mut body = experiment(100 + number, "large");
            body.limits.output_bytes = 1 << 20;
            Lab::of(body, 100 + number)
        })
        .collect();
    // All are asked before any answers.
    for (number, lab) in (0..).zip(&labs) {
        station.hear_from(lab.call_with(1, station.now, |call| call.at = List::default()), key(200 + number % 40).node());
        station.pass(2 * SECOND);
    }
    let mut answered = BTreeSet::new();
    while let Some(out) = station.sent.pop_front() {
        if let Some(lab) = labs.iter().find(|lab| lab.key.node() == out.to).filter(|_| answered.insert(out.to)) {
            station.answer(out.send, lab.leases(0, 32, HOUR));
        }
    }
    assert_eq!(answered.len(), labs.len());
    let leases: usize = station.worker.works.values().map(|work| work.leases.len()).sum();
    assert_eq!(leases as u64, OUTBOX_STRANGERS_BYTES_MAX >> 20);
}

#[test]
fn large_deliveries_are_sent_once_and_over_a_relay_they_are_small() {
    let lab = Lab::new(REQUESTER, "large");
    for relayed in [false, true] {
        let mut station = Station::new(config());
        let node = lab.key.node();
        let way = if relayed { format!("/p2p/{}/p2p-circuit", key(90).node()) } else { String::new() };
        let at = Address::parse(&format!("/ip4/45.1.1.1/tcp/4001{way}/p2p/{node}")).expect("an address");
        station.hear(lab.call_with(1, START, |call| call.at = List::first([at])));
        let (send, _) = station.claim();
        station.answer(send, lab.leases(0, 2, HOUR));
        station.fetched();
        station.finish_with(vec![1; 40_000]);
        let (send, _) = station.deliver();
        station.finish_with(vec![2; 40_000]);
        station.answer(send, lab.ack_with(|ack| ack.again_ms = 50));
        let (send, _) = station.deliver();
        station.answer(send, lab.ack_with(|ack| ack.again_ms = 50));
        station.pass(50);
        let deliver = station.sent.pop_front().expect("again").request;
        let bytes = crate::codec::encode(&deliver).len();
        assert_eq!(bytes <= RELAYED_BYTES_MAX, relayed, "{bytes}");
        station.pass(3 * SECOND);
        assert_eq!(station.sent.len(), usize::from(relayed), "a second copy of what is small");
    }
}

#[test]
fn of_more_receipts_than_a_delivery_holds_the_rest_is_in_the_next() {
    let lab = Lab::new(REQUESTER, "many");
    let mut station = Station::with_leases(Config { capacity: 100, ..config() }, &lab, 1, HOUR);
    station.finish();
    let (send, _) = station.deliver();
    station.answer(send, lab.holds(&[0]));
    for round in 0..3 {
        station.pass(SECOND);
        let (send, _) = station.claim();
        station.answer(send, lab.leases(1 + 32 * round, 32, HOUR));
    }
    while !station.started.is_empty() {
        station.finish();
    }
    let mut delivered = Vec::new();
    while let Some(out) = station.sent.pop_front() {
        let Request::Deliver(deliver) = out.request else { panic!("no delivery") };
        delivered.push(deliver.receipts.len());
        station.answer(out.send, lab.ack_with(|ack| ack.again_ms = 60_000));
    }
    assert!(delivered.iter().all(|count| *count <= DELIVERIES_MAX), "{delivered:?}");
    assert_eq!(delivered.iter().sum::<usize>(), 96, "each once in this minute: {delivered:?}");
}

#[test]
fn one_question_is_open_per_requester_however_many_experiments_it_has() {
    let labs = [Lab::new(REQUESTER, "one"), Lab::new(REQUESTER, "two")];
    let mut station = Station::new(config());
    for lab in &labs {
        station.hear(lab.call(1, START));
        let (send, _) = station.claim();
        station.answer(send, Response::Wait { ms: 1_000 });
    }
    station.pass(1_000);
    assert_eq!(station.sent.len(), 1);
    // A decline is a question too.
    let mut telling = config();
    telling.profiles = vec![name("another")];
    telling.policy.network.tell_why = true;
    let mut station = Station::new(telling);
    labs.iter().for_each(|lab| station.hear(lab.call(1, START)));
    assert_eq!(station.sent.len(), 1);
}

#[test]
fn a_call_that_made_room_takes_its_experiment_with_it() {
    let mut station = Station::new(config());
    let lab = |number: u8| Lab::new(REQUESTER, &format!("experiment {number}"));
    for number in 0..4 {
        station.hear(lab(number).call(1, station.now));
        station.pass(2 * SECOND);
    }
    station.hear(lab(0).call_with(2, station.now, |call| call.state = CallState::Closed { log: Content::raw(b"log").cid }));
    assert!(station.worker.standing(&lab(0).id).is_some());
    station.hear(lab(4).call(1, station.now));
    assert!(station.worker.standing(&lab(4).id).is_some() && station.worker.standing(&lab(0).id).is_none());
}

#[test]
fn an_older_call_does_not_replace_the_one_that_is_recorded() {
    let lab = Lab::new(REQUESTER, "older");
    let mut station = Station::with_leases(config(), &lab, 1, HOUR);
    station.finish();
    station.hear(lab.call(5, station.now));
    let mut station = Station::restored(config(), station.disk, station.now);
    station.hear(lab.call(3, station.now));
    assert_eq!(station.worker.works[&lab.id].call.body.seq, 5);
}

#[test]
fn a_new_call_ends_the_rest_of_a_known_requesters_addresses_and_not_of_a_strangers() {
    let (friend, strange) = (Lab::new(REQUESTER, "friend"), Lab::new(70, "stranger"));
    let mut station = Station::with_more_leases(config(), &friend, 1, HOUR);
    station.hear(strange.call_with(1, station.now, |call| call.at = List::first([address(strange.key.node(), "45.1.1.1")])));
    let mut failed = 0;
    while failed < 6 {
        while let Some(out) = station.sent.pop_front() {
            failed += usize::from(out.to == friend.key.node());
            station.fail(out.send, SendFailure::Unreachable);
        }
        station.pass(SECOND);
        if gauge(&station, "muted addresses").0 == 2 {
            break;
        }
    }
    assert_eq!(gauge(&station, "muted addresses").0, 2);
    station.sent.clear();
    station.hear(strange.call_with(2, station.now, |call| call.at = List::first([address(strange.key.node(), "45.1.1.1")])));
    station.hear(friend.call(2, station.now));
    station.pass(5 * SECOND);
    assert!(station.sent.iter().all(|out| out.to == friend.key.node()) && !station.sent.is_empty());
    station.pass(20 * MINUTE);
    assert_eq!(gauge(&station, "muted addresses").0, 0, "what is over is forgotten");
}

#[test]
fn who_works_for_a_stranger_does_not_mute_it_for_one_lost_question() {
    let lab = Lab::new(REQUESTER, "at work");
    let mut station = Station::with_leases(config(), &lab, 1, HOUR);
    station.finish();
    let (send, _) = station.deliver();
    station.fail(send, SendFailure::Unreachable);
    assert_eq!(gauge(&station, "muted addresses").0, 0);
}

#[test]
fn of_a_large_sample_sixteen_or_so_tell_why_they_decline() {
    let mut declines = 0;
    let mut telling = Config { reach: Reach::Global, ..config() };
    telling.profiles = vec![name("another")];
    telling.policy.network.tell_why = true;
    let mut station = Station::new(telling);
    let (_, peers) = meet(&mut station, key(50).node());
    let records = (0..250_u8).map(|number| record(number, &format!("45.{number}.1.1")));
    station.answer(peers, Response::Peers { time: Time(0), records: List::first(records) });
    station.worker.census.get_mut(&name("topic")).expect("its topic").prove(1_000);
    for number in 0..20_u8 {
        station.pass(2 * SECOND);
        station.sent.clear();
        let lab = Lab::new(100 + number, "declined");
        let at = List::first([address(lab.key.node(), &format!("46.{number}.1.1"))]);
        station.hear_from(lab.call_with(1, station.now, |call| call.at = at), key(200 + number).node());
        declines += station.sent.iter().filter(|out| matches!(out.request, Request::Decline(_))).count();
    }
    assert!(declines <= 6, "{declines} of 20, where a sixteenth is asked for");
}

#[test]
fn no_receipt_takes_more_memory_than_its_bound_with_all_that_stands_beside_it() {
    let mut largest = 0;
    for kib in 40..64 {
        let lab = Lab::new(REQUESTER, "large");
        let mut station = Station::with_leases(config(), &lab, 1, HOUR);
        let (execution, _) = station.started.pop_front().expect("an execution");
        let (output, log) = (vec![0xff; kib << 10], vec![b'x'; 8 << 10]);
        let report = Report { outcome: Outcome::Completed, output, transcript: Vec::new(), log, fuel: u64::MAX, duration_ms: u64::MAX };
        station.handle(Event::Finished { execution, report: Ok(report) });
        let (_, deliver) = station.deliver();
        largest = largest.max(crate::codec::encode(&deliver.receipts[0]).len());
    }
    let most = crate::worker::RECEIPT_KEPT_BYTES_MAX;
    assert!(largest <= most && largest > most - (2 << 10), "{largest} of {most}");
}
