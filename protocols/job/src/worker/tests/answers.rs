//! Answers that are none: of whom they are, what they may say, and how long they may make a station wait.

use super::*;
use crate::lease::LEASE_MS_MAX;
use crate::work::{HOLDING_MAX, ReceiptRefused, Response};

/// The same answer with a signature that does not match.
fn broken<T>(mut signed: Signed<T>) -> Signed<T> {
    signed.signature.0[5] ^= 1;
    signed
}

fn sign_leases(by: u8, change: impl FnOnce(&mut Leases), lab: &Lab) -> Signed<Leases> {
    let mut batch = lab.batch(0, 1, HOUR);
    change(&mut batch);
    key(by).sign(&name("test"), batch)
}

fn sign_refusal(by: u8, change: impl FnOnce(&mut Refusal), lab: &Lab) -> Signed<Refusal> {
    let mut body = Refusal { experiment: lab.id, node: key(STATION).node(), reason: ClaimRefused::Closed, seq: 1 };
    change(&mut body);
    key(by).sign(&name("test"), body)
}

#[test]
fn an_answer_to_a_claim_that_is_none_is_reported_and_changes_nothing() {
    let (lab, other) = (Lab::new(REQUESTER, "bad answers"), Lab::new(REQUESTER, "another"));
    let elsewhere = key(77).node();
    let answers = [
        Response::Leases(sign_leases(66, |_| {}, &lab)),
        Response::Leases(sign_leases(REQUESTER, |batch| batch.experiment = other.id, &lab)),
        Response::Leases(sign_leases(REQUESTER, |batch| batch.node = elsewhere, &lab)),
        Response::Leases(sign_leases(REQUESTER, |batch| batch.first = u64::MAX, &lab)),
        Response::Leases(broken(sign_leases(REQUESTER, |_| {}, &lab))),
        Response::Refused(sign_refusal(66, |_| {}, &lab)),
        Response::Refused(sign_refusal(REQUESTER, |body| body.experiment = other.id, &lab)),
        Response::Refused(sign_refusal(REQUESTER, |body| body.node = elsewhere, &lab)),
        Response::Refused(broken(sign_refusal(REQUESTER, |_| {}, &lab))),
        Response::Noted,
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        let mut station = Station::new(config());
        station.hear(lab.call(1, START));
        let (send, _) = station.claim();
        station.answer(send, answer);
        assert_eq!(station.reports(), [(lab.key.node(), PeerAction::Invalid)], "answer {number}");
        let work = &station.worker.works[&lab.id];
        assert!(work.leases.is_empty() && work.standing == Standing::Open && work.failures == 1, "answer {number}");
        assert!(station.fetches.is_empty());
    }
}

#[test]
fn an_answer_to_a_delivery_that_is_none_is_reported_and_ends_no_entry() {
    let (lab, other) = (Lab::new(REQUESTER, "bad acks"), Lab::new(REQUESTER, "another"));
    let held = |ack: &mut Ack| ack.held = List::first([0]);
    let answers = [
        lab.ack_with(|ack| (held(ack), ack.experiment = other.id).1),
        lab.ack_with(|ack| (held(ack), ack.node = key(77).node()).1),
        lab.ack_with(|ack| (held(ack), ack.leases = Some(other.batch(5, 1, HOUR))).1),
        match lab.holds(&[0]) {
            Response::Acked(ack) => Response::Acked(Box::new(broken(*ack))),
            other => other,
        },
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        let mut station = Station::with_leases(config(), &lab, 1, HOUR);
        station.finish();
        let (send, _) = station.deliver();
        station.answer(send, answer);
        assert_eq!(station.reports(), [(lab.key.node(), PeerAction::Invalid)], "answer {number}");
        assert_eq!(station.worker.outbox_len(), 1, "answer {number}");
    }
    // Long jobs are not asked for ahead.
    let mut station = Station::with_leases(Config { capacity: 1, ..config() }, &lab, 1, HOUR);
    station.pass(10 * SECOND);
    station.finish();
    let (send, deliver) = station.deliver();
    assert_eq!(deliver.free, 1);
    station.answer(send, lab.ack_with(|ack| ack.leases = Some(lab.batch(1, 2, HOUR))));
    assert_eq!(station.reports(), [(lab.key.node(), PeerAction::Invalid)], "more leases than were asked for");
}

#[test]
fn refused_ends_only_what_was_delivered() {
    let lab = Lab::new(REQUESTER, "foreign refusal");
    let mut station = Station::with_leases(config(), &lab, 2, HOUR);
    station.finish();
    let (send, _) = station.deliver();
    station.finish();
    let refused = List::first([0, 1].map(|lease| (lease, ReceiptRefused::Late)));
    station.answer(send, lab.ack_with(|ack| ack.refused = refused));
    assert_eq!(station.worker.outbox_len(), 1);
}

#[test]
fn a_wait_lasts_fifty_milliseconds_at_least_and_a_minute_at_most() {
    let lab = Lab::new(REQUESTER, "waits");
    for (ms, waits) in [(0, 50), (u32::MAX, MINUTE)] {
        let mut station = Station::new(config());
        station.hear(lab.call(1, START));
        let (send, _) = station.claim();
        station.answer(send, Response::Wait { ms });
        station.pass(waits - 1);
        assert!(station.sent.is_empty(), "{ms}");
        station.pass(1);
        station.claim();
        // The same of a delivery that is to come again.
        let mut station = Station::with_leases(config(), &lab, 1, HOUR);
        station.finish();
        let (send, _) = station.deliver();
        station.answer(send, lab.ack_with(|ack| ack.again_ms = ms));
        station.pass(waits - 1);
        assert!(station.sent.is_empty(), "{ms}");
        station.pass(1);
        station.deliver();
    }
}

#[test]
fn unserved_is_a_lost_question_and_after_a_refusal_receipts_are_in_no_hurry() {
    let lab = Lab::new(REQUESTER, "unserved");
    let mut station = Station::new(config());
    station.hear(lab.call(1, START));
    let (send, _) = station.claim();
    station.answer(send, Response::Unserved);
    assert_eq!(station.worker.works[&lab.id].failures, 1);
    station.pass(799);
    assert!(station.sent.is_empty());
    let mut station = Station::with_leases(config(), &lab, 1, HOUR);
    station.finish();
    let (send, _) = station.deliver();
    station.answer(send, lab.refusal(ClaimRefused::Enough, 1));
    station.pass(10 * SECOND - 1);
    assert!(station.sent.is_empty());
    station.pass(1);
    station.deliver();
}

#[test]
fn a_lease_lasts_a_day_at_most() {
    let lab = Lab::new(REQUESTER, "for ever");
    let station = Station::with_leases(config(), &lab, 1, u64::MAX);
    assert_eq!(station.worker.works[&lab.id].first_expiry(), Some(station.now.plus(LEASE_MS_MAX)));
}

/// A station whose claim is on its way, and what was sent.
fn asked(lab: &Lab) -> (Station, Ticket) {
    let mut station = Station::new(config());
    station.hear(lab.call(1, START));
    let (send, _) = station.claim();
    (station, send)
}

#[test]
fn leases_that_come_too_late_bring_no_module() {
    let lab = Lab::new(REQUESTER, "too late");
    let denied = || Policy::parse(&format!("[[deny]]\nrequester = \"{}\"", lab.key.node()), &BTreeMap::new()).expect("a policy");
    let leases = || lab.leases(0, 1, HOUR);
    // Closed, draining, or declined meanwhile.
    let (mut station, send) = asked(&lab);
    let log = Content::raw(b"log").cid;
    station.hear(lab.call_with(2, station.now, |call| call.state = CallState::Closed { log }));
    station.answer(send, leases());
    assert!(station.fetches.is_empty() && station.worker.works[&lab.id].leases.is_empty());
    let (mut station, send) = asked(&lab);
    station.handle(Event::Drain);
    station.answer(send, leases());
    assert!(station.fetches.is_empty() && station.worker.works[&lab.id].leases.is_empty());
    let (mut station, send) = asked(&lab);
    station.handle(Event::PolicyChanged { policy: Box::new(denied()), capacity: 2 });
    station.answer(send, leases());
    assert!(station.fetches.is_empty() && station.worker.works[&lab.id].leases.is_empty());
    // Past the deadline nothing is judged any more, and the policy holds all the same.
    let mut body = experiment(REQUESTER, "short");
    body.deadline = START.plus(MINUTE);
    let short = Lab::of(body, REQUESTER);
    let (mut station, send) = asked(&short);
    station.pass(2 * MINUTE);
    station.handle(Event::PolicyChanged { policy: Box::new(denied()), capacity: 2 });
    station.answer(send, short.leases(0, 1, HOUR));
    assert!(station.fetches.is_empty() && !station.worker.works[&short.id].leases.is_empty());
}

#[test]
fn what_is_given_back_ends_with_the_deadline_whoever_answers() {
    let mut body = experiment(REQUESTER, "short");
    body.deadline = START.plus(MINUTE);
    let lab = Lab::of(body, REQUESTER);
    let mut station = Station::with_leases(config(), &lab, 1, 5_000);
    station.pass(6_000);
    assert_eq!(station.worker.works[&lab.id].returned.len(), 1);
    station.pass(2 * MINUTE);
    assert!(station.worker.works[&lab.id].returned.is_empty());
}

#[test]
fn leases_of_a_module_that_is_damaged_are_given_back_and_it_is_declined_for_good() {
    let lab = Lab::new(REQUESTER, "damaged");
    let (mut station, send) = asked(&lab);
    station.answer(send, lab.leases(0, 1, HOUR));
    station.pass(250);
    let (second, _) = station.claim();
    let (fetch, _) = station.fetches.pop_front().expect("a fetch");
    station.handle(Event::Fetched { fetch, result: Err(FetchFailure::Mismatch) });
    station.answer(second, lab.leases(1, 1, HOUR));
    assert!(station.fetches.is_empty() && station.worker.works[&lab.id].leases.is_empty());
    station.hear(lab.call(2, station.now));
    station.pass(MINUTE);
    assert_eq!(station.worker.standing(&lab.id), Some(Standing::Declined(DeclineReason::Module)));
    assert!(station.sent.iter().all(|out| matches!(out.request, Request::Deliver(_))));
}

#[test]
fn past_its_deadline_an_experiment_is_not_asked_for() {
    let mut body = experiment(REQUESTER, "short");
    body.deadline = START.plus(MINUTE);
    let lab = Lab::of(body, REQUESTER);
    let (mut station, send) = asked(&lab);
    station.answer(send, Response::Wait { ms: 60_000 });
    station.pass(MINUTE - 1);
    station.pass(41 * SECOND);
    station.sent.clear();
    station.pass(2 * MINUTE);
    assert!(station.sent.is_empty());
    assert_eq!(station.worker.standing(&lab.id), Some(Standing::Late));
}

#[test]
fn only_the_execution_that_holds_a_lease_ends_it_and_each_is_told_to_stop_once() {
    let lab = Lab::new(REQUESTER, "again");
    let mut station = Station::with_leases(config(), &lab, 1, 5_000);
    let (first, _) = station.started.pop_front().expect("runs");
    station.pass(250);
    let (send, _) = station.claim();
    station.answer(send, Response::Wait { ms: 10_000 });
    station.pass(10_000);
    let (send, deliver) = station.deliver();
    assert_eq!((deliver.returned.len(), station.stopped.len()), (1, 1));
    station.answer(send, lab.ack_with(|ack| ack.leases = Some(lab.batch(0, 1, HOUR))));
    assert_eq!(station.started.len(), 1, "the lease came again");
    let report = Report { outcome: Outcome::Completed, output: Vec::new(), transcript: Vec::new(), log: Vec::new(), fuel: 5, duration_ms: 3 };
    station.handle(Event::Finished { execution: first, report: Ok(report) });
    assert_eq!(station.worker.outbox_len(), 0, "the stopped one speaks for nobody");
    station.finish();
    assert_eq!(station.worker.outbox_len(), 1);
    let mut station = Station::with_leases(config(), &lab, 1, 5_000);
    station.pass(5_000);
    station.hear(lab.call_with(2, station.now, |call| call.state = CallState::Closed { log: Content::raw(b"log").cid }));
    assert_eq!(station.stopped.len(), 1);
    assert!(station.worker.works[&lab.id].returned.is_empty(), "a closed experiment wants nothing back");
}

#[test]
fn a_sandbox_that_failed_is_left_alone_for_a_while() {
    let lab = Lab::new(REQUESTER, "sandbox");
    let mut station = Station::with_leases(config(), &lab, 1, HOUR);
    let (execution, _) = station.started.pop_front().expect("runs");
    station.handle(Event::Finished { execution, report: Err(StationFailure::Sandbox) });
    assert_eq!(station.deliver().1.free, 0);
}

#[test]
fn what_a_requester_says_again_is_no_new_lease_and_what_was_run_is_not_run_again() {
    let lab = Lab::new(REQUESTER, "again and again");
    let (mut station, send) = asked(&lab);
    station.answer(send, lab.leases(0, 1, HOUR));
    station.fetched();
    station.pass(250);
    let (send, claim) = station.claim();
    assert_eq!(claim.free, 1);
    station.answer(send, lab.leases(0, 2, HOUR));
    assert_eq!((station.reports().len(), station.started.len()), (0, 2));
    station.finish();
    station.finish();
    // After a restart the receipts in the outbox say what was run, and after they are held the record does.
    for held in [false, true] {
        if held {
            let sends: Vec<Ticket> = station.sent.drain(..).map(|out| out.send).collect();
            sends.into_iter().for_each(|send| station.fail(send, SendFailure::NoAnswer));
            station.pass(3 * SECOND);
            let (send, deliver) = station.deliver();
            assert_eq!(deliver.receipts.len(), 2);
            station.answer(send, lab.holds(&[0, 1]));
            assert_eq!(station.worker.outbox_len(), 0);
        }
        let mut station = Station::restored(config(), station.disk.clone(), station.now);
        station.hear(lab.call(2, station.now));
        // What was asked before it was heard asked for nothing.
        let out = station.sent.pop_front().expect("a question");
        station.fail(out.send, SendFailure::NoAnswer);
        station.pass(2 * SECOND);
        let out = station.sent.pop_front().expect("asks for more");
        let again = if held { lab.leases(0, 2, HOUR) } else { lab.ack_with(|ack| ack.leases = Some(lab.batch(0, 2, HOUR))) };
        station.answer(out.send, again);
        assert!(station.fetches.is_empty() && station.worker.works[&lab.id].leases.is_empty(), "held: {held}");
    }
}

#[test]
fn used_numbers_are_bounded_and_stay_used() {
    let mut used = super::super::used::Used::default();
    assert!(!used.contains(4));
    for number in 2..3_000 {
        used.insert(2 * number);
        assert!(used.contains(2 * number));
    }
    assert!(used.contains(4) && used.contains(3) && !used.contains(5_999));
    assert!(crate::codec::encode(&used).len() < 4_096, "a thousand of three bytes each");
}

#[test]
fn leases_and_returned_leases_of_one_experiment_are_bounded() {
    // Leases that end at once, in answers that take nothing back.
    let lab = Lab::new(REQUESTER, "ends at once");
    let mut station = Station::new(Config { capacity: 64, ..config() });
    station.hear(lab.call(1, START));
    for round in 0..14 {
        let out = station.sent.pop_front().expect("a question");
        station.answer(out.send, lab.leases(32 * round, 32, 0));
        station.pass(250);
        assert!(station.worker.works[&lab.id].returned.len() <= HOLDING_MAX);
    }
    assert_eq!(station.worker.works[&lab.id].returned.len(), HOLDING_MAX);
    // More slots than one experiment may hold leases.
    let lab = Lab::new(REQUESTER, "holds many");
    let mut station = Station::with_leases(Config { capacity: 500, ..config() }, &lab, 1, HOUR);
    station.finish();
    let (send, _) = station.deliver();
    station.answer(send, lab.holds(&[0]));
    for round in 0..14 {
        station.pass(SECOND);
        let Some(out) = station.sent.pop_front() else { break };
        station.answer(out.send, lab.leases(1 + 32 * round, 32, HOUR));
    }
    assert_eq!(station.worker.works[&lab.id].leases.len(), HOLDING_MAX);
}
