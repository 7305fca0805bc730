//! Stations that claim and say nothing more: what they cost is seconds, and never a result.

use super::world::*;
use crate::experiment::ExperimentId;
use crate::log;
use crate::receipt::LeaseNumber;
use crate::requester::overdue::Typical;
use crate::requester::{Draft, Event, Peer};
use crate::time::{MINUTE, SECOND};
use crate::work::{ClaimRefused, Delivery, Request, Response};

/// Four jobs of a minute at most, which must be done within a minute.
fn hurried(jobs: i128) -> Draft {
    Draft { deadline_ms: MINUTE, ..draft(fixed(1), jobs) }
}

fn hand_in(world: &mut World, id: ExperimentId, station: u8, (number, index): (LeaseNumber, u64)) {
    let ack = world.deliver(id, station, vec![delivery(id, station, number, index, b"o")]);
    assert!(ack.held.contains(&number), "{:?}", ack.refused);
}

/// The one lease that `station` gets.
fn one(world: &mut World, id: ExperimentId, station: u8) -> (LeaseNumber, u64) {
    let leases = world.leases(id, station);
    assert_eq!(leases.len(), 1);
    (leases[0].0, leases[0].1.index)
}

fn waits(response: &Response) -> bool {
    matches!(response, Response::Wait { .. })
}

#[test]
fn a_job_whose_station_keeps_silent_goes_to_another_within_ten_seconds() {
    let mut world = World::new();
    let id = world.publish(hurried(2));
    let (_, silent) = one(&mut world, id, 1);
    let other = one(&mut world, id, 2);
    world.pass(SECOND);
    hand_in(&mut world, id, 2, other);
    world.pass(8 * SECOND);
    assert!(waits(&world.claim(id, 2, &[])), "nine seconds are not silence");
    world.pass(SECOND);
    let again = one(&mut world, id, 2);
    assert_eq!(again.1, silent);
    hand_in(&mut world, id, 2, again);
    assert!(world.now < START.plus(11 * SECOND));
    let (root, pages) = world.log(&id);
    let summary = log::verify(&root, &pages, |cid| world.blobs.get(cid).cloned(), None).unwrap();
    assert_eq!((summary.settled, summary.expired), (2, 0));
}

#[test]
fn a_receipt_whose_output_never_comes_is_silence_too() {
    let mut world = World::new();
    let id = world.publish(hurried(2));
    let (number, silent) = one(&mut world, id, 1);
    let other = one(&mut world, id, 2);
    let named = Delivery { output: None, ..delivery(id, 1, number, silent, b"never served") };
    world.deliver(id, 1, vec![named]);
    hand_in(&mut world, id, 2, other);
    world.pass(10 * SECOND);
    assert_eq!(one(&mut world, id, 2).1, silent);
}

#[test]
fn whoever_delivers_first_counts_and_the_second_receipt_stands_in_the_log() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 3));
    let slow = one(&mut world, id, 1);
    let fast = one(&mut world, id, 2);
    hand_in(&mut world, id, 2, fast);
    world.pass(10 * SECOND);
    // The third job is station 2's with the receipt of its first.
    let third = one(&mut world, id, 2);
    hand_in(&mut world, id, 2, third);
    let again = one(&mut world, id, 2);
    assert_eq!(again.1, slow.1);
    hand_in(&mut world, id, 1, slow);
    assert_eq!(world.settled().len(), 3);
    let ack = world.deliver(id, 2, vec![delivery(id, 2, again.0, again.1, b"o")]);
    assert_eq!(ack.held.len() + ack.refused.len(), 1);
}

#[test]
fn nothing_is_dealt_a_second_time_while_other_work_is_left() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 3));
    let (_, silent) = one(&mut world, id, 1);
    world.pass(MINUTE / 2);
    let other = one(&mut world, id, 2);
    assert_ne!(other.1, silent);
    hand_in(&mut world, id, 2, other);
    let last = one(&mut world, id, 2);
    assert_ne!(last.1, silent);
    hand_in(&mut world, id, 2, last);
    assert_eq!(one(&mut world, id, 2).1, silent);
}

#[test]
fn each_lease_brings_one_more_execution_at_most() {
    let mut world = World::new();
    let id = world.publish(hurried(2));
    let (_, silent) = one(&mut world, id, 1);
    let other = one(&mut world, id, 2);
    hand_in(&mut world, id, 2, other);
    world.pass(10 * SECOND);
    // Station 3 is silent as well: its lease is overdue ten seconds later, and the first one brings nobody any more.
    assert_eq!(one(&mut world, id, 3).1, silent);
    assert!(waits(&world.claim(id, 2, &[])));
    world.pass(10 * SECOND);
    let again = one(&mut world, id, 2);
    assert_eq!(again.1, silent);
    hand_in(&mut world, id, 2, again);
    assert_eq!(world.settled().len(), 2);
}

#[test]
fn what_jobs_usually_take_is_no_silence() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 2));
    let slow = one(&mut world, id, 1);
    let other = one(&mut world, id, 2);
    // Four times what the other job took, and less than half of the lease of 90 s.
    world.pass(10 * SECOND);
    hand_in(&mut world, id, 2, other);
    world.pass(29 * SECOND);
    assert!(waits(&world.claim(id, 2, &[])));
    world.pass(SECOND);
    assert_eq!(one(&mut world, id, 2).1, slow.1);
}

#[test]
fn where_nobody_delivered_yet_half_of_the_lease_is_given() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 1));
    let slow = one(&mut world, id, 1);
    world.pass(44 * SECOND);
    assert!(waits(&world.claim(id, 2, &[])));
    world.pass(SECOND);
    assert_eq!(one(&mut world, id, 2).1, slow.1);
}

#[test]
fn one_extreme_moves_the_typical_time_no_further_than_any_other() {
    let mut typical = Typical::default();
    (0..40).for_each(|_| typical.took(1_000));
    let before = typical;
    typical.took(86_400_000);
    let Typical(Some(after)) = typical else { panic!("none") };
    assert!(before.0.unwrap() <= 1_200 && after <= 1_400, "{before:?} {after}");
    (0..40).for_each(|_| typical.took(1_000));
    assert!(typical.0.unwrap() <= 1_200 && typical.0.unwrap() >= 800, "{typical:?}");
}

#[test]
fn a_neighbour_of_the_silent_one_does_not_get_its_job() {
    let mut world = World::new();
    let id = world.publish(hurried(2));
    let (_, silent) = one(&mut world, id, 1);
    let other = one(&mut world, id, 2);
    hand_in(&mut world, id, 2, other);
    world.pass(10 * SECOND);
    let neighbour = Peer { node: key(9).node(), cluster: peer(1).cluster, is_relayed: false };
    assert!(waits(&world.ask(neighbour, Request::Claim(claim(id, &[])))));
    assert_eq!(one(&mut world, id, 2).1, silent);
}

#[test]
fn where_only_silent_ones_claimed_more_are_called() {
    let mut world = World::new();
    world.handle(Event::Counted { topic: name("topic"), stations: 40 });
    let id = world.publish(hurried(1));
    let all = world.calls().len();
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
    world.pass(9 * SECOND);
    let before = world.calls().len();
    world.pass(40 * SECOND);
    assert!(world.calls().len() > before && before >= all);
    let widest = world.calls().last().unwrap().body.claim_below;
    assert_eq!(widest, u64::MAX, "everybody is asked in the end");
}

#[test]
fn after_a_restart_silence_is_noticed_as_before() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 2));
    let (_, silent) = one(&mut world, id, 1);
    let other = one(&mut world, id, 2);
    hand_in(&mut world, id, 2, other);
    world.crash();
    // Nobody delivered to this process yet, so that half the lease is given.
    world.pass(44 * SECOND);
    assert!(waits(&world.claim(id, 2, &[])));
    world.pass(SECOND);
    assert_eq!(one(&mut world, id, 2).1, silent);
}
