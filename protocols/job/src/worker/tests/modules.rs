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
