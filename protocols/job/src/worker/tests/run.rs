//! From a Call to a held receipt.

use super::*;

#[test]
fn a_call_becomes_a_claim_a_lease_an_execution_a_durable_receipt_and_a_delivery_until_held() {
    let lab = Lab::new(REQUESTER, "happy");
    let mut station = Station::new(config());
    station.hear(lab.call(1, station.now));
    assert_eq!(station.judged(), Admission::Accept);
    let (send, claim) = station.claim();
    assert_eq!((claim.experiment, claim.free), (lab.id, 2));
    assert!(claim.holding.is_empty());
    assert!(station.fetches.is_empty(), "nothing is fetched before there is a lease");
    station.answer(send, lab.leases(0, 1, 60_000));
    assert!(station.started.is_empty(), "nothing starts before the module is here");
    station.fetched();
    assert_eq!(station.started.len(), 1);
    station.finish();
    let (send, deliver) = station.deliver();
    assert_eq!(deliver.receipts.len(), 1);
    let delivery = &deliver.receipts[0];
    delivery.receipt.verify(&name("test")).expect("signed by the station");
    assert_eq!(delivery.receipt.body.output, Some(Content::raw(b"output")));
    assert_eq!(delivery.output.as_deref(), Some(&b"output"[..]));
    assert!(deliver.free > 0, "it asks for more in the same round trip");
    assert_eq!(station.worker.outbox_len(), 1);
    station.answer(send, lab.holds(&[0]));
    assert_eq!(station.worker.outbox_len(), 0);
    assert!(!station.disk.keys().any(|key| key.0[0] == b'o'), "held ends the record");
}

#[test]
fn leases_in_an_ack_start_at_once() {
    let lab = Lab::new(REQUESTER, "flow");
    let mut station = Station::with_leases(config(), &lab, 1, 60_000);
    station.finish();
    let (send, _) = station.deliver();
    station.answer(
        send,
        lab.ack_with(|ack| {
            ack.held = List::first([0]);
            ack.leases = Some(lab.batch(7, 2, 60_000));
        }),
    );
    assert_eq!(station.started.len(), 2);
}
