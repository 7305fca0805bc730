//! Receipts: durable before they leave, delivered until they end.

use super::*;
use crate::work::{DELIVERIES_MAX, ReceiptRefused};

#[test]
fn no_receipt_leaves_before_it_is_durable() {
    let lab = Lab::new(REQUESTER, "durable");
    let mut station = Station::with_leases(config(), &lab, 1, 60_000);
    station.disk_held = true;
    station.finish();
    assert!(station.sent.is_empty());
    station.release_disk();
    assert_eq!(station.deliver().1.receipts.len(), 1);
}

#[test]
fn a_receipt_whose_answer_was_lost_is_delivered_again() {
    let lab = Lab::new(REQUESTER, "lost");
    let mut station = Station::with_leases(config(), &lab, 1, 60_000);
    station.finish();
    let (send, first) = station.deliver();
    station.fail(send, SendFailure::NoAnswer);
    station.pass(1_300);
    assert_eq!(station.deliver().1.receipts, first.receipts);
}

#[test]
fn a_receipt_that_is_neither_held_nor_refused_is_delivered_again_when_told() {
    let lab = Lab::new(REQUESTER, "pending");
    let mut station = Station::with_leases(config(), &lab, 1, 60_000);
    station.finish();
    let (send, _) = station.deliver();
    station.answer(send, lab.ack_with(|ack| ack.again_ms = 700));
    station.pass(699);
    assert!(station.sent.is_empty());
    station.pass(1);
    assert_eq!(station.deliver().1.receipts.len(), 1);
}

#[test]
fn refused_ends_an_entry_too() {
    let lab = Lab::new(REQUESTER, "refused");
    let mut station = Station::with_leases(config(), &lab, 1, 60_000);
    station.finish();
    let (send, _) = station.deliver();
    station.answer(send, lab.ack_with(|ack| ack.refused = List::first([(0, ReceiptRefused::Late)])));
    assert_eq!(station.worker.outbox_len(), 0);
    assert!(station.notes().iter().any(|note| matches!(note, Note::ReceiptRefused { reason: ReceiptRefused::Late, .. })));
}

#[test]
fn an_ack_of_what_was_not_delivered_ends_nothing() {
    let lab = Lab::new(REQUESTER, "foreign ack");
    let mut station = Station::with_leases(config(), &lab, 2, 60_000);
    station.finish();
    let (send, _) = station.deliver();
    station.finish();
    station.answer(send, lab.holds(&[0, 1]));
    assert_eq!(station.worker.outbox_len(), 1, "lease 1 was not in that Deliver");
}

#[test]
fn an_ack_signed_by_somebody_else_ends_nothing() {
    let lab = Lab::new(REQUESTER, "forged ack");
    let mut station = Station::with_leases(config(), &lab, 1, 60_000);
    station.finish();
    let (send, _) = station.deliver();
    let forged = Lab { key: key(66), ..lab };
    station.answer(send, forged.holds(&[0]));
    assert_eq!(station.worker.outbox_len(), 1);
}

#[test]
fn receipts_survive_a_crash_and_are_delivered_again() {
    let lab = Lab::new(REQUESTER, "crash");
    let mut station = Station::with_leases(config(), &lab, 2, 60_000);
    station.finish();
    let (_, first) = station.deliver();
    let mut station = Station::restored(config(), station.disk, START.minus(HOUR));
    let (send, again) = station.deliver();
    assert_eq!(again.receipts, first.receipts, "also when the clock went back");
    assert!(again.holding.is_empty(), "leases are not recorded: the requester sends them again");
    station.answer(send, lab.holds(&[0]));
    assert_eq!(station.worker.outbox_len(), 0);
}

#[test]
fn a_receipt_that_was_not_durable_at_the_crash_never_left_and_is_run_again() {
    let lab = Lab::new(REQUESTER, "lost commit");
    let mut station = Station::with_leases(config(), &lab, 1, 60_000);
    station.disk_held = true;
    station.finish();
    let mut station = Station::restored(config(), station.disk, station.now);
    assert!(station.sent.is_empty());
    station.hear(lab.call(2, station.now));
    let (send, _) = station.claim();
    station.answer(send, lab.leases(0, 1, 60_000));
    station.fetched();
    assert_eq!(station.started.len(), 1);
}

#[test]
fn a_closed_call_stops_everything_of_its_experiment_and_leaves_the_numbers_that_were_run() {
    let lab = Lab::new(REQUESTER, "closed");
    let mut station = Station::with_more_leases(config(), &lab, 3, 60_000);
    station.finish();
    let log = Content::raw(b"log").cid;
    station.hear(lab.call_with(2, station.now, |call| call.state = CallState::Closed { log }));
    assert_eq!(station.worker.outbox_len(), 0);
    assert_eq!(station.stopped.len(), 2);
    assert!(station.disk.keys().all(|key| matches!(key.0[0], b'p' | b'c')), "its requester is known, and what was run");
}

/// The station hears an open Call again and takes two leases, 0 and 1. Whether it runs them.
fn runs_again(mut station: Station, lab: &Lab) -> usize {
    station.hear(lab.call(9, station.now));
    let asks = |out: &Out| match &out.request {
        Request::Claim(claim) => (claim.free > 0).then_some(out.send),
        Request::Deliver(deliver) => (deliver.free > 0).then_some(out.send),
        _ => None,
    };
    let Some(send) = station.sent.iter().find_map(asks) else { return 0 };
    station.answer(send, lab.leases(0, 2, 60_000));
    if !station.fetches.is_empty() {
        station.fetched();
    }
    station.started.len()
}

#[test]
fn what_was_run_is_not_run_again_after_the_experiment_was_closed_and_the_station_restarted() {
    let lab = Lab::new(REQUESTER, "reopened");
    let mut station = Station::with_leases(config(), &lab, 2, 60_000);
    station.finish();
    station.finish();
    let log = Content::raw(b"log").cid;
    station.hear(lab.call_with(2, station.now, |call| call.state = CallState::Closed { log }));
    assert_eq!(runs_again(Station::restored(config(), station.disk, station.now), &lab), 0);
}

#[test]
fn what_was_run_is_not_run_again_although_its_receipts_made_room_for_others() {
    let lab = Lab::new(REQUESTER, "made room");
    let mut station = Station::with_leases(config(), &lab, 2, 60_000);
    station.finish();
    station.finish();
    station.worker.works.get_mut(&lab.id).expect("here").outbox_bytes = u64::MAX / 2;
    station.handle(Event::Tick);
    assert_eq!(station.worker.outbox_len(), 0);
    assert_eq!(runs_again(Station::restored(config(), station.disk, station.now), &lab), 0);
}

/// A station with receipts of 1.4 MB for a requester whose Call names a direct address, and its first delivery.
fn with_a_large_delivery(lab: &Lab) -> (Station, Ticket, Deliver) {
    let mut station = Station::with_leases(config(), lab, 1, HOUR);
    station.handle(Event::Connected { node: lab.key.node(), topics: vec![name("topic")] });
    station.sent.retain(|out| matches!(out.request, Request::Deliver(_)));
    station.finish();
    let (send, _) = station.deliver();
    let leases = lab.ack_with(|ack| {
        ack.held = List::first([0]);
        ack.leases = Some(lab.batch(1, 32, HOUR));
    });
    station.answer(send, leases);
    for output in 0..32_u8 {
        station.finish_with(vec![output; 45_000]);
    }
    let (send, _) = station.deliver();
    station.answer(send, lab.ack_with(|ack| ack.held = List::first([1])));
    let (send, deliver) = station.deliver();
    (station, send, deliver)
}

fn bytes(deliver: Deliver) -> usize {
    crate::codec::encode(&Request::Deliver(deliver)).len()
}

#[test]
fn receipts_for_a_requester_whose_call_names_direct_addresses_get_through_a_relay() {
    let lab = Lab::new(REQUESTER, "relayed");
    let (mut station, send, deliver) = with_a_large_delivery(&lab);
    assert!(bytes(deliver) > crate::work::RELAYED_BYTES_MAX);
    let reports = station.reports().len();
    station.fail(send, SendFailure::TooLarge);
    for lease in 2..33 {
        let (send, deliver) = station.deliver();
        assert_eq!(deliver.receipts.iter().map(|delivery| delivery.receipt.body.lease).collect::<Vec<_>>(), [lease]);
        assert!(bytes(deliver) <= crate::work::RELAYED_BYTES_MAX);
        station.answer(send, lab.holds(&[lease]));
    }
    assert_eq!(station.worker.outbox_len(), 0);
    assert!(station.reports()[reports..].iter().all(|(_, action)| *action == PeerAction::Useful), "it is nobody's fault");
}

#[test]
fn a_requester_that_answers_through_a_relay_is_brought_no_more_than_a_relay_carries() {
    let lab = Lab::new(REQUESTER, "answered");
    let (mut station, send, _) = with_a_large_delivery(&lab);
    let near = Near { cluster: Cluster::V4([198, 51, 100]), is_relayed: true };
    station.handle(Event::Answered { send, answer: Ok(lab.holds(&[2])), near: Some(near) });
    station.pass(SECOND);
    assert!(bytes(station.deliver().1) <= crate::work::RELAYED_BYTES_MAX);
    // What is refused although it is small is asked again after a while, and not at once.
    let (mut station, send, _) = with_a_large_delivery(&lab);
    station.fail(send, SendFailure::TooLarge);
    let (send, _) = station.deliver();
    station.fail(send, SendFailure::TooLarge);
    assert!(station.sent.is_empty());
}

#[test]
fn an_entry_ends_seven_days_after_the_deadline() {
    let lab = Lab::new(REQUESTER, "week");
    let mut station = Station::with_leases(config(), &lab, 1, 60_000);
    station.finish();
    let disk = station.disk;
    let deadline = START.plus(HOUR);
    for (days, left) in [(6, 1), (8, 0)] {
        let mut station = Station::restored(config(), disk.clone(), deadline.plus(days * crate::time::DAY));
        station.pass(MINUTE);
        assert_eq!(station.worker.outbox_len(), left, "after {days} days");
    }
}

#[test]
fn large_outputs_become_blobs_and_equal_ones_are_deleted_once() {
    let lab = Lab::new(REQUESTER, "blobs");
    let mut station = Station::with_leases(config(), &lab, 2, 60_000);
    let large = vec![7; 100_000];
    let cid = Content::raw(&large).cid;
    station.finish_with(large.clone());
    let (send, deliver) = station.deliver();
    assert_eq!(deliver.receipts[0].output, None);
    station.finish_with(large);
    assert!(station.blobs.contains_key(&cid));
    station.answer(send, lab.holds(&[0]));
    assert!(station.blobs.contains_key(&cid), "lease 1 names it still");
    let (send, _) = station.deliver();
    station.answer(send, lab.holds(&[1]));
    assert!(station.blobs.is_empty());
}

#[test]
fn one_deliver_has_at_most_sixty_four_receipts_and_fits_its_frame() {
    let lab = Lab::new(REQUESTER, "batch");
    let mut station = Station::with_leases(config(), &lab, 1, HOUR);
    station.finish();
    let (send, _) = station.deliver();
    station.answer(
        send,
        lab.ack_with(|ack| {
            ack.held = List::first([0]);
            ack.leases = Some(lab.batch(1, 32, HOUR));
        }),
    );
    for output in 0..32_u8 {
        station.finish_with(vec![output; 45_000]);
    }
    let (send, _) = station.deliver();
    station.answer(send, lab.ack_with(|ack| ack.held = List::first([1])));
    let (_, deliver) = station.deliver();
    assert!(deliver.receipts.len() > 8 && deliver.receipts.len() < 31 && deliver.receipts.len() <= DELIVERIES_MAX);
    assert!(crate::codec::encode(&Request::Deliver(deliver)).len() <= crate::work::REQUEST_BYTES_MAX);
}

#[test]
fn a_stranger_may_make_this_station_keep_sixty_four_things() {
    let lab = Lab::new(REQUESTER, "full");
    let mut station = Station::with_leases(config(), &lab, 2, HOUR);
    let mut next = 2;
    let mut last_free = u32::MAX;
    for _ in 0..100 {
        while !station.started.is_empty() {
            station.finish();
        }
        let Some(out) = station.sent.pop_front() else { break };
        let Request::Deliver(deliver) = out.request else { panic!("expected a Deliver") };
        last_free = deliver.free;
        let count = u64::from(deliver.free.min(32));
        station.answer(out.send, lab.ack_with(|ack| ack.leases = (count > 0).then(|| lab.batch(next, count, HOUR))));
        next += count;
        station.pass(1_000);
    }
    assert_eq!(last_free, 0);
    assert_eq!(station.worker.outbox_len(), 64);
}

#[test]
fn the_cursor_never_goes_back() {
    let lab = Lab::new(REQUESTER, "cursor");
    let mut station = Station::with_leases(config(), &lab, 1, 60_000);
    station.finish();
    for (told, read) in [(9, 0), (3, 9), (9, 9)] {
        let (send, deliver) = station.deliver();
        assert_eq!(deliver.cursor, read);
        station.answer(send, lab.ack_with(|ack| ack.cursor = told));
        station.pass(1_000);
    }
}

#[test]
fn a_second_copy_that_waits_for_the_disk_is_not_sent_once_the_first_was_answered() {
    let lab = Lab::new(REQUESTER, "overtaken");
    let mut station = Station::with_leases(config(), &lab, 1, 60_000);
    station.finish();
    let (first, deliver) = station.deliver();
    assert_eq!(deliver.receipts.len(), 1);
    station.disk_held = true;
    station.pass(2 * SECOND);
    assert!(station.sent.is_empty(), "it waits for the disk");
    station.answer(first, lab.holds(&[0]));
    station.release_disk();
    assert!(!station.sent.iter().any(|out| matches!(&out.request, Request::Deliver(deliver) if !deliver.receipts.is_empty())));
    assert_eq!(station.worker.outbox_len(), 0);
}

#[test]
fn a_station_works_for_a_requester_until_the_last_receipt_is_taken() {
    let lab = Lab::new(REQUESTER, "works for");
    let mut station = Station::new(config());
    let (requester, other) = (lab.key.node(), key(77).node());
    station.hear(lab.call(1, station.now));
    assert!(!station.worker.works_for(&requester), "a Call alone is no work");
    let (send, _) = station.claim();
    station.answer(send, lab.leases(0, 1, 60_000));
    assert!(station.worker.works_for(&requester) && !station.worker.works_for(&other));
    station.fetched();
    station.finish();
    assert!(station.worker.works_for(&requester), "the receipt is still here");
    let (send, _) = station.deliver();
    station.answer(send, lab.holds(&[0]));
    assert!(!station.worker.works_for(&requester));
}
