//! What explains an experiment: who declined, what failed, how many take part.

use super::world::*;
use crate::content::sha256;
use crate::identity::NodeId;
use crate::receipt::{Outcome, Receipt};
use crate::requester::run::DECLINERS_MAX;
use crate::requester::{Explanation, FAILURES_MAX, Peer};
use crate::work::{Claim, Decline, DeclineReason, Request, Response};

#[test]
fn a_station_that_declines_counts_once_by_its_last_reason_and_no_more_when_it_claims() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(2), 4));
    let decline = |world: &mut World, number: u8, reason| {
        assert!(matches!(world.ask(peer(number), Request::Decline(Decline { experiment: id, reason })), Response::Noted));
        world.machine.view(&id).unwrap().explanation.declines
    };
    for _ in 0..3 {
        assert_eq!(decline(&mut world, 1, DeclineReason::Budget), [(DeclineReason::Budget, 1)].into());
    }
    assert_eq!(decline(&mut world, 2, DeclineReason::Budget), [(DeclineReason::Budget, 2)].into());
    assert_eq!(decline(&mut world, 1, DeclineReason::Labels), [(DeclineReason::Budget, 1), (DeclineReason::Labels, 1)].into());
    world.ask(peer(1), Request::Claim(claim(id, &[])));
    assert_eq!(world.machine.view(&id).unwrap().explanation.declines, [(DeclineReason::Budget, 1)].into());
}

#[test]
fn claimants_that_take_nothing_now_and_those_that_gave_back_their_jobs_are_told_apart_from_those_that_work() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(2), 4));
    let waiting = |world: &World| {
        let why = world.machine.view(&id).unwrap().explanation;
        (why.claimants, why.full, why.resting)
    };
    assert!(matches!(world.ask(peer(1), Request::Claim(Claim { free: 0, ..claim(id, &[]) })), Response::Wait { .. }));
    assert_eq!(waiting(&world), (1, 1, 0));
    let (number, _) = world.leases(id, 1).remove(0);
    assert_eq!(waiting(&world), (1, 0, 0), "it has a job now");
    world.deliver_all(id, 1, Vec::new(), &[], &[number]);
    assert_eq!(waiting(&world), (1, 0, 1), "it gave its job back");
}

#[test]
fn strangers_keys_that_decline_take_bounded_memory() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(2), 4));
    for number in 0..DECLINERS_MAX as u64 + 9 {
        let from = Peer { node: NodeId(sha256(&[&number.to_be_bytes()])), ..peer(1) };
        world.ask(from, Request::Decline(Decline { experiment: id, reason: DeclineReason::Labels }));
    }
    assert_eq!(world.machine.view(&id).unwrap().explanation.declines[&DeclineReason::Labels], DECLINERS_MAX as u64);
}

#[test]
fn failures_are_told_apart_up_to_a_bound_and_answers_are_none() {
    let mut told = Explanation::default();
    told.ended(&Outcome::Completed);
    for code in 0..40 {
        told.ended(&Outcome::Exited(code));
        told.ended(&Outcome::Exited(0));
    }
    assert_eq!((told.failures.len(), told.failures[&Outcome::Exited(0)]), (FAILURES_MAX, 41));
}

#[test]
fn claimants_and_failures_are_known_after_a_restart() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(3), 1));
    let (number, lease) = world.leases(id, 1).remove(0);
    let receipt = Receipt { outcome: Outcome::Exited(2), output: None, ..receipt(id, 1, number, lease.index, b"") };
    assert!(world.deliver(id, 1, vec![signed(1, receipt, None)]).refused.is_empty());
    let before = world.machine.view(&id).unwrap();
    assert_eq!((before.explanation.claimants, &before.explanation.failures), (1, &[(Outcome::Exited(2), 1)].into()));
    world.crash();
    let after = world.machine.view(&id).unwrap();
    assert_eq!((after.explanation.claimants, after.explanation.failures), (1, [(Outcome::Exited(2), 1)].into()));
    assert_eq!((after.published, after.closed), (before.published, None));
}
