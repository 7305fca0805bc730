//! What a researcher is told beside the receipts: when each was dealt and came, and what guests wrote to their logs.

use super::world::*;
use crate::bounded::Bytes;
use crate::content::{Content, DAG_CBOR, cid_of};
use crate::log::{Entry, verify};
use crate::requester::Config;
use crate::requester::context::Context;
use crate::requester::logs::{LOGS_MAX, Logs};
use crate::time::SECOND;
use crate::work::Delivery;

fn with_log(delivery: Delivery, log: &[u8]) -> Delivery {
    Delivery { log: Some(Bytes::new(log.to_vec()).unwrap()), ..delivery }
}

fn context() -> Context {
    Context::new(Config { network: name("test") }, key(200), [7; 32])
}

#[test]
fn a_receipt_is_held_with_when_its_lease_was_dealt_and_when_it_came_also_over_a_restart() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 1));
    let published = world.now;
    world.pass(2 * SECOND);
    let (lease, _) = world.leases(id, 1)[0].clone();
    let dealt = world.now;
    world.pass(3 * SECOND);
    world.crash();
    world.pass(4 * SECOND);
    let came = world.now;
    world.deliver(id, 1, vec![delivery(id, 1, lease, 0, b"answer")]);
    let view = world.machine.view(&id).expect("it is known");
    assert_eq!((view.published, view.closed), (published, Some(came)));
    let (_, pages) = world.log(&id);
    let Entry::Settled(job) = &pages[0].entries[0] else { panic!("a verdict") };
    assert_eq!((job.receipts[0].dealt, job.receipts[0].came), (dealt, came));
    world.crash();
    let again = world.machine.view(&id).expect("it is known");
    assert_eq!((again.published, again.closed), (published, Some(came)));
}

#[test]
fn the_ends_of_guests_logs_are_kept_until_the_experiment_is_forgotten_and_change_nothing_else() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 1));
    let (lease, _) = world.leases(id, 1)[0].clone();
    let told = with_log(delivery(id, 1, lease, 0, b"answer"), b"a line of the guest\n");
    world.deliver(id, 1, vec![told.clone()]);
    let cid = Content::raw(b"a line of the guest\n").cid;
    assert!(world.blobs.contains_key(&cid) && !world.for_others().contains(&cid), "the researcher reads it, and nobody else");
    assert_eq!(world.for_others().len(), world.blobs.len() - 1, "the Log, the jobs and the module are for all");
    assert_eq!(world.machine.view(&id).expect("known").logs, [(lease, cid)].into());
    let (root, pages) = world.log(&id);
    assert!(verify(&root, &pages, |_| None, None).is_ok(), "the Log knows nothing of it");
    world.crash();
    assert_eq!(world.machine.view(&id).expect("known").logs, [(lease, cid)].into());
    world.deliver(id, 1, vec![told]);
    assert_eq!(world.machine.view(&id).expect("known").logs.len(), 1);
    assert_eq!(world.left_behind(), 0);
}

#[test]
fn logs_are_bounded_for_each_job_and_experiment_and_answers_leave_room_for_failures() {
    let mut cx = context();
    let (id, mut logs) = (cid_of(DAG_CBOR, b"experiment"), Logs::default());
    for lease in 0..1_000 {
        logs.keep(&mut cx, &id, lease, lease, true, format!("fine {lease}").into_bytes());
    }
    assert_eq!(logs.len(), 64, "answers take a quarter of the room");
    logs.keep(&mut cx, &id, 1_000, 0, true, b"the second answer of a job".to_vec());
    for lease in 2_000..2_010 {
        logs.keep(&mut cx, &id, lease, 5_000, false, format!("bad {lease}").into_bytes());
    }
    assert_eq!(logs.all().range(2_000..).count(), 4, "of one job no more");
    for lease in 3_000..4_000 {
        logs.keep(&mut cx, &id, lease, lease, false, format!("bad {lease}").into_bytes());
    }
    assert_eq!(logs.len(), LOGS_MAX);
}

#[test]
fn what_only_the_station_can_know_is_held_as_it_says() {
    let mut world = World::new();
    let id = world.publish(draft(fixed(1), 1));
    let (number, lease) = world.leases(id, 1).remove(0);
    // No CBOR, and more fuel and time than anything may take.
    let output = [0xff; 64];
    let mut body = receipt(id, 1, number, lease.index, &output);
    (body.fuel, body.duration_ms, body.started_ms) = (u64::MAX, u64::MAX, u64::MAX);
    body.isolation = crate::receipt::Isolation::ProcessOnly;
    let ack = world.deliver(id, 1, vec![signed(1, body, Some(&output))]);
    assert_eq!((&*ack.held, ack.refused.len()), (&[number][..], 0));
}
