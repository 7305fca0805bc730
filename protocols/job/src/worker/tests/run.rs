//! From a Call to a held receipt.

use super::*;
use crate::human::Size;

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

#[test]
fn never_more_run_than_there_are_slots() {
    let lab = Lab::new(REQUESTER, "slots");
    let mut station = Station::with_more_leases(config(), &lab, 5, 60_000);
    assert_eq!(station.started.len(), 2);
    station.finish();
    assert_eq!(station.started.len(), 2, "the next one starts when one ends");
}

#[test]
fn what_runs_together_stays_in_the_budget_of_memory() {
    let lab = Lab::new(REQUESTER, "memory");
    let mut policy = config().policy;
    // Room for one guest and a half.
    policy.budget.memory = Size(lab.experiment.body.limits.memory_bytes * 3 / 2);
    let mut station = Station::with_more_leases(Config { policy, ..config() }, &lab, 5, 60_000);
    assert_eq!(station.started.len(), 1);
    station.finish();
    assert_eq!(station.started.len(), 1, "the next one starts when one ends");
}

#[test]
fn a_lease_that_ends_while_running_is_stopped_and_returned_and_gives_no_receipt() {
    let lab = Lab::new(REQUESTER, "expiry");
    let mut station = Station::with_leases(Config { capacity: 1, ..config() }, &lab, 1, 5_000);
    station.pass(5_000);
    assert_eq!(station.stopped.len(), 1);
    let (_, deliver) = station.deliver();
    assert_eq!(deliver.returned.to_vec(), [(0, ReturnReason::Expired)]);
    station.finish();
    assert_eq!(station.worker.outbox_len(), 0, "what ended too late is not signed");
    assert_eq!(station.worker.running(), 0);
}

#[test]
fn a_lease_that_ends_while_it_waits_is_never_started() {
    let lab = Lab::new(REQUESTER, "queue");
    let mut station = Station::with_more_leases(Config { capacity: 1, ..config() }, &lab, 2, 5_000);
    station.pass(5_000);
    station.finish();
    assert!(station.started.is_empty());
}

#[test]
fn a_report_that_comes_at_the_very_end_of_its_lease_is_not_signed() {
    let lab = Lab::new(REQUESTER, "late");
    let mut station = Station::with_leases(config(), &lab, 1, 5_000);
    station.now = station.now.plus(5_000);
    station.finish();
    assert_eq!(station.worker.outbox_len(), 0);
    assert_eq!(station.deliver().1.returned.to_vec(), [(0, ReturnReason::Expired)]);
}

#[test]
fn a_module_that_cannot_be_had_returns_the_leases_and_rests_the_experiment() {
    let lab = Lab::new(REQUESTER, "fetch");
    let mut station = Station::new(config());
    station.hear(lab.call(1, START));
    let (send, _) = station.claim();
    station.answer(send, lab.leases(0, 2, 60_000));
    let (fetch, _) = station.fetches.pop_front().expect("a fetch");
    station.handle(Event::Fetched { fetch, result: Err(FetchFailure::TimedOut) });
    let (send, deliver) = station.deliver();
    assert_eq!(deliver.returned.to_vec(), [(0, ReturnReason::FetchFailed), (1, ReturnReason::FetchFailed)]);
    assert_eq!(deliver.free, 0);
    station.answer(send, lab.ack_with(|_| {}));
    station.pass(29 * SECOND);
    assert!(station.sent.is_empty());
    station.pass(SECOND);
    station.claim();
}

#[test]
fn a_module_with_other_bytes_than_named_is_not_asked_for_again() {
    let lab = Lab::new(REQUESTER, "mismatch");
    let mut station = Station::new(config());
    station.hear(lab.call(1, START));
    let (send, _) = station.claim();
    station.answer(send, lab.leases(0, 1, 60_000));
    let (fetch, _) = station.fetches.pop_front().expect("a fetch");
    station.handle(Event::Fetched { fetch, result: Err(FetchFailure::Mismatch) });
    assert_eq!(station.worker.standing(&lab.id), Some(Standing::Declined(crate::work::DeclineReason::Module)));
}

#[test]
fn the_module_is_fetched_once_per_experiment() {
    let lab = Lab::new(REQUESTER, "once");
    let mut station = Station::with_leases(config(), &lab, 1, 60_000);
    station.finish();
    let (send, _) = station.deliver();
    station.answer(send, lab.ack_with(|ack| ack.leases = Some(lab.batch(1, 1, 60_000))));
    assert!(station.fetches.is_empty());
    assert_eq!(station.started.len(), 1);
}

#[test]
fn a_station_that_failed_itself_returns_the_lease_and_signs_nothing() {
    let lab = Lab::new(REQUESTER, "sandbox");
    let failures = [
        (StationFailure::Sandbox, ReturnReason::StationFailed),
        (StationFailure::Outgrown, ReturnReason::Outgrown),
        (StationFailure::TargetBusy, ReturnReason::TargetBusy),
    ];
    for (failure, reason) in failures {
        let mut station = Station::with_leases(config(), &lab, 1, 60_000);
        let (execution, _) = station.started.pop_front().expect("an execution");
        station.handle(Event::Finished { execution, report: Err(failure) });
        assert_eq!(station.deliver().1.returned.to_vec(), [(0, reason)]);
        assert_eq!(station.worker.outbox_len(), 0);
    }
}

#[test]
fn a_job_that_outgrows_the_sandbox_does_not_keep_the_next_one_waiting() {
    let lab = Lab::new(REQUESTER, "outgrown");
    let mut station = Station::with_leases(config(), &lab, 1, 60_000);
    let (execution, _) = station.started.pop_front().expect("an execution");
    station.handle(Event::Finished { execution, report: Err(StationFailure::Outgrown) });
    let (send, deliver) = station.deliver();
    assert_eq!((deliver.returned.to_vec(), deliver.free > 0), (vec![(0, ReturnReason::Outgrown)], true));
    station.answer(send, lab.ack_with(|ack| ack.leases = Some(lab.batch(1, 1, 60_000))));
    assert_eq!(station.started.len(), 1, "at once, and the same experiment");
}

#[test]
fn draining_returns_what_waits_lets_run_what_runs_and_takes_nothing_new() {
    let lab = Lab::new(REQUESTER, "drain");
    let mut station = Station::with_more_leases(config(), &lab, 3, 60_000);
    station.sent.clear();
    station.handle(Event::Drain);
    let (send, deliver) = station.deliver();
    assert_eq!(deliver.returned.to_vec(), [(3, ReturnReason::Drain)]);
    assert_eq!((deliver.free, deliver.holding.to_vec()), (0, vec![1, 2]));
    station.answer(send, lab.ack_with(|_| {}));
    assert!(!station.worker.is_drained());
    for lease in [1, 2] {
        station.finish();
        let (send, _) = station.deliver();
        station.answer(send, lab.holds(&[lease]));
    }
    assert!(station.worker.is_drained());
    station.pass(MINUTE);
    assert!(station.sent.is_empty());
}

#[test]
fn unknown_requesters_together_get_a_tenth_of_the_turns() {
    let known = Lab::new(REQUESTER, "known");
    let mut station = Station::with_leases(Config { capacity: 1, ..config() }, &known, 1, 60_000);
    station.finish();
    let (send, _) = station.deliver();
    station.answer(
        send,
        known.ack_with(|ack| {
            ack.held = List::first([0]);
            ack.leases = Some(known.batch(1, 32, HOUR));
        }),
    );
    let strangers = [Lab::new(3, "stranger"), Lab::new(4, "stranger")];
    for stranger in &strangers {
        station.hear(stranger.call_with(1, START, |call| call.at = List::default()));
        if let Some(out) = station.sent.pop_front() {
            station.answer(out.send, stranger.leases(0, 1, HOUR));
            station.fetched();
        }
    }
    let mut turns = [0, 0];
    for _ in 0..22 {
        let (execution, job) = station.started.pop_front().expect("one runs");
        turns[usize::from(job.requester != known.key.node())] += 1;
        let report = Report { outcome: Outcome::Completed, output: Vec::new(), transcript: Vec::new(), log: Vec::new(), fuel: 1, duration_ms: 1 };
        station.handle(Event::Finished { execution, report: Ok(report) });
    }
    assert!((1..=3).contains(&turns[1]), "known and unknown turns: {turns:?}");
}

#[test]
fn a_lease_number_is_run_to_a_receipt_once_even_if_it_comes_again() {
    let lab = Lab::new(REQUESTER, "again");
    let mut station = Station::with_leases(config(), &lab, 1, 60_000);
    station.finish();
    let (send, _) = station.deliver();
    station.answer(
        send,
        lab.ack_with(|ack| {
            ack.held = List::first([0]);
            ack.leases = Some(lab.batch(0, 1, 60_000));
        }),
    );
    assert!(station.started.is_empty(), "a second receipt for lease 0 would be proof E1 against this station");
    // Nor after a restart.
    let mut station = Station::restored(config(), station.disk, station.now);
    station.hear(lab.call(2, station.now));
    let (send, _) = station.claim();
    station.answer(send, lab.leases(0, 1, 60_000));
    assert!(station.started.is_empty() && station.fetches.is_empty());
}
