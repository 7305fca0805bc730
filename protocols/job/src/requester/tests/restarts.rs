//! What a restart leaves as it was.

use super::world::*;
use crate::address::Address;
use crate::bounded::List;
use crate::experiment::ExperimentId;
use crate::receipt::LeaseNumber;
use crate::requester::Event;
use crate::requester::run::Run;
use crate::time::{MINUTE, Time};
use crate::work::{At, Request, Response};

fn run(world: &mut World, id: ExperimentId) -> &mut Run {
    world.machine.open.get_mut(&id).expect("open")
}

fn at(ip: &str) -> At {
    List::first([Address::parse(&format!("/ip4/{ip}/tcp/4710/p2p/{}", key(200).node())).expect("an address")])
}

#[test]
fn no_lease_of_a_batch_ends_earlier_because_its_requester_restarted() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 100));
    world.ask(peer(1), Request::Claim(crate::work::Claim { free: 0, ..claim(id, &[]) }));
    run(&mut world, id).claimants.get_mut(&peer(1).node).expect("it claimed").held = 10;
    assert_eq!(world.leases(id, 1).len(), 4);
    let until =
        |world: &mut World| -> Vec<(LeaseNumber, Time)> { run(world, id).leases.iter().map(|(number, leased)| (*number, leased.until)).collect() };
    let before = until(&mut world);
    world.crash();
    let after = until(&mut world);
    assert_eq!(before.len(), after.len());
    for ((number, before), (_, after)) in before.into_iter().zip(after) {
        assert!(after >= before, "lease {number} ended at {before:?} and ends at {after:?}");
    }
}

#[test]
fn the_first_call_of_a_requester_that_restarted_names_where_it_was() {
    let mut world = World::new();
    world.handle(Event::Addresses(at("45.0.9.9")));
    world.publish(draft(fixed(1), 1));
    let seq = world.calls().last().expect("a Call").body.seq;
    world.effects.clear();
    world.crash();
    let again: Vec<(u64, At)> = world.calls().into_iter().map(|call| (call.body.seq, call.body.at)).collect();
    assert_eq!(again, [(seq + 1, at("45.0.9.9"))]);
    world.handle(Event::Addresses(at("45.0.9.10")));
    assert_eq!(world.calls().last().expect("a Call").body.at, at("45.0.9.10"));
    world.crash();
    assert_eq!(world.calls().last().expect("a Call").body.at, at("45.0.9.10"), "again where it was last");
}

#[test]
fn all_losses_of_a_job_are_remembered_and_not_only_those_that_the_log_names() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 1));
    let (number, _) = world.leases(id, 1).remove(0);
    run(&mut world, id).open.get_mut(&0).expect("open").lost_all = 300;
    world.deliver_all(id, 1, vec![], &[], &[number]);
    world.crash();
    assert_eq!(run(&mut world, id).open[&0].lost_all, 301);
}

#[test]
fn what_a_station_has_proved_is_remembered_although_its_receipts_are_in_a_page() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(2), 10));
    let (number, lease) = world.leases(id, 1).remove(0);
    run(&mut world, id).claimants.get_mut(&peer(1).node).expect("it claimed").held = 63;
    world.deliver(id, 1, vec![delivery(id, 1, number, lease.index, b"o")]);
    world.crash();
    assert_eq!(run(&mut world, id).claimants[&peer(1).node].held, 64);
}

#[test]
fn jobs_that_are_settled_behind_one_that_is_not_are_no_work_to_call_for() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 10_000));
    world.leases(id, 1);
    (1..10_000).for_each(|index| _ = run(&mut world, id).settled.insert(index));
    // As a restart finds it.
    let run = run(&mut world, id);
    run.fresh = run.settled.next_gap(0);
    assert_eq!((run.fresh, run.unleased(), run.wanted()), (0, 0, 1));
}

#[test]
fn who_ran_every_job_that_is_left_is_told_so_and_no_call_is_made_for_it() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(2), 1));
    let (number, lease) = world.leases(id, 1).remove(0);
    let ack = world.deliver(id, 1, vec![delivery(id, 1, number, lease.index, b"o")]);
    assert_eq!(ack.no_more, Some(crate::work::ClaimRefused::NothingLeft));
    let Response::Refused(refusal) = world.claim(id, 1, &[]) else { panic!("it is told") };
    assert_eq!(refusal.body.reason, crate::work::ClaimRefused::NothingLeft);
    assert!(!run(&mut world, id).turned_away, "others are wanted, and not it");
    // A second one has the job: the third may get it if that fails.
    let (number, _) = world.leases(id, 2).remove(0);
    assert!(matches!(world.claim(id, 3, &[]), Response::Wait { .. }));
    assert!(matches!(world.claim(id, 2, &[number]), Response::Wait { .. }), "who has it may get it again");
}

#[test]
fn numbers_of_leases_grow_over_losses_and_restarts_and_none_is_given_to_another_job_or_station() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(2), 40));
    let mut given: std::collections::BTreeMap<LeaseNumber, (u8, u64)> = std::collections::BTreeMap::new();
    let mut gives = |station: u8, leases: crate::work::Leases| {
        let leases = numbered(leases);
        for (number, lease) in &leases {
            let before = given.insert(*number, (station, lease.index));
            assert!(before.is_none_or(|before| before == (station, lease.index)), "lease {number} was another's, or of another job");
        }
        leases
    };
    for round in 0..6_u8 {
        for station in 1..=3 {
            let Response::Leases(leases) = world.claim(id, station, &[]) else { continue };
            for (number, lease) in gives(station, leases.body) {
                let ack = match (round + station) % 3 {
                    0 => world.deliver_all(id, station, vec![], &[], &[number]),
                    1 => world.deliver(id, station, vec![delivery(id, station, number, lease.index, b"o")]),
                    // It stays out, and is sent again or ends.
                    _ => continue,
                };
                ack.leases.map(|leases| gives(station, leases));
            }
        }
        world.pass(if round % 2 == 0 { 2 * MINUTE } else { 10 * MINUTE });
        world.crash();
    }
    let next = run(&mut world, id).next_lease;
    assert_eq!(given.keys().copied().collect::<Vec<_>>(), (0..next).collect::<Vec<_>>(), "from 0 on, none left out");
    assert!(next > 10, "{next}");
}
