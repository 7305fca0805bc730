//! What a requester does when its clock steps: it slept, or was set.

use super::world::*;
use crate::clock::Shift;
use crate::log::Entry;
use crate::requester::Event;
use crate::time::{HOUR, MINUTE, SECOND, Time};

fn step(world: &mut World, time: Time) {
    world.handle(Event::Clock(Shift::between(world.now, time)));
}

#[test]
fn a_clock_that_was_set_calls_again_with_the_new_time() {
    for time in [START.plus(30 * MINUTE), START.minus(2 * HOUR)] {
        let mut world = World::new();
        world.publish(draft(fixed(1), 1));
        step(&mut world, time);
        let call = world.calls().pop().expect("a Call");
        assert_eq!((call.body.nbf, call.body.seq), (time, 2), "others would take the last one for the future, or for over");
    }
}

#[test]
fn what_is_published_after_a_step_ends_by_the_new_time() {
    let mut world = World::new();
    step(&mut world, START.plus(5 * HOUR));
    let id = world.publish(draft(fixed(1), 1));
    let view = world.machine.view(&id).expect("it is open");
    assert_eq!(view.call.body.experiment.body.deadline, START.plus(6 * HOUR));
    world.pass(HOUR - SECOND);
    assert!(world.machine.view(&id).is_some_and(|view| view.status.log.is_none()), "its hour is not over");
    world.pass(SECOND);
    assert!(world.machine.view(&id).is_some_and(|view| view.status.log.is_some()), "now it is");
}

#[test]
fn an_experiment_whose_deadline_was_slept_through_closes_at_once() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 1));
    step(&mut world, START.plus(2 * HOUR));
    assert!(world.machine.view(&id).is_some_and(|view| view.status.log.is_some()));
    let closed = world.calls().pop().expect("a closed Call");
    assert_eq!(closed.body.nbf, START.plus(2 * HOUR));
}

#[test]
fn a_lease_that_is_out_keeps_its_time_when_the_clock_is_set() {
    for time in [START.plus(30 * MINUTE), START.minus(2 * HOUR)] {
        let mut world = World::new();
        let id = world.publish(draft(fixed(1), 1));
        let (number, lease) = world.leases(id, 1).remove(0);
        step(&mut world, time);
        world.pass(lease.duration_ms);
        let ack = world.deliver(id, 1, vec![delivery(id, 1, number, lease.index, b"o")]);
        assert_eq!(ack.held.to_vec(), [number], "{time:?}: within the grace that it always has");
        let mut world = World::new();
        let id = world.publish(draft(fixed(1), 1));
        let (number, lease) = world.leases(id, 1).remove(0);
        step(&mut world, time);
        world.pass(lease.duration_ms + MINUTE);
        let ack = world.deliver(id, 1, vec![delivery(id, 1, number, lease.index, b"o")]);
        assert!(ack.held.is_empty(), "{time:?}: and no longer");
    }
}

#[test]
fn what_is_recorded_for_a_reader_is_by_the_worlds_time() {
    let mut world = World::new();
    let set = START.plus(5 * HOUR);
    step(&mut world, set);
    let id = world.publish(draft(fixed(1), 1));
    let (number, _) = world.leases(id, 1).remove(0);
    world.pass(SECOND);
    world.deliver(id, 1, vec![delivery(id, 1, number, 0, b"o")]);
    let view = world.machine.view(&id).expect("it is known");
    assert_eq!((view.published, view.closed), (set, Some(set.plus(SECOND))));
    let (_, pages) = world.log(&id);
    let Entry::Settled(job) = &pages[0].entries[0] else { panic!("a verdict") };
    assert_eq!((job.receipts[0].dealt, job.receipts[0].came), (set, set.plus(SECOND)));
}
