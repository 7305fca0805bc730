use station_node::station::Note;
use station_protocol::cluster::Cluster;
use station_protocol::{Content, NodeId, requester, worker};

use super::*;

const REQUESTER: NodeIndex = 0;

fn ledger(stations: NodeIndex) -> Ledger {
    let ledger = Ledger::new(0);
    for number in 0..stations {
        let cluster = Cluster::V4([10, 0, u8::try_from(number).expect("few stations")]);
        ledger.introduce(number, node(number), Identity { operator: "honest".into(), cluster, honest: true, works: true });
        ledger.started(number);
    }
    ledger
}

fn node(number: NodeIndex) -> NodeId {
    NodeId([u8::try_from(number).expect("few stations"); 32])
}

fn called(ledger: &Ledger, seq: u64, now_ms: u64) {
    let note = requester::Note::Called { experiment: Content::raw(b"experiment").cid, seq, claim_below: u64::MAX };
    ledger.note(REQUESTER, now_ms, &Note::Requester(note));
}

fn heard(ledger: &Ledger, number: NodeIndex, seq: u64, now_ms: u64) {
    let note = worker::Note::Heard { experiment: Content::raw(b"experiment").cid, seq, requester: node(REQUESTER), from: Some(node(REQUESTER)) };
    ledger.note(number, now_ms, &Note::Worker(note));
}

fn delivery(ledger: &Ledger, now_ms: u64) -> (u64, u64, Vec<u32>) {
    let delivery = ledger.delivery(now_ms);
    (delivery.reached, delivery.due, delivery.after_ms)
}

#[test]
fn a_station_that_hears_a_call_twice_counts_once() {
    let ledger = ledger(4);
    called(&ledger, 1, 0);
    for (number, now_ms) in [(1, 10), (2, 20), (1, 30), (1, 40)] {
        heard(&ledger, number, 1, now_ms);
    }
    assert_eq!(delivery(&ledger, DELIVERED_WITHIN_MS), (2, 3, vec![10, 20]));
}

#[test]
fn whoever_heard_a_later_call_needs_no_earlier_one() {
    let ledger = ledger(2);
    called(&ledger, 1, 0);
    called(&ledger, 2, 5);
    heard(&ledger, 1, 2, 10);
    heard(&ledger, 1, 1, 20);
    assert_eq!(delivery(&ledger, 10_000), (2, 2, vec![5]));
}

#[test]
fn who_stops_before_it_heard_and_who_starts_after_the_call_need_not_hear_it() {
    let ledger = ledger(4);
    ledger.stopped(3);
    called(&ledger, 1, 0);
    heard(&ledger, 1, 1, 10);
    ledger.stopped(1);
    ledger.stopped(2);
    ledger.started(3);
    heard(&ledger, 3, 1, 20);
    assert_eq!(delivery(&ledger, 10_000), (1, 1, vec![10]));
}

#[test]
fn a_call_of_the_last_seconds_is_not_due_yet() {
    let ledger = ledger(3);
    called(&ledger, 1, 1_000);
    heard(&ledger, 1, 1, 1_010);
    assert_eq!(delivery(&ledger, 1_000 + DELIVERED_WITHIN_MS - 1).1, 0);
    assert!(ledger.missed(1_000 + DELIVERED_WITHIN_MS - 1).is_empty());
    assert_eq!(delivery(&ledger, 1_000 + DELIVERED_WITHIN_MS), (1, 2, vec![10]));
    assert_eq!(ledger.missed(1_000 + DELIVERED_WITHIN_MS).into_values().collect::<Vec<_>>(), [[1_000]]);
}
