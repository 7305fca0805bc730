//! Leases whose module is not here yet, or not compiled: what they keep away, and until when somebody waits for it.

use super::*;

/// A station with one slot and a lease of each of these requesters, whose modules are on their way.
fn waiting(labs: &[Lab]) -> Station {
    let mut station = Station::new(Config { capacity: 1, ..config() });
    for lab in labs {
        station.hear(lab.call_with(1, START, |call| call.at = List::default()));
        let (send, claim) = station.claim();
        assert!(claim.free > 0, "it is asked although modules of others are on their way");
        station.answer(send, lab.leases(0, 1, MINUTE));
    }
    station
}

#[test]
fn modules_of_strangers_that_are_not_ready_keep_no_work_of_others_away() {
    let labs: Vec<Lab> = (3..9).map(|number| Lab::new(number, "stranger")).collect();
    let mut station = waiting(&labs);
    assert_eq!(station.fetches.len(), labs.len());
    // The last one's module comes first, and is run at once.
    let (fetch, _) = station.fetches.pop_back().expect("a fetch");
    station.handle(Event::Fetched { fetch, result: Ok(()) });
    let started: Vec<NodeId> = station.started.iter().map(|(_, job)| job.requester).collect();
    assert_eq!(started, [labs[labs.len() - 1].key.node()]);
}

#[test]
fn a_module_is_awaited_as_long_as_a_lease_needs_it() {
    let lab = Lab::new(REQUESTER, "lab");
    let mut station = waiting(std::slice::from_ref(&lab));
    let (fetch, module) = station.fetches.pop_front().expect("a fetch");
    assert_eq!(station.worker.awaits_module(fetch), Some((lab.key.node(), module)));
    station.pass(MINUTE);
    assert_eq!(station.worker.awaits_module(fetch), None);
}

#[test]
fn a_module_that_arrives_when_no_lease_waits_for_it_is_made_ready_for_the_next_one_before_that_takes_a_slot() {
    for result in [Ok(()), Err(FetchFailure::TimedOut), Err(FetchFailure::Unwanted)] {
        let lab = Lab::new(REQUESTER, "late");
        let mut station = waiting(std::slice::from_ref(&lab));
        let (fetch, _) = station.fetches.pop_front().expect("a fetch");
        station.pass(MINUTE);
        station.handle(Event::Fetched { fetch, result });
        let (send, _) = station.deliver();
        station.answer(send, lab.ack_with(|ack| ack.leases = Some(lab.batch(1, 1, MINUTE))));
        assert!(station.started.is_empty(), "it took a slot before anybody paid for its module");
        let (fetch, _) = station.fetches.pop_front().expect("another fetch");
        station.handle(Event::Fetched { fetch, result: Ok(()) });
        station.finish();
        assert!(station.deliver().1.free > 0, "nothing failed, so that the experiment does not rest");
    }
}

#[test]
fn a_lease_that_comes_while_a_fetch_ends_that_nobody_waited_for_has_its_module_fetched_again() {
    let lab = Lab::new(REQUESTER, "again");
    let mut station = waiting(std::slice::from_ref(&lab));
    let (first, _) = station.fetches.pop_front().expect("a fetch");
    station.pass(MINUTE);
    let (send, _) = station.deliver();
    station.answer(send, lab.ack_with(|ack| ack.leases = Some(lab.batch(1, 1, MINUTE))));
    assert!(station.fetches.is_empty(), "it is on its way");
    station.handle(Event::Fetched { fetch: first, result: Err(FetchFailure::Unwanted) });
    let (fetch, _) = station.fetches.pop_front().expect("another fetch");
    station.handle(Event::Fetched { fetch, result: Ok(()) });
    assert_eq!(station.started.len(), 1);
}

#[test]
fn whoever_cannot_pay_when_its_job_begins_keeps_its_lease_and_gives_its_slot_away() {
    let lab = Lab::new(REQUESTER, "poor");
    let mut station = Station::with_leases(config(), &lab, 1, MINUTE);
    let (execution, _) = station.started.pop_front().expect("an execution");
    station.handle(Event::Finished { execution, report: Err(StationFailure::NotNow) });
    assert!(station.started.is_empty(), "it would take the slot again before its module is ready");
    let (fetch, _) = station.fetches.pop_front().expect("another fetch");
    station.handle(Event::Fetched { fetch, result: Ok(()) });
    assert_eq!(station.started.len(), 1);
    station.finish();
    assert_eq!(station.worker.outbox_len(), 1, "it is the same lease, run to a receipt");
}

#[test]
fn a_sandbox_that_failed_has_the_module_looked_for_again() {
    let lab = Lab::new(REQUESTER, "gone");
    let mut station = Station::with_leases(config(), &lab, 1, MINUTE);
    let (execution, _) = station.started.pop_front().expect("an execution");
    station.handle(Event::Finished { execution, report: Err(StationFailure::Sandbox) });
    let (send, _) = station.deliver();
    station.answer(send, lab.ack_with(|_| {}));
    station.pass(30 * SECOND);
    let (send, _) = station.claim();
    station.answer(send, lab.leases(1, 1, MINUTE));
    assert_eq!((station.fetches.len(), station.started.len()), (1, 0));
}
