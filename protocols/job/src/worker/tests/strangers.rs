//! What strangers may cost: leases that nobody asked for, deadlines without end, doors that others are sent to knock at, and a count
//! that anybody can inflate.

use std::collections::BTreeSet;

use super::super::outbox::{OUTBOX_MAX, OUTBOX_STRANGERS_MAX, OUTBOX_UNKNOWN_MAX};
use super::*;
use crate::accounts::{Charge, Share};
use crate::census::{PROVED_MIN, PeerRecord};
use crate::time::DAY;

pub(super) fn work_of(request: &Request) -> Option<(ExperimentId, u32, bool)> {
    match request {
        Request::Claim(claim) => Some((claim.experiment, claim.free, false)),
        Request::Deliver(deliver) => Some((deliver.experiment, deliver.free, true)),
        _ => None,
    }
}

impl Station {
    /// Lets everything run that may.
    fn finish_all(&mut self) {
        while !self.fetches.is_empty() {
            self.fetched();
        }
        while !self.started.is_empty() {
            self.finish();
        }
    }

    /// `lab` gives as many leases as it is asked for and never holds a receipt, until it is asked for no more. Nobody else answers.
    fn fill(&mut self, lab: &Lab) {
        self.hear(lab.call_with(1, self.now, |call| call.at = List::default()));
        let mut next = 0;
        for _ in 0..40 {
            self.finish_all();
            let Some(out) = self.sent.pop_front() else {
                self.pass(SECOND);
                continue;
            };
            let Some((id, free, delivers)) = work_of(&out.request).filter(|(id, ..)| *id == lab.id) else {
                self.fail(out.send, SendFailure::NoAnswer);
                continue;
            };
            assert_eq!(id, lab.id);
            if free == 0 {
                self.fail(out.send, SendFailure::NoAnswer);
                return;
            }
            let count = u64::from(free.min(32));
            let answer = if delivers { lab.ack_with(|ack| ack.leases = Some(lab.batch(next, count, HOUR))) } else { lab.leases(next, count, HOUR) };
            next += count;
            self.answer(out.send, answer);
        }
    }

    /// The addresses of everything that was sent, of two copies once. Nobody is there.
    fn dialled(&mut self) -> BTreeSet<Address> {
        let sent: Vec<Out> = self.sent.drain(..).collect();
        let at = sent.iter().flat_map(|out| out.at.to_vec()).collect();
        for out in sent {
            self.fail(out.send, SendFailure::Unreachable);
        }
        at
    }
}

#[test]
fn more_leases_than_were_asked_for_are_none() {
    let lab = Lab::new(REQUESTER, "over-lease");
    let mut station = Station::new(config());
    station.hear(lab.call(1, START));
    let (send, claim) = station.claim();
    station.answer(send, lab.leases(0, u64::from(claim.free) + 1, HOUR));
    assert!(station.fetches.is_empty() && station.worker.works[&lab.id].leases.is_empty());
    assert_eq!(station.reports(), [(lab.key.node(), PeerAction::Invalid)]);
}

#[test]
fn leases_pushed_in_every_ack_leave_a_stranger_its_sixty_four_receipts() {
    let lab = Lab::new(REQUESTER, "pushed");
    let mut station = Station::with_leases(config(), &lab, 2, HOUR);
    for round in 0..300_u64 {
        station.finish_all();
        while let Some(out) = station.sent.pop_front() {
            let (_, free, _) = work_of(&out.request).expect("nobody else is here");
            // By turns what was asked for, and everything there is room for in a message.
            let count = if round.is_multiple_of(2) { u64::from(free.min(32)) } else { 32 };
            station.answer(out.send, lab.ack_with(|ack| ack.leases = (count > 0).then(|| lab.batch(2 + 32 * round, count, HOUR))));
        }
        station.pass(SECOND);
        let kept = station.worker.outbox_len() + station.worker.works[&lab.id].leases.len();
        assert!(kept <= OUTBOX_UNKNOWN_MAX, "{kept}");
    }
    assert_eq!(station.worker.outbox_len(), OUTBOX_UNKNOWN_MAX);
}

#[test]
fn strangers_together_fill_half_of_the_outbox_and_shut_out_neither_a_newcomer_nor_who_is_known() {
    let friend = Lab::new(REQUESTER, "friend");
    let mut station = Station::with_more_leases(config(), &friend, 32, HOUR);
    // More than any stranger has.
    for round in 1..4_u64 {
        station.finish_all();
        while let Some(out) = station.sent.pop_front() {
            let leases = (round < 3).then(|| friend.batch(1 + 32 * round, 32, HOUR));
            let leases = leases.filter(|_| work_of(&out.request).is_some_and(|(_, free, delivers)| delivers && free >= 32));
            station.answer(out.send, friend.ack_with(|ack| (ack.again_ms, ack.leases) = (60_000, leases)));
        }
    }
    let of_friend = station.worker.works[&friend.id].outbox.len();
    assert!(of_friend > OUTBOX_UNKNOWN_MAX, "{of_friend}");
    for stranger in 10..46 {
        station.pass(2 * SECOND);
        station.fill(&Lab::new(stranger, "stranger"));
        let strange = station.worker.outbox_len() - station.worker.works[&friend.id].outbox.len();
        assert!(strange <= OUTBOX_STRANGERS_MAX, "{strange}");
    }
    assert!(station.worker.outbox_len() - of_friend + 64 > OUTBOX_STRANGERS_MAX, "they tried");
    let newcomer = Lab::new(99, "newcomer");
    station.pass(2 * SECOND);
    station.fill(&newcomer);
    assert!(station.worker.works[&newcomer.id].outbox.len() > 40, "those with more made room");
    assert!(station.worker.outbox_len() <= OUTBOX_STRANGERS_MAX + of_friend);
    assert_eq!(station.worker.works[&friend.id].outbox.len(), of_friend, "and not who is known");
    let strange = station.worker.works.iter().filter(|(id, _)| **id != friend.id).map(|(_, work)| work.outbox.len());
    assert!(strange.clone().all(|kept| kept > 40), "{:?}", strange.collect::<Vec<_>>());
    assert_eq!(station.worker.room(&station.worker.works[&friend.id]), OUTBOX_MAX / 4 - of_friend);
}

#[test]
fn receipts_of_records_with_a_deadline_without_end_end_with_the_longest_deadline_there_is() {
    let mut body = experiment(REQUESTER, "for ever");
    body.deadline = Time(u64::MAX);
    let lab = Lab::of(body, REQUESTER);
    // The machine takes what the border let through, as an older version's did.
    let mut station = Station::with_leases(config(), &lab, 1, 60_000);
    station.finish();
    for (days, left) in [(31 + 6, 1), (31 + 8, 0)] {
        let mut station = Station::restored(config(), station.disk.clone(), START.plus(days * DAY));
        station.pass(MINUTE);
        assert_eq!(station.worker.outbox_len(), left, "after {days} days");
    }
}

#[test]
fn what_is_given_back_ends_after_five_failures_and_nothing_is_left_a_minute_after_the_deadline() {
    let lab = Lab::new(REQUESTER, "returned");
    let mut station = Station::with_leases(config(), &lab, 1, 5_000);
    station.pass(5_000);
    station.handle(Event::Finished { execution: station.started[0].0, report: Err(StationFailure::Stopped) });
    assert!(!station.worker.works[&lab.id].returned.is_empty());
    let mut failures = 0;
    while !station.worker.works[&lab.id].returned.is_empty() {
        failures += station.dialled().len();
        station.pass(500);
    }
    assert_eq!(failures, 5);
    station.dialled();
    station.pass(HOUR);
    station.pass(MINUTE);
    assert_eq!(station.worker.summaries().count(), 0);
    station.sent.clear();
    station.pass(DAY);
    assert!(station.sent.is_empty(), "and nobody is dialled");
}

#[test]
fn an_hour_after_the_end_of_its_call_nobody_knocks_where_a_requester_said_it_was() {
    let lab = Lab::new(REQUESTER, "moved on");
    let mut station = Station::with_leases(config(), &lab, 1, 60_000);
    station.finish();
    let end = station.now.plus(10 * MINUTE + HOUR + MINUTE);
    let mut dials = 0;
    while station.now < end {
        dials += station.dialled().len();
        station.pass(MINUTE);
    }
    assert!((5..25).contains(&dials), "{dials} dials, and ten minutes of rest after each five");
    station.dialled();
    station.pass(3 * DAY);
    assert!(station.sent.is_empty());
    assert_eq!(station.worker.outbox_len(), 1, "the receipt waits");
    station.handle(Event::Connected { node: lab.key.node(), topics: vec![name("topic")] });
    assert!(station.sent.iter().any(|out| matches!(out.request, Request::Deliver(_))), "and is told who comes for it");
}

#[test]
fn calls_make_a_station_knock_at_a_machine_a_few_times_and_out_of_one_purse_of_all_strangers() {
    let mut station = Station::new(Config { reach: Reach::Global, ..config() });
    let (mut at_victim, mut all) = (0, 0);
    for minute in 0..10 {
        for author in 0..15_u8 {
            let lab = Lab::new(20 + author + 15 * minute, "weapon");
            station.hear_from(
                lab.call_with(1, station.now, |call| {
                    let node = lab.key.node();
                    let ports = (1..5).map(|port| format!("/ip4/45.9.9.9/tcp/{port}/p2p/{node}"));
                    let others = (0..3).map(|last| format!("/ip4/4{last}.{author}.{minute}.1/tcp/1/p2p/{node}"));
                    let private = [format!("/ip4/192.168.1.1/tcp/80/p2p/{node}")];
                    call.at = List::first(ports.chain(others).chain(private).map(|text| Address::parse(&text).expect("an address")));
                }),
                key(200 + author).node(),
            );
            station.pass(2 * SECOND);
            let dialled = station.dialled();
            assert!(dialled.iter().all(|address| address.endpoint().is_dialable(Reach::Global)), "{dialled:?}");
            at_victim += dialled.iter().filter(|address| address.ip().to_string() == "45.9.9.9").count();
            all += dialled.len();
        }
        station.pass(30 * SECOND);
    }
    let minutes = 11;
    let most = |share: Share| share.burst + minutes * share.per_minute;
    let (at_victim, all) = (at_victim as u64, all as u64);
    assert!((16..=most(Charge::Dials.payer())).contains(&at_victim), "{at_victim} knocks at one machine in ten minutes");
    assert!(all <= most(Charge::Dials.strangers()), "{all} dials");
}

#[test]
fn whoever_is_known_is_dialled_whatever_strangers_had_dialled() {
    let lab = Lab::new(REQUESTER, "known");
    let mut station = Station::with_more_leases(config(), &lab, 1, HOUR);
    for author in 20..60_u8 {
        let stranger = Lab::new(author, "same address");
        station.hear_from(stranger.call(1, station.now), key(100 + author).node());
        station.pass(2 * SECOND);
        while let Some(out) = station.sent.pop_front() {
            match out.to == lab.key.node() {
                true => station.answer(out.send, Response::Wait { ms: 1_000 }),
                false => station.fail(out.send, SendFailure::Unreachable),
            }
        }
    }
    station.finish_all();
    station.pass(MINUTE);
    assert!(station.sent.iter().any(|out| out.to == lab.key.node() && matches!(out.request, Request::Deliver(_))));
}

#[test]
fn calls_that_were_asked_for_go_through_the_quotas_of_those_that_are_told() {
    let mut station = Station::new(config());
    station.handle(Event::Connected { node: key(50).node(), topics: vec![name("topic")] });
    let asked = station.sent.iter().find(|out| matches!(out.request, Request::Calls { .. })).map(|out| out.send).expect("asks for Calls");
    let calls = (100..132).map(|author| Lab::new(author, "asked").call_with(1, START, |call| call.at = List::default()));
    station.answer(asked, Response::Calls { calls: List::first(calls) });
    assert_eq!(station.worker.summaries().count(), 8 + 4);
    assert!(station.reports().is_empty());
}

#[test]
fn questions_about_topics_of_others_are_not_remembered() {
    let mut station = Station::new(config());
    for number in 0..5_000_u32 {
        let topic = name(&format!("invented-{number}"));
        let request =
            if number.is_multiple_of(2) { Request::Peers { topic, have: List::default() } } else { Request::Calls { topic, have: List::default() } };
        station.handle(Event::Asked { ask: Ticket(1), from: key(51).node(), request });
        station.others.clear();
    }
    station.handle(Event::Asked { ask: Ticket(1), from: key(52).node(), request: Request::Peers { topic: name("topic"), have: List::default() } });
    assert!(matches!(station.others.pop(), Some(Effect::Answer { response: Response::Peers { .. }, .. })), "who asks for ours is answered");
}

pub(super) fn invented_key(number: u32) -> SigningKey {
    let mut secret = [3; 32];
    secret[..4].copy_from_slice(&number.to_be_bytes());
    SigningKey::from_bytes(&secret)
}

/// Its record at an address of its own network.
pub(super) fn invented(number: u32) -> Signed<PeerRecord> {
    let key = invented_key(number);
    let at = Address::parse(&format!("/ip4/46.{}.{}.1/tcp/4001/p2p/{}", number / 250, number % 250, key.node())).expect("an address");
    key.sign(&name("test"), PeerRecord { node: key.node(), topic: name("topic"), at: List::first([at]), made: START })
}

/// A station that was told by one peer of as many stations as a sample holds, all of them invented and the smallest of `of`, each at an
/// address of its own network.
pub(super) fn misled_by(of: u32) -> Station {
    let mut station = Station::new(Config { reach: Reach::Global, ..config() });
    let hash = |node: &NodeId| crate::sampling::fraction("size", &[b"test", &[0], b"topic", &[0], &START.day().to_be_bytes(), &node.0]);
    let mut keys: Vec<(u64, u32)> = (0..of).map(|number| (hash(&invented_key(number).node()), number)).collect();
    keys.sort_unstable();
    let records = keys.into_iter().map(|(_, number)| invented(number));
    station.handle(Event::Connected { node: key(50).node(), topics: vec![name("topic")] });
    let asked = station.sent.iter().find(|out| matches!(out.request, Request::Peers { .. })).map(|out| out.send).expect("asks for peers");
    station.answer(asked, Response::Peers { time: Time(0), records: List::first(records) });
    station
}

fn misled() -> Station {
    misled_by(3_000)
}

#[test]
fn stations_that_were_invented_are_neither_counted_nor_waited_for() {
    let mut station = misled();
    assert!(station.worker.census[&name("topic")].told() > 2_000);
    // As long as nobody answers at the invented addresses, and long after.
    for _ in 0..30 {
        assert!(station.worker.counted(&name("topic")) <= 2 * PROVED_MIN);
        assert!(station.dialled().len() <= 8, "few are dialled to find that out");
        station.pass(MINUTE);
    }
    station.sent.clear();
    let lab = Lab::new(REQUESTER, "waits");
    station.hear(lab.call_with(1, station.now, |call| call.at = List::first([address(lab.key.node(), "45.1.1.1")])));
    station.claim();
}

#[test]
fn no_count_makes_a_claim_wait_more_than_a_minute_and_who_is_connected_waits_for_nothing() {
    // Ten thousand stations at 64 dials a second take two and a half minutes.
    let mut station = misled_by(10_000);
    station.worker.census.get_mut(&name("topic")).expect("its topic").prove(u64::MAX / 4);
    for seed in 0..20_u8 {
        let lab = Lab::new(60 + seed, "far");
        station.pass(2 * SECOND);
        station.hear_from(lab.call_with(1, station.now, |call| call.at = List::default()), key(160 + seed).node());
        let ask_at = station.worker.works[&lab.id].ask_at;
        assert!(ask_at <= station.now.plus(MINUTE), "{} ms", ask_at.since(station.now));
        station.handle(Event::Connected { node: lab.key.node(), topics: vec![name("topic")] });
        assert!(station.sent.iter().any(|out| work_of(&out.request).is_some_and(|(id, ..)| id == lab.id)));
        station.sent.clear();
    }
    station.pass(30 * SECOND);
    let lab = Lab::new(90, "here already");
    station.handle(Event::Connected { node: lab.key.node(), topics: vec![name("topic")] });
    station.hear_from(lab.call_with(1, station.now, |call| call.at = List::default()), key(190).node());
    assert!(station.sent.iter().any(|out| work_of(&out.request).is_some_and(|(id, ..)| id == lab.id)));
}

#[test]
fn who_is_introduced_is_met_although_the_sample_is_all_invented() {
    let mut station = misled();
    station.dialled();
    station.pass(10 * MINUTE);
    station.sent.clear();
    station.others.clear();
    station.handle(Event::Connected { node: key(51).node(), topics: vec![name("topic")] });
    let asked = station.sent.iter().find(|out| out.to == key(51).node() && matches!(out.request, Request::Peers { .. })).map(|out| out.send);
    let real = [80, 81, 82_u8].map(|number| {
        let node = key(number).node();
        let at = List::first([address(node, &format!("45.7.{number}.1"))]);
        key(number).sign(&name("test"), PeerRecord { node, topic: name("topic"), at, made: station.now })
    });
    station.answer(asked.expect("asks for peers"), Response::Peers { time: Time(0), records: List::first(real.clone()) });
    let named: Vec<NodeId> = station
        .others
        .iter()
        .filter_map(|effect| if let Effect::Neighbours { peers, .. } = effect { Some(peers) } else { None })
        .flatten()
        .map(|(node, _)| *node)
        .collect();
    assert!(real.iter().all(|record| named.contains(&record.body.node)), "{named:?}");
}

#[test]
fn whoever_connects_is_counted_and_a_record_of_the_sample_that_is_reached_is_believed() {
    let mut station = misled();
    let most = |station: &Station| station.worker.counted(&name("topic"));
    let before = most(&station);
    station.pass(SECOND);
    // Each probe finds its station, as in an honest topic.
    for _ in 0..40 {
        while let Some(out) = station.sent.pop_front() {
            station.answer(out.send, Response::Unserved);
        }
        station.pass(10 * SECOND);
    }
    assert!(before <= 64 && most(&station) == station.worker.census[&name("topic")].told(), "{before}, then {}", most(&station));
}
