//! After the end of an experiment: verdicts that were not heard yet, and where the Log is to be found. And what was signed again.

use super::world::*;
use crate::address::Address;
use crate::bounded::List;
use crate::call::CallState;
use crate::experiment::ExperimentId;
use crate::peer_action::PeerAction;
use crate::receipt::Isolation;
use crate::requester::untold::UNTOLD_MS;
use crate::requester::{Effect, Event};
use crate::time::{MINUTE, SECOND};
use crate::verdict::Decision;
use crate::work::{Ack, At, ClaimRefused, Deliver, ReceiptRefused, Request, Response};

/// An empty Deliver of `station`, which has read everything below `cursor`.
fn asks_for_verdicts(world: &mut World, id: ExperimentId, station: u8, cursor: u64) -> Ack {
    let deliver = Deliver { experiment: id, receipts: List::default(), holding: List::default(), free: 0, cursor, returned: List::default() };
    match world.ask(peer(station), Request::Deliver(deliver)) {
        Response::Acked(ack) => ack.body,
        other => panic!("no Ack but {other:?}"),
    }
}

fn indices(ack: &Ack) -> Vec<u64> {
    ack.verdicts.iter().map(|verdict| verdict.index).collect()
}

/// Two jobs that want two stations each; station 1 delivers both first, so that it hears of neither.
fn unheard() -> (World, ExperimentId) {
    let mut world = World::new();
    let id = world.publish(draft(fixed(2), 2));
    works(&mut world, id, 1);
    (world, id)
}

/// `station` does both jobs.
fn works(world: &mut World, id: ExperimentId, station: u8) {
    for _ in 0..2 {
        let hand = world.leases(id, station);
        let receipts = hand.into_iter().map(|(number, lease)| delivery(id, station, number, lease.index, b"o")).collect();
        world.deliver(id, station, receipts);
    }
}

#[test]
fn verdicts_are_told_after_the_close_and_the_cursor_never_passes_one_that_was_not_told() {
    let (mut world, id) = unheard();
    works(&mut world, id, 2);
    for _ in 0..2 {
        let ack = asks_for_verdicts(&mut world, id, 1, 0);
        assert_eq!((indices(&ack), ack.cursor, ack.no_more), (vec![0, 1], 2, Some(ClaimRefused::Closed)));
    }
    assert_eq!(indices(&asks_for_verdicts(&mut world, id, 1, 1)), [1], "from where the station says that it is");
    let ack = asks_for_verdicts(&mut world, id, 1, 2);
    assert_eq!((indices(&ack), ack.cursor), (vec![], 2));
    let ack = asks_for_verdicts(&mut world, id, 9, 0);
    assert_eq!((indices(&ack), ack.cursor), (vec![], 0), "of those who did nothing there is nothing to tell");
}

#[test]
fn that_a_job_expired_is_told_to_those_who_delivered_something_of_it() {
    let (mut world, id) = unheard();
    world.handle(Event::Cancel { experiment: id });
    let ack = asks_for_verdicts(&mut world, id, 1, 0);
    assert_eq!(indices(&ack), [0, 1]);
    assert!(ack.verdicts.iter().all(|verdict| matches!(verdict.decision, Decision::Expired { .. })), "{:?}", ack.verdicts);
}

#[test]
fn what_a_restart_or_time_took_is_not_told_and_the_cursor_stays() {
    let (mut world, id) = unheard();
    works(&mut world, id, 2);
    world.pass(UNTOLD_MS);
    assert_eq!(indices(&asks_for_verdicts(&mut world, id, 1, 0)), [0, 1]);
    world.pass(1);
    let ack = asks_for_verdicts(&mut world, id, 1, 0);
    assert_eq!((indices(&ack), ack.cursor), (vec![], 0));
    let (mut world, id) = unheard();
    works(&mut world, id, 2);
    world.crash();
    let ack = asks_for_verdicts(&mut world, id, 1, 0);
    assert_eq!((indices(&ack), ack.cursor, ack.no_more), (vec![], 0, Some(ClaimRefused::Closed)));
}

fn at(ip: &str) -> At {
    List::first([Address::parse(&format!("/ip4/{ip}/tcp/4710/p2p/{}", key(200).node())).unwrap()])
}

#[test]
fn a_restarted_requester_says_where_its_closed_logs_are_from_its_first_call_on() {
    let mut world = World::new();
    world.handle(Event::Addresses(at("45.0.9.9")));
    let id = world.publish(draft(fixed(1), 1));
    world.handle(Event::Cancel { experiment: id });
    world.pass(MINUTE);
    let seq = world.calls().last().unwrap().body.seq;
    world.effects.clear();
    world.crash();
    // It listens again before it knows more than before.
    let again: Vec<(u64, At)> = world.calls().into_iter().map(|call| (call.body.seq, call.body.at)).collect();
    assert_eq!(again, [(seq + 1, at("45.0.9.9"))]);
    world.handle(Event::Addresses(at("45.0.9.10")));
    let last = world.calls().pop().unwrap().body;
    assert!(matches!(last.state, CallState::Closed { .. }));
    assert_eq!((last.seq, last.at), (seq + 2, at("45.0.9.10")), "and where it is now");
    world.handle(Event::Addresses(At::default()));
    assert_eq!(world.calls().pop().unwrap().body.at, at("45.0.9.10"), "none are no place to look for it");
    world.pass(10 * MINUTE);
    let calls = world.calls().len();
    world.handle(Event::Addresses(at("45.0.9.11")));
    assert_eq!(world.calls().len(), calls, "nobody keeps an open Call of it any more");
}

#[test]
fn a_receipt_signed_again_with_other_circumstances_is_held_and_one_with_another_result_is_proof() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(2), 1));
    let (number, _) = world.leases(id, 1).remove(0);
    let first = receipt(id, 1, number, 0, b"o");
    world.deliver(id, 1, vec![signed(1, first.clone(), Some(b"o"))]);
    let again = crate::receipt::Receipt {
        duration_ms: 99,
        started_ms: 98,
        isolation: Isolation::Partial,
        software: crate::bounded::Text::cut("other"),
        ..first.clone()
    };
    let ack = world.deliver(id, 1, vec![signed(1, again, Some(b"o"))]);
    assert_eq!((ack.held.to_vec(), ack.refused.len()), (vec![number], 0));
    let proven = |world: &World| world.effects.iter().filter(|effect| matches!(effect, Effect::Report { action: PeerAction::Proven, .. })).count();
    assert_eq!(proven(&world), 0);
    let ack = world.deliver(id, 1, vec![signed(1, crate::receipt::Receipt { fuel: 8, ..first }, Some(b"o"))]);
    assert_eq!(ack.refused.to_vec(), [(number, ReceiptRefused::Contradiction)]);
    assert_eq!(proven(&world), 1);
    // What is kept is the first.
    let (two, _) = world.leases(id, 2).remove(0);
    world.deliver(id, 2, vec![delivery(id, 2, two, 0, b"o")]);
    let (_, pages) = world.log(&id);
    let kept = pages[0].entries[0].receipts().iter().find(|held| held.receipt.body.lease == number).unwrap();
    assert_eq!((kept.receipt.body.duration_ms, kept.receipt.body.isolation), (3, Isolation::Full));
}

#[test]
fn no_seq_is_sent_before_it_is_durable_so_that_a_crash_never_makes_two_bodies_of_one() {
    let mut world = World::new();
    world.prompt = false;
    world.handle(Event::Publish { publish: crate::durable::Ticket(0), draft: Box::new(draft(fixed(1), 1)), module: Vec::new() });
    assert!(world.calls().is_empty(), "nothing leaves before the disk has it");
    world.sync();
    let mut bodies = std::collections::BTreeMap::new();
    for round in 0..20 {
        world.now = world.now.plus(3 * SECOND);
        world.handle(Event::Tick);
        // Of every second round the disk never gets anything.
        if round % 2 == 0 {
            world.sync();
        }
        for call in world.calls() {
            let first = bodies.entry(call.body.seq).or_insert_with(|| call.clone());
            assert_eq!(first.body, call.body, "two bodies of one seq");
        }
        world.crash();
        world.sync();
    }
    assert!(bodies.len() > 20, "{}", bodies.len());
}
