//! Stations that claim and say nothing more: what they cost is seconds, and never a result.

use super::world::*;
use crate::bounded::List;
use crate::experiment::ExperimentId;
use crate::log::{self, Lost};
use crate::receipt::LeaseNumber;
use crate::requester::overdue::Typical;
use crate::requester::run::Run;
use crate::requester::{Draft, Event, Peer};
use crate::time::{HOUR, MINUTE, SECOND};
use crate::verdict::Decision;
use crate::work::{Claim, ClaimRefused, Deliver, Delivery, Request, Response, ReturnReason};

/// Jobs of a minute at most, which must be done within a minute.
fn hurried(jobs: i128) -> Draft {
    Draft { deadline_ms: MINUTE, ..draft(fixed(1), jobs) }
}

/// A lease's number and its job.
type Hand = (LeaseNumber, u64);

fn hand_in(world: &mut World, id: ExperimentId, station: u8, (number, index): Hand) {
    let ack = world.deliver(id, station, vec![delivery(id, station, number, index, b"o")]);
    assert!(ack.held.contains(&number), "{:?}", ack.refused);
}

fn all(world: &mut World, id: ExperimentId, station: u8) -> Vec<Hand> {
    world.leases(id, station).into_iter().map(|(number, lease)| (number, lease.index)).collect()
}

/// The one lease that `station` gets.
fn one(world: &mut World, id: ExperimentId, station: u8) -> Hand {
    let leases = all(world, id, station);
    assert_eq!(leases.len(), 1, "{leases:?}");
    leases[0]
}

fn waits(world: &mut World, id: ExperimentId, station: u8) -> bool {
    matches!(world.claim(id, station, &[]), Response::Wait { .. })
}

/// Station 1 has the first job and keeps silent; 2, 3 and 4 have the next ones, and deliver after a second.
fn silence(world: &mut World, id: ExperimentId) -> Hand {
    let silent = one(world, id, 1);
    let others = [2, 3, 4].map(|station| (station, one(world, id, station)));
    world.pass(SECOND);
    others.into_iter().for_each(|(station, hand)| hand_in(world, id, station, hand));
    silent
}

fn run(world: &mut World, id: ExperimentId) -> &mut Run {
    world.machine.open.get_mut(&id).expect("open")
}

fn give_back(world: &mut World, id: ExperimentId, station: u8, lease: LeaseNumber, reason: ReturnReason) {
    let returned = List::first([(lease, reason)]);
    let deliver = Deliver { experiment: id, receipts: List::default(), holding: List::default(), free: 0, cursor: 0, returned };
    assert!(matches!(world.ask(peer(station), Request::Deliver(deliver)), Response::Acked(_)));
}

#[test]
fn a_job_whose_station_keeps_silent_goes_to_another_after_ten_seconds() {
    let mut world = World::new();
    let id = world.publish(hurried(4));
    let silent = silence(&mut world, id);
    world.pass(8 * SECOND);
    assert!(waits(&mut world, id, 2), "nine seconds are not silence");
    world.pass(SECOND);
    let again = one(&mut world, id, 2);
    assert_eq!(again.1, silent.1);
    hand_in(&mut world, id, 2, again);
    assert!(world.now < START.plus(11 * SECOND));
    let (root, pages) = world.log(&id);
    let summary = log::verify(&root, &pages, |cid| world.blobs.get(cid).cloned(), None).unwrap();
    assert_eq!((summary.settled, summary.expired), (4, 0));
}

#[test]
fn a_receipt_whose_output_never_comes_is_silence_too() {
    let mut world = World::new();
    let id = world.publish(hurried(4));
    let (number, silent) = silence(&mut world, id);
    let named = Delivery { output: None, ..delivery(id, 1, number, silent, b"never served") };
    world.deliver(id, 1, vec![named]);
    world.pass(9 * SECOND);
    assert_eq!(one(&mut world, id, 2).1, silent);
}

#[test]
fn whoever_delivers_first_counts_and_while_it_is_open_the_second_receipt_stands_in_the_log() {
    let mut world = World::new();
    let id = world.publish(hurried(5));
    let last = one(&mut world, id, 5);
    let slow = silence(&mut world, id);
    world.pass(9 * SECOND);
    let again = all(&mut world, id, 2);
    assert_eq!([again[0].1, again[1].1], [last.1, slow.1]);
    hand_in(&mut world, id, 2, again[1]);
    hand_in(&mut world, id, 1, slow);
    hand_in(&mut world, id, 5, last);
    let (root, pages) = world.log(&id);
    let summary = log::verify(&root, &pages, |cid| world.blobs.get(cid).cloned(), None).unwrap();
    assert_eq!((summary.settled, summary.receipts, summary.late), (5, 5, 1));
}

#[test]
fn nothing_is_dealt_a_second_time_while_there_is_other_work() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 3));
    let (_, silent) = one(&mut world, id, 1);
    world.pass(MINUTE);
    for _ in 0..2 {
        let other = one(&mut world, id, 2);
        assert_ne!(other.1, silent);
        hand_in(&mut world, id, 2, other);
    }
    assert_eq!(one(&mut world, id, 2).1, silent);
}

#[test]
fn each_time_it_takes_twice_as_long_so_that_the_stations_of_a_slow_job_are_few() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 4));
    let (_, silent) = silence(&mut world, id);
    world.pass(9 * SECOND);
    assert_eq!(one(&mut world, id, 5).1, silent);
    for (station, seconds) in [(6, 20), (7, 40)] {
        world.pass(seconds * SECOND - 1);
        assert!(waits(&mut world, id, station), "{seconds} seconds");
        world.pass(1);
        assert_eq!(one(&mut world, id, station).1, silent);
    }
}

#[test]
fn who_takes_an_overdue_job_and_gives_it_back_delays_it_no_longer_than_silence() {
    let mut world = World::new();
    let id = world.publish(hurried(4));
    let (_, silent) = silence(&mut world, id);
    world.pass(9 * SECOND);
    // However many do so.
    for station in [5, 6, 7] {
        let again = one(&mut world, id, station);
        assert_eq!(again.1, silent);
        give_back(&mut world, id, station, again.0, ReturnReason::Drain);
        world.pass(SECOND);
    }
    assert_eq!(one(&mut world, id, 2).1, silent);
}

#[test]
fn jobs_that_were_dealt_again_lately_hide_no_other_that_is_overdue() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 700));
    for station in [1, 2, 3] {
        world.ask(peer(station), Request::Claim(Claim { free: 0, ..claim(id, &[]) }));
        let claimant = run(&mut world, id).claimants.get_mut(&peer(station).node).expect("it claimed");
        (claimant.held, claimant.execution_ms) = (10_000, 1);
        let mut holding = Vec::new();
        while let Response::Leases(leases) = world.claim(id, station, &holding) {
            holding.extend(numbered(leases.body).into_iter().map(|(number, _)| number));
        }
    }
    let dealt: Vec<u64> = run(&mut world, id).open.keys().copied().collect();
    assert!(dealt.len() > 400, "{}", dealt.len());
    let (last, others) = dealt.split_last().expect("some");
    for index in others {
        let run = run(&mut world, id);
        run.open.get_mut(index).expect("open").again = 3;
        run.watch(*index);
    }
    world.pass(20 * SECOND);
    assert_eq!(one(&mut world, id, 9).1, *last);
}

#[test]
fn two_silent_stations_cost_a_job_of_two_no_result() {
    let mut world = World::new();
    let id = world.publish(Draft { deadline_ms: 2 * MINUTE, ..draft(fixed(2), 4) });
    let silent = [1, 2].map(|station| one(&mut world, id, station));
    assert_eq!(silent[0].1, silent[1].1);
    let mut pairs = Vec::new();
    for station in [3, 4, 5, 6, 7, 8] {
        pairs.push((station, one(&mut world, id, station)));
    }
    pairs.into_iter().for_each(|(station, hand)| hand_in(&mut world, id, station, hand));
    world.pass(10 * SECOND);
    let third = one(&mut world, id, 3);
    hand_in(&mut world, id, 3, third);
    assert!(waits(&mut world, id, 4), "one at a time, so that nobody takes both seats at once");
    world.pass(20 * SECOND);
    let fourth = one(&mut world, id, 4);
    hand_in(&mut world, id, 4, fourth);
    assert_eq!(world.settled().len(), 4);
}

#[test]
fn a_slow_place_of_a_measurement_is_not_outrun() {
    let mut world = World::new();
    let id = world.publish(draft(measurement(2), 4));
    let slow = one(&mut world, id, 1);
    let others: Vec<_> = (2..9).map(|station| (station, one(&mut world, id, station))).collect();
    others.into_iter().for_each(|(station, hand)| hand_in(&mut world, id, station, hand));
    // Its own limit is a minute.
    world.pass(MINUTE + 10 * SECOND - 1);
    assert!((9..12).all(|station| waits(&mut world, id, station)));
    world.pass(1);
    assert_eq!(one(&mut world, id, 9).1, slow.1);
}

#[test]
fn what_jobs_usually_take_is_no_silence() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 4));
    let slow = one(&mut world, id, 1);
    let others = [2, 3, 4].map(|station| (station, one(&mut world, id, station)));
    // Four times what the others took, and less than the limit of a minute.
    world.pass(10 * SECOND);
    others.into_iter().for_each(|(station, hand)| hand_in(&mut world, id, station, hand));
    world.pass(29 * SECOND);
    assert!(waits(&mut world, id, 2));
    world.pass(SECOND);
    assert_eq!(one(&mut world, id, 2).1, slow.1);
}

#[test]
fn where_few_delivered_yet_a_quarter_of_the_limit_on_time_is_given() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 3));
    let slow = one(&mut world, id, 1);
    let others = [2, 3].map(|station| (station, one(&mut world, id, station)));
    others.into_iter().for_each(|(station, hand)| hand_in(&mut world, id, station, hand));
    world.pass(14 * SECOND);
    assert!(waits(&mut world, id, 2));
    world.pass(SECOND);
    assert_eq!(one(&mut world, id, 2).1, slow.1);
}

#[test]
fn of_the_first_receipts_the_slowest_is_usual_and_later_an_extreme_moves_it_no_further_than_any_other() {
    let mut typical = Typical::default();
    typical.took(1);
    typical.took(40_000);
    assert_eq!(typical.ms(), None, "two say nothing");
    typical.took(1);
    assert_eq!(typical.ms(), Some(40_000));
    let mut typical = Typical::default();
    (0..40).for_each(|_| typical.took(1_000));
    let before = typical.ms().unwrap();
    typical.took(86_400_000);
    let after = typical.ms().unwrap();
    assert!(before <= 1_200 && after <= before + before / 8 + 1, "{before} {after}");
    (0..40).for_each(|_| typical.took(1_000));
    assert!((800..=1_200).contains(&typical.ms().unwrap()), "{typical:?}");
}

#[test]
fn a_neighbour_of_the_silent_one_does_not_get_its_job() {
    let mut world = World::new();
    let id = world.publish(hurried(4));
    let (_, silent) = silence(&mut world, id);
    world.pass(9 * SECOND);
    let neighbour = Peer { node: key(9).node(), cluster: peer(1).cluster, is_relayed: false };
    assert!(matches!(world.ask(neighbour, Request::Claim(claim(id, &[]))), Response::Wait { .. }));
    assert_eq!(one(&mut world, id, 2).1, silent);
}

#[test]
fn where_only_silent_ones_claimed_more_are_called() {
    let mut world = World::new();
    world.handle(Event::Counted { topic: name("topic"), stations: 40 });
    let id = world.publish(draft(fixed(1), 1));
    // Whoever of the sample asks first keeps silent.
    let silent = (1..100).find(|station| match world.claim(id, *station, &[]) {
        Response::Leases(_) => true,
        Response::Refused(refusal) => {
            assert_eq!(refusal.body.reason, ClaimRefused::NotSampled);
            false
        }
        other => panic!("{other:?}"),
    });
    assert!(silent.is_some());
    let asked = |world: &World| world.calls().last().unwrap().body.claim_below;
    world.pass(14 * SECOND);
    let before = asked(&world);
    assert!(before < u64::MAX, "a quarter of its limit is no silence");
    world.pass(10 * SECOND);
    assert_eq!(asked(&world), u64::MAX, "everybody is asked in the end");
}

#[test]
fn after_a_restart_silence_is_noticed_as_before() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 4));
    let (_, silent) = silence(&mut world, id);
    world.crash();
    // Nobody delivered to this process yet, so that a quarter of its limit is given.
    world.pass(14 * SECOND);
    assert!(waits(&mut world, id, 2));
    world.pass(SECOND);
    assert_eq!(one(&mut world, id, 2).1, silent);
}

#[test]
fn a_lease_whose_job_others_settled_is_not_sent_again_to_who_lost_it() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 5));
    let (_, last) = one(&mut world, id, 5);
    let (_, silent) = silence(&mut world, id);
    world.pass(9 * SECOND);
    let again = all(&mut world, id, 2);
    assert_eq!([again[0].1, again[1].1], [last, silent]);
    hand_in(&mut world, id, 2, again[1]);
    // The answer with its lease was lost, or its process: it holds nothing.
    assert!(waits(&mut world, id, 1));
    assert!(world.machine.open[&id].leases.values().all(|leased| leased.index == last), "and nothing is kept of it");
}

#[test]
fn a_job_that_makes_way_uses_up_neither_its_stations_nor_its_attempts() {
    let mut world = World::new();
    let id = world.publish(Draft { deadline_ms: 12 * HOUR, ..draft(fixed(1), 1) });
    for station in 1..13 {
        for _ in 0..5 {
            let (number, _) = one(&mut world, id, station);
            give_back(&mut world, id, station, number, ReturnReason::MadeWay);
            world.pass(MINUTE);
        }
    }
    let done = one(&mut world, id, 1);
    hand_in(&mut world, id, 1, done);
    let (_, pages) = world.log(&id);
    let log::Entry::Settled(job) = &pages[0].entries[0] else { panic!("not settled") };
    assert!(matches!(job.verdict.decision, Decision::Agreed { .. }));
    assert!(job.lost.len() == 60 && job.lost.iter().all(|(_, _, how)| *how == Lost::MadeWay));
}

#[test]
fn who_has_delivered_something_and_asks_goes_first_where_a_job_is_overdue() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 4));
    let (_, silent) = silence(&mut world, id);
    world.pass(9 * SECOND - 1);
    assert!(waits(&mut world, id, 2), "it asks, a moment too early");
    world.pass(1);
    assert!(waits(&mut world, id, 9), "a newcomer has two seconds to wait");
    world.pass(2 * SECOND - 1);
    assert!(waits(&mut world, id, 9));
    world.pass(1);
    assert_eq!(one(&mut world, id, 9).1, silent);
}
